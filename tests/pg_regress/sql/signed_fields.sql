-- Signed visitor fields: what verifies, what does not, and what a login by them leaves behind.
create schema signed_fields;
set search_path = signed_fields;
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
-- Everything that the extension has written: rows and a digest of their contents, by table.
create function everything()
returns table (relation text, rows_and_digest text)
language plpgsql
as $$
begin
    for relation in
        select c.oid::regclass::text
        from pg_class as c
        where c.relnamespace = 'visitor_identity'::regnamespace
            and c.relkind in ('r', 'p')
            and not c.relispartition
    loop
        execute format('select concat(count(*), '':'', sum(hashtextextended(t::text, 0))) from %s as t', relation)
        into rows_and_digest;
        return next;
    end loop;
end
$$;
-- Seconds from now on, as the product counts them.
create function seconds(ahead integer)
returns bigint
language sql
as $$
    select extract(epoch from clock_timestamp())::bigint + ahead
$$;
-- What a client with a sha256 key does: values in the order of their names, the expiry, the key.
create function signed(fields jsonb, expires bigint default seconds(3600), secret text default 'secret one')
returns jsonb
language sql
as $$
    select jsonb_build_object(
        'fields', fields,
        'hash', encode(sha256(convert_to(
            concat(string_agg(f.value, '' order by f.key collate "C"), expires, secret), 'UTF8'
        )), 'hex')
    ) || case when expires is null then '{}' else jsonb_build_object('expires', expires) end
    from jsonb_each_text(fields) as f
$$;

-- The published vector, for every algorithm: it has expired, which is said only of what is signed. A hash of another
-- algorithm is none, and neither is one with another digit.
insert into visitor_identity.account (account)
values ('signed hmac-sha256'), ('signed sha256'), ('signed sha512'), ('signed md5');
select pg_typeof(visitor_identity.add_signature_key('e64e35642555f3ecd64ae7dbb600dca8', account => 'signed hmac-sha256'));
select pg_typeof(visitor_identity.add_signature_key('e64e35642555f3ecd64ae7dbb600dca8', 'sha256', 'signed sha256'));
select pg_typeof(visitor_identity.add_signature_key('e64e35642555f3ecd64ae7dbb600dca8', 'sha-512', 'signed sha512'));
select pg_typeof(visitor_identity.add_signature_key('e64e35642555f3ecd64ae7dbb600dca8', 'md5', 'signed md5'));
create table vector (
    algorithm text primary key,
    hash text not null
);
insert into vector
values
    ('hmac-sha256', '07ef16b821f9552a8b3118416ed9ed6278d3a8ff93751d157c88edc1895cd86f'),
    ('sha256', 'f859287203804f8f25123b3ea651338ac73cef970bec1066d061d75786c0dcb7'),
    ('sha512', '4ea919daf569bfe27144e33f84b58fcccf98379107c3024db7d0514963775cd600a603cb4dbb48e51a50825df62287b4eb52073c7a86b46b38c6fddcc6c8afbb'),
    ('md5', '8d549c98b9d888c35a619274db4888e3');
create view published as
select v.algorithm, v.hash, jsonb_build_object(
    'fields', '{"id": "12345", "display_name": "Евгений", "phone": "+78123855337", "email": "abc@webim.ru"}'::jsonb,
    'expires', 1481195621,
    'hash', v.hash
) as visitor
from vector as v;
select p.algorithm as signed_with, k.algorithm as key_of,
    visitor_identity.verify_visitor_fields(p.visitor, 'signed ' || k.algorithm) as verdict
from published as p
cross join vector as k
order by 1, 2;
select visitor_identity.verify_visitor_fields(p.visitor || '{"hash": "17ef16b821f9552a8b3118416ed9ed6278d3a8ff93751d157c88edc1895cd86f"}', 'signed hmac-sha256') as another_digit,
    visitor_identity.verify_visitor_fields(p.visitor || jsonb_build_object('hash', upper(p.hash)), 'signed hmac-sha256') as upper_case,
    visitor_identity.verify_visitor_fields(p.visitor || '{"hash": ""}', 'signed hmac-sha256') as empty,
    visitor_identity.verify_visitor_fields(p.visitor || '{"expires": "1481195621"}', 'signed hmac-sha256') as expires_as_text,
    visitor_identity.verify_visitor_fields(p.visitor || '{"expires": "soon"}', 'signed hmac-sha256') as unreadable
from published as p
where p.algorithm = 'hmac-sha256';
-- The flat form, with crc: md5 of the values and the key. It never expires.
select visitor_identity.verify_visitor_fields(
        jsonb_build_object('id', '12345', 'phone', '+7', 'crc', md5('12345+7e64e35642555f3ecd64ae7dbb600dca8')),
        'signed md5'
    ) as flat;
-- An account without keys verifies nothing.
select visitor_identity.verify_visitor_fields(p.visitor, 'default') from published as p where p.algorithm = 'md5';

-- Both attacks on the published object, by somebody without a key: the product's own rule lets them in.
create table attack (
    attack text primary key,
    visitor jsonb not null
);
insert into attack
select 'expiry stripped', p.visitor - 'expires' || jsonb_build_object('fields', p.visitor -> 'fields' || '{"phone": "+781238553371481195621"}')
from published as p
where p.algorithm = 'hmac-sha256'
union all
select 'fields shifted and expiry stripped', p.visitor - 'expires' || jsonb_build_object('fields', p.visitor -> 'fields' || '{"phone": "+781238553371481195621", "email": "abc@webim.ru1", "id": "2345"}')
from published as p
where p.algorithm = 'hmac-sha256';
select a.attack, visitor_identity.verify_visitor_fields(a.visitor, 'signed hmac-sha256') as faithful
from attack as a
order by 1;
update visitor_identity.account
set signature_fields = '{"display_name": "name movable", "email": "email movable", "id": "digits", "phone": "plus-phone"}'
where account in ('signed hmac-sha256', 'signed sha256');
select a.attack, visitor_identity.verify_visitor_fields(a.visitor, 'signed hmac-sha256') as strict
from attack as a
order by 1;
-- The same with an object that is valid still, and the others that the strict rule refuses.
update visitor_identity.signature_key
set secret = 'secret one'
where account = 'signed sha256';
create table fresh as
select signed(p.visitor -> 'fields') as visitor
from published as p
where p.algorithm = 'sha256';
create function both_modes(visitor jsonb)
returns table (in_faithful text, in_strict text)
language plpgsql
as $$
declare
    rule jsonb;
begin
    select a.signature_fields into rule from visitor_identity.account as a where a.account = 'signed sha256';
    in_strict := visitor_identity.verify_visitor_fields(visitor, 'signed sha256');
    update visitor_identity.account set signature_fields = null where account = 'signed sha256';
    in_faithful := visitor_identity.verify_visitor_fields(visitor, 'signed sha256');
    update visitor_identity.account set signature_fields = rule where account = 'signed sha256';
    return next;
end
$$;
select 'as signed' as visitor, m.* from fresh, both_modes(visitor) as m
union all
select 'fields shifted', m.* from fresh, both_modes(visitor || jsonb_build_object('fields', visitor -> 'fields' || '{"email": "abc@webim.ru1", "id": "2345"}')) as m
union all
select 'expiry stripped', m.* from fresh, both_modes(visitor - 'expires' || jsonb_build_object('fields', visitor -> 'fields' || jsonb_build_object('phone', concat('+78123855337', visitor ->> 'expires')))) as m
union all
select 'a field renamed', m.* from fresh, both_modes(visitor || jsonb_build_object('fields', (visitor -> 'fields') - 'phone' || '{"phones": "+78123855337"}')) as m
union all
select 'expires in two days', m.* from fresh, both_modes(signed(visitor -> 'fields', seconds(172800))) as m
union all
select 'never expires', m.* from fresh, both_modes(signed(visitor -> 'fields', null)) as m;
-- The horizon is a policy.
update visitor_identity.account
set signature_horizon = 200000
where account = 'signed sha256';
select visitor_identity.verify_visitor_fields(signed(f.visitor -> 'fields', seconds(172800)), 'signed sha256') as within_the_horizon
from fresh as f;
-- A rule that would prove nothing, or cannot be read, is refused where it is written.
select f.rule, r.state, r.message, r.detail
from (
    values
        (1, '{"phone": "plus-phone"}'), (2, '{"id": "digits movable"}'), (3, '{"id": "digits", "e": "emall"}'),
        (4, '["id"]'), (5, '{"id": 5}'), (6, '{"id": 1e400}'), (7, '{"id": "digits 5-3"}')
) as f (n, rule)
cross join lateral refusal(format('update visitor_identity.account set signature_fields = %L where account = ''signed md5''', f.rule)) as r
order by f.n;
select r.state, r.message
from refusal('update visitor_identity.account set signature_horizon = 0 where account = ''signed md5''') as r;
select visitor_identity.check_signature_fields('{"id": "uuid"}') as good, visitor_identity.check_signature_fields(null) as none;

-- Rotation: several keys at a time; a retired one verifies nothing from then on; a key of another account never (T27).
insert into visitor_identity.account (account, namespace)
values ('signed', '6ba7b810-9dad-11d1-80b4-00c04fd430c8'), ('signed elsewhere', default);
select visitor_identity.add_signature_key('secret one', 'sha256', 'signed') as first \gset
select visitor_identity.add_signature_key('secret two', 'sha256', 'signed') as second \gset
select visitor_identity.add_signature_key('secret elsewhere', 'sha256', 'signed elsewhere') as elsewhere \gset
select :second > :first as numbered;
create function verdicts()
returns table (one text, two text, elsewhere text)
language sql
as $$
    select visitor_identity.verify_visitor_fields(signed('{"id": "C-1"}'), 'signed'),
        visitor_identity.verify_visitor_fields(signed('{"id": "C-1"}', secret => 'secret two'), 'signed'),
        visitor_identity.verify_visitor_fields(signed('{"id": "C-1"}', secret => 'secret elsewhere'), 'signed')
$$;
select * from verdicts();
select visitor_identity.retire_signature_key(:second, 'signed');
select * from verdicts();
select retired_at as retired_first from visitor_identity.signature_key where key_id = :second \gset
select visitor_identity.retire_signature_key(:second, 'signed');
select retired_at = :'retired_first' as retired_once from visitor_identity.signature_key where key_id = :second;
\x
select * from refusal(format('select visitor_identity.retire_signature_key(%s, ''signed'')', :elsewhere));
select * from refusal('select visitor_identity.retire_signature_key(null, ''signed'')');
select * from refusal('select visitor_identity.add_signature_key('''')');
select * from refusal('select visitor_identity.add_signature_key(null)');
select * from refusal('select visitor_identity.add_signature_key(''x'', ''sha1'')');
select r.state, r.message from refusal('select visitor_identity.add_signature_key(''x'', account => ''nowhere'')') as r;
\x

-- Expiry (T30; the very edges are tested in src/signature). A wrong hash is another code than a past expiry.
select visitor_identity.verify_visitor_fields(signed('{"id": "C-1"}', seconds(2)), 'signed') as not_yet,
    visitor_identity.verify_visitor_fields(signed('{"id": "C-1"}', seconds(-2)), 'signed') as past,
    visitor_identity.verify_visitor_fields(signed('{"id": "C-1"}', seconds(-2), 'wrong'), 'signed') as wrong_and_past;

-- What is no signed object: the error names the field, never its value.
select f.n, r.state, r.message, r.detail, r.hint is not null as hint
from (
    values
        (1, null), (2, '[]'), (3, '"secret-value"'), (4, '{}'), (5, '{"fields": 1, "hash": "0"}'),
        (6, '{"fields": {"phone": "secret-value"}, "hash": "0"}'), (7, '{"fields": {"id": ""}, "hash": "0"}'),
        (8, '{"fields": {"id": "C-1"}}'), (9, '{"fields": {"id": "C-1"}, "hash": 5}'),
        (10, '{"fields": {"id": true}, "hash": "0"}'), (11, '{"fields": {"id": "C-1", "phone": null}, "hash": "0"}'),
        (12, '{"fields": {"id": "C-1", "phone": {"home": "secret-value"}}, "hash": "0"}'),
        (13, '{"fields": {"id": 1.5}, "hash": "0"}'), (14, '{"fields": {"id": 99999999999999999999}, "hash": "0"}'),
        (15, '{"fields": {"id": 1e400}, "hash": "0"}'), (16, format('{"fields": %s1%s}', repeat('[', 300), repeat(']', 300))),
        (17, '{"id": "C-1", "expires": 1, "crc": "0"}'),
        (18, '{"fields": {"id": "C-1", "a\n\u202e\"b": []}, "hash": "0"}')
) as f (n, visitor)
cross join lateral (
    select *
    from refusal(format('select visitor_identity.verify_visitor_fields(%L, ''signed'')', f.visitor))
    union
    select *
    from refusal(format('select visitor_identity.authorize_visitor(%L, account => ''signed'')', f.visitor))
) as r
order by f.n;
select r.state, r.message from refusal('select visitor_identity.verify_visitor_fields(''{"fields": {"id": "1"}, "hash": ""}'', ''nowhere'')') as r;

-- T29: a wrong or an expired signature, and a signature over what is no id, write nothing at all and take no transaction id.
insert into visitor_identity.visitor (account, visitor_id)
values ('signed', '40000000-0000-4000-8000-000000000001');
create table before as select * from everything();
\x
select * from refusal(format('select visitor_identity.authorize_visitor(%L, ''40000000-0000-4000-8000-000000000001'', ''telegram'', ''67854257'', account => ''signed'')', signed('{"id": "C-42"}', secret => 'wrong')));
select * from refusal(format('select visitor_identity.authorize_visitor(%L, ''40000000-0000-4000-8000-000000000001'', ''telegram'', ''67854257'', account => ''signed'')', signed('{"id": "C-42"}', secret => 'secret two')));
select * from refusal(format('select visitor_identity.authorize_visitor(%L, ''40000000-0000-4000-8000-000000000001'', account => ''signed'')', signed('{"id": "C-42"}', seconds(-10))));
select * from refusal(format('select visitor_identity.authorize_visitor(%L, account => ''signed'')', signed('{"id": "C-42"}') || '{"expires": "tomorrow"}'));
select * from refusal(format('select visitor_identity.authorize_visitor(%L, ''40000000-0000-4000-8000-000000000001'', account => ''signed'')', signed('{"id": "undefined"}')));
select r.state, r.message from refusal(format('select visitor_identity.authorize_visitor(%L, account => ''signed'')', signed('{"id": "  "}'))) as r;
select r.state, r.message from refusal(format('select visitor_identity.authorize_visitor(%L, account => ''signed'')', signed(jsonb_build_object('id', repeat('x', 513))))) as r;
select r.state, r.message from refusal(format('select visitor_identity.authorize_visitor(%L, channel_type => ''telegram'', account => ''signed'')', signed('{"id": "C-42"}'))) as r;
\x
select * from everything() except table before;
begin;
select r.state from refusal(format('select visitor_identity.authorize_visitor(%L, account => ''signed'')', signed('{"id": "C-42"}', secret => 'wrong'))) as r;
select pg_current_xact_id_if_assigned() is null as no_transaction_id;
rollback;

-- A login: the anonymous visitor of the cookie is absorbed, the channel id bound, the id remembered as verified, the fields kept.
select visitor_identity.authorize_visitor(
    signed('{"id": " C-42 ", "display_name": "Анна", "note": "a\"\u0431\\"}'),
    '40000000-0000-4000-8000-000000000001', 'telegram', '67854257', account => 'signed'
) = visitor_identity.derive_visitor_id('C-42', 'signed') as computed;
select visitor_id = visitor_identity.derive_visitor_id('C-42', 'signed') as his, fields, verified_at > now() - interval '1 minute' as just_now
from visitor_identity.visitor_fields
where account = 'signed';
select provided_visitor_id, verified_at > now() - interval '1 minute' as just_now
from visitor_identity.provided_identity
where account = 'signed';
select superseded_by = visitor_identity.derive_visitor_id('C-42', 'signed') as superseded
from visitor_identity.visitor
where account = 'signed' and visitor_id = '40000000-0000-4000-8000-000000000001';
select (visitor_identity.find_visitor(channel_type => 'telegram', channel_user_id => '67854257', account => 'signed'))
    = visitor_identity.derive_visitor_id('C-42', 'signed') as channel;
-- Again with the same fields, signed anew: nothing is written, no transaction id is taken; also in a read-only transaction.
drop table before;
create table before as select * from everything();
create table again as
select signed('{"id": " C-42 ", "display_name": "Анна", "note": "a\"\u0431\\"}', seconds(1800)) as visitor;
begin;
select visitor_identity.authorize_visitor(visitor, account => 'signed') = visitor_identity.derive_visitor_id('C-42', 'signed') as again
from again;
select pg_current_xact_id_if_assigned() is null as no_transaction_id;
commit;
begin read only;
select visitor_identity.authorize_visitor(visitor, account => 'signed') = visitor_identity.derive_visitor_id('C-42', 'signed') as read_only
from again;
select visitor_identity.authorize_visitor(signed('{"id": "C-42", "display_name": "B"}'), account => 'signed')
    = visitor_identity.derive_visitor_id('C-42', 'signed') as other_fields_read_only;
commit;
begin read only;
select visitor_identity.authorize_visitor(signed('{"id": "C-43"}'), account => 'signed');
rollback;
select * from everything() except table before;
-- A claimed login, whatever it brings, leaves the verified fields and the proof alone.
select visitor_identity.resolve_visitor('C-42', 'viber', 'abc', account => 'signed') = visitor_identity.derive_visitor_id('C-42', 'signed') as claimed;
select relation from (select * from everything() except table before) as changed;
-- Other fields: the latest win.
select visitor_identity.authorize_visitor(signed('{"id": "C-42", "email": "a@b.ru"}'), account => 'signed') is not null as other_fields;
select fields from visitor_identity.visitor_fields where account = 'signed';
-- The proof is renewed when it is older than an hour, and not before.
update visitor_identity.provided_identity set verified_at = now() - interval '50 minutes' where account = 'signed';
update visitor_identity.visitor_fields set verified_at = now() - interval '50 minutes' where account = 'signed';
select visitor_identity.authorize_visitor(signed('{"id": "C-42", "email": "a@b.ru"}'), account => 'signed') is not null as after_50_minutes;
select p.verified_at < now() - interval '10 minutes' as proof, f.verified_at < now() - interval '10 minutes' as fields
from visitor_identity.provided_identity as p
join visitor_identity.visitor_fields as f using (account, visitor_id)
where p.account = 'signed';
update visitor_identity.provided_identity set verified_at = now() - interval '2 hours' where account = 'signed';
update visitor_identity.visitor_fields set verified_at = now() - interval '2 hours' where account = 'signed';
select visitor_identity.authorize_visitor(signed('{"id": "C-42", "email": "a@b.ru"}'), account => 'signed') is not null as after_2_hours;
select p.verified_at > now() - interval '1 minute' as proof, f.verified_at > now() - interval '1 minute' as fields
from visitor_identity.provided_identity as p
join visitor_identity.visitor_fields as f using (account, visitor_id)
where p.account = 'signed';
-- An integer counts as its text; escapes are undone.
select visitor_identity.authorize_visitor(signed('{"id": 12345}'), account => 'signed')
    = visitor_identity.derive_visitor_id('12345', 'signed') as integer_id;
select visitor_identity.authorize_visitor(signed('{"id": "\u0416-1"}'), account => 'signed')
    = visitor_identity.derive_visitor_id('Ж-1', 'signed') as escaped_id;
-- T26: a verified login never joins a visitor whom another login, even an unsigned one, has claimed.
update visitor_identity.account set on_authorization = 'keep' where account = 'signed';
insert into visitor_identity.visitor (account, visitor_id)
values ('signed', '40000000-0000-4000-8000-000000000002');
select visitor_identity.resolve_visitor('claimant', visitor_id => '40000000-0000-4000-8000-000000000002', account => 'signed') is not null as claims;
update visitor_identity.account set on_authorization = 'rebind' where account = 'signed';
select visitor_identity.authorize_visitor(signed('{"id": "C-44"}'), '40000000-0000-4000-8000-000000000002', account => 'signed')
    = visitor_identity.derive_visitor_id('C-44', 'signed') as logged_in;
select superseded_by is null as stays, claimed_by = visitor_identity.derive_visitor_id('claimant', 'signed') as still_claimed
from visitor_identity.visitor
where account = 'signed' and visitor_id = '40000000-0000-4000-8000-000000000002';
-- A merge leaves both rows of fields; those of the visitor who stays count.
select visitor_identity.merge_visitors(
    visitor_identity.derive_visitor_id('C-44', 'signed'), visitor_identity.derive_visitor_id('C-42', 'signed'), account => 'signed'
) is not null as merged;
select visitor_id = visitor_identity.find_visitor('C-44', account => 'signed') as survivor, fields
from visitor_identity.visitor_fields
where account = 'signed'
    and visitor_id in (visitor_identity.derive_visitor_id('C-42', 'signed'), visitor_identity.derive_visitor_id('C-44', 'signed'))
order by 1;

-- require_signature, from end to end (T28): a bare id is refused, a signed one is taken, and a row's own id counts once it
-- was verified.
create table chat (
    chat_id integer primary key,
    visitor_id uuid,
    provided_visitor_id text
);
create index on chat (visitor_id);
select visitor_identity.attach_chat_table('chat', fixed_account => 'signed');
select visitor_identity.resolve_visitor('S-1', account => 'signed') is not null as claimed_before;
update visitor_identity.account set require_signature = true where account = 'signed';
insert into chat (chat_id, visitor_id) values (1, '40000000-0000-4000-8000-000000000003');
select r.state, r.message from refusal('select visitor_identity.resolve_visitor(''S-1'', visitor_id => ''40000000-0000-4000-8000-000000000003'', account => ''signed'')') as r;
select r.state, r.message from refusal('select visitor_identity.find_visitor(''S-1'', account => ''signed'')') as r;
insert into chat (chat_id, visitor_id, provided_visitor_id) values (2, '40000000-0000-4000-8000-000000000003', 'S-1');
select chat_id, visitor_id = visitor_identity.derive_visitor_id('S-1', 'signed') as his from chat order by chat_id;
select visitor_identity.authorize_visitor(signed('{"id": "S-1"}'), account => 'signed')
    = visitor_identity.derive_visitor_id('S-1', 'signed') as authorized;
insert into chat (chat_id, visitor_id, provided_visitor_id) values (3, '40000000-0000-4000-8000-000000000003', 'S-1');
select chat_id, visitor_id = visitor_identity.derive_visitor_id('S-1', 'signed') as his from chat order by chat_id;
-- T31: who was verified stays so, also when he comes back without a new proof.
update visitor_identity.account set identified_cookie = 'accept' where account = 'signed';
select visitor_identity.resolve_visitor(visitor_id => visitor_identity.derive_visitor_id('S-1', 'signed'), account => 'signed')
    = visitor_identity.derive_visitor_id('S-1', 'signed') as comes_back;
select verified_at is not null as verified
from visitor_identity.provided_identity
where account = 'signed' and provided_visitor_id = 'S-1';

-- Nobody reads the keys: no level of grant_access, and no locked session another account's fields.
create role signed_fields_app;
create role signed_fields_admin;
select visitor_identity.grant_access('signed_fields_app', 'application');
select visitor_identity.grant_access('signed_fields_admin', 'admin');
grant usage on schema signed_fields to signed_fields_app, signed_fields_admin;
set role signed_fields_app;
select f.n, r.state, r.message
from (
    values
        (1, 'select secret from visitor_identity.signature_key'),
        (2, 'select fields from visitor_identity.visitor_fields'),
        (3, 'select visitor_identity.add_signature_key(''x'', account => ''signed'')'),
        (4, 'select visitor_identity.retire_signature_key(1, ''signed'')'),
        (5, format('select visitor_identity.verify_visitor_fields(%L, ''signed'')', signed('{"id": "S-1"}'))),
        (6, format('select visitor_identity.authorize_visitor(%L, account => ''signed'')', signed('{"id": "S-1"}')))
) as f (n, statement)
cross join lateral refusal(f.statement) as r
order by f.n;
reset role;
set role signed_fields_admin;
select f.n, r.state, r.message
from (
    values
        (1, 'select secret from visitor_identity.signature_key'),
        (2, 'delete from visitor_identity.signature_key'),
        (3, 'select pg_catalog.nextval(''visitor_identity.signature_key_key_id_seq'')'),
        (4, 'delete from visitor_identity.visitor_fields'),
        (5, 'select visitor_identity.add_signature_key(''x'', account => ''signed'')'),
        (6, 'select fields from visitor_identity.visitor_fields')
) as f (n, statement)
cross join lateral refusal(f.statement) as r
order by f.n;
reset role;
set visitor_identity.locked_account = 'signed elsewhere';
set role signed_fields_admin;
select count(*) as visible from visitor_identity.visitor_fields;
select r.state, r.message from refusal(format('select visitor_identity.authorize_visitor(%L, account => ''signed'')', signed('{"id": "S-1"}'))) as r;
reset role;
reset visitor_identity.locked_account;
select visitor_identity.detach_table('chat');
set client_min_messages = warning;
drop schema signed_fields cascade;
drop owned by signed_fields_app, signed_fields_admin;
drop role signed_fields_app, signed_fields_admin;
