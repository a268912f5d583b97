-- forget_visitor does with the rows of each attached table what it was told, delete, anonymize or keep, with the rights of the table's
-- owner, and says so with counts; also where there was nothing to do. What the person only claimed is left, and counted.
create schema forget_says;
set search_path = forget_says;
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
values ('forget_says'), ('forget_says_2');
create role forget_says_owner;
create role forget_says_admin;
select visitor_identity.grant_access('forget_says_owner', 'admin');
select visitor_identity.grant_access('forget_says_admin', 'admin');
grant usage, create on schema forget_says to forget_says_owner;
grant usage on schema forget_says to forget_says_admin;
set role forget_says_owner;
create domain written as text;
create table ran (
    what text,
    as_whom text default current_user
);
create function trap()
returns trigger
language plpgsql
as $$
begin
    insert into forget_says.ran (what) values (tg_op || ' of ' || tg_table_name);
    return null;
end
$$;
create table a_chat (
    account text,
    chat_id integer,
    visitor_id uuid,
    provided_visitor_id text,
    channel_type text,
    channel_user_id text,
    subject text,
    closed_at date,
    primary key (account, chat_id)
);
create index on a_chat (visitor_id);
create table message (
    account text,
    chat_id integer,
    body text,
    foreign key (account, chat_id) references a_chat on delete cascade
);
create table b_chat (
    chat_id integer primary key,
    state text default 'open',
    visitor_id uuid,
    "Client's id" written
);
create index on b_chat (visitor_id);
create table c_chat (
    chat_id integer primary key,
    visitor_id uuid
);
create index on c_chat (visitor_id);
create table nobody_s (
    chat_id integer primary key,
    visitor_id uuid
);
create index on nobody_s (visitor_id);
create table of_another_account (
    chat_id integer primary key,
    visitor_id uuid
);
create index on of_another_account (visitor_id);
select visitor_identity.attach_chat_table('a_chat');
select visitor_identity.attach_chat_table('b_chat', provided_visitor_id => 'Client''s id', fixed_account => 'forget_says');
select visitor_identity.attach_chat_table('c_chat', fixed_account => 'forget_says');
select visitor_identity.attach_chat_table('nobody_s', fixed_account => 'forget_says');
select visitor_identity.attach_chat_table('of_another_account', fixed_account => 'forget_says_2');
create trigger trap
after update or delete on a_chat
for each row execute function trap();
create trigger trap
after update or delete on c_chat
for each row execute function trap();
reset role;
set visitor_identity.account = 'forget_says';

-- One person more for every way; each with a chat in three tables, of which one is anonymous, and a message.
create function person(provided text, number integer)
returns uuid
language plpgsql
as $$
declare
    cookie uuid := format('40000000-0000-4000-8000-0000000000%s', lpad(number::text, 2, '0'));
begin
    insert into a_chat (chat_id, visitor_id, subject) values (number * 10, cookie, 'hello');
    insert into c_chat values (number * 10, cookie);
    insert into a_chat (chat_id, provided_visitor_id, channel_type, channel_user_id, subject)
    values (number * 10 + 1, provided, 'viber', provided || '=', 'again');
    insert into b_chat (chat_id, "Client's id") values (number * 10, provided);
    insert into message select 'forget_says', number * 10 + k, 'text' from generate_series(0, 1) as k;
    return visitor_identity.resolve_visitor(provided, visitor_id => cookie);
end
$$;
create view chats as
select 'a' as of, c.chat_id, v.forgotten, c.provided_visitor_id as provided, c.channel_type as channel, c.channel_user_id as user_id, c.subject
from a_chat as c
join visitor_identity.visitor as v using (account, visitor_id)
union all
select 'b', c.chat_id, v.forgotten, c."Client's id", null, null, c.state
from b_chat as c
join visitor_identity.visitor as v on v.account = 'forget_says' and v.visitor_id = c.visitor_id
union all
select 'c', c.chat_id, v.forgotten, null, null, null, null
from c_chat as c
join visitor_identity.visitor as v on v.account = 'forget_says' and v.visitor_id = c.visitor_id
order by 1, 2;
-- The same in another account, which stays as it is.
insert into a_chat (account, chat_id, provided_visitor_id)
values ('forget_says_2', 1, 'P-1');
insert into of_another_account
select 1, visitor_id from a_chat where account = 'forget_says_2';

select person('P-1', 1) as p \gset
truncate ran;
set session authorization forget_says_admin;
set visitor_identity.account = 'forget_says';
select * from visitor_identity.forget_visitor(:'p');
reset session authorization;
set visitor_identity.account = 'forget_says';
table chats;
-- The application's triggers ran as the owner of the table, for the rows that changed.
select what, as_whom, count(*) from ran group by 1, 2 order by 1;

select person('P-2', 2) as p \gset
truncate ran;
set session authorization forget_says_admin;
set visitor_identity.account = 'forget_says';
select * from visitor_identity.forget_visitor(:'p', 'delete');
reset session authorization;
set visitor_identity.account = 'forget_says';
select * from chats where chat_id >= 20;
select what, as_whom, count(*) from ran group by 1, 2 order by 1;
-- What refers to the rows does what its key says: here it cascades.
select chat_id from message order by 1;

select person('P-3', 3) as p \gset
truncate ran;
set session authorization forget_says_admin;
set visitor_identity.account = 'forget_says';
select * from visitor_identity.forget_visitor(:'p', 'keep');
reset session authorization;
set visitor_identity.account = 'forget_says';
select * from chats where chat_id >= 30;
table ran;

-- Table by table: named as SQL names tables, with the schema or by the search_path.
select person('P-4', 4) as p \gset
set session authorization forget_says_admin;
set visitor_identity.account = 'forget_says';
select * from visitor_identity.forget_visitor(:'p', per_table => '{"forget_says.a_chat": "delete", "\"b_chat\"": "keep"}');
reset session authorization;
set visitor_identity.account = 'forget_says';
select * from chats where chat_id >= 40;
delete from b_chat where chat_id in (30, 40);

-- What he claimed without absorbing it stays, its chats too; the claim leads to the tombstone, so that nobody else gets it.
insert into a_chat (chat_id, visitor_id)
values (50, '40000000-0000-4000-8000-000000000050');
update visitor_identity.account set on_authorization = 'keep' where account = 'forget_says';
select outcome from visitor_identity.resolve_visitor_detail('P-5', visitor_id => '40000000-0000-4000-8000-000000000050');
select * from visitor_identity.forget_visitor(visitor_identity.find_visitor('P-5')) order by erased_table::text, action;
update visitor_identity.account set on_authorization = 'rebind' where account = 'forget_says';
select outcome, rebound_chats from visitor_identity.resolve_visitor_detail('P-6', visitor_id => '40000000-0000-4000-8000-000000000050');
-- It may be forgotten by itself.
select erased_table, action, rows from visitor_identity.forget_visitor('40000000-0000-4000-8000-000000000050', 'delete') order by erased_table::text limit 2;
select problem, chat_key from visitor_identity.check_integrity() where account = 'forget_says';

-- An identifier that must have a value cannot be taken from the row: nothing is done, unless the table is treated otherwise, or the
-- person has no row there.
delete from b_chat where "Client's id" is null;
alter domain written set not null;
select person('P-7', 7) as p \gset
\x
select * from refusal(format('select visitor_identity.forget_visitor(%L)', :'p'));
\x
select count(*) as still_there from visitor_identity.provided_identity where visitor_id = :'p';
select erased_table, action, rows from visitor_identity.forget_visitor(:'p', per_table => '{"b_chat": "delete"}') where erased_table = 'b_chat'::regclass;
insert into c_chat values (80, '40000000-0000-4000-8000-000000000080');
select erased_table, action, rows from visitor_identity.forget_visitor('40000000-0000-4000-8000-000000000080') where erased_table = 'b_chat'::regclass;

-- A trigger of the application that brings an identifier back, or keeps a row, stops it: an error, and nothing is done.
alter domain written drop not null;
create function brings_back()
returns trigger
language plpgsql
as $$
begin
    if tg_op = 'DELETE' then
        return null;
    end if;
    new.provided_visitor_id := coalesce(new.provided_visitor_id, old.provided_visitor_id);
    return new;
end
$$;
create trigger zz_brings_back
before update or delete on a_chat
for each row execute function brings_back();
select person('P-9', 9) as p \gset
\x
select * from refusal(format('select visitor_identity.forget_visitor(%L)', :'p'));
\x
select state, message from refusal(format('select visitor_identity.forget_visitor(%L, %L)', :'p', 'delete'));
select count(*) as still_there from visitor_identity.provided_identity where visitor_id = :'p';
select count(*) > 0 as forgotten from visitor_identity.forget_visitor(:'p', per_table => '{"a_chat": "keep"}');
drop trigger zz_brings_back on a_chat;
select problem, chat_key from visitor_identity.check_integrity() where account like 'forget_says%';
-- The other account is as it was.
select count(*) from a_chat where account = 'forget_says_2' and provided_visitor_id = 'P-1';
select visitor_identity.find_visitor('P-1', account => 'forget_says_2') = visitor_id as stays from of_another_account;

reset visitor_identity.account;
set client_min_messages = warning;
select visitor_identity.detach_table(t) from unnest('{a_chat, b_chat, c_chat, nobody_s, of_another_account}'::regclass[]) as t;
drop schema forget_says cascade;
drop owned by forget_says_owner, forget_says_admin;
drop role forget_says_owner, forget_says_admin;
