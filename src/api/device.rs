//! Push notifications as SQL functions: register and unregister devices, and where a message goes.

use super::{reported, Answer};
use crate::settings::effective_account;
use crate::store::device::{prune, register, targets, unregister};
use crate::store::spi::{from_pg, to_pg};
use pgrx::datum::{Interval, TimestampWithTimeZone};
use pgrx::iter::TableIterator;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

#[pg_extern(sql = false)]
fn register_device(
    visitor_id: Option<pgrx::Uuid>,
    app: Option<&str>,
    device_id: Option<&str>,
    service: Option<&str>,
    token: Option<&str>,
    account: Option<&str>,
) -> Answer<Option<pgrx::Uuid>> {
    let owner = effective_account(account).and_then(|account| {
        let visitor_id = visitor_id.map(from_pg);
        register(&account, visitor_id, app, device_id, service, token)
    });
    Ok(reported(owner)?.map(to_pg))
}

#[pg_extern(sql = false)]
fn unregister_device(
    app: Option<&str>,
    device_id: Option<&str>,
    account: Option<&str>,
) -> Answer<bool> {
    reported(effective_account(account).and_then(|account| unregister(&account, app, device_id)))
}

#[pg_extern(sql = false)]
#[allow(clippy::type_complexity)]
fn push_targets(
    visitor_id: Option<pgrx::Uuid>,
    provided_visitor_id: Option<&str>,
    account: Option<&str>,
) -> Result<
    TableIterator<
        'static,
        (
            name!(visitor_id, pgrx::Uuid),
            name!(app, String),
            name!(device_id, String),
            name!(service, String),
            name!(token, String),
            name!(registered_at, TimestampWithTimeZone),
        ),
    >,
    ErrorReport,
> {
    let found = effective_account(account)
        .and_then(|account| targets(&account, visitor_id.map(from_pg), provided_visitor_id));
    let rows = reported(found)?.into_iter().map(|target| {
        (
            to_pg(target.visitor_id),
            target.app,
            target.device_id,
            target.service,
            target.token,
            target.registered_at,
        )
    });
    Ok(TableIterator::new(rows.collect::<Vec<_>>()))
}

#[pg_extern(sql = false)]
fn prune_devices(older_than: Option<Interval>, account: Option<&str>) -> Answer<i64> {
    reported(effective_account(account).and_then(|account| prune(&account, older_than)))
}
