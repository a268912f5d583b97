//! How a visitor_id is computed from an identifier, or made up. Pure: may touch nothing but its
//! arguments; [`random`] alone reads the clock and the random source.
//!
//! The rule (design sections 2 and 3), so that a client who was given the namespace can recompute an
//! id: `uuid_v5(namespace, name)`, where `name` is a concatenation of netstrings,
//! `<decimal length in bytes of UTF-8>:<text>,` each, of
//!
//! 1. the kind, `provided_visitor_id` or `channel_user_id`;
//! 2. every part in order: the provided id; or the channel type, the channel id, the channel user id;
//! 3. the generation in decimal, and only when it is greater than 0.
//!
//! In Python, for the provided id `C-42`:
//!
//! ```python
//! uuid.uuid5(namespace, "19:provided_visitor_id,4:C-42,")
//! ```
//!
//! Identifiers go in trimmed and normalised. The lengths make the name unambiguous: no two different
//! lists of parts give the same name, whatever characters the parts contain.

use md5::{Digest, Md5};
use uuid::Uuid;

const PROVIDED: &str = "provided_visitor_id";
const CHANNEL: &str = "channel_user_id";

/// The visitor_id computed from a provided id (design section 3, step 1; derivation `uuid_v5` of
/// section 2). A generation above 0 is taken only when the earlier ones cannot be used.
#[must_use]
pub fn provided(namespace: Uuid, provided: &str, generation: u32) -> Uuid {
    uuid_v5(namespace, &[PROVIDED, provided], generation)
}

/// The visitor_id computed from a channel id, always by uuid_v5 (design section 3, step 1).
/// `channel_id` is the page, bot or number the id is scoped to, `""` where there is one.
#[must_use]
pub fn channel(
    namespace: Uuid,
    channel_type: &str,
    channel_id: &str,
    channel_user_id: &str,
    generation: u32,
) -> Uuid {
    uuid_v5(
        namespace,
        &[CHANNEL, channel_type, channel_id, channel_user_id],
        generation,
    )
}

/// The product's own scheme for provided ids, derivation `md5` (design section 2): the MD5 of the
/// UTF-8 text, read as a UUID as it is, without salt, account, version or variant bits.
#[must_use]
pub fn md5(provided: &str) -> Uuid {
    Uuid::from_bytes(Md5::digest(provided.as_bytes()).into())
}

/// A new visitor_id for somebody without an identifier: UUIDv7 (design section 3, step 1), so that
/// new rows go to the right edge of an index.
#[must_use]
pub fn random() -> Uuid {
    Uuid::now_v7()
}

fn uuid_v5(namespace: Uuid, parts: &[&str], generation: u32) -> Uuid {
    let mut name = String::new();
    for part in parts {
        push_netstring(&mut name, part);
    }
    // Left out for the first generation: what clients recompute stays the short form.
    if generation > 0 {
        push_netstring(&mut name, &generation.to_string());
    }
    Uuid::new_v5(&namespace, name.as_bytes())
}

fn push_netstring(name: &mut String, part: &str) {
    name.push_str(&part.len().to_string());
    name.push(':');
    name.push_str(part);
    name.push(',');
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The DNS namespace of RFC 4122, known to every UUID library.
    const NAMESPACE: Uuid = Uuid::NAMESPACE_DNS;

    // The expected values were computed with Python's own uuid and hashlib modules.
    #[test]
    fn a_client_recomputes_the_id_of_a_provided_id_with_any_uuid_library() {
        for (id, generation, expected) in [
            ("C-42", 0, "90c0d8bb-3be8-58ea-9ddc-f923f99e0972"),
            ("C-42", 1, "348f117a-1159-5bda-8065-4c8992cb5a41"),
            ("клиент-7", 0, "3e56df72-1ba7-5e93-8b27-b93778b33b77"),
        ] {
            assert_eq!(provided(NAMESPACE, id, generation).to_string(), expected);
        }
        assert_eq!(
            provided(NAMESPACE, "C-42", 0),
            Uuid::new_v5(&NAMESPACE, b"19:provided_visitor_id,4:C-42,")
        );
    }

    #[test]
    fn a_client_recomputes_the_id_of_a_channel_id_with_any_uuid_library() {
        assert_eq!(
            channel(NAMESPACE, "telegram", "", "67854257", 0).to_string(),
            "deb3fc23-7a88-54e2-aa04-2a196d2a7559"
        );
        assert_eq!(
            channel(NAMESPACE, "facebook", "page-1", "103458712527651", 0).to_string(),
            "8618041f-9dd1-5679-9204-749968840969"
        );
        assert_eq!(
            channel(NAMESPACE, "facebook", "page-1", "103458712527651", 2).to_string(),
            "d4ae5e56-6f4b-5c22-8c4f-13724ebffeb6"
        );
    }

    #[test]
    fn md5_is_the_scheme_of_the_product() {
        assert_eq!(
            md5("1234567890987654321").to_string(),
            "877a920e-de70-8241-2656-ac1cdec7ecde"
        );
        assert_eq!(
            md5("клиент-7").to_string(),
            "65119d9b-1aec-3582-fa4d-b898c731b3d1"
        );
    }

    #[test]
    fn another_account_computes_another_id() {
        assert_ne!(
            provided(NAMESPACE, "C-42", 0),
            provided(Uuid::NAMESPACE_URL, "C-42", 0)
        );
    }

    #[test]
    fn a_channel_id_of_two_pages_is_two_visitors() {
        assert_ne!(
            channel(NAMESPACE, "facebook", "page-1", "103458712527651", 0),
            channel(NAMESPACE, "facebook", "page-2", "103458712527651", 0)
        );
    }

    #[test]
    fn a_part_that_looks_like_a_generation_or_a_netstring_is_still_a_part() {
        assert_ne!(
            provided(NAMESPACE, "C-42,1:1", 0),
            provided(NAMESPACE, "C-42", 1)
        );
        assert_ne!(
            channel(NAMESPACE, "a", "", "b,1:c", 0),
            channel(NAMESPACE, "a", "b", "c", 0)
        );
    }

    #[test]
    fn random_ids_are_version_7_and_differ() {
        let (first, second) = (random(), random());
        assert_ne!(first, second);
        assert_eq!(first.get_version_num(), 7);
    }

    proptest! {
        #[test]
        fn moving_characters_between_parts_changes_the_id(
            whole in "[a-c0-9:,]{1,12}",
            first in proptest::collection::vec(0_usize..13, 2),
            second in proptest::collection::vec(0_usize..13, 2),
        ) {
            let length = whole.len();
            let cut = |mut at: Vec<usize>| {
                for i in &mut at {
                    *i = (*i).min(length);
                }
                at.sort_unstable();
                at
            };
            let (first, second) = (cut(first), cut(second));
            let id = |at: &[usize]| {
                let low = at.first().copied().unwrap_or(0);
                let high = at.last().copied().unwrap_or(0);
                let (head, tail) = whole.split_at(high);
                let (head, middle) = head.split_at(low);
                channel(NAMESPACE, head, middle, tail, 0)
            };
            prop_assert_eq!(id(&first) == id(&second), first == second);
        }

        #[test]
        fn every_generation_is_another_id_and_no_id_of_the_other_kind(
            id in "[a-z0-9]{1,9}", low in 0_u32..1000, step in 1_u32..1000,
        ) {
            prop_assert_ne!(
                provided(NAMESPACE, &id, low),
                provided(NAMESPACE, &id, low + step)
            );
            prop_assert_ne!(
                provided(NAMESPACE, &id, low),
                channel(NAMESPACE, "telegram", "", &id, low)
            );
        }
    }
}
