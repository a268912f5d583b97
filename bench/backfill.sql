-- One round of backfill_chats: a history of which the extension knows nothing, most of it of people who keep to themselves,
-- and a twentieth of whom log in midway; against the bare UPDATE that gives every chat the visitor which that found.
-- psql variables: chats, round (0: not kept; another session changes single chats meanwhile).

\set ON_ERROR_STOP on
\set QUIET on
set client_min_messages = warning;
set jit = off;

select exists (select from pg_class as c join pg_namespace as n on n.oid = c.relnamespace where n.nspname = 'history' and c.relname = 'done') as is_there
\gset
\if :is_there
    select visitor_identity.detach_table('history.chat')
    \g /dev/null
\endif
drop schema if exists history cascade;
create schema history;
create table history.chat (like chat.chat including all);
create table history.bare (like chat.chat including all);
insert into history.chat
    (account, chat_id, visitor_id, provided_visitor_id, channel_type, channel_id, channel_user_id, state, opened_at, closed_at)
select 'default', i, md5(format('history %s %s', :round, n))::uuid,
    case when n % 20 between 8 and 12 or n % 20 = 13 and i > 0.5 * :chats then format('H-%s-%s', :round, n) end,
    case when n % 20 >= 14 then 'telegram' end,
    case when n % 20 >= 14 then '' end,
    case when n % 20 >= 14 then (700000000000 + 10000000000::bigint * :round + n)::text end,
    'closed', '2025-01-01'::timestamptz + i * interval '7 seconds', '2025-01-01'::timestamptz + i * interval '7 seconds' + interval '5 minutes'
from (
    select i, 1 + floor(random() * :chats / 4)::bigint as n
    from generate_series(1, :chats) as i
) as v;
insert into history.bare
select * from history.chat;
create table history.done (at timestamptz not null default clock_timestamp());
select visitor_identity.attach_chat_table('history.chat')
\g /dev/null
vacuum (analyze) history.chat, history.bare;

select clock_timestamp() as started
\gset
call visitor_identity.backfill_chats('history.chat');
select extract(epoch from clock_timestamp() - :'started'::timestamptz) * 1e6 / :chats as extension
\gset
insert into history.done default values;

create table history.found as
select c.account, c.chat_id, c.visitor_id
from history.chat as c;
analyze history.found;
select clock_timestamp() as started
\gset
update history.bare as b
set visitor_id = f.visitor_id, origin_visitor_id = f.visitor_id
from history.found as f
where b.account = f.account
    and b.chat_id = f.chat_id;
select extract(epoch from clock_timestamp() - :'started'::timestamptz) * 1e6 / :chats as bare
\gset
insert into bench.sample
select 'backfill of a history', v.variant, :round, v.micros
from (values ('extension', :extension), ('bare update', :bare)) as v (variant, micros)
where :round > 0;

-- Everybody has his visitor.
do $$
begin
    if exists (select from history.chat where origin_visitor_id is null)
        or exists (select from visitor_identity.backfill_queue)
    then
        raise exception 'the backfill left something';
    end if;
end
$$;
