-- undo_rebind, case by case: what is still where the rebinding put it goes back, what came or went since is left alone, and each undo
-- is exact or refused.
create schema undo_cases;
set search_path = undo_cases;
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
create function id(letter text)
returns uuid
language sql
as $$
    select l.visitor_id from letter as l where l.name = id.letter
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
values ('undo_cases'), ('undo_cases_2');
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
select visitor_identity.attach_chat_table('chat', fixed_account => 'undo_cases');
create table second_chat (chat_id integer primary key, visitor_id uuid);
create index on second_chat (visitor_id);
select visitor_identity.attach_chat_table('second_chat', fixed_account => 'undo_cases');
set visitor_identity.account = 'undo_cases';
create view chats as
select *
from (
    select c.chat_id, who(c.visitor_id) as visitor, who(c.origin_visitor_id) as origin, c.provided_visitor_id as provided from chat as c
    union all
    select c.chat_id + 1000, who(c.visitor_id), who(c.origin_visitor_id), null from second_chat as c
) as c
order by chat_id;
create view visitors as
select who(v.visitor_id) as visitor, who(v.superseded_by) as superseded_by
from visitor_identity.visitor as v
where v.account = 'undo_cases'
order by 1;
create view rebindings as
select r.rebind_id, r.kind, who(r.from_visitor_id) as from, who(r.to_visitor_id) as to, r.rebound_chats as chats, r.undone_at is not null as undone
from visitor_identity.rebind as r
where r.account = 'undo_cases'
order by r.rebind_id;
-- The newest rebinding between two visitors, undone.
create function undone(wanted_from text, wanted_to text, wanted_kind text default 'visitor')
returns table (moved_table text, put_back bigint, left_alone bigint)
language sql
as $$
    select u.moved_table::text, u.put_back, u.left_alone
    from visitor_identity.undo_rebind((
        select max(r.rebind_id)
        from rebindings as r
        where r.from = wanted_from and r.to = wanted_to and r.kind = wanted_kind
    )) as u
    order by 1
$$;
-- Names for cookies: N is 40000000-0000-4000-8000-00000000000N.
insert into letter
select ('40000000-0000-4000-8000-' || lpad(n::text, 12, '0'))::uuid, 'V' || n
from generate_series(1, 9) as n;

-- 1. Later chats of the person stay, also one by the old cookie: it was his when it came.
insert into chat (chat_id, visitor_id)
values (11, id('V1')), (12, id('V1'));
insert into second_chat (chat_id, visitor_id)
values (11, id('V1'));
select named('C', visitor_identity.resolve_visitor('C-1', visitor_id => id('V1')));
insert into chat (chat_id, visitor_id)
values (13, id('V1'));
insert into chat (chat_id, provided_visitor_id)
values (14, 'C-1');
update chat
set note = 'read'
where chat_id = 11;
select * from undone('V1', 'C');
table chats;
select * from visitors where visitor = 'V1';
-- From now on the cookie is the former visitor's again.
insert into chat (chat_id, visitor_id)
values (15, id('V1'));
select visitor from chats where chat_id = 15;
select who(visitor_identity.find_visitor(visitor_id => id('V1')));
-- Twice it is not undone, and the same login does not do it again.
select state, message, detail, hint from refusal($$select undone('V1', 'C')$$);
select outcome, rebound_chats, notes from visitor_identity.resolve_visitor_detail('C-1', visitor_id => id('V1'));

-- 2. Rows that are gone, that went elsewhere, that have another key now.
insert into chat (chat_id, visitor_id)
values (21, id('V2')), (22, id('V2')), (23, id('V2')), (24, id('V2'));
select named('D', visitor_identity.resolve_visitor('D-1', visitor_id => id('V2')));
delete from chat where chat_id = 21;
update chat
set visitor_id = id('C')
where chat_id = 22;
update chat
set chat_id = 29
where chat_id = 23;
select * from undone('V2', 'D');
select * from chats where chat_id between 20 and 29;
-- A row of the same key that is another chat by now is none of it.
insert into chat (chat_id, visitor_id)
values (31, id('V3')), (32, id('V3'));
select visitor_identity.resolve_visitor('D-1', visitor_id => id('V3')) = id('D') as d;
delete from chat where chat_id = 31;
insert into chat (chat_id, provided_visitor_id)
values (31, 'C-1');
select * from undone('V3', 'D');
select * from chats where chat_id between 30 and 39;

-- 3. A second rebinding: the target absorbs another visitor, and loses none of his.
insert into chat (chat_id, visitor_id)
values (41, id('V4')), (42, id('V5'));
select named('E', visitor_identity.resolve_visitor('E-1', visitor_id => id('V4')));
select visitor_identity.resolve_visitor('E-1', visitor_id => id('V5')) = id('E') as e;
select * from undone('V4', 'E');
select * from chats where chat_id between 40 and 49;
select * from visitors where visitor in ('V4', 'V5', 'E');
-- The target is absorbed himself, by order: refused until that is undone.
insert into chat (chat_id, visitor_id)
values (51, id('V6'));
select named('F', visitor_identity.resolve_visitor('F-1', visitor_id => id('V6')));
select visitor_identity.merge_visitors(id('F'), id('E')) as merged \gset
select state, message, detail, hint from refusal($$select undone('V6', 'F')$$);
select visitor from chats where chat_id = 51;
select count(*) > 0 as undone from visitor_identity.undo_rebind(:merged);
select * from undone('V6', 'F');
select * from chats where chat_id between 50 and 59;
-- The source is absorbed by somebody else after its undo: his rebinding is undone by itself, the first one stays undone.
select outcome, rebound_chats from visitor_identity.resolve_visitor_detail('G-1', visitor_id => id('V6'));
select named('G', visitor_identity.find_visitor('G-1'));
select visitor from chats where chat_id = 51;
select state from refusal($$select undone('V6', 'F')$$);
select * from undone('V6', 'G');
select * from chats where chat_id between 50 and 59;

-- 4. A row that moved alone: given to another visitor by hand, and back.
insert into chat (chat_id, visitor_id)
values (61, id('V7')), (62, id('V7'));
update chat
set visitor_id = id('C')
where chat_id = 61;
select * from undone('V7', 'C', 'chat');
select * from chats where chat_id between 60 and 69;
-- It was moved on since: left alone. Neither visitor needs to stand for that, nor is the pair remembered.
update chat
set visitor_id = id('C')
where chat_id = 62;
update chat
set visitor_id = id('D')
where chat_id = 62;
select * from undone('V7', 'C', 'chat');
select visitor from chats where chat_id = 62;
select * from undone('C', 'D', 'chat');
select visitor from chats where chat_id = 62;
select outcome, rebound_chats, notes from visitor_identity.resolve_visitor_detail('C-1', visitor_id => id('V7'));

-- 5. A chat whose own provided id is the target's stays with its person, and is counted as left alone.
insert into chat (chat_id, visitor_id)
values (71, id('V8')), (72, id('V8'));
update chat
set provided_visitor_id = 'H-1'
where chat_id = 71;
select named('H', visitor_identity.find_visitor('H-1'));
select * from chats where chat_id between 70 and 79;
select * from undone('V8', 'H');
select * from chats where chat_id between 70 and 79;

-- 6. Channel ids and pointers come back, unless they went elsewhere since.
insert into chat (chat_id, channel_type, channel_user_id)
values (81, 'telegram', '67854257');
select named('T', visitor_id) from chat where chat_id = 81;
select who(visitor_identity.rename_channel_user('telegram', '67854257', '67854258'));
insert into visitor_identity.channel_identity (account, channel_type, channel_id, channel_user_id, visitor_id)
values ('undo_cases', 'viber', '', 'abc==', id('T')), ('undo_cases', 'viber', '', 'xyz==', id('T'));
insert into chat (chat_id, visitor_id, channel_type, channel_user_id)
values (82, id('V9'), 'telegram', '67854258');
table visitors;
select named('I', visitor_identity.resolve_visitor('I-1', 'telegram', '67854258'));
select * from visitors where visitor in ('T', 'V9', 'I');
-- One of the channel ids goes to another person.
select outcome from visitor_identity.resolve_visitor_detail('D-1', 'viber', 'xyz==');
select * from undone('T', 'I');
select * from visitors where visitor in ('T', 'V9', 'I');
select c.channel_user_id, who(c.visitor_id) as visitor
from visitor_identity.channel_identity as c
where c.account = 'undo_cases'
order by 1;
select * from chats where chat_id between 80 and 89;

-- 7. An undo that is rolled back was none.
begin;
select * from undone('V5', 'E');
rollback;
select visitor from chats where chat_id = 42;
select * from undone('V5', 'E');
select visitor from chats where chat_id = 42;
-- A table that was detached since is left alone; the others are put back.
insert into chat (chat_id, visitor_id)
values (91, '40000000-0000-4000-8000-000000000091');
insert into second_chat (chat_id, visitor_id)
values (91, '40000000-0000-4000-8000-000000000091');
insert into letter
values ('40000000-0000-4000-8000-000000000091', 'V91');
select visitor_identity.resolve_visitor('I-1', visitor_id => id('V91')) = id('I') as i;
select visitor_identity.detach_table('second_chat', keep_origin => true);
select * from undone('V91', 'I');
select * from chats where chat_id in (91, 1091);
delete from second_chat where chat_id = 91;
select visitor_identity.attach_chat_table('second_chat', fixed_account => 'undo_cases');

-- What is refused.
select f.what, r.state, r.message
from (
    values
        ('zero', 'undo_rebind(0)'),
        ('negative', 'undo_rebind(-1)'),
        ('null', 'undo_rebind(null)'),
        ('of another account', format('undo_rebind(%s, %L)', (select max(rebind_id) from rebindings), 'undo_cases_2')),
        ('of an unknown account', format('undo_rebind(%s, %L)', (select max(rebind_id) from rebindings), 'undo_cases_3'))
) as f (what, call)
cross join lateral refusal('select visitor_identity.' || f.call) as r;
begin read only;
select state, message, detail, hint from refusal($$select undone('V2', 'D')$$);
rollback;
\set VERBOSITY sqlstate
create role undo_cases_application;
select visitor_identity.grant_access('undo_cases_application', 'application');
set role undo_cases_application;
select visitor_identity.undo_rebind(1);
reset role;
\set VERBOSITY default
-- Every promise holds after all of this.
select problem, chat_table, chat_key from visitor_identity.check_integrity() where account like 'undo_cases%';

drop view chats, visitors, rebindings cascade;
reset visitor_identity.account;
select visitor_identity.detach_table('chat');
select visitor_identity.detach_table('second_chat');
set client_min_messages = warning;
drop schema undo_cases cascade;
drop owned by undo_cases_application;
drop role undo_cases_application;
