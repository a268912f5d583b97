-- Rows of any other table with a visitor_id follow a rebinding: those that were there, those that are written later under
-- the old id, in plain and in partitioned tables, under any names. They are no chats: nothing counts or limits them.
create schema "visitor tables";
set search_path = "visitor tables";
insert into visitor_identity.account (account, max_rebind_chats) values ('visitor_tables', 1), ('visitor_tables_2', 1);
set visitor_identity.account = 'visitor_tables';
create function who(id uuid)
returns text
language sql
as $$
    select case
        when id = visitor_identity.find_visitor('C-1') then 'C'
        when id = visitor_identity.find_visitor('C-2') then 'C2'
        when id::text like '7ab1e5%' then upper(right(id::text, 1))
        else 'another'
    end
    where id is not null
$$;
create table chat (chat_id integer primary key, visitor_id uuid, provided_visitor_id text);
create index on chat (visitor_id);
select visitor_identity.attach_chat_table('chat');
-- Several accounts, a domain over uuid, a key of two columns, no unique index over the visitor column.
create domain "Guid" as uuid;
create table "Tickets ""A""" ("Tenant" text, "No" integer, "Visitor" "Guid", subject text, primary key ("Tenant", "No"));
create index on "Tickets ""A""" ("Tenant", "Visitor");
select * from visitor_identity.unattached_tables() where unattached::text like '%A%';
select visitor_identity.attach_visitor_table('"Tickets ""A"""', 'Visitor', 'Tenant');
-- One account, partitioned, the visitor column may be NULL.
create table note (note_id integer, visitor_id uuid, kept_until date, body text, primary key (note_id, kept_until))
partition by range (kept_until);
create index on note (visitor_id);
create table note_old partition of note for values from ('2000-01-01') to ('2024-01-01');
create table note_new partition of note for values from ('2024-01-01') to ('2100-01-01');
select visitor_identity.attach_visitor_table('note');
-- The visitor is the key.
create table preferences (visitor_id uuid primary key, language text);
select visitor_identity.attach_visitor_table('preferences', on_clash => 'move_or_keep_target');
select attached, kind, on_clash, visitor_column, account_column, fixed_account, key_columns, history_view, origin_column
from visitor_identity.attached_table
order by attached::text;
select count(*) from visitor_identity.unattached_tables() where unattached in ('note'::regclass, 'preferences'::regclass);

insert into chat (chat_id, visitor_id) values (1, '7ab1e500-0000-4000-8000-00000000000a');
-- Unknown ids are adopted, as those of chats are; NULL stays NULL, and no id is no visitor.
insert into "Tickets ""A"""
values
    ('visitor_tables', 1, '7ab1e500-0000-4000-8000-00000000000a', 'mine'),
    (null, 2, '7ab1e500-0000-4000-8000-00000000000a', 'the account is filled in'),
    ('visitor_tables', 3, null, 'nobody''s'),
    ('visitor_tables_2', 1, '7ab1e500-0000-4000-8000-00000000000a', 'another account''s');
insert into note
values
    (1, '7ab1e500-0000-4000-8000-00000000000a', '2023-05-01', 'old'),
    (2, '7ab1e500-0000-4000-8000-00000000000a', '2024-05-01', 'new'),
    (3, '7ab1e500-0000-4000-8000-00000000000b', '2024-05-01', 'another''s'),
    (4, '00000000-0000-0000-0000-000000000000', '2024-05-01', 'nil');
insert into preferences values ('7ab1e500-0000-4000-8000-00000000000a', 'en');
create view rows as
select 'chat' as kind, chat_id as id, who(visitor_id) as visitor from chat
union all
select 'ticket of ' || "Tenant", "No", who("Visitor") from "Tickets ""A"""
union all
select 'note in ' || tableoid::regclass::text, note_id, who(visitor_id) from note
union all
select 'preferences', 1, who(visitor_id) from preferences
order by 1, 2;
select account, visitor_id from visitor_identity.visitor where account like 'visitor_tables%' order by 1, 2;

-- What would happen.
select topic, finding
from visitor_identity.explain_resolution('C-1', visitor_id => '7ab1e500-0000-4000-8000-00000000000a')
where topic in ('met', 'table', 'outcome');
-- One chat and five rows: max_rebind_chats is 1, and chats alone count.
select outcome, rebound_chats, notes
from visitor_identity.resolve_visitor_detail('C-1', visitor_id => '7ab1e500-0000-4000-8000-00000000000a');
table rows;
select rebind_id as rebound from visitor_identity.rebind where account = 'visitor_tables' \gset
select rebound_chats, kept_rows from visitor_identity.rebind where account = 'visitor_tables';
select moved_table, replace(keys::text, visitor_identity.find_visitor('C-1')::text, 'C') as keys, of_visitor_table
from visitor_identity.rebind_row
where account = 'visitor_tables'
order by moved_table::text;
select problem, visitor_id, chat_table, chat_key from visitor_identity.check_integrity() where account like 'visitor_tables%';
delete from note where note_id = 4;

-- Written later, under the old id: by INSERT, by COPY, by an UPDATE that writes back what was read.
insert into note values (5, '7ab1e500-0000-4000-8000-00000000000a', '2024-05-01', 'late');
copy note from stdin;
6	7ab1e500-0000-4000-8000-00000000000a	2023-05-01	late
7	\N	2023-05-01	nobody's
\.
update note set visitor_id = '7ab1e500-0000-4000-8000-00000000000a' where note_id = 1;
update note set visitor_id = '7ab1e500-0000-4000-8000-00000000000a' where note_id = 7;
-- Given to another, taken from everybody, moved to another partition.
update note set visitor_id = '7ab1e500-0000-4000-8000-00000000000b' where note_id = 5;
update note set visitor_id = null where note_id = 2;
update note set kept_until = '2025-01-01' where note_id = 6;
update note set kept_until = '2023-01-01', visitor_id = '7ab1e500-0000-4000-8000-00000000000a' where note_id = 5;
insert into preferences values ('7ab1e500-0000-4000-8000-00000000000a', 'de')
on conflict (visitor_id) do update set language = excluded.language;
select count(*), min(language) from preferences;
table rows;
-- The account of a row that has a visitor is fixed.
update "Tickets ""A""" set "Tenant" = 'visitor_tables_2' where "No" = 2;
update "Tickets ""A""" set "Tenant" = 'visitor_tables_2' where "No" = 3;
-- Renamed columns and tables are followed.
alter table note rename visitor_id to owner_of_note;
alter table note rename to remark;
insert into remark values (8, '7ab1e500-0000-4000-8000-00000000000c', '2024-05-01', 'renamed');
select rebound_chats from visitor_identity.resolve_visitor_detail('C-1', visitor_id => '7ab1e500-0000-4000-8000-00000000000c');
select who(owner_of_note) from remark where note_id = 8;
alter table remark rename to note;
alter table note rename owner_of_note to visitor_id;

-- What check_integrity finds: a row that came while the triggers slept, and a trigger that does.
begin;
set local session_replication_role = replica;
insert into note values (9, '7ab1e500-0000-4000-8000-00000000000a', '2024-05-01', 'asleep'), (10, '7ab1e500-0000-4000-8000-00000000000d', '2024-05-01', 'unknown');
insert into preferences values ('7ab1e500-0000-4000-8000-00000000000a', 'fr');
set local session_replication_role = origin;
alter table preferences disable trigger visitor_identity_before_update;
select problem, account, who(visitor_id) as visitor, chat_table, chat_key
from visitor_identity.check_integrity()
where chat_table in ('note'::regclass, 'preferences'::regclass)
order by 1, 3, 4;
rollback;

-- Detached: as it was. The log still names what moved, and nothing is miscounted.
select visitor_identity.detach_table('"Tickets ""A"""'), visitor_identity.detach_table('note'), visitor_identity.detach_table('preferences');
select c.relname, a.attname from pg_attribute as a join pg_class as c on c.oid = a.attrelid
where c.relnamespace = '"visitor tables"'::regnamespace and a.attname like 'origin%'
order by 1;
select t.tgrelid::regclass from pg_trigger as t where t.tgrelid in ('note'::regclass, 'preferences'::regclass, '"Tickets ""A"""'::regclass);
select problem from visitor_identity.check_integrity() where account like 'visitor_tables%';
reset visitor_identity.account;
set client_min_messages = warning;
select visitor_identity.detach_table('chat');
drop schema "visitor tables" cascade;
