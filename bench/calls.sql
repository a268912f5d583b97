-- What a call costs inside the server: known visitors, then first sights, each over the keys of a temporary table.
-- psql variables: visitors, rounds, calls (known visitors a round), sights (first sights a round).

\set ON_ERROR_STOP on
\set QUIET on
set client_min_messages = warning;
set jit = off;
set max_parallel_workers_per_gather = 0;
set work_mem = '256MB';

select setseed(0.42)
\g /dev/null
create temp table known as
select p.*, coalesce(p.as_written, p.channel_user_id) as channel_user_as_written, c.n as channel_n
from generate_series(1, :calls) as i
cross join lateral (select 1 + floor(random() * 0.5 * :visitors)::bigint + i * 0 as n) as k
cross join lateral (select 1 + floor(0.5 * :visitors + random() * 0.4 * :visitors)::bigint + i * 0 as n) as c
cross join lateral bench.person(k.n) as p;
create temp table channel as
select p.channel_type, coalesce(p.as_written, p.channel_user_id) as channel_user_id, p.channel_user_id as normalized
from known as k
cross join lateral bench.person(k.channel_n) as p;
create temp table cookie as
select visitor_identity.derive_visitor_id('C-' || (1 + floor(random() * :visitors)::bigint + i * 0)) as visitor_id
from generate_series(1, :calls) as i;
analyze known, channel, cookie;

-- The answers first: all of the keys, not only their number.
do $$
declare
    wrong bigint;
begin
    select count(*) filter (
        where visitor_identity.resolve_visitor(k.provided_visitor_id, visitor_id => k.visitor_id) is distinct from k.visitor_id
            or peer.resolve_visitor(k.provided_visitor_id, visitor_id => k.visitor_id) is distinct from k.visitor_id
    )
    into wrong
    from (
        select *
        from known
        limit 5000
    ) as k;
    if wrong > 0 then
        raise exception '% wrong answers', wrong;
    end if;
    select count(*) filter (
        where visitor_identity.resolve_visitor(null, k.channel_type, k.channel_user_id)
            is distinct from peer.resolve_visitor(null, k.channel_type, k.channel_user_id)
    )
    into wrong
    from (
        select *
        from channel
        limit 5000
    ) as k;
    if wrong > 0 then
        raise exception '% different answers', wrong;
    end if;
end
$$;

call bench.compare('known: provided id with its cookie', :rounds, :calls,
    array['extension', 'peer', 'probe'],
    array[
        'select count(visitor_identity.resolve_visitor(k.provided_visitor_id, visitor_id => k.visitor_id)) from known as k',
        'select count(peer.resolve_visitor(k.provided_visitor_id, visitor_id => k.visitor_id)) from known as k',
        'select count((
            select p.visitor_id
            from visitor_identity.provided_identity as p
            where p.account = ''default''
                and p.provided_visitor_id = k.provided_visitor_id
        ))
        from known as k'
    ]);
call bench.compare('known: channel id', :rounds, :calls,
    array['extension', 'peer', 'probe'],
    array[
        'select count(visitor_identity.resolve_visitor(null, k.channel_type, k.channel_user_id)) from channel as k',
        'select count(peer.resolve_visitor(null, k.channel_type, k.channel_user_id)) from channel as k',
        'select count((
            select c.visitor_id
            from visitor_identity.channel_identity as c
            where c.account = ''default''
                and c.channel_user_id = k.normalized
                and c.channel_type = k.channel_type
                and c.channel_id = ''''
        ))
        from channel as k'
    ]);
call bench.compare('known: cookie', :rounds, :calls,
    array['extension', 'peer', 'probe'],
    array[
        'select count(visitor_identity.resolve_visitor(visitor_id => k.visitor_id)) from cookie as k',
        'select count(peer.resolve_visitor(visitor_id => k.visitor_id)) from cookie as k',
        'select count((
            select coalesce(v.superseded_by, v.visitor_id)
            from visitor_identity.visitor as v
            where v.account = ''default''
                and v.visitor_id = k.visitor_id
        ))
        from cookie as k'
    ]);

-- Where the time of the first of these goes: the same keys through less and less.
call bench.compare('part', :rounds, :calls,
    array[
        '1 scan of the keys',
        '2 + a call of a native function and the pure rules on the provided id',
        '3 + SECURITY DEFINER, SPI connection, account and policies from the cache, computing an id',
        '4 find_visitor, provided id alone: + one probe of the index',
        '5 find_visitor, provided id with its cookie: the same probe',
        '6 resolve_visitor, the same'
    ],
    array[
        'select count(k.provided_visitor_id) from known as k',
        'select count(visitor_identity.normalize_provided_visitor_id(k.provided_visitor_id)) from known as k',
        'select count(visitor_identity.derive_visitor_id(k.provided_visitor_id)) from known as k',
        'select count(visitor_identity.find_visitor(k.provided_visitor_id)) from known as k',
        'select count(visitor_identity.find_visitor(k.provided_visitor_id, visitor_id => k.visitor_id)) from known as k',
        'select count(visitor_identity.resolve_visitor(k.provided_visitor_id, visitor_id => k.visitor_id)) from known as k'
    ]);

-- First sights. Half of the people of a web site come with a cookie of their own, which is not measured here: that
-- would be a rebinding.
call bench.compare('first sight: provided id', :rounds, :sights,
    array['extension', 'peer', 'bare inserts'],
    array[
        format('select count(visitor_identity.resolve_visitor(''N-'' || $1 || ''-'' || n)) from generate_series(1, %s) as n', :sights),
        format('select count(peer.resolve_visitor(''N-'' || $1 || ''-'' || n)) from generate_series(1, %s) as n', :sights),
        format('do $do$
            begin
                for n in 1..%s loop
                    insert into peer.visitor (account, visitor_id, identified)
                    values (''default'', gen_random_uuid(), true);
                    insert into peer.provided_identity (account, provided_visitor_id, visitor_id)
                    values (''default'', gen_random_uuid()::text, gen_random_uuid());
                end loop;
            end
            $do$', :sights)
    ]);
call bench.compare('first sight: channel id', :rounds, :sights,
    array['extension', 'peer'],
    array[
        format('select count(visitor_identity.resolve_visitor(null, ''telegram'', (2000000000 + $1 * 1000000 + n)::text)) from generate_series(1, %s) as n', :sights),
        format('select count(peer.resolve_visitor(null, ''telegram'', (2000000000 + $1 * 1000000 + n)::text)) from generate_series(1, %s) as n', :sights)
    ]);
call bench.compare('first sight: nobody', :rounds, :sights,
    array['extension', 'peer'],
    array[
        format('select count(visitor_identity.resolve_visitor()) from generate_series(1, %s) as n', :sights),
        format('select count(peer.resolve_visitor()) from generate_series(1, %s) as n', :sights)
    ]);

-- What first sights leave in the heap, from the statistics.
create function pg_temp.written(wanted_schema text)
returns table (inserted bigint, updated bigint, dead bigint)
language sql volatile
as $$
    select sum(pg_stat_get_tuples_inserted(c.oid))::bigint,
        sum(pg_stat_get_tuples_updated(c.oid) + pg_stat_get_tuples_deleted(c.oid))::bigint,
        sum(pg_stat_get_dead_tuples(c.oid))::bigint
    from pg_class as c
    where c.relnamespace = wanted_schema::regnamespace
        and c.relkind = 'r'
$$;
-- Statistics are reported at the end of a transaction, at most once a second.
select pg_sleep(1.2)
\g /dev/null
select *
from pg_temp.written('visitor_identity')
\gset before_
select count(visitor_identity.resolve_visitor('T-' || n))
from generate_series(1, 1000) as n
\g /dev/null
select pg_sleep(1.2)
\g /dev/null
select 1
\g /dev/null
insert into bench.fact
select 'heap tuples per first sight (provided id)',
    format(
        '%s inserted, %s updated or deleted, %s dead',
        round((w.inserted - :before_inserted) / 1000.0, 3),
        round((w.updated - :before_updated) / 1000.0, 3),
        round((w.dead - :before_dead) / 1000.0, 3)
    )
from pg_temp.written('visitor_identity') as w;
