-- The demo: a day of a support desk is replayed through plain INSERT and UPDATE on a chat table that
-- visitor_identity is attached to, and the outcome is compared with the truth.
-- scripts/demo runs it with psql, from the top of the checkout, in an empty database.

\set ON_ERROR_STOP on
\set QUIET on
\pset pager off
\pset footer off
\pset null ''
set client_min_messages = warning;

-- 1. The extension, two client companies, a ready chat schema ------------------------------------------------

create extension visitor_identity;
insert into visitor_identity.account (account) values ('north'), ('south');
select visitor_identity.create_chat_store('chat') \g (format=unaligned tuples_only) /dev/null

-- 2. The day and the truth about it, which the extension never sees ------------------------------------------

create schema demo;

-- demo/generate.py describes the columns and the people behind them.
create table demo.event (
    arrival integer primary key,
    event text not null,
    request bigint not null,
    account text not null,
    event_at timestamptz not null,
    visitor_id uuid,
    provided_visitor_id text,
    channel_type text,
    channel_id text,
    channel_user_id text,
    department text,
    person text
);
\copy demo.event from 'demo/requests.csv' (format csv, header)

-- Which chats belong together: found by demo/truth.py, from the identifiers alone.
create table demo.component (request bigint primary key, component integer not null);
\copy demo.component from program 'python3 demo/truth.py demo/requests.csv' (format csv, header)

create index on demo.event (request) where event = 'open';
analyze demo.event, demo.component;

-- 3. The day happens -----------------------------------------------------------------------------------------

-- What a chat service does, and all that it does: it never asks for a visitor, it writes its own table.
create procedure demo.replay(commit_every integer, report_every integer)
language plpgsql
as $$
declare
    e demo.event;
    started timestamptz := clock_timestamp();
    total bigint := (select count(*) from demo.event);
    seconds numeric;
begin
    for e in select * from demo.event order by arrival loop
        case e.event
            when 'open' then
                insert into chat.chat (
                    chat_id, account, visitor_id, provided_visitor_id,
                    channel_type, channel_id, channel_user_id, department, opened_at
                ) overriding system value values (
                    e.request, e.account, e.visitor_id, e.provided_visitor_id,
                    e.channel_type, coalesce(e.channel_id, ''), e.channel_user_id, e.department, e.event_at
                );
            when 'login' then
                update chat.chat set provided_visitor_id = e.provided_visitor_id
                where account = e.account and chat_id = e.request;
            when 'close' then
                update chat.chat set state = 'closed', closed_at = e.event_at
                where account = e.account and chat_id = e.request;
        end case;
        if e.arrival % commit_every = 0 then
            commit;
        end if;
        if e.arrival % report_every = 0 or e.arrival = total then
            seconds := extract(epoch from clock_timestamp() - started);
            raise notice '         % of % events, % s, % a second', e.arrival, total,
                round(seconds, 1), round(e.arrival / seconds);
        end if;
    end loop;
end
$$;

set client_min_messages = notice;
call demo.replay(commit_every => 500, report_every => 10000);
set client_min_messages = warning;
select setval(pg_get_serial_sequence('chat.chat', 'chat_id'), max(chat_id)) from chat.chat \g /dev/null
analyze;

-- 4. What came of it -----------------------------------------------------------------------------------------

create view demo.chat as
select c.*, e.person, t.component, e.visitor_id as sent_visitor_id
from chat.chat as c
join demo.event as e on e.request = c.chat_id and e.event = 'open'
join demo.component as t on t.request = c.chat_id;

\echo
select
    account,
    count(*) as chats,
    count(distinct person) as people,
    count(distinct visitor_id) as visitors,
    (select count(*) from visitor_identity.rebind as r where r.account = c.account) as rebindings,
    count(*) filter (where origin_visitor_id <> visitor_id) as "chats rebound",
    count(*) filter (where state <> 'closed') as open
from demo.chat as c
group by account
order by account;

-- A pair is two chats of one account. Joined: both have one visitor_id.
--   wrongly joined: one visitor_id, but two people.
--   missed: the chats' identifiers connect them (demo/truth.py says how), but they have two visitor_ids.
-- The second line is what a service without resolution would see: each chat keyed by what it showed.
create function demo.pairs(bigint) returns bigint language sql immutable
return $1 * ($1 - 1) / 2;

create view demo.verdict as
with keyed as (
    select 1 as line, 'visitor_identity' as method, account, person, component, visitor_id::text as key
    from demo.chat
    union all
    select 2, 'the ids as they were sent', account, person, component,
        coalesce(
            'p' || nullif(provided_visitor_id, ''),
            'c' || channel_type || channel_id || nullif(channel_user_id, ''),
            'v' || sent_visitor_id::text,
            chat_id::text
        )
    from demo.chat
),
counted as (
    select line, method, grouping(key, person, component) as kind, demo.pairs(count(*)) as pairs
    from keyed
    group by line, method, grouping sets (
        (account, key), (account, key, person), (account, component), (account, component, key)
    )
)
select
    line,
    method as "visitors by",
    sum(pairs) filter (where kind = 1) as "pairs rightly joined",
    sum(pairs) filter (where kind = 3)
        - sum(pairs) filter (where kind = 1) as "wrongly joined",
    sum(pairs) filter (where kind = 6)
        - sum(pairs) filter (where kind = 2) as missed
from counted
group by line, method;

select "visitors by", "pairs rightly joined", "wrongly joined", missed from demo.verdict order by line;

select "wrongly joined" = 0 and missed = 0 as all_right from demo.verdict where line = 1 \gset
\if :all_right
\echo 'Wrongly joined: two chats on one visitor, but of two people. Missed: the identifiers connect'
\echo 'two chats, and they are on two visitors. Nobody was joined wrongly, and nobody was missed.'
\else
\echo 'SOMETHING IS WRONG. Ten of the chats, by what they should share and do not, or share and should not:'
select c.account, c.chat_id, c.person, c.component, c.visitor_id, c.origin_visitor_id, c.provided_visitor_id,
    c.channel_user_id
from demo.chat as c
where (c.account, c.component) in (
        select account, component from demo.chat group by 1, 2 having count(distinct visitor_id) > 1
    )
    or (c.account, c.visitor_id) in (
        select account, visitor_id from demo.chat group by 1, 2 having count(distinct person) > 1
    )
order by c.account, c.component, c.chat_id
limit 10;
do $$ begin raise exception 'the visitors are not what the identifiers say'; end $$;
\endif

-- 5. One visitor ---------------------------------------------------------------------------------------------

select visitor_id as anna from visitor_identity.find_visitor('4711', account => 'north') as visitor_id \gset

\echo
\echo 'Anna (customer 4711 of north) wrote from her phone, her laptop and WhatsApp, and logged in at 10:05'
\echo '(laptop), 12:30 (phone) and 13:15 (WhatsApp). origin: whose the chat was at first; visitor: whose it is.'
\echo 'One chat of 8:20 was delivered six hours late, and found her all the same.'
select
    to_char(opened_at, 'HH24:MI') as opened,
    case when channel_type <> '' then channel_type || ' ' || channel_user_id
        else 'browser ' || left(sent_visitor_id::text, 8) end as "came from",
    coalesce(provided_visitor_id, '') as "provided id",
    left(origin_visitor_id::text, 8) || ' …' as origin,
    left(visitor_id::text, 8) || ' …' as visitor,
    case when origin_visitor_id <> visitor_id then 'rebound' else '' end as " "
from demo.chat
where account = 'north' and person = 'anna'
order by opened_at;
select left(visitor_id::text, 8) as boris, count(*) as boris_chats
from chat.chat where account = 'south' and provided_visitor_id = '4711' group by 1 \gset
\echo 'Customer 4711 of south is somebody else, with' :boris_chats 'chats on visitor' :boris '…'

-- 6. What operators see --------------------------------------------------------------------------------------

select visitor_id as old_cookie from demo.event where person = 'anna' and visitor_id is not null
order by arrival limit 1 \gset

\echo
\echo 'History (closed chats) by each identifier: the view chat.chat_history by filter, and the search bar,'
\echo 'visitor_identity.search_history(), which takes whatever is pasted into it.'
select 'visitor_id' as "by", :'anna' as "looked for",
    (select count(*) from chat.chat_history where account = 'north' and visitor_id = :'anna') as "view",
    (select count(*) from visitor_identity.search_history(:'anna', 'visitor_id', account => 'north')) as "search"
union all
select 'provided_visitor_id', '4711',
    (select count(*) from chat.chat_history where account = 'north' and provided_visitor_id = '4711'),
    (select count(*) from visitor_identity.search_history('4711', 'provided_visitor_id', account => 'north'))
union all
select 'channel_user_id', '12025550143',
    (select count(*) from chat.chat_history where account = 'north' and channel_user_id = '12025550143'),
    (select count(*) from visitor_identity.search_history('12025550143', 'channel_user_id', account => 'north'))
union all
select '(anything)', '+1 (202) 555-0143', null,
    (select count(*) from visitor_identity.search_history('+1 (202) 555-0143', account => 'north'))
union all
select '(anything)', :'old_cookie' || ' (her first cookie)', null,
    (select count(*) from visitor_identity.search_history(:'old_cookie', account => 'north'));

\echo 'The Workspace, Anna''s open chat and two more (chat.chat_workspace): the ID, and Contacts'
(
    select visitor_id as "ID", channel_type || ' ' || channel_user_id as "Contacts", to_char(opened_at, 'HH24:MI') as opened
    from chat.chat_workspace where account = 'north' and visitor_id = :'anna'
)
union all
(
    select visitor_id, channel_type || ' ' || channel_user_id, to_char(opened_at, 'HH24:MI')
    from chat.chat_workspace where account = 'north' and channel_type in ('telegram', 'viber')
    order by chat_id limit 2
);

-- 7. Around the visitor --------------------------------------------------------------------------------------

-- Of the client company's key only its system and this table know; the page gets the signed object from that system.
select visitor_identity.add_signature_key('e64e35642555f3ecd64ae7dbb600dca8', account => 'north') \g /dev/null
\set signed '{"fields": {"id": "4711", "display_name": "Anna", "email": "anna@example.com", "phone": "+10435685475"}, "expires": 2051222400, "hash": "11886d25e769b7ad3e7c371a7d9bdec6c7f9d7fb144b77815cdf27e8d87090dc"}'
\set forged '{"fields": {"id": "4712", "display_name": "Anna", "email": "anna@example.com", "phone": "+10435685475"}, "expires": 2051222400, "hash": "11886d25e769b7ad3e7c371a7d9bdec6c7f9d7fb144b77815cdf27e8d87090dc"}'
\set tablet '5f0e2c1a-0b7d-4c55-9a6e-0d7f3a1b2c3d'

\echo
\echo 'Anna opens the app on a new tablet, not logged in: a chat, and the app registers for push notifications.'
insert into chat.chat (account, visitor_id, department, opened_at)
values ('north', :'tablet', 'sales', '2026-03-02 18:40+00')
returning chat_id as tablet_chat \gset
select visitor_identity.register_device(
    :'tablet', 'shop', 'a3c1f6de-52b3-4c8e-9a53-0b1d6e5f7a90', 'fcm', 'token-of-the-tablet', account => 'north'
) \g /dev/null
select visitor_identity.register_device(
    :'anna', 'shop', '0d9e8f7a-6b5c-4d3e-8f2a-1b0c9d8e7f6a', 'apns', 'token-of-the-phone', account => 'north'
) \g /dev/null

\echo 'Then she logs in there with what her shop has signed; a forged object is told apart, and would log in nobody.'
select visitor_identity.verify_visitor_fields(:'signed', 'north') as "signed by the shop",
    visitor_identity.verify_visitor_fields(:'forged', 'north') as "id changed by a stranger";
select visitor_identity.authorize_visitor(:'signed', :'tablet', account => 'north') = :'anna' as "is Anna";
select visitor_id = :'anna' as "her chat is hers", origin_visitor_id = :'tablet' as "and came from the tablet"
from chat.chat
where account = 'north' and chat_id = :tablet_chat;

\echo 'What the bot is told of that chat:'
select jsonb_pretty(visitor_identity.bot_payload(c)) as "bot_payload"
from chat.chat as c
where account = 'north' and chat_id = :tablet_chat;

\echo 'A push notification for customer 4711 goes to:'
select app, service, token
from visitor_identity.push_targets(provided_visitor_id => '4711', account => 'north')
order by token;

\echo 'It was her sister''s tablet after all: the rebinding is undone. Rows of each table that went back, and that did not:'
select max(rebind_id) as of_the_tablet
from visitor_identity.rebind
where account = 'north' and from_visitor_id = :'tablet' \gset
select * from visitor_identity.undo_rebind(:of_the_tablet, account => 'north');

select (select visitor_id = :'tablet' from chat.chat where account = 'north' and chat_id = :tablet_chat)
        as "the chat is the tablet's again",
    string_agg(token, ', ') as "push for 4711 goes to",
    (select count(*) from visitor_identity.check_integrity()) as "broken promises"
from visitor_identity.push_targets(provided_visitor_id => '4711', account => 'north');
