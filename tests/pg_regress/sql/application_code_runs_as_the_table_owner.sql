-- Code of the application (checks of its domains, its casts, defaults, triggers) that runs because the extension reads or writes its
-- rows runs with the rights of the table's owner, or of the caller himself; never with those of the extension's owner.
-- Keeps finding 3 of the review.
create schema runs_as_owner;
set search_path = runs_as_owner;
insert into visitor_identity.account (account)
values ('runs_as_owner'), ('runs_as_owner_2');
create role runs_as_owner_owner;
create role runs_as_owner_app;
select visitor_identity.grant_access('runs_as_owner_owner', 'admin');
select visitor_identity.grant_access('runs_as_owner_app', 'application');
grant usage, create on schema runs_as_owner to runs_as_owner_owner;
grant usage on schema runs_as_owner to runs_as_owner_app;

set role runs_as_owner_owner;
-- Who ran what. It is written with the rights of whoever runs it, like the code of the application that it stands for.
create table ran (
    what text,
    as_whom text default current_user
);
grant insert, select on ran to public;
create function trap(what text)
returns boolean
language plpgsql
as $$
begin
    insert into runs_as_owner.ran (what) values (what);
    return true;
end
$$;
create domain account_name as text check (trap('domain of the account'));
create domain crm_number as text check (trap('domain of the provided id'));
create domain number as integer check (trap('domain of the key'));
create table domain_chat (
    chat_id number primary key,
    account account_name,
    visitor_id uuid,
    provided_visitor_id crm_number,
    note text default session_user,
    opened_at timestamptz default '2024-05-01',
    closed_at timestamptz
);
create index on domain_chat (visitor_id);
select visitor_identity.attach_chat_table('domain_chat');
grant select, insert, update on domain_chat to runs_as_owner_app;
reset role;

-- The application inserts; the account is filled in by the extension.
set session authorization runs_as_owner_app;
set visitor_identity.account = 'runs_as_owner';
insert into domain_chat (chat_id, visitor_id)
values (1, '40000000-0000-4000-8000-000000000001'), (2, '40000000-0000-4000-8000-000000000001');
insert into domain_chat (chat_id, account, visitor_id)
values (3, 'runs_as_owner', '40000000-0000-4000-8000-000000000001');
reset session authorization;
select as_whom, what from ran group by 1, 2 order by 2, 1;
truncate ran;
-- An authorization of a row, one by a call, and an undo, which move rows; and what only reads.
set session authorization runs_as_owner_app;
update domain_chat
set provided_visitor_id = 'C-1'
where chat_id = 1;
insert into domain_chat (chat_id, visitor_id)
values (4, '40000000-0000-4000-8000-000000000002');
select outcome, rebound_chats
from visitor_identity.resolve_visitor_detail('C-2', visitor_id => '40000000-0000-4000-8000-000000000002');
reset session authorization;
set role runs_as_owner_owner;
select sum(u.put_back)
from visitor_identity.rebind as r
cross join lateral visitor_identity.undo_rebind(r.rebind_id, r.account) as u
where r.account = 'runs_as_owner'
    and r.from_visitor_id = '40000000-0000-4000-8000-000000000002';
reset role;
select as_whom from ran where as_whom not in ('runs_as_owner_owner', 'runs_as_owner_app');
truncate ran;

-- Casts that stand between a type of the application and text or JSON.
set role runs_as_owner_owner;
create type tenant as enum ('runs_as_owner', 'runs_as_owner_2');
create function text_of_tenant(t tenant)
returns text
language plpgsql
as $$
begin
    perform runs_as_owner.trap('cast of the account');
    return format('%s', t);
end
$$;
create cast (tenant as text) with function text_of_tenant(tenant);
create type letter as enum ('A', 'B', 'C');
create function text_of_letter(l letter)
returns text
language plpgsql
as $$
begin
    perform runs_as_owner.trap('cast of the provided id');
    return format('%s', l);
end
$$;
create cast (letter as text) with function text_of_letter(letter);
create type day as enum ('Monday', 'Tuesday');
create function json_of_day(d day)
returns json
language plpgsql
as $$
begin
    perform runs_as_owner.trap('cast of the key');
    return to_json(format('%s', d));
end
$$;
create cast (day as json) with function json_of_day(day);
create table cast_chat (
    account tenant,
    day day,
    visitor_id uuid,
    provided_visitor_id letter,
    opened_at timestamptz default '2024-05-01',
    closed_at timestamptz,
    primary key (account, day)
);
create index on cast_chat (visitor_id);
select visitor_identity.attach_chat_table('cast_chat');
grant select, insert, update on cast_chat to runs_as_owner_app;
grant select on cast_chat_workspace to runs_as_owner_app;
reset role;
set session authorization runs_as_owner_app;
set visitor_identity.account = 'runs_as_owner';
insert into cast_chat (day, visitor_id)
values ('Monday', '40000000-0000-4000-8000-000000000003'), ('Tuesday', '40000000-0000-4000-8000-000000000003');
update cast_chat
set provided_visitor_id = 'B'
where day = 'Monday';
reset session authorization;
select as_whom, what from ran group by 1, 2 order by 2, 1;
truncate ran;
-- The views: as whoever reads them.
set session authorization runs_as_owner_app;
select count(*) from cast_chat_workspace where provided_visitor_id = 'B';
reset session authorization;
select as_whom, what from ran group by 1, 2 order by 2, 1;
truncate ran;
-- Of the superuser's monitoring nothing is run at all; a broken row is listed all the same.
alter table cast_chat disable trigger user;
update cast_chat
set visitor_id = null
where day = 'Tuesday';
alter table cast_chat enable trigger user;
select problem, account, chat_table, chat_key
from visitor_identity.check_integrity()
where account = 'runs_as_owner';
begin;
update visitor_identity.account
set require_signature = true
where account = 'runs_as_owner';
select kind, account, chat_table, chat_key, detail
from visitor_identity.anomalies
where account = 'runs_as_owner' and chat_table is not null
order by chat_table::text;
rollback;
table ran;
delete from cast_chat where day = 'Tuesday';

-- Triggers of the application that a rebinding fires, also those that fire for statements; defaults and checks of other tables that
-- they write to.
set role runs_as_owner_owner;
create table audit (
    audit_id integer generated always as identity primary key,
    chat_id integer,
    note text default current_user check (trap('check of another table'))
);
create table chat (
    chat_id integer primary key,
    account text,
    visitor_id uuid,
    provided_visitor_id text,
    check (trap('check of the table'))
);
create index on chat (visitor_id);
select visitor_identity.attach_chat_table('chat');
create function audit()
returns trigger
language plpgsql
as $$
begin
    perform runs_as_owner.trap(tg_name);
    insert into runs_as_owner.audit (chat_id) values (new.chat_id);
    return new;
end
$$;
create function statement()
returns trigger
language plpgsql
as $$
begin
    perform runs_as_owner.trap(tg_name);
    return null;
end
$$;
create trigger a_before before update on chat for each row execute function audit();
create trigger z_after after update on chat for each row execute function audit();
create trigger z_statement after update on chat for each statement execute function statement();
reset role;
grant select, insert, update on chat to runs_as_owner_app;
grant insert on audit to runs_as_owner_app;
set session authorization runs_as_owner_app;
set visitor_identity.account = 'runs_as_owner';
insert into chat (chat_id, visitor_id)
values (1, '40000000-0000-4000-8000-000000000004'), (2, '40000000-0000-4000-8000-000000000004'), (3, '40000000-0000-4000-8000-000000000005');
-- His own statement: as himself. The rebinding that it causes: as the owner.
update chat
set provided_visitor_id = 'C-4'
where chat_id = 1;
select outcome, rebound_chats
from visitor_identity.resolve_visitor_detail('C-5', visitor_id => '40000000-0000-4000-8000-000000000005');
reset session authorization;
select as_whom, what from ran group by 1, 2 order by 2, 1;
select distinct note from audit order by 1;
truncate ran;
-- Also when it is the superuser who logs the visitor in, merges or undoes.
insert into chat (chat_id, visitor_id)
values (4, '40000000-0000-4000-8000-000000000006');
truncate ran;
select outcome, rebound_chats
from visitor_identity.resolve_visitor_detail('C-5', visitor_id => '40000000-0000-4000-8000-000000000006', account => 'default');
select outcome, rebound_chats
from visitor_identity.resolve_visitor_detail('C-5', visitor_id => '40000000-0000-4000-8000-000000000006', account => 'runs_as_owner');
select visitor_identity.merge_visitors(
    visitor_identity.find_visitor('C-4', account => 'runs_as_owner'),
    visitor_identity.find_visitor('C-5', account => 'runs_as_owner'),
    account => 'runs_as_owner'
) as merged \gset
select sum(put_back) > 0 as undone
from visitor_identity.undo_rebind(:merged, 'runs_as_owner')
where moved_table = 'chat'::regclass;
select as_whom, what from ran group by 1, 2 order by 2, 1;
-- Told, freed of its identifiers, deleted.
begin;
truncate ran;
select jsonb_array_length(visitor_identity.export_visitor(v.visitor_id, 'runs_as_owner') -> 'attached_tables' -> 'runs_as_owner.chat') > 0 as told
from visitor_identity.find_visitor('C-5', account => 'runs_as_owner') as v (visitor_id);
select action, rows > 0 as done
from visitor_identity.forget_visitor(visitor_identity.find_visitor('C-5', account => 'runs_as_owner'), account => 'runs_as_owner')
where erased_table = 'chat'::regclass;
select action, rows > 0 as done
from visitor_identity.forget_visitor(visitor_identity.find_visitor('C-4', account => 'runs_as_owner'), 'delete', account => 'runs_as_owner')
where erased_table = 'chat'::regclass;
select as_whom, what from ran group by 1, 2 order by 2, 1;
rollback;
-- A condition for closed chats is the owner's text; so is a view over his functions: run by whoever reads it, as himself.
select visitor_identity.detach_table('chat', keep_origin => true);
set role runs_as_owner_owner;
select visitor_identity.attach_chat_table('chat', closed_when => $$runs_as_owner.trap('condition')$$);
reset role;
set client_min_messages = warning;
grant select on chat_history to runs_as_owner_app;
set client_min_messages = notice;
truncate ran;
select * from visitor_identity.check_integrity()
where account = 'runs_as_owner';
select kind, chat_table, detail
from visitor_identity.anomalies
where account = 'runs_as_owner' and chat_table is not null;
set session authorization runs_as_owner_app;
select count(*) as chats from visitor_identity.search_history('C-5') where chat_table = 'chat'::regclass;
reset session authorization;
select as_whom, what from ran group by 1, 2 order by 2, 1;
reset visitor_identity.account;
select visitor_identity.detach_table(t::regclass)
from unnest('{domain_chat, cast_chat, chat}'::text[]) as t;
set client_min_messages = warning;
drop schema runs_as_owner cascade;
drop owned by runs_as_owner_owner, runs_as_owner_app;
drop role runs_as_owner_owner, runs_as_owner_app;
