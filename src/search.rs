//! What an operator's words in the search bar may mean (design section 5, `search_history`). Pure.
//! May touch: nothing but its arguments.
#![forbid(unsafe_code)]

use crate::identifier::channel::ChannelType;
use crate::identifier::{self, text, Text};
use uuid::Uuid;

/// One text, read as every kind of identifier that it can be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Words<'a> {
    /// A visitor_id, in any form in which a UUID is written.
    pub visitor_id: Option<Uuid>,
    /// A provided id or a channel user id, as it stands.
    pub identifier: Option<&'a str>,
}

impl<'a> Words<'a> {
    /// Reads the words. What can be no identifier finds nothing, and is no error.
    #[must_use]
    pub fn read(query: &'a str) -> Self {
        Self {
            visitor_id: Uuid::try_parse(text::trim(query)).ok(),
            identifier: match identifier::parse(query) {
                Ok(Text::Identifier(id)) => Some(id),
                _ => None,
            },
        }
    }

    /// The channel user ids that the words may mean. The operator does not say which channel: the id as it stands, and
    /// as each channel would key it.
    #[must_use]
    pub fn channel_user_ids(&self) -> Vec<String> {
        let Some(id) = self.identifier else {
            return Vec::new();
        };
        let mut ids = vec![id.to_owned()];
        for channel in ChannelType::ALL {
            let normalized = channel.normalize(id);
            if ids.iter().all(|known| *known != normalized) {
                ids.push(normalized.into_owned());
            }
        }
        ids
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_visitor_id_is_read_in_every_form() {
        let id = Uuid::from_u128(0x877a_920e_de70_8241_2656_ac1c_dec7_ecde);
        for written in [
            " 877a920e-de70-8241-2656-ac1cdec7ecde\n",
            "877A920EDE7082412656AC1CDEC7ECDE",
            "{877a920e-de70-8241-2656-ac1cdec7ecde}",
        ] {
            assert_eq!(Words::read(written).visitor_id, Some(id), "{written}");
        }
        assert_eq!(Words::read("877a920e").visitor_id, None);
    }

    #[test]
    fn a_number_is_looked_for_as_it_stands_and_as_channels_key_it() {
        let words = Words::read(" +1 (043) 568-5475 ");
        assert_eq!(
            words.channel_user_ids(),
            ["+1 (043) 568-5475", "10435685475"]
        );
        let address = Words::read("Anna@Example.COM").channel_user_ids();
        assert_eq!(address, ["Anna@Example.COM", "Anna@example.com"]);
    }

    #[test]
    fn what_can_be_no_identifier_means_nobody() {
        for query in ["", " \u{200b}", "null", "0", "a\nb", &"x".repeat(513)] {
            let words = Words::read(query);
            assert_eq!((words.visitor_id, words.identifier), (None, None));
            assert!(words.channel_user_ids().is_empty());
        }
    }
}
