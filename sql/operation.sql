-- What a DBA does by hand: look, explain, undo, check.

create function visitor_identity.explain_resolution(
    provided_visitor_id text default null,
    channel_type text default null,
    channel_user_id text default null,
    visitor_id uuid default null,
    channel_id text default '',
    account text default null
)
returns table (
    step integer,
    topic text,
    finding text
)
language c stable security definer rows 12
as 'MODULE_PATHNAME', 'explain_resolution_wrapper';

comment on function visitor_identity.explain_resolution(text, text, text, uuid, text, text) is
'What resolve_visitor would do with these arguments, step by step: what was usable, what was found, which rule fires, what would move. Writes nothing. STABLE. Errors as find_visitor.';

create function visitor_identity.undo_rebind(
    rebind_id bigint,
    account text default null
)
returns table (
    moved_table regclass,
    put_back bigint,
    left_alone bigint
)
language c volatile security definer rows 4
as 'MODULE_PATHNAME', 'undo_rebind_wrapper';

comment on function visitor_identity.undo_rebind(bigint, text) is
'Puts back what a rebinding moved and that is still where it put it: chats, channel ids, devices, pointers; what came later stays, and so does a chat whose own provided id is the target''s. The pair is not rebound again (note rebind_undone). One row a table with what was put back and what was left alone. VOLATILE. Errors: 42704 for an unknown rebinding; 55000 when it was undone before, or one of its visitors was absorbed or forgotten since.';

create function visitor_identity.merge_visitors(
    from_visitor_id uuid,
    into_visitor_id uuid,
    reason text default 'merge_visitors',
    account text default null
)
returns bigint
language c volatile security definer
as 'MODULE_PATHNAME', 'merge_visitors_wrapper';

comment on function visitor_identity.merge_visitors(uuid, uuid, text, text) is
'Joins two visitors who are one person: everything of the first moves to the second, identified one. Resolution never does this. Logged with the reason; the number that is returned undoes it by undo_rebind; NULL when both are the same. VOLATILE. Errors: 42704 for an unknown visitor; 55000 when one was absorbed or forgotten, or the second is anonymous.';

create function visitor_identity.rename_channel_user(
    channel_type text,
    old_channel_user_id text,
    new_channel_user_id text,
    channel_id text default '',
    account text default null
)
returns uuid
language c volatile security definer
as 'MODULE_PATHNAME', 'rename_channel_user_wrapper';

comment on function visitor_identity.rename_channel_user(text, text, text, text, text) is
'Follows a platform that gave a person another id: the visitor stays, the new id is bound to him, the old one is free for whoever gets it next; History still finds the old chats by the old id. Returns the visitor. VOLATILE. Errors: 42704 when the old id is not bound; 55000 when the new one is another visitor''s; 22004, 22023, 22001.';

create function visitor_identity.unattached_tables()
returns table (
    unattached regclass,
    visitor_column name
)
language sql stable
set search_path = pg_catalog, pg_temp
as $$
    select c.oid::regclass, a.attname
    from pg_class as c
    join pg_namespace as n on n.oid = c.relnamespace
    join pg_attribute as a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
    join pg_type as t on t.oid = a.atttypid
    where c.relkind in ('r', 'p')
        and not c.relispartition
        and c.relpersistence <> 't'
        and n.nspname not in ('pg_catalog', 'information_schema', 'visitor_identity')
        and (
            a.atttypid = 'visitor_identity.visitor_id'::regtype
            or (a.attname = 'visitor_id' and coalesce(nullif(t.typbasetype, 0), t.oid) = 'uuid'::regtype)
        )
        and not exists (
            select
            from visitor_identity.attached_table as x
            where x.attached = c.oid
        )
    order by 1, 2
$$;

comment on function visitor_identity.unattached_tables() is
'Tables that reference visitors, by a column named visitor_id or of the domain visitor_id, and are not attached, as chats or as another table: their rows do not follow a rebinding. STABLE.';

create function visitor_identity.rows_left_behind(
    attached_table regclass,
    account text,
    from_visitor_id uuid,
    to_visitor_id uuid
)
returns jsonb
language c stable
as 'MODULE_PATHNAME', 'rows_left_behind_wrapper';

comment on function visitor_identity.rows_left_behind(regclass, text, uuid, uuid) is
'For check_integrity: the keys of rows of an attached visitor table that are with a superseded visitor and should be with the other one, an array as in rebind_row. Not those that a rebinding keeps because their unique key is taken. Looks at the table with the rights of its owner. STABLE. Errors: none.';

-- Reads the rows by attached_rows: as the owners of the tables.
create function visitor_identity.check_integrity()
returns table (
    problem text,
    account text,
    visitor_id uuid,
    chat_table regclass,
    chat_key jsonb
)
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    attached record;
    superseded record;
begin
    return query
    select f.problem, f.account, f.visitor_id, null::regclass, null::jsonb
    from (
        select 'superseded by a visitor that does not exist' as problem, v.account, v.visitor_id
        from visitor_identity.visitor as v
        where v.superseded_by is not null
            and not exists (
                select 1
                from visitor_identity.visitor as s
                where s.account = v.account
                    and s.visitor_id = v.superseded_by
            )
        union all
        select 'superseded by a superseded visitor', v.account, v.visitor_id
        from visitor_identity.visitor as v
        join visitor_identity.visitor as s on s.account = v.account and s.visitor_id = v.superseded_by
        where s.superseded_by is not null
        union all
        select 'a visitor_id that is no id', v.account, v.visitor_id
        from visitor_identity.visitor as v
        where v.visitor_id in (
            '00000000-0000-0000-0000-000000000000'::uuid,
            'ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid
        )
        union all
        select 'identified and superseded', v.account, v.visitor_id
        from visitor_identity.visitor as v
        where v.superseded_by is not null
            and exists (
                select 1
                from visitor_identity.provided_identity as p
                where p.account = v.account
                    and p.visitor_id = v.visitor_id
            )
        union all
        select 'identified without a provided id', v.account, v.visitor_id
        from visitor_identity.visitor as v
        where v.identified
            and v.superseded_by is null
            and not v.forgotten
            and not exists (
                select 1
                from visitor_identity.provided_identity as p
                where p.account = v.account
                    and p.visitor_id = v.visitor_id
            )
        union all
        select 'a provided id of a visitor that is missing, forgotten or not marked as identified', p.account, p.visitor_id
        from visitor_identity.provided_identity as p
        left join visitor_identity.visitor as v on v.account = p.account and v.visitor_id = p.visitor_id
        where (v.identified and not v.forgotten) is not true
        union all
        select 'a channel user id of a visitor that is missing, superseded or forgotten', c.account, c.visitor_id
        from visitor_identity.channel_identity as c
        left join visitor_identity.visitor as v on v.account = c.account and v.visitor_id = c.visitor_id
        where (v.superseded_by is null and v.visitor_id is not null and not v.forgotten) is not true
        union all
        select 'a device of a visitor that is missing, superseded or forgotten', d.account, d.visitor_id
        from visitor_identity.device as d
        left join visitor_identity.visitor as v on v.account = d.account and v.visitor_id = d.visitor_id
        where (v.superseded_by is null and v.visitor_id is not null and not v.forgotten) is not true
        union all
        select 'a push token of two devices', d.account, d.visitor_id
        from (
            select
                t.account,
                t.visitor_id,
                min(left(t.device_id, 36)) over token <> max(left(t.device_id, 36)) over token as is_shared
            from visitor_identity.device as t
            window token as (partition by t.account, t.app, t.service, t.token)
        ) as d
        where d.is_shared
        union all
        select 'claimed by a visitor that does not exist', v.account, v.visitor_id
        from visitor_identity.visitor as v
        left join visitor_identity.visitor as s on s.account = v.account and s.visitor_id = v.claimed_by
        where v.claimed_by is not null
            and s.visitor_id is null
        union all
        select 'claimed, and superseded or identified', v.account, v.visitor_id
        from visitor_identity.visitor as v
        where v.claimed_by is not null
            and (v.superseded_by is not null or v.identified)
        union all
        select 'verified fields of a visitor that is missing or forgotten', f.account, f.visitor_id
        from visitor_identity.visitor_fields as f
        left join visitor_identity.visitor as v on v.account = f.account and v.visitor_id = f.visitor_id
        where v.forgotten is not false
        union all
        select 'a former channel user id of a visitor that is missing or forgotten', c.account, c.visitor_id
        from visitor_identity.former_channel_identity as c
        left join visitor_identity.visitor as v on v.account = c.account and v.visitor_id = c.visitor_id
        where v.forgotten is not false
        union all
        select 'a refused link between visitors that do not exist', r.account, r.visitor_id
        from visitor_identity.refused_link as r
        left join visitor_identity.visitor as v on v.account = r.account and v.visitor_id = r.visitor_id
        left join visitor_identity.visitor as p on p.account = r.account and p.visitor_id = r.to_visitor_id
        where v.visitor_id is null
            or p.visitor_id is null
        union all
        select 'a rebinding between visitors that do not exist', r.account, r.from_visitor_id
        from visitor_identity.rebind as r
        left join visitor_identity.visitor as v on v.account = r.account and v.visitor_id = r.from_visitor_id
        left join visitor_identity.visitor as p on p.account = r.account and p.visitor_id = r.to_visitor_id
        where v.visitor_id is null
            or p.visitor_id is null
        union all
        select 'a rebinding that stands, of a visitor that is not superseded', r.account, r.from_visitor_id
        from visitor_identity.rebind as r
        join visitor_identity.visitor as v on v.account = r.account and v.visitor_id = r.from_visitor_id
        where r.kind <> 'chat'
            and r.undone_at is null
            and v.superseded_by is null
            and not v.forgotten
        union all
        select 'logged rows of a rebinding that does not exist', k.account, null
        from (
            select distinct w.account, w.rebind_id
            from visitor_identity.rebind_row as w
        ) as k
        where not exists (
            select 1
            from visitor_identity.rebind as r
            where r.account = k.account
                and r.rebind_id = k.rebind_id
        )
        union all
        select 'a rebinding is owed', r.account, r.visitor_id
        from visitor_identity.pending_rebind as r
        union all
        select 'a rebinding whose count differs from the rows it logged', r.account, r.from_visitor_id
        from visitor_identity.rebind as r
        where r.rebound_chats <> (
            select coalesce(sum(jsonb_array_length(k.keys)), 0)
            from visitor_identity.rebind_row as k
            where k.account = r.account
                and k.rebind_id = r.rebind_id
                -- By name: where the tables are distributed, a table has another number on every node.
                and k.moved_table::text not in (
                    'visitor_identity.visitor', 'visitor_identity.channel_identity',
                    'visitor_identity.provided_identity', 'visitor_identity.device'
                )
                and not k.of_visitor_table
        )
            -- Of a forgotten person the keys are erased, all of them.
            and not (
                exists (
                    select 1
                    from visitor_identity.visitor as v
                    where v.account = r.account
                        and v.visitor_id in (r.from_visitor_id, r.to_visitor_id)
                        and v.forgotten
                )
                and not exists (
                    select 1
                    from visitor_identity.rebind_row as k
                    where k.account = r.account
                        and k.rebind_id = r.rebind_id
                )
            )
        union all
        select 'forgotten, and not so its survivor, or the reverse', v.account, v.visitor_id
        from visitor_identity.visitor as v
        join visitor_identity.visitor as s on s.account = v.account and s.visitor_id = v.superseded_by
        where v.forgotten <> s.forgotten
        union all
        select 'an identity in an account that does not exist', v.account, v.visitor_id
        from visitor_identity.visitor as v
        where not exists (
            select 1
            from visitor_identity.account as a
            where a.account = v.account
        )
        union all
        select 'a blocked value or a key of an account that does not exist', k.account, null
        from (
            select b.account
            from visitor_identity.blocked_identifier as b
            union
            select s.account
            from visitor_identity.signature_key as s
        ) as k
        where not exists (
            select 1
            from visitor_identity.account as a
            where a.account = k.account
        )
        union all
        -- As ALTER TABLE ... ENABLE TRIGGER ALL leaves it, which ends what pg_restore --disable-triggers does.
        select 'a trigger of the extension does not fire always', null, null::uuid
        where exists (
            select 1
            from pg_trigger as g
            where g.tgfoid in (
                    'visitor_identity.account_row'::regproc, 'visitor_identity.policy_changed'::regproc,
                    'visitor_identity.restored_row'::regproc
                )
                and g.tgenabled <> 'A'
        )
    ) as f
    where visitor_identity.account_is_visible(f.account);

    for attached in
        select t.attached,
            t.fixed_account,
            t.kind,
            c.oid is not null as is_there,
            a.key_names[1] as key_name,
            coalesce(
                a.provided_column, a.channel_type_column, a.channel_id_column, a.channel_user_column
            ) is not null as has_identifiers,
            x.has_columns,
            x.owner_reads,
            (
                select t.kind = 'visitor' or count(*) = 2
                from pg_class as w
                where w.oid in (t.history_view, t.workspace_view)
                    and w.relowner = c.relowner
            ) as has_its_views,
            (
                select count(*)
                from pg_trigger as g
                join pg_proc as p on p.oid = g.tgfoid
                where g.tgrelid = c.oid
                    and p.pronamespace = 'visitor_identity'::regnamespace
                    and g.tgenabled = 'O'
            ) as triggers,
            (c.relkind = 'p')::integer as triggers_of_movement,
            -- Citus takes no triggers: the application asks chat_visitor.
            exists (
                select 1
                from visitor_identity.distributed_table as d
                where d.table_name = t.attached::text
            ) as is_distributed,
            exists (
                select 1
                from pg_partition_tree(c.oid) as l
                join pg_trigger as g on g.tgrelid = l.relid
                join pg_proc as p on p.oid = g.tgfoid
                where p.pronamespace = 'visitor_identity'::regnamespace
                    and g.tgenabled <> 'O'
            ) as disabled_somewhere
        from visitor_identity.attached_table as t
        left join pg_class as c on c.oid = t.attached
        left join visitor_identity.attachment as a on a.relation = c.oid
        left join visitor_identity.attachment_text as x on x.relation = c.oid
        where t.fixed_account is null
            or visitor_identity.account_is_visible(t.fixed_account)
    loop
        return query
        select f.problem, attached.fixed_account, null::uuid, attached.attached, null::jsonb
        from (
            select 'an attached table was dropped without being detached' as problem
            where not attached.is_there
            union all
            select 'a view of an attached table is missing or of another owner'
            where attached.is_there
                and not attached.has_its_views
            union all
            select 'an attached table of an account that does not exist'
            where attached.is_there
                and attached.fixed_account is not null
                and not exists (
                    select 1
                    from visitor_identity.account as a
                    where a.account = attached.fixed_account
                )
            union all
            select 'a trigger of an attached table is missing or not enabled'
            where attached.is_there
                and not attached.is_distributed
                and (
                    attached.disabled_somewhere
                    or attached.triggers < attached.triggers_of_movement
                        + (case when attached.has_identifiers then 5 else 3 end)
                )
            union all
            select 'a column of an attached table is missing'
            where attached.is_there
                and not attached.has_columns
            union all
            select 'the owner of an attached table may not read it'
            where attached.is_there
                and attached.has_columns is not false
                and not attached.owner_reads
        ) as f;
        continue when not attached.is_there
            or not attached.has_columns
            or not attached.owner_reads;
        if attached.kind = 'visitor' then
            return query
            select 'a row of a visitor that does not exist', t.account, t.visitor_id, attached.attached, t.row_key::jsonb
            from visitor_identity.attached_rows(attached.attached) as t
            left join visitor_identity.visitor as v
                on v.account = t.account
                and v.visitor_id = t.visitor_id
            where t.visitor_id is not null
                and v.visitor_id is null
                and visitor_identity.account_is_visible(t.account);
            -- One by one: a function that reads distributed tables is not asked by a query over others.
            for superseded in
                select distinct v.account, v.visitor_id, v.superseded_by
                from visitor_identity.attached_rows(attached.attached) as t
                join visitor_identity.visitor as v
                    on v.account = t.account
                    and v.visitor_id = t.visitor_id
                where v.superseded_by is not null
                    and visitor_identity.account_is_visible(v.account)
            loop
                return query
                select 'a row left behind on a superseded visitor', superseded.account, superseded.visitor_id, attached.attached,
                    case jsonb_typeof(k.value)
                        when 'object' then k.value
                        else jsonb_build_object(attached.key_name, k.value)
                    end
                from jsonb_array_elements(visitor_identity.rows_left_behind(
                    attached.attached, superseded.account, superseded.visitor_id, superseded.superseded_by
                )) as k (value);
            end loop;
            continue;
        end if;
        return query
        select f.problem, f.account, f.visitor_id, attached.attached, f.chat_key
        from (
            select case
                    when t.visitor_id is null then 'a chat without a visitor'
                    when v.visitor_id is null then 'a chat of a visitor that does not exist'
                    when v.superseded_by is not null then 'a chat left behind on a superseded visitor'
                    when t.origin_visitor_id is null then 'a chat without an origin'
                    -- Of a forgotten person, rows that were kept show an id that may be a new visitor's by now.
                    when p.visitor_id <> t.visitor_id and not v.forgotten then 'a chat that is not with the visitor of its own provided id'
                end as problem,
                t.account, t.visitor_id, t.row_key::jsonb as chat_key
            from visitor_identity.attached_rows(attached.attached) as t
            left join visitor_identity.visitor as v
                on v.account = t.account
                and v.visitor_id = t.visitor_id
            left join visitor_identity.account as a on a.account = t.account
            left join visitor_identity.provided_identity as p
                on p.account = t.account
                and p.provided_visitor_id = visitor_identity.normalize_provided_visitor_id(t.provided_visitor_id)
                and (not a.require_signature or p.verified_at is not null)
        ) as f
        where f.problem is not null
            and visitor_identity.account_is_visible(f.account);
    end loop;
end
$$;

comment on function visitor_identity.check_integrity() is
'Every broken promise it can find, a row each; no row on a healthy database: chats left behind on superseded visitors, rows of other attached tables left behind there, pointers and identities that lead nowhere, rebindings still owed or miscounted, attached tables whose triggers are missing. Reads every chat. STABLE.';
