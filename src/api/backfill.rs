//! The two steps of the procedure `backfill_chats`, as SQL functions. They run with the caller's rights.

use super::{reported, Answer};
use crate::store::backfill::{batch, begin};
use pgrx::iter::TableIterator;
use pgrx::pg_sys;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

#[pg_extern(sql = false)]
fn backfill_begin(chat_table: Option<pg_sys::Oid>) -> Answer<i64> {
    reported(begin(chat_table))
}

#[pg_extern(sql = false)]
fn backfill_batch(
    chat_table: Option<pg_sys::Oid>,
    batch_size: Option<i32>,
) -> Result<TableIterator<'static, (name!(taken, i64), name!(resolved, i64))>, ErrorReport> {
    let done = reported(batch(chat_table, i64::from(batch_size.unwrap_or(0))))?;
    Ok(TableIterator::once((done.taken, done.resolved)))
}
