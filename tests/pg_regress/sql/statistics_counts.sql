-- The view statistics has a row for every account, with the numbers of its visitors, ids and rebindings.
create schema statistics_counts;
set search_path = statistics_counts;
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
    account text default 'statistics_counts'
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
insert into visitor_identity.account (account)
values ('statistics_counts'), ('statistics_counts_2');
create table chat (
    chat_id integer primary key,
    visitor_id uuid,
    origin_visitor_id uuid,
    provided_visitor_id text,
    channel_type text,
    channel_id text,
    channel_user_id text
);
create index on chat (visitor_id);
create index on chat (channel_user_id);
select visitor_identity.attach_chat_table('chat', fixed_account => 'statistics_counts');
select * from visitor_identity.statistics where account = 'statistics_counts' \gx
-- Two anonymous visitors, one of them by a channel; A with two devices, one of which comes back; B with a channel; C merged into A; D forgotten.
insert into chat (chat_id, visitor_id)
values
    (1, '40000000-0000-4000-8000-000000000001'),
    (2, '40000000-0000-4000-8000-000000000002'),
    (3, '40000000-0000-4000-8000-000000000002'),
    (4, '40000000-0000-4000-8000-000000000003');
insert into chat (chat_id, channel_type, channel_user_id)
values (5, 'telegram', '67854257');
select outcome, rebound_chats
from visitor_identity.resolve_visitor_detail('A-1', visitor_id => '40000000-0000-4000-8000-000000000002', account => 'statistics_counts');
select outcome, rebound_chats
from visitor_identity.resolve_visitor_detail('A-1', visitor_id => '40000000-0000-4000-8000-000000000003', account => 'statistics_counts');
select visitor_identity.undo_rebind(r.rebind_id, r.account) is not null as undone
from visitor_identity.rebind as r
where r.account = 'statistics_counts'
    and r.from_visitor_id = '40000000-0000-4000-8000-000000000003';
select * from seen('B', 'B-1', 'viber', 'abc');
select * from seen('C', 'C-1', visitor_id => visitor_identity.find_visitor('B-1', account => 'statistics_counts'));
select visitor_identity.merge_visitors(
    visitor_identity.find_visitor('C-1', account => 'statistics_counts'),
    visitor_identity.find_visitor('A-1', account => 'statistics_counts'),
    account => 'statistics_counts'
) is not null as merged;
insert into chat (chat_id, provided_visitor_id)
values (6, 'A-1');
update chat
set provided_visitor_id = 'B-1'
where chat_id = 6;
select * from seen('D', 'D-1');
update visitor_identity.visitor
set forgotten = true
where visitor_id = (select l.visitor_id from letter as l where l.name = 'D');
update visitor_identity.provided_identity
set verified_at = now()
where account = 'statistics_counts' and provided_visitor_id in ('A-1', 'B-1');
insert into visitor_identity.pending_rebind (account, visitor_id, to_visitor_id)
values ('statistics_counts', '40000000-0000-4000-8000-000000000001', visitor_identity.find_visitor('A-1', account => 'statistics_counts'));
select * from visitor_identity.statistics where account = 'statistics_counts' \gx
select count(*) as accounts_whose_states_do_not_sum_up
from visitor_identity.statistics
where visitors <> anonymous + identified + superseded + forgotten;
-- The other account has its own numbers; a session locked to it sees no others.
select named('Z', visitor_identity.resolve_visitor('A-1', account => 'statistics_counts_2'));
set visitor_identity.locked_account = 'statistics_counts_2';
select account, visitors, provided_ids from visitor_identity.statistics;
reset visitor_identity.locked_account;
-- One row for every account.
select count(*) as accounts_without_numbers
from visitor_identity.account as a
where not exists (select from visitor_identity.statistics as s where s.account = a.account);
delete from visitor_identity.pending_rebind where account = 'statistics_counts';
select visitor_identity.detach_table('chat');
set client_min_messages = warning;
drop schema statistics_counts cascade;
