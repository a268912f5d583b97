-- export_visitor is one document with every value that was put in for a person, and with nothing of anybody else's but visitor_ids.
create schema export_visitor;
set search_path = export_visitor;
insert into visitor_identity.account (account, namespace)
values ('export_visitor', '11111111-1111-4111-8111-111111111111'), ('export_visitor_2', '11111111-1111-4111-8111-111111111112');
set visitor_identity.account = 'export_visitor';
set timezone = 'UTC';
select visitor_identity.add_signature_key('the key', 'sha256') as key_id \gset
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
create table chat (
    account text,
    chat_id integer,
    visitor_id uuid,
    provided_visitor_id text,
    channel_type text,
    channel_user_id text,
    t numeric,
    closed_at timestamptz,
    primary key (account, chat_id)
);
create index on chat (visitor_id);
select visitor_identity.attach_chat_table('chat');
create table "Other Chats" (
    "Chat" integer primary key,
    visitor_id uuid,
    subject text
);
create index on "Other Chats" (visitor_id);
select visitor_identity.attach_chat_table('"Other Chats"', fixed_account => 'export_visitor');
create table not_of_this_account (
    chat_id integer primary key,
    visitor_id uuid
);
create index on not_of_this_account (visitor_id);
select visitor_identity.attach_chat_table('not_of_this_account', fixed_account => 'export_visitor_2');

insert into chat (chat_id, visitor_id, t)
values (1, '40000000-0000-4000-8000-000000000001', 12345678901234567890123456789.5), (2, '40000000-0000-4000-8000-000000000002', 1);
insert into "Other Chats"
values (10, '40000000-0000-4000-8000-000000000001', 'a lost "hat"'), (9, '40000000-0000-4000-8000-000000000001', null);
select visitor_identity.authorize_visitor(
    signed('{"id": "person-1", "display_name": "Alice \"Pleasance\"", "phone": "+15550005555", "email": "alice@looking-glass.example"}'),
    '40000000-0000-4000-8000-000000000001', 'telegram', '72000001'
) as alice \gset
select visitor_identity.rename_channel_user('telegram', '72000001', '72000002') is not null as renamed;
insert into chat (chat_id, provided_visitor_id, channel_type, channel_user_id, closed_at)
values (3, 'person-1', 'telegram', '72000002', '2024-05-03 12:00Z');
select visitor_identity.merge_visitors(visitor_identity.resolve_visitor('person-2'), :'alice', 'she said so') is not null as merged;
update visitor_identity.account set on_authorization = 'keep' where account = 'export_visitor';
select outcome from visitor_identity.resolve_visitor_detail('person-1', visitor_id => '40000000-0000-4000-8000-000000000002');
update visitor_identity.account set on_authorization = 'rebind' where account = 'export_visitor';
insert into visitor_identity.pending_rebind (account, visitor_id, to_visitor_id)
values ('export_visitor', '40000000-0000-4000-8000-000000000002', :'alice');
-- Bob, from whom one chat went to Alice.
insert into chat (chat_id, provided_visitor_id)
values (4, 'other-1'), (5, 'other-1');
update chat set provided_visitor_id = 'person-1' where chat_id = 4;
-- The same ids in another account.
insert into chat (account, chat_id, provided_visitor_id, channel_type, channel_user_id)
values ('export_visitor_2', 1, 'person-1', 'telegram', '72000002');

-- The shape: times, numbers of the log and the session user are replaced, because they differ from run to run.
select jsonb_pretty(regexp_replace(
    regexp_replace(visitor_identity.export_visitor(:'alice')::text, '"[0-9-]+T[0-9:]+\.[0-9]+\+00:00"', '"a time"', 'g'),
    '"(rebind_id|rebound_by)": ([0-9]+|"[^"]*")', '"\1": "it"', 'g'
)::jsonb);
-- The same by a former name, and again.
select
    visitor_identity.export_visitor('40000000-0000-4000-8000-000000000001') = visitor_identity.export_visitor(:'alice') as by_former,
    visitor_identity.export_visitor(:'alice')::text = visitor_identity.export_visitor(:'alice', 'export_visitor')::text as again;
-- Every value is there.
select v.value as missing
from (
    values
        ('person-1'), ('person-2'), ('72000001'), ('72000002'), ('Alice \"Pleasance\"'), ('+15550005555'), ('alice@looking-glass.example'),
        ('a lost \"hat\"'), ('12345678901234567890123456789.5'), ('she said so'), ('40000000-0000-4000-8000-000000000001'),
        ('40000000-0000-4000-8000-000000000002'), ('2024-05-03T12:00:00+00:00'), (current_user)
) as v (value)
where strpos(visitor_identity.export_visitor(:'alice')::text, v.value) = 0;
-- Nothing of Bob but his visitor_id, nothing of the other account, no secrets.
select
    strpos(d.document, visitor_identity.find_visitor('other-1')::text) > 0 as bob_is_named,
    d.document ~ 'other-1|not_of_this_account|export_visitor_2|the key|11111111-1111-4111-8111' as tells_too_much
from (select visitor_identity.export_visitor(:'alice')::text) as d (document);
-- The tables of the account, each with its rows in the order of the key.
select t.key, jsonb_array_length(t.value) as rows, t.value -> 0 ->> 'Chat' as first
from jsonb_each(visitor_identity.export_visitor(:'alice') -> 'attached_tables') as t
order by 1;
-- An anonymous visitor, who is claimed.
select e.document ->> 'visitor_id' as visitor, e.document ->> 'identified' as identified,
    (e.document ->> 'claimed_by')::uuid = :'alice' as by_alice, e.document -> 'attached_tables' -> 'export_visitor.chat' -> 0 ->> 'chat_id' as chat
from (select visitor_identity.export_visitor('40000000-0000-4000-8000-000000000002')) as e (document);
-- It writes nothing, and needs no more than a read-only transaction.
begin read only;
select jsonb_typeof(visitor_identity.export_visitor(:'alice'));
rollback;

-- As a role that may read none of the tables: it has the level admin, and no more.
create role export_visitor_admin;
select visitor_identity.grant_access('export_visitor_admin', 'admin');
set role export_visitor_admin;
select jsonb_array_length(visitor_identity.export_visitor(:'alice') -> 'attached_tables' -> 'export_visitor.chat') as chats;
reset role;
set client_min_messages = warning;
drop owned by export_visitor_admin;
drop role export_visitor_admin;
reset visitor_identity.account;
select visitor_identity.detach_table(t) from unnest('{chat, "\"Other Chats\"", not_of_this_account}'::regclass[]) as t;
drop schema export_visitor cascade;
