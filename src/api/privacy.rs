//! Telling and forgetting a person, as SQL functions.

use super::signature::json_text;
use super::{reported, Answer};
use crate::error::IdentityError;
use crate::settings::effective_account;
use crate::store::privacy::{export, forget};
use crate::store::spi::from_pg;
use pgrx::datum::FromDatum;
use pgrx::fcinfo::direct_function_call_as_datum;
use pgrx::iter::TableIterator;
use pgrx::pg_sys;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;
use pgrx::AnyElement;

/// A text as a `jsonb`: the reverse of `json_text`.
fn json_value(text: &str) -> Result<AnyElement, IdentityError> {
    let lost = || IdentityError::Internal("a document could not be read as jsonb".into());
    let text = std::ffi::CString::new(text).map_err(|_| lost())?;
    // SAFETY: jsonb_in takes a C string, copies what it keeps, and returns a jsonb.
    unsafe {
        let argument = Some(pg_sys::Datum::from(text.as_ptr()));
        let datum = direct_function_call_as_datum(pg_sys::jsonb_in, &[argument]);
        datum
            .and_then(|datum| AnyElement::from_polymorphic_datum(datum, false, pg_sys::JSONBOID))
            .ok_or_else(lost)
    }
}

#[pg_extern(sql = false)]
fn export_visitor(visitor_id: Option<pgrx::Uuid>, account: Option<&str>) -> Answer<AnyElement> {
    let document = effective_account(account).and_then(|account| {
        let visitor_id = visitor_id.ok_or(IdentityError::UnknownVisitor)?;
        json_value(&export(&account, from_pg(visitor_id))?)
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
            attached_rows.unwrap_or("anonymize"),
            per_table.as_deref().unwrap_or("{}"),
        )
    });
    let rows = reported(done)?
        .into_iter()
        .map(|erased| (erased.table, erased.action, erased.rows));
    Ok(TableIterator::new(rows.collect::<Vec<_>>()))
}
