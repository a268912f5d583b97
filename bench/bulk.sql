-- One round of resolve_visitors: requests of which half are known and half of the identified ones are new, asked by one
-- call, by the peer one by one (fewer of them), and answered by the bare statements: a set INSERT of what is new, and a join
-- with what is known. Every variant has new ids of its own. psql variables: visitors, requests, round (0 warms up).

\set ON_ERROR_STOP on
\set QUIET on
set client_min_messages = warning;
set jit = off;
set max_parallel_workers_per_gather = 0;
set work_mem = '256MB';

create temp table asked as
select i,
    i % 4 < 2 as is_provided,
    i % 4 = 2 as is_channel,
    i % 8 < 4 as is_known,
    p.*
from generate_series(1, :requests) as i
cross join lateral (
    select case i % 4
        when 2 then 4 * ((0.125 * :visitors)::bigint + (i * 7919::bigint) % (0.1 * :visitors)::bigint)
        when 3 then 1 + (i * 7919::bigint) % (0.9 * :visitors)::bigint
        else 1 + (i * 7919::bigint) % (0.5 * :visitors)::bigint
    end as n
) as v
cross join lateral bench.person(v.n) as p;

-- The same requests, with ids that no other variant and no other round has brought.
create function pg_temp.requests(variant text, round integer)
returns table (i bigint, provided_visitor_id text, channel_type text, channel_user_id text, visitor_id uuid)
language sql
as $$
    select a.i,
        case when a.is_provided then case when a.is_known then a.provided_visitor_id else format('%s %s %s', $1, $2, a.i) end end,
        case when a.is_channel then 'telegram' end,
        case
            when a.is_channel and a.is_known then a.channel_user_id
            when a.is_channel then (500000000000 + 20000000000::bigint * $2 + 2000000000::bigint * length($1) + a.i)::text
        end,
        case when not (a.is_provided or a.is_channel) then a.visitor_id end
    from asked as a
$$;
create temp table by_extension as
select * from pg_temp.requests('extension', :round);
create temp table by_peer as
select * from pg_temp.requests('peer', :round) where i <= greatest(:requests / 20, 5000);
create temp table by_bare_set as
select * from pg_temp.requests('bare set', :round);
analyze by_extension, by_peer, by_bare_set;

create procedure pg_temp.measure(variant text, round integer, calls bigint, statement text)
language plpgsql
as $$
declare
    started timestamptz := clock_timestamp();
    answered bigint;
begin
    execute statement
    into answered;
    if answered is distinct from calls then
        raise exception '% answers to % requests', answered, calls;
    end if;
    if round > 0 then
        insert into bench.sample
        values ('resolve_visitors, new and known mixed', variant, round, extract(epoch from clock_timestamp() - started) * 1e6 / calls);
    end if;
end
$$;

call pg_temp.measure('extension', :round, :requests, $$
    select count(r.visitor_id)
    from (
        select array_agg(e.provided_visitor_id) as provided_visitor_ids,
            array_agg(e.channel_type) as channel_types,
            array_agg(e.channel_user_id) as channel_user_ids,
            array_agg(e.visitor_id) as visitor_ids
        from (
            select *
            from by_extension
            order by i
        ) as e
    ) as a
    cross join lateral visitor_identity.resolve_visitors(
        a.provided_visitor_ids, a.channel_types, a.channel_user_ids, a.visitor_ids) as r
$$);
select count(*) as calls
from by_peer
\gset
call pg_temp.measure('peer, row by row', :round, :calls, $$
    select count(peer.resolve_visitor(p.provided_visitor_id, p.channel_type, p.channel_user_id, p.visitor_id))
    from by_peer as p
$$);
call pg_temp.measure('bare set', :round, :requests, $$
    with answer as materialized (
        select b.*, coalesce(p.visitor_id, c.visitor_id, v.superseded_by, v.visitor_id) as known
        from by_bare_set as b
        left join peer.provided_identity as p
            on p.account = 'default' and p.provided_visitor_id = b.provided_visitor_id
        left join peer.channel_identity as c
            on c.account = 'default' and c.channel_user_id = b.channel_user_id
            and c.channel_type = b.channel_type and c.channel_id = ''
        left join peer.visitor as v
            on v.account = 'default' and v.visitor_id = b.visitor_id
    ), fresh as materialized (
        select a.*, md5(concat(a.provided_visitor_id, a.channel_user_id))::uuid as computed
        from answer as a
        where a.known is null
    ), visitor as (
        insert into peer.visitor (account, visitor_id, identified)
        select 'default', f.computed, f.provided_visitor_id is not null
        from fresh as f
    ), provided as (
        insert into peer.provided_identity (account, provided_visitor_id, visitor_id)
        select 'default', f.provided_visitor_id, f.computed
        from fresh as f
        where f.provided_visitor_id is not null
    ), channel as (
        insert into peer.channel_identity (account, channel_type, channel_id, channel_user_id, visitor_id)
        select 'default', f.channel_type, '', f.channel_user_id, f.computed
        from fresh as f
        where f.channel_user_id is not null
    )
    select (select count(a.known) from answer as a) + (select count(f.computed) from fresh as f)
$$);
