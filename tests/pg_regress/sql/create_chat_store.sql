-- create_chat_store makes a ready, ordinary chat schema, owned by the caller, attached, with the indexes a chat service needs.
-- What a statement is refused with.
create function pg_temp.refusal(statement text)
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
set client_min_messages = warning;
create role create_chat_store_owner;
select visitor_identity.grant_access('create_chat_store_owner', 'admin');
select format('grant create on database %I to create_chat_store_owner', current_database()) \gexec
insert into visitor_identity.account (account) values ('create_chat_store');
set session authorization create_chat_store_owner;
set visitor_identity.account = 'create_chat_store';
select visitor_identity.create_chat_store('Чат "store"');
select c.relname, c.relkind, pg_get_userbyid(c.relowner) as owner
from pg_class as c
join pg_namespace as n on n.oid = c.relnamespace
where n.nspname = 'Чат "store"' and c.relkind in ('r', 'v')
order by c.relname collate "C";
select c.relname, a.attname, format_type(a.atttypid, a.atttypmod) as type, a.attnotnull, a.attidentity
from pg_attribute as a
join pg_class as c on c.oid = a.attrelid
join pg_namespace as n on n.oid = c.relnamespace
where n.nspname = 'Чат "store"' and c.relkind = 'r' and a.attnum > 0
order by c.relname, a.attnum;
select replace(indexdef, '"Чат ""store"""', 's') as index
from pg_indexes
where schemaname = 'Чат "store"'
order by indexname collate "C";
set search_path = "Чат ""store""";
-- An anonymous chat with messages, then the login; a chat by its default state and time.
insert into chat (department)
values ('sales')
returning account, state, visitor_id is not null as visitor, opened_at = now() as opened_now, closed_at;
insert into message (account, chat_id, kind, text)
select account, chat_id, 'visitor', 'hello'
from chat;
select visitor_id as v from chat \gset
select outcome, rebound_chats
from visitor_identity.resolve_visitor_detail('C-1', visitor_id => :'v');
update chat
set state = 'closed', closed_at = now();
insert into chat (account, provided_visitor_id)
values ('create_chat_store', 'C-1');
select
    (select count(*) from chat_history) as history,
    (select count(*) from chat_workspace) as workspace,
    (select count(distinct visitor_id) from chat) as visitors;
select chat_table, provided_visitor_id, matched_by
from visitor_identity.search_history('C-1');
delete from chat;
select count(*) as messages from message;
-- A second time, or where something is in the way: refused, and nothing of it stays.
select state from pg_temp.refusal($$select visitor_identity.create_chat_store('Чат "store"')$$);
create schema create_chat_store_2;
create table create_chat_store_2.message (message_id integer);
select state from pg_temp.refusal($$select visitor_identity.create_chat_store('create_chat_store_2')$$);
select relname from pg_class where relnamespace = 'create_chat_store_2'::regnamespace;
drop table create_chat_store_2.message;
-- An existing schema is used.
select visitor_identity.create_chat_store('create_chat_store_2');
select visitor_identity.detach_table('create_chat_store_2.chat');
drop schema create_chat_store_2 cascade;
select visitor_identity.detach_table('chat');
drop schema "Чат ""store""" cascade;
-- The default is the schema chat.
select visitor_identity.create_chat_store();
select to_regclass('chat.chat') is not null as chat, to_regclass('chat.message') is not null as message, to_regclass('chat.chat_history') is not null as history;
select visitor_identity.detach_table('chat.chat');
drop schema chat cascade;
reset session authorization;
drop owned by create_chat_store_owner;
drop role create_chat_store_owner;
