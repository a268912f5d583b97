//! The promises of signed fields: the published vector, both attacks in both modes, and properties over random objects.
//! May touch: nothing but its arguments.

use super::strict::Refusal;
use super::*;
use proptest::prelude::*;
use serde_json::{json, Value};
use std::collections::BTreeMap;

const KEY: &str = "e64e35642555f3ecd64ae7dbb600dca8";
const HMAC: &str = "07ef16b821f9552a8b3118416ed9ed6278d3a8ff93751d157c88edc1895cd86f";
const SHA256: &str = "f859287203804f8f25123b3ea651338ac73cef970bec1066d061d75786c0dcb7";
const SHA512: &str = "4ea919daf569bfe27144e33f84b58fcccf98379107c3024db7d0514963775cd600a603cb4dbb48e51a50825df62287b4eb52073c7a86b46b38c6fddcc6c8afbb";
const MD5: &str = "8d549c98b9d888c35a619274db4888e3";
const EXPIRES: i64 = 1_481_195_621;
const HOUR: i64 = 3600;

const ALL: [Algorithm; 4] = [
    Algorithm::HmacSha256,
    Algorithm::Sha256,
    Algorithm::Sha512,
    Algorithm::Md5,
];

const fn key(algorithm: Algorithm, secret: &str) -> Key<'_> {
    Key { algorithm, secret }
}

const PUBLISHED: Key<'static> = key(Algorithm::HmacSha256, KEY);

fn fields() -> Value {
    json!({"id": "12345", "display_name": "Евгений", "phone": "+78123855337", "email": "abc@webim.ru"})
}

fn signed(fields: Value, expires: Value, hash: &str) -> Value {
    json!({"fields": fields, "expires": expires, "hash": hash})
}

fn published(hash: &str) -> Value {
    signed(fields(), json!(EXPIRES), hash)
}

fn visitor(value: &Value) -> SignedVisitor {
    SignedVisitor::parse(value).unwrap()
}

fn judged(value: &Value, keys: &[Key<'_>], strict: Option<&Strict>, now: i64) -> Verdict {
    verify(&visitor(value), keys, strict, now)
}

fn faithful(value: &Value) -> Verdict {
    judged(value, &[PUBLISHED], None, EXPIRES)
}

fn strictly(value: &Value, now: i64) -> Verdict {
    judged(value, &[PUBLISHED], Some(&rule(&LINES)), now)
}

const LINES: [(&str, &str); 4] = [
    ("display_name", "name movable"),
    ("email", "email movable"),
    ("id", "digits"),
    ("phone", "plus-phone"),
];

fn rule(lines: &[(&str, &str)]) -> Strict {
    let lines = lines
        .iter()
        .map(|(name, line)| ((*name).into(), (*line).into()));
    Strict::parse(&lines.collect(), HOUR).unwrap()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What the client's own server does.
fn sign(
    algorithm: Algorithm,
    secret: &str,
    fields: &BTreeMap<String, String>,
    end: &str,
) -> String {
    let message: String = fields.values().map(String::as_str).chain([end]).collect();
    hex(&algorithm.sign(secret, message.as_bytes()))
}

fn sign_value(fields: &Value, end: &str) -> String {
    let owned = serde_json::from_value(fields.clone()).unwrap();
    sign(Algorithm::HmacSha256, KEY, &owned, end)
}

#[test]
fn the_published_vector_verifies_with_all_four_algorithms() {
    for (algorithm, hash) in ALL.into_iter().zip([HMAC, SHA256, SHA512, MD5]) {
        let keys = [key(algorithm, KEY)];
        assert_eq!(judged(&published(hash), &keys, None, EXPIRES), Verdict::Ok);
        let upper = published(&hash.to_uppercase());
        assert_eq!(judged(&upper, &keys, None, EXPIRES), Verdict::Ok);
        let text = signed(fields(), json!(EXPIRES.to_string()), hash);
        assert_eq!(judged(&text, &keys, None, EXPIRES), Verdict::Ok);
    }
}

#[test]
fn the_hashes_of_the_english_page_do_not_verify() {
    let english = json!({"id": "12345", "display_name": "John", "phone": "+10432234376", "email": "abc@rox.chat"});
    for secret in [KEY, "e64e356464255555f3ecd64ae7dbb600dca8"] {
        for (algorithm, hash) in [(Algorithm::HmacSha256, HMAC), (Algorithm::Sha256, SHA256)] {
            let object = signed(english.clone(), json!(EXPIRES), hash);
            let verdict = judged(&object, &[key(algorithm, secret)], None, EXPIRES);
            assert_eq!(verdict, Verdict::WrongHash);
        }
    }
}

#[test]
fn an_algorithm_is_the_key_s_and_not_the_object_s() {
    for (i, algorithm) in ALL.into_iter().enumerate() {
        for (j, hash) in [HMAC, SHA256, SHA512, MD5].into_iter().enumerate() {
            let verdict = judged(&published(hash), &[key(algorithm, KEY)], None, EXPIRES);
            assert_eq!(verdict == Verdict::Ok, i == j, "{algorithm:?} {hash}");
        }
    }
}

#[test]
fn the_codes_are_the_product_s() {
    let refusal = |refusal| Verdict::NotStrict(refusal).code();
    assert_eq!(Verdict::Ok.code(), "ok");
    assert_eq!(
        Verdict::WrongHash.code(),
        "wrong-provided-visitor-hash-value"
    );
    assert_eq!(Verdict::Expired.code(), "provided-visitor-expired");
    assert_eq!(
        Verdict::WrongExpires.code(),
        "wrong-provided-visitor-expires-value"
    );
    for about_expiry in [
        Refusal::ExpiresMissing,
        Refusal::ExpiresNotTenDigits,
        Refusal::ExpiresTooFar(1),
    ] {
        assert_eq!(
            refusal(about_expiry),
            "wrong-provided-visitor-expires-value"
        );
    }
    for about_fields in [
        Refusal::FieldMissing("a".into()),
        Refusal::FieldUnexpected("a".into()),
        Refusal::WrongShape("a".into(), "digits".into()),
        Refusal::Ambiguous("a".into(), "b".into()),
        Refusal::TooLong,
    ] {
        assert_eq!(refusal(about_fields), "wrong-provided-visitor-hash-value");
    }
}

// The two attacks of notes/product.md section 1.5.

fn shifted() -> Value {
    let mut object = published(HMAC);
    object["fields"]["email"] = json!("abc@webim.ru1");
    object["fields"]["id"] = json!("2345");
    object
}

fn stripped() -> Value {
    let mut object = published(HMAC);
    object["fields"]["phone"] = json!("+781238553371481195621");
    object.as_object_mut().unwrap().remove("expires");
    object
}

fn stripped_to_flat() -> Value {
    let mut object = stripped()["fields"].clone();
    object["crc"] = json!(HMAC);
    object
}

#[test]
fn in_the_faithful_mode_field_shifting_makes_another_id() {
    assert_eq!(faithful(&shifted()), Verdict::Ok);
    assert_eq!(visitor(&shifted()).id(), "2345");
}

#[test]
fn in_the_faithful_mode_a_stripped_expiry_makes_an_object_eternal() {
    for object in [stripped(), stripped_to_flat()] {
        assert_eq!(judged(&object, &[PUBLISHED], None, i64::MAX), Verdict::Ok);
    }
    assert_eq!(
        judged(&published(HMAC), &[PUBLISHED], None, i64::MAX),
        Verdict::Expired
    );
}

#[test]
fn in_the_faithful_mode_fields_can_be_renamed_merged_and_added() {
    for fields in [
        json!({"id": "Евгенийabc@webim.ru12345+78123855337"}),
        json!({"display_name": "Евгенийabc@webim.ru", "id": "12345+78123855337"}),
        json!({"a": "Евгенийabc@webim.ru", "id": "12345", "zip": "+78123855337"}),
        json!({"a": "Евгенийabc@webim.ru12345+7812385533", "id": "7", "z": ""}),
    ] {
        assert_eq!(faithful(&signed(fields, json!(EXPIRES), HMAC)), Verdict::Ok);
    }
}

#[test]
fn in_strict_mode_the_honest_object_verifies_and_neither_attack_does() {
    let now = EXPIRES - 60;
    assert_eq!(strictly(&published(HMAC), now), Verdict::Ok);
    let shape = Refusal::WrongShape("email".into(), "email movable".into());
    assert_eq!(strictly(&shifted(), now), Verdict::NotStrict(shape));
    for object in [stripped(), stripped_to_flat()] {
        for now in [now, EXPIRES + 1, 0, i64::MAX] {
            let verdict = strictly(&object, now);
            assert_eq!(verdict, Verdict::NotStrict(Refusal::ExpiresMissing));
        }
    }
}

#[test]
fn in_strict_mode_fields_cannot_be_renamed_merged_or_added() {
    for (fields, refusal) in [
        (
            json!({"display_name": "Евгений", "email": "abc@webim.ru", "id": "12345+78123855337"}),
            Refusal::WrongShape("id".into(), "digits".into()),
        ),
        (
            json!({"display_name": "Евгений", "email": "abc@webim.ru", "id": "12345", "zip": "+78123855337"}),
            Refusal::FieldUnexpected("zip".into()),
        ),
        (
            json!({"display_name": "Евгений", "email": "abc@webim.ru", "id": "12345", "phone": "+78123855337", "z": ""}),
            Refusal::FieldUnexpected("z".into()),
        ),
        (
            json!({"email": "abc@webim.ru", "id": "12345", "phone": "+78123855337"}),
            Refusal::FieldMissing("display_name".into()),
        ),
    ] {
        let hash = sign_value(&fields, "1481195621");
        let verdict = strictly(&signed(fields, json!(EXPIRES), &hash), EXPIRES);
        assert_eq!(verdict, Verdict::NotStrict(refusal));
    }
}

#[test]
fn in_strict_mode_a_rule_too_loose_refuses_the_honest_object_instead_of_letting_a_forged_one_in() {
    let loose = rule(&[
        ("display_name", "text"),
        ("email", "text"),
        ("id", "digits"),
        ("phone", "plus-phone"),
    ]);
    for object in [published(HMAC), shifted()] {
        let verdict = judged(&object, &[PUBLISHED], Some(&loose), EXPIRES);
        let boundary = Refusal::Ambiguous("email".into(), "id".into());
        assert_eq!(verdict, Verdict::NotStrict(boundary));
    }
    // With an id of fixed length the same texts are exact, up to the two that say they are not.
    let fixed = rule(&[
        ("display_name", "text movable"),
        ("email", "text movable"),
        ("id", "digits 5"),
        ("phone", "plus-phone"),
    ]);
    assert_eq!(
        judged(&published(HMAC), &[PUBLISHED], Some(&fixed), EXPIRES),
        Verdict::Ok
    );
    assert_ne!(
        judged(&shifted(), &[PUBLISHED], Some(&fixed), EXPIRES),
        Verdict::Ok
    );
}

#[test]
fn in_strict_mode_two_movable_neighbours_still_share_their_characters_and_a_separator_ends_that() {
    let moved = json!({"display_name": "Евгенийa", "email": "bc@webim.ru", "id": "12345", "phone": "+78123855337"});
    let moved = signed(moved, json!(EXPIRES), HMAC);
    assert_eq!(strictly(&moved, EXPIRES), Verdict::Ok);

    let exact = rule(&[
        ("display_name", "name"),
        ("e", "constant |"),
        ("email", "email"),
        ("id", "digits"),
        ("phone", "plus-phone"),
    ]);
    let mut separated = fields();
    separated["e"] = json!("|");
    let hash = sign_value(&separated, "1481195621");
    let mut object = signed(separated, json!(EXPIRES), &hash);
    assert_eq!(
        judged(&object, &[PUBLISHED], Some(&exact), EXPIRES),
        Verdict::Ok
    );
    object["fields"]["display_name"] = json!("Евгений|");
    object["fields"]["e"] = json!("a");
    object["fields"]["email"] = json!("bc@webim.ru");
    assert!(matches!(
        judged(&object, &[PUBLISHED], Some(&exact), EXPIRES),
        Verdict::NotStrict(Refusal::WrongShape(..))
    ));
}

// Somebody who chooses his own free text, and lets the client's server sign it.
#[test]
fn in_strict_mode_an_id_hidden_in_a_free_text_is_refused_with_the_object_that_hides_it() {
    let lines = rule(&[
        ("display_name", "text"),
        ("id", "digits 5"),
        ("info", "text optional"),
    ]);
    let honest = json!({"display_name": "Ann", "id": "12345", "info": "x99999"});
    let forged = json!({"display_name": "Ann12345x", "id": "99999", "info": ""});
    let hash = sign_value(&honest, "1481195621");
    for fields in [honest, forged] {
        let object = signed(fields, json!(EXPIRES), &hash);
        assert_eq!(faithful(&object), Verdict::Ok);
        let verdict = judged(&object, &[PUBLISHED], Some(&lines), EXPIRES);
        assert!(
            matches!(verdict, Verdict::NotStrict(Refusal::Ambiguous(..))),
            "{verdict}"
        );
    }
}

#[test]
fn in_strict_mode_the_values_have_a_longest_length() {
    let lines = rule(&[("id", "digits 5"), ("info", "text")]);
    for (length, verdict) in [
        (4091, Verdict::Ok),
        (4092, Verdict::NotStrict(Refusal::TooLong)),
    ] {
        let fields = json!({"id": "12345", "info": "x".repeat(length)});
        let hash = sign_value(&fields, "1481195621");
        let object = signed(fields, json!(EXPIRES), &hash);
        assert_eq!(
            judged(&object, &[PUBLISHED], Some(&lines), EXPIRES),
            verdict
        );
    }
}

#[test]
fn in_strict_mode_the_expiry_is_ten_digits_and_at_most_the_horizon_ahead() {
    for (expires, now, verdict) in [
        (json!(EXPIRES), EXPIRES - HOUR, Verdict::Ok),
        (
            json!(EXPIRES),
            EXPIRES - HOUR - 1,
            Verdict::NotStrict(Refusal::ExpiresTooFar(HOUR)),
        ),
        (json!(EXPIRES), EXPIRES, Verdict::Ok),
        (json!("1481195621"), EXPIRES, Verdict::Ok),
        (json!(EXPIRES), EXPIRES + 1, Verdict::Expired),
        (json!(EXPIRES), i64::MAX, Verdict::Expired),
        (
            json!(EXPIRES),
            i64::MIN,
            Verdict::NotStrict(Refusal::ExpiresTooFar(HOUR)),
        ),
        (
            json!("01481195621"),
            EXPIRES,
            Verdict::NotStrict(Refusal::ExpiresNotTenDigits),
        ),
        (
            json!("0481195621"),
            EXPIRES,
            Verdict::NotStrict(Refusal::ExpiresNotTenDigits),
        ),
        (
            json!(999_999_999),
            999_999_999,
            Verdict::NotStrict(Refusal::ExpiresNotTenDigits),
        ),
        (
            json!(EXPIRES * 1000),
            EXPIRES,
            Verdict::NotStrict(Refusal::ExpiresNotTenDigits),
        ),
    ] {
        let end = expires
            .as_str()
            .map_or_else(|| expires.to_string(), str::to_owned);
        let object = signed(fields(), expires, &sign_value(&fields(), &end));
        assert_eq!(strictly(&object, now), verdict, "{end} at {now}");
    }
}

// T27
#[test]
fn a_proof_for_one_id_proves_no_other_and_a_proof_of_one_account_none_in_another() {
    let mut object = published(HMAC);
    object["fields"]["id"] = json!("12346");
    assert_eq!(faithful(&object), Verdict::WrongHash);
    let other_account = [key(
        Algorithm::HmacSha256,
        "0123456789abcdef0123456789abcdef",
    )];
    assert_eq!(
        judged(&published(HMAC), &other_account, None, EXPIRES),
        Verdict::WrongHash
    );
}

// T28
#[test]
fn an_id_without_a_hash_is_no_signed_object_and_without_a_key_nothing_is_proven() {
    let bare = json!({"fields": {"id": "12345"}});
    assert_eq!(SignedVisitor::parse(&bare), Err(ShapeError::MissingHash));
    assert_eq!(
        judged(&published(HMAC), &[], None, EXPIRES),
        Verdict::WrongHash
    );
    // Everybody could sign with an empty key.
    for algorithm in ALL {
        let empty = [key(algorithm, "")];
        let owned = serde_json::from_value(fields()).unwrap();
        let hash = sign(algorithm, "", &owned, "1481195621");
        assert_eq!(
            judged(&published(&hash), &empty, None, EXPIRES),
            Verdict::WrongHash
        );
    }
}

// T29
#[test]
fn a_random_hash_is_wrong_in_every_form_of_it() {
    for hash in [
        "",
        "0",
        "00",
        "ok",
        "null",
        &HMAC[..62],
        &HMAC[..63],
        &format!("{HMAC}00"),
        &format!(" {HMAC}"),
        &format!("{HMAC}\n"),
        &"0".repeat(64),
        SHA256,
        "хеш",
    ] {
        assert_eq!(faithful(&published(hash)), Verdict::WrongHash, "{hash:?}");
        let flat = json!({"id": "1", "crc": hash});
        assert_eq!(faithful(&flat), Verdict::WrongHash, "{hash:?}");
    }
}

// T30
#[test]
fn an_expired_proof_is_told_from_a_wrong_one_at_both_edges() {
    let at = |now| judged(&published(HMAC), &[PUBLISHED], None, now);
    assert_eq!(at(EXPIRES - 1), Verdict::Ok);
    assert_eq!(at(EXPIRES), Verdict::Ok);
    assert_eq!(at(EXPIRES + 1), Verdict::Expired);
    assert_eq!(at(i64::MIN), Verdict::Ok);
    assert_eq!(at(i64::MAX), Verdict::Expired);
    // Forged and expired: forged.
    let forged = published(SHA256);
    assert_eq!(
        judged(&forged, &[PUBLISHED], None, EXPIRES + 1),
        Verdict::WrongHash
    );
    assert_eq!(strictly(&forged, EXPIRES + 1), Verdict::WrongHash);
}

// T30
#[test]
fn an_expiry_that_is_none_is_told_as_such_whatever_the_hash() {
    for expires in [
        json!(null),
        json!(true),
        json!(1481195621.0),
        json!(1.5),
        json!(-1),
        json!([]),
        json!({}),
        json!(""),
        json!("-1"),
        json!("+1"),
        json!(" 1481195621"),
        json!("1481195621.0"),
        json!("soon"),
        json!("١"),
        json!(u64::MAX),
        json!("9223372036854775808"),
    ] {
        let object = signed(fields(), expires, HMAC);
        assert_eq!(faithful(&object), Verdict::WrongExpires, "{object}");
        assert_eq!(
            strictly(&object, EXPIRES),
            Verdict::WrongExpires,
            "{object}"
        );
        assert_eq!(visitor(&object).expires(), None);
    }
}

#[test]
fn the_expiry_is_signed_as_it_is_written() {
    let hash = sign_value(&fields(), "0001481195621");
    let zeros = signed(fields(), json!("0001481195621"), &hash);
    assert_eq!(faithful(&zeros), Verdict::Ok);
    assert_eq!(visitor(&zeros).expires(), Some(EXPIRES));
    assert_eq!(
        faithful(&signed(fields(), json!(EXPIRES), &hash)),
        Verdict::WrongHash
    );
    // Zero is an expiry, long passed, and not the absence of one.
    let zero = signed(fields(), json!(0), &sign_value(&fields(), "0"));
    assert_eq!(faithful(&zero), Verdict::Expired);
}

#[test]
fn without_an_expiry_the_faithful_mode_never_expires() {
    let object = json!({"fields": fields(), "hash": sign_value(&fields(), "")});
    assert_eq!(judged(&object, &[PUBLISHED], None, i64::MAX), Verdict::Ok);
    let mut null = object.clone();
    null["expires"] = json!(null);
    assert_eq!(faithful(&null), Verdict::WrongExpires);
}

#[test]
fn during_a_rotation_both_keys_verify_each_with_its_own_algorithm() {
    let old = key(Algorithm::Md5, "old");
    let new = key(Algorithm::HmacSha256, "new");
    let owned = serde_json::from_value(fields()).unwrap();
    for signer in [old, new] {
        let hash = sign(signer.algorithm, signer.secret, &owned, "1481195621");
        let object = published(&hash);
        for keys in [
            &[old, new][..],
            &[new, old],
            &[signer],
            &[signer, signer, PUBLISHED],
        ] {
            assert_eq!(judged(&object, keys, None, EXPIRES), Verdict::Ok);
        }
        let retired = if signer.secret == "old" { new } else { old };
        assert_eq!(
            judged(&object, &[retired], None, EXPIRES),
            Verdict::WrongHash
        );
    }
    // Neither the secret of one with the algorithm of the other.
    let mixed = sign(Algorithm::Md5, "new", &owned, "1481195621");
    assert_eq!(
        judged(&published(&mixed), &[old, new], None, EXPIRES),
        Verdict::WrongHash
    );
}

#[test]
fn a_flat_object_is_verified_by_the_algorithm_of_the_key() {
    let owned: BTreeMap<String, String> = serde_json::from_value(fields()).unwrap();
    for algorithm in ALL {
        let mut flat = fields();
        flat["crc"] = json!(sign(algorithm, KEY, &owned, ""));
        assert_eq!(
            judged(&flat, &[key(algorithm, KEY)], None, i64::MAX),
            Verdict::Ok
        );
        let flat = visitor(&flat);
        assert!(flat.is_flat());
        assert_eq!((flat.id(), flat.expires()), ("12345", None));
        assert_eq!(flat.fields(), &owned);
    }
}

#[test]
fn members_beside_the_fields_are_not_signed_and_not_kept() {
    let mut object = published(HMAC);
    object["crc"] = json!("anything");
    object["role"] = json!({"admin": true});
    assert_eq!(faithful(&object), Verdict::Ok);
    let kept = visitor(&object);
    assert!(!kept.is_flat());
    assert_eq!(kept.fields().len(), 4);
}

#[test]
fn escapes_in_the_json_are_the_characters_they_stand_for() {
    let text = format!(
        r#"{{"hash": "{HMAC}", "fields": {{"\u0070hone": "\u002b78123855337", "email": "abc\u0040webim.ru",
            "display_name": "\u0415\u0432\u0433\u0435\u043d\u0438\u0439", "id": "12345"}}, "expires": 1481195621}}"#
    );
    let object: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(object, published(HMAC));
    assert_eq!(faithful(&object), Verdict::Ok);
    // A surrogate pair is one character, and no two spellings of one letter are made equal.
    let one: Value =
        serde_json::from_str(r#"{"fields": {"id": "\ud83d\ude00й"}, "hash": ""}"#).unwrap();
    assert_eq!(visitor(&one).id(), "😀\u{439}");
    let hash = sign_value(&json!({"id": "\u{439}"}), "");
    let decomposed = json!({"fields": {"id": "\u{438}\u{306}"}, "hash": hash});
    assert_eq!(faithful(&decomposed), Verdict::WrongHash);
}

#[test]
fn fields_are_joined_in_the_order_of_their_names_by_code_point() {
    let names = [
        "",
        "10",
        "9",
        "Z",
        "a",
        "a1",
        "a_",
        "id",
        "я",
        "\u{ffff}",
        "\u{10000}",
    ];
    let fields: BTreeMap<&str, usize> =
        names.iter().rev().map(|name| (*name, name.len())).collect();
    let joined: String = names.iter().map(|name| name.len().to_string()).collect();
    let hash = hex(&Algorithm::HmacSha256.sign(KEY, joined.as_bytes()));
    let object = json!({"fields": fields, "hash": hash});
    assert_eq!(faithful(&object), Verdict::Ok);
}

#[test]
fn of_a_key_that_stands_twice_the_last_one_counts() {
    let text = r#"{"fields": {"id": "1", "id": "2"}, "hash": "a", "hash": "b"}"#;
    assert_eq!(visitor(&serde_json::from_str(text).unwrap()).id(), "2");
}

#[test]
fn an_integer_counts_as_its_text() {
    for (number, text) in [
        (json!(12345), "12345"),
        (json!(0), "0"),
        (json!(-7), "-7"),
        (json!(i64::MIN), "-9223372036854775808"),
        (json!(u64::MAX), "18446744073709551615"),
    ] {
        let hash = sign_value(&json!({"id": text, "x": text}), "");
        let object = json!({"fields": {"id": number, "x": number}, "hash": hash});
        assert_eq!(faithful(&object), Verdict::Ok, "{text}");
        assert_eq!(visitor(&object).id(), text);
    }
}

#[test]
fn a_value_that_is_neither_text_nor_integer_is_an_error_that_names_the_field() {
    let not_text = || Err(ShapeError::FieldNotText("phone".into()));
    for value in [
        json!(null),
        json!(true),
        json!(1.5),
        json!(1e3),
        json!(-0.0),
        json!([]),
        json!({"id": "1"}),
    ] {
        let object = json!({"fields": {"id": "1", "phone": value}, "hash": ""});
        assert_eq!(SignedVisitor::parse(&object), not_text(), "{value}");
        let flat = json!({"id": "1", "phone": value, "crc": ""});
        assert_eq!(SignedVisitor::parse(&flat), not_text(), "{value}");
    }
    let digits = r#"{"fields": {"id": 1, "phone": 18446744073709551616}, "hash": ""}"#;
    assert_eq!(
        SignedVisitor::parse(&serde_json::from_str(digits).unwrap()),
        not_text()
    );
    assert_eq!(
        ShapeError::FieldNotText("phone".into()).to_string(),
        "field \"phone\" is neither a text nor a whole number of 64 bits"
    );
}

#[test]
fn a_value_that_is_no_signed_object_is_an_error_that_says_why() {
    for (value, error) in [
        (json!(null), ShapeError::NotAnObject),
        (json!("x"), ShapeError::NotAnObject),
        (json!([{}]), ShapeError::NotAnObject),
        (json!({}), ShapeError::MissingFields),
        (json!({"id": "1", "hash": ""}), ShapeError::MissingFields),
        (
            json!({"fields": null, "hash": ""}),
            ShapeError::FieldsNotAnObject,
        ),
        (
            json!({"fields": "{}", "crc": ""}),
            ShapeError::FieldsNotAnObject,
        ),
        (
            json!({"fields": [["id", "1"]], "hash": ""}),
            ShapeError::FieldsNotAnObject,
        ),
        (json!({"fields": {}, "hash": ""}), ShapeError::MissingId),
        (
            json!({"fields": {"id": ""}, "hash": ""}),
            ShapeError::MissingId,
        ),
        (
            json!({"fields": {"ID": "1"}, "id": "1", "hash": ""}),
            ShapeError::MissingId,
        ),
        (
            json!({"fields": {"id": null}, "hash": ""}),
            ShapeError::FieldNotText("id".into()),
        ),
        (json!({"fields": {"id": "1"}}), ShapeError::MissingHash),
        (
            json!({"fields": {"id": "1"}, "crc": ""}),
            ShapeError::MissingHash,
        ),
        (
            json!({"fields": {"id": "1"}, "hash": null}),
            ShapeError::HashNotText("hash"),
        ),
        (
            json!({"fields": {"id": "1"}, "hash": 5}),
            ShapeError::HashNotText("hash"),
        ),
        (json!({"id": "1", "crc": 5}), ShapeError::HashNotText("crc")),
        (json!({"crc": ""}), ShapeError::MissingId),
        (
            json!({"id": "1", "expires": 1, "crc": ""}),
            ShapeError::FlatExpires,
        ),
    ] {
        assert_eq!(SignedVisitor::parse(&value), Err(error), "{value}");
    }
}

#[test]
fn every_message_is_one_line_without_values() {
    let long = format!("{}\n\"x", "ы".repeat(70));
    let shown = ShapeError::FieldNotText(long).to_string();
    assert_eq!(
        shown,
        format!(
            "field \"{}...\" is neither a text nor a whole number of 64 bits",
            "ы".repeat(64)
        )
    );
    let breaking = Refusal::FieldUnexpected("a\nb\"".into()).to_string();
    assert_eq!(breaking, "field \"a\\nb\\\"\" is not one of the account's");
    assert_eq!(
        Verdict::NotStrict(Refusal::Ambiguous("email".into(), "id".into())).to_string(),
        "the signed text does not tell where field \"email\" ends and field \"id\" begins"
    );
    assert_eq!(
        Verdict::NotStrict(Refusal::WrongShape("id".into(), "digits 5".into())).to_string(),
        "field \"id\" must have the shape \"digits 5\""
    );
}

#[test]
fn an_object_is_printed_without_its_values_and_hash() {
    let printed = format!("{:?}", visitor(&published(HMAC)));
    for hidden in ["12345", "Евгений", "webim", "7812", HMAC] {
        assert!(!printed.contains(hidden), "{printed}");
    }
}

fn names() -> impl Strategy<Value = BTreeMap<String, String>> {
    let value = prop_oneof!["[a-c1-3]{0,3}", "[a-zа-я0-9@.+]{0,12}", any::<String>()];
    let fields = proptest::collection::btree_map("[a-z_]{1,6}", value, 0..5);
    (fields, "[a-z0-9я]{1,6}").prop_map(|(mut fields, id)| {
        fields.insert("id".to_owned(), id);
        fields
    })
}

fn algorithms() -> impl Strategy<Value = Algorithm> {
    proptest::sample::select(&ALL[..])
}

/// Arbitrary JSON, with the names that mean something here.
fn documents() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        "[0-9a-f]{0,4}".prop_map(Value::from),
    ];
    let name = prop_oneof![
        proptest::sample::select(vec!["fields", "id", "hash", "crc", "expires"])
            .prop_map(str::to_owned),
        any::<String>(),
    ];
    leaf.prop_recursive(3, 24, 6, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            proptest::collection::btree_map(name.clone(), inner, 0..6)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn any_json_is_an_object_or_an_error_and_what_is_an_object_gets_a_verdict(value in documents()) {
        if let Ok(visitor) = SignedVisitor::parse(&value) {
            prop_assert!(!visitor.id().is_empty());
            let strict = rule(&LINES);
            for strict in [None, Some(&strict)] {
                let verdict = verify(&visitor, &[PUBLISHED], strict, EXPIRES);
                prop_assert!(matches!(verdict, Verdict::WrongHash | Verdict::WrongExpires));
            }
        }
    }

    #[test]
    fn no_error_contains_a_value(
        at in proptest::sample::select(vec!["id", "phone", "hash", "expires"]),
        secret in "[A-Z]{12}",
        nested in any::<bool>(),
    ) {
        let value = if nested { json!([secret]) } else { json!({"x": secret}) };
        let mut object = json!({"fields": {"id": secret, "phone": secret}, "hash": secret, "expires": secret});
        match at {
            "hash" | "expires" => object[at] = value,
            _ => object["fields"][at] = value,
        }
        let told = match SignedVisitor::parse(&object) {
            Ok(visitor) => {
                let verdict = verify(&visitor, &[PUBLISHED], None, 0);
                format!("{visitor:?} {verdict:?} {verdict}")
            }
            Err(error) => format!("{error:?} {error}"),
        };
        prop_assert!(!told.contains(&secret), "{told}");
    }

    #[test]
    fn what_a_key_signed_verifies(
        fields in names(),
        algorithm in algorithms(),
        expires in proptest::option::of(0_i64..=i64::MAX),
        secret in "[ -~я]{1,80}",
    ) {
        let end = expires.map(|at| at.to_string()).unwrap_or_default();
        let hash = sign(algorithm, &secret, &fields, &end);
        let mut object = json!({"fields": fields, "hash": hash});
        if let Some(expires) = expires {
            object["expires"] = json!(expires);
        }
        prop_assert_eq!(judged(&object, &[key(algorithm, &secret)], None, 0), Verdict::Ok);
    }

    // One character put for another, anywhere: the joined text is another one.
    #[test]
    fn a_changed_character_in_any_value_or_in_the_expiry_is_a_wrong_hash(
        fields in names(),
        algorithm in algorithms(),
        expires in 1_000_000_000_i64..=9_999_999_999,
        place in any::<proptest::sample::Index>(),
        put in any::<char>(),
        digit in proptest::char::range('0', '9'),
    ) {
        let hash = sign(algorithm, KEY, &fields, &expires.to_string());
        let keys = [key(algorithm, KEY)];
        let mut changed: Vec<(Option<&String>, Vec<char>)> =
            fields.iter().map(|(name, value)| (Some(name), value.chars().collect())).collect();
        changed.push((None, expires.to_string().chars().collect()));
        let total = changed.iter().map(|(_, value)| value.len()).sum();
        let mut at = place.index(total);
        let mut object = signed(json!(fields), json!(expires.to_string()), &hash);
        for (name, value) in &mut changed {
            if at >= value.len() {
                at -= value.len();
                continue;
            }
            let put = if name.is_some() { put } else { digit };
            prop_assume!(value[at] != put);
            value[at] = put;
            let value: String = value.iter().collect();
            match name {
                Some(name) => object["fields"][name.as_str()] = json!(value),
                None => object["expires"] = json!(value),
            }
            break;
        }
        prop_assert_eq!(judged(&object, &keys, None, 0), Verdict::WrongHash);
    }

    // The faithful mode proves the joined text, no more and no less.
    #[test]
    fn an_object_verifies_with_the_hash_of_another_exactly_if_their_joined_texts_are_equal(
        one in names(),
        other in names(),
        end in "[1-3]{0,2}",
        cut in any::<proptest::sample::Index>(),
        recut in any::<bool>(),
    ) {
        let hash = sign(Algorithm::HmacSha256, KEY, &one, &end);
        let text: String = one.values().map(String::as_str).chain([end.as_str()]).collect();
        let other = if recut {
            // The same text in two fields, of which the second is the id.
            let cuts: Vec<usize> = text.char_indices().map(|(at, _)| at).collect();
            let (before, id) = text.split_at(*cut.get(&cuts));
            BTreeMap::from([("a".to_owned(), before.to_owned()), ("id".to_owned(), id.to_owned())])
        } else {
            other
        };
        let equal = other.values().map(String::as_str).collect::<String>() == text;
        let object = json!({"fields": other, "hash": hash});
        prop_assert!(equal || !recut);
        prop_assert_eq!(judged(&object, &[PUBLISHED], None, i64::MAX) == Verdict::Ok, equal);
    }

    // The promise of strict mode, over random rules: what it accepts of one signed text agrees on all that is exact.
    #[test]
    fn of_one_signature_strict_mode_accepts_one_expiry_and_one_value_of_every_exact_field(
        shapes in proptest::collection::vec(proptest::sample::select(vec![
            "digits", "digits 2", "digits 1-3 optional", "name", "name movable", "text", "text movable",
            "text optional movable", "token 3", "constant 1", "email", "email movable", "plus-phone",
        ]), 3),
        id in proptest::sample::select(vec!["digits", "digits 3", "token", "text", "name"]),
        text in "[ab1]{3,7}|[ab]{1,3}@b[.]ru[12a]{1,4}|[ab]{0,2}[12]{1,3}[+][1]{7,8}",
        cuts in proptest::collection::vec(proptest::collection::vec(any::<proptest::sample::Index>(), 3), 24),
        now in 1_481_190_000_i64..1_481_196_000,
    ) {
        let names = ["a", "e", "id", "z"];
        let lines: Vec<(&str, &str)> = ["a", "e", "z"].into_iter().zip(shapes).chain([("id", id)]).collect();
        let strict = rule(&lines);
        let movable = |name: &str| lines.iter().any(|(n, line)| *n == name && line.contains("movable"));
        let message = format!("{text}{EXPIRES}");
        let hash = hex(&Algorithm::HmacSha256.sign(KEY, message.as_bytes()));
        let mut accepted: Option<BTreeMap<String, String>> = None;
        // Any cut of the text into the four fields, with the expiry where it was, or within the last field.
        for cut in cuts {
            for (body, expires) in [(&text, Some(EXPIRES)), (&message, None)] {
                let mut places: Vec<usize> = cut.iter().map(|at| at.index(body.len() + 1)).collect();
                places.sort_unstable();
                let bounds = [0, places[0], places[1], places[2], body.len()];
                let fields: BTreeMap<String, String> = names.iter().zip(bounds.windows(2))
                    .map(|(name, at)| ((*name).to_owned(), body[at[0]..at[1]].to_owned()))
                    .collect();
                let mut object = json!({"fields": fields, "hash": hash});
                if let Some(expires) = expires {
                    object["expires"] = json!(expires);
                }
                let Ok(object) = SignedVisitor::parse(&object) else { continue };
                if verify(&object, &[PUBLISHED], Some(&strict), now) == Verdict::Ok {
                    prop_assert_eq!(object.expires(), Some(EXPIRES));
                    let first = accepted.get_or_insert_with(|| fields.clone());
                    for name in names.iter().filter(|name| !movable(name)) {
                        prop_assert_eq!(&first[*name], &fields[*name]);
                    }
                }
            }
        }
    }
}
