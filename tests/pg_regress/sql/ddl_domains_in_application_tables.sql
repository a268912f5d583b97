-- The domains and the check functions in an application's own DDL: columns, CHECK constraints, indexes, generated columns, partitions.
create schema ddl_domains_in_application_tables;
set search_path = ddl_domains_in_application_tables;
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
create table contact (
    visitor_id visitor_identity.visitor_id primary key,
    crm_id visitor_identity.provided_visitor_id unique,
    channel_type text not null,
    address visitor_identity.channel_user_id not null,
    address_key text generated always as (visitor_identity.normalize_channel_user_id(channel_type, address)) stored,
    constraint address_format check (visitor_identity.is_channel_user_id(channel_type, address, 'platform')),
    constraint not_telegram check (channel_type <> 'telegram' or visitor_identity.is_telegram_user_id(address))
);
create index on contact (visitor_identity.channel_user_id_format(channel_type, address));
create unique index on contact (channel_type, address_key);
create index on contact (visitor_id)
where visitor_identity.is_whatsapp_user_id(address);
insert into contact (visitor_id, crm_id, channel_type, address)
values
    ('40000000-0000-4000-8000-000000000001', 'C-1', 'telegram', '67854257'),
    ('40000000-0000-4000-8000-000000000002', null, 'whatsapp', '10435685475');
select channel_type, address, address_key, visitor_identity.channel_user_id_format(channel_type, address)
from contact
order by channel_type;
select s.what, r.state, r.message
from (
    values
        (1, 'nil visitor', $$('00000000-0000-0000-0000-000000000000', null, 'telegram', '67854258')$$),
        (2, 'blank crm_id', $$('40000000-0000-4000-8000-000000000003', ' ', 'telegram', '67854258')$$),
        (3, 'bad telegram', $$('40000000-0000-4000-8000-000000000003', null, 'telegram', 'ann')$$),
        (4, 'nine digits', $$('40000000-0000-4000-8000-000000000003', null, 'telegram', '678542580')$$),
        (5, 'unknown channel', $$('40000000-0000-4000-8000-000000000003', null, 'fax', '1')$$),
        (6, 'same crm_id', $$('40000000-0000-4000-8000-000000000003', 'C-1', 'telegram', '67854258')$$)
) as s (n, what, row_text)
cross join lateral refusal('insert into contact (visitor_id, crm_id, channel_type, address) values ' || s.row_text) as r
order by s.n;
-- An index by a check function is used for a search by it.
set enable_seqscan = off;
explain (costs off)
select *
from contact
where visitor_identity.channel_user_id_format(channel_type, address) = 'malformed';
reset enable_seqscan;
-- Every pure function is IMMUTABLE, STRICT and PARALLEL SAFE, and none that reads a table or a setting.
select proname, provolatile as volatility, proisstrict as strict, proparallel as parallel
from pg_proc
where pronamespace = 'visitor_identity'::regnamespace
    and (provolatile = 'i' or proname in ('check_channel_user_id', 'derive_visitor_id', 'find_visitor'))
order by provolatile, proname;
set client_min_messages = warning;
drop schema ddl_domains_in_application_tables cascade;
