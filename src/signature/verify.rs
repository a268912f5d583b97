//! The verdict on a signed object (design section 6). Pure. May touch: nothing but its arguments; the time is one.

use std::fmt;

use subtle::Choice;

use super::algorithm::{from_hex, Key};
use super::strict::{Refusal, Strict};
use super::visitor::{Expires, SignedVisitor};

/// What an object is worth. Of the product's codes (notes/product.md section 1.4) three apply to an object; the others
/// belong to tokens and sessions. Anything but `Ok` is an error of the login, never an anonymous visitor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Signed by one of the keys, not expired, and within the strict rule if there is one.
    Ok,
    /// No key of the account signed this.
    WrongHash,
    /// Signed, and `expires` has passed.
    Expired,
    /// `expires` is neither a whole number nor a text of digits, so there is no message a signature could be checked of.
    WrongExpires,
    /// Signed, but outside of the account's strict rule.
    NotStrict(Refusal),
}

impl Verdict {
    /// `ok` or the product's own code. A refusal of the strict rule has the code of the part it is about: the expiry,
    /// or else the hash, which does not prove what the object claims.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Expired => "provided-visitor-expired",
            Self::WrongExpires => "wrong-provided-visitor-expires-value",
            Self::NotStrict(refusal) if refusal.is_about_expiry() => {
                "wrong-provided-visitor-expires-value"
            }
            Self::WrongHash | Self::NotStrict(_) => "wrong-provided-visitor-hash-value",
        }
    }
}

/// One line for DETAIL: what was expected. Never a value of the object.
impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ok => f.write_str("the signature is valid"),
            Self::WrongHash => f.write_str("no key of the account gives this hash"),
            Self::Expired => f.write_str("\"expires\" has passed"),
            Self::WrongExpires => {
                f.write_str("\"expires\" must be unix seconds: a whole number or a text of digits")
            }
            Self::NotStrict(refusal) => refusal.fmt(f),
        }
    }
}

/// Verifies an object against the keys of one account. The order is: a readable `expires`, the signature, the strict
/// rule for `expires`, the expiry, the strict rule for fields; so a forged object learns nothing but that it is forged.
///
/// All keys are tried, each with its own algorithm and compared in constant time, whichever of them fits. The
/// hash is hexadecimal; the product prints lower case, upper case is read too. Without keys nothing is `ok`. The
/// last valid second is `expires` itself; there is no allowance for clocks that differ.
#[must_use]
pub fn verify(
    visitor: &SignedVisitor,
    keys: &[Key<'_>],
    strict: Option<&Strict>,
    now_unix_seconds: i64,
) -> Verdict {
    let mut message = visitor.body();
    match visitor.expiry() {
        Expires::Unreadable => return Verdict::WrongExpires,
        Expires::At { written, .. } => message.push_str(written),
        Expires::Absent => {}
    }
    // A text that is no hexadecimal is an empty hash, which no key gives.
    let claimed = from_hex(visitor.hash()).unwrap_or_default();
    let signed = keys.iter().fold(Choice::from(0), |found, key| {
        found | key.signed(message.as_bytes(), &claimed)
    });
    if !bool::from(signed) {
        return Verdict::WrongHash;
    }
    if let Some(Err(refusal)) = strict.map(|rule| rule.check_expiry(visitor, now_unix_seconds)) {
        return Verdict::NotStrict(refusal);
    }
    if visitor.expires().is_some_and(|at| now_unix_seconds > at) {
        return Verdict::Expired;
    }
    match strict.map(|rule| rule.check_fields(visitor)) {
        Some(Err(refusal)) => Verdict::NotStrict(refusal),
        Some(Ok(())) | None => Verdict::Ok,
    }
}
