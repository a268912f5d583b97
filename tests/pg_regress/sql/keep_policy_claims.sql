-- Policy keep: the visitor switches, earlier chats stay with the anonymous visitor, who is claimed: nobody else absorbs him later.
create schema keep_policy_claims;
set search_path = keep_policy_claims;
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
    account text default 'keep_policy_claims'
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
insert into visitor_identity.account (account, on_authorization)
values ('keep_policy_claims', 'keep');
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
select visitor_identity.attach_chat_table('chat', fixed_account => 'keep_policy_claims');
create view chats as
select
    c.chat_id,
    who(c.visitor_id) as visitor,
    who(c.origin_visitor_id) as origin,
    c.provided_visitor_id as provided
from chat as c
order by c.chat_id;
select * from seen('T', channel_type => 'telegram', channel_user_id => '67854257');
insert into chat (chat_id, channel_type, channel_user_id)
values (1, 'telegram', '67854257');
insert into chat (chat_id, visitor_id)
values (2, '40000000-0000-4000-8000-000000000002');
select named('V', '40000000-0000-4000-8000-000000000002');
select * from seen('C', 'C-1', 'telegram', '67854257', '40000000-0000-4000-8000-000000000002');
table chats;
-- The same by a chat row: inserted, updated.
insert into chat (chat_id, visitor_id)
values (3, '40000000-0000-4000-8000-000000000003'), (4, '40000000-0000-4000-8000-000000000003');
select named('W', '40000000-0000-4000-8000-000000000003');
update chat
set provided_visitor_id = 'C-1'
where chat_id = 3;
insert into chat (chat_id, visitor_id, provided_visitor_id)
values (5, '40000000-0000-4000-8000-000000000003', 'C-1');
table chats;
-- The log has the one row that moved alone.
select kind, who(from_visitor_id) as from_visitor, who(to_visitor_id) as to_visitor, rebound_chats
from visitor_identity.rebind
where account = 'keep_policy_claims';
-- Claimed by C: the channel id points to C from now on, the cookie is still V.
select who(visitor_id) as visitor, who(claimed_by) as claimed_by, who(superseded_by) as superseded_by
from visitor_identity.visitor
where account = 'keep_policy_claims' and not identified
order by 1;
select * from seen('?', channel_type => 'telegram', channel_user_id => '67854257');
select * from seen('?', visitor_id => '40000000-0000-4000-8000-000000000002');
-- Again the same: nothing new happens.
select * from seen('?', 'C-1', visitor_id => '40000000-0000-4000-8000-000000000002');
-- Another person cannot take a claimed visitor, also after the policy is rebind; his claimant can.
update visitor_identity.account
set on_authorization = 'rebind'
where account = 'keep_policy_claims';
select * from seen('D', 'D-1', visitor_id => '40000000-0000-4000-8000-000000000002');
table chats;
select * from seen('?', 'C-1', visitor_id => '40000000-0000-4000-8000-000000000002');
table chats;
-- History finds the chat that stayed with T by the channel id that T no longer has.
update chat
set closed_at = '2024-05-01';
select chat_key, who(visitor_id) as visitor, matched_by
from visitor_identity.search_history('67854257', account => 'keep_policy_claims');
select visitor_identity.detach_table('chat');
set client_min_messages = warning;
drop schema keep_policy_claims cascade;
