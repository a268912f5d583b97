-- pgbench: one chat of a known visitor, with provided id and visitor_id, into the attached table.
\set n random(1, :people)
insert into chat.chat (account, visitor_id, provided_visitor_id, department)
values ('default', visitor_identity.derive_visitor_id('C-' || :n), 'C-' || :n, 'sales');
