-- locked_account pins a role to one account: any other is refused, views, searches and tables show that account alone.
create schema locked_account;
set search_path = locked_account;
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
insert into visitor_identity.account (account)
values ('locked_account'), ('locked_account_2');
create table chat (
    chat_id integer primary key,
    account text,
    visitor_id uuid,
    provided_visitor_id text,
    opened_at timestamptz default '2024-05-01',
    closed_at timestamptz
);
create index on chat (visitor_id);
select visitor_identity.attach_chat_table('chat');
insert into chat (chat_id, account, provided_visitor_id, closed_at)
values (1, 'locked_account', 'C-1', null), (2, 'locked_account', 'C-1', '2024-05-02'), (3, 'locked_account_2', 'C-1', null), (4, 'locked_account_2', 'C-1', '2024-05-02');
insert into chat (chat_id, account, visitor_id, provided_visitor_id)
select 10 + c.chat_id, c.account, c.visitor_id, 'C-2'
from chat as c
where c.chat_id in (1, 3);
insert into chat (chat_id, account, provided_visitor_id)
values (14, 'locked_account', 'undefined'), (15, 'locked_account_2', 'undefined');
create role locked_account_user;
select visitor_identity.grant_access('locked_account_user', 'admin');
grant usage on schema locked_account to locked_account_user;
grant select, insert, update on chat to locked_account_user;
alter role locked_account_user set visitor_identity.locked_account = 'locked_account';
-- The role itself cannot leave.
set visitor_identity.locked_account = 'locked_account';
set session authorization locked_account_user;
select state, message from refusal($$set visitor_identity.locked_account = 'locked_account_2'$$);
select state, message from refusal($$reset visitor_identity.locked_account$$);
show visitor_identity.locked_account;
\x
select * from refusal($$select visitor_identity.resolve_visitor('C-1', account => 'locked_account_2')$$);
\x
select f.statement, r.state, r.message
from (
    values
        ($$resolve_visitor_detail('C-1', account => 'locked_account_2')$$),
        ($$find_visitor('C-1', account => 'locked_account_2')$$),
        ($$derive_visitor_id('C-1', 'locked_account_2')$$),
        ($$search_history('C-1', account => 'locked_account_2')$$),
        ($$find_visitor('C-1', account => 'locked_account_no_such')$$),
        ($$find_visitor('C-1', account => 'locked_account')$$)
) as f (statement)
cross join lateral refusal('select visitor_identity.' || f.statement) as r;
-- NULL means its own; a setting that names another is refused too.
select visitor_identity.find_visitor('C-1') = visitor_identity.find_visitor('C-1', account => 'locked_account') as own;
set visitor_identity.account = 'locked_account_2';
select state, message from refusal($$select visitor_identity.find_visitor('C-1')$$);
reset visitor_identity.account;
-- Rows: of its own account only, also where the account is left to the setting.
select state, message from refusal($$insert into chat (chat_id, account, provided_visitor_id) values (5, 'locked_account_2', 'C-1')$$);
select state, message from refusal($$update chat set provided_visitor_id = 'C-2' where chat_id = 3$$);
insert into chat (chat_id, provided_visitor_id)
values (6, 'C-1')
returning account;
-- Views, searches, tables; also for a function that leaks what it is called with.
create function pg_temp.leak(account text)
returns boolean
language plpgsql
cost 0.0000001
as $$
begin
    if account = 'locked_account_2' then
        raise warning 'leaked';
    end if;
    return true;
end
$$;
select chat_id from chat_history where pg_temp.leak(account) order by chat_id;
select chat_id from chat_workspace where pg_temp.leak(account) order by chat_id;
select account, chat_key from visitor_identity.search_history('C-1') order by chat_key;
select distinct account from visitor_identity.account where pg_temp.leak(account);
select distinct account from visitor_identity.visitor where pg_temp.leak(account);
select distinct account from visitor_identity.provided_identity where pg_temp.leak(account);
select distinct account from visitor_identity.refused_link where pg_temp.leak(account);
select account, kind from visitor_identity.anomalies where pg_temp.leak(account) order by kind;
select account from visitor_identity.statistics where pg_temp.leak(account);
select count(*) from visitor_identity.rebind where account <> 'locked_account';
-- Policies of another account cannot be changed, none can be added.
update visitor_identity.account
set on_authorization = 'keep'
where account <> 'locked_account';
select state from refusal($$insert into visitor_identity.account (account) values ('locked_account_3')$$);
select state from refusal($$insert into visitor_identity.blocked_identifier (account, identifier) values ('locked_account_2', 'x')$$);
-- It does not follow SET ROLE: it is the session's.
reset session authorization;
set role locked_account_user;
select state from refusal($$select visitor_identity.find_visitor('C-1', account => 'locked_account_2')$$);
reset role;
reset visitor_identity.locked_account;
set role locked_account_user;
select state from refusal($$select visitor_identity.find_visitor('C-1', account => 'locked_account_2')$$);
reset role;
select on_authorization from visitor_identity.account where account = 'locked_account_2';
-- Without it every account is shown.
select array_agg(chat_id order by chat_id) from chat_history;
select visitor_identity.detach_table('chat');
set client_min_messages = warning;
drop schema locked_account cascade;
drop owned by locked_account_user;
drop role locked_account_user;
