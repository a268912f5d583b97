//! MAX user ids. Pure: may touch nothing but its arguments.

use super::{as_written, nothing_more, shape, Rules};

/// A positive 64-bit number without leading zeros.
pub(super) const RULES: Rules = Rules {
    documented: |id| shape::positive_decimal(id).is_some(),
    platform_adds: nothing_more,
    normalize: as_written,
};

#[cfg(test)]
mod tests {
    use crate::identifier::channel::{ChannelType, Format};

    #[test]
    fn a_positive_64_bit_number_is_an_id() {
        for id in ["1", "9223372036854775807"] {
            assert_eq!(ChannelType::Max.format(id), Format::Documented);
        }
        for id in ["0", "01", "-1", "+1", "9223372036854775808", "max"] {
            assert_eq!(ChannelType::Max.format(id), Format::Malformed, "{id}");
        }
    }
}
