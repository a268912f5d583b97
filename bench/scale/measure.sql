-- One round in one of the databases: the extension and, in turn with it, what nobody can do without, over the same tables with
-- the triggers off. psql variables: round, size (the name of the database in the report), visitors, searches, calls.

\set ON_ERROR_STOP on
\set QUIET on
set client_min_messages = warning;
set jit = off;
set max_parallel_workers_per_gather = 0;
set plan_cache_mode = auto;

create procedure pg_temp.put(what text, variant text, round integer, micros double precision)
language sql
begin atomic
    insert into bench.sample values (what, variant, round, micros);
end;

-- Round 0 warms up, and is not kept.
create procedure pg_temp.rebind(size text, round integer)
language plpgsql
as $$
declare
    wanted record;
    person record;
    started timestamptz;
    people bigint;
begin
    for wanted in
        select k, part
        from unnest(array[1, 10, 1000]) as k
        cross join unnest(array[1, 2]) as part
        order by k, (part + rebind.round) % 2
    loop
        -- A backend's first look at a page costs more than its later ones; that is not what is measured here.
        perform count(t.*)
        from bench.rebound as r
        join chat.chat as t on t.visitor_id = r.visitor_id
        where r.k = wanted.k and r.round = rebind.round and r.part = wanted.part;
        if wanted.part = 2 then
            set local session_replication_role = replica;
        end if;
        people := 0;
        for person in
            select r.visitor_id, 'C-' || r.person as provided_visitor_id, md5('visitor ' || r.person)::uuid as target, r.is_warm_up
            from bench.rebound as r
            where r.k = wanted.k and r.round = rebind.round and r.part = wanted.part
            order by r.place
        loop
            -- Changing the role has thrown all plans away.
            people := people + (not person.is_warm_up)::integer;
            if wanted.part = 1 then
                perform visitor_identity.resolve_visitor(person.provided_visitor_id, visitor_id => person.visitor_id);
            else
                update chat.chat as c
                set visitor_id = person.target
                where c.account = 'default'
                    and c.visitor_id = person.visitor_id;
            end if;
            if person.is_warm_up then
                started := clock_timestamp();
            end if;
        end loop;
        call pg_temp.put(
            format('rebinding of %s chats, %s', wanted.k, size),
            case wanted.part when 1 then 'extension' else 'bare' end, round,
            extract(epoch from clock_timestamp() - started) * 1e6 / people
        );
        set local session_replication_role = origin;
    end loop;
end
$$;

create procedure pg_temp.compare(what text, size text, round integer, calls bigint, statements text[])
language plpgsql
as $$
declare
    v integer;
    started timestamptz;
begin
    for turn in 1..2 loop
        v := 1 + (round + turn) % 2;
        -- Once to warm up, but for what is seen only once.
        if what not like 'first%' then
            execute statements[v];
        end if;
        started := clock_timestamp();
        execute statements[v];
        call pg_temp.put(what || ', ' || size, (array['extension', 'bare'])[v], round, extract(epoch from clock_timestamp() - started) * 1e6 / calls);
    end loop;
end
$$;

create function pg_temp.first_sights(prefix text, first bigint, last bigint)
returns void
language plpgsql
as $$
declare
    id uuid;
begin
    for n in first..last loop
        id := md5(prefix || n)::uuid;
        insert into visitor_identity.visitor (account, visitor_id, identified)
        values ('default', id, true);
        insert into visitor_identity.provided_identity (account, provided_visitor_id, visitor_id)
        values ('default', prefix || n, id);
    end loop;
end
$$;

-- Makes a function of a statement, so that its plan is kept; what is measured is not the planning.
create procedure pg_temp.make(name text, statement text)
language plpgsql
as $$
begin
    execute format('
        create function pg_temp.%I(people integer)
        returns void
        language plpgsql
        as $f$
        declare
            s record;
            rows_found bigint;
        begin
            for s in
                select *
                from bench.searched as b
                order by md5(b.n::text)
                limit people
            loop
                %s;
                if rows_found = 0 then
                    raise exception ''found nothing: %%'', s.n;
                end if;
            end loop;
        end
        $f$', name, replace(replace(replace(replace(
            regexp_replace(statement, '^select count\(([a-z])\)', 'select count(\1) into rows_found'),
            '$1', 's.visitor_id'), '$2', 's.former_id'), '$3', 's.provided_visitor_id'), '$4', 's.channel_user_id'));
end
$$;

call pg_temp.rebind(:'size', :round);
select format('call pg_temp.compare(%L, %L, %s, %s, array[%L, %L])', k.what, :'size', :round, k.calls, k.extension, k.bare)
from (
    values
        ('known: provided id with its cookie', :calls::bigint,
            format($$select count(visitor_identity.resolve_visitor('C-' || n, visitor_id => md5('visitor ' || n)::uuid))
                from generate_series(%1$s, %1$s + %2$s - 1) as n$$, 1 + :round * :calls, :calls),
            format($$select count((select p.visitor_id from visitor_identity.provided_identity as p
                where p.account = 'default' and p.provided_visitor_id = 'C-' || n and md5('visitor ' || n)::uuid is not null))
                from generate_series(%1$s, %1$s + %2$s - 1) as n$$, 1 + :round * :calls, :calls)),
        ('known: channel id', :calls,
            format($$select count(visitor_identity.resolve_visitor(null, 'telegram', (100000000 + n)::text))
                from generate_series(%1$s, %1$s + %2$s - 1) as n$$, :visitors / 2 + 1 + :round * :calls, :calls),
            format($$select count((select c.visitor_id from visitor_identity.channel_identity as c
                where c.account = 'default' and c.channel_user_id = (100000000 + n)::text and c.channel_type = 'telegram' and c.channel_id = ''))
                from generate_series(%1$s, %1$s + %2$s - 1) as n$$, :visitors / 2 + 1 + :round * :calls, :calls)),
        ('known: cookie', :calls,
            format($$select count(visitor_identity.resolve_visitor(visitor_id => md5('visitor ' || n)::uuid))
                from generate_series(%1$s, %1$s + %2$s - 1) as n$$, 1 + :round * :calls, :calls),
            format($$select count((select coalesce(v.superseded_by, v.visitor_id) from visitor_identity.visitor as v
                where v.account = 'default' and v.visitor_id = md5('visitor ' || n)::uuid))
                from generate_series(%1$s, %1$s + %2$s - 1) as n$$, 1 + :round * :calls, :calls)),
        ('first sight: provided id', :calls / 5,
            format($$select count(visitor_identity.resolve_visitor('N-' || n)) from generate_series(%1$s, %1$s + %2$s - 1) as n$$, :round * (:calls / 5), :calls / 5),
            format($$select pg_temp.first_sights('B-', %1$s, %1$s + %2$s - 1)$$, :round * (:calls / 5), :calls / 5))
) as k (what, calls, extension, bare)
\gexec
create temp table search as
select row_number() over () as place, k.what, k.extension, k.bare
from (
    values
        ('search_history: visitor_id', 'select count(h) from visitor_identity.search_history($1::text) as h',
            'select count(h) from (select c.* from chat.chat as c where c.account = ''default'' and c.visitor_id = $1
                and c.closed_at is not null order by c.opened_at desc limit 50) as h'),
        ('search_history: former visitor_id', 'select count(h) from visitor_identity.search_history($2::text) as h',
            'select count(h) from (select c.* from chat.chat as c where c.account = ''default''
                and c.visitor_id = (select v.superseded_by from visitor_identity.visitor as v where v.account = ''default'' and v.visitor_id = $2)
                and c.closed_at is not null order by c.opened_at desc limit 50) as h'),
        ('search_history: provided id', 'select count(h) from visitor_identity.search_history($3) as h',
            'select count(h) from (select c.* from chat.chat as c where c.account = ''default''
                and c.visitor_id = (select p.visitor_id from visitor_identity.provided_identity as p where p.account = ''default'' and p.provided_visitor_id = $3)
                and c.closed_at is not null order by c.opened_at desc limit 50) as h'),
        ('search_history: channel user id', 'select count(h) from visitor_identity.search_history($4) as h',
            'select count(h) from (select c.* from chat.chat as c where c.account = ''default'' and c.channel_user_id = $4
                and c.closed_at is not null order by c.opened_at desc limit 50) as h'),
        ('chat_history: visitor_id', 'select count(h) from chat.chat_history as h where h.visitor_id = $1',
            'select count(c) from chat.chat as c where c.account = ''default'' and c.visitor_id = $1 and c.closed_at is not null'),
        ('chat_history: provided id', 'select count(h) from chat.chat_history as h where h.provided_visitor_id = $3',
            'select count(c) from chat.chat as c where c.account = ''default''
                and c.visitor_id = (select p.visitor_id from visitor_identity.provided_identity as p where p.account = ''default'' and p.provided_visitor_id = $3)
                and c.closed_at is not null'),
        ('chat_history: channel user id', 'select count(h) from chat.chat_history as h where h.channel_user_id = $4',
            'select count(c) from chat.chat as c where c.account = ''default'' and c.channel_user_id = $4 and c.closed_at is not null'),
        ('chat_workspace: visitor_id', 'select count(h) from chat.chat_workspace as h where h.visitor_id = $1',
            'select count(c) from chat.chat as c where c.account = ''default'' and c.visitor_id = $1 and c.closed_at is null'),
        ('chat_workspace: provided id', 'select count(h) from chat.chat_workspace as h where h.provided_visitor_id = $3',
            'select count(c) from chat.chat as c where c.account = ''default''
                and c.visitor_id = (select p.visitor_id from visitor_identity.provided_identity as p where p.account = ''default'' and p.provided_visitor_id = $3)
                and c.closed_at is null')
) as k (what, extension, bare);
select format('call pg_temp.make(%L, %L)', 'extension ' || k.place, k.extension) from search as k \gexec
select format('call pg_temp.make(%L, %L)', 'bare ' || k.place, k.bare) from search as k \gexec
select format('call pg_temp.compare(%L, %L, %s, %s, array[%L, %L])', k.what, :'size', :round, :searches,
    format('select pg_temp.%I(%s)', 'extension ' || k.place, :searches), format('select pg_temp.%I(%s)', 'bare ' || k.place, :searches))
from search as k
order by k.place
\gexec
delete from bench.sample where round = 0;

do $$
declare
    wrong bigint;
begin
    select count(*)
    into wrong
    from bench.rebound as r
    join visitor_identity.rebind as b on b.account = 'default' and b.from_visitor_id = r.visitor_id
    where b.rebound_chats <> r.k;
    if wrong > 0 then
        raise exception '% rebindings went wrong', wrong;
    end if;
end
$$;
