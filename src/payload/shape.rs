//! The shapes, one struct each. Pure. May touch: nothing but its arguments.

use super::{Channel, Message, Person};
use serde::Serialize;
use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// For whom a visitor is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// A bot or a custom API: snake_case, times in ISO 8601.
    Bot,
    /// The client's page and the mobile SDKs: camelCase, times in seconds.
    Client,
}

impl Shape {
    /// The names, as an error lists them.
    pub const NAMES: &'static str = "bot, client";

    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "bot" => Some(Self::Bot),
            "client" => Some(Self::Client),
            _ => None,
        }
    }
}

/// What the product does not tell us: present in the shape, and empty.
type Unknown = Option<()>;
type NoTags = [(); 0];

/// The name under which the product returns a field that a client's page signs.
fn returned_name(signed: &str) -> &str {
    match signed {
        "display_name" => "name",
        other => other,
    }
}

/// The verified fields under the names that the product returns, without the id: whose it is, the bindings say, not the
/// signature of the day. A field of a client's own that is called `name` gives way to `display_name`.
fn returned_fields(person: &Person) -> BTreeMap<&str, &str> {
    let mut fields: BTreeMap<&str, &str> = BTreeMap::new();
    for (signed, value) in &person.fields {
        let name = returned_name(signed);
        if signed != "id" && (name != signed || !fields.contains_key(name)) {
            fields.insert(name, value);
        }
    }
    fields
}

/// A visitor_id as the product writes it: 32 lower-case hex digits.
fn hex(person: &Person) -> String {
    person.visitor_id.simple().to_string()
}

/// `{"visitor": {...}}`: shape `bot` of `visitor_payload`.
#[derive(Debug, Serialize)]
pub struct BotMessage<'a> {
    visitor: BotVisitor<'a>,
}

/// The visitor within whatever a bot gets.
#[derive(Debug, Serialize)]
struct BotVisitor<'a> {
    id: String,
    fields: BTreeMap<&'a str, &'a str>,
    channel: Option<BotChannel<'a>>,
    has_provided_fields: bool,
    created_at: String,
    modified_at: String,
    tags: NoTags,
}

#[derive(Debug, Serialize)]
struct BotChannel<'a> {
    #[serde(rename = "type")]
    channel_type: &'a str,
    id: Option<&'a str>,
    user_id: Option<&'a str>,
    user_name: Unknown,
}

impl<'a> BotVisitor<'a> {
    fn of(person: &'a Person, channel: Option<&'a Channel>) -> Self {
        let mut fields = returned_fields(person);
        if let Some(provided) = &person.provided_visitor_id {
            fields.insert("id", provided);
        }
        Self {
            id: hex(person),
            fields,
            channel: channel.map(|channel| BotChannel {
                channel_type: &channel.channel_type,
                id: channel.channel_id.as_deref(),
                user_id: channel.channel_user_id.as_deref(),
                user_name: None,
            }),
            has_provided_fields: person.provided_visitor_id.is_some(),
            created_at: person.created_at.iso8601(),
            modified_at: person.modified_at.iso8601(),
            tags: [],
        }
    }
}

impl<'a> BotMessage<'a> {
    #[must_use]
    pub fn of(person: &'a Person) -> Self {
        Self {
            visitor: BotVisitor::of(person, person.channel.as_ref()),
        }
    }
}

/// The event `new_chat` of the external bot API: `bot_payload`.
#[derive(Debug, Serialize)]
pub struct NewChat<'a> {
    event: &'static str,
    chat: Chat<'a>,
    visitor: BotVisitor<'a>,
    messages: Vec<Message<'a>>,
}

#[derive(Debug, Serialize)]
struct Chat<'a> {
    id: &'a RawValue,
}

impl<'a> NewChat<'a> {
    /// `channel`: the chat's own, which need not be the one the person used last.
    #[must_use]
    pub fn of(
        chat_id: &'a RawValue,
        person: &'a Person,
        channel: Option<&'a Channel>,
        messages: Vec<Message<'a>>,
    ) -> Self {
        Self {
            event: "new_chat",
            chat: Chat { id: chat_id },
            visitor: BotVisitor::of(person, channel),
            messages,
        }
    }
}

/// The visitor of the client protocol: shape `client` of `visitor_payload`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Client<'a> {
    fields: BTreeMap<&'a str, &'a str>,
    channel_type: Option<&'a str>,
    channel_id: Option<&'a str>,
    channel_user_id: Option<&'a str>,
    channel_user_name: Unknown,
    id: String,
    icon: Unknown,
    creation_ts: f64,
    modification_ts: f64,
    has_provided_fields: bool,
    tags: NoTags,
}

impl<'a> Client<'a> {
    #[must_use]
    pub fn of(person: &'a Person) -> Self {
        let channel = person.channel.as_ref();
        Self {
            fields: returned_fields(person),
            channel_type: channel.map(|channel| channel.channel_type.as_str()),
            channel_id: channel.and_then(|channel| channel.channel_id.as_deref()),
            channel_user_id: channel.and_then(|channel| channel.channel_user_id.as_deref()),
            channel_user_name: None,
            id: hex(person),
            icon: None,
            creation_ts: person.created_at.seconds(),
            modification_ts: person.modified_at.seconds(),
            has_provided_fields: person.provided_visitor_id.is_some(),
            tags: [],
        }
    }
}
