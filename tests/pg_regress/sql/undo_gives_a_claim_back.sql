-- undo_rebind: a visitor who was claimed when he was absorbed is claimed again: nobody else may absorb him.
create schema undo_claim;
set search_path = undo_claim;
insert into visitor_identity.account (account, on_authorization) values ('undo_claim', 'keep');
set visitor_identity.account = 'undo_claim';
create table chat (
    chat_id integer primary key,
    visitor_id uuid
);
create index on chat (visitor_id);
select visitor_identity.attach_chat_table('chat', fixed_account => 'undo_claim');
insert into chat (chat_id, visitor_id)
values (1, '40000000-0000-4000-8000-000000000001'), (2, '40000000-0000-4000-8000-000000000002');

-- A claims the first visitor under keep, and absorbs both when the policy is rebind.
select outcome, notes from visitor_identity.resolve_visitor_detail('A-1', visitor_id => '40000000-0000-4000-8000-000000000001');
update visitor_identity.account set on_authorization = 'rebind' where account = 'undo_claim';
select outcome, rebound_chats from visitor_identity.resolve_visitor_detail('A-1', visitor_id => '40000000-0000-4000-8000-000000000001');
select outcome, rebound_chats from visitor_identity.resolve_visitor_detail('A-1', visitor_id => '40000000-0000-4000-8000-000000000002');
select from_visitor_id, claimed_by = to_visitor_id as claimed_before from visitor_identity.rebind where account = 'undo_claim' order by 1;
select r.from_visitor_id, u.moved_table, u.put_back
from visitor_identity.rebind as r
cross join lateral visitor_identity.undo_rebind(r.rebind_id) as u
where r.account = 'undo_claim'
order by 1;
select visitor_id, superseded_by is null as canonical, claimed_by = visitor_identity.find_visitor('A-1') as claimed_by_a
from visitor_identity.visitor
where account = 'undo_claim' and not identified
order by 1;

-- B on the same computer: the claimed one is A's, the other one is free.
select outcome, rebound_chats from visitor_identity.resolve_visitor_detail('B-1', visitor_id => '40000000-0000-4000-8000-000000000001');
select outcome, rebound_chats from visitor_identity.resolve_visitor_detail('B-1', visitor_id => '40000000-0000-4000-8000-000000000002');
select chat_id, visitor_id = visitor_identity.find_visitor('B-1') as of_b from chat order by 1;
select problem from visitor_identity.check_integrity() where account = 'undo_claim';

reset visitor_identity.account;
set client_min_messages = warning;
select visitor_identity.detach_table('undo_claim.chat');
drop schema undo_claim cascade;
