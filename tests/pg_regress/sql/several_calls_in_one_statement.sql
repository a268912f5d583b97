-- Several resolutions in one statement see each other's work, as several statements do.
create schema several_calls_in_one_statement;
set search_path = several_calls_in_one_statement;
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
insert into visitor_identity.account (account) values ('several_calls_in_one_statement');
select visitor_identity.resolve_visitor(account => 'several_calls_in_one_statement') as v \gset
select named('V', :'v');
-- A visitor that is issued and authorized in one expression.
select d.outcome, d.notes, cardinality(d.previous_visitor_ids) as absorbed
from visitor_identity.resolve_visitor_detail(
    'C-1',
    visitor_id => visitor_identity.resolve_visitor(account => 'several_calls_in_one_statement'),
    account => 'several_calls_in_one_statement'
) as d;
-- A batch in order of time: browser, login, browser again; a channel before and after its authorization.
create table request (
    n integer,
    provided text,
    channel_type text,
    channel_user_id text,
    visitor_id uuid,
    answer uuid
);
insert into request (n, provided, channel_type, channel_user_id, visitor_id)
values
    (1, null, null, null, :'v'),
    (2, 'C-2', null, null, :'v'),
    (3, null, null, null, :'v'),
    (4, null, 'telegram', '67854257', null),
    (5, 'C-2', 'telegram', '67854257', null),
    (6, null, 'telegram', '67854257', null),
    (7, 'C-3', null, null, :'v'),
    (8, 'C-2', null, null, null);
with answers as materialized (
    select
        r.n,
        visitor_identity.resolve_visitor(
            r.provided, r.channel_type, r.channel_user_id, r.visitor_id, account => 'several_calls_in_one_statement'
        ) as answer
    from (select * from request order by n) as r
)
update request as r
set answer = a.answer
from answers as a
where a.n = r.n;
select named('C2', visitor_identity.find_visitor('C-2', account => 'several_calls_in_one_statement')), named('C3', visitor_identity.find_visitor('C-3', account => 'several_calls_in_one_statement'));
select n, provided, channel_type, who(visitor_id) as cookie, coalesce(who(answer), 'nobody') as answer
from request
order by n;
set client_min_messages = warning;
drop schema several_calls_in_one_statement cascade;
