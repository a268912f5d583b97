//! `resolve_visitor` and its relatives as SQL functions.

use super::{reported, Answer};
use crate::resolution::RawRequest;
use crate::settings::{account_is_visible as is_visible, effective_account};
use crate::store::distributed::for_caller;
use crate::store::resolve::{answer_call, chat_visitor as chat, derive, find, resolve};
use crate::store::spi::{from_pg, to_pg};
use pgrx::iter::TableIterator;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

pub(super) fn raw<'a>(
    provided_visitor_id: Option<&'a str>,
    channel_type: Option<&'a str>,
    channel_user_id: Option<&'a str>,
    visitor_id: Option<pgrx::Uuid>,
    channel_id: Option<&'a str>,
) -> RawRequest<'a> {
    RawRequest {
        provided_visitor_id,
        channel_type,
        channel_user_id,
        visitor_id: visitor_id.map(from_pg),
        channel_id,
        verified: false,
    }
}

#[pg_extern(sql = false)]
fn resolve_visitor(
    provided_visitor_id: Option<&str>,
    channel_type: Option<&str>,
    channel_user_id: Option<&str>,
    visitor_id: Option<pgrx::Uuid>,
    channel_id: Option<&str>,
    account: Option<&str>,
) -> Answer<pgrx::Uuid> {
    let raw = raw(
        provided_visitor_id,
        channel_type,
        channel_user_id,
        visitor_id,
        channel_id,
    );
    let resolution = effective_account(account).and_then(|account| resolve(&account, raw));
    Ok(to_pg(reported(resolution)?.visitor_id))
}

#[pg_extern(sql = false)]
#[allow(clippy::type_complexity)]
fn resolve_visitor_detail(
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
            name!(visitor_id, pgrx::Uuid),
            name!(outcome, &'static str),
            name!(basis, &'static str),
            name!(previous_visitor_ids, Vec<pgrx::Uuid>),
            name!(rebind_ids, Vec<i64>),
            name!(rebound_chats, i64),
            name!(notes, Vec<&'static str>),
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
    let resolution = effective_account(account).and_then(|account| resolve(&account, raw));
    let resolution = reported(resolution)?;
    Ok(TableIterator::once((
        to_pg(resolution.visitor_id),
        resolution.outcome,
        resolution.basis,
        resolution
            .previous_visitor_ids
            .into_iter()
            .map(to_pg)
            .collect(),
        resolution.rebind_ids,
        resolution.rebound_chats,
        resolution.notes,
    )))
}

#[pg_extern(sql = false)]
fn find_visitor(
    provided_visitor_id: Option<&str>,
    channel_type: Option<&str>,
    channel_user_id: Option<&str>,
    visitor_id: Option<pgrx::Uuid>,
    channel_id: Option<&str>,
    account: Option<&str>,
) -> Answer<Option<pgrx::Uuid>> {
    let raw = raw(
        provided_visitor_id,
        channel_type,
        channel_user_id,
        visitor_id,
        channel_id,
    );
    let found = effective_account(account).and_then(|account| find(&account, raw));
    Ok(reported(found)?.map(to_pg))
}

#[pg_extern(sql = false)]
fn chat_visitor(
    provided_visitor_id: Option<&str>,
    channel_type: Option<&str>,
    channel_user_id: Option<&str>,
    visitor_id: Option<pgrx::Uuid>,
    channel_id: Option<&str>,
    account: Option<&str>,
) -> Answer<pgrx::Uuid> {
    let raw = raw(
        provided_visitor_id,
        channel_type,
        channel_user_id,
        visitor_id,
        channel_id,
    );
    let visitor = effective_account(account).and_then(|account| chat(&account, raw));
    reported(visitor).map(to_pg)
}

/// Called by the node that was asked, as the owner of the extension: rights and the lock of the session were looked at
/// there.
#[pg_extern(sql = false)]
fn at_account(account: &str, call: &str, caller: &str) -> Answer<String> {
    reported(for_caller(caller, || answer_call(account, call)))
}

#[pg_extern(sql = false)]
fn derive_visitor_id(
    provided_visitor_id: Option<&str>,
    account: Option<&str>,
) -> Answer<Option<pgrx::Uuid>> {
    let Some(provided) = provided_visitor_id else {
        return Ok(None);
    };
    let derived = effective_account(account).and_then(|account| derive(&account, provided));
    Ok(reported(derived)?.map(to_pg))
}

#[pg_extern(sql = false)]
fn account_is_visible(account: Option<&str>) -> Answer<bool> {
    reported(is_visible(account))
}
