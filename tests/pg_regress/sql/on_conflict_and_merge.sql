-- ON CONFLICT, rows dropped by another trigger, MERGE and data-modifying CTEs: nothing is moved for a row that was not written.
create schema on_conflict_and_merge;
set search_path = on_conflict_and_merge;
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
-- resolve_visitor_detail, with letters for the visitors and counts for the rebindings.
create function seen(
    wanted text,
    provided_visitor_id text default null,
    channel_type text default null,
    channel_user_id text default null,
    visitor_id uuid default null,
    channel_id text default '',
    account text default 'on_conflict_and_merge'
)
returns table (
    visitor text,
    outcome text,
    basis text,
    absorbed text,
    rebindings bigint,
    chats bigint,
    notes text
)
language sql
as $$
    select
        named(wanted, d.visitor_id),
        d.outcome,
        d.basis,
        (select string_agg(who(p), ', ' order by n) from unnest(d.previous_visitor_ids) with ordinality as u (p, n)),
        cardinality(d.rebind_ids),
        d.rebound_chats,
        array_to_string(d.notes, ', ')
    from visitor_identity.resolve_visitor_detail(
        seen.provided_visitor_id, seen.channel_type, seen.channel_user_id,
        seen.visitor_id, seen.channel_id, seen.account
    ) as d
$$;
insert into visitor_identity.account (account) values ('on_conflict_and_merge');
create table chat (
    chat_id integer primary key,
    visitor_id uuid,
    origin_visitor_id uuid,
    provided_visitor_id text,
    channel_type text,
    channel_id text,
    channel_user_id text,
    opened_at timestamptz,
    closed_at timestamptz
);
create index on chat (visitor_id);
create index on chat (channel_user_id);
select visitor_identity.attach_chat_table('chat', fixed_account => 'on_conflict_and_merge');
create view chats as
select
    c.chat_id,
    who(c.visitor_id) as visitor,
    who(c.origin_visitor_id) as origin,
    c.provided_visitor_id as provided
from chat as c
order by c.chat_id;
select
    named('V', '40000000-0000-4000-8000-000000000001'),
    named('W', '40000000-0000-4000-8000-000000000002'),
    named('X', '40000000-0000-4000-8000-000000000003'),
    named('Y', '40000000-0000-4000-8000-000000000004');
insert into chat (chat_id, visitor_id)
values
    (1, '40000000-0000-4000-8000-000000000001'),
    (2, '40000000-0000-4000-8000-000000000001'),
    (3, '40000000-0000-4000-8000-000000000002'),
    (4, '40000000-0000-4000-8000-000000000002'),
    (5, '40000000-0000-4000-8000-000000000003'),
    (6, '40000000-0000-4000-8000-000000000003'),
    (7, '40000000-0000-4000-8000-000000000004'),
    (8, '40000000-0000-4000-8000-000000000004');

-- DO NOTHING: the proposed row is not written; its id is bound, V is untouched, nothing is lost.
insert into chat (chat_id, visitor_id, provided_visitor_id)
values (1, '40000000-0000-4000-8000-000000000001', 'C-1')
on conflict do nothing;
select * from seen('C', provided_visitor_id => 'C-1');
select * from chats where chat_id in (1, 2);
select * from seen('?', visitor_id => '40000000-0000-4000-8000-000000000001');
-- DO UPDATE that does not touch the provided id: the same.
insert into chat (chat_id, visitor_id, provided_visitor_id)
values (1, '40000000-0000-4000-8000-000000000001', 'C-1')
on conflict (chat_id) do update
set closed_at = '2024-05-01';
select * from chats where chat_id in (1, 2);
-- DO UPDATE that takes it over: authorizes.
insert into chat (chat_id, visitor_id, provided_visitor_id)
values (1, '40000000-0000-4000-8000-000000000001', 'C-1')
on conflict (chat_id) do update
set provided_visitor_id = excluded.provided_visitor_id;
select * from chats where chat_id in (1, 2);
-- DO UPDATE that writes the visitor of the proposed row: the row moves to C as decided, the log says so.
insert into chat (chat_id, visitor_id, provided_visitor_id)
values (3, '40000000-0000-4000-8000-000000000002', 'C-1')
on conflict (chat_id) do update
set visitor_id = excluded.visitor_id, provided_visitor_id = excluded.provided_visitor_id;
select * from chats where chat_id in (3, 4);

-- A later BEFORE trigger drops the row: nothing moves. What was left in memory does not spill over to the next row with that key.
create function drop_row()
returns trigger
language plpgsql
as $$
begin
    return null;
end
$$;
create trigger zz_drop_row
before insert on chat
for each row execute function drop_row();
insert into chat (chat_id, visitor_id, provided_visitor_id)
values (9, '40000000-0000-4000-8000-000000000003', 'D-1');
select * from chats where chat_id in (5, 6, 9);
select * from seen('?', visitor_id => '40000000-0000-4000-8000-000000000003');
begin;
insert into chat (chat_id, visitor_id, provided_visitor_id)
values (9, '40000000-0000-4000-8000-000000000003', 'D-1');
drop trigger zz_drop_row on chat;
insert into chat (chat_id, visitor_id)
values (9, '40000000-0000-4000-8000-000000000003');
commit;
select * from chats where chat_id in (5, 6, 9);

-- Also not where a row with that key is written later that has nothing to do with X.
begin;
insert into chat (chat_id, visitor_id, provided_visitor_id)
values (9, '40000000-0000-4000-8000-000000000003', 'D-1')
on conflict do nothing;
delete from chat
where chat_id = 9;
insert into chat (chat_id, provided_visitor_id)
values (9, 'D-1');
commit;
select named('D', visitor_id) from chat where chat_id = 9;
select * from chats where chat_id in (5, 6, 9);

-- MERGE: inserts and authorizes in one statement.
merge into chat as c
using (values (5, 'D-1'), (10, 'D-1')) as n (chat_id, provided)
on c.chat_id = n.chat_id
when matched then
    update set provided_visitor_id = n.provided
when not matched then
    insert (chat_id, provided_visitor_id) values (n.chat_id, n.provided);
select * from seen('D', provided_visitor_id => 'D-1');
select * from chats where chat_id in (5, 6, 9, 10);

-- A data-modifying CTE touches a sibling chat in the same statement.
with sibling as (
    update chat
    set closed_at = '2024-05-02'
    where chat_id = 8
    returning chat_id
)
update chat
set provided_visitor_id = 'E-1'
where chat_id = 7;
select * from seen('E', provided_visitor_id => 'E-1');
select * from chats where chat_id in (7, 8);

-- A transaction that is rolled back, wholly or to a savepoint, leaves no trace, in the tables nor in memory.
insert into chat (chat_id, visitor_id)
values (11, '40000000-0000-4000-8000-000000000011'), (12, '40000000-0000-4000-8000-000000000011');
select named('Z', '40000000-0000-4000-8000-000000000011');
begin;
savepoint s;
update chat
set provided_visitor_id = 'F-1'
where chat_id = 11;
rollback to savepoint s;
update chat
set closed_at = '2024-05-03'
where chat_id = 11;
commit;
select * from chats where chat_id in (11, 12);
select visitor_identity.find_visitor('F-1', account => 'on_conflict_and_merge') is null as nothing_bound;

select count(*) as left_behind
from chat as c
join visitor_identity.visitor as v on v.account = 'on_conflict_and_merge' and v.visitor_id = c.visitor_id
where v.superseded_by is not null;
select visitor_identity.detach_table('chat');
set client_min_messages = warning;
drop schema on_conflict_and_merge cascade;
