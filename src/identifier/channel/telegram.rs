//! Telegram user ids. Pure: may touch nothing but its arguments.

use super::{as_written, shape, Rules};

/// Documented: a number of eight digits. The platform issues any positive number of at most 52
/// significant bits (Bot API, `User.id`). A leading `+` or `@` is not removed: that would be a phone
/// number or a user name, neither of which is an id.
pub(super) const RULES: Rules = Rules {
    documented: |id| id.len() == 8 && shape::positive_decimal(id).is_some(),
    platform_adds: |id| shape::positive_decimal(id).is_some_and(|number| number < 1 << 52),
    normalize: as_written,
};

#[cfg(test)]
mod tests {
    use crate::identifier::channel::{ChannelType, Format};

    #[test]
    fn eight_digits_are_documented_and_other_lengths_the_platforms() {
        for (id, format) in [
            ("10000000", Format::Documented),
            ("99999999", Format::Documented),
            ("1", Format::Platform),
            ("9999999", Format::Platform),
            ("100000000", Format::Platform),
            ("4503599627370495", Format::Platform),
            ("4503599627370496", Format::Malformed),
            ("01234567", Format::Malformed),
            ("+7854257", Format::Malformed),
            ("-1001234567890", Format::Malformed),
            ("@durov", Format::Malformed),
            ("0", Format::Malformed),
        ] {
            assert_eq!(ChannelType::Telegram.format(id), format, "{id}");
        }
    }

    #[test]
    fn a_plus_or_an_at_is_not_removed() {
        assert_eq!(ChannelType::Telegram.normalize(" +67854257 "), "+67854257");
        assert_eq!(ChannelType::Telegram.normalize("@durov"), "@durov");
    }
}
