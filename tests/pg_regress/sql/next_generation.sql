-- A computed id is taken only if nobody had it, or its holder is live, anonymous, unclaimed and without identifiers; otherwise the next generation is computed.
create schema next_generation;
set search_path = next_generation;
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
    account text default 'next_generation'
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
insert into visitor_identity.account (account, namespace)
values ('next_generation', '6ba7b810-9dad-11d1-80b4-00c04fd430c8');
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
select visitor_identity.attach_chat_table('chat', fixed_account => 'next_generation');
create view chats as
select
    c.chat_id,
    who(c.visitor_id) as visitor,
    who(c.origin_visitor_id) as origin,
    c.provided_visitor_id as provided
from chat as c
order by c.chat_id;
-- A chat row brought the very id that is computed for C-1 later: its anonymous holder is identified in place, nothing moves.
select visitor_identity.derive_visitor_id('C-1', 'next_generation') as computed \gset
insert into chat (chat_id, visitor_id)
values (1, :'computed');
select named('holder', :'computed');
select * from seen('?', 'C-1');
select * from seen('?', 'C-1', visitor_id => :'computed');
table chats;
select identified, superseded_by is null as live from visitor_identity.visitor where account = 'next_generation' and visitor_id = :'computed';
-- The same when the visitor shows his own computed id as the cookie of his first login.
select visitor_identity.derive_visitor_id('C-2', 'next_generation') as computed \gset
insert into chat (chat_id, visitor_id)
values (2, :'computed');
select named('holder 2', :'computed');
select * from seen('?', 'C-2', visitor_id => :'computed');

-- Not free: a channel id is bound to the holder.
select visitor_identity.derive_visitor_id('C-3', 'next_generation') as computed \gset
insert into visitor_identity.visitor (account, visitor_id)
values ('next_generation', :'computed');
insert into visitor_identity.channel_identity (account, channel_type, channel_id, channel_user_id, visitor_id)
values ('next_generation', 'telegram', '', '33333333', :'computed');
select named('holder 3', :'computed');
select * from seen('C3', 'C-3');
-- Superseded.
insert into visitor_identity.visitor (account, visitor_id, superseded_by)
select 'next_generation', visitor_identity.derive_visitor_id('C-42', 'next_generation'), visitor_id
from letter
where name = 'holder';
select * from seen('C42', 'C-42');
select visitor_id = '348f117a-1159-5bda-8065-4c8992cb5a41' as generation_1 from letter where name = 'C42';
-- Claimed, forgotten, identified.
insert into visitor_identity.visitor (account, visitor_id, claimed_by)
select 'next_generation', visitor_identity.derive_visitor_id('C-5', 'next_generation'), visitor_id
from letter
where name = 'holder';
insert into visitor_identity.visitor (account, visitor_id, forgotten)
values ('next_generation', visitor_identity.derive_visitor_id('C-6', 'next_generation'), true);
insert into visitor_identity.visitor (account, visitor_id, identified)
values ('next_generation', visitor_identity.derive_visitor_id('C-7', 'next_generation'), true);
select p.provided, d.outcome, d.basis, d.visitor_id <> visitor_identity.derive_visitor_id(p.provided, 'next_generation') as another_id, substr(d.visitor_id::text, 15, 1) as version
from (values ('C-5'), ('C-6'), ('C-7')) as p (provided)
cross join lateral visitor_identity.resolve_visitor_detail(p.provided, account => 'next_generation') as d;
-- Bound for good: the same answer from now on.
select p.provided, d.outcome, d.visitor_id <> visitor_identity.derive_visitor_id(p.provided, 'next_generation') as another_id
from (values ('C-5'), ('C-6'), ('C-7')) as p (provided)
cross join lateral visitor_identity.resolve_visitor_detail(p.provided, account => 'next_generation') as d;
-- md5 is for generation 0 only; the next is uuid_v5.
update visitor_identity.account
set derivation = 'md5'
where account = 'next_generation';
insert into visitor_identity.visitor (account, visitor_id, forgotten)
values ('next_generation', md5('M-1')::uuid, true);
select visitor_id <> md5('M-1')::uuid as another_id, substr(visitor_id::text, 15, 1) as version
from visitor_identity.resolve_visitor_detail('M-1', account => 'next_generation');
-- A channel's computed id: the second generation is the known constant, when the first two are taken.
insert into visitor_identity.visitor (account, visitor_id, forgotten)
values ('next_generation', '8618041f-9dd1-5679-9204-749968840969', true);
select * from seen('F1', channel_type => 'facebook', channel_id => 'page-1', channel_user_id => '103458712527651');
insert into visitor_identity.visitor (account, visitor_id, forgotten)
select 'next_generation', visitor_id, true from letter where name = 'F1'
on conflict (account, visitor_id) do update
set forgotten = true;
delete from visitor_identity.channel_identity
where account = 'next_generation' and channel_user_id = '103458712527651';
select * from seen('F2', channel_type => 'facebook', channel_id => 'page-1', channel_user_id => '103458712527651');
select visitor_id = 'd4ae5e56-6f4b-5c22-8c4f-13724ebffeb6' as generation_2 from letter where name = 'F2';
-- A tombstone's id is unknown as a cookie and never adopted again by a chat row.
select * from seen('New', visitor_id => '8618041f-9dd1-5679-9204-749968840969');
insert into chat (chat_id, visitor_id)
values (10, '8618041f-9dd1-5679-9204-749968840969'), (11, '8618041f-9dd1-5679-9204-749968840969');
select count(*) filter (where visitor_id = '8618041f-9dd1-5679-9204-749968840969') as adopted, count(visitor_id) as assigned
from chat
where chat_id in (10, 11);
select visitor_identity.detach_table('chat');
set client_min_messages = warning;
drop schema next_generation cascade;
