//! A request as calls and as chat rows read it: the two readings agree, and what is read can be stored.

use super::policy::policy;
use crate::identifier::channel::{ChannelType, Profile};
use crate::identifier::{self, placeholder, text};
use crate::resolution::{
    Asker, ChannelFormat, CustomChannels, Note, Policy, RawRequest, Refusal, Request, Unusable,
};
use crate::source::Source;

pub const REACHES: &[&str] = &[
    "both ids",
    "provided id",
    "channel id",
    "cookie",
    "nothing",
    "refused",
];

/// A channel that a DBA added.
struct Orders;

impl CustomChannels for Orders {
    fn accepts(&self, channel_type: &str, id: &str) -> Option<bool> {
        (channel_type == "orders").then(|| id.starts_with("O-"))
    }
}

const TYPES: [&str; 12] = [
    "telegram",
    "viber",
    "whatsapp",
    "facebook",
    "email",
    "sms",
    "vk",
    "skype",
    "orders",
    " telegram ",
    "",
    "Telegram",
];

fn assert_usable(policy: &Policy, request: &Request) {
    if let Some(id) = &request.provided {
        assert!(
            identifier::is_identifier_text(id)
                && !placeholder::is_placeholder(id)
                && !policy.blocks(id)
        );
    }
    if let Some(key) = &request.channel {
        let id = &key.channel_user_id;
        assert!(
            identifier::is_identifier_text(id)
                && !placeholder::is_placeholder(id)
                && !policy.blocks(id)
        );
        assert!(identifier::is_identifier_text(&key.channel_type));
        assert!(key.channel_id.is_empty() || identifier::is_identifier_text(&key.channel_id));
        let accepted = match (
            ChannelType::from_name(&key.channel_type),
            policy.channel_format,
        ) {
            (_, ChannelFormat::Any) => true,
            (Some(channel), ChannelFormat::Profile(profile)) => channel.accepts(id, profile),
            (None, _) => id.starts_with("O-"),
        };
        assert!(accepted, "an id outside of the account's format");
    }
    assert!(
        !request.cookie.is_some_and(identifier::is_no_visitor),
        "a nil cookie"
    );
    assert!(
        request
            .notes
            .iter()
            .all(|note| *note == Note::BlockedIdentifier)
            && request.notes.len() <= 1
    );
}

pub fn run(data: &[u8]) -> &'static str {
    let mut source = Source::new(data);
    let (provided, user_id) = (source.text(), source.text());
    let policy = policy(&mut source);
    let provided = source.maybe(|_| provided);
    let user_id = source.maybe(|_| user_id);
    let channel_type = source.maybe(|source| match source.byte() % 8 {
        0 => source.text(),
        _ => source.pick(&TYPES).to_owned(),
    });
    let channel_id = source.maybe(Source::text);
    let raw = RawRequest {
        provided_visitor_id: provided.as_deref(),
        channel_type: channel_type.as_deref(),
        channel_user_id: user_id.as_deref(),
        visitor_id: source.maybe(Source::uuid),
        channel_id: channel_id.as_deref(),
        verified: source.flag(),
    };
    let call = Request::from_call(raw, &policy, &Orders);
    let row = Request::from_row(raw, &policy, &Orders);
    let unusable = Unusable::of_row(raw, &policy, &Orders);

    assert_usable(&policy, &row);
    assert_eq!(row.asker, Asker::ChatRow);
    for Unusable { argument, reason } in &unusable {
        assert!([
            "provided_visitor_id",
            "channel_user_id",
            "channel_type",
            "channel_id"
        ]
        .contains(argument));
        assert_eq!(
            *reason == "blocked",
            *reason == "blocked" && !row.notes.is_empty(),
            "blocked without a note"
        );
    }
    // Whatever a row brings is used, or listed with a reason, and never both.
    let brought = |raw: Option<&str>| raw.is_some_and(|raw| !text::trim(raw).is_empty());
    let lists = |wanted: &[&str]| unusable.iter().any(|one| wanted.contains(&one.argument));
    assert_eq!(
        brought(raw.provided_visitor_id),
        row.provided.is_some() || lists(&["provided_visitor_id"])
    );
    assert!(row.provided.is_none() || !lists(&["provided_visitor_id"]));
    let channel = ["channel_user_id", "channel_type", "channel_id"];
    assert_eq!(
        brought(raw.channel_user_id),
        row.channel.is_some() || lists(&channel)
    );
    assert!(row.channel.is_none() || !lists(&channel));

    match call {
        Ok(call) => {
            assert_usable(&policy, &call);
            // A row reads the same, but that it asks for no signature.
            assert_eq!(
                (&call.provided, &call.channel, call.cookie),
                (&row.provided, &row.channel, row.cookie)
            );
            assert_eq!(call.notes, row.notes);
            assert!(
                unusable.iter().all(|one| one.reason == "blocked"),
                "a call takes what a row cannot use"
            );
            assert!(
                !policy.require_signature || call.provided.is_none() || raw.verified,
                "unsigned"
            );
            // What was read reads as itself.
            let key = call.channel.as_ref();
            let again = RawRequest {
                provided_visitor_id: call.provided.as_deref(),
                channel_type: key.map(|key| key.channel_type.as_str()),
                channel_user_id: key.map(|key| key.channel_user_id.as_str()),
                channel_id: key.map(|key| key.channel_id.as_str()),
                visitor_id: call.cookie,
                verified: raw.verified,
            };
            let again = Request::from_call(again, &policy, &Orders).expect("what was read once");
            assert_eq!(
                (&again.provided, &again.channel, again.cookie),
                (&call.provided, &call.channel, call.cookie)
            );
            assert!(again.notes.is_empty());
            match (&call.provided, &call.channel, call.cookie) {
                (Some(_), Some(_), _) => "both ids",
                (Some(_), None, _) => "provided id",
                (None, Some(_), _) => "channel id",
                (None, None, Some(_)) => "cookie",
                (None, None, None) => "nothing",
            }
        }
        Err(refusal) => {
            match refusal {
                Refusal::SignatureRequired => assert!(policy.require_signature && !raw.verified),
                Refusal::SignedIdUnusable => assert!(raw.verified && row.provided.is_none()),
                Refusal::ChannelUserIdMissing => assert!(raw.channel_user_id.is_none()),
                Refusal::ChannelFormat { profile, .. } => {
                    assert!(Profile::from_name(profile).is_some() && !unusable.is_empty());
                }
                Refusal::Text(..) | Refusal::ChannelTypeMissing => assert!(!unusable.is_empty()),
                // Also refused where nothing is brought in it.
                Refusal::UnknownChannel => assert!(row.channel.is_none()),
            }
            "refused"
        }
    }
}
