//! The text of an identifier: trimming, length, control characters, placeholders.

use crate::identifier::{self, placeholder, text, Text, TextError, MAX_BYTES};
use crate::source::Source;

pub const REACHES: &[&str] = &[
    "identifier",
    "placeholder",
    "absent",
    "too long",
    "control character",
];

const BLANKS: [&str; 8] = [
    "",
    " ",
    "\t\r\n",
    "\u{a0}",
    "\u{200b}",
    "\u{feff}\u{3000}",
    "\u{ad}",
    "\u{202a}\u{2069}",
];
const QUOTES: [(&str, &str); 8] = [
    ("\"", "\""),
    ("'", "'"),
    ("`", "`"),
    ("\\\"", "\\\""),
    ("\\'", "\\'"),
    ("“", "”"),
    ("‘", "’"),
    ("«", "»"),
];

pub fn run(data: &[u8]) -> &'static str {
    let mut source = Source::new(data);
    let raw = source.text();
    let (before, after) = (source.pick(&BLANKS), source.pick(&BLANKS));
    let (open, close) = source.pick(&QUOTES);

    let trimmed = text::trim(&raw);
    assert!(raw.contains(trimmed), "trimming made something up");
    assert!(!trimmed.starts_with(text::is_blank) && !trimmed.ends_with(text::is_blank));
    let read = identifier::parse(&raw);
    assert_eq!(
        identifier::parse(&format!("{before}{raw}{after}")),
        read,
        "blanks around it count"
    );

    // Quoting, and the case of ASCII letters, do not make an id of a placeholder, nor the reverse.
    let folded = placeholder::fold(&raw);
    assert_eq!(
        placeholder::fold(&folded),
        folded,
        "folding twice is not folding once"
    );
    let quoted = format!("{open}{raw}{close}");
    assert_eq!(placeholder::fold(&quoted), folded);
    let is_placeholder = placeholder::is_placeholder(trimmed);
    assert_eq!(placeholder::is_placeholder(&quoted), is_placeholder);
    assert_eq!(
        placeholder::is_placeholder(&raw.to_ascii_uppercase()),
        is_placeholder
    );

    match read {
        Ok(Text::Identifier(id)) => {
            assert_eq!(id, trimmed, "an identifier is changed");
            assert!(
                identifier::is_identifier_text(id),
                "what is read cannot be stored"
            );
            assert!(!is_placeholder);
            let is_zero = id.contains('0') && id.chars().all(|c| "0-.+".contains(c));
            assert!(!is_zero, "a zero is an id");
            "identifier"
        }
        Ok(Text::Placeholder) => {
            assert!(is_placeholder && identifier::is_identifier_text(trimmed));
            "placeholder"
        }
        Ok(Text::Absent) => {
            assert!(trimmed.is_empty());
            "absent"
        }
        Err(TextError::TooLong) => {
            assert!(trimmed.len() > MAX_BYTES && !identifier::is_identifier_text(trimmed));
            "too long"
        }
        Err(TextError::ControlCharacter) => {
            assert!(trimmed.contains(char::is_control) && !identifier::is_identifier_text(trimmed));
            "control character"
        }
    }
}
