-- A login that meets a visitor and does not absorb him leaves a row in refused_link: one for a visitor, a person and a reason, on every path.
create schema refused_links_are_recorded_once;
set search_path = refused_links_are_recorded_once;
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
    account text default 'refused_links_are_recorded_once'
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
insert into visitor_identity.account (account) values ('refused_links_are_recorded_once');
create table chat (
    chat_id integer primary key,
    visitor_id uuid,
    origin_visitor_id uuid,
    provided_visitor_id text,
    channel_type text,
    channel_id text,
    channel_user_id text
);
create index on chat (visitor_id);
create index on chat (channel_user_id);
select visitor_identity.attach_chat_table('chat', fixed_account => 'refused_links_are_recorded_once');
create view links as
select who(l.visitor_id) as visitor, who(l.to_visitor_id) as login, l.reason, count(*)
from visitor_identity.refused_link as l
where l.account = 'refused_links_are_recorded_once'
group by 1, 2, 3
order by min(l.refused_id);
-- identified: the visitor of another provided id, by the cookie, by the channel user id, and by both.
select * from seen('A', 'A-1', 'telegram', '67854257');
select visitor_id as a from letter where name = 'A' \gset
table links;
select * from seen('B', 'B-1', visitor_id => :'a');
select * from seen('?', 'B-1', visitor_id => :'a');
select * from seen('?', 'B-1', 'telegram', '67854257', :'a');
select * from seen('C', 'C-1', 'telegram', '67854257', :'a');
table links;
-- At the first sight of a provided id as well as later; a superseded cookie is its survivor.
select named('V', '40000000-0000-4000-8000-000000000001');
insert into chat (chat_id, visitor_id)
values (1, '40000000-0000-4000-8000-000000000001');
select * from seen('?', 'A-1', visitor_id => '40000000-0000-4000-8000-000000000001');
select * from seen('D', 'D-1', visitor_id => '40000000-0000-4000-8000-000000000001');
table links;
-- rebind_off, and then claimed for everybody else; the claimant meets him again for the same reason.
update visitor_identity.account
set on_authorization = 'keep'
where account = 'refused_links_are_recorded_once';
select * from seen('W');
select visitor_id as w from letter where name = 'W' \gset
select * from seen('?', 'A-1', visitor_id => :'w');
select * from seen('?', 'A-1', visitor_id => :'w');
select * from seen('?', 'B-1', visitor_id => :'w');
select * from seen('?', 'B-1', visitor_id => :'w');
select * from links where visitor = 'W';
-- rebind_limit: another reason, another row; with room the visitor is absorbed, and the rows stay.
update visitor_identity.account
set on_authorization = 'rebind', max_rebinds = 0
where account = 'refused_links_are_recorded_once';
select * from seen('?', 'A-1', visitor_id => :'w');
select * from links where visitor = 'W';
update visitor_identity.account
set max_rebinds = 1000
where account = 'refused_links_are_recorded_once';
select * from seen('?', 'A-1', visitor_id => :'w');
select * from links where visitor = 'W';
-- rebind_undone.
select visitor_identity.undo_rebind(r.rebind_id, r.account)
from visitor_identity.rebind as r
where r.account = 'refused_links_are_recorded_once'
    and r.from_visitor_id = :'w';
select * from seen('?', 'A-1', visitor_id => :'w');
select * from seen('?', 'A-1', visitor_id => :'w');
select * from links where visitor = 'W';

-- By chats: an INSERT, an UPDATE, many rows of one statement, COPY.
insert into chat (chat_id, visitor_id, provided_visitor_id)
values (10, :'a', 'E-1'), (11, :'a', 'E-1');
select named('E', visitor_identity.find_visitor('E-1', account => 'refused_links_are_recorded_once'));
insert into chat (chat_id, visitor_id)
values (12, :'a'), (13, :'a');
update chat
set provided_visitor_id = 'F-1'
where chat_id in (12, 13);
select named('F', visitor_identity.find_visitor('F-1', account => 'refused_links_are_recorded_once'));
copy chat (chat_id, visitor_id, provided_visitor_id) from stdin;
14	40000000-0000-4000-8000-000000000001	F-1
15	40000000-0000-4000-8000-000000000001	G-1
\.
select named('G', visitor_identity.find_visitor('G-1', account => 'refused_links_are_recorded_once'));
select * from links where login in ('E', 'F', 'G');
-- A row that ON CONFLICT drops, one that a trigger drops, and what is rolled back leave none.
insert into chat (chat_id, visitor_id, provided_visitor_id)
values (10, :'a', 'H-1')
on conflict do nothing;
create function nothing()
returns trigger
language plpgsql
as $$
begin
    return null;
end
$$;
create trigger z_nothing
before insert on chat
for each row execute function nothing();
insert into chat (chat_id, visitor_id, provided_visitor_id)
values (20, :'a', 'H-1');
drop trigger z_nothing on chat;
begin;
select * from seen('H', 'H-1', visitor_id => :'a');
savepoint s;
select * from seen('I', 'I-1', visitor_id => :'a');
rollback to savepoint s;
select login, reason, count from links where login in ('H', 'another');
rollback;
select count(*) as links_of_h from visitor_identity.refused_link where account = 'refused_links_are_recorded_once' and to_visitor_id = visitor_identity.find_visitor('H-1', account => 'refused_links_are_recorded_once');
-- The row of ON CONFLICT DO UPDATE is authorized: another id in the place of the one it had is a correction of the chat, no meeting.
insert into chat as c (chat_id, visitor_id, provided_visitor_id)
values (10, :'a', 'H-1')
on conflict (chat_id) do update
set provided_visitor_id = excluded.provided_visitor_id;
select named('H', visitor_identity.find_visitor('H-1', account => 'refused_links_are_recorded_once'));
select * from links where login = 'H';

-- Read-only: the known are answered and nothing is written.
begin read only;
select who(visitor_identity.resolve_visitor(
    'A-1', visitor_id => visitor_identity.find_visitor('B-1', account => 'refused_links_are_recorded_once'), account => 'refused_links_are_recorded_once'
)) as visitor;
commit;
begin isolation level serializable read only;
select who(visitor_identity.resolve_visitor(
    'A-1', visitor_id => visitor_identity.find_visitor('C-1', account => 'refused_links_are_recorded_once'), account => 'refused_links_are_recorded_once'
)) as visitor;
commit;
select count(*) as links_to_a from links where login = 'A' and visitor <> 'W';
-- Visitor ids only, and nothing for a wrong signature.
select visitor_identity.authorize_visitor('{"fields": {"id": "A-1"}, "hash": "0"}', :'w', account => 'refused_links_are_recorded_once');
select count(*) as links_with_an_id
from visitor_identity.refused_link as l
where l::text like '%-1,%' or l::text like '%67854257%';
select count(*) as rows, count(distinct (visitor_id, to_visitor_id, reason)) as different
from visitor_identity.refused_link
where account = 'refused_links_are_recorded_once';
select problem from visitor_identity.check_integrity() where account = 'refused_links_are_recorded_once';
select visitor_identity.detach_table('chat');
set client_min_messages = warning;
drop schema refused_links_are_recorded_once cascade;
