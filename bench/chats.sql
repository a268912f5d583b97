-- The chats, the same in chat.chat (attached) and peer.chat (not attached): most of them of the visitors of
-- bench/load.sql, some of people made for one measurement. Loaded with the triggers off, as a restore does.
-- psql variables: visitors, chats, rounds (of rebindings, the one for the WAL included).

\set ON_ERROR_STOP on
\set QUIET on

-- People to be searched for: a thousand with ten closed and two open chats each, whatever the size of the table. Each
-- has a provided id, a channel id and a former visitor_id from which four of the chats came.
create table bench.searched as
select n,
    md5('searched ' || n)::uuid as visitor_id,
    md5('searched before ' || n)::uuid as former_id,
    'S-' || n as provided_visitor_id,
    (90000000 + n)::text as channel_user_id
from generate_series(1, 1000) as n;

insert into visitor_identity.visitor (account, visitor_id, superseded_by, identified)
select 'default', v.visitor_id, v.superseded_by, v.superseded_by is null
from bench.searched as s
cross join lateral (values (s.visitor_id, null), (s.former_id, s.visitor_id)) as v (visitor_id, superseded_by);
insert into visitor_identity.provided_identity (account, provided_visitor_id, visitor_id)
select 'default', s.provided_visitor_id, s.visitor_id
from bench.searched as s;
insert into visitor_identity.channel_identity (account, channel_type, channel_id, channel_user_id, visitor_id)
select 'default', 'telegram', '', s.channel_user_id, s.visitor_id
from bench.searched as s;

-- People to be rebound: anonymous visitors with k chats each, in every round for each of those who move them, and a
-- few to warm up with. The extension and the peer move the set of number 1, each in its own tables; the bare UPDATE
-- that of number 2.
create table bench.rebound as
select k, round, place, part,
    place <= 6 as is_warm_up,
    md5(format('rebound %s %s %s %s', k, round, place, part))::uuid as visitor_id,
    row_number() over () as person
from (values (1, 100), (10, 40), (1000, 2)) as size (k, places)
cross join generate_series(1, :rounds) as round
cross join lateral generate_series(case when k < 1000 then 1 else 7 end, 6 + places) as place
cross join generate_series(1, 2) as part;
alter table bench.rebound add primary key (k, round, place, part);

insert into visitor_identity.visitor (account, visitor_id)
select 'default', r.visitor_id
from bench.rebound as r;

insert into peer.visitor
select *
from visitor_identity.visitor
on conflict do nothing;
insert into peer.provided_identity
select *
from visitor_identity.provided_identity
on conflict do nothing;
insert into peer.channel_identity
select *
from visitor_identity.channel_identity
on conflict do nothing;

create temp table special as
select s.visitor_id, case when g <= 4 then s.former_id else s.visitor_id end as origin_visitor_id,
    case when g > 4 then s.provided_visitor_id end as provided_visitor_id,
    case when g in (5, 6, 7, 11) then 'telegram' end as channel_type,
    case when g in (5, 6, 7, 11) then s.channel_user_id end as channel_user_id,
    g <= 10 as is_closed
from bench.searched as s
cross join generate_series(1, 12) as g
union all
select r.visitor_id, r.visitor_id, null, null, null, true
from bench.rebound as r
cross join lateral generate_series(1, r.k) as g;

-- Spread among the others, as they would have come in time.
create temp table filler as
select p.visitor_id,
    p.visitor_id as origin_visitor_id,
    case when n <= 0.5 * :visitors and i % 2 = 0 then p.provided_visitor_id end as provided_visitor_id,
    case when n > 0.5 * :visitors then p.channel_type end as channel_type,
    case when n > 0.5 * :visitors then p.channel_user_id end as channel_user_id,
    i % 10 < 7 as is_closed
from generate_series(1, greatest(0, :chats - (
    select count(*)
    from special
))) as i
cross join lateral (select 1 + (i * 7919) % (0.9 * :visitors)::bigint) as v (n)
cross join lateral bench.person(n) as p;

set session_replication_role = replica;
insert into chat.chat
    (account, visitor_id, origin_visitor_id, provided_visitor_id, channel_type, channel_id, channel_user_id, department, operator,
        state, opened_at, closed_at)
select 'default', c.visitor_id, c.origin_visitor_id, c.provided_visitor_id, c.channel_type,
    case when c.channel_type is not null then '' end, c.channel_user_id, 'sales', 'operator ' || n % 40,
    case when c.is_closed then 'closed' else 'queue' end,
    '2026-01-01'::timestamptz + n * interval '7 seconds',
    case when c.is_closed then '2026-01-01'::timestamptz + n * interval '7 seconds' + interval '10 minutes' end
from (
    select *, row_number() over (order by md5(visitor_id::text || random())) as n
    from (
        select *
        from special
        union all
        select *
        from filler
    ) as every
) as c;
reset session_replication_role;

insert into peer.chat
select *
from chat.chat;
select setval(pg_get_serial_sequence(t.name, 'chat_id'), (
    select max(c.chat_id)
    from chat.chat as c
))
from (values ('chat.chat'), ('peer.chat')) as t (name)
\g /dev/null
