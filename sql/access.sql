-- Who may do what, and what a dump takes along.

-- A locked session sees its own account in the tables too. Superusers and the extension's functions see all.
do $$
declare
    identity_table regclass;
begin
    foreach identity_table in array array[
        'visitor_identity.account', 'visitor_identity.blocked_identifier', 'visitor_identity.visitor',
        'visitor_identity.provided_identity', 'visitor_identity.channel_identity',
        'visitor_identity.former_channel_identity', 'visitor_identity.rebind',
        'visitor_identity.rebind_row', 'visitor_identity.pending_rebind',
        'visitor_identity.signature_key', 'visitor_identity.visitor_fields',
        'visitor_identity.device',
        'visitor_identity.refused_link',
        'visitor_identity.restored_visitor', 'visitor_identity.restored_provided_identity',
        'visitor_identity.restored_channel_identity'
    ]::regclass[]
    loop
        execute format('alter table %s enable row level security', identity_table);
        execute format(
            'create policy own_account on %s
            using (visitor_identity.account_is_visible(account))
            with check (visitor_identity.account_is_visible(account))',
            identity_table
        );
    end loop;
end
$$;

-- What all accounts share is not changed from within one; the built-in channels are not changed at all.
alter table visitor_identity.channel enable row level security;
create policy everybody_reads on visitor_identity.channel
for select
using (true);
create policy unlocked_adds on visitor_identity.channel
for insert
with check (visitor_identity.account_is_visible(null) and not built_in);
create policy unlocked_changes on visitor_identity.channel
for update
using (visitor_identity.account_is_visible(null) and not built_in);
create policy unlocked_removes on visitor_identity.channel
for delete
using (visitor_identity.account_is_visible(null) and not built_in);

-- Filled with the rights of a table's owner, who may bring chats of his own tables only.
alter table visitor_identity.backfill_queue enable row level security;
create policy own_tables_queue on visitor_identity.backfill_queue
for insert
with check (
    exists (
        select
        from pg_catalog.pg_class as c
        where c.oid operator(pg_catalog.=) attached
            and pg_catalog.pg_has_role(c.relowner, 'usage')
    )
);

alter table visitor_identity.attached_table enable row level security;
create policy own_account on visitor_identity.attached_table
using (fixed_account is null or visitor_identity.account_is_visible(fixed_account));

grant usage on schema visitor_identity to public;

revoke execute on function
    visitor_identity.policy_changed(),
    visitor_identity.restored_row(),
    visitor_identity.partition_identity_tables(integer),
    visitor_identity.check_channel_user_id(text, text, text),
    visitor_identity.resolve_visitor(text, text, text, uuid, text, text),
    visitor_identity.resolve_visitor_detail(text, text, text, uuid, text, text),
    visitor_identity.resolve_visitors(text[], text[], text[], uuid[], text[], text),
    visitor_identity.find_visitor(text, text, text, uuid, text, text),
    visitor_identity.chat_visitor(text, text, text, uuid, text, text),
    visitor_identity.at_account(text, text, text),
    visitor_identity.derive_visitor_id(text, text),
    visitor_identity.chat_row_before(),
    visitor_identity.chat_row_after(),
    visitor_identity.chat_row_leaves(),
    visitor_identity.attach_chat_table(regclass, name, name, name, name, name, name, name, name, name, text, text),
    visitor_identity.attach_visitor_table(regclass, name, name, text, text),
    visitor_identity.rows_left_behind(regclass, text, uuid, uuid),
    visitor_identity.detach_table(regclass, boolean),
    visitor_identity.backfill_begin(regclass),
    visitor_identity.backfill_batch(regclass, integer),
    visitor_identity.create_chat_store(name, boolean),
    visitor_identity.attached_rows(regclass),
    visitor_identity.search_history(text, text, text, integer, timestamptz, regclass, jsonb),
    visitor_identity.explain_resolution(text, text, text, uuid, text, text),
    visitor_identity.undo_rebind(bigint, text),
    visitor_identity.merge_visitors(uuid, uuid, text, text),
    visitor_identity.rename_channel_user(text, text, text, text, text),
    visitor_identity.unattached_tables(),
    visitor_identity.check_integrity(),
    visitor_identity.unusable_identifiers(text, text, text, text, text),
    visitor_identity.find_anomalies(),
    visitor_identity.add_signature_key(text, text, text),
    visitor_identity.retire_signature_key(bigint, text),
    visitor_identity.verify_visitor_fields(jsonb, text),
    visitor_identity.authorize_visitor(jsonb, uuid, text, text, text, text),
    visitor_identity.register_device(uuid, text, text, text, text, text),
    visitor_identity.unregister_device(text, text, text),
    visitor_identity.push_targets(uuid, text, text),
    visitor_identity.prune_devices(interval, text),
    visitor_identity.visitor_payload(uuid, text, text),
    visitor_identity.bot_payload(anyelement, jsonb),
    visitor_identity.external_user_id(uuid, text, text),
    visitor_identity.visitor_graph(uuid, text, integer),
    visitor_identity.visitor_history(uuid, text),
    visitor_identity.export_visitor(uuid, text),
    visitor_identity.forget_visitor(uuid, text, jsonb, text),
    visitor_identity.distribute(boolean, integer)
from public;

revoke execute on procedure visitor_identity.backfill_chats(regclass, integer) from public;

create function visitor_identity.grant_access(role name, level text)
returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    view_name regclass;
begin
    if level is null or level not in ('reader', 'application', 'admin') then
        raise exception 'invalid value for level'
            using errcode = '22023',
                detail = 'It is one of: reader, application, admin.',
                hint = 'Spell the value in lower case, without blanks.';
    end if;
    execute format('grant usage on schema visitor_identity to %I', role);
    execute format('
        grant execute on function
            visitor_identity.find_visitor(text, text, text, uuid, text, text),
            visitor_identity.check_channel_user_id(text, text, text),
            visitor_identity.search_history(text, text, text, integer, timestamptz, regclass, jsonb)
        to %I', role);
    execute format('grant select on visitor_identity.channel to %I', role);
    for view_name in
        select v.attached_view
        from visitor_identity.attached_table as t
        cross join lateral (values (t.history_view), (t.workspace_view)) as v (attached_view)
        join pg_class as c on c.oid = v.attached_view
    loop
        execute format('grant select on %s to %I', view_name, role);
        execute format(
            'grant usage on schema %I to %I',
            (
                select n.nspname
                from pg_class as c
                join pg_namespace as n on n.oid = c.relnamespace
                where c.oid = view_name
            ),
            role
        );
    end loop;
    if level in ('application', 'admin') then
        execute format('
            grant execute on function
                visitor_identity.resolve_visitor(text, text, text, uuid, text, text),
                visitor_identity.resolve_visitor_detail(text, text, text, uuid, text, text),
                visitor_identity.resolve_visitors(text[], text[], text[], uuid[], text[], text),
                visitor_identity.chat_visitor(text, text, text, uuid, text, text),
                visitor_identity.verify_visitor_fields(jsonb, text),
                visitor_identity.authorize_visitor(jsonb, uuid, text, text, text, text),
                visitor_identity.register_device(uuid, text, text, text, text, text),
                visitor_identity.unregister_device(text, text, text),
                visitor_identity.push_targets(uuid, text, text),
                visitor_identity.visitor_payload(uuid, text, text),
                visitor_identity.bot_payload(anyelement, jsonb),
                visitor_identity.external_user_id(uuid, text, text)
            to %I', role);
    end if;
    if level = 'admin' then
        execute format('
            grant execute on function
                visitor_identity.derive_visitor_id(text, text),
                visitor_identity.attach_chat_table(regclass, name, name, name, name, name, name, name, name, name, text, text),
                visitor_identity.attach_visitor_table(regclass, name, name, text, text),
                visitor_identity.detach_table(regclass, boolean),
                visitor_identity.backfill_begin(regclass),
                visitor_identity.backfill_batch(regclass, integer),
                visitor_identity.create_chat_store(name, boolean),
                visitor_identity.explain_resolution(text, text, text, uuid, text, text),
                visitor_identity.undo_rebind(bigint, text),
                visitor_identity.merge_visitors(uuid, uuid, text, text),
                visitor_identity.rename_channel_user(text, text, text, text, text),
                visitor_identity.unattached_tables(),
                visitor_identity.check_integrity(),
                visitor_identity.unusable_identifiers(text, text, text, text, text),
                visitor_identity.find_anomalies(),
                visitor_identity.add_signature_key(text, text, text),
                visitor_identity.retire_signature_key(bigint, text),
                visitor_identity.prune_devices(interval, text),
                visitor_identity.visitor_graph(uuid, text, integer),
                visitor_identity.visitor_history(uuid, text),
                visitor_identity.export_visitor(uuid, text),
                visitor_identity.forget_visitor(uuid, text, jsonb, text)
            to %I', role);
        execute format('grant execute on procedure visitor_identity.backfill_chats(regclass, integer) to %I', role);
        execute format('
            grant select on
                visitor_identity.visitor, visitor_identity.provided_identity,
                visitor_identity.channel_identity, visitor_identity.former_channel_identity,
                visitor_identity.rebind, visitor_identity.rebind_row,
                visitor_identity.pending_rebind, visitor_identity.attached_table,
                visitor_identity.visitor_fields, visitor_identity.device,
                visitor_identity.refused_link, visitor_identity.anomalies, visitor_identity.statistics
            to %I', role);
        execute format('
            grant select, insert, update, delete on
                visitor_identity.account, visitor_identity.channel,
                visitor_identity.blocked_identifier
            to %I', role);
    end if;
end
$$;

revoke execute on function visitor_identity.grant_access(name, text) from public;

comment on function visitor_identity.grant_access(name, text) is
'Gives a role what it needs. reader: find_visitor, search_history and the views of the tables attached so far. application: also resolve_visitor, chat_visitor, authorize_visitor, registering devices, push_targets and the payloads. admin: also visitor_graph and visitor_history, telling and forgetting a person, attaching, policies, adding signature keys and reading the identity tables; the keys are read by nobody. Roles are not created; run it again after attaching another table. For superusers. VOLATILE. Errors: 22023, 42704.';

comment on sequence visitor_identity.rebind_rebind_id_seq is 'Numbers of rebindings.';
comment on sequence visitor_identity.refused_link_refused_id_seq is 'Numbers of refused links.';
comment on sequence visitor_identity.signature_key_key_id_seq is 'Numbers of signature keys.';

do $$
declare
    object record;
begin
    for object in
        select
            format('policy %I on %s', p.polname, p.polrelid::regclass) as name,
            case p.polname
                when 'own_account' then 'A session that is locked to an account sees and writes the rows of that account alone.'
                when 'own_tables_queue' then 'A role queues chats of its own tables only.'
                when 'everybody_reads' then 'The channels are those of all accounts.'
                else 'What all accounts share is changed by sessions that are not locked to one, and the built-in channels by nobody.'
            end as meaning
        from pg_policy as p
        join pg_class as c on c.oid = p.polrelid
        where c.relnamespace = 'visitor_identity'::regnamespace
        union all
        select
            format('trigger %I on %s', t.tgname, t.tgrelid::regclass),
            case t.tgname
                when 'account_row' then 'The row default gives way to one that a restore or replication brings; what cannot change does not.'
                when 'restored_row' then 'What is restored goes where it belongs.'
                else 'Every backend reads the table again.'
            end
        from pg_trigger as t
        join pg_class as c on c.oid = t.tgrelid
        where c.relnamespace = 'visitor_identity'::regnamespace
            and not t.tgisinternal
        union all
        select
            format('constraint %I on %s', n.conname, n.conrelid::regclass),
            case n.contype
                when 'p' then 'The key.'
                else 'What the comment of the column or of the table says of its values.'
            end
        from pg_constraint as n
        join pg_class as c on c.oid = n.conrelid
        where c.relnamespace = 'visitor_identity'::regnamespace
    loop
        execute format('comment on %s is %L', object.name, object.meaning);
    end loop;
end
$$;

select pg_catalog.pg_extension_config_dump('visitor_identity.account', '');
select pg_catalog.pg_extension_config_dump('visitor_identity.channel', 'where not built_in');
select pg_catalog.pg_extension_config_dump('visitor_identity.blocked_identifier', '');
select pg_catalog.pg_extension_config_dump('visitor_identity.visitor', '');
select pg_catalog.pg_extension_config_dump('visitor_identity.provided_identity', '');
select pg_catalog.pg_extension_config_dump('visitor_identity.channel_identity', '');
select pg_catalog.pg_extension_config_dump('visitor_identity.former_channel_identity', '');
-- Nothing, unless the table is partitioned; its partitions are not dumped by themselves.
do $$
declare
    divided name;
begin
    foreach divided in array '{visitor, provided_identity, channel_identity}'::name[] loop
        perform pg_catalog.pg_extension_config_dump(
            format('visitor_identity.%I', 'restored_' || divided)::regclass,
            format(
                'union all select %s from visitor_identity.%I where exists (select 1 from pg_catalog.pg_partitioned_table where partrelid = %L::pg_catalog.regclass)',
                (
                    select string_agg(quote_ident(a.attname), ', ' order by a.attnum)
                    from pg_attribute as a
                    where a.attrelid = format('visitor_identity.%I', divided)::regclass
                        and a.attnum > 0
                ),
                divided,
                format('visitor_identity.%I', divided)
            )
        );
    end loop;
end
$$;
select pg_catalog.pg_extension_config_dump('visitor_identity.rebind', '');
select pg_catalog.pg_extension_config_dump('visitor_identity.rebind_rebind_id_seq', '');
select pg_catalog.pg_extension_config_dump('visitor_identity.rebind_row', '');
select pg_catalog.pg_extension_config_dump('visitor_identity.pending_rebind', '');
select pg_catalog.pg_extension_config_dump(
    'visitor_identity.backfill_queue',
    'where exists (select from pg_catalog.pg_class as c where c.oid = attached)'
);
select pg_catalog.pg_extension_config_dump('visitor_identity.signature_key', '');
select pg_catalog.pg_extension_config_dump('visitor_identity.signature_key_key_id_seq', '');
select pg_catalog.pg_extension_config_dump('visitor_identity.visitor_fields', '');
select pg_catalog.pg_extension_config_dump('visitor_identity.device', '');
select pg_catalog.pg_extension_config_dump('visitor_identity.refused_link', '');
select pg_catalog.pg_extension_config_dump('visitor_identity.refused_link_refused_id_seq', '');
select pg_catalog.pg_extension_config_dump('visitor_identity.distributed_table', 'where false');
select pg_catalog.pg_extension_config_dump(
    'visitor_identity.attached_table',
    'where exists (select from pg_catalog.pg_class as c where c.oid = attached)'
);
