//! The policies of an account (design section 2), as values.
//! May touch: nothing but its arguments.

use crate::identifier::channel::Profile;
use crate::identifier::{self, placeholder, Text, TextError};
use std::collections::HashSet;
use uuid::Uuid;

/// How a provided id gives its visitor_id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Derivation {
    UuidV5,
    Md5,
}

impl Derivation {
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "uuid_v5" => Some(Self::UuidV5),
            "md5" => Some(Self::Md5),
            _ => None,
        }
    }
}

/// What an authorization does with the chats before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnAuthorization {
    Rebind,
    Keep,
}

impl OnAuthorization {
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "rebind" => Some(Self::Rebind),
            "keep" => Some(Self::Keep),
            _ => None,
        }
    }
}

/// Which channel user ids resolution takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChannelFormat {
    Profile(Profile),
    Any,
}

impl ChannelFormat {
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "any" => Some(Self::Any),
            name => Profile::from_name(name).map(Self::Profile),
        }
    }
}

/// Whether a bare cookie of an identified visitor still resolves to him.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdentifiedCookie {
    Auto,
    Accept,
    Ignore,
}

impl IdentifiedCookie {
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "auto" => Some(Self::Auto),
            "accept" => Some(Self::Accept),
            "ignore" => Some(Self::Ignore),
            _ => None,
        }
    }
}

/// Why a column of `visitor_identity.account` does not take a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefusedValue {
    /// The column, and the values that it takes.
    NotOneOf(&'static str, &'static str),
    /// The column, and the least number that it takes.
    Below(&'static str, i64),
    /// The name of the account is no text of an identifier.
    Name(TextError),
    /// The name of the account is blank or has blanks at its ends.
    NameNotTrimmed,
}

/// Whether a column of `visitor_identity.account` takes a value, given as text.
///
/// # Errors
/// Why it does not; also for a column that has no rule.
pub fn check_value(column: &str, value: &str) -> Result<(), RefusedValue> {
    use RefusedValue::{Below, Name, NameNotTrimmed, NotOneOf};
    let one_of =
        |is_one: bool, column, allowed| is_one.then_some(()).ok_or(NotOneOf(column, allowed));
    let at_least = |column, least: i64| match value.parse::<i64>() {
        Ok(number) if number >= least => Ok(()),
        _ => Err(Below(column, least)),
    };
    match column {
        "account" => match identifier::parse(value).map_err(Name)? {
            Text::Identifier(_) | Text::Placeholder if identifier::is_identifier_text(value) => {
                Ok(())
            }
            _ => Err(NameNotTrimmed),
        },
        "derivation" => one_of(
            Derivation::from_name(value).is_some(),
            "derivation",
            "uuid_v5, md5",
        ),
        "on_authorization" => one_of(
            OnAuthorization::from_name(value).is_some(),
            "on_authorization",
            "rebind, keep",
        ),
        "channel_format" => one_of(
            ChannelFormat::from_name(value).is_some(),
            "channel_format",
            "platform, documented, any",
        ),
        "identified_cookie" => one_of(
            IdentifiedCookie::from_name(value).is_some(),
            "identified_cookie",
            "auto, accept, ignore",
        ),
        "max_rebinds" => at_least("max_rebinds", 0),
        "max_rebind_chats" => at_least("max_rebind_chats", 0),
        "signature_horizon" => at_least("signature_horizon", 1),
        _ => Err(NotOneOf(
            "policy",
            "account, derivation, on_authorization, channel_format, identified_cookie, max_rebinds, max_rebind_chats, signature_horizon",
        )),
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_that_is_named_is_taken_and_no_other() {
        for column in [
            "derivation",
            "on_authorization",
            "channel_format",
            "identified_cookie",
        ] {
            let Err(RefusedValue::NotOneOf(said, allowed)) = check_value(column, "other") else {
                panic!("{column} takes anything");
            };
            assert_eq!(said, column);
            for value in allowed.split(", ") {
                assert_eq!(check_value(column, value), Ok(()));
                assert!(check_value(column, &value.to_uppercase()).is_err());
            }
        }
        assert!(matches!(
            check_value("namespace", "x"),
            Err(RefusedValue::NotOneOf("policy", _))
        ));
    }

    #[test]
    fn numbers_have_a_least_one() {
        for (column, least) in [
            ("max_rebinds", 0),
            ("max_rebind_chats", 0),
            ("signature_horizon", 1),
        ] {
            assert_eq!(check_value(column, &least.to_string()), Ok(()));
            for value in [(least - 1).to_string(), "x".into(), String::new()] {
                assert_eq!(
                    check_value(column, &value),
                    Err(RefusedValue::Below(column, least))
                );
            }
        }
    }

    #[test]
    fn an_account_has_the_name_of_an_identifier() {
        for name in ["default", "a b", "0", "é"] {
            assert_eq!(check_value("account", name), Ok(()));
        }
        for name in ["", " ", " a", "a\u{a0}"] {
            assert_eq!(
                check_value("account", name),
                Err(RefusedValue::NameNotTrimmed)
            );
        }
        assert_eq!(
            check_value("account", "a\u{1}b"),
            Err(RefusedValue::Name(TextError::ControlCharacter))
        );
        assert_eq!(
            check_value("account", &"x".repeat(513)),
            Err(RefusedValue::Name(TextError::TooLong))
        );
    }
}
