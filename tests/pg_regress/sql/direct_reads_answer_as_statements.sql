-- Known visitors are read from the index itself: the answers are those of the statements, which are run by themselves
-- wherever a look at the index could say something else.
create schema direct_reads;
set search_path = direct_reads;
insert into visitor_identity.account (account)
values ('direct_reads'), ('direct_reads_2');
set visitor_identity.account = 'direct_reads';

-- Which of the statements for a single known visitor this session has planned: none while the index is read.
create function planned()
returns text
language sql
as $$
    select coalesce(string_agg(distinct t.name, ' ' order by t.name), 'none')
    from pg_backend_memory_contexts as m
    join (values
        ('provided', E'select p.visitor_id, p.verified_at is not null\n%'),
        ('channel', 'select c.visitor_id%from visitor_identity.channel_identity as c%'),
        ('visitor', 'select v.superseded_by, v.visitor_id%')
    ) as t (name, text) on m.ident like t.text
$$;

-- Visitors of every kind, with ids that occur in both accounts.
create table issued as
select n, a.account, visitor_identity.resolve_visitor(account => a.account) as cookie
from generate_series(0, 22) as n
cross join (values ('direct_reads'), ('direct_reads_2')) as a (account);
create table asked as
select n.n, i.account, 'P-' || n.n % 20 as provided, (1000000 + n.n % 17)::text as phone, i.cookie
from generate_series(1, 60) as n
join issued as i on i.n = n.n % 23;
select count(visitor_identity.resolve_visitor(provided, account => account)) from asked where n % 3 = 0;
select count(visitor_identity.resolve_visitor(null, 'telegram', phone, account => account)) from asked where n % 3 = 1;
select count(visitor_identity.resolve_visitor(provided, visitor_id => cookie, account => account)) from asked where n % 7 = 0;
select count(*) > 0 as forgotten
from visitor_identity.forget_visitor(
    visitor_identity.find_visitor('P-3', account => 'direct_reads_2'), account => 'direct_reads_2');
select count(*) filter (where superseded_by is not null) > 0 as superseded, count(*) filter (where forgotten) > 0 as forgotten
from visitor_identity.visitor
where account like 'direct_reads%';

create function answers()
returns table (n integer, account text, by_provided uuid, by_channel uuid, by_cookie uuid, by_both uuid)
language sql
as $$
    select n, account,
        visitor_identity.find_visitor(provided, account => account),
        visitor_identity.find_visitor(null, 'telegram', phone, account => account),
        visitor_identity.find_visitor(visitor_id => cookie, account => account),
        visitor_identity.find_visitor(provided, visitor_id => cookie, account => account)
    from asked
$$;
-- In a session of its own, because the statements above are planned in this one.
\c
set search_path = direct_reads;
set visitor_identity.account = 'direct_reads';
create table read_directly as
select * from answers();
select planned();
set visitor_identity.direct_reads = off;
create table by_statement as
select * from answers();
select planned();
reset visitor_identity.direct_reads;
select count(*), count(by_provided) > 0 as some_provided, count(by_channel) > 0 as some_channel, count(by_cookie) > 0 as some_cookie,
    count(*) filter (where by_provided is null) > 0 as some_unknown
from read_directly;
select count(*) as different
from (
    (table read_directly except all table by_statement)
    union all
    (table by_statement except all table read_directly)
) as d;

-- What this transaction has done is seen, also by the next call of the same statement.
begin;
select visitor_identity.find_visitor('P-new') is null as unknown;
select visitor_identity.resolve_visitor('P-new') = visitor_identity.resolve_visitor('P-new') as same;
select visitor_identity.find_visitor('P-new') = visitor_identity.resolve_visitor('P-new') as same;
rollback;
select visitor_identity.find_visitor('P-new') is null as unknown;

-- A snapshot that is fixed stays fixed.
begin isolation level repeatable read;
select visitor_identity.find_visitor('P-1') is not null as known;
rollback;
begin isolation level serializable read only;
select visitor_identity.find_visitor('P-1') is not null as known;
rollback;

-- Where an index would not tell everything, the statement is run: each of these gives the same answers, and plans.
create function look(change text)
returns table (different bigint, statements text)
language plpgsql
as $$
begin
    execute change;
    return query
    select (
        select count(*)
        from (
            (select * from direct_reads.answers() except all select * from direct_reads.by_statement)
            union all
            (select * from direct_reads.by_statement except all select * from direct_reads.answers())
        ) as d
    ), direct_reads.planned();
end
$$;
\c
set search_path = direct_reads;
begin;
select * from look('select');
rollback;
begin;
select * from look('alter table visitor_identity.visitor force row level security');
rollback;
\c
set search_path = direct_reads;
begin;
select * from look('alter index visitor_identity.provided_identity_pkey rename to another_name');
rollback;
\c
set search_path = direct_reads;
begin;
select * from look('create table child () inherits (visitor_identity.channel_identity)');
rollback;
-- A row that is in a child only is found by the statement.
begin;
create table child () inherits (visitor_identity.channel_identity);
insert into child (account, channel_type, channel_id, channel_user_id, visitor_id)
values ('direct_reads', 'telegram', '', '9999999', '00000000-0000-4000-8000-000000000001');
select visitor_identity.find_visitor(null, 'telegram', '9999999', account => 'direct_reads');
rollback;
-- Back to the index, once the table is as it was.
\c
set search_path = direct_reads;
begin;
select * from look('alter table visitor_identity.provided_identity add column more integer');
rollback;
reindex (concurrently) table visitor_identity.provided_identity;
select * from look('select');

-- The setting is for superusers.
create role direct_reads_user;
set role direct_reads_user;
set visitor_identity.direct_reads = off;
reset role;
drop role direct_reads_user;

set client_min_messages = warning;
drop schema direct_reads cascade;
