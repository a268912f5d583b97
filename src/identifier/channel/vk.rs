//! VKontakte user ids. Pure: may touch nothing but its arguments.

use super::{as_written, nothing_more, shape, Rules};

/// A signed 64-bit number other than zero, without leading zeros; a negative one is a community.
pub(super) const RULES: Rules = Rules {
    documented: is_signed_decimal,
    platform_adds: nothing_more,
    normalize: as_written,
};

fn is_signed_decimal(id: &str) -> bool {
    match id.strip_prefix('-') {
        // The parse of the whole decides about the range: it is one wider below zero.
        Some(digits) => {
            digits.starts_with(|c: char| matches!(c, '1'..='9')) && id.parse::<i64>().is_ok()
        }
        None => shape::positive_decimal(id).is_some(),
    }
}

#[cfg(test)]
mod tests {
    use crate::identifier::channel::{ChannelType, Format};

    #[test]
    fn a_number_of_64_bits_is_an_id_whatever_its_sign() {
        for id in [
            "1",
            "-1",
            "2000000001",
            "9223372036854775807",
            "-9223372036854775808",
        ] {
            assert_eq!(ChannelType::Vk.format(id), Format::Documented, "{id}");
        }
        for id in [
            "0",
            "-0",
            "-",
            "--1",
            "-+1",
            "+1",
            "01",
            "-01",
            "id1",
            "9223372036854775808",
            "-9223372036854775809",
        ] {
            assert_eq!(ChannelType::Vk.format(id), Format::Malformed, "{id}");
        }
    }
}
