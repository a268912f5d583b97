-- What export_visitor and forget_visitor refuse: SQLSTATE, message, DETAIL and HINT; nothing is changed by a refusal.
create schema forget_bad_input;
set search_path = forget_bad_input;
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
values ('forget_bad_input'), ('forget_bad_input_2');
create table chat (
    chat_id integer primary key,
    account text,
    visitor_id uuid,
    provided_visitor_id text
);
create index on chat (visitor_id);
select visitor_identity.attach_chat_table('chat');
create table elsewhere (
    chat_id integer primary key,
    visitor_id uuid
);
create index on elsewhere (visitor_id);
select visitor_identity.attach_chat_table('elsewhere', fixed_account => 'forget_bad_input_2');
create table unattached (visitor_id uuid);
set visitor_identity.account = 'forget_bad_input';
insert into chat (chat_id, provided_visitor_id)
values (1, 'C-1');
insert into chat (chat_id, account, provided_visitor_id)
values (2, 'forget_bad_input_2', 'C-2');
select visitor_identity.find_visitor('C-1') as c1, visitor_identity.find_visitor('C-2', account => 'forget_bad_input_2') as c2 \gset
\x
select * from refusal(format('select visitor_identity.forget_visitor(%L, %L)', :'c1', 'Delete'));
select * from refusal(format('select visitor_identity.forget_visitor(%L, per_table => %L)', :'c1', '[]'));
select * from refusal(format('select visitor_identity.forget_visitor(%L, per_table => %L)', :'c1', '{"chat": "tombstone"}'));
select * from refusal(format('select visitor_identity.forget_visitor(%L)', '40000000-0000-4000-8000-000000000009'));
\x
select f.number, r.state, r.message, r.detail
from (
    values
        (1, format('%L, %L', :'c1', '')),
        (2, format('%L, %L', :'c1', ' delete')),
        (3, format('%L, per_table => %L', :'c1', '"delete"')),
        (4, format('%L, per_table => %L', :'c1', '{"chat": null}')),
        (5, format('%L, per_table => %L', :'c1', '{"chat": ["delete"]}')),
        (6, format('%L, per_table => %L', :'c1', '{"chat": 1e400}')),
        (7, format('%L, per_table => %L', :'c1', '{"unattached": "delete"}')),
        (8, format('%L, per_table => %L', :'c1', '{"no_such_table": "delete"}')),
        (9, format('%L, per_table => %L', :'c1', '{"elsewhere": "delete"}')),
        (10, format('%L, per_table => %L', :'c1', '{"visitor_identity.visitor": "delete"}')),
        (11, format('%L, per_table => %L', :'c1', '{"chat": "delete", "forget_bad_input.chat": "keep"}')),
        (12, format('%L, per_table => %L', :'c1', '{"": "delete"}')),
        (13, 'null'),
        (14, format('%L, account => %L', :'c1', 'forget_bad_input_2')),
        (15, format('%L, account => %L', :'c1', 'forget_bad_input_3')),
        (16, format('%L', :'c2'))
) as f (number, arguments)
cross join lateral refusal('select visitor_identity.forget_visitor(' || f.arguments || ')') as r
order by f.number;
select f.number, r.state, r.message
from (
    values
        (1, 'null'),
        (2, format('%L', '40000000-0000-4000-8000-000000000009')),
        (3, format('%L, %L', :'c1', 'forget_bad_input_2')),
        (4, format('%L, %L', :'c1', 'forget_bad_input_3')),
        (5, format('%L', :'c2'))
) as f (number, arguments)
cross join lateral refusal('select visitor_identity.export_visitor(' || f.arguments || ')') as r
order by f.number;
-- NULL is the default of everything but the action, which cannot be undone.
begin;
select erased_table, action, rows from visitor_identity.forget_visitor(:'c1', 'anonymize', null, null) order by erased_table::text;
rollback;
select erased_table, action, rows from visitor_identity.forget_visitor(:'c1', null);
-- In a read-only transaction.
begin read only;
\x
select * from refusal(format('select visitor_identity.forget_visitor(%L)', :'c1'));
\x
rollback;
select count(*) as nothing_was_done from visitor_identity.visitor where account like 'forget_bad_input%' and not forgotten;

-- Twice: the second time nobody is known.
select count(*) > 0 as forgotten from visitor_identity.forget_visitor(:'c1');
select state, message from refusal(format('select visitor_identity.forget_visitor(%L)', :'c1'));
select state, message from refusal(format('select visitor_identity.export_visitor(%L)', :'c1'));

-- A session that is locked to an account, an unprivileged one, and the levels below admin.
create role forget_bad_input_user;
create role forget_bad_input_application;
select visitor_identity.grant_access('forget_bad_input_application', 'application');
grant usage on schema forget_bad_input to forget_bad_input_user, forget_bad_input_application;
select visitor_identity.grant_access('forget_bad_input_user', 'admin');
set visitor_identity.locked_account = 'forget_bad_input';
set session authorization forget_bad_input_user;
select state, message from refusal(format('select visitor_identity.forget_visitor(%L, account => %L)', :'c2', 'forget_bad_input_2'));
select state, message from refusal(format('select visitor_identity.export_visitor(%L, %L)', :'c2', 'forget_bad_input_2'));
select state, message from refusal(format('select visitor_identity.forget_visitor(%L)', :'c2'));
reset session authorization;
reset visitor_identity.locked_account;
set role forget_bad_input_application;
select state, message from refusal(format('select visitor_identity.forget_visitor(%L)', :'c2'));
select state, message from refusal(format('select visitor_identity.export_visitor(%L)', :'c2'));
reset role;
select count(*) as still_there from visitor_identity.provided_identity where visitor_id = :'c2';

reset visitor_identity.account;
set client_min_messages = warning;
select visitor_identity.detach_table(t) from unnest('{chat, elsewhere}'::regclass[]) as t;
drop owned by forget_bad_input_user, forget_bad_input_application;
drop role forget_bad_input_user, forget_bad_input_application;
drop schema forget_bad_input cascade;
