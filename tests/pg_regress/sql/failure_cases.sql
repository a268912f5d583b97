-- Failure cases of other systems, each under its number; those with a file of their own are there (placeholders_are_no_id,
-- shared_browser_switches_never_merges, search_history, a_row_is_never_refused, bad_input, require_signature).
create schema failure_cases;
set search_path = failure_cases;
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
-- resolve_visitor_detail, with letters for the visitors and counts for the rebindings.
create function seen(
    wanted text,
    provided_visitor_id text default null,
    channel_type text default null,
    channel_user_id text default null,
    visitor_id uuid default null,
    channel_id text default '',
    account text default 'failure_cases'
)
returns table (
    visitor text,
    outcome text,
    basis text,
    absorbed text,
    rebindings bigint,
    chats bigint,
    notes text
)
language sql
as $$
    select
        named(wanted, d.visitor_id),
        d.outcome,
        d.basis,
        (select string_agg(who(p), ', ' order by n) from unnest(d.previous_visitor_ids) with ordinality as u (p, n)),
        cardinality(d.rebind_ids),
        d.rebound_chats,
        array_to_string(d.notes, ', ')
    from visitor_identity.resolve_visitor_detail(
        seen.provided_visitor_id, seen.channel_type, seen.channel_user_id,
        seen.visitor_id, seen.channel_id, seen.account
    ) as d
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
insert into visitor_identity.account (account) values ('failure_cases');
create table chat (
    chat_id integer primary key,
    visitor_id uuid,
    origin_visitor_id uuid,
    provided_visitor_id text,
    channel_type text,
    channel_id text,
    channel_user_id text,
    opened_at timestamptz,
    closed_at timestamptz
);
create index on chat (visitor_id);
create index on chat (channel_user_id);
select visitor_identity.attach_chat_table('chat', fixed_account => 'failure_cases');
create view chats as
select
    c.chat_id,
    who(c.visitor_id) as visitor,
    who(c.origin_visitor_id) as origin,
    c.provided_visitor_id as provided
from chat as c
order by c.chat_id;

-- T06: a flood on one refused id binds nothing and locks nothing that others share.
begin;
select count(visitor_identity.resolve_visitor('000000000000', account => 'failure_cases'))
from generate_series(1, 100);
select count(*) as bound
from visitor_identity.provided_identity
where account = 'failure_cases';
select count(*) as advisory_locks
from pg_locks
where pid = pg_backend_pid() and locktype = 'advisory';
commit;

-- T09: trimmed before it is computed.
select visitor_identity.derive_visitor_id('u1', 'failure_cases') = visitor_identity.derive_visitor_id(E'u1 \n', 'failure_cases') as same;
-- T10: opaque ids keep their case, e-mail domains do not.
select
    visitor_identity.derive_visitor_id('u1', 'failure_cases') <> visitor_identity.derive_visitor_id('U1', 'failure_cases') as opaque,
    visitor_identity.normalize_channel_user_id('email', 'Ann@EXAMPLE.com') as email;
-- T12: over-long and invalid text is a refusal that a caller can catch, and the transaction goes on.
begin;
select state from refusal($$select visitor_identity.resolve_visitor(repeat('x', 1000), account => 'failure_cases')$$);
select count(visitor_identity.resolve_visitor('after', account => 'failure_cases'));
commit;

-- T14, T17: identified and identified are never joined; a shared channel id (the same phone) joins nobody.
select * from seen('A', 'A-1', 'whatsapp', '10435685475');
select * from seen('B', 'B-1', 'whatsapp', '+1 043 568 5475');
select * from seen('?', 'A-1');
-- T25: another name on the same channel id is the same visitor; two people who logged in on it are kept as a conflict.
select * from seen('?', channel_type => 'whatsapp', channel_user_id => 'tel:+1-043-568-5475');
create view conflicts as
select a.kind, who(a.visitor_id) as visitor, a.occurrences
from visitor_identity.anomalies as a
where a.account = 'failure_cases' and a.chat_table is null
order by 1, 2;
create view refused as
select who(l.visitor_id) as visitor, who(l.to_visitor_id) as login, l.reason
from visitor_identity.refused_link as l
where l.account = 'failure_cases'
order by l.refused_id;
table conflicts;
-- T32: a new external id with a known address: both visitors are in the report, and nothing is deleted or merged.
table refused;
select who(visitor_identity.find_visitor('A-1', account => 'failure_cases')) as a, who(visitor_identity.find_visitor('B-1', account => 'failure_cases')) as b;

-- T26: an id that was bound by an unsigned login is the same visitor once it is signed: a provided id is one person, whoever
-- vouches for it. Where that is not trusted, require_signature keeps chats with an id that was never verified apart, and lists
-- them; the login of one person never joins a visitor whom another one claimed, and the conflict is flagged.
begin;
create function signed(id text)
returns jsonb
language sql
as $$
    select jsonb_build_object('fields', jsonb_build_object('id', id), 'hash', encode(sha256(convert_to(id || 'key', 'UTF8')), 'hex'))
$$;
select visitor_identity.add_signature_key('key', 'sha256', 'failure_cases') is not null as added;
select * from seen('K', 'K-1');
select who(visitor_identity.authorize_visitor(signed('K-1'), account => 'failure_cases')) as the_same_once_signed;
select visitor_id as k from letter where name = 'K' \gset
select named('L', visitor_identity.authorize_visitor(signed('L-1'), :'k', account => 'failure_cases')) as another_signed_login;
select * from refused where login = 'L';
select * from conflicts where visitor = 'K';
update visitor_identity.account
set require_signature = true
where account = 'failure_cases';
insert into chat (chat_id, provided_visitor_id)
values (30, 'K-1'), (31, 'L-1'), (32, 'M-1');
select c.chat_id, who(c.visitor_id) as visitor, a.kind
from chat as c
left join visitor_identity.anomalies as a on a.chat_key = jsonb_build_object('chat_id', c.chat_id) and a.account = 'failure_cases'
where c.chat_id between 30 and 32
order by c.chat_id;
rollback;

-- T34: the loser of a race gets the winner's visitor without an exception: an id that is bound between reading and writing. See the isolation tests.
-- T48: a rebinding changes the visitor, never a chat's own channel user id.
insert into chat (chat_id, channel_type, channel_id, channel_user_id)
values (1, 'whatsapp', 'line-1', '+1 (555) 000-0001'), (2, 'whatsapp', 'line-2', '15550000001');
select * from seen('?', 'A-1', 'whatsapp', '15550000001', channel_id => 'line-1');
select * from seen('?', 'A-1', 'whatsapp', '15550000001', channel_id => 'line-2');
select chat_id, channel_type, channel_id, channel_user_id, who(visitor_id) as visitor
from chat
order by chat_id;

-- T58: national habits are not guessed at: Brazil's ninth digit makes another number, and the raw form is kept.
select visitor_identity.normalize_channel_user_id('whatsapp', '+55 11 91234-5678') <> visitor_identity.normalize_channel_user_id('whatsapp', '+55 11 1234-5678') as different;
-- T59: a number and a business-scoped id of one person link when both come with a provided id.
select * from seen('?', 'B-1', 'whatsapp', 'US.13491208655302741918');
select * from seen('?', channel_type => 'whatsapp', channel_user_id => 'US.13491208655302741918');
-- T60: a recycled channel id never yields the former owner's history once it points to another.
insert into chat (chat_id, channel_type, channel_user_id, opened_at, closed_at)
values (3, 'whatsapp', 'US.13491208655302741918', '2024-05-01', '2024-05-01');
select * from seen('D', 'D-1', 'whatsapp', 'US.13491208655302741918');
select who(visitor_id) as visitor from chat where chat_id = 3;
select count(*) as chats_of_the_new_owner
from chat as c
join letter as l on l.visitor_id = c.visitor_id and l.name = 'D';

-- T61: every chat of the session before the login shows under the canonical id after it.
insert into chat (chat_id, visitor_id, opened_at, closed_at)
select 10 + n, '40000000-0000-4000-8000-000000000010', timestamptz '2024-05-01' + n * interval '1 hour', timestamptz '2024-05-01' + n * interval '2 hours'
from generate_series(1, 5) as n;
update chat
set provided_visitor_id = 'E-1'
where chat_id = 15;
select count(*) as in_history
from chat_history
where provided_visitor_id = 'E-1';

-- T66: what a caller is told are the rows that moved; nothing moved is a visible zero.
select outcome, rebound_chats, cardinality(rebind_ids) as rebindings
from visitor_identity.resolve_visitor_detail('E-1', visitor_id => '40000000-0000-4000-8000-000000000010', account => 'failure_cases');
-- T67: a login that moved nothing says why; one that met a visitor and did not join him is a row of refused_link.
select outcome, notes
from visitor_identity.resolve_visitor_detail('E-1', visitor_id => '5f0e1d2c-3b4a-4958-8776-655443322110', account => 'failure_cases');

-- T41: see the isolation test rebindings_are_notified.
-- T07, T70: an anonymous id shared by two provided ids links neither: the second switches, whatever came before.
insert into chat (chat_id, visitor_id)
values (20, '40000000-0000-4000-8000-000000000020');
select named('Shared', '40000000-0000-4000-8000-000000000020');
select * from seen('F', 'F-1', visitor_id => '40000000-0000-4000-8000-000000000020');
select * from seen('G', 'G-1', visitor_id => '40000000-0000-4000-8000-000000000020');
select * from seen('H', 'H-1', visitor_id => '40000000-0000-4000-8000-000000000020');
select * from conflicts where visitor = 'F';
select count(distinct visitor_id) as visitors
from visitor_identity.provided_identity
where account = 'failure_cases' and provided_visitor_id in ('F-1', 'G-1', 'H-1');

-- T40: five hundred devices of one person end on one visitor, in any order.
insert into chat (chat_id, visitor_id)
select 1000 + n, md5('device ' || n)::uuid
from generate_series(1, 500) as n;
select count(*) filter (where d.outcome = 'authorized') as authorized, sum(d.rebound_chats) as chats
from generate_series(1, 500) as n
cross join lateral visitor_identity.resolve_visitor_detail(
    'I-1', visitor_id => md5('device ' || (n * 7) % 500 + 1)::uuid, account => 'failure_cases'
) as d;
select count(distinct visitor_id) as visitors
from chat
where chat_id > 1000;

-- T43: both mentioned on one ticket; T44: one row a user; T45: only the row that really clashes stays, and none is deleted.
create table mention (mention_id integer primary key, ticket integer, visitor_id uuid, unique (visitor_id, ticket));
create table preference (visitor_id uuid primary key, language text);
select
    visitor_identity.attach_visitor_table('mention', on_clash => 'move_or_keep_target', fixed_account => 'failure_cases'),
    visitor_identity.attach_visitor_table('preference', on_clash => 'move_or_keep_target', fixed_account => 'failure_cases');
select * from seen('M', 'M-1');
select visitor_id as m from letter where name = 'M' \gset
insert into mention values
    (1, 1, :'m'),
    (2, 1, '40000000-0000-4000-8000-000000000043'),
    (3, 2, '40000000-0000-4000-8000-000000000043'),
    (4, 3, '40000000-0000-4000-8000-000000000043');
insert into preference values (:'m', 'en'), ('40000000-0000-4000-8000-000000000043', 'de');
select * from seen('M', 'M-1', visitor_id => '40000000-0000-4000-8000-000000000043');
select mention_id, ticket, visitor_id = :'m' as moved from mention order by mention_id;
select language, visitor_id = :'m' as of_target from preference order by language;
select count(*) as mentions, (select count(*) from preference) as preferences from mention;
select r.kept_rows, k.moved_table, k.keys
from visitor_identity.rebind as r
join visitor_identity.rebind_row as k using (account, rebind_id)
where r.account = 'failure_cases' and r.from_visitor_id = '40000000-0000-4000-8000-000000000043';
select moved_table, put_back, left_alone
from visitor_identity.rebind as r
cross join lateral visitor_identity.undo_rebind(r.rebind_id, 'failure_cases')
where r.account = 'failure_cases' and r.from_visitor_id = '40000000-0000-4000-8000-000000000043';
select mention_id, visitor_id = :'m' as of_target from mention order by mention_id;
select visitor_identity.detach_table('mention'), visitor_identity.detach_table('preference');
-- T62: a token that is bound to L is not returned for K, even if K never logged out.
select * from seen('K', 'K-1');
select * from seen('L', 'L-1');
create function registers(letter text, device integer, token text)
returns text
language sql
as $$
    select who(visitor_identity.register_device(
        l.visitor_id, 'shop', md5('device ' || device), 'fcm', token, 'failure_cases'
    ))
    from letter as l
    where l.name = registers.letter
$$;
create function targets(provided text)
returns text
language sql
as $$
    select string_agg(t.token, ', ' order by t.token)
    from visitor_identity.push_targets(provided_visitor_id => targets.provided, account => 'failure_cases') as t
$$;
select registers('K', 1, 'token-1'), registers('K', 2, 'token-2');
select registers('L', 1, 'token-1');
select targets('K-1') as k, targets('L-1') as l;
-- T64: after a reinstallation without a logout the next registration of the token, by anyone, evicts the old owner.
select registers('L', 3, 'token-2');
select targets('K-1') as k, targets('L-1') as l;
select count(*) as devices from visitor_identity.device where account = 'failure_cases';
-- T56: a person with 150 000 devices is answered.
insert into visitor_identity.device (account, app, device_id, service, token, visitor_id, registered_visitor_id)
select 'failure_cases', 'shop', md5('link ' || n)::uuid, 'fcm', 'link-' || n, l.visitor_id, l.visitor_id
from generate_series(1, 150000) as n
cross join letter as l
where l.name = 'K';
set statement_timeout = '60s';
select count(*) as devices from visitor_identity.push_targets(provided_visitor_id => 'K-1', account => 'failure_cases');
reset statement_timeout;
delete from visitor_identity.device where account = 'failure_cases';

-- T72: a call with nothing usable gives a visitor who can be recognized by the cookie that he gets.
select * from seen('J', 'undefined');
select visitor_id as j from letter where name = 'J' \gset
select * from seen('?', 'undefined', visitor_id => :'j');
select visitor_identity.detach_table('chat');
set client_min_messages = warning;
drop schema failure_cases cascade;
