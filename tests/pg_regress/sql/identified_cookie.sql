-- identified_cookie: auto takes the bare cookie of an identified visitor, except under md5 or require_signature; never applies to chat rows.
create schema identified_cookie;
set search_path = identified_cookie;
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
    account text default 'identified_cookie'
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
insert into visitor_identity.account (account) values ('identified_cookie');
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
select visitor_identity.attach_chat_table('chat', fixed_account => 'identified_cookie');
create view chats as
select
    c.chat_id,
    who(c.visitor_id) as visitor,
    who(c.origin_visitor_id) as origin,
    c.provided_visitor_id as provided
from chat as c
order by c.chat_id;
insert into chat (chat_id, visitor_id)
values (1, '40000000-0000-4000-8000-000000000001');
select named('V', '40000000-0000-4000-8000-000000000001');
select * from seen('C', 'C-1', visitor_id => '40000000-0000-4000-8000-000000000001');
select visitor_id as c from letter where name = 'C' \gset
create function cookie(derivation_is text, signature boolean, cookie_is text)
returns table (derivation text, require_signature boolean, identified_cookie text, by_cookie text, by_superseded text, notes text)
language plpgsql
as $$
begin
    update visitor_identity.account as a
    set derivation = derivation_is, require_signature = signature, identified_cookie = cookie_is
    where a.account = 'identified_cookie';
    return query
    select
        derivation_is,
        signature,
        cookie_is,
        who(d.visitor_id),
        who(visitor_identity.resolve_visitor(visitor_id => '40000000-0000-4000-8000-000000000001', account => 'identified_cookie')),
        array_to_string(d.notes, ', ')
    from letter as l
    cross join lateral visitor_identity.resolve_visitor_detail(visitor_id => l.visitor_id, account => 'identified_cookie') as d
    where l.name = 'C';
end
$$;
select * from cookie('uuid_v5', false, 'auto');
select * from cookie('md5', false, 'auto');
select * from cookie('uuid_v5', true, 'auto');
select * from cookie('uuid_v5', false, 'accept');
select * from cookie('md5', false, 'accept');
select * from cookie('uuid_v5', true, 'accept');
select * from cookie('uuid_v5', false, 'ignore');
select * from cookie('md5', true, 'ignore');
-- find_visitor says the same: unknown.
select visitor_identity.find_visitor(visitor_id => :'c', account => 'identified_cookie') is null as unknown;
-- An anonymous cookie is taken under every value.
select * from seen('W');
select visitor_id as w from letter where name = 'W' \gset
select * from seen('?', visitor_id => :'w');
-- A chat row with that cookie is C's: whoever writes chats is trusted.
insert into chat (chat_id, visitor_id)
values (2, :'c'), (3, '40000000-0000-4000-8000-000000000001');
table chats;
-- With a provided id it is no bare cookie: a shared browser switches.
update visitor_identity.account
set require_signature = false
where account = 'identified_cookie';
select * from seen('D', 'D-1', visitor_id => :'c');
select visitor_identity.detach_table('chat');
set client_min_messages = warning;
drop schema identified_cookie cascade;
