-- A value that a policy does not take is refused with what it takes; the rest of the row, the secret namespace with it, is in no message.
create schema policies_are_refused_without_showing_the_row;
set search_path = policies_are_refused_without_showing_the_row;
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
insert into visitor_identity.account (account, namespace)
values ('policies_are_refused_without_showing_the_row', '6ba7b810-9dad-11d1-80b4-00c04fd430c8');
create function refusal_with_namespace(statement text)
returns table (state text, message text, detail text, hint text, shown boolean)
language sql
as $$
    select r.state, r.message, r.detail, r.hint, r::text like '%6ba7b810%'
    from refusal(statement) as r
$$;
\x
select s.assignment, r.*
from unnest(array[
    $$derivation = 'sha1'$$,
    $$on_authorization = 'Rebind'$$,
    $$channel_format = ''$$,
    $$identified_cookie = 'never'$$,
    $$max_rebinds = -1$$,
    $$max_rebind_chats = -1$$,
    $$signature_horizon = 0$$,
    $$signature_fields = '{"id": "no shape"}'$$,
    $$namespace = null$$,
    $$derivation = null$$,
    $$max_rebinds = null, require_signature = null$$,
    $$created_at = null$$,
    $$untouched = null$$
]) with ordinality as s (assignment, position)
cross join lateral refusal_with_namespace(
    format('update visitor_identity.account set %s where account = %L', s.assignment, 'policies_are_refused_without_showing_the_row')
) as r
order by s.position;
select s.name, r.*
from unnest(array['', ' ', ' blank before', E'line\nend', E'no-break space after\u00a0']) with ordinality as s (name, position)
cross join lateral refusal_with_namespace(
    format('insert into visitor_identity.account (account, namespace) values (%L, %L)', s.name, '6ba7b810-9dad-11d1-80b4-00c04fd430c8')
) as r
order by s.position;
select r.* from refusal_with_namespace($$insert into visitor_identity.account (account, namespace) values (repeat('x', 513), '6ba7b810-9dad-11d1-80b4-00c04fd430c8')$$) as r;
select r.* from refusal_with_namespace($$insert into visitor_identity.account (account, namespace) values (null, '6ba7b810-9dad-11d1-80b4-00c04fd430c8')$$) as r;
select r.* from refusal_with_namespace($$insert into visitor_identity.account (account, namespace) values ('policies_are_refused_without_showing_the_row', '6ba7b810-9dad-11d1-80b4-00c04fd430c8')$$) as r;
\x
-- With the trigger away the CHECKs hold all the same.
begin;
set local session_replication_role = replica;
select state, shown
from refusal_with_namespace($$update visitor_identity.account set derivation = 'sha1' where account = 'policies_are_refused_without_showing_the_row'$$);
rollback;
-- What is taken.
select bool_and(visitor_identity.check_policy(p.policy, p.value)) as all_are_taken
from (
    values
        ('derivation', 'md5'), ('on_authorization', 'keep'), ('channel_format', 'documented'), ('channel_format', 'any'),
        ('identified_cookie', 'ignore'), ('max_rebinds', '0'), ('signature_horizon', '1'), ('account', 'a b')
) as p (policy, value);
select visitor_identity.check_policy('derivation', null) is null as strict;
select r.* from refusal($$select visitor_identity.check_policy('namespace', 'x')$$) as r \gx
-- Nothing was changed.
select derivation, on_authorization, channel_format, identified_cookie, max_rebinds, max_rebind_chats, signature_horizon
from visitor_identity.account
where account = 'policies_are_refused_without_showing_the_row';
delete from visitor_identity.account where account = 'policies_are_refused_without_showing_the_row';
set client_min_messages = warning;
drop schema policies_are_refused_without_showing_the_row cascade;
