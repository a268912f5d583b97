//! The shapes that formats of several channels are made of, so that each stands once. Pure: may
//! touch nothing but its arguments. ASCII only, whole text, like everything under `channel`.

use std::ops::RangeInclusive;

/// The length is in the range and every byte is of the class.
pub(super) fn all_of(id: &str, length: RangeInclusive<usize>, class: fn(&u8) -> bool) -> bool {
    length.contains(&id.len()) && id.bytes().all(|b| class(&b))
}

/// That many ASCII digits.
pub(super) fn is_digits(id: &str, length: RangeInclusive<usize>) -> bool {
    all_of(id, length, u8::is_ascii_digit)
}

/// That many visible ASCII characters, no blanks.
pub(super) fn is_graphic(id: &str, length: RangeInclusive<usize>) -> bool {
    all_of(id, length, u8::is_ascii_graphic)
}

/// The number as a platform prints it: greater than 0, no sign, no leading zero, within 64 signed bits.
///
/// A leading zero is refused because the same number would then have several texts, and each text
/// would be another visitor.
pub(super) fn positive_decimal(id: &str) -> Option<i64> {
    let printed = id.starts_with(|c: char| matches!(c, '1'..='9'));
    // 19 digits are the most that fit; the parse refuses everything that is no digit.
    if printed {
        id.parse().ok()
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decimal_has_one_text() {
        assert_eq!(positive_decimal("1"), Some(1));
        assert_eq!(positive_decimal("9223372036854775807"), Some(i64::MAX));
        for id in [
            "",
            "0",
            "01",
            "+1",
            "-1",
            "1 ",
            "1e3",
            "9223372036854775808",
        ] {
            assert_eq!(positive_decimal(id), None, "{id}");
        }
    }

    #[test]
    fn a_length_is_counted_at_both_ends() {
        assert!(!is_digits("", 1..=3));
        assert!(is_digits("1", 1..=3));
        assert!(is_digits("123", 1..=3));
        assert!(!is_digits("1234", 1..=3));
        assert!(is_graphic("!~", 1..=2));
        assert!(!is_graphic("a b", 1..=9));
        assert!(!is_graphic("ä", 1..=9));
    }
}
