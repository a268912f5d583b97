-- The contract, asked of a plain database and of a distributed one: every answer has to be the same. No answer shows a
-- random id or a number of a rebinding; those are compared with each other.
\set ON_ERROR_STOP 0
\set VERBOSITY default
\set SHOW_CONTEXT never
\pset null NULL
\t on
\a
set client_min_messages = warning;

\echo
\echo == what was there before
select visitor_identity.find_visitor('B-1', account => 'before') as known \gset
select chat_id, visitor_id = :'known', origin_visitor_id from chat.chat where account = 'before' order by 1;
select note_id, visitor_id = :'known' from chat.note where account = 'before';
select outcome from visitor_identity.resolve_visitor_detail(visitor_id => '0b000000-0000-4000-8000-000000000001', account => 'before');
select rebind_id as before from visitor_identity.rebind where account = 'before' \gset
select * from visitor_identity.undo_rebind(:before, 'before') order by 1::text;
select chat_id, visitor_id from chat.chat where account = 'before' order by 1;
select outcome, notes from visitor_identity.resolve_visitor_detail('B-2', visitor_id => '0b000000-0000-4000-8000-000000000001', account => 'before');
select visitor_identity.derive_visitor_id('B-2', 'before') as known \gset
select note_id, visitor_id = :'known' from chat.note where account = 'before';

\echo == three accounts, and their policies
insert into visitor_identity.account (account, namespace)
values
    ('north', '11111111-1111-4111-8111-111111111111'),
    ('south', '22222222-2222-4222-8222-222222222222'),
    ('west', '33333333-3333-4333-8333-333333333333');
insert into visitor_identity.channel (channel_type, pattern) values ('pager', '[0-9]{4}');
insert into visitor_identity.blocked_identifier (account, identifier) values ('north', 'TESTER');

\echo == first sight, known, and other accounts
select outcome, basis, visitor_id from visitor_identity.resolve_visitor_detail('P-1', account => 'north');
select outcome, basis, visitor_id from visitor_identity.resolve_visitor_detail('P-1', account => 'north');
select outcome, basis, visitor_id from visitor_identity.resolve_visitor_detail('P-1', account => 'south');
select visitor_identity.find_visitor('P-1', account => 'north') = visitor_identity.derive_visitor_id('P-1', account => 'north');
select visitor_identity.find_visitor('P-1', account => 'west');
select outcome, basis, notes from visitor_identity.resolve_visitor_detail('TESTER', account => 'north');
select outcome, basis from visitor_identity.resolve_visitor_detail('TESTER', account => 'south');
select outcome, basis from visitor_identity.resolve_visitor_detail(channel_type => 'telegram', channel_user_id => '67854257', account => 'west');
select outcome, basis from visitor_identity.resolve_visitor_detail(channel_type => 'pager', channel_user_id => '1234', account => 'west');
select visitor_identity.resolve_visitor(channel_type => 'pager', channel_user_id => '12345', account => 'west');
select visitor_identity.resolve_visitor('P-1', account => 'nowhere');
select visitor_identity.resolve_visitor(channel_type => 'telegram', account => 'west');

\echo == no account is the account default
select visitor_identity.resolve_visitor('P-1') = visitor_identity.derive_visitor_id('P-1', account => 'default');
select visitor_identity.resolve_visitor('P-1', account => null) = visitor_identity.find_visitor('P-1');
set visitor_identity.account = 'south';
select visitor_identity.resolve_visitor('P-1') = visitor_identity.find_visitor('P-1', account => 'south');
reset visitor_identity.account;

\echo == two chats of a browser, then a login: both move, with their origin
select visitor_identity.resolve_visitor(account => 'north') as cookie \gset
begin;
select visitor_identity.chat_visitor(visitor_id => :'cookie', account => 'north') as visitor \gset
insert into chat.chat (account, chat_id, visitor_id, origin_visitor_id, state, opened_at, closed_at)
values
    ('north', 1, :'visitor', :'visitor', 'closed', '2026-01-01 10:00+00', '2026-01-01 11:00+00'),
    ('north', 2, :'visitor', :'visitor', 'chat', '2026-01-02 10:00+00', null);
commit;
insert into chat.message (account, chat_id, kind, text) values ('north', 1, 'visitor', 'hello');
select outcome, basis, previous_visitor_ids = array[:'cookie']::uuid[], rebound_chats, notes
from visitor_identity.resolve_visitor_detail('P-2', visitor_id => :'cookie', account => 'north');
select chat_id, visitor_id, origin_visitor_id = :'cookie' from chat.chat where account = 'north' order by chat_id;
select outcome, basis, visitor_id from visitor_identity.resolve_visitor_detail(visitor_id => :'cookie', account => 'north');

\echo == a chat that comes with both, and one of a superseded cookie
select visitor_identity.resolve_visitor(account => 'north') as phone \gset
begin;
select visitor_identity.chat_visitor(visitor_id => :'phone', account => 'north') as visitor \gset
insert into chat.chat (account, chat_id, visitor_id, origin_visitor_id, opened_at)
values ('north', 3, :'visitor', :'visitor', '2026-01-03 10:00+00');
commit;
begin;
select visitor_identity.chat_visitor('P-2', visitor_id => :'phone', account => 'north') as visitor \gset
insert into chat.chat (account, chat_id, visitor_id, origin_visitor_id, provided_visitor_id, opened_at)
values ('north', 4, :'visitor', :'visitor', 'P-2', '2026-01-04 10:00+00');
commit;
begin;
select visitor_identity.chat_visitor(visitor_id => :'phone', account => 'north') as visitor \gset
insert into chat.chat (account, chat_id, visitor_id, origin_visitor_id, opened_at)
values ('north', 5, :'visitor', :'visitor', '2026-01-05 10:00+00');
commit;
select chat_id, visitor_id, origin_visitor_id = visitor_id from chat.chat where account = 'north' order by chat_id;

\echo == a shared browser switches and joins nobody
select outcome, basis, visitor_id, notes from visitor_identity.resolve_visitor_detail('P-3', visitor_id => :'cookie', account => 'north');
select chat_id, visitor_id from chat.chat where account = 'north' order by chat_id;

\echo == limits, and the policy keep
update visitor_identity.account set max_rebind_chats = 1 where account = 'south';
select visitor_identity.resolve_visitor(account => 'south') as busy \gset
begin;
select visitor_identity.chat_visitor(visitor_id => :'busy', account => 'south') as visitor \gset
insert into chat.chat (account, chat_id, visitor_id, origin_visitor_id)
values ('south', 1, :'visitor', :'visitor'), ('south', 2, :'visitor', :'visitor');
commit;
select outcome, rebound_chats, notes from visitor_identity.resolve_visitor_detail('P-4', visitor_id => :'busy', account => 'south');
update visitor_identity.account set max_rebind_chats = 10000 where account = 'south';
select outcome, rebound_chats, notes from visitor_identity.resolve_visitor_detail('P-4', visitor_id => :'busy', account => 'south');
update visitor_identity.account set on_authorization = 'keep' where account = 'south';
select visitor_identity.resolve_visitor(account => 'south') as kept \gset
select outcome, notes from visitor_identity.resolve_visitor_detail('P-5', visitor_id => :'kept', account => 'south');
update visitor_identity.account set on_authorization = 'rebind' where account = 'south';

\echo == claimed, then absorbed by the claimant; targets that are known, on both sides of the ids
update visitor_identity.account set on_authorization = 'keep' where account = 'south';
select visitor_identity.resolve_visitor(account => 'south') as kept \gset
select outcome, notes from visitor_identity.resolve_visitor_detail('P-5', visitor_id => :'kept', account => 'south');
update visitor_identity.account set on_authorization = 'rebind' where account = 'south';
select claimed_by = visitor_identity.find_visitor('P-5', account => 'south') from visitor_identity.visitor where account = 'south' and visitor_id = :'kept';
select outcome, notes from visitor_identity.resolve_visitor_detail('P-5', visitor_id => :'kept', account => 'south');
select visitor_identity.chat_visitor(visitor_id => '00000000-0000-4000-8000-000000000001', account => 'south');
select visitor_identity.chat_visitor(visitor_id => 'ffffffff-ffff-4fff-bfff-ffffffffffff', account => 'south');
select outcome, notes from visitor_identity.resolve_visitor_detail('P-5', visitor_id => '00000000-0000-4000-8000-000000000001', account => 'south');
select outcome, notes from visitor_identity.resolve_visitor_detail('P-5', visitor_id => 'ffffffff-ffff-4fff-bfff-ffffffffffff', account => 'south');

\echo == a channel user who logs in
begin;
select visitor_identity.chat_visitor(channel_type => 'whatsapp', channel_user_id => '+1 (043) 568-5475', account => 'west') as visitor \gset
insert into chat.chat (account, chat_id, visitor_id, origin_visitor_id, channel_type, channel_user_id, opened_at, closed_at)
values ('west', 1, :'visitor', :'visitor', 'whatsapp', '+1 (043) 568-5475', '2026-02-01', '2026-02-02');
commit;
select outcome, basis, rebound_chats from visitor_identity.resolve_visitor_detail('P-6', 'whatsapp', '10435685475', account => 'west');
select visitor_identity.find_visitor(channel_type => 'whatsapp', channel_user_id => '10435685475', account => 'west') = visitor_identity.find_visitor('P-6', account => 'west');
select visitor_identity.external_user_id(visitor_identity.find_visitor('P-6', account => 'west'), 'whatsapp', 'west');
select visitor_identity.rename_channel_user('whatsapp', '10435685475', '10435685476', account => 'west') = visitor_identity.find_visitor('P-6', account => 'west');

\echo == malformed and blocked ids of a chat row count as none
begin;
select visitor_identity.chat_visitor('undefined', 'telegram', 'no number', account => 'west') as visitor \gset
insert into chat.chat (account, chat_id, visitor_id, origin_visitor_id, provided_visitor_id, channel_type, channel_user_id)
values ('west', 2, :'visitor', :'visitor', 'undefined', 'telegram', 'no number');
commit;
select kind, account, chat_key, occurrences, detail from visitor_identity.anomalies where chat_table is not null order by 1, 2, 3;

\echo == search, and the views
select chat_table, chat_key, matched_by, provided_visitor_id from visitor_identity.search_history('P-2', account => 'north');
select chat_table, chat_key, matched_by from visitor_identity.search_history(:'cookie', account => 'north');
select chat_table, chat_key, matched_by, channel_user_id from visitor_identity.search_history('+1 (043) 568-5475', account => 'west');

\echo == a number that is a provided id of one and a channel user id of another: page after page
select visitor_identity.resolve_visitor('10435685477', account => 'south') as provided \gset
select visitor_identity.resolve_visitor(channel_type => 'whatsapp', channel_user_id => '10435685477', account => 'south') as of_channel \gset
insert into chat.chat (account, chat_id, visitor_id, origin_visitor_id, provided_visitor_id, channel_type, channel_user_id, opened_at, closed_at)
values
    ('south', 21, :'provided', :'provided', '10435685477', null, null, '2026-03-01 10:00+00', '2026-03-02'),
    ('south', 22, :'of_channel', :'of_channel', null, 'whatsapp', '+1 (043) 568-5477', '2026-03-01 11:00+00', '2026-03-02'),
    ('south', 23, :'provided', :'provided', '10435685477', null, null, '2026-03-01 12:00+00', '2026-03-02'),
    ('south', 24, :'of_channel', :'of_channel', null, 'whatsapp', '+1 (043) 568-5477', '2026-03-01 12:00+00', '2026-03-02'),
    ('south', 25, :'of_channel', :'of_channel', null, null, null, '2026-03-01 13:00+00', '2026-03-02');
select chat_key, matched_by from visitor_identity.search_history('10435685477', account => 'south');
select chat_key, matched_by from visitor_identity.search_history('10435685477', account => 'south', page_size => 2);
select chat_key, matched_by from visitor_identity.search_history(
    '10435685477', account => 'south', page_size => 2, after_opened_at => '2026-03-01 12:00+00', after_chat_table => 'chat.chat',
    after_chat_key => '{"account": "south", "chat_id": 24}'
);
select chat_key, matched_by from visitor_identity.search_history('10435685477', account => 'south', by => 'channel_user_id');
select chat_id, visitor_id, provided_visitor_id from chat.chat_history where account = 'north' and provided_visitor_id = 'P-2' order by 1;
select visitor_identity.find_visitor('P-2', account => 'north') as known \gset
select chat_id, provided_visitor_id from chat.chat_workspace where account = 'north' and visitor_id = :'known' order by 1;
select chat_id, channel_user_id from chat.chat_history where account = 'west' and channel_user_id = '+1 (043) 568-5475';
select account, chat_id from chat.chat_history order by 1, 2;

\echo == why each chat is where it is
select chat_table, chat_key, because, reason, rebound_by from visitor_identity.visitor_history(visitor_identity.find_visitor('P-2', account => 'north'), 'north') order by chat_key::text;
select regexp_replace(visitor_identity.visitor_graph(visitor_identity.find_visitor('P-1', account => 'north'), 'north'), '\d{4}-\d\d-\d\d', 'DATE', 'g');
select topic, finding is not null from visitor_identity.explain_resolution('P-2', visitor_id => :'cookie', account => 'north');

\echo == an undo, and the same login again
select rebind_id from visitor_identity.rebind where account = 'north' and from_visitor_id = :'cookie' \gset
select * from visitor_identity.undo_rebind(:rebind_id, 'north') order by 1::text;
select chat_id, visitor_id = :'cookie' from chat.chat where account = 'north' order by chat_id;
select outcome, notes from visitor_identity.resolve_visitor_detail('P-2', visitor_id => :'cookie', account => 'north');
select * from visitor_identity.undo_rebind(:rebind_id, 'north');
select * from visitor_identity.undo_rebind(-1, 'north');

\echo == a merge, and its undo
select visitor_identity.merge_visitors(
    visitor_identity.find_visitor('P-3', account => 'north'), visitor_identity.find_visitor('P-2', account => 'north'), 'one person', 'north'
) as merge \gset
select visitor_identity.find_visitor('P-3', account => 'north') = visitor_identity.find_visitor('P-2', account => 'north');
select * from visitor_identity.undo_rebind(:merge, 'north') order by 1::text;
select visitor_identity.find_visitor('P-3', account => 'north') = visitor_identity.find_visitor('P-2', account => 'north');

\echo == many at once
select request, outcome, basis, notes, refused_sqlstate, refused_message
from visitor_identity.resolve_visitors(
    array['P-1', 'P-9', 'P-9', null, 'undefined', null],
    array[null, null, null, 'telegram', null, 'telegram'],
    array[null, null, null, '67854258', null, 'no number'],
    account => 'north'
);

\echo == devices
select visitor_identity.register_device(visitor_identity.find_visitor('P-2', account => 'north'), 'shop', '6b0e5f3c-1c8f-4f5e-9a49-0a3b7a3a8f01', 'fcm', 'token-1', 'north') = visitor_identity.find_visitor('P-2', account => 'north');
select visitor_identity.resolve_visitor(account => 'north') as tablet \gset
select visitor_identity.register_device(:'tablet', 'shop', '6b0e5f3c-1c8f-4f5e-9a49-0a3b7a3a8f02', 'apns', 'token-2', 'north') = :'tablet';
select outcome from visitor_identity.resolve_visitor_detail('P-2', visitor_id => :'tablet', account => 'north');
select device_id, service, token from visitor_identity.push_targets(provided_visitor_id => 'P-2', account => 'north') order by 1;
select visitor_identity.unregister_device('shop', '6b0e5f3c-1c8f-4f5e-9a49-0a3b7a3a8f02', 'north');
select visitor_identity.prune_devices('1 year', 'north');

\echo == signed fields
select visitor_identity.add_signature_key('e64e35642555f3ecd64ae7dbb600dca8', account => 'south') > 0;
update visitor_identity.account set require_signature = true where account = 'south';
select visitor_identity.resolve_visitor('77001', account => 'south');
select visitor_identity.authorize_visitor('{
    "fields": {"id": "77001", "display_name": "Anna", "email": "anna@example.com", "phone": "+78123855337"},
    "expires": 2051222400,
    "hash": "63edb78c3a991e6e40fb0eca42c0c7af034a416f78f813e13f867e4406787d48"}', account => 'south') = visitor_identity.derive_visitor_id('77001', 'south');
select visitor_identity.authorize_visitor('{"fields": {"id": "77001"}, "expires": 2051222400, "hash": "00"}', account => 'south');
select visitor_identity.visitor_payload(visitor_identity.derive_visitor_id('77001', 'south'), account => 'south') #>> '{visitor,fields,display_name}';
update visitor_identity.account set require_signature = false where account = 'south';

\echo == what a rollback takes back
begin;
select outcome from visitor_identity.resolve_visitor_detail('P-10', account => 'north');
select outcome from visitor_identity.resolve_visitor_detail('P-10', account => 'south');
savepoint before_third;
select outcome from visitor_identity.resolve_visitor_detail('P-10', account => 'west');
rollback to savepoint before_third;
select visitor_identity.find_visitor('P-10', account => 'west'), visitor_identity.find_visitor('P-10', account => 'south') is not null;
rollback;
select account, visitor_identity.find_visitor('P-10', account => account) from visitor_identity.account order by 1;

\echo == what is told of a person, and forgotten
select jsonb_object_keys(visitor_identity.export_visitor(visitor_identity.find_visitor('P-2', account => 'north'), 'north')) order by 1;
select erased_table, action, rows from visitor_identity.forget_visitor(visitor_identity.find_visitor('P-2', account => 'north'), account => 'north');
select visitor_identity.find_visitor('P-2', account => 'north');
select chat_id, provided_visitor_id from chat.chat where account = 'north' order by 1;
select outcome, visitor_id <> visitor_identity.derive_visitor_id('P-2', 'north') from visitor_identity.resolve_visitor_detail('P-2', account => 'north');

\echo == the numbers, and what is broken
select * from visitor_identity.statistics order by account;
select kind, reason, rebound_chats, undone_at is not null from visitor_identity.rebind order by account, rebound_at, kind, reason, rebound_chats;
select * from visitor_identity.check_integrity();
