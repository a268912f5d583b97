-- PUBLIC may run the pure functions and nothing else: no other function, no table, no sequence.
create role grants_public_user;
create function pg_temp.refusal(statement text)
returns text
language plpgsql
as $$
begin
    execute statement;
    return 'none';
exception when others then
    return sqlstate;
end
$$;
-- By the catalog: what a role without any grant may do. account_is_visible reads a setting of the session and is called by
-- the views with the rights of whoever reads them.
select p.proname, p.provolatile as volatility
from pg_proc as p
where p.pronamespace = 'visitor_identity'::regnamespace
    and has_function_privilege('grants_public_user', p.oid, 'execute')
order by p.proname;
select c.relname
from pg_class as c
where c.relnamespace = 'visitor_identity'::regnamespace
    and c.relkind in ('r', 'v', 'm', 'p')
    and has_table_privilege('grants_public_user', c.oid, 'select, insert, update, delete, truncate, references, trigger');
select c.relname
from pg_class as c
where c.relnamespace = 'visitor_identity'::regnamespace
    and case c.relkind when 'S' then has_sequence_privilege('grants_public_user', c.oid, 'usage, select, update') end;
select has_schema_privilege('grants_public_user', 'visitor_identity', 'create') as may_create;
-- Every SECURITY DEFINER function is either in C (whose statements name every object by its schema) or has a safe search_path.
select p.proname
from pg_proc as p
join pg_language as l on l.oid = p.prolang
where p.pronamespace = 'visitor_identity'::regnamespace
    and p.prosecdef
    and l.lanname <> 'c'
    and not coalesce(array_to_string(p.proconfig, ',') ~ 'search_path=pg_catalog, pg_temp', false);
-- By trying.
set role grants_public_user;
select
    visitor_identity.is_telegram_user_id('67854257') as telegram,
    visitor_identity.is_channel_user_id('viber', 'abc') as channel,
    visitor_identity.channel_user_id_format('telegram', '1') as format,
    visitor_identity.normalize_channel_user_id('sms', '+1 234 567') as normalized,
    visitor_identity.normalize_provided_visitor_id(' a ') as provided,
    visitor_identity.is_identifier_text('a') as identifier,
    'a'::visitor_identity.provided_visitor_id as domain;
select f.statement, pg_temp.refusal(f.statement) as state
from (
    values
        ($$select visitor_identity.resolve_visitor('C-1')$$),
        ($$select visitor_identity.resolve_visitor_detail('C-1')$$),
        ($$select visitor_identity.find_visitor('C-1')$$),
        ($$select visitor_identity.derive_visitor_id('C-1')$$),
        ($$select visitor_identity.check_channel_user_id('telegram', '1')$$),
        ($$select visitor_identity.search_history('C-1')$$),
        ($$select visitor_identity.attach_chat_table('pg_class')$$),
        ($$select visitor_identity.detach_table('pg_class')$$),
        ($$select visitor_identity.create_chat_store('grants_public')$$),
        ($$select visitor_identity.grant_access('grants_public_user', 'admin')$$),
        ($$create temporary table t (a integer); create trigger t before insert on t for each row execute function visitor_identity.chat_row_before()$$),
        ($$create temporary table t (a integer); create trigger t before insert on t for each row execute function visitor_identity.chat_row_after()$$),
        ($$create temporary table t (a integer); create trigger t before insert on t for each row execute function visitor_identity.policy_changed()$$),
        ($$create temporary table t (a integer); create trigger t before insert on t for each row execute function visitor_identity.account_row()$$),
        ($$create table visitor_identity.t (a integer)$$)
) as f (statement);
reset role;
select coalesce(p.relname, c.relname) as relname, string_agg(distinct pg_temp.refusal(format('set local role grants_public_user; %s', s.statement)), ', ') as states
from pg_class as c
cross join lateral (
    values
        (format('select from %s', c.oid::regclass)),
        (format('delete from %s', c.oid::regclass)),
        (format('insert into %s default values', c.oid::regclass)),
        (format('truncate %s', c.oid::regclass)),
        (format('lock table %s in access share mode', c.oid::regclass))
) as s (statement)
left join pg_inherits as i on i.inhrelid = c.oid
left join pg_class as p on p.oid = i.inhparent
where c.relnamespace = 'visitor_identity'::regnamespace and c.relkind in ('r', 'p')
group by 1
order by 1;
reset role;
-- The secret namespace in particular, by no way around.
set role grants_public_user;
select pg_temp.refusal('select namespace from visitor_identity.account') as account;
select pg_temp.refusal('table visitor_identity.provided_identity') as provided_identity;
select count(*) as visible_statistics
from pg_stats
where schemaname = 'visitor_identity';
reset role;
drop role grants_public_user;
