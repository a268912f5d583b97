//! Any JSON as a signed visitor: it is read or refused, and without the account's key it is never worth anything.

use crate::signature::{verify, Algorithm, Key, ShapeError, SignedVisitor, Verdict};
use crate::source::Source;
use hmac::{Hmac, Mac};
use serde_json::{Map, Value};
use sha2::Sha256;

pub const REACHES: &[&str] = &["no json", "refused", "read", "read, flat"];

const NAMES: [&str; 12] = [
    "fields",
    "expires",
    "hash",
    "crc",
    "id",
    "email",
    "phone",
    "display_name",
    "info",
    "",
    "e\u{301}",
    "ID",
];

fn value(source: &mut Source<'_>, depth: usize) -> Value {
    match source.byte() % if depth > 3 { 5 } else { 8 } {
        0 => Value::Null,
        1 => Value::Bool(source.flag()),
        2 => Value::from(source.number()),
        3 => Value::from(source.text()),
        4 => Value::from(source.number() as f64 / 8.0),
        5 => (0..source.below(4))
            .map(|_| value(source, depth + 1))
            .collect(),
        _ => object(source, depth + 1),
    }
}

fn object(source: &mut Source<'_>, depth: usize) -> Value {
    (0..source.below(6))
        .map(|_| (source.pick(&NAMES).to_owned(), value(source, depth)))
        .collect::<Map<_, _>>()
        .into()
}

/// An object near to a signed one.
fn near(source: &mut Source<'_>) -> Value {
    let mut fields = Map::new();
    fields.insert("id".into(), source.text().into());
    for _ in 0..source.below(4) {
        fields.insert(
            source.pick(&NAMES).into(),
            if source.flag() {
                source.text().into()
            } else {
                value(source, 4)
            },
        );
    }
    let hash = source.pick(&["", "00", "zz", "8d549c98b9d888c35a619274db4888e3", "é", "0"]);
    if source.flag() {
        fields.insert("crc".into(), hash.into());
        return fields.into();
    }
    let mut object = Map::new();
    object.insert("fields".into(), fields.into());
    object.insert("hash".into(), hash.into());
    if source.flag() {
        object.insert("expires".into(), value(source, 4));
    }
    object.into()
}

fn assert_line(text: &str) {
    assert!(
        !text.is_empty() && text.len() < 1000 && !text.contains(char::is_control),
        "a message is one line"
    );
}

pub fn run(data: &[u8]) -> &'static str {
    let mut source = Source::new(data);
    let text = source.text();
    let value = match source.byte() % 4 {
        0 => match serde_json::from_str::<Value>(&text) {
            Ok(value) => value,
            Err(_) => return "no json",
        },
        1 => value(&mut source, 0),
        _ => near(&mut source),
    };
    let now = source.number();
    let visitor = match SignedVisitor::parse(&value) {
        Ok(visitor) => visitor,
        Err(error) => {
            assert_line(&error.to_string());
            if let ShapeError::FieldNotText(name) = &error {
                let fields = value.get("fields").unwrap_or(&value);
                let field = fields.get(name).expect("a field that is there");
                assert!(
                    !field.is_string() && !field.is_i64() && !field.is_u64(),
                    "a text is refused"
                );
            }
            return "refused";
        }
    };
    let flat = value.get("fields").is_none();
    let fields = value
        .get("fields")
        .unwrap_or(&value)
        .as_object()
        .expect("fields");
    assert!(!visitor.id().is_empty());
    assert_eq!(
        visitor.fields().get("id").map(String::as_str),
        Some(visitor.id())
    );
    // Every member is a field, and its text is what is written.
    assert_eq!(visitor.fields().len(), fields.len() - usize::from(flat));
    for (name, text) in visitor.fields() {
        match fields.get(name) {
            Some(Value::String(written)) => assert_eq!(written, text),
            Some(Value::Number(written)) => assert_eq!(&written.to_string(), text),
            other => panic!("no field: {}", other.is_some()),
        }
    }
    assert!(visitor.expires().is_none_or(|at| at >= 0));
    assert!(!flat || visitor.expires().is_none());

    // The key is not in the input: nothing fits it.
    let secret = "8bd0a4d5ab6cd7e3d4a0d6f1f1e8a0d1";
    for algorithm in [
        Algorithm::HmacSha256,
        Algorithm::Sha256,
        Algorithm::Sha512,
        Algorithm::Md5,
    ] {
        let verdict = verify(
            &visitor,
            &[
                Key { algorithm, secret },
                Key {
                    algorithm,
                    secret: "",
                },
            ],
            None,
            now,
        );
        assert!(
            matches!(verdict, Verdict::WrongHash | Verdict::WrongExpires),
            "a forged object is worth something"
        );
        assert_line(&verdict.to_string());
    }
    assert_ne!(
        verify(&visitor, &[], None, now),
        Verdict::Ok,
        "worth something without keys"
    );
    // Everybody has the empty key: what it signs is worth nothing, and what another signs is.
    let written = value
        .get("expires")
        .map(|at| at.as_str().map_or_else(|| at.to_string(), str::to_owned));
    let message: String = visitor
        .fields()
        .values()
        .map(String::as_str)
        .chain(written.as_deref())
        .collect();
    for secret in ["", "k"] {
        let mut mac =
            Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("a key of any length");
        mac.update(message.as_bytes());
        let hash: String = mac
            .finalize()
            .into_bytes()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let mut signed = value.clone();
        signed[if flat { "crc" } else { "hash" }] = hash.into();
        let signed = SignedVisitor::parse(&signed).expect("the same object");
        let verdict = verify(
            &signed,
            &[Key {
                algorithm: Algorithm::HmacSha256,
                secret,
            }],
            None,
            now,
        );
        let forged = matches!(verdict, Verdict::WrongHash);
        assert!(
            verdict == Verdict::WrongExpires || forged == secret.is_empty(),
            "{verdict}"
        );
    }
    // Neither values nor the hash are in what a log would show.
    let shown = format!("{visitor:?}");
    let keys: Vec<&String> = visitor.fields().keys().collect();
    let expires = visitor.expires();
    assert_eq!(
        shown,
        format!("SignedVisitor {{ fields: {keys:?}, expires: {expires:?}, flat: {flat}, .. }}")
    );
    if flat {
        "read, flat"
    } else {
        "read"
    }
}
