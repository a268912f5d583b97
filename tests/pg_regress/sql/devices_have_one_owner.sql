-- A device has one owner in each app, the latest one, and a token never reaches two installations; repeating a registration costs
-- nothing.
create schema devices_have_one_owner;
set search_path = devices_have_one_owner;
create function install(n integer)
returns text
language sql
as $$
    select format('d0000000-0000-4000-8000-%s', lpad(n::text, 12, '0'))
$$;
insert into visitor_identity.account (account)
values ('devices'), ('devices_2');
set visitor_identity.account = 'devices';
create table person (name text, visitor_id uuid);
insert into person
select name, visitor_identity.resolve_visitor(name)
from unnest('{Anna, Boris}'::text[]) as name;
create function who(id uuid)
returns text
language sql
as $$
    select coalesce((select p.name from person as p where p.visitor_id = id), 'another')
    where id is not null
$$;
create function id(name text)
returns uuid
language sql
as $$
    select p.visitor_id from person as p where p.name = id.name
$$;
create view registrations as
select who(d.visitor_id) as owner, d.app, right(d.device_id, -34) as device, d.service, d.token
from visitor_identity.device as d
where d.account = 'devices'
order by d.app, d.device_id;
create function targets(name text)
returns text
language sql
as $$
    select string_agg(t.app || ' ' || t.token, ', ' order by t.app, t.token)
    from visitor_identity.push_targets(provided_visitor_id => targets.name) as t
$$;

-- Several apps on one device, all of them get it.
select
    who(visitor_identity.register_device(id('Anna'), 'shop', install(1), 'fcm', 'shop-1')) as shop,
    who(visitor_identity.register_device(id('Anna'), 'bank', install(1), 'apns', 'bank-1')) as bank,
    who(visitor_identity.register_device(id('Anna'), 'shop', install(2), 'hpk', 'shop-2')) as second_device;
select targets('Anna') as anna, targets('Boris') as boris;

-- Boris logs in on the first device, and Anna never logged out: the device is his, in this app only.
select who(visitor_identity.register_device(id('Boris'), 'shop', install(1), 'fcm', 'shop-1')) as owner;
select targets('Anna') as anna, targets('Boris') as boris;
-- The id of a device is its UUID, however it is written.
select who(visitor_identity.register_device(id('Anna'), ' shop ', upper(replace(install(1), '-', '')), 'fcm', 'shop-1')) as owner;
table registrations;
-- A new token takes the place of the old one.
select who(visitor_identity.register_device(id('Anna'), 'shop', install(1), 'fcm', 'shop-1b')) as owner;
select targets('Anna') as anna;

-- The app was installed anew, with another device id and the same token: whoever had the token has it no longer.
select who(visitor_identity.register_device(id('Boris'), 'shop', install(3), 'fcm', 'shop-1b')) as owner;
table registrations;
-- The same text is another token with another service, in another app, and in another account.
select who(visitor_identity.register_device(id('Anna'), 'shop', install(4), 'gcm', 'shop-1b')) as owner;
select who(visitor_identity.register_device(id('Anna'), 'bank', install(4), 'fcm', 'shop-1b')) as owner;
select visitor_identity.register_device(visitor_identity.resolve_visitor('Anna', account => 'devices_2'), 'shop', install(3), 'fcm', 'shop-1b', 'devices_2') is not null as registered;
select targets('Anna') as anna, targets('Boris') as boris;
select count(*) as in_the_other_account from visitor_identity.push_targets(provided_visitor_id => 'Anna', account => 'devices_2');

-- Sections of one installation are devices of their own that share its token; each has its owner.
delete from visitor_identity.device where account = 'devices';
select
    who(visitor_identity.register_device(id('Anna'), 'shop', install(1) || '-a', 'fcm', 'shared')) as a,
    who(visitor_identity.register_device(id('Boris'), 'shop', install(1) || '-A', 'fcm', 'shared')) as other_case,
    who(visitor_identity.register_device(id('Anna'), 'shop', install(1) || '-b', 'fcm', 'shared')) as b;
table registrations;
-- A message to Anna is sent once, though two of her sections share the token.
select targets('Anna') as anna, targets('Boris') as boris;
-- Another installation takes the token from all sections.
select who(visitor_identity.register_device(id('Boris'), 'shop', install(5) || '-a', 'fcm', 'shared')) as owner;
table registrations;

-- The token none removes the registration, and so does the service none; nobody has to be known for that.
select who(visitor_identity.register_device(id('Anna'), 'shop', install(1), 'fcm', 'one')) as owner;
select visitor_identity.register_device(id('Anna'), 'shop', install(1), 'fcm', 'none') is null as removed;
select visitor_identity.register_device(null, 'shop', install(5) || '-a', 'none', null) is null as removed;
select count(*) from registrations;
select who(visitor_identity.register_device(id('Anna'), 'shop', install(1), 'fcm', 'one')) as owner;
select
    visitor_identity.unregister_device('bank', install(1)) as another_app,
    visitor_identity.unregister_device('shop', install(1) || '-a') as another_section,
    visitor_identity.unregister_device('shop', install(1), 'devices_2') as another_account,
    visitor_identity.unregister_device('shop', upper(install(1))) as this,
    visitor_identity.unregister_device('shop', install(1)) as again;

-- Repeated unchanged, a registration writes nothing, up to the hour: also in a read-only transaction.
select who(visitor_identity.register_device(id('Anna'), 'shop', install(1), 'fcm', 'one')) as owner;
begin;
select count(visitor_identity.register_device(id('Anna'), 'shop', install(1), 'fcm', 'one')) from generate_series(1, 10);
select pg_current_xact_id_if_assigned() is null as no_transaction_id;
select count(*) as row_locks_and_others
from pg_locks
where pid = pg_backend_pid() and (locktype = 'advisory' or mode in ('RowShareLock', 'RowExclusiveLock'));
commit;
begin read only;
select who(visitor_identity.register_device(id('Anna'), 'shop', install(1), 'fcm', 'one')) as owner;
rollback;
update visitor_identity.device set registered_at = now() - interval '59 minutes' where account = 'devices';
begin;
select who(visitor_identity.register_device(id('Anna'), 'shop', install(1), 'fcm', 'one')) as owner;
select pg_current_xact_id_if_assigned() is null as no_transaction_id;
commit;
update visitor_identity.device set registered_at = now() - interval '61 minutes' where account = 'devices';
select who(visitor_identity.register_device(id('Anna'), 'shop', install(1), 'fcm', 'one')) as owner;
select registered_at > now() - interval '1 minute' as anew from visitor_identity.device where account = 'devices';

-- The latest first; what is as late, by app and device.
delete from visitor_identity.device where account = 'devices';
select count(visitor_identity.register_device(id('Anna'), app, install(n), 'fcm', app || n))
from generate_series(1, 3) as n
cross join unnest('{shop, bank}'::text[]) as app;
update visitor_identity.device
set registered_at = timestamptz '2024-05-01 12:00+00' - interval '1 hour' * right(device_id, 1)::integer
where account = 'devices';
select who(visitor_id) as owner, app, token, registered_at = '2024-05-01 11:00+00' as is_latest
from visitor_identity.push_targets(id('Anna'));
-- Nobody has registered one of these for so long.
select visitor_identity.prune_devices(make_interval(secs => extract(epoch from now() - timestamptz '2024-05-01 09:30+00')::float), 'devices_2') as in_the_other_account;
select visitor_identity.prune_devices(make_interval(secs => extract(epoch from now() - timestamptz '2024-05-01 09:30+00')::float)) as pruned;
select targets('Anna') as anna;
select visitor_identity.prune_devices(interval '1 hour') as pruned;
select targets('Anna') as anna;
-- What was registered within the hour is never old.
select who(visitor_identity.register_device(id('Anna'), 'shop', install(1), 'fcm', 'one')) as owner;
select visitor_identity.prune_devices(interval '1 hour') as pruned;

-- A transaction that registers very many devices does not fill the table of locks.
begin;
select count(visitor_identity.register_device(id('Boris'), 'shop', install(n), 'fcm', 'bulk-' || n))
from generate_series(10, 1209) as n;
select count(*) as advisory_locks
from pg_locks
where pid = pg_backend_pid() and locktype = 'advisory';
select mode
from pg_locks
where pid = pg_backend_pid() and relation = 'visitor_identity.device'::regclass and mode like 'Share%';
commit;
select count(*) from visitor_identity.push_targets(id('Boris'));
-- Whoever has the token of another is found among all of them.
select who(visitor_identity.register_device(id('Anna'), 'shop', install(9999), 'fcm', 'bulk-700')) as owner;
select count(*) from visitor_identity.push_targets(id('Boris'));
-- A token may be as long as a service likes.
select who(visitor_identity.register_device(id('Anna'), 'shop', install(9999), 'apns', repeat('f', 4096))) as owner;
select who(visitor_identity.register_device(id('Boris'), 'shop', install(9998), 'apns', repeat('f', 4096))) as owner;
select count(*) as has_it from visitor_identity.device where account = 'devices' and token = repeat('f', 4096);
select problem from visitor_identity.check_integrity() where account like 'devices%';
reset visitor_identity.account;
set client_min_messages = warning;
drop schema devices_have_one_owner cascade;
delete from visitor_identity.device where account like 'devices%';
