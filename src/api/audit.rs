//! What the view `anomalies` asks of a chat row, as an SQL function.

use super::reported;
use super::resolve::raw;
use crate::settings::effective_account;
use crate::store::resolve::unusable_in_row;
use pgrx::iter::TableIterator;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

#[pg_extern(sql = false)]
#[allow(clippy::type_complexity)]
fn unusable_identifiers(
    provided_visitor_id: Option<&str>,
    channel_type: Option<&str>,
    channel_user_id: Option<&str>,
    channel_id: Option<&str>,
    account: Option<&str>,
) -> Result<
    TableIterator<'static, (name!(argument, &'static str), name!(reason, &'static str))>,
    ErrorReport,
> {
    let raw = raw(
        provided_visitor_id,
        channel_type,
        channel_user_id,
        None,
        channel_id,
    );
    let unusable = effective_account(account).and_then(|account| unusable_in_row(&account, raw));
    let rows = reported(unusable)?
        .into_iter()
        .map(|unusable| (unusable.argument, unusable.reason));
    Ok(TableIterator::new(rows.collect::<Vec<_>>()))
}
