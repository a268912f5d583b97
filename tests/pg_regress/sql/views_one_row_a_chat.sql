-- The two views show every chat once, closed or open, with canonical identifiers in place of columns of the same names.
create schema views_one_row_a_chat;
set search_path = views_one_row_a_chat;
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
insert into visitor_identity.account (account) values ('views_one_row_a_chat');
create table chat (
    department text,
    visitor_id uuid,
    chat_id integer primary key,
    provided_visitor_id text,
    channel_type text,
    channel_user_id text,
    opened_at timestamptz default '2024-05-01',
    closed_at timestamptz,
    topic text
);
create index on chat (visitor_id);
create index on chat (channel_user_id);
select visitor_identity.attach_chat_table('chat', fixed_account => 'views_one_row_a_chat');
select c.relname, string_agg(a.attname, ', ' order by a.attnum) as columns
from pg_class as c
join pg_attribute as a on a.attrelid = c.oid and a.attnum > 0
where c.relnamespace = 'views_one_row_a_chat'::regnamespace and c.relkind = 'v'
group by c.relname
order by c.relname;
select named('V', '40000000-0000-4000-8000-000000000001'), named('W', '40000000-0000-4000-8000-000000000002');
insert into chat (chat_id, visitor_id, closed_at)
values
    (1, '40000000-0000-4000-8000-000000000001', '2024-05-02'),
    (2, '40000000-0000-4000-8000-000000000001', null),
    (3, '40000000-0000-4000-8000-000000000002', '2024-05-02'),
    (4, '40000000-0000-4000-8000-000000000002', null);
insert into chat (chat_id, channel_type, channel_user_id, closed_at)
values (5, 'whatsapp', '+1 (043) 568-5475', '2024-05-02');
select named('C', visitor_identity.resolve_visitor('C-1', visitor_id => '40000000-0000-4000-8000-000000000001', account => 'views_one_row_a_chat'));
-- A second provided id of the same visitor: bound by hand, as a merge will do. Still one row a chat.
insert into visitor_identity.provided_identity (account, provided_visitor_id, visitor_id, created_at)
select 'views_one_row_a_chat', 'A-second', visitor_id, '2100-01-01'
from letter
where name = 'C';
insert into visitor_identity.provided_identity (account, provided_visitor_id, visitor_id, created_at)
select 'views_one_row_a_chat', 'B-third', visitor_id, '2100-01-01'
from letter
where name = 'C';
insert into chat (chat_id, visitor_id, provided_visitor_id, closed_at)
values
    (6, null, 'A-second', '2024-05-02'),
    (7, null, ' C-1 ', '2024-05-02'),
    (8, '40000000-0000-4000-8000-000000000001', 'undefined', '2024-05-02'),
    (9, '40000000-0000-4000-8000-000000000002', 'undefined', '2024-05-02');
-- The row's own provided id if it is bound to this visitor, else the visitor's first; a placeholder is none.
select chat_id, named('T', visitor_id) as visitor, who(origin_visitor_id) as origin, provided_visitor_id, channel_type, channel_id, channel_user_id
from chat_history
order by chat_id;
select chat_id, who(visitor_id) as visitor, who(origin_visitor_id) as origin, provided_visitor_id, channel_type, channel_id, channel_user_id
from chat_workspace
order by chat_id;
select
    (select count(*) from chat) as chats,
    (select count(*) from chat_history) + (select count(*) from chat_workspace) as in_views,
    (select count(distinct chat_id) from (select chat_id from chat_history union all select chat_id from chat_workspace) as v) as different;
-- A rebound chat is found by each of the three identifiers.
select 'visitor_id' as by, array_agg(h.chat_id order by h.chat_id) from chat_history as h join letter as l on l.name = 'C' and h.visitor_id = l.visitor_id
union all
select 'provided_visitor_id', array_agg(chat_id order by chat_id) from chat_history where provided_visitor_id = 'C-1'
union all
select 'channel_user_id', array_agg(chat_id order by chat_id) from chat_history where channel_user_id = '+1 (043) 568-5475'
union all
select 'origin_visitor_id', array_agg(chat_id order by chat_id) from chat_history where origin_visitor_id = '40000000-0000-4000-8000-000000000001';
-- Closing moves it from one to the other.
update chat
set closed_at = '2024-05-03'
where chat_id = 2;
select (select count(*) from chat_history where chat_id = 2) as history, (select count(*) from chat_workspace where chat_id = 2) as workspace;
select visitor_identity.detach_table('chat');

-- closed_when: a condition instead of a time; a state that is NULL is open. It keeps to itself whatever its operators are.
alter table chat
add column state text;
select visitor_identity.attach_chat_table('chat', closed_when => $$state = 'closed' or state = 'archived' -- and that is all$$, fixed_account => 'views_one_row_a_chat');
update chat
set state = case chat_id % 3 when 0 then 'closed' when 1 then 'archived' end;
select
    (select array_agg(chat_id order by chat_id) from chat_history) as history,
    (select array_agg(chat_id order by chat_id) from chat_workspace) as workspace;
select visitor_identity.detach_table('chat');
-- Neither a time nor a condition: History shows every chat.
select visitor_identity.attach_chat_table('chat', closed_at => null, fixed_account => 'views_one_row_a_chat');
select
    (select count(*) from chat_history) as history,
    (select count(*) from chat_workspace) as workspace;
select visitor_identity.detach_table('chat');
set client_min_messages = warning;
drop schema views_one_row_a_chat cascade;
