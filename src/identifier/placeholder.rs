//! The well-known ways in which programs say "no id". Pure: may touch nothing but its arguments.
//!
//! An identifier from this list is worth less than none: every visitor of a site whose page has one
//! bug would be one person (design section 1, "non-zero"). The list is deliberately of values that no
//! client numbers its people with; `na`, `no`, `test`, `admin` and `me` are not on it, because they
//! are plausible names and initials. A DBA adds what one installation needs, compared by [`fold`].

use super::text;

/// Placeholders as [`fold`] leaves them, without the brackets around some of them (`(null)`,
/// `<none>`, `[object object]`): one pair is removed before the look-up. Sorted, for binary search.
const WELL_KNOWN: [&str; 45] = [
    "#n/a",
    "-",
    "--",
    "-1",
    "-infinity",
    "?",
    "anon",
    "anonymous",
    "anonymous_id",
    "anonymousid",
    "channel_user_id",
    "client_id",
    "customer_id",
    "distinct_id",
    "distinctid",
    "empty",
    "false",
    "guest",
    "id",
    "infinity",
    "n/a",
    "nan",
    "nil",
    "no_id",
    "nobody",
    "noid",
    "none",
    "none none",
    "not set",
    "not_set",
    "null",
    "null null",
    "object null",
    "object object",
    "object undefined",
    "provided_visitor_id",
    "true",
    "undefined",
    "undefined undefined",
    "unknown",
    "unset",
    "user_id",
    "userid",
    "visitor_id",
    "visitorid",
];

/// Quotation marks that come in pairs, also as a program escapes them.
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

const BRACKETS: [(&str, &str); 4] = [("(", ")"), ("<", ">"), ("[", "]"), ("{", "}")];

/// True for a text that is no id: blank, zero, the all-ones UUID, a well-known word or a template
/// nobody filled in, in any case, also quoted (design section 1, "non-zero"; an installation's own
/// values are not known here).
///
/// Only ASCII digits are zeros: a full-width `０` is an unusual id, not a number.
#[must_use]
pub fn is_placeholder(trimmed: &str) -> bool {
    let folded = fold(trimmed);
    let bare = BRACKETS
        .iter()
        .find_map(|pair| inside(&folded, *pair))
        .map_or(folded.as_str(), text::trim);
    bare.is_empty()
        || is_zero(bare)
        || is_all_ones(bare)
        || WELL_KNOWN.binary_search(&bare).is_ok()
        || is_unfilled_template(&folded)
}

/// The form in which placeholders are compared, the built-in ones and a DBA's own alike (design
/// section 1): trimmed, freed of matching quotes around it (any number, escaped ones too), in lower case.
#[must_use]
pub fn fold(value: &str) -> String {
    let mut rest = text::trim(value);
    while let Some(inner) = QUOTES.iter().find_map(|pair| inside(rest, *pair)) {
        rest = text::trim(inner);
    }
    rest.to_lowercase()
}

/// What stands between an opening and a closing mark, if both are there and are not the same one.
fn inside<'a>(value: &'a str, (open, close): (&str, &str)) -> Option<&'a str> {
    value.strip_prefix(open)?.strip_suffix(close)
}

/// `0`, `000`, `0-0`, `0.0`, `-0` and the nil UUID: a zero however it is written.
fn is_zero(value: &str) -> bool {
    value.contains('0')
        && value
            .bytes()
            .all(|b| matches!(b, b'0' | b'-' | b'.' | b'+'))
}

/// The all-ones UUID, with hyphens or without.
fn is_all_ones(value: &str) -> bool {
    value.bytes().all(|b| matches!(b, b'f' | b'-'))
        && value.bytes().filter(|b| *b == b'f').count() == 32
}

/// A template of the usual engines that reached the browser as it was written: `{{user.id}}`,
/// `${userId}`, `<%= id %>`, `%USER_ID%`. Only as the whole value: inside a longer one such
/// characters may be chance.
fn is_unfilled_template(folded: &str) -> bool {
    [("{{", "}}"), ("${", "}"), ("<%", "%>")]
        .iter()
        .any(|pair| inside(folded, *pair).is_some())
        // Percent signs also begin URL escapes, so here only a plain name counts.
        || inside(folded, ("%", "%")).is_some_and(|name| {
            !name.is_empty() && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identifier::{parse, Text};
    use proptest::prelude::*;

    #[test]
    fn the_list_is_sorted_and_folded() {
        assert!(WELL_KNOWN.is_sorted());
        for word in WELL_KNOWN {
            assert_eq!(fold(word), word);
            assert!(is_placeholder(word));
        }
    }

    // T01, T02, T03, T06
    #[test]
    fn a_well_known_placeholder_is_no_id() {
        for value in [
            "null",
            "(null)",
            "<null>",
            "nil",
            "<nil>",
            "none",
            "<none>",
            "undefined",
            "(undefined)",
            "NaN",
            "n/a",
            "#N/A",
            "anonymous",
            "anon",
            "guest",
            "unknown",
            "unset",
            "not set",
            "(not set)",
            "not_set",
            "empty",
            "false",
            "true",
            "[object Object]",
            "[object Null]",
            "[object Undefined]",
            "object Object",
            "{}",
            "[]",
            "-",
            "--",
            "-1",
            "?",
            "Infinity",
            "-Infinity",
            "distinct_id",
            "distinctId",
            "anonymous_id",
            "anonymousId",
            "user_id",
            "userId",
            "visitor_id",
            "visitorId",
            "provided_visitor_id",
            "channel_user_id",
            "client_id",
            "customer_id",
            "id",
            "no_id",
            "noid",
            "None None",
            "null null",
            "undefined undefined",
            "nobody",
            "\"\"",
            "''",
        ] {
            assert!(is_placeholder(value), "{value}");
            assert!(is_placeholder(&value.to_uppercase()), "{value} in capitals");
            for (open, close) in QUOTES {
                let quoted = format!("{open} {value}{close}");
                assert!(is_placeholder(&quoted), "{quoted}");
            }
        }
    }

    // T06
    #[test]
    fn a_zero_however_written_is_no_id() {
        for value in [
            "0",
            "000",
            "000000000000",
            "0-0",
            "0.0",
            "-0",
            "+0.00",
            "'0'",
            "{0}",
            "00000000-0000-0000-0000-000000000000",
            "{00000000-0000-0000-0000-000000000000}",
            "00000000000000000000000000000000",
        ] {
            assert!(is_placeholder(value), "{value}");
        }
    }

    #[test]
    fn the_all_ones_uuid_is_no_id() {
        for value in [
            "ffffffff-ffff-ffff-ffff-ffffffffffff",
            "{FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF}",
            "FFFFffffFFFFffffFFFFffffFFFFffff",
        ] {
            assert!(is_placeholder(value), "{value}");
        }
    }

    #[test]
    fn a_template_nobody_filled_in_is_no_id() {
        for value in [
            "{{user.id}}",
            "{{ }}",
            "${userId}",
            "<%= current_user.id %>",
            "%USER_ID%",
            "\"{{id}}\"",
        ] {
            assert!(is_placeholder(value), "{value}");
        }
    }

    #[test]
    fn a_plausible_id_is_not_taken_for_a_placeholder() {
        for value in [
            "1",
            "10",
            "C-42",
            "na",
            "NA",
            "no",
            "test",
            "admin",
            "0a",
            "1-0",
            "+1",
            "-2",
            "ff",
            "fffffff",
            "nullable",
            "null-7",
            "guest42",
            "id1",
            "%20",
            "%2F%",
            "%%",
            "a{{b}}",
            "(1)",
            "user_id=7",
            ".",
            "+",
            "０",
            "０００",
            "٠",
            "ｎｕｌｌ",
            "'",
            "O'Neil",
            "\"a\" and \"b\"",
            "00000000-0000-0000-0000-000000000001",
        ] {
            assert!(!is_placeholder(value), "{value}");
        }
    }

    #[test]
    fn folding_removes_quotes_of_any_depth_and_the_blanks_between() {
        assert_eq!(fold(" \" ' Null ' \" "), "null");
        assert_eq!(fold("\"\\\"Undefined\\\"\""), "undefined");
        assert_eq!(fold("« “None” »"), "none");
        assert_eq!(fold("\"half"), "\"half");
        assert_eq!(fold("'mixed\""), "'mixed\"");
        assert_eq!(fold("\""), "\"");
        assert_eq!(fold("ÄÖ"), "äö");
    }

    #[test]
    fn folding_a_megabyte_of_quotes_ends() {
        assert_eq!(fold(&"'".repeat(1 << 20)), "");
    }

    proptest! {
        #[test]
        fn folding_twice_is_folding_once(
            value in prop_oneof![any::<String>(), "[ '\"`\\\\«»“”‘’A-Cа-вА-ВΣİ\u{200b}]{0,12}"],
        ) {
            let once = fold(&value);
            prop_assert_eq!(fold(&once), once);
        }

        #[test]
        fn a_placeholder_is_never_identified_in_whatever_case_and_quotes(
            word in proptest::sample::select(WELL_KNOWN.as_slice()),
            upper in proptest::collection::vec(any::<bool>(), 24),
            quotes in proptest::collection::vec(proptest::sample::select(QUOTES.as_slice()), 0..4),
            blank in "[ \u{a0}\u{200b}]{0,2}",
        ) {
            let mut value: String = word
                .chars()
                .zip(upper.iter().cycle())
                .map(|(c, up)| if *up { c.to_ascii_uppercase() } else { c })
                .collect();
            for (open, close) in quotes {
                value = format!("{blank}{open}{blank}{value}{close}{blank}");
            }
            prop_assert_eq!(parse(&value), Ok(Text::Placeholder));
        }

        #[test]
        fn a_number_other_than_zero_and_minus_one_is_an_id(number in any::<i64>()) {
            prop_assume!(number != 0 && number != -1);
            prop_assert!(!is_placeholder(&number.to_string()));
        }
    }
}
