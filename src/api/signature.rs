//! Signed visitor fields as SQL functions: verify, authorize, and the keys.

use super::json::json_text;
use super::{reported, Answer};
use crate::resolution::RawRequest;
use crate::settings::effective_account;
use crate::store::signature::{
    add_key, authorize_text, retire_key, signed_visitor, strict_rule, verdict,
};
use crate::store::spi::{from_pg, to_pg};
use pgrx::prelude::*;
use pgrx::AnyElement;

/// Seconds between the epochs of Unix and of PostgreSQL.
const POSTGRES_EPOCH: i64 = 946_684_800;

fn unix_seconds(time: TimestampWithTimeZone) -> i64 {
    i64::from(time)
        .div_euclid(1_000_000)
        .saturating_add(POSTGRES_EPOCH)
}

#[pg_extern(sql = false)]
fn check_signature_fields(signature_fields: Option<AnyElement>) -> Answer<bool> {
    let rule =
        json_text(signature_fields).and_then(|fields| strict_rule(&fields.unwrap_or_default(), 1));
    reported(rule.map(|_| true))
}

#[pg_extern(sql = false)]
fn verify_visitor_fields(
    visitor: Option<AnyElement>,
    account: Option<&str>,
) -> Answer<&'static str> {
    let now = unix_seconds(statement_timestamp());
    let code = effective_account(account).and_then(|account| {
        let visitor = signed_visitor(json_text(visitor)?.as_deref())?;
        Ok(verdict(&account, &visitor, now)?.code())
    });
    reported(code)
}

#[pg_extern(sql = false)]
fn authorize_visitor(
    visitor: Option<AnyElement>,
    visitor_id: Option<pgrx::Uuid>,
    channel_type: Option<&str>,
    channel_user_id: Option<&str>,
    channel_id: Option<&str>,
    account: Option<&str>,
) -> Answer<pgrx::Uuid> {
    let now = unix_seconds(clock_timestamp());
    let raw = RawRequest {
        provided_visitor_id: None,
        channel_type,
        channel_user_id,
        visitor_id: visitor_id.map(from_pg),
        channel_id,
        verified: false,
    };
    let authorized = effective_account(account)
        .and_then(|account| authorize_text(&account, json_text(visitor)?.as_deref(), raw, now));
    reported(authorized).map(to_pg)
}

#[pg_extern(sql = false)]
fn add_signature_key(
    secret: Option<&str>,
    algorithm: Option<&str>,
    account: Option<&str>,
) -> Answer<i64> {
    let algorithm = algorithm.unwrap_or("hmac-sha256");
    reported(
        effective_account(account)
            .and_then(|account| add_key(&account, secret.unwrap_or_default(), algorithm)),
    )
}

#[pg_extern(sql = false)]
fn retire_signature_key(key_id: Option<i64>, account: Option<&str>) -> Answer<()> {
    reported(
        effective_account(account)
            .and_then(|account| retire_key(&account, key_id.unwrap_or_default())),
    )
}
