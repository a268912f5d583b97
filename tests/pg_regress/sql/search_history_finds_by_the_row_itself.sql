-- search_history finds a closed chat by the channel user id that stands in it, also when that id is bound to nobody or to somebody
-- else. Keeps finding 19 of the review; with several tables, of which some have no such column, finding 24.
create schema by_the_row;
set search_path = by_the_row;
insert into visitor_identity.account (account) values ('by_the_row');
create table chat (
    chat_id integer primary key,
    visitor_id uuid,
    provided_visitor_id text,
    channel_type text,
    channel_user_id text,
    opened_at date,
    closed_at date
);
create index on chat (visitor_id);
create index on chat (channel_user_id);
create table without_channel (chat_id integer primary key, visitor_id uuid, provided_visitor_id text, opened_at date, closed_at date);
create index on without_channel (visitor_id);
create table without_index (chat_id integer primary key, visitor_id uuid, channel_type text, channel_user_id text, closed_at date);
create index on without_index (visitor_id);
create table bare (chat_id integer primary key, visitor_id uuid);
create index on bare (visitor_id);
select visitor_identity.attach_chat_table(t::regclass, fixed_account => 'by_the_row')
from unnest('{chat, without_channel, without_index, bare}'::text[]) as t;
set visitor_identity.account = 'by_the_row';
create function found(query text, by text default null)
returns table (chat_table text, chat_id text, channel_user_id text, matched_by text)
language sql
as $$
    select s.chat_table::text, s.chat_key ->> 'chat_id', s.channel_user_id, s.matched_by
    from visitor_identity.search_history(found.query, found.by) as s
    order by 1, 2
$$;
-- A chat of a person without an id of its own, whose channel comes later.
select visitor_identity.resolve_visitor('C-1') as c \gset
insert into chat (chat_id, visitor_id, opened_at)
values (1, :'c', '2024-05-01');
update chat
set channel_type = 'telegram', channel_user_id = '55555555', closed_at = '2024-05-02'
where chat_id = 1;
select * from found('55555555');
select * from found('55555555', 'channel_user_id');
select * from found('55555555', 'provided_visitor_id');
-- Ids of no format, of no channel, with a known person and without one.
insert into chat (chat_id, channel_type, channel_user_id, opened_at, closed_at)
values (2, 'telegram', 'abc', '2024-05-02', '2024-05-03'), (3, null, 'abc', '2024-05-03', '2024-05-03'), (4, 'fax', 'abc', '2024-05-04', '2024-05-04');
insert into chat (chat_id, provided_visitor_id, channel_type, channel_user_id, opened_at, closed_at)
values (5, 'C-1', 'telegram', 'abc', '2024-05-05', '2024-05-05');
select * from found('abc');
select * from found('C-1');
-- No chat twice, when an id finds it in two ways; newest first, page by page.
insert into chat (chat_id, channel_type, channel_user_id, opened_at, closed_at)
values (6, 'viber', 'abc', '2024-05-06', '2024-05-06');
select * from found('abc');
with first_page as (
    select *
    from visitor_identity.search_history('abc', page_size => 2)
), last_of_it as (
    select * from first_page order by opened_at limit 1
)
select 1 as page, chat_key, opened_at from first_page
union all
select 2, s.chat_key, s.opened_at
from last_of_it as l
cross join lateral visitor_identity.search_history(
    'abc', page_size => 2, after_opened_at => l.opened_at, after_chat_table => l.chat_table, after_chat_key => l.chat_key
) as s
order by page, opened_at desc;
-- Every table is searched by what it has.
insert into without_channel (chat_id, visitor_id, opened_at, closed_at)
values (1, :'c', '2024-05-01', '2024-05-02');
insert into without_index (chat_id, channel_type, channel_user_id, closed_at)
values (1, 'viber', 'abc', '2024-05-02');
insert into bare (chat_id, visitor_id)
values (1, :'c');
select chat_table, chat_id, matched_by from found('C-1');
select chat_table, chat_id, matched_by from found(:'c');
select chat_table, chat_id, matched_by from found('abc');
-- Of open chats, and of another account, nothing.
insert into chat (chat_id, channel_type, channel_user_id)
values (7, 'telegram', 'xyz');
select * from found('xyz');
select count(*) from visitor_identity.search_history('abc', account => 'default');
reset visitor_identity.account;
select visitor_identity.detach_table(t::regclass)
from unnest('{chat, without_channel, without_index, bare}'::text[]) as t;
set client_min_messages = warning;
drop schema by_the_row cascade;
