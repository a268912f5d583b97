-- The search bar takes whatever an operator pastes, or one kind only, and returns closed chats, newest first.
create schema search_history;
set search_path = search_history;
create table letter (
    visitor_id uuid primary key,
    name text not null
);
-- A visitor gets its letter at first sight; who() says it again.
create function named(wanted text, id uuid)
returns text
language plpgsql
as $$
begin
    insert into letter
    values (id, wanted)
    on conflict do nothing;
    return (select l.name from letter as l where l.visitor_id = id);
end
$$;
create function who(id uuid)
returns text
language sql
as $$
    select coalesce((select l.name from letter as l where l.visitor_id = id), 'another', null)
    where id is not null
$$;
-- resolve_visitor_detail, with letters for the visitors and counts for the rebindings.
create function seen(
    wanted text,
    provided_visitor_id text default null,
    channel_type text default null,
    channel_user_id text default null,
    visitor_id uuid default null,
    channel_id text default '',
    account text default 'search_history'
)
returns table (
    visitor text,
    outcome text,
    basis text,
    absorbed text,
    rebindings bigint,
    chats bigint,
    notes text
)
language sql
as $$
    select
        named(wanted, d.visitor_id),
        d.outcome,
        d.basis,
        (select string_agg(who(p), ', ' order by n) from unnest(d.previous_visitor_ids) with ordinality as u (p, n)),
        cardinality(d.rebind_ids),
        d.rebound_chats,
        array_to_string(d.notes, ', ')
    from visitor_identity.resolve_visitor_detail(
        seen.provided_visitor_id, seen.channel_type, seen.channel_user_id,
        seen.visitor_id, seen.channel_id, seen.account
    ) as d
$$;
-- What a statement is refused with.
create function refusal(statement text)
returns table (state text, message text, detail text, hint text)
language plpgsql
as $$
begin
    execute statement;
    state := 'none';
    return next;
exception when others then
    get stacked diagnostics
        state = returned_sqlstate,
        message = message_text,
        detail = pg_exception_detail,
        hint = pg_exception_hint;
    return next;
end
$$;
insert into visitor_identity.account (account) values ('search_history');
insert into visitor_identity.account (account) values ('search_history_2');
create table chat (
    chat_id integer primary key,
    visitor_id uuid,
    origin_visitor_id uuid,
    provided_visitor_id text,
    channel_type text,
    channel_id text,
    channel_user_id text,
    opened_at timestamptz,
    closed_at timestamptz
);
create index on chat (visitor_id);
create index on chat (channel_user_id);
select visitor_identity.attach_chat_table('chat', fixed_account => 'search_history');
create view chats as
select
    c.chat_id,
    who(c.visitor_id) as visitor,
    who(c.origin_visitor_id) as origin,
    c.provided_visitor_id as provided
from chat as c
order by c.chat_id;
create function search(query text, by text default null)
returns table (chat_id integer, visitor text, origin text, provided text, channel text, matched_by text)
language sql
as $$
    select
        (s.chat_key ->> 'chat_id')::integer, who(s.visitor_id), who(s.origin_visitor_id), s.provided_visitor_id,
        concat_ws(' ', s.channel_type, s.channel_user_id), s.matched_by
    from visitor_identity.search_history(query, by, account => 'search_history') as s
$$;
insert into chat (chat_id, visitor_id, opened_at, closed_at)
values
    (1, '4f000000-0000-4000-8000-000000000001', '2024-05-01', '2024-05-01'),
    (2, '4f000000-0000-4000-8000-000000000001', '2024-05-02', null),
    (3, '4f000000-0000-4000-8000-000000000002', '2024-05-03', '2024-05-03');
insert into chat (chat_id, channel_type, channel_user_id, opened_at, closed_at)
values
    (4, 'whatsapp', '+1 (043) 568-5475', '2024-05-04', '2024-05-04'),
    (5, 'whatsapp', '10435685475', '2024-05-05', '2024-05-05'),
    (6, 'sms', '10435685475', '2024-05-06', '2024-05-06'),
    (7, 'telegram', '67854257', '2024-05-07', '2024-05-07'),
    (8, 'email', 'Ann@Example.com', '2024-05-08', '2024-05-08');
select named('V', '4f000000-0000-4000-8000-000000000001'), named('W', '4f000000-0000-4000-8000-000000000002');
select named('P', visitor_id) from chat where chat_id = 4;
select named('S', visitor_id) from chat where chat_id = 6;
select named('T', visitor_id) from chat where chat_id = 7;
select * from seen('C', 'CRM-1', visitor_id => '4f000000-0000-4000-8000-000000000001');
insert into chat (chat_id, provided_visitor_id, opened_at, closed_at)
values (9, 'CRM-1', '2024-05-09', '2024-05-09');
insert into chat (chat_id, provided_visitor_id, channel_type, channel_user_id, opened_at, closed_at)
values (10, 'CRM-1', 'viber', 'abc', null, '2024-05-10');

-- A provided id, trimmed as storage does (T11): the rebound chats are found by it. Chats without a time come last.
select * from search('CRM-1');
select count(*) from search(E' \tCRM-1\u00a0\u200b\n');
-- A visitor_id: the canonical one, a superseded one, with and without hyphens, in braces, in capitals.
select visitor_id as c, replace(visitor_id::text, '-', '') as plain from letter where name = 'C' \gset
select chat_id, visitor, matched_by from search(:'c');
select chat_id, visitor, matched_by from search('4f000000-0000-4000-8000-000000000001');
select count(*) from search(:'plain');
select count(*) from search(upper(:'plain'));
select count(*) from search(' {4F000000-0000-4000-8000-000000000001} ');
-- An original one, of a chat that left its visitor alone.
update chat
set provided_visitor_id = 'CRM-2'
where chat_id = 9;
select * from seen('D', 'CRM-2');
select chat_id, visitor, origin, matched_by from search(:'c');
-- A channel user id; a phone number as written, in every channel; an e-mail address.
select * from search('67854257');
select * from search('+1 043 568 5475');
select chat_id, visitor, channel, matched_by from search('10435685475');
select chat_id, channel, matched_by from search('Ann@EXAMPLE.com');
-- One kind only.
select chat_id, matched_by from search('CRM-1', 'provided_visitor_id');
select count(*) from search('CRM-1', 'channel_user_id');
select count(*) from search('67854257', 'provided_visitor_id');
select chat_id, matched_by from search('67854257', 'channel_user_id');
select chat_id, matched_by from search(:'c', 'visitor_id');
select count(*) from search(:'c', 'provided_visitor_id');
select state, message from refusal($$select * from search('CRM-1', 'visitor_id')$$);
-- A provided id that is a uuid, or a number that is a channel user id too: both readings.
select * from seen('U', '4f000000-0000-4000-8000-000000000002');
select * from seen('N', '67854257');
insert into chat (chat_id, provided_visitor_id, opened_at, closed_at)
values (11, '4f000000-0000-4000-8000-000000000002', '2024-05-11', '2024-05-11'), (12, '67854257', '2024-05-12', '2024-05-12');
select chat_id, visitor, matched_by from search('4f000000-0000-4000-8000-000000000002');
select chat_id, visitor, matched_by from search('67854257');
-- Nothing: blanks, placeholders, patterns, the unknown, another account's.
select q.query, count(s.chat_id)
from (values (''), (' '), ('undefined'), ('0'), ('%'), ('CRM-%'), ('CRM'), ('crm-1'), ('''; drop table chat; --'), ('5f0e1d2c-3b4a-4958-8776-655443322110'), ('00000000-0000-0000-0000-000000000000')) as q (query)
left join lateral search(q.query) as s on true
group by q.query
order by q.query collate "C";
select count(*) from visitor_identity.search_history('CRM-1', account => 'search_history_2');
set visitor_identity.account = 'search_history';
select count(*) from visitor_identity.search_history('CRM-1');
reset visitor_identity.account;
-- Open chats are not history.
select chat_id from chats where chat_id = 2 and visitor = 'C';

-- Chats of two people by one channel id: those that it was shown with, of both.
select * from seen('?', 'CRM-1', 'telegram', '67854257');
select * from seen('?', 'CRM-2', 'telegram', '67854257');
insert into chat (chat_id, channel_type, channel_user_id, opened_at, closed_at)
values (13, 'telegram', '67854257', '2024-05-13', '2024-05-13');
select chat_id, visitor, origin, channel, matched_by from search('67854257');

-- Several tables in one answer, by time; a table of another account, and one whose view the caller may not read, are not in it.
create table archive (id uuid, n integer, visitor_id uuid, began timestamp, closed_at date, primary key (id, n));
create index on archive (visitor_id);
select visitor_identity.attach_chat_table('archive', opened_at => 'began', fixed_account => 'search_history');
insert into archive (id, n, visitor_id, began, closed_at)
values ('4f000000-0000-4000-8000-0000000000aa', 7, '4f000000-0000-4000-8000-000000000001', '2024-05-08 12:00', '2024-05-09');
create table elsewhere (chat_id integer primary key, visitor_id uuid, provided_visitor_id text, closed_at timestamptz);
create index on elsewhere (visitor_id);
select visitor_identity.attach_chat_table('elsewhere', fixed_account => 'search_history_2');
insert into elsewhere (chat_id, provided_visitor_id, closed_at)
values (1, 'CRM-1', '2024-05-01');
select s.chat_table, s.chat_key, s.account, who(s.visitor_id) as visitor, s.provided_visitor_id, s.opened_at at time zone 'UTC' as opened_at, s.closed_at::date
from visitor_identity.search_history('CRM-1', account => 'search_history') as s;
create role search_history_reader;
select visitor_identity.grant_access('search_history_reader', 'reader');
revoke select on archive_history from search_history_reader;
set role search_history_reader;
select s.chat_table::regclass::text ~ 'archive' as archive, count(*)
from visitor_identity.search_history('CRM-1', account => 'search_history') as s
group by 1;
reset role;
revoke select on chat_history, elsewhere_history from search_history_reader;
set role search_history_reader;
select state from search_history.refusal($$select * from visitor_identity.search_history('CRM-1', account => 'search_history')$$);
reset role;
drop owned by search_history_reader;
drop role search_history_reader;
select visitor_identity.detach_table('chat');
select visitor_identity.detach_table('archive');
select visitor_identity.detach_table('elsewhere');
set client_min_messages = warning;
drop schema search_history cascade;
