-- Triggers stay in their default mode: what replication or a restore applies is stored as it came; a DBA who disables them gets the same.
create schema replication_does_not_resolve_again;
set search_path = replication_does_not_resolve_again;
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
insert into visitor_identity.account (account) values ('replication_does_not_resolve_again');
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
select visitor_identity.attach_chat_table('chat', fixed_account => 'replication_does_not_resolve_again');
create view chats as
select
    c.chat_id,
    who(c.visitor_id) as visitor,
    who(c.origin_visitor_id) as origin,
    c.provided_visitor_id as provided
from chat as c
order by c.chat_id;
select tgname, tgenabled
from pg_trigger
where tgrelid = 'chat'::regclass and not tgisinternal
order by tgname;
set session_replication_role = replica;
insert into chat (chat_id, visitor_id, origin_visitor_id, provided_visitor_id)
values (1, '40000000-0000-4000-8000-000000000001', '40000000-0000-4000-8000-000000000002', 'C-1'), (2, null, null, 'C-1');
update chat
set visitor_id = '40000000-0000-4000-8000-000000000003', origin_visitor_id = null
where chat_id = 1;
reset session_replication_role;
select chat_id, visitor_id, origin_visitor_id
from chat
order by chat_id;
select count(*) as visitors
from visitor_identity.visitor
where account = 'replication_does_not_resolve_again';
-- Such a row is taken up by the next change of its identifiers.
update chat
set provided_visitor_id = 'C-2'
where chat_id = 2;
select visitor_id = visitor_identity.find_visitor('C-2', account => 'replication_does_not_resolve_again') as canonical, origin_visitor_id = visitor_id as origin
from chat
where chat_id = 2;
-- Policies reach every backend also so: their triggers run always.
select tgrelid::regclass::text, tgname, tgenabled
from pg_trigger
where tgfoid = 'visitor_identity.policy_changed'::regproc
order by 1;
select visitor_identity.detach_table('chat');
set client_min_messages = warning;
drop schema replication_does_not_resolve_again cascade;
