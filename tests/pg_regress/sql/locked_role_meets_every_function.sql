-- A locked role meets every function with the account, and with the identifiers, of another one: it is told exactly what it is told of
-- an account and of identifiers that do not exist. The calls and the tables come from the catalog.
create schema locked_meets;
set search_path = locked_meets;
insert into visitor_identity.account (account) values ('locked_meets'), ('locked_meets_2');
create table chat (
    chat_id integer primary key,
    account text,
    visitor_id uuid,
    provided_visitor_id text,
    channel_type text,
    channel_id text,
    channel_user_id text,
    opened_at timestamptz default '2024-05-01',
    closed_at timestamptz default '2024-05-02'
);
create index on chat (visitor_id);
create index on chat (channel_user_id);
select visitor_identity.attach_chat_table('chat');
insert into chat (chat_id, account, visitor_id, provided_visitor_id, channel_type, channel_user_id)
values
    (1, 'locked_meets', '40000000-0000-4000-8000-000000000001', 'C-1', null, null),
    (2, 'locked_meets_2', '40000000-0000-4000-8000-000000000002', null, null, null),
    (3, 'locked_meets_2', '40000000-0000-4000-8000-000000000002', null, null, null),
    (4, 'locked_meets_2', null, null, 'viber', 'abc'),
    (5, 'locked_meets_2', null, 'C-5', 'telegram', '67854257');
update chat set provided_visitor_id = 'C-2' where chat_id = 2;
select visitor_identity.resolve_visitor('C-2', 'telegram', '67854257', account => 'locked_meets_2') is not null as switched;
select visitor_identity.register_device('40000000-0000-4000-8000-000000000002', 'shop', 'c0000000-0000-4000-8000-000000000001', 'fcm', 'token', 'locked_meets_2') is not null as registered;
select visitor_identity.add_signature_key('key', 'md5', 'locked_meets_2') is not null as added;
insert into visitor_identity.blocked_identifier (account, identifier) values ('locked_meets_2', 'blocked');
create role locked_meets_user;
select visitor_identity.grant_access('locked_meets_user', 'admin');
grant usage on schema locked_meets to locked_meets_user;
grant select, insert, update, delete on chat to locked_meets_user;
alter role locked_meets_user set visitor_identity.locked_account = 'locked_meets';

-- What a statement comes to; nothing of it stays.
create function outcome(statement text)
returns text
language plpgsql
as $$
declare
    answer text;
begin
    execute statement into answer;
    raise exception using errcode = 'VI000';
exception when others then
    return case sqlstate when 'VI000' then 'answers ' || coalesce(answer, 'nothing') else sqlstate || ' ' || sqlerrm end;
end
$$;
-- An argument of the other account's, or one that nobody has.
create function value_of(argument name, type regtype, of_other boolean, number bigint, account text)
returns text
language sql
as $$
    select case
        when argument = 'account' then coalesce(quote_literal(account), 'null')
        when type = 'uuid'::regtype then quote_literal(case when of_other then '40000000-0000-4000-8000-000000000002' else '40000000-0000-4000-8000-000000000099' end)
        when type = 'uuid[]'::regtype then format('array[%L::uuid]', case when of_other then '40000000-0000-4000-8000-000000000002' else '40000000-0000-4000-8000-000000000099' end)
        when argument in ('provided_visitor_id', 'query') then quote_literal(case when of_other then 'C-2' else 'C-99' end)
        when argument = 'provided_visitor_ids' then format('array[%L]', case when of_other then 'C-2' else 'C-99' end)
        when argument = 'channel_type' then $v$'telegram'$v$
        when argument = 'channel_types' then $v$array['telegram']$v$
        when argument in ('channel_user_id', 'old_channel_user_id') then quote_literal(case when of_other then '67854257' else '67854999' end)
        when argument = 'channel_user_ids' then format('array[%L]', case when of_other then '67854257' else '67854999' end)
        when argument = 'new_channel_user_id' then $v$'67854888'$v$
        when argument = 'channel_id' then $v$''$v$
        when argument = 'channel_ids' then $v$array['']$v$
        when argument in ('rebind_id', 'key_id') then (case when of_other then number else -1 end)::text
        when argument = 'device_id' then quote_literal(case when of_other then 'c0000000-0000-4000-8000-000000000001' else 'c0000000-0000-4000-8000-000000000099' end)
        when argument = 'app' then $v$'shop'$v$
        when argument = 'service' then $v$'fcm'$v$
        when argument = 'token' then $v$'another token'$v$
        when argument = 'attached_rows' then $v$'keep'$v$
        when argument = 'per_table' then $v$'{}'$v$
        when argument = 'shape' then $v$'bot'$v$
        when argument = 'profile' then $v$'platform'$v$
        when argument = 'algorithm' then $v$'md5'$v$
        when argument in ('by', 'after_opened_at', 'after_chat_table', 'after_chat_key') then 'null'
        when argument = 'visitor' then format('jsonb_build_object(''id'', %1$L, ''crc'', md5(%1$L || ''key''))', case when of_other then 'C-2' else 'C-99' end)
        when type in ('integer'::regtype, 'bigint'::regtype) then '10'
        when type = 'interval'::regtype then $v$'1 hour'$v$
        when type in ('jsonb'::regtype, 'json'::regtype) then $v$'[]'$v$
        when type = 'boolean'::regtype then 'false'
        when type = 'regclass'::regtype then $v$'locked_meets.chat'$v$
        else $v$'x'$v$
    end
$$;
create table call (function name, other_account text, unknown_account text, other_ids text, unknown_ids text);
insert into call
select p.proname, s.other_account, s.unknown_account, s.other_ids, s.unknown_ids
from pg_proc as p
cross join (select max(r.rebind_id) from visitor_identity.rebind as r where r.account = 'locked_meets_2') as n (number)
cross join lateral (
    select
        format('select count(*) from visitor_identity.%I(%s)', p.proname, string_agg(value_of(a.name, a.type, true, n.number, 'locked_meets_2'), ', ' order by a.n)),
        format('select count(*) from visitor_identity.%I(%s)', p.proname, string_agg(value_of(a.name, a.type, true, n.number, 'locked_meets_9'), ', ' order by a.n)),
        format('select md5(string_agg(f::text, '' '')) from visitor_identity.%I(%s) as f', p.proname, string_agg(value_of(a.name, a.type, true, n.number, null), ', ' order by a.n)),
        format('select md5(string_agg(f::text, '' '')) from visitor_identity.%I(%s) as f', p.proname, string_agg(value_of(a.name, a.type, false, n.number, null), ', ' order by a.n))
    from unnest(p.proargtypes, p.proargnames[1:p.pronargs]) with ordinality as a (type, name, n)
) as s (other_account, unknown_account, other_ids, unknown_ids)
where p.pronamespace = 'visitor_identity'::regnamespace
    and 'account' = any (p.proargnames[1:p.pronargs])
    and p.proname not like 'attach%';
grant select on call to locked_meets_user;
-- Those that take no account. What they read is looked at below, or is the caller's own.
select string_agg(p.proname, ', ' order by p.proname collate "C") as without_account
from pg_proc as p
where p.pronamespace = 'visitor_identity'::regnamespace
    and p.prorettype <> 'trigger'::regtype
    and not 'account' = any (coalesce(p.proargnames[1:p.pronargs], '{}'));

set visitor_identity.locked_account = 'locked_meets';
set session authorization locked_meets_user;
select c.function, outcome(c.other_account) as of_another_account, outcome(c.other_account) = outcome(c.unknown_account) as as_unknown
from call as c
order by c.function collate "C", c.other_account;
-- With the identifiers of the other account, and none named: as identifiers that nobody has. Where a visitor is assigned or computed,
-- the answer is another each time, so that only its kind is compared.
select c.function, regexp_replace(o.of_other, '^answers .*', 'answers') as with_ids_of_another,
    regexp_replace(o.of_other, '^answers .*', 'answers') = regexp_replace(o.of_nobody, '^answers .*', 'answers') as as_unknown
from call as c
cross join lateral (select outcome(c.other_ids), outcome(c.unknown_ids)) as o (of_other, of_nobody)
order by c.function collate "C", c.other_ids;
select distinct c.function, outcome(c.other_ids) = outcome(c.unknown_ids) as same_answer
from call as c
where c.function in ('find_visitor', 'push_targets', 'search_history', 'visitor_payload', 'visitor_graph', 'visitor_history', 'external_user_id', 'export_visitor')
order by 1;
-- Every table and view with an account: rows of its own alone, and none of another can be written.
reset session authorization;
create table relation as
select c.oid::regclass::text as name, c.relkind in ('r', 'p') as is_table
from pg_class as c
join pg_attribute as a on a.attrelid = c.oid and a.attname = 'account'
where (c.relnamespace = 'visitor_identity'::regnamespace or c.oid in ('chat_history'::regclass, 'chat_workspace'::regclass))
    and c.relkind in ('r', 'p', 'v')
    and not c.relispartition;
grant select on relation to locked_meets_user;
set session authorization locked_meets_user;
select r.name,
    outcome(format('select count(*) from %s where account is distinct from ''locked_meets''', r.name)) as rows_of_others,
    outcome(format('with gone as (delete from %s where account is distinct from ''locked_meets'' returning 1) select count(*) from gone', r.name)) as deleted
from relation as r
order by r.name collate "C";
select count(*) as of_others from visitor_identity.check_integrity() where account is distinct from 'locked_meets';
select count(*) as of_others from visitor_identity.find_anomalies() where account is distinct from 'locked_meets';
-- Chat rows: by INSERT, UPDATE and COPY.
select f.statement, outcome(f.statement)
from (
    values
        ($$insert into chat (chat_id, account, provided_visitor_id) values (10, 'locked_meets_2', 'C-2')$$),
        ($$insert into chat (chat_id, account) values (10, 'locked_meets_2')$$),
        ($$insert into chat (chat_id, account) values (10, 'locked_meets_9')$$),
        ($$update chat set provided_visitor_id = 'C-9' where chat_id = 3$$),
        ($$update chat set visitor_id = '40000000-0000-4000-8000-000000000001' where chat_id = 3$$),
        ($$update chat set account = 'locked_meets' where chat_id = 3$$)
) as f (statement);
copy chat (chat_id, account, provided_visitor_id) from stdin with (format csv);
10,locked_meets_2,C-2
\.
-- A visitor_id of the other account is one that is not known here: it is adopted in its own account, and stays what it is there.
insert into chat (chat_id, visitor_id) values (11, '40000000-0000-4000-8000-000000000002');
reset session authorization;
reset visitor_identity.locked_account;
select chat_id, account, visitor_id = '40000000-0000-4000-8000-000000000002' as has_the_id,
    visitor_id = visitor_identity.find_visitor('C-2', account => 'locked_meets_2') as is_with_the_other
from chat
where chat_id in (2, 11)
order by chat_id;
select * from visitor_identity.check_integrity() where account like 'locked_meets%';
select visitor_identity.detach_table('chat');
set client_min_messages = warning;
delete from visitor_identity.signature_key where account = 'locked_meets_2';
delete from visitor_identity.blocked_identifier where account = 'locked_meets_2';
drop schema locked_meets cascade;
drop owned by locked_meets_user;
drop role locked_meets_user;
