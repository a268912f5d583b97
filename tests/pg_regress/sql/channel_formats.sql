-- The channel formats: what the product documents, what the platforms issue; ASCII only, the whole string.
-- The product's four examples.
select
    visitor_identity.is_telegram_user_id('67854257') as telegram,
    visitor_identity.is_viber_user_id('5dfjdg5lfg8dGjg0DF95+h==') as viber,
    visitor_identity.is_whatsapp_user_id('10435685475') as whatsapp,
    visitor_identity.is_facebook_user_id('103458712527651') as facebook;

create temporary table sample (
    channel_type text,
    id text,
    expected text
);
insert into sample
values
    ('telegram', '67854257', 'documented'),
    ('telegram', '1', 'platform'),
    ('telegram', '123456789', 'platform'),
    ('telegram', '4503599627370495', 'platform'),
    ('telegram', '4503599627370496', 'malformed'),
    ('telegram', '99999999999999999999999', 'malformed'),
    ('telegram', '06785425', 'malformed'),
    ('telegram', '+7854257', 'malformed'),
    ('telegram', '-7854257', 'malformed'),
    ('telegram', '6785425x', 'malformed'),
    ('telegram', ' 67854257', 'malformed'),
    ('telegram', '67854257 ', 'malformed'),
    ('telegram', E'67854257\n', 'malformed'),
    ('telegram', '', 'malformed'),
    ('telegram', '６７８５４２５７', 'malformed'),
    ('telegram', '٦٧٨٥٤٢٥٧', 'malformed'),
    ('viber', '5dfjdg5lfg8dGjg0DF95+h==', 'documented'),
    ('viber', 'a', 'documented'),
    ('viber', 'a b', 'malformed'),
    ('viber', 'кириллица', 'malformed'),
    ('viber', repeat('a', 512), 'documented'),
    ('viber', repeat('a', 513), 'malformed'),
    ('whatsapp', '10435685475', 'documented'),
    ('whatsapp', '1234567', 'documented'),
    ('whatsapp', '123456', 'malformed'),
    ('whatsapp', '123456789012345', 'documented'),
    ('whatsapp', '1234567890123456', 'malformed'),
    ('whatsapp', '+10435685475', 'malformed'),
    ('whatsapp', 'US.13491208655302741918', 'platform'),
    ('whatsapp', 'US.ENT.13491208655302741918', 'platform'),
    ('whatsapp', 'us.13491208655302741918', 'malformed'),
    ('whatsapp', 'US.' || repeat('1', 128), 'platform'),
    ('whatsapp', 'US.' || repeat('1', 129), 'malformed'),
    ('whatsapp', 'US.', 'malformed'),
    ('facebook', '103458712527651', 'documented'),
    ('facebook', '10345871252765', 'platform'),
    ('facebook', '1', 'platform'),
    ('facebook', '12345678901234567890', 'platform'),
    ('facebook', '123456789012345678901', 'malformed'),
    ('facebook', '10345871252765x', 'malformed'),
    ('facebook', '１０３４５８７１２５２７６５１', 'malformed'),
    ('instagram', '17841400000000000', 'documented'),
    ('instagram', 'ann', 'malformed'),
    ('vk', '1', 'documented'),
    ('vk', '-1', 'documented'),
    ('vk', '2000000001', 'documented'),
    ('vk', '9223372036854775808', 'malformed'),
    ('vk', '-0', 'malformed'),
    ('ok', 'chat:C3ecb9d02a600', 'documented'),
    ('ok', 'a b', 'malformed'),
    ('apple', 'urn:mbid:AQAAY/+=', 'documented'),
    ('apple', 'urn:mbid:', 'malformed'),
    ('apple', 'AQAAY', 'malformed'),
    ('line', 'U' || repeat('0f', 16), 'documented'),
    ('line', 'U' || repeat('0F', 16), 'malformed'),
    ('line', 'U' || repeat('0', 31), 'malformed'),
    ('wechat', 'oLVPpjqs9BhvzwPj5A-vTYAX3GLc', 'documented'),
    ('wechat', 'a+b', 'malformed'),
    ('email', 'ann.lee@example.com', 'documented'),
    ('email', 'ann+tag@sub.example.co', 'documented'),
    ('email', 'ann@example', 'malformed'),
    ('email', 'ann@@example.com', 'malformed'),
    ('email', '.ann@example.com', 'malformed'),
    ('email', repeat('a', 64) || '@example.com', 'documented'),
    ('email', repeat('a', 65) || '@example.com', 'malformed'),
    ('email', 'анн@example.com', 'malformed'),
    ('sms', '10435685475', 'documented'),
    ('sms', '12345', 'malformed'),
    ('skype', 'live:.cid.0123456789abcdef', 'documented'),
    ('skype', '8:live:ann', 'documented'),
    ('skype', 'ann lee', 'malformed'),
    ('max', '1', 'documented'),
    ('max', '9223372036854775807', 'documented'),
    ('max', '9223372036854775808', 'malformed'),
    ('max', '0', 'malformed');
-- Each sample under each function; a row is a disagreement.
select s.channel_type, left(s.id, 30) as id, s.expected, f.format, f.documented, f.platform, f.checked
from sample as s
cross join lateral (
    select
        visitor_identity.channel_user_id_format(s.channel_type, s.id) as format,
        visitor_identity.is_channel_user_id(s.channel_type, s.id) as documented,
        visitor_identity.is_channel_user_id(s.channel_type, s.id, 'platform') as platform,
        visitor_identity.check_channel_user_id(s.channel_type, s.id, 'platform') as checked
) as f
where f.format <> s.expected
    or f.documented <> (s.expected = 'documented')
    or f.platform <> (s.expected <> 'malformed')
    or f.checked <> f.platform;
select s.channel_type, left(s.id, 30) as id
from sample as s
cross join lateral (
    values
        ('telegram', visitor_identity.is_telegram_user_id(s.id), visitor_identity.is_telegram_user_id(s.id, 'platform')),
        ('viber', visitor_identity.is_viber_user_id(s.id), visitor_identity.is_viber_user_id(s.id, 'platform')),
        ('whatsapp', visitor_identity.is_whatsapp_user_id(s.id), visitor_identity.is_whatsapp_user_id(s.id, 'platform')),
        ('facebook', visitor_identity.is_facebook_user_id(s.id), visitor_identity.is_facebook_user_id(s.id, 'platform'))
) as f (channel_type, documented, platform)
where f.channel_type = s.channel_type
    and (f.documented, f.platform) is distinct from (s.expected = 'documented', s.expected <> 'malformed');
-- platform is a superset of documented, for every channel and every sample tried on it; every built-in channel is tried.
select count(*) as documented_but_not_platform
from visitor_identity.channel as c
cross join sample as s
where c.built_in
    and visitor_identity.is_channel_user_id(c.channel_type, s.id)
    and not visitor_identity.is_channel_user_id(c.channel_type, s.id, 'platform');
select c.channel_type as not_tried
from visitor_identity.channel as c
where c.built_in and not exists (select from sample as s where s.channel_type = c.channel_type and s.expected = 'documented');
select string_agg(channel_type, ', ' order by channel_type) as built_in
from visitor_identity.channel
where built_in;

-- Normal forms: a phone number becomes its digits, an e-mail domain lower case, all else is trimmed.
select n.channel_type, n.raw, visitor_identity.normalize_channel_user_id(n.channel_type, n.raw) as normalized
from (
    values
        (1, 'whatsapp', '+1 (043) 568-5475'),
        (2, 'whatsapp', 'tel:+1-043-568-5475'),
        (3, 'whatsapp', 'whatsapp:+10435685475'),
        (4, 'whatsapp', '001 043 568 5475'),
        (5, 'sms', '+44 (0)20 7946 0018'),
        (6, 'whatsapp', ' US.13491208655302741918 '),
        (7, 'whatsapp', '+1 043 568 5475, +1 043 568 5476'),
        (8, 'email', ' Ann.Lee@Example.COM '),
        (9, 'telegram', ' +67854257 '),
        (10, 'viber', 'AbC=='),
        (11, 'facebook', '1 2')
) as n (n, channel_type, raw)
order by n.n;
-- Normalizing twice is normalizing once, and what is normal already stays.
select count(*) as changed_by_the_second_time
from sample as s
where visitor_identity.normalize_channel_user_id(s.channel_type, visitor_identity.normalize_channel_user_id(s.channel_type, s.id))
    <> visitor_identity.normalize_channel_user_id(s.channel_type, s.id);
drop table sample;
