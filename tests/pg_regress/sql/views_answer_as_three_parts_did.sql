-- The views are one query. They show row for row what the union showed that says the same more slowly: chats whose own provided id
-- is bound to their visitor, chats with their visitor's first one, chats of visitors without any.
create schema views_three_parts;
set search_path = views_three_parts;
insert into visitor_identity.account (account)
values ('views_three_parts'), ('views_three_parts_2');
create table chat (
    chat_id integer primary key,
    account text not null,
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
create index on chat (channel_user_id);
-- An index that leads with the account, in a collation of its own; a table of one account; one without provided ids.
create table by_account (like chat including defaults, primary key (account, chat_id));
alter table by_account alter column account type varchar(100) collate "POSIX";
create index on by_account (account, visitor_id);
create table of_one (like chat including defaults, primary key (chat_id));
alter table of_one drop column account;
create index on of_one (visitor_id);
create table without_ids (chat_id integer primary key, account text, visitor_id uuid, closed_at timestamptz);
create index on without_ids (visitor_id);
-- Chats as they are found: with ids that are bound to their visitor, to another one, to nobody, that are none; of visitors
-- with several ids, with one, without; of nobody at all.
insert into visitor_identity.visitor (account, visitor_id, identified)
select a.account, md5('three parts ' || v)::uuid, v % 3 > 0
from (values ('views_three_parts'), ('views_three_parts_2')) as a (account)
cross join generate_series(1, 30) as v;
insert into visitor_identity.provided_identity (account, provided_visitor_id, visitor_id, created_at)
select a.account, format('P-%s-%s', v, n), md5('three parts ' || v)::uuid, timestamptz '2024-01-01' + (n * 7 % 3) * interval '1 day'
from (values ('views_three_parts'), ('views_three_parts_2')) as a (account)
cross join generate_series(1, 30) as v
cross join lateral generate_series(1, v % 3 * 2) as n;
set session_replication_role = replica;
insert into chat (chat_id, account, visitor_id, origin_visitor_id, provided_visitor_id, channel_type, channel_user_id, opened_at, closed_at)
select
    n,
    (array['views_three_parts', 'views_three_parts_2', 'nobody''s'])[1 + n % 11 / 5],
    case when n % 37 > 0 then md5('three parts ' || n % 31)::uuid end,
    case when n % 5 > 0 then md5('three parts ' || n % 29)::uuid end,
    case n % 7
        when 0 then format('P-%s-1', n % 31)
        when 1 then format(' P-%s-2 ', n % 31)
        when 2 then format('P-%s-1', (n + 1) % 31)
        when 3 then 'nobody''s'
        when 4 then 'undefined'
        when 5 then format(E'P-%s-4\u200b', n % 31)
    end,
    case when n % 4 = 0 then 'telegram' end,
    case when n % 4 = 0 then (10000000 + n % 31)::text end,
    timestamptz '2024-01-01' + n * interval '1 hour',
    case when n % 3 > 0 then '2024-06-01'::timestamptz end
from generate_series(1, 1000) as n;
insert into by_account
table chat;
insert into of_one
select chat_id, visitor_id, origin_visitor_id, provided_visitor_id, channel_type, channel_id, channel_user_id, opened_at, closed_at
from chat;
insert into without_ids
select chat_id, account, visitor_id, closed_at
from chat;
reset session_replication_role;
\set VERBOSITY terse
select visitor_identity.attach_chat_table('chat');
select visitor_identity.attach_chat_table('by_account');
select visitor_identity.attach_chat_table('of_one', fixed_account => 'views_three_parts');
select visitor_identity.attach_chat_table('without_ids');
\set VERBOSITY default
-- The union, over a table with these expressions for its account, its own provided id and whether a chat is closed.
create function three_parts(chat_table text, account text, own text, condition text)
returns text
language sql
as $$
    select format(
        $view$
            select c.*, p.provided_visitor_id as shown
            from %1$I as c
            join visitor_identity.provided_identity as p
                on p.account = %2$s and p.visitor_id = c.visitor_id and p.provided_visitor_id = %3$s
            where %4$s and visitor_identity.account_is_visible(%2$s)
            union all
            select c.*, p.provided_visitor_id
            from %1$I as c
            join visitor_identity.provided_identity as p
                on p.account = %2$s and p.visitor_id = c.visitor_id
                and not exists (
                    select
                    from visitor_identity.provided_identity as e
                    where e.account = p.account and e.visitor_id = p.visitor_id
                        and (e.created_at, e.provided_visitor_id) < (p.created_at, p.provided_visitor_id)
                )
            where %4$s and visitor_identity.account_is_visible(%2$s)
                and not exists (
                    select
                    from visitor_identity.provided_identity as o
                    where o.account = %2$s and o.visitor_id = c.visitor_id and o.provided_visitor_id = %3$s
                )
            union all
            select c.*, null::text collate "C"
            from %1$I as c
            where %4$s and visitor_identity.account_is_visible(%2$s)
                and not exists (
                    select
                    from visitor_identity.provided_identity as o
                    where o.account = %2$s and o.visitor_id = c.visitor_id
                )
        $view$,
        chat_table, account, own, condition
    )
$$;
-- The rows that only one of the two has, and how many both have; of all chats, and by each identifier.
create function compared(chat_table text, account text, own text, locked_to text default '')
returns table (view text, filter text, only_view bigint, only_parts bigint, both_have bigint)
language plpgsql
as $$
declare
    of_parts text;
begin
    perform set_config('visitor_identity.locked_account', locked_to, true);
    for view, of_parts in
        values
            (chat_table || '_history', three_parts(chat_table, account, own, 'c.closed_at is not null')),
            (chat_table || '_workspace', three_parts(chat_table, account, own, 'c.closed_at is null'))
    loop
        -- As they are filtered from outside, the one by its column, the other by the column of the union.
        foreach filter in array array[
            'true',
            'visitor_id = md5(''three parts 4'')::uuid',
            'visitor_id = any (array[md5(''three parts 5'')::uuid, md5(''three parts 3'')::uuid])',
            '@ = ''P-5-1''', '@ = ''P-4-2''', '@ = any (''{P-1-1,P-2-4}'')', '@ is null', '@ > ''P-2''', '@ is distinct from ''P-4-1'''
        ]
        loop
            execute format(
                $query$
                    with view as materialized (
                        select to_jsonb(h) - 'origin_visitor_id' - 'channel_type' - 'channel_id' - 'channel_user_id' as row
                        from %1$I as h
                        where %2$s
                    ), parts as materialized (
                        select to_jsonb(u) - 'shown' - 'origin_visitor_id' - 'channel_type' - 'channel_id' - 'channel_user_id'
                            || jsonb_build_object('provided_visitor_id', u.shown) as row
                        from (%3$s) as u
                        where %4$s
                    )
                    select
                        (select count(*) from (table view except all table parts) as d),
                        (select count(*) from (table parts except all table view) as d),
                        (select count(*) from (table parts intersect all table view) as d)
                $query$,
                view, replace(filter, '@', 'h.provided_visitor_id'), of_parts, replace(filter, '@', 'u.shown')
            )
            into only_view, only_parts, both_have;
            return next;
        end loop;
    end loop;
end
$$;
\set own visitor_identity.normalize_provided_visitor_id(c.provided_visitor_id)
select * from compared('chat', 'c.account', :'own');
select * from compared('by_account', 'c.account::text collate "C"', :'own');
select * from compared('of_one', $$'views_three_parts'::text$$, :'own');
select * from compared('without_ids', 'c.account', 'null::text');
-- In a session that is locked to an account.
select * from compared('chat', 'c.account', :'own', 'views_three_parts_2') where filter in ('true', '@ = ''P-4-2''', '@ is null');
-- However the planner goes about it.
set enable_seqscan = off;
set enable_bitmapscan = off;
select * from compared('chat', 'c.account', :'own') where only_view + only_parts > 0;
select * from compared('by_account', 'c.account::text collate "C"', :'own') where only_view + only_parts > 0;
reset enable_seqscan;
reset enable_bitmapscan;
-- closed_when names the table's columns, also those that the tables of the extension have too.
select visitor_identity.detach_table('chat');
alter table chat
add column created_at timestamptz default '2024-03-01',
add column verified_at timestamptz;
select visitor_identity.attach_chat_table('chat', closed_when => $$created_at < '2024-04-01' and verified_at is null and account > '' and visitor_id is not null$$);
select count(*) from chat_history;
select visitor_identity.detach_table(t::regclass)
from unnest('{chat, by_account, of_one, without_ids}'::text[]) as t;
set client_min_messages = warning;
drop schema views_three_parts cascade;
delete from visitor_identity.provided_identity where account like 'views_three_parts%';
delete from visitor_identity.visitor where account like 'views_three_parts%';
