-- Who may do what with every object of the schema, by doing it. The lists come from the catalog: an object that is new appears here,
-- and somebody has to say who may use it.
create schema rights_of_every;
set search_path = rights_of_every;
create role rights_none;
create role rights_owner;
create role rights_reader;
create role rights_application;
create role rights_admin;
select visitor_identity.grant_access('rights_reader', 'reader');
select visitor_identity.grant_access('rights_application', 'application');
select visitor_identity.grant_access('rights_admin', 'admin');
-- Whose table a superuser attached: what the triggers and views need, he has.
grant usage, create on schema rights_of_every to rights_none, rights_owner, rights_reader, rights_application, rights_admin;
set role rights_owner;
create table chat (
    chat_id integer primary key,
    visitor_id uuid
);
create index on chat (visitor_id);
reset role;
select visitor_identity.attach_chat_table('chat');

-- True when the statement was let in, whatever became of it. Nothing of it stays.
create function let_in(role_name name, statement text)
returns boolean
language plpgsql
as $$
begin
    execute format('set local role %I', role_name);
    execute statement;
    raise exception using errcode = 'VI000';
exception
    when insufficient_privilege then
        return sqlerrm !~ '^permission denied for (function|procedure|table|view|sequence|schema)';
    when others then
        return true;
end
$$;
-- A value that is not NULL, for an argument of a type: a NULL would keep a strict function from being called.
create function value_of(argument regtype)
returns text
language sql
as $$
    select format(
        '%L::%s',
        case
            when argument::text like '%[]' then '{}'
            when argument in ('uuid'::regtype) then '40000000-0000-4000-8000-000000000001'
            when argument in ('bigint'::regtype, 'integer'::regtype) then '1'
            when argument = 'boolean'::regtype then 'false'
            when argument in ('jsonb'::regtype, 'json'::regtype) then '{}'
            when argument = 'interval'::regtype then '1 year'
            when argument = 'regclass'::regtype then 'pg_catalog.pg_class'
            when argument = 'timestamptz'::regtype then '2024-05-01'
            else 'rights'
        end,
        case argument when 'anyelement'::regtype then 'text' else argument::text end
    )
$$;
create view calls as
select p.oid, p.proname, p.prokind, p.prosecdef, p.proconfig,
    format(
        '%s visitor_identity.%I(%s)',
        case p.prokind when 'p' then 'call' else 'select' end,
        p.proname,
        (select string_agg(rights_of_every.value_of(a.type), ', ' order by a.n) from unnest(p.proargtypes) with ordinality as a (type, n))
    ) as statement
from pg_proc as p
where p.pronamespace = 'visitor_identity'::regnamespace;
select
    c.proname as function,
    let_in('rights_none', c.statement) as none,
    let_in('rights_owner', c.statement) as owner,
    let_in('rights_reader', c.statement) as reader,
    let_in('rights_application', c.statement) as application,
    let_in('rights_admin', c.statement) as admin
from calls as c
order by c.proname collate "C", c.oid;
-- What the extension's functions do with more rights than the caller has: in C with every name qualified, or with a path.
select c.proname as security_definer, l.lanname as language, c.proconfig
from calls as c
join pg_proc as p using (oid)
join pg_language as l on l.oid = p.prolang
where c.prosecdef
order by 1;

-- Tables, views and sequences.
create function rights(role_name name, relation regclass)
returns text
language sql
as $$
    select coalesce(string_agg(s.what, ' ' order by s.n), '-')
    from pg_class as c
    cross join lateral (
        values
            (1, 'select', format('select * from %s', relation)),
            (2, 'insert', case when c.relkind in ('r', 'p') then format('insert into %s default values', relation) end),
            (3, 'update', case when c.relkind in ('r', 'p') then (
                select format('update %s set %I = default', relation, a.attname)
                from pg_attribute as a
                where a.attrelid = relation and a.attnum = 1
            ) end),
            (4, 'delete', case when c.relkind in ('r', 'p') then format('delete from %s', relation) end),
            (5, 'truncate', case when c.relkind in ('r', 'p') then format('truncate %s', relation) end),
            (6, 'trigger', case when c.relkind in ('r', 'p') then
                format('create trigger t before insert on %s for each row execute function suppress_redundant_updates_trigger()', relation) end),
            (7, 'references', case when c.relkind in ('r', 'p') then
                format('create table rights_of_every.t (a text references %s)', relation) end),
            (8, 'nextval', case c.relkind when 'S' then format('select nextval(%L)', relation) end),
            (9, 'setval', case c.relkind when 'S' then format('select setval(%L, 1)', relation) end)
    ) as s (n, what, statement)
    where c.oid = relation
        and s.statement is not null
        and let_in(role_name, s.statement)
$$;
select
    c.relname,
    case c.relkind when 'p' then 'r' else c.relkind end as kind,
    c.relrowsecurity as row_security,
    rights('rights_none', c.oid) as none,
    rights('rights_owner', c.oid) as owner,
    rights('rights_reader', c.oid) as reader,
    rights('rights_application', c.oid) as application,
    rights('rights_admin', c.oid) as admin
from pg_class as c
where c.relnamespace = 'visitor_identity'::regnamespace
    and c.relkind in ('r', 'p', 'v', 'm', 'S', 'f')
    and not c.relispartition
order by c.relname collate "C";
-- A partition of one of them is nobody's, and hidden from other accounts as the whole is.
select c.relname as partition_with_rights
from pg_class as c
where c.relnamespace = 'visitor_identity'::regnamespace
    and c.relispartition
    and c.relkind = 'r'
    and not (c.relacl is null and c.relrowsecurity);
-- No grant on a single column, no default privilege, nothing that may be passed on.
select a.attrelid::regclass, a.attname
from pg_attribute as a
join pg_class as c on c.oid = a.attrelid
where c.relnamespace = 'visitor_identity'::regnamespace
    and a.attacl is not null;
select 'may be granted on' as wrong, o.what
from (
    select p.oid::regprocedure::text, p.proacl
    from pg_proc as p
    where p.pronamespace = 'visitor_identity'::regnamespace
    union all
    select c.oid::regclass::text, c.relacl
    from pg_class as c
    where c.relnamespace = 'visitor_identity'::regnamespace
) as o (what, acl)
cross join lateral aclexplode(o.acl) as x
where x.is_grantable
    and x.grantee <> x.grantor;

-- A key by no way around: not from the table, not from what ANALYZE saw, not from an error.
select visitor_identity.add_signature_key('a key that nobody reads') is not null as added;
insert into visitor_identity.signature_key (account, algorithm, secret)
select 'rights', 'md5', 'a key that nobody reads'
from generate_series(1, 100);
analyze visitor_identity.signature_key;
select r.role_name,
    let_in(r.role_name, 'select k.secret from visitor_identity.signature_key as k') as read,
    let_in(r.role_name, 'select s.stavalues1 from pg_catalog.pg_statistic as s') as statistic
from unnest('{rights_none, rights_owner, rights_reader, rights_application, rights_admin}'::name[]) as r (role_name);
set role rights_admin;
select count(*) as statistics from pg_stats where schemaname = 'visitor_identity' and tablename = 'signature_key';
reset role;
select count(*) > 0 as statistics from pg_stats where schemaname = 'visitor_identity' and tablename = 'signature_key';
create function said(statement text)
returns text
language plpgsql
as $$
declare
    state text;
    message text;
    detail text;
    hint text;
    context text;
begin
    execute statement;
    return 'nothing';
exception when others then
    get stacked diagnostics
        state = returned_sqlstate,
        message = message_text,
        detail = pg_exception_detail,
        hint = pg_exception_hint,
        context = pg_exception_context;
    -- The context has the statement itself, which the caller wrote.
    return state || case
        when concat_ws(' ', message, detail, hint, replace(context, statement, '')) ~ 'nobody reads|is short' then ' and tells the key'
        else ''
    end;
end
$$;
select f.statement, said('select visitor_identity.' || f.statement)
from (
    values
        ($$add_signature_key('', 'md5')$$),
        ($$add_signature_key('is short', 'md4')$$),
        ($$add_signature_key('is short', account => 'rights_no_such')$$),
        ($$authorize_visitor('{"fields": {"id": "C-1"}, "hash": "00"}')$$),
        ($$authorize_visitor('{"fields": {"id": "C-1"}, "hash": "00"}', account => 'rights')$$)
) as f (statement);
delete from visitor_identity.signature_key;
select visitor_identity.detach_table('chat');
set client_min_messages = warning;
drop schema rights_of_every cascade;
drop owned by rights_none, rights_owner, rights_reader, rights_application, rights_admin;
drop role rights_none, rights_owner, rights_reader, rights_application, rights_admin;
