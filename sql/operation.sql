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
'Puts back what a rebinding moved and that is still where it put it: chats, channel ids, pointers; what came later stays. The pair is not rebound again (note rebind_undone). One row a table with what was put back and what was left alone. VOLATILE. Errors: 42704 for an unknown rebinding; 55000 when it was undone before, or one of its visitors was absorbed or forgotten since.';

-- Reads the chats as the extension's owner: plain columns of plain tables, none of the application's code.
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
begin
    return query
    select f.problem, f.account, f.visitor_id, null::regclass, null::jsonb
    from (
        select 'superseded by a visitor that does not exist' as problem, v.account, v.visitor_id
        from visitor_identity.visitor as v
        where v.superseded_by is not null
            and not exists (
                select
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
        select 'identified and superseded', v.account, v.visitor_id
        from visitor_identity.visitor as v
        where v.superseded_by is not null
            and exists (
                select
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
                select
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
        select 'claimed by a visitor that is missing or superseded', v.account, v.visitor_id
        from visitor_identity.visitor as v
        left join visitor_identity.visitor as s on s.account = v.account and s.visitor_id = v.claimed_by
        where v.claimed_by is not null
            and (s.visitor_id is not null and s.superseded_by is null) is not true
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
                and k.moved_table not in (
                    'visitor_identity.visitor'::regclass, 'visitor_identity.channel_identity'::regclass
                )
        )
        union all
        select 'an identity in an account that does not exist', v.account, v.visitor_id
        from visitor_identity.visitor as v
        where not exists (
            select
            from visitor_identity.account as a
            where a.account = v.account
        )
    ) as f
    where visitor_identity.account_is_visible(f.account);

    for attached in
        select t.*,
            c.oid is not null as is_there,
            (
                select string_agg(format('%L, t.%I', a.attname, a.attname), ', ' order by k.position)
                from pg_index as i
                cross join unnest(i.indkey) with ordinality as k (attnum, position)
                join pg_attribute as a on a.attrelid = i.indrelid and a.attnum = k.attnum
                where i.indrelid = c.oid
                    and i.indisprimary
            ) as key_pairs,
            (
                select count(*)
                from pg_trigger as g
                join pg_proc as p on p.oid = g.tgfoid
                where g.tgrelid = c.oid
                    and p.pronamespace = 'visitor_identity'::regnamespace
                    and g.tgenabled = 'O'
            ) as triggers
        from visitor_identity.attached_table as t
        left join pg_class as c on c.oid = t.attached
    loop
        if not attached.is_there then
            problem := 'an attached table was dropped without being detached';
            account := attached.fixed_account;
            visitor_id := null;
            chat_table := attached.attached;
            chat_key := null;
            return next;
            continue;
        end if;
        if attached.triggers < (
            case
                when coalesce(
                    attached.provided_column, attached.channel_type_column,
                    attached.channel_id_column, attached.channel_user_column
                ) is null then 2
                else 4
            end
        ) then
            problem := 'a trigger of an attached table is missing or not enabled';
            account := attached.fixed_account;
            visitor_id := null;
            chat_table := attached.attached;
            chat_key := null;
            return next;
        end if;
        return query execute format(
            'select f.problem, f.account, f.visitor_id, %1$L::regclass, f.chat_key
            from (
                select case
                        when t.%3$I is null then ''a chat without a visitor''
                        when v.visitor_id is null then ''a chat of a visitor that does not exist''
                        when v.superseded_by is not null then ''a chat left behind on a superseded visitor''
                        when t.%7$I is null then ''a chat without an origin''
                        when p.visitor_id <> t.%3$I and not exists (
                            select
                            from visitor_identity.rebind as r
                            where r.account = p.account
                                and r.from_visitor_id = t.%3$I
                                and r.to_visitor_id = p.visitor_id
                                and r.undone_at is not null
                        ) then ''a chat that is not with the visitor of its own provided id''
                    end as problem,
                    %4$s as account, t.%3$I as visitor_id, jsonb_build_object(%5$s) as chat_key
                from %2$s as t
                left join visitor_identity.visitor as v
                    on v.account = %4$s
                    and v.visitor_id = t.%3$I
                left join visitor_identity.account as a on a.account = %4$s
                left join visitor_identity.provided_identity as p
                    on p.account = %4$s
                    and p.provided_visitor_id = visitor_identity.normalize_provided_visitor_id(%6$s)
                    and (not a.require_signature or p.verified_at is not null)
            ) as f
            where f.problem is not null
                and visitor_identity.account_is_visible(f.account)',
            attached.attached::oid,
            attached.attached,
            attached.visitor_column,
            coalesce('t.' || quote_ident(attached.account_column) || '::text', quote_literal(attached.fixed_account)),
            attached.key_pairs,
            coalesce('t.' || quote_ident(attached.provided_column) || '::text', 'null'),
            attached.origin_column
        );
    end loop;
end
$$;

comment on function visitor_identity.check_integrity() is
'Every broken promise it can find, a row each; no row on a healthy database: chats left behind on superseded visitors, pointers and identities that lead nowhere, rebindings still owed or miscounted, attached tables whose triggers are missing. Reads every chat. STABLE.';
