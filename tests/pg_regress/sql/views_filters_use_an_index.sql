-- A filter on any of the three identifiers is an index search, at any table size: in the views, and behind the search bar.
create schema views_filters_use_an_index;
set search_path = views_filters_use_an_index;
insert into visitor_identity.account (account) values ('views_filters_use_an_index');
-- The nodes of a plan that read a whole table of chats.
create function whole_table_reads(statement text)
returns text
language plpgsql
as $$
declare
    line text;
    found text;
begin
    for line in execute 'explain (costs off) ' || statement loop
        if line ~ 'Seq Scan on chat' then
            found := concat_ws('; ', found, trim(line));
        end if;
    end loop;
    return coalesce(found, 'none');
end
$$;
create function explained(statement text)
returns text
language plpgsql
as $$
declare
    line text;
    plan text := '';
begin
    for line in execute 'explain (costs off) ' || statement loop
        plan := plan || line || E'\n';
    end loop;
    return plan;
end
$$;
create table chat (
    chat_id integer primary key,
    account text not null default 'views_filters_use_an_index',
    visitor_id uuid,
    origin_visitor_id uuid,
    provided_visitor_id text,
    channel_type text,
    channel_id text,
    channel_user_id text,
    opened_at timestamptz,
    closed_at timestamptz
);
create index on chat (visitor_id);
create index on chat (origin_visitor_id);
create index on chat (channel_user_id);
create table chat_by_account (like chat including defaults, primary key (account, chat_id));
create index on chat_by_account (account, visitor_id);
create index on chat_by_account (account, channel_user_id);
create table chat_parted (like chat including defaults, primary key (chat_id, opened_at)) partition by range (opened_at);
create table chat_parted_1 partition of chat_parted for values from (minvalue) to ('2024-02-01');
create table chat_parted_2 partition of chat_parted for values from ('2024-02-01') to (maxvalue);
create index on chat_parted (visitor_id);
create index on chat_parted (channel_user_id);
select visitor_identity.attach_chat_table('chat');
select visitor_identity.attach_chat_table('chat_by_account');
select visitor_identity.attach_chat_table('chat_parted');
-- 6000 chats of 3000 visitors: a third with a provided id, a third of a channel, a third anonymous.
insert into chat (chat_id, visitor_id, provided_visitor_id, channel_type, channel_user_id, opened_at, closed_at)
select
    n,
    case when n % 3 = 2 then md5('cookie ' || n / 2)::uuid end,
    case when n % 3 = 0 then 'P-' || n / 6 end,
    case when n % 3 = 1 then 'telegram' end,
    case when n % 3 = 1 then (10000000 + n / 6)::text end,
    timestamptz '2024-01-01' + n * interval '10 minutes',
    case when n % 10 > 0 then timestamptz '2024-01-01' + n * interval '10 minutes' end
from generate_series(1, 6000) as n;
insert into chat_by_account
table chat;
insert into chat_parted
table chat;
analyze chat, chat_by_account, chat_parted;
analyze visitor_identity.visitor, visitor_identity.provided_identity, visitor_identity.channel_identity;

select
    v.view,
    f.filter,
    whole_table_reads(format('select * from %I where %s', v.view, f.filter)) as whole_table_reads
from (
    values ('chat_history'), ('chat_workspace'), ('chat_by_account_history'), ('chat_by_account_workspace'), ('chat_parted_history'), ('chat_parted_workspace')
) as v (view)
cross join (
    values
        (1, $$account = 'views_filters_use_an_index' and visitor_id = '40000000-0000-4000-8000-000000000001'$$),
        (2, $$account = 'views_filters_use_an_index' and provided_visitor_id = 'P-7'$$),
        (3, $$account = 'views_filters_use_an_index' and channel_user_id = '10000007'$$)
) as f (n, filter)
order by v.view, f.n;
-- Without the account too, where the index leads with the identifier.
select
    f.filter,
    whole_table_reads('select * from chat_history where ' || f.filter) as whole_table_reads
from (
    values
        (1, $$visitor_id = '40000000-0000-4000-8000-000000000001'$$),
        (2, $$origin_visitor_id = '40000000-0000-4000-8000-000000000001'$$),
        (3, $$provided_visitor_id = 'P-7'$$),
        (4, $$channel_user_id = '10000007'$$),
        (5, $$visitor_id = any ('{40000000-0000-4000-8000-000000000001,40000000-0000-4000-8000-000000000002}')$$),
        (6, $$provided_visitor_id in ('P-7', 'P-8')$$),
        (7, $$chat_id = 7$$),
        (8, $$visitor_id = (select visitor_identity.find_visitor('P-7', account => 'views_filters_use_an_index'))$$)
) as f (n, filter)
order by f.n;
-- The helper can fail: a filter without an index reads the whole table.
select whole_table_reads($$select * from chat_history where channel_type = 'telegram'$$) <> 'none' as helper_works;
-- As a role that is locked and may read the views only.
create role views_filters_user;
grant usage on schema views_filters_use_an_index to views_filters_user;
grant select on all tables in schema views_filters_use_an_index to views_filters_user;
set visitor_identity.locked_account = 'views_filters_use_an_index';
set role views_filters_user;
select
    f.filter,
    whole_table_reads('select * from chat_history where ' || f.filter) as whole_table_reads
from (
    values
        (1, $$visitor_id = '40000000-0000-4000-8000-000000000001'$$),
        (2, $$provided_visitor_id = 'P-7'$$),
        (3, $$channel_user_id = '10000007'$$)
) as f (n, filter)
order by f.n;
reset role;
reset visitor_identity.locked_account;
-- And with generic plans, as drivers prepare them.
set plan_cache_mode = force_generic_plan;
prepare by_provided (text) as
select *
from chat_history
where provided_visitor_id = $1;
prepare by_visitor (uuid) as
select *
from chat_history
where visitor_id = $1;
prepare by_channel (text) as
select *
from chat_history
where channel_user_id = $1;
select
    whole_table_reads($$execute by_provided('P-7')$$) as by_provided,
    whole_table_reads($$execute by_visitor('40000000-0000-4000-8000-000000000001')$$) as by_visitor,
    whole_table_reads($$execute by_channel('10000007')$$) as by_channel;
-- Also over tables that nobody analyzed yet, whatever the number of their rows is guessed to be.
create table chat_new (like chat including all) with (autovacuum_enabled = off);
create table chat_new_by_account (like chat_by_account including all) with (autovacuum_enabled = off);
select visitor_identity.attach_chat_table('chat_new');
select visitor_identity.attach_chat_table('chat_new_by_account');
set session_replication_role = replica;
insert into chat_new
select c.chat_id + 10000 * copy, c.account, c.visitor_id, c.origin_visitor_id, c.provided_visitor_id, c.channel_type, c.channel_id, c.channel_user_id, c.opened_at, c.closed_at
from chat as c
cross join generate_series(1, 10) as copy;
insert into chat_new_by_account
table chat;
reset session_replication_role;
select
    v.view,
    f.filter,
    whole_table_reads(format('select * from %I where %s', v.view, f.filter)) as whole_table_reads
from (
    values ('chat_new_history'), ('chat_new_workspace'), ('chat_new_by_account_history'), ('chat_new_by_account_workspace')
) as v (view)
cross join (
    values
        (1, $$account = 'views_filters_use_an_index' and visitor_id = '40000000-0000-4000-8000-000000000001'$$),
        (2, $$account = 'views_filters_use_an_index' and provided_visitor_id = 'P-7'$$),
        (3, $$account = 'views_filters_use_an_index' and channel_user_id = '10000007'$$)
) as f (n, filter)
order by v.view, f.n;
select visitor_identity.detach_table('chat_new');
select visitor_identity.detach_table('chat_new_by_account');
drop table chat_new, chat_new_by_account;
reset plan_cache_mode;
deallocate all;
-- A filter reads the chats once.
select
    f.filter,
    (
        select count(*)
        from regexp_matches(explained('select * from chat_history where ' || f.filter), 'on chat c', 'g')
    ) as reads_of_chats
from (
    values
        (1, $$visitor_id = '40000000-0000-4000-8000-000000000001'$$),
        (2, $$provided_visitor_id = 'P-7'$$),
        (3, $$channel_user_id = '10000007'$$)
) as f (n, filter)
order by f.n;
-- The answers are those of the table.
select
    (select count(*) from chat_history where provided_visitor_id = 'P-7') as by_provided,
    (select count(*) from chat where provided_visitor_id = 'P-7' and closed_at is not null) as expected,
    (select count(*) from chat_history where channel_user_id = '10000007') as by_channel,
    (select count(*) from chat where channel_user_id = '10000007' and closed_at is not null) as expected,
    (select count(*) from chat_history) + (select count(*) from chat_workspace) as in_views;
-- The search reads no table of chats from end to end either, nor does a rebinding: the move, the count and the lock go by the index.
create view reads as
select
    pg_stat_get_xact_numscans('chat'::regclass) as chat,
    pg_stat_get_xact_numscans('chat_by_account'::regclass) as by_account,
    pg_stat_get_xact_numscans('chat_parted_1'::regclass) + pg_stat_get_xact_numscans('chat_parted_2'::regclass) as parted;
begin;
table reads \gset before_
select count(*) from visitor_identity.search_history('P-7', account => 'views_filters_use_an_index');
select count(*) from visitor_identity.search_history('10000007', account => 'views_filters_use_an_index');
select count(*) from visitor_identity.search_history((select visitor_identity.find_visitor('P-7', account => 'views_filters_use_an_index'))::text, account => 'views_filters_use_an_index');
select rebound_chats
from visitor_identity.resolve_visitor_detail('P-7', visitor_id => md5('cookie 100')::uuid, account => 'views_filters_use_an_index');
select chat - :before_chat as chat, by_account - :before_by_account as by_account, parted - :before_parted as parted
from reads;
-- The counters do count.
select count(*) from chat where channel_type = 'telegram';
select chat - :before_chat as chat
from reads;
rollback;
select visitor_identity.detach_table('chat');
select visitor_identity.detach_table('chat_by_account');
select visitor_identity.detach_table('chat_parted');
drop owned by views_filters_user;
drop role views_filters_user;
set client_min_messages = warning;
drop schema views_filters_use_an_index cascade;
