-- A table whose rows cannot follow their visitors is refused with a reason and a remedy, and is left as it was.
create schema visitor_table_refusals;
set search_path = visitor_table_refusals;
insert into visitor_identity.account (account) values ('visitor_table_refusals'), ('visitor_table_refusals_2');
create role visitor_table_refusals_other;
create role visitor_table_refusals_owner;
grant usage, create on schema visitor_table_refusals to visitor_table_refusals_owner, visitor_table_refusals_other;
select visitor_identity.grant_access('visitor_table_refusals_owner', 'admin');
select visitor_identity.grant_access('visitor_table_refusals_other', 'admin');
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
create table no_key (note_id integer, visitor_id uuid);
create index on no_key (visitor_id);
create table no_index (note_id integer primary key, visitor_id uuid);
create table no_visitor (note_id integer primary key);
create table text_visitor (note_id integer primary key, visitor_id text);
create index on text_visitor (visitor_id);
create table made_visitor (note_id integer primary key, base uuid, visitor_id uuid generated always as (base) stored);
create index on made_visitor (visitor_id);
create table by_visitor (note_id integer, visitor_id uuid, primary key (note_id, visitor_id)) partition by hash (visitor_id);
create index on by_visitor (visitor_id);
create table blank_account (account character(9), note_id integer primary key, visitor_id uuid);
create index on blank_account (visitor_id);
create table excluded (note_id integer primary key, visitor_id uuid, exclude using hash (visitor_id with =));
create index on excluded (visitor_id);
create table deferred (note_id integer primary key, visitor_id uuid, topic text, unique (visitor_id, topic) deferrable initially deferred);
create table in_part (note_id integer primary key, visitor_id uuid, topic text) partition by range (note_id);
create index on in_part (visitor_id);
create table in_part_1 partition of in_part for values from (0) to (9);
create unique index on in_part_1 (visitor_id, topic);
create table referred (visitor_id uuid primary key);
create table referring (note_id integer primary key, owner uuid references referred);
create table followed (visitor_id uuid primary key);
create table following (note_id integer primary key, owner uuid references followed on update cascade);
create table parted (note_id integer primary key, visitor_id uuid) partition by range (note_id);
create index on parted (visitor_id);
create table part partition of parted for values from (0) to (9);
create view a_view as
table no_index;
create table good (note_id integer primary key, visitor_id uuid);
create index on good (visitor_id);
create table foreign_note (note_id integer primary key, visitor_id uuid);
create index on foreign_note (visitor_id);
alter table foreign_note owner to visitor_table_refusals_owner;
\x
-- 55000
select * from refusal($$select visitor_identity.attach_visitor_table('no_key')$$);
select * from refusal($$select visitor_identity.attach_visitor_table('no_index')$$);
select * from refusal($$select visitor_identity.attach_visitor_table('text_visitor')$$);
select * from refusal($$select visitor_identity.attach_visitor_table('made_visitor')$$);
select * from refusal($$select visitor_identity.attach_visitor_table('by_visitor')$$);
select * from refusal($$select visitor_identity.attach_visitor_table('blank_account')$$);
select * from refusal($$select visitor_identity.attach_visitor_table('excluded')$$);
select state, message from refusal($$select visitor_identity.attach_visitor_table('deferred', on_clash => 'move_or_keep_target')$$);
select state, message from refusal($$select visitor_identity.attach_visitor_table('in_part')$$);
select * from refusal($$select visitor_identity.attach_visitor_table('referred')$$);
select * from refusal($$select visitor_identity.attach_visitor_table('part')$$);
select * from refusal($$select visitor_identity.attach_visitor_table('a_view')$$);
select state, message from refusal($$select visitor_identity.attach_visitor_table(null)$$);
select state, message from refusal($$select visitor_identity.attach_visitor_table('visitor_identity.rebind')$$);
-- 22023: there is no policy of deleting.
select * from refusal($$select visitor_identity.attach_visitor_table('good', on_clash => 'delete')$$);
select state, message from refusal($$select visitor_identity.attach_visitor_table('good', on_clash => null)$$);
-- 42703, 42704, 42501
select * from refusal($$select visitor_identity.attach_visitor_table('no_visitor')$$);
select state, message from refusal($$select visitor_identity.attach_visitor_table('good', account => 'tenant')$$);
select state, message from refusal($$select visitor_identity.attach_visitor_table('good', fixed_account => 'visitor_table_refusals_3')$$);
set role visitor_table_refusals_other;
select state, message from refusal($$select visitor_identity.attach_visitor_table('foreign_note')$$);
reset role;
\x
select count(*) as triggers
from pg_trigger as t
join pg_class as c on c.oid = t.tgrelid
where c.relnamespace = 'visitor_table_refusals'::regnamespace
    and t.tgname like 'visitor\_identity%';
select count(*) as attached from visitor_identity.attached_table where kind = 'visitor';

-- A reference that follows is none in the way.
select visitor_identity.attach_visitor_table('followed', fixed_account => 'visitor_table_refusals');
insert into followed values ('7ab1e500-0000-4000-8000-00000000000e');
insert into following values (1, '7ab1e500-0000-4000-8000-00000000000e');
select visitor_identity.resolve_visitor('C-3', visitor_id => '7ab1e500-0000-4000-8000-00000000000e', account => 'visitor_table_refusals') as c \gset
select owner = :'c' as follows from following;
select visitor_identity.detach_table('followed');

-- The owner may; twice he may not.
set role visitor_table_refusals_owner;
select visitor_identity.attach_visitor_table('foreign_note', fixed_account => 'visitor_table_refusals');
select state, message from refusal($$select visitor_identity.attach_visitor_table('foreign_note')$$);
select state, message from refusal($$select visitor_identity.attach_chat_table('foreign_note')$$);
reset role;
-- A locked session writes no row of another account, and does not see the attachment.
set visitor_identity.locked_account = 'visitor_table_refusals_2';
select state, message from refusal($$insert into foreign_note values (1, '7ab1e500-0000-4000-8000-00000000000a')$$);
select state, message from refusal($$insert into foreign_note values (2, null)$$);
select problem from visitor_identity.check_integrity() where chat_table = 'foreign_note'::regclass;
reset visitor_identity.locked_account;
-- A constraint that came later counts from then on, also a deferrable one.
select visitor_identity.resolve_visitor('C-1', account => 'visitor_table_refusals') as c \gset
insert into foreign_note values (3, :'c'), (4, '7ab1e500-0000-4000-8000-00000000000a');
alter table foreign_note add column topic text default 'one';
alter table foreign_note add unique (visitor_id, topic) deferrable;
select outcome, notes
from visitor_identity.resolve_visitor_detail('C-1', visitor_id => '7ab1e500-0000-4000-8000-00000000000a', account => 'visitor_table_refusals');
select note_id, visitor_id = :'c' as of_c from foreign_note order by 1;
set client_min_messages = warning;
select visitor_identity.detach_table('foreign_note');
drop schema visitor_table_refusals cascade;
drop owned by visitor_table_refusals_owner, visitor_table_refusals_other;
drop role visitor_table_refusals_owner, visitor_table_refusals_other;
