-- resolve_visitors: what resolve_visitor would answer to each request in turn, one row a request, in their order.
\set ON_ERROR_STOP 0
\pset format unaligned
set client_min_messages = warning;

insert into visitor_identity.account (account, namespace)
values
    ('bulk set', 'c2a4f0de-31b5-4bd5-9d70-1f7b3f1f0a11'),
    ('bulk loop', 'c2a4f0de-31b5-4bd5-9d70-1f7b3f1f0a11'),
    ('bulk few', 'c2a4f0de-31b5-4bd5-9d70-1f7b3f1f0a11');
select visitor_identity.create_chat_store('bulk_chat');

-- The same cookies are known in both accounts.
insert into bulk_chat.chat (account, visitor_id)
select a.account, pg_catalog.md5('cookie ' || n)::uuid
from (values ('bulk set'), ('bulk loop'), ('bulk few')) as a (account)
cross join generate_series(1, 30) as n;

-- 1. A small one, to be read.
select request, outcome, basis, notes, refused_sqlstate, refused_message,
    dense_rank() over (order by visitor_id) as visitor
from visitor_identity.resolve_visitors(
    array['first', 'second', null, 'third', 'third', 'second', null, E'a\tb', null, null, 'undefined'],
    array[null, null, 'telegram', null, null, null, 'telegram', null, 'telegram', null, null],
    array[null, null, '12345678', null, null, null, '12345678', null, 'x', null, null],
    array[null, null, null, pg_catalog.md5('cookie 1')::uuid, null, null, null, null, null, pg_catalog.md5('cookie 1')::uuid, null],
    account => 'bulk few')
order by request;
select problem from visitor_identity.check_integrity() where account like 'bulk %';

-- 2. Several thousand random ones of few people, in both ways.
select setseed(0.25) \g /dev/null
create table bulk_chat.request as
select n as request,
    case when random() < 0.5 then (array['p ' || floor(random() * 60)::integer, 'null', ' p 1 ', E'p\x01'])[1 + (random() * 3.2)::integer % 4] end as provided_visitor_id,
    case when random() < 0.4 then (array['telegram', 'whatsapp', 'telegram', 'nowhere'])[1 + (random() * 3.1)::integer % 4] end as channel_type,
    case when random() < 0.4 then (10000000 + floor(random() * 40)::integer)::text end as channel_user_id,
    case when random() < 0.4 then pg_catalog.md5('cookie ' || floor(random() * 36)::integer)::uuid end as visitor_id
from generate_series(1, 6000) as n;

create table bulk_chat.answer (way text, request bigint, visitor_id uuid, outcome text, basis text, notes text[], sqlstate text, message text);

do $$
declare
    r record;
    state text;
    said text;
begin
    for r in select * from bulk_chat.request order by request loop
        begin
            insert into bulk_chat.answer
            select 'loop', r.request, d.visitor_id, d.outcome, d.basis, d.notes
            from visitor_identity.resolve_visitor_detail(
                r.provided_visitor_id, r.channel_type, r.channel_user_id, r.visitor_id, account => 'bulk loop') as d;
        exception when others then
            get stacked diagnostics state = returned_sqlstate, said = message_text;
            insert into bulk_chat.answer
            values ('loop', r.request, null, 'refused', 'none', '{}', state, said);
        end;
    end loop;
end
$$;

insert into bulk_chat.answer
select 'set', d.*
from (
    select array_agg(provided_visitor_id order by request) as provided_visitor_ids,
        array_agg(channel_type order by request) as channel_types,
        array_agg(channel_user_id order by request) as channel_user_ids,
        array_agg(visitor_id order by request) as visitor_ids
    from bulk_chat.request
) as r
cross join lateral visitor_identity.resolve_visitors(
    r.provided_visitor_ids, r.channel_types, r.channel_user_ids, r.visitor_ids, account => 'bulk set') as d;

select outcome, basis, count(*) > 20 as many
from bulk_chat.answer
where way = 'set'
group by outcome, basis
order by outcome, basis;

-- Random visitors have other ids in the two accounts: a visitor is called by the first request that met him.
with named as (
    select a.*, min(a.request) over (partition by a.way, a.visitor_id) as visitor
    from bulk_chat.answer as a
)
select s.request, s.outcome, l.outcome, s.basis, l.basis, s.notes, l.notes, s.visitor, l.visitor
from named as s
join named as l on l.request = s.request and l.way = 'loop'
where s.way = 'set'
    and (s.outcome, s.basis, s.notes, s.sqlstate, s.message, s.visitor)
        is distinct from (l.outcome, l.basis, l.notes, l.sqlstate, l.message, l.visitor)
order by s.request
limit 10;
select count(*) from bulk_chat.answer where way = 'set';

-- Where the chats are, and the bindings, are the same too.
select count(distinct (b.ids)) as bindings
from (
    select md5(string_agg(p.provided_visitor_id || p.visitor_id, ',' order by p.provided_visitor_id)) as ids
    from visitor_identity.provided_identity as p
    where p.account in ('bulk set', 'bulk loop')
    group by p.account
) as b;
select count(distinct c.visitors) as whereabouts
from (
    select md5(string_agg(o.visitor_id::text || c.visitor_id::text, ',' order by o.visitor_id)) as visitors
    from bulk_chat.chat as c
    join visitor_identity.visitor as o on o.account = c.account and o.visitor_id = c.origin_visitor_id
    where c.account in ('bulk set', 'bulk loop')
    group by c.account
) as c;
select count(distinct r.links) as "refused links"
from (
    select count(*) as links
    from visitor_identity.refused_link as r
    where r.account in ('bulk set', 'bulk loop')
    group by r.account
) as r;
select count(*) filter (where origin_visitor_id <> visitor_id) > 5 as moved
from bulk_chat.chat
where account = 'bulk set';
select problem from visitor_identity.check_integrity() where account like 'bulk %';

-- 3. Known visitors are answered in a read-only transaction, new ones not; nothing asked, nothing answered.
begin transaction read only;
select request, outcome from visitor_identity.resolve_visitors(array['first', 'second'], account => 'bulk few');
select outcome from visitor_identity.resolve_visitors(array['first', 'not seen yet'], account => 'bulk few');
rollback;
select count(*) from visitor_identity.resolve_visitors();
select count(*) from visitor_identity.resolve_visitors('{}', account => 'bulk few');
select outcome, basis from visitor_identity.resolve_visitors(array[null, null]::text[], account => 'bulk few');

-- 4. Bad calls.
select * from visitor_identity.resolve_visitors(array['a', 'b'], array['telegram']);
\echo :LAST_ERROR_SQLSTATE
select * from visitor_identity.resolve_visitors(array['a'], account => 'bulk nowhere');
\echo :LAST_ERROR_SQLSTATE

-- 5. More than a batch, memory apart: every answer once and in order.
select count(*), count(distinct visitor_id), min(request), max(request), bool_and(outcome = 'created') as created
from visitor_identity.resolve_visitors(
    (select array_agg('many ' || n order by n) from generate_series(1, 12001) as n), account => 'bulk few');
select count(*) = 12001 as same
from visitor_identity.resolve_visitors(
    (select array_agg('many ' || n order by n) from generate_series(1, 12001) as n), account => 'bulk few') as r
join visitor_identity.provided_identity as p
    on p.account = 'bulk few'
    and p.provided_visitor_id = 'many ' || r.request
    and p.visitor_id = r.visitor_id;

select visitor_identity.detach_table('bulk_chat.chat');
drop schema bulk_chat cascade;
delete from visitor_identity.rebind_row where account like 'bulk %';
delete from visitor_identity.rebind where account like 'bulk %';
delete from visitor_identity.refused_link where account like 'bulk %';
delete from visitor_identity.pending_rebind where account like 'bulk %';
delete from visitor_identity.provided_identity where account like 'bulk %';
delete from visitor_identity.channel_identity where account like 'bulk %';
delete from visitor_identity.former_channel_identity where account like 'bulk %';
delete from visitor_identity.visitor where account like 'bulk %';
delete from visitor_identity.account where account like 'bulk %';
