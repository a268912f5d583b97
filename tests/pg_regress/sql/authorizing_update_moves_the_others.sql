-- An UPDATE that authorizes gives the row its canonical visitor and moves the visitor's other chats in the same statement.
create schema authorizing_update_moves_the_others;
set search_path = authorizing_update_moves_the_others;
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
    account text default 'authorizing_update_moves_the_others'
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
insert into visitor_identity.account (account) values ('authorizing_update_moves_the_others');
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
select visitor_identity.attach_chat_table('chat', fixed_account => 'authorizing_update_moves_the_others');
create view chats as
select
    c.chat_id,
    who(c.visitor_id) as visitor,
    who(c.origin_visitor_id) as origin,
    c.provided_visitor_id as provided
from chat as c
order by c.chat_id;
select named('V', '40000000-0000-4000-8000-000000000001'), named('W', '40000000-0000-4000-8000-000000000002');
insert into chat (chat_id, visitor_id)
select n, '40000000-0000-4000-8000-000000000001'
from generate_series(1, 4) as n;

-- One row: all chats of V follow.
update chat
set provided_visitor_id = 'C-1'
where chat_id = 2
returning named('C', visitor_id), who(origin_visitor_id) as origin;
table chats;
select kind, who(from_visitor_id) as from_visitor, who(to_visitor_id) as to_visitor, rebound_chats, reason
from visitor_identity.rebind
where account = 'authorizing_update_moves_the_others'
order by rebind_id;

-- One UPDATE of two chats of W, two more outside: the first moves the rest, the second finds W superseded.
insert into chat (chat_id, visitor_id)
select n, '40000000-0000-4000-8000-000000000002'
from generate_series(5, 8) as n;
update chat
set provided_visitor_id = 'C-1'
where chat_id in (6, 7);
select * from chats where chat_id between 5 and 8;
select kind, who(from_visitor_id) as from_visitor, who(to_visitor_id) as to_visitor, rebound_chats, reason
from visitor_identity.rebind
where account = 'authorizing_update_moves_the_others'
order by rebind_id;

-- One UPDATE, one visitor, two provided ids: the first row wins the visitor, the second is on its own.
select named('X', '40000000-0000-4000-8000-000000000003');
insert into chat (chat_id, visitor_id)
select n, '40000000-0000-4000-8000-000000000003'
from generate_series(9, 12) as n;
update chat
set provided_visitor_id = case chat_id when 9 then 'D-1' else 'D-2' end
where chat_id in (9, 10);
select named('D1', visitor_id) from chat where chat_id = 9;
select named('D2', visitor_id) from chat where chat_id = 10;
select * from chats where chat_id between 9 and 12;

-- From one provided id to another: this row alone moves, and that is logged.
update chat
set provided_visitor_id = 'D-2'
where chat_id = 9;
select * from chats where chat_id between 9 and 12;
select
    r.kind,
    who(r.from_visitor_id) as from_visitor,
    who(r.to_visitor_id) as to_visitor,
    r.rebound_chats,
    r.reason,
    k.moved_table,
    k.keys
from visitor_identity.rebind as r
join visitor_identity.rebind_row as k using (account, rebind_id)
where r.account = 'authorizing_update_moves_the_others' and r.kind = 'chat'
order by r.rebind_id;

-- To NULL or a placeholder: the visitor is kept.
update chat
set provided_visitor_id = null
where chat_id = 9;
update chat
set provided_visitor_id = 'undefined'
where chat_id = 10;
select * from chats where chat_id in (9, 10);
-- And back again: the row is where it belongs already.
update chat
set provided_visitor_id = 'D-2'
where chat_id in (9, 10);
select * from chats where chat_id in (9, 10);

-- A channel id that appears together with the provided id is bound to the canonical visitor.
insert into chat (chat_id)
values (13);
update chat
set provided_visitor_id = 'E-1', channel_type = 'telegram', channel_user_id = '80000001'
where chat_id = 13;
select * from seen('E', provided_visitor_id => 'E-1');
select * from seen('?', channel_type => 'telegram', channel_user_id => '80000001');
-- A channel id that appears on a row of an anonymous visitor gives the row its channel's visitor.
insert into chat (chat_id)
values (14);
update chat
set channel_type = 'telegram', channel_user_id = '80000001'
where chat_id = 14;
select chat_id, visitor, provided from chats where chat_id = 14;
-- On a row of an identified visitor without a provided id of its own, the visitor stays.
update chat
set channel_type = 'telegram', channel_user_id = '80000003'
where chat_id = 11;
select * from chats where chat_id = 11;
-- Beside the row's provided id it authorizes that channel's visitor, whose chats follow.
insert into chat (chat_id, channel_type, channel_user_id)
values (15, 'telegram', '80000002');
select named('T', visitor_id) from chat where chat_id = 15;
update chat
set channel_user_id = '80000002'
where chat_id = 13;
select chat_id, visitor, provided from chats where chat_id in (13, 15);
select who(origin_visitor_id) as origin from chat where chat_id = 15;

-- An UPDATE of other columns, or of all columns with their old values, changes nothing and writes no log.
select count(*) as rebindings from visitor_identity.rebind where account = 'authorizing_update_moves_the_others' \gset before_
update chat
set
    visitor_id = visitor_id,
    origin_visitor_id = origin_visitor_id,
    provided_visitor_id = provided_visitor_id,
    channel_type = channel_type,
    channel_user_id = channel_user_id,
    closed_at = '2024-05-01';
select count(*) - :before_rebindings as new_rebindings from visitor_identity.rebind where account = 'authorizing_update_moves_the_others';
select count(*) as left_behind
from chat as c
join visitor_identity.visitor as v on v.account = 'authorizing_update_moves_the_others' and v.visitor_id = c.visitor_id
where v.superseded_by is not null;

select visitor_identity.detach_table('chat');
set client_min_messages = warning;
drop schema authorizing_update_moves_the_others cascade;
