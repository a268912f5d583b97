-- origin_visitor_id is the visitor first stored and never changes; for a rebinding X to C, the rows with origin X on C are exactly the moved ones.
create schema origin_tells_what_moved;
set search_path = origin_tells_what_moved;
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
    account text default 'origin_tells_what_moved'
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
insert into visitor_identity.account (account) values ('origin_tells_what_moved');
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
select visitor_identity.attach_chat_table('chat', fixed_account => 'origin_tells_what_moved');
create view chats as
select
    c.chat_id,
    who(c.visitor_id) as visitor,
    who(c.origin_visitor_id) as origin,
    c.provided_visitor_id as provided
from chat as c
order by c.chat_id;
select
    named('V', '40000000-0000-4000-8000-000000000001'),
    named('W', '40000000-0000-4000-8000-000000000002');
insert into chat (chat_id, visitor_id)
values
    (1, '40000000-0000-4000-8000-000000000001'),
    (2, '40000000-0000-4000-8000-000000000001'),
    (3, '40000000-0000-4000-8000-000000000002');
-- Before and after the authorization can be told apart.
select * from seen('C', provided_visitor_id => 'C-1', visitor_id => '40000000-0000-4000-8000-000000000001');
insert into chat (chat_id, visitor_id)
values (4, '40000000-0000-4000-8000-000000000001');
insert into chat (chat_id, provided_visitor_id)
values (5, 'C-1');
table chats;
-- An application cannot change it, not even to NULL, neither alone nor with other columns.
update chat
set origin_visitor_id = visitor_id;
update chat
set origin_visitor_id = null, provided_visitor_id = provided_visitor_id
where chat_id = 1;
update chat
set origin_visitor_id = '40000000-0000-4000-8000-000000000002', closed_at = '2024-05-01'
where chat_id = 2;
table chats;
-- It survives a second move of the row.
select * from seen('D', provided_visitor_id => 'D-1');
update chat
set provided_visitor_id = 'D-1'
where chat_id = 1;
table chats;

-- The log agrees: for each rebinding of a visitor, the keys are the rows with that origin on that visitor, less those that left one by one.
select * from seen('?', provided_visitor_id => 'D-1', visitor_id => '40000000-0000-4000-8000-000000000002');
select
    who(r.from_visitor_id) as from_visitor,
    who(r.to_visitor_id) as to_visitor,
    r.kind,
    r.rebound_chats,
    r.reason,
    r.rebound_by = session_user as by_me,
    r.undone_at is null as stands,
    (
        select jsonb_agg(k order by k)
        from visitor_identity.rebind_row as m
        cross join jsonb_array_elements(m.keys) as k
        where m.account = r.account and m.rebind_id = r.rebind_id and m.moved_table = 'chat'::regclass
    ) as logged,
    (
        select jsonb_agg(c.chat_id order by c.chat_id)
        from chat as c
        where c.visitor_id = r.to_visitor_id and c.origin_visitor_id = r.from_visitor_id
    ) as by_origin
from visitor_identity.rebind as r
where r.account = 'origin_tells_what_moved'
order by r.rebind_id;

select visitor_identity.detach_table('chat');
set client_min_messages = warning;
drop schema origin_tells_what_moved cascade;
