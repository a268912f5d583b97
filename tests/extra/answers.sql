-- Everything of a database of filled_database.sql that has to be the same in a copy of it, as text. Reads the catalog
-- instead of naming tables, so that a new table of the extension is compared too. Writes nothing.
set client_min_messages = warning;
set timezone = 'UTC';
set search_path = pg_catalog;

-- The rows of the extension's tables and of the attached ones, and the rows of their views.
select format('select %L, r::text from %s as r order by 2', c.oid::regclass, c.oid::regclass)
from pg_class as c
where c.relkind in ('r', 'p', 'v')
    and not c.relispartition
    and (
        c.relnamespace = 'visitor_identity'::regnamespace
        or c.oid in (
            select unnest(array[t.attached, t.history_view, t.workspace_view]::oid[])
            from visitor_identity.attached_table as t
        )
    )
    -- By oids, which are others in a copy.
    and c.oid <> all (array['visitor_identity.attachment', 'visitor_identity.attachment_text']::regclass[])
order by c.oid::regclass::text
\gexec
select 'attachment', a.relation::regclass::text as name, a.owner::regrole, to_jsonb(a) - array['relation', 'owner']
from visitor_identity.attachment as a
order by name;

-- Numbers go on where they were.
select format('select %L, last_value, is_called from %s', c.oid::regclass, c.oid::regclass)
from pg_class as c
where c.relkind = 'S'
    and c.relnamespace in ('visitor_identity'::regnamespace, to_regnamespace('chat'))
order by c.oid::regclass::text
\gexec

-- What attaching made.
select 'trigger', t.tgrelid::regclass::text as name, t.tgname, t.tgenabled, pg_get_triggerdef(t.oid), obj_description(t.oid, 'pg_trigger')
from pg_trigger as t
join pg_class as c on c.oid = t.tgrelid
where t.tgfoid in (
        select p.oid
        from pg_proc as p
        where p.pronamespace = 'visitor_identity'::regnamespace
    )
order by name, t.tgname;
select 'view', c.oid::regclass::text as name, c.relowner::regrole, c.reloptions, md5(pg_get_viewdef(c.oid))
from pg_class as c
join pg_namespace as n on n.oid = c.relnamespace
where c.relkind = 'v'
    and n.nspname not in ('visitor_identity', 'pg_catalog', 'information_schema')
order by name;
select 'policy', schemaname, tablename, policyname, cmd, qual, with_check
from pg_policies
order by 2, 3, 4;

-- Who may do what.
select 'granted', o.name, a.grantee::regrole::text, a.privilege_type, a.is_grantable
from (
    select p.oid::regprocedure::text, p.proacl
    from pg_proc as p
    where p.pronamespace = 'visitor_identity'::regnamespace
    union all
    select c.oid::regclass::text, c.relacl
    from pg_class as c
    where c.relnamespace = 'visitor_identity'::regnamespace
    union all
    select n.nspname, n.nspacl
    from pg_namespace as n
    where n.nspname = 'visitor_identity'
) as o (name, acl)
cross join aclexplode(o.acl) as a
order by 2, 3, 4;

-- Who is who, and who somebody unseen will be.
select 'find', 'C-1', visitor_identity.find_visitor('C-1');
select 'find', 'cookie', visitor_identity.find_visitor(visitor_id => 'aaaaaaaa-0000-4000-8000-000000000001');
select 'find', 'added channel', visitor_identity.find_visitor(channel_type => 'orders', channel_user_id => 'O-1');
select 'find', 'telegram', visitor_identity.find_visitor(channel_type => 'telegram', channel_user_id => '67854257', channel_id => 'bot');
select 'find', 'second', visitor_identity.find_visitor('X', account => 'second');
select 'find', 'blocked', visitor_identity.find_visitor('$SDK_default') is null;
select 'not seen yet', account, visitor_identity.derive_visitor_id('C-2', account)
from visitor_identity.account
order by 2;
select 'signed', visitor_identity.verify_visitor_fields(jsonb_build_object('id', 'S-1', 'crc', md5('S-1a key')));
select 'pushed', t.*
from visitor_identity.push_targets(provided_visitor_id => 'C-1') as t;
select 'payload', visitor_identity.visitor_payload(visitor_identity.find_visitor('C-1'));
select 'graph', visitor_identity.visitor_graph(visitor_identity.find_visitor('C-1'));
select 'history', s.*
from unnest(array['C-1', 'C-5', 'aaaaaaaa-0000-4000-8000-000000000005', 'C-6']) as q (query)
cross join lateral visitor_identity.search_history(q.query) as s;
select 'history', s.*
from visitor_identity.search_history('C-6', account => 'third') as s;
select 'explained', e.*
from visitor_identity.explain_resolution('C-9', visitor_id => 'aaaaaaaa-0000-4000-8000-000000000004') as e;
select 'broken', i.*
from visitor_identity.check_integrity() as i;
