//! LINE user ids. Pure: may touch nothing but its arguments.

use super::{as_written, nothing_more, shape, Rules};

/// `U` and 32 hexadecimal digits in lower case.
pub(super) const RULES: Rules = Rules {
    documented: |id| {
        id.strip_prefix('U').is_some_and(|hex| {
            shape::all_of(hex, 32..=32, |b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
        })
    },
    platform_adds: nothing_more,
    normalize: as_written,
};

#[cfg(test)]
mod tests {
    use crate::identifier::channel::{ChannelType, Format};

    #[test]
    fn an_id_is_a_capital_u_and_32_lower_case_hex_digits() {
        let hex = "0123456789abcdef0123456789abcdef";
        assert_eq!(
            ChannelType::Line.format(&format!("U{hex}")),
            Format::Documented
        );
        for id in [
            hex.to_owned(),
            format!("u{hex}"),
            format!("C{hex}"),
            format!("U{hex}0"),
            format!("U{}", hex.to_uppercase()),
            "U".to_owned(),
        ] {
            assert_eq!(ChannelType::Line.format(&id), Format::Malformed, "{id}");
        }
    }
}
