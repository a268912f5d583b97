-- After forget_visitor no table of the extension holds a value of the person: every column of every table is searched for every
-- value that was put in. Other people keep theirs.
create schema forgetting_erases;
set search_path = forgetting_erases;
insert into visitor_identity.account (account)
values ('forgetting_erases');
set visitor_identity.account = 'forgetting_erases';
select pg_typeof(visitor_identity.add_signature_key('the key', 'sha256'));
-- What a client with a sha256 key does.
create function signed(fields jsonb)
returns jsonb
language sql
as $$
    select jsonb_build_object(
        'fields', fields,
        'hash', encode(sha256(convert_to(concat(string_agg(f.value, '' order by f.key collate "C"), 'the key'), 'UTF8')), 'hex')
    )
    from jsonb_each_text(fields) as f
$$;
-- In which columns of the extension's tables, and of this schema's, a value is found.
create function found_in(value text)
returns setof text
language plpgsql
as $$
declare
    place record;
    hit boolean;
begin
    for place in
        select c.oid::regclass as relation, a.attname as name
        from pg_class as c
        join pg_attribute as a on a.attrelid = c.oid
        where c.relnamespace in ('visitor_identity'::regnamespace, 'forgetting_erases'::regnamespace)
            and c.relkind in ('r', 'p')
            and not c.relispartition
            and c.oid <> 'planted'::regclass
            and a.attnum > 0
            and not a.attisdropped
        order by 1, 2
    loop
        execute format('select exists (select from %s as t where strpos(t.%I::text, $1) > 0)', place.relation, place.name)
        into hit
        using value;
        if hit then
            return next place.relation || '.' || place.name;
        end if;
    end loop;
end
$$;
create table chat (
    chat_id integer primary key,
    visitor_id uuid,
    provided_visitor_id text,
    channel_type text,
    channel_user_id text,
    closed_at date
);
create index on chat (visitor_id);
select visitor_identity.attach_chat_table('chat', fixed_account => 'forgetting_erases');
create table note (
    note_id integer primary key,
    visitor_id uuid,
    words text
);
create index on note (visitor_id);
select visitor_identity.attach_visitor_table('note', fixed_account => 'forgetting_erases');

-- Alice: an anonymous visit, two channels of which one got another id and one was pointed elsewhere, two contracts that a human joined,
-- signed fields on both, a rebinding that is owed, and one that was undone.
insert into chat (chat_id, visitor_id)
values (1, '40000000-0000-4000-8000-000000000001'), (2, '40000000-0000-4000-8000-000000000002'), (3, '40000000-0000-4000-8000-000000000003');
select visitor_identity.authorize_visitor(
    signed('{"id": "alice-crm-1", "display_name": "Alicia Thornquist", "phone": "+15550001111", "email": "alice@thornquist.example"}'),
    '40000000-0000-4000-8000-000000000001', 'telegram', '71000001'
) is not null as authorized;
select visitor_identity.authorize_visitor(
    signed('{"id": "alice-crm-2", "display_name": "A. P. Thornquist", "phone": "+15550002222"}'),
    channel_type => 'whatsapp', channel_user_id => '15550003333'
) is not null as authorized;
select visitor_identity.rename_channel_user('telegram', '71000001', '71000002') is not null as renamed;
insert into chat (chat_id, provided_visitor_id, channel_type, channel_user_id)
values (4, 'alice-crm-1', 'telegram', '71000002'), (5, 'alice-crm-2', 'whatsapp', '15550003333');
select visitor_identity.merge_visitors(
    visitor_identity.find_visitor('alice-crm-2'), visitor_identity.find_visitor('alice-crm-1'), 'Alicia Thornquist said so on the phone'
) is not null as merged;
select outcome from visitor_identity.resolve_visitor_detail('alice-crm-1', visitor_id => '40000000-0000-4000-8000-000000000002');
select count(*) > 0 as undone
from visitor_identity.rebind as r
cross join lateral visitor_identity.undo_rebind(r.rebind_id, r.account)
where r.account = 'forgetting_erases' and r.from_visitor_id = '40000000-0000-4000-8000-000000000002';
select visitor_identity.register_device(
    visitor_identity.find_visitor('alice-crm-1'), 'shop', '0a1b2c3d-4e5f-4071-8293-a4b5c6d7e8f9', 'fcm', 'the-token-of-thornquist'
) is not null as registered;
-- Bob has one of everything, too.
select visitor_identity.authorize_visitor(
    signed('{"id": "bob-crm-1", "display_name": "Bob Sawyer", "phone": "+15550004444"}'),
    channel_type => 'telegram', channel_user_id => '71000009'
) is not null as authorized;
insert into chat (chat_id, provided_visitor_id)
values (6, 'bob-crm-1');

-- Alice's page on Bob's computer: a refused link between the two.
select outcome from visitor_identity.resolve_visitor_detail('alice-crm-1', visitor_id => visitor_identity.find_visitor('bob-crm-1'));
insert into note (note_id, visitor_id, words)
values (1, '40000000-0000-4000-8000-000000000001', 'Alicia Thornquist likes tea'), (2, visitor_identity.find_visitor('bob-crm-1'), 'Bob Sawyer does not');

-- Last, because whoever meets the two completes it.
insert into visitor_identity.pending_rebind (account, visitor_id, to_visitor_id)
values ('forgetting_erases', '40000000-0000-4000-8000-000000000003', visitor_identity.find_visitor('alice-crm-1'));

create table planted (
    person text,
    value text
);
insert into planted
values
    ('alice', 'alice-crm-1'), ('alice', 'alice-crm-2'), ('alice', '71000001'), ('alice', '71000002'), ('alice', '15550003333'),
    ('alice', 'Alicia'), ('alice', 'Thornquist'), ('alice', '15550001111'), ('alice', '15550002222'), ('alice', 'thornquist.example'),
    ('alice', 'the-token-of-thornquist'), ('alice', '0a1b2c3d-4e5f-4071-8293-a4b5c6d7e8f9'),
    ('bob', 'bob-crm-1'), ('bob', 'Bob Sawyer'), ('bob', '15550004444'), ('bob', '71000009');
select p.person, p.value, string_agg(f.place, ', ' order by f.place) as found_in
from planted as p
left join lateral found_in(p.value) as f (place) on true
group by 1, 2
order by 1, 2;

-- What identifies her in the notes the extension cannot know: it must be told what to do with them.
select * from visitor_identity.forget_visitor(visitor_identity.find_visitor('alice-crm-1'));
\echo :LAST_ERROR_SQLSTATE
create table told as
select *
from visitor_identity.forget_visitor(visitor_identity.find_visitor('alice-crm-1'), per_table => '{"forgetting_erases.note": "delete"}');
select p.person, p.value, string_agg(f.place, ', ' order by f.place) as found_in
from planted as p
left join lateral found_in(p.value) as f (place) on true
group by 1, 2
order by 1, 2;
table told order by erased_table::text, action;
-- A table with a visitor in it from which nothing was erased, although something of everybody was planted in each of them, is one
-- that was forgotten: there is none. Those with no visitor of their own are listed, to be looked at when one is added.
select c.oid::regclass as forgotten_table
from pg_class as c
where c.relnamespace = 'visitor_identity'::regnamespace
    and c.relkind in ('r', 'p')
    and not c.relispartition
    -- Never filled.
    and c.relname not like 'restored\_%'
    and exists (
        select
        from pg_attribute as a
        where a.attrelid = c.oid
            and a.attname ~ 'visitor_id$'
            and not a.attisdropped
    )
    and c.oid not in (select t.erased_table from told as t);
select c.oid::regclass as holds_no_visitor
from pg_class as c
where c.relnamespace = 'visitor_identity'::regnamespace
    and c.relkind in ('r', 'p')
    and not c.relispartition
    and c.oid not in (select t.erased_table from told as t)
order by c.relname;
-- The tombstones, and nobody else: the visitor whose rebinding was undone is somebody's.
select v.superseded_by is null as canonical, v.forgotten, v.identified, v.claimed_by is null as unclaimed, count(*)
from visitor_identity.visitor as v
where v.account = 'forgetting_erases'
group by 1, 2, 3, 4
order by 1, 2, 3;
select problem, chat_key from visitor_identity.check_integrity() where account = 'forgetting_erases';

-- Erased by deletion of the rows: not in the application's table either.
insert into chat (chat_id, provided_visitor_id, channel_type, channel_user_id)
values (7, 'alice-crm-1', 'telegram', '71000002');
select * from visitor_identity.forget_visitor(visitor_identity.find_visitor('alice-crm-1'), 'delete') order by erased_table::text;
select p.value, f.place
from planted as p
cross join lateral found_in(p.value) as f (place)
where p.person = 'alice';
select chat_id, provided_visitor_id from chat order by 1;
-- Kept: nothing in the extension, and in the application's table what was there.
insert into chat (chat_id, provided_visitor_id, channel_type, channel_user_id)
values (7, 'alice-crm-1', 'telegram', '71000002');
select * from visitor_identity.forget_visitor(visitor_identity.find_visitor('alice-crm-1'), 'keep') order by erased_table::text;
select p.value, f.place
from planted as p
cross join lateral found_in(p.value) as f (place)
where p.person = 'alice'
order by 1, 2;
select problem, chat_key from visitor_identity.check_integrity() where account = 'forgetting_erases';
-- Bob is who he was.
select visitor_identity.find_visitor('bob-crm-1') = visitor_id as bob from chat where chat_id = 6;

reset visitor_identity.account;
set client_min_messages = warning;
select visitor_identity.detach_table('chat');
select visitor_identity.detach_table('note');
drop schema forgetting_erases cascade;
