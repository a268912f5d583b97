//! An operator's words in the search bar: every identifier that was stored is found by the text that it came with.

use crate::identifier::channel::ChannelType;
use crate::identifier::{self, placeholder, text};
use crate::search::Words;
use crate::source::Source;
use uuid::Uuid;

pub const REACHES: &[&str] = &["visitor_id", "identifier", "nobody"];

pub fn run(data: &[u8]) -> &'static str {
    let mut source = Source::new(data);
    let query = match source.text() {
        text if !source.one_in(8) => text,
        _ => {
            let id = Uuid::from_u128(u128::from(source.number().unsigned_abs()) << 32);
            let forms = [
                id.to_string(),
                id.simple().to_string().to_uppercase(),
                id.braced().to_string(),
                id.urn().to_string(),
            ];
            let written = &forms[source.below(forms.len())];
            assert_eq!(
                Words::read(&format!(" {written}\n")).visitor_id,
                Some(id),
                "{written}"
            );
            written.clone()
        }
    };
    let words = Words::read(&query);
    let padded = format!("\u{feff} {query}\r\n");
    assert_eq!(Words::read(&padded), words, "blanks around it count");
    if let Some(id) = words.visitor_id {
        assert_eq!(Words::read(&id.to_string()).visitor_id, Some(id));
    }
    let ids = words.channel_user_ids();
    assert!(ids.len() <= ChannelType::ALL.len() + 1);
    for (place, id) in ids.iter().enumerate() {
        assert!(
            identifier::is_identifier_text(id),
            "what cannot be stored is looked for"
        );
        assert!(
            ids.iter().skip(place + 1).all(|other| other != id),
            "looked for twice"
        );
    }
    match words.identifier {
        Some(id) => {
            assert!(identifier::is_identifier_text(id) && !placeholder::is_placeholder(id));
            assert_eq!(id, text::trim(&query));
            // Whatever channel it came by: its key is among those looked for, and so is the text.
            assert_eq!(ids.first().map(String::as_str), Some(id));
            for channel in ChannelType::ALL {
                assert!(
                    ids.iter().any(|one| *one == channel.normalize(&query)),
                    "{channel:?} is not found"
                );
            }
        }
        None => assert!(ids.is_empty()),
    }
    match words {
        Words {
            visitor_id: Some(_),
            ..
        } => "visitor_id",
        Words {
            identifier: Some(_),
            ..
        } => "identifier",
        _ => "nobody",
    }
}
