-- A batch reads its facts, and shares its visitors, from the indexes themselves: the answers, and what is written, are those of the
-- statements, which are run where the indexes may not be read. Visitors of every kind are met: absorbed, claimed, identified,
-- forgotten, of channels, unknown ones.
\pset format unaligned
set client_min_messages = warning;
create schema batch_reads;
set search_path = batch_reads;
insert into visitor_identity.account (account)
values ('batch_reads');
set visitor_identity.account = 'batch_reads';
select visitor_identity.create_chat_store('batch_reads');

-- Which of the statements for many requests this session has planned.
create function planned()
returns text
language sql
as $$
    select coalesce(string_agg(distinct t.name, ' ' order by t.name), 'none')
    from pg_backend_memory_contexts as m
    join (values
        ('facts', '%, q.number%'),
        ('share', '%unnest($2) as n (visitor_id)%skip locked%')
    ) as t (name, text) on m.ident like t.text
$$;

insert into chat (visitor_id)
select md5('cookie ' || n)::uuid
from generate_series(1, 40) as n;
-- 1 to 8 log in, 9 to 14 are claimed, 15 and 16 are forgotten; channels, two of them of people with an id.
select count(visitor_identity.resolve_visitor('P ' || n % 4, visitor_id => md5('cookie ' || n)::uuid)) as logins
from generate_series(1, 8) as n;
update visitor_identity.account set on_authorization = 'keep' where account = 'batch_reads';
select count(visitor_identity.resolve_visitor('P ' || n % 3, visitor_id => md5('cookie ' || n)::uuid)) as claims
from generate_series(9, 14) as n;
update visitor_identity.account set on_authorization = 'rebind' where account = 'batch_reads';
select count(visitor_identity.resolve_visitor(channel_type => 'telegram', channel_user_id => (67854250 + n)::text)) as channels
from generate_series(1, 6) as n;
select count(visitor_identity.resolve_visitor('P ' || n, 'telegram', (67854250 + n)::text)) as people_of_channels
from generate_series(1, 2) as n;
select count(*) > 0 as forgotten
from generate_series(15, 16) as n
cross join lateral visitor_identity.forget_visitor(md5('cookie ' || n)::uuid);
-- 17 and 18 are joined to a person, who is joined to another afterwards.
select count(visitor_identity.resolve_visitor('M', visitor_id => md5('cookie ' || n)::uuid)) as logins
from generate_series(17, 18) as n;
select visitor_identity.merge_visitors(visitor_identity.find_visitor('M'), visitor_identity.find_visitor('P 1')) is not null as merged;

select setseed(0.5) \g /dev/null
create table request as
select n as request,
    case when random() < 0.5 then (array['P ', 'P ', 'N '])[1 + floor(random() * 3)::integer] || floor(random() * 6)::integer end as provided_visitor_id,
    c.channel_user_id,
    case when c.channel_user_id is not null then 'telegram' end as channel_type,
    case when random() < 0.6 then md5('cookie ' || floor(1 + random() * 44)::integer)::uuid end as visitor_id
from generate_series(1, 3000) as n
cross join lateral (
    select case when random() + 0 * n < 0.3 then (67854250 + floor(random() * 10)::integer)::text end as channel_user_id
) as c;
-- All of them; random ids, which differ from call to call, by the first request that got them.
create function answers()
returns text
language sql
as $$
    select md5(string_agg(
        concat_ws(' ', a.request, case when a.outcome <> 'created' or a.basis <> 'none' then a.visitor_id end, a.outcome, a.basis, a.notes, a.refused_sqlstate),
        ',' order by a.request))
    from (
        select array_agg(r.provided_visitor_id order by r.request) as provided_visitor_ids,
            array_agg(r.channel_type order by r.request) as channel_types,
            array_agg(r.channel_user_id order by r.request) as channel_user_ids,
            array_agg(r.visitor_id order by r.request) as visitor_ids
        from request as r
    ) as r
    cross join lateral visitor_identity.resolve_visitors(
        r.provided_visitor_ids, r.channel_types, r.channel_user_ids, r.visitor_ids) as a
$$;
create function state()
returns text
language sql
as $$
    select md5(string_agg(l.line, ',' order by l.line collate "C"))
    from (
        select concat_ws(' ', v.visitor_id, v.superseded_by, v.claimed_by, v.identified, v.forgotten) as line
        from visitor_identity.visitor as v
        where v.account = 'batch_reads'
            and (v.identified or v.superseded_by is not null or v.claimed_by is not null or v.visitor_id in (select r.visitor_id from request as r))
        union all
        select concat_ws(' ', p.provided_visitor_id, p.visitor_id)
        from visitor_identity.provided_identity as p
        where p.account = 'batch_reads'
        union all
        select concat_ws(' ', c.channel_user_id, c.visitor_id)
        from visitor_identity.channel_identity as c
        where c.account = 'batch_reads'
        union all
        select concat_ws(' ', c.chat_id, c.visitor_id, c.origin_visitor_id)
        from chat as c
    ) as l
$$;

begin;
select answers() as by_index \gset
select state() as state_by_index \gset
rollback;
select planned() = case when c.relkind = 'r' then 'none' else 'facts' end as "none planned while the indexes are read"
from pg_class as c
where c.oid = 'visitor_identity.visitor'::regclass;
set visitor_identity.direct_reads = off;
begin;
select answers() as by_statement \gset
select state() as state_by_statement \gset
rollback;
select planned() as "planned by the statements";
select :'by_index' = :'by_statement' as "same answers", :'state_by_index' = :'state_by_statement' as "same state";
reset visitor_identity.direct_reads;

-- A history, whose chats bring the same people.
create table history (like chat including all);
insert into history (account, chat_id, visitor_id, provided_visitor_id, channel_type, channel_id, channel_user_id, opened_at)
select 'batch_reads', r.request, coalesce(r.visitor_id, md5('cookie ' || r.request % 50)::uuid), r.provided_visitor_id, r.channel_type, '', r.channel_user_id,
    '2026-01-01'::timestamptz + r.request * interval '1 minute'
from request as r;
select visitor_identity.attach_chat_table('history');
-- Random visitors, too, have other ids in the two: a visitor is called by his first chat.
create function history_state()
returns text
language sql
as $$
    select md5(string_agg(concat_ws(' ', h.chat_id, h.visitor, h.origin), ',' order by h.chat_id)) || batch_reads.state()
    from (
        select c.chat_id,
            min(c.chat_id) over (partition by c.visitor_id) as visitor,
            min(c.chat_id) over (partition by c.origin_visitor_id) as origin
        from batch_reads.history as c
    ) as h
$$;
begin;
select visitor_identity.backfill_begin('history');
select sum((select b.resolved from visitor_identity.backfill_batch('history', 700 + 0 * n) as b)) as resolved
from generate_series(1, 5) as n;
select history_state() as by_index \gset
rollback;
set visitor_identity.direct_reads = off;
begin;
select visitor_identity.backfill_begin('history');
select sum((select b.resolved from visitor_identity.backfill_batch('history', 700 + 0 * n) as b)) as resolved
from generate_series(1, 5) as n;
select history_state() as by_statement \gset
rollback;
select :'by_index' = :'by_statement' as "same history";
reset visitor_identity.direct_reads;
select problem, count(*) from visitor_identity.check_integrity() where account = 'batch_reads' group by problem order by problem;

select visitor_identity.detach_table('chat'), visitor_identity.detach_table('history');
delete from visitor_identity.rebind_row where account = 'batch_reads';
delete from visitor_identity.rebind where account = 'batch_reads';
delete from visitor_identity.refused_link where account = 'batch_reads';
delete from visitor_identity.pending_rebind where account = 'batch_reads';
delete from visitor_identity.provided_identity where account = 'batch_reads';
delete from visitor_identity.channel_identity where account = 'batch_reads';
delete from visitor_identity.former_channel_identity where account = 'batch_reads';
delete from visitor_identity.visitor where account = 'batch_reads';
delete from visitor_identity.account where account = 'batch_reads';
drop schema batch_reads cascade;
