-- When a visitor authorizes, his earlier chats move to his canonical visitor, whatever came first.
create schema authorization_rebinds_earlier_chats;
set search_path = authorization_rebinds_earlier_chats;
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
    account text default 'authorization_rebinds_earlier_chats'
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
insert into visitor_identity.account (account) values ('authorization_rebinds_earlier_chats');
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
select visitor_identity.attach_chat_table('chat', fixed_account => 'authorization_rebinds_earlier_chats');
create view chats as
select
    c.chat_id,
    who(c.visitor_id) as visitor,
    who(c.origin_visitor_id) as origin,
    c.provided_visitor_id as provided
from chat as c
order by c.chat_id;

-- Two chats of a browser, one of another browser, then the first browser logs in.
select * from seen('V');
select * from seen('W');
select visitor_id as v from letter where name = 'V' \gset
select visitor_id as w from letter where name = 'W' \gset
insert into chat (chat_id, visitor_id)
values (1, :'v'), (2, :'v'), (3, :'w');
select * from seen('C', provided_visitor_id => 'C-1', visitor_id => :'v');
table chats;
-- The old cookie is C now, for ever; resolving again changes nothing.
select * from seen('?', visitor_id => :'v');
select * from seen('?', provided_visitor_id => 'C-1', visitor_id => :'v');
select who(visitor_identity.find_visitor(visitor_id => :'v', account => 'authorization_rebinds_earlier_chats')) as found;
-- The second browser logs in as the same person; its chat comes along.
select * from seen('?', provided_visitor_id => 'C-1', visitor_id => :'w');
table chats;

-- A channel visitor with chats, who is then authorized there.
select * from seen('T', channel_type => 'telegram', channel_user_id => '11111111');
insert into chat (chat_id, channel_type, channel_user_id)
values (4, 'telegram', '11111111');
table chats;
select * from seen('?', provided_visitor_id => 'C-1', channel_type => 'telegram', channel_user_id => '11111111');
table chats;
-- From now on the channel id alone is C.
select * from seen('?', channel_type => 'telegram', channel_user_id => '11111111');
-- An unbound channel id beside a provided id is bound to C.
select * from seen('?', provided_visitor_id => 'C-1', channel_type => 'viber', channel_user_id => 'abc');
select * from seen('?', channel_type => 'viber', channel_user_id => 'abc');

-- Two candidates in one request: cookie and channel id, both anonymous; authorized once, both absorbed.
select * from seen('X');
select visitor_id as x from letter where name = 'X' \gset
select * from seen('Y', channel_type => 'telegram', channel_user_id => '22222222');
insert into chat (chat_id, visitor_id, channel_type, channel_user_id)
values (5, :'x', null, null), (6, null, 'telegram', '22222222'), (7, null, 'telegram', '22222222');
select * from seen('D', 'D-1', 'telegram', '22222222', :'x');
table chats;

-- An unknown cookie is no candidate.
select * from seen('E', provided_visitor_id => 'E-1', visitor_id => '5f0e1d2c-3b4a-4958-8776-655443322110');
-- A visitor's own cookie is no merge with himself.
select visitor_id as e from letter where name = 'E' \gset
select * from seen('?', provided_visitor_id => 'E-1', visitor_id => :'e');

-- Order of arrival does not matter for one person's identifiers: chat first, then login, or the reverse.
insert into chat (chat_id, visitor_id)
values (10, '10000000-0000-4000-8000-000000000001');
insert into chat (chat_id, visitor_id, provided_visitor_id)
values (11, '10000000-0000-4000-8000-000000000001', 'F-1');
insert into chat (chat_id, visitor_id, provided_visitor_id)
values (12, '10000000-0000-4000-8000-000000000002', 'G-1');
insert into chat (chat_id, visitor_id)
values (13, '10000000-0000-4000-8000-000000000002');
select
    count(distinct visitor_id) filter (where chat_id in (10, 11)) as visitors_chat_first,
    count(distinct visitor_id) filter (where chat_id in (12, 13)) as visitors_login_first
from chat
where chat_id >= 10;
select
    chat_id,
    visitor_id = visitor_identity.find_visitor(case when chat_id < 12 then 'F-1' else 'G-1' end, account => 'authorization_rebinds_earlier_chats') as canonical
from chat
where chat_id >= 10
order by chat_id;

-- No chat is on a superseded visitor, no pointer leads to one.
select count(*) as left_behind
from chat as c
join visitor_identity.visitor as v on v.account = 'authorization_rebinds_earlier_chats' and v.visitor_id = c.visitor_id
where v.superseded_by is not null;
select count(*) as deeper_than_one
from visitor_identity.visitor as v
join visitor_identity.visitor as s on s.account = v.account and s.visitor_id = v.superseded_by
where v.account = 'authorization_rebinds_earlier_chats' and s.superseded_by is not null;

select visitor_identity.detach_table('chat');
set client_min_messages = warning;
drop schema authorization_rebinds_earlier_chats cascade;
