-- The search keeps its statements, one for each view and way of looking. Whatever changes between two calls of a session is seen by
-- the second: rights, row security, the search_path, views, tables, columns, indexes, locks.
create schema kept_search;
set search_path = kept_search;
insert into visitor_identity.account (account)
values ('kept_search'), ('kept_search_2');
set visitor_identity.account = 'kept_search';
create table chat (
    chat_id integer primary key,
    account text not null default 'kept_search',
    visitor_id uuid,
    provided_visitor_id text,
    channel_type text,
    channel_user_id text,
    topic text,
    opened_at timestamptz,
    closed_at timestamptz
);
create index on chat (visitor_id);
create role kept_search_owner;
create role kept_search_reader;
create role kept_search_other;
create role kept_search_none;
grant usage, create on schema kept_search to kept_search_owner;
select visitor_identity.grant_access('kept_search_owner', 'admin');
alter table chat owner to kept_search_owner;
set role kept_search_owner;
\set VERBOSITY terse
select visitor_identity.attach_chat_table('chat');
reset role;
insert into chat (chat_id, provided_visitor_id, channel_type, channel_user_id, topic, opened_at, closed_at)
values
    (1, 'C-1', 'telegram', '67854257', 'sales', '2024-05-01', '2024-05-02'),
    (2, 'C-1', null, null, 'help', '2024-05-02', '2024-05-03'),
    (3, 'C-2', 'telegram', '67854258', 'sales', '2024-05-03', '2024-05-04'),
    (4, 'C-1', 'fax', 'F-1', 'sales', '2024-05-04', '2024-05-05');
insert into chat (chat_id, visitor_id, channel_type, channel_user_id, topic, opened_at, closed_at)
values (5, '40000000-0000-4000-8000-000000000005', 'fax', 'F-1', 'sales', '2024-05-05', '2024-05-06');
insert into chat (chat_id, account, provided_visitor_id, topic, opened_at, closed_at)
values (6, 'kept_search_2', 'C-1', 'sales', '2024-05-06', '2024-05-07');
select visitor_identity.resolve_visitor('C-1') as c, visitor_identity.resolve_visitor('C-2') as d
\gset
-- Every way of looking, in one line: by one visitor, a part of one, several, by the text of the row; first and next pages.
create function found()
returns text
language plpgsql
as $$
declare
    c uuid := visitor_identity.find_visitor('C-1', account => 'kept_search');
    line text;
begin
    select string_agg(format('%s %s', l.way, l.chats), '; ' order by l.n)
    into line
    from (
        select w.n, w.way, coalesce(string_agg(s.chat_key ->> 'chat_id', ',' order by s.place), '-') as chats
        from (
            values
                (1, 'visitor', c::text, 'visitor_id', null::timestamptz),
                (2, 'provided', 'C-1', 'provided_visitor_id', null),
                (3, 'channel', '67854257', 'channel_user_id', null),
                (4, 'text', 'F-1', 'channel_user_id', null),
                (5, 'any', 'C-1', null, null),
                (6, 'next', 'C-1', null, '2024-05-02'),
                (7, 'next text', 'F-1', null, '2024-05-05')
        ) as w (n, way, query, by, after)
        left join lateral (
            select h.chat_key, row_number() over () as place
            from visitor_identity.search_history(
                w.query, w.by, account => 'kept_search', page_size => 10, after_opened_at => w.after,
                after_chat_table => case when w.after is not null then 'kept_search.chat'::regclass end,
                after_chat_key => case when w.after is not null then '{"chat_id": 2}'::jsonb end
            ) as h
        ) as s on true
        group by w.n, w.way
    ) as l;
    return line;
exception when others then
    return format('%s: %s', sqlstate, sqlerrm);
end
$$;
grant execute on function found() to public;
select visitor_identity.grant_access(r::name, 'reader')
from unnest('{kept_search_reader, kept_search_other, kept_search_none}'::text[]) as r;
grant usage on schema kept_search to kept_search_reader, kept_search_other;
select found();
select found();
-- An index by the channel user id comes, and goes: by it the row's own id is looked up.
create index by_channel_user on chat (channel_user_id);
select found();
drop index by_channel_user;
select found();
create index by_channel_user on chat (channel_user_id);

-- Two roles by turns: one may read the view, another not any more, a third may read it and not name its schema.
revoke select on chat_history from kept_search_other;
revoke usage on schema kept_search from kept_search_none;
set role kept_search_reader;
select kept_search.found();
set role kept_search_other;
select kept_search.found();
reset role;
create schema kept_search_function;
grant usage on schema kept_search_function to public;
alter function found() set schema kept_search_function;
set role kept_search_none;
select kept_search_function.found();
set role kept_search_reader;
select kept_search_function.found();
reset role;
grant select on chat_history to kept_search_other;
grant usage on schema kept_search to kept_search_none;
set role kept_search_other;
select kept_search_function.found();
set role kept_search_none;
select kept_search_function.found();
reset role;
-- Of columns, and by way of another role, whose member is not told of.
revoke select on chat_history from kept_search_other;
grant select (chat_id) on chat_history to kept_search_other;
set role kept_search_other;
select kept_search_function.found();
reset role;
grant kept_search_reader to kept_search_other;
set role kept_search_other;
select kept_search_function.found();
reset role;
revoke kept_search_reader from kept_search_other;
set role kept_search_other;
select kept_search_function.found();
reset role;
-- The owner of the view may not read what is behind it any more.
revoke select on visitor_identity.provided_identity from kept_search_owner;
set role kept_search_reader;
select kept_search_function.found() like '%visitor -;%' as finds_nothing;
reset role;
grant select on visitor_identity.provided_identity to kept_search_owner;
set role kept_search_reader;
select kept_search_function.found();
reset role;

-- Row security of the table, forced on its owner, by what the session says, and by who asks.
create policy by_topic on chat using (topic = current_setting('kept_search.topic', true));
set role kept_search_owner;
alter table chat enable row level security, force row level security;
reset role;
set kept_search.topic = 'sales';
set role kept_search_reader;
select kept_search_function.found();
set kept_search.topic = 'help';
select kept_search_function.found();
reset role;
drop policy by_topic on chat;
create policy by_role on chat using (topic = 'help' or session_user <> 'kept_search_reader');
set session authorization kept_search_reader;
select kept_search_function.found();
reset session authorization;
set role kept_search_other;
select kept_search_function.found();
set role kept_search_reader;
select kept_search_function.found();
reset role;
set role kept_search_owner;
alter table chat no force row level security, disable row level security;
reset role;
drop policy by_role on chat;
set role kept_search_reader;
select kept_search_function.found();

-- The session is locked to another account, and is not any more.
reset role;
set visitor_identity.locked_account = 'kept_search_2';
select kept_search_function.found();
select count(*), min(h.account) from visitor_identity.search_history('C-1') as h;
reset visitor_identity.locked_account;
select kept_search_function.found();
select count(*) from visitor_identity.search_history('C-1', account => 'kept_search_2');
-- Another search_path, with objects of the same names before all others, operators among them.
create schema kept_search_shadow;
create view kept_search_shadow.chat_history as
select 999 as chat_id, 'kept_search'::text as account;
create function kept_search_shadow.never(text, text)
returns boolean
language sql
as 'select false';
create operator kept_search_shadow.= (leftarg = text, rightarg = text, function = kept_search_shadow.never);
create function kept_search_shadow.later(timestamptz, timestamptz)
returns boolean
language sql
as 'select false';
create operator kept_search_shadow.= (leftarg = timestamptz, rightarg = timestamptz, function = kept_search_shadow.later);
create operator kept_search_shadow.< (leftarg = timestamptz, rightarg = timestamptz, function = kept_search_shadow.later);
create temp view chat_history as
select 998 as chat_id, 'kept_search'::text as account;
create function pg_temp.normalize_channel_user_id(text, text)
returns text
language sql
as 'select null';
set search_path = kept_search_shadow, pg_temp, pg_catalog;
select count(*), max(h.chat_key ->> 'chat_id') from visitor_identity.search_history('C-1', account => 'kept_search') as h;
select count(*), max(h.chat_key ->> 'chat_id')
from visitor_identity.search_history('C-1', account => 'kept_search', after_opened_at => '2024-05-02', after_chat_table => 'kept_search.chat', after_chat_key => '{"chat_id": 1}') as h;
set search_path = kept_search;
drop view pg_temp.chat_history;
drop schema kept_search_shadow cascade;
select kept_search_function.found();

-- The view says something else, has another name, is in another schema, which gets another name; is dropped, and made anew.
create function kept_search_function.with_condition(condition text)
returns void
language plpgsql
as $$
begin
    execute format(
        'create or replace view kept_search.chat_history with (security_barrier = true) as %s and %s',
        rtrim(pg_get_viewdef('kept_search.chat_history'::regclass), ';'), condition
    );
end
$$;
select pg_get_viewdef('chat_history'::regclass) as definition
\gset
select kept_search_function.with_condition($$c.topic <> 'help'$$);
select kept_search_function.found();
create or replace view chat_history with (security_barrier = true) as :definition
select kept_search_function.found();
alter view chat_history rename to closed_chat;
select kept_search_function.found();
create schema kept_search_views;
alter view closed_chat set schema kept_search_views;
select kept_search_function.found();
alter schema kept_search_views rename to kept_search_renamed;
select kept_search_function.found();
set role kept_search_reader;
select kept_search_function.found();
reset role;
grant usage on schema kept_search_renamed to kept_search_reader;
set role kept_search_reader;
select kept_search_function.found();
reset role;
alter view kept_search_renamed.closed_chat set schema kept_search;
drop schema kept_search_renamed;
begin;
drop view closed_chat;
select kept_search_function.found();
rollback;
select kept_search_function.found();
alter view closed_chat rename to chat_history;
-- Columns come and go, the key gets another type; the table is rewritten.
alter table chat add column added text default 'x';
select kept_search_function.found();
alter table chat drop column added;
alter table chat rename column opened_at to began_at;
select kept_search_function.found();
vacuum full chat;
analyze chat;
select kept_search_function.found();
-- Detached, and attached again, otherwise: another time, another key, not every column.
set role kept_search_owner;
select visitor_identity.detach_table('chat', keep_origin => true);
reset role;
select kept_search_function.found();
alter table chat drop constraint chat_pkey;
alter table chat add primary key (chat_id, account);
set role kept_search_owner;
select visitor_identity.attach_chat_table('chat', opened_at => 'closed_at', closed_at => 'began_at', channel_user_id => null);
reset role;
select kept_search_function.found();
select h.chat_key, h.opened_at::date, h.closed_at::date, h.channel_user_id
from visitor_identity.search_history('C-2') as h;
-- A second table, for a while; what a transaction attached is gone when it is taken back.
begin;
create table other (other_id integer primary key, visitor_id uuid, provided_visitor_id text, closed_at timestamptz);
create index on other (visitor_id);
select visitor_identity.attach_chat_table('other');
insert into other (other_id, provided_visitor_id, closed_at)
values (1, 'C-1', '2024-05-09');
select h.chat_table, h.chat_key from visitor_identity.search_history('C-1') as h where h.chat_table = 'other'::regclass;
savepoint with_it;
drop table other cascade;
select kept_search_function.found();
rollback to with_it;
select h.chat_table, h.chat_key from visitor_identity.search_history('C-1') as h where h.chat_table = 'other'::regclass;
rollback;
select kept_search_function.found();
-- An error in the middle leaves nothing behind that would disturb the next call.
select kept_search_function.with_condition($$(1 / (c.chat_id - 2)) is not null$$);
select kept_search_function.found();
select kept_search_function.found();
select pg_get_viewdef('chat_history'::regclass) ~ '1 / ' as divides;
set role kept_search_owner;
select visitor_identity.detach_table('chat');
select visitor_identity.attach_chat_table('chat', opened_at => 'began_at');
reset role;
select kept_search_function.found();
-- A condition that searches itself: the statement that it runs in is kept meanwhile, and lost when the tables change.
create function kept_search_function.searched()
returns boolean
language plpgsql stable
as $$
begin
    if current_setting('kept_search.inside', true) = 'yes' then
        return true;
    end if;
    perform set_config('kept_search.inside', 'yes', true);
    perform visitor_identity.search_history('C-1', account => 'kept_search');
    perform set_config('kept_search.inside', '', true);
    return true;
end
$$;
grant execute on function kept_search_function.searched() to public;
select kept_search_function.with_condition('kept_search_function.searched()');
select kept_search_function.found();
create or replace function kept_search_function.searched()
returns boolean
language plpgsql
as $$
begin
    if current_setting('kept_search.inside', true) = 'yes' then
        return true;
    end if;
    perform set_config('kept_search.inside', 'yes', true);
    -- Tells every backend, this one too, that the list of tables changed.
    update visitor_identity.attached_table as t
    set attached_by = t.attached_by
    where t.attached = 'kept_search.chat'::regclass;
    perform visitor_identity.search_history('C-1', account => 'kept_search');
    perform set_config('kept_search.inside', '', true);
    return true;
end
$$;
select kept_search_function.found();
select count(*) from visitor_identity.search_history('C-1', account => 'kept_search');
set role kept_search_owner;
select visitor_identity.detach_table('chat');
reset role;
reset visitor_identity.account;
set client_min_messages = warning;
drop schema kept_search_function cascade;
drop schema kept_search cascade;
drop owned by kept_search_owner, kept_search_reader, kept_search_other, kept_search_none;
drop role kept_search_owner, kept_search_reader, kept_search_other, kept_search_none;
