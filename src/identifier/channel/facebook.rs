//! Facebook Messenger user ids. Pure: may touch nothing but its arguments.

use super::{as_written, shape, Rules};

/// Documented: a number of 15 digits. The platform issues page-scoped ids of any length to 20.
pub(super) const RULES: Rules = Rules {
    documented: |id| shape::is_digits(id, 15..=15),
    platform_adds: |id| shape::is_digits(id, 1..=20),
    normalize: as_written,
};

#[cfg(test)]
mod tests {
    use crate::identifier::channel::{ChannelType, Format};

    #[test]
    fn fifteen_digits_are_documented_and_other_lengths_the_platforms() {
        for (length, format) in [
            (1, Format::Platform),
            (14, Format::Platform),
            (15, Format::Documented),
            (16, Format::Platform),
            (20, Format::Platform),
            (21, Format::Malformed),
        ] {
            let id = "7".repeat(length);
            assert_eq!(ChannelType::Facebook.format(&id), format, "{length}");
        }
        assert_eq!(
            ChannelType::Facebook.format("10345871252765a"),
            Format::Malformed
        );
    }
}
