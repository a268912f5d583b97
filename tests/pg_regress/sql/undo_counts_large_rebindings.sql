-- The log of a large rebinding is kept in parts, and its undo counts every chat once. Keeps finding 18 of the review.
create schema large_undo;
set search_path = large_undo;
insert into visitor_identity.account (account, max_rebind_chats)
values ('large_undo', 100000);
create table chat (chat_id integer primary key, visitor_id uuid, provided_visitor_id text);
create index on chat (visitor_id);
create table second_chat (chat_id integer primary key, visitor_id uuid);
create index on second_chat (visitor_id);
select visitor_identity.attach_chat_table('chat', fixed_account => 'large_undo');
select visitor_identity.attach_chat_table('second_chat', fixed_account => 'large_undo');
insert into chat (chat_id, visitor_id)
values (0, '40000000-0000-4000-8000-000000000001');
insert into second_chat (chat_id, visitor_id)
values (1, '40000000-0000-4000-8000-000000000001'), (2, '40000000-0000-4000-8000-000000000001');
-- Loaded as a restore does it, which is quick.
set session_replication_role = replica;
insert into chat (chat_id, visitor_id, origin_visitor_id)
select n, '40000000-0000-4000-8000-000000000001', '40000000-0000-4000-8000-000000000001'
from generate_series(1, 59999) as n;
reset session_replication_role;
select outcome, rebound_chats
from visitor_identity.resolve_visitor_detail('C-1', visitor_id => '40000000-0000-4000-8000-000000000001', account => 'large_undo');
select k.moved_table, k.part, jsonb_array_length(k.keys) as keys
from visitor_identity.rebind_row as k
where k.account = 'large_undo'
order by k.moved_table::text, k.part;
-- Of the first part and of the last: some went elsewhere, some are gone, some have another key now.
set session_replication_role = replica;
update chat
set visitor_id = '40000000-0000-4000-8000-000000000002'
where chat_id in (10, 11, 59990);
delete from chat where chat_id in (20, 59980);
update chat
set chat_id = chat_id + 100000
where chat_id in (30, 31, 32, 59970);
reset session_replication_role;
insert into chat (chat_id, visitor_id)
values (200000, '40000000-0000-4000-8000-000000000001');
select u.moved_table, u.put_back, u.left_alone
from visitor_identity.rebind as r
cross join lateral visitor_identity.undo_rebind(r.rebind_id, r.account) as u
where r.account = 'large_undo'
order by u.moved_table::text;
select
    count(*) as chats,
    count(*) filter (where visitor_id = '40000000-0000-4000-8000-000000000001') as put_back,
    count(*) filter (where visitor_id = visitor_identity.find_visitor('C-1', account => 'large_undo')) as came_later,
    count(*) filter (where visitor_id = '40000000-0000-4000-8000-000000000002') as elsewhere
from chat;
select count(*) as put_back from second_chat where visitor_id = '40000000-0000-4000-8000-000000000001';
select visitor_identity.detach_table('chat');
select visitor_identity.detach_table('second_chat');
set client_min_messages = warning;
drop schema large_undo cascade;
