-- pgbench: one chat of a known visitor, by his visitor_id, into the same table unattached.
\set n random(1, :people)
insert into peer.chat (account, visitor_id, department)
values ('default', visitor_identity.derive_visitor_id('C-' || :n), 'sales');
