-- An INSERT that names the origin column (an ORM that maps it, a copy of another chat table, a reload) is resolved by its provided id
-- all the same; no id of a row stays unbound. Keeps finding 20 of the review.
create schema named_origin;
set search_path = named_origin;
insert into visitor_identity.account (account) values ('named_origin');
create table chat (
    chat_id integer primary key,
    visitor_id uuid,
    origin_visitor_id uuid,
    provided_visitor_id text,
    channel_type text,
    channel_user_id text
);
create index on chat (visitor_id);
create index on chat (channel_user_id);
select visitor_identity.attach_chat_table('chat', fixed_account => 'named_origin');
set visitor_identity.account = 'named_origin';
create view chats as
select
    c.chat_id,
    p.provided_visitor_id as visitor_of,
    right(c.origin_visitor_id::text, 2) as origin,
    c.provided_visitor_id as provided
from chat as c
left join visitor_identity.provided_identity as p using (visitor_id)
order by c.chat_id;
select visitor_identity.resolve_visitor('C-1') is not null as c;
-- A bound id, an unbound one, an anonymous one; the visitors are unknown here.
insert into chat (chat_id, visitor_id, origin_visitor_id, provided_visitor_id)
values
    (1, '40000000-0000-4000-8000-000000000001', '40000000-0000-4000-8000-000000000001', 'C-1'),
    (2, '40000000-0000-4000-8000-000000000002', '40000000-0000-4000-8000-000000000002', 'D-1'),
    (3, '40000000-0000-4000-8000-000000000003', '40000000-0000-4000-8000-000000000033', null),
    (4, null, '40000000-0000-4000-8000-000000000004', 'E-1'),
    (5, null, '40000000-0000-4000-8000-000000000005', null);
table chats;
select visitor_identity.find_visitor('D-1') is not null as d, visitor_identity.find_visitor('E-1') is not null as e;
-- A channel id of an unknown visitor is bound.
insert into chat (chat_id, visitor_id, origin_visitor_id, channel_type, channel_user_id)
values (6, '40000000-0000-4000-8000-000000000006', '40000000-0000-4000-8000-000000000006', 'telegram', '67854257');
select visitor_identity.find_visitor(channel_type => 'telegram', channel_user_id => '67854257') = visitor_id as bound
from chat
where chat_id = 6;
-- A known anonymous visitor who arrives with his provided id is authorized: his earlier chats come along.
insert into chat (chat_id, visitor_id)
values (7, '40000000-0000-4000-8000-000000000007');
insert into chat (chat_id, visitor_id, origin_visitor_id, provided_visitor_id)
values (8, '40000000-0000-4000-8000-000000000007', '40000000-0000-4000-8000-000000000007', 'F-1');
select * from chats where chat_id in (7, 8);
-- A superseded visitor is replaced by his survivor; the origin stays what it says.
insert into chat (chat_id, visitor_id, origin_visitor_id)
values (9, '40000000-0000-4000-8000-000000000007', '40000000-0000-4000-8000-000000000007');
select * from chats where chat_id = 9;
-- A row that is deleted and loaded again comes back as it was: its visitor is known, whoever holds the channel id today.
select visitor_identity.resolve_visitor('G-1', 'telegram', '67854257') is not null as g;
select visitor_identity.resolve_visitor('H-1', 'telegram', '67854257') is not null as h;
create table kept as
select * from chat;
delete from chat;
insert into chat
select * from kept;
select * from chat except table kept;
insert into chat
select chat_id + 100, visitor_id, origin_visitor_id, provided_visitor_id, channel_type, channel_user_id from kept;
select count(*) as otherwise
from chat as c
join kept as k on k.chat_id + 100 = c.chat_id
where (k.visitor_id, k.origin_visitor_id) is distinct from (c.visitor_id, c.origin_visitor_id);
select problem, chat_key from visitor_identity.check_integrity() where account = 'named_origin';
drop view chats;
reset visitor_identity.account;
select visitor_identity.detach_table('chat');
set client_min_messages = warning;
drop schema named_origin cascade;
