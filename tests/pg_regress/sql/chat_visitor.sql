-- The promise: an application without triggers gets, for a row that it is going to write, the visitor whom the triggers would
-- have set, and everything else happens that would have happened.
insert into visitor_identity.account (account, namespace) values ('untriggered', '99999999-9999-4999-8999-999999999999');
set visitor_identity.account = 'untriggered';
create schema by_hand;
create table by_hand.chat (
    account text collate "C" not null default 'untriggered',
    chat_id bigint primary key,
    visitor_id uuid,
    provided_visitor_id text
);
create index on by_hand.chat (account, visitor_id);
select visitor_identity.attach_chat_table('by_hand.chat');
-- As on distributed tables, where there are none.
alter table by_hand.chat disable trigger user;

-- An unknown visitor_id is adopted, a new one assigned, a malformed identifier counts as none.
select visitor_identity.chat_visitor(visitor_id => 'c0000000-0000-4000-8000-000000000001');
select visitor_identity.chat_visitor() is not null as assigned;
select visitor_identity.chat_visitor(channel_type => 'telegram', channel_user_id => 'no number') is not null as assigned;
insert into by_hand.chat (chat_id, visitor_id, origin_visitor_id)
select 1, v, v
from visitor_identity.chat_visitor(visitor_id => 'c0000000-0000-4000-8000-000000000001') as v;

-- A row that shows who the cookie is: the chats before it are rebound.
insert into by_hand.chat (chat_id, visitor_id, origin_visitor_id, provided_visitor_id)
select 2, v, v, 'C-1'
from visitor_identity.chat_visitor('C-1', visitor_id => 'c0000000-0000-4000-8000-000000000001') as v;
select chat_id, visitor_id = visitor_identity.derive_visitor_id('C-1') as his, origin_visitor_id = visitor_id as from_the_start
from by_hand.chat
order by chat_id;
select kind, reason, rebound_chats, rebound_by = session_user as by_us from visitor_identity.rebind where account = 'untriggered';

-- The superseded cookie gives the survivor, and another person's login takes nothing of him.
select visitor_identity.chat_visitor(visitor_id => 'c0000000-0000-4000-8000-000000000001') = visitor_identity.derive_visitor_id('C-1') as his;
select visitor_identity.chat_visitor('C-2', visitor_id => 'c0000000-0000-4000-8000-000000000001') = visitor_identity.derive_visitor_id('C-2') as of_the_other;
select count(*) from by_hand.chat where visitor_id = visitor_identity.derive_visitor_id('C-1');

-- The visitor stays as he is until the transaction ends.
begin;
select visitor_identity.chat_visitor(visitor_id => 'c0000000-0000-4000-8000-000000000002');
select count(*) from visitor_identity.visitor where account = 'untriggered' and visitor_id = 'c0000000-0000-4000-8000-000000000002';
rollback;
begin read only;
select visitor_identity.chat_visitor(visitor_id => 'c0000000-0000-4000-8000-000000000002');
rollback;
select visitor_identity.chat_visitor(account => 'nowhere');
select * from visitor_identity.check_integrity() where account = 'untriggered';

select visitor_identity.detach_table('by_hand.chat');
drop schema by_hand cascade;
reset visitor_identity.account;
do $$
declare
    identity_table regclass;
begin
    foreach identity_table in array array[
        'visitor_identity.visitor', 'visitor_identity.provided_identity', 'visitor_identity.rebind',
        'visitor_identity.rebind_row', 'visitor_identity.refused_link', 'visitor_identity.account'
    ]::regclass[]
    loop
        execute format('delete from %s where account = ''untriggered''', identity_table);
    end loop;
end
$$;
