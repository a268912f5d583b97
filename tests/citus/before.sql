-- What both databases have before one of them is distributed: a login and its log, by the triggers.
insert into visitor_identity.account (account, namespace) values ('before', '00000000-0000-4000-8000-000000000001');
update visitor_identity.account set namespace = '00000000-0000-4000-8000-000000000002' where account = 'default';
insert into chat.chat (account, chat_id, visitor_id, state, opened_at)
values
    ('before', 1, '0b000000-0000-4000-8000-000000000001', 'closed', '2025-12-01 10:00+00'),
    ('before', 2, '0b000000-0000-4000-8000-000000000001', 'chat', '2025-12-02 10:00+00');
insert into chat.message (account, chat_id, kind, text) values ('before', 1, 'visitor', 'hello');
update chat.chat set provided_visitor_id = 'B-1' where account = 'before' and chat_id = 1;
create table chat.note (
    account text collate "C" not null,
    note_id bigint not null,
    visitor_id uuid not null,
    constraint note_pkey primary key (account, note_id)
);
create index on chat.note (account, visitor_id);
select visitor_identity.attach_visitor_table('chat.note');
insert into chat.note (account, note_id, visitor_id) values ('before', 1, '0b000000-0000-4000-8000-000000000001');
