//! What an operator asks about one visitor, as SQL functions: who he is, drawn, and why each chat is where it is.

use super::json::jsonb;
use super::{reported, Answer};
use crate::error::IdentityError;
use crate::settings::effective_account;
use crate::store::graph::graph;
use crate::store::spi::{from_pg, to_pg};
use crate::store::whereabouts::whereabouts;
use pgrx::datum::TimestampWithTimeZone;
use pgrx::iter::TableIterator;
use pgrx::pg_sys;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;
use pgrx::AnyElement;

/// Nodes of a drawing that nobody limits.
const MOST_NODES: i32 = 200;

#[pg_extern(sql = false)]
fn visitor_graph(
    visitor_id: Option<pgrx::Uuid>,
    account: Option<&str>,
    most_nodes: Option<i32>,
) -> Answer<String> {
    let most_nodes = most_nodes.unwrap_or(MOST_NODES);
    reported(
        effective_account(account)
            .and_then(|account| graph(&account, visitor_id.map(from_pg), most_nodes)),
    )
}

#[pg_extern(sql = false)]
#[allow(clippy::type_complexity)]
fn visitor_history(
    visitor_id: Option<pgrx::Uuid>,
    account: Option<&str>,
) -> Result<
    TableIterator<
        'static,
        (
            name!(chat_table, pg_sys::Oid),
            name!(chat_key, AnyElement),
            name!(visitor_id, Option<pgrx::Uuid>),
            name!(origin_visitor_id, Option<pgrx::Uuid>),
            name!(because, String),
            name!(rebind_id, Option<i64>),
            name!(rebound_at, Option<TimestampWithTimeZone>),
            name!(rebound_by, Option<String>),
            name!(reason, Option<String>),
        ),
    >,
    ErrorReport,
> {
    let explained = effective_account(account)
        .and_then(|account| whereabouts(&account, visitor_id.map(from_pg)));
    let rows = reported(explained)?.into_iter().map(|chat| {
        Ok((
            chat.chat_table,
            jsonb(&chat.chat_key)?,
            chat.visitor_id.map(to_pg),
            chat.origin_visitor_id.map(to_pg),
            chat.because.name().to_owned(),
            chat.rebind_id,
            chat.rebound_at,
            chat.rebound_by,
            chat.reason,
        ))
    });
    let rows = reported(rows.collect::<Result<Vec<_>, IdentityError>>())?;
    Ok(TableIterator::new(rows))
}
