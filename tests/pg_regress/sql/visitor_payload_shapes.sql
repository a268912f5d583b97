-- visitor_payload gives the visitor as bots and as the client protocol have him: verified fields, 32 hex digits, nothing made up.
create schema visitor_payload_shapes;
set search_path = visitor_payload_shapes;
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
create function signed(fields jsonb)
returns jsonb
language sql
as $$
    select jsonb_build_object(
        'fields', fields,
        'hash', encode(sha256(convert_to(
            concat(string_agg(f.value, '' order by f.key collate "C"), 'a secret'), 'UTF8'
        )), 'hex')
    )
    from jsonb_each_text(fields) as f
$$;
insert into visitor_identity.account (account, derivation)
values ('visitor_payload', 'md5'), ('visitor_payload_2', 'md5');
set visitor_identity.account = 'visitor_payload';
select visitor_identity.add_signature_key('a secret', 'sha256') is not null as added;

-- The demo user of the product's SDK, with fields that his page signed.
select visitor_identity.authorize_visitor(signed(
    '{"id": "1234567890987654321", "display_name": "Посетитель", "phone": "+78123855337", "email": "anna@example.com"}'
)) as id \gset
select visitor_identity.resolve_visitor('1234567890987654321', 'viber', '5dfjdg5lfg8dGjg0DF95+h==', channel_id => 'shop') = :'id' as his;
update visitor_identity.visitor set created_at = '2018-02-16 14:21:28.552867+00' where account = 'visitor_payload';
update visitor_identity.provided_identity set created_at = '2018-02-16 14:21:28.552867+00' where account = 'visitor_payload';
update visitor_identity.channel_identity set created_at = '2018-02-16 14:21:30+00' where account = 'visitor_payload';
update visitor_identity.visitor_fields set verified_at = '2018-02-16 14:21:29+00' where account = 'visitor_payload';
set timezone = 'Asia/Tokyo';
select jsonb_pretty(visitor_identity.visitor_payload(:'id'));
select jsonb_pretty(visitor_identity.visitor_payload(:'id', 'client'));
reset timezone;
-- What changed last is when he was modified.
update visitor_identity.visitor_fields set verified_at = '2019-01-01 00:00:00+00' where account = 'visitor_payload';
select visitor_identity.visitor_payload(:'id') -> 'visitor' -> 'modified_at' as bot,
    visitor_identity.visitor_payload(:'id', 'client') -> 'modificationTs' as client;
-- The channel is the one seen last, and the site has none.
select visitor_identity.resolve_visitor('1234567890987654321', 'telegram', '67854257') = :'id' as his;
select visitor_identity.visitor_payload(:'id') #> '{visitor, channel}' as channel;

-- An anonymous visitor: no field, no channel.
select visitor_identity.resolve_visitor() as anonymous \gset
update visitor_identity.visitor set created_at = '2018-02-16 14:21:28+00' where account = 'visitor_payload' and visitor_id = :'anonymous';
select visitor_identity.visitor_payload(:'anonymous') #- '{visitor, id}' as bot;
select visitor_identity.visitor_payload(:'anonymous', 'client') - 'id' as client;
select visitor_identity.visitor_payload(:'anonymous') #>> '{visitor, id}' = replace(:'anonymous', '-', '') as hex_digits;
-- Superseded: the survivor, by either id.
select visitor_identity.resolve_visitor('1234567890987654321', visitor_id => :'anonymous') = :'id' as his;
select visitor_identity.visitor_payload(:'anonymous') = visitor_identity.visitor_payload(:'id') as survivor;

-- A bare provided id is his id, and no field; of several, the one with which his fields were signed, else the last verified, else the first.
select visitor_identity.resolve_visitor('C-1') as c1 \gset
select visitor_identity.visitor_payload(:'c1') #> '{visitor, fields}' as fields, visitor_identity.visitor_payload(:'c1') #> '{visitor, has_provided_fields}' as has;
select visitor_identity.merge_visitors(visitor_identity.resolve_visitor('C-0'), :'c1') is not null as merged;
select visitor_identity.visitor_payload(:'c1') #> '{visitor, fields}' as first_seen;
select visitor_identity.authorize_visitor(signed('{"id": "C-0", "name": "a field of the client''s own"}')) = :'c1' as his;
select visitor_identity.visitor_payload(:'c1') #> '{visitor, fields}' as signed_with;
select visitor_identity.authorize_visitor(signed('{"id": "C-1", "display_name": "Anna", "name": "a field of the client''s own", "login": "anna"}')) = :'c1' as his;
select visitor_identity.visitor_payload(:'c1') #> '{visitor, fields}' as signed_with, visitor_identity.visitor_payload(:'c1', 'client') -> 'fields' as client;
delete from visitor_identity.visitor_fields where account = 'visitor_payload';
update visitor_identity.provided_identity set verified_at = '2020-01-01' where account = 'visitor_payload' and provided_visitor_id = 'C-1';
select visitor_identity.visitor_payload(:'c1') #> '{visitor, fields}' as verified_last;
-- NULL is bot. In a read-only transaction, in a parallel query, and for a visitor of this very statement.
select visitor_identity.visitor_payload(:'c1', null) = visitor_identity.visitor_payload(:'c1', 'bot') as bot;
begin read only;
select visitor_identity.visitor_payload(:'c1') is not null as read_only;
rollback;
begin;
select set_config(name, 'on', true) as parallel from pg_settings where name in ('force_parallel_mode', 'debug_parallel_query');
select visitor_identity.visitor_payload(:'c1') is not null as in_parallel;
rollback;
select visitor_identity.visitor_payload(visitor_identity.resolve_visitor('C-new')) #> '{visitor, fields}' as of_this_statement;

-- What is refused.
update visitor_identity.visitor set forgotten = true where account = 'visitor_payload' and visitor_id = :'id';
\x
select * from refusal(format('select visitor_identity.visitor_payload(%L, %L)', :'c1', 'Bot'));
select * from refusal($$select visitor_identity.visitor_payload('40000000-0000-4000-8000-000000000009')$$);
select state, message from refusal($$select visitor_identity.visitor_payload(null)$$);
select state, message from refusal(format('select visitor_identity.visitor_payload(%L)', :'id'));
select state, message from refusal(format('select visitor_identity.visitor_payload(%L)', :'anonymous'));
select state, message from refusal(format('select visitor_identity.visitor_payload(%L, account => %L)', :'c1', 'visitor_payload_2'));
select state, message from refusal(format('select visitor_identity.visitor_payload(%L, account => %L)', :'c1', 'visitor_payload_no_such'));
-- A locked session sees its own visitors.
set visitor_identity.locked_account = 'visitor_payload_2';
set visitor_identity.account = 'visitor_payload_2';
select state, message from refusal(format('select visitor_identity.visitor_payload(%L)', :'c1'));
select * from refusal(format('select visitor_identity.visitor_payload(%L, account => %L)', :'c1', 'visitor_payload'));
reset visitor_identity.locked_account;
\x

update visitor_identity.visitor set forgotten = false where account = 'visitor_payload' and visitor_id = :'id';
reset visitor_identity.account;
set client_min_messages = warning;
drop schema visitor_payload_shapes cascade;
