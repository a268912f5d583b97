//! Registrations for push notifications: whose each device is, and how it is reached.
//! May touch: the table `device`; visitors through `identity` and `resolve`.
//!
//! Lock order: the visitor FOR KEY SHARE, followed to the survivor; the lock of the device; those of its new token and of
//! the one that it has, sorted; the rows of devices, sorted. Whoever writes a row here holds the lock of its token, so two
//! registrations never wait for each other's rows: a row that is evicted and comes anew would have no order. Whoever moves
//! the devices of a visitor holds his row FOR UPDATE and takes their rows in the same order.

use super::attachment::MovedKeys;
use super::distributed::is_distributed;
use super::identity::{facts, wait_for_election};
use super::policy::policy;
use super::resolve::{count_election, facts_of_plain_row, request_of};
use super::spi::{connect, is_read_only, Mode, Value};
use super::statement;
use crate::device::{addressees, lock_key, Address, Device, DeviceId, Refusal};
use crate::error::IdentityError;
use crate::resolution::{Asker, RawRequest, Request, Visitor};
use pgrx::datum::{Interval, TimestampWithTimeZone};
use uuid::Uuid;

impl From<Refusal> for IdentityError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Missing(argument) => Self::RegistrationIncomplete(argument),
            Refusal::Text(error, argument) => {
                crate::resolution::Refusal::Text(error, argument).into()
            }
            Refusal::TokenTooLong => Self::TokenTooLong,
            Refusal::MalformedDeviceId => Self::MalformedDeviceId,
            Refusal::UnknownService => Self::BadOption {
                option: "service",
                allowed: crate::device::Service::ALLOWED,
            },
            Refusal::TwoPeople => Self::TwoPeople,
        }
    }
}

statement!(
    IS_KEPT,
    "select exists (
        select 1
        from visitor_identity.device as d
        where d.account operator(pg_catalog.=) $1
            and d.app operator(pg_catalog.=) $2
            and d.device_id operator(pg_catalog.=) $3
            and d.service operator(pg_catalog.=) $4
            and d.token operator(pg_catalog.=) $5
            and d.visitor_id operator(pg_catalog.=) $6
            and d.registered_visitor_id operator(pg_catalog.=) $7
            and d.registered_at operator(pg_catalog.>)
                (pg_catalog.now() operator(pg_catalog.-) '01:00:00'::pg_catalog.interval)
    )"
);

statement!(
    ADDRESS,
    "select d.service, d.token
    from visitor_identity.device as d
    where d.account operator(pg_catalog.=) $1
        and d.app operator(pg_catalog.=) $2
        and d.device_id operator(pg_catalog.=) $3"
);

statement!(
    HOLDERS_OF_TOKEN,
    "select d.device_id
    from visitor_identity.device as d
    where d.account operator(pg_catalog.=) $1
        and d.app operator(pg_catalog.=) $2
        and d.service operator(pg_catalog.=) $3
        and pg_catalog.hashtextextended(d.token, 0)
            operator(pg_catalog.=) pg_catalog.hashtextextended($4, 0)
        and d.token operator(pg_catalog.=) $4"
);

statement!(
    TAKE_DEVICES,
    "select d.device_id
    from visitor_identity.device as d
    where d.account operator(pg_catalog.=) $1
        and d.app operator(pg_catalog.=) $2
        and d.device_id operator(pg_catalog.=) any ($3)
    order by d.device_id
    for update"
);

statement!(
    EVICT,
    "delete from visitor_identity.device as d
    where d.account operator(pg_catalog.=) $1
        and d.app operator(pg_catalog.=) $2
        and d.device_id operator(pg_catalog.=) any ($3)
        and d.service operator(pg_catalog.=) $4
        and d.token operator(pg_catalog.=) $5"
);

statement!(
    REGISTER,
    "insert into visitor_identity.device as d
        (account, app, device_id, service, token, visitor_id, registered_visitor_id)
    values ($1, $2, $3, $4, $5, $6, $7)
    on conflict (account, app, device_id) do update
    set service = excluded.service,
        token = excluded.token,
        visitor_id = excluded.visitor_id,
        registered_visitor_id = excluded.registered_visitor_id,
        registered_at = excluded.registered_at"
);

statement!(
    UNREGISTER,
    "delete from visitor_identity.device as d
    where d.account operator(pg_catalog.=) $1
        and d.app operator(pg_catalog.=) $2
        and d.device_id operator(pg_catalog.=) $3"
);

// A transaction that registers very many devices takes one lock for all of them; for its sake the others take the table's
// before they look.
statement!(
    SHARE_TABLE,
    "lock table visitor_identity.device in row exclusive mode"
);
statement!(
    TAKE_TABLE,
    "lock table visitor_identity.device in share row exclusive mode"
);

statement!(
    TARGETS,
    "select t.visitor_id, t.app, t.device_id, t.service, t.token, t.registered_at
    from (
        select distinct on (d.app, d.service, d.token)
            d.visitor_id, d.app, d.device_id, d.service, d.token, d.registered_at
        from visitor_identity.device as d
        where d.account operator(pg_catalog.=) $1
            and d.visitor_id operator(pg_catalog.=) any ($2)
        order by d.app, d.service, d.token, d.registered_at desc, d.device_id
    ) as t
    order by t.registered_at desc, t.app, t.device_id"
);

statement!(
    IS_AN_AGE,
    "select $1 operator(pg_catalog.>=) '01:00:00'::pg_catalog.interval
        and $1 operator(pg_catalog.<=) '1000 years'::pg_catalog.interval"
);

// What is being registered just now is passed over: it is not old.
statement!(
    PRUNE,
    "with old as (
        select d.app, d.device_id
        from visitor_identity.device as d
        where d.account operator(pg_catalog.=) $1
            and d.registered_at operator(pg_catalog.<) (pg_catalog.now() operator(pg_catalog.-) $2)
        order by d.app, d.device_id
        for update skip locked
    )
    delete from visitor_identity.device as d
    using old as o
    where d.account operator(pg_catalog.=) $1
        and d.app operator(pg_catalog.=) o.app
        and d.device_id operator(pg_catalog.=) o.device_id
        and d.registered_at operator(pg_catalog.<) (pg_catalog.now() operator(pg_catalog.-) $2)"
);

statement!(
    TAKE_DEVICES_OF,
    "select d.device_id
    from visitor_identity.device as d
    where d.account operator(pg_catalog.=) $1
        and d.visitor_id operator(pg_catalog.=) $2
    order by d.app, d.device_id
    for update"
);

statement!(
    MOVE_DEVICES,
    "with moved as (
        update visitor_identity.device as d
        set visitor_id = $3
        where d.account operator(pg_catalog.=) $1
            and d.visitor_id operator(pg_catalog.=) $2
        returning d.app, d.device_id, d.registered_visitor_id
    )
    select pg_catalog.count(*), pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object(
        'app', m.app,
        'device_id', m.device_id,
        'registered_visitor_id', m.registered_visitor_id
    ))::pg_catalog.text
    from moved as m"
);

statement!(
    TAKE_MOVED_DEVICES,
    "select d.device_id
    from visitor_identity.device as d
    join pg_catalog.jsonb_to_recordset($2::pg_catalog.jsonb) as k (
        app pg_catalog.text, device_id pg_catalog.text
    )
        on d.app operator(pg_catalog.=) k.app
        and d.device_id operator(pg_catalog.=) k.device_id
    where d.account operator(pg_catalog.=) $1
    order by d.app, d.device_id
    for update of d"
);

statement!(
    DEVICES_BACK,
    "update visitor_identity.device as d
    set visitor_id = $2
    from pg_catalog.jsonb_to_recordset($4::pg_catalog.jsonb) as k (
        app pg_catalog.text, device_id pg_catalog.text, registered_visitor_id pg_catalog.uuid
    )
    where d.account operator(pg_catalog.=) $1
        and d.app operator(pg_catalog.=) k.app
        and d.device_id operator(pg_catalog.=) k.device_id
        and d.registered_visitor_id operator(pg_catalog.=) k.registered_visitor_id
        and d.visitor_id operator(pg_catalog.=) $3"
);

// The registrations under a name that is the former visitor's own again: they came after the rebinding, and no log has them.
statement!(
    NAMED_DEVICES_BACK,
    "with taken as (
        select d.app, d.device_id
        from visitor_identity.device as d
        where d.account operator(pg_catalog.=) $1
            and d.visitor_id operator(pg_catalog.=) $3
            and exists (
                select 1
                from visitor_identity.visitor as v
                where v.account operator(pg_catalog.=) $1
                    and v.visitor_id operator(pg_catalog.=) d.registered_visitor_id
                    and coalesce(v.superseded_by, v.visitor_id) operator(pg_catalog.=) $2
            )
        order by d.app, d.device_id
        for update
    ), back as (
        update visitor_identity.device as d
        set visitor_id = $2
        from taken as t
        where d.account operator(pg_catalog.=) $1
            and d.app operator(pg_catalog.=) t.app
            and d.device_id operator(pg_catalog.=) t.device_id
            and d.visitor_id operator(pg_catalog.=) $3
        returning d.app
    )
    select pg_catalog.count(*)
    from back as b"
);

statement!(
    DEVICES,
    "select 'visitor_identity.device'::pg_catalog.regclass::pg_catalog.oid"
);

/// What a registration asks for.
struct Wanted<'a> {
    account: &'a str,
    device: &'a Device,
    device_id: &'a str,
    address: &'a Address,
    /// The visitor as the caller named him.
    named: Uuid,
}

/// `register_device`: the visitor who owns the device now; None when the token says that it wants no notifications.
/// Errors: 42704 for an unknown or forgotten visitor; 22004, 22023, 22001, 22P02 for bad input; 25006.
pub fn register(
    account: &str,
    visitor_id: Option<Uuid>,
    app: Option<&str>,
    device_id: Option<&str>,
    service: Option<&str>,
    token: Option<&str>,
) -> Result<Option<Uuid>, IdentityError> {
    let device = Device::parse(app, device_id)?;
    let Some(address) = Address::parse(service, token)? else {
        remove(account, &device)?;
        return Ok(None);
    };
    let named = visitor_id.ok_or(IdentityError::UnknownVisitor)?;
    let wanted = Wanted {
        account,
        device_id: &device.id.to_string(),
        device: &device,
        address: &address,
        named,
    };
    connect(|| {
        policy(account)?;
        let owner = standing(named_visitor(account, named)?)?;
        if is_kept(&wanted, owner)? {
            return Ok(Some(owner));
        }
        if is_read_only() {
            return Err(IdentityError::ReadOnlyRegistration);
        }
        let owner = standing(facts_of_plain_row(account, named)?.cookie)?;
        write(&wanted, owner)?;
        Ok(Some(owner))
    })
}

fn standing(visitor: Option<Visitor>) -> Result<Uuid, IdentityError> {
    visitor
        .filter(|visitor| !visitor.forgotten)
        .map(|visitor| visitor.id)
        .ok_or(IdentityError::UnknownVisitor)
}

/// The visitor that a visitor_id stands for, as this transaction sees him, without a lock.
fn named_visitor(account: &str, visitor_id: Uuid) -> Result<Option<Visitor>, IdentityError> {
    let request = Request {
        asker: Asker::Call,
        provided: None,
        channel: None,
        cookie: Some(visitor_id),
        notes: Vec::new(),
    };
    Ok(facts(Mode::OwnWork, account, &request)?.cookie)
}

fn is_kept(wanted: &Wanted<'_>, owner: Uuid) -> Result<bool, IdentityError> {
    let values = registration(wanted, owner);
    let rows = IS_KEPT.with(|statement| statement.run(Mode::OwnWork, &values))?;
    Ok(rows.truth(0, 1))
}

fn registration<'a>(wanted: &Wanted<'a>, owner: Uuid) -> [Value<'a>; 7] {
    [
        Value::Text(Some(wanted.account)),
        Value::Text(Some(&wanted.device.app)),
        Value::Text(Some(wanted.device_id)),
        Value::Text(Some(wanted.address.service.name())),
        Value::Text(Some(&wanted.address.token)),
        Value::Uuid(Some(owner)),
        Value::Uuid(Some(wanted.named)),
    ]
}

/// Takes a lock of a device or a token until the end of the transaction.
fn take(account: &str, key: i64) -> Result<(), IdentityError> {
    if is_distributed()? || count_election() {
        return wait_for_election(account, key);
    }
    TAKE_TABLE.with(|statement| statement.run(Mode::Write, &[]))?;
    Ok(())
}

/// Writes a registration to a visitor who is locked, and evicts the other installations that have its token.
fn write(wanted: &Wanted<'_>, owner: Uuid) -> Result<(), IdentityError> {
    let values = registration(wanted, owner);
    let [account, app, device_id, service, token, ..] = values;
    // Against who locks the table because he has too many locks of single devices: where the tables are distributed,
    // nobody does.
    if !is_distributed()? {
        SHARE_TABLE.with(|statement| statement.run(Mode::Write, &[]))?;
    }
    let of_app = [wanted.account, &wanted.device.app];
    take(
        wanted.account,
        lock_key(&[&["device"], &of_app[..], &[wanted.device_id]].concat()),
    )?;
    let rows = ADDRESS.with(|statement| statement.run(Mode::Newest, &[account, app, device_id]))?;
    let (old_service, old_token) = (rows.get::<String>(0, 1), rows.get::<String>(0, 2));
    let of_token =
        |service, token| lock_key(&[&["token"], &of_app[..], &[service, token]].concat());
    let mut keys = vec![of_token(
        wanted.address.service.name(),
        wanted.address.token.as_str(),
    )];
    if let (Some(service), Some(token)) = (&old_service, &old_token) {
        keys.push(of_token(service, token));
    }
    keys.sort_unstable();
    keys.dedup();
    for key in keys {
        take(wanted.account, key)?;
    }
    // Looked for under the lock: of two registrations of one new token the second sees the first.
    let rows = HOLDERS_OF_TOKEN
        .with(|statement| statement.run(Mode::Newest, &[account, app, service, token]))?;
    let evicted: Vec<String> = (0..rows.len())
        .filter_map(|row| rows.get::<String>(row, 1))
        .filter(|holder| {
            DeviceId::parse(holder).map_or(true, |id| !id.shares_installation(&wanted.device.id))
        })
        .collect();
    let mut taken = evicted.clone();
    taken.push(wanted.device_id.to_owned());
    TAKE_DEVICES
        .with(|statement| statement.run(Mode::Newest, &[account, app, Value::Texts(&taken)]))?;
    if !evicted.is_empty() {
        let values = [account, app, Value::Texts(&evicted), service, token];
        EVICT.with(|statement| statement.run(Mode::Newest, &values))?;
    }
    REGISTER.with(|statement| statement.run(Mode::Write, &values))?;
    Ok(())
}

/// `unregister_device`: whether there was a registration. Errors: 22004, 22023, 22001, 22P02 for bad input; 25006.
pub fn unregister(
    account: &str,
    app: Option<&str>,
    device_id: Option<&str>,
) -> Result<bool, IdentityError> {
    remove(account, &Device::parse(app, device_id)?)
}

fn remove(account: &str, device: &Device) -> Result<bool, IdentityError> {
    let device_id = device.id.to_string();
    connect(|| {
        policy(account)?;
        if is_read_only() {
            return Err(IdentityError::ReadOnlyRegistration);
        }
        let values = [
            Value::Text(Some(account)),
            Value::Text(Some(&device.app)),
            Value::Text(Some(&device_id)),
        ];
        let rows = UNREGISTER.with(|statement| statement.run(Mode::Newest, &values))?;
        Ok(rows.len() > 0)
    })
}

/// A device that a message goes to.
pub struct PushTarget {
    pub visitor_id: Uuid,
    pub app: String,
    pub device_id: String,
    pub service: String,
    pub token: String,
    pub registered_at: TimestampWithTimeZone,
}

/// `push_targets`: where a message to a person goes. Writes and locks nothing. Errors: 22023 when the two identifiers are
/// of two people; 22023, 22001, 28000 as `find`.
pub fn targets(
    account: &str,
    visitor_id: Option<Uuid>,
    provided_visitor_id: Option<&str>,
) -> Result<Vec<PushTarget>, IdentityError> {
    connect(|| {
        let raw = RawRequest {
            provided_visitor_id,
            visitor_id,
            ..RawRequest::default()
        };
        let (_, request) = request_of(account, raw)?;
        let known = facts(Mode::ReadOnly, account, &request)?;
        let visitors = addressees(&known, request.provided.is_some())?;
        if visitors.is_empty() {
            return Ok(Vec::new());
        }
        let values = [Value::Text(Some(account)), Value::Uuids(&visitors)];
        let rows = TARGETS.with(|statement| statement.run(Mode::ReadOnly, &values))?;
        Ok((0..rows.len())
            .filter_map(|row| {
                Some(PushTarget {
                    visitor_id: rows.uuid(row, 1)?,
                    app: rows.get(row, 2)?,
                    device_id: rows.get(row, 3)?,
                    service: rows.get(row, 4)?,
                    token: rows.get(row, 5)?,
                    registered_at: rows.get(row, 6)?,
                })
            })
            .collect())
    })
}

/// `prune_devices`: how many registrations were removed. Errors: 22023 for less than an hour; 25006.
pub fn prune(account: &str, older_than: Option<Interval>) -> Result<i64, IdentityError> {
    connect(|| {
        policy(account)?;
        let age = Value::Interval(older_than);
        let is_an_age = IS_AN_AGE.with(|statement| statement.run(Mode::ReadOnly, &[age]))?;
        if !is_an_age.truth(0, 1) {
            return Err(IdentityError::BadAge);
        }
        if is_read_only() {
            return Err(IdentityError::ReadOnlyRegistration);
        }
        let values = [Value::Text(Some(account)), age];
        let rows = PRUNE.with(|statement| statement.run(Mode::Newest, &values))?;
        Ok(rows.len() as i64)
    })
}

/// Moves the devices of a visitor who is held FOR UPDATE. None: he had none.
pub fn move_devices(
    account: &str,
    from: Uuid,
    to: Uuid,
) -> Result<Option<MovedKeys>, IdentityError> {
    let values = [
        Value::Text(Some(account)),
        Value::Uuid(Some(from)),
        Value::Uuid(Some(to)),
    ];
    let [account, from, _] = values;
    let taken = TAKE_DEVICES_OF.with(|statement| statement.run(Mode::Newest, &[account, from]))?;
    if taken.len() == 0 {
        return Ok(None);
    }
    let rows = MOVE_DEVICES.with(|statement| statement.run(Mode::Newest, &values))?;
    Ok(rows.get::<String>(0, 2).map(|keys| MovedKeys {
        count: rows.number(0, 1),
        keys,
    }))
}

/// Puts back the devices of a rebinding that are still with its target and were not registered by another name since.
pub fn put_devices_back(
    account: &str,
    from: Uuid,
    to: Uuid,
    keys: &str,
) -> Result<i64, IdentityError> {
    let values = [
        Value::Text(Some(account)),
        Value::Uuid(Some(from)),
        Value::Uuid(Some(to)),
        Value::Json(Some(keys)),
    ];
    let [account, _, _, keys] = values;
    TAKE_MOVED_DEVICES.with(|statement| statement.run(Mode::Newest, &[account, keys]))?;
    let rows = DEVICES_BACK.with(|statement| statement.run(Mode::Newest, &values))?;
    Ok(rows.len() as i64)
}

/// Gives a visitor who is his own again the devices that were registered under his name meanwhile: what is sent to the
/// person who had absorbed him is not for them. The table, and how many.
pub fn put_named_devices_back(
    account: &str,
    from: Uuid,
    to: Uuid,
) -> Result<(Option<pgrx::pg_sys::Oid>, i64), IdentityError> {
    let values = [
        Value::Text(Some(account)),
        Value::Uuid(Some(from)),
        Value::Uuid(Some(to)),
    ];
    let rows = NAMED_DEVICES_BACK.with(|statement| statement.run(Mode::Newest, &values))?;
    let devices = DEVICES.with(|statement| statement.run(Mode::ReadOnly, &[]))?;
    Ok((devices.get(0, 1), rows.number(0, 1)))
}
