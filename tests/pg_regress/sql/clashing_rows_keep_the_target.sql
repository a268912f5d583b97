-- on_clash => 'move_or_keep_target': a row whose unique key the target has too stays where it is, with the former visitor;
-- every other row moves; nothing is deleted, whatever kind of unique index it is.
create schema clashing_rows_keep;
set search_path = clashing_rows_keep;
insert into visitor_identity.account (account) values ('clash_keep');
set visitor_identity.account = 'clash_keep';
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
create table preferences (visitor_id uuid primary key, language text);
create table mention (mention_id integer primary key, ticket integer, visitor_id uuid, unique (ticket, visitor_id));
create index on mention (visitor_id);
-- A partial index, whose predicate counts for both rows; an expression; a collation that takes two texts for one.
create collation folded (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
create table tag (tag_id integer primary key, visitor_id uuid, topic text, word text, nick text, is_open boolean);
create index on tag (visitor_id);
create unique index on tag (visitor_id, topic)
where is_open;
create unique index on tag (lower(word), visitor_id);
create unique index on tag (visitor_id, (nick collate folded));
create table slot (slot_id integer, visitor_id uuid, room integer, primary key (slot_id, room), unique (visitor_id, room))
partition by list (room);
create table slot_1 partition of slot for values in (1);
create table slot_2 partition of slot default;
select
    visitor_identity.attach_visitor_table('preferences', on_clash => 'move_or_keep_target'),
    visitor_identity.attach_visitor_table('mention', on_clash => 'move_or_keep_target'),
    visitor_identity.attach_visitor_table('tag', on_clash => 'move_or_keep_target'),
    visitor_identity.attach_visitor_table('slot', on_clash => 'move_or_keep_target');
select visitor_identity.resolve_visitor('C-1') as c \gset
insert into preferences values (:'c', 'en'), ('7ab1e500-0000-4000-8000-00000000000a', 'de'), ('7ab1e500-0000-4000-8000-00000000000b', 'fr');
insert into mention values
    (1, 1, :'c'),
    (2, 1, '7ab1e500-0000-4000-8000-00000000000a'),
    (3, 2, '7ab1e500-0000-4000-8000-00000000000a'),
    (4, null, :'c'),
    (5, null, '7ab1e500-0000-4000-8000-00000000000a'),
    (6, 3, '7ab1e500-0000-4000-8000-00000000000b'),
    (7, 3, '7ab1e500-0000-4000-8000-00000000000a');
insert into tag values
    (1, :'c', 'one', null, null, true),
    (2, :'c', 'two', null, null, false),
    (3, :'c', null, 'Word', null, null),
    (4, :'c', null, null, 'Nick', null),
    (11, '7ab1e500-0000-4000-8000-00000000000a', 'one', null, null, true),
    (12, '7ab1e500-0000-4000-8000-00000000000a', 'one', null, null, false),
    (13, '7ab1e500-0000-4000-8000-00000000000a', 'two', null, null, true),
    (14, '7ab1e500-0000-4000-8000-00000000000a', null, 'WORD', null, null),
    (15, '7ab1e500-0000-4000-8000-00000000000a', null, 'word ', null, null),
    (16, '7ab1e500-0000-4000-8000-00000000000a', null, null, 'NICK', null),
    (17, '7ab1e500-0000-4000-8000-00000000000a', null, null, 'nicky', null);
insert into slot values
    (1, :'c', 1),
    (2, '7ab1e500-0000-4000-8000-00000000000a', 1),
    (3, '7ab1e500-0000-4000-8000-00000000000a', 2);
create table counted as
select (select count(*) from preferences) as preferences, (select count(*) from mention) as mentions,
    (select count(*) from tag) as tags, (select count(*) from slot) as slots;
select finding from visitor_identity.explain_resolution('C-1', visitor_id => '7ab1e500-0000-4000-8000-00000000000a') where topic = 'table';
select outcome, rebound_chats, notes
from visitor_identity.resolve_visitor_detail('C-1', visitor_id => '7ab1e500-0000-4000-8000-00000000000a');
select who(visitor_id) as visitor, language from preferences order by 2;
select mention_id, who(visitor_id) as visitor, ticket from mention order by 1;
select tag_id, who(visitor_id) as visitor, topic, word, nick, is_open from tag order by 1;
select slot_id, who(visitor_id) as visitor, room from slot order by 1;
select c = row((select count(*) from preferences), (select count(*) from mention), (select count(*) from tag), (select count(*) from slot))::counted as nothing_is_lost
from counted as c;
select rebound_chats, kept_rows from visitor_identity.rebind where account = 'clash_keep';
select moved_table, replace(keys::text, :'c', 'C') as keys from visitor_identity.rebind_row where account = 'clash_keep' and of_visitor_table order by 1::text;
select problem, chat_table, chat_key from visitor_identity.check_integrity() where account = 'clash_keep';
-- Resolving again changes nothing; a row that was kept may be changed, and may move to another partition.
select outcome, notes from visitor_identity.resolve_visitor_detail('C-1', visitor_id => '7ab1e500-0000-4000-8000-00000000000a');
update preferences set language = 'de_AT' where visitor_id = '7ab1e500-0000-4000-8000-00000000000a';
update slot set room = 3 where slot_id = 2;
select slot_id, who(visitor_id) as visitor, tableoid::regclass from slot where slot_id = 2;
-- It does not clash any more, and nobody moved it: that is reported.
select problem, chat_table, chat_key from visitor_identity.check_integrity() where account = 'clash_keep';
update slot set visitor_id = :'c' where slot_id = 2;
select problem from visitor_identity.check_integrity() where account = 'clash_keep';
-- A second visitor with the same keys.
select outcome, notes from visitor_identity.resolve_visitor_detail('C-1', visitor_id => '7ab1e500-0000-4000-8000-00000000000b');
select who(visitor_id) as visitor, language from preferences order by 2;
select mention_id, who(visitor_id) as visitor from mention where ticket = 3 order by 1;
-- Two identified visitors, by order.
select visitor_identity.resolve_visitor('C-2') as d \gset
insert into preferences values (:'d', 'it');
insert into mention values (8, 1, :'d'), (9, 9, :'d');
select visitor_identity.merge_visitors(:'d', :'c') is not null as merged;
select kept_rows from visitor_identity.rebind where account = 'clash_keep' order by rebind_id;
select mention_id, visitor_id = :'d' as kept, visitor_id = :'c' as moved from mention where mention_id in (8, 9) order by 1;
select problem, chat_table, chat_key from visitor_identity.check_integrity() where account = 'clash_keep';
-- An expression of an index means what it meant when the index was made, whatever the session's search_path says.
create function clashing_rows_keep.lower(text)
returns text
language plpgsql immutable
as $$ begin raise exception 'not to be called'; end $$;
set search_path = clashing_rows_keep, pg_catalog;
insert into tag values (21, '7ab1e500-0000-4000-8000-00000000000e', null, 'WORD', null, null);
select outcome from visitor_identity.resolve_visitor_detail('C-1', visitor_id => '7ab1e500-0000-4000-8000-00000000000e');
select who(visitor_id) as visitor from tag where tag_id = 21;
set search_path = clashing_rows_keep;
-- A trigger of the application that fails: its own error, nothing moved, and whoever catches it can go on.
create function refuse_row()
returns trigger
language plpgsql
as $$ begin raise exception 'not this row'; end $$;
create trigger refuse_row
before update on mention
for each row
when (new.mention_id = 31)
execute function refuse_row();
insert into mention values (31, 31, '7ab1e500-0000-4000-8000-00000000000f');
create function state_of(visitor uuid)
returns text
language plpgsql
as $$
begin
    perform visitor_identity.resolve_visitor('C-1', visitor_id => visitor);
    return 'none';
exception when others then
    return sqlstate || ': ' || sqlerrm;
end
$$;
begin;
select state_of('7ab1e500-0000-4000-8000-00000000000f');
select who(visitor_id) as visitor from mention where mention_id = 31;
insert into mention values (32, 32, '7ab1e500-0000-4000-8000-00000000000f');
commit;
select mention_id, who(visitor_id) as visitor from mention where mention_id > 30 order by 1;
-- One that breaks a unique key elsewhere, whatever the rebinding does.
create table seen (ticket integer primary key);
insert into seen values (31);
create or replace function refuse_row()
returns trigger
language plpgsql
as $$ begin insert into seen values (new.ticket); return new; end $$;
select state_of('7ab1e500-0000-4000-8000-00000000000f');
select count(*) from seen;
drop trigger refuse_row on mention;
select state_of('7ab1e500-0000-4000-8000-00000000000f');
select mention_id, who(visitor_id) as visitor from mention where mention_id > 30 order by 1;
set client_min_messages = warning;
select visitor_identity.detach_table(t.attached)::text as detached
from visitor_identity.attached_table as t
where t.fixed_account = 'clash_keep';
drop schema clashing_rows_keep cascade;
