-- Under require_signature a bare provided id is refused by a call, and counts in a chat row only if it is bound and verified already.
create schema require_signature;
set search_path = require_signature;
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
    account text default 'require_signature'
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
insert into visitor_identity.account (account) values ('require_signature');
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
select visitor_identity.attach_chat_table('chat', fixed_account => 'require_signature');
create view chats as
select
    c.chat_id,
    who(c.visitor_id) as visitor,
    who(c.origin_visitor_id) as origin,
    c.provided_visitor_id as provided
from chat as c
order by c.chat_id;
insert into visitor_identity.account (account) values ('require_signature_2');
select * from seen('C', 'C-1');
select * from seen('P', 'P-1');
update visitor_identity.account
set require_signature = true
where account = 'require_signature';
-- C-1 was verified by a signature once; P-1 was only claimed.
update visitor_identity.provided_identity
set verified_at = '2024-05-01'
where account = 'require_signature' and provided_visitor_id = 'C-1';
create table before as
select
    (select count(*) from visitor_identity.visitor) as visitors,
    (select count(*) from visitor_identity.provided_identity) as provided;
\x
select * from refusal($$select visitor_identity.resolve_visitor('C-1', account => 'require_signature')$$);
select * from refusal($$select visitor_identity.resolve_visitor_detail('X-1', account => 'require_signature')$$);
select * from refusal($$select visitor_identity.resolve_visitor('X-1', 'telegram', '67854257', account => 'require_signature')$$);
select * from refusal($$select visitor_identity.find_visitor('C-1', account => 'require_signature')$$);
\x
select
    (select count(*) from visitor_identity.visitor) as visitors,
    (select count(*) from visitor_identity.provided_identity) as provided
except
table before;
-- A placeholder is no id, so nothing has to be signed; nor without a provided id.
select * from seen('N1', 'undefined');
select * from seen('T', channel_type => 'telegram', channel_user_id => '67854257');
select state from refusal($$select visitor_identity.resolve_visitor('C-1', account => 'require_signature_2')$$);

-- Rows. Unverified: unknown, and bound but only claimed. They are stored, not resolved by, nothing is bound.
insert into chat (chat_id, visitor_id)
values (1, '40000000-0000-4000-8000-000000000001'), (2, '40000000-0000-4000-8000-000000000001');
select named('V', '40000000-0000-4000-8000-000000000001');
insert into chat (chat_id, visitor_id, provided_visitor_id)
values (3, '40000000-0000-4000-8000-000000000001', 'X-1'), (4, '40000000-0000-4000-8000-000000000001', 'P-1');
insert into chat (chat_id, provided_visitor_id)
values (5, 'P-1');
insert into chat (chat_id, provided_visitor_id, channel_type, channel_user_id)
values (6, 'P-1', 'telegram', '67854257');
update chat
set provided_visitor_id = 'X-1'
where chat_id = 1;
update chat
set provided_visitor_id = 'P-1'
where chat_id = 1;
table chats;
select count(*) as bound
from visitor_identity.provided_identity
where account = 'require_signature';
-- Verified: counts, authorizes, rebinds.
insert into chat (chat_id, provided_visitor_id)
values (7, 'C-1');
update chat
set provided_visitor_id = 'C-1'
where chat_id = 2;
table chats;
-- The views show the row's own id only if it is bound to the row's visitor.
select chat_id, who(visitor_id) as visitor, provided_visitor_id
from chat_workspace
order by chat_id;
select visitor_identity.detach_table('chat');
set client_min_messages = warning;
drop schema require_signature cascade;
