//! `distribute` as an SQL function.

use super::reported;
use crate::store::distribute::distribute as carry_out;
use pgrx::iter::TableIterator;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

#[pg_extern(sql = false)]
#[allow(clippy::type_complexity)]
fn distribute(
    dry_run: Option<bool>,
    shard_count: Option<i32>,
) -> Result<
    TableIterator<
        'static,
        (
            name!(step, i32),
            name!(object, String),
            name!(statement, Option<String>),
            name!(why, String),
        ),
    >,
    ErrorReport,
> {
    // Whoever passes NULL has not said that it is to be done.
    let told = reported(carry_out(dry_run.unwrap_or(true), shard_count))?;
    let rows: Vec<_> = (1..)
        .zip(told)
        .map(|(step, told)| (step, told.object, told.statement, told.why))
        .collect();
    Ok(TableIterator::new(rows))
}
