-- The identity tables: who is bound to whom, who was absorbed by whom, and the log of every move.
-- Written by the extension's functions only. No foreign keys between them: account leads every key, the rows of one
-- binding are written by one statement, and a key check would lock the account's row for every first sight.

create table visitor_identity.visitor (
    account text collate "C" not null,
    visitor_id uuid not null,
    superseded_by uuid,
    claimed_by uuid,
    identified boolean not null default false,
    forgotten boolean not null default false,
    created_at timestamptz not null default pg_catalog.now(),
    constraint visitor_pkey primary key (account, visitor_id)
);

create index visitor_superseded_by_idx
on visitor_identity.visitor (account, superseded_by)
where superseded_by is not null;
comment on index visitor_identity.visitor_superseded_by_idx is 'Whom a visitor absorbed.';

create index visitor_claimed_by_idx
on visitor_identity.visitor (account, claimed_by)
where claimed_by is not null;
comment on index visitor_identity.visitor_claimed_by_idx is 'Whom a visitor claimed.';

comment on table visitor_identity.visitor is
'Every visitor_id ever issued or adopted. Almost immutable: a row changes when it is superseded, claimed, identified or forgotten, and never otherwise.';
comment on column visitor_identity.visitor.account is 'The account.';
comment on column visitor_identity.visitor.visitor_id is 'The visitor''s GUID.';
comment on column visitor_identity.visitor.superseded_by is 'The canonical visitor that absorbed this one; always a survivor itself (depth one).';
comment on column visitor_identity.visitor.claimed_by is 'The identified visitor whose login claimed this anonymous one without absorbing it; nobody else may absorb it.';
comment on column visitor_identity.visitor.identified is 'True when a provided id is bound to this visitor.';
comment on column visitor_identity.visitor.forgotten is 'True for the tombstone of a forgotten person: resolves as unknown, never adopted again.';
comment on column visitor_identity.visitor.created_at is 'When the visitor was first seen.';

create table visitor_identity.provided_identity (
    account text collate "C" not null,
    provided_visitor_id text collate "C" not null,
    visitor_id uuid not null,
    verified_at timestamptz,
    created_at timestamptz not null default pg_catalog.now(),
    -- The id first: a filter of a History view names no account, and two ids differ sooner than two accounts, which is
    -- a third of what finding a known visitor costs. Without it a second index would be needed.
    constraint provided_identity_pkey primary key (provided_visitor_id, account)
);

-- The visitor before the account: the views look it up for every chat, and two visitors differ sooner than two accounts.
create index provided_identity_visitor_idx
on visitor_identity.provided_identity (visitor_id, account, created_at, provided_visitor_id);
comment on index visitor_identity.provided_identity_visitor_idx is 'The provided ids of a visitor, the first one first.';

comment on table visitor_identity.provided_identity is
'Which canonical visitor a provided id is bound to. Bound once, for good.';
comment on column visitor_identity.provided_identity.account is 'The account.';
comment on column visitor_identity.provided_identity.provided_visitor_id is 'The id in the client''s system, trimmed.';
comment on column visitor_identity.provided_identity.visitor_id is 'The canonical visitor: never a superseded one.';
comment on column visitor_identity.provided_identity.verified_at is 'When a signature last proved this id; NULL when it was only claimed.';
comment on column visitor_identity.provided_identity.created_at is 'When the id was first seen.';

create table visitor_identity.channel_identity (
    account text collate "C" not null,
    channel_type text collate "C" not null,
    channel_id text collate "C" not null,
    channel_user_id text collate "C" not null,
    visitor_id uuid not null,
    created_at timestamptz not null default pg_catalog.now(),
    constraint channel_identity_pkey primary key (account, channel_user_id, channel_type, channel_id)
);

create index channel_identity_visitor_idx
on visitor_identity.channel_identity (account, visitor_id);
comment on index visitor_identity.channel_identity_visitor_idx is 'The channel user ids of a visitor.';

comment on table visitor_identity.channel_identity is
'Which canonical visitor a channel user id is bound to: the latest authorization wins.';
comment on column visitor_identity.channel_identity.account is 'The account.';
comment on column visitor_identity.channel_identity.channel_type is 'The channel.';
comment on column visitor_identity.channel_identity.channel_id is 'The page, bot or number within the channel; empty where there is one.';
comment on column visitor_identity.channel_identity.channel_user_id is 'The visitor''s id in the channel, normalized.';
comment on column visitor_identity.channel_identity.visitor_id is 'The canonical visitor: never a superseded one.';
comment on column visitor_identity.channel_identity.created_at is 'When the id was first seen.';

create table visitor_identity.former_channel_identity (
    account text collate "C" not null,
    channel_type text collate "C" not null,
    channel_id text collate "C" not null,
    channel_user_id text collate "C" not null,
    visitor_id uuid not null,
    until timestamptz not null default pg_catalog.now(),
    constraint former_channel_identity_pkey
        primary key (account, channel_user_id, channel_type, channel_id, visitor_id)
);

create index former_channel_identity_visitor_idx
on visitor_identity.former_channel_identity (account, visitor_id);
comment on index visitor_identity.former_channel_identity_visitor_idx is 'The channel user ids that a visitor held before.';

comment on table visitor_identity.former_channel_identity is
'Which visitors a channel user id pointed to before, while their chats stayed: so that History finds those chats by the channel id.';
comment on column visitor_identity.former_channel_identity.account is 'The account.';
comment on column visitor_identity.former_channel_identity.channel_type is 'The channel.';
comment on column visitor_identity.former_channel_identity.channel_id is 'The page, bot or number within the channel.';
comment on column visitor_identity.former_channel_identity.channel_user_id is 'The visitor''s id in the channel, normalized.';
comment on column visitor_identity.former_channel_identity.visitor_id is 'The visitor who held the id.';
comment on column visitor_identity.former_channel_identity.until is 'When the id was pointed to another visitor.';

create table visitor_identity.rebind (
    account text collate "C" not null,
    rebind_id bigint generated by default as identity,
    kind text collate "C" not null
        constraint rebind_kind check (kind in ('visitor', 'chat', 'merge')),
    from_visitor_id uuid not null,
    to_visitor_id uuid not null,
    rebound_chats bigint not null,
    kept_rows bigint not null default 0,
    claimed_by uuid,
    reason text collate "C" not null,
    rebound_by text collate "C" not null default session_user,
    rebound_at timestamptz not null default pg_catalog.now(),
    undone_at timestamptz,
    constraint rebind_pkey primary key (account, rebind_id)
);

create index rebind_from_idx on visitor_identity.rebind (account, from_visitor_id);
comment on index visitor_identity.rebind_from_idx is 'The rebindings away from a visitor.';
create index rebind_to_idx on visitor_identity.rebind (account, to_visitor_id);
comment on index visitor_identity.rebind_to_idx is 'The rebindings to a visitor.';

comment on table visitor_identity.rebind is
'Every rebinding: who, when, why, from, to, how many chats.';
comment on column visitor_identity.rebind.account is 'The account.';
comment on column visitor_identity.rebind.rebind_id is 'Number of the rebinding, unique in the database.';
comment on column visitor_identity.rebind.kind is 'visitor: the whole visitor was absorbed. chat: one chat row alone moved. merge: two visitors were joined by order.';
comment on column visitor_identity.rebind.from_visitor_id is 'Where the chats were.';
comment on column visitor_identity.rebind.to_visitor_id is 'Where the chats went.';
comment on column visitor_identity.rebind.rebound_chats is 'How many chats moved; the count of the keys in rebind_row for attached chat tables, until the person is forgotten.';
comment on column visitor_identity.rebind.kept_rows is 'How many rows of attached visitor tables stayed with the former visitor, because the target has a row of the same unique key.';
comment on column visitor_identity.rebind.claimed_by is 'Who had claimed the absorbed visitor before; an undo gives the claim back. NULL when nobody had.';
comment on column visitor_identity.rebind.reason is 'What caused it: resolve_visitor, chat_insert, chat_update, pending, backfill_chats, or the words of whoever ordered a merge; forgotten where they were erased.';
comment on column visitor_identity.rebind.rebound_by is 'The session user.';
comment on column visitor_identity.rebind.rebound_at is 'When (start of the transaction).';
comment on column visitor_identity.rebind.undone_at is 'When it was undone; NULL while it stands.';

create table visitor_identity.rebind_row (
    account text collate "C" not null,
    rebind_id bigint not null,
    moved_table regclass not null,
    part integer not null,
    keys jsonb not null,
    of_visitor_table boolean not null default false,
    constraint rebind_row_pkey primary key (account, rebind_id, moved_table, part)
);

comment on table visitor_identity.rebind_row is
'Exactly what a rebinding moved: the keys of the rows, a JSON array of at most 50000 a row.';
comment on column visitor_identity.rebind_row.account is 'The account.';
comment on column visitor_identity.rebind_row.rebind_id is 'The rebinding.';
comment on column visitor_identity.rebind_row.moved_table is 'The table whose rows moved: an attached table of either kind, channel_identity, provided_identity, device, or visitor for pointers.';
comment on column visitor_identity.rebind_row.part is 'Number of the part, from 0.';
comment on column visitor_identity.rebind_row.keys is 'Array of primary keys: scalars for a key of one column, objects otherwise.';
comment on column visitor_identity.rebind_row.of_visitor_table is 'True for rows of an attached visitor table, which are no chats and do not count as such.';

create table visitor_identity.pending_rebind (
    account text collate "C" not null,
    visitor_id uuid not null,
    to_visitor_id uuid not null,
    created_at timestamptz not null default pg_catalog.now(),
    constraint pending_rebind_pkey primary key (account, visitor_id, to_visitor_id)
);

create index pending_rebind_to_idx on visitor_identity.pending_rebind (account, to_visitor_id);
comment on index visitor_identity.pending_rebind_to_idx is 'The rebindings owed to a visitor.';

-- Not for deletions: most of them find nothing to delete, and whoever deletes a row says so.
create trigger policy_changed
after insert on visitor_identity.pending_rebind
for each statement execute function visitor_identity.policy_changed();

alter table visitor_identity.pending_rebind enable always trigger policy_changed;

comment on table visitor_identity.pending_rebind is
'Rebindings that a transaction left to the one it met, so as not to deadlock with it. Completed by the next call that meets either visitor; normally empty.';
comment on column visitor_identity.pending_rebind.account is 'The account.';
comment on column visitor_identity.pending_rebind.visitor_id is 'The anonymous visitor to be absorbed.';
comment on column visitor_identity.pending_rebind.to_visitor_id is 'The identified visitor who authorized.';
comment on column visitor_identity.pending_rebind.created_at is 'When it was left.';

create table visitor_identity.backfill_queue (
    attached regclass not null,
    position bigint not null,
    keys jsonb not null,
    constraint backfill_queue_pkey primary key (attached, position)
);

comment on table visitor_identity.backfill_queue is
'The chats that backfill_chats has still to give their visitors, in the order in which they were opened. Empty when no backfill is under way.';
comment on column visitor_identity.backfill_queue.attached is 'The table.';
comment on column visitor_identity.backfill_queue.position is 'The place of the first of these chats in the order.';
comment on column visitor_identity.backfill_queue.keys is 'The primary keys of a thousand chats or less that follow each other, an array of objects.';

create table visitor_identity.attached_table (
    attached regclass not null,
    kind text collate "C" not null default 'chat'
        constraint attached_table_kind check (kind in ('chat', 'visitor')),
    visitor_column name not null,
    provided_column name,
    channel_type_column name,
    channel_id_column name,
    channel_user_column name,
    account_column name,
    opened_at_column name,
    closed_at_column name,
    origin_column name,
    closed_when text,
    fixed_account text collate "C",
    added_origin boolean not null default false,
    key_columns name[] not null,
    history_view regclass,
    workspace_view regclass,
    on_clash text collate "C"
        constraint attached_table_on_clash check (on_clash in ('move_or_keep_target', 'refuse')),
    attached_by text collate "C" not null default session_user,
    attached_at timestamptz not null default pg_catalog.now(),
    constraint attached_table_pkey primary key (attached),
    constraint attached_table_account check ((account_column is null) <> (fixed_account is null)),
    constraint attached_table_parts check (
        case kind
            when 'chat' then num_nonnulls(origin_column, history_view, workspace_view) = 3 and on_clash is null
            else num_nonnulls(origin_column, history_view, workspace_view) = 0 and on_clash is not null
        end
    )
);

comment on table visitor_identity.attached_table is
'The application''s tables that follow the visitors, and which of their columns means what. Written by attach_chat_table, attach_visitor_table and detach_table.';
comment on column visitor_identity.attached_table.attached is 'The table.';
comment on column visitor_identity.attached_table.kind is 'chat: a table of chats, with views. visitor: any other table, whose rows follow their visitors and decide nothing.';
comment on column visitor_identity.attached_table.visitor_column is 'Column of the visitor_id.';
comment on column visitor_identity.attached_table.provided_column is 'Column of the provided id; NULL when there is none.';
comment on column visitor_identity.attached_table.channel_type_column is 'Column of the channel type; NULL when there is none.';
comment on column visitor_identity.attached_table.channel_id_column is 'Column of the channel id; NULL when there is none.';
comment on column visitor_identity.attached_table.channel_user_column is 'Column of the channel user id; NULL when there is none.';
comment on column visitor_identity.attached_table.account_column is 'Column of the account; NULL when the whole table is of fixed_account.';
comment on column visitor_identity.attached_table.opened_at_column is 'Column of the time a chat was opened; NULL when there is none.';
comment on column visitor_identity.attached_table.closed_at_column is 'Column of the time a chat was closed; NULL when there is none.';
comment on column visitor_identity.attached_table.origin_column is 'Column of the visitor first stored; NULL for a visitor table.';
comment on column visitor_identity.attached_table.closed_when is 'SQL condition for a closed chat, where there is no time of closing.';
comment on column visitor_identity.attached_table.fixed_account is 'The account of all rows, where the table has no account column.';
comment on column visitor_identity.attached_table.added_origin is 'True when attaching added the origin column; detaching then drops it.';
comment on column visitor_identity.attached_table.key_columns is 'The primary key when the table was attached, under the names that the views and the log show.';
comment on column visitor_identity.attached_table.history_view is 'The view of its closed chats; NULL for a visitor table.';
comment on column visitor_identity.attached_table.workspace_view is 'The view of its open chats; NULL for a visitor table.';
comment on column visitor_identity.attached_table.on_clash is 'What becomes of a rebinding when rows of both visitors have the same unique key. move_or_keep_target: such a row stays where it is. refuse: the whole visitor stays. NULL for a chat table.';
comment on column visitor_identity.attached_table.attached_by is 'The session user who attached it.';
comment on column visitor_identity.attached_table.attached_at is 'When it was attached.';

create trigger policy_changed
after insert or update or delete or truncate on visitor_identity.attached_table
for each statement execute function visitor_identity.policy_changed();

alter table visitor_identity.attached_table enable always trigger policy_changed;

-- The names in attached_table are those of the day of attaching, and of the views. The trigger visitor_identity_columns
-- lists the columns in this order and follows a rename: visitor, origin (of a chat), account, provided, channel type, id
-- and user.
create view visitor_identity.attachment as
select
    c.oid as relation,
    c.relowner as owner,
    n.nspname as schema_name,
    c.relname as table_name,
    t.kind,
    t.on_clash,
    coalesce(m.names[1], t.visitor_column) as visitor_column,
    case
        when t.origin_column is not null then coalesce(m.names[2], t.origin_column)
    end as origin_column,
    case
        when t.account_column is not null
            then coalesce(m.names[p.before_account + 1], t.account_column)
    end as account_column,
    case
        when t.provided_column is not null
            then coalesce(m.names[p.before_provided + 1], t.provided_column)
    end as provided_column,
    case
        when t.channel_type_column is not null
            then coalesce(m.names[p.before_type + 1], t.channel_type_column)
    end as channel_type_column,
    case
        when t.channel_id_column is not null
            then coalesce(m.names[p.before_id + 1], t.channel_id_column)
    end as channel_id_column,
    case
        when t.channel_user_column is not null
            then coalesce(m.names[p.before_user + 1], t.channel_user_column)
    end as channel_user_column,
    t.fixed_account,
    k.names as key_columns,
    case
        when cardinality(t.key_columns) = cardinality(k.names) then t.key_columns
        else k.names
    end as key_names,
    k.types as key_types,
    k.type_names as key_type_names
from visitor_identity.attached_table as t
join pg_catalog.pg_class as c on c.oid = t.attached
join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
cross join lateral (
    select
        1 + num_nonnulls(t.origin_column) as before_account,
        1 + num_nonnulls(t.origin_column, t.account_column) as before_provided,
        1 + num_nonnulls(t.origin_column, t.account_column, t.provided_column) as before_type,
        1 + num_nonnulls(
            t.origin_column, t.account_column, t.provided_column, t.channel_type_column
        ) as before_id,
        1 + num_nonnulls(
            t.origin_column, t.account_column, t.provided_column, t.channel_type_column,
            t.channel_id_column
        ) as before_user
) as p
cross join lateral (
    select array_agg(a.attname order by g.position) as names
    from pg_catalog.pg_trigger as r
    cross join lateral unnest(r.tgattr) with ordinality as g (attnum, position)
    join pg_catalog.pg_attribute as a on a.attrelid = r.tgrelid and a.attnum = g.attnum
    where r.tgrelid = c.oid
        and r.tgname = 'visitor_identity_columns'
) as m
cross join lateral (
    -- Types are always named with their schema and without a length: the names become part of statements that run with
    -- the rights of the table's owner under whatever search_path a caller has.
    select
        array_agg(a.attname order by g.position) as names,
        array_agg(
            case when y.typtype = 'd' then y.typbasetype else y.oid end
            order by g.position
        ) as types,
        array_agg(format('%I.%I', s.nspname, y.typname) order by g.position) as type_names
    from pg_catalog.pg_index as i
    cross join lateral unnest(i.indkey) with ordinality as g (attnum, position)
    join pg_catalog.pg_attribute as a on a.attrelid = i.indrelid and a.attnum = g.attnum
    join pg_catalog.pg_type as y on y.oid = a.atttypid
    join pg_catalog.pg_namespace as s on s.oid = y.typnamespace
    where i.indrelid = c.oid
        and i.indisprimary
) as k;

comment on view visitor_identity.attachment is
'The attached tables that exist, with the names that their columns have today.';
comment on column visitor_identity.attachment.relation is 'Oid of the table.';
comment on column visitor_identity.attachment.owner is 'Its owner.';
comment on column visitor_identity.attachment.schema_name is 'Its schema.';
comment on column visitor_identity.attachment.table_name is 'Its name.';
comment on column visitor_identity.attachment.kind is 'chat or visitor.';
comment on column visitor_identity.attachment.on_clash is 'What becomes of a rebinding when unique keys clash; NULL for a chat table.';
comment on column visitor_identity.attachment.visitor_column is 'Column of the visitor_id.';
comment on column visitor_identity.attachment.origin_column is 'Column of the visitor first stored; NULL for a visitor table.';
comment on column visitor_identity.attachment.account_column is 'Column of the account.';
comment on column visitor_identity.attachment.provided_column is 'Column of the provided id.';
comment on column visitor_identity.attachment.channel_type_column is 'Column of the channel type.';
comment on column visitor_identity.attachment.channel_id_column is 'Column of the channel id.';
comment on column visitor_identity.attachment.channel_user_column is 'Column of the channel user id.';
comment on column visitor_identity.attachment.fixed_account is 'The account of all rows, where no column says it.';
comment on column visitor_identity.attachment.key_columns is 'The primary key.';
comment on column visitor_identity.attachment.key_names is 'The names under which the log and the search write the key: those of the day of attaching.';
comment on column visitor_identity.attachment.key_types is 'The base types of the key.';
comment on column visitor_identity.attachment.key_type_names is 'The types of the key, qualified, without a length.';
