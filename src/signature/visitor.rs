//! A signed object, read from JSON (design section 6). Pure. May touch: nothing but its arguments.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::{Map, Value};

/// What the client's page passed, read but not verified: none of it may be used before `verify` says `ok`.
///
/// Two shapes are read. The one in use, `{"fields": {...}, "expires": ..., "hash": ...}`, where other members are not
/// signed and therefore dropped. And the flat first version, `{"id": ..., ..., "crc": ...}`, an object without
/// `fields`, in which every member but `crc` is a field and nothing ever expires; which hash `crc` is, the key says.
#[derive(Clone, PartialEq, Eq)]
pub struct SignedVisitor {
    fields: BTreeMap<String, String>,
    id: String,
    expires: Expires,
    hash: String,
    flat: bool,
}

/// The `expires` of an object. The signature covers its text as it is written.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Expires {
    Absent,
    At {
        written: String,
        seconds: i64,
    },
    /// Neither a whole number nor a text of digits, or past every clock (2^63 and more).
    Unreadable,
}

/// Why a JSON value is no signed object at all (SQLSTATE 22P02). Names the field, never its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ShapeError {
    /// The value is not a JSON object.
    NotAnObject,
    /// Neither `fields` nor the `crc` of the flat form.
    MissingFields,
    /// `fields` is not a JSON object.
    FieldsNotAnObject,
    /// `id` is missing or empty.
    MissingId,
    /// `hash` is missing.
    MissingHash,
    /// `hash` (or `crc`) is not a text.
    HashNotText(&'static str),
    /// A flat object with an `expires`, which that form does not have: obeyed or not, somebody would be wrong.
    FlatExpires,
    /// This field is null, a boolean, an array, an object, a number with a fraction or exponent, or a whole number
    /// outside of 64 bits, whose digits are already lost here (a text keeps them).
    FieldNotText(String),
}

impl fmt::Display for ShapeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAnObject => f.write_str("the signed visitor is not a JSON object"),
            Self::MissingFields => f.write_str("\"fields\" is missing"),
            Self::FieldsNotAnObject => f.write_str("\"fields\" is not a JSON object"),
            Self::MissingId => f.write_str("field \"id\" is missing or empty"),
            Self::MissingHash => f.write_str("\"hash\" is missing"),
            Self::HashNotText(name) => write!(f, "\"{name}\" is not a text"),
            Self::FlatExpires => f.write_str("\"expires\" does not exist in the flat form"),
            Self::FieldNotText(name) => write!(
                f,
                "field \"{}\" is neither a text nor a whole number of 64 bits",
                printable(name)
            ),
        }
    }
}

/// A field name as it may stand in one line of a message: names come from outside too.
pub(super) fn printable(name: &str) -> String {
    const LONGEST: usize = 64;
    let short: String = name.chars().take(LONGEST).collect();
    let dots = if short.len() < name.len() { "..." } else { "" };
    format!("{}{dots}", short.escape_debug())
}

impl SignedVisitor {
    /// Reads a JSON value. A whole number counts as its text. Escapes are undone by then: `"\u0435"` is the letter. Of a
    /// key that stands twice the last one counts (`serde_json` and `jsonb` agree on that), so two readers of one
    /// text never see different objects here; a client that signs the first one is refused for its hash.
    ///
    /// # Errors
    /// [`ShapeError`] for anything that is no signed object.
    pub fn parse(value: &Value) -> Result<Self, ShapeError> {
        let object = value.as_object().ok_or(ShapeError::NotAnObject)?;
        match (object.get("fields"), object.get("crc")) {
            (Some(fields), _) => {
                let fields = fields.as_object().ok_or(ShapeError::FieldsNotAnObject)?;
                let fields = texts(fields.iter())?;
                let expires = object.get("expires").map_or(Expires::Absent, expiry);
                Self::of(fields, expires, object, "hash")
            }
            (None, Some(_)) if object.contains_key("expires") => Err(ShapeError::FlatExpires),
            (None, Some(_)) => {
                let fields = texts(object.iter().filter(|(name, _)| *name != "crc"))?;
                Self::of(fields, Expires::Absent, object, "crc")
            }
            (None, None) => Err(ShapeError::MissingFields),
        }
    }

    fn of(
        fields: BTreeMap<String, String>,
        expires: Expires,
        object: &Map<String, Value>,
        hash: &'static str,
    ) -> Result<Self, ShapeError> {
        let id = fields.get("id").filter(|id| !id.is_empty());
        let id = id.ok_or(ShapeError::MissingId)?.clone();
        let text = object.get(hash).ok_or(ShapeError::MissingHash)?;
        let text = text.as_str().ok_or(ShapeError::HashNotText(hash))?;
        Ok(Self {
            fields,
            id,
            expires,
            hash: text.to_owned(),
            flat: hash == "crc",
        })
    }

    /// The fields, by name.
    #[must_use]
    pub fn fields(&self) -> &BTreeMap<String, String> {
        &self.fields
    }

    /// The provided visitor id as it was signed: not trimmed, and maybe a placeholder. Never empty.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Until when the object is valid, in unix seconds; `None` if it does not say so in a readable way.
    #[must_use]
    pub fn expires(&self) -> Option<i64> {
        match self.expires {
            Expires::At { seconds, .. } => Some(seconds),
            Expires::Absent | Expires::Unreadable => None,
        }
    }

    /// True for the first version, with `crc`.
    #[cfg(test)]
    pub(super) fn is_flat(&self) -> bool {
        self.flat
    }

    pub(super) fn expiry(&self) -> &Expires {
        &self.expires
    }

    pub(super) fn hash(&self) -> &str {
        &self.hash
    }

    /// The values joined in the order of their names: the message without its expiry.
    pub(super) fn body(&self) -> String {
        self.fields.values().map(String::as_str).collect()
    }
}

/// Without values and hash: they are personal data, or as good as a password.
impl fmt::Debug for SignedVisitor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignedVisitor")
            .field("fields", &self.fields.keys())
            .field("expires", &self.expires())
            .field("flat", &self.flat)
            .finish_non_exhaustive()
    }
}

fn texts<'a>(
    members: impl Iterator<Item = (&'a String, &'a Value)>,
) -> Result<BTreeMap<String, String>, ShapeError> {
    members
        .map(|(name, value)| match text(value) {
            Some(text) => Ok((name.clone(), text)),
            None => Err(ShapeError::FieldNotText(name.clone())),
        })
        .collect()
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => integer(number),
        _ => None,
    }
}

/// The text of a whole number of 64 bits. Asked by value, so that it also holds with `arbitrary_precision`.
fn integer(number: &serde_json::Number) -> Option<String> {
    (number.as_i64().map(|n| n.to_string())).or_else(|| number.as_u64().map(|n| n.to_string()))
}

fn expiry(value: &Value) -> Expires {
    text(value)
        .filter(|text| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()))
        .and_then(|written| {
            let seconds = written.parse().ok()?;
            Some(Expires::At { written, seconds })
        })
        .unwrap_or(Expires::Unreadable)
}
