-- A chat that a live session authorizes before the backfill comes to it stays where that put it, with the origin that the log names.
set client_min_messages = warning;
create schema live_before;
set search_path = live_before;
insert into visitor_identity.account (account)
values ('live_before');
set visitor_identity.account = 'live_before';
create table chat (
    chat_id integer primary key,
    visitor_id uuid,
    provided_visitor_id text,
    opened_at timestamptz
);
create index on chat (visitor_id);
-- A history of a visitor whom nobody knows yet, and of one who logs in within it.
insert into chat
values
    (1, '70000000-0000-4000-8000-000000000004', null, '2026-01-01'),
    (2, '70000000-0000-4000-8000-000000000005', null, '2026-01-02'),
    (3, '70000000-0000-4000-8000-000000000005', 'ann', '2026-01-03'),
    (4, '70000000-0000-4000-8000-000000000005', null, '2026-01-04');
select visitor_identity.attach_chat_table('chat', fixed_account => 'live_before');
select visitor_identity.backfill_begin('chat');
update chat set provided_visitor_id = 'bob' where chat_id = 1;
select * from visitor_identity.backfill_batch('chat', 100);
select c.chat_id,
    c.visitor_id = visitor_identity.find_visitor('bob') as bob,
    c.visitor_id = visitor_identity.find_visitor('ann') as ann,
    case when c.origin_visitor_id = c.visitor_id then 'the visitor' else c.origin_visitor_id::text end as origin
from chat as c
order by c.chat_id;
-- What moved has another origin, and a line in the log; what arrived at its visitor has neither.
select r.kind, r.reason, r.from_visitor_id, w.keys
from visitor_identity.rebind as r
left join visitor_identity.rebind_row as w on w.account = r.account and w.rebind_id = r.rebind_id and w.moved_table = 'chat'::regclass
where r.account = 'live_before'
order by r.rebind_id;
select problem from visitor_identity.check_integrity() where account = 'live_before';

select visitor_identity.detach_table('chat');
delete from visitor_identity.rebind_row where account = 'live_before';
delete from visitor_identity.rebind where account = 'live_before';
delete from visitor_identity.provided_identity where account = 'live_before';
delete from visitor_identity.visitor where account = 'live_before';
delete from visitor_identity.account where account = 'live_before';
drop schema live_before cascade;
