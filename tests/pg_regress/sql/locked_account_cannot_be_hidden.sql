-- A role that ALTER ROLE ... SET locks to an account stays locked, whatever its client sends with the connection or sets before
-- the library is loaded. Keeps finding 2 of the review.
create schema locked_account_cannot_be_hidden;
set search_path = locked_account_cannot_be_hidden;
-- What a statement is refused with.
create function refusal(statement text)
returns table (state text, message text)
language plpgsql
as $$
begin
    execute statement;
    state := 'none';
    return next;
exception when others then
    get stacked diagnostics
        state = returned_sqlstate,
        message = message_text;
    return next;
end
$$;
insert into visitor_identity.account (account)
values ('cannot_be_hidden'), ('cannot_be_hidden_2');
create table chat (
    chat_id integer primary key,
    account text,
    visitor_id uuid,
    provided_visitor_id text,
    closed_at timestamptz
);
create index on chat (visitor_id);
select visitor_identity.attach_chat_table('chat');
insert into chat (chat_id, account, provided_visitor_id, closed_at)
values (1, 'cannot_be_hidden', 'C-1', null), (2, 'cannot_be_hidden', 'C-1', '2024-05-02'), (3, 'cannot_be_hidden_2', 'C-1', null), (4, 'cannot_be_hidden_2', 'C-1', '2024-05-02');
create role cannot_be_hidden_locked login;
create role cannot_be_hidden_free login;
-- Whose role in this database is locked, while the role itself is not; and one whose role is locked to a second account.
create role cannot_be_hidden_here login;
alter role cannot_be_hidden_locked set visitor_identity.locked_account = 'cannot_be_hidden';
alter role cannot_be_hidden_here set visitor_identity.locked_account = 'cannot_be_hidden_2';
alter role cannot_be_hidden_here in database :DBNAME set visitor_identity.locked_account = 'cannot_be_hidden';
select visitor_identity.grant_access(r::name, 'admin')
from unnest('{cannot_be_hidden_locked, cannot_be_hidden_free, cannot_be_hidden_here}'::text[]) as r;
grant usage on schema locked_account_cannot_be_hidden to public;
grant select, insert, update on chat to public;
-- Everything that a lock is to stop.
create function refusals()
returns table (call text, state text, message text)
language sql
as $$
    select c.call, r.state, r.message
    from (
        values
            (1, $c$visitor_identity.resolve_visitor('C-1', account => 'cannot_be_hidden_2')$c$),
            (2, $c$visitor_identity.find_visitor('C-1', account => 'cannot_be_hidden_2')$c$),
            (3, $c$visitor_identity.derive_visitor_id('C-1', 'cannot_be_hidden_2')$c$),
            (4, $c$visitor_identity.search_history('C-1', account => 'cannot_be_hidden_2')$c$),
            (5, $c$visitor_identity.explain_resolution('C-1', account => 'cannot_be_hidden_2')$c$),
            (6, $c$visitor_identity.undo_rebind(1, 'cannot_be_hidden_2')$c$),
            (7, $c$visitor_identity.find_visitor('C-1', account => 'cannot_be_hidden')$c$)
    ) as c (number, call)
    cross join lateral locked_account_cannot_be_hidden.refusal('select ' || c.call) as r
    order by c.number
$$;
create view shown as
select *
from (values
    ('history', (select array_agg(chat_id order by chat_id) from chat_history)),
    ('workspace', (select array_agg(chat_id order by chat_id) from chat_workspace))
) as s (view_name, chats);
-- As the caller sees them: his own rights and the session's lock.
create function tables()
returns table (accounts text, visitors text, provided text)
language sql
as $$
    select
        (select string_agg(a.account, ', ' order by a.account) from visitor_identity.account as a),
        (select string_agg(distinct v.account, ', ') from visitor_identity.visitor as v),
        (select string_agg(distinct p.account, ', ') from visitor_identity.provided_identity as p)
$$;
grant select on shown to public;

-- As it is meant.
\connect - cannot_be_hidden_locked
set search_path = locked_account_cannot_be_hidden;
select * from refusals();
select * from shown;
select * from tables();
-- An empty value with the connection, another account's, and the lock's own.
\connect -reuse-previous=on "user=cannot_be_hidden_locked options='-c visitor_identity.locked_account='"
set search_path = locked_account_cannot_be_hidden;
select * from refusals();
select * from shown;
select * from tables();
\connect -reuse-previous=on "user=cannot_be_hidden_locked options='-c visitor_identity.locked_account=cannot_be_hidden_2'"
set search_path = locked_account_cannot_be_hidden;
select * from shown;
select * from refusals();
select * from tables();
select state, message from refusal($$insert into chat (chat_id, account, provided_visitor_id) values (5, 'cannot_be_hidden_2', 'C-1')$$);
select state, message from refusal($$update chat set provided_visitor_id = 'C-2' where chat_id = 3$$);
\connect -reuse-previous=on "user=cannot_be_hidden_locked options='-c visitor_identity.locked_account=cannot_be_hidden'"
set search_path = locked_account_cannot_be_hidden;
select * from refusals();
-- A SET and a RESET before anything of the extension was called.
\connect -reuse-previous=on "user=cannot_be_hidden_locked options=''"
set visitor_identity.locked_account = '';
set search_path = locked_account_cannot_be_hidden;
select * from refusals();
select * from shown;
\connect -reuse-previous=on "user=cannot_be_hidden_locked options=''"
set visitor_identity.locked_account = 'cannot_be_hidden_2';
set search_path = locked_account_cannot_be_hidden;
select * from shown;
select * from refusals();
\connect -reuse-previous=on "user=cannot_be_hidden_locked options=''"
reset visitor_identity.locked_account;
set search_path = locked_account_cannot_be_hidden;
select * from refusals();
\connect -reuse-previous=on "user=cannot_be_hidden_locked options=''"
begin;
set local visitor_identity.locked_account = '';
set search_path = locked_account_cannot_be_hidden;
select * from shown;
select * from tables();
commit;
select * from shown;
discard all;
set search_path = locked_account_cannot_be_hidden;
select * from shown;
-- What says it in the catalog is read by no operator of the role's own.
\connect -reuse-previous=on "user=postgres options='-c visitor_identity.locked_account='"
grant create on schema locked_account_cannot_be_hidden to cannot_be_hidden_locked;
\connect -reuse-previous=on "user=cannot_be_hidden_locked options='-c visitor_identity.locked_account='"
create function locked_account_cannot_be_hidden.yes(text, text)
returns boolean
language plpgsql
as $$
begin
    if current_user operator(pg_catalog.<>) session_user then
        raise warning 'an operator of the role runs as %', current_user;
    end if;
    return true;
end
$$;
create operator locked_account_cannot_be_hidden.= (leftarg = text, rightarg = text, function = locked_account_cannot_be_hidden.yes);
create operator locked_account_cannot_be_hidden.<> (leftarg = text, rightarg = text, function = locked_account_cannot_be_hidden.yes);
\connect -reuse-previous=on "user=cannot_be_hidden_locked options='-c visitor_identity.locked_account='"
set search_path = locked_account_cannot_be_hidden, pg_catalog;
select * from refusals();
\connect -reuse-previous=on "user=cannot_be_hidden_locked options='-c visitor_identity.locked_account='"
set search_path = locked_account_cannot_be_hidden, pg_catalog;
select * from shown;
\connect -reuse-previous=on "user=postgres options='-c visitor_identity.locked_account='"
drop operator locked_account_cannot_be_hidden.= (text, text);
drop operator locked_account_cannot_be_hidden.<> (text, text);
-- The setting for the role in this database goes before the one for the role.
\connect -reuse-previous=on "user=cannot_be_hidden_here options='-c visitor_identity.locked_account='"
set search_path = locked_account_cannot_be_hidden;
select * from refusals();
select * from shown;
-- Who is locked by nothing sees all, and a superuser too; the lock is the session's and not the role's one becomes.
\connect -reuse-previous=on "user=cannot_be_hidden_free options='-c visitor_identity.locked_account='"
set search_path = locked_account_cannot_be_hidden;
select * from refusals();
select * from shown;
\connect -reuse-previous=on "user=postgres options='-c visitor_identity.locked_account='"
set search_path = locked_account_cannot_be_hidden;
set role cannot_be_hidden_locked;
select * from shown;
reset role;
set session authorization cannot_be_hidden_locked;
select * from shown;
reset session authorization;
select * from shown;
-- Nothing was written in the other account.
select account, provided_visitor_id
from visitor_identity.provided_identity
where account like 'cannot_be_hidden%'
order by 1, 2;
\connect -reuse-previous=on "user=postgres options=''"
set search_path = locked_account_cannot_be_hidden;
drop view shown;
select visitor_identity.detach_table('chat');
set client_min_messages = warning;
drop schema locked_account_cannot_be_hidden cascade;
drop owned by cannot_be_hidden_locked, cannot_be_hidden_free, cannot_be_hidden_here;
drop role cannot_be_hidden_locked, cannot_be_hidden_free, cannot_be_hidden_here;
