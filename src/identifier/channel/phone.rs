//! Phone numbers, shared by the channels that are keyed by one. Pure: may touch nothing but its
//! arguments.

use std::borrow::Cow;

use super::shape;
use crate::identifier::text;

/// Fewest digits of a full phone number: no country code with a subscriber number has less.
const MIN_DIGITS: usize = 7;
/// Most digits of a phone number (E.164).
const MAX_DIGITS: usize = 15;

/// A full phone number in digits (design section 1). The product's document says "digits", so
/// the first one may be any; all zeros is a placeholder and never comes here.
pub(super) fn is_number(id: &str) -> bool {
    shape::is_digits(id, MIN_DIGITS..=MAX_DIGITS)
}

/// A phone number as people write it, as its digits; any other text as it is (design section 1).
///
/// `+1 (043) 568-5475`, `tel:+1-043-568-5475`, `001 043 568 5475` and `10435685475` are the same
/// number. Only writing is undone, no digit but the international prefix is added or dropped: a
/// trunk zero (`+44 (0)20 ...`) stays, because in some countries it is part of the number, and so
/// do national habits (Brazil's ninth digit, Mexico's `521`).
pub(super) fn normalize(trimmed: &str) -> Cow<'_, str> {
    let Some(digits) = digits_of(without_scheme(trimmed)) else {
        return Cow::Borrowed(trimmed);
    };
    let digits = without_international_prefix(&digits);
    if digits == trimmed {
        Cow::Borrowed(trimmed)
    } else {
        Cow::Owned(digits.to_owned())
    }
}

/// Without the `whatsapp:` or `tel:` that gateways put before a number.
fn without_scheme(value: &str) -> &str {
    match value.split_once(':') {
        Some((scheme, number))
            if scheme.eq_ignore_ascii_case("whatsapp") || scheme.eq_ignore_ascii_case("tel") =>
        {
            number
        }
        _ => value,
    }
}

/// The digits, if everything else is what people write between digits.
fn digits_of(value: &str) -> Option<String> {
    let mut digits = String::new();
    let mut plus = false;
    for character in value.chars() {
        match character {
            '0'..='9' => digits.push(character),
            // One, and before the first digit: two numbers in one text are not one number.
            '+' if !plus && digits.is_empty() => plus = true,
            _ if is_separator(character) => {}
            _ => return None,
        }
    }
    (!digits.is_empty()).then_some(digits)
}

/// What stands between the digits of a written number: blanks, hyphens up to the en dash, dots,
/// slashes, parentheses. A control character is no separator: removing it would hide an error.
fn is_separator(character: char) -> bool {
    matches!(
        character,
        '-' | '\u{2010}'..='\u{2013}' | '.' | '/' | '(' | ')'
    ) || (text::is_blank(character) && !character.is_control())
}

/// E.164 numbers never begin with 0, so `00` before one is how it is dialled, not a part of it. A
/// third zero is no such number, and is left alone.
fn without_international_prefix(digits: &str) -> &str {
    match digits.strip_prefix("00") {
        Some(number) if number.len() >= MIN_DIGITS && !number.starts_with('0') => number,
        _ => digits,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_number_as_people_write_it_is_its_digits() {
        for written in [
            "10435685475",
            "+10435685475",
            "+1 (043) 568-5475",
            "(+1) 043 568 5475",
            "+1\u{a0}043\u{202f}568\u{2009}5475",
            "+1\u{2011}043\u{2013}568.5475",
            "1/043/568/5475",
            "0010435685475",
            "+ 1 0435685475",
            "tel:+1-043-568-5475",
            "WhatsApp:+10435685475",
            "+1 043 \u{200b}5685475",
        ] {
            assert_eq!(normalize(written), "10435685475", "{written:?}");
        }
    }

    #[test]
    fn a_text_that_is_no_number_stays_as_it_is_written() {
        for other in [
            "US.13491208655302741918",
            "+1 043 568 5475 ext. 7",
            "1043568+5475",
            "++1043568",
            "tel:",
            "+",
            "()",
            "sip:10435685475",
            "104356\n85475",
            "１０４３５６８５４７５",
            "+1,043,568",
        ] {
            assert_eq!(normalize(other), other);
        }
    }

    #[test]
    fn the_international_prefix_goes_only_before_a_whole_number() {
        assert_eq!(normalize("001234567"), "1234567");
        assert_eq!(normalize("00123456"), "00123456");
        assert_eq!(normalize("00012345678"), "00012345678");
        assert_eq!(normalize("0435685475"), "0435685475");
    }

    #[test]
    fn a_number_has_seven_to_fifteen_digits() {
        assert!(!is_number("123456"));
        assert!(is_number("1234567"));
        assert!(is_number("123456789012345"));
        assert!(!is_number("1234567890123456"));
        assert!(!is_number("+1234567"));
    }

    proptest! {
        #[test]
        fn two_different_numbers_never_become_one(
            one in "[1-9][0-9]{6,14}",
            other in "[1-9][0-9]{6,14}",
            prefix in "(00|[+]|tel:[+]|whatsapp:)?",
        ) {
            let written = format!("{prefix}{one}");
            prop_assert_eq!(normalize(&written), one.as_str());
            prop_assert_eq!(normalize(&written) == normalize(&other), one == other);
        }

        #[test]
        fn separators_anywhere_do_not_change_a_number(
            digits in "[1-9][0-9]{6,14}",
            separators in proptest::collection::vec("[ ()./\u{a0}\u{2011}\u{202a}-]{0,2}", 15),
        ) {
            let written: String = digits
                .chars()
                .zip(separators)
                .map(|(digit, separator)| format!("{separator}{digit}"))
                .collect();
            prop_assert_eq!(normalize(&written), digits);
        }
    }
}
