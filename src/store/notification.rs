//! Tells whoever listens of a rebinding, at commit, where the setting `visitor_identity.notify` asks for it.
//! May touch: PostgreSQL's queue of notifications.

use super::spi::{Mode, Value};
use super::statement;
use crate::error::IdentityError;
use crate::settings;
use serde::Serialize;
use uuid::Uuid;

statement!(
    NOTIFY,
    "select pg_catalog.pg_notify('visitor_identity', $1)"
);

/// One rebinding as a listener sees it: where the chats were and where they are; no identifiers but visitor ids.
pub struct Rebinding<'a> {
    pub account: &'a str,
    pub rebind_id: i64,
    pub kind: &'a str,
    pub from: Uuid,
    pub to: Uuid,
    pub rebound_chats: i64,
}

/// The JSON of a notification. PostgreSQL takes less than 8000 bytes; the account's 512 become 1024 at the most.
fn payload(rebinding: &Rebinding<'_>) -> Result<String, IdentityError> {
    #[derive(Serialize)]
    struct Payload<'a> {
        account: &'a str,
        rebind_id: i64,
        kind: &'a str,
        from: String,
        to: String,
        rebound_chats: i64,
    }
    serde_json::to_string(&Payload {
        account: rebinding.account,
        rebind_id: rebinding.rebind_id,
        kind: rebinding.kind,
        from: rebinding.from.to_string(),
        to: rebinding.to.to_string(),
        rebound_chats: rebinding.rebound_chats,
    })
    .map_err(|_| IdentityError::Internal("a notification could not be written".into()))
}

/// Queues the notification. PostgreSQL sends it when the transaction commits, and drops it when that, or the savepoint,
/// is rolled back.
pub fn notify(rebinding: &Rebinding<'_>) -> Result<(), IdentityError> {
    if settings::notifies() {
        let payload = payload(rebinding)?;
        NOTIFY.with(|statement| statement.run(Mode::Write, &[Value::Text(Some(&payload))]))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_account(account: &str) -> String {
        payload(&Rebinding {
            account,
            rebind_id: i64::MAX,
            kind: "visitor",
            from: Uuid::nil(),
            to: Uuid::max(),
            rebound_chats: i64::MAX,
        })
        .unwrap()
    }

    #[test]
    fn the_longest_account_fits_into_a_notification() {
        for account in ["\"".repeat(512), "\\".repeat(512), "\u{1f600}".repeat(128)] {
            assert!(crate::identifier::is_identifier_text(&account));
            assert!(of_account(&account).len() < 1300);
        }
    }

    #[test]
    fn a_notification_is_json_and_names_account_visitors_and_count() {
        let read: serde_json::Value = serde_json::from_str(&of_account("a \"b\" \\ é")).unwrap();
        assert_eq!(
            read,
            serde_json::json!({
                "account": "a \"b\" \\ é",
                "rebind_id": i64::MAX,
                "kind": "visitor",
                "from": "00000000-0000-0000-0000-000000000000",
                "to": "ffffffff-ffff-ffff-ffff-ffffffffffff",
                "rebound_chats": i64::MAX,
            })
        );
    }
}
