//! Skype user ids. Pure: may touch nothing but its arguments.

use super::{as_written, nothing_more, shape, Rules};

/// A Skype name or the bot connector's form of it (`live:.cid.…`, `8:live:…`): a letter or digit,
/// then letters, digits and `. _ , : @ -`, up to 128 in all.
pub(super) const RULES: Rules = Rules {
    documented: |id| {
        id.starts_with(|c: char| c.is_ascii_alphanumeric()) && shape::all_of(id, 1..=128, is_part)
    },
    platform_adds: nothing_more,
    normalize: as_written,
};

fn is_part(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric() || b"._,:@-".contains(byte)
}

#[cfg(test)]
mod tests {
    use crate::identifier::channel::{ChannelType, Format};

    #[test]
    fn a_skype_name_in_each_of_its_forms_is_an_id() {
        for id in [
            "john.doe",
            "live:.cid.0a1b2c3d",
            "8:live:john_1",
            "29:1a-2b",
            "a@b.c",
            &"x".repeat(128),
        ] {
            assert_eq!(ChannelType::Skype.format(id), Format::Documented, "{id}");
        }
        for id in [".cid.1", ":live", "a b", "a/b", "скайп", &"x".repeat(129)] {
            assert_eq!(ChannelType::Skype.format(id), Format::Malformed, "{id}");
        }
    }
}
