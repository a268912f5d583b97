-- The report: what was measured, as ratios within a round (median, least and most of them), beside the goals.
-- psql variable: markdown (off, or on for docs/benchmarks.md).

\set ON_ERROR_STOP on
\set QUIET on
\pset footer off
\pset null ''

create or replace function bench.span(micros double precision)
returns text
language sql immutable
return case
    when micros >= 1e6 then round((micros / 1e6)::numeric, 2) || ' s'
    when micros >= 1e4 then round((micros / 1e3)::numeric, 1) || ' ms'
    when micros >= 1e3 then round((micros / 1e3)::numeric, 2) || ' ms'
    when micros >= 100 then round(micros::numeric, 0) || ' µs'
    when micros >= 10 then round(micros::numeric, 1) || ' µs'
    else round(micros::numeric, 2) || ' µs'
end;

-- Each line: what, measured how, against what; the goal. A growth is the same thing in another database.
create temp table line (
    place integer generated always as identity,
    what text,
    variant text,
    against_what text,
    against text,
    goal numeric,
    -- more: throughput, the higher the better; less: time.
    better text,
    is_growth boolean not null default false
);

insert into line (what, variant, against, goal, better)
select k.what, 'extension', a.against, a.goal, 'less'
from unnest(array['known: provided id with its cookie', 'known: channel id', 'known: cookie']) with ordinality as k (what, place)
cross join (values ('peer', 0.55), ('probe', 1.2)) as a (against, goal)
order by k.place, a.against;
insert into line (what, variant, against, goal, better)
values
    ('first sight: provided id', 'extension', 'peer', 0.6, 'less'),
    ('first sight: channel id', 'extension', 'peer', 0.6, 'less'),
    ('first sight: nobody', 'extension', 'peer', null, 'less'),
    ('first sight: provided id', 'extension', 'bare inserts', null, 'less');
insert into line (what, variant, against, goal, better)
select s.what, 'extension', a.against, a.goal, 'more'
from (
    select distinct what, substring(what from '[0-9]+')::integer as clients
    from bench.sample
    where what like 'known, by pgbench%'
) as s
cross join (values ('probe', 0.95), ('application', 3)) as a (against, goal)
order by s.clients, a.against desc;
insert into line (what, variant, against, goal, better)
select s.what, 'attached', 'unattached', 1.3, 'less'
from (
    select distinct what
    from bench.sample
    where what like 'INSERT%'
) as s
order by s.what;
insert into line (what, variant, against, goal, better)
values
    ('COPY of chats with a visitor_id', 'attached', 'unattached', 2, 'less'),
    ('COPY of chats, mixed', 'attached', 'unattached', 2, 'less'),
    ('UPDATE of another column', 'attached', 'unattached', 1.02, 'less'),
    ('UPDATE of another column', 'attached', 'a trigger that never fires', null, 'less');
insert into line (what, variant, against, goal, better)
select format('rebinding of %s chats, %s in the table', k, size), 'extension', against,
    case against when 'bare update' then 1.3 end, 'less'
from unnest(array[1, 10, 1000]) as k
cross join (
    select distinct substring(what from ', (.*) in the table$') as size
    from bench.sample
    where what like 'rebinding%'
) as s
cross join unnest(array['bare update', 'peer']) as against
order by against, k, size like '%million%';
insert into line (what, variant, against_what, against, goal, better, is_growth)
select format('rebinding of %s chats, %s in the table', k, large), 'extension',
    format('rebinding of %s chats, %s in the table', k, small), 'extension', null, 'less', true
from unnest(array[1, 10, 1000]) as k
cross join (
    select max(s.size) filter (where s.is_large) as large, max(s.size) filter (where not s.is_large) as small
    from (
        select distinct substring(what from ', (.*) in the table$') as size, what like '%million%' as is_large
        from bench.sample
        where what like 'rebinding%'
    ) as s
) as sizes;
create temp view searches as
select distinct s.what, split_part(s.what, ', ', 1) as kind, s.what like '%million%' as is_large, s.variant
from bench.sample as s
where s.what ~ '^(search|chat)_[a-z]+( by)?:';
insert into line (what, variant, against, goal, better)
select s.what, 'extension', 'probe', 2, 'less'
from searches as s
where s.variant = 'probe'
order by s.kind, s.is_large;
insert into line (what, variant, against, goal, better)
select s.what, 'extension', s.variant, null, 'less'
from searches as s
where s.variant = 'one probe'
order by s.kind, s.is_large;
insert into line (what, variant, against_what, against, goal, better, is_growth)
select large.what, 'extension', small.what, 'extension', null, 'less', true
from searches as large
join searches as small on small.kind = large.kind
where large.variant = 'probe'
    and small.variant = 'probe'
    and large.is_large
    and not small.is_large
order by large.what;
insert into line (what, variant, against, goal, better)
values
    ('resolve_visitors, new and known mixed', 'extension', 'bare set', 1.3, 'less'),
    ('resolve_visitors, new and known mixed', 'extension', 'peer, row by row', 0.2, 'less'),
    ('backfill of a history', 'extension', 'bare update', null, 'less');
insert into line (what, variant, against, goal, better)
values
    ('first call in a new connection', 'extension', 'peer', null, 'less'),
    ('first call in a new connection', 'extension', 'probe', null, 'less');

create temp table result as
select l.place,
    l.what || case when l.is_growth then ': growth' else '' end as what,
    case when l.is_growth then 'against ' || substring(l.against_what from '[0-9]+ thousand') else l.against end as against,
    bench.span(percentile_cont(0.5) within group (order by s.micros)) as this,
    bench.span(percentile_cont(0.5) within group (order by a.micros)) as that,
    r.ratio,
    format('%s–%s', round(min(r.each)::numeric, 2), round(max(r.each)::numeric, 2)) as range,
    case
        when l.goal is null then null
        else case l.better when 'more' then '≥ ' else '≤ ' end || l.goal
    end as goal,
    case
        when l.goal is null then null
        when case l.better when 'more' then r.ratio >= l.goal else r.ratio <= l.goal end then 'yes'
        else 'NO'
    end as met
from line as l
join bench.sample as s on s.what = l.what and s.variant = l.variant
join bench.sample as a on a.what = coalesce(l.against_what, l.what) and a.variant = l.against and a.round = s.round
cross join lateral (
    select case l.better when 'more' then a.micros / s.micros else s.micros / a.micros end as each,
        (
            select round(percentile_cont(0.5) within group (
                order by case l.better when 'more' then b.micros / t.micros else t.micros / b.micros end
            )::numeric, 2)
            from bench.sample as t
            join bench.sample as b
                on b.what = coalesce(l.against_what, l.what)
                and b.variant = l.against
                and b.round = t.round
            where t.what = l.what
                and t.variant = l.variant
        ) as ratio
) as r
group by l.place, l.what, l.against, l.against_what, l.goal, l.better, l.is_growth, r.ratio;

-- What is no ratio.
insert into result (place, what, this, goal, met)
select l.place + g.place, g.what, case when g.is_rate then round(1e6 / m.median)::text else bench.span(m.median) end, g.goal,
    case when g.most is null then null when m.median <= g.most then 'yes' else 'NO' end
from (
    select max(r.place) as place
    from result as r
) as l
cross join (
    values
        (1, 'bare update of the same chats, rows a second', 'backfill of a history', 'bare update', true, null, null),
        (2, 'backfill_chats, chats a second', 'backfill of a history', 'extension', true, '≥ 100000', 10),
        (3, 'first call in a new connection, as a time', 'first call in a new connection', 'extension', false, '≤ 5 ms', 5000)
) as g (place, what, measured, variant, is_rate, goal, most)
join (
    select s.what, s.variant, percentile_cont(0.5) within group (order by s.micros) as median
    from bench.sample as s
    group by s.what, s.variant
) as m on m.what = g.measured and m.variant = g.variant;

create temp view part as
select s.variant as part, bench.span(percentile_cont(0.5) within group (order by s.micros)) as "a call"
from bench.sample as s
where s.what = 'part'
group by s.variant;

\if :markdown
-- psql has no Markdown of its own.
\pset format unaligned
\pset tuples_only on
select '| what | against | this | that | ratio | least–most | goal | met |'
union all
select '|---|---|---|---|---|---|---|---|';
select format(
    '| %s | %s | %s | %s | %s | %s | %s | %s |',
    r.what, r.against, r.this, r.that, r.ratio, r.range, r.goal, r.met
)
from result as r
order by r.place;
\echo
select '| part | a call |'
union all
select '|---|---|';
select format('| %s | %s |', p.part, p."a call")
from part as p
order by p.part;
\echo
select format('- %s: %s', f.what, f.figure)
from bench.fact as f
order by f.what;
\else
select r.what, r.against, r.this, r.that, r.ratio, r.range as "least–most", r.goal, r.met
from result as r
order by r.place;
select *
from part as p
order by p.part;
select f.what, f.figure
from bench.fact as f
order by f.what;
\endif
