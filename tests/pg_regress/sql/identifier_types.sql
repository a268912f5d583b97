-- The three domains: a visitor_id is a uuid that is not nil; the others are trimmed, not blank, of at most 512 bytes, without control characters.
create schema identifier_types;
set search_path = identifier_types;
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
select s.value, v.what, d.domain, r.state
from (
    values
        ('C-42', 'an id'),
        ('two words', 'a blank inside'),
        ('клиент-7', 'Cyrillic'),
        ('null', 'a placeholder: a rule of resolution, not of storage'),
        (repeat('x', 512), '512 bytes'),
        (repeat('я', 256), '512 bytes in 256 characters'),
        ('', 'empty'),
        (' ', 'blank'),
        (' a', 'blank before'),
        (E'a\n', 'line end after'),
        (E'a\u00a0', 'no-break space after'),
        (E'\u200ba', 'zero-width space before'),
        (E'a\tb', 'tab inside'),
        (E'a\x7fb', 'delete inside'),
        (E'a\u0085b', 'C1 control inside'),
        (repeat('x', 513), '513 bytes'),
        (repeat('я', 257), '514 bytes in 257 characters'),
        (repeat('x', 1048576), 'a MiB')
) as v (raw, what)
cross join (values ('provided_visitor_id'), ('channel_user_id')) as d (domain)
cross join lateral refusal(format('select %L::visitor_identity.%I', v.raw, d.domain)) as r
cross join lateral (select case when v.raw ~ '^[[:alnum:] -]{1,20}$' then v.raw end) as s (value)
order by d.domain, r.state <> 'none', v.what collate "C";
select state, message
from refusal($$select '00000000-0000-0000-0000-000000000000'::visitor_identity.visitor_id$$);
select state, message
from refusal($$select 'x'::visitor_identity.visitor_id$$);
select 'f47ac10b58cc4372a5670e02b2c3d479'::visitor_identity.visitor_id;
select state, message
from refusal($$select ''::visitor_identity.channel_user_id$$);
-- NULL is no value.
select
    null::visitor_identity.visitor_id is null as visitor_id,
    null::visitor_identity.provided_visitor_id is null as provided_visitor_id,
    null::visitor_identity.channel_user_id is null as channel_user_id;
-- Drivers see uuid and text.
prepare p as
select
    'f47ac10b-58cc-4372-a567-0e02b2c3d479'::visitor_identity.visitor_id,
    'a'::visitor_identity.provided_visitor_id,
    'a'::visitor_identity.channel_user_id;
select typname, format_type(typbasetype, typtypmod) as base, coalesce(collname, '-') as collation
from pg_type as t
left join pg_collation as c on c.oid = t.typcollation
where typnamespace = 'visitor_identity'::regnamespace and typtype = 'd'
order by typname;
-- They compare as bytes, and go where text and uuid go.
select
    'b'::visitor_identity.provided_visitor_id < 'a'::visitor_identity.provided_visitor_id as b_before_a,
    'B'::visitor_identity.provided_visitor_id < 'a'::visitor_identity.provided_visitor_id as capitals_first,
    'a'::visitor_identity.channel_user_id || 'b' as joined,
    visitor_identity.find_visitor('a'::visitor_identity.provided_visitor_id) is null as argument;
deallocate p;
-- is_identifier_text is their rule.
select
    visitor_identity.is_identifier_text('a') as good,
    visitor_identity.is_identifier_text('a ') as bad,
    visitor_identity.is_identifier_text(null) as unknown;
set client_min_messages = warning;
drop schema identifier_types cascade;
