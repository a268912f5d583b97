-- visitor_history tells why each chat of a visitor is where it is, and where those went that left him.
create schema visitor_history_tells_why;
set search_path = visitor_history_tells_why;
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
values ('visitor_history'), ('visitor_history_2');
set visitor_identity.account = 'visitor_history';
create table chat (
    account text,
    chat_id integer,
    visitor_id uuid,
    provided_visitor_id text,
    channel_type text,
    channel_user_id text,
    primary key (account, chat_id)
);
create index on chat (visitor_id);
create index on chat (channel_user_id);
select visitor_identity.attach_chat_table('chat');
create table parted (
    opened_at timestamptz,
    id bigint,
    client uuid,
    crm_id text,
    primary key (opened_at, id)
) partition by range (opened_at);
create table parted_2024 partition of parted for values from ('2024-01-01') to ('2025-01-01');
create index on parted (client);
select visitor_identity.attach_chat_table('parted', visitor_id => 'client', provided_visitor_id => 'crm_id', fixed_account => 'visitor_history');
create table plain_chat (
    id text primary key,
    visitor_id uuid
);
create index on plain_chat (visitor_id);
select visitor_identity.attach_chat_table('plain_chat', fixed_account => 'visitor_history');
create table letter (visitor_id uuid, name text);
create function who(id uuid)
returns text
language sql
as $$
    select coalesce((select l.name from letter as l where l.visitor_id = id), 'another')
    where id is not null
$$;
create function history(id uuid)
returns table (chat_table regclass, chat_key jsonb, visitor text, origin text, because text, rebinding text, is_dated boolean, rebound_by name, reason text)
language sql
as $$
    select h.chat_table, h.chat_key - 'account', who(h.visitor_id), who(h.origin_visitor_id), h.because,
        (
            select format('%s of %s to %s', r.kind, who(r.from_visitor_id), who(r.to_visitor_id))
            from visitor_identity.rebind as r
            where r.account = 'visitor_history'
                and r.rebind_id = h.rebind_id
        ),
        h.rebound_at is not null, h.rebound_by::name, h.reason
    from visitor_identity.visitor_history(id) as h
$$;

-- Stored here: by a cookie, by a channel, by a provided id. Rebound: what the cookie V had in three tables.
insert into letter
values
    ('40000000-0000-4000-8000-000000000001', 'V'),
    ('40000000-0000-4000-8000-000000000002', 'W'),
    (visitor_identity.resolve_visitor('A-1'), 'A'),
    (visitor_identity.resolve_visitor('B-1'), 'B');
select l.visitor_id as a from letter as l where l.name = 'A' \gset
select l.visitor_id as b from letter as l where l.name = 'B' \gset
insert into chat (chat_id, visitor_id) values (1, '40000000-0000-4000-8000-000000000001');
insert into chat (chat_id, visitor_id) values (10, '40000000-0000-4000-8000-000000000001');
insert into parted (opened_at, id, client) values ('2024-05-01 12:00+00', 2, '40000000-0000-4000-8000-000000000001');
insert into plain_chat values ('c', '40000000-0000-4000-8000-000000000001');
insert into chat (chat_id, provided_visitor_id) values (2, 'A-1');
insert into chat (chat_id, provided_visitor_id, channel_type, channel_user_id) values (3, 'A-1', 'telegram', '67854257');
insert into chat (chat_id, channel_type, channel_user_id) values (4, ' telegram ', '67854257');
insert into chat (chat_id, visitor_id) values (5, :'a');
select * from history('40000000-0000-4000-8000-000000000001');
update chat set provided_visitor_id = 'A-1' where chat_id = 1;
set timezone = 'Asia/Tokyo';
select * from history(:'a');
reset timezone;
-- Every row of this visitor is in a table, and every chat once.
select count(*) as chats, count(distinct (h.chat_table, h.chat_key)) as once from visitor_identity.visitor_history(:'a') as h;
-- By a former name the same.
select count(*) as differ
from (
    (select * from history(:'a') except select * from history('40000000-0000-4000-8000-000000000001'))
    union all
    (select * from history('40000000-0000-4000-8000-000000000001') except select * from history(:'a'))
) as d;

-- One chat alone goes to B: moved there, left here. Another is deleted afterwards, and one comes back.
insert into chat (chat_id, provided_visitor_id) values (6, 'A-1'), (7, 'A-1'), (8, 'A-1');
update chat set provided_visitor_id = 'B-1' where chat_id in (6, 7, 8);
delete from chat where chat_id = 7;
update chat set provided_visitor_id = 'A-1' where chat_id = 8;
select * from history(:'b');
select * from history(:'a') as h where h.chat_key in ('{"chat_id": 6}', '{"chat_id": 7}', '{"chat_id": 8}');

-- Merged, then undone: put back, and for B they left.
select visitor_identity.merge_visitors(:'a', :'b', 'the CRM joined them') as merged \gset
select h.chat_table, h.chat_key, h.because, h.rebinding, h.reason from history(:'b') as h;
select count(*) > 0 as undone from visitor_identity.undo_rebind(:merged);
select * from history(:'a');
select * from history(:'b');
-- A rebinding that was undone.
insert into chat (chat_id, visitor_id) values (9, '40000000-0000-4000-8000-000000000002');
select visitor_identity.resolve_visitor('B-1', visitor_id => '40000000-0000-4000-8000-000000000002') = :'b' as his;
select r.rebind_id from visitor_identity.rebind as r where r.account = 'visitor_history' order by r.rebind_id desc limit 1 \gset
select count(*) > 0 as undone from visitor_identity.undo_rebind(:rebind_id);
select * from history('40000000-0000-4000-8000-000000000002');
select * from history(:'b') as h where h.chat_key = '{"chat_id": 9}';

-- A chat whose key has changed since is not in the log any more; a renamed column keeps its name there.
update chat set chat_id = 100 where chat_id = 10;
alter table parted rename id to number;
alter table parted rename client to person;
select h.chat_table, h.chat_key, h.origin, h.because, h.rebinding
from history(:'a') as h
where h.chat_key = '{"chat_id": 100}' or h.chat_table = 'parted'::regclass;
-- A visitor without a chat; a read-only transaction.
begin read only;
select count(*) as chats from visitor_identity.visitor_history(:'a');
rollback;
select count(*) as none from history(visitor_identity.resolve_visitor('N-1'));

-- Admins read it without a right on the tables.
create role visitor_history_admin;
select visitor_identity.grant_access('visitor_history_admin', 'admin');
set role visitor_history_admin;
select count(*) as chats from visitor_identity.visitor_history(:'a');
reset role;

-- What is refused.
\x
select * from refusal($$select * from visitor_identity.visitor_history('40000000-0000-4000-8000-000000000009')$$);
select state, message from refusal('select * from visitor_identity.visitor_history(null)');
select state, message from refusal(format('select * from visitor_identity.visitor_history(%L, ''visitor_history_2'')', :'a'));
select state, message from refusal(format('select * from visitor_identity.visitor_history(%L, ''nowhere'')', :'a'));
set visitor_identity.locked_account = 'visitor_history_2';
select state, message from refusal(format('select * from visitor_identity.visitor_history(%L, ''visitor_history'')', :'a'));
reset visitor_identity.locked_account;
\x

reset visitor_identity.account;
select visitor_identity.detach_table('chat');
select visitor_identity.detach_table('parted');
select visitor_identity.detach_table('plain_chat');
set client_min_messages = warning;
drop owned by visitor_history_admin;
drop role visitor_history_admin;
drop schema visitor_history_tells_why cascade;
