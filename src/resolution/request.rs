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
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
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
        let provided = usable(
            raw.provided_visitor_id,
            "provided_visitor_id",
            policy,
            &mut notes,
        )
        .ok()
        .flatten()
        .map(str::to_owned);
        let channel = channel_key(raw, policy, custom, &mut notes).ok().flatten();
        Self {
            asker: Asker::ChatRow,
            provided,
            channel,
            cookie: cookie(raw.visitor_id, &mut notes),
            notes,
        }
    }
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
