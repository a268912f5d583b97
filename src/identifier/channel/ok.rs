//! Odnoklassniki user ids. Pure: may touch nothing but its arguments.

use super::{as_written, nothing_more, shape, Rules};

/// An opaque text such as `chat:C3ecb9d02a600`: up to 128 visible ASCII characters. The platform
/// promises no more than that ids may be strings.
pub(super) const RULES: Rules = Rules {
    documented: |id| shape::is_graphic(id, 1..=128),
    platform_adds: nothing_more,
    normalize: as_written,
};

#[cfg(test)]
mod tests {
    use crate::identifier::channel::{ChannelType, Format};

    #[test]
    fn an_opaque_text_of_up_to_128_characters_is_an_id() {
        for id in ["user:123", &"x".repeat(128)] {
            assert_eq!(ChannelType::Ok.format(id), Format::Documented);
        }
        for id in ["user 123", "юзер", &"x".repeat(129)] {
            assert_eq!(ChannelType::Ok.format(id), Format::Malformed, "{id}");
        }
    }
}
