//! Attaching and detaching an application's tables, as SQL functions.

use super::{reported, Answer};
use crate::store::attach::{attach, detach, Names};
use crate::store::attach_visitor;
use crate::store::attachment::keys_left_behind;
use crate::store::spi::{connect, from_pg};
use pgrx::pg_sys;
use pgrx::prelude::*;
use std::ffi::CStr;

fn name(argument: Option<&CStr>) -> Option<String> {
    argument.map(|name| name.to_string_lossy().into_owned())
}

#[pg_extern(sql = false)]
#[allow(clippy::too_many_arguments)]
fn attach_chat_table(
    chat_table: Option<pg_sys::Oid>,
    visitor_id: Option<&CStr>,
    provided_visitor_id: Option<&CStr>,
    channel_type: Option<&CStr>,
    channel_id: Option<&CStr>,
    channel_user_id: Option<&CStr>,
    account: Option<&CStr>,
    opened_at: Option<&CStr>,
    closed_at: Option<&CStr>,
    origin_visitor_id: Option<&CStr>,
    closed_when: Option<&str>,
    fixed_account: Option<&str>,
) -> Answer<()> {
    let names = Names {
        visitor_id: name(visitor_id),
        provided_visitor_id: name(provided_visitor_id),
        channel_type: name(channel_type),
        channel_id: name(channel_id),
        channel_user_id: name(channel_user_id),
        account: name(account),
        opened_at: name(opened_at),
        closed_at: name(closed_at),
        origin_visitor_id: name(origin_visitor_id),
    };
    reported(attach(chat_table, &names, closed_when, fixed_account))
}

#[pg_extern(sql = false)]
fn attach_visitor_table(
    visitor_table: Option<pg_sys::Oid>,
    visitor_id: Option<&CStr>,
    account: Option<&CStr>,
    on_clash: Option<&str>,
    fixed_account: Option<&str>,
) -> Answer<()> {
    reported(attach_visitor::attach(
        visitor_table,
        &name(visitor_id),
        &name(account),
        on_clash,
        fixed_account,
    ))
}

#[pg_extern(sql = false)]
fn rows_left_behind(
    attached_table: Option<pg_sys::Oid>,
    account: Option<&str>,
    from_visitor_id: Option<pgrx::Uuid>,
    to_visitor_id: Option<pgrx::Uuid>,
) -> Answer<Option<pgrx::JsonB>> {
    let (Some(table), Some(account), Some(from), Some(to)) =
        (attached_table, account, from_visitor_id, to_visitor_id)
    else {
        return Ok(None);
    };
    let keys = connect(|| keys_left_behind(table, account, from_pg(from), from_pg(to)));
    reported(keys.map(|keys| Some(pgrx::JsonB(serde_json::Value::Array(keys)))))
}

#[pg_extern(sql = false)]
fn detach_table(attached_table: Option<pg_sys::Oid>, keep_origin: Option<bool>) -> Answer<()> {
    reported(detach(attached_table, keep_origin.unwrap_or(false)))
}
