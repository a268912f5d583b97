-- Computed ids can be recomputed by whoever knows the namespace: RFC 4122 version 5 over netstrings, or the product's md5.
create schema computed_ids;
set search_path = computed_ids;
insert into visitor_identity.account (account) values ('computed_ids');
update visitor_identity.account
set namespace = '6ba7b810-9dad-11d1-80b4-00c04fd430c8'
where account = 'computed_ids';
-- PostgreSQL has no SHA-1 of its own: the constants were computed with Python's uuid.uuid5 from the documented rule.
select
    visitor_identity.derive_visitor_id('C-42', 'computed_ids') = '90c0d8bb-3be8-58ea-9ddc-f923f99e0972' as ascii,
    visitor_identity.derive_visitor_id(E' C-42\u00a0', 'computed_ids') = '90c0d8bb-3be8-58ea-9ddc-f923f99e0972' as trimmed_first,
    visitor_identity.derive_visitor_id('клиент-7', 'computed_ids') = '3e56df72-1ba7-5e93-8b27-b93778b33b77' as cyrillic;
select
    visitor_identity.resolve_visitor('C-42', account => 'computed_ids') = '90c0d8bb-3be8-58ea-9ddc-f923f99e0972' as provided,
    visitor_identity.resolve_visitor(channel_type => 'telegram', channel_user_id => '67854257', account => 'computed_ids') = 'deb3fc23-7a88-54e2-aa04-2a196d2a7559' as channel,
    visitor_identity.resolve_visitor(channel_type => 'facebook', channel_id => 'page-1', channel_user_id => '103458712527651', account => 'computed_ids') = '8618041f-9dd1-5679-9204-749968840969' as scoped;
-- Nothing that looks like a length or a part of the encoding makes two ids one.
select count(distinct visitor_identity.derive_visitor_id(id, 'computed_ids')) as different, count(*) as tried
from (values ('C-42'), ('C-42,'), ('4:C-42,'), ('C-42,1:1'), ('19:provided_visitor_id,4:C-42,'), ('c-42')) as v (id);
select count(distinct visitor_identity.resolve_visitor(
    channel_type => v.channel_type, channel_id => v.channel_id, channel_user_id => v.id, account => 'computed_ids'
)) as different, count(*) as tried
from (values ('viber', '', 'ab'), ('viber', 'a', 'b'), ('viber', 'ab', 'ab'), ('ok', '', 'ab'), ('viber', '', 'a,1:b'), ('wechat', '', 'ab')) as v (channel_type, channel_id, id);
-- Another namespace, other ids: the namespace is the secret.
update visitor_identity.account
set namespace = '6ba7b811-9dad-11d1-80b4-00c04fd430c8'
where account = 'computed_ids';
select visitor_identity.derive_visitor_id('C-42', 'computed_ids') <> '90c0d8bb-3be8-58ea-9ddc-f923f99e0972' as other;

-- md5: the product's own scheme, for provided ids only, without salt.
update visitor_identity.account
set derivation = 'md5'
where account = 'computed_ids';
select
    visitor_identity.derive_visitor_id('1234567890987654321', 'computed_ids'),
    visitor_identity.derive_visitor_id('1234567890987654321', 'computed_ids') = md5('1234567890987654321')::uuid as is_md5,
    visitor_identity.derive_visitor_id('клиент-7', 'computed_ids') = md5('клиент-7')::uuid as utf8,
    visitor_identity.resolve_visitor('1234567890987654321', account => 'computed_ids') = '877a920e-de70-8241-2656-ac1cdec7ecde' as resolved;
select substr(visitor_identity.resolve_visitor(channel_type => 'telegram', channel_user_id => '11111111', account => 'computed_ids')::text, 15, 1) as version_of_a_channel;
-- NULL and what is no id have none.
select
    visitor_identity.derive_visitor_id(null, 'computed_ids') is null as of_null,
    visitor_identity.derive_visitor_id('0', 'computed_ids') is null as of_zero;
set client_min_messages = warning;
drop schema computed_ids cascade;
