//! What an identifier is: trimming, placeholders, channel formats, derivation. Pure: may touch
//! nothing but its arguments (and, for a new random id, the clock and the random source).
//!
//! This is the first room every request walks through (design section 9). A rule about the *text*
//! of an identifier stands here and nowhere else; what an identifier is *bound to* is not known here.
#![forbid(unsafe_code)]

pub mod channel;
pub mod derivation;
pub mod placeholder;
pub mod text;

use uuid::Uuid;

/// The longest identifier in bytes of UTF-8, after trimming (design section 8, SQLSTATE 22001).
pub const MAX_BYTES: usize = 512;

/// Why a text can be no identifier at all (design section 8).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TextError {
    /// More than [`MAX_BYTES`] bytes after trimming (22001).
    TooLong,
    /// A control character remains after trimming (22023).
    ControlCharacter,
}

/// What one raw text turned out to be (design sections 1 "non-zero" and 3 "Inputs").
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Text<'a> {
    /// Nothing, or nothing but white space and zero-width characters.
    Absent,
    /// A well-known way to say "no id", see [`placeholder`].
    Placeholder,
    /// An identifier, trimmed, otherwise exactly as it came.
    Identifier(&'a str),
}

/// Reads one raw text as an identifier: trim, then blank, length, control characters, placeholder,
/// in that order (design sections 1, 3 and 8).
///
/// # Errors
/// [`TextError`] for a text that is there but can be no identifier.
pub fn parse(raw: &str) -> Result<Text<'_>, TextError> {
    let trimmed = text::trim(raw);
    if trimmed.is_empty() {
        return Ok(Text::Absent);
    }
    // Before anything that reads or copies the whole text: a megabyte costs no more than a length.
    if trimmed.len() > MAX_BYTES {
        return Err(TextError::TooLong);
    }
    if trimmed.chars().any(char::is_control) {
        return Err(TextError::ControlCharacter);
    }
    if placeholder::is_placeholder(trimmed) {
        return Ok(Text::Placeholder);
    }
    Ok(Text::Identifier(trimmed))
}

/// The rule of the SQL domains, for values already stored: trimmed, not blank, at most
/// [`MAX_BYTES`] bytes, no control characters (design sections 3 and 8).
///
/// Placeholders are not refused here: the list of them may grow with a release, and a dump of an
/// older database has to load.
#[must_use]
pub fn is_identifier_text(value: &str) -> bool {
    !value.is_empty()
        && value.len() <= MAX_BYTES
        && text::trim(value).len() == value.len()
        && !value.chars().any(char::is_control)
}

/// True for a `visitor_id` that names nobody: the nil and the all-ones UUID (design section 1,
/// "non-zero ... on every side: provided, channel and cookie").
#[must_use]
pub fn is_no_visitor(id: Uuid) -> bool {
    id.is_nil() || id.is_max()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    // T09
    #[test]
    fn the_same_id_with_blanks_around_it_is_the_same_id() {
        for raw in [
            "u1",
            "u1 ",
            "\tu1\r\n",
            "\u{a0}u1\u{200b}",
            "\u{feff}u1\u{3000}",
        ] {
            assert_eq!(parse(raw), Ok(Text::Identifier("u1")), "{raw:?}");
        }
    }

    // T04
    #[test]
    fn a_blank_text_is_absent() {
        for raw in [
            "",
            " ",
            "\t",
            "\r\n",
            "\u{a0}",
            "\u{200b}\u{200d}",
            "\u{feff}",
            "\u{2028}\u{85}",
        ] {
            assert_eq!(parse(raw), Ok(Text::Absent), "{raw:?}");
        }
    }

    // T01, T02, T03
    #[test]
    fn a_placeholder_is_told_from_an_identifier() {
        for raw in [
            " null ",
            "None",
            "'undefined'",
            "[object Object]",
            "\"distinct_id\"",
            "000000000000",
        ] {
            assert_eq!(parse(raw), Ok(Text::Placeholder), "{raw:?}");
        }
    }

    // T10
    #[test]
    fn an_opaque_id_keeps_its_case() {
        assert_eq!(parse("AbC"), Ok(Text::Identifier("AbC")));
    }

    // T12
    #[test]
    fn five_hundred_and_twelve_bytes_fit_and_one_more_does_not() {
        let fits = "x".repeat(MAX_BYTES);
        assert_eq!(parse(&fits), Ok(Text::Identifier(&fits)));
        assert!(is_identifier_text(&fits));
        let padded = format!("  {fits}\n");
        assert_eq!(parse(&padded), Ok(Text::Identifier(&fits)));
        let over = "x".repeat(MAX_BYTES + 1);
        assert_eq!(parse(&over), Err(TextError::TooLong));
        assert!(!is_identifier_text(&over));
        // Bytes count, not characters.
        let cyrillic = "я".repeat(MAX_BYTES / 2);
        assert_eq!(parse(&cyrillic), Ok(Text::Identifier(&cyrillic)));
        assert_eq!(parse(&format!("{cyrillic}я")), Err(TextError::TooLong));
    }

    // T12
    #[test]
    fn a_megabyte_is_refused_or_trimmed_like_any_other_text() {
        let mebibyte = 1 << 20;
        assert_eq!(parse(&"x".repeat(mebibyte)), Err(TextError::TooLong));
        assert_eq!(parse(&"0".repeat(mebibyte)), Err(TextError::TooLong));
        assert_eq!(parse(&"\"".repeat(mebibyte)), Err(TextError::TooLong));
        assert_eq!(parse(&" ".repeat(mebibyte)), Ok(Text::Absent));
        let padded = format!("{}u1", " ".repeat(mebibyte));
        assert_eq!(parse(&padded), Ok(Text::Identifier("u1")));
        assert!(!is_identifier_text(&"x".repeat(mebibyte)));
    }

    // T12
    #[test]
    fn a_control_character_inside_is_refused_and_a_line_break_at_the_end_is_trimmed() {
        for raw in [
            "a\0b", "a\nb", "a\tb", "a\u{7f}b", "a\u{85}b", "\u{1}a", "a\u{1b}",
        ] {
            assert_eq!(parse(raw), Err(TextError::ControlCharacter), "{raw:?}");
            assert!(!is_identifier_text(raw), "{raw:?}");
        }
        assert_eq!(parse("\r\na\n"), Ok(Text::Identifier("a")));
        // A placeholder does not excuse a control character.
        assert_eq!(parse("0\n0"), Err(TextError::ControlCharacter));
    }

    #[test]
    fn the_domains_want_a_trimmed_text_and_let_placeholders_pass() {
        assert!(is_identifier_text("C-42"));
        assert!(is_identifier_text("two words"));
        assert!(is_identifier_text("null"));
        for value in ["", " ", " a", "a ", "a\u{200b}", "\u{feff}a"] {
            assert!(!is_identifier_text(value), "{value:?}");
        }
    }

    #[test]
    fn the_nil_and_the_all_ones_uuid_are_nobody() {
        assert!(is_no_visitor(Uuid::nil()));
        assert!(is_no_visitor(Uuid::max()));
        assert!(!is_no_visitor(Uuid::from_u128(1)));
        assert!(!is_no_visitor(derivation::random()));
    }

    proptest! {
        #[test]
        fn whatever_is_an_identifier_may_be_stored_and_reads_back_as_itself(raw in any::<String>()) {
            if let Ok(Text::Identifier(id)) = parse(&raw) {
                prop_assert!(is_identifier_text(id));
                prop_assert!(!placeholder::is_placeholder(id));
                prop_assert_eq!(parse(id), Ok(Text::Identifier(id)));
            }
        }

        #[test]
        fn whatever_may_be_stored_is_read_without_error(
            value in prop_oneof![any::<String>(), "[ -~]{1,20}", "[0-9a-z]{1,9}"],
        ) {
            if is_identifier_text(&value) {
                prop_assert!(matches!(
                    parse(&value),
                    Ok(Text::Identifier(_) | Text::Placeholder)
                ));
            }
        }

        #[test]
        fn blanks_around_a_text_never_change_what_it_is(
            left in "[ \t\u{a0}\u{200b}\u{feff}]{0,4}",
            raw in any::<String>(),
            right in "[ \n\u{3000}\u{200d}\u{ad}]{0,4}",
        ) {
            let padded = format!("{left}{raw}{right}");
            prop_assert_eq!(parse(&padded), parse(&raw));
        }
    }
}
