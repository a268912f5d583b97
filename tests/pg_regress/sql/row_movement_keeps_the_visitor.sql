-- A chat that moves to another partition keeps its visitor and its origin; triggers reach every partition.
create schema row_movement_keeps_the_visitor;
set search_path = row_movement_keeps_the_visitor;
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
    account text default 'row_movement_keeps_the_visitor'
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
insert into visitor_identity.account (account) values ('row_movement_keeps_the_visitor');
create table chat (
    chat_id integer not null,
    visitor_id uuid,
    origin_visitor_id uuid,
    provided_visitor_id text,
    channel_type text,
    channel_user_id text,
    state text not null default 'open',
    primary key (chat_id, state)
) partition by list (state);
create table chat_open partition of chat for values in ('open');
create table chat_closed partition of chat for values in ('closed') partition by hash (chat_id);
create table chat_closed_0 partition of chat_closed for values with (modulus 2, remainder 0);
create table chat_closed_1 partition of chat_closed for values with (modulus 2, remainder 1);
create index on chat (visitor_id);
create index on chat (channel_user_id);
select visitor_identity.attach_chat_table('chat', closed_when => $$state = 'closed'$$, fixed_account => 'row_movement_keeps_the_visitor');
create view chats as
select
    c.chat_id,
    c.state,
    c.tableoid::regclass::text ~ 'closed' as in_closed,
    who(c.visitor_id) as visitor,
    who(c.origin_visitor_id) as origin,
    c.provided_visitor_id as provided
from chat as c
order by c.chat_id;
select named('V', '40000000-0000-4000-8000-000000000001');
insert into chat (chat_id, visitor_id)
select n, '40000000-0000-4000-8000-000000000001'
from generate_series(1, 4) as n;

-- Closing an anonymous chat changes nothing but its place.
update chat
set state = 'closed'
where chat_id = 1;
table chats;
-- Authorizing and closing in one UPDATE: the row moves between partitions, its AFTER is an INSERT; all chats follow, closed ones too.
update chat
set state = 'closed', provided_visitor_id = 'C-1'
where chat_id = 2;
select named('C', visitor_identity.find_visitor('C-1', account => 'row_movement_keeps_the_visitor'));
table chats;
select kind, who(from_visitor_id) as from_visitor, who(to_visitor_id) as to_visitor, rebound_chats, reason
from visitor_identity.rebind
where account = 'row_movement_keeps_the_visitor'
order by rebind_id;
-- A rebound chat that is closed keeps its origin; and reopened.
update chat
set state = 'closed'
where chat_id = 3;
update chat
set state = 'open'
where chat_id in (1, 2);
table chats;

-- A channel's chat is not resolved again when it moves, although the channel id is another person's by now.
insert into chat (chat_id, channel_type, channel_user_id)
values (5, 'telegram', '11111111');
select * from seen('A', 'A-1', 'telegram', '11111111');
select * from seen('B', 'B-1', 'telegram', '11111111');
update chat
set state = 'closed'
where chat_id = 5;
select chat_id, state, visitor from chats where chat_id = 5;
-- Nor an authorized one.
insert into chat (chat_id, provided_visitor_id)
values (6, 'A-1');
update chat
set state = 'closed'
where chat_id = 6;
select chat_id, state, visitor, origin from chats where chat_id = 6;

-- A row that comes with its origin was stored before (a restore, an archive): its visitor stays, or is followed to the survivor.
insert into chat (chat_id, visitor_id, origin_visitor_id, channel_type, channel_user_id)
select 20, visitor_id, '40000000-0000-4000-8000-000000000001', 'telegram', '11111111'
from letter
where name = 'A';
insert into chat (chat_id, visitor_id, origin_visitor_id)
values (21, '40000000-0000-4000-8000-000000000001', '40000000-0000-4000-8000-000000000001');
select chat_id, visitor, origin from chats where chat_id in (20, 21);
delete from chat
where chat_id in (20, 21);

-- DML on a partition directly, and on one that is attached later.
insert into chat_open (chat_id, visitor_id)
values (7, '40000000-0000-4000-8000-000000000007');
select named('W', '40000000-0000-4000-8000-000000000007');
update chat_open
set provided_visitor_id = 'D-1'
where chat_id = 7;
create table chat_new (like chat including all);
alter table chat attach partition chat_new for values in ('new');
insert into chat (chat_id, visitor_id, state)
values (8, '40000000-0000-4000-8000-000000000008', 'new');
insert into chat_new (chat_id, visitor_id, provided_visitor_id, state)
values (9, '40000000-0000-4000-8000-000000000008', 'D-1', 'new');
select named('X', '40000000-0000-4000-8000-000000000008'), named('D', visitor_identity.find_visitor('D-1', account => 'row_movement_keeps_the_visitor'));
select chat_id, state, visitor, origin, provided from chats where chat_id >= 7;
-- The two views show every chat once, by its state.
select 'history' as view, array_agg(chat_id order by chat_id) as chats from chat_history
union all
select 'workspace', array_agg(chat_id order by chat_id) from chat_workspace;

select visitor_identity.detach_table('chat');
set client_min_messages = warning;
drop schema row_movement_keeps_the_visitor cascade;
