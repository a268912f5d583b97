//! `search_history` as an SQL function.

use super::reported;
use crate::settings::effective_account;
use crate::store::history::{search, Cursor};
use crate::store::spi::{to_pg, StoredJson};
use pgrx::datum::TimestampWithTimeZone;
use pgrx::iter::TableIterator;
use pgrx::pg_sys;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

#[pg_extern(sql = false)]
#[allow(clippy::too_many_arguments, clippy::type_complexity)]
fn search_history(
    query: Option<&str>,
    by: Option<&str>,
    account: Option<&str>,
    page_size: Option<i32>,
    after_opened_at: Option<TimestampWithTimeZone>,
    after_chat_table: Option<pg_sys::Oid>,
    after_chat_key: Option<pgrx::JsonB>,
) -> Result<
    TableIterator<
        'static,
        (
            name!(chat_table, pg_sys::Oid),
            name!(chat_key, Option<StoredJson>),
            name!(account, Option<String>),
            name!(visitor_id, Option<pgrx::Uuid>),
            name!(origin_visitor_id, Option<pgrx::Uuid>),
            name!(provided_visitor_id, Option<String>),
            name!(channel_type, Option<String>),
            name!(channel_id, Option<String>),
            name!(channel_user_id, Option<String>),
            name!(opened_at, Option<TimestampWithTimeZone>),
            name!(closed_at, Option<TimestampWithTimeZone>),
            name!(matched_by, String),
        ),
    >,
    ErrorReport,
> {
    let key = after_chat_key.map(|key| key.0.to_string());
    let after = match (&key, after_chat_table) {
        (Some(chat_key), Some(chat_table)) => Some(Cursor {
            opened_at: after_opened_at,
            chat_table,
            chat_key,
        }),
        _ => None,
    };
    let found = effective_account(account).and_then(|account| {
        search(
            query.unwrap_or_default(),
            by,
            &account,
            i64::from(page_size.unwrap_or(50)),
            after,
        )
    });
    let rows = reported(found)?.into_iter().map(|chat| {
        (
            chat.chat_table,
            chat.chat_key,
            chat.account,
            chat.visitor_id.map(to_pg),
            chat.origin_visitor_id.map(to_pg),
            chat.provided_visitor_id,
            chat.channel_type,
            chat.channel_id,
            chat.channel_user_id,
            chat.opened_at,
            chat.closed_at,
            chat.matched_by,
        )
    });
    Ok(TableIterator::new(rows.collect::<Vec<_>>()))
}
