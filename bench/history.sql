-- One round of searches: the search bar, and filters of the two views by each identifier, against the index probes and
-- the reading of the same rows that nobody can do without. bench/run calls it in turn at either size of the table.
-- psql variables: round, size, searches.

\set ON_ERROR_STOP on
\set QUIET on
set client_min_messages = warning;
set jit = off;
set max_parallel_workers_per_gather = 0;

-- Who is searched for, taken out of the table before anything is measured: of p is searched in the statements below.
create temp table people as
select array(
    select s
    from bench.searched as s
    order by md5(s.n::text)
    limit :searches
) as every;

-- The same way of asking for both variants: what a page of History, or the Workspace, shows.
create temp table search (
    what text,
    variant text,
    statement text,
    name text generated always as ('search_' || md5(what || ', ' || variant)) stored
);

-- The search bar does not know of which kind the words are, and a channel user id is also looked for as channels key it:
-- nobody can do without a probe for each. "one probe" goes where the chats are at once, which by => allows.
insert into search
select format('search_history%s: %s', f.form, k.name), 'extension',
    format('select count(h) from visitor_identity.search_history(p.%s::text%s) as h', k.column_name, f.argument)
from (
    values
        ('visitor_id', 'visitor_id', 'visitor_id'), ('former visitor_id', 'former_id', 'visitor_id'),
        ('provided id', 'provided_visitor_id', 'provided_visitor_id'),
        ('channel user id', 'channel_user_id', 'channel_user_id')
) as k (name, column_name, kind)
cross join lateral (values ('', ''), (' by', format(', by => %L', k.kind))) as f (form, argument);
insert into search
select s.form || k.name, s.variant,
    format(
        'select count(h)
        from (select c.* from peer.chat as c where %s and c.closed_at is not null order by c.opened_at desc limit 50) as h',
        k.condition
    )
from (
    values
        ('visitor_id', 'c.account = ''default'' and c.visitor_id = p.visitor_id'),
        (
            'former visitor_id',
            'c.account = ''default'' and c.visitor_id = (
                select v.superseded_by
                from peer.visitor as v
                where v.account = ''default'' and v.visitor_id = p.former_id
            )'
        ),
        (
            'provided id',
            'c.account = ''default'' and c.visitor_id = (
                select i.visitor_id
                from peer.provided_identity as i
                where i.account = ''default'' and i.provided_visitor_id = p.provided_visitor_id
            )'
        ),
        ('channel user id', 'c.account = ''default'' and c.channel_user_id = p.channel_user_id')
) as k (name, condition)
cross join (values ('search_history: ', 'one probe'), ('search_history by: ', 'probe')) as s (form, variant);
insert into search
select 'search_history: ' || k.name, 'probe',
    format(
        $statement$
        select count(h)
        from (
            select c.*
            from peer.chat as c
            where c.account = 'default'
                and c.closed_at is not null
                and c.visitor_id = any (
                    array(
                        select coalesce(v.superseded_by, v.visitor_id)
                        from peer.visitor as v
                        where v.account = 'default' and v.visitor_id = %2$s
                        union all
                        select r.to_visitor_id
                        from peer.rebind as r
                        where r.account = 'default' and r.from_visitor_id = %2$s
                        union all
                        select i.visitor_id
                        from peer.provided_identity as i
                        where i.account = 'default' and i.provided_visitor_id = p.%1$s::text
                        union all
                        select i.visitor_id
                        from peer.channel_identity as i
                        where i.account = 'default' and i.channel_user_id = p.%1$s::text
                        union all
                        select i.visitor_id
                        from peer.former_channel_identity as i
                        where i.account = 'default' and i.channel_user_id = p.%1$s::text
                    )
                )
                and (%3$s)
            union
            select c.*
            from peer.chat as c
            where c.account = 'default'
                and c.closed_at is not null
                and c.channel_user_id = p.%1$s::text
            order by opened_at desc
            limit 50
        ) as h
        $statement$,
        k.column_name,
        case when k.column_name like '%_id' and k.name like '%visitor_id' then 'p.' || k.column_name else 'null::uuid' end,
        case when k.name = 'channel user id' then 'c.channel_user_id = p.channel_user_id' else 'true' end
    )
from (
    values
        ('visitor_id', 'visitor_id'), ('former visitor_id', 'former_id'), ('provided id', 'provided_visitor_id'),
        ('channel user id', 'channel_user_id')
) as k (name, column_name);

insert into search
select format('%s: %s', v.view, k.name), 'extension',
    format('select count(h) from chat.%s as h where h.%s = p.%2$s', v.view, k.column_name)
from (values ('chat_history'), ('chat_workspace')) as v (view)
cross join (
    values
        ('visitor_id', 'visitor_id'), ('provided id', 'provided_visitor_id'), ('channel user id', 'channel_user_id')
) as k (name, column_name);
insert into search
select format('%s: %s', v.view, k.name), 'probe',
    format('select count(h) from (select c.* from %s and c.closed_at is %s) as h', k.source, v.condition)
from (values ('chat_history', 'not null'), ('chat_workspace', 'null')) as v (view, condition)
cross join (
    values
        ('visitor_id', 'peer.chat as c where c.visitor_id = p.visitor_id'),
        (
            'provided id',
            'peer.provided_identity as i join peer.chat as c on c.account = i.account and c.visitor_id = i.visitor_id
            where i.provided_visitor_id = p.provided_visitor_id'
        ),
        ('channel user id', 'peer.chat as c where c.channel_user_id = p.channel_user_id')
) as k (name, source);

-- A function for each statement, so that the loop around it costs both variants the same and next to nothing.
do $do$
declare
    s record;
begin
    for s in
        select *
        from search
    loop
        execute format(
            'create function pg_temp.%I(every bench.searched[])
            returns bigint
            language plpgsql
            as $f$
            declare
                p bench.searched;
                rows_found bigint;
                total bigint := 0;
            begin
                foreach p in array every loop
                    %s;
                    total := total + rows_found;
                end loop;
                return total;
            end
            $f$',
            s.name, replace(s.statement, 'select count(h)', 'select count(h) into rows_found')
        );
    end loop;
end
$do$;

create procedure pg_temp.measure(what text, size text, round integer)
language plpgsql
as $$
declare
    everybody bench.searched[] := (
        select p.every
        from people as p
    );
    s record;
    started timestamptz;
    ended timestamptz;
    rows_found bigint;
    expected bigint;
begin
    -- Once to warm up: every page has been looked at by this backend, and the plans are kept, generic if they ever are.
    for s in
        select *
        from search as a
        where a.what = measure.what
    loop
        execute format('select pg_temp.%I($1)', s.name)
        into rows_found
        using everybody;
        expected := coalesce(expected, rows_found);
        if rows_found <> expected or rows_found = 0 then
            raise exception '%, %: found %, not %', what, s.variant, rows_found, expected;
        end if;
    end loop;
    -- In another order in every round.
    for s in
        select *
        from search as a
        where a.what = measure.what
        order by md5(a.name || round)
    loop
        started := clock_timestamp();
        execute format('select pg_temp.%I($1)', s.name)
        into rows_found
        using everybody;
        ended := clock_timestamp();
        insert into bench.sample
        values (
            what || ', ' || size, s.variant, round,
            extract(epoch from ended - started) * 1e6 / cardinality(everybody)
        );
    end loop;
end
$$;

select format('call pg_temp.measure(%L, %L, %s)', s.what, :'size', :round)
from search as s
group by s.what
order by s.what
\gexec
