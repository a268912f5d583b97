-- explain_resolution tells in words, with the same rules, what resolve_visitor would do: what was usable, what was found, which rule
-- fires, what would move.
create schema explain_tells;
set search_path = explain_tells;
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
create function id(letter text)
returns uuid
language sql
as $$
    select l.visitor_id from letter as l where l.name = id.letter
$$;
insert into visitor_identity.account (account) values ('explain_tells');
create table chat (
    chat_id integer primary key,
    visitor_id uuid,
    provided_visitor_id text,
    channel_type text,
    channel_id text,
    channel_user_id text
);
create index on chat (visitor_id);
create index on chat (channel_user_id);
select visitor_identity.attach_chat_table('chat', fixed_account => 'explain_tells');
create table second_chat (chat_id integer primary key, visitor_id uuid);
create index on second_chat (visitor_id);
select visitor_identity.attach_chat_table('second_chat', fixed_account => 'explain_tells');
set visitor_identity.account = 'explain_tells';
-- Every visitor in the text is shown by his letter; one that was never seen is computed.
create function told(
    provided_visitor_id text default null,
    channel_type text default null,
    channel_user_id text default null,
    visitor_id uuid default null,
    channel_id text default ''
)
returns table (step integer, topic text, finding text)
language plpgsql
as $$
declare
    known record;
begin
    for step, topic, finding in
        select *
        from visitor_identity.explain_resolution(told.provided_visitor_id, told.channel_type, told.channel_user_id, told.visitor_id, told.channel_id)
    loop
        for known in select * from letter loop
            finding := replace(finding, known.visitor_id::text, known.name);
        end loop;
        finding := regexp_replace(finding, '[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}', '?');
        return next;
    end loop;
end
$$;
-- And what resolve_visitor then does, which is taken back.
create function would(
    provided_visitor_id text default null,
    channel_type text default null,
    channel_user_id text default null,
    visitor_id uuid default null,
    channel_id text default ''
)
returns table (outcome text, basis text, absorbed bigint, chats bigint, notes text, agrees boolean)
language plpgsql
as $$
declare
    explained text[];
begin
    select array_agg(e.finding order by e.step)
    into explained
    from visitor_identity.explain_resolution(would.provided_visitor_id, would.channel_type, would.channel_user_id, would.visitor_id, would.channel_id) as e
    where e.topic in ('basis', 'outcome', 'notes');
    begin
        select d.outcome, d.basis, cardinality(d.previous_visitor_ids), d.rebound_chats, array_to_string(d.notes, ', ')
        into would.outcome, would.basis, would.absorbed, would.chats, would.notes
        from visitor_identity.resolve_visitor_detail(would.provided_visitor_id, would.channel_type, would.channel_user_id, would.visitor_id, would.channel_id) as d;
        raise exception using errcode = 'P0001';
    exception when raise_exception then
        null;
    end;
    would.agrees := explained = array[would.basis, would.outcome, would.notes];
    return next;
end
$$;
-- C is identified, T has a channel, V and W have cookies, S was absorbed by C.
insert into letter
values ('40000000-0000-4000-8000-000000000001', 'V'), ('40000000-0000-4000-8000-000000000002', 'W'), ('40000000-0000-4000-8000-000000000003', 'S');
insert into chat (chat_id, visitor_id)
values (1, id('V')), (2, id('V')), (3, id('W')), (4, id('S'));
insert into second_chat (chat_id, visitor_id)
values (1, id('V'));
insert into chat (chat_id, channel_type, channel_id, channel_user_id)
values (5, 'telegram', 'a bot', '67854257');
select named('T', visitor_id) from chat where chat_id = 5;
select named('C', visitor_identity.resolve_visitor('C-1', visitor_id => id('S')));
select named('D', visitor_identity.resolve_visitor('D-1'));

-- Known by each identifier; nothing would be written.
select * from told('C-1');
select * from told(channel_type => 'telegram', channel_user_id => ' 67854257 ', channel_id => 'a bot');
select * from told(visitor_id => id('V'));
select * from told(visitor_id => id('S'));
-- Unknown: computed, random; a forged cookie.
select * from told('C-2');
select * from told(channel_type => 'viber', channel_user_id => 'abc==');
select * from told();
select * from told(visitor_id => '40000000-0000-4000-8000-000000000009');
-- No id: blank, zero, a placeholder.
select * from told(' undefined ', 'telegram', '0', '00000000-0000-0000-0000-000000000000');
-- A login that absorbs, by the cookie, by the channel, by both; and how many chats of which tables would move.
select * from told('C-1', visitor_id => id('V'));
select * from told('C-1', 'telegram', '67854257', channel_id => 'a bot');
select * from told('C-3', 'telegram', '67854257', id('V'), 'a bot');
-- A channel of an unknown person beside a login; beside a cookie.
select * from told('C-1', 'viber', 'abc==');
select * from told(channel_type => 'viber', channel_user_id => 'abc==', visitor_id => id('V'));
-- A shared browser: nothing of the other person moves.
select * from told('D-1', visitor_id => id('C'));
select named('C', visitor_identity.resolve_visitor('C-1', 'telegram', '67854257', channel_id => 'a bot'));
select * from told('D-1', 'telegram', '67854257', channel_id => 'a bot');
-- The policy and the limits.
update visitor_identity.account set on_authorization = 'keep' where account = 'explain_tells';
select * from told('C-1', visitor_id => id('V'));
update visitor_identity.account set on_authorization = 'rebind', max_rebind_chats = 2 where account = 'explain_tells';
select topic, finding from told('C-1', visitor_id => id('V')) where topic in ('met', 'outcome', 'notes');
select topic, finding from told('C-1', visitor_id => id('W')) where topic in ('met', 'outcome', 'notes');
update visitor_identity.account set max_rebind_chats = 100, max_rebinds = 2 where account = 'explain_tells';
select topic, finding from told('C-1', visitor_id => id('V')) where topic in ('met', 'outcome', 'notes');
update visitor_identity.account set max_rebinds = 100 where account = 'explain_tells';
-- An undone rebinding, whose visitor is claimed.
select count(*) as undone
from visitor_identity.rebind as r
cross join lateral visitor_identity.undo_rebind(r.rebind_id) as u
where r.account = 'explain_tells'
    and r.from_visitor_id = id('S');
select * from told('C-1', visitor_id => id('S'));
select topic, finding from told('D-1', visitor_id => id('S')) where topic in ('by visitor_id', 'met', 'outcome', 'notes');
-- A rebinding that is owed.
insert into visitor_identity.pending_rebind (account, visitor_id, to_visitor_id)
values ('explain_tells', id('W'), id('D'));
select topic, finding from told(visitor_id => id('W')) where topic in ('owed', 'visitor');
delete from visitor_identity.pending_rebind where account = 'explain_tells';
-- The identified cookie that a policy ignores.
update visitor_identity.account set identified_cookie = 'ignore' where account = 'explain_tells';
select * from told(visitor_id => id('C'));
update visitor_identity.account set identified_cookie = 'auto' where account = 'explain_tells';

-- The words agree with the deed.
select q.what, w.*
from (
    values
        (1, 'known', 'C-1', null, null, null::uuid),
        (2, 'unknown', 'C-2', null, null, null),
        (3, 'login with a cookie', 'C-1', null, null, id('V')),
        (4, 'first login with a cookie', 'C-4', null, null, id('V')),
        (5, 'login with both', 'C-5', 'telegram', '67854257', id('W')),
        (6, 'shared browser', 'D-1', null, null, id('C')),
        (7, 'undone', 'C-1', null, null, id('S')),
        (8, 'undone, of another', 'D-1', null, null, id('S')),
        (9, 'channel and cookie', null, 'viber', 'abc==', id('V')),
        (10, 'forged cookie', null, null, null, '40000000-0000-4000-8000-000000000009'),
        (11, 'placeholder', 'null', null, null, id('V')),
        (12, 'nothing', null, null, null, null)
) as q (n, what, provided, channel_type, channel_user_id, cookie)
cross join lateral would(q.provided, q.channel_type, q.channel_user_id, q.cookie, 'a bot') as w
order by q.n;
-- Nothing was written by any of it.
select problem from visitor_identity.check_integrity() where account = 'explain_tells';
select array_agg(chat_id order by chat_id) as of_v from chat where visitor_id = id('V');

reset visitor_identity.account;
select visitor_identity.detach_table('chat');
select visitor_identity.detach_table('second_chat');
set client_min_messages = warning;
drop schema explain_tells cascade;
