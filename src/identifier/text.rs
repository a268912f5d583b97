//! Which characters around an identifier do not count. Pure: may touch nothing but its arguments.

/// Removes every blank at both ends: Unicode white space, and the zero-width and formatting
/// characters that copying from a web page, a spreadsheet or a messenger leaves behind
/// (design section 3, "Inputs are trimmed first"). Nothing inside is changed.
#[must_use]
pub fn trim(value: &str) -> &str {
    value.trim_matches(is_blank)
}

/// A character that is nothing at the end of an identifier: the Unicode property `White_Space`
/// or one of the invisible formatting characters (design section 3).
#[must_use]
pub fn is_blank(character: char) -> bool {
    character.is_whitespace()
        || matches!(
            character,
            '\u{00ad}' // soft hyphen
                | '\u{180e}' // Mongolian vowel separator
                | '\u{200b}'..='\u{200f}' // zero-width space and joiners, direction marks
                | '\u{202a}'..='\u{202e}' // direction embeddings and overrides
                | '\u{2060}'..='\u{2064}' // word joiner, invisible operators
                | '\u{2066}'..='\u{206f}' // direction isolates, deprecated format characters
                | '\u{feff}' // byte order mark
        )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    // T04
    #[test]
    fn every_white_space_and_zero_width_character_is_trimmed_at_both_ends() {
        let blanks = [
            ' ', '\t', '\n', '\u{b}', '\u{c}', '\r', '\u{85}', '\u{a0}', '\u{1680}', '\u{2000}',
            '\u{200a}', '\u{2028}', '\u{2029}', '\u{202f}', '\u{205f}', '\u{3000}', '\u{ad}',
            '\u{180e}', '\u{200b}', '\u{200f}', '\u{202a}', '\u{202e}', '\u{2060}', '\u{2064}',
            '\u{2066}', '\u{206f}', '\u{feff}',
        ];
        for blank in blanks {
            assert_eq!(
                trim(&format!("{blank}a{blank}b{blank}")),
                format!("a{blank}b")
            );
            assert_eq!(trim(&blank.to_string()), "");
        }
    }

    #[test]
    fn a_character_one_can_see_is_never_trimmed() {
        for kept in ["_", "-", "\"", "\u{2010}", "\u{fe0f}", "я", "\u{0}", "😀"] {
            assert_eq!(trim(kept), kept);
        }
    }

    proptest! {
        #[test]
        fn trimming_twice_is_trimming_once(value in any::<String>()) {
            prop_assert_eq!(trim(trim(&value)), trim(&value));
        }
    }
}
