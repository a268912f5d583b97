//! WeChat user ids. Pure: may touch nothing but its arguments.

use super::{as_written, nothing_more, shape, Rules};

/// An opaque OpenID: letters of both cases, digits, `_` and `-`, up to 128. The platform states no
/// length; 28 is what is seen.
pub(super) const RULES: Rules = Rules {
    documented: |id| {
        shape::all_of(id, 1..=128, |b| {
            b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-')
        })
    },
    platform_adds: nothing_more,
    normalize: as_written,
};

#[cfg(test)]
mod tests {
    use crate::identifier::channel::{ChannelType, Format};

    #[test]
    fn an_open_id_is_of_letters_digits_underscores_and_hyphens() {
        for id in ["o_6-A", &"x".repeat(128)] {
            assert_eq!(ChannelType::Wechat.format(id), Format::Documented);
        }
        for id in ["o.6", "o 6", "o=", "微信", &"x".repeat(129)] {
            assert_eq!(ChannelType::Wechat.format(id), Format::Malformed, "{id}");
        }
    }
}
