//! Apple Messages for Business user ids. Pure: may touch nothing but its arguments.

use super::{as_written, nothing_more, shape, Rules};
use crate::identifier::MAX_BYTES;

/// What every id begins with.
const PREFIX: &str = "urn:mbid:";

/// `urn:mbid:` and an opaque text of visible ASCII characters, in the length of any identifier.
pub(super) const RULES: Rules = Rules {
    documented: |id| {
        id.len() <= MAX_BYTES
            && id
                .strip_prefix(PREFIX)
                .is_some_and(|opaque| shape::is_graphic(opaque, 1..=MAX_BYTES))
    },
    platform_adds: nothing_more,
    normalize: as_written,
};

#[cfg(test)]
mod tests {
    use super::PREFIX;
    use crate::identifier::channel::{ChannelType, Format};

    #[test]
    fn an_id_is_the_prefix_and_an_opaque_text() {
        let longest = format!("{PREFIX}{}", "x".repeat(512 - PREFIX.len()));
        for id in ["urn:mbid:x", "urn:mbid:AQ/+==", &longest] {
            assert_eq!(ChannelType::Apple.format(id), Format::Documented);
        }
        let over = format!("{longest}x");
        for id in ["urn:mbid:", "urn:mbid:a b", "URN:MBID:x", "mbid:x", &over] {
            assert_eq!(ChannelType::Apple.format(id), Format::Malformed, "{id}");
        }
    }
}
