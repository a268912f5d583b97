-- COPY, multi-row VALUES and INSERT ... SELECT: every row of one visitor ends on the visitor whom one of them authorizes.
create schema copy_and_multirow;
set search_path = copy_and_multirow;
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
    account text default 'copy_and_multirow'
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
insert into visitor_identity.account (account) values ('copy_and_multirow');
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
select visitor_identity.attach_chat_table('chat', fixed_account => 'copy_and_multirow');
create view chats as
select
    c.chat_id,
    who(c.visitor_id) as visitor,
    who(c.origin_visitor_id) as origin,
    c.provided_visitor_id as provided
from chat as c
order by c.chat_id;
select
    named('V1', '40000000-0000-4000-8000-000000000001'),
    named('V2', '40000000-0000-4000-8000-000000000002'),
    named('V3', '40000000-0000-4000-8000-000000000003');

-- Anonymous, authorized, anonymous row of one visitor, by each of the three.
insert into chat (chat_id, visitor_id, provided_visitor_id)
values
    (1, '40000000-0000-4000-8000-000000000001', null),
    (2, '40000000-0000-4000-8000-000000000001', 'C-1'),
    (3, '40000000-0000-4000-8000-000000000001', null);
copy chat (chat_id, visitor_id, provided_visitor_id) from stdin;
4	40000000-0000-4000-8000-000000000002	\N
5	40000000-0000-4000-8000-000000000002	C-2
6	40000000-0000-4000-8000-000000000002	\N
\.
insert into chat (chat_id, visitor_id, provided_visitor_id)
select n, '40000000-0000-4000-8000-000000000003', case n when 8 then 'C-3' end
from generate_series(7, 9) as n;
select
    named('C1', visitor_identity.find_visitor('C-1', account => 'copy_and_multirow')),
    named('C2', visitor_identity.find_visitor('C-2', account => 'copy_and_multirow')),
    named('C3', visitor_identity.find_visitor('C-3', account => 'copy_and_multirow'));
table chats;
-- The rows with origin V on C are exactly those that the log names.
select
    who(r.from_visitor_id) as from_visitor,
    who(r.to_visitor_id) as to_visitor,
    r.rebound_chats,
    r.reason,
    (
        select jsonb_agg(k order by k)
        from visitor_identity.rebind_row as m
        cross join jsonb_array_elements(m.keys) as k
        where m.account = r.account and m.rebind_id = r.rebind_id and m.moved_table = 'chat'::regclass
    ) as keys
from visitor_identity.rebind as r
where r.account = 'copy_and_multirow'
order by r.rebind_id;

-- A thousand rows of a hundred visitors, one in ten rows with an id: no row is left behind, no two people are one.
insert into chat (chat_id, visitor_id, provided_visitor_id)
select
    1000 + n,
    md5('cookie ' || n % 100)::uuid,
    case when n % 1000 >= 300 and n % 1000 < 400 then 'P-' || n % 100 end
from generate_series(0, 999) as n;
select
    count(distinct visitor_id) as visitors,
    count(*) filter (where visitor_id <> visitor_identity.find_visitor('P-' || (chat_id - 1000) % 100, account => 'copy_and_multirow')) as wrong
from chat
where chat_id >= 1000;

select visitor_identity.detach_table('chat');
set client_min_messages = warning;
drop schema copy_and_multirow cascade;
