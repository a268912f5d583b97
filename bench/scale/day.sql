-- What a day of a chat service consists of, as functions that the scripts of bench/scale/day call; errors that such a day has
-- (an undo that no longer fits) are its own affair.

\set ON_ERROR_STOP on
\set QUIET on

-- Person n has two browsers and, every third, a channel.
create function bench.browser(n bigint, which integer)
returns uuid
language sql immutable
return md5(format('browser %s %s', n, which))::uuid;

-- Says three things in a chat. psql variable: partitioned.
\if :partitioned
create procedure bench.say(account text, chat_id bigint, opened_at timestamptz, kind text, text text)
language sql
begin atomic
    insert into chat.message (account, chat_id, chat_opened_at, kind, text)
    select say.account, say.chat_id, say.opened_at, say.kind, say.text
    from generate_series(1, 3);
end;
\else
create procedure bench.say(account text, chat_id bigint, opened_at timestamptz, kind text, text text)
language sql
begin atomic
    insert into chat.message (account, chat_id, kind, text)
    select say.account, say.chat_id, say.kind, say.text
    from generate_series(1, 3);
end;
\endif

-- A chat from its first message to its end: opened by a visitor who is known or not, taken by an operator, closed.
create procedure bench.chat(person bigint, which integer, knows_him boolean, by_channel boolean)
language plpgsql
as $$
declare
    c record;
begin
    insert into chat.chat (account, visitor_id, provided_visitor_id, channel_type, channel_id, channel_user_id)
    values (
        'default',
        case when not by_channel then bench.browser(person, which) end,
        case when knows_him then 'D-' || person end,
        case when by_channel then 'telegram' end,
        case when by_channel then '' end,
        case when by_channel then (200000000 + person)::text end
    )
    returning account, chat_id, opened_at
    into c;
    commit;
    call bench.say(c.account, c.chat_id, c.opened_at, 'visitor', repeat('hello ', 10));
    commit;
    update chat.chat as t
    set state = 'chat', operator = 'operator ' || person % 40, department = 'sales'
    where t.account = c.account and t.chat_id = c.chat_id;
    commit;
    call bench.say(c.account, c.chat_id, c.opened_at, 'operator', repeat('answer ', 10));
    update chat.chat as t
    set state = 'closed', closed_at = clock_timestamp()
    where t.account = c.account and t.chat_id = c.chat_id;
end
$$;

create function bench.undo(place double precision)
returns void
language plpgsql
as $$
begin
    perform visitor_identity.undo_rebind((
        select r.rebind_id
        from visitor_identity.rebind as r
        where r.account = 'default'
            and r.rebind_id >= (select (place * max(o.rebind_id))::bigint from visitor_identity.rebind as o where o.account = 'default')
        order by r.rebind_id
        limit 1
    ));
exception
    when object_not_in_prerequisite_state or undefined_object or null_value_not_allowed then
        null;
end
$$;

-- A table or an index, and what it would be if its rows were loaded afresh; partitions are counted together.
create table bench.size (
    day integer not null,
    relation text not null,
    rows bigint,
    dead bigint,
    bytes bigint not null,
    fresh_bytes bigint not null,
    updates bigint,
    hot_updates bigint,
    deletes bigint,
    autovacuums bigint,
    constraint size_pkey primary key (day, relation)
);

create procedure bench.weigh(day integer)
language plpgsql
as $$
declare
    t record;
    i record;
begin
    for t in
        select
            c.oid,
            c.relname,
            c.oid::regclass::text as name,
            array(
                select c.oid
                where c.relkind = 'r'
                union
                select p.relid
                from pg_partition_tree(c.oid) as p
                where p.isleaf
            ) as leaves
        from pg_class as c
        where c.relnamespace in ('visitor_identity'::regnamespace, 'chat'::regnamespace)
            and c.relkind in ('r', 'p')
            and not c.relispartition
            and c.relname not like 'restored%'
    loop
        execute format('create unlogged table bench.fresh (like %s including all)%s', t.name, (
            select ' with (fillfactor = ' || substring(array_to_string(l.reloptions, ' ') from 'fillfactor=([0-9]+)') || ')'
            from pg_class as l
            where l.oid = any (t.leaves)
            limit 1
        ));
        execute format('insert into bench.fresh select * from %s', t.name);
        insert into bench.size
        select weigh.day, t.name, (select count(*) from bench.fresh), sum(s.n_dead_tup), sum(pg_relation_size(s.relid)),
            pg_relation_size('bench.fresh'), sum(s.n_tup_upd), sum(s.n_tup_hot_upd), sum(s.n_tup_del), sum(s.autovacuum_count)
        from pg_stat_user_tables as s
        where s.relid = any (t.leaves)
        having sum(pg_relation_size(s.relid)) > 100000;
        -- Indexes are told from each other by their columns and conditions.
        insert into bench.size
        select weigh.day, t.name || ': ' || f.definition, null, null, x.bytes, f.bytes
        from (
            select regexp_replace(pg_get_indexdef(k.indexrelid), '^.* USING ', '') as definition, pg_relation_size(k.indexrelid) as bytes
            from pg_index as k
            where k.indrelid = 'bench.fresh'::regclass
        ) as f
        join (
            select regexp_replace(pg_get_indexdef(k.indexrelid), '^.* USING ', '') as definition, sum(pg_relation_size(k.indexrelid)) as bytes
            from pg_index as k
            where k.indrelid = any (t.leaves)
            group by 1
        ) as x using (definition)
        where x.bytes > 100000;
        drop table bench.fresh;
    end loop;
    commit;
end
$$;
