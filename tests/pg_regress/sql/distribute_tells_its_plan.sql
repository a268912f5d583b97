-- The promise: distribute() tells, step by step, how the database becomes a Citus one, and what stands in the way, also where
-- Citus is not installed; without it nothing is done. tests/citus has what is done.
\set VERBOSITY default
\a
create role vi_anybody;

create schema plan;
create table plan.chat (
    account text collate "C" not null,
    chat_id bigint not null,
    visitor_id uuid,
    primary key (account, chat_id)
);
create index on plan.chat (account, visitor_id);
create table plan.message (
    account text collate "C" not null,
    message_id bigint not null,
    chat_id bigint not null,
    primary key (account, message_id),
    foreign key (account, chat_id) references plan.chat (account, chat_id)
);
select visitor_identity.attach_chat_table('plan.chat');

select step, object, statement, why from visitor_identity.distribute(dry_run => true, shard_count => 8) order by step;

-- Nothing was done, and nothing is without Citus.
select count(*) from pg_trigger where tgrelid = 'plan.chat'::regclass and not tgisinternal;
select * from visitor_identity.distribute();
select count(*) from visitor_identity.distributed_table;

-- NULL counts as a dry run.
select count(*) > 0 from visitor_identity.distribute(dry_run => null);
select * from visitor_identity.distribute(dry_run => true, shard_count => 0);

-- Not for everybody.
set role vi_anybody;
select * from visitor_identity.distribute(dry_run => true);
reset role;
grant execute on function visitor_identity.distribute(boolean, integer) to vi_anybody;
set role vi_anybody;
select * from visitor_identity.distribute(dry_run => true);
reset role;
revoke execute on function visitor_identity.distribute(boolean, integer) from vi_anybody;

-- What stands in the way comes first.
create table plan.department (department_id bigint primary key);
create table plan.odd_account (
    account text not null,
    chat_id bigint not null,
    visitor_id uuid,
    primary key (account, chat_id)
);
create index on plan.odd_account (account, visitor_id);
select visitor_identity.attach_chat_table('plan.odd_account');
create table plan.no_account (chat_id bigint primary key, visitor_id uuid);
create index on plan.no_account (visitor_id);
select visitor_identity.attach_chat_table('plan.no_account', fixed_account => 'default');
create table plan.key_without (
    account text collate "C" not null,
    chat_id bigint primary key,
    visitor_id uuid
);
create index on plan.key_without (account, visitor_id);
select visitor_identity.attach_chat_table('plan.key_without');
create table plan.referring (
    account text collate "C" not null,
    chat_id bigint not null,
    visitor_id uuid,
    department_id bigint references plan.department,
    primary key (account, chat_id)
);
create index on plan.referring (account, visitor_id);
select visitor_identity.attach_chat_table('plan.referring');
create table plan.with_trigger (
    account text collate "C" not null,
    chat_id bigint not null,
    visitor_id uuid,
    primary key (account, chat_id)
);
create index on plan.with_trigger (account, visitor_id);
select visitor_identity.attach_chat_table('plan.with_trigger');
create function plan.audit() returns trigger language plpgsql as $$ begin return new; end $$;
create trigger audit before insert on plan.with_trigger for each row execute function plan.audit();
create function plan.shout(word text) returns text language sql immutable as $$ select upper(word) $$;
create table plan.with_code (
    account text collate "C" not null,
    chat_id bigint not null,
    visitor_id uuid,
    state text,
    primary key (account, chat_id)
);
create index on plan.with_code (account, visitor_id);
create index on plan.with_code (account, plan.shout(state));
select visitor_identity.attach_chat_table('plan.with_code');
alter table plan.with_code owner to vi_anybody;
select step, object, why from visitor_identity.distribute(dry_run => true) where statement is null order by step;
alter table plan.with_code owner to current_user;

-- A name is only a name.
create table plan."it's a ""chat"" \" (
    account text collate "C" not null,
    chat_id bigint not null,
    visitor_id uuid,
    primary key (account, chat_id)
);
create index on plan."it's a ""chat"" \" (account, visitor_id);
select visitor_identity.attach_chat_table('plan."it''s a ""chat"" \"');
select statement from visitor_identity.distribute(dry_run => true) where object like '%it''s%' and statement like 'select%';
select substr(statement, 1, 120) from visitor_identity.distribute(dry_run => true) where statement like 'insert%it''''s%';

select visitor_identity.detach_table(attached) from visitor_identity.attached_table where attached::text like 'plan.%';
drop schema plan cascade;
drop role vi_anybody;
