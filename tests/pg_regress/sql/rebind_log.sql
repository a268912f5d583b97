-- Every rebinding is a row: who, why, from, to, how many, and exactly which rows, pointers and channel ids.
create schema rebind_log;
set search_path = rebind_log;
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
    account text default 'rebind_log'
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
insert into visitor_identity.account (account) values ('rebind_log');
create table dialog (
    dialog_id text,
    part integer,
    visitor_id uuid,
    primary key (dialog_id, part)
);
create index on dialog (visitor_id);
select visitor_identity.attach_chat_table('dialog', fixed_account => 'rebind_log');
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
select visitor_identity.attach_chat_table('chat', fixed_account => 'rebind_log');
create view chats as
select
    c.chat_id,
    who(c.visitor_id) as visitor,
    who(c.origin_visitor_id) as origin,
    c.provided_visitor_id as provided
from chat as c
order by c.chat_id;
create view log as
select
    r.kind,
    who(r.from_visitor_id) as from_visitor,
    who(r.to_visitor_id) as to_visitor,
    r.rebound_chats as chats,
    r.reason,
    k.moved_table,
    k.part,
    jsonb_array_length(k.keys) as moved,
    case when k.moved_table <> 'visitor_identity.visitor'::regclass then k.keys end as keys
from visitor_identity.rebind as r
left join visitor_identity.rebind_row as k using (account, rebind_id)
where r.account = 'rebind_log'
order by r.rebind_id, k.moved_table::text, k.part;

-- Nothing is logged where nothing moves.
select * from seen('A', provided_visitor_id => 'A-1');
select * from seen('?', provided_visitor_id => 'A-1');
select count(*) from log;

-- A visitor with two tables, an alias and a channel id.
insert into chat (chat_id, channel_type, channel_user_id)
values (1, 'telegram', '12345678');
insert into chat (chat_id, visitor_id, channel_type, channel_user_id)
values (2, '40000000-0000-4000-8000-000000000002', 'telegram', '12345678');
select named('T', visitor_id) from chat where chat_id = 1;
insert into dialog (dialog_id, part, visitor_id)
select 'a "quoted" key', 7, visitor_id
from chat
where chat_id = 1;
select * from seen('?', provided_visitor_id => 'A-1', channel_type => 'telegram', channel_user_id => '12345678');
table log;
-- The pointer that was moved is the alias.
select k.keys
from visitor_identity.rebind_row as k
where k.account = 'rebind_log' and k.moved_table = 'visitor_identity.visitor'::regclass;

-- By a row inserted, by a row updated; a row that moves alone is of kind chat.
insert into chat (chat_id, visitor_id)
values (3, '40000000-0000-4000-8000-000000000003'), (4, '40000000-0000-4000-8000-000000000004');
select
    named('V3', '40000000-0000-4000-8000-000000000003'),
    named('V4', '40000000-0000-4000-8000-000000000004');
insert into chat (chat_id, visitor_id, provided_visitor_id)
values (5, '40000000-0000-4000-8000-000000000003', 'B-1');
select * from seen('B', provided_visitor_id => 'B-1');
update chat
set provided_visitor_id = 'B-1'
where chat_id = 4;
update chat
set provided_visitor_id = 'A-1'
where chat_id = 4;
select * from log where to_visitor = 'B' or kind = 'chat';
-- The count that a caller gets and the count in the log are the rows that really moved.
insert into chat (chat_id, visitor_id)
select 100 + n, '40000000-0000-4000-8000-000000000100'
from generate_series(1, 50) as n;
select named('V100', '40000000-0000-4000-8000-000000000100');
select * from seen('?', provided_visitor_id => 'B-1', visitor_id => '40000000-0000-4000-8000-000000000100');
select from_visitor, to_visitor, chats, moved from log where from_visitor = 'V100';
-- A visitor without chats is absorbed too, and zero is what is said.
select * from seen('Empty');
select visitor_id as e from letter where name = 'Empty' \gset
select * from seen('?', provided_visitor_id => 'B-1', visitor_id => :'e');
select from_visitor, to_visitor, chats, moved from log where from_visitor = 'Empty';

-- Who: the session user, although the functions run as the extension's owner.
create role rebind_log_application;
grant usage on schema rebind_log to rebind_log_application;
grant select, insert on letter to rebind_log_application;
select visitor_identity.grant_access('rebind_log_application', 'application');
insert into chat (chat_id, visitor_id)
values (200, '40000000-0000-4000-8000-000000000200');
set session authorization rebind_log_application;
select named('V200', '40000000-0000-4000-8000-000000000200');
select * from seen('?', provided_visitor_id => 'B-1', visitor_id => '40000000-0000-4000-8000-000000000200');
reset session authorization;
select rebound_by, who(from_visitor_id) as from_visitor
from visitor_identity.rebind
where account = 'rebind_log' and rebound_by <> session_user;

select visitor_identity.detach_table('chat');
select visitor_identity.detach_table('dialog');
drop owned by rebind_log_application;
drop role rebind_log_application;
set client_min_messages = warning;
drop schema rebind_log cascade;
