-- A browser that two people share is answered without a write once it is known: no transaction id, no locks on rows, no row more.
create schema known_shared_browser_writes_nothing;
set search_path = known_shared_browser_writes_nothing;
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
    account text default 'known_shared_browser_writes_nothing'
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
insert into visitor_identity.account (account) values ('known_shared_browser_writes_nothing');
select * from seen('A', 'A-1', 'telegram', '67854257');
select * from seen('B', 'B-1', 'viber', 'abc');
select visitor_id as a from letter where name = 'A' \gset
select visitor_id as b from letter where name = 'B' \gset
-- The first time is recorded, also where nothing else is to be written.
begin;
select outcome from visitor_identity.resolve_visitor_detail('B-1', visitor_id => :'a', account => 'known_shared_browser_writes_nothing');
select pg_current_xact_id_if_assigned() is not null as transaction_id;
commit;
select outcome from visitor_identity.resolve_visitor_detail('A-1', visitor_id => :'b', account => 'known_shared_browser_writes_nothing');
-- A visitor whom the limit left behind.
update visitor_identity.account
set max_rebinds = 0
where account = 'known_shared_browser_writes_nothing';
select * from seen('V');
select visitor_id as v from letter where name = 'V' \gset
select outcome, notes from visitor_identity.resolve_visitor_detail('A-1', visitor_id => :'v', account => 'known_shared_browser_writes_nothing');
select who(visitor_id) as visitor, who(to_visitor_id) as login, reason
from visitor_identity.refused_link
where account = 'known_shared_browser_writes_nothing'
order by refused_id;
-- And ever after.
begin;
select d.outcome, d.notes
from generate_series(1, 3) as n
cross join lateral visitor_identity.resolve_visitor_detail(
    'B-1', visitor_id => case when n > 0 then :'a'::uuid end, account => 'known_shared_browser_writes_nothing'
) as d;
select
    who(visitor_identity.resolve_visitor('A-1', visitor_id => :'b', account => 'known_shared_browser_writes_nothing')) as other_way,
    who(visitor_identity.resolve_visitor('A-1', visitor_id => :'v', account => 'known_shared_browser_writes_nothing')) as claimed,
    who(visitor_identity.resolve_visitor('A-1', 'telegram', '67854257', :'b', account => 'known_shared_browser_writes_nothing')) as with_channel;
select pg_current_xact_id_if_assigned() is null as no_transaction_id;
select count(*) as locks_on_rows
from pg_locks
where pid = pg_backend_pid() and locktype in ('tuple', 'advisory', 'transactionid');
commit;
begin isolation level serializable;
select who(visitor_identity.resolve_visitor('B-1', visitor_id => :'a', account => 'known_shared_browser_writes_nothing')) as serializable;
select pg_current_xact_id_if_assigned() is null as no_transaction_id;
commit;
select count(*) as links from visitor_identity.refused_link where account = 'known_shared_browser_writes_nothing';
set client_min_messages = warning;
drop schema known_shared_browser_writes_nothing cascade;
