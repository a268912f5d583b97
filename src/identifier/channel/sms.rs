//! Phone numbers of text messages. Pure: may touch nothing but its arguments.

use super::{nothing_more, phone, Rules};

/// The full phone number, 7 to 15 digits.
pub(super) const RULES: Rules = Rules {
    documented: phone::is_number,
    platform_adds: nothing_more,
    normalize: phone::normalize,
};

#[cfg(test)]
mod tests {
    use crate::identifier::channel::{ChannelType, Format};

    #[test]
    fn a_full_number_is_an_id_and_a_sender_name_or_short_code_is_not() {
        assert_eq!(ChannelType::Sms.format("10435685475"), Format::Documented);
        for id in ["12345", "MyBank", "US.1349", "+10435685475"] {
            assert_eq!(ChannelType::Sms.format(id), Format::Malformed, "{id}");
        }
    }

    #[test]
    fn a_written_number_is_its_digits() {
        assert_eq!(
            ChannelType::Sms.normalize("tel:+1-043-568-5475"),
            "10435685475"
        );
    }
}
