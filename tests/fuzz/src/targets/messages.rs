//! The messages of a chat as JSON: passed on as they are, or refused without showing a value.

use crate::payload::messages;
use crate::source::Source;
use regex::Regex;
use serde_json::Value;
use std::sync::LazyLock;

pub const REACHES: &[&str] = &["passed on", "refused"];

static REFUSAL: LazyLock<Regex> = LazyLock::new(|| {
    let reasons = [
        "it is not an object",
        r#"it has a member other than "id", "kind", "text" and "data""#,
        r#""(id|kind|text)" is missing"#,
        r#""id" is neither a text nor a number"#,
        r#""kind" is not a text"#,
        r#""text" is neither a text nor null"#,
    ];
    let whole = format!(
        r"\A(the messages are not an array|message [1-9][0-9]*: ({}))\z",
        reasons.join("|")
    );
    Regex::new(&whole).expect("an expression")
});

const VALUES: [&str; 14] = [
    "1",
    "-0",
    "1e400",
    "123456789012345678901234567890",
    "null",
    "true",
    "\"\"",
    "\"a\\u0000\\ud83d\\ude00\"",
    "\"visitor\"",
    "[]",
    "{}",
    "[1, {\"a\": null}]",
    " \"blanks\" ",
    "\"\\ud800\"",
];

fn array(source: &mut Source<'_>, text: &str) -> String {
    let all = (0..source.below(4)).map(|_| {
        let mut members = Vec::new();
        for name in ["id", "kind", "text", "data", "other", "id"] {
            let kept = match name {
                "data" => source.flag(),
                "other" | "id" if !members.is_empty() => source.byte() % 32 == 31,
                _ => source.byte() % 32 != 31,
            };
            if kept {
                let value = match source.byte() % 8 {
                    0 => source.pick(&VALUES).to_owned(),
                    1 => serde_json::to_string(&source.text()).expect("JSON"),
                    2 => text.to_owned(),
                    _ => "\"info\"".to_owned(),
                };
                members.push(format!("\"{name}\": {value}"));
            }
        }
        format!("{{{}}}", members.join(", "))
    });
    format!("[{}]", all.collect::<Vec<_>>().join(","))
}

pub fn run(data: &[u8]) -> &'static str {
    let mut source = Source::new(data);
    let text = source.text();
    let json = match source.byte() % 4 {
        0 => text,
        _ => array(&mut source, &text),
    };
    match messages(&json) {
        Ok(all) => {
            let written = serde_json::to_string(&all).expect("JSON");
            let again = messages(&written).expect("what was passed on once");
            assert_eq!(serde_json::to_string(&again).expect("JSON"), written);
            if let Ok(value) = serde_json::from_str::<Value>(&json) {
                assert_eq!(
                    serde_json::from_str::<Value>(&written).ok(),
                    Some(value),
                    "a message is changed"
                );
            }
            "passed on"
        }
        Err(reason) => {
            assert!(REFUSAL.is_match(&reason), "a value in a message: {reason}");
            "refused"
        }
    }
}
