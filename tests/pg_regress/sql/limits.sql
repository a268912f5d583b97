-- max_rebinds and max_rebind_chats: up to the limit, not past it; checked before the first write; past it resolution goes on.
create schema limits;
set search_path = limits;
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
    account text default 'limits'
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
insert into visitor_identity.account (account, max_rebinds, max_rebind_chats)
values ('limits', 2, 3);
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
select visitor_identity.attach_chat_table('chat', fixed_account => 'limits');
create view chats as
select
    c.chat_id,
    who(c.visitor_id) as visitor,
    who(c.origin_visitor_id) as origin,
    c.provided_visitor_id as provided
from chat as c
order by c.chat_id;
select named('V' || n, ('40000000-0000-4000-8000-00000000000' || n)::uuid)
from generate_series(1, 7) as n;
-- Three chats are within the limit of three, four are not.
insert into chat (chat_id, visitor_id)
select n, '40000000-0000-4000-8000-000000000001'::uuid from generate_series(1, 3) as n
union all
select n, '40000000-0000-4000-8000-000000000002' from generate_series(4, 7) as n
union all
select n, ('40000000-0000-4000-8000-00000000000' || n - 5)::uuid from generate_series(8, 11) as n;
select * from seen('A', 'A-1', visitor_id => '40000000-0000-4000-8000-000000000001');
select * from seen('?', 'A-1', visitor_id => '40000000-0000-4000-8000-000000000002');
-- The second visitor is absorbed, the third is not.
select * from seen('?', 'A-1', visitor_id => '40000000-0000-4000-8000-000000000003');
select * from seen('?', 'A-1', visitor_id => '40000000-0000-4000-8000-000000000004');
table chats;
-- Whom a limit left behind is claimed.
select who(visitor_id) as visitor, who(claimed_by) as claimed_by
from visitor_identity.visitor
where account = 'limits' and claimed_by is not null
order by 1;
-- By an UPDATE of a row: the row alone moves.
update chat
set provided_visitor_id = 'A-1'
where chat_id = 4;
select * from chats where chat_id between 4 and 7;
-- Room for one, two candidates: the first moves, the second is claimed.
update visitor_identity.account
set max_rebinds = 3
where account = 'limits';
select * from seen('T', channel_type => 'telegram', channel_user_id => '67854257');
select * from seen('?', 'A-1', 'telegram', '67854257', '40000000-0000-4000-8000-000000000005');
select * from chats where chat_id = 10;
-- Zero: nothing ever moves; a chat that moves alone is no rebinding of a visitor and uses up nothing.
update visitor_identity.account
set max_rebinds = 0, max_rebind_chats = 1
where account = 'limits';
select * from seen('B', 'B-1', visitor_id => '40000000-0000-4000-8000-000000000006');
update visitor_identity.account
set max_rebinds = 1
where account = 'limits';
insert into chat (chat_id, provided_visitor_id)
values (20, 'A-1');
update chat
set provided_visitor_id = 'B-1'
where chat_id = 20;
select * from seen('?', 'B-1', visitor_id => '40000000-0000-4000-8000-000000000006');
select * from chats where chat_id in (11, 20);
-- No chats allowed: a visitor without any is absorbed all the same.
update visitor_identity.account
set max_rebinds = 10, max_rebind_chats = 0
where account = 'limits';
select * from seen('Empty');
select visitor_id as e from letter where name = 'Empty' \gset
select * from seen('?', 'B-1', visitor_id => :'e');
insert into chat (chat_id, visitor_id)
values (21, '40000000-0000-4000-8000-000000000007');
select * from seen('?', 'B-1', visitor_id => '40000000-0000-4000-8000-000000000007');
select visitor_identity.detach_table('chat');
set client_min_messages = warning;
drop schema limits cascade;
