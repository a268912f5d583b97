//! The policies of an account (design section 2), as values.
//! May touch: nothing but its arguments.

use crate::identifier::channel::Profile;
use crate::identifier::placeholder;
use std::collections::HashSet;
use uuid::Uuid;

/// How a provided id gives its visitor_id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Derivation {
    UuidV5,
    Md5,
}

/// What an authorization does with the chats before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnAuthorization {
    Rebind,
    Keep,
}

/// Which channel user ids resolution takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChannelFormat {
    Profile(Profile),
    Any,
}

/// Whether a bare cookie of an identified visitor still resolves to him.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdentifiedCookie {
    Auto,
    Accept,
    Ignore,
}

/// One row of `visitor_identity.account`, with the account's blocked values.
#[derive(Debug, Clone)]
pub struct Policy {
    pub account: String,
    pub namespace: Uuid,
    pub derivation: Derivation,
    pub on_authorization: OnAuthorization,
    pub channel_format: ChannelFormat,
    pub require_signature: bool,
    pub identified_cookie: IdentifiedCookie,
    pub max_rebinds: i64,
    pub max_rebind_chats: i64,
    /// Folded by `identifier::placeholder::fold`.
    pub blocked: HashSet<String>,
}

impl Policy {
    /// Whether a trimmed value is one that a DBA declared to be no id.
    pub fn blocks(&self, value: &str) -> bool {
        !self.blocked.is_empty() && self.blocked.contains(&placeholder::fold(value))
    }

    /// Whether a bare cookie may stand for an identified visitor (design section 2, identified_cookie): under `auto`
    /// not where a stranger could compute the id (md5) or replay it (require_signature).
    pub fn accepts_identified_cookie(&self) -> bool {
        match self.identified_cookie {
            IdentifiedCookie::Accept => true,
            IdentifiedCookie::Ignore => false,
            IdentifiedCookie::Auto => self.derivation != Derivation::Md5 && !self.require_signature,
        }
    }
}

#[cfg(test)]
impl Policy {
    /// The policies of a new account, for tests.
    pub fn for_tests() -> Self {
        Self {
            account: "default".into(),
            namespace: Uuid::from_u128(7),
            derivation: Derivation::UuidV5,
            on_authorization: OnAuthorization::Rebind,
            channel_format: ChannelFormat::Profile(Profile::Platform),
            require_signature: false,
            identified_cookie: IdentifiedCookie::Auto,
            max_rebinds: 1000,
            max_rebind_chats: 10000,
            blocked: HashSet::new(),
        }
    }
}
