//! Signed visitor fields (design section 6): the account's keys and its strict rule; what a verified login leaves behind.
//! May touch: the tables `account` and `signature_key`, `visitor_fields`, and `provided_identity.verified_at`.
//!
//! Keys are read anew by every call and kept nowhere: one that was retired verifies nothing from then on, and no backend
//! remembers a secret.

use super::policy::policy;
use super::resolve::{asked_there, facts_of_plain_row, resolve};
use super::spi::{connect, is_read_only, look_anew, Mode, Value};
use super::statement;
use crate::call::Call;
use crate::error::IdentityError;
use crate::identifier::{self, Text};
use crate::resolution::RawRequest;
use crate::signature::{
    verify, Algorithm, ConfigError, Key, ShapeError, SignedVisitor, Strict, Verdict,
};
use std::collections::BTreeMap;
use uuid::Uuid;

/// How often a login starts again because its id became another visitor's in the middle of it.
const MOST_ATTEMPTS: usize = 3;

// Two statements, because the accounts and the keys may be distributed differently.
statement!(
    RULE,
    "select a.signature_fields::pg_catalog.text, a.signature_horizon::pg_catalog.int8
    from visitor_identity.account as a
    where a.account operator(pg_catalog.=) $1"
);
statement!(
    KEYS,
    "select k.algorithm, k.secret
    from visitor_identity.signature_key as k
    where k.account operator(pg_catalog.=) $1
        and k.retired_at is null"
);

statement!(
    ADD_KEY,
    "insert into visitor_identity.signature_key (account, algorithm, secret)
    values ($1, $2, $3)
    returning key_id"
);

statement!(
    RETIRE_KEY,
    "update visitor_identity.signature_key as k
    set retired_at = coalesce(k.retired_at, pg_catalog.now())
    where k.account operator(pg_catalog.=) $1
        and k.key_id operator(pg_catalog.=) $2"
);

statement!(
    WHAT_IS_KEPT,
    "select (
            p.verified_at operator(pg_catalog.>)
                (pg_catalog.now() operator(pg_catalog.-) '01:00:00'::pg_catalog.interval)
        ) is true,
        (
            f.fields operator(pg_catalog.=) $3::pg_catalog.jsonb
            and f.verified_at operator(pg_catalog.>)
                (pg_catalog.now() operator(pg_catalog.-) '01:00:00'::pg_catalog.interval)
        ) is true
    from visitor_identity.provided_identity as p
    left join visitor_identity.visitor_fields as f
        on f.account operator(pg_catalog.=) $1
        and f.visitor_id operator(pg_catalog.=) p.visitor_id
    where p.account operator(pg_catalog.=) $1
        and p.provided_visitor_id operator(pg_catalog.=) $2"
);

statement!(
    IS_BOUND_TO,
    "select p.visitor_id operator(pg_catalog.=) $3
    from visitor_identity.provided_identity as p
    where p.account operator(pg_catalog.=) $1
        and p.provided_visitor_id operator(pg_catalog.=) $2"
);

statement!(
    MARK_VERIFIED,
    "update visitor_identity.provided_identity as p
    set verified_at = pg_catalog.now()
    where p.account operator(pg_catalog.=) $1
        and p.provided_visitor_id operator(pg_catalog.=) $2"
);

statement!(
    KEEP_FIELDS,
    "insert into visitor_identity.visitor_fields as f (account, visitor_id, fields)
    values ($1, $2, $3::pg_catalog.jsonb)
    on conflict (account, visitor_id) do update
    set fields = excluded.fields,
        verified_at = excluded.verified_at"
);

/// The strict rule of an account, from the text of `signature_fields`. Errors: 22023 for what is none.
pub fn strict_rule(fields: &str, horizon_seconds: i64) -> Result<Strict, IdentityError> {
    let lines: BTreeMap<String, String> = serde_json::from_str(fields).map_err(|_| {
        IdentityError::BadSignatureFields("it is not a JSON object of texts".into())
    })?;
    Strict::parse(&lines, horizon_seconds)
        .map_err(|error: ConfigError| IdentityError::BadSignatureFields(error.to_string()))
}

/// Reads the text of a JSON value as a signed object. Errors: 22P02, naming the field.
pub fn signed_visitor(json: Option<&str>) -> Result<SignedVisitor, IdentityError> {
    let value = serde_json::from_str(json.unwrap_or("null")).map_err(|_| {
        // jsonb holds numbers and depths that are no use to anybody here, and that no reader of ours takes.
        IdentityError::MalformedVisitor(
            "a value is nested too deeply, or is a number beyond 64 bits".into(),
        )
    })?;
    SignedVisitor::parse(&value)
        .map_err(|error: ShapeError| IdentityError::MalformedVisitor(error.to_string()))
}

/// The verdict of the account's keys and rule. Errors: 42704 for an unknown account.
pub fn verdict(
    account: &str,
    visitor: &SignedVisitor,
    now_unix_seconds: i64,
) -> Result<Verdict, IdentityError> {
    connect(|| {
        let values = [Value::Text(Some(account))];
        let rule = RULE.with(|kept| kept.run(Mode::NewestReadOnly, &values))?;
        if rule.len() == 0 {
            return Err(IdentityError::UnknownAccount);
        }
        let rows = KEYS.with(|kept| kept.run(Mode::NewestReadOnly, &values))?;
        let secrets: Vec<(Algorithm, String)> = (0..rows.len())
            .filter_map(|row| {
                let algorithm = Algorithm::from_name(&rows.get::<String>(row, 1)?)?;
                Some((algorithm, rows.get::<String>(row, 2)?))
            })
            .collect();
        let keys: Vec<Key<'_>> = secrets
            .iter()
            .map(|(algorithm, secret)| Key {
                algorithm: *algorithm,
                secret,
            })
            .collect();
        let strict = rule
            .get::<String>(0, 1)
            .map(|fields| strict_rule(&fields, rule.number(0, 2)))
            .transpose()?;
        Ok(verify(visitor, &keys, strict.as_ref(), now_unix_seconds))
    })
}

/// `authorize_visitor`, where the account is.
pub fn authorize_text(
    account: &str,
    visitor: Option<&str>,
    raw: RawRequest<'_>,
    now_unix_seconds: i64,
) -> Result<Uuid, IdentityError> {
    let sent = || {
        Call::Authorize(
            visitor.unwrap_or_default().into(),
            raw.into(),
            now_unix_seconds,
        )
    };
    let there = match visitor {
        Some(_) => connect(|| asked_there(account, sent))?,
        None => None,
    };
    match there {
        Some(answer) => Ok(answer),
        None => authorize(account, &signed_visitor(visitor)?, raw, now_unix_seconds),
    }
}

/// `authorize_visitor`: verifies, resolves with the proven id, and keeps what was proven. Nothing is written before the
/// verdict. Errors: 28000 with the product's code; 22023 for a signed id that is none; those of `resolve`.
pub fn authorize(
    account: &str,
    visitor: &SignedVisitor,
    raw: RawRequest<'_>,
    now_unix_seconds: i64,
) -> Result<Uuid, IdentityError> {
    let verdict = verdict(account, visitor, now_unix_seconds)?;
    if verdict != Verdict::Ok {
        return Err(IdentityError::SignatureRefused {
            code: verdict.code(),
            reason: verdict.to_string(),
        });
    }
    let proven = RawRequest {
        provided_visitor_id: Some(visitor.id()),
        verified: true,
        ..raw
    };
    for _ in 0..MOST_ATTEMPTS {
        let visitor_id = resolve(account, proven)?.visitor_id;
        if is_read_only() || keep(account, visitor, visitor_id)? {
            return Ok(visitor_id);
        }
        look_anew();
    }
    Err(IdentityError::Serialization)
}

/// Remembers that the id was verified, and the fields; writes nothing when that is known, to the hour. False: the
/// visitor was forgotten meanwhile, or the id went back to another when a merge was undone, and nothing was kept.
fn keep(account: &str, visitor: &SignedVisitor, visitor_id: Uuid) -> Result<bool, IdentityError> {
    let Ok(Text::Identifier(provided)) = identifier::parse(visitor.id()) else {
        return Err(IdentityError::SignedIdUnusable);
    };
    let fields = serde_json::to_string(visitor.fields())
        .map_err(|_| IdentityError::Internal("signed fields could not be written".into()))?;
    let identity = [Value::Text(Some(account)), Value::Text(Some(provided))];
    connect(|| {
        let [account_value, provided_value] = identity;
        let values = [account_value, provided_value, Value::Json(Some(&fields))];
        let kept = WHAT_IS_KEPT.with(|kept| kept.run(Mode::OwnWork, &values))?;
        let (is_marked, has_fields) = (kept.truth(0, 1), kept.truth(0, 2));
        if is_marked && has_fields {
            return Ok(true);
        }
        // A merge may be taking the visitor away, or somebody forgets him: it is waited for, and the fields go to whoever
        // he is then.
        let stands = facts_of_plain_row(account, visitor_id)?
            .cookie
            .filter(|visitor| !visitor.forgotten);
        let Some(survivor) = stands else {
            return Ok(false);
        };
        let values = [
            account_value,
            provided_value,
            Value::Uuid(Some(survivor.id)),
        ];
        let bound = IS_BOUND_TO.with(|kept| kept.run(Mode::Newest, &values))?;
        if !bound.truth(0, 1) {
            return Ok(false);
        }
        if !is_marked {
            MARK_VERIFIED.with(|kept| kept.run(Mode::Write, &identity))?;
        }
        if !has_fields {
            let values = [
                account_value,
                Value::Uuid(Some(survivor.id)),
                Value::Json(Some(&fields)),
            ];
            KEEP_FIELDS.with(|kept| kept.run(Mode::Write, &values))?;
        }
        Ok(true)
    })
}

/// `add_signature_key`. Errors: 22023 for an empty key or an unknown algorithm; 25006; 42704 for an unknown account.
pub fn add_key(account: &str, secret: &str, algorithm: &str) -> Result<i64, IdentityError> {
    let algorithm = Algorithm::from_name(algorithm).ok_or(IdentityError::BadOption {
        option: "algorithm",
        allowed: "hmac-sha256, sha256, sha512, md5",
    })?;
    if secret.is_empty() {
        return Err(IdentityError::EmptySecret);
    }
    if is_read_only() {
        return Err(IdentityError::ReadOnlySetup);
    }
    connect(|| {
        policy(account)?;
        let values = [
            Value::Text(Some(account)),
            Value::Text(Some(algorithm.name())),
            Value::Text(Some(secret)),
        ];
        let rows = ADD_KEY.with(|kept| kept.run(Mode::Write, &values))?;
        Ok(rows.number(0, 1))
    })
}

/// `retire_signature_key`. Errors: 25006; 42704 for an unknown key.
pub fn retire_key(account: &str, key_id: i64) -> Result<(), IdentityError> {
    if is_read_only() {
        return Err(IdentityError::ReadOnlySetup);
    }
    connect(|| {
        let values = [Value::Text(Some(account)), Value::Int8(Some(key_id))];
        let rows = RETIRE_KEY.with(|kept| kept.run(Mode::Write, &values))?;
        if rows.len() == 0 {
            return Err(IdentityError::UnknownKey);
        }
        Ok(())
    })
}
