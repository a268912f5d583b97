//! The messages of a chat as a bot gets them: passed through as they are, once they have the shape. Pure.
//! May touch: nothing but its arguments. An error names what is wrong, never a value.

use serde::Serialize;
use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// One message. Values are kept as they were written: a number may have more digits than 64 bits hold.
#[derive(Debug, Serialize)]
pub struct Message<'a> {
    id: &'a RawValue,
    kind: &'a RawValue,
    text: &'a RawValue,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<&'a RawValue>,
}

/// What a JSON value is, by its first character.
fn is_text(value: &RawValue) -> bool {
    value.get().starts_with('"')
}

fn is_number(value: &RawValue) -> bool {
    value
        .get()
        .starts_with(|first: char| first == '-' || first.is_ascii_digit())
}

/// Reads an array of messages. Errors: what is wrong, in words, with the place of the message, counted from one.
pub fn messages(json: &str) -> Result<Vec<Message<'_>>, String> {
    let not_an_array = |_| "the messages are not an array".to_owned();
    let all: Vec<&RawValue> = serde_json::from_str(json).map_err(not_an_array)?;
    (1..)
        .zip(all)
        .map(|(place, raw)| message(raw).map_err(|reason| format!("message {place}: {reason}")))
        .collect()
}

fn message(raw: &RawValue) -> Result<Message<'_>, String> {
    let mut members: BTreeMap<String, &RawValue> =
        serde_json::from_str(raw.get()).map_err(|_| "it is not an object".to_owned())?;
    let mut take = |name: &str| members.remove(name);
    let (id, kind, text, data) = (take("id"), take("kind"), take("text"), take("data"));
    if !members.is_empty() {
        return Err("it has a member other than \"id\", \"kind\", \"text\" and \"data\"".into());
    }
    let there =
        |value: Option<_>, name: &str| value.ok_or_else(|| format!("\"{name}\" is missing"));
    let (id, kind, text) = (there(id, "id")?, there(kind, "kind")?, there(text, "text")?);
    if !is_text(id) && !is_number(id) {
        return Err("\"id\" is neither a text nor a number".into());
    }
    if !is_text(kind) {
        return Err("\"kind\" is not a text".into());
    }
    // A file or a keyboard has none.
    if !is_text(text) && text.get() != "null" {
        return Err("\"text\" is neither a text nor null".into());
    }
    Ok(Message {
        id,
        kind,
        text,
        data,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passed(json: &str) -> Result<String, String> {
        messages(json).map(|all| serde_json::to_string(&all).unwrap_or_default())
    }

    #[test]
    fn messages_are_passed_as_they_are() {
        for json in [
            "[]",
            r#"[{"id":"a_1","kind":"visitor","text":"hello"}]"#,
            r#"[{"id":7,"kind":"file_visitor","text":null,"data":{"size":[1,2]}}]"#,
            r#"[{"id":123456789012345678901234567890,"kind":"info","text":"","data":null}]"#,
        ] {
            assert_eq!(passed(json).as_deref(), Ok(json));
        }
    }

    #[test]
    fn what_is_no_message_is_named_without_its_value() {
        for (json, reason) in [
            ("null", "the messages are not an array"),
            ("{}", "the messages are not an array"),
            ("\"secret\"", "the messages are not an array"),
            ("[1]", "message 1: it is not an object"),
            (
                r#"[{"kind":"visitor","text":"secret"}]"#,
                "message 1: \"id\" is missing",
            ),
            (
                r#"[{"id":1,"text":"secret"}]"#,
                "message 1: \"kind\" is missing",
            ),
            (
                r#"[{"id":1,"kind":"visitor"}]"#,
                "message 1: \"text\" is missing",
            ),
            (
                r#"[{"id":true,"kind":"visitor","text":""}]"#,
                "message 1: \"id\" is neither a text nor a number",
            ),
            (
                r#"[{"id":null,"kind":"visitor","text":""}]"#,
                "message 1: \"id\" is neither a text nor a number",
            ),
            (
                r#"[{"id":1,"kind":1,"text":""}]"#,
                "message 1: \"kind\" is not a text",
            ),
            (
                r#"[{"id":1,"kind":"visitor","text":{}}]"#,
                "message 1: \"text\" is neither a text nor null",
            ),
            (
                r#"[{"id":1,"kind":"visitor","text":""},{"id":2,"kind":"visitor","text":"","secret":1}]"#,
                "message 2: it has a member other than \"id\", \"kind\", \"text\" and \"data\"",
            ),
        ] {
            assert_eq!(passed(json), Err(reason.to_owned()), "{json}");
        }
    }

    #[test]
    fn deep_and_large_values_pass() {
        let deep = format!("{}{}", "[".repeat(5_000), "]".repeat(5_000));
        let json = format!(r#"[{{"id":1e400,"kind":"info","text":"","data":{deep}}}]"#);
        assert_eq!(passed(&json), Ok(json.clone()));
    }
}
