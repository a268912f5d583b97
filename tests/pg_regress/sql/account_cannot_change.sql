-- The account of a chat row is filled in where it is NULL, and cannot change; accounts are not renamed.
create schema account_cannot_change;
set search_path = account_cannot_change;
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
values ('account_cannot_change'), ('account_cannot_change_2');
create table chat (
    chat_id integer primary key,
    account text,
    visitor_id uuid,
    provided_visitor_id text
);
create index on chat (account, visitor_id);
select visitor_identity.attach_chat_table('chat');
set visitor_identity.account = 'account_cannot_change';
insert into chat (chat_id, account, provided_visitor_id)
values (1, null, 'C-1'), (2, 'account_cannot_change_2', 'C-1'), (3, 'account_cannot_change', 'C-1');
-- The same provided id of two accounts: two visitors.
select chat_id, account, named('C of ' || account, visitor_id)
from chat
order by chat_id;

\x
select * from refusal($$update chat set account = 'account_cannot_change_2' where chat_id = 1$$);
select * from refusal($$update chat set account = null where chat_id = 1$$);
select * from refusal($$update chat set account = 'account_cannot_change_2', visitor_id = null, provided_visitor_id = null where chat_id = 1$$);
-- A row of an account that does not exist is a mistake of the application, not of a visitor.
select * from refusal($$insert into chat (chat_id, account) values (4, 'account_cannot_change_3')$$);
select * from refusal($$update visitor_identity.account set account = 'account_cannot_change_3' where account = 'account_cannot_change'$$);
\x
select chat_id, account, who(visitor_id)
from chat
order by chat_id;
-- Writing the same account again is no change.
update chat
set account = account, provided_visitor_id = provided_visitor_id;

-- A rebinding touches the rows of its own account only, also where both accounts know the same visitor_id.
insert into chat (chat_id, account, visitor_id)
values
    (5, 'account_cannot_change', '40000000-0000-4000-8000-000000000001'),
    (6, 'account_cannot_change_2', '40000000-0000-4000-8000-000000000001');
select named('V', '40000000-0000-4000-8000-000000000001');
update chat
set provided_visitor_id = 'C-1'
where chat_id = 5;
select chat_id, account, who(visitor_id), who(origin_visitor_id) as origin
from chat
where chat_id in (5, 6)
order by chat_id;

reset visitor_identity.account;
select visitor_identity.detach_table('chat');
set client_min_messages = warning;
drop schema account_cannot_change cascade;
