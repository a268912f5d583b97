-- A push reaches the person, whatever he was called when his devices registered: they move with a rebinding, a second one, a merge and
-- a claim, and come back by undo_rebind; a shared browser moves none.
create schema push_targets_follow_the_person;
set search_path = push_targets_follow_the_person;
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
create function id(letter text)
returns uuid
language sql
as $$
    select l.visitor_id from letter as l where l.name = id.letter
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
insert into visitor_identity.account (account) values ('push');
set visitor_identity.account = 'push';
-- A new anonymous visitor with a device, whose token is his letter.
create function appears(letter text)
returns void
language sql
as $$
    select named(letter, visitor_identity.resolve_visitor());
    select visitor_identity.register_device(id(letter), 'shop', gen_random_uuid()::text, 'fcm', letter);
$$;
create function registers(letter text, token text)
returns text
language sql
as $$
    select who(visitor_identity.register_device(id(letter), d.app, d.device_id, d.service, d.token))
    from visitor_identity.device as d
    where d.account = 'push' and d.token = registers.token
$$;
create function targets(letter text default null, provided text default null)
returns text
language sql
as $$
    select string_agg(t.token || ':' || who(t.visitor_id), ' ' order by t.token)
    from visitor_identity.push_targets(id(letter), provided) as t
$$;
create view owners as
select string_agg(d.token || ':' || who(d.visitor_id), ' ' order by d.token) as owners
from visitor_identity.device as d
where d.account = 'push';

-- Two devices of one person, who logs in on each; a third one is another's.
select appears('V'), appears('W'), appears('X');
select named('A', visitor_identity.resolve_visitor('A-1', visitor_id => id('V')));
select rebound_chats, outcome from visitor_identity.resolve_visitor_detail('A-1', visitor_id => id('W'));
table owners;
select targets('A') as by_visitor, targets(provided => 'A-1') as by_provided, targets('V') as by_former, targets('W', 'A-1') as by_both, targets('X') as the_other;
-- The log counts chats; what else moved is there by its key.
select r.rebound_chats, k.moved_table, jsonb_array_length(k.keys) as keys, k.keys -> 0 ? 'token' as has_token
from visitor_identity.rebind as r
join visitor_identity.rebind_row as k using (account, rebind_id)
where r.account = 'push'
order by r.rebind_id;
select problem from visitor_identity.check_integrity() where account = 'push';
-- A registration by the former name is one of the survivor.
select registers('V', 'V') as owner;
table owners;

-- Undone: what is still there goes back, and is reached by its own name alone.
select rebind_id as of_v from visitor_identity.rebind where account = 'push' and from_visitor_id = id('V') \gset
select rebind_id as of_w from visitor_identity.rebind where account = 'push' and from_visitor_id = id('W') \gset
select moved_table, put_back, left_alone from visitor_identity.undo_rebind(:of_v);
table owners;
select targets('A') as by_visitor, targets('V') as by_former;
-- What was registered for him by his own name since is his, also within the hour in which nothing else is written.
select registers('A', 'W') as owner;
select moved_table, put_back, left_alone from visitor_identity.undo_rebind(:of_w);
table owners;
-- Logged in again after an undo: no rebinding, a claim; the devices of the claimed visitor point to the claimant.
select outcome, notes from visitor_identity.resolve_visitor_detail('A-1', visitor_id => id('V'));
table owners;
select targets('A') as claimant, targets('V') as claimed, targets('V', 'A-1') as both;
-- He goes on without the login, and registers by his own name: that is his own device again, and a message to both is for one person.
select registers('V', 'V') as owner;
select targets('A') as claimant, targets('V') as claimed, targets('V', 'A-1') as both;
select problem from visitor_identity.check_integrity() where account = 'push';

-- The second rebinding of a device: V2 to B, then B is merged into A, and all of it back.
delete from visitor_identity.device where account = 'push' and token <> 'X';
select appears('V2');
select named('B', visitor_identity.resolve_visitor('B-1', visitor_id => id('V2')));
select count(visitor_identity.register_device(id('B'), 'shop', gen_random_uuid()::text, 'fcm', 'B'));
select count(visitor_identity.register_device(id('A'), 'shop', gen_random_uuid()::text, 'fcm', 'A'));
table owners;
select visitor_identity.merge_visitors(id('B'), id('A')) as merged \gset
table owners;
select targets(provided => 'B-1') as by_provided, targets('V2') as by_former, targets('B', 'A-1') as by_both;
select problem from visitor_identity.check_integrity() where account = 'push';
-- What came later stays where it came, but for what was registered by the name of the merged one: it is his.
select count(visitor_identity.register_device(id('A'), 'shop', gen_random_uuid()::text, 'fcm', 'B2'));
select registers('B', 'B2') as owner;
table owners;
select moved_table, put_back, left_alone from visitor_identity.undo_rebind(:merged) order by moved_table::text;
table owners;
-- Merged again; meanwhile one device becomes another person's, and one is unregistered.
select registers('B', 'B2') as owner;
select visitor_identity.merge_visitors(id('B'), id('A')) as merged \gset
select registers('X', 'B') as owner;
select visitor_identity.unregister_device('shop', device_id) from visitor_identity.device where account = 'push' and token = 'B2';
table owners;
select moved_table, put_back, left_alone from visitor_identity.undo_rebind(:merged) order by moved_table::text;
table owners;
select rebind_id as of_v2 from visitor_identity.rebind where account = 'push' and from_visitor_id = id('V2') \gset
select moved_table, put_back, left_alone from visitor_identity.undo_rebind(:of_v2);
table owners;
select problem from visitor_identity.check_integrity() where account = 'push';

-- A shared browser: who is identified stays, and so do his devices; a claimed one is nobody else's.
select outcome from visitor_identity.resolve_visitor_detail('B-1', visitor_id => id('A'));
select outcome from visitor_identity.resolve_visitor_detail('B-1', visitor_id => id('V'));
table owners;
-- A chat that authorizes moves them as a call does.
create table chat (chat_id integer primary key, visitor_id uuid, provided_visitor_id text, closed_at date);
create index on chat (visitor_id);
select visitor_identity.attach_chat_table('chat', fixed_account => 'push');
insert into chat values (1, id('X'));
update chat set provided_visitor_id = 'B-1' where chat_id = 1;
table owners;
select targets('X') as by_former, targets(provided => 'B-1') as by_provided;
-- Policy keep: the chats stay with the visitor, the devices go with the person.
update visitor_identity.account set on_authorization = 'keep' where account = 'push';
select appears('K');
insert into chat values (2, id('K'));
update chat set provided_visitor_id = 'A-1' where chat_id = 2;
table owners;

-- Whom a message is for has to be one person.
\x
select * from refusal($$select targets('A', 'B-1')$$);
select state, message from refusal($$select targets('B', 'C-9')$$);
select appears('Y');
select state, message from refusal($$select targets('Y', 'A-1')$$);
\x
-- Nobody has C-9 yet; a blank and a placeholder are no id; nobody at all is nobody; the unknown and the forgotten have nothing.
select
    targets('Y', 'C-9') as not_yet,
    targets('Y', ' ') as blank,
    targets('Y', 'undefined') as placeholder,
    targets('Y', '0') as zero,
    targets() as nobody,
    targets(provided => 'null') as no_id,
    targets(provided => 'C-9') as unknown;
select count(*) as unknown from visitor_identity.push_targets('40000000-0000-4000-8000-000000000009');
select count(*) as nil from visitor_identity.push_targets('00000000-0000-0000-0000-000000000000');
select count(*) > 0 as by_the_known from visitor_identity.push_targets('40000000-0000-4000-8000-000000000009', 'A-1');
begin;
update visitor_identity.visitor set forgotten = true where account = 'push' and visitor_id = id('Y');
select targets('Y') as forgotten;
select problem from visitor_identity.check_integrity() where account = 'push';
rollback;
-- Damage is found.
begin;
update visitor_identity.device set visitor_id = id('X') where account = 'push' and token = 'Y';
update visitor_identity.device set token = 'A' where account = 'push' and token = 'K';
select problem, who(visitor_id) as visitor from visitor_identity.check_integrity() where account = 'push' order by 1, 2;
rollback;

-- Asked for, nothing is written and nothing is locked, also by a parallel worker; a bare visitor_id of an identified person counts under every policy.
select proname, provolatile, proparallel
from pg_proc
where pronamespace = 'visitor_identity'::regnamespace and proname in ('register_device', 'unregister_device', 'push_targets', 'prune_devices')
order by 1;
update visitor_identity.account set identified_cookie = 'ignore' where account = 'push';
begin read only;
select targets('A') as by_visitor, targets(provided => 'A-1') as by_provided;
select count(*) as row_locks
from pg_locks
where pid = pg_backend_pid() and (locktype = 'advisory' or mode in ('RowShareLock', 'RowExclusiveLock'));
rollback;
begin;
select set_config(name, 'on', true) as parallel from pg_settings where name in ('force_parallel_mode', 'debug_parallel_query');
select count(t.*) > 0 as by_a_worker from visitor_identity.push_targets(id('A')) as t;
commit;

reset visitor_identity.account;
select visitor_identity.detach_table('chat');
set client_min_messages = warning;
drop schema push_targets_follow_the_person cascade;
delete from visitor_identity.device where account = 'push';
