-- A table with a new owner, without its views, in a schema or of types of odd names stops neither grants, nor searches, nor the check
-- of the others. Keeps findings 16, 21 and 25 of the review.
create schema "Odd ""Schema""";
set search_path = "Odd ""Schema""";
insert into visitor_identity.account (account) values ('odd_tables');
create role odd_tables_owner;
create role odd_tables_buyer;
create role odd_tables_reader;
grant usage, create on schema "Odd ""Schema""" to odd_tables_owner, odd_tables_buyer;
select visitor_identity.grant_access('odd_tables_owner', 'admin');
select visitor_identity.grant_access('odd_tables_buyer', 'admin');
create table good (chat_id integer primary key, visitor_id uuid, provided_visitor_id text, closed_at date);
create index on good (visitor_id);
select visitor_identity.attach_chat_table('good', fixed_account => 'odd_tables');
-- The extension's own domains, which are made for this.
create table "Domain's" (
    "Chat's" integer primary key,
    visitor_id visitor_identity.visitor_id not null,
    provided_visitor_id visitor_identity.provided_visitor_id,
    channel_user_id visitor_identity.channel_user_id,
    closed_at date
);
create index on "Domain's" (visitor_id);
create index on "Domain's" (channel_user_id);
select visitor_identity.attach_chat_table('"Domain''s"', fixed_account => 'odd_tables');
set role odd_tables_owner;
create table sold (chat_id integer primary key, visitor_id uuid, provided_visitor_id text, closed_at date);
create index on sold (visitor_id);
select visitor_identity.attach_chat_table('sold', fixed_account => 'odd_tables');
reset role;
set visitor_identity.account = 'odd_tables';
insert into good (chat_id, provided_visitor_id, closed_at)
values (1, 'C-1', '2024-05-01');
insert into "Domain's" ("Chat's", provided_visitor_id, closed_at)
values (1, 'C-1', '2024-05-01');
insert into sold (chat_id, provided_visitor_id, closed_at)
values (1, 'C-1', '2024-05-01');
create view problems as
select problem, chat_table, chat_key
from visitor_identity.check_integrity()
where account = 'odd_tables'
order by chat_table::text, 1;
table problems;
-- Grants reach all of them.
select visitor_identity.grant_access('odd_tables_reader', 'reader');
set role odd_tables_reader;
select count(*) from "Odd ""Schema""".good_history;
select count(*) from "Odd ""Schema"""."Domain's_history";
select chat_table, chat_key from visitor_identity.search_history('C-1') order by chat_table::text;
reset role;
-- The owner changes: the others are found and the table is listed; rebindings go on, as the new owner.
alter table sold owner to odd_tables_buyer;
set client_min_messages = error;
select s.chat_table, s.chat_key
from visitor_identity.search_history('C-1') as s
where s.chat_table <> 'sold'::regclass
order by s.chat_table::text;
reset client_min_messages;
table problems;
insert into sold (chat_id, visitor_id)
values (2, '40000000-0000-4000-8000-000000000001');
select outcome, rebound_chats
from visitor_identity.resolve_visitor_detail('C-1', visitor_id => '40000000-0000-4000-8000-000000000001');
-- The remedy: attach it anew.
select visitor_identity.detach_table('sold', keep_origin => true);
set role odd_tables_buyer;
select visitor_identity.attach_chat_table('sold', fixed_account => 'odd_tables');
reset role;
table problems;
select chat_table, chat_key from visitor_identity.search_history('C-1') order by chat_table::text;
-- A view that was dropped: the others are found, the table is listed.
drop view good_history;
select chat_table from visitor_identity.search_history('C-1') order by chat_table::text;
table problems;
-- A table that was dropped is struck when the next one is attached.
set client_min_messages = warning;
drop table good cascade;
reset client_min_messages;
select count(*) from problems where problem like '%dropped%';
create table next_one (chat_id integer primary key, visitor_id uuid);
create index on next_one (visitor_id);
select visitor_identity.attach_chat_table('next_one', fixed_account => 'odd_tables');
table problems;
-- A column that was dropped with its triggers: the table is listed, the others are looked at.
set client_min_messages = warning;
alter table sold drop column provided_visitor_id cascade;
reset client_min_messages;
set session_replication_role = replica;
update "Domain's" set provided_visitor_id = '0', visitor_id = gen_random_uuid();
reset session_replication_role;
table problems;
select kind, chat_table, chat_key from visitor_identity.anomalies where account = 'odd_tables' and chat_table is not null;
drop view problems;
reset visitor_identity.account;
select visitor_identity.detach_table(t::regclass)
from unnest(array['sold', 'next_one', '"Domain''s"']) as t;
set client_min_messages = warning;
drop schema "Odd ""Schema""" cascade;
drop owned by odd_tables_owner, odd_tables_buyer, odd_tables_reader;
drop role odd_tables_owner, odd_tables_buyer, odd_tables_reader;
