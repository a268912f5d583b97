-- backfill_chats: a history that was there before attaching ends where it would have ended had it arrived live.
\set ON_ERROR_STOP 0
\pset format unaligned
set client_min_messages = warning;
set timezone = 'UTC';

insert into visitor_identity.account (account, namespace)
values
    ('backfill live', 'c2a4f0de-31b5-4bd5-9d70-1f7b3f1f0a22'),
    ('backfill history', 'c2a4f0de-31b5-4bd5-9d70-1f7b3f1f0a22');
create schema backfill;
-- Few people and many chats; malformed and blocked ids, cookies that several logins show, channels that change hands.
select setseed(0.75) \g /dev/null
create table backfill.day as
select n as chat_id,
    '2026-03-01 00:00+00'::timestamptz + (n * 7919 % 5000) * interval '1 second' as opened_at,
    case when random() < 0.8 then pg_catalog.md5('backfill cookie ' || floor(random() * 150)::integer)::uuid end as visitor_id,
    case when random() < 0.3 then (array['p ' || floor(random() * 80)::integer, 'null', ' p 1 ', E'p\x01'])[1 + (random() * 3.2)::integer % 4] end as provided_visitor_id,
    case when random() < 0.3 then (array['telegram', 'whatsapp', 'telegram', 'nowhere'])[1 + (random() * 3.1)::integer % 4] end as channel_type,
    case when random() < 0.4 then (10000000 + floor(random() * 90)::integer)::text end as channel_user_id
from generate_series(1, 4000) as n;

create table backfill.live (
    chat_id integer,
    opened_at timestamptz,
    account text default 'backfill live',
    visitor_id uuid,
    provided_visitor_id text,
    channel_type text,
    channel_user_id text,
    "the rest" text,
    primary key (account, chat_id, opened_at)
);
create index on backfill.live (visitor_id);
create index on backfill.live (channel_user_id);
create table backfill.history (like backfill.live including all);
alter table backfill.history alter column account set default 'backfill history';

select visitor_identity.attach_chat_table('backfill.live');
-- One statement a chat: the logins of one statement are carried out at its end.
do $$
declare
    d backfill.day;
begin
    for d in select * from backfill.day order by opened_at, chat_id loop
        insert into backfill.live (chat_id, opened_at, visitor_id, provided_visitor_id, channel_type, channel_user_id)
        values (d.chat_id, d.opened_at, d.visitor_id, d.provided_visitor_id, d.channel_type, d.channel_user_id);
    end loop;
end
$$;

insert into backfill.history (chat_id, opened_at, visitor_id, provided_visitor_id, channel_type, channel_user_id)
select chat_id, opened_at, visitor_id, provided_visitor_id, channel_type, channel_user_id
from backfill.day
order by chat_id;
select visitor_identity.attach_chat_table('backfill.history');
call visitor_identity.backfill_chats('backfill.history', 70);

-- Visitors that nothing computes have other ids in the two accounts: such a one is called by the first chat he has.
create function backfill.named(text) returns table (chat_id integer, visitor bigint, origin bigint)
language sql as $$
    with chats as (
        select c.account, c.chat_id, c.visitor_id, c.origin_visitor_id
        from backfill.live as c
        union all
        select c.account, c.chat_id, c.visitor_id, c.origin_visitor_id
        from backfill.history as c
    ), first as (
        select v.visitor_id, min(v.chat_id) as called
        from (
            select c.visitor_id, c.chat_id from chats as c where c.account = $1
            union all
            select c.origin_visitor_id, 10000 + c.chat_id from chats as c where c.account = $1
        ) as v
        group by v.visitor_id
    )
    select c.chat_id, v.called, o.called
    from chats as c
    left join first as v on v.visitor_id = c.visitor_id
    left join first as o on o.visitor_id = c.origin_visitor_id
    where c.account = $1
$$;
select l.chat_id, l.visitor, h.visitor, l.origin, h.origin
from backfill.named('backfill live') as l
join backfill.named('backfill history') as h on h.chat_id = l.chat_id
where (l.visitor, l.origin) is distinct from (h.visitor, h.origin)
order by l.chat_id
limit 10;
select count(*) as chats, count(distinct visitor) > 200 as "of many visitors", count(*) filter (where visitor <> origin) > 100 as "many moved"
from backfill.named('backfill history');

-- The identities are the same too, and every promise is kept.
select count(distinct b.ids) as bindings
from (
    select md5(string_agg(p.provided_visitor_id || p.visitor_id, ',' order by p.provided_visitor_id)) as ids
    from visitor_identity.provided_identity as p
    where p.account like 'backfill %'
    group by p.account
) as b;
select count(distinct b.ids) as channels
from (
    select md5(string_agg(c.channel_user_id || c.visitor_id, ',' order by c.channel_type, c.channel_user_id)) as ids
    from visitor_identity.channel_identity as c
    where c.account like 'backfill %'
    group by c.account
) as b;
select count(distinct r.links) as "refused links"
from (
    select count(*) as links
    from visitor_identity.refused_link as r
    where r.account like 'backfill %'
    group by r.account
) as r;
select count(*) as waiting from visitor_identity.backfill_queue;
select * from visitor_identity.check_integrity() where account like 'backfill %';

-- Called again it finds nothing to do.
set client_min_messages = notice;
call visitor_identity.backfill_chats('backfill.history');
set client_min_messages = warning;

-- Interrupted: what is waiting stays queued, and the next call goes on there. Chats that arrive meanwhile are live ones.
select visitor_identity.detach_table('backfill.history');
delete from backfill.history;
insert into visitor_identity.account (account) values ('backfill resumed');
insert into backfill.history (account, chat_id, opened_at, visitor_id, provided_visitor_id)
select 'backfill resumed', n, '2026-03-01 00:00+00'::timestamptz + n * interval '1 minute',
    pg_catalog.md5('resumed ' || n / 2)::uuid, case when n % 2 = 1 then 'r ' || n / 2 end
from generate_series(1, 20) as n;
select visitor_identity.attach_chat_table('backfill.history');
select visitor_identity.backfill_begin('backfill.history');
select * from visitor_identity.backfill_batch('backfill.history', 7);
begin;
select * from visitor_identity.backfill_batch('backfill.history', 7);
rollback;
insert into backfill.history (account, chat_id, opened_at, provided_visitor_id) values ('backfill resumed', 100, now(), 'r 9');
-- One that was in the queue is deleted, one logs in before its turn.
delete from backfill.history where chat_id = 18;
update backfill.history set provided_visitor_id = 'r 100' where chat_id = 20;
select sum(jsonb_array_length(keys)) as waiting, min(position) as next from visitor_identity.backfill_queue;
select visitor_identity.backfill_begin('backfill.history');
set client_min_messages = notice;
call visitor_identity.backfill_chats('backfill.history', 3);
set client_min_messages = warning;
select c.chat_id, c.provided_visitor_id, dense_rank() over (order by p.provided_visitor_id) as visitor,
    c.visitor_id = c.origin_visitor_id as from_the_start
from backfill.history as c
left join visitor_identity.provided_identity as p on p.account = c.account and p.visitor_id = c.visitor_id
order by c.chat_id;
select count(*) as waiting from visitor_identity.backfill_queue;
select * from visitor_identity.check_integrity() where account like 'backfill %';

-- Chats of no known account are passed over, and said to be.
select visitor_identity.detach_table('backfill.history');
delete from backfill.history;
insert into backfill.history (account, chat_id, opened_at, visitor_id)
values
    ('backfill nobody', 1, now(), pg_catalog.md5('nobody')::uuid),
    ('backfill resumed', 2, now(), pg_catalog.md5('somebody')::uuid);
select visitor_identity.attach_chat_table('backfill.history');
set client_min_messages = notice;
call visitor_identity.backfill_chats('backfill.history');
set client_min_messages = warning;
select account, origin_visitor_id is null as untouched from backfill.history order by chat_id;

-- A table without a time of opening, with a key of one column, partitioned, of one account.
create table backfill.odd (
    "Key" timestamptz not null,
    "Visitor" uuid,
    "Crm" integer,
    state text not null,
    primary key ("Key", state)
) partition by list (state);
create table backfill.odd_open partition of backfill.odd for values in ('open');
create table backfill.odd_closed partition of backfill.odd for values in ('closed');
create index on backfill.odd ("Visitor");
insert into backfill.odd
select '2026-03-01 00:00+00'::timestamptz + n * interval '1 minute', pg_catalog.md5('odd ' || n / 2)::uuid, case when n % 2 = 1 then n / 2 + 1 end,
    case when n % 3 = 0 then 'open' else 'closed' end
from generate_series(1, 9) as n;
select visitor_identity.attach_chat_table('backfill.odd', visitor_id => 'Visitor', provided_visitor_id => 'Crm', fixed_account => 'backfill resumed', closed_when => $$state operator(pg_catalog.=) 'closed'$$);
set timezone = 'Asia/Tokyo';
set client_min_messages = notice;
call visitor_identity.backfill_chats('backfill.odd', 2);
set client_min_messages = warning;
set timezone = 'UTC';
select c."Key", c."Crm", p.provided_visitor_id, c.origin_visitor_id = c."Visitor" as from_the_start
from backfill.odd as c
left join visitor_identity.provided_identity as p on p.account = 'backfill resumed' and p.visitor_id = c."Visitor"
order by 1;
select * from visitor_identity.check_integrity() where chat_table::text like 'backfill.odd%';

-- Bad calls.
\set SHOW_CONTEXT never
call visitor_identity.backfill_chats('backfill.day');
\echo :LAST_ERROR_SQLSTATE
call visitor_identity.backfill_chats(null);
\echo :LAST_ERROR_SQLSTATE
call visitor_identity.backfill_chats('backfill.odd', 0);
\echo :LAST_ERROR_SQLSTATE
begin;
call visitor_identity.backfill_chats('backfill.odd');
\echo :LAST_ERROR_SQLSTATE
rollback;
begin transaction read only;
select * from visitor_identity.backfill_batch('backfill.odd', 1);
\echo :LAST_ERROR_SQLSTATE
rollback;
create role backfill_stranger;
grant usage on schema backfill to backfill_stranger;
select visitor_identity.grant_access('backfill_stranger', 'admin');
set role backfill_stranger;
call visitor_identity.backfill_chats('backfill.odd');
\echo :LAST_ERROR_SQLSTATE
insert into visitor_identity.backfill_queue values ('backfill.odd', 1, '{}');
\echo :LAST_ERROR_SQLSTATE
reset role;

-- Its owner, who is no superuser, may.
create role backfill_owner;
grant usage, create on schema backfill to backfill_owner;
select visitor_identity.grant_access('backfill_owner', 'admin');
select visitor_identity.detach_table('backfill.odd');
alter table backfill.odd owner to backfill_owner;
alter table backfill.odd_open owner to backfill_owner;
alter table backfill.odd_closed owner to backfill_owner;
set role backfill_owner;
select visitor_identity.attach_chat_table('backfill.odd', visitor_id => 'Visitor', provided_visitor_id => 'Crm', fixed_account => 'backfill resumed', closed_when => $$state operator(pg_catalog.=) 'closed'$$);
select visitor_identity.backfill_begin('backfill.odd');
select * from visitor_identity.backfill_batch('backfill.odd', 100);
\echo :LAST_ERROR_SQLSTATE
insert into visitor_identity.backfill_queue values ('backfill.live', 1, '{}');
\echo :LAST_ERROR_SQLSTATE
reset role;

select visitor_identity.detach_table('backfill.odd');
select visitor_identity.detach_table('backfill.live');
select visitor_identity.detach_table('backfill.history');
drop schema backfill cascade;
drop owned by backfill_owner, backfill_stranger;
drop role backfill_owner, backfill_stranger;
delete from visitor_identity.rebind_row where account like 'backfill %';
delete from visitor_identity.rebind where account like 'backfill %';
delete from visitor_identity.refused_link where account like 'backfill %';
delete from visitor_identity.pending_rebind where account like 'backfill %';
delete from visitor_identity.provided_identity where account like 'backfill %';
delete from visitor_identity.channel_identity where account like 'backfill %';
delete from visitor_identity.former_channel_identity where account like 'backfill %';
delete from visitor_identity.visitor where account like 'backfill %';
delete from visitor_identity.account where account like 'backfill %';
