-- What a trigger of the application writes into a row's identifiers before the row is decided counts as if the statement had said it,
-- whatever columns the statement names. Keeps finding 9 of the review.
create schema other_triggers;
set search_path = other_triggers;
insert into visitor_identity.account (account) values ('other_triggers');
create table chat (
    chat_id integer primary key,
    visitor_id uuid,
    provided_visitor_id text,
    channel_type text,
    channel_user_id text,
    note text
);
create index on chat (visitor_id);
create index on chat (channel_user_id);
-- Their names sort before those of the extension's triggers, so that they run first.
create function fill()
returns trigger
language plpgsql
as $$
begin
    new.provided_visitor_id := substring(new.note from 'crm (.*)');
    new.channel_user_id := substring(new.note from 'telegram (.*)');
    new.channel_type := case when new.channel_user_id is not null then 'telegram' end;
    -- Only where it changes: a trigger that always wrote it back would keep the row from being rebound.
    if tg_op = 'INSERT' or new.note <> old.note then
        new.visitor_id := coalesce(substring(new.note from 'cookie (.*)')::uuid, new.visitor_id);
    end if;
    return new;
end
$$;
create trigger a_fill before insert or update on chat for each row execute function fill();
select visitor_identity.attach_chat_table('chat', fixed_account => 'other_triggers');
create view chats as
select
    c.chat_id,
    c.provided_visitor_id as provided,
    (select string_agg(p.provided_visitor_id, ', ') from visitor_identity.provided_identity as p where p.visitor_id = c.visitor_id) as visitor_of,
    (select string_agg(i.channel_user_id, ', ' order by i.channel_user_id) from visitor_identity.channel_identity as i where i.visitor_id = c.visitor_id) as channels,
    c.origin_visitor_id <> c.visitor_id as rebound
from chat as c
order by c.chat_id;

-- INSERT.
insert into chat (chat_id, note)
values (1, 'crm C-1'), (2, 'telegram 67854257'), (3, 'cookie 40000000-0000-4000-8000-000000000001'), (4, 'cookie 40000000-0000-4000-8000-000000000001'), (5, 'nothing');
table chats;
select visitor_id from chat where chat_id = 4;
-- UPDATE of another column: the row is authorized, and the other chat of its visitor comes along.
update chat
set note = 'crm C-3'
where chat_id = 3;
update chat
set note = 'telegram 67854258'
where chat_id = 5;
table chats;
select kind, rebound_chats, reason
from visitor_identity.rebind
where account = 'other_triggers'
order by rebind_id;
-- To another person: this row alone.
update chat
set note = 'crm C-4'
where chat_id = 3;
-- An ORM that writes all columns, and one that writes back an old visitor_id through such a trigger.
update chat
set note = 'the cookie 40000000-0000-4000-8000-000000000001'
where chat_id = 4;
table chats;
-- INSERT ... ON CONFLICT and MERGE's way through UPDATE.
insert into chat (chat_id, note)
values (2, 'crm C-1')
on conflict (chat_id) do update
set note = excluded.note;
table chats;
select visitor_identity.find_visitor(channel_type => 'telegram', channel_user_id => '67854257', account => 'other_triggers') = visitor_id as same
from chat
where chat_id = 1;
-- An UPDATE that changes nothing of a visitor writes nothing about visitors.
create table before as
select (select count(*) from visitor_identity.visitor) as visitors, (select count(*) from visitor_identity.rebind) as rebindings;
update chat
set note = note;
select (select count(*) from visitor_identity.visitor) as visitors, (select count(*) from visitor_identity.rebind) as rebindings
except
table before;
select problem, chat_key
from visitor_identity.check_integrity()
where account = 'other_triggers';
drop view chats;
select visitor_identity.detach_table('chat');

-- The same through the partitions of a partitioned table, where the trigger may be the partition's own.
create table parted (
    chat_id integer,
    state text default 'open',
    visitor_id uuid,
    provided_visitor_id text,
    channel_type text,
    channel_user_id text,
    note text,
    primary key (chat_id, state)
) partition by list (state);
create table parted_open partition of parted for values in ('open');
create table parted_closed partition of parted for values in ('closed');
create index on parted (visitor_id);
create index on parted (channel_user_id);
create trigger a_fill before insert or update on parted_open for each row execute function fill();
select visitor_identity.attach_chat_table('parted', fixed_account => 'other_triggers');
insert into parted (chat_id, note)
values (1, 'cookie 40000000-0000-4000-8000-000000000011'), (2, 'cookie 40000000-0000-4000-8000-000000000011'), (3, 'crm C-1');
update parted
set note = 'crm C-11'
where chat_id = 1;
select c.chat_id, c.provided_visitor_id, p.provided_visitor_id as visitor_of
from parted as c
left join visitor_identity.provided_identity as p using (visitor_id)
order by 1;
select visitor_identity.detach_table('parted');
set client_min_messages = warning;
drop schema other_triggers cascade;
