-- One account with :visitors visitors: half of them have a provided id, four tenths came through a channel. Ids are md5 sums
-- of a number, so that everybody can name them. Then the people who are searched for and rebound, whatever the size of the
-- chat table. psql variables: visitors, rounds.

\set ON_ERROR_STOP on
\set QUIET on

insert into visitor_identity.visitor (account, visitor_id, identified)
select 'default', md5('visitor ' || n)::uuid, n <= 0.5 * :visitors
from generate_series(1, :visitors) as n;
insert into visitor_identity.provided_identity (account, provided_visitor_id, visitor_id)
select 'default', 'C-' || n, md5('visitor ' || n)::uuid
from generate_series(1, (0.5 * :visitors)::bigint) as n;
insert into visitor_identity.channel_identity (account, channel_type, channel_id, channel_user_id, visitor_id)
select 'default', 'telegram', '', (100000000 + n)::text, md5('visitor ' || n)::uuid
from generate_series((0.5 * :visitors)::bigint + 1, (0.9 * :visitors)::bigint) as n;

-- A thousand people with ten closed and two open chats each, four of them from a former visitor_id.
create table bench.searched as
select n,
    md5('searched ' || n)::uuid as visitor_id,
    md5('searched before ' || n)::uuid as former_id,
    'S-' || n as provided_visitor_id,
    (90000000 + n)::text as channel_user_id
from generate_series(1, 1000) as n;
insert into visitor_identity.visitor (account, visitor_id, superseded_by, identified)
select 'default', v.visitor_id, v.superseded_by, v.superseded_by is null
from bench.searched as s
cross join lateral (values (s.visitor_id, null), (s.former_id, s.visitor_id)) as v (visitor_id, superseded_by);
insert into visitor_identity.provided_identity (account, provided_visitor_id, visitor_id)
select 'default', s.provided_visitor_id, s.visitor_id
from bench.searched as s;
insert into visitor_identity.channel_identity (account, channel_type, channel_id, channel_user_id, visitor_id)
select 'default', 'telegram', '', s.channel_user_id, s.visitor_id
from bench.searched as s;

-- Anonymous visitors with k chats each, for the extension (part 1) and for the bare UPDATE (part 2).
create table bench.rebound as
select k, round, place, part, place <= 2 as is_warm_up, md5(format('rebound %s %s %s %s', k, round, place, part))::uuid as visitor_id,
    row_number() over () as person
from (values (1, 42), (10, 22), (1000, 4)) as size (k, places)
cross join generate_series(0, :rounds) as round
cross join lateral generate_series(1, places) as place
cross join generate_series(1, 2) as part;
insert into visitor_identity.visitor (account, visitor_id)
select 'default', r.visitor_id
from bench.rebound as r;
