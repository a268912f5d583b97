-- The log of a rebinding writes the keys of rows as PostgreSQL does, whatever their types (nearly all are written by the extension
-- itself), and an undo finds them again. Chats that were counted for the limit are those that move, over several tables.
create schema every_key;
set search_path = every_key;
insert into visitor_identity.account (account)
values ('every_key');
set visitor_identity.account = 'every_key';
create domain order_number as text check (value <> 'never');
create table integers (small smallint, medium integer, big bigint, visitor_id uuid, primary key (small, medium, big));
create table texts (name text, code varchar(40), number order_number, visitor_id uuid, primary key (name, code, number));
create table one_text (name text primary key, visitor_id uuid);
create table one_uuid (id uuid primary key, visitor_id uuid);
create table others (padded char(4), amount numeric(8, 2), at timestamptz, visitor_id uuid, primary key (padded, amount, at));
create table "Odd ""names\" ("the "" key\" bigint primary key, visitor_id uuid);
create table with_channel (id bigint primary key, visitor_id uuid, channel_type text, channel_user_id text);
create index on with_channel (visitor_id);
create index on integers (visitor_id);
create index on texts (visitor_id);
create index on one_text (visitor_id);
create index on one_uuid (visitor_id);
create index on others (visitor_id);
create index on "Odd ""names\" (visitor_id);
select visitor_identity.attach_chat_table(t::regclass, fixed_account => 'every_key')
from unnest(array['integers', 'texts', 'one_text', 'one_uuid', 'others', 'with_channel', '"Odd ""names\"']) as t \g /dev/null

create function fill(visitor uuid) returns void language sql as $$
    insert into integers values (-32768, 2147483647, -9223372036854775808, visitor), (0, 0, 9223372036854775807, visitor);
    insert into texts values ('', '', '', visitor), (E'a "quoted"\\ \n\t\x01 text', 'Ünï→😀', 'x', visitor);
    insert into one_text values (E'\x7f and \x1f', visitor), ('null', visitor), ('"', visitor);
    insert into one_uuid values ('ABCDEFAB-cdef-4000-8000-00000000000F', visitor);
    insert into others values ('ab', 1.50, '2026-03-01 12:00:00.5+03', visitor);
    insert into "Odd ""names\" values (7, visitor);
$$;
select visitor_identity.resolve_visitor() as anonymous, visitor_identity.resolve_visitor('every key') as known \gset
select fill(:'anonymous') \g /dev/null
select outcome, rebound_chats, notes
from visitor_identity.resolve_visitor_detail('every key', visitor_id => :'anonymous');

-- As PostgreSQL itself writes them.
create view written as
select 'integers'::regclass as moved_table, jsonb_build_object('small', small, 'medium', medium, 'big', big) as key from integers
union all
select 'texts', jsonb_build_object('name', name, 'code', code, 'number', number) from texts
union all
select 'one_text', to_jsonb(name) from one_text
union all
select 'one_uuid', to_jsonb(id) from one_uuid
union all
select 'others', jsonb_build_object('padded', padded, 'amount', amount, 'at', timezone('UTC', at)) from others
union all
select '"Odd ""names\"', to_jsonb("the "" key\") from "Odd ""names\";
create view logged as
select r.moved_table, k.key
from visitor_identity.rebind_row as r
cross join jsonb_array_elements(r.keys) as k (key)
where r.account = 'every_key';
select moved_table, key
from logged
order by moved_table::text, key;
(table written except table logged)
union all
(table logged except table written);

-- An undo finds every one, and the next rebinding is refused as undone.
select moved_table, put_back, left_alone
from visitor_identity.undo_rebind((select max(rebind_id) from visitor_identity.rebind where account = 'every_key'))
order by moved_table::text;
select outcome, rebound_chats, notes
from visitor_identity.resolve_visitor_detail('every key', visitor_id => :'anonymous');

-- The limit counts over all tables; at the limit all of them move.
select visitor_identity.resolve_visitor() as anonymous, visitor_identity.resolve_visitor('another') as known \gset
insert into one_text
select 'of another ' || n, :'anonymous'
from generate_series(1, 3) as n;
insert into integers
select n, n, n, :'anonymous'
from generate_series(1, 3) as n;
update visitor_identity.account set max_rebind_chats = 5 where account = 'every_key';
begin;
select outcome, rebound_chats, notes
from visitor_identity.resolve_visitor_detail('another', visitor_id => :'anonymous');
rollback;
update visitor_identity.account set max_rebind_chats = 6 where account = 'every_key';
select outcome, rebound_chats, notes
from visitor_identity.resolve_visitor_detail('another', visitor_id => :'anonymous');
select count(*) filter (where visitor_id = visitor_identity.find_visitor('another'))
from (select visitor_id from one_text union all select visitor_id from integers) as c;

-- What the visitor has beside chats goes along: another name, a channel id, a former channel id, a device.
select visitor_identity.resolve_visitor(null, 'telegram', '10000001') as channel, visitor_identity.resolve_visitor('mover') as mover \gset
insert into with_channel
values (1, 'aaaaaaaa-0000-4000-8000-000000000001', 'telegram', '10000001');
select visitor_identity.rename_channel_user('telegram', '10000001', '10000002') = :'channel' as renamed;
select visitor_identity.register_device(:'channel', 'app', '00000000-0000-4000-8000-00000000000a', 'fcm', 'a token') = :'channel' as registered;
select outcome, rebound_chats
from visitor_identity.resolve_visitor_detail('mover', visitor_id => :'channel');
select what, count(*) filter (where visitor_id = :'mover') as of_mover, count(*) as in_all
from (
    select 'device' as what, visitor_id from visitor_identity.device where account = 'every_key'
    union all
    select 'channel', visitor_id from visitor_identity.channel_identity where account = 'every_key'
    union all
    select 'former channel', visitor_id from visitor_identity.former_channel_identity where account = 'every_key'
    union all
    select 'name', superseded_by from visitor_identity.visitor where account = 'every_key' and visitor_id::text like 'aaaaaaaa-%'
) as all_of_them
group by what
order by what;
select r.moved_table, jsonb_array_length(r.keys) as keys, r.of_visitor_table
from visitor_identity.rebind_row as r
where r.rebind_id = (select max(b.rebind_id) from visitor_identity.rebind as b where b.account = 'every_key')
order by r.moved_table::text;

select visitor_identity.detach_table(t::regclass)
from unnest(array['integers', 'texts', 'one_text', 'one_uuid', 'others', 'with_channel', '"Odd ""names\"']) as t \g /dev/null
reset visitor_identity.account;
set client_min_messages = warning;
drop schema every_key cascade;
