-- check_integrity lists every broken promise that it knows, each by a text of its own, and nothing on a healthy database. Each is
-- broken by hand here, as superuser behind the triggers' back, looked at, and mended.
create schema broken_promises;
set search_path = broken_promises;
insert into visitor_identity.account (account)
values ('broken_promises'), ('broken_promises_2');
create role broken_promises_owner;
select visitor_identity.grant_access('broken_promises_owner', 'admin');
create table letter (
    visitor_id uuid primary key,
    name text not null
);
create table chat (
    account text,
    chat_id integer,
    visitor_id uuid,
    provided_visitor_id text,
    channel_type text,
    channel_user_id text,
    closed_at date,
    primary key (account, chat_id)
);
create index on chat (visitor_id);
create index on chat (channel_user_id);
select visitor_identity.attach_chat_table('chat');
create table parted (
    chat_id integer,
    state text default 'open',
    visitor_id uuid,
    provided_visitor_id text,
    primary key (chat_id, state)
) partition by list (state);
create table parted_open partition of parted for values in ('open');
create index on parted (visitor_id);
select visitor_identity.attach_chat_table('parted', fixed_account => 'broken_promises');
create table bare (chat_id integer primary key, visitor_id uuid);
create index on bare (visitor_id);
select visitor_identity.attach_chat_table('bare', fixed_account => 'broken_promises');
set visitor_identity.account = 'broken_promises';
-- A and X are anonymous (X was claimed by C), S was absorbed by C, T has a channel; C, D and E are identified.
insert into chat (chat_id, visitor_id)
values (1, '40000000-0000-4000-8000-00000000000a'), (2, '40000000-0000-4000-8000-00000000000c'), (3, '40000000-0000-4000-8000-00000000000c');
insert into chat (chat_id, provided_visitor_id)
values (4, 'C-1'), (5, 'D-1'), (6, 'E-1');
insert into chat (chat_id, channel_type, channel_user_id)
values (7, 'telegram', '67854257');
insert into bare (chat_id, visitor_id)
values (1, '40000000-0000-4000-8000-00000000000c'), (2, '40000000-0000-4000-8000-00000000000a');
insert into parted (chat_id, visitor_id)
values (1, '40000000-0000-4000-8000-00000000000c'), (2, '40000000-0000-4000-8000-00000000000a');
select outcome, rebound_chats
from visitor_identity.resolve_visitor_detail('C-1', visitor_id => '40000000-0000-4000-8000-00000000000c');
insert into letter
values
    ('40000000-0000-4000-8000-00000000000a', 'A'),
    ('40000000-0000-4000-8000-00000000000c', 'S'),
    (visitor_identity.find_visitor('C-1'), 'C'),
    (visitor_identity.find_visitor('D-1'), 'D'),
    (visitor_identity.find_visitor('E-1'), 'E'),
    (visitor_identity.find_visitor(channel_type => 'telegram', channel_user_id => '67854257'), 'T');
create function id(letter text)
returns uuid
language sql
as $$
    select l.visitor_id from letter as l where l.name = id.letter
$$;
create view problems as
select
    i.problem,
    i.account,
    coalesce((select l.name from letter as l where l.visitor_id = i.visitor_id), i.visitor_id::text) as visitor,
    case when exists (select from pg_class as c where c.oid = i.chat_table) then i.chat_table::text when i.chat_table is not null then 'dropped' end as chat_table,
    i.chat_key
from visitor_identity.check_integrity() as i
where i.account like 'broken_promises%'
    or i.problem like 'an attached table was dropped%'
    or i.chat_table::oid in (select c.oid from pg_class as c where c.relnamespace = 'broken_promises'::regnamespace)
order by i.problem collate "C", 2, 3, 4, i.chat_key;

table problems;
-- Pointers between visitors.
begin;
update visitor_identity.visitor set superseded_by = '40000000-0000-4000-8000-00000000000f' where visitor_id = id('S');
table problems;
rollback;
begin;
insert into visitor_identity.visitor (account, visitor_id, superseded_by) values ('broken_promises', '40000000-0000-4000-8000-00000000000f', id('S'));
table problems;
rollback;
begin;
update visitor_identity.visitor set superseded_by = visitor_id where visitor_id = id('S');
table problems;
rollback;
begin;
insert into visitor_identity.visitor (account, visitor_id)
values ('broken_promises', '00000000-0000-0000-0000-000000000000'), ('broken_promises', 'ffffffff-ffff-ffff-ffff-ffffffffffff');
table problems;
rollback;
begin;
update visitor_identity.visitor set superseded_by = id('D') where visitor_id = id('E');
table problems;
rollback;
begin;
update visitor_identity.visitor set claimed_by = '40000000-0000-4000-8000-00000000000f' where visitor_id = id('A');
table problems;
rollback;
begin;
update visitor_identity.visitor set claimed_by = id('C') where visitor_id in (id('S'), id('E'), id('A'));
table problems;
rollback;
-- Identified visitors and their provided ids.
begin;
update visitor_identity.visitor set identified = true where visitor_id = id('A');
table problems;
rollback;
begin;
delete from visitor_identity.provided_identity where visitor_id = id('E');
table problems;
rollback;
begin;
update visitor_identity.visitor set identified = false where visitor_id = id('E');
table problems;
rollback;
begin;
update visitor_identity.visitor set forgotten = true where visitor_id = id('E');
table problems;
rollback;
begin;
insert into visitor_identity.provided_identity (account, provided_visitor_id, visitor_id) values ('broken_promises', 'F-1', '40000000-0000-4000-8000-00000000000f');
table problems;
rollback;
-- Channel ids.
begin;
update visitor_identity.channel_identity set visitor_id = '40000000-0000-4000-8000-00000000000f' where visitor_id = id('T');
table problems;
rollback;
begin;
update visitor_identity.channel_identity set visitor_id = id('S') where visitor_id = id('T');
table problems;
rollback;
begin;
update visitor_identity.visitor set forgotten = true where visitor_id = id('T');
table problems;
rollback;
-- What must not be left of a forgotten person, or of one who does not exist; half a tombstone.
begin;
insert into visitor_identity.visitor_fields (account, visitor_id, fields)
values ('broken_promises', id('E'), '{}'), ('broken_promises', '40000000-0000-4000-8000-00000000000f', '{}');
insert into visitor_identity.former_channel_identity (account, channel_type, channel_id, channel_user_id, visitor_id)
values ('broken_promises', 'viber', '', 'e', id('E')), ('broken_promises', 'viber', '', 'f', '40000000-0000-4000-8000-00000000000f');
table problems;
delete from visitor_identity.provided_identity where visitor_id = id('E');
update visitor_identity.visitor set forgotten = true where visitor_id = id('E');
table problems;
rollback;
begin;
update visitor_identity.visitor set forgotten = true where visitor_id = id('S');
table problems;
rollback;
-- A forgotten person's log has lost its keys altogether: some of them missing is a broken promise still. A row of his that was kept
-- may show the id of a new visitor.
begin;
select count(*) > 0 as forgotten from visitor_identity.forget_visitor(id('C'), 'keep');
select visitor_identity.resolve_visitor('C-1') <> id('C') as another;
table problems;
insert into visitor_identity.rebind_row (account, rebind_id, moved_table, part, keys)
select r.account, r.rebind_id, 'chat'::regclass, 0, '[1]'
from visitor_identity.rebind as r
where r.account = 'broken_promises' and r.from_visitor_id = id('S');
table problems;
rollback;
begin;
insert into visitor_identity.former_channel_identity (account, channel_type, channel_id, channel_user_id, visitor_id)
values ('broken_promises', 'telegram', '', '67854257', id('S')), ('broken_promises', 'telegram', '', '67854257', id('A'));
table problems;
update visitor_identity.visitor set forgotten = true where visitor_id = id('A');
delete from visitor_identity.visitor where visitor_id = id('S');
table problems;
rollback;
-- Verified fields.
begin;
insert into visitor_identity.visitor_fields (account, visitor_id, fields)
values ('broken_promises', id('C'), '{}'), ('broken_promises', id('S'), '{}'), ('broken_promises', id('A'), '{}');
table problems;
insert into visitor_identity.visitor_fields (account, visitor_id, fields)
values ('broken_promises', '40000000-0000-4000-8000-00000000000f', '{}');
update visitor_identity.visitor set forgotten = true where visitor_id = id('A');
table problems;
rollback;
-- Refused links: those of visitors who were superseded or forgotten since are history.
begin;
insert into visitor_identity.refused_link (account, visitor_id, to_visitor_id, reason)
values ('broken_promises', id('S'), id('D'), 'identified'), ('broken_promises', id('C'), id('D'), 'identified');
table problems;
insert into visitor_identity.refused_link (account, visitor_id, to_visitor_id, reason)
values
    ('broken_promises', '40000000-0000-4000-8000-00000000000f', id('D'), 'identified'),
    ('broken_promises', id('E'), '40000000-0000-4000-8000-00000000000f', 'identified');
table problems;
rollback;
-- Owed and logged rebindings.
begin;
update visitor_identity.rebind set to_visitor_id = '40000000-0000-4000-8000-00000000000f' where from_visitor_id = id('S');
table problems;
rollback;
begin;
insert into visitor_identity.rebind (account, kind, from_visitor_id, to_visitor_id, rebound_chats, reason)
values ('broken_promises', 'chat', '40000000-0000-4000-8000-00000000000f', id('C'), 0, 'chat_update');
table problems;
rollback;
begin;
update visitor_identity.visitor set superseded_by = null where visitor_id = id('S');
table problems;
update visitor_identity.rebind set undone_at = now() where from_visitor_id = id('S');
table problems;
rollback;
begin;
insert into visitor_identity.rebind (account, kind, from_visitor_id, to_visitor_id, rebound_chats, reason)
values ('broken_promises', 'merge', id('E'), id('C'), 0, 'merge_visitors'), ('broken_promises', 'chat', id('D'), id('C'), 0, 'chat_update');
table problems;
rollback;
begin;
delete from visitor_identity.rebind where from_visitor_id = id('S');
table problems;
rollback;
begin;
insert into visitor_identity.pending_rebind (account, visitor_id, to_visitor_id) values ('broken_promises', id('A'), id('C'));
table problems;
rollback;
begin;
update visitor_identity.rebind set rebound_chats = rebound_chats + 1 where from_visitor_id = id('S');
table problems;
rollback;
begin;
delete from visitor_identity.rebind_row where moved_table = 'bare'::regclass;
table problems;
rollback;
-- An account that is gone.
insert into chat (account, chat_id, visitor_id)
values ('broken_promises_2', 1, '40000000-0000-4000-8000-00000000000a');
begin;
delete from visitor_identity.account where account = 'broken_promises_2';
table problems;
rollback;
begin;
insert into visitor_identity.blocked_identifier (account, identifier) values ('broken_promises_2', 'blocked'), ('broken_promises_2', 'too');
insert into visitor_identity.signature_key (account, algorithm, secret) values ('broken_promises', 'md5', 'key'), ('broken_promises_3', 'md5', 'key');
table problems;
delete from visitor_identity.account where account = 'broken_promises_2';
table problems;
rollback;
begin;
delete from visitor_identity.account where account = 'broken_promises';
select distinct problem, account, visitor is not null as visitor, chat_table, chat_key is not null as chat
from problems
order by 1, 4;
rollback;
-- Chats, in each kind of table.
begin;
set local session_replication_role = replica;
update chat set visitor_id = null where chat_id = 1 and account = 'broken_promises';
update bare set visitor_id = null where chat_id = 2;
update parted set visitor_id = null where chat_id = 2;
table problems;
rollback;
begin;
set local session_replication_role = replica;
update chat set visitor_id = '40000000-0000-4000-8000-00000000000f' where chat_id = 1 and account = 'broken_promises';
update bare set visitor_id = '40000000-0000-4000-8000-00000000000f' where chat_id = 2;
table problems;
rollback;
begin;
set local session_replication_role = replica;
update chat set visitor_id = id('S') where chat_id in (2, 3);
update bare set visitor_id = id('S') where chat_id = 1;
update parted set visitor_id = id('S') where chat_id = 1;
table problems;
rollback;
begin;
set local session_replication_role = replica;
update chat set origin_visitor_id = null where chat_id = 1;
update parted set origin_visitor_id = null where chat_id = 2;
table problems;
rollback;
begin;
set local session_replication_role = replica;
update chat set visitor_id = id('D') where chat_id = 4;
update chat set provided_visitor_id = ' E-1 ' where chat_id = 5;
update parted set provided_visitor_id = 'E-1' where chat_id = 2;
table problems;
rollback;
-- A provided id that counts in this account only when it was verified breaks nothing, nor does one that is no id or is bound to nobody.
begin;
set local session_replication_role = replica;
update chat set provided_visitor_id = 'undefined' where chat_id = 5;
update chat set provided_visitor_id = 'nobody' where chat_id = 6;
table problems;
update chat set visitor_id = id('D') where chat_id = 4;
update visitor_identity.account set require_signature = true where account = 'broken_promises';
table problems;
rollback;

-- Attached tables: dropped, without a trigger, with one that does not fire, without a view, with a view of another owner.
begin;
set local client_min_messages = warning;
drop table bare cascade;
table problems;
rollback;
begin;
drop trigger visitor_identity_after_insert on chat;
table problems;
rollback;
begin;
alter table chat disable trigger visitor_identity_before_insert;
table problems;
rollback;
begin;
alter table chat enable replica trigger visitor_identity_before_update;
table problems;
rollback;
begin;
drop trigger visitor_identity_before_delete on parted;
table problems;
rollback;
begin;
drop trigger visitor_identity_before_update on bare;
table problems;
rollback;
begin;
alter table parted disable trigger all;
table problems;
rollback;
begin;
drop view chat_history;
table problems;
rollback;
begin;
drop view bare_workspace;
table problems;
rollback;
begin;
alter table bare owner to broken_promises_owner;
table problems;
rollback;
begin;
alter view parted_history owner to broken_promises_owner;
table problems;
rollback;
begin;
drop trigger visitor_identity_before_insert on parted;
table problems;
rollback;
begin;
alter table parted_open disable trigger visitor_identity_before_insert;
table problems;
rollback;
begin;
drop trigger visitor_identity_columns on chat;
table problems;
rollback;
-- A trigger under another name is there.
begin;
alter trigger visitor_identity_after_update on chat rename to z_after_update;
table problems;
rollback;
-- Several at once are listed all.
begin;
set local session_replication_role = replica;
set local client_min_messages = warning;
update chat set visitor_id = null where chat_id = 1;
update visitor_identity.visitor set identified = true where visitor_id = id('A');
insert into visitor_identity.pending_rebind (account, visitor_id, to_visitor_id) values ('broken_promises', id('A'), id('C'));
drop view chat_history;
drop trigger visitor_identity_before_insert on bare;
drop table parted cascade;
table problems;
-- Locked to one account: its own problems.
set local visitor_identity.locked_account = 'broken_promises_2';
table problems;
rollback;

-- All is mended.
table problems;
drop view problems;
select visitor_identity.detach_table(t::regclass)
from unnest('{chat, parted, bare}'::text[]) as t;
reset visitor_identity.account;
set client_min_messages = warning;
drop schema broken_promises cascade;
drop owned by broken_promises_owner;
drop role broken_promises_owner;
