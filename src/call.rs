//! A call as one node sends it to another, and its answer: where the tables are distributed, the node that has the
//! account carries it out.
//! May touch: nothing but its arguments.
#![forbid(unsafe_code)]

use crate::resolution::RawRequest;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The arguments of a call, as they came.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sent {
    provided_visitor_id: Option<String>,
    channel_type: Option<String>,
    channel_user_id: Option<String>,
    visitor_id: Option<Uuid>,
    channel_id: Option<String>,
    verified: bool,
}

impl From<RawRequest<'_>> for Sent {
    fn from(raw: RawRequest<'_>) -> Self {
        let owned = |text: Option<&str>| text.map(str::to_owned);
        Self {
            provided_visitor_id: owned(raw.provided_visitor_id),
            channel_type: owned(raw.channel_type),
            channel_user_id: owned(raw.channel_user_id),
            visitor_id: raw.visitor_id,
            channel_id: owned(raw.channel_id),
            verified: raw.verified,
        }
    }
}

impl Sent {
    pub fn raw(&self) -> RawRequest<'_> {
        RawRequest {
            provided_visitor_id: self.provided_visitor_id.as_deref(),
            channel_type: self.channel_type.as_deref(),
            channel_user_id: self.channel_user_id.as_deref(),
            visitor_id: self.visitor_id,
            channel_id: self.channel_id.as_deref(),
            verified: self.verified,
        }
    }
}

/// What another node may be asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Call {
    Resolve(Sent),
    Find(Sent),
    ChatVisitor(Sent),
    /// The signed visitor fields, the rest of the call, and when it came.
    Authorize(String, Sent, i64),
}

/// The texts that an answer may have as codes: they are the program's own, so a read answer has no others.
pub fn known_code(text: &str) -> Option<&'static str> {
    use crate::resolution::{Basis, Note, Outcome};
    let outcomes = Outcome::ALL.iter().map(|outcome| outcome.name());
    let bases = Basis::ALL.iter().map(|basis| basis.name());
    let notes = Note::ALL.iter().map(|note| note.code());
    outcomes
        .chain(bases)
        .chain(notes)
        .find(|code| *code == text)
}

/// A resolution as it arrives.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct ArrivedResolution {
    pub visitor_id: Uuid,
    pub outcome: String,
    pub basis: String,
    pub previous_visitor_ids: Vec<Uuid>,
    pub rebind_ids: Vec<i64>,
    pub rebound_chats: i64,
    pub notes: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn codes_are_read_as_they_were_written() {
        for code in [
            "authorized",
            "switched",
            "created",
            "recognized",
            "none",
            "rebind_clash",
        ] {
            assert_eq!(known_code(code), Some(code));
        }
        assert_eq!(known_code("4711"), None);
    }

    proptest! {
        #[test]
        fn a_call_arrives_as_it_was_sent(
            provided in proptest::option::of(".*"),
            user in proptest::option::of(".*"),
            visitor in proptest::option::of(any::<u128>()),
            verified in any::<bool>(),
        ) {
            let raw = RawRequest {
                provided_visitor_id: provided.as_deref(),
                channel_user_id: user.as_deref(),
                visitor_id: visitor.map(Uuid::from_u128),
                verified,
                ..RawRequest::default()
            };
            let call = Call::Resolve(Sent::from(raw));
            let text = serde_json::to_string(&call).unwrap();
            let read: Call = serde_json::from_str(&text).unwrap();
            prop_assert_eq!(&read, &call);
            let Call::Resolve(sent) = read else { unreachable!() };
            prop_assert_eq!(Sent::from(sent.raw()), Sent::from(raw));
        }
    }
}
