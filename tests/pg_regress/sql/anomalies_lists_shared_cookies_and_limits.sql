-- A cookie with which several people log in, a person who ends up with very many visitors, and a limit that was reached are listed in anomalies.
create schema anomalies_lists_shared_cookies_and_limits;
set search_path = anomalies_lists_shared_cookies_and_limits;
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
    account text default 'anomalies_lists_shared_cookies_and_limits'
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
insert into visitor_identity.account (account)
values ('anomalies_lists_shared_cookies_and_limits'), ('anomalies_lists_shared_cookies_and_limits_2');
create view listed as
select a.kind, who(a.visitor_id) as visitor, a.occurrences, a.detail
from visitor_identity.anomalies as a
where a.account = 'anomalies_lists_shared_cookies_and_limits'
order by a.kind, 2;
-- One browser, three people: whoever logged in first has it.
select * from seen('V');
select visitor_id as v from letter where name = 'V' \gset
select * from seen('A', 'A-1', visitor_id => :'v');
table listed;
select * from seen('B', 'B-1', visitor_id => :'v');
select * from seen('C', 'C-1', visitor_id => :'v');
select * from seen('?', 'C-1', visitor_id => :'v');
table listed;
-- B and C are one person after all: two people.
select visitor_identity.merge_visitors(c.visitor_id, b.visitor_id, account => 'anomalies_lists_shared_cookies_and_limits') is not null as merged
from letter as b
join letter as c on c.name = 'C'
where b.name = 'B';
table listed;
-- A and B too: nobody shares anything.
select visitor_identity.merge_visitors(b.visitor_id, a.visitor_id, account => 'anomalies_lists_shared_cookies_and_limits') is not null as merged
from letter as a
join letter as b on b.name = 'B'
where a.name = 'A';
table listed;
-- A visitor whom a login claimed, met by another.
update visitor_identity.account
set on_authorization = 'keep'
where account = 'anomalies_lists_shared_cookies_and_limits';
select * from seen('W');
select visitor_id as w from letter where name = 'W' \gset
select * from seen('D', 'D-1', visitor_id => :'w');
table listed;
select * from seen('E', 'E-1', visitor_id => :'w');
table listed;
-- A limit: as long as somebody is left behind by it.
update visitor_identity.account
set on_authorization = 'rebind', max_rebinds = 1
where account = 'anomalies_lists_shared_cookies_and_limits';
select named('X' || n, visitor_identity.resolve_visitor(account => 'anomalies_lists_shared_cookies_and_limits'))
from generate_series(1, 3) as n;
select l.name, d.outcome, d.notes
from letter as l
cross join lateral visitor_identity.resolve_visitor_detail('F-1', visitor_id => l.visitor_id, account => 'anomalies_lists_shared_cookies_and_limits') as d
where l.name like 'X%'
order by l.name;
select named('F', visitor_identity.find_visitor('F-1', account => 'anomalies_lists_shared_cookies_and_limits'));
select * from listed where kind = 'limit_reached';
update visitor_identity.account
set max_rebinds = 1000
where account = 'anomalies_lists_shared_cookies_and_limits';
select l.name, d.outcome, d.notes
from letter as l
cross join lateral visitor_identity.resolve_visitor_detail('F-1', visitor_id => l.visitor_id, account => 'anomalies_lists_shared_cookies_and_limits') as d
where l.name = 'X2';
select * from listed where kind = 'limit_reached';
-- Very many visitors: from a hundred.
select count(visitor_identity.resolve_visitor(
    'G-1', visitor_id => visitor_identity.resolve_visitor(account => 'anomalies_lists_shared_cookies_and_limits'), account => 'anomalies_lists_shared_cookies_and_limits'
))
from generate_series(1, 99);
select named('G', visitor_identity.find_visitor('G-1', account => 'anomalies_lists_shared_cookies_and_limits'));
select * from listed where kind = 'many_devices';
select count(visitor_identity.resolve_visitor(
    'G-1', visitor_id => visitor_identity.resolve_visitor(account => 'anomalies_lists_shared_cookies_and_limits'), account => 'anomalies_lists_shared_cookies_and_limits'
));
select * from listed where kind = 'many_devices';
select count(*) as chats from visitor_identity.anomalies where account = 'anomalies_lists_shared_cookies_and_limits' and chat_table is not null;
-- Another account sees nothing of it.
set visitor_identity.locked_account = 'anomalies_lists_shared_cookies_and_limits_2';
select * from visitor_identity.anomalies;
reset visitor_identity.locked_account;
set client_min_messages = warning;
drop schema anomalies_lists_shared_cookies_and_limits cascade;
