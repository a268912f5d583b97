-- undo_rebind puts back what is still where the rebinding put it; that very rebinding is not done again, and the visitor stays claimed.
create schema undone_rebind_is_not_repeated;
set search_path = undone_rebind_is_not_repeated;
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
    account text default 'undone_rebind_is_not_repeated'
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
insert into visitor_identity.account (account) values ('undone_rebind_is_not_repeated');
create table chat (
    chat_id integer,
    visitor_id uuid,
    provided_visitor_id text,
    channel_type text,
    channel_user_id text,
    state text default 'open',
    primary key (chat_id, state)
) partition by list (state);
create table chat_open partition of chat for values in ('open');
create table chat_closed partition of chat for values in ('closed');
create index on chat (visitor_id);
create index on chat (channel_user_id);
select visitor_identity.attach_chat_table('chat', closed_when => $$state = 'closed'$$, fixed_account => 'undone_rebind_is_not_repeated');
create view chats as
select c.chat_id, c.state, who(c.visitor_id) as visitor, who(c.origin_visitor_id) as origin, c.provided_visitor_id as provided
from chat as c
order by c.chat_id;
select named('T', visitor_identity.resolve_visitor(channel_type => 'telegram', channel_user_id => '67854257', account => 'undone_rebind_is_not_repeated'));
insert into chat (chat_id, channel_type, channel_user_id)
select n, 'telegram', '67854257'
from generate_series(1, 4) as n;
select * from seen('C', 'C-1', 'telegram', '67854257');
-- Afterwards one chat goes elsewhere, one arrives, one is closed.
update chat
set provided_visitor_id = 'D-1'
where chat_id = 1;
select named('D', visitor_identity.find_visitor('D-1', account => 'undone_rebind_is_not_repeated'));
insert into chat (chat_id, channel_type, channel_user_id)
values (5, 'telegram', '67854257');
update chat
set state = 'closed'
where chat_id = 2;
table chats;
select rebind_id from visitor_identity.rebind where account = 'undone_rebind_is_not_repeated' and kind = 'visitor' \gset
select moved_table, put_back, left_alone
from visitor_identity.undo_rebind(:rebind_id, 'undone_rebind_is_not_repeated')
order by moved_table::text;
table chats;
select who(visitor_id) as visitor, who(superseded_by) as superseded_by
from visitor_identity.visitor
where account = 'undone_rebind_is_not_repeated' and visitor_id = (select visitor_id from letter where name = 'T');
-- The same login again: switched, rebind_undone, the channel id points to C; T stays, claimed, and nobody else takes him.
select visitor_id as t from letter where name = 'T' \gset
select * from seen('?', 'C-1', 'telegram', '67854257', :'t');
select * from seen('?', 'E-1', visitor_id => :'t');
table chats;
-- A chat that was put back is not taken away again when it moves to another partition.
update chat
set state = 'closed'
where chat_id = 3;
update chat
set state = 'open'
where chat_id = 2;
table chats;
-- Nor is a merge by order that was undone, when the anonymous one of the two logs in; by order it is done again.
insert into chat (chat_id)
values (6)
returning visitor_id as a \gset
select visitor_identity.resolve_visitor('M-1', account => 'undone_rebind_is_not_repeated') as m \gset
select visitor_identity.merge_visitors(:'a', :'m', account => 'undone_rebind_is_not_repeated') as merged \gset
select put_back from visitor_identity.undo_rebind(:merged, 'undone_rebind_is_not_repeated');
select outcome, rebound_chats, notes
from visitor_identity.resolve_visitor_detail('M-1', visitor_id => :'a', account => 'undone_rebind_is_not_repeated');
select visitor_id = :'a' as stays from chat where chat_id = 6;
select visitor_identity.merge_visitors(:'a', :'m', account => 'undone_rebind_is_not_repeated') > :merged as merged_again;
select visitor_id = :'m' as moved from chat where chat_id = 6;
-- 42704 and 55000.
\x
select * from refusal($$select visitor_identity.undo_rebind(0, 'undone_rebind_is_not_repeated')$$);
select * from refusal(format('select visitor_identity.undo_rebind(%s, %L)', :rebind_id, 'undone_rebind_is_not_repeated'));
\x
select problem, chat_key
from visitor_identity.check_integrity()
where account = 'undone_rebind_is_not_repeated';
drop view chats;
select visitor_identity.detach_table('chat');
set client_min_messages = warning;
drop schema undone_rebind_is_not_repeated cascade;
