-- The application's tables: the trigger functions, attaching and detaching, the ready-made store, the search bar.

create function visitor_identity.chat_row_before()
returns trigger
language c security definer
as 'MODULE_PATHNAME', 'chat_row_before_wrapper';

comment on function visitor_identity.chat_row_before() is
'Trigger function of attached tables: decides the row''s visitor and, for a chat, binds its identifiers. Supersedes nobody.';

create function visitor_identity.chat_row_after()
returns trigger
language c security definer
as 'MODULE_PATHNAME', 'chat_row_after_wrapper';

comment on function visitor_identity.chat_row_after() is
'Trigger function of attached tables: absorbs the visitors that an authorization showed, once the row has really been written.';

create function visitor_identity.chat_row_leaves()
returns trigger
language c security definer
as 'MODULE_PATHNAME', 'chat_row_leaves_wrapper';

comment on function visitor_identity.chat_row_leaves() is
'Trigger function of attached partitioned tables: notes a row that leaves its partition, so that its arrival in another one is known for what it is.';

create function visitor_identity.attach_chat_table(
    chat_table regclass,
    visitor_id name default 'visitor_id',
    provided_visitor_id name default 'provided_visitor_id',
    channel_type name default 'channel_type',
    channel_id name default 'channel_id',
    channel_user_id name default 'channel_user_id',
    account name default 'account',
    opened_at name default 'opened_at',
    closed_at name default 'closed_at',
    origin_visitor_id name default 'origin_visitor_id',
    closed_when text default null,
    fixed_account text default null
)
returns void
language c volatile
set search_path = pg_catalog, pg_temp
as 'MODULE_PATHNAME', 'attach_chat_table_wrapper';

comment on function visitor_identity.attach_chat_table(regclass, name, name, name, name, name, name, name, name, name, text, text) is
'Makes a chat table follow its visitors: triggers on the table, the views <table>_history (closed chats) and <table>_workspace (open chats) beside it. Column arguments are the table''s own names; a default name is skipped where there is no such column. closed_when: a condition for closed chats, names schema-qualified. fixed_account: the account of all rows, where no column says it. For the table''s owner. VOLATILE. Errors: 25006, 42501, 42703, 42704, 55000.';

create function visitor_identity.attach_visitor_table(
    visitor_table regclass,
    visitor_id name default 'visitor_id',
    account name default 'account',
    on_clash text default 'refuse',
    fixed_account text default null
)
returns void
language c volatile
set search_path = pg_catalog, pg_temp
as 'MODULE_PATHNAME', 'attach_visitor_table_wrapper';

comment on function visitor_identity.attach_visitor_table(regclass, name, name, text, text) is
'Makes any other table with a visitor_id (tickets, notes, preferences) follow its visitors: its rows move with a rebinding, and a superseded visitor_id that is written later is replaced. on_clash: what happens when rows of both visitors have the same unique key. refuse: the rebinding is refused, the visitor stays (note rebind_clash). move_or_keep_target: such a row stays with the former visitor, all others move; nothing is ever deleted. fixed_account: the account of all rows, where no column says it. For the table''s owner. VOLATILE. Errors: 22023, 25006, 42501, 42703, 42704, 55000.';

create function visitor_identity.detach_table(
    attached_table regclass,
    keep_origin boolean default false
)
returns void
language c volatile
set search_path = pg_catalog, pg_temp
as 'MODULE_PATHNAME', 'detach_table_wrapper';

comment on function visitor_identity.detach_table(regclass, boolean) is
'Takes an attachment of either kind back: drops the triggers, and of a chat table the two views and the origin column if attaching added it, unless keep_origin. For the table''s owner. VOLATILE. Errors: 25006, 42501, 55000; 2BP01 while other objects use the views.';

create function visitor_identity.backfill_begin(chat_table regclass)
returns bigint
language c volatile
set search_path = pg_catalog, pg_temp
as 'MODULE_PATHNAME', 'backfill_begin_wrapper';

comment on function visitor_identity.backfill_begin(regclass) is
'A step of backfill_chats: queues the chats of an attached table that have no origin yet, unless chats are waiting from an interrupted backfill; returns how many wait. For the table''s owner. VOLATILE. Errors: 42501, 55000, 25006.';

create function visitor_identity.backfill_batch(
    chat_table regclass,
    batch_size integer
)
returns table (
    taken bigint,
    resolved bigint
)
language c volatile rows 1
set search_path = pg_catalog, pg_temp
as 'MODULE_PATHNAME', 'backfill_batch_wrapper';

comment on function visitor_identity.backfill_batch(regclass, integer) is
'A step of backfill_chats: gives the next chats of the queue their visitors, as if each arrived now, and returns how many left the queue (0: it is empty) and how many were resolved. For the table''s owner. VOLATILE. Errors: 22023, 42501, 55000, 25006, 40001.';

-- Without a SET clause, which would forbid COMMIT; so every name and operator is qualified.
create procedure visitor_identity.backfill_chats(
    chat_table regclass,
    batch_size integer default 1000
)
language plpgsql
as $$
declare
    waiting bigint;
    taken bigint;
    resolved bigint;
    seen bigint := 0;
    passed_over bigint := 0;
    attempt integer;
    started pg_catalog.timestamptz := pg_catalog.clock_timestamp();
    reported pg_catalog.timestamptz := pg_catalog.clock_timestamp();
    rate numeric;
begin
    waiting := visitor_identity.backfill_begin(chat_table);
    commit;
    loop
        attempt := 1;
        loop
            begin
                select b.taken, b.resolved
                into taken, resolved
                from visitor_identity.backfill_batch(chat_table, batch_size) as b;
                exit;
            exception
                when serialization_failure or deadlock_detected then
                    if attempt operator(pg_catalog.>=) 10 then
                        raise;
                    end if;
            end;
            -- The next attempt with a snapshot of its own, also above READ COMMITTED.
            commit;
            attempt := attempt operator(pg_catalog.+) 1;
        end loop;
        commit;
        exit when taken operator(pg_catalog.=) 0::bigint;
        seen := seen operator(pg_catalog.+) taken;
        passed_over := passed_over operator(pg_catalog.+) taken operator(pg_catalog.-) resolved;
        if pg_catalog.clock_timestamp() operator(pg_catalog.>)
            (reported operator(pg_catalog.+) '5 seconds'::pg_catalog.interval)
        then
            reported := pg_catalog.clock_timestamp();
            rate := seen::numeric operator(pg_catalog./)
                pg_catalog.date_part('epoch', reported operator(pg_catalog.-) started)::numeric;
            raise notice '% of % chats, % a second, % s left', seen, waiting, pg_catalog.round(rate),
                pg_catalog.round((waiting operator(pg_catalog.-) seen)::numeric operator(pg_catalog./) rate);
        end if;
    end loop;
    raise notice 'backfill of % complete: % chats, of them % passed over', chat_table, seen, passed_over;
end
$$;

comment on procedure visitor_identity.backfill_chats(regclass, integer) is
'Gives the chats that a table had before it was attached their visitors, as if they had arrived live in the order of opened_at, batch by batch in transactions of their own, and says how far it is. Interrupted, it goes on where it was when it is called again. Chats of an account that does not exist are passed over. Call it outside of a transaction, as the table''s owner; a superuser''s call is refused where deferred triggers of another owner would run at his commit. Errors: 22023, 42501, 55000, 25006; 2D000 inside a transaction.';

create function visitor_identity.create_chat_store(
    schema name default 'chat',
    partitioned boolean default false
)
returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    by_time constant boolean := coalesce(partitioned, false);
    -- A closed chat leaves the index of open chats when the table is vacuumed. By default that is when a fifth of all chats has
    -- changed: with years of chats in the table the index would hold millions of closed ones, for some hundreds of open ones.
    storage constant text := ' with (autovacuum_vacuum_scale_factor = 0.02)';
begin
    if to_regnamespace(quote_ident(schema)) is null then
        execute format('create schema %I', schema);
    end if;
    -- A key of a partitioned table contains what it is partitioned by.
    execute format('
        create table %1$I.chat (
            account text collate "C" not null,
            chat_id bigint generated by default as identity,
            visitor_id uuid not null,
            origin_visitor_id uuid,
            provided_visitor_id text,
            channel_type text,
            channel_id text,
            channel_user_id text,
            department text,
            operator text,
            state text not null default ''queue'',
            opened_at timestamptz not null default now(),
            closed_at timestamptz,
            constraint chat_pkey primary key (account, chat_id%2$s)
        )%3$s',
        schema,
        case when by_time then ', opened_at' else '' end,
        case when by_time then ' partition by range (opened_at)' else storage end
    );
    execute format('create index chat_visitor_idx on %I.chat (visitor_id, opened_at desc)', schema);
    execute format('create index chat_channel_user_idx on %I.chat (channel_user_id)', schema);
    execute format('create index chat_open_idx on %I.chat (account, opened_at) where closed_at is null', schema);
    execute format('create index chat_closed_idx on %I.chat (account, opened_at desc) where closed_at is not null', schema);
    execute format('
        create table %1$I.message (
            account text collate "C" not null,
            message_id bigint generated by default as identity,
            chat_id bigint not null,
            kind text not null,
            text text,
            sent_at timestamptz not null default now(),%2$s
            constraint message_pkey primary key (account, message_id%3$s),
            constraint message_chat_fkey foreign key (account, chat_id%3$s)
                references %1$I.chat (account, chat_id%4$s) on delete cascade%5$s
        )%6$s',
        schema,
        case when by_time then ' chat_opened_at timestamptz not null,' else '' end,
        case when by_time then ', chat_opened_at' else '' end,
        case when by_time then ', opened_at' else '' end,
        case when by_time then ' on update cascade' else '' end,
        case when by_time then ' partition by range (chat_opened_at)' else '' end
    );
    execute format('create index message_chat_idx on %I.message (account, chat_id, sent_at)', schema);
    execute format('comment on table %I.chat is %L', schema, 'Chats; visitor_id follows the visitor by the triggers of visitor_identity.');
    execute format('comment on table %I.message is %L', schema, 'Messages of the chats.');
    if by_time then
        -- No chat is refused because nobody made the partition of its month.
        execute format('create table %1$I.chat_default partition of %1$I.chat default%2$s', schema, storage);
        execute format('create table %1$I.message_default partition of %1$I.message default', schema);
    end if;
    perform visitor_identity.attach_chat_table(format('%I.chat', schema)::regclass);
end
$$;

comment on function visitor_identity.create_chat_store(name, boolean) is
'A ready chat schema for a new project: tables chat and message with the indexes a chat service needs, attached. partitioned: both by range of the time at which the chat was opened, with a default partition each; partitions are then made and dropped as of any table. The tables are the caller''s own. VOLATILE. Errors: 42501, 42P07 when the tables exist.';

create function visitor_identity.search_history(
    query text,
    by text default null,
    account text default null,
    page_size integer default 50,
    after_opened_at timestamptz default null,
    after_chat_table regclass default null,
    after_chat_key jsonb default null
)
returns table (
    chat_table regclass,
    chat_key jsonb,
    account text,
    visitor_id uuid,
    origin_visitor_id uuid,
    provided_visitor_id text,
    channel_type text,
    channel_id text,
    channel_user_id text,
    opened_at timestamptz,
    closed_at timestamptz,
    matched_by text
)
language c stable rows 50
as 'MODULE_PATHNAME', 'search_history_wrapper';

comment on function visitor_identity.search_history(text, text, text, integer, timestamptz, regclass, jsonb) is
'The search bar of the History page: closed chats, newest first, by whatever an operator pastes: a visitor_id (also a superseded or an original one), a provided id, a channel user id as written; or by one kind only. The next page: pass opened_at, chat_table and chat_key of the last row. Reads the chats with the caller''s own rights. STABLE. Errors: 22023, 22P02, 42501.';

create function visitor_identity.attached_rows(attached_table regclass)
returns table (
    account text,
    visitor_id uuid,
    origin_visitor_id uuid,
    provided_visitor_id text,
    channel_type text,
    channel_id text,
    channel_user_id text,
    row_key text
)
language c stable rows 100000
set search_path = pg_catalog, pg_temp
as 'MODULE_PATHNAME', 'attached_rows_wrapper';

comment on function visitor_identity.attached_rows(regclass) is
'All rows of an attached table, read with the rights of its owner. A part of check_integrity and find_anomalies; nobody is granted it. STABLE. Errors: 55000 for a table that is not attached.';
