-- Attaching, detaching and keys are refused in a read-only transaction: 25006 with what to do, and not what PostgreSQL would
-- say of a lock or of a statement that the caller never wrote.
create schema setup_needs_a_writable_transaction;
set search_path = setup_needs_a_writable_transaction;
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
create table chat (
    chat_id integer primary key,
    visitor_id uuid,
    closed_at timestamptz
);
create index on chat (visitor_id);
begin read only;
\x
select * from refusal($$select visitor_identity.attach_chat_table('chat')$$);
\x
select f.statement, r.state
from (
    values
        ($$select visitor_identity.detach_table('chat')$$),
        ($$select visitor_identity.add_signature_key('a key')$$),
        ($$select visitor_identity.retire_signature_key(1)$$),
        -- What is wrong by itself is said first.
        ($$select visitor_identity.add_signature_key('')$$),
        ($$select visitor_identity.add_signature_key('a key', account => 'no such account')$$)
) as f (statement)
cross join lateral refusal(f.statement) as r;
commit;
set client_min_messages = warning;
drop schema setup_needs_a_writable_transaction cascade;
