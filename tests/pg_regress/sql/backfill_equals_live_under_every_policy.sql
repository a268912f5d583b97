-- backfill_chats decides a whole batch at once where it can: the result is that of the chats arriving one by one, under every
-- policy, for several accounts in one table, also for people who were known, superseded or forgotten before.
\set ON_ERROR_STOP 0
\pset format unaligned
set client_min_messages = warning;
set timezone = 'UTC';

create schema many;
create table many.way (way text primary key, batch_size integer);
insert into many.way values ('live', null), ('one', 1), ('small', 40), ('large', 3000);
create table many.policy (policy text primary key);
insert into many.policy values ('plain'), ('keep'), ('md5'), ('documented'), ('signed'), ('limited'), ('few chats');
insert into visitor_identity.account (account, namespace, on_authorization, derivation, channel_format, max_rebinds, max_rebind_chats)
select concat_ws(' ', 'many', w.way, p.policy), 'c2a4f0de-31b5-4bd5-9d70-1f7b3f1f0a33',
    case p.policy when 'keep' then 'keep' else 'rebind' end,
    case p.policy when 'md5' then 'md5' else 'uuid_v5' end,
    case p.policy when 'documented' then 'documented' else 'platform' end,
    case p.policy when 'limited' then 1 else 1000 end,
    case p.policy when 'few chats' then 3 else 1000 end
from many.way as w
cross join many.policy as p;

create table many.live (
    account text,
    chat_id integer,
    opened_at timestamptz,
    visitor_id uuid,
    provided_visitor_id text,
    channel_type text,
    channel_id text,
    channel_user_id text,
    primary key (account, chat_id)
);
create index on many.live (visitor_id);
create table many.one (like many.live including all);
create table many.small (like many.live including all);
create table many.large (like many.live including all);
create table many.before (like many.live including all);
select visitor_identity.attach_chat_table('many.live');
select visitor_identity.attach_chat_table('many.before');

-- Known before, in every account: anonymous ones, some of them absorbed since, one forgotten, channels, a claim by hand.
insert into many.before (account, chat_id, visitor_id)
select a.account, n, pg_catalog.md5('many cookie ' || n)::uuid
from visitor_identity.account as a
cross join generate_series(1, 60) as n
where a.account like 'many %';
do $$
declare
    a record;
begin
    for a in select account from visitor_identity.account where account like 'many %' order by account loop
        for n in 1..20 loop
            update many.before set provided_visitor_id = 'old ' || n % 15 where account = a.account and chat_id = n;
        end loop;
        for n in 30..40 loop
            perform visitor_identity.resolve_visitor(null, 'telegram', (20000000 + n)::text, account => a.account);
        end loop;
        perform visitor_identity.forget_visitor(pg_catalog.md5('many cookie 3')::uuid, account => a.account);
        perform visitor_identity.forget_visitor(pg_catalog.md5('many cookie 59')::uuid, account => a.account);
    end loop;
end
$$;
update visitor_identity.provided_identity set verified_at = now() where account like 'many % signed' and provided_visitor_id < 'old 2';
update visitor_identity.account set require_signature = true where account like 'many % signed';

-- Most people keep to themselves; some share a browser, log in midway, change hands; ids that are none.
select setseed(0.375) \g /dev/null
create table many.day as
select p.policy, row_number() over (order by p.policy, n) as chat_id,
    '2026-04-01 00:00+00'::timestamptz + (n * 7919 % 1000) * interval '1 second' as opened_at,
    case
        when kind < 0.05 then null
        when kind < 0.1 then '00000000-0000-0000-0000-000000000000'::uuid
        when kind < 0.2 then pg_catalog.md5('many cookie ' || 1 + person % 80)::uuid
        when kind < 0.25 then pg_catalog.md5('p ' || person)::uuid
        else pg_catalog.md5('many cookie ' || 100 + person)::uuid
    end as visitor_id,
    case
        when person % 3 = 0 and late > 0.3 then 'p ' || person
        when person % 29 = 1 then 'old ' || person % 20
        when odd < 0.02 then 'undefined'
        when odd < 0.04 then E'p\x01'
        when odd < 0.06 then 'p ' || floor(odd * 10000)::integer % 40
    end as provided_visitor_id,
    case
        when person % 3 = 1 or odd > 0.9 then case when odd < 0.5 then 'telegram' when odd < 0.6 then 'nowhere' else 'whatsapp' end
    end as channel_type,
    case when odd > 0.8 then 'bot' end as channel_id,
    case
        when person % 3 = 1 and late < 0.9 then (20000000 + person)::text
        when person % 3 = 1 then '1234567890123'
        when odd > 0.9 then (20000000 + person % 40)::text
    end as channel_user_id
from many.policy as p
cross join lateral (
    select n, random() as kind, random() as odd, n / 450.0 as late,
        floor(random() * 150)::integer as person
    from generate_series(1, 450) as n
    where p.policy is not null
) as chat;

do $$
declare
    d many.day;
begin
    for d in select * from many.day order by opened_at, policy, chat_id loop
        insert into many.live (account, chat_id, opened_at, visitor_id, provided_visitor_id, channel_type, channel_id, channel_user_id)
        values ('many live ' || d.policy, d.chat_id, d.opened_at, d.visitor_id, d.provided_visitor_id, d.channel_type, d.channel_id, d.channel_user_id);
    end loop;
end
$$;
insert into many.one
select 'many one ' || policy, chat_id, opened_at, visitor_id, provided_visitor_id, channel_type, channel_id, channel_user_id from many.day;
insert into many.small
select 'many small ' || policy, chat_id, opened_at, visitor_id, provided_visitor_id, channel_type, channel_id, channel_user_id from many.day;
insert into many.large
select 'many large ' || policy, chat_id, opened_at, visitor_id, provided_visitor_id, channel_type, channel_id, channel_user_id from many.day;
select visitor_identity.attach_chat_table('many.one');
select visitor_identity.attach_chat_table('many.small');
select visitor_identity.attach_chat_table('many.large');
call visitor_identity.backfill_chats('many.one', 1);
call visitor_identity.backfill_chats('many.small', 40);
call visitor_identity.backfill_chats('many.large', 3000);

-- Visitors that nothing computes have other ids in every account: such a one is called by the first chat he has.
create view many.chat as
select w.way, p.policy, c.chat_id, c.visitor_id, c.origin_visitor_id
from (
    select * from many.live
    union all
    select * from many.one
    union all
    select * from many.small
    union all
    select * from many.large
) as c
join many.way as w on c.account like 'many ' || w.way || ' %'
join many.policy as p on c.account like '% ' || p.policy;
create table many.named as
with first as (
    select way, policy, visitor_id, min(chat_id) as called
    from (
        select way, policy, visitor_id, chat_id from many.chat
        union all
        select way, policy, origin_visitor_id, 100000 + chat_id from many.chat
    ) as met
    group by way, policy, visitor_id
)
select c.way, c.policy, c.chat_id, v.called as visitor, o.called as origin
from many.chat as c
left join first as v on (v.way, v.policy, v.visitor_id) = (c.way, c.policy, c.visitor_id)
left join first as o on (o.way, o.policy, o.visitor_id) = (c.way, c.policy, c.origin_visitor_id);
-- The limit of chats counts those that are in the table, and of a history all are there from the start.
delete from many.named where way = 'live' and policy = 'few chats';
select l.policy, b.way, l.chat_id, l.visitor, b.visitor, l.origin, b.origin
from many.named as l
join many.named as b on b.policy = l.policy and b.chat_id = l.chat_id
where l.way = case l.policy when 'few chats' then 'one' else 'live' end
    and (l.visitor, l.origin) is distinct from (b.visitor, b.origin)
order by l.policy, b.way, l.chat_id
limit 20;
select policy, count(*) as chats, count(distinct visitor) > 80 as "of many visitors", count(*) filter (where visitor <> origin) > 0 as "some moved"
from many.named
where way = 'large'
group by policy
order by policy;

-- So are the identities, the log and the chats of before.
create view many.summary as
select w.way, p.policy, s.*
from many.way as w
cross join many.policy as p
cross join lateral (
    select concat_ws(' ', 'many', w.way, p.policy) as account
) as a
cross join lateral (
    select
        (select md5(string_agg(i.provided_visitor_id || i.visitor_id, ',' order by i.provided_visitor_id))
            from visitor_identity.provided_identity as i where i.account = a.account) as bindings,
        (select md5(string_agg(concat_ws('/', i.channel_type, i.channel_id, i.channel_user_id, i.visitor_id), ',' order by i.channel_type, i.channel_id, i.channel_user_id))
            from visitor_identity.channel_identity as i where i.account = a.account) as channels,
        (select md5(string_agg(concat_ws('/', i.channel_type, i.channel_id, i.channel_user_id, i.visitor_id), ',' order by i.channel_type, i.channel_id, i.channel_user_id, i.visitor_id))
            from visitor_identity.former_channel_identity as i where i.account = a.account) as former_channels,
        (select md5(string_agg(concat_ws('/', v.visitor_id, v.superseded_by, v.claimed_by, v.identified, v.forgotten), ',' order by v.visitor_id))
            from visitor_identity.visitor as v
            where v.account = a.account and substr(v.visitor_id::text, 15, 1) <> '7') as visitors,
        (select count(*) from visitor_identity.visitor as v
            where v.account = a.account and substr(v.visitor_id::text, 15, 1) = '7') as random_visitors,
        (select md5(string_agg(concat_ws('/', r.visitor_id, r.to_visitor_id, r.reason), ',' order by r.visitor_id, r.to_visitor_id, r.reason))
            from visitor_identity.refused_link as r
            where r.account = a.account and substr(r.visitor_id::text, 15, 1) <> '7') as refused,
        (select md5(string_agg(concat_ws('/', r.kind, r.from_visitor_id, r.to_visitor_id, r.rebound_chats), ',' order by r.from_visitor_id, r.to_visitor_id, r.kind))
            from visitor_identity.rebind as r
            where r.account = a.account and substr(r.from_visitor_id::text, 15, 1) <> '7' and r.rebound_chats = 0) as rebindings,
        (select md5(string_agg(c.chat_id || '/' || c.visitor_id, ',' order by c.chat_id)) from many.before as c where c.account = a.account) as before
) as s;
select policy, count(distinct bindings) as bindings, count(distinct channels) as channels, count(distinct former_channels) as former,
    count(distinct visitors) as visitors, count(distinct random_visitors) as random, count(distinct refused) as refused, count(distinct before) as before
from many.summary
where way <> 'live' or policy <> 'few chats'
group by policy
order by policy;
select count(*) as waiting from visitor_identity.backfill_queue;
select distinct problem from visitor_identity.check_integrity() where account like 'many %' order by 1;

drop view many.summary, many.chat;

select visitor_identity.detach_table(name::regclass)
from unnest(array['many.live', 'many.one', 'many.small', 'many.large', 'many.before']) as name;
drop schema many cascade;
delete from visitor_identity.rebind_row where account like 'many %';
delete from visitor_identity.rebind where account like 'many %';
delete from visitor_identity.refused_link where account like 'many %';
delete from visitor_identity.pending_rebind where account like 'many %';
delete from visitor_identity.provided_identity where account like 'many %';
delete from visitor_identity.channel_identity where account like 'many %';
delete from visitor_identity.former_channel_identity where account like 'many %';
delete from visitor_identity.visitor where account like 'many %';
delete from visitor_identity.account where account like 'many %';
