//! Instagram user ids. Pure: may touch nothing but its arguments.

use super::{as_written, nothing_more, shape, Rules};

/// An Instagram-scoped id: a number of up to 20 digits, as those of the same platform's Messenger.
pub(super) const RULES: Rules = Rules {
    documented: |id| shape::is_digits(id, 1..=20),
    platform_adds: nothing_more,
    normalize: as_written,
};

#[cfg(test)]
mod tests {
    use crate::identifier::channel::{ChannelType, Format};

    #[test]
    fn a_number_is_an_id_and_a_user_name_is_not() {
        for id in ["1", &"9".repeat(20)] {
            assert_eq!(ChannelType::Instagram.format(id), Format::Documented);
        }
        for id in ["@john", "john", "-1", &"9".repeat(21)] {
            assert_eq!(ChannelType::Instagram.format(id), Format::Malformed, "{id}");
        }
    }
}
