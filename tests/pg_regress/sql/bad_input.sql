-- Bad input is refused with its SQLSTATE, a message without identifier values, what was expected and what to do; and leaves no row behind.
create schema bad_input;
set search_path = bad_input;
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
insert into visitor_identity.account (account) values ('bad_input');
insert into visitor_identity.account (account, channel_format, require_signature)
values ('bad_input_documented', 'documented', false), ('bad_input_signed', 'platform', true);
create view traces as
select
    (select count(*) from visitor_identity.visitor) as visitors,
    (select count(*) from visitor_identity.provided_identity) as provided,
    (select count(*) from visitor_identity.channel_identity) as channels,
    (select count(*) from visitor_identity.rebind) as rebindings,
    (select count(*) from visitor_identity.attached_table) as attached;
create table before as
table traces;
set visitor_identity.account = 'bad_input';
\x

-- 22023: control characters, in each identifier.
select * from refusal($$select visitor_identity.resolve_visitor(E'a\x01b')$$);
select * from refusal($$select visitor_identity.resolve_visitor(E'a\nb')$$);
select * from refusal($$select visitor_identity.resolve_visitor(E'a\u0085b')$$);
select * from refusal($$select visitor_identity.resolve_visitor(channel_type => 'viber', channel_user_id => E'a\tb')$$);
select * from refusal($$select visitor_identity.resolve_visitor(channel_type => 'viber', channel_user_id => 'ab', channel_id => E'a\x7fb')$$);
-- 22001: 513 bytes, also of few characters, and a MiB.
select * from refusal($$select visitor_identity.resolve_visitor(repeat('x', 513))$$);
select * from refusal($$select visitor_identity.resolve_visitor(repeat('я', 257))$$);
select * from refusal($$select visitor_identity.resolve_visitor(repeat('x', 1048576))$$);
select * from refusal($$select visitor_identity.resolve_visitor(repeat('0', 1048576))$$);
select * from refusal($$select visitor_identity.resolve_visitor(channel_type => 'viber', channel_user_id => repeat('x', 1048576))$$);
select * from refusal($$select visitor_identity.resolve_visitor(channel_type => 'viber', channel_user_id => 'ab', channel_id => repeat('x', 513))$$);
-- 22004: one of a pair.
select * from refusal($$select visitor_identity.resolve_visitor(channel_user_id => '67854257')$$);
select * from refusal($$select visitor_identity.resolve_visitor(channel_type => ' ', channel_user_id => '67854257')$$);
select * from refusal($$select visitor_identity.resolve_visitor(channel_type => 'telegram')$$);
-- 22023: the channel, and the format of its ids under the account's profile.
select * from refusal($$select visitor_identity.resolve_visitor(channel_type => 'fax', channel_user_id => '1')$$);
select * from refusal($$select visitor_identity.resolve_visitor(channel_type => 'Telegram', channel_user_id => '67854257')$$);
select * from refusal($$select visitor_identity.resolve_visitor(channel_type => repeat('x', 1048576), channel_user_id => '1')$$);
select * from refusal($$select visitor_identity.resolve_visitor(channel_type => 'telegram', channel_user_id => 'not a number')$$);
select * from refusal($$select visitor_identity.resolve_visitor(channel_type => 'telegram', channel_user_id => '123456789', account => 'bad_input_documented')$$);
-- 28000: a bare provided id where a signature is required.
select * from refusal($$select visitor_identity.resolve_visitor('C-1', account => 'bad_input_signed')$$);
-- 42704: the account; 22P02: a malformed uuid.
select * from refusal($$select visitor_identity.resolve_visitor('C-1', account => 'bad_input_3')$$);
select * from refusal($$select visitor_identity.resolve_visitor('C-1', account => repeat('x', 1048576))$$);
select * from refusal($$select visitor_identity.resolve_visitor('C-1', account => '')$$);
select state, message from refusal($$select visitor_identity.resolve_visitor(visitor_id => '5f0e1d2c')$$);
-- 25006: a write in a read-only transaction.
begin read only;
select * from refusal($$select visitor_identity.resolve_visitor('C-1')$$);
rollback;

-- The other functions say the same.
\x
select f.name, r.state, r.message
from (
    values
        ('resolve_visitor_detail', $$select visitor_identity.resolve_visitor_detail(E'a\x01b')$$),
        ('resolve_visitor_detail', $$select visitor_identity.resolve_visitor_detail(repeat('x', 513))$$),
        ('resolve_visitor_detail', $$select visitor_identity.resolve_visitor_detail(channel_type => 'telegram')$$),
        ('find_visitor', $$select visitor_identity.find_visitor(E'a\x01b')$$),
        ('find_visitor', $$select visitor_identity.find_visitor(repeat('x', 513))$$),
        ('find_visitor', $$select visitor_identity.find_visitor(channel_user_id => '67854257')$$),
        ('find_visitor', $$select visitor_identity.find_visitor(channel_type => 'fax', channel_user_id => '1')$$),
        ('find_visitor', $$select visitor_identity.find_visitor('C-1', account => 'bad_input_3')$$),
        ('find_visitor', $$select visitor_identity.find_visitor('C-1', account => 'bad_input_signed')$$),
        ('derive_visitor_id', $$select visitor_identity.derive_visitor_id(E'a\x01b')$$),
        ('derive_visitor_id', $$select visitor_identity.derive_visitor_id(repeat('x', 513))$$),
        ('derive_visitor_id', $$select visitor_identity.derive_visitor_id('C-1', 'bad_input_3')$$)
) as f (name, statement)
cross join lateral refusal(f.statement) as r;

-- Profiles and channels of the pure functions.
select s.statement, r.state, r.message, r.detail
from (
    values
        ($$is_telegram_user_id('67854257', 'strict')$$),
        ($$is_viber_user_id('a', '')$$),
        ($$is_whatsapp_user_id('10435685475', 'Documented')$$),
        ($$is_facebook_user_id('103458712527651', 'any')$$),
        ($$is_channel_user_id('telegram', '67854257', repeat('x', 1048576))$$),
        ($$is_channel_user_id('fax', '1')$$),
        ($$channel_user_id_format('fax', '1')$$),
        ($$check_channel_user_id('fax', '1')$$),
        ($$check_channel_user_id('telegram', '1', 'none')$$)
) as s (statement)
cross join lateral refusal('select visitor_identity.' || s.statement) as r;
-- And what they do with anything else: an answer.
select
    visitor_identity.is_channel_user_id('telegram', repeat('1', 1048576), 'platform') as megabyte,
    visitor_identity.is_channel_user_id('telegram', '') as empty,
    visitor_identity.is_channel_user_id('telegram', E'6785425\n') as newline,
    visitor_identity.channel_user_id_format('telegram', E'\x01') as control,
    visitor_identity.is_telegram_user_id(null) as unknown,
    length(visitor_identity.normalize_channel_user_id('whatsapp', repeat('+', 1048576))) as as_it_is,
    visitor_identity.normalize_channel_user_id('fax', ' 1 ') as unknown_channel,
    visitor_identity.normalize_provided_visitor_id(repeat('x', 513)) is null as too_long,
    visitor_identity.normalize_provided_visitor_id(E'a\x01b') is null as control_character,
    length(visitor_identity.placeholder_key(repeat('"', 1048576))) as quotes;

-- grant_access and search_history.
\x
select * from refusal($$select visitor_identity.grant_access('postgres', 'owner')$$);
select * from refusal($$select visitor_identity.grant_access('postgres', null)$$);
select state, message from refusal($$select visitor_identity.grant_access('bad_input_nobody', 'reader')$$);
select * from refusal($$select * from visitor_identity.search_history('x', by => 'phone')$$);
select * from refusal($$select * from visitor_identity.search_history('x', by => 'visitor_id')$$);
select * from refusal($$select * from visitor_identity.search_history('x', page_size => 0)$$);
select state, message from refusal($$select * from visitor_identity.search_history('x', account => 'bad_input_3')$$);
\x
select count(*) as found
from visitor_identity.search_history(repeat('x', 1048576));
select count(*) as found
from visitor_identity.search_history(E'a\x01b');
select count(*) as found
from visitor_identity.search_history(null);

-- Policies.
select s.statement, r.state, r.message
from (
    values
        ($$derivation = 'sha1'$$),
        ($$on_authorization = 'merge'$$),
        ($$channel_format = 'strict'$$),
        ($$identified_cookie = 'never'$$),
        ($$max_rebinds = -1$$),
        ($$max_rebind_chats = -1$$),
        ($$namespace = null$$)
) as s (statement)
cross join lateral refusal(
    format('update visitor_identity.account set %s where account = %L', s.statement, 'bad_input')
) as r;
select state, message
from refusal($$insert into visitor_identity.account (account) values (' blank')$$);
select state, message
from refusal($$set visitor_identity.no_such_setting = 'x'$$);

-- No refused call left a row behind.
select t.*
from traces as t
except
table before;
reset visitor_identity.account;
set client_min_messages = warning;
drop schema bad_input cascade;
