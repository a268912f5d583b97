-- pgbench: one chat of a known visitor, with provided id and visitor_id, into the same table unattached.
\set n random(1, :people)
insert into peer.chat (account, visitor_id, provided_visitor_id, department)
values ('default', visitor_identity.derive_visitor_id('C-' || :n), 'C-' || :n, 'sales');
