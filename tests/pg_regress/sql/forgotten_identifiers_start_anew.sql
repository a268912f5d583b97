-- A forgotten person's visitor_ids resolve as unknown for ever; the same identifiers seen again are a new visitor, as often as it
-- happens, and a live session goes on without an error and without the old chats.
create schema forgotten_identifiers;
set search_path = forgotten_identifiers;
insert into visitor_identity.account (account, derivation)
values ('forgotten_identifiers', 'uuid_v5'), ('forgotten_identifiers_md5', 'md5');
set visitor_identity.account = 'forgotten_identifiers';
create table chat (
    account text,
    chat_id integer,
    visitor_id uuid,
    provided_visitor_id text,
    channel_type text,
    channel_user_id text,
    closed_at date,
    primary key (account, chat_id)
);
create index on chat (visitor_id);
create index on chat (channel_user_id);
select visitor_identity.attach_chat_table('chat');
insert into chat (chat_id, visitor_id, closed_at)
values (1, '40000000-0000-4000-8000-000000000001', '2024-05-01');
select visitor_identity.resolve_visitor('C-1', 'telegram', '67854257', '40000000-0000-4000-8000-000000000001') as c \gset
insert into chat (chat_id, provided_visitor_id, closed_at)
values (2, 'C-1', '2024-05-02');
insert into chat (chat_id, channel_type, channel_user_id, closed_at)
values (3, 'telegram', '67854257', '2024-05-03');
select erased_table::text, action, rows
from visitor_identity.forget_visitor('40000000-0000-4000-8000-000000000001')
order by 1;
-- Unknown by every identifier, the canonical visitor_id and the former one.
select
    visitor_identity.find_visitor('C-1') is null as by_provided,
    visitor_identity.find_visitor(channel_type => 'telegram', channel_user_id => '67854257') is null as by_channel,
    visitor_identity.find_visitor(visitor_id => :'c') is null as by_visitor,
    visitor_identity.find_visitor(visitor_id => '40000000-0000-4000-8000-000000000001') is null as by_former;
-- T54: the cookie of a session that is alive gets a new visitor, and says that it was unknown.
select
    visitor_id not in (:'c', '40000000-0000-4000-8000-000000000001') as another, outcome, basis, notes
from unnest(array[:'c', '40000000-0000-4000-8000-000000000001']::uuid[]) as k (cookie)
cross join lateral visitor_identity.resolve_visitor_detail(visitor_id => k.cookie);
-- So do its chats: never on the tombstone, and the cookie is not adopted again. By a channel id or a provided id beside it, too.
insert into chat (chat_id, visitor_id)
values (4, :'c'), (5, '40000000-0000-4000-8000-000000000001');
insert into chat (chat_id, visitor_id, provided_visitor_id)
values (6, :'c', 'C-1');
insert into chat (chat_id, visitor_id, channel_type, channel_user_id)
values (7, '40000000-0000-4000-8000-000000000001', 'telegram', '67854257');
select
    c.chat_id, v.forgotten, v.identified, c.visitor_id = visitor_identity.find_visitor('C-1') as of_c_1,
    c.visitor_id = visitor_identity.find_visitor(channel_type => 'telegram', channel_user_id => '67854257') as of_channel
from chat as c
join visitor_identity.visitor as v using (account, visitor_id)
order by 1;
-- T60: whoever has the ids now finds nothing of the forgotten one, in no search and in no view.
select q.query, s.chat_key
from unnest(array['C-1', '67854257', :'c', '40000000-0000-4000-8000-000000000001']) as q (query)
cross join lateral visitor_identity.search_history(q.query) as s
order by 1, s.chat_key;
select chat_id, provided_visitor_id, channel_user_id from chat_history where chat_id < 4 order by 1;
-- The computed id is not used again.
select visitor_identity.derive_visitor_id('C-1') = :'c' as generation_0, visitor_identity.find_visitor('C-1') <> :'c' as next_generation;
select problem, chat_key from visitor_identity.check_integrity() where account like 'forgotten_identifiers%';

-- The old rows may be written back, closed and moved about; they stay with the tombstone. A row that gets an identifier anew is his
-- who has the identifier.
update chat set visitor_id = visitor_id, provided_visitor_id = provided_visitor_id, channel_user_id = channel_user_id, closed_at = '2024-06-01'
where chat_id in (1, 2);
update chat set visitor_id = '40000000-0000-4000-8000-000000000001'
where chat_id = 1;
select chat_id, visitor_id = :'c' as tombstone from chat where chat_id in (1, 2) order by 1;
-- So does a live session's chat, of which its ORM believes that it is with the cookie that it was inserted with.
create table visitors_before as
select chat_id, visitor_id
from chat;
update chat set visitor_id = :'c', closed_at = '2024-06-02'
where chat_id in (4, 5, 6, 7);
select count(*) as moved
from chat as c
join visitors_before as b using (chat_id)
where c.visitor_id <> b.visitor_id;
update chat set provided_visitor_id = 'C-1'
where chat_id = 2;
select visitor_id = visitor_identity.find_visitor('C-1') as of_c_1 from chat where chat_id = 2;
select problem, chat_key from visitor_identity.check_integrity() where account like 'forgotten_identifiers%';

-- A row that was kept, with its identifiers, and goes to another partition stays with the tombstone: closing a chat brings nobody back.
create table parted (
    chat_id integer,
    state text default 'open',
    visitor_id uuid,
    provided_visitor_id text,
    channel_type text,
    channel_user_id text,
    primary key (chat_id, state)
) partition by list (state);
create table parted_open partition of parted for values in ('open');
create table parted_closed partition of parted for values in ('closed');
create index on parted (visitor_id);
select visitor_identity.attach_chat_table('parted', fixed_account => 'forgotten_identifiers');
insert into parted (chat_id, provided_visitor_id)
values (1, 'C-4'), (2, 'C-4');
select count(*) > 0 as forgotten from visitor_identity.forget_visitor(visitor_identity.find_visitor('C-4'), 'keep');
update parted set state = 'closed'
where chat_id = 1;
update parted set state = 'closed', provided_visitor_id = provided_visitor_id
where chat_id = 2;
select p.chat_id, p.tableoid::regclass, v.forgotten
from parted as p
join visitor_identity.visitor as v on v.account = 'forgotten_identifiers' and v.visitor_id = p.visitor_id
order by 1;
select visitor_identity.find_visitor('C-4') is null as unknown;

-- Twenty generations, by provided id and by channel, under both derivations; each with an id of its own.
do $$
declare
    of_account text;
    by_provided uuid[];
    by_channel uuid[];
begin
    foreach of_account in array array['forgotten_identifiers', 'forgotten_identifiers_md5'] loop
        by_provided := '{}';
        by_channel := '{}';
        for generation in 1..20 loop
            by_provided := by_provided || visitor_identity.resolve_visitor('C-2', account => of_account);
            by_channel := by_channel || visitor_identity.resolve_visitor(
                channel_type => 'viber', channel_user_id => 'abc', account => of_account
            );
            perform visitor_identity.forget_visitor(by_provided[generation], account => of_account);
            perform visitor_identity.forget_visitor(by_channel[generation], account => of_account);
        end loop;
        raise notice '%: % visitors, of which generation 0: %', of_account,
            (select count(distinct v) from unnest(by_provided || by_channel) as v),
            by_provided[1] = visitor_identity.derive_visitor_id('C-2', of_account);
    end loop;
end
$$;
-- md5 is for the first one only.
select
    md5('C-2')::uuid = visitor_identity.derive_visitor_id('C-2', 'forgotten_identifiers_md5') as generation_0,
    get_byte(uuid_send(visitor_identity.resolve_visitor('C-2', account => 'forgotten_identifiers_md5')), 6) >> 4 as version;
-- A channel whose user was forgotten is reassigned: the new owner brings nothing of the old one into his authorization.
insert into chat (chat_id, channel_type, channel_user_id, closed_at)
values (8, 'telegram', '78540001', '2024-05-04');
select count(*) > 0 as forgotten
from visitor_identity.forget_visitor(visitor_identity.find_visitor(channel_type => 'telegram', channel_user_id => '78540001'), 'keep');
select outcome, rebound_chats, notes from visitor_identity.resolve_visitor_detail('C-3', 'telegram', '78540001');
select c.visitor_id = visitor_identity.find_visitor('C-3') as of_c_3 from chat as c where chat_id = 8;
-- An undo and a merge with a tombstone are refused.
do $$
declare
    rebinding bigint;
    refused text;
begin
    select r.rebind_id into rebinding
    from visitor_identity.rebind as r
    where r.account = 'forgotten_identifiers' and r.from_visitor_id = '40000000-0000-4000-8000-000000000001';
    begin
        perform visitor_identity.undo_rebind(rebinding);
    exception when object_not_in_prerequisite_state then
        get stacked diagnostics refused = message_text;
        raise notice '%', refused;
    end;
    begin
        perform visitor_identity.merge_visitors(
            (select r.to_visitor_id from visitor_identity.rebind as r where r.rebind_id = rebinding),
            visitor_identity.find_visitor('C-1')
        );
    exception when object_not_in_prerequisite_state then
        get stacked diagnostics refused = message_text;
        raise notice '%', refused;
    end;
end
$$;
select problem, chat_key from visitor_identity.check_integrity() where account like 'forgotten_identifiers%';

reset visitor_identity.account;
set client_min_messages = warning;
select visitor_identity.detach_table('chat');
select visitor_identity.detach_table('parted');
drop schema forgotten_identifiers cascade;
