//! Viber user ids. Pure: may touch nothing but its arguments.

use super::{as_written, nothing_more, shape, Rules};
use crate::identifier::MAX_BYTES;

/// Latin letters of both cases, digits and symbols, no blanks. They look like base64, but the
/// product's own example is not canonical base64, so nothing is decoded.
pub(super) const RULES: Rules = Rules {
    documented: |id| shape::is_graphic(id, 1..=MAX_BYTES),
    platform_adds: nothing_more,
    normalize: as_written,
};

#[cfg(test)]
mod tests {
    use crate::identifier::channel::{ChannelType, Format};

    #[test]
    fn letters_digits_and_symbols_are_documented_and_blanks_are_not() {
        for id in ["a", "Zz09!~", &"x".repeat(512)] {
            assert_eq!(ChannelType::Viber.format(id), Format::Documented);
        }
        for id in ["a b", "a\tb", "ключ", "a\u{7f}", &"x".repeat(513)] {
            assert_eq!(ChannelType::Viber.format(id), Format::Malformed, "{id}");
        }
    }

    // T10
    #[test]
    fn the_case_of_an_opaque_id_is_kept() {
        assert_eq!(ChannelType::Viber.normalize(" aBc= "), "aBc=");
    }
}
