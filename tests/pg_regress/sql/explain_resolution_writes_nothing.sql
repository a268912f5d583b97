-- explain_resolution says what would happen and writes nothing; its errors are those of a call.
create schema explain_resolution_writes_nothing;
set search_path = explain_resolution_writes_nothing;
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
insert into visitor_identity.account (account) values ('explain_resolution_writes_nothing');
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
select visitor_identity.attach_chat_table('chat', fixed_account => 'explain_resolution_writes_nothing');
create view chats as
select
    c.chat_id,
    who(c.visitor_id) as visitor,
    who(c.origin_visitor_id) as origin,
    c.provided_visitor_id as provided
from chat as c
order by c.chat_id;
select named('C', visitor_identity.resolve_visitor('C-1', account => 'explain_resolution_writes_nothing'));
insert into chat (chat_id, visitor_id)
values (1, '40000000-0000-4000-8000-000000000001');
create table before as
select
    (select count(*) from visitor_identity.visitor) as visitors,
    (select count(*) from visitor_identity.provided_identity) as provided,
    (select count(*) from visitor_identity.channel_identity) as channels,
    (select count(*) from visitor_identity.rebind) as rebindings;
begin read only;
select q.what, count(e.step) > 0 as explained, bool_and(e.topic is not null and e.finding is not null) as complete
from (
    values
        (1, 'known', 'C-1', null, null, null),
        (2, 'unknown', 'C-2', null, null, null),
        (3, 'login that moves', 'C-1', null, null, '40000000-0000-4000-8000-000000000001'),
        (4, 'channel', null, 'telegram', '67854257', null),
        (5, 'nothing', 'undefined', null, null, null)
) as q (n, what, provided, channel_type, channel_user_id, cookie)
cross join lateral visitor_identity.explain_resolution(
    q.provided, q.channel_type, q.channel_user_id, q.cookie::uuid, account => 'explain_resolution_writes_nothing'
) as e
group by q.n, q.what
order by q.n;
select pg_current_xact_id_if_assigned() is null as no_transaction_id;
commit;
select
    (select count(*) from visitor_identity.visitor) as visitors,
    (select count(*) from visitor_identity.provided_identity) as provided,
    (select count(*) from visitor_identity.channel_identity) as channels,
    (select count(*) from visitor_identity.rebind) as rebindings
except
table before;
select visitor_id from chat;
select state, message from refusal($$select visitor_identity.explain_resolution(repeat('x', 513), account => 'explain_resolution_writes_nothing')$$);
select state, message from refusal($$select visitor_identity.explain_resolution('C-1', account => 'explain_resolution_writes_nothing_2')$$);
select state, message from refusal($$select visitor_identity.explain_resolution(channel_type => 'telegram', account => 'explain_resolution_writes_nothing')$$);
select visitor_identity.detach_table('chat');
set client_min_messages = warning;
drop schema explain_resolution_writes_nothing cascade;
