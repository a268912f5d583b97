-- One round of searches: the search bar and filters of the two views, by each identifier, against the index probes and
-- the reading of the same rows that nobody can do without. bench/run calls it in turn at either size of the table.
-- psql variables: round, size, searches.

\set ON_ERROR_STOP on
\set QUIET on
set client_min_messages = warning;
set jit = off;
set max_parallel_workers_per_gather = 0;

-- Runs one of the statements below for some of the people, and says how many rows it found.
create function pg_temp.search(what text, variant text, people integer)
returns bigint
language plpgsql volatile
as $$
declare
    s record;
    rows_found bigint;
    total bigint := 0;
begin
    for s in
        select *
        from bench.searched as b
        order by md5(b.n::text)
        limit people
    loop
        case what || ', ' || variant
            when 'search_history: visitor_id, extension' then
                select count(h)
                into rows_found
                from visitor_identity.search_history(s.visitor_id::text) as h;
            when 'search_history: former visitor_id, extension' then
                select count(h)
                into rows_found
                from visitor_identity.search_history(s.former_id::text) as h;
            when 'search_history: provided id, extension' then
                select count(h)
                into rows_found
                from visitor_identity.search_history(s.provided_visitor_id) as h;
            when 'search_history: channel user id, extension' then
                select count(h)
                into rows_found
                from visitor_identity.search_history(s.channel_user_id) as h;
            when 'chat_history: visitor_id, extension' then
                select count(h)
                into rows_found
                from chat.chat_history as h
                where h.visitor_id = s.visitor_id;
            when 'chat_history: provided id, extension' then
                select count(h)
                into rows_found
                from chat.chat_history as h
                where h.provided_visitor_id = s.provided_visitor_id;
            when 'chat_history: channel user id, extension' then
                select count(h)
                into rows_found
                from chat.chat_history as h
                where h.channel_user_id = s.channel_user_id;
            when 'chat_workspace: visitor_id, extension' then
                select count(h)
                into rows_found
                from chat.chat_workspace as h
                where h.visitor_id = s.visitor_id;
            when 'chat_workspace: provided id, extension' then
                select count(h)
                into rows_found
                from chat.chat_workspace as h
                where h.provided_visitor_id = s.provided_visitor_id;
            when 'search_history: visitor_id, probe', 'chat_history: visitor_id, probe' then
                select count(h)
                into rows_found
                from (
                    select c.*
                    from peer.chat as c
                    where c.account = 'default'
                        and c.visitor_id = s.visitor_id
                        and c.closed_at is not null
                    order by c.opened_at desc
                    limit 50
                ) as h;
            when 'search_history: former visitor_id, probe' then
                select count(h)
                into rows_found
                from (
                    select c.*
                    from peer.visitor as v
                    join peer.chat as c on c.visitor_id = v.superseded_by
                    where v.account = 'default'
                        and v.visitor_id = s.former_id
                        and c.account = 'default'
                        and c.closed_at is not null
                    order by c.opened_at desc
                    limit 50
                ) as h;
            when 'search_history: provided id, probe', 'chat_history: provided id, probe' then
                select count(h)
                into rows_found
                from (
                    select c.*
                    from peer.provided_identity as p
                    join peer.chat as c on c.visitor_id = p.visitor_id
                    where p.account = 'default'
                        and p.provided_visitor_id = s.provided_visitor_id
                        and c.account = 'default'
                        and c.closed_at is not null
                    order by c.opened_at desc
                    limit 50
                ) as h;
            when 'search_history: channel user id, probe', 'chat_history: channel user id, probe' then
                select count(h)
                into rows_found
                from (
                    select c.*
                    from peer.chat as c
                    where c.account = 'default'
                        and c.channel_user_id = s.channel_user_id
                        and c.closed_at is not null
                    order by c.opened_at desc
                    limit 50
                ) as h;
            when 'chat_workspace: visitor_id, probe' then
                select count(h)
                into rows_found
                from peer.chat as h
                where h.account = 'default'
                    and h.visitor_id = s.visitor_id
                    and h.closed_at is null;
            when 'chat_workspace: provided id, probe' then
                select count(h)
                into rows_found
                from peer.provided_identity as p
                join peer.chat as h on h.visitor_id = p.visitor_id
                where p.account = 'default'
                    and p.provided_visitor_id = s.provided_visitor_id
                    and h.account = 'default'
                    and h.closed_at is null;
        end case;
        total := total + rows_found;
    end loop;
    return total;
end
$$;

create procedure pg_temp.measure(what text, size text, round integer, people integer)
language plpgsql
as $$
declare
    variant text;
    started timestamptz;
    ended timestamptz;
    found_by_extension bigint;
    found_by_probe bigint;
begin
    -- Once to warm up: every page has been looked at by this backend, and the plans are kept, generic if they ever are.
    found_by_extension := pg_temp.search(what, 'extension', people);
    found_by_probe := pg_temp.search(what, 'probe', people);
    if found_by_extension <> found_by_probe or found_by_extension = 0 then
        raise exception '%: found %, not %', what, found_by_extension, found_by_probe;
    end if;
    foreach variant in array array['extension', 'probe']
    loop
        started := clock_timestamp();
        perform pg_temp.search(what, variant, people);
        ended := clock_timestamp();
        insert into bench.sample
        values (what || ', ' || size, variant, round, extract(epoch from ended - started) * 1e6 / people);
    end loop;
end
$$;

select format('call pg_temp.measure(%L, %L, %s, %s)', what, :'size', :round, :searches)
from unnest(array[
    'search_history: visitor_id', 'search_history: former visitor_id', 'search_history: provided id',
    'search_history: channel user id', 'chat_history: visitor_id', 'chat_history: provided id',
    'chat_history: channel user id', 'chat_workspace: visitor_id', 'chat_workspace: provided id'
]) as what
\gexec
