-- A chat row gets its visitor when it is inserted: assigned, followed to the survivor, adopted, or an alias.
create schema chat_insert_gets_its_visitor;
set search_path = chat_insert_gets_its_visitor;
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
    account text default 'chat_insert_gets_its_visitor'
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
insert into visitor_identity.account (account) values ('chat_insert_gets_its_visitor');
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
select visitor_identity.attach_chat_table('chat', fixed_account => 'chat_insert_gets_its_visitor');
create view chats as
select
    c.chat_id,
    who(c.visitor_id) as visitor,
    who(c.origin_visitor_id) as origin,
    c.provided_visitor_id as provided
from chat as c
order by c.chat_id;

-- No identifier at all: a new visitor each, origin is the visitor first stored.
insert into chat (chat_id)
values (1), (2);
select
    count(distinct visitor_id) as visitors,
    bool_and(origin_visitor_id = visitor_id) as origin_is_visitor,
    bool_and(exists (
        select
        from visitor_identity.visitor as v
        where v.account = 'chat_insert_gets_its_visitor' and v.visitor_id = c.visitor_id
    )) as known
from chat as c;
-- RETURNING shows what the trigger set.
insert into chat (chat_id, provided_visitor_id)
values (3, 'C-1')
returning visitor_id = visitor_identity.derive_visitor_id('C-1', 'chat_insert_gets_its_visitor') as computed, origin_visitor_id = visitor_id as origin;

-- An unknown visitor_id is adopted as an anonymous visitor: whoever writes chats is trusted.
insert into chat (chat_id, visitor_id)
values (4, '40000000-0000-4000-8000-000000000004');
select * from seen('Adopted', visitor_id => '40000000-0000-4000-8000-000000000004');
-- The nil and the all-ones uuid are nobody.
insert into chat (chat_id, visitor_id)
values (5, '00000000-0000-0000-0000-000000000000'), (6, 'ffffffff-ffff-ffff-ffff-ffffffffffff');
select count(distinct visitor_id) as visitors, count(*) filter (where visitor_id::text ~ '^(0|f)\1{7}-') as nobody
from chat
where chat_id in (5, 6);

-- Beside a channel id or a provided id it becomes an alias of that visitor.
insert into chat (chat_id, visitor_id, channel_type, channel_user_id)
values (7, '40000000-0000-4000-8000-000000000007', 'telegram', '70000007');
insert into chat (chat_id, visitor_id, provided_visitor_id)
values (8, '40000000-0000-4000-8000-000000000008', 'C-8');
select * from seen('T', channel_type => 'telegram', channel_user_id => '70000007');
select * from seen('?', visitor_id => '40000000-0000-4000-8000-000000000007');
select * from seen('C8', provided_visitor_id => 'C-8');
select * from seen('?', visitor_id => '40000000-0000-4000-8000-000000000008');
select * from chats where chat_id in (7, 8);

-- A superseded visitor_id is replaced by its survivor; the origin is what was stored first.
insert into chat (chat_id, visitor_id)
values (9, '40000000-0000-4000-8000-000000000009');
select named('V', '40000000-0000-4000-8000-000000000009');
select * from seen('?', provided_visitor_id => 'C-8', visitor_id => '40000000-0000-4000-8000-000000000009');
insert into chat (chat_id, visitor_id)
values (10, '40000000-0000-4000-8000-000000000009');
select * from chats where chat_id in (9, 10);

-- A known channel id beside the cookie of somebody else: the channel's visitor; the cookie is no candidate.
insert into chat (chat_id, visitor_id)
values (11, '40000000-0000-4000-8000-000000000011');
select named('W', '40000000-0000-4000-8000-000000000011');
insert into chat (chat_id, visitor_id, channel_type, channel_user_id)
values (12, '40000000-0000-4000-8000-000000000011', 'telegram', '70000007');
select * from chats where chat_id in (11, 12);

-- An authorized row of an anonymous visitor: his earlier chats move in the same statement, the row itself is C's from the start.
insert into chat (chat_id, visitor_id, provided_visitor_id)
values (13, '40000000-0000-4000-8000-000000000011', 'C-13')
returning named('C13', visitor_id);
select * from chats where chat_id in (11, 13);
-- And a row of another channel: the channel id is bound to C beside it.
insert into chat (chat_id, provided_visitor_id, channel_type, channel_user_id)
values (14, 'C-13', 'telegram', '70000014');
insert into chat (chat_id, channel_type, channel_user_id)
values (15, 'telegram', '70000014');
select * from chats where chat_id in (14, 15);
-- The row keeps the text that it came with; only the key is normalized.
insert into chat (chat_id, channel_type, channel_user_id)
values (16, 'whatsapp', '+1 (043) 568-5475'), (17, 'whatsapp', '10435685475');
select chat_id, channel_user_id, named('P', visitor_id)
from chat
where chat_id in (16, 17)
order by chat_id;

select visitor_identity.detach_table('chat');
set client_min_messages = warning;
drop schema chat_insert_gets_its_visitor cascade;
