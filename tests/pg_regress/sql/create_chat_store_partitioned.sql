-- create_chat_store(partitioned => true): the same store by months, with partitions added, detached, attached again and dropped
-- under a history that stays whole.
create function pg_temp.refusal(statement text)
returns text
language plpgsql
as $$
begin
    execute statement;
    return 'none';
exception when others then
    return sqlstate || ' ' || sqlerrm;
end
$$;
create function pg_temp.free_messages(messages regclass)
returns void
language plpgsql
as $$
declare
    name name;
begin
    for name in
        select c.conname
        from pg_constraint as c
        where c.conrelid = messages and c.contype = 'f' and c.conparentid = 0
    loop
        execute format('alter table %s drop constraint %I', messages, name);
    end loop;
end
$$;
set client_min_messages = warning;
create role create_partitioned_owner;
select visitor_identity.grant_access('create_partitioned_owner', 'admin');
select format('grant create on database %I to create_partitioned_owner', current_database()) \gexec
insert into visitor_identity.account (account) values ('create_partitioned');
set session authorization create_partitioned_owner;
set visitor_identity.account = 'create_partitioned';
select visitor_identity.create_chat_store('by month', partitioned => true);
set search_path = "by month";
select c.oid::regclass as relation, c.relkind, pg_get_partkeydef(c.oid) as partitioned_by, pg_get_expr(c.relpartbound, c.oid) as bound
from pg_class as c
where c.relnamespace = '"by month"'::regnamespace and c.relkind in ('r', 'p', 'v')
order by c.relname collate "C";
select c.conrelid::regclass as relation, c.conname, pg_get_constraintdef(c.oid) as definition
from pg_constraint as c
where c.conrelid in ('chat'::regclass, 'message'::regclass) and c.contype in ('p', 'f') and c.conparentid = 0
order by 1, 2;
-- Partitions are added as of any table, ahead of their time.
create table chat_2024_01 partition of chat for values from ('2024-01-01') to ('2024-02-01');
create table message_2024_01 partition of message for values from ('2024-01-01') to ('2024-02-01');
create table chat_2024_02 partition of chat for values from ('2024-02-01') to ('2024-03-01');
create table message_2024_02 partition of message for values from ('2024-02-01') to ('2024-03-01');
insert into chat (chat_id, visitor_id, opened_at, closed_at)
values
    (1, '40000000-0000-4000-8000-000000000001', '2024-01-10', '2024-01-10 01:00'),
    (2, '40000000-0000-4000-8000-000000000001', '2024-02-10', '2024-02-10 01:00'),
    (3, '40000000-0000-4000-8000-000000000001', '2024-03-10', null);
insert into message (chat_id, account, chat_opened_at, kind, text)
select chat_id, account, opened_at, 'visitor', 'hello'
from chat;
-- The month for which nobody made a partition in time: its chats are in the default partition.
select pg_temp.refusal($$create table chat_2024_03 partition of chat for values from ('2024-03-01') to ('2024-04-01')$$);
-- What it holds becomes that month, and a new one takes its place. A detached table of messages keeps its foreign key, which
-- would hold the chats.
begin;
alter table message detach partition message_default;
select pg_temp.free_messages('message_default');
alter table chat detach partition chat_default;
alter table chat_default rename to chat_2024_03;
alter table message_default rename to message_2024_03;
alter table chat attach partition chat_2024_03 for values from ('2024-03-01') to ('2024-04-01');
alter table message attach partition message_2024_03 for values from ('2024-03-01') to ('2024-04-01');
create table chat_default partition of chat default;
create table message_default partition of message default;
commit;
select c.tableoid::regclass as partition, c.chat_id, c.visitor_id, c.origin_visitor_id, m.text
from chat as c
join message as m on m.account = c.account and m.chat_id = c.chat_id
order by c.chat_id;
-- A login moves the chats of all months, views and search find them by either id.
select outcome, rebound_chats
from visitor_identity.resolve_visitor_detail('C-1', visitor_id => '40000000-0000-4000-8000-000000000001');
select visitor_identity.find_visitor('C-1') as c \gset
select tableoid::regclass as partition, visitor_id = :'c' as is_c, origin_visitor_id from chat order by chat_id;
select (select count(*) from chat_history where provided_visitor_id = 'C-1') as history, (select count(*) from chat_workspace where visitor_id = :'c') as workspace;
select chat_key, matched_by from visitor_identity.search_history('40000000-0000-4000-8000-000000000001');
-- The time of a chat is corrected: it changes its partition, its messages with it, and stays who he is.
update chat set opened_at = '2024-02-28' where chat_id = 3;
select c.tableoid::regclass as partition, c.visitor_id = :'c' as is_c, m.tableoid::regclass as messages
from chat as c
join message as m on m.account = c.account and m.chat_id = c.chat_id and m.chat_opened_at = c.opened_at
where c.chat_id = 3;
-- A month is taken off: messages first, because they refer to its chats. It follows nobody meanwhile.
alter table message detach partition message_2024_01;
select pg_temp.free_messages('message_2024_01');
alter table chat detach partition chat_2024_01;
select count(*) as triggers from pg_trigger where tgrelid = 'chat_2024_01'::regclass and not tgisinternal;
insert into chat (chat_id, visitor_id, opened_at)
values (5, '40000000-0000-4000-8000-000000000005', '2024-02-11');
insert into chat_2024_01 (account, chat_id, visitor_id, origin_visitor_id, opened_at)
values ('create_partitioned', 4, '40000000-0000-4000-8000-000000000005', '40000000-0000-4000-8000-000000000005', '2024-01-11');
select rebound_chats from visitor_identity.resolve_visitor_detail('C-1', visitor_id => '40000000-0000-4000-8000-000000000005');
-- Attached again: what happened meanwhile is found and put right by one statement.
alter table chat attach partition chat_2024_01 for values from ('2024-01-01') to ('2024-02-01');
alter table message attach partition message_2024_01 for values from ('2024-01-01') to ('2024-02-01');
reset session authorization;
select problem, chat_table, chat_key from visitor_identity.check_integrity() where account = 'create_partitioned';
set session authorization create_partitioned_owner;
update chat as c
set visitor_id = f.visitor_id
from (
    select p.chat_id, p.opened_at, visitor_identity.find_visitor(visitor_id => p.visitor_id, account => p.account) as visitor_id
    from chat_2024_01 as p
) as f
where c.chat_id = f.chat_id
    and c.opened_at = f.opened_at
    and c.visitor_id <> f.visitor_id;
reset session authorization;
select count(*) as problems from visitor_identity.check_integrity() where account = 'create_partitioned';
set session authorization create_partitioned_owner;
select chat_id, visitor_id = :'c' as is_c from chat order by chat_id;
-- Dropped for good: the log keeps what it moved, and an undo puts back what there is.
alter table message detach partition message_2024_01;
drop table message_2024_01;
alter table chat detach partition chat_2024_01;
drop table chat_2024_01;
select r.rebound_chats, w.keys
from visitor_identity.rebind as r
join visitor_identity.rebind_row as w using (account, rebind_id)
where r.from_visitor_id = '40000000-0000-4000-8000-000000000001' and r.account = 'create_partitioned' and w.moved_table = 'chat'::regclass;
select moved_table, put_back, left_alone
from visitor_identity.undo_rebind(
    (select rebind_id from visitor_identity.rebind where from_visitor_id = '40000000-0000-4000-8000-000000000001' and account = 'create_partitioned'),
    'create_partitioned'
)
where moved_table = 'chat'::regclass;
reset session authorization;
select count(*) as problems from visitor_identity.check_integrity() where account = 'create_partitioned';
select visitor_identity.detach_table('chat');
drop schema "by month" cascade;
drop owned by create_partitioned_owner;
drop role create_partitioned_owner;
