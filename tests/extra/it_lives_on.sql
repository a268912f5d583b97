-- In a copy of a database of filled_database.sql: logins still move earlier chats, new rows get new numbers, an old
-- rebinding can be undone. One line, of which every column has to be true.
set client_min_messages = warning;
insert into public."Odd Table" ("Key", "Visitor")
values ('k3', 'aaaaaaaa-0000-4000-8000-000000000003');
insert into public."Odd Table" ("Key", "Visitor", crm)
values ('k4', 'aaaaaaaa-0000-4000-8000-000000000003', 'Y');
insert into owned.conversation (conversation_id, opened_at, visitor_id, account)
values (7, '2024-07-07', 'aaaaaaaa-0000-4000-8000-000000000007', 'default');
insert into chat.chat (visitor_id, provided_visitor_id)
values ('aaaaaaaa-0000-4000-8000-000000000007', 'C-7');
create temporary table undone as
select u.moved_table, u.put_back
from visitor_identity.undo_rebind(
    (
        select r.rebind_id
        from visitor_identity.rebind as r
        where r.from_visitor_id = 'aaaaaaaa-0000-4000-8000-000000000001'
    )
) as u;
select
    (
        select count(distinct "Visitor") = 1
        from public."Odd Table"
        where "Key" in ('k3', 'k4')
    ),
    (
        select visitor_id = visitor_identity.find_visitor('C-7')
        from owned.conversation
        where conversation_id = 7
    ),
    (
        select count(*) = count(distinct rebind_id)
        from visitor_identity.rebind
    ),
    (
        select count(*) = count(distinct chat_id)
        from chat.chat
    ),
    (
        select sum(put_back) = 1
        from undone
        where moved_table = 'chat.chat'::regclass
    ),
    (
        select count(*) = 0
        from visitor_identity.check_integrity()
    );
