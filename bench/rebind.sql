-- One round of rebindings: k chats of an anonymous visitor follow him to the visitor he turns out to be, against the
-- bare UPDATE of as many rows, one statement a visitor. bench/run calls it in turn at either size of the chat table.
-- psql variables: round, size; wal (off, or on to take down the WAL and not the time).

\set ON_ERROR_STOP on
\set QUIET on
set client_min_messages = warning;
set jit = off;

create procedure pg_temp.move(wanted_k integer, wanted_round integer, warm_up boolean, variant text, what text, for_wal boolean)
language plpgsql
as $$
declare
    person record;
    started timestamptz;
    ended timestamptz;
    people bigint;
    written_before pg_lsn;
begin
    create temp table person as
    select r.visitor_id, 'C-' || r.person as provided_visitor_id, visitor_identity.derive_visitor_id('C-' || r.person) as target
    from bench.rebound as r
    where r.k = wanted_k
        and r.round = wanted_round
        and r.is_warm_up = warm_up
        and r.part = case variant when 'bare update' then 2 else 1 end;
    select count(*)
    into people
    from pg_temp.person;
    -- A backend's first look at a page costs more than its later ones; that is not what is measured here.
    perform count(t.*)
    from pg_temp.person as p
    join chat.chat as t on t.visitor_id = p.visitor_id;
    perform count(t.*)
    from pg_temp.person as p
    join peer.chat as t on t.visitor_id = p.visitor_id;
    written_before := pg_current_wal_insert_lsn();
    started := clock_timestamp();
    for person in
        select p.visitor_id, p.provided_visitor_id, p.target
        from pg_temp.person as p
    loop
        case variant
            when 'extension' then
                perform visitor_identity.resolve_visitor(person.provided_visitor_id, visitor_id => person.visitor_id);
            when 'peer' then
                perform peer.resolve_visitor(person.provided_visitor_id, visitor_id => person.visitor_id);
            else
                update peer.chat as c
                set visitor_id = person.target
                where c.account = 'default'
                    and c.visitor_id = person.visitor_id;
        end case;
    end loop;
    ended := clock_timestamp();
    if for_wal and not warm_up then
        insert into bench.fact
        values (
            format('WAL of a rebinding of %s chats, without images of whole pages: %s', wanted_k, variant),
            format('%s bytes', round((pg_current_wal_insert_lsn() - written_before) / people))
        );
    elsif not warm_up then
        insert into bench.sample
        values (what, variant, wanted_round, extract(epoch from ended - started) * 1e6 / people);
    end if;
    drop table person;
end
$$;

select format(
    'call pg_temp.move(%s, %s, %L, %L, %L, %L)',
    k, :round, warm_up, variant, format('rebinding of %s chats, %s in the table', k, :'size'), :'wal'
)
from (values (1, true), (10, true), (1, false), (10, false), (1000, false)) as size (k, warm_up)
cross join unnest(array['extension', 'peer', 'bare update']) as variant
order by warm_up desc, k, md5(variant || :round)
\gexec

-- All of them moved, none more.
select set_config('bench.round', :'round', false)
\g /dev/null
do $$
declare
    wrong bigint;
begin
    select count(*)
    into wrong
    from bench.rebound as r
    join visitor_identity.visitor as v on v.account = 'default' and v.visitor_id = r.visitor_id
    left join visitor_identity.rebind as b on b.account = 'default' and b.from_visitor_id = r.visitor_id
    where r.part = 1
        and r.round <= current_setting('bench.round')::integer
        and b.rebound_chats is distinct from r.k;
    if wrong > 0 then
        raise exception '% rebindings went wrong', wrong;
    end if;
end
$$;
