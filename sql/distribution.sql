-- Past one machine: what turns an installed database into a Citus one, and what every node has to know there.

create table visitor_identity.distributed_table (
    table_name text collate "C" not null,
    attachment jsonb not null,
    constraint distributed_table_pkey primary key (table_name)
);

comment on table visitor_identity.distributed_table is
'The attached tables of a database that Citus distributes, as every node knows them: by name, because a table has another number on every node. Written by distribute; empty where nothing is distributed.';
comment on column visitor_identity.distributed_table.table_name is 'The name of the table, with its schema, quoted where it must be.';
comment on column visitor_identity.distributed_table.attachment is 'What attached_table says of it: which of its columns means what.';

create function visitor_identity.distribute(
    dry_run boolean default false,
    shard_count integer default null
)
returns table (
    step integer,
    object text,
    statement text,
    why text
)
language c volatile rows 50
set search_path = pg_catalog, pg_temp
as 'MODULE_PATHNAME', 'distribute_wrapper';

comment on function visitor_identity.distribute(boolean, integer) is
'Turns the database into a Citus one, in one transaction: reference tables for accounts and channels, everything else distributed by account together with the attached tables and those that reference them, calls sent to the node of the account; one row a step. What is done already is not done again: call it after another table was attached, or one was renamed. dry_run: tells the steps and what stands in their way (then statement is NULL), changes nothing, and works without Citus; NULL counts as true. shard_count: NULL leaves it to Citus. For superusers and the owner of the extension, on the coordinator. VOLATILE. Errors: 0A000 without Citus; 42501; 55000 for a table that cannot be distributed, with what to do; 22023; 25006; those of Citus.';
