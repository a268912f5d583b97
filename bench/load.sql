-- The identities, the same in the extension's tables and in the peer's: half of the visitors have a provided id, 40 %
-- came through a channel, 10 % are anonymous, half of those superseded; a tenth has a channel id besides. With one
-- identity a visitor on the average. Visitor ids are computed from the provided id, as the
-- extension does it, also those of people who have none: so a client can name them.
-- psql variable: visitors.

\set ON_ERROR_STOP on
\set QUIET on
select set_config('bench.visitors', :'visitors', false)
\g /dev/null

-- Everything about visitor number n.
create function bench.person(n bigint)
returns table (visitor_id uuid, provided_visitor_id text, channel_type text, channel_user_id text, as_written text)
language sql stable
as $$
    select visitor_identity.derive_visitor_id('C-' || n),
        'C-' || n,
        (array['telegram', 'whatsapp', 'facebook', 'viber'])[1 + n % 4],
        case n % 4
            when 0 then (100000000 + n)::text
            when 1 then (10430000000 + n)::text
            when 2 then (103450000000000 + n)::text
            else encode(decode(md5('viber ' || n), 'hex'), 'base64')
        end,
        case n % 4
            when 1 then regexp_replace((10430000000 + n)::text, '^(.)(...)(...)(....)$', '+\1 (\2) \3-\4')
        end
$$;

insert into visitor_identity.visitor (account, visitor_id, superseded_by, identified)
select 'default', visitor_identity.derive_visitor_id('C-' || n),
    case when n > 0.95 * :visitors then visitor_identity.derive_visitor_id('C-' || (n - 0.95 * :visitors)::bigint) end,
    n <= 0.5 * :visitors
from generate_series(1, :visitors) as n;

-- Who is superseded was rebound once.
with r as (
    insert into visitor_identity.rebind (account, kind, from_visitor_id, to_visitor_id, rebound_chats, reason)
    select v.account, 'visitor', v.visitor_id, v.superseded_by, 1, 'resolve_visitor'
    from visitor_identity.visitor as v
    where v.superseded_by is not null
    returning account, rebind_id
)
insert into visitor_identity.rebind_row (account, rebind_id, moved_table, part, keys)
select r.account, r.rebind_id, 'chat.chat', 0, jsonb_build_array(jsonb_build_object('account', r.account, 'chat_id', r.rebind_id))
from r;

insert into visitor_identity.provided_identity (account, provided_visitor_id, visitor_id)
select 'default', 'C-' || n, visitor_identity.derive_visitor_id('C-' || n)
from generate_series(1, (0.5 * :visitors)::bigint) as n;

insert into visitor_identity.channel_identity (account, channel_type, channel_id, channel_user_id, visitor_id)
select 'default', p.channel_type, '', p.channel_user_id, p.visitor_id
from generate_series(1, (0.9 * :visitors)::bigint) as n
cross join lateral bench.person(n) as p
where n <= 0.1 * :visitors
    or n > 0.5 * :visitors;

insert into peer.visitor
select *
from visitor_identity.visitor;
insert into peer.provided_identity
select *
from visitor_identity.provided_identity;
insert into peer.channel_identity
select *
from visitor_identity.channel_identity;
insert into peer.rebind
select *
from visitor_identity.rebind;
insert into peer.rebind_row
select *
from visitor_identity.rebind_row;
select setval(pg_get_serial_sequence('peer.rebind', 'rebind_id'), (
    select max(r.rebind_id)
    from peer.rebind as r
))
\g /dev/null
