-- Code of a table's owner never runs with the rights of a superuser: not at the commit of a superuser who moved his rows, and not
-- because a function of the extension reads his rows.
create schema code_of_owner;
set search_path = code_of_owner;
insert into visitor_identity.account (account) values ('code_of_owner');
create role code_of_owner_user login;
select visitor_identity.grant_access('code_of_owner_user', 'admin');
grant usage, create on schema code_of_owner to code_of_owner_user;
set role code_of_owner_user;
create function trap(what text)
returns boolean
language plpgsql immutable
as $$
begin
    if current_user <> 'code_of_owner_user' then
        raise warning '% runs as %', what, current_user;
    end if;
    return true;
end
$$;
create table chat (
    chat_id integer primary key,
    visitor_id uuid,
    provided_visitor_id text,
    opened_at timestamptz default '2024-05-01',
    closed_at timestamptz
);
create index on chat (visitor_id);
insert into chat (chat_id, visitor_id, provided_visitor_id)
values (1, '40000000-0000-4000-8000-000000000001', null), (2, '40000000-0000-4000-8000-000000000002', 'C-2');
select visitor_identity.attach_chat_table('chat', fixed_account => 'code_of_owner');
-- What waits for the commit: a deferred trigger, and a cursor that is held.
create function deferred()
returns trigger
language plpgsql
as $$
begin
    perform code_of_owner.trap('a deferred trigger');
    return null;
end
$$;
create constraint trigger z_deferred
after update on chat deferrable initially deferred
for each row execute function deferred();
reset role;
\set VERBOSITY terse
call visitor_identity.backfill_chats('chat');
select visitor_identity.resolve_visitor('C-1', visitor_id => '40000000-0000-4000-8000-000000000001', account => 'code_of_owner') is not null;
-- The owner himself is not hindered, nor is his backfill.
set session authorization code_of_owner_user;
call visitor_identity.backfill_chats('code_of_owner.chat');
set search_path = code_of_owner;
drop trigger z_deferred on chat;
create function holding()
returns trigger
language plpgsql
as $$
begin
    execute 'declare held cursor with hold for select code_of_owner.trap(''a held cursor'')';
    return new;
end
$$;
create trigger a_holding before update on chat for each row execute function holding();
reset session authorization;
set search_path = code_of_owner;
select visitor_identity.resolve_visitor('C-3', visitor_id => visitor_identity.find_visitor('C-2', account => 'code_of_owner'), account => 'code_of_owner') is not null as switched;
insert into chat (chat_id, visitor_id) values (3, '40000000-0000-4000-8000-000000000003');
select visitor_identity.resolve_visitor('C-3', visitor_id => '40000000-0000-4000-8000-000000000003', account => 'code_of_owner');
select visitor_id = '40000000-0000-4000-8000-000000000003' as stayed from chat where chat_id = 3;
set role code_of_owner_user;
drop trigger a_holding on chat;

-- What planning runs already: constants in the expressions of an index or of a check.
create index on chat ((trap('the expression of an index')), chat_id);
create index on chat (chat_id) where trap('the predicate of an index');
alter table chat add check (trap('a check'));
reset role;
\connect - code_of_owner_user
set constraint_exclusion = on;
select count(*) from visitor_identity.check_integrity() where account = 'code_of_owner';
select count(*) from visitor_identity.find_anomalies() where account = 'code_of_owner';
select count(*) from visitor_identity.anomalies where account = 'code_of_owner';
select visitor_identity.attached_rows('code_of_owner.chat');
-- A cast of his own to uuid.
set search_path = code_of_owner;
drop view chat_history, chat_workspace;
create type number as enum ('40000000-0000-4000-8000-000000000001');
create function uuid_of_number(n number)
returns uuid
language plpgsql
as $$
begin
    perform code_of_owner.trap('a cast');
    return format('%s', n)::uuid;
end
$$;
create cast (number as uuid) with function uuid_of_number(number);
do $$
declare
    name name;
begin
    for name in
        select t.tgname
        from pg_trigger as t
        where t.tgrelid = 'chat'::regclass
    loop
        execute format('drop trigger %I on chat', name);
    end loop;
end
$$;
alter table chat alter column visitor_id type number using '40000000-0000-4000-8000-000000000001'::number;
select problem from visitor_identity.check_integrity() where account = 'code_of_owner' order by 1;
select count(*) from visitor_identity.find_anomalies() where account = 'code_of_owner';

\connect - postgres
set client_min_messages = warning;
set search_path = code_of_owner;
drop table chat cascade;
drop schema code_of_owner cascade;
drop owned by code_of_owner_user;
drop role code_of_owner_user;
delete from visitor_identity.attached_table as t
where not exists (select from pg_class as c where c.oid = t.attached);
