-- forget_visitor erases what the person holds also where it stands of others: in the log and among the former ids of whoever had the
-- channel user id or the device before.
create schema forgetting_passed;
set search_path = forgetting_passed;
insert into visitor_identity.account (account) values ('forgetting_passed');
set visitor_identity.account = 'forgetting_passed';
create table chat (
    chat_id integer primary key,
    visitor_id uuid
);
create index on chat (visitor_id);
select visitor_identity.attach_chat_table('chat', fixed_account => 'forgetting_passed');
create function found_in(value text)
returns setof text
language plpgsql
as $$
declare
    place record;
    hits bigint;
begin
    for place in
        select c.oid::regclass as relation, a.attname as name
        from pg_class as c
        join pg_attribute as a on a.attrelid = c.oid
        where c.relnamespace = 'visitor_identity'::regnamespace
            and c.relkind in ('r', 'p')
            and not c.relispartition
            and a.attnum > 0
            and not a.attisdropped
        order by 1, 2
    loop
        execute format('select count(*) from %s as t where strpos(t.%I::text, $1) > 0', place.relation, place.name)
        into hits
        using value;
        if hits > 0 then
            return next place.relation || '.' || place.name || ' ' || hits;
        end if;
    end loop;
end
$$;

-- A phone that a stranger registered, who turned out to be the first person; then it is the second one's.
insert into chat (chat_id, visitor_id) values (1, '40000000-0000-4000-8000-000000000001');
select visitor_identity.register_device('40000000-0000-4000-8000-000000000001', 'shop', 'abcdefab-0000-4000-8000-00000000d001', 'fcm', 'passed-token') is not null as registered;
select visitor_identity.register_device('40000000-0000-4000-8000-000000000001', 'shop', 'abcdefab-0000-4000-8000-00000000d002', 'fcm', 'kept-token') is not null as registered;
select outcome from visitor_identity.resolve_visitor_detail('Q-1', visitor_id => '40000000-0000-4000-8000-000000000001');
select visitor_identity.register_device(visitor_identity.resolve_visitor('Q-2'), 'shop', 'abcdefab-0000-4000-8000-00000000d001', 'fcm', 'passed-token') is not null as registered;
-- A messenger account: anonymous, then the first one's, then the second one's.
select visitor_identity.resolve_visitor(channel_type => 'telegram', channel_user_id => '7123456789') is not null as seen;
select outcome from visitor_identity.resolve_visitor_detail('Q-1', 'telegram', '7123456789');
select outcome from visitor_identity.resolve_visitor_detail('Q-2', 'telegram', '7123456789');
select v.value, f.place
from (values ('abcdefab-0000-4000-8000-00000000d001'), ('abcdefab-0000-4000-8000-00000000d002'), ('7123456789'), ('Q-2')) as v (value)
cross join lateral found_in(v.value) as f (place)
order by 1, 2;
select * from visitor_identity.forget_visitor(visitor_identity.find_visitor('Q-2'));
select v.value, f.place
from (values ('abcdefab-0000-4000-8000-00000000d001'), ('abcdefab-0000-4000-8000-00000000d002'), ('7123456789'), ('Q-2')) as v (value)
cross join lateral found_in(v.value) as f (place)
order by 1, 2;
-- The first person is who he was, and his rebinding can be undone still.
select count(*) as devices from visitor_identity.push_targets(provided_visitor_id => 'Q-1');
select u.moved_table, u.put_back, u.left_alone
from visitor_identity.rebind as r
cross join lateral visitor_identity.undo_rebind(r.rebind_id) as u
where r.account = 'forgetting_passed' and r.from_visitor_id = '40000000-0000-4000-8000-000000000001';
select problem from visitor_identity.check_integrity() where account = 'forgetting_passed';
-- An action must be said, if only by leaving it out.
select * from visitor_identity.forget_visitor(visitor_identity.find_visitor('Q-1'), null);
\echo :LAST_ERROR_SQLSTATE
select * from visitor_identity.forget_visitor(visitor_identity.find_visitor('Q-1'), per_table => '{"x y": "delete"}');
select * from visitor_identity.forget_visitor(visitor_identity.find_visitor('Q-1'), per_table => '{"a.b.c.d": "delete"}');
\echo :LAST_ERROR_SQLSTATE
select * from visitor_identity.prune_devices('1000000 years');
\echo :LAST_ERROR_SQLSTATE

-- Another provided id written on a chat is a correction, no meeting of two people.
create table corrected (
    chat_id integer primary key,
    visitor_id uuid,
    provided_visitor_id text
);
create index on corrected (visitor_id);
select visitor_identity.attach_chat_table('corrected', fixed_account => 'forgetting_passed');
insert into corrected (chat_id, provided_visitor_id) values (1, 'W-1');
update corrected set provided_visitor_id = 'W-2' where chat_id = 1;
select count(*) as refused_links from visitor_identity.refused_link as r where r.account = 'forgetting_passed' and r.visitor_id = visitor_identity.find_visitor('W-1');
select because, reason from visitor_identity.visitor_history(visitor_identity.find_visitor('W-2'));
-- Undoing that move leaves the chat alone, which is W-2's by its id: History says so.
select u.put_back, u.left_alone
from visitor_identity.rebind as r
cross join lateral visitor_identity.undo_rebind(r.rebind_id) as u
where r.account = 'forgetting_passed' and r.from_visitor_id = visitor_identity.find_visitor('W-1');
select because, reason from visitor_identity.visitor_history(visitor_identity.find_visitor('W-2'));

reset visitor_identity.account;
set client_min_messages = warning;
select visitor_identity.detach_table('forgetting_passed.chat');
select visitor_identity.detach_table('forgetting_passed.corrected');
drop schema forgetting_passed cascade;
