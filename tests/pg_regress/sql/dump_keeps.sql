-- A dump takes along every table and sequence of the extension; what CREATE EXTENSION makes anew is left out of it. Those that
-- are partitioned come by way of their restored_ tables.
select c.oid::regclass as not_dumped
from pg_extension as e
join pg_depend as d on d.refclassid = 'pg_extension'::regclass and d.refobjid = e.oid and d.deptype = 'e' and d.classid = 'pg_class'::regclass
join pg_class as c on c.oid = d.objid
where e.extname = 'visitor_identity'
    and c.relkind in ('r', 'p', 'S')
    and not c.relispartition
    and c.oid <> all (e.extconfig)
    and (
        c.relkind <> 'p'
        or to_regclass('visitor_identity.restored_' || c.relname) <> all (e.extconfig)
    );
select c.oid::regclass::text as dumped, nullif(k.condition, '') as only
from pg_extension as e
cross join unnest(e.extconfig, e.extcondition) as k (dumped, condition)
join pg_class as c on c.oid = k.dumped
where e.extname = 'visitor_identity'
union all
select p.partrelid::regclass::text, null
from pg_partitioned_table as p
where p.partrelid::regclass::text like 'visitor_identity.%'
order by 1;
-- An object of the extension that is neither its own nor in its schema would be lost: there is none.
select pg_describe_object(d.classid, d.objid, d.objsubid) as outside_the_schema
from pg_extension as e
join pg_depend as d on d.refclassid = 'pg_extension'::regclass and d.refobjid = e.oid and d.deptype = 'e'
where e.extname = 'visitor_identity'
    and pg_describe_object(d.classid, d.objid, d.objsubid) !~ 'visitor_identity'
    and d.classid <> 'pg_language'::regclass;
-- Every function, table and column has its comment.
select pg_describe_object(d.classid, d.objid, 0) as without_comment
from pg_extension as e
join pg_depend as d on d.refclassid = 'pg_extension'::regclass and d.refobjid = e.oid and d.deptype = 'e'
left join pg_class as c on d.classid = 'pg_class'::regclass and c.oid = d.objid
where e.extname = 'visitor_identity'
    and (d.classid in ('pg_proc'::regclass, 'pg_type'::regclass) or c.relkind in ('r', 'p', 'v'))
    and (d.classid <> 'pg_type'::regclass or exists (select from pg_type as t where t.oid = d.objid and t.typtype = 'd'))
    and obj_description(d.objid, d.classid::regclass::name) is null
union all
select c.oid::regclass || '.' || a.attname
from pg_class as c
join pg_attribute as a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
where c.relnamespace = 'visitor_identity'::regnamespace
    and c.relkind in ('r', 'p')
    and not c.relispartition
    and col_description(c.oid, a.attnum) is null;
-- account leads every key of the identity tables, and every text key compares as bytes.
select i.indrelid::regclass::text as table, string_agg(a.attname, ', ' order by k.n) as key
from pg_index as i
cross join unnest(i.indkey::smallint[]) with ordinality as k (attnum, n)
join pg_attribute as a on a.attrelid = i.indrelid and a.attnum = k.attnum
join pg_class as c on c.oid = i.indrelid
where c.relnamespace = 'visitor_identity'::regnamespace and i.indisprimary and not c.relispartition
group by 1
order by 1;
select a.attrelid::regclass || '.' || a.attname as not_collated_as_bytes
from pg_index as i
cross join unnest(i.indkey::smallint[]) as k (attnum)
join pg_attribute as a on a.attrelid = i.indrelid and a.attnum = k.attnum
join pg_class as c on c.oid = i.indrelid
join pg_collation as l on l.oid = a.attcollation
where c.relnamespace = 'visitor_identity'::regnamespace and l.collname <> 'C'
order by 1;
-- The row default that CREATE EXTENSION makes gives way to the one that a restore brings, as long as nobody used it.
begin;
delete from visitor_identity.account;
insert into visitor_identity.account (account, untouched)
values ('default', true);
insert into visitor_identity.account (account, namespace, derivation, untouched)
values ('default', '6ba7b810-9dad-11d1-80b4-00c04fd430c8', 'md5', false);
select namespace, derivation, untouched
from visitor_identity.account;
savepoint s;
insert into visitor_identity.account (account)
values ('default');
rollback to savepoint s;
-- Any UPDATE ends that state.
update visitor_identity.account
set untouched = true;
select untouched from visitor_identity.account;
rollback;
