-- What no registration can be is refused, with what was expected, and leaves no trace; nothing of it is in a message.
create schema device_bad_input;
set search_path = device_bad_input;
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
create function registering(
    device_id text default '0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9',
    token text default 'token',
    app text default 'shop',
    service text default 'fcm',
    visitor_id uuid default visitor_identity.find_visitor('Anna'),
    account text default null
)
returns table (state text, message text, detail text, hint text)
language sql
as $$
    select r.*
    from refusal(format(
        'select visitor_identity.register_device(%L, %L, %L, %L, %L, %L)',
        visitor_id, app, device_id, service, token, account
    )) as r
$$;
insert into visitor_identity.account (account)
values ('device_bad_input'), ('device_bad_input_2');
set visitor_identity.account = 'device_bad_input';
select visitor_identity.resolve_visitor('Anna') is not null as known;
select visitor_identity.resolve_visitor('Boris') is not null as known;
\x
-- The device id.
select * from registering(device_id => 'phone');
select * from registering(device_id => null);
select * from registering(device_id => repeat('x', 513));
select * from registering(device_id => E'0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9-a\tb');
\x
select d.device_id, r.state, r.message
from unnest('{
    0a1b2c3d, 0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9-, 0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9a,
    00000000-0000-0000-0000-000000000000, 00000000-0000-0000-0000-000000000000-a, undefined, " "
}'::text[]) with ordinality as d (device_id, n)
cross join lateral registering(d.device_id) as r
order by d.n;
\x
-- The app, the service, the token.
select * from registering(app => ' ');
select state, message from registering(app => null);
select state, message from registering(app => repeat('x', 513));
select state, message from registering(app => E'a\u0001b');
select * from registering(service => 'pigeon');
select state, message from registering(service => 'FCM');
select state, message from registering(service => null);
select * from registering(token => null);
select * from registering(token => repeat('x', 4097));
select * from registering(token => E'a\u0007b');
\x
select t.token, r.state, r.message
from unnest('{"", " ", "null", "undefined", "(null)", "0"}'::text[]) with ordinality as t (token, n)
cross join lateral registering(token => t.token) as r
order by t.n;
\x
-- The visitor and the account.
select * from registering(visitor_id => '40000000-0000-4000-8000-000000000009');
select state, message from registering(visitor_id => null);
select state, message from registering(account => 'device_bad_input_2');
select state, message from registering(account => 'device_bad_input_3');
update visitor_identity.visitor
set forgotten = true
where account = 'device_bad_input' and visitor_id = visitor_identity.find_visitor('Boris');
select state, message from registering(visitor_id => visitor_identity.derive_visitor_id('Boris'));
-- A token none removes whatever is there, but in an account that exists and of a device that can be.
select state, message from registering(device_id => 'phone', token => 'none');
select state, message from registering(account => 'device_bad_input_3', token => 'none');
-- Nothing was registered by any of these.
select count(*) from visitor_identity.device where account like 'device_bad_input%';

-- Unregistering, pruning, asking.
select state, message from refusal($$select visitor_identity.unregister_device('shop', 'phone')$$);
select state, message from refusal($$select visitor_identity.unregister_device('', '0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9')$$);
select state, message from refusal($$select visitor_identity.unregister_device('shop', '0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9', 'device_bad_input_3')$$);
select * from refusal($$select visitor_identity.prune_devices('59 minutes')$$);
select state, message from refusal($$select visitor_identity.prune_devices(null)$$);
select state, message from refusal($$select visitor_identity.prune_devices('-1 year')$$);
select state, message from refusal($$select visitor_identity.prune_devices('1 year', 'device_bad_input_3')$$);
select state, message from refusal($$select visitor_identity.push_targets(provided_visitor_id => repeat('x', 513))$$);
select state, message from refusal($$select visitor_identity.push_targets(provided_visitor_id => E'a\u0001b')$$);
select state, message from refusal($$select visitor_identity.push_targets(account => 'device_bad_input_3')$$);
-- A provided id counts as find_visitor takes it.
update visitor_identity.account set require_signature = true where account = 'device_bad_input_2';
select state, message from refusal($$select visitor_identity.push_targets(provided_visitor_id => 'Anna', account => 'device_bad_input_2')$$);

-- What must be written is not written in a read-only transaction.
begin read only;
select * from registering();
select state, message from registering(token => 'none');
select state, message from refusal($$select visitor_identity.unregister_device('shop', '0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9')$$);
select state, message from refusal($$select visitor_identity.prune_devices('1 year')$$);
rollback;

-- A session that is locked to an account registers, removes, finds and shows there alone.
select state from registering();
set visitor_identity.locked_account = 'device_bad_input_2';
set visitor_identity.account = 'default';
select * from refusal($$select visitor_identity.push_targets(account => 'device_bad_input')$$);
select state, message from registering(visitor_id => '40000000-0000-4000-8000-000000000009', account => 'device_bad_input');
select state, message from refusal($$select visitor_identity.unregister_device('shop', '0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9', 'device_bad_input')$$);
select state, message from refusal($$select visitor_identity.prune_devices('1 year', 'device_bad_input')$$);
select visitor_identity.unregister_device('shop', '0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9') as removed;
create role device_bad_input_admin;
select visitor_identity.grant_access('device_bad_input_admin', 'admin');
set role device_bad_input_admin;
select count(*) from visitor_identity.device;
reset role;
reset visitor_identity.locked_account;
set role device_bad_input_admin;
select count(*) from visitor_identity.device where account = 'device_bad_input';
reset role;
reset visitor_identity.account;
\x
set client_min_messages = warning;
drop owned by device_bad_input_admin;
drop role device_bad_input_admin;
drop schema device_bad_input cascade;
delete from visitor_identity.device where account = 'device_bad_input';
