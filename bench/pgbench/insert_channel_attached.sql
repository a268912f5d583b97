-- pgbench: one chat of a known visitor of a channel, into the attached table.
\set n random(1, :people_of_channels)
insert into chat.chat (account, visitor_id, channel_type, channel_id, channel_user_id, department)
values ('default', visitor_identity.derive_visitor_id('C-' || 4 * :n), 'telegram', '', (100000000 + 4 * :n)::text, 'sales');
