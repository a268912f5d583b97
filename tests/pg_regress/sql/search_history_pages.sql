-- Pages by key, not by OFFSET: every chat once, in one order, also with equal times, without times, over several tables, and while chats arrive.
create schema search_history_pages;
set search_path = search_history_pages;
insert into visitor_identity.account (account) values ('search_history_pages');
create table chat (chat_id integer primary key, visitor_id uuid, provided_visitor_id text, opened_at timestamptz, closed_at timestamptz);
create index on chat (visitor_id);
create table other_chat (part text, chat_id bigint, visitor_id uuid, provided_visitor_id text, opened_at timestamptz, closed_at timestamptz, primary key (part, chat_id));
create index on other_chat (visitor_id);
select visitor_identity.attach_chat_table('chat', fixed_account => 'search_history_pages');
select visitor_identity.attach_chat_table('other_chat', fixed_account => 'search_history_pages');
insert into chat (chat_id, provided_visitor_id, opened_at, closed_at)
select n, 'C-1', case when n % 7 > 0 then timestamptz '2024-05-01' + (n / 10) * interval '1 day' end, '2024-06-01'
from generate_series(1, 60) as n;
insert into other_chat (part, chat_id, provided_visitor_id, opened_at, closed_at)
select 'p' || n % 3, n, 'C-1', case when n % 5 > 0 then timestamptz '2024-05-01' + (n / 10) * interval '1 day' end, '2024-06-01'
from generate_series(1, 40) as n;
-- All pages of a size, one after the other; a chat arrives after each.
create function pages(page_size integer, arrivals boolean default false)
returns table (page integer, chat_table regclass, chat_key jsonb, opened_at timestamptz)
language plpgsql
as $$
declare
    last_time timestamptz;
    last_table regclass;
    last_key jsonb;
    one record;
    found_some boolean;
begin
    page := 0;
    loop
        page := page + 1;
        found_some := false;
        for one in
            select s.*
            from visitor_identity.search_history(
                'C-1', account => 'search_history_pages', page_size => pages.page_size,
                after_opened_at => last_time, after_chat_table => last_table, after_chat_key => last_key
            ) as s
        loop
            found_some := true;
            last_time := one.opened_at;
            last_table := one.chat_table;
            last_key := one.chat_key;
            chat_table := one.chat_table;
            chat_key := one.chat_key;
            opened_at := one.opened_at;
            return next;
        end loop;
        exit when not found_some or page > 200;
        if arrivals then
            insert into chat (chat_id, provided_visitor_id, opened_at, closed_at)
            values (1000 + page, 'C-1', '2025-01-01', '2025-01-01');
        end if;
    end loop;
end
$$;
-- Every chat once, for every size of page, in the order of one big page.
create table whole as
select row_number() over () as n, s.chat_table, s.chat_key, s.opened_at
from visitor_identity.search_history('C-1', account => 'search_history_pages', page_size => 1000) as s;
select
    z.page_size,
    (select count(*) from pages(z.page_size)) as chats,
    (select max(page) from pages(z.page_size)) as pages,
    (
        select count(*)
        from (
            select row_number() over () as n, p.chat_table, p.chat_key
            from pages(z.page_size) as p
        ) as p
        join whole as w on w.n = p.n and w.chat_table = p.chat_table and w.chat_key = p.chat_key
    ) as at_their_place
from (values (1), (3), (7), (50), (99), (100), (101)) as z (page_size);
-- Newest first; those without a time last.
select count(*) as out_of_order
from whole as w
join whole as next on next.n = w.n + 1
where next.opened_at > w.opened_at or (w.opened_at is null and next.opened_at is not null);
select bool_and(opened_at is null) as last_ones_without_time, count(*)
from whole
where n > 100 - (select count(*) from chat where opened_at is null) - (select count(*) from other_chat where opened_at is null);
-- The default page is of fifty.
select count(*)
from visitor_identity.search_history('C-1', account => 'search_history_pages');
-- Chats that arrive at the top while somebody pages neither repeat nor push out a row.
select count(*) as chats, count(distinct (chat_table, chat_key)) as different, count(*) filter (where (chat_key ->> 'chat_id')::integer > 1000) as arrived
from pages(9, arrivals => true);
-- A chat that is deleted between two pages is no anchor that is missed.
create table anchor as
select *
from visitor_identity.search_history('C-1', account => 'search_history_pages', page_size => 20)
offset 19;
select count(*) as after_it
from anchor as a
cross join lateral visitor_identity.search_history('C-1', account => 'search_history_pages', page_size => 1000, after_opened_at => a.opened_at, after_chat_table => a.chat_table, after_chat_key => a.chat_key) as s;
delete from chat as c
using anchor as a
where a.chat_table = 'chat'::regclass and c.chat_id = (a.chat_key ->> 'chat_id')::integer;
select count(*) as after_it
from anchor as a
cross join lateral visitor_identity.search_history('C-1', account => 'search_history_pages', page_size => 1000, after_opened_at => a.opened_at, after_chat_table => a.chat_table, after_chat_key => a.chat_key) as s;
select visitor_identity.detach_table('chat');
select visitor_identity.detach_table('other_chat');
set client_min_messages = warning;
drop schema search_history_pages cascade;
