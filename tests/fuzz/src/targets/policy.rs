//! The values of an account's policies, and what they mean.

use crate::identifier::placeholder;
use crate::resolution::{
    check_value, ChannelFormat, Derivation, IdentifiedCookie, OnAuthorization, Policy, RefusedValue,
};
use crate::source::Source;
use uuid::Uuid;

pub const REACHES: &[&str] = &["taken", "refused", "blocks", "does not block"];

const COLUMNS: [&str; 9] = [
    "account",
    "derivation",
    "on_authorization",
    "channel_format",
    "identified_cookie",
    "max_rebinds",
    "max_rebind_chats",
    "signature_horizon",
    "other",
];

/// Any policies.
pub fn policy(source: &mut Source<'_>) -> Policy {
    let blocked = source.maybe(Source::text);
    Policy {
        account: "default".into(),
        namespace: Uuid::from_u128(7),
        derivation: source.pick(&[Derivation::UuidV5, Derivation::Md5]),
        on_authorization: source.pick(&[
            OnAuthorization::Rebind,
            OnAuthorization::Rebind,
            OnAuthorization::Keep,
        ]),
        channel_format: ChannelFormat::from_name(source.pick(&["platform", "documented", "any"]))
            .expect("a format"),
        require_signature: source.byte() % 4 == 3,
        identified_cookie: source.pick(&[
            IdentifiedCookie::Auto,
            IdentifiedCookie::Accept,
            IdentifiedCookie::Ignore,
        ]),
        max_rebinds: source.number(),
        max_rebind_chats: source.number(),
        blocked: blocked
            .iter()
            .map(|value| placeholder::fold(value))
            .collect(),
    }
}

pub fn run(data: &[u8]) -> &'static str {
    let mut source = Source::new(data);
    let value = source.text();
    let column = source.pick(&COLUMNS);
    if source.flag() {
        let policy = policy(&mut source);
        let blocks = policy.blocks(&value);
        assert_eq!(
            policy.blocks(&format!(" \"{value}\"")),
            blocks,
            "quotes count"
        );
        assert_eq!(
            policy.blocks(&value.to_ascii_uppercase()),
            blocks,
            "case counts"
        );
        assert!(!blocks || !policy.blocked.is_empty());
        return if blocks { "blocks" } else { "does not block" };
    }
    match check_value(column, &value) {
        Ok(()) => {
            let stands = match column {
                "account" => crate::identifier::is_identifier_text(&value),
                "derivation" => Derivation::from_name(&value).is_some(),
                "on_authorization" => OnAuthorization::from_name(&value).is_some(),
                "channel_format" => ChannelFormat::from_name(&value).is_some(),
                "identified_cookie" => IdentifiedCookie::from_name(&value).is_some(),
                "max_rebinds" | "max_rebind_chats" => {
                    value.parse::<i64>().is_ok_and(|number| number >= 0)
                }
                "signature_horizon" => value.parse::<i64>().is_ok_and(|number| number >= 1),
                _ => false,
            };
            assert!(stands, "{column} takes what it cannot mean");
            "taken"
        }
        Err(RefusedValue::NotOneOf(_, allowed)) => {
            assert!(!allowed.split(", ").any(|one| one == value) || column == "other");
            "refused"
        }
        Err(_) => "refused",
    }
}
