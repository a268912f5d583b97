//! Every shape against a golden file in `tests/golden`.

use super::*;
use serde::Serialize;
use serde_json::value::RawValue;

/// The demo user of the product's own SDK.
fn identified() -> Person {
    let fields = [
        ("display_name", "Посетитель"),
        ("email", "anna@example.com"),
        ("id", "1234567890987654321"),
        ("phone", "+78123855337"),
    ];
    Person {
        visitor_id: Uuid::from_u128(0x877a_920e_de70_8241_2656_ac1c_dec7_ecde),
        provided_visitor_id: Some("1234567890987654321".into()),
        fields: fields
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect(),
        channel: Some(Channel {
            channel_type: "viber".into(),
            channel_id: Some("shop".into()),
            channel_user_id: Some("5dfjdg5lfg8dGjg0DF95+h==".into()),
        }),
        created_at: Instant(1_518_790_888_552_867),
        modified_at: Instant(1_518_790_890_000_000),
    }
}

fn anonymous() -> Person {
    Person {
        visitor_id: Uuid::from_u128(0xfc28_3b99_ff97_436a_8ce4_e88e_1b28_0cd4),
        provided_visitor_id: None,
        fields: BTreeMap::new(),
        channel: None,
        created_at: Instant(1_518_790_888_000_000),
        modified_at: Instant(1_518_790_888_000_000),
    }
}

#[track_caller]
fn assert_golden(shape: &impl Serialize, golden: &str) {
    let written = serde_json::to_string_pretty(shape).unwrap_or_default();
    assert_eq!(written, golden.trim_end(), "written:\n{written}");
}

#[test]
fn the_bot_shape() {
    assert_golden(
        &BotMessage::of(&identified()),
        include_str!("../../tests/golden/visitor_bot.json"),
    );
    assert_golden(
        &BotMessage::of(&anonymous()),
        include_str!("../../tests/golden/visitor_bot_anonymous.json"),
    );
}

#[test]
fn the_client_shape() {
    assert_golden(
        &Client::of(&identified()),
        include_str!("../../tests/golden/visitor_client.json"),
    );
    assert_golden(
        &Client::of(&anonymous()),
        include_str!("../../tests/golden/visitor_client_anonymous.json"),
    );
}

#[test]
fn the_event_of_a_new_chat() {
    let golden = include_str!("../../tests/golden/new_chat.json");
    let id = RawValue::from_string("12345".into()).unwrap_or_default();
    let telegram = Channel {
        channel_type: "telegram".into(),
        channel_id: None,
        channel_user_id: Some("67854257".into()),
    };
    let text = r#"[{"id": "a_1", "kind": "visitor", "text": "hello"},
        {"id": "a_2", "kind": "keyboard", "text": null, "data": {"state": "pending"}}]"#;
    let all = messages(text).unwrap_or_default();
    let person = identified();
    let event = NewChat::of(&id, &person, Some(&telegram), all);
    // By value: the data of a message are passed as they were written, blanks and all.
    let written = serde_json::to_value(serde_json::to_string(&event).unwrap_or_default());
    let written = written.unwrap_or_default();
    let read = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap_or_default();
    assert_eq!(read(written.as_str().unwrap_or_default()), read(golden));
}

#[test]
fn display_name_is_the_name_and_a_field_called_name_gives_way() {
    let mut person = anonymous();
    let mut insert = |name: &str, value: &str| person.fields.insert(name.into(), value.into());
    insert("name", "a field of the client's own");
    insert("display_name", "Anna");
    let value = serde_json::to_value(BotMessage::of(&person)).unwrap_or_default();
    assert_eq!(
        value.pointer("/visitor/fields"),
        Some(&serde_json::json!({"name": "Anna"}))
    );
    person.fields.remove("display_name");
    let value = serde_json::to_value(BotMessage::of(&person)).unwrap_or_default();
    assert_eq!(
        value.pointer("/visitor/fields/name"),
        Some(&serde_json::json!("a field of the client's own"))
    );
}

#[test]
fn only_known_shapes_have_a_name() {
    for name in Shape::NAMES.split(", ") {
        assert!(Shape::from_name(name).is_some());
    }
    assert_eq!(Shape::from_name("Bot"), None);
    assert_eq!(Shape::from_name(""), None);
}
