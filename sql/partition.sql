-- Many visitors on one machine: the three tables that are probed by an identifier, divided into partitions.

-- pg_dump takes the rows of a partitioned table partition by partition, under names that a fresh installation does not
-- have. So it gets them from here: the conditions in access.sql add the rows of the divided table, and what is restored
-- into these tables goes where it belongs, divided there or not. They are never filled.
create table visitor_identity.restored_visitor (
    like visitor_identity.visitor including defaults,
    constraint restored_visitor_pkey primary key (account, visitor_id),
    constraint restored_visitor_stays_empty check (false)
);

create table visitor_identity.restored_provided_identity (
    like visitor_identity.provided_identity including defaults,
    constraint restored_provided_identity_pkey primary key (provided_visitor_id, account),
    constraint restored_provided_identity_stays_empty check (false)
);

create table visitor_identity.restored_channel_identity (
    like visitor_identity.channel_identity including defaults,
    constraint restored_channel_identity_pkey primary key (account, channel_user_id, channel_type, channel_id),
    constraint restored_channel_identity_stays_empty check (false)
);

comment on table visitor_identity.restored_visitor is
'Always empty. By this name the rows of a partitioned table visitor are dumped, and go there when they are restored.';
comment on table visitor_identity.restored_provided_identity is
'Always empty. By this name the rows of a partitioned table provided_identity are dumped, and go there when they are restored.';
comment on table visitor_identity.restored_channel_identity is
'Always empty. By this name the rows of a partitioned table channel_identity are dumped, and go there when they are restored.';

do $$
declare
    copied record;
begin
    for copied in
        select
            c.oid::regclass as gate,
            a.attname,
            col_description(format('visitor_identity.%I', replace(c.relname, 'restored_', ''))::regclass, a.attnum) as meaning
        from pg_class as c
        join pg_attribute as a on a.attrelid = c.oid and a.attnum > 0
        where c.relnamespace = 'visitor_identity'::regnamespace
            and c.relkind = 'r'
            and c.relname like 'restored\_%'
    loop
        execute format('comment on column %s.%I is %L', copied.gate, copied.attname, copied.meaning);
    end loop;
end
$$;

-- Without a SET clause, which every row of a restore would pay for; so every operator is qualified.
create function visitor_identity.restored_row()
returns trigger
language plpgsql
as $$
begin
    if tg_table_name operator(pg_catalog.=) 'restored_visitor' then
        insert into visitor_identity.visitor
        select new.*;
    elsif tg_table_name operator(pg_catalog.=) 'restored_provided_identity' then
        insert into visitor_identity.provided_identity
        select new.*;
    else
        insert into visitor_identity.channel_identity
        select new.*;
    end if;
    return null;
end
$$;

comment on function visitor_identity.restored_row() is
'Trigger function of the tables restored_…: what is restored into them goes to the table it was dumped from.';

create trigger restored_row
before insert on visitor_identity.restored_visitor
for each row execute function visitor_identity.restored_row();

create trigger restored_row
before insert on visitor_identity.restored_provided_identity
for each row execute function visitor_identity.restored_row();

create trigger restored_row
before insert on visitor_identity.restored_channel_identity
for each row execute function visitor_identity.restored_row();

-- Also where data are loaded with session_replication_role = replica (docs/operations.md).
alter table visitor_identity.restored_visitor enable always trigger restored_row;
alter table visitor_identity.restored_provided_identity enable always trigger restored_row;
alter table visitor_identity.restored_channel_identity enable always trigger restored_row;

create function visitor_identity.partition_identity_tables(partitions integer)
returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    identity_tables constant regclass[] := array[
        'visitor_identity.visitor', 'visitor_identity.provided_identity', 'visitor_identity.channel_identity'
    ];
    -- With their partitions, if they have some.
    relations oid[];
    views text[];
    divided record;
    statement text;
    -- What the former table had and LIKE does not bring, as statements; a part is named by %s.
    before_rows text[];
    after_rows text[];
    of_every_part text[];
    part text;
begin
    if partitions is null or partitions not between 1 and 1024 then
        raise exception 'invalid value for partitions'
            using errcode = '22023',
                detail = 'It is a number from 1 to 1024.',
                hint = 'Take 8 or 16: every search by anything but the identifier itself visits each of them.';
    end if;
    if current_setting('transaction_isolation') <> 'read committed' then
        raise exception 'the identity tables cannot be divided at this isolation level'
            using errcode = '55000',
                detail = 'Rows that were committed after this transaction took its snapshot would be missed.',
                hint = 'Call it at READ COMMITTED.';
    end if;
    if exists (select from pg_extension where extname = 'citus') then
        raise exception 'the identity tables are not divided where Citus is installed'
            using errcode = '55000',
                detail = 'Citus divides them itself, by account.',
                hint = 'See docs/scaling.md.';
    end if;
    -- In the order in which a call opens them.
    lock table visitor_identity.provided_identity, visitor_identity.channel_identity, visitor_identity.visitor
    in access exclusive mode;
    select array_agg(r.relation)
    into relations
    from unnest(identity_tables) as t (identity_table)
    cross join lateral (
        select t.identity_table::oid
        union
        select p.relid
        from pg_partition_tree(t.identity_table) as p
    ) as r (relation);
    if exists (
            select
            from pg_trigger
            where tgrelid = any (relations) and not tgisinternal
        )
        or exists (select from pg_publication_rel where prrelid = any (relations))
        or exists (select from pg_statistic_ext where stxrelid = any (relations))
    then
        raise exception 'something was added to the identity tables that would be lost'
            using errcode = '55000',
                detail = 'They have a trigger or statistics, or are listed in a publication.',
                hint = 'Drop it first and make it anew afterwards; publish FOR ALL TABLES with publish_via_partition_root.';
    end if;

    -- Views keep the table that they were made over, by whatever name: those of the extension and those of attached tables.
    select array_agg(
        format(
            'create or replace view %s%s as %s',
            c.oid::regclass,
            ' with (' || array_to_string(c.reloptions, ', ') || ')',
            pg_get_viewdef(c.oid)
        )
    )
    into views
    from pg_class as c
    where c.relkind = 'v'
        and exists (
            select
            from pg_rewrite as r
            join pg_depend as d on d.classid = 'pg_rewrite'::regclass and d.objid = r.oid
            where r.ev_class = c.oid
                and d.refclassid = 'pg_class'::regclass
                and d.refobjid = any (identity_tables)
        );

    create schema visitor_identity_former;
    for divided in
        select c.oid as former, c.relname as name, k.column_name, c.relrowsecurity, c.relforcerowsecurity,
            pg_get_userbyid(c.relowner) as owner,
            obj_description(c.oid, 'pg_class') as comment,
            coalesce((
                select ' with (' || array_to_string(l.reloptions, ', ') || ')'
                from pg_class as l
                where l.reloptions is not null
                    and (l.oid = c.oid or l.oid in (select p.relid from pg_partition_tree(c.oid) as p))
                limit 1
            ), '') as storage
        from (
            values
                ('visitor', 'visitor_id'),
                ('provided_identity', 'provided_visitor_id'),
                ('channel_identity', 'channel_user_id')
        ) as k (table_name, column_name)
        join pg_class as c on c.oid = format('visitor_identity.%I', k.table_name)::regclass
    loop
        select array_agg(x.statement order by x.place, x.statement)
        into after_rows
        from (
            select 1 as place,
                format('alter table visitor_identity.%I add constraint %I %s', divided.name, n.conname, pg_get_constraintdef(n.oid)) as statement
            from pg_constraint as n
            where n.conrelid = divided.former and n.contype in ('p', 'u', 'x')
            union all
            select 2, replace(pg_get_indexdef(i.indexrelid), ' ON ONLY ', ' ON ')
            from pg_index as i
            where i.indrelid = divided.former
                and not exists (select from pg_constraint as n where n.conindid = i.indexrelid)
            union all
            select 3, format('comment on index visitor_identity.%I is %L', c.relname, obj_description(c.oid, 'pg_class'))
            from pg_index as i
            join pg_class as c on c.oid = i.indexrelid
            where i.indrelid = divided.former
            union all
            select 4, format('comment on constraint %I on visitor_identity.%I is %L', n.conname, divided.name, obj_description(n.oid, 'pg_constraint'))
            from pg_constraint as n
            where n.conrelid = divided.former
            union all
            -- Of whoever is not the owner; a grant on a column is nowhere made by the extension.
            select 5, format(
                'grant %s on visitor_identity.%I to %s%s', g.privilege_type, divided.name,
                case g.grantee when 0 then 'public' else quote_ident(pg_get_userbyid(g.grantee)) end,
                case when g.is_grantable then ' with grant option' else '' end
            )
            from pg_class as c
            cross join lateral aclexplode(c.relacl) as g
            where c.oid = divided.former and g.grantee <> c.relowner
            union all
            select 5, format(
                'grant %s (%I) on visitor_identity.%I to %s%s', g.privilege_type, a.attname, divided.name,
                case g.grantee when 0 then 'public' else quote_ident(pg_get_userbyid(g.grantee)) end,
                case when g.is_grantable then ' with grant option' else '' end
            )
            from pg_attribute as a
            cross join lateral aclexplode(a.attacl) as g
            where a.attrelid = divided.former
        ) as x;
        select array_agg(x.statement order by x.place)
        into of_every_part
        from (
            select 1 as place, format('alter table %%s owner to %I', divided.owner) as statement
            union all
            select 2, 'alter table %s enable row level security' where divided.relrowsecurity
            union all
            select 2, 'alter table %s force row level security' where divided.relforcerowsecurity
            union all
            select 3, format(
                'create policy %I on %%s as %s for %s to %s%s%s', p.polname,
                case when p.polpermissive then 'permissive' else 'restrictive' end,
                case p.polcmd when 'r' then 'select' when 'a' then 'insert' when 'w' then 'update' when 'd' then 'delete' else 'all' end,
                (
                    select string_agg(case r.role when 0 then 'public' else quote_ident(pg_get_userbyid(r.role)) end, ', ')
                    from unnest(p.polroles) as r (role)
                ),
                ' using (' || replace(pg_get_expr(p.polqual, p.polrelid), '%', '%%') || ')',
                ' with check (' || replace(pg_get_expr(p.polwithcheck, p.polrelid), '%', '%%') || ')'
            )
            from pg_policy as p
            where p.polrelid = divided.former
            union all
            select 4, format('comment on policy %I on %%s is %L', p.polname, replace(obj_description(p.oid, 'pg_policy'), '%', '%%'))
            from pg_policy as p
            where p.polrelid = divided.former
            union all
            select 5, 'alter extension visitor_identity add table %s'
        ) as x;

        -- Out of the way: the names of its indexes are needed too.
        for part in
            select r.relation::regclass
            from (
                select divided.former
                union
                select p.relid
                from pg_partition_tree(divided.former) as p
            ) as r (relation)
        loop
            execute format('alter extension visitor_identity drop table %s', part);
            execute format('alter table %s set schema visitor_identity_former', part);
        end loop;

        execute format(
            'create table visitor_identity.%1$I (like visitor_identity_former.%1$I including all excluding indexes) partition by hash (%2$I)',
            divided.name, divided.column_name
        );
        execute format('comment on table visitor_identity.%I is %L', divided.name, divided.comment);
        for remainder in 0 .. partitions - 1 loop
            execute format(
                'create table visitor_identity.%I partition of visitor_identity.%I for values with (modulus %s, remainder %s)%s',
                divided.name || '_p' || remainder, divided.name, partitions, remainder, divided.storage
            );
            execute format(
                'comment on table visitor_identity.%I is %L',
                divided.name || '_p' || remainder, format('A partition of %s, by hash of %s.', divided.name, divided.column_name)
            );
        end loop;
        for part in
            select p.relid
            from pg_partition_tree(format('visitor_identity.%I', divided.name)::regclass) as p
        loop
            -- What default privileges gave.
            for statement in
                select format('revoke all on %s from %s', part, case g.grantee when 0 then 'public' else quote_ident(pg_get_userbyid(g.grantee)) end)
                from pg_class as c
                cross join lateral aclexplode(c.relacl) as g
                where c.oid = part::regclass and g.grantee <> c.relowner
            loop
                execute statement;
            end loop;
            foreach statement in array of_every_part loop
                execute format(statement, part);
            end loop;
        end loop;
        execute format('insert into visitor_identity.%1$I select * from visitor_identity_former.%1$I', divided.name);
        foreach statement in array after_rows loop
            execute statement;
        end loop;
        update visitor_identity.rebind_row as w
        set moved_table = format('visitor_identity.%I', divided.name)::regclass
        where w.moved_table = divided.former;
    end loop;

    foreach statement in array coalesce(views, '{}') loop
        execute statement;
    end loop;
    -- Refused, with its name, where something else was made over one of them: a foreign key, a materialized view.
    drop table visitor_identity_former.visitor, visitor_identity_former.provided_identity, visitor_identity_former.channel_identity;
    drop schema visitor_identity_former;
    analyze visitor_identity.visitor, visitor_identity.provided_identity, visitor_identity.channel_identity;
end
$$;

comment on function visitor_identity.partition_identity_tables(integer) is
'Divides visitor, provided_identity and channel_identity into so many partitions by hash of the visitor_id, the provided id and the channel user id, or divides them anew. All their rows are written once, in one transaction, while nobody else can use them. Names, rights, policies and views stay; dumps can be restored into a divided or an undivided installation. For superusers. VOLATILE. Errors: 22023, 55000; 2BP01 while something depends on one of the tables, as a foreign key does.';
