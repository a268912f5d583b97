//! Signed visitor fields (design section 6): is this object what the account's key signed, and is it still valid? Pure.
//! May touch: nothing but its arguments. No pgrx, no SQL, no clock; all cryptography is RustCrypto's.
//!
//! One object walks one way: [`SignedVisitor::parse`], then [`verify`] against the account's [`Key`]s, with the
//! account's [`Strict`] rule if it has one. Nothing here writes, logs, or puts a value or a key into an error.
//!
//! # What is signed
//!
//! The values of `fields` in ascending order of field name (by code point, as Python sorts), joined without
//! separators, then `expires` as it is written. So the *text* is proven, not how it is cut into fields, nor that its
//! end was ever an expiry. Whoever holds one valid object can therefore, without a key,
//!
//! - **shift**: move characters between neighbouring fields, drop, add or rename fields, as long as the joined text
//!   stays: `{email: "abc@webim.ru", id: "12345"}` is also `{email: "abc@webim.ru1", id: "2345"}`;
//! - **strip the expiry**: send `expires` as the end of the last field, in either form, and be valid for ever.
//!
//! The faithful mode (`strict: None`) verifies what the product documents and lets both through. Strict mode closes
//! both, see [`Strict`] for the rule, what it proves and what it cannot. In neither mode does the signature cover the
//! channel or the account: the account is bound because its keys are its own, the channel is not bound at all.
#![forbid(unsafe_code)]

mod algorithm;
mod shape;
mod strict;
mod verify;
mod visitor;

pub use algorithm::{Algorithm, Key};
pub use strict::{ConfigError, Strict};
pub use verify::{verify, Verdict};
pub use visitor::{ShapeError, SignedVisitor};

#[cfg(test)]
mod tests;
