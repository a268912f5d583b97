-- The chats of two years in chat.chat, with its indexes dropped meanwhile and its triggers off, as a restore does it; in
-- partitions of a month where :partitioned is true. psql variables: visitors, chats, partitioned.

\set ON_ERROR_STOP on
\set QUIET on
set client_min_messages = warning;
set maintenance_work_mem = '1GB';
set work_mem = '256MB';

select visitor_identity.create_chat_store('chat', partitioned => :partitioned)
\g /dev/null
select format('create table chat.%1$s_%2$s partition of chat.%1$s for values from (%3$L) to (%4$L)',
    t.name, to_char(month, 'YYYY_MM'), month, month + interval '1 month')
from (values ('chat'), ('message')) as t (name)
cross join generate_series('2025-01-01'::timestamptz, '2026-12-01', '1 month') as month
where :partitioned
\gexec

create table bench.index_kept as
select x.place, x.remove, x.make
from (
    select 1, format('alter table %s drop constraint %I', c.conrelid::regclass, c.conname),
        format('alter table %s add constraint %I %s', c.conrelid::regclass, c.conname, pg_get_constraintdef(c.oid))
    from pg_constraint as c
    where c.conrelid = 'chat.message'::regclass and c.contype = 'f' and c.conparentid = 0
    union all
    select 2, format('alter table chat.chat drop constraint %I', c.conname),
        format('alter table chat.chat add constraint %I %s', c.conname, pg_get_constraintdef(c.oid))
    from pg_constraint as c
    where c.conrelid = 'chat.chat'::regclass and c.contype = 'p'
    union all
    select 3, format('drop index %s', i.indexrelid::regclass), replace(pg_get_indexdef(i.indexrelid), ' ON ONLY ', ' ON ')
    from pg_index as i
    where i.indrelid = 'chat.chat'::regclass and not i.indisprimary
) as x (place, remove, make);
select remove from bench.index_kept order by place \gexec

create unlogged table bench.special as
select row_number() over (order by md5(x.visitor_id::text || x.g)) as n, x.*
from (
    select s.visitor_id, g, case when g <= 4 then s.former_id else s.visitor_id end as origin_visitor_id,
        case when g > 4 then s.provided_visitor_id end as provided_visitor_id,
        case when g = 5 then s.channel_user_id end as channel_user_id,
        g <= 10 as is_closed
    from bench.searched as s
    cross join generate_series(1, 12) as g
    union all
    select r.visitor_id, g, r.visitor_id, null, null, true
    from bench.rebound as r
    cross join lateral generate_series(1, r.k) as g
) as x;

set session_replication_role = replica;
-- Spread over the two years, the special ones among the others.
insert into chat.chat (account, visitor_id, origin_visitor_id, provided_visitor_id, channel_type, channel_id, channel_user_id,
    department, operator, state, opened_at, closed_at)
select 'default', c.visitor_id, c.origin_visitor_id, c.provided_visitor_id,
    case when c.channel_user_id is not null then 'telegram' end, case when c.channel_user_id is not null then '' end,
    c.channel_user_id, 'sales', 'operator ' || c.n % 40, case when c.is_closed then 'closed' else 'queue' end,
    '2025-01-01'::timestamptz + c.part * interval '729 days',
    case when c.is_closed then '2025-01-01'::timestamptz + c.part * interval '729 days' + interval '10 minutes' end
from (
    select s.n, s.n::double precision / (select count(*) from bench.special) as part, s.visitor_id, s.origin_visitor_id,
        s.provided_visitor_id, s.channel_user_id, s.is_closed
    from bench.special as s
    union all
    select i, i::double precision / :chats, v.visitor_id, v.visitor_id,
        case when v.n <= 0.5 * :visitors and i % 2 = 0 then 'C-' || v.n end,
        case when v.n > 0.5 * :visitors then (100000000 + v.n)::text end,
        i % 50 > 0
    from generate_series(1, :chats - (select count(*) from bench.special)) as i
    cross join lateral (
        select n, md5('visitor ' || n)::uuid
        from (select 1 + (i * 7919::bigint) % (0.9 * :visitors)::bigint) as k (n)
    ) as v (n, visitor_id)
) as c;
reset session_replication_role;
drop table bench.special;
select make from bench.index_kept order by place desc \gexec
