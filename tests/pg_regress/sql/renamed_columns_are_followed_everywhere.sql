-- A column that is renamed after its table was attached is followed by everything: triggers, rebindings, undo, search, check.
-- Keeps finding 11 of the review.
create schema renamed_columns;
set search_path = renamed_columns;
insert into visitor_identity.account (account) values ('renamed_columns');
create table "Чат €" (
    "Account" text,
    "Id €" integer,
    "Vis Id" uuid,
    "First" uuid,
    "CRM" text,
    "Ch Type" text,
    "Ch Id" text,
    "Ch User" text,
    "Opened" timestamptz default '2024-05-01',
    "Closed" timestamptz,
    primary key ("Account", "Id €")
);
create index on "Чат €" ("Vis Id");
create index on "Чат €" ("Ch User");
select visitor_identity.attach_chat_table('"Чат €"', 'Vis Id', 'CRM', 'Ch Type', 'Ch Id', 'Ch User', 'Account', 'Opened', 'Closed', 'First');
-- A second table, which a failure of the first must not reach.
create table plain (chat_id integer primary key, visitor_id uuid, closed_at timestamptz);
create index on plain (visitor_id);
select visitor_identity.attach_chat_table('plain', fixed_account => 'renamed_columns');
set visitor_identity.account = 'renamed_columns';
insert into "Чат €" ("Id €", "Vis Id")
select n, '40000000-0000-4000-8000-000000000001'
from generate_series(1, 4) as n;
insert into "Чат €" ("Id €", "Ch Type", "Ch Id", "Ch User")
values (5, 'telegram', 'a bot', '67854257');
insert into plain (chat_id, visitor_id, closed_at)
values (1, '40000000-0000-4000-8000-000000000001', '2024-05-02');
select outcome, rebound_chats
from visitor_identity.resolve_visitor_detail('C-1', visitor_id => '40000000-0000-4000-8000-000000000001');

-- One chat of it alone is given to another person.
update "Чат €"
set "Vis Id" = visitor_identity.resolve_visitor('D-1')
where "Id €" = 2;

-- Column by column, with everything after each.
create function everything(n integer)
returns table (step text, result text)
language plpgsql
as $$
declare
    cookie uuid := ('40000000-0000-4000-8000-' || lpad(n::text, 12, '0'))::uuid;
    names text[] := (
        select array_agg(quote_ident(a.attname) order by a.attnum)
        from pg_attribute as a
        join visitor_identity.attached_table as t on t.attached = a.attrelid
        where t.attached = 'renamed_columns."Чат €"'::regclass
            and a.attnum > 0
    );
begin
    -- Two chats of a new visitor, one with a channel; the login of the visitor; a chat that goes to another person.
    execute format('insert into renamed_columns."Чат €" (%s, %s) values ($1, $3), ($2, $3)', names[2], names[3]) using 10 * n, 10 * n + 1, cookie;
    execute format('insert into renamed_columns."Чат €" (%s, %s, %s, %s) values ($1, ''telegram'', ''a bot'', $2)', names[2], names[6], names[7], names[8])
        using 10 * n + 2, (67854257 + n)::text;
    step := 'login';
    select format('%s, %s chats', d.outcome, d.rebound_chats)
    into result
    from visitor_identity.resolve_visitor_detail('C-' || n, 'telegram', (67854257 + n)::text, cookie, 'a bot') as d;
    return next;
    step := 'rebound with their origin';
    execute format(
        'select count(*)::text from renamed_columns."Чат €" where %1$s <> %2$s and %2$s is not null and %3$s between $1 and $2',
        names[3], names[4], names[2]
    ) into result using 10 * n, 10 * n + 9;
    return next;
    execute format('update renamed_columns."Чат €" set %s = $1, %s = ''2024-05-03'' where %s = $2', names[5], names[10], names[2]) using 'D-' || n, 10 * n + 1;
    step := 'authorized row';
    execute format(
        'select (%s = visitor_identity.find_visitor($1))::text from renamed_columns."Чат €" where %s = $2', names[3], names[2]
    ) into result using 'D-' || n, 10 * n + 1;
    return next;
    step := 'undone';
    select string_agg(format('%s and %s', u.put_back, u.left_alone), ', ')
    into result
    from visitor_identity.rebind as r
    cross join lateral visitor_identity.undo_rebind(r.rebind_id) as u
    where r.account = 'renamed_columns'
        and r.from_visitor_id = cookie
        and u.moved_table = 'renamed_columns."Чат €"'::regclass;
    return next;
    step := 'search';
    select string_agg(format('%s %s', s.chat_key, s.matched_by), ', ') into result from visitor_identity.search_history('D-' || n) as s;
    return next;
    step := 'search of the other table';
    select string_agg(s.chat_table::text, ', ' order by s.chat_table::text) into result from visitor_identity.search_history('C-1') as s;
    return next;
    step := 'problems';
    select coalesce(string_agg(i.problem, ', '), 'none') into result from visitor_identity.check_integrity() as i where i.account = 'renamed_columns';
    return next;
    step := 'the account stays';
    begin
        execute format('update renamed_columns."Чат €" set %s = ''default'' where %s = $1', names[1], names[2]) using 10 * n;
        result := 'not refused';
    exception when object_not_in_prerequisite_state then
        result := sqlerrm;
    end;
    return next;
end
$$;
select * from everything(2);
alter table "Чат €" rename column "Id €" to id;
select * from everything(3);
alter table "Чат €" rename column "Vis Id" to vis;
select * from everything(4);
alter table "Чат €" rename column "CRM" to "CRM id";
select * from everything(5);
alter table "Чат €" rename column "Account" to tenant;
select * from everything(6);
alter table "Чат €" rename column "Closed" to closed;
select * from everything(7);
alter table "Чат €" rename column "Opened" to opened;
alter table "Чат €" rename column "First" to "first visitor";
select * from everything(8);
alter table "Чат €" rename column "Ch Type" to type;
alter table "Чат €" rename column "Ch User" to person;
alter table "Чат €" rename column "Ch Id" to page;
select * from everything(9);
-- Two columns that swap their names.
alter table "Чат €" rename column "CRM id" to other;
alter table "Чат €" rename column person to "CRM id";
alter table "Чат €" rename column other to person;
select * from everything(10);
-- A view.
alter view "Чат €_history" rename to closed_chat;
select * from everything(11);
-- What was logged under the old names of the key is undone under the new ones: the chat alone first, then the visitor.
select r.kind, u.put_back, u.left_alone
from visitor_identity.rebind as r
cross join lateral visitor_identity.undo_rebind(r.rebind_id) as u
where r.account = 'renamed_columns'
    and r.kind = 'chat'
    and r.to_visitor_id = visitor_identity.find_visitor('D-1');
select r.kind, u.moved_table, u.put_back, u.left_alone
from visitor_identity.rebind as r
cross join lateral visitor_identity.undo_rebind(r.rebind_id) as u
where r.account = 'renamed_columns'
    and r.from_visitor_id = '40000000-0000-4000-8000-000000000001'
order by u.moved_table::text;
select id from "Чат €" where vis = '40000000-0000-4000-8000-000000000001' order by 1;
-- The views keep the names of the day of attaching.
select string_agg(attname, ', ' order by attnum) as columns
from pg_attribute
where attrelid = 'closed_chat'::regclass
    and attnum > 0;
select "Id €", provided_visitor_id from closed_chat where provided_visitor_id = 'D-11';
-- Attached anew, the new names are everywhere.
select visitor_identity.detach_table('"Чат €"');
\d "Чат €"
select visitor_identity.attach_chat_table('"Чат €"', 'vis', 'person', 'type', 'page', 'CRM id', 'tenant', 'opened', 'closed', 'first visitor');
select chat_key, provided_visitor_id from visitor_identity.search_history('D-11');
reset visitor_identity.account;
select visitor_identity.detach_table('"Чат €"');
select visitor_identity.detach_table('plain');
set client_min_messages = warning;
drop schema renamed_columns cascade;
