-- Blank, zero and the well-known placeholders are no id, on every side: provided, channel and cookie.
create schema placeholders_are_no_id;
set search_path = placeholders_are_no_id;
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
    account text default 'placeholders_are_no_id'
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
insert into visitor_identity.account (account) values ('placeholders_are_no_id');
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
select visitor_identity.attach_chat_table('chat', fixed_account => 'placeholders_are_no_id');
create view chats as
select
    c.chat_id,
    who(c.visitor_id) as visitor,
    who(c.origin_visitor_id) as origin,
    c.provided_visitor_id as provided
from chat as c
order by c.chat_id;
-- T01, T02, T03, T04, T06: each with a note, each a visitor of its own, none bound; also quoted and in capitals.
create table worthless (value text);
insert into worthless
values
    (''), (' '), (E'\t'), (E'\u00a0'), (E'\u200b\ufeff'), ('0'), ('000'), ('000000000000'), ('0-0'), ('0.0'), ('-0'),
    ('00000000-0000-0000-0000-000000000000'), ('ffffffff-ffff-ffff-ffff-ffffffffffff'), ('FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF'),
    ('null'), ('NULL'), ('(null)'), ('<null>'), ('nil'), ('undefined'), ('None'), ('NaN'), ('anonymous'), ('Guest'), ('unknown'),
    ('[object Object]'), ('[object Undefined]'), ('distinct_id'), ('anonymousId'), ('user_id'), ('visitor_id'),
    ('provided_visitor_id'), ('true'), ('false'), ('n/a'), ('-1'), ('-'), ('{}'), ('[]'), ('Infinity'),
    ('{{user.id}}'), ('${userId}'), ('%USER_ID%'), ('"undefined"'), ('''null'''), ('\"null\"'), ('«None»'), (' "  undefined " ');
select w.value, d.outcome, d.basis, d.notes
from worthless as w
cross join lateral visitor_identity.resolve_visitor_detail(w.value, account => 'placeholders_are_no_id') as d
where (d.outcome, d.basis, d.notes) is distinct from ('created', 'none', '{blocked_identifier}'::text[]);
select w.value, d.outcome, d.basis, d.notes
from worthless as w
cross join lateral visitor_identity.resolve_visitor_detail(
    channel_type => 'viber', channel_user_id => w.value, account => 'placeholders_are_no_id'
) as d
where (d.outcome, d.basis, d.notes) is distinct from ('created', 'none', '{blocked_identifier}'::text[]);
select
    count(*) as values_tried,
    count(visitor_identity.find_visitor(w.value, account => 'placeholders_are_no_id')) as found,
    count(visitor_identity.derive_visitor_id(w.value, 'placeholders_are_no_id')) as derived,
    count(visitor_identity.normalize_provided_visitor_id(w.value)) as normalized
from worthless as w;
-- The cookie: nil and all ones.
select * from seen('N1', visitor_id => '00000000-0000-0000-0000-000000000000');
select * from seen('N2', visitor_id => 'ffffffff-ffff-ffff-ffff-ffffffffffff');
-- A placeholder beside something usable does not count and does no harm.
select * from seen('V');
select visitor_id as v from letter where name = 'V' \gset
select * from seen('?', provided_visitor_id => 'undefined', visitor_id => :'v');
select * from seen('T', 'null', 'telegram', '67854257', :'v');
select * from seen('C', 'C-1', 'telegram', '0', :'v');
-- Chat rows of one page with the bug: as many people as chats, the same cookie is still the same visitor.
insert into chat (chat_id, provided_visitor_id)
select n, w.value
from (select row_number() over () as n, value from worthless) as w;
insert into chat (chat_id, visitor_id, provided_visitor_id)
values (101, '40000000-0000-4000-8000-000000000001', 'undefined'), (102, '40000000-0000-4000-8000-000000000001', '0');
select
    count(*) filter (where chat_id < 100) = count(distinct visitor_id) filter (where chat_id < 100) as all_different,
    count(distinct visitor_id) filter (where chat_id > 100) as visitors_of_one_cookie
from chat;
select string_agg(provided_visitor_id, ', ') as bound
from visitor_identity.provided_identity
where account = 'placeholders_are_no_id';
select count(*) as channels_bound
from visitor_identity.channel_identity
where account = 'placeholders_are_no_id' and channel_user_id <> '67854257';

-- What only looks like one is an id.
select w.value
from (values ('1'), ('10'), ('na'), ('no'), ('test'), ('admin'), ('0a'), ('00000000-0000-0000-0000-000000000001'), ('nullable'), ('guest1'), ('０')) as w (value)
where visitor_identity.find_visitor(w.value, account => 'placeholders_are_no_id') is not null
    or visitor_identity.normalize_provided_visitor_id(w.value) is distinct from w.value;

-- A DBA adds values, for his account alone: any case, also quoted; from the next call on. T70
insert into visitor_identity.account (account) values ('placeholders_are_no_id_2');
select * from seen('P', provided_visitor_id => '$posthog_cookieless');
insert into visitor_identity.blocked_identifier (account, identifier)
values ('placeholders_are_no_id', '"$PostHog_Cookieless"'), ('placeholders_are_no_id', '99999999');
select * from seen('N3', provided_visitor_id => '$posthog_cookieless');
select * from seen('N4', provided_visitor_id => '''$POSTHOG_COOKIELESS''');
select * from seen('N5', channel_type => 'telegram', channel_user_id => '99999999');
select * from seen('P2', provided_visitor_id => '$posthog_cookieless', account => 'placeholders_are_no_id_2');
delete from visitor_identity.blocked_identifier
where account = 'placeholders_are_no_id';
select * from seen('?', provided_visitor_id => '$posthog_cookieless');
select visitor_identity.detach_table('chat');
set client_min_messages = warning;
drop schema placeholders_are_no_id cascade;
