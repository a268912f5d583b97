-- grant_access gives a role what its level needs, and no more; no roles are created.
create schema grant_access_levels;
set search_path = grant_access_levels;
create table letter (
    visitor_id uuid primary key,
    name text not null
);
-- A visitor gets its letter at first sight; who() says it again.
create function named(wanted text, id uuid)
returns text
language plpgsql
as $$
begin
    insert into letter
    values (id, wanted)
    on conflict do nothing;
    return (select l.name from letter as l where l.visitor_id = id);
end
$$;
create function who(id uuid)
returns text
language sql
as $$
    select coalesce((select l.name from letter as l where l.visitor_id = id), 'another', null)
    where id is not null
$$;
insert into visitor_identity.account (account) values ('grant_access_levels');
create role grant_access_reader;
create role "Grant Access ""app""";
create role grant_access_admin;
create role grant_access_owner;
grant usage, create on schema grant_access_levels to grant_access_owner;
grant usage on schema grant_access_levels to grant_access_reader, "Grant Access ""app""", grant_access_admin;
set role grant_access_owner;
create table chat (
    chat_id integer primary key,
    visitor_id uuid,
    provided_visitor_id text,
    channel_type text,
    channel_user_id text,
    opened_at timestamptz,
    closed_at timestamptz
);
create index on chat (visitor_id);
create index on chat (channel_user_id);
reset role;
-- A table's owner may attach when he was given the function.
set role grant_access_owner;
select visitor_identity.attach_chat_table('chat', fixed_account => 'grant_access_levels');
reset role;
select visitor_identity.grant_access('grant_access_owner', 'admin');
set role grant_access_owner;
select visitor_identity.attach_chat_table('chat', fixed_account => 'grant_access_levels');
reset role;
select visitor_identity.grant_access('grant_access_reader', 'reader');
select visitor_identity.grant_access('Grant Access "app"', 'application');
select visitor_identity.grant_access('grant_access_admin', 'admin');
-- Twice is once.
select visitor_identity.grant_access('grant_access_reader', 'reader');
grant insert, select, update on chat to "Grant Access ""app""";

create function state_of(role_name name, statement text)
returns text
language plpgsql
as $$
begin
    execute format('set local role %I', role_name);
    execute statement;
    reset role;
    return 'ok';
exception when others then
    reset role;
    return sqlstate;
end
$$;
select
    f.statement,
    state_of('grant_access_reader', f.statement) as reader,
    state_of('Grant Access "app"', f.statement) as application,
    state_of('grant_access_admin', f.statement) as admin
from (
    values
        (1, $$select visitor_identity.find_visitor('C-1', account => 'grant_access_levels')$$),
        (2, $$select visitor_identity.search_history('C-1', account => 'grant_access_levels')$$),
        (3, $$select visitor_identity.check_channel_user_id('telegram', '1')$$),
        (4, $$select count(*) from grant_access_levels.chat_history$$),
        (5, $$select count(*) from grant_access_levels.chat_workspace$$),
        (6, $$select count(*) from visitor_identity.channel$$),
        (7, $$select visitor_identity.resolve_visitor('C-1', account => 'grant_access_levels')$$),
        (8, $$select visitor_identity.resolve_visitor_detail('C-1', account => 'grant_access_levels')$$),
        (9, $$select visitor_identity.derive_visitor_id('C-1', 'grant_access_levels')$$),
        (10, $$select count(*) from visitor_identity.visitor$$),
        (11, $$select count(*) from visitor_identity.provided_identity$$),
        (12, $$select count(*) from visitor_identity.rebind$$),
        (13, $$select count(*) from visitor_identity.account$$),
        (14, $$update visitor_identity.account set max_rebinds = 999 where account = 'grant_access_levels'$$),
        (15, $$insert into visitor_identity.blocked_identifier values ('grant_access_levels', 'blocked')$$),
        (16, $$insert into visitor_identity.channel (channel_type, pattern) values ('vi_grant', 'x')$$),
        (17, $$delete from visitor_identity.channel where channel_type = 'vi_grant'$$),
        (18, $$update visitor_identity.visitor set identified = true$$),
        (19, $$delete from visitor_identity.rebind$$),
        (20, $$insert into visitor_identity.provided_identity (account, provided_visitor_id, visitor_id) values ('grant_access_levels', 'x', gen_random_uuid())$$),
        (21, $$select visitor_identity.grant_access('grant_access_reader', 'admin')$$),
        (22, $$select visitor_identity.attach_chat_table('grant_access_levels.letter')$$),
        (23, $$set visitor_identity.locked_account = 'grant_access_levels'$$),
        (24, $$insert into grant_access_levels.chat (chat_id) values (1000)$$),
        (25, $$select visitor_identity.register_device(null, 'shop', md5('device'), null, 'none', 'grant_access_levels')$$),
        (26, $$select visitor_identity.push_targets(provided_visitor_id => 'C-1', account => 'grant_access_levels')$$),
        (27, $$select visitor_identity.unregister_device('shop', md5('device'), 'grant_access_levels')$$),
        (28, $$select visitor_identity.prune_devices('1 year', 'grant_access_levels')$$),
        (29, $$select count(*) from visitor_identity.device$$),
        (30, $$delete from visitor_identity.device$$)
) as f (n, statement)
order by f.n;

-- Triggers need nothing of whoever writes a chat: the application has rights on its table only, and the rows of others move.
insert into chat (chat_id, visitor_id)
values (1, '40000000-0000-4000-8000-000000000001'), (2, '40000000-0000-4000-8000-000000000001');
select named('V', '40000000-0000-4000-8000-000000000001');
create role grant_access_writer;
grant usage on schema grant_access_levels to grant_access_writer;
grant insert on chat to grant_access_writer;
set role grant_access_writer;
insert into grant_access_levels.chat (chat_id, visitor_id, provided_visitor_id)
values (3, '40000000-0000-4000-8000-000000000001', 'C-3');
reset role;
select named('C', visitor_identity.find_visitor('C-3', account => 'grant_access_levels'));
select chat_id, who(visitor_id) as visitor, who(origin_visitor_id) as origin
from chat
where chat_id < 1000
order by chat_id;
-- The rows are moved as the table's owner: an application's trigger, a row security policy and the search path all run with his rights, never with the extension owner's.
create table spy (who_ran name);
grant insert on spy to public;
set role grant_access_owner;
create function observe()
returns trigger
language plpgsql
as $$
begin
    insert into grant_access_levels.spy values (current_user);
    return new;
end
$$;
create trigger aa_observe
before update on chat
for each row execute function observe();
reset role;
insert into chat (chat_id, visitor_id)
values (4, '40000000-0000-4000-8000-000000000004');
select outcome, rebound_chats
from visitor_identity.resolve_visitor_detail('C-3', visitor_id => '40000000-0000-4000-8000-000000000004', account => 'grant_access_levels');
select distinct who_ran from spy;
-- A search path, and operators and functions of the caller, that would subvert a careless function: nothing changes.
create schema grant_access_evil;
grant usage, create on schema grant_access_evil to "Grant Access ""app""";
set role "Grant Access ""app""";
create function grant_access_evil.evil(text, text)
returns boolean
language plpgsql
as $$
begin
    raise exception 'subverted as %', current_user;
end
$$;
create operator grant_access_evil.= (leftarg = text, rightarg = text, function = grant_access_evil.evil);
create function grant_access_evil.now()
returns timestamptz
language plpgsql
as $$
begin
    raise exception 'subverted as %', current_user;
end
$$;
create function grant_access_evil.count(text)
returns bigint
language plpgsql
as $$
begin
    raise exception 'subverted as %', current_user;
end
$$;
set search_path = grant_access_evil, pg_catalog;
select outcome from visitor_identity.resolve_visitor_detail('C-4', 'telegram', '67854257', account => 'grant_access_levels');
select outcome from visitor_identity.resolve_visitor_detail('C-4', 'telegram', '67854257', '40000000-0000-4000-8000-000000000004', account => 'grant_access_levels');
insert into grant_access_levels.chat (chat_id, provided_visitor_id)
values (5, 'C-4');
select pg_catalog.count(*) from visitor_identity.search_history('C-4', account => 'grant_access_levels');
reset role;
set search_path = grant_access_levels;
set role grant_access_owner;
select visitor_identity.detach_table('chat');
reset role;
set client_min_messages = warning;
drop schema grant_access_evil cascade;
drop schema grant_access_levels cascade;
drop owned by grant_access_reader, "Grant Access ""app""", grant_access_admin, grant_access_owner, grant_access_writer;
drop role grant_access_reader, "Grant Access ""app""", grant_access_admin, grant_access_owner, grant_access_writer;
