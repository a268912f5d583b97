-- Every id of a chat that counts as none is listed in anomalies with why, by the rule of the triggers, and never its value.
create schema anomalies_lists_unusable_ids;
set search_path = anomalies_lists_unusable_ids;
-- What a statement is refused with.
create function refusal(statement text)
returns table (state text, message text, detail text, hint text)
language plpgsql
as $$
begin
    execute statement;
    state := 'none';
    return next;
exception when others then
    get stacked diagnostics
        state = returned_sqlstate,
        message = message_text,
        detail = pg_exception_detail,
        hint = pg_exception_hint;
    return next;
end
$$;
insert into visitor_identity.account (account)
values ('anomalies_lists_unusable_ids'), ('anomalies_lists_unusable_ids_2');
insert into visitor_identity.blocked_identifier (account, identifier)
values ('anomalies_lists_unusable_ids', '$posthog_cookieless');
insert into visitor_identity.channel (channel_type, pattern)
values ('anomalous', 'O-[0-9]+');
-- Columns of several types, renamed after attaching; a key of two columns.
create domain some_text as text;
create table chat (
    account varchar(100),
    chat_id integer,
    visitor_id uuid,
    provided_visitor_id some_text,
    channel_type text,
    channel_id text,
    channel_user_id text,
    primary key (account, chat_id)
);
create index on chat (visitor_id);
create index on chat (channel_user_id);
select visitor_identity.attach_chat_table('chat');
alter table chat rename column provided_visitor_id to "Client's id";
alter table chat rename column channel_user_id to address;
create table parted (
    chat_id integer,
    day date,
    visitor_id uuid,
    crm_id bigint,
    primary key (chat_id, day)
) partition by range (day);
create table parted_2024 partition of parted for values from ('2024-01-01') to ('2025-01-01');
create index on parted (visitor_id);
select visitor_identity.attach_chat_table('parted', provided_visitor_id => 'crm_id', fixed_account => 'anomalies_lists_unusable_ids_2');
create table bare (chat_id integer primary key, visitor_id uuid);
create index on bare (visitor_id);
select visitor_identity.attach_chat_table('bare', fixed_account => 'anomalies_lists_unusable_ids_2');
create view listed as
select
    a.kind, a.detail, replace(a.account, 'anomalies_lists_unusable_ids', '#') as account, a.chat_table,
    a.chat_key - 'account' as chat_key, a.occurrences, a.visitor_id is not null as has_visitor
from visitor_identity.anomalies as a
where a.account like 'anomalies_lists_unusable_ids%'
order by a.chat_table::text, (a.chat_key ->> 'chat_id')::integer, a.detail, a.kind;
set visitor_identity.account = 'anomalies_lists_unusable_ids';
-- Nothing wrong: usable ids, ids of added channels, and what is blank or not there.
insert into chat (chat_id, "Client's id", channel_type, channel_id, address)
values
    (1, ' C-1 ', 'telegram', '', '67854257'),
    (2, null, null, null, null),
    (3, '', '', '', ' '),
    (4, E'\u200b', 'web', null, null),
    (5, null, 'web', null, ''),
    (6, null, 'anomalous', null, 'O-1'),
    (7, null, 'whatsapp', 'line', '+1 (043) 568-5475');
insert into bare (chat_id)
values (1);
table listed;
-- Everything that is stored and not resolved.
insert into chat (chat_id, "Client's id", channel_type, channel_id, address)
values
    (10, '0', null, null, null),
    (11, ' "Undefined" ', null, null, null),
    (12, '$PostHog_Cookieless', null, null, null),
    (13, repeat('x', 513), null, null, null),
    (14, E'secret\x01value', null, null, null),
    (15, null, null, null, '67854257'),
    (16, null, 'fax', null, '67854257'),
    (17, null, 'telegram', null, 'secret value'),
    (18, null, 'telegram', null, '00000000'),
    (19, null, 'whatsapp', null, '+0 000 000'),
    (20, null, 'viber', null, repeat('x', 600)),
    (21, null, 'anomalous', null, 'O-x'),
    (22, null, 'telegram', repeat('x', 513), '67854257'),
    (23, 'null', 'telegram', null, 'secret value'),
    (24, 'C-1', 'telegram', null, 'secret value');
insert into parted (chat_id, day, crm_id)
values (1, '2024-05-01', 0), (2, '2024-05-01', 7);
table listed;
select count(*) as values_shown
from visitor_identity.anomalies as a
where a::text ~ 'secret|xxx|67854257|cookieless|C-1';
-- What a policy allows is no anomaly any more, and what it forbids is one; the same rule as that of new rows.
begin;
update visitor_identity.account set channel_format = 'any' where account = 'anomalies_lists_unusable_ids';
delete from visitor_identity.blocked_identifier where account = 'anomalies_lists_unusable_ids';
select chat_key, kind from listed where chat_key ->> 'chat_id' in ('12', '17', '21', '22', '24');
rollback;
begin;
update visitor_identity.account set channel_format = 'documented' where account = 'anomalies_lists_unusable_ids';
insert into chat (chat_id, channel_type, address) values (30, 'telegram', '678542571');
select chat_key, kind from listed where chat_key ->> 'chat_id' in ('1', '7', '30');
rollback;
-- Under require_signature: a provided id that was never verified.
begin;
update visitor_identity.account set require_signature = true where account = 'anomalies_lists_unusable_ids';
insert into chat (chat_id, "Client's id") values (31, 'C-31');
select chat_key, kind, detail from listed where chat_key ->> 'chat_id' in ('1', '10', '24', '31');
update visitor_identity.provided_identity set verified_at = now() where account = 'anomalies_lists_unusable_ids' and provided_visitor_id = 'C-1';
select chat_key, kind, detail from listed where chat_key ->> 'chat_id' in ('1', '10', '24', '31');
rollback;
-- An account that is gone is check_integrity's; a session locked to one sees that one's.
begin;
delete from visitor_identity.account where account = 'anomalies_lists_unusable_ids_2';
select count(*) as of_the_other from listed where account <> '#_2';
rollback;
begin;
set local visitor_identity.locked_account = 'anomalies_lists_unusable_ids_2';
select kind, account, chat_table, chat_key from listed;
rollback;
-- The function by itself.
select * from visitor_identity.unusable_identifiers('0', 'telegram', 'x');
select * from visitor_identity.unusable_identifiers('C-1', 'telegram', '67854257');
select * from visitor_identity.unusable_identifiers();
select r.* from refusal($$select * from visitor_identity.unusable_identifiers(account => 'nobody''s')$$) as r \gx
begin;
set local visitor_identity.locked_account = 'anomalies_lists_unusable_ids_2';
select r.state, r.message from refusal($$select * from visitor_identity.unusable_identifiers('0', account => 'anomalies_lists_unusable_ids')$$) as r;
rollback;
-- Without a write, also read-only.
begin read only;
select count(*) from listed;
select pg_current_xact_id_if_assigned() is null as no_transaction_id;
commit;
-- For the level admin.
create role anomalies_lists_unusable_ids;
grant usage on schema anomalies_lists_unusable_ids to anomalies_lists_unusable_ids;
select visitor_identity.grant_access('anomalies_lists_unusable_ids', 'application');
set role anomalies_lists_unusable_ids;
select state, message from anomalies_lists_unusable_ids.refusal('table visitor_identity.anomalies');
select state, message from anomalies_lists_unusable_ids.refusal('select visitor_identity.find_anomalies()');
select state, message from anomalies_lists_unusable_ids.refusal('select visitor_identity.unusable_identifiers()');
select state, message from anomalies_lists_unusable_ids.refusal('table visitor_identity.statistics');
select state, message from anomalies_lists_unusable_ids.refusal('table visitor_identity.refused_link');
reset role;
select visitor_identity.grant_access('anomalies_lists_unusable_ids', 'admin');
set role anomalies_lists_unusable_ids;
select count(*) from visitor_identity.anomalies where account = 'anomalies_lists_unusable_ids';
reset role;
drop owned by anomalies_lists_unusable_ids;
drop role anomalies_lists_unusable_ids;
delete from visitor_identity.channel where channel_type = 'anomalous';
reset visitor_identity.account;
select visitor_identity.detach_table('chat');
select visitor_identity.detach_table('parted');
select visitor_identity.detach_table('bare');
set client_min_messages = warning;
drop schema anomalies_lists_unusable_ids cascade;
