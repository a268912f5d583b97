//! WhatsApp user ids. Pure: may touch nothing but its arguments.

use super::{phone, shape, Rules};

/// Documented: the full phone number, 7 to 15 digits. The platform adds business-scoped user ids:
/// `US.13491208655302741918`, and `US.ENT.…` for those of a parent business.
pub(super) const RULES: Rules = Rules {
    documented: phone::is_number,
    platform_adds: is_business_scoped,
    normalize: phone::normalize,
};

/// `^[A-Z]{2}(\.ENT)?\.[A-Za-z0-9]{1,128}$`
fn is_business_scoped(id: &str) -> bool {
    let Some((country, rest)) = id.split_once('.') else {
        return false;
    };
    let user = rest.strip_prefix("ENT.").unwrap_or(rest);
    shape::all_of(country, 2..=2, u8::is_ascii_uppercase)
        && shape::all_of(user, 1..=128, u8::is_ascii_alphanumeric)
}

#[cfg(test)]
mod tests {
    use crate::identifier::channel::{ChannelType, Format};

    #[test]
    fn a_phone_number_is_documented_and_a_business_scoped_id_the_platforms() {
        for (id, format) in [
            ("1234567", Format::Documented),
            ("123456789012345", Format::Documented),
            ("0435685475", Format::Documented),
            ("123456", Format::Malformed),
            ("1234567890123456", Format::Malformed),
            ("+10435685475", Format::Malformed),
            ("US.a", Format::Platform),
            ("US.ENT.a", Format::Platform),
            // "ENT" may also be the user part itself.
            ("US.ENT", Format::Platform),
            ("US.ENT.", Format::Malformed),
            ("US.", Format::Malformed),
            ("us.1", Format::Malformed),
            ("USA.1", Format::Malformed),
            ("US.ent.1", Format::Malformed),
            ("US.1.2", Format::Malformed),
            ("US.1-2", Format::Malformed),
        ] {
            assert_eq!(ChannelType::Whatsapp.format(id), format, "{id}");
        }
        let longest = format!("US.{}", "9".repeat(128));
        assert_eq!(ChannelType::Whatsapp.format(&longest), Format::Platform);
        let over = format!("{longest}9");
        assert_eq!(ChannelType::Whatsapp.format(&over), Format::Malformed);
    }

    #[test]
    fn a_written_number_and_the_platforms_own_form_are_one_id() {
        assert_eq!(
            ChannelType::Whatsapp.normalize(" +1 (043) 568-5475\n"),
            "10435685475"
        );
    }

    #[test]
    fn a_business_scoped_id_is_kept_as_it_is() {
        assert_eq!(ChannelType::Whatsapp.normalize(" US.0012aB "), "US.0012aB");
    }
}
