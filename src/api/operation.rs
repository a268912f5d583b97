//! What a DBA does by hand, as SQL functions: explain a resolution, undo a rebinding, join two
//! visitors, follow a renamed channel user.

use super::resolve::raw;
use super::{reported, Answer};
use crate::error::IdentityError;
use crate::settings::effective_account;
use crate::store::explain::explain;
use crate::store::merge::{merge_by_order, rename_channel_user as rename};
use crate::store::spi::{from_pg, to_pg};
use crate::store::undo::undo;
use pgrx::iter::TableIterator;
use pgrx::pg_sys;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

#[pg_extern(sql = false)]
#[allow(clippy::type_complexity)]
fn undo_rebind(
    rebind_id: Option<i64>,
    account: Option<&str>,
) -> Result<
    TableIterator<
        'static,
        (
            name!(moved_table, pg_sys::Oid),
            name!(put_back, i64),
            name!(left_alone, i64),
        ),
    >,
    ErrorReport,
> {
    let done = effective_account(account)
        .and_then(|account| undo(&account, rebind_id.unwrap_or_default()));
    let rows = reported(done)?
        .into_iter()
        .map(|table| (table.moved_table, table.put_back, table.left_alone));
    Ok(TableIterator::new(rows.collect::<Vec<_>>()))
}

#[pg_extern(sql = false)]
fn merge_visitors(
    from_visitor_id: Option<pgrx::Uuid>,
    into_visitor_id: Option<pgrx::Uuid>,
    reason: Option<&str>,
    account: Option<&str>,
) -> Answer<Option<i64>> {
    let (Some(from), Some(into)) = (from_visitor_id, into_visitor_id) else {
        return reported(Err(IdentityError::UnknownVisitor));
    };
    let reason = reason.unwrap_or("merge_visitors");
    reported(
        effective_account(account)
            .and_then(|account| merge_by_order(&account, from_pg(from), from_pg(into), reason)),
    )
}

#[pg_extern(sql = false)]
fn rename_channel_user(
    channel_type: Option<&str>,
    old_channel_user_id: Option<&str>,
    new_channel_user_id: Option<&str>,
    channel_id: Option<&str>,
    account: Option<&str>,
) -> Answer<pgrx::Uuid> {
    let renamed = effective_account(account).and_then(|account| {
        rename(
            &account,
            channel_type,
            channel_id,
            old_channel_user_id,
            new_channel_user_id,
        )
    });
    reported(renamed).map(to_pg)
}

#[pg_extern(sql = false)]
#[allow(clippy::type_complexity)]
fn explain_resolution(
    provided_visitor_id: Option<&str>,
    channel_type: Option<&str>,
    channel_user_id: Option<&str>,
    visitor_id: Option<pgrx::Uuid>,
    channel_id: Option<&str>,
    account: Option<&str>,
) -> Result<
    TableIterator<
        'static,
        (
            name!(step, i32),
            name!(topic, String),
            name!(finding, String),
        ),
    >,
    ErrorReport,
> {
    let raw = raw(
        provided_visitor_id,
        channel_type,
        channel_user_id,
        visitor_id,
        channel_id,
    );
    let steps = effective_account(account).and_then(|account| explain(&account, raw));
    let rows = (1..)
        .zip(reported(steps)?)
        .map(|(step, (topic, finding))| (step, topic, finding));
    Ok(TableIterator::new(rows.collect::<Vec<_>>()))
}
