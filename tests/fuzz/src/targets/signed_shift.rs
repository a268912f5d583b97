//! The attacks on signed fields: an object with a true signature is cut anew, so that its joined text stays. Under a strict
//! rule no second object with that signature is taken, but for a boundary between two fields that may move.

use crate::signature::{verify, Algorithm, Key, SignedVisitor, Strict, Verdict};
use crate::source::Source;
use hmac::{Hmac, Mac};
use serde_json::{json, Value};
use sha2::Sha256;
use std::collections::BTreeMap;

pub const REACHES: &[&str] = &[
    "no rule",
    "refused at first",
    "cut anew and refused",
    "cut anew where it may move",
    "the same",
];

const SECRET: &str = "e64e35642555f3ecd64ae7dbb600dca8";
const NOW: i64 = 1_481_195_000;
const HORIZON: i64 = 3600;

/// Lines of a rule, each with values that it is for.
const LINES: [(&str, &[&str]); 16] = [
    ("digits", &["12345", "1", "777"]),
    ("digits 5", &["12345", "00000"]),
    ("digits 1-3 optional", &["", "1", "123"]),
    ("hex", &["c0ffee", "12", "a"]),
    ("alphanumeric 2-8", &["ab12", "a1"]),
    ("token", &["C-42", "a.b_c"]),
    ("uuid", &["877a920e-de70-8241-2656-ac1cdec7ecde"]),
    ("email", &["abc@webim.ru", "a@b.co"]),
    ("email movable", &["abc@webim.ru", "a@b.co"]),
    ("phone", &["+78123855337", "1234567"]),
    ("plus-phone", &["+78123855337", "+1234567"]),
    ("plus-phone optional", &["", "+1234567"]),
    ("name", &["John", "Евгений", "a b"]),
    ("name movable", &["John", "Anna-Maria", "a"]),
    ("text", &["anything 1@b.co", "1", "я"]),
    ("constant |", &["|"]),
];
/// The rule of the documentation for the fields of the product's example.
const PRODUCTS: [(&str, &str, &[&str]); 4] = [
    (
        "display_name",
        "name movable",
        &["John", "Anna-Maria", "Евгений"],
    ),
    ("email", "email movable", &["abc@webim.ru", "anna@b.co"]),
    ("id", "digits", &["12345", "7"]),
    ("phone", "plus-phone", &["+78123855337", "+1234567"]),
];
const NAMES: [&str; 6] = ["a", "display_name", "email", "id", "info", "phone"];

fn signature(message: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).expect("a key of any length");
    mac.update(message.as_bytes());
    mac.finalize()
        .into_bytes()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

fn judged(object: &Value, strict: Option<&Strict>, now: i64) -> Option<(SignedVisitor, Verdict)> {
    let visitor = SignedVisitor::parse(object).ok()?;
    let keys = [Key {
        algorithm: Algorithm::HmacSha256,
        secret: SECRET,
    }];
    let verdict = verify(&visitor, &keys, strict, now);
    assert!(
        !verdict.to_string().contains(char::is_control),
        "a message is one line"
    );
    Some((visitor, verdict))
}

/// Cuts a text at so many places, most of them near where it was cut before.
fn cut_anew(
    source: &mut Source<'_>,
    message: &str,
    before: &[usize],
    pieces: usize,
) -> Vec<String> {
    let mut places: Vec<usize> = (1..pieces)
        .map(|number| match (source.byte() % 8, before.get(number - 1)) {
            (0, _) | (_, None) => source.below(message.len() + 1),
            (1 | 2, Some(place)) => (place + source.below(5)).saturating_sub(2),
            (_, Some(place)) => *place,
        })
        .map(|place| {
            (0..=place.min(message.len()))
                .rev()
                .find(|at| message.is_char_boundary(*at))
                .unwrap_or(0)
        })
        .collect();
    places.sort_unstable();
    places.push(message.len());
    let mut from = 0;
    places
        .into_iter()
        .map(|to| {
            let piece = message[from..to].to_owned();
            from = to;
            piece
        })
        .collect()
}

pub fn run(data: &[u8]) -> &'static str {
    let mut source = Source::new(data);
    let mut lines = BTreeMap::new();
    let mut fields = BTreeMap::new();
    let products = source.flag();
    for name in NAMES {
        let wanted = source.one_in(2);
        let picked = if products {
            PRODUCTS
                .iter()
                .find(|(field, ..)| *field == name)
                .map(|(_, line, values)| (*line, *values))
        } else {
            (name == "id" || wanted).then(|| source.pick(&LINES))
        };
        if let Some((line, values)) = picked {
            lines.insert(name.to_owned(), line.to_owned());
            let value = if source.byte() % 32 == 31 {
                source.text()
            } else {
                source.pick(values).to_owned()
            };
            fields.insert(name.to_owned(), value);
        }
    }
    let Ok(rule) = Strict::parse(&lines, HORIZON) else {
        return "no rule";
    };
    let expires = match source.byte() % 8 {
        0 => String::new(),
        1 => "99".to_owned(),
        2 => i64::MAX.to_string(),
        _ => (NOW + i64::from(source.byte())).to_string(),
    };
    let body: String = fields.values().map(String::as_str).collect();
    let message = format!("{body}{expires}");
    let hash = signature(&message);
    let mut object = json!({"fields": fields, "hash": hash});
    if !expires.is_empty() {
        object["expires"] = expires.as_str().into();
    }
    let first = judged(&object, Some(&rule), NOW);
    if let Some((visitor, verdict)) = &first {
        // The faithful mode takes whatever is signed and not expired.
        let (_, faithful) = judged(&object, None, NOW).expect("read once");
        let expired = visitor.expires().is_some_and(|at| at < NOW);
        assert_eq!(
            faithful,
            if expired {
                Verdict::Expired
            } else {
                Verdict::Ok
            }
        );
        assert!(
            *verdict != Verdict::Ok || faithful == Verdict::Ok,
            "strict is wider than faithful"
        );
        // Another message has another signature.
        let mut other = object.clone();
        other["fields"]["id"] = format!("{}1", visitor.id()).into();
        other["expires"] = "1481195621".into();
        if format!("{}1481195621", body_of(&other)) != message {
            let (_, verdict) = judged(&other, None, NOW).expect("still an object");
            assert_eq!(
                verdict,
                Verdict::WrongHash,
                "a changed text keeps its signature"
            );
        }
    }

    // The same text in other pieces: as many fields, others, or with the expiry inside of one.
    let mut before = Vec::new();
    let mut at = 0;
    for value in fields.values() {
        at += value.len();
        before.push(at);
    }
    let mut names: Vec<String> = fields.keys().cloned().collect();
    match source.byte() % 8 {
        0 => {
            let dropped = source.below(names.len());
            names.remove(dropped);
        }
        1 => names.push("zz".into()),
        2 => names.insert(0, "A".into()),
        _ => {}
    }
    let with_expiry = !source.one_in(8);
    let pieces = cut_anew(
        &mut source,
        &message,
        &before,
        names.len() + usize::from(with_expiry),
    );
    let anew: BTreeMap<String, String> = names.into_iter().zip(pieces.iter().cloned()).collect();
    let mut second = json!({"fields": anew, "hash": hash});
    if with_expiry {
        second["expires"] = pieces.last().map(String::as_str).unwrap_or_default().into();
    }
    let later = NOW + source.below(4000) as i64;
    let Some((visitor, Verdict::Ok)) = judged(&second, Some(&rule), later) else {
        return match first {
            Some((_, Verdict::Ok)) => "cut anew and refused",
            _ => "refused at first",
        };
    };
    // Whichever of them the client signed: if both are taken, they say the same in all that is exact.
    let Some((original, Verdict::Ok)) = first else {
        return "refused at first";
    };
    assert_eq!(visitor.expires(), original.expires(), "the expiry moved");
    assert_eq!(visitor.id(), original.id(), "the id moved");
    assert!(
        visitor.fields().keys().eq(original.fields().keys()),
        "fields came or went"
    );
    let mut moved = false;
    for (name, value) in original.fields() {
        if visitor.fields().get(name) != Some(value) {
            moved = true;
            assert!(
                lines.get(name).is_some_and(|line| line.contains("movable")),
                "an exact field moved"
            );
        }
    }
    if moved {
        "cut anew where it may move"
    } else {
        "the same"
    }
}

fn body_of(object: &Value) -> String {
    let fields = object["fields"].as_object().into_iter().flatten();
    fields
        .map(|(_, value)| value.as_str().unwrap_or_default())
        .collect()
}
