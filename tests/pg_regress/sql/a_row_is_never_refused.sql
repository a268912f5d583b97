-- A chat row is never refused for its identifiers: what is malformed, blocked or incomplete is stored as it came and not resolved by.
create schema a_row_is_never_refused;
set search_path = a_row_is_never_refused;
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
insert into visitor_identity.account (account) values ('a_row_is_never_refused');
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
select visitor_identity.attach_chat_table('chat', fixed_account => 'a_row_is_never_refused');
create view chats as
select
    c.chat_id,
    who(c.visitor_id) as visitor,
    who(c.origin_visitor_id) as origin,
    c.provided_visitor_id as provided
from chat as c
order by c.chat_id;
insert into visitor_identity.blocked_identifier (account, identifier)
values ('a_row_is_never_refused', 'Cookieless');
create table bad (
    chat_id integer primary key,
    what text,
    provided text,
    channel_type text,
    channel_user_id text,
    channel_id text
);
insert into bad (chat_id, what, provided, channel_type, channel_user_id, channel_id)
values
    (1, 'blank', E' \t', null, null, null),
    (2, 'placeholder', 'undefined', null, null, null),
    (3, 'blocked by a DBA', '"COOKIELESS"', null, null, null),
    (4, 'control character', E'a\x01b', null, null, null),
    (5, '513 bytes', repeat('x', 513), null, null, null),
    (6, 'a MiB', repeat('x', 1048576), null, null, null),
    (7, 'channel id without channel', null, null, '67854257', null),
    (8, 'channel without channel id', null, 'telegram', null, null),
    (9, 'unknown channel', null, 'fax', '1', null),
    (10, 'channel in another case', null, 'Telegram', '67854257', null),
    (11, 'malformed channel id', null, 'telegram', 'not a number', null),
    (12, 'placeholder in a channel', null, 'telegram', '0', null),
    (13, 'zeros in a phone number', null, 'whatsapp', '+000-00-00', null),
    (14, 'control character in a channel id', null, 'viber', E'a\x01b', null),
    (15, 'long channel id', null, 'viber', repeat('x', 513), null),
    (16, 'long page', null, 'facebook', '103458712527651', repeat('x', 513));

-- Every one of them twice: stored, each with a new visitor of its own, the text as it came, nothing bound.
insert into chat (chat_id, provided_visitor_id, channel_type, channel_user_id, channel_id)
select chat_id, provided, channel_type, channel_user_id, channel_id
from bad;
insert into chat (chat_id, provided_visitor_id, channel_type, channel_user_id, channel_id)
select 100 + chat_id, provided, channel_type, channel_user_id, channel_id
from bad;
select
    b.chat_id,
    b.what,
    c.visitor_id is not null and c.visitor_id <> d.visitor_id as own_visitor,
    (c.provided_visitor_id, c.channel_type, c.channel_user_id, c.channel_id)
        is not distinct from (b.provided, b.channel_type, b.channel_user_id, b.channel_id) as as_it_came
from bad as b
join chat as c on c.chat_id = b.chat_id
join chat as d on d.chat_id = 100 + b.chat_id
order by b.chat_id;
select
    (select count(*) from visitor_identity.provided_identity where account = 'a_row_is_never_refused') as provided,
    (select count(*) from visitor_identity.channel_identity where account = 'a_row_is_never_refused') as channels;

-- By UPDATE, over a chat of a known visitor: he is kept.
select named('V', '40000000-0000-4000-8000-000000000001');
insert into chat (chat_id, visitor_id)
values (200, '40000000-0000-4000-8000-000000000001');
do $$
declare
    b bad;
begin
    for b in select * from bad loop
        update chat
        set
            provided_visitor_id = b.provided,
            channel_type = b.channel_type,
            channel_user_id = b.channel_user_id,
            channel_id = b.channel_id
        where chat_id = 200;
        if who((select visitor_id from chat where chat_id = 200)) <> 'V' then
            raise warning '% moved the row', b.what;
        end if;
    end loop;
end
$$;
-- One usable identifier beside an unusable one counts.
insert into chat (chat_id, provided_visitor_id, channel_type, channel_user_id)
values (201, 'C-1', 'telegram', 'not a number'), (202, 'undefined', 'telegram', '67854257');
select
    chat_id,
    visitor_id = visitor_identity.derive_visitor_id('C-1', 'a_row_is_never_refused') as by_provided,
    visitor_id = visitor_identity.find_visitor(channel_type => 'telegram', channel_user_id => '67854257', account => 'a_row_is_never_refused') as by_channel
from chat
where chat_id in (201, 202)
order by chat_id;

-- Under the profile documented a platform id is stored and not resolved by; under any, a malformed one is resolved by.
update visitor_identity.account
set channel_format = 'documented'
where account = 'a_row_is_never_refused';
insert into chat (chat_id, channel_type, channel_user_id)
values (210, 'telegram', '123456789'), (211, 'telegram', '123456789');
update visitor_identity.account
set channel_format = 'any'
where account = 'a_row_is_never_refused';
insert into chat (chat_id, channel_type, channel_user_id)
values (212, 'telegram', 'not a number'), (213, 'telegram', 'not a number');
select
    count(distinct visitor_id) filter (where chat_id in (210, 211)) as visitors_documented,
    count(distinct visitor_id) filter (where chat_id in (212, 213)) as visitors_any
from chat;

-- A DBA who wants refusal writes a CHECK with the check functions.
alter table chat
add constraint telegram_ids check (
    channel_type is distinct from 'telegram'
    or visitor_identity.is_telegram_user_id(channel_user_id, 'platform')
) not valid;
\x
select state, message
from refusal($$insert into chat (chat_id, channel_type, channel_user_id) values (300, 'telegram', 'not a number')$$);
\x

select visitor_identity.detach_table('chat');
set client_min_messages = warning;
drop schema a_row_is_never_refused cascade;
