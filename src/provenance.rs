//! Why a chat is where it is (design section 7, `visitor_history`). Pure. May touch: nothing but its arguments.
#![forbid(unsafe_code)]

/// Why a chat is with a visitor, or left him.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Because {
    /// Its visitor was absorbed by this one, who authorized.
    Rebound,
    /// Its visitor was joined to this one by order.
    Merged,
    /// Another provided id on the chat itself brought it here alone.
    MovedByProvidedId,
    /// An undone rebinding put it back.
    PutBack,
    /// It came with a provided id of this visitor.
    ProvidedId,
    /// It came with a channel user id of this visitor.
    ChannelUserId,
    /// It came with the visitor_id alone, or with nothing.
    StoredHere,
    /// It was first stored on another visitor, and the log does not say how it came here.
    NotInTheLog,
    /// It was here and is not any more.
    Left,
}

impl Because {
    /// The code in SQL.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Rebound => "rebound",
            Self::Merged => "merged",
            Self::MovedByProvidedId => "moved_by_provided_id",
            Self::PutBack => "put_back",
            Self::ProvidedId => "provided_id",
            Self::ChannelUserId => "channel_user_id",
            Self::StoredHere => "stored_here",
            Self::NotInTheLog => "not_in_the_log",
            Self::Left => "left",
        }
    }
}

/// What a rebinding moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Visitor,
    Merge,
    Chat,
}

impl Kind {
    /// From the column `kind` of the log.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "visitor" => Some(Self::Visitor),
            "merge" => Some(Self::Merge),
            "chat" => Some(Self::Chat),
            _ => None,
        }
    }
}

/// One rebinding that moved a chat, seen from the visitor who is asked about. His former names are he himself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Move {
    pub kind: Kind,
    pub from_him: bool,
    pub to_him: bool,
    pub undone: bool,
}

impl Move {
    /// What the move says of a chat that is with him.
    #[must_use]
    pub fn brought(self) -> Option<Because> {
        match (self.undone, self.kind) {
            (false, _) if !self.to_him => None,
            (false, Kind::Visitor) => Some(Because::Rebound),
            (false, Kind::Merge) => Some(Because::Merged),
            (false, Kind::Chat) => Some(Because::MovedByProvidedId),
            (true, _) => (self.from_him && !self.to_him).then_some(Because::PutBack),
        }
    }

    /// What the move says of a chat that its undoing left alone, and that is with him therefore. None: it was not undone.
    #[must_use]
    pub fn as_if_not_undone(self) -> Option<Because> {
        let stands = Self {
            undone: false,
            ..self
        };
        if self.undone {
            stands.brought()
        } else {
            None
        }
    }

    /// Whether the move took a chat away from him.
    #[must_use]
    pub fn took_away(self) -> bool {
        if self.undone {
            self.to_him && !self.from_him
        } else {
            self.from_him && !self.to_him
        }
    }
}

/// A chat that no logged move brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resident {
    /// First stored on the visitor.
    pub is_origin: bool,
    /// The chat's own provided id is his.
    pub has_provided_id: bool,
    /// The chat's own channel user id is his.
    pub has_channel_user_id: bool,
}

impl Resident {
    #[must_use]
    pub fn because(self) -> Because {
        if self.has_provided_id {
            Because::ProvidedId
        } else if !self.is_origin {
            Because::NotInTheLog
        } else if self.has_channel_user_id {
            Because::ChannelUserId
        } else {
            Because::StoredHere
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_move_as_a_table() {
        use Because::{Merged, MovedByProvidedId, PutBack, Rebound};
        for (kind, from_him, to_him, undone, brought, took_away) in [
            (Kind::Visitor, false, true, false, Some(Rebound), false),
            (Kind::Visitor, true, true, false, Some(Rebound), false),
            (Kind::Merge, false, true, false, Some(Merged), false),
            (
                Kind::Chat,
                false,
                true,
                false,
                Some(MovedByProvidedId),
                false,
            ),
            (Kind::Chat, true, false, false, None, true),
            (Kind::Visitor, true, false, true, Some(PutBack), false),
            (Kind::Visitor, false, true, true, None, true),
            (Kind::Visitor, true, true, true, None, false),
        ] {
            let step = Move {
                kind,
                from_him,
                to_him,
                undone,
            };
            assert_eq!(step.brought(), brought, "{step:?}");
            assert_eq!(step.took_away(), took_away, "{step:?}");
        }
    }

    #[test]
    fn a_chat_that_never_moved_as_a_table() {
        for (is_origin, has_provided_id, has_channel_user_id, because) in [
            (true, false, false, Because::StoredHere),
            (true, false, true, Because::ChannelUserId),
            (true, true, true, Because::ProvidedId),
            (true, true, false, Because::ProvidedId),
            (false, true, false, Because::ProvidedId),
            (false, false, true, Because::NotInTheLog),
            (false, false, false, Because::NotInTheLog),
        ] {
            let resident = Resident {
                is_origin,
                has_provided_id,
                has_channel_user_id,
            };
            assert_eq!(resident.because(), because, "{resident:?}");
        }
    }

    #[test]
    fn the_log_knows_three_kinds() {
        for (name, kind) in [
            ("visitor", Some(Kind::Visitor)),
            ("merge", Some(Kind::Merge)),
            ("chat", Some(Kind::Chat)),
            ("", None),
        ] {
            assert_eq!(Kind::from_name(name), kind);
        }
    }
}
