-- resolve_visitor of a known visitor takes no transaction id, writes nothing and works read-only; an unknown one fails there with 25006.
create schema known_visitor_takes_no_transaction_id;
set search_path = known_visitor_takes_no_transaction_id;
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
    account text default 'known_visitor_takes_no_transaction_id'
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
insert into visitor_identity.account (account) values ('known_visitor_takes_no_transaction_id');
select named('C', visitor_identity.resolve_visitor('C-1', account => 'known_visitor_takes_no_transaction_id'));
select named('T', visitor_identity.resolve_visitor(channel_type => 'telegram', channel_user_id => '67854257', account => 'known_visitor_takes_no_transaction_id'));
select named('V', visitor_identity.resolve_visitor(account => 'known_visitor_takes_no_transaction_id'));
select named('W', visitor_identity.resolve_visitor(account => 'known_visitor_takes_no_transaction_id'));
select visitor_id as v from letter where name = 'V' \gset
select visitor_id as w from letter where name = 'W' \gset
select outcome from visitor_identity.resolve_visitor_detail('C-1', 'viber', 'abc', visitor_id => :'w', account => 'known_visitor_takes_no_transaction_id');
-- Known by each identifier, in a transaction that may write: no id is taken.
begin;
select
    who(visitor_identity.resolve_visitor('C-1', account => 'known_visitor_takes_no_transaction_id')) as provided,
    who(visitor_identity.resolve_visitor('C-1', visitor_id => :'w', account => 'known_visitor_takes_no_transaction_id')) as provided_with_cookie,
    who(visitor_identity.resolve_visitor('C-1', 'viber', 'abc', account => 'known_visitor_takes_no_transaction_id')) as provided_with_channel,
    who(visitor_identity.resolve_visitor(channel_type => 'telegram', channel_user_id => '67854257', account => 'known_visitor_takes_no_transaction_id')) as channel,
    who(visitor_identity.resolve_visitor(visitor_id => :'v', account => 'known_visitor_takes_no_transaction_id')) as cookie,
    who(visitor_identity.resolve_visitor(visitor_id => :'w', account => 'known_visitor_takes_no_transaction_id')) as superseded;
select pg_current_xact_id_if_assigned() is null as no_transaction_id;
select count(*) as locks_on_rows
from pg_locks
where pid = pg_backend_pid() and locktype in ('tuple', 'advisory', 'transactionid');
commit;
begin;
select visitor_identity.resolve_visitor('C-2', account => 'known_visitor_takes_no_transaction_id') is not null as first_sight;
select pg_current_xact_id_if_assigned() is not null as transaction_id;
rollback;
-- Read-only: the known ones, by every identifier; with a candidate that may not move.
begin read only;
select
    who(visitor_identity.resolve_visitor('C-1', visitor_id => :'w', account => 'known_visitor_takes_no_transaction_id')) as provided,
    who(visitor_identity.resolve_visitor(channel_type => 'telegram', channel_user_id => '67854257', account => 'known_visitor_takes_no_transaction_id')) as channel,
    who(visitor_identity.resolve_visitor(visitor_id => :'w', account => 'known_visitor_takes_no_transaction_id')) as superseded;
commit;
begin isolation level serializable read only;
select who(visitor_identity.resolve_visitor('C-1', account => 'known_visitor_takes_no_transaction_id')) as provided;
commit;
-- What has to be written: every kind.
create function read_only(statement text)
returns table (state text, message text)
language plpgsql
as $$
begin
    set local transaction_read_only = on;
    return query
    select r.state, r.message
    from refusal(statement) as r;
end
$$;
select * from read_only($$select visitor_identity.resolve_visitor('C-2', account => 'known_visitor_takes_no_transaction_id')$$);
select * from read_only($$select visitor_identity.resolve_visitor(channel_type => 'telegram', channel_user_id => '11111111', account => 'known_visitor_takes_no_transaction_id')$$);
select * from read_only($$select visitor_identity.resolve_visitor(visitor_id => '5f0e1d2c-3b4a-4958-8776-655443322110', account => 'known_visitor_takes_no_transaction_id')$$);
select * from read_only($$select visitor_identity.resolve_visitor(account => 'known_visitor_takes_no_transaction_id')$$);
select * from read_only($$select visitor_identity.resolve_visitor('undefined', account => 'known_visitor_takes_no_transaction_id')$$);
-- A login that would bind a channel id to a visitor who is known.
select * from read_only($$select visitor_identity.resolve_visitor('C-1', 'viber', 'new', account => 'known_visitor_takes_no_transaction_id')$$);
set client_min_messages = warning;
drop schema known_visitor_takes_no_transaction_id cascade;
