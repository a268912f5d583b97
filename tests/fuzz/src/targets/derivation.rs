//! Computed ids: as the documentation describes them, and of two different identifiers never the same.

use super::policy::policy;
use crate::identifier::derivation;
use crate::resolution::{computed_id, Asker, ChannelKey, Derivation, Request, Target};
use crate::source::Source;
use uuid::Uuid;

pub const REACHES: &[&str] = &["same", "different"];

/// Few letters, those of netstrings among them.
const LETTERS: &str = "aя01:,";

type Parts = (bool, String, String, String, u32);

fn parts(source: &mut Source<'_>) -> Parts {
    let is_channel = source.flag();
    let mut part = |used: bool| {
        if used {
            source.short(LETTERS)
        } else {
            String::new()
        }
    };
    let (one, two, three) = (part(true), part(is_channel), part(is_channel));
    (is_channel, one, two, three, u32::from(source.byte() % 3))
}

fn computed(namespace: Uuid, (is_channel, one, two, three, generation): &Parts) -> Uuid {
    if *is_channel {
        derivation::channel(namespace, one, two, three, *generation)
    } else {
        derivation::provided(namespace, one, *generation)
    }
}

/// By the documented rule, written once more.
fn documented(namespace: Uuid, (is_channel, one, two, three, generation): &Parts) -> Uuid {
    let mut texts = if *is_channel {
        vec!["channel_user_id", one, two, three]
    } else {
        vec!["provided_visitor_id", one]
    };
    let generation = generation.to_string();
    if generation != "0" {
        texts.push(&generation);
    }
    let name: String = texts
        .iter()
        .map(|text| format!("{}:{text},", text.len()))
        .collect();
    Uuid::new_v5(&namespace, name.as_bytes())
}

pub fn run(data: &[u8]) -> &'static str {
    let mut source = Source::new(data);
    let policy = policy(&mut source);
    let one = parts(&mut source);
    let other = if source.flag() {
        one.clone()
    } else {
        parts(&mut source)
    };
    let namespace = policy.namespace;
    assert_eq!(computed(namespace, &one), documented(namespace, &one));
    let same = computed(namespace, &one) == computed(namespace, &other);
    assert_eq!(same, one == other, "two identifiers compute one visitor_id");
    assert_ne!(
        computed(namespace, &one),
        computed(Uuid::from_u128(8), &one),
        "two accounts compute one visitor_id"
    );

    let (is_channel, first, second, third, generation) = &one;
    let request = Request {
        asker: Asker::Call,
        provided: Some(first.clone()),
        channel: Some(ChannelKey {
            channel_type: first.clone(),
            channel_id: second.clone(),
            channel_user_id: third.clone(),
        }),
        cookie: None,
        notes: Vec::new(),
    };
    let target = if *is_channel {
        Target::FromChannel
    } else {
        Target::FromProvided
    };
    let by_md5 = !is_channel && policy.derivation == Derivation::Md5 && *generation == 0;
    let expected = if by_md5 {
        derivation::md5(first)
    } else {
        documented(namespace, &one)
    };
    assert_eq!(
        computed_id(&policy, &request, target, *generation),
        Some(expected)
    );
    assert_eq!(
        computed_id(&policy, &request, Target::Random, *generation),
        None
    );
    if same {
        "same"
    } else {
        "different"
    }
}
