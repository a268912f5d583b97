-- The key of a chat is logged, undone and paged by the same in every time zone, also when a timestamp with time zone is a part of it.
-- Keeps finding 8 of the review.
create schema key_zones;
set search_path = key_zones;
insert into visitor_identity.account (account) values ('key_zones');
create table chat (
    chat_id integer,
    opened_at timestamptz,
    visitor_id uuid,
    provided_visitor_id text,
    closed_at timestamptz,
    primary key (chat_id, opened_at)
) partition by range (opened_at);
create table chat_2023 partition of chat for values from ('2023-01-01 00:00+00') to ('2024-01-01 00:00+00');
create table chat_2024 partition of chat for values from ('2024-01-01 00:00+00') to ('2025-01-01 00:00+00');
create index on chat (visitor_id);
select visitor_identity.attach_chat_table('chat', fixed_account => 'key_zones');
create table minute (
    opened_at timestamptz primary key,
    visitor_id uuid,
    closed_at timestamptz
);
create index on minute (visitor_id);
select visitor_identity.attach_chat_table('minute', fixed_account => 'key_zones');
-- Where every chat is: at the visitor first stored, or at whom.
create view chats as
select c.chat_id, coalesce(p.provided_visitor_id, 'anonymous') as visitor
from (
    select chat_id, visitor_id from chat
    union all
    select -extract(day from opened_at at time zone 'UTC')::integer, visitor_id from minute
) as c
left join visitor_identity.provided_identity as p using (visitor_id);

set timezone = 'Europe/Berlin';
insert into chat (chat_id, opened_at, visitor_id)
select n, '2024-05-01 12:00+00'::timestamptz + n * interval '1 hour', '40000000-0000-4000-8000-000000000001'
from generate_series(1, 6) as n;
-- In the hour that Berlin has twice, and one with microseconds.
insert into chat (chat_id, opened_at, visitor_id)
values (7, '2024-10-27 00:30+00', '40000000-0000-4000-8000-000000000001'), (7, '2024-10-27 01:30+00', '40000000-0000-4000-8000-000000000001'), (8, '2023-12-31 23:59:59.999999+00', '40000000-0000-4000-8000-000000000001');
insert into minute (opened_at, visitor_id)
select '2024-05-01 12:00+00'::timestamptz + n * interval '1 day', '40000000-0000-4000-8000-000000000001'
from generate_series(1, 3) as n;
select outcome, rebound_chats
from visitor_identity.resolve_visitor_detail('C-1', visitor_id => '40000000-0000-4000-8000-000000000001', account => 'key_zones');
-- A row alone moves, in two zones: an operator gives it to another visitor.
select visitor_identity.resolve_visitor('D-1', account => 'key_zones') as d \gset
update chat
set visitor_id = :'d'
where chat_id = 1;
set timezone = 'Asia/Kathmandu';
update chat
set visitor_id = :'d'
where chat_id = 2;
-- The log says the same whoever reads or writes it.
select r.kind, k.moved_table, e.value as key
from visitor_identity.rebind as r
join visitor_identity.rebind_row as k using (account, rebind_id)
cross join lateral jsonb_array_elements(k.keys) as e (value)
where r.account = 'key_zones'
order by r.rebind_id, k.moved_table::text, e.value;
select chat_id, visitor from chats order by 1;

-- Undone elsewhere: first the rows alone, then the visitor; what went elsewhere is told from what is still there.
set timezone = 'UTC';
select r.kind, u.put_back, u.left_alone
from visitor_identity.rebind as r
cross join lateral visitor_identity.undo_rebind(r.rebind_id, r.account) as u
where r.account = 'key_zones'
    and r.rebind_id = (
        select min(o.rebind_id) from visitor_identity.rebind as o where o.account = 'key_zones' and o.kind = 'chat'
    );
select chat_id, visitor from chats where chat_id in (1, 2) order by 1;
set timezone = 'America/Caracas';
select r.kind, u.moved_table, u.put_back, u.left_alone
from visitor_identity.rebind as r
cross join lateral visitor_identity.undo_rebind(r.rebind_id, r.account) as u
where r.account = 'key_zones'
    and r.kind = 'visitor'
order by u.moved_table::text;
select visitor, count(*), count(*) filter (where chat_id = 2) as chat_2 from chats group by 1 order by 1;
select problem, chat_key
from visitor_identity.check_integrity()
where account = 'key_zones';

-- search_history: every page asked for in another zone, no chat twice, none left out.
update chat
set provided_visitor_id = 'E-1', closed_at = '2025-01-01'
where chat_id > 2;
update minute
set closed_at = '2025-01-01';
-- Some that were opened at the same moment, so that the key decides.
insert into chat (chat_id, opened_at, provided_visitor_id, closed_at)
select n, '2024-05-05 12:00+00', 'E-1', '2025-01-01'
from generate_series(20, 26) as n;
create function pages(zones text[])
returns table (page integer, keys text)
language plpgsql
as $$
declare
    last_opened_at timestamptz;
    last_chat_table regclass;
    last_chat_key jsonb;
    found record;
begin
    page := 0;
    loop
        perform set_config('timezone', zones[page % cardinality(zones) + 1], true);
        keys := null;
        for found in
            select *
            from visitor_identity.search_history(
                'E-1', account => 'key_zones', page_size => 3,
                after_opened_at => last_opened_at, after_chat_table => last_chat_table, after_chat_key => last_chat_key
            )
        loop
            keys := concat_ws(', ', keys, coalesce(found.chat_key ->> 'chat_id', found.chat_table::text));
            last_opened_at := found.opened_at;
            last_chat_table := found.chat_table;
            last_chat_key := found.chat_key;
        end loop;
        exit when keys is null or page > 20;
        page := page + 1;
        return next;
    end loop;
end
$$;
select string_agg(coalesce(chat_key ->> 'chat_id', chat_table::text), ', ' order by n) as in_one_page
from visitor_identity.search_history('E-1', account => 'key_zones') with ordinality as s (
    chat_table, chat_key, account, visitor_id, origin_visitor_id, provided_visitor_id,
    channel_type, channel_id, channel_user_id, opened_at, closed_at, matched_by, n
);
begin;
select * from pages('{UTC, Europe/Berlin, Asia/Kathmandu, America/Caracas}');
select * from pages('{Pacific/Kiritimati, Pacific/Pago_Pago}');
commit;
-- The same key in every zone.
create table keys as
select chat_key from visitor_identity.search_history('E-1', account => 'key_zones');
set timezone = 'Pacific/Kiritimati';
select count(*) from (
    select chat_key from visitor_identity.search_history('E-1', account => 'key_zones')
    except
    table keys
) as other_keys;
reset timezone;
-- And where check_integrity shows one.
alter table chat disable trigger user;
update chat
set visitor_id = null
where chat_id = 8;
alter table chat enable trigger user;
select problem, chat_key
from visitor_identity.check_integrity()
where account = 'key_zones';
select visitor_identity.detach_table('chat');
select visitor_identity.detach_table('minute');
set client_min_messages = warning;
drop schema key_zones cascade;
