//! The lines of an account's strict rule, as a DBA may mistype them, and objects that are judged by what was read.

use crate::signature::{verify, Algorithm, ConfigError, Key, SignedVisitor, Strict, Verdict};
use crate::source::Source;
use hmac::{Hmac, Mac};
use serde_json::json;
use sha2::Sha256;
use std::collections::BTreeMap;

pub const REACHES: &[&str] = &["no rule", "taken", "not taken"];

const WORDS: [&str; 30] = [
    "digits",
    "hex",
    "alphanumeric",
    "token",
    "uuid",
    "phone",
    "plus-phone",
    "email",
    "name",
    "text",
    "constant",
    "optional",
    "movable",
    "5",
    "1-3",
    "5-4",
    "0",
    "513",
    "512",
    "1-512",
    "+5",
    "-",
    "|",
    "18446744073709551616",
    "1-2-3",
    "Digits",
    "\u{a0}",
    "\t",
    "я",
    "",
];

pub fn run(data: &[u8]) -> &'static str {
    let mut source = Source::new(data);
    let first = source.text();
    let mut lines = BTreeMap::new();
    for name in ["id", "a", "info", "z"]
        .into_iter()
        .take(1 + source.below(4))
    {
        let line = match source.byte() % 8 {
            0 => first.clone(),
            1..=3 => source.pick(&WORDS[..10]).to_owned(),
            _ => (0..source.below(5))
                .map(|_| format!("{} ", source.pick(&WORDS)))
                .collect(),
        };
        lines.insert(name.to_owned(), line);
    }
    let horizon = source.number();
    let rule = match Strict::parse(&lines, horizon) {
        Ok(rule) => rule,
        Err(error) => {
            assert!(
                !error.to_string().contains(char::is_control),
                "a message is one line"
            );
            match &error {
                ConfigError::Horizon => assert!(horizon <= 0),
                ConfigError::NoId => assert!(!lines.contains_key("id")),
                ConfigError::LooseId => {
                    let id = lines.get("id").expect("the line of the id");
                    assert!(id.contains("movable") || id.contains("optional"));
                }
                ConfigError::Line(name) => {
                    // A line of one known word is read; of several words the first is the shape.
                    let line = lines.get(name).expect("a line that is there");
                    assert!(!matches!(
                        line.trim(),
                        "digits" | "hex" | "token" | "uuid" | "email" | "name" | "text"
                    ));
                }
            }
            return "no rule";
        }
    };
    assert!(horizon > 0);
    assert_eq!(Strict::parse(&lines, horizon).as_ref(), Ok(&rule));

    let fields: BTreeMap<String, String> = lines
        .keys()
        .map(|name| {
            let value = match source.byte() % 4 {
                0 => source.text(),
                1 => source.short("0123"),
                2 => source.short("aяb1@.+-"),
                _ => "12345".to_owned(),
            };
            (name.clone(), value)
        })
        .collect();
    let expires = 1_000_000_000 + source.number().unsigned_abs() % 9_000_000_000;
    let now = source.number();
    let message: String = fields
        .values()
        .map(String::as_str)
        .chain([expires.to_string().as_str()])
        .collect();
    let mut mac = Hmac::<Sha256>::new_from_slice(b"key").expect("a key of any length");
    mac.update(message.as_bytes());
    let hash: String = mac
        .finalize()
        .into_bytes()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let Ok(visitor) =
        SignedVisitor::parse(&json!({"fields": fields, "expires": expires, "hash": hash}))
    else {
        return "not taken";
    };
    let keys = [Key {
        algorithm: Algorithm::HmacSha256,
        secret: "key",
    }];
    let verdict = verify(&visitor, &keys, Some(&rule), now);
    assert_ne!(verdict, Verdict::WrongHash, "a true signature is refused");
    assert!(
        !verdict.to_string().contains(char::is_control),
        "a message is one line"
    );
    let at = i64::try_from(expires).expect("ten digits");
    match verdict {
        Verdict::Ok => {
            assert!(
                now <= at && at <= now.saturating_add(horizon),
                "outside of its time"
            );
            "taken"
        }
        Verdict::Expired => {
            assert!(now > at);
            "not taken"
        }
        _ => "not taken",
    }
}
