-- Every policy works in each of its values, and a change is seen by the next call.
create schema policies_both_values;
set search_path = policies_both_values;
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
    account text default 'policies_both_values'
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
insert into visitor_identity.account (account, namespace)
values ('policies_both_values', '6ba7b810-9dad-11d1-80b4-00c04fd430c8');
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
select visitor_identity.attach_chat_table('chat', fixed_account => 'policies_both_values');
create view chats as
select
    c.chat_id,
    who(c.visitor_id) as visitor,
    who(c.origin_visitor_id) as origin,
    c.provided_visitor_id as provided
from chat as c
order by c.chat_id;
-- The defaults.
select
    derivation, on_authorization, channel_format, require_signature, identified_cookie, max_rebinds, max_rebind_chats
from visitor_identity.account
where account = 'policies_both_values';
insert into visitor_identity.account (account)
values ('policies_both_values_2'), ('policies_both_values_3');
select count(distinct namespace) as own_namespaces
from visitor_identity.account
where account like 'policies_both_values%';

-- derivation
select
    visitor_identity.derive_visitor_id('1234567890987654321', 'policies_both_values') = '877a920e-de70-8241-2656-ac1cdec7ecde' as md5,
    substr(visitor_identity.derive_visitor_id('1234567890987654321', 'policies_both_values')::text, 15, 1) as version;
update visitor_identity.account
set derivation = 'md5'
where account = 'policies_both_values';
select
    visitor_identity.derive_visitor_id('1234567890987654321', 'policies_both_values') = '877a920e-de70-8241-2656-ac1cdec7ecde' as md5,
    visitor_identity.resolve_visitor('1234567890987654321', account => 'policies_both_values') = '877a920e-de70-8241-2656-ac1cdec7ecde' as resolved;
update visitor_identity.account
set derivation = 'uuid_v5'
where account = 'policies_both_values';
-- What is bound stays bound, whatever is computed now; also under another namespace.
update visitor_identity.account
set namespace = '6ba7b811-9dad-11d1-80b4-00c04fd430c8'
where account = 'policies_both_values';
select
    visitor_identity.resolve_visitor('1234567890987654321', account => 'policies_both_values') = '877a920e-de70-8241-2656-ac1cdec7ecde' as still_bound,
    visitor_identity.derive_visitor_id('1234567890987654321', 'policies_both_values') = '877a920e-de70-8241-2656-ac1cdec7ecde' as computed_now;

-- on_authorization
insert into chat (chat_id, visitor_id)
values (1, '40000000-0000-4000-8000-000000000001'), (2, '40000000-0000-4000-8000-000000000002');
select named('V1', '40000000-0000-4000-8000-000000000001'), named('V2', '40000000-0000-4000-8000-000000000002');
select * from seen('A', 'A-1', visitor_id => '40000000-0000-4000-8000-000000000001');
update visitor_identity.account
set on_authorization = 'keep'
where account = 'policies_both_values';
select * from seen('B', 'B-1', visitor_id => '40000000-0000-4000-8000-000000000002');
table chats;
update visitor_identity.account
set on_authorization = 'rebind'
where account = 'policies_both_values';

-- channel_format
update visitor_identity.account
set channel_format = 'documented'
where account = 'policies_both_values';
select f.id, r.state
from (values ('67854257'), ('678542570'), ('ann')) as f (id)
cross join lateral refusal(
    format('select visitor_identity.resolve_visitor(null, %L, %L, account => %L)', 'telegram', f.id, 'policies_both_values')
) as r;
update visitor_identity.account
set channel_format = 'platform'
where account = 'policies_both_values';
select f.id, r.state
from (values ('67854257'), ('678542570'), ('ann')) as f (id)
cross join lateral refusal(
    format('select visitor_identity.resolve_visitor(null, %L, %L, account => %L)', 'telegram', f.id, 'policies_both_values')
) as r;
update visitor_identity.account
set channel_format = 'any'
where account = 'policies_both_values';
select f.id, r.state
from (values ('67854257'), ('678542570'), ('ann')) as f (id)
cross join lateral refusal(
    format('select visitor_identity.resolve_visitor(null, %L, %L, account => %L)', 'telegram', f.id, 'policies_both_values')
) as r;
update visitor_identity.account
set channel_format = 'platform'
where account = 'policies_both_values';

-- require_signature
select * from seen('S', 'S-1');
update visitor_identity.account
set require_signature = true
where account = 'policies_both_values';
select state, message from refusal($$select visitor_identity.resolve_visitor('S-1', account => 'policies_both_values')$$);
update visitor_identity.account
set require_signature = false
where account = 'policies_both_values';
select * from seen('?', 'S-1');

-- identified_cookie
select visitor_id as s from letter where name = 'S' \gset
select * from seen('?', visitor_id => :'s');
update visitor_identity.account
set identified_cookie = 'ignore'
where account = 'policies_both_values';
select * from seen('New', visitor_id => :'s');
update visitor_identity.account
set identified_cookie = 'accept'
where account = 'policies_both_values';
select * from seen('?', visitor_id => :'s');

-- max_rebinds, max_rebind_chats
insert into chat (chat_id, visitor_id)
values (3, '40000000-0000-4000-8000-000000000003'), (4, '40000000-0000-4000-8000-000000000003');
select named('V3', '40000000-0000-4000-8000-000000000003');
update visitor_identity.account
set max_rebind_chats = 1
where account = 'policies_both_values';
select * from seen('?', 'A-1', visitor_id => '40000000-0000-4000-8000-000000000003');
update visitor_identity.account
set max_rebind_chats = 2, max_rebinds = 1
where account = 'policies_both_values';
select * from seen('?', 'A-1', visitor_id => '40000000-0000-4000-8000-000000000003');
update visitor_identity.account
set max_rebinds = 2
where account = 'policies_both_values';
select * from seen('?', 'A-1', visitor_id => '40000000-0000-4000-8000-000000000003');

-- A change that is rolled back never was.
begin;
update visitor_identity.account
set require_signature = true
where account = 'policies_both_values';
savepoint s;
select state from refusal($$select visitor_identity.resolve_visitor('S-1', account => 'policies_both_values')$$);
rollback;
select * from seen('?', 'S-1');
select visitor_identity.detach_table('chat');
set client_min_messages = warning;
drop schema policies_both_values cascade;
