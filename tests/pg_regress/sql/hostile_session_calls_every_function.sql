-- A session whose search_path and temporary objects shadow the operators, functions, types and tables of pg_catalog and of the
-- extension calls every function there is: nothing of its own runs with more rights than it has. The calls come from the catalog, so
-- that a new function is called too; its line in the output is to be looked at.
create schema hostile_session;
set search_path = hostile_session;
insert into visitor_identity.account (account) values ('hostile_session');
create role hostile_session_user login;
select visitor_identity.grant_access('hostile_session_user', 'admin');
grant usage, create on schema hostile_session to hostile_session_user;
do $$ begin execute format('grant create on database %I to hostile_session_user', current_database()); end $$;
-- A superuser's chats, which the calls move.
create table chat (
    chat_id integer primary key,
    account text,
    visitor_id uuid,
    provided_visitor_id text,
    channel_type text,
    channel_id text,
    channel_user_id text,
    opened_at timestamptz default '2024-05-01',
    closed_at timestamptz default '2024-05-02'
);
create index on chat (visitor_id);
select visitor_identity.attach_chat_table('chat');
grant select, insert, update on chat to hostile_session_user;
grant select on chat_history, chat_workspace to hostile_session_user;
insert into chat (chat_id, account, visitor_id, provided_visitor_id)
values
    (1, 'hostile_session', '40000000-0000-4000-8000-000000000001', null),
    (2, 'hostile_session', '40000000-0000-4000-8000-000000000001', null),
    (3, 'hostile_session', '40000000-0000-4000-8000-000000000002', 'C-2'),
    (4, 'hostile_session', '40000000-0000-4000-8000-000000000003', null);
update chat set provided_visitor_id = 'C-3' where chat_id = 4;
-- And his own, with a history.
set role hostile_session_user;
create table own_chat (like chat including indexes including defaults);
create table ticket (ticket_id integer primary key, account text, visitor_id uuid);
create index on ticket (visitor_id);
insert into own_chat (chat_id, account, visitor_id, provided_visitor_id)
values (1, 'hostile_session', '40000000-0000-4000-8000-000000000004', 'C-4');
reset role;

create table call (
    n bigint,
    statement text
);
create function value_of(argument name, type regtype)
returns text
language sql
as $$
    select coalesce(
        (
            select v.value
            from (
                values
                    ('account', $v$'hostile_session'$v$), ('provided_visitor_id', $v$'C-1'$v$),
                    ('channel_type', $v$'telegram'$v$), ('channel_user_id', $v$'67854257'$v$),
                    ('old_channel_user_id', $v$'67854257'$v$), ('new_channel_user_id', $v$'67854258'$v$),
                    ('channel_id', $v$'a bot'$v$), ('visitor_id', $v$'40000000-0000-4000-8000-000000000001'$v$),
                    ('chat_table', $v$'hostile_session.own_chat'$v$), ('visitor_table', $v$'hostile_session.ticket'$v$), ('on_clash', $v$'refuse'$v$), ('attached_table', $v$'hostile_session.own_chat'$v$),
                    ('provided_visitor_ids', $v$array['C-1', 'C-5']$v$), ('channel_types', $v$array['telegram', null]$v$),
                    ('channel_user_ids', $v$array['67854257', null]$v$),
                    ('visitor_ids', $v$array[null, '40000000-0000-4000-8000-000000000001'::pg_catalog.uuid]$v$),
                    ('channel_ids', $v$array['a bot', null]$v$),
                    ('query', $v$'C-1'$v$), ('by', 'null'), ('after_opened_at', 'null'), ('after_chat_table', 'null'),
                    ('after_chat_key', 'null'), ('page_size', '10'),
                    ('rebind_id', $v$(select pg_catalog.max(r.rebind_id) from visitor_identity.rebind as r where r.account operator(pg_catalog.=) 'hostile_session')$v$),
                    ('from_visitor_id', $v$visitor_identity.find_visitor('C-2', account => 'hostile_session')$v$),
                    ('into_visitor_id', $v$visitor_identity.find_visitor('C-3', account => 'hostile_session')$v$),
                    ('attached_rows', $v$'keep'$v$), ('profile', $v$'platform'$v$), ('policy', $v$'account'$v$), ('key_id', '-1'),
                    ('visitor', $v$'{"fields": {"id": "C-1"}, "hash": "00"}'$v$), ('algorithm', $v$'md5'$v$),
                    ('device_id', $v$'c0000000-0000-4000-8000-000000000001'$v$), ('service', $v$'fcm'$v$),
                    ('chat', $v$(select c from hostile_session.chat as c where c.chat_id operator(pg_catalog.=) 1)$v$),
                    ('fixed_account', 'null'), ('closed_when', 'null'), ('messages', $v$'[]'$v$),
                    ('level', $v$'admin'$v$), ('role', $v$'hostile_session_user'$v$), ('schema', $v$'hostile_session_store'$v$)
            ) as v (argument, value)
            where v.argument = value_of.argument
        ),
        case
            when value_of.argument::text = any (array['opened_at', 'closed_at', 'origin_visitor_id']) then quote_literal(value_of.argument)
            when type in ('bigint'::regtype, 'integer'::regtype) then '5'
            when type = 'boolean'::regtype then 'false'
            when type = 'interval'::regtype then $v$'1 year'$v$
            when type in ('jsonb'::regtype, 'json'::regtype) then $v$'{}'$v$
            when type = 'uuid'::regtype then $v$'40000000-0000-4000-8000-000000000001'$v$
            when type = 'anyelement'::regtype then $v$(select c from hostile_session.chat as c where c.chat_id operator(pg_catalog.=) 1)$v$
            else $v$'hostile'$v$
        end
    )
$$;
insert into call (n, statement)
select
    row_number() over (order by p.proname = 'detach_table', p.proname !~ '^resolve', p.proname collate "C", p.oid),
    format(
        case p.prokind when 'p' then 'call visitor_identity.%s(%s)' else 'select %1$L as function, pg_catalog.count(*) >= 0 as answered from visitor_identity.%1$s(%2$s)' end,
        p.proname,
        (
            select string_agg(
                case
                    when p.proname ~ '^attach_' and a.type = 'name'::regtype then quote_literal(a.name)
                    else value_of(a.name, a.type)
                end,
                ', '
                order by a.n
            )
            from unnest(p.proargtypes, p.proargnames[1:p.pronargs]) with ordinality as a (type, name, n)
        )
    )
from pg_proc as p
where p.pronamespace = 'visitor_identity'::regnamespace
    and p.prorettype <> 'trigger'::regtype;
grant select on call to hostile_session_user;

-- The trap: it tells when it runs with another role's rights than the session's.
create schema shadow;
create function shadow.trap(what pg_catalog.text)
returns boolean
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
    if current_user <> session_user then
        raise warning '% runs as %', what, current_user;
    end if;
    return true;
end
$$;
-- It stands before every operator and every function of the common types.
do $$
declare
    types oid[] := array['text', 'name', 'uuid', 'oid', 'regclass', 'int4', 'int8', 'bool', '"char"', 'jsonb', 'timestamptz', 'timestamp', 'date']::regtype[]::oid[];
    f record;
begin
    for f in
        select p.oid, p.proname, p.pronargs, p.prorettype,
            pg_get_function_identity_arguments(p.oid) as parameters,
            (select string_agg('$' || n, ', ') from generate_series(1, p.pronargs) as n) as arguments
        from pg_proc as p
        where p.pronamespace = 'pg_catalog'::regnamespace
            and p.prokind = 'f'
            and not p.proretset
            and p.provariadic = 0
            and p.pronargs between 1 and 4
            and p.proargtypes::oid[] <@ types
            and p.prorettype = any (types)
            and pg_get_function_identity_arguments(p.oid) !~* 'out '
    loop
        execute format(
            'create function shadow.%1$I(%2$s) returns %3$s language plpgsql set search_path = pg_catalog, pg_temp
            as $f$begin perform shadow.trap(%4$L); return pg_catalog.%1$I(%5$s); end$f$',
            f.proname, f.parameters, f.prorettype::regtype, 'function ' || f.proname, f.arguments
        );
    end loop;
    for f in
        select o.oprname, o.oprleft, o.oprright, o.oprresult, row_number() over (order by o.oid) as number
        from pg_operator as o
        where o.oprnamespace = 'pg_catalog'::regnamespace
            and o.oprkind = 'b'
            and o.oprcode <> 0
            and array[o.oprleft, o.oprright, o.oprresult] <@ types
    loop
        execute format(
            'create function shadow.operator_%1$s(%2$s, %3$s) returns %4$s language plpgsql set search_path = pg_catalog, pg_temp
            as $f$begin perform shadow.trap(%5$L); return $1 operator(pg_catalog.%6$s) $2; end$f$',
            f.number, f.oprleft::regtype, f.oprright::regtype, f.oprresult::regtype, 'operator ' || f.oprname, f.oprname
        );
        execute format(
            'create operator shadow.%s (leftarg = %s, rightarg = %s, function = shadow.operator_%s)',
            f.oprname, f.oprleft::regtype, f.oprright::regtype, f.number
        );
    end loop;
end
$$;
grant usage on schema shadow to public;
-- And temporary domains and tables stand before types, tables and catalogs.
create function shadow.shadow_types()
returns void
language plpgsql
set search_path = pg_catalog
as $$
declare
    name pg_catalog.text;
begin
    foreach name in array array['visitor', 'rebind', 'account', 'attached_table', 'pg_class', 'pg_attribute', 'pg_type', 'pg_trigger'] loop
        execute format('create temporary table %I (nothing pg_catalog.int4)', name);
    end loop;
    foreach name in array array['text', 'name', 'uuid', 'oid', 'regclass', 'int4', 'int8', 'bool', 'jsonb', 'timestamptz', 'timestamp', 'date'] loop
        execute format('create domain pg_temp.%1$I as pg_catalog.%1$I check (shadow.trap(%2$L))', name, 'type ' || name);
    end loop;
end
$$;

\connect - hostile_session_user
select shadow.shadow_types();
set search_path = shadow, hostile_session, pg_catalog;
set visitor_identity.account = 'hostile_session';
set constraint_exclusion = on;
select shadow.trap('the session itself') as nothing_said;
select c.statement from hostile_session.call as c order by c.n
\gexec
-- The views, the tables and the triggers.
select pg_catalog.format('select %L as relation, pg_catalog.count(*) >= 0 as read from %s', r.relation, r.relation)
from (
    values
        ('visitor_identity.anomalies'), ('visitor_identity.statistics'), ('visitor_identity.visitor'),
        ('visitor_identity.attached_table'), ('hostile_session.chat_history'), ('hostile_session.chat_workspace')
) as r (relation)
\gexec
insert into hostile_session.chat (chat_id, visitor_id) values (5, '40000000-0000-4000-8000-000000000005'), (6, '40000000-0000-4000-8000-000000000005');
update hostile_session.chat set provided_visitor_id = 'C-5' where chat_id operator(pg_catalog.=) 5;
update visitor_identity.account set max_rebinds = 999 where account operator(pg_catalog.=) 'hostile_session';
insert into visitor_identity.blocked_identifier (account, identifier) values ('hostile_session', 'blocked');

\connect - postgres
select rolsuper from pg_roles where rolname = 'hostile_session_user';
select chat_id, visitor_id = visitor_identity.find_visitor('C-5', account => 'hostile_session') as moved
from hostile_session.chat
where chat_id > 4
order by chat_id;
select visitor_identity.detach_table(t::regclass)
from unnest('{hostile_session.chat, hostile_session.ticket}'::text[]) as t;
set client_min_messages = warning;
do $$
begin
    if to_regclass('hostile_session_store.chat') is not null then
        perform visitor_identity.detach_table('hostile_session_store.chat');
    end if;
end
$$;
drop schema hostile_session, shadow cascade;
drop schema if exists hostile_session_store cascade;
drop owned by hostile_session_user;
drop role hostile_session_user;
