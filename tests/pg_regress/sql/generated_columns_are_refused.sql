-- A generated column cannot stand for an identifier: its value is computed after the row is decided. It is refused with a reason and a
-- remedy, before anything is changed. Keeps finding 10 of the review.
create schema generated_columns;
set search_path = generated_columns;
-- What a statement is refused with.
create function refusal(statement text)
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
create table chat (
    chat_id integer primary key,
    visitor_id uuid,
    fields jsonb,
    "CRM id" text generated always as (fields ->> 'id') stored,
    channel text generated always as (fields ->> 'channel') stored,
    tenant text generated always as (coalesce(fields ->> 'tenant', 'default')) stored,
    cookie uuid generated always as (substring(fields ->> 'cookie' from 1)::uuid) stored,
    page integer generated always as (length(fields ->> 'page')) stored,
    opened_at timestamptz default '2024-05-01',
    closed_at date generated always as ((fields ->> 'closed')::integer + date '2000-01-01') stored
);
create index on chat (visitor_id);
create index on chat (cookie);
\x
select * from refusal($$select visitor_identity.attach_chat_table('chat', provided_visitor_id => 'CRM id')$$);
select state, message from refusal($$select visitor_identity.attach_chat_table('chat', channel_type => 'channel')$$);
select state, message from refusal($$select visitor_identity.attach_chat_table('chat', channel_user_id => 'CRM id')$$);
select state, message from refusal($$select visitor_identity.attach_chat_table('chat', channel_id => 'page')$$);
select state, message from refusal($$select visitor_identity.attach_chat_table('chat', account => 'tenant')$$);
select state, message from refusal($$select visitor_identity.attach_chat_table('chat', visitor_id => 'cookie')$$);
select state, message from refusal($$select visitor_identity.attach_chat_table('chat', origin_visitor_id => 'cookie')$$);
\x
select
    (select count(*) from pg_trigger where tgrelid = 'chat'::regclass) as triggers,
    (select count(*) from pg_class where relnamespace = 'generated_columns'::regnamespace and relkind = 'v') as views,
    (select count(*) from pg_attribute where attrelid = 'chat'::regclass and attname = 'origin_visitor_id') as origins,
    (select count(*) from visitor_identity.attached_table where attached = 'chat'::regclass) as attached;
-- A generated column that stands for a time, or for nothing, is welcome.
insert into visitor_identity.account (account) values ('generated_columns');
select visitor_identity.attach_chat_table('chat', fixed_account => 'generated_columns');
insert into chat (chat_id, visitor_id, fields)
values (1, '40000000-0000-4000-8000-000000000001', '{"id": "C-1"}'), (2, '40000000-0000-4000-8000-000000000001', '{"id": "C-2", "closed": 8000}');
select outcome, rebound_chats
from visitor_identity.resolve_visitor_detail('C-1', visitor_id => '40000000-0000-4000-8000-000000000001', account => 'generated_columns');
select chat_id, "CRM id", provided_visitor_id, closed_at from chat_history;
select chat_id, "CRM id", provided_visitor_id, closed_at from chat_workspace;
select chat_key from visitor_identity.search_history('C-1', account => 'generated_columns');
select visitor_identity.detach_table('chat');
set client_min_messages = warning;
drop schema generated_columns cascade;
