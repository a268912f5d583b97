-- Any primary key, schema, quoting and column names can be attached; columns that are not there are skipped.
create schema attach_any_key_and_quoting;
set search_path = attach_any_key_and_quoting;
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
insert into visitor_identity.account (account) values ('attach_any_key_and_quoting');
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
create schema "attach_any_key_and_quoting Чаты ""x""";
set client_min_messages = warning;
set search_path = "attach_any_key_and_quoting Чаты ""x""", attach_any_key_and_quoting;
create domain customer as visitor_identity.provided_visitor_id;
create type state as enum ('new', 'done');
-- A composite key of odd types; quoted, non-ASCII and long names; a column dropped before; provided ids that are numbers.
create table "Диалог ""1"" и ещё один" (
    dropped_1 text,
    "Ключ'" timestamptz default '2024-05-01 12:00:00.123456+00',
    "select" state default 'new',
    "Клиент ""id""" uuid,
    dropped_2 integer default 5,
    "CRM" bigint,
    "канал" varchar(20),
    "user" character(12),
    visitor_id text default 'not it',
    "end" date,
    primary key ("Ключ'", "select")
);
alter table "Диалог ""1"" и ещё один"
drop column dropped_1,
drop column dropped_2;
create index on "Диалог ""1"" и ещё один" ("Клиент ""id""");
create index on "Диалог ""1"" и ещё один" ("user");
select visitor_identity.attach_chat_table(
    '"Диалог ""1"" и ещё один"',
    visitor_id => 'Клиент "id"',
    provided_visitor_id => 'CRM',
    channel_type => 'канал',
    channel_user_id => 'user',
    closed_at => 'end',
    origin_visitor_id => 'Был "кем"',
    fixed_account => 'attach_any_key_and_quoting'
);
select attname, format_type(atttypid, null), attnotnull
from pg_attribute
where attrelid = '"Диалог ""1"" и ещё один"'::regclass and attnum > 0 and not attisdropped
order by attnum;
select relname
from pg_class
where relnamespace = (select oid from pg_namespace where nspname like 'attach_any_key_and_quoting %') and relkind = 'v'
order by relname;
select named('V', '40000000-0000-4000-8000-000000000001');
insert into "Диалог ""1"" и ещё один" ("select", "Клиент ""id""", "канал", "user")
values ('new', '40000000-0000-4000-8000-000000000001', null, null), ('done', '40000000-0000-4000-8000-000000000001', null, null);
insert into "Диалог ""1"" и ещё один" ("Ключ'", "канал", "user")
values ('2024-05-02', 'telegram', '67854257');
-- Authorized by a number; the padding of character(n) is no part of the id.
update "Диалог ""1"" и ещё один"
set "CRM" = 42
where "select" = 'done';
select
    named('C', visitor_identity.find_visitor('42', account => 'attach_any_key_and_quoting')),
    named('T', visitor_identity.find_visitor(null, 'telegram', '67854257', account => 'attach_any_key_and_quoting'));
select "select", who("Клиент ""id""") as visitor, who("Был ""кем""") as origin, "CRM", "канал", "user", visitor_id
from "Диалог ""1"" и ещё один"
order by "Ключ'", "select";
-- Zero is no id, also as a number.
update "Диалог ""1"" и ещё один"
set "CRM" = 0
where "Ключ'" = '2024-05-02';
select k.keys
from visitor_identity.rebind as r
join visitor_identity.rebind_row as k using (account, rebind_id)
where r.account = 'attach_any_key_and_quoting';
-- The view shows the identifiers under their own names, in place of a column that has one of these names.
select named('?', visitor_id), who(origin_visitor_id) as origin, provided_visitor_id, channel_type, channel_id, channel_user_id, "CRM"
from "Диалог ""1"" и ещё один_workspace"
order by "Ключ'", "select";
-- The search finds it, and its key is the primary key.
update "Диалог ""1"" и ещё один"
set "end" = '2024-05-03'
where "select" = 'done';
select s.chat_table = '"Диалог ""1"" и ещё один"'::regclass as here, s.chat_key, s.provided_visitor_id, s.matched_by
from visitor_identity.search_history('42', account => 'attach_any_key_and_quoting') as s;
select visitor_identity.detach_table('"Диалог ""1"" и ещё один"');

-- A name of 63 bytes: the views' names are cut between characters, and differ.
create table "яяяяяяяяяяяяяяяяяяяяяяяяяяяяяяx" (chat_id uuid primary key default gen_random_uuid(), visitor_id uuid);
create index on "яяяяяяяяяяяяяяяяяяяяяяяяяяяяяяx" (visitor_id);
select visitor_identity.attach_chat_table('"яяяяяяяяяяяяяяяяяяяяяяяяяяяяяяx"', fixed_account => 'attach_any_key_and_quoting');
select relname, octet_length(relname) as bytes
from pg_class
where relnamespace = (select oid from pg_namespace where nspname like 'attach_any_key_and_quoting %') and relkind = 'v'
order by relname;
insert into "яяяяяяяяяяяяяяяяяяяяяяяяяяяяяяx" (visitor_id)
values ('40000000-0000-4000-8000-000000000009');
select count(*) from "яяяяяяяяяяяяяяяяяяяяяяяяяяя_history";
select visitor_identity.detach_table('"яяяяяяяяяяяяяяяяяяяяяяяяяяяяяяx"');

-- Only what is there: a table with nothing but a key and a visitor follows too. Text, domain and name columns.
create table bare (chat_id text primary key, visitor_id visitor_identity.visitor_id);
create index on bare (visitor_id);
create table domains (
    tenant name,
    chat_id text collate "C",
    visitor_id visitor_identity.visitor_id,
    provided_visitor_id customer,
    channel_type varchar,
    channel_user_id visitor_identity.channel_user_id,
    primary key (tenant, chat_id)
);
create index on domains (tenant, visitor_id);
select visitor_identity.attach_chat_table('bare', fixed_account => 'attach_any_key_and_quoting');
select visitor_identity.attach_chat_table('domains', account => 'tenant');
insert into bare
values ('a''b', '40000000-0000-4000-8000-00000000000a');
insert into domains
values ('attach_any_key_and_quoting', 'x', '40000000-0000-4000-8000-00000000000a', null, null, null);
select named('W', '40000000-0000-4000-8000-00000000000a');
update domains
set provided_visitor_id = 'D-1';
select named('D', visitor_id) from domains;
select chat_id, who(visitor_id) as visitor, who(origin_visitor_id) as origin from bare;
-- Renaming the table or moving it to another schema changes nothing.
alter table bare rename to renamed;
alter table renamed set schema attach_any_key_and_quoting;
insert into renamed
values ('c', '40000000-0000-4000-8000-00000000000a');
select chat_id, who(visitor_id) as visitor from renamed order by 1;
-- A renamed column is followed; a dropped one is an error with a way out, not a wrong answer.
alter table renamed rename column origin_visitor_id to origin;
insert into renamed
values ('d', '40000000-0000-4000-8000-00000000000a');
select chat_id, who(visitor_id) as visitor, who(origin) as origin from renamed where chat_id = 'd';
alter table renamed
drop column origin cascade;
\x
select * from refusal($$insert into renamed values ('e', null)$$);
\x
select visitor_identity.detach_table('renamed');
select visitor_identity.detach_table('domains');
set client_min_messages = warning;
drop schema "attach_any_key_and_quoting Чаты ""x""" cascade;
drop schema attach_any_key_and_quoting cascade;
