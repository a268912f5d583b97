//! What bots and clients get of any person: JSON of the documented shape, with nothing lost and nothing made up.

use crate::identifier::channel::ChannelType;
use crate::instant::Instant;
use crate::payload::{external_user_id, messages, BotMessage, Channel, Client, NewChat, Person};
use crate::source::Source;
use serde_json::value::RawValue;
use serde_json::Value;

pub const REACHES: &[&str] = &["identified", "anonymous"];

const NAMES: [&str; 8] = [
    "id",
    "name",
    "display_name",
    "email",
    "phone",
    "info",
    "",
    "\u{0}\"\\",
];

fn channel(source: &mut Source<'_>) -> Channel {
    Channel {
        channel_type: source.text(),
        channel_id: source.maybe(Source::text),
        channel_user_id: source.maybe(Source::text),
    }
}

fn assert_visitor(visitor: &Value, person: &Person) {
    let provided = person.provided_visitor_id.as_deref();
    assert_eq!(visitor["id"], person.visitor_id.simple().to_string());
    let fields = visitor["fields"].as_object().expect("fields");
    assert!(
        !fields.contains_key("display_name"),
        "a field under the name that is signed"
    );
    let name = person
        .fields
        .get("display_name")
        .or_else(|| person.fields.get("name"));
    assert_eq!(
        fields.get("name").and_then(Value::as_str),
        name.map(String::as_str)
    );
    for (name, value) in &person.fields {
        if !["id", "name", "display_name"].contains(&name.as_str()) {
            assert_eq!(
                fields.get(name),
                Some(&Value::from(value.as_str())),
                "a field is lost"
            );
        }
    }
    let known = |name: &str| name == "id" || name == "name" || person.fields.contains_key(name);
    assert!(fields.keys().all(|name| known(name)), "a field is made up");
    let id = fields.get("id").and_then(Value::as_str);
    // Whose it is, the bindings say, not the signature of the day.
    assert!(id.is_none() || id == provided);
}

pub fn run(data: &[u8]) -> &'static str {
    let mut source = Source::new(data);
    let person = Person {
        provided_visitor_id: source.maybe(Source::text),
        visitor_id: source.uuid(),
        fields: (0..source.below(5))
            .map(|_| (source.pick(&NAMES).to_owned(), source.text()))
            .collect(),
        channel: source.maybe(channel),
        created_at: Instant(source.number()),
        modified_at: Instant(source.number()),
    };
    let other = source.maybe(channel);
    let bot = serde_json::to_string(&BotMessage::of(&person)).expect("JSON");
    let bot: Value = serde_json::from_str(&bot).expect("JSON that reads back");
    assert_visitor(&bot["visitor"], &person);
    let provided = person.provided_visitor_id.as_deref();
    assert_eq!(bot["visitor"]["fields"]["id"].as_str(), provided);
    assert_eq!(bot["visitor"]["has_provided_fields"], provided.is_some());

    let client = serde_json::to_string(&Client::of(&person)).expect("JSON");
    let client: Value = serde_json::from_str(&client).expect("JSON that reads back");
    assert_visitor(&client, &person);
    assert!(client["creationTs"].is_f64());

    let chat = RawValue::from_string(source.number().to_string()).expect("a number");
    let none = messages("[]").expect("no messages");
    let event =
        serde_json::to_string(&NewChat::of(&chat, &person, other.as_ref(), none)).expect("JSON");
    let event: Value = serde_json::from_str(&event).expect("JSON that reads back");
    assert_eq!(event["event"], "new_chat");
    assert_visitor(&event["visitor"], &person);
    let shown = event["visitor"]["channel"]["user_id"].as_str();
    assert_eq!(
        shown,
        other
            .as_ref()
            .and_then(|channel| channel.channel_user_id.as_deref())
    );

    if let Some(channel) = &person.channel {
        let user = channel.channel_user_id.as_deref();
        let external = external_user_id(Some(&channel.channel_type), provided, user);
        let by_channel = [Some(ChannelType::Telegram), Some(ChannelType::Whatsapp)];
        if by_channel.contains(&ChannelType::from_name(&channel.channel_type)) {
            assert_eq!(external, user);
        } else {
            assert_eq!(external, provided.or(user));
        }
    }
    if provided.is_some() {
        "identified"
    } else {
        "anonymous"
    }
}
