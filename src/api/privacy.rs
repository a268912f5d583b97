//! Telling and forgetting a person, as SQL functions.

use super::json::{json_text, jsonb};
use super::{reported, Answer};
use crate::error::IdentityError;
use crate::settings::effective_account;
use crate::store::privacy::{export, forget};
use crate::store::spi::from_pg;
use pgrx::iter::TableIterator;
use pgrx::pg_sys;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;
use pgrx::AnyElement;

#[pg_extern(sql = false)]
fn export_visitor(visitor_id: Option<pgrx::Uuid>, account: Option<&str>) -> Answer<AnyElement> {
    let document = effective_account(account).and_then(|account| {
        let visitor_id = visitor_id.ok_or(IdentityError::UnknownVisitor)?;
        jsonb(&export(&account, from_pg(visitor_id))?)
    });
    reported(document)
}

#[pg_extern(sql = false)]
#[allow(clippy::type_complexity)]
fn forget_visitor(
    visitor_id: Option<pgrx::Uuid>,
    attached_rows: Option<&str>,
    per_table: Option<AnyElement>,
    account: Option<&str>,
) -> Result<
    TableIterator<
        'static,
        (
            name!(erased_table, pg_sys::Oid),
            name!(action, &'static str),
            name!(rows, i64),
        ),
    >,
    ErrorReport,
> {
    let done = effective_account(account).and_then(|account| {
        let per_table = json_text(per_table)?;
        forget(
            &account,
            visitor_id
                .map(from_pg)
                .ok_or(IdentityError::UnknownVisitor)?,
            attached_rows.unwrap_or_default(),
            per_table.as_deref().unwrap_or("{}"),
        )
    });
    let rows = reported(done)?
        .into_iter()
        .map(|erased| (erased.table, erased.action, erased.rows));
    Ok(TableIterator::new(rows.collect::<Vec<_>>()))
}
