-- Whatever the type of a table's account column, a rebinding in one account moves the rows of that account and no others, and does
-- not stumble over tables whose column cannot hold its name. Keeps findings 4, 5, 6, 15 and 23 of the review.
create schema account_types;
set search_path = account_types;
insert into visitor_identity.account (account)
values ('acme'), ('acme2'), ('ACME'), ('42'), ('43');
create type tenant as enum ('acme', 'acme2', '42');
create domain tenant_name as varchar(10) check (value ~ '^[a-zA-Z0-9]*$');
create collation caseless (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
-- One table a type, each with the same cookies in several accounts.
create table by_text (account text, chat_id integer, visitor_id uuid, provided_visitor_id text, closed_at date, primary key (account, chat_id));
create table by_varchar (account varchar(4), chat_id integer, visitor_id uuid, provided_visitor_id text, closed_at date, primary key (account, chat_id));
create table by_enum (account tenant, chat_id integer, visitor_id uuid, provided_visitor_id text, closed_at date, primary key (account, chat_id));
create table by_domain (account tenant_name, chat_id integer, visitor_id uuid, provided_visitor_id text, closed_at date, primary key (account, chat_id));
create table by_caseless (account text collate caseless, chat_id integer primary key, visitor_id uuid, provided_visitor_id text, closed_at date);
create table by_integer (account integer, chat_id integer primary key, visitor_id uuid, provided_visitor_id text, closed_at date);
create table by_name (account name, chat_id integer primary key, visitor_id uuid, provided_visitor_id text, closed_at date);
create view chat_tables as
select c.oid::regclass as name
from pg_class as c
where c.relnamespace = 'account_types'::regnamespace
    and c.relkind = 'r';
do $$
declare
    name regclass;
begin
    for name in table account_types.chat_tables loop
        execute format('create index on %s (visitor_id)', name);
        perform visitor_identity.attach_chat_table(name);
    end loop;
end
$$;
create view chats as
select t.*, who.provided
from (
    select 'by_caseless' as chat_table, account::text collate "C" as account, chat_id, visitor_id, origin_visitor_id from by_caseless
    union all select 'by_domain', account, chat_id, visitor_id, origin_visitor_id from by_domain
    union all select 'by_enum', account::text, chat_id, visitor_id, origin_visitor_id from by_enum
    union all select 'by_integer', account::text, chat_id, visitor_id, origin_visitor_id from by_integer
    union all select 'by_name', account, chat_id, visitor_id, origin_visitor_id from by_name
    union all select 'by_text', account, chat_id, visitor_id, origin_visitor_id from by_text
    union all select 'by_varchar', account, chat_id, visitor_id, origin_visitor_id from by_varchar
) as t
left join lateral (
    select string_agg(p.account || ':' || p.provided_visitor_id, ', ') as provided
    from visitor_identity.provided_identity as p
    where p.visitor_id = t.visitor_id
) as who on true;
insert into by_text (account, chat_id, visitor_id)
values ('acme', 1, '40000000-0000-4000-8000-000000000001'), ('acme2', 2, '40000000-0000-4000-8000-000000000001'), ('ACME', 3, '40000000-0000-4000-8000-000000000001'), ('42', 4, '40000000-0000-4000-8000-000000000001');
insert into by_varchar (account, chat_id, visitor_id)
values ('acme', 1, '40000000-0000-4000-8000-000000000001'), ('ACME', 3, '40000000-0000-4000-8000-000000000001'), ('42', 4, '40000000-0000-4000-8000-000000000001');
insert into by_enum (account, chat_id, visitor_id)
values ('acme', 1, '40000000-0000-4000-8000-000000000001'), ('acme2', 2, '40000000-0000-4000-8000-000000000001'), ('42', 4, '40000000-0000-4000-8000-000000000001');
insert into by_domain (account, chat_id, visitor_id)
values ('acme', 1, '40000000-0000-4000-8000-000000000001'), ('acme2', 2, '40000000-0000-4000-8000-000000000001'), ('ACME', 3, '40000000-0000-4000-8000-000000000001'), ('42', 4, '40000000-0000-4000-8000-000000000001');
insert into by_caseless (account, chat_id, visitor_id)
values ('acme', 1, '40000000-0000-4000-8000-000000000001'), ('acme2', 2, '40000000-0000-4000-8000-000000000001'), ('ACME', 3, '40000000-0000-4000-8000-000000000001'), ('42', 4, '40000000-0000-4000-8000-000000000001');
insert into by_integer (account, chat_id, visitor_id)
values (42, 4, '40000000-0000-4000-8000-000000000001'), (43, 5, '40000000-0000-4000-8000-000000000001');
insert into by_name (account, chat_id, visitor_id)
values ('acme', 1, '40000000-0000-4000-8000-000000000001'), ('acme2', 2, '40000000-0000-4000-8000-000000000001'), ('ACME', 3, '40000000-0000-4000-8000-000000000001'), ('42', 4, '40000000-0000-4000-8000-000000000001');
select visitor_id, count(*) from chats group by 1;

-- A login in each account: its own chats, no others. 43 is known to one table only; acme2 is no value of the varchar(4).
select account, outcome, rebound_chats
from unnest('{acme2, 42, ACME, 43, default}'::text[]) with ordinality as a (account, n)
cross join lateral visitor_identity.resolve_visitor_detail('C-1', visitor_id => '40000000-0000-4000-8000-000000000001', account => a.account)
order by n;
select chat_table, account, chat_id, provided from chats order by 1, 3;
-- And a chat that is authorized itself.
update by_varchar
set provided_visitor_id = 'C-1'
where account = 'acme';
select distinct account, provided from chats order by 1;
-- The views show each chat with the provided id of its own account.
select 'by_caseless' as chat_table, account collate "C" as account, provided_visitor_id from by_caseless_workspace
union all select 'by_domain', account, provided_visitor_id from by_domain_workspace
union all select 'by_enum', account::text, provided_visitor_id from by_enum_workspace
union all select 'by_varchar', account, provided_visitor_id from by_varchar_workspace
order by 1, 2;
-- search_history, over all of the tables.
do $$
declare
    name regclass;
begin
    for name in table account_types.chat_tables loop
        execute format('update %s set closed_at = %L', name, '2024-05-02');
    end loop;
end
$$;
select a.account, array_agg(s.chat_table::text order by s.chat_table::text) as found_in, count(distinct s.account) as accounts
from unnest('{acme, acme2, ACME, 42, 43}'::text[]) with ordinality as a (account, n)
cross join lateral visitor_identity.search_history('C-1', account => a.account) as s
group by a.n, a.account
order by a.n;
-- What is undone is that account's too.
select r.account, sum(u.put_back) as put_back, sum(u.left_alone) as left_alone
from visitor_identity.rebind as r
cross join lateral visitor_identity.undo_rebind(r.rebind_id, r.account) as u
where r.account in ('acme2', '42')
    and r.from_visitor_id = '40000000-0000-4000-8000-000000000001'
group by 1
order by 1;
select account, string_agg(distinct coalesce(provided, 'anonymous'), ', ') as provided
from chats
group by 1
order by 1;
select problem, account, chat_table, chat_key
from visitor_identity.check_integrity()
where account in ('acme', 'acme2', 'ACME', '42', '43');

-- The search_path of the moment does not matter: what is learned of a table under one is used under another.
insert into by_enum (account, chat_id, visitor_id)
values ('acme', 11, '40000000-0000-4000-8000-000000000011'), ('acme', 12, '40000000-0000-4000-8000-000000000012');
alter table by_text add column nothing integer;
select outcome, rebound_chats
from visitor_identity.resolve_visitor_detail('C-11', visitor_id => '40000000-0000-4000-8000-000000000011', account => 'acme');
reset search_path;
select outcome, rebound_chats
from visitor_identity.resolve_visitor_detail('C-12', visitor_id => '40000000-0000-4000-8000-000000000012', account => 'acme');
update account_types.by_enum
set provided_visitor_id = 'C-13'
where chat_id = 11;
set search_path = account_types;

-- A row without an account gets the session's; where it is no value of the column's type, the type says so.
set visitor_identity.account = 'acme';
insert into by_name (chat_id)
values (21)
returning account;
insert into by_caseless (chat_id)
values (21)
returning account;
insert into by_enum (chat_id)
values (21)
returning account;
\set VERBOSITY sqlstate
insert into by_integer (chat_id)
values (21);
reset visitor_identity.account;
insert into by_integer (chat_id)
values (21);
insert into by_domain (account, chat_id)
values ('a-b', 21);
\set VERBOSITY default
set visitor_identity.account = '43';
insert into by_integer (chat_id)
values (21)
returning account;
reset visitor_identity.account;

-- Chats without an account, from before the table was attached, are shown to nobody who is locked to one.
create table old_chat (chat_id integer primary key, account text, visitor_id uuid, provided_visitor_id text, closed_at date);
create index on old_chat (visitor_id);
insert into old_chat (chat_id, account, visitor_id)
values (1, null, '40000000-0000-4000-8000-000000000031'), (2, 'acme', '40000000-0000-4000-8000-000000000032'), (3, 'acme2', '40000000-0000-4000-8000-000000000033');
select visitor_identity.attach_chat_table('old_chat');
select array_agg(chat_id order by chat_id) from old_chat_workspace;
set visitor_identity.locked_account = 'acme';
select array_agg(chat_id order by chat_id) from old_chat_workspace;
select visitor_identity.account_is_visible(null), visitor_identity.account_is_visible('acme'), visitor_identity.account_is_visible('acme2');
reset visitor_identity.locked_account;
select visitor_identity.account_is_visible(null);

drop view chats;
select count(visitor_identity.detach_table(name)::text) as detached from chat_tables;
set client_min_messages = warning;
drop schema account_types cascade;
