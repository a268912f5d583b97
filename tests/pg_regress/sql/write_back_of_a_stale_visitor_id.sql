-- An application that writes back the visitor_id that it read earlier does not undo a rebinding.
create schema write_back_of_a_stale_visitor_id;
set search_path = write_back_of_a_stale_visitor_id;
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
    account text default 'write_back_of_a_stale_visitor_id'
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
insert into visitor_identity.account (account) values ('write_back_of_a_stale_visitor_id');
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
select visitor_identity.attach_chat_table('chat', fixed_account => 'write_back_of_a_stale_visitor_id');
create view chats as
select
    c.chat_id,
    who(c.visitor_id) as visitor,
    who(c.origin_visitor_id) as origin,
    c.provided_visitor_id as provided
from chat as c
order by c.chat_id;
select named('V', '40000000-0000-4000-8000-000000000001');
insert into chat (chat_id, visitor_id)
values
    (1, '40000000-0000-4000-8000-000000000001'),
    (2, '40000000-0000-4000-8000-000000000001');
select * from seen('C', provided_visitor_id => 'C-1', visitor_id => '40000000-0000-4000-8000-000000000001');

-- The whole object, as an ORM saves it.
update chat
set
    visitor_id = '40000000-0000-4000-8000-000000000001',
    origin_visitor_id = '40000000-0000-4000-8000-000000000001',
    provided_visitor_id = null,
    channel_type = null,
    channel_user_id = null,
    closed_at = '2024-05-01'
where chat_id = 1
returning who(visitor_id) as visitor, who(origin_visitor_id) as origin;
-- The visitor alone, and set to NULL: kept.
update chat
set visitor_id = '40000000-0000-4000-8000-000000000001'
where chat_id = 2;
update chat
set visitor_id = null
where chat_id = 1;
table chats;
select count(*) as rebindings
from visitor_identity.rebind
where account = 'write_back_of_a_stale_visitor_id';

-- A real change of an anonymous row's visitor is taken, and logged as a row that moved alone.
select * from seen('W');
select visitor_id as w from letter where name = 'W' \gset
insert into chat (chat_id, visitor_id)
values (3, '40000000-0000-4000-8000-000000000003');
select named('X', '40000000-0000-4000-8000-000000000003');
update chat
set visitor_id = :'w'
where chat_id = 3;
select * from chats where chat_id = 3;
select kind, who(from_visitor_id) as from_visitor, who(to_visitor_id) as to_visitor, rebound_chats, reason
from visitor_identity.rebind
where account = 'write_back_of_a_stale_visitor_id' and kind = 'chat';
-- An unknown visitor_id is adopted, as at INSERT.
update chat
set visitor_id = '40000000-0000-4000-8000-0000000000ff'
where chat_id = 3;
select * from seen('Adopted', visitor_id => '40000000-0000-4000-8000-0000000000ff');
select * from chats where chat_id = 3;
-- An authorized row stays with the visitor of its provided id.
insert into chat (chat_id, provided_visitor_id)
values (4, 'C-1');
update chat
set visitor_id = :'w'
where chat_id = 4;
update chat
set visitor_id = :'w', provided_visitor_id = null
where chat_id = 4;
select * from chats where chat_id = 4;

select visitor_identity.detach_table('chat');
set client_min_messages = warning;
drop schema write_back_of_a_stale_visitor_id cascade;
