-- Push notifications: whose each device is, and how it is reached.

create table visitor_identity.device (
    account text collate "C" not null,
    app text collate "C" not null,
    device_id text collate "C" not null,
    service text collate "C" not null
        constraint device_service check (service in ('apns', 'fcm', 'hpk', 'gcm')),
    token text collate "C" not null,
    visitor_id uuid not null,
    registered_visitor_id uuid not null,
    registered_at timestamptz not null default pg_catalog.now(),
    constraint device_pkey primary key (account, app, device_id)
);

create index device_visitor_idx
on visitor_identity.device (account, visitor_id);
comment on index visitor_identity.device_visitor_idx is 'The devices of a visitor.';

-- By the hash, because a token may be longer than what fits into an index.
create index device_token_idx
on visitor_identity.device (account, app, service, pg_catalog.hashtextextended(token, 0));
comment on index visitor_identity.device_token_idx is 'The registrations of a token, by its hash.';

comment on table visitor_identity.device is
'Devices that are registered for push notifications; each has one owner in each app, the latest one. They move with a rebinding, and back with its undoing.';
comment on column visitor_identity.device.account is 'The account.';
comment on column visitor_identity.device.app is 'The app on the device.';
comment on column visitor_identity.device.device_id is 'The installation''s UUID in lower case with hyphens, and its section after another hyphen if it has one.';
comment on column visitor_identity.device.service is 'The push service: apns, fcm, hpk or gcm.';
comment on column visitor_identity.device.token is 'The service''s address of the device.';
comment on column visitor_identity.device.visitor_id is 'The canonical visitor who owns it: never a superseded one.';
comment on column visitor_identity.device.registered_visitor_id is 'The visitor_id that the latest registration named, before any rebinding moved the device.';
comment on column visitor_identity.device.registered_at is 'When the app last registered it, to the hour.';

create function visitor_identity.register_device(
    visitor_id uuid,
    app text,
    device_id text,
    service text,
    token text,
    account text default null
)
returns uuid
language c volatile security definer
as 'MODULE_PATHNAME', 'register_device_wrapper';

comment on function visitor_identity.register_device(uuid, text, text, text, text, text) is
'Makes a visitor the one owner of a device in an app, whoever owned it before, and returns him: the survivor of a superseded one. device_id is UUID[-section]; service is apns, fcm, hpk or gcm. Another installation of the app with the same token is forgotten. The token none, or the service none, removes the registration and returns NULL. VOLATILE; repeating a registration unchanged writes nothing within the hour, also in a read-only transaction. Errors: 42704 for an unknown or forgotten visitor, 22P02 for what is no device id, 22004, 22023, 22001, 42501, 25006, 40001.';

create function visitor_identity.unregister_device(
    app text,
    device_id text,
    account text default null
)
returns boolean
language c volatile security definer
as 'MODULE_PATHNAME', 'unregister_device_wrapper';

comment on function visitor_identity.unregister_device(text, text, text) is
'Removes the registration of a device in an app, whoever owns it; false when there was none. VOLATILE. Errors: 22P02 for what is no device id, 22004, 22023, 22001, 42501, 42704, 25006, 40001.';

create function visitor_identity.push_targets(
    visitor_id uuid default null,
    provided_visitor_id text default null,
    account text default null
)
returns table (
    visitor_id uuid,
    app text,
    device_id text,
    service text,
    token text,
    registered_at timestamptz
)
language c stable parallel safe security definer rows 4
as 'MODULE_PATHNAME', 'push_targets_wrapper';

comment on function visitor_identity.push_targets(uuid, text, text) is
'Every device and every app that a message to a person goes to, the latest registration first, each token of an app once. The person is named by visitor_id, also a superseded one, or by provided_visitor_id, or by both; nobody who is known has no rows. Writes and locks nothing; works on a hot standby. STABLE, PARALLEL SAFE. Errors: 22023 when both are given and belong to two people; 22023, 22001, 28000, 42501, 42704 as find_visitor.';

create function visitor_identity.prune_devices(
    older_than interval,
    account text default null
)
returns bigint
language c volatile security definer
as 'MODULE_PATHNAME', 'prune_devices_wrapper';

comment on function visitor_identity.prune_devices(interval, text) is
'Removes the registrations that no app has repeated for this long, and returns how many. VOLATILE. Errors: 22023 for less than an hour, 42501, 42704, 25006.';
