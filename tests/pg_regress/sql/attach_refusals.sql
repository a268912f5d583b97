-- A table that cannot follow its visitors is refused with a reason and a remedy, and is left as it was.
create schema attach_refusals;
set search_path = attach_refusals;
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
insert into visitor_identity.account (account) values ('attach_refusals');
create role attach_refusals_owner;
create role attach_refusals_other;
grant usage, create on schema attach_refusals to attach_refusals_owner, attach_refusals_other;
select visitor_identity.grant_access('attach_refusals_owner', 'admin');
select visitor_identity.grant_access('attach_refusals_other', 'admin');

create table no_key (chat_id integer, visitor_id uuid);
create index on no_key (visitor_id);
create table no_index (chat_id integer primary key, visitor_id uuid);
create table partial_index (chat_id integer primary key, visitor_id uuid);
create index on partial_index (visitor_id)
where chat_id > 0;
create table second_in_index (chat_id integer primary key, state text, visitor_id uuid);
create index on second_in_index (state, visitor_id);
create table expression_index (chat_id integer primary key, visitor_id uuid);
create index on expression_index (md5(visitor_id::text));
create table unique_visitor (chat_id integer primary key, visitor_id uuid unique);
create table unique_with_visitor (chat_id integer primary key, topic text, visitor_id uuid, unique (visitor_id, topic));
create table text_visitor (chat_id integer primary key, visitor_id text);
create index on text_visitor (visitor_id);
create table text_origin (chat_id integer primary key, visitor_id uuid, origin_visitor_id text);
create index on text_origin (visitor_id);
create table text_time (chat_id integer primary key, visitor_id uuid, opened_at text);
create index on text_time (visitor_id);
create table no_visitor (chat_id integer primary key);
create table dropped_visitor (chat_id integer primary key, visitor_id uuid, other uuid);
create index on dropped_visitor (other);
alter table dropped_visitor
drop column visitor_id;
create table by_visitor (chat_id integer, visitor_id uuid, primary key (chat_id, visitor_id)) partition by hash (visitor_id);
create index on by_visitor (visitor_id);
create table by_account (account text, chat_id integer, visitor_id uuid, primary key (account, chat_id, visitor_id)) partition by list (account);
create index on by_account (visitor_id);
create table by_account_a partition of by_account for values in ('a') partition by hash (visitor_id);
create table good (chat_id integer primary key, visitor_id uuid);
create index on good (visitor_id);
create table paired (chat_id integer primary key, visitor_id uuid);
create index on paired (visitor_id);
create table parted (chat_id integer primary key, visitor_id uuid) partition by range (chat_id);
create index on parted (visitor_id);
create table part partition of parted for values from (0) to (10);
create view a_view as
table good;
create temporary table temporary_chat (chat_id integer primary key, visitor_id uuid);
create index on temporary_chat (visitor_id);
create table foreign_chat (chat_id integer primary key, visitor_id uuid);
create index on foreign_chat (visitor_id);
alter table foreign_chat owner to attach_refusals_owner;

create table before as
select
    c.relname,
    c.relhastriggers,
    (select count(*) from pg_attribute as a where a.attrelid = c.oid) as columns
from pg_class as c
where c.relnamespace = 'attach_refusals'::regnamespace;

\x
-- 55000
select * from refusal($$select visitor_identity.attach_chat_table('no_key')$$);
select * from refusal($$select visitor_identity.attach_chat_table('no_index')$$);
select * from refusal($$select visitor_identity.attach_chat_table('partial_index')$$);
select * from refusal($$select visitor_identity.attach_chat_table('second_in_index')$$);
select * from refusal($$select visitor_identity.attach_chat_table('expression_index')$$);
select * from refusal($$select visitor_identity.attach_chat_table('unique_visitor')$$);
select * from refusal($$select visitor_identity.attach_chat_table('unique_with_visitor')$$);
select * from refusal($$select visitor_identity.attach_chat_table('text_visitor')$$);
select * from refusal($$select visitor_identity.attach_chat_table('text_origin')$$);
select * from refusal($$select visitor_identity.attach_chat_table('text_time')$$);
select * from refusal($$select visitor_identity.attach_chat_table('by_visitor')$$);
select * from refusal($$select visitor_identity.attach_chat_table('by_account')$$);
select * from refusal($$select visitor_identity.attach_chat_table('part')$$);
select * from refusal($$select visitor_identity.attach_chat_table('a_view')$$);
select * from refusal($$select visitor_identity.attach_chat_table('temporary_chat')$$);
select * from refusal($$select visitor_identity.attach_chat_table('pg_catalog.pg_class')$$);
select * from refusal($$select visitor_identity.attach_chat_table('visitor_identity.visitor')$$);
select * from refusal($$select visitor_identity.attach_chat_table(null)$$);
select * from refusal($$select visitor_identity.attach_chat_table(1::regclass)$$);
select * from refusal($$select visitor_identity.attach_chat_table('good', closed_when => 'true, false')$$);
select * from refusal($$select visitor_identity.attach_chat_table('good', closed_when => 'true from pg_class')$$);
select * from refusal($$select visitor_identity.attach_chat_table('good', closed_when => '')$$);
select * from refusal($$select visitor_identity.detach_table('good')$$);
select * from refusal($$select visitor_identity.detach_table(null)$$);
-- The parser's and the analysis' own: 42601, 42703, 42804, 42P01. No parenthesis leads out of the condition.
select state, message from refusal($$select visitor_identity.attach_chat_table('good', closed_when => 'true); drop table good; select (true')$$);
select state, message from refusal($$select visitor_identity.attach_chat_table('paired', closed_when => 'true) or (true')$$);
select state, message from refusal($$select visitor_identity.attach_chat_table('good', closed_when => 'no_such_column')$$);
select state, message from refusal($$select visitor_identity.attach_chat_table('good', closed_when => 'chat_id')$$);
select state, message from refusal($$select visitor_identity.attach_chat_table('no_such_table')$$);
-- 42703: a column that was named and is not there, also one that was dropped; the default names are skipped.
select * from refusal($$select visitor_identity.attach_chat_table('no_visitor')$$);
select * from refusal($$select visitor_identity.attach_chat_table('dropped_visitor')$$);
select * from refusal($$select visitor_identity.attach_chat_table('dropped_visitor', '........pg.dropped.2........')$$);
select * from refusal($$select visitor_identity.attach_chat_table('good', visitor_id => 'client')$$);
select state from refusal($$select visitor_identity.attach_chat_table('good', visitor_id => null)$$);
select * from refusal($$select visitor_identity.attach_chat_table('good', provided_visitor_id => 'crm_id')$$);
select * from refusal($$select visitor_identity.attach_chat_table('good', account => 'tenant')$$);
select * from refusal($$select visitor_identity.attach_chat_table('good', closed_at => 'Клиент')$$);
select * from refusal($$select visitor_identity.attach_chat_table('good', opened_at => 'tableoid')$$);
-- 42704: the account of all rows does not exist.
select * from refusal($$select visitor_identity.attach_chat_table('good', fixed_account => 'attach_refusals_3')$$);

-- 42501: another's table, for whoever is not its owner.
set role attach_refusals_other;
select * from refusal($$select visitor_identity.attach_chat_table('foreign_chat')$$);
select * from refusal($$select visitor_identity.detach_table('foreign_chat')$$);
select * from refusal($$select visitor_identity.attach_chat_table('good')$$);
reset role;
\x

-- Nothing was changed by any of them.
select count(*) as attached
from visitor_identity.attached_table
where attached_by = session_user
    and attached::text ~ '^(attach_refusals\.)?(no_|good|pa|by_|unique|text_|foreign)';
select c.relname
from pg_class as c
left join before as b using (relname)
where c.relnamespace = 'attach_refusals'::regnamespace
    and c.relname <> 'before'
    and (
        b.relname is null
        or b.relhastriggers <> c.relhastriggers
        or b.columns <> (select count(*) from pg_attribute as a where a.attrelid = c.oid)
    );

-- The owner may; twice he may not; and a failure on the way leaves nothing: here a view of that name is there already.
set role attach_refusals_owner;
select visitor_identity.attach_chat_table('foreign_chat', fixed_account => 'attach_refusals');
\x
select * from refusal($$select visitor_identity.attach_chat_table('foreign_chat')$$);
reset role;
create view good_history as
table good;
select state, message from refusal($$select visitor_identity.attach_chat_table('good')$$);
\x
select count(*) as triggers
from pg_trigger
where tgrelid = 'good'::regclass;
select visitor_identity.detach_table('foreign_chat');
set client_min_messages = warning;
drop schema attach_refusals cascade;
drop owned by attach_refusals_owner, attach_refusals_other;
drop role attach_refusals_owner, attach_refusals_other;
