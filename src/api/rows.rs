//! `attached_rows` as an SQL function, for `check_integrity` and `find_anomalies`.

use super::reported;
use crate::store::rows::AttachedRows;
use crate::store::spi::to_pg;
use pgrx::iter::TableIterator;
use pgrx::pg_sys;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;
use pgrx::PgLogLevel;

#[pg_extern(sql = false)]
#[allow(clippy::type_complexity)]
fn attached_rows(
    attached_table: Option<pg_sys::Oid>,
) -> Result<
    TableIterator<
        'static,
        (
            name!(account, Option<String>),
            name!(visitor_id, Option<pgrx::Uuid>),
            name!(origin_visitor_id, Option<pgrx::Uuid>),
            name!(provided_visitor_id, Option<String>),
            name!(channel_type, Option<String>),
            name!(channel_id, Option<String>),
            name!(channel_user_id, Option<String>),
            name!(row_key, Option<String>),
        ),
    >,
    ErrorReport,
> {
    let mut rows = reported(AttachedRows::of(attached_table))?;
    let read = std::iter::from_fn(move || {
        let row = rows.next_row().unwrap_or_else(|error| {
            ErrorReport::from(error).report(PgLogLevel::ERROR);
            None
        })?;
        Some((
            row.account,
            row.visitor_id.map(to_pg),
            row.origin_visitor_id.map(to_pg),
            row.provided_visitor_id,
            row.channel_type,
            row.channel_id,
            row.channel_user_id,
            row.row_key,
        ))
    });
    Ok(TableIterator::new(read))
}
