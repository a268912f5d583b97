-- Everything the catalog says of the extension visitor_identity, as text without oids: two databases in which it prints
-- the same have the same extension, however they came to it. Writes nothing.
set client_min_messages = warning;
set search_path = pg_catalog;

create temporary view member as
select d.classid, d.objid
from pg_depend as d
join pg_extension as e on e.oid = d.refobjid and d.refclassid = 'pg_extension'::regclass
where d.deptype = 'e'
    and e.extname = 'visitor_identity';
create temporary view relation as
select c.*
from pg_class as c
join member as m on m.classid = 'pg_class'::regclass and m.objid = c.oid;

select 'extension', e.extname, e.extversion, e.extowner::regrole, n.nspname, e.extrelocatable
from pg_extension as e
join pg_namespace as n on n.oid = e.extnamespace
where e.extname = 'visitor_identity';
select 'schema', n.nspname, n.nspowner::regrole, a.grantee, a.privilege_type
from pg_namespace as n
left join aclexplode(n.nspacl) as a on true
where n.nspname = 'visitor_identity'
order by 4, 5;
select 'member', i.type, i.identity, obj_description(m.objid, m.classid::regclass::name)
from member as m
cross join pg_identify_object(m.classid, m.objid, 0) as i
order by i.type, i.identity;
-- Anything in the schema that is no member would be lost in a dump.
select 'stranger', i.type, i.identity
from pg_depend as d
cross join pg_identify_object(d.classid, d.objid, 0) as i
where d.refclassid = 'pg_namespace'::regclass
    and d.refobjid = 'visitor_identity'::regnamespace
    and d.classid in ('pg_class'::regclass, 'pg_proc'::regclass, 'pg_type'::regclass)
    and not exists (
        select
        from member as m
        where m.classid = d.classid and m.objid = d.objid
    )
    -- Indexes, and the types of tables and of arrays, belong to what they are of.
    and not exists (
        select
        from pg_depend as o
        where o.classid = d.classid and o.objid = d.objid and o.deptype in ('i', 'a')
    )
order by 2, 3;
select 'dumped', c.oid::regclass::text as name, k.condition
from pg_extension as e
cross join unnest(e.extconfig, e.extcondition) as k (relation, condition)
join pg_class as c on c.oid = k.relation
where e.extname = 'visitor_identity'
order by name;
select 'relation', r.oid::regclass::text as name, r.relkind, r.relpersistence, r.relowner::regrole, r.reloptions,
    r.relrowsecurity, r.relforcerowsecurity, r.relreplident, pg_get_viewdef(r.oid)
from relation as r
order by name;
select 'column', r.oid::regclass::text as name, row_number() over (partition by r.oid order by a.attnum) as position, a.attname,
    format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attidentity, a.attgenerated, a.attstorage, a.attstattarget,
    (select l.collname from pg_collation as l where l.oid = a.attcollation),
    pg_get_expr(f.adbin, f.adrelid), col_description(r.oid, a.attnum)
from relation as r
join pg_attribute as a on a.attrelid = r.oid and a.attnum > 0 and not a.attisdropped
left join pg_attrdef as f on f.adrelid = r.oid and f.adnum = a.attnum
order by name, position;
select 'constraint', c.conrelid::regclass::text as name, c.contypid::regtype, c.conname, pg_get_constraintdef(c.oid), c.convalidated,
    obj_description(c.oid, 'pg_constraint')
from pg_constraint as c
where c.connamespace = 'visitor_identity'::regnamespace
order by name, 3::text, c.conname;
select 'index', pg_get_indexdef(i.indexrelid), i.indisvalid, i.indisclustered, i.indisreplident,
    obj_description(i.indexrelid, 'pg_class')
from pg_index as i
join relation as r on r.oid = i.indrelid
order by 2;
select 'trigger', r.oid::regclass::text as name, pg_get_triggerdef(t.oid), t.tgenabled, obj_description(t.oid, 'pg_trigger')
from pg_trigger as t
join relation as r on r.oid = t.tgrelid
where not t.tgisinternal
order by name, t.tgname;
select 'rule', r.oid::regclass::text as name, w.rulename, w.ev_enabled
from pg_rewrite as w
join relation as r on r.oid = w.ev_class
order by name, w.rulename;
select 'policy', p.tablename, p.policyname, p.permissive, p.roles, p.cmd, p.qual, p.with_check
from pg_policies as p
where p.schemaname = 'visitor_identity'
order by 2, 3;
select 'sequence', s.seqrelid::regclass::text as name, s.seqtypid::regtype, s.seqstart, s.seqincrement, s.seqmin, s.seqmax,
    s.seqcache, s.seqcycle
from pg_sequence as s
join relation as r on r.oid = s.seqrelid
order by name;
select 'function', p.oid::regprocedure::text as name, p.proowner::regrole, pg_get_functiondef(p.oid)
from pg_proc as p
join member as m on m.classid = 'pg_proc'::regclass and m.objid = p.oid
where p.prokind <> 'a'
order by name;
select 'type', format_type(t.oid, null) as name, t.typtype, t.typowner::regrole, format_type(t.typbasetype, t.typtypmod),
    t.typnotnull, t.typdefault,
    array(select e.enumlabel from pg_enum as e where e.enumtypid = t.oid order by e.enumsortorder)
from pg_type as t
join member as m on m.classid = 'pg_type'::regclass and m.objid = t.oid
order by name;
-- Rights, and what of them CREATE EXTENSION gave: pg_dump writes down the difference.
select 'granted', o.name, a.grantor::regrole, a.grantee, a.privilege_type, a.is_grantable
from (
    select p.oid::regprocedure::text, coalesce(p.proacl, acldefault('f', p.proowner))
    from pg_proc as p
    join member as m on m.classid = 'pg_proc'::regclass and m.objid = p.oid
    union all
    select r.oid::regclass::text, coalesce(r.relacl, acldefault(case r.relkind when 'S' then 's'::"char" else 'r' end, r.relowner))
    from relation as r
    union all
    select r.oid::regclass || '.' || c.attname, c.attacl
    from relation as r
    join pg_attribute as c on c.attrelid = r.oid and not c.attisdropped
    union all
    select format_type(t.oid, null), coalesce(t.typacl, acldefault('T', t.typowner))
    from pg_type as t
    join member as m on m.classid = 'pg_type'::regclass and m.objid = t.oid
) as o (name, acl)
cross join aclexplode(o.acl) as a
order by 2, 4, 5;
select 'granted at first', i.identity, a.grantee, a.privilege_type
from pg_init_privs as p
join member as m on m.classid = p.classoid and m.objid = p.objoid
cross join pg_identify_object(p.classoid, p.objoid, p.objsubid) as i
cross join aclexplode(p.initprivs) as a
order by 2, 3, 4;
-- The rows that come with it, but for what is random or the time of day.
select format('select ''row'', %L, to_jsonb(r) - array[''namespace'', ''created_at''] from %s as r order by 3', r.oid::regclass, r.oid::regclass)
from relation as r
where r.relkind = 'r'
order by r.oid::regclass::text
\gexec
