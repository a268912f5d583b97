-- merge_visitors joins two people by order: everything of the first goes to the second, is logged with the reason, and comes back by
-- undo_rebind.
create schema merge_visitors_and_undo;
set search_path = merge_visitors_and_undo;
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
create function id(letter text)
returns uuid
language sql
as $$
    select l.visitor_id from letter as l where l.name = id.letter
$$;
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
values ('merge_visitors'), ('merge_visitors_2');
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
set visitor_identity.account = 'merge_visitors';
create view chats as
select
    c.chat_id,
    who(c.visitor_id) as visitor,
    who(c.origin_visitor_id) as origin,
    c.provided_visitor_id as provided,
    c.channel_user_id as channel
from chat as c
where c.account = 'merge_visitors'
order by c.chat_id;
create view identities as
select 'provided' as kind, p.provided_visitor_id as id, who(p.visitor_id) as visitor
from visitor_identity.provided_identity as p
where p.account = 'merge_visitors'
union all
select 'channel', c.channel_user_id, who(c.visitor_id)
from visitor_identity.channel_identity as c
where c.account = 'merge_visitors'
union all
select 'visitor', who(v.visitor_id), who(v.superseded_by)
from visitor_identity.visitor as v
where v.account = 'merge_visitors'
order by 1 desc, 2;
-- A with a cookie V and a channel, B with a cookie W: two people with two accounts in the CRM, as it seemed.
insert into chat (chat_id, visitor_id)
values (1, '40000000-0000-4000-8000-000000000001'), (2, '40000000-0000-4000-8000-000000000002');
insert into letter
values ('40000000-0000-4000-8000-000000000001', 'V'), ('40000000-0000-4000-8000-000000000002', 'W'), ('40000000-0000-4000-8000-000000000003', 'X');
insert into chat (chat_id, channel_type, channel_user_id)
values (3, 'telegram', '67854257');
select named('T', visitor_id) from chat where chat_id = 3;
select named('A', visitor_identity.resolve_visitor('A-1', 'telegram', '67854257', '40000000-0000-4000-8000-000000000001'));
select named('B', visitor_identity.resolve_visitor('B-1', visitor_id => '40000000-0000-4000-8000-000000000002'));
insert into chat (chat_id, provided_visitor_id, closed_at)
values (4, 'A-1', '2024-05-02'), (5, 'B-1', '2024-05-02');
insert into chat (account, chat_id, provided_visitor_id, closed_at)
values ('merge_visitors_2', 1, 'A-1', '2024-05-02');
insert into chat (chat_id, visitor_id)
values (6, '40000000-0000-4000-8000-000000000003');
table chats;
table identities;
create table before as
table chats;
create table identities_before as
table identities;

select visitor_identity.merge_visitors(id('A'), id('B'), 'the CRM joined them') as merged \gset
table chats;
table identities;
select kind, who(from_visitor_id) as from, who(to_visitor_id) as to, rebound_chats, reason, undone_at is null as stands
from visitor_identity.rebind
where account = 'merge_visitors' and rebind_id = :merged;
-- Whatever A was known by is B now: the id in the CRM, the channel, all cookies.
select
    who(visitor_identity.find_visitor('A-1')) as by_provided,
    who(visitor_identity.find_visitor(channel_type => 'telegram', channel_user_id => '67854257')) as by_channel,
    who(visitor_identity.find_visitor(visitor_id => id('A'))) as by_visitor,
    who(visitor_identity.find_visitor(visitor_id => id('V'))) as by_cookie,
    who(visitor_identity.find_visitor(visitor_id => id('T'))) as by_former;
select outcome, who(visitor_id) as visitor, rebound_chats, notes
from visitor_identity.resolve_visitor_detail('A-1', visitor_id => id('W'));
-- History finds his chats by either id, and shows each with its own.
select chat_id, provided_visitor_id from chat_history where account = 'merge_visitors' order by 1;
select s.chat_key ->> 'chat_id' as chat_id, s.provided_visitor_id, s.matched_by
from unnest('{A-1, B-1}'::text[]) as q
cross join lateral visitor_identity.search_history(q) as s
order by q, s.chat_key;
-- Later: a new chat by each id, and an anonymous visitor who authorizes.
insert into chat (chat_id, provided_visitor_id)
values (7, 'A-1'), (8, 'B-1');
select outcome, rebound_chats
from visitor_identity.resolve_visitor_detail('A-1', visitor_id => id('X'));
select problem, chat_key from visitor_identity.check_integrity() where account like 'merge_visitors%';

-- Undone: both are who they were. What came afterwards by A's own id is A's, for that id is his again.
select moved_table, case when moved_table = 'chat'::regclass then put_back >= 3 else put_back > 0 end as put_back, left_alone
from visitor_identity.undo_rebind(:merged)
order by moved_table::text;
select * from chats except table before order by 1;
table before except table chats order by 1;
table identities except table identities_before;
table identities_before except table identities;
select
    who(visitor_identity.find_visitor('A-1')) as by_provided,
    who(visitor_identity.find_visitor(channel_type => 'telegram', channel_user_id => '67854257')) as by_channel,
    who(visitor_identity.find_visitor(visitor_id => id('A'))) as by_visitor,
    who(visitor_identity.find_visitor(visitor_id => id('V'))) as by_cookie;
select problem, chat_key from visitor_identity.check_integrity() where account like 'merge_visitors%';
-- Both may be merged again, the other way round, and be undone again.
select visitor_identity.merge_visitors(id('B'), id('A')) as merged \gset
select reason, rebound_chats > 3 as rebound from visitor_identity.rebind where account = 'merge_visitors' and rebind_id = :merged;
select string_agg(distinct visitor, ', ') from chats;
select count(*) > 0 as undone from visitor_identity.undo_rebind(:merged);

-- An anonymous visitor into an identified one.
insert into chat (chat_id, visitor_id)
values (9, '40000000-0000-4000-8000-000000000004');
insert into letter
values ('40000000-0000-4000-8000-000000000004', 'Y');
select visitor_identity.merge_visitors(id('Y'), id('A')) as merged \gset
select visitor, origin from chats where chat_id = 9;
select put_back, left_alone from visitor_identity.undo_rebind(:merged);
select visitor, origin from chats where chat_id = 9;
-- The same visitor twice: nothing to do.
select visitor_identity.merge_visitors(id('A'), id('A')) is null as nothing;

-- What is refused.
\x
select * from refusal($$select visitor_identity.merge_visitors(id('A'), '40000000-0000-4000-8000-000000000009')$$);
select state, message from refusal($$select visitor_identity.merge_visitors('40000000-0000-4000-8000-000000000009', id('A'))$$);
select state, message from refusal($$select visitor_identity.merge_visitors(null, id('A'))$$);
select state, message from refusal($$select visitor_identity.merge_visitors(id('A'), null)$$);
select * from refusal($$select visitor_identity.merge_visitors(id('A'), id('Y'))$$);
select * from refusal($$select visitor_identity.merge_visitors(id('W'), id('A'))$$);
select state, message from refusal($$select visitor_identity.merge_visitors(id('A'), id('W'))$$);
select state, message from refusal($$select visitor_identity.merge_visitors(id('A'), id('B'), account => 'merge_visitors_2')$$);
select state, message from refusal($$select visitor_identity.merge_visitors(id('A'), id('B'), account => 'merge_visitors_3')$$);
begin read only;
select * from refusal($$select visitor_identity.merge_visitors(id('A'), id('B'))$$);
rollback;
-- An undo after one of them was merged elsewhere: first the later one.
\x
select named('D', visitor_identity.resolve_visitor('D-1'));
select visitor_identity.merge_visitors(id('A'), id('B')) as first_merged \gset
select visitor_identity.merge_visitors(id('B'), id('D')) as then_merged \gset
select state, message, detail, hint
from refusal(format('select visitor_identity.undo_rebind(%s)', :first_merged));
select string_agg(distinct visitor, ', ') from chats where chat_id < 6;
table identities;
select count(*) > 0 as undone from visitor_identity.undo_rebind(:then_merged);
select count(*) > 0 as undone from visitor_identity.undo_rebind(:first_merged);
select * from chats where chat_id < 6 except table before order by 1;
table identities_before except table identities;
select problem, chat_key from visitor_identity.check_integrity() where account like 'merge_visitors%';

drop view chats, identities;
reset visitor_identity.account;
select visitor_identity.detach_table('chat');
set client_min_messages = warning;
drop schema merge_visitors_and_undo cascade;
