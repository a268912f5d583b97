-- unattached_tables lists the tables that reference visitors and do not follow them: by a column named visitor_id, or of the domain.
create schema unattached_tables;
set search_path = unattached_tables;
create view listed as
select u.unattached, u.visitor_column
from visitor_identity.unattached_tables() as u
where u.unattached::oid in (select c.oid from pg_class as c where c.relnamespace = 'unattached_tables'::regnamespace)
order by u.unattached::text, u.visitor_column::text;
insert into visitor_identity.account (account) values ('unattached_tables');
create domain own_uuid as uuid;
create table chat (chat_id integer primary key, visitor_id uuid, closed_at date);
create index on chat (visitor_id);
create table ticket (ticket_id integer primary key, visitor_id uuid, previous visitor_identity.visitor_id);
create table "Note €" ("Client" visitor_identity.visitor_id, text text);
create table of_own_domain (visitor_id own_uuid);
create table parted (visitor_id uuid, day date) partition by range (day);
create table parted_1 partition of parted for values from ('2024-01-01') to ('2025-01-01');
create unlogged table unlogged (visitor_id uuid);
-- Not these: no column of that meaning, a text, one that was dropped, a view, a materialized view, a temporary table.
create table other_uuid (client uuid);
create table text_id (visitor_id text);
create table dropped (visitor_id uuid, other integer);
alter table dropped
drop column visitor_id;
create view a_view as
table chat;
create materialized view stored_view as
table chat;
create temporary table temporary_chat (visitor_id uuid);
table listed;
-- Attached, it is listed no more, nor are its views; detached, again.
select visitor_identity.attach_chat_table('chat', fixed_account => 'unattached_tables');
table listed;
select visitor_identity.detach_table('chat');
select * from listed where unattached = 'chat'::regclass;
-- A role sees it that may not read the tables; one without a grant may not call it.
create role unattached_tables_admin;
select visitor_identity.grant_access('unattached_tables_admin', 'admin');
grant usage on schema unattached_tables to unattached_tables_admin;
grant select on listed to unattached_tables_admin;
set role unattached_tables_admin;
select count(*) from listed;
reset role;
revoke execute on function visitor_identity.unattached_tables() from unattached_tables_admin;
set role unattached_tables_admin;
\set VERBOSITY sqlstate
select count(*) from visitor_identity.unattached_tables();
\set VERBOSITY default
reset role;
-- The extension's own tables and the catalog are none.
select u.unattached
from visitor_identity.unattached_tables() as u
join pg_class as c on c.oid = u.unattached
where c.relnamespace in ('visitor_identity'::regnamespace, 'pg_catalog'::regnamespace, 'information_schema'::regnamespace);
set client_min_messages = warning;
drop table temporary_chat;
drop schema unattached_tables cascade;
drop owned by unattached_tables_admin;
drop role unattached_tables_admin;
