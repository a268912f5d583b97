-- detach_table takes back what attach_chat_table did: triggers, views, and the origin column if it was added.
create schema detach_restores_the_table;
set search_path = detach_restores_the_table;
insert into visitor_identity.account (account) values ('detach_restores_the_table');
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
create function shape(of_table regclass)
returns table (thing text)
language sql
as $$
    select 'column ' || a.attname || ' ' || format_type(a.atttypid, a.atttypmod)
    from pg_attribute as a
    where a.attrelid = of_table and a.attnum > 0 and not a.attisdropped
    union all
    select 'trigger ' || t.tgname
    from pg_trigger as t
    where t.tgrelid = of_table and not t.tgisinternal
    union all
    select 'view ' || c.relname
    from pg_class as c
    where c.relnamespace = 'detach_restores_the_table'::regnamespace and c.relkind = 'v'
    order by 1
$$;
create table chat (chat_id integer primary key, visitor_id uuid, provided_visitor_id text, closed_at timestamptz);
create index on chat (visitor_id);
create function own()
returns trigger
language plpgsql
as $$
begin
    return new;
end
$$;
create trigger own
before insert on chat
for each row execute function own();
select * from shape('chat');
select visitor_identity.attach_chat_table('chat', fixed_account => 'detach_restores_the_table');
select * from shape('chat');
insert into chat (chat_id, provided_visitor_id)
values (1, 'C-1');
select visitor_identity.detach_table('chat');
select * from shape('chat');
select count(*) as attached
from visitor_identity.attached_table
where attached = 'chat'::regclass;
-- The row's visitor stays; new rows are the application's own affair.
insert into chat (chat_id)
values (2);
select chat_id, visitor_id is not null as has_visitor
from chat
order by chat_id;
-- Once more, keeping the origins; and again, now that the column is the table's own.
select visitor_identity.attach_chat_table('chat', fixed_account => 'detach_restores_the_table');
update chat
set provided_visitor_id = 'C-2'
where chat_id = 1;
select visitor_identity.detach_table('chat', keep_origin => true);
select visitor_identity.attach_chat_table('chat', fixed_account => 'detach_restores_the_table');
select visitor_identity.detach_table('chat');
select * from shape('chat');
select chat_id, origin_visitor_id = visitor_identity.find_visitor('C-1', account => 'detach_restores_the_table') as origin_kept
from chat
order by chat_id;
-- Renamed views and triggers are found again; a view that somebody uses is not dropped under him.
select visitor_identity.attach_chat_table('chat', fixed_account => 'detach_restores_the_table');
alter view chat_history rename to closed_chats;
alter trigger visitor_identity_before_insert on chat rename to aa_first;
create view mine as
select chat_id
from closed_chats;
select state from refusal($$select visitor_identity.detach_table('chat')$$);
select * from shape('chat');
drop view mine;
select visitor_identity.detach_table('chat');
select * from shape('chat');

-- A view that was dropped, and a table that was dropped, are no obstacle for anybody.
select visitor_identity.attach_chat_table('chat', fixed_account => 'detach_restores_the_table');
drop view chat_workspace;
select visitor_identity.detach_table('chat');
select visitor_identity.attach_chat_table('chat', fixed_account => 'detach_restores_the_table');
set client_min_messages = warning;
drop table chat cascade;
reset client_min_messages;
select visitor_identity.resolve_visitor(account => 'detach_restores_the_table') as v \gset
select outcome
from visitor_identity.resolve_visitor_detail('C-3', visitor_id => :'v', account => 'detach_restores_the_table');
select count(*) as found
from visitor_identity.search_history('C-1', account => 'detach_restores_the_table');

-- DROP EXTENSION does not take an application's triggers along silently: it is refused while a table is attached.
create table kept (chat_id integer primary key, visitor_id uuid);
create index on kept (visitor_id);
select visitor_identity.attach_chat_table('kept', fixed_account => 'detach_restores_the_table');
select state from refusal($$drop extension visitor_identity$$);
select visitor_identity.detach_table('kept');
set client_min_messages = warning;
drop schema detach_restores_the_table cascade;
