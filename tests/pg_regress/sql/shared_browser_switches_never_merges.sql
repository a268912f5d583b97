-- Several people at one browser or one channel: the visitor switches, two people never become one.
create schema shared_browser_switches_never_merges;
set search_path = shared_browser_switches_never_merges;
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
    account text default 'shared_browser_switches_never_merges'
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
insert into visitor_identity.account (account) values ('shared_browser_switches_never_merges');
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
select visitor_identity.attach_chat_table('chat', fixed_account => 'shared_browser_switches_never_merges');
create view chats as
select
    c.chat_id,
    who(c.visitor_id) as visitor,
    who(c.origin_visitor_id) as origin,
    c.provided_visitor_id as provided
from chat as c
order by c.chat_id;

-- T16, T19: A logs in, logs out, B logs in with the same cookie: two visitors; A's chats stay with A.
select * from seen('V');
select visitor_id as v from letter where name = 'V' \gset
insert into chat (chat_id, visitor_id)
values (1, :'v');
select * from seen('A', provided_visitor_id => 'A-1', visitor_id => :'v');
insert into chat (chat_id, visitor_id, provided_visitor_id)
values (2, :'v', 'A-1');
select * from seen('B', provided_visitor_id => 'B-1', visitor_id => :'v');
insert into chat (chat_id, visitor_id, provided_visitor_id)
values (3, :'v', 'B-1');
table chats;
-- T14: identified and identified, in every path: calls, rows inserted, rows updated.
select visitor_id as a from letter where name = 'A' \gset
select visitor_id as b from letter where name = 'B' \gset
select * from seen('?', provided_visitor_id => 'B-1', visitor_id => :'a');
insert into chat (chat_id, visitor_id, provided_visitor_id)
values (4, :'a', 'B-1');
update chat
set provided_visitor_id = 'B-1'
where chat_id = 2;
table chats;
update chat
set provided_visitor_id = 'A-1'
where chat_id = 2;
select
    v.superseded_by is null as live,
    v.identified,
    who(v.visitor_id)
from visitor_identity.visitor as v
where v.account = 'shared_browser_switches_never_merges' and v.visitor_id in (:'a', :'b')
order by 3;

-- T21: three logins on one device make no path between any two of them.
select * from seen('D', provided_visitor_id => 'D-1', visitor_id => :'v');
select * from seen('?', provided_visitor_id => 'A-1');
select * from seen('?', provided_visitor_id => 'B-1');

-- T20, T22, T23: after the logout the client has a new cookie; the chat between A's logout and B's login is B's, and the
-- anonymous visitor in between sees nothing.
select * from seen('W');
select visitor_id as w from letter where name = 'W' \gset
select count(*) as chats_of_the_new_cookie
from chat
where visitor_id = :'w';
insert into chat (chat_id, visitor_id)
values (5, :'w');
select * from seen('?', provided_visitor_id => 'B-1', visitor_id => :'w');
select * from chats where chat_id = 5;

-- A shared channel id: the latest authorization wins, chats stay where they were.
select * from seen('T', channel_type => 'telegram', channel_user_id => '33333333');
insert into chat (chat_id, channel_type, channel_user_id)
values (6, 'telegram', '33333333');
select * from seen('?', provided_visitor_id => 'A-1', channel_type => 'telegram', channel_user_id => '33333333');
select * from seen('?', channel_type => 'telegram', channel_user_id => '33333333');
select * from seen('?', provided_visitor_id => 'B-1', channel_type => 'telegram', channel_user_id => '33333333');
select * from seen('?', channel_type => 'telegram', channel_user_id => '33333333');
insert into chat (chat_id, channel_type, channel_user_id)
values (7, 'telegram', '33333333');
table chats;

-- One free and one identified candidate: the free one moves (authorized), nothing of the other does.
select * from seen('Z');
select visitor_id as z from letter where name = 'Z' \gset
insert into chat (chat_id, visitor_id)
values (8, :'z');
select * from seen('E', 'E-1', 'telegram', '33333333', :'z');
table chats;
select * from seen('?', channel_type => 'telegram', channel_user_id => '33333333');

-- Whatever happened, no identified visitor was ever superseded.
select count(*) as identified_and_superseded
from visitor_identity.visitor
where account = 'shared_browser_switches_never_merges' and identified and superseded_by is not null;

select visitor_identity.detach_table('chat');
set client_min_messages = warning;
drop schema shared_browser_switches_never_merges cascade;
