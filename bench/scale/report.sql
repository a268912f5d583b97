-- Ratios within a round, the median of them: against the bare statement in the same database, against the same with few chats,
-- and of the partitioned database against the plain one.

\set ON_ERROR_STOP on
\set QUIET on
\pset footer off
\pset null ''

create temp view each as
select s.what, s.round, s.micros, s.micros / b.micros as to_bare, regexp_replace(s.what, ', [^,]*$', '') as thing,
    regexp_replace(s.what, '^.*, ', '') as size
from bench.sample as s
join bench.sample as b on b.what = s.what and b.round = s.round and b.variant = 'bare'
where s.variant = 'extension';

create temp view line as
select
    e.thing,
    e.size,
    percentile_cont(0.5) within group (order by e.micros) as micros,
    percentile_cont(0.5) within group (order by e.to_bare) as to_bare,
    percentile_cont(0.5) within group (order by e.micros / f.micros) as growth,
    min(e.micros / f.micros) as least,
    max(e.micros / f.micros) as most,
    percentile_cont(0.5) within group (order by e.to_bare / f.to_bare) as growth_of_ratio,
    percentile_cont(0.5) within group (order by e.micros / p.micros) as to_plain
from each as e
left join each as f on f.thing = e.thing and f.round = e.round and e.size like '%million%'
    and f.size = regexp_replace(e.size, '^.* (plain|partitioned)$', '100 thousand \1')
left join each as p on p.thing = e.thing and p.round = e.round and e.size like '%partitioned'
    and p.size = replace(e.size, 'partitioned', 'plain')
group by e.thing, e.size;

\pset format unaligned
\pset tuples_only on
select '| what | chats | a call | against bare | growth | least–most | partitioned against plain |'
union all
select '|---|---|---|---|---|---|---|';
select format(
    '| %s | %s | %s | %s | %s | %s | %s |', l.thing, l.size, round(l.micros::numeric, 1) || ' µs', round(l.to_bare::numeric, 2),
    round(l.growth::numeric, 2), case when l.growth is not null then format('%s–%s', round(l.least::numeric, 2), round(l.most::numeric, 2)) end,
    round(l.to_plain::numeric, 2)
)
from line as l
order by l.thing, l.size like '%partitioned', l.size like '%million%';
