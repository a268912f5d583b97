-- What two days left behind. A ratio that is the same after the second day as after the first is bounded: what grew are the rows.

\set ON_ERROR_STOP on
\set QUIET on
\pset footer off
\pset null ''
\pset format unaligned
\pset tuples_only on
select '| table or index | rows | dead | size | against a fresh copy, day 1 | day 2 | updates | HOT | autovacuum runs |'
union all
select '|---|---|---|---|---|---|---|---|---|';
select format(
    '| %s | %s | %s | %s | %s | %s | %s | %s | %s |', s.relation, s.rows, s.dead, pg_size_pretty(s.bytes),
    round(f.bytes::numeric / f.fresh_bytes, 2), round(s.bytes::numeric / s.fresh_bytes, 2), s.updates,
    case when s.updates > 0 then round(100.0 * s.hot_updates / s.updates) || ' %' end, s.autovacuums
)
from bench.size as s
left join bench.size as f on f.relation = s.relation and f.day = 1
where s.day = 2
order by s.relation;
