-- A database that uses what the extension has, for the programs of this directory that carry one elsewhere: policies,
-- an added channel, tables of several shapes and owners, visitors of every kind, a rebinding, an undone one, signed
-- fields. Role vi_owner must exist. Whoever adds a table to the extension adds rows for it here.
set client_min_messages = warning;
create extension visitor_identity;
update visitor_identity.account
set on_authorization = 'rebind', max_rebinds = 7
where account = 'default';
insert into visitor_identity.account (account, derivation)
values ('second', 'md5');
insert into visitor_identity.account (account, on_authorization)
values ('third', 'keep');
insert into visitor_identity.channel (channel_type, pattern)
values ('orders', 'O-[0-9]+');
insert into visitor_identity.blocked_identifier (identifier)
values ('$sdk_default');
create role vi_reader_of_dump;
select visitor_identity.grant_access('vi_reader_of_dump', 'reader');

select visitor_identity.create_chat_store('chat');
select visitor_identity.add_signature_key('a key', 'md5');
select visitor_identity.authorize_visitor(jsonb_build_object('id', 'S-1', 'crc', md5('S-1a key')));

create table public."Odd Table" (
    "Key" text primary key,
    "Visitor" uuid,
    crm text,
    done boolean
);
create index on public."Odd Table" ("Visitor");
select visitor_identity.attach_chat_table(
    'public."Odd Table"',
    visitor_id => 'Visitor',
    provided_visitor_id => 'crm',
    closed_when => 'done',
    fixed_account => 'second'
);

create schema owned authorization vi_owner;
create table owned.conversation (
    conversation_id integer,
    opened_at timestamptz,
    visitor_id uuid,
    origin_visitor_id uuid,
    provided_visitor_id text,
    account text,
    closed_at timestamptz,
    primary key (conversation_id, opened_at)
) partition by range (opened_at);
create table owned.conversation_2024 partition of owned.conversation
for values from ('2024-01-01') to ('2025-01-01');
create table owned.conversation_2025 partition of owned.conversation
for values from ('2025-01-01') to ('2026-01-01');
create index on owned.conversation (account, visitor_id);
alter table owned.conversation owner to vi_owner;
alter table owned.conversation_2024 owner to vi_owner;
alter table owned.conversation_2025 owner to vi_owner;
select visitor_identity.attach_chat_table('owned.conversation');

insert into chat.chat (visitor_id)
values ('aaaaaaaa-0000-4000-8000-000000000001');
select visitor_identity.register_device(
    'aaaaaaaa-0000-4000-8000-000000000001', 'shop', 'dddddddd-0000-4000-8000-000000000001', 'fcm', 'token'
);
select visitor_identity.resolve_visitor('C-1', visitor_id => 'aaaaaaaa-0000-4000-8000-000000000001');
select visitor_identity.resolve_visitor(channel_type => 'orders', channel_user_id => 'O-1');
select visitor_identity.resolve_visitor(channel_type => 'telegram', channel_user_id => '67854257', channel_id => 'bot');
insert into chat.chat (visitor_id)
values ('aaaaaaaa-0000-4000-8000-000000000004');
insert into chat.chat (visitor_id, closed_at)
values ('aaaaaaaa-0000-4000-8000-000000000005', '2024-02-02 00:00:00+00');
select visitor_identity.resolve_visitor('C-5', visitor_id => 'aaaaaaaa-0000-4000-8000-000000000005');
select visitor_identity.undo_rebind(
    (
        select max(rebind_id)
        from visitor_identity.rebind
    )
);
insert into public."Odd Table" ("Key", "Visitor")
values ('k1', 'aaaaaaaa-0000-4000-8000-000000000002');
insert into public."Odd Table" ("Key", "Visitor", crm, done)
values ('k2', 'aaaaaaaa-0000-4000-8000-000000000002', 'X', true);
insert into owned.conversation (conversation_id, opened_at, visitor_id, account, closed_at)
values
    (1, '2024-05-05', 'aaaaaaaa-0000-4000-8000-000000000006', 'third', '2024-05-06'),
    (2, '2025-05-05', 'aaaaaaaa-0000-4000-8000-000000000006', 'default', null);
update owned.conversation
set provided_visitor_id = 'C-6'
where conversation_id = 1;
update owned.conversation
set provided_visitor_id = 'C-6'
where conversation_id = 2;

create table public.preference (
    visitor_id uuid primary key,
    language text
);
select visitor_identity.attach_visitor_table('public.preference', on_clash => 'move_or_keep_target');
insert into public.preference (visitor_id, language)
values ('aaaaaaaa-0000-4000-8000-000000000001', 'de'), ('aaaaaaaa-0000-4000-8000-000000000002', 'fr');
-- A refused link: another person on the computer of the first.
select visitor_identity.resolve_visitor('C-8', visitor_id => visitor_identity.find_visitor('C-1'));
-- A person who was forgotten.
select visitor_identity.resolve_visitor('F-1');
select *
from visitor_identity.forget_visitor(visitor_identity.find_visitor('F-1'));
