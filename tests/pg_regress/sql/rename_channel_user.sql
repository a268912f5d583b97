-- rename_channel_user follows a platform that gave a person another id: the visitor stays, the old id is free for whoever gets it next,
-- and History still finds the old chats by the old id.
create schema rename_channel_user;
set search_path = rename_channel_user;
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
values ('rename_channel_user'), ('rename_channel_user_2');
create table chat (
    chat_id integer primary key,
    visitor_id uuid,
    channel_type text,
    channel_id text,
    channel_user_id text,
    opened_at date default '2024-05-01',
    closed_at date default '2024-05-02'
);
create index on chat (visitor_id);
create index on chat (channel_user_id);
select visitor_identity.attach_chat_table('chat', fixed_account => 'rename_channel_user');
set visitor_identity.account = 'rename_channel_user';
create view chats as
select c.chat_id, who(c.visitor_id) as visitor, c.channel_type, c.channel_id, c.channel_user_id
from chat as c
order by c.chat_id;
create view bound as
select c.channel_type, c.channel_id, c.channel_user_id, who(c.visitor_id) as visitor
from visitor_identity.channel_identity as c
where c.account = 'rename_channel_user'
order by 1, 2, 3;
insert into chat (chat_id, channel_type, channel_id, channel_user_id)
values (1, 'telegram', null, '67854257'), (2, 'whatsapp', 'number one', '10435685475'), (3, 'whatsapp', 'number two', '10435685475'), (4, 'viber', null, 'abc==');
select named('T', visitor_id) from chat where chat_id = 1;
select named('W', visitor_id) from chat where chat_id = 2;
select named('X', visitor_id) from chat where chat_id = 3;
select named('V', visitor_id) from chat where chat_id = 4;

-- An anonymous visitor: he stays, under the new id.
select who(visitor_identity.rename_channel_user('telegram', '67854257', '67854299'));
table bound;
select
    who(visitor_identity.find_visitor(channel_type => 'telegram', channel_user_id => '67854299')) as by_new,
    who(visitor_identity.find_visitor(channel_type => 'telegram', channel_user_id => '67854257')) as by_old;
insert into chat (chat_id, channel_type, channel_user_id)
values (5, 'telegram', '67854299');
-- Who gets the old id next is another person.
insert into chat (chat_id, channel_type, channel_user_id)
values (6, 'telegram', '67854257');
select named('N', visitor_id) from chat where chat_id = 6;
table chats;
-- History finds by the old id his old chats and those of its next holder, by the new one those since.
select q, s.chat_key ->> 'chat_id' as chat_id, s.channel_user_id, who(s.visitor_id) as visitor, s.matched_by
from unnest('{67854257, 67854299}'::text[]) as q
cross join lateral visitor_identity.search_history(q) as s
order by 1, 2;
-- The id as people write it, and within one number of the company only.
select who(visitor_identity.rename_channel_user('whatsapp', '+1 (043) 568-5475', '+1 043 568 5476', 'number one'));
table bound;
-- An identified visitor with chats that were rebound keeps everything.
select named('C', visitor_identity.resolve_visitor('C-1', 'viber', 'abc=='));
select who(visitor_identity.rename_channel_user('viber', 'abc==', 'xyz=='));
select who(visitor_identity.resolve_visitor(channel_type => 'viber', channel_user_id => 'xyz=='));
select who(visitor_identity.find_visitor('C-1'));
select chat_id, visitor, channel_user_id from chats where chat_id = 4;
-- A chain of names, there and back.
select who(visitor_identity.rename_channel_user('viber', 'xyz==', 'abc=='));
select who(visitor_identity.find_visitor(channel_type => 'viber', channel_user_id => 'abc==')) as back,
    who(visitor_identity.find_visitor(channel_type => 'viber', channel_user_id => 'xyz==')) as gone;
-- The new id is bound to him already; the new one is the old one: nothing changes but that the old name goes.
select who(visitor_identity.resolve_visitor('C-1', 'viber', 'second=='));
select who(visitor_identity.rename_channel_user('viber', 'abc==', 'second=='));
select who(visitor_identity.rename_channel_user('viber', 'second==', ' second== '));
select * from bound where channel_type = 'viber';

-- What is refused, leaving everything as it was.
create table before as
table bound;
\x
select * from refusal($$select visitor_identity.rename_channel_user('telegram', '67854258', '67854259')$$);
select * from refusal($$select visitor_identity.rename_channel_user('telegram', '67854299', '67854257')$$);
select * from refusal($$select visitor_identity.rename_channel_user('telegram', '67854299', 'not a number')$$);
\x
select f.arguments, r.state, r.message
from (
    values
        ($$'telegram', '67854299', null$$),
        ($$'telegram', null, '67854258'$$),
        ($$'telegram', '67854299', ' '$$),
        ($$'telegram', 'undefined', '67854258'$$),
        ($$null, '67854299', '67854258'$$),
        ($$'fax', '67854299', '67854258'$$),
        ($$'telegram', '67854299', '67854258', 'another bot'$$),
        ($$'viber', 'second==', repeat('x', 513)$$),
        ($$'viber', 'second==', E'a\x01b'$$),
        ($$'telegram', '67854299', '67854258', account => 'rename_channel_user_2'$$),
        ($$'telegram', '67854299', '67854258', account => 'rename_channel_user_3'$$)
) as f (arguments)
cross join lateral refusal('select visitor_identity.rename_channel_user(' || f.arguments || ')') as r;
begin read only;
select state, message, detail, hint
from refusal($$select visitor_identity.rename_channel_user('telegram', '67854299', '67854258')$$);
rollback;
set visitor_identity.locked_account = 'rename_channel_user_2';
set visitor_identity.account = 'default';
select state, message
from refusal($$select visitor_identity.rename_channel_user('telegram', '67854299', '67854258', account => 'rename_channel_user')$$);
reset visitor_identity.locked_account;
set visitor_identity.account = 'rename_channel_user';
select * from bound except table before;
select problem from visitor_identity.check_integrity() where account like 'rename_channel_user%';

drop view chats, bound;
reset visitor_identity.account;
select visitor_identity.detach_table('chat');
set client_min_messages = warning;
drop schema rename_channel_user cascade;
