-- The same identifier is the same visitor, for ever: the first table of resolution.
create schema same_id_same_visitor;
set search_path = same_id_same_visitor;
create table letter (
    visitor_id uuid primary key,
    name text not null
);
-- A visitor gets its letter at first sight; who() says it again.
create function named(wanted text, id uuid)
returns text
language plpgsql
as $$
begin
    insert into letter
    values (id, wanted)
    on conflict do nothing;
    return (select l.name from letter as l where l.visitor_id = id);
end
$$;
create function who(id uuid)
returns text
language sql
as $$
    select coalesce((select l.name from letter as l where l.visitor_id = id), 'another', null)
    where id is not null
$$;
-- resolve_visitor_detail, with letters for the visitors and counts for the rebindings.
create function seen(
    wanted text,
    provided_visitor_id text default null,
    channel_type text default null,
    channel_user_id text default null,
    visitor_id uuid default null,
    channel_id text default '',
    account text default 'same_id_same_visitor'
)
returns table (
    visitor text,
    outcome text,
    basis text,
    absorbed text,
    rebindings bigint,
    chats bigint,
    notes text
)
language sql
as $$
    select
        named(wanted, d.visitor_id),
        d.outcome,
        d.basis,
        (select string_agg(who(p), ', ' order by n) from unnest(d.previous_visitor_ids) with ordinality as u (p, n)),
        cardinality(d.rebind_ids),
        d.rebound_chats,
        array_to_string(d.notes, ', ')
    from visitor_identity.resolve_visitor_detail(
        seen.provided_visitor_id, seen.channel_type, seen.channel_user_id,
        seen.visitor_id, seen.channel_id, seen.account
    ) as d
$$;
insert into visitor_identity.account (account) values ('same_id_same_visitor');

-- A provided id: computed and bound at first sight, recognized ever after, from any browser.
select * from seen('Ann', provided_visitor_id => 'C-1');
select * from seen('?', provided_visitor_id => 'C-1');
select * from seen('?', provided_visitor_id => E' \tC-1\u00a0\u200b\n');
select named('?', visitor_identity.derive_visitor_id('C-1', 'same_id_same_visitor')) as derived;
-- Opaque: another case is another person.
select * from seen('Other Ann', provided_visitor_id => 'c-1');

-- A channel id: the same; scoped by channel and by channel_id.
select * from seen('Tom', channel_type => 'telegram', channel_user_id => '67854257');
select * from seen('?', channel_type => 'telegram', channel_user_id => ' 67854257 ');
select * from seen('?', channel_type => 'telegram', channel_user_id => '67854257', channel_id => null);
select * from seen('?', channel_type => ' telegram ', channel_user_id => '67854257', channel_id => ' ');
select * from seen('Tom at another bot', channel_type => 'telegram', channel_user_id => '67854257', channel_id => 'bot-2');
select * from seen('Max', channel_type => 'max', channel_user_id => '67854257');
-- A phone number is one number however it is written; an e-mail domain has no case, its local part has.
select * from seen('Phone', channel_type => 'whatsapp', channel_user_id => '+1 (043) 568-5475');
select * from seen('?', channel_type => 'whatsapp', channel_user_id => '10435685475');
select * from seen('Mail', channel_type => 'email', channel_user_id => 'ann.lee@Example.COM');
select * from seen('?', channel_type => 'email', channel_user_id => 'ann.lee@example.com');
select * from seen('Other mail', channel_type => 'email', channel_user_id => 'Ann.Lee@example.com');

-- A cookie that was issued here.
select * from seen('Cookie', account => 'same_id_same_visitor');
select visitor_id as cookie
from letter
where name = 'Cookie' \gset
select * from seen('?', visitor_id => :'cookie');
-- One that never was is not adopted, and nothing at all gives another new visitor each time.
select * from seen('New 1', visitor_id => '5f0e1d2c-3b4a-4958-8776-655443322110');
select * from seen('New 2', visitor_id => '5f0e1d2c-3b4a-4958-8776-655443322110');
select * from seen('New 3');
select count(*) as never_adopted
from visitor_identity.visitor
where visitor_id = '5f0e1d2c-3b4a-4958-8776-655443322110';
-- Random ids are version 7: time-ordered. Computed ones are version 5.
select
    name,
    substr(visitor_id::text, 15, 1) as version
from letter
where name in ('Ann', 'Tom', 'Cookie', 'New 3')
order by name;

-- With a channel id and no provided id the cookie is ignored: channels are separate visitors.
select * from seen('?', channel_type => 'telegram', channel_user_id => '67854257', visitor_id => :'cookie');
select * from seen('Fresh', channel_type => 'viber', channel_user_id => '5dfjdg5lfg8dGjg0DF95+h==', visitor_id => :'cookie');
select * from seen('?', visitor_id => :'cookie');

-- Another account is another world: equal ids never meet, and its cookies are unknown here.
insert into visitor_identity.account (account) values ('same_id_same_visitor_2');
select * from seen('Ann of 2', provided_visitor_id => 'C-1', account => 'same_id_same_visitor_2');
select * from seen('Tom of 2', channel_type => 'telegram', channel_user_id => '67854257', account => 'same_id_same_visitor_2');
select * from seen('New of 2', visitor_id => :'cookie', account => 'same_id_same_visitor_2');

-- NULL means the account of the setting; without it, default, which is there from the beginning.
set visitor_identity.account = 'same_id_same_visitor_2';
select * from seen('?', provided_visitor_id => 'C-1', account => null);
reset visitor_identity.account;
show visitor_identity.account;
select count(*) as default_exists
from visitor_identity.account
where account = 'default';

-- Resolving twice gives the same answer, and one row was written for each identifier.
select
    (select count(*) from visitor_identity.provided_identity where account = 'same_id_same_visitor') as provided,
    (select count(*) from visitor_identity.channel_identity where account = 'same_id_same_visitor') as channels,
    (select count(*) from visitor_identity.visitor where account = 'same_id_same_visitor') as visitors,
    (select count(*) from visitor_identity.rebind where account = 'same_id_same_visitor') as rebindings;

set client_min_messages = warning;
drop schema same_id_same_visitor cascade;
