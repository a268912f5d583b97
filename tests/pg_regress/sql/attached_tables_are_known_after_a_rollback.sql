-- A backend remembers the attached tables. A table that was dropped in a transaction that was rolled back is attached as before, and
-- a table whose schema has another name is found under it, by triggers and rebindings alike.
create schema known_again;
set search_path = known_again;
insert into visitor_identity.account (account) values ('known_again');
set visitor_identity.account = 'known_again';
create table chat (chat_id integer primary key, visitor_id uuid, provided_visitor_id text, closed_at timestamptz);
create index on chat (visitor_id);
create table other (like chat including all);
\set VERBOSITY terse
select visitor_identity.attach_chat_table(t::regclass)
from unnest('{chat, other}'::text[]) as t;
insert into chat (chat_id, provided_visitor_id)
values (1, 'C-1');
insert into other (chat_id, visitor_id)
values (1, '40000000-0000-4000-8000-000000000001');
begin;
drop table other cascade;
insert into chat (chat_id, provided_visitor_id)
values (2, 'C-1');
rollback;
insert into other (chat_id, provided_visitor_id)
values (2, 'C-1');
begin;
savepoint before;
drop table other cascade;
insert into chat (chat_id, provided_visitor_id)
values (2, 'C-1');
rollback to before;
insert into other (chat_id, provided_visitor_id)
values (3, 'C-1');
commit;
alter schema known_again rename to known_again_renamed;
set search_path = known_again_renamed;
-- The chat of before the login moves.
select outcome, rebound_chats
from visitor_identity.resolve_visitor_detail('C-1', visitor_id => '40000000-0000-4000-8000-000000000001');
select o.chat_id, o.visitor_id = c.visitor_id as of_c
from other as o
cross join chat as c
order by o.chat_id;
select visitor_identity.detach_table(t::regclass)
from unnest('{chat, other}'::text[]) as t;
reset visitor_identity.account;
set client_min_messages = warning;
drop schema known_again_renamed cascade;
