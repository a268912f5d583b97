-- partition_identity_tables divides visitor, provided_identity and channel_identity, with what is in them; everything that
-- belongs to them stays, and the probes of the hot path read one partition. Rolled back: the other files run as they were.
create function pg_temp.refusal(statement text)
returns table (state text, message text, detail text, hint text)
language plpgsql
as $$
begin
    execute statement;
    state := 'none';
    return next;
exception when others then
    get stacked diagnostics
        state = returned_sqlstate,
        message = message_text,
        detail = pg_exception_detail,
        hint = pg_exception_hint;
    return next;
end
$$;
create schema identity_partitioned;
set search_path = identity_partitioned;
-- What belongs to a table, whatever it is called by; a partition's is its own affair.
create function belongings()
returns table (what text)
language sql
as $$
    with t as (
        select c.*
        from pg_class as c
        where c.oid in ('visitor_identity.visitor'::regclass, 'visitor_identity.provided_identity'::regclass, 'visitor_identity.channel_identity'::regclass)
    )
    select format('table %s of %s, %s %s, %s', t.relname, t.relowner::regrole, t.relrowsecurity, t.relforcerowsecurity, obj_description(t.oid, 'pg_class'))
    from t
    union all
    select format('right %s %s', t.relname, a)
    from t
    cross join unnest(t.relacl) as a
    union all
    select format(
        'column %s.%s %s %s %s %s %s', t.relname, a.attname, a.atttypid::regtype, a.attcollation, a.attnotnull,
        pg_get_expr(d.adbin, d.adrelid), col_description(t.oid, a.attnum)
    )
    from t
    join pg_attribute as a on a.attrelid = t.oid and a.attnum > 0
    left join pg_attrdef as d on d.adrelid = t.oid and d.adnum = a.attnum
    union all
    select format('constraint %s on %s: %s, %s', n.conname, t.relname, pg_get_constraintdef(n.oid), obj_description(n.oid, 'pg_constraint'))
    from t
    join pg_constraint as n on n.conrelid = t.oid
    union all
    select format('index %s, %s', replace(pg_get_indexdef(i.indexrelid), ' ON ONLY ', ' ON '), obj_description(i.indexrelid, 'pg_class'))
    from t
    join pg_index as i on i.indrelid = t.oid
    union all
    select format(
        'policy %s on %s: %s %s, %s', p.polname, t.relname, pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid),
        obj_description(p.oid, 'pg_policy')
    )
    from t
    join pg_policy as p on p.polrelid = t.oid
    union all
    select format('member %s', t.relname)
    from t
    join pg_depend as d on d.classid = 'pg_class'::regclass and d.objid = t.oid and d.deptype = 'e'
    union all
    select format('view %s %s of %s: %s', c.oid::regclass, c.reloptions, c.relowner::regrole, md5(pg_get_viewdef(c.oid)))
    from pg_class as c
    where c.relkind = 'v' and c.relnamespace in ('visitor_identity'::regnamespace, 'identity_partitioned'::regnamespace)
    order by 1
$$;
insert into visitor_identity.account (account) values ('identity_partitioned');
set visitor_identity.account = 'identity_partitioned';
create role identity_partitioned_admin;
select visitor_identity.grant_access('identity_partitioned_admin', 'admin');
grant select (account, visitor_id) on visitor_identity.visitor to public;
select visitor_identity.create_chat_store('identity_partitioned');
insert into chat (visitor_id) values ('40000000-0000-4000-8000-000000000001');
insert into chat (visitor_id, channel_type, channel_id, channel_user_id) values ('40000000-0000-4000-8000-000000000002', 'telegram', '', '12345678');
update chat set provided_visitor_id = 'C-1' where visitor_id = '40000000-0000-4000-8000-000000000001';
select visitor_identity.resolve_visitor('C-' || n) is not null as resolved from generate_series(2, 40) as n offset 38;
select outcome, rebound_chats
from visitor_identity.resolve_visitor_detail('C-2', visitor_id => (select visitor_id from chat where channel_user_id = '12345678'), channel_type => 'telegram', channel_user_id => '12345678');
create table before as
select * from belongings();
create table rows_before as
select 'visitor', v::text from visitor_identity.visitor as v
union all
select 'provided', p::text from visitor_identity.provided_identity as p
union all
select 'channel', c::text from visitor_identity.channel_identity as c;

begin;
select visitor_identity.partition_identity_tables(3);
select c.relname, pg_get_expr(c.relpartbound, c.oid) as bound, obj_description(c.oid, 'pg_class') as comment, c.relacl is null as nobodys, c.relrowsecurity
from pg_class as c
where c.relnamespace = 'visitor_identity'::regnamespace and c.relispartition and c.relkind = 'r'
order by 1;
(table before except select * from belongings()) union all (select * from belongings() except table before);
(
    select 'visitor', v::text from visitor_identity.visitor as v
    union all
    select 'provided', p::text from visitor_identity.provided_identity as p
    union all
    select 'channel', c::text from visitor_identity.channel_identity as c
    except all
    table rows_before
);
select count(*) = (select count(*) from rows_before) as all_rows
from (
    select from visitor_identity.visitor
    union all
    select from visitor_identity.provided_identity
    union all
    select from visitor_identity.channel_identity
) as r;
select to_regnamespace('visitor_identity_former') as left_over;
-- The probes of the hot path read one partition, by a plan for any value.
create function partitions_read(statement text)
returns bigint
language plpgsql
as $$
declare
    line text;
    partitions bigint := 0;
begin
    for line in execute 'explain (analyze, costs off, timing off, summary off) ' || statement loop
        -- Counted is each scan that was begun, and not those that were pruned.
        if line ~ '(Scan|on) .*_p[0-9]+' and line !~ 'never executed' and line !~ 'Bitmap Index' then
            partitions := partitions + 1;
        end if;
    end loop;
    return partitions;
end
$$;
set local plan_cache_mode = force_generic_plan;
prepare by_cookie as select superseded_by from visitor_identity.visitor where account = $1 and visitor_id = $2;
prepare by_provided as select visitor_id from visitor_identity.provided_identity where account = $1 and provided_visitor_id = $2;
prepare by_channel as select visitor_id from visitor_identity.channel_identity where account = $1 and channel_user_id = $2 and channel_type = $3 and channel_id = $4;
prepare lock_visitor as select from visitor_identity.visitor where account = $1 and visitor_id = $2 for key share;
prepare lock_by_provided as
select from visitor_identity.visitor
where account = $1
    and visitor_id = (select visitor_id from visitor_identity.provided_identity where account = $1 and provided_visitor_id = $2)
for key share;
select
    partitions_read($$execute by_cookie ('identity_partitioned', '40000000-0000-4000-8000-000000000001')$$) as by_cookie,
    partitions_read($$execute by_provided ('identity_partitioned', 'C-1')$$) as by_provided,
    partitions_read($$execute by_channel ('identity_partitioned', '12345678', 'telegram', '')$$) as by_channel,
    partitions_read($$execute lock_visitor ('identity_partitioned', '40000000-0000-4000-8000-000000000002')$$) as lock_visitor,
    partitions_read($$execute lock_by_provided ('identity_partitioned', 'C-1')$$) as lock_by_provided;
-- The log follows: an undo finds the pointers and the channel ids that were moved before.
select w.moved_table, jsonb_array_length(w.keys) as keys
from visitor_identity.rebind_row as w
join visitor_identity.rebind as r using (account, rebind_id)
where r.account = 'identity_partitioned' and r.to_visitor_id = visitor_identity.find_visitor('C-2')
order by w.moved_table::text;
select moved_table, put_back
from visitor_identity.undo_rebind((select max(rebind_id) from visitor_identity.rebind));
-- Divided anew.
select visitor_identity.partition_identity_tables(1);
select count(*) as partitions from pg_class where relnamespace = 'visitor_identity'::regnamespace and relispartition and relkind = 'r';
(table before except select * from belongings()) union all (select * from belongings() except table before);
select problem from visitor_identity.check_integrity() where account = 'identity_partitioned';
rollback;

-- What is refused, leaving nothing behind.
select * from pg_temp.refusal($$select visitor_identity.partition_identity_tables(0)$$);
select * from pg_temp.refusal($$select visitor_identity.partition_identity_tables(null)$$);
begin isolation level repeatable read;
select * from pg_temp.refusal($$select visitor_identity.partition_identity_tables(2)$$);
rollback;
create table refers (
    account text not null,
    visitor_id uuid not null,
    foreign key (account, visitor_id) references visitor_identity.visitor
);
select state, message from pg_temp.refusal($$select visitor_identity.partition_identity_tables(2)$$);
drop table refers;
set client_min_messages = error;
create publication identity_partitioned for table visitor_identity.visitor;
reset client_min_messages;
select * from pg_temp.refusal($$select visitor_identity.partition_identity_tables(2)$$);
drop publication identity_partitioned;
-- What comes into the tables from which a dump takes the rows of a partitioned table goes where it belongs.
begin;
insert into visitor_identity.restored_visitor (account, visitor_id, identified)
values ('identity_partitioned', '40000000-0000-4000-8000-000000000009', true);
insert into visitor_identity.restored_provided_identity (account, provided_visitor_id, visitor_id)
values ('identity_partitioned', 'C-restored', '40000000-0000-4000-8000-000000000009');
insert into visitor_identity.restored_channel_identity (account, channel_type, channel_id, channel_user_id, visitor_id)
values ('identity_partitioned', 'sms', '', '1234567', '40000000-0000-4000-8000-000000000009');
select
    visitor_identity.find_visitor('C-restored') as provided,
    visitor_identity.find_visitor(channel_type => 'sms', channel_user_id => '1234567') as channel,
    (
        (select count(*) from visitor_identity.restored_visitor)
        + (select count(*) from visitor_identity.restored_provided_identity)
        + (select count(*) from visitor_identity.restored_channel_identity)
    ) as stayed;
rollback;
alter table visitor_identity.restored_visitor disable trigger restored_row;
select state from pg_temp.refusal($$insert into visitor_identity.restored_visitor (account, visitor_id) values ('identity_partitioned', '40000000-0000-4000-8000-000000000009')$$);
alter table visitor_identity.restored_visitor enable always trigger restored_row;
revoke select (account, visitor_id) on visitor_identity.visitor from public;
select visitor_identity.detach_table('chat');
set client_min_messages = warning;
drop schema identity_partitioned cascade;
drop owned by identity_partitioned_admin;
drop role identity_partitioned_admin;
