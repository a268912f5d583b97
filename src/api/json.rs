//! `jsonb` arguments and results as text. The type of pgrx panics at numbers and depths that `serde_json` does not read.

use crate::error::IdentityError;
use pgrx::datum::FromDatum;
use pgrx::pg_sys;
use pgrx::{direct_function_call, direct_function_call_as_datum, AnyElement, IntoDatum};
use std::ffi::{CStr, CString};

/// The text of a `jsonb` argument.
pub(super) fn json_text(value: Option<AnyElement>) -> Result<Option<String>, IdentityError> {
    let Some(value) = value else {
        return Ok(None);
    };
    // SAFETY: the argument is declared jsonb, in sql/, and is not NULL.
    let text = unsafe { direct_function_call::<&CStr>(pg_sys::jsonb_out, &[Some(value.datum())]) };
    let text = text.and_then(|text| text.to_str().ok()).map(str::to_owned);
    match text {
        Some(text) => Ok(Some(text)),
        None => Err(IdentityError::Internal("jsonb without a text".into())),
    }
}

/// A `jsonb` result of a shape.
pub(super) fn json_result(shape: &impl serde::Serialize) -> Result<AnyElement, IdentityError> {
    let text = serde_json::to_string(shape)
        .map_err(|_| IdentityError::Internal("a payload could not be written".into()))?;
    jsonb(&text)
}

/// A text as `jsonb`.
pub(super) fn jsonb(text: &str) -> Result<AnyElement, IdentityError> {
    let broken = || IdentityError::Internal("a text is no jsonb".into());
    let text = CString::new(text).map_err(|_| broken())?;
    // SAFETY: the input function of jsonb takes a C string and raises an error or returns a jsonb.
    unsafe {
        let datum =
            direct_function_call_as_datum(pg_sys::jsonb_in, &[text.as_c_str().into_datum()]);
        datum.and_then(|datum| AnyElement::from_polymorphic_datum(datum, false, pg_sys::JSONBOID))
    }
    .ok_or_else(broken)
}
