-- undo_rebind puts back the rows of visitor tables that are still where the rebinding put them, by their logged keys, also
-- where the visitor is a part of the key; what went elsewhere or would clash stays and is counted.
create schema undo_visitor_rows;
set search_path = undo_visitor_rows;
insert into visitor_identity.account (account) values ('undo_rows');
set visitor_identity.account = 'undo_rows';
create function who(id uuid)
returns text
language sql
as $$
    select case
        when id = visitor_identity.find_visitor('C-1') then 'C'
        when id = visitor_identity.find_visitor('C-2') then 'D'
        when id::text like '7ab1e5%' then upper(right(id::text, 1))
        else 'another'
    end
    where id is not null
$$;
create table chat (chat_id integer primary key, visitor_id uuid, provided_visitor_id text);
create index on chat (visitor_id);
create table preferences (visitor_id uuid, name text, setting text, primary key (visitor_id, name));
create table note (note_id integer primary key, visitor_id uuid, topic text, unique (visitor_id, topic));
select
    visitor_identity.attach_chat_table('chat'),
    visitor_identity.attach_visitor_table('preferences', on_clash => 'move_or_keep_target'),
    visitor_identity.attach_visitor_table('note', on_clash => 'move_or_keep_target');
select visitor_identity.resolve_visitor('C-1') as c \gset
insert into chat values (1, '7ab1e500-0000-4000-8000-00000000000a');
insert into preferences values
    (:'c', 'language', 'en'),
    ('7ab1e500-0000-4000-8000-00000000000a', 'language', 'de'),
    ('7ab1e500-0000-4000-8000-00000000000a', 'sound', 'off'),
    ('7ab1e500-0000-4000-8000-00000000000a', 'colour', 'blue');
insert into note values
    (1, '7ab1e500-0000-4000-8000-00000000000a', 'stays moved'),
    (2, '7ab1e500-0000-4000-8000-00000000000a', 'goes elsewhere'),
    (3, '7ab1e500-0000-4000-8000-00000000000a', 'deleted'),
    (4, '7ab1e500-0000-4000-8000-00000000000a', 'kept'),
    (5, '7ab1e500-0000-4000-8000-00000000000a', 'will clash'),
    (6, :'c', 'kept'),
    (7, '7ab1e500-0000-4000-8000-00000000000b', 'another''s');
create view rows as
select 'chat' as kind, chat_id::text as id, who(visitor_id) as visitor from chat
union all
select 'preference', name || ' ' || setting, who(visitor_id) from preferences
union all
select 'note', note_id || ' ' || topic, who(visitor_id) from note
order by 1, 2;
select rebind_ids[1] as rebound from visitor_identity.resolve_visitor_detail('C-1', visitor_id => '7ab1e500-0000-4000-8000-00000000000a') \gset
table rows;
-- Meanwhile: one is given to another, one deleted, a new one comes, and one gets the key that the kept one has.
update note set visitor_id = '7ab1e500-0000-4000-8000-00000000000b' where note_id = 2;
delete from note where note_id in (3, 6);
update note set topic = 'kept' where note_id = 5;
insert into note values (8, '7ab1e500-0000-4000-8000-00000000000a', 'came later');
update preferences set setting = 'red' where name = 'colour';
select moved_table, put_back, left_alone from visitor_identity.undo_rebind(:rebound) order by moved_table::text;
table rows;
select problem from visitor_identity.check_integrity() where account = 'undo_rows';
select outcome, notes from visitor_identity.resolve_visitor_detail('C-1', visitor_id => '7ab1e500-0000-4000-8000-00000000000a');
-- A merge, undone at once, leaves everything as it was.
create table before as table rows;
select visitor_identity.resolve_visitor('C-2') as d \gset
insert into preferences values (:'d', 'sound', 'on'), (:'d', 'language', 'it');
create table before_merge as table rows;
select visitor_identity.merge_visitors(:'d', :'c') as merged \gset
select moved_table, put_back, left_alone from visitor_identity.undo_rebind(:merged) where moved_table = 'preferences'::regclass;
table before_merge except table rows;
select problem from visitor_identity.check_integrity() where account = 'undo_rows';
-- Detached meanwhile: its rows are not ours to move.
select visitor_identity.merge_visitors(:'d', :'c') as merged \gset
select visitor_identity.detach_table('preferences');
select moved_table, put_back, left_alone from visitor_identity.undo_rebind(:merged) where moved_table = 'preferences'::regclass;
set client_min_messages = warning;
select visitor_identity.detach_table(t.attached)::text as detached
from visitor_identity.attached_table as t
where t.fixed_account = 'undo_rows';
drop schema undo_visitor_rows cascade;
