-- find_visitor writes and locks nothing, takes no transaction id, gives NULL for the unknown, works read-only and in parallel workers.
create schema find_visitor_writes_nothing;
set search_path = find_visitor_writes_nothing;
create table letter (
    visitor_id uuid primary key,
    name text not null
);
-- A visitor gets its letter at first sight; who() says it again.
create function named(wanted text, id uuid)
returns text
language plpgsql
as $$
begin
    insert into letter
    values (id, wanted)
    on conflict do nothing;
    return (select l.name from letter as l where l.visitor_id = id);
end
$$;
create function who(id uuid)
returns text
language sql
as $$
    select coalesce((select l.name from letter as l where l.visitor_id = id), 'another', null)
    where id is not null
$$;
insert into visitor_identity.account (account) values ('find_visitor_writes_nothing');
select
    named('C', visitor_identity.resolve_visitor('C-1', account => 'find_visitor_writes_nothing')) as provided,
    named('T', visitor_identity.resolve_visitor(channel_type => 'telegram', channel_user_id => '67854257', account => 'find_visitor_writes_nothing')) as channel,
    named('V', visitor_identity.resolve_visitor(account => 'find_visitor_writes_nothing')) as cookie,
    named('W', visitor_identity.resolve_visitor(account => 'find_visitor_writes_nothing')) as superseded;
select visitor_id as v from letter where name = 'V' \gset
select visitor_id as w from letter where name = 'W' \gset
select outcome from visitor_identity.resolve_visitor_detail('C-1', visitor_id => :'w', account => 'find_visitor_writes_nothing');
create view finds as
select
    who(visitor_identity.find_visitor('C-1', account => 'find_visitor_writes_nothing')) as provided,
    who(visitor_identity.find_visitor(channel_type => 'telegram', channel_user_id => '67854257', account => 'find_visitor_writes_nothing')) as channel,
    who(visitor_identity.find_visitor(visitor_id => (select visitor_id from letter where name = 'V'), account => 'find_visitor_writes_nothing')) as cookie,
    who(visitor_identity.find_visitor(visitor_id => (select visitor_id from letter where name = 'W'), account => 'find_visitor_writes_nothing')) as superseded,
    visitor_identity.find_visitor('C-2', account => 'find_visitor_writes_nothing') as unknown_provided,
    visitor_identity.find_visitor(channel_type => 'telegram', channel_user_id => '11111111', account => 'find_visitor_writes_nothing') as unknown_channel,
    visitor_identity.find_visitor(visitor_id => '5f0e1d2c-3b4a-4958-8776-655443322110', account => 'find_visitor_writes_nothing') as unknown_cookie,
    visitor_identity.find_visitor(account => 'find_visitor_writes_nothing') as nothing;
begin read only;
table finds;
-- An authorization that would change something is only looked up.
select who(visitor_identity.find_visitor('C-1', visitor_id => :'v', account => 'find_visitor_writes_nothing')) as of_login;
select pg_current_xact_id_if_assigned() is null as no_transaction_id;
select count(*) as locks_on_rows
from pg_locks
where pid = pg_backend_pid() and locktype in ('tuple', 'advisory', 'transactionid');
commit;
begin isolation level serializable read only deferrable;
table finds;
commit;
select
    (select count(*) from visitor_identity.visitor where account = 'find_visitor_writes_nothing') as visitors,
    (select count(*) from visitor_identity.provided_identity where account = 'find_visitor_writes_nothing') as provided,
    (select count(*) from visitor_identity.channel_identity where account = 'find_visitor_writes_nothing') as channels;

-- In a parallel query: the workers do it, and give the same answers.
create table ids as
select 'P-' || n as id
from generate_series(1, 2000) as n;
insert into ids
values ('C-1');
analyze ids;
select count(visitor_identity.resolve_visitor(id, account => 'find_visitor_writes_nothing'))
from ids
where id like 'P-1%';
set parallel_setup_cost = 0;
set parallel_tuple_cost = 0;
set min_parallel_table_scan_size = 0;
set max_parallel_workers_per_gather = 2;
explain (costs off)
select count(visitor_identity.find_visitor(id, account => 'find_visitor_writes_nothing'))
from ids;
select
    count(visitor_identity.find_visitor(id, account => 'find_visitor_writes_nothing')) as found,
    count(*) filter (where visitor_identity.find_visitor(id, account => 'find_visitor_writes_nothing') = visitor_identity.derive_visitor_id(id, 'find_visitor_writes_nothing')) as computed
from ids;
reset parallel_setup_cost;
reset parallel_tuple_cost;
reset min_parallel_table_scan_size;
reset max_parallel_workers_per_gather;
-- STABLE: one statement, one snapshot.
select provolatile, proparallel
from pg_proc
where pronamespace = 'visitor_identity'::regnamespace and proname = 'find_visitor';
set client_min_messages = warning;
drop schema find_visitor_writes_nothing cascade;
