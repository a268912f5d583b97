//! What was asked: raw arguments in, normalised identifiers out (design section 3, "Inputs are trimmed first").
//! May touch: nothing but its arguments.

use super::decision::Note;
use super::policy::{ChannelFormat, Policy};
use crate::identifier::channel::{ChannelType, Profile};
use crate::identifier::{self, placeholder, Text, TextError};
use uuid::Uuid;

/// Who asks. A call is refused for bad input and may not choose an id; a chat row is stored whatever its identifiers,
/// and whoever may write chats may bring visitor ids (design section 4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asker {
    Call,
    ChatRow,
}

/// The arguments as they came.
#[derive(Debug, Clone, Copy, Default)]
pub struct RawRequest<'a> {
    pub provided_visitor_id: Option<&'a str>,
    pub channel_type: Option<&'a str>,
    pub channel_user_id: Option<&'a str>,
    pub visitor_id: Option<Uuid>,
    pub channel_id: Option<&'a str>,
    /// The provided id was proven by a signature (design section 6).
    pub verified: bool,
}

/// A channel user id with its scope, normalised: the key of `visitor_identity.channel_identity`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChannelKey {
    pub channel_type: String,
    pub channel_id: String,
    pub channel_user_id: String,
}

/// The normalised request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    pub asker: Asker,
    pub provided: Option<String>,
    pub channel: Option<ChannelKey>,
    pub cookie: Option<Uuid>,
    pub notes: Vec<Note>,
}

/// Why a call is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    Text(TextError, &'static str),
    ChannelTypeMissing,
    ChannelUserIdMissing,
    UnknownChannel,
    ChannelFormat {
        channel_type: String,
        profile: &'static str,
    },
    SignatureRequired,
    /// A signature proves an id that is no id.
    SignedIdUnusable,
}

/// The channels that a DBA added, with their regular expressions.
pub trait CustomChannels {
    /// Whether the id is one of the channel's; None when there is no such channel.
    fn accepts(&self, channel_type: &str, channel_user_id: &str) -> Option<bool>;
}

impl Request {
    /// Reads the arguments of a call. Errors: everything that design section 8 refuses.
    pub fn from_call(
        raw: RawRequest<'_>,
        policy: &Policy,
        custom: &dyn CustomChannels,
    ) -> Result<Self, Refusal> {
        let mut notes = Vec::new();
        let provided = usable(
            raw.provided_visitor_id,
            "provided_visitor_id",
            policy,
            &mut notes,
        )?
        .map(str::to_owned);
        if provided.is_some() && policy.require_signature && !raw.verified {
            return Err(Refusal::SignatureRequired);
        }
        if provided.is_none() && raw.verified {
            return Err(Refusal::SignedIdUnusable);
        }
        let channel = channel_key(raw, policy, custom, &mut notes)?;
        Ok(Self {
            asker: Asker::Call,
            provided,
            channel,
            cookie: cookie(raw.visitor_id, &mut notes),
            notes,
        })
    }

    /// Reads the identifiers of a chat row: what is malformed, blocked or incomplete is no identifier.
    pub fn from_row(raw: RawRequest<'_>, policy: &Policy, custom: &dyn CustomChannels) -> Self {
        let mut notes = Vec::new();
        let (provided, channel) = identifiers_of_row(raw, policy, custom, &mut notes);
        Self {
            asker: Asker::ChatRow,
            provided: provided.ok().flatten().map(str::to_owned),
            channel: channel.ok().flatten(),
            cookie: cookie(raw.visitor_id, &mut notes),
            notes,
        }
    }
}

/// An identifier that a chat row brings and that counts as none: which, and the stable code of why (design section 4,
/// "listed in `anomalies`"). What is blank was not brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unusable {
    pub argument: &'static str,
    pub reason: &'static str,
}

impl Unusable {
    /// Of an account that requires signatures: the id was never verified.
    pub const UNVERIFIED: Self = Self {
        argument: "provided_visitor_id",
        reason: "unverified",
    };

    /// Those of a row, by the reading that resolves it.
    pub fn of_row(raw: RawRequest<'_>, policy: &Policy, custom: &dyn CustomChannels) -> Vec<Self> {
        let (provided, channel) = identifiers_of_row(raw, policy, custom, &mut Vec::new());
        let provided = Self::of_one("provided_visitor_id", raw.provided_visitor_id, provided);
        let channel = Self::of_one("channel_user_id", raw.channel_user_id, channel);
        provided.into_iter().chain(channel).collect()
    }

    fn of_one<T>(argument: &'static str, raw: Option<&str>, read: Read<T>) -> Option<Self> {
        raw.filter(|raw| !identifier::text::trim(raw).is_empty())?;
        match read {
            Ok(Some(_)) => None,
            Ok(None) => Some(Self {
                argument,
                reason: "blocked",
            }),
            Err(refusal) => refusal.in_row(argument),
        }
    }
}

impl Refusal {
    /// What a call would be refused for, in a row that brings this identifier.
    fn in_row(self, identifier: &'static str) -> Option<Unusable> {
        let (argument, reason) = match self {
            Self::Text(TextError::TooLong, argument) => (argument, "too_long"),
            Self::Text(TextError::ControlCharacter, argument) => (argument, "control_character"),
            Self::ChannelTypeMissing => ("channel_type", "channel_type_missing"),
            Self::UnknownChannel => ("channel_type", "unknown_channel"),
            Self::ChannelFormat { .. } => (identifier, "channel_format"),
            Self::ChannelUserIdMissing | Self::SignatureRequired | Self::SignedIdUnusable => {
                return None;
            }
        };
        Some(Unusable { argument, reason })
    }
}

type Read<T> = Result<Option<T>, Refusal>;

/// The two identifiers of a chat row, each read by itself.
fn identifiers_of_row<'a>(
    raw: RawRequest<'a>,
    policy: &Policy,
    custom: &dyn CustomChannels,
    notes: &mut Vec<Note>,
) -> (Read<&'a str>, Read<ChannelKey>) {
    let provided = usable(
        raw.provided_visitor_id,
        "provided_visitor_id",
        policy,
        notes,
    );
    (provided, channel_key(raw, policy, custom, notes))
}

fn note_blocked(notes: &mut Vec<Note>) {
    if !notes.contains(&Note::BlockedIdentifier) {
        notes.push(Note::BlockedIdentifier);
    }
}

fn usable<'a>(
    raw: Option<&'a str>,
    argument: &'static str,
    policy: &Policy,
    notes: &mut Vec<Note>,
) -> Result<Option<&'a str>, Refusal> {
    let Some(raw) = raw else { return Ok(None) };
    match identifier::parse(raw).map_err(|error| Refusal::Text(error, argument))? {
        Text::Identifier(id) if !policy.blocks(id) => Ok(Some(id)),
        _ => {
            note_blocked(notes);
            Ok(None)
        }
    }
}

fn cookie(raw: Option<Uuid>, notes: &mut Vec<Note>) -> Option<Uuid> {
    let id = raw?;
    if identifier::is_no_visitor(id) {
        note_blocked(notes);
        return None;
    }
    Some(id)
}

fn channel_key(
    raw: RawRequest<'_>,
    policy: &Policy,
    custom: &dyn CustomChannels,
    notes: &mut Vec<Note>,
) -> Result<Option<ChannelKey>, Refusal> {
    let channel_type = raw
        .channel_type
        .map(identifier::text::trim)
        .filter(|name| !name.is_empty());
    let user_id = usable(raw.channel_user_id, "channel_user_id", policy, notes)?;
    let Some(channel_type) = channel_type else {
        return match user_id {
            Some(_) => Err(Refusal::ChannelTypeMissing),
            None => Ok(None),
        };
    };
    if raw.channel_user_id.is_none() {
        return Err(Refusal::ChannelUserIdMissing);
    }
    let built_in = ChannelType::from_name(channel_type);
    let Some(user_id) = user_id else {
        let known = built_in.is_some() || custom.accepts(channel_type, "").is_some();
        return if known {
            Ok(None)
        } else {
            Err(Refusal::UnknownChannel)
        };
    };
    let channel_user_id = match built_in {
        Some(channel) => channel.normalize(user_id).into_owned(),
        None => user_id.to_owned(),
    };
    // A phone number of zeros only shows itself as one when the signs between its digits are gone.
    if placeholder::is_placeholder(&channel_user_id) || policy.blocks(&channel_user_id) {
        note_blocked(notes);
        return Ok(None);
    }
    let (accepted, profile) = match (built_in, policy.channel_format) {
        (Some(_), ChannelFormat::Any) => (true, ""),
        (Some(channel), ChannelFormat::Profile(profile)) => (
            channel.accepts(&channel_user_id, profile),
            profile_name(profile),
        ),
        (None, format) => {
            let matches = custom
                .accepts(channel_type, &channel_user_id)
                .ok_or(Refusal::UnknownChannel)?;
            match format {
                ChannelFormat::Any => (true, ""),
                ChannelFormat::Profile(profile) => (matches, profile_name(profile)),
            }
        }
    };
    if !accepted {
        return Err(Refusal::ChannelFormat {
            channel_type: channel_type.to_owned(),
            profile,
        });
    }
    Ok(Some(ChannelKey {
        channel_type: channel_type.to_owned(),
        channel_id: scope(raw.channel_id)?,
        channel_user_id,
    }))
}

fn profile_name(profile: Profile) -> &'static str {
    match profile {
        Profile::Documented => "documented",
        Profile::Platform => "platform",
    }
}

/// The page, bot or number within a channel. Not an identifier of a person, so a placeholder is taken as it is.
fn scope(raw: Option<&str>) -> Result<String, Refusal> {
    let trimmed = identifier::text::trim(raw.unwrap_or_default());
    match identifier::parse(trimmed) {
        Ok(_) => Ok(trimmed.to_owned()),
        Err(error) => Err(Refusal::Text(error, "channel_id")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Orders;
    impl CustomChannels for Orders {
        fn accepts(&self, channel_type: &str, id: &str) -> Option<bool> {
            (channel_type == "orders").then(|| id.starts_with("O-"))
        }
    }

    fn call(raw: RawRequest<'_>) -> Result<Request, Refusal> {
        Request::from_call(raw, &Policy::for_tests(), &Orders)
    }

    fn telegram(id: &str) -> RawRequest<'_> {
        RawRequest {
            channel_type: Some("telegram"),
            channel_user_id: Some(id),
            ..RawRequest::default()
        }
    }

    #[test]
    fn an_id_without_its_channel_is_refused_and_so_is_the_reverse() {
        let only_id = RawRequest {
            channel_user_id: Some("67854257"),
            ..RawRequest::default()
        };
        assert_eq!(call(only_id), Err(Refusal::ChannelTypeMissing));
        let only_type = RawRequest {
            channel_type: Some("telegram"),
            ..RawRequest::default()
        };
        assert_eq!(call(only_type), Err(Refusal::ChannelUserIdMissing));
    }

    #[test]
    fn a_placeholder_is_absent_on_every_side_and_noted_once() {
        let raw = RawRequest {
            provided_visitor_id: Some(" 'Undefined' "),
            visitor_id: Some(Uuid::nil()),
            ..telegram("0")
        };
        let request = call(raw).unwrap();
        assert_eq!(
            (request.provided, request.channel, request.cookie),
            (None, None, None)
        );
        assert_eq!(request.notes, vec![Note::BlockedIdentifier]);
    }

    #[test]
    fn a_value_that_a_dba_blocked_is_absent_in_any_case() {
        let mut policy = Policy::for_tests();
        policy.blocked.insert("$posthog_cookieless".into());
        let raw = RawRequest {
            provided_visitor_id: Some("\"$PostHog_Cookieless\""),
            ..RawRequest::default()
        };
        let request = Request::from_call(raw, &policy, &Orders).unwrap();
        assert_eq!(request.provided, None);
    }

    #[test]
    fn a_row_is_never_refused_where_a_call_is() {
        let long = "x".repeat(600);
        for raw in [
            telegram("not a number"),
            RawRequest {
                channel_user_id: Some("67854257"),
                ..RawRequest::default()
            },
            RawRequest {
                channel_type: Some("fax"),
                channel_user_id: Some("1"),
                ..RawRequest::default()
            },
            RawRequest {
                provided_visitor_id: Some(&long),
                ..RawRequest::default()
            },
            RawRequest {
                provided_visitor_id: Some("a\u{1}b"),
                ..RawRequest::default()
            },
        ] {
            assert!(call(raw).is_err());
            let row = Request::from_row(raw, &Policy::for_tests(), &Orders);
            assert_eq!((row.provided, row.channel), (None, None));
        }
    }

    #[test]
    fn a_row_says_which_identifier_counts_as_none_and_why() {
        let long = "x".repeat(600);
        let mut policy = Policy::for_tests();
        policy.blocked.insert("shared".into());
        let provided = |id| RawRequest {
            provided_visitor_id: Some(id),
            ..RawRequest::default()
        };
        let channel = |channel_type, id| RawRequest {
            channel_type,
            channel_user_id: Some(id),
            ..RawRequest::default()
        };
        let reasons = |raw| -> Vec<(&str, &str)> {
            Unusable::of_row(raw, &policy, &Orders)
                .into_iter()
                .map(|unusable| (unusable.argument, unusable.reason))
                .collect()
        };
        for (raw, argument, reason) in [
            (provided("0"), "provided_visitor_id", "blocked"),
            (provided("Shared"), "provided_visitor_id", "blocked"),
            (provided(&long), "provided_visitor_id", "too_long"),
            (
                provided("a\u{1}b"),
                "provided_visitor_id",
                "control_character",
            ),
            (
                channel(None, "67854257"),
                "channel_type",
                "channel_type_missing",
            ),
            (
                channel(Some("fax"), "67854257"),
                "channel_type",
                "unknown_channel",
            ),
            (
                telegram("not a number"),
                "channel_user_id",
                "channel_format",
            ),
            (telegram("null"), "channel_user_id", "blocked"),
            (
                channel(Some("whatsapp"), "+0 000-00"),
                "channel_user_id",
                "blocked",
            ),
            (telegram(&long), "channel_user_id", "too_long"),
            (
                RawRequest {
                    channel_id: Some(&long),
                    ..telegram("67854257")
                },
                "channel_id",
                "too_long",
            ),
        ] {
            assert_eq!(reasons(raw), [(argument, reason)]);
            let row = Request::from_row(raw, &policy, &Orders);
            assert_eq!((row.provided, row.channel), (None, None));
        }
        let both = RawRequest {
            provided_visitor_id: Some("null"),
            ..telegram("x")
        };
        assert_eq!(reasons(both).len(), 2);
        for usable_or_not_brought in [
            provided("C-1"),
            provided(" \u{200b}"),
            telegram("67854257"),
            telegram(" "),
            channel(Some("web"), ""),
            channel(Some("orders"), "O-1"),
            RawRequest {
                channel_type: Some("web"),
                ..RawRequest::default()
            },
            RawRequest::default(),
        ] {
            assert_eq!(reasons(usable_or_not_brought), []);
        }
    }

    #[test]
    fn a_phone_number_is_keyed_by_its_digits_and_a_custom_channel_by_its_own_rule() {
        let whatsapp = RawRequest {
            channel_type: Some("whatsapp"),
            channel_user_id: Some("+1 (043) 568-5475"),
            ..RawRequest::default()
        };
        let key = call(whatsapp).unwrap().channel.unwrap();
        assert_eq!(key.channel_user_id, "10435685475");
        let orders = |id| RawRequest {
            channel_type: Some("orders"),
            channel_user_id: Some(id),
            ..RawRequest::default()
        };
        assert!(call(orders("O-1")).unwrap().channel.is_some());
        assert!(matches!(
            call(orders("1")),
            Err(Refusal::ChannelFormat { .. })
        ));
    }

    #[test]
    fn the_profile_of_the_account_is_enforced() {
        let mut policy = Policy::for_tests();
        let nine = telegram("678542571");
        assert!(Request::from_call(nine, &policy, &Orders).is_ok());
        policy.channel_format = ChannelFormat::Profile(Profile::Documented);
        assert!(Request::from_call(nine, &policy, &Orders).is_err());
        policy.channel_format = ChannelFormat::Any;
        assert!(Request::from_call(telegram("anything"), &policy, &Orders).is_ok());
    }

    #[test]
    fn a_bare_provided_id_is_refused_where_a_signature_is_required_and_left_to_the_facts_in_a_row()
    {
        let mut policy = Policy::for_tests();
        policy.require_signature = true;
        let raw = RawRequest {
            provided_visitor_id: Some("C-42"),
            ..RawRequest::default()
        };
        assert_eq!(
            Request::from_call(raw, &policy, &Orders),
            Err(Refusal::SignatureRequired)
        );
        assert!(Request::from_row(raw, &policy, &Orders).provided.is_some());
        let verified = RawRequest {
            verified: true,
            ..raw
        };
        let request = Request::from_call(verified, &policy, &Orders).unwrap();
        assert_eq!(request.provided.as_deref(), Some("C-42"));
    }

    #[test]
    fn a_signature_over_what_is_no_id_is_refused_and_never_taken_for_an_anonymous_visitor() {
        let mut policy = Policy::for_tests();
        policy.blocked.insert("shared".into());
        for id in [" ", "0", "undefined", "Shared"] {
            let raw = RawRequest {
                provided_visitor_id: Some(id),
                verified: true,
                ..RawRequest::default()
            };
            assert_eq!(
                Request::from_call(raw, &policy, &Orders),
                Err(Refusal::SignedIdUnusable)
            );
        }
    }
}
