-- bot_payload makes the event new_chat of a row: of any attached table, a partition, a view, with no other right than having the row.
create schema bot_payload_of_a_chat_row;
set search_path = bot_payload_of_a_chat_row;
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
insert into visitor_identity.account (account)
values ('bot_payload'), ('bot_payload_2');
set visitor_identity.account = 'bot_payload';
create table chat (
    account text,
    chat_id integer,
    visitor_id uuid,
    provided_visitor_id text,
    channel_type text,
    channel_id text,
    channel_user_id text,
    closed_at date,
    primary key (account, chat_id)
);
create index on chat (visitor_id);
create index on chat (channel_user_id);
select visitor_identity.attach_chat_table('chat');
-- An event without what differs from run to run.
create function plain(event jsonb)
returns jsonb
language sql
as $$
    select event #- '{visitor, id}' #- '{visitor, created_at}' #- '{visitor, modified_at}' #- '{visitor, tags}'
$$;

-- The row that a statement has just written, with a visitor that it has made.
insert into chat (chat_id, provided_visitor_id)
values (1, 'C-1')
returning jsonb_pretty(plain(visitor_identity.bot_payload(chat, '[{"id": "a_1", "kind": "visitor", "text": "hello"}]')));
select visitor_identity.bot_payload(c) #>> '{visitor, id}' = replace(c.visitor_id::text, '-', '') as his,
    visitor_identity.bot_payload(c) -> 'visitor' = visitor_identity.visitor_payload(c.visitor_id) -> 'visitor' as as_in_visitor_payload
from chat as c;
-- The channel is the chat's own, not the one that he used last.
insert into chat (chat_id, provided_visitor_id, channel_type, channel_id, channel_user_id, closed_at)
values (2, 'C-1', 'whatsapp', null, '+1 (043) 568-5475', null), (3, 'C-1', 'viber', 'shop', '5dfjdg5lfg8dGjg0DF95+h==', '2024-05-01'), (4, null, 'telegram', null, 'malformed', null);
select plain(visitor_identity.bot_payload(c)) from chat as c order by c.chat_id;
-- Rows of the views, and rows through other rows.
select plain(visitor_identity.bot_payload(c)) from chat_history as c order by c.chat_id;
select c.chat_id, visitor_identity.bot_payload(c) = visitor_identity.bot_payload(t) as same
from chat_workspace as c
join chat as t using (account, chat_id)
order by c.chat_id;
create domain one_chat as chat;
select visitor_identity.bot_payload(c::one_chat) = visitor_identity.bot_payload(c) as of_a_domain from chat as c where c.chat_id = 1;
-- No row, no event.
select visitor_identity.bot_payload(c) is null as nothing
from (values (1)) as v (one)
left join chat as c on false;
-- Messages are passed on as they are.
select visitor_identity.bot_payload(c, m.messages) -> 'messages' as messages
from chat as c
cross join (
    values
        ('[]'::jsonb),
        (null),
        ('[{"id": 123456789012345678901234567890, "kind": "file_visitor", "text": null, "data": {"size": 1e40}}]'),
        ('[{"id": "1", "kind": "visitor", "text": "a"}, {"id": "2", "kind": "operator", "text": "b"}]')
) as m (messages)
where c.chat_id = 1;
-- After a rename of every column that means something, and of the key.
alter table chat rename visitor_id to person;
alter table chat rename chat_id to number;
alter table chat rename channel_type to messenger;
alter table chat rename account to company;
select plain(visitor_identity.bot_payload(c)) -> 'chat' as chat, visitor_identity.bot_payload(c) #> '{visitor, channel, type}' as channel
from chat as c
order by c.number;
select plain(visitor_identity.bot_payload(c)) -> 'chat' as chat from chat_history as c;

-- A key of several columns beside the account, a uuid, a number beyond 64 bits; partitions; a table of one account.
create table parted (
    opened_at timestamptz,
    id numeric,
    client uuid,
    crm_id integer,
    primary key (opened_at, id)
) partition by range (opened_at);
create table parted_2024 (
    id numeric not null,
    crm_id integer,
    dropped text,
    opened_at timestamptz not null,
    client uuid
);
alter table parted_2024 drop column dropped;
alter table parted attach partition parted_2024 for values from ('2024-01-01') to ('2025-01-01');
create index on parted (client);
select visitor_identity.attach_chat_table('parted', visitor_id => 'client', provided_visitor_id => 'crm_id', fixed_account => 'bot_payload');
insert into parted (opened_at, id, crm_id) values ('2024-05-01 12:00+00', 123456789012345678901234567890, 7);
set timezone = 'Asia/Tokyo';
select plain(visitor_identity.bot_payload(p)) from parted as p;
select plain(visitor_identity.bot_payload(p)) from parted_2024 as p;
select s.chat_key = visitor_identity.bot_payload(p) #> '{chat, id}' as as_the_search_has_it
from parted_history as p
cross join lateral (select jsonb_build_object('opened_at', timezone('UTC', p.opened_at), 'id', p.id)) as s (chat_key);
reset timezone;
create table guid_chat (
    chat uuid primary key,
    visitor_id uuid
);
create index on guid_chat (visitor_id);
select visitor_identity.attach_chat_table('guid_chat', fixed_account => 'bot_payload_2');
insert into guid_chat values ('aaaaaaaa-0000-4000-8000-000000000001', null);
select plain(visitor_identity.bot_payload(g)) from guid_chat as g;
select set_config(name, 'on', false) as parallel from pg_settings where name in ('force_parallel_mode', 'debug_parallel_query');
select plain(visitor_identity.bot_payload(g)) from guid_chat as g;
select set_config(name, 'off', false) as parallel from pg_settings where name in ('force_parallel_mode', 'debug_parallel_query');

-- The caller needs no right on anything but the row; code that reading it runs has his rights.
create role bot_payload_app;
select visitor_identity.grant_access('bot_payload_app', 'application');
grant usage on schema bot_payload_of_a_chat_row to bot_payload_app;
grant select on guid_chat to bot_payload_app;
create table who_reads (name text);
grant insert, select on who_reads to public;
create type letter as enum ('a', 'b');
create function letter_text(letter)
returns text
language plpgsql
as $$
begin
    insert into bot_payload_of_a_chat_row.who_reads values (current_user);
    return 'C-letter';
end
$$;
create cast (letter as text) with function letter_text(letter);
create table letter_chat (
    chat_id integer primary key,
    visitor_id uuid,
    channel_type text,
    channel_user_id letter
);
create index on letter_chat (visitor_id);
create index on letter_chat (channel_user_id);
select visitor_identity.attach_chat_table('letter_chat', fixed_account => 'bot_payload');
insert into letter_chat values (1, null, 'skype', 'a');
grant select on letter_chat to bot_payload_app;
truncate who_reads;
set role bot_payload_app;
select plain(visitor_identity.bot_payload(g)) from guid_chat as g;
select plain(visitor_identity.bot_payload(l)) from letter_chat as l;
reset role;
select distinct name from who_reads;

-- What is refused.
create table other (chat_id integer, visitor_id uuid);
insert into other values (1, gen_random_uuid());
\x
select * from refusal('select visitor_identity.bot_payload(o) from other as o');
select state, message from refusal('select visitor_identity.bot_payload(row(1, 2))');
select state, message from refusal('select visitor_identity.bot_payload(s) from (select * from chat) as s');
select state, message from refusal('select visitor_identity.bot_payload(1)');
select r.*
from unnest(array['{}', '[1]', '[{"id": 1, "kind": "visitor"}]', '[{"id": 1, "kind": 2, "text": "secret"}]', '[{"id": 1, "kind": "x", "text": "", "secret": 1}]']) as m
cross join lateral refusal(format('select visitor_identity.bot_payload(c, %L) from chat as c', m)) as r;
-- A row as nobody has resolved it: no visitor, a visitor of nowhere, no account, an account of nowhere.
select r.state, r.message
from unnest(array['{"company": "bot_payload"}', '{"company": "bot_payload", "person": "40000000-0000-4000-8000-000000000009"}', '{}', '{"company": "nowhere"}']) as j
cross join lateral refusal(format('select visitor_identity.bot_payload(jsonb_populate_record(null::chat, %L || %L::jsonb))', '{"number": 1}', j)) as r;
-- A locked session may use the rows of its own account.
set visitor_identity.locked_account = 'bot_payload_2';
select * from refusal('select visitor_identity.bot_payload(c) from chat as c');
select state, message from refusal('select visitor_identity.bot_payload(g) from guid_chat as g');
reset visitor_identity.locked_account;
-- Once detached it is any table's row.
select visitor_identity.detach_table('guid_chat');
select state, message from refusal('select visitor_identity.bot_payload(g) from guid_chat as g');
\x

reset visitor_identity.account;
select visitor_identity.detach_table('chat');
select visitor_identity.detach_table('parted');
select visitor_identity.detach_table('letter_chat');
set client_min_messages = warning;
drop owned by bot_payload_app;
drop role bot_payload_app;
drop schema bot_payload_of_a_chat_row cascade;
