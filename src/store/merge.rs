//! What a human orders about identities: joining two visitors, following a channel that renamed its user.
//! May touch: the identity tables and, through `rebind`, the attached tables.

use super::identity::{bind_channel, facts, lock_visitor, Lock};
use super::policy::{custom_channels, policy};
use super::rebind::{lock_chats, merge};
use super::resolve::{elect, take_turn};
use super::spi::{connect, is_read_only, Mode, Value};
use super::statement;
use crate::error::IdentityError;
use crate::resolution::{ChannelKey, RawRequest, Request};
use uuid::Uuid;

statement!(
    MARK_IDENTIFIED,
    "update visitor_identity.visitor as v
    set identified = true
    where v.account operator(pg_catalog.=) $1
        and v.visitor_id operator(pg_catalog.=) $2
        and not v.identified"
);

statement!(
    UNBIND_OLD_ID,
    "with gone as (
        delete from visitor_identity.channel_identity as c
        where c.account operator(pg_catalog.=) $1
            and c.channel_type operator(pg_catalog.=) $2
            and c.channel_id operator(pg_catalog.=) $3
            and c.channel_user_id operator(pg_catalog.=) $4
            and c.visitor_id operator(pg_catalog.=) $5
        returning c.account, c.channel_type, c.channel_id, c.channel_user_id, c.visitor_id
    )
    insert into visitor_identity.former_channel_identity
        (account, channel_type, channel_id, channel_user_id, visitor_id)
    select g.account, g.channel_type, g.channel_id, g.channel_user_id, g.visitor_id
    from gone as g
    on conflict do nothing"
);

/// `merge_visitors`: the visitor `from` becomes a former name of `into`, with everything he has. Errors: 42704 for an
/// unknown visitor; 55000 when either is superseded or forgotten, or `into` is not identified.
pub fn merge_by_order(
    account: &str,
    from: Uuid,
    into: Uuid,
    reason: &str,
) -> Result<Option<i64>, IdentityError> {
    connect(|| {
        policy(account)?;
        if is_read_only() {
            return Err(IdentityError::ReadOnlyOperation);
        }
        if from == into {
            return Ok(None);
        }
        take_turn(account, &[from, into])?;
        elect(account, from)?;
        let mut pair = [from, into];
        pair.sort_unstable();
        let mut from_was_identified = false;
        for visitor in pair {
            // Nothing of the survivor's row changes: who holds a chat of `from` may be giving it to him.
            let strength = if visitor == from {
                Lock::Take
            } else {
                Lock::Share
            };
            let locked =
                lock_visitor(account, visitor, strength)?.ok_or(IdentityError::UnknownVisitor)?;
            if locked.superseded_by.is_some() || locked.visitor.forgotten {
                return Err(IdentityError::not_in_state(
                    "the visitors cannot be merged",
                    "One of them was absorbed by another or forgotten.",
                    "Pass the survivor: visitor_identity.find_visitor(visitor_id => ...) gives it.",
                ));
            }
            if visitor == into && !locked.visitor.identified {
                return Err(IdentityError::not_in_state(
                    "the visitors cannot be merged",
                    "The visitor to merge into is anonymous.",
                    "Merge into the identified one; an anonymous visitor is joined by his own authorization.",
                ));
            }
            if visitor == from {
                from_was_identified = locked.visitor.identified;
            }
        }
        lock_chats(account, from)?;
        let merged = merge(account, from, into, reason)?;
        if from_was_identified {
            let values = [Value::Text(Some(account)), Value::Uuid(Some(into))];
            MARK_IDENTIFIED.with(|statement| statement.run(Mode::Newest, &values))?;
        }
        Ok(merged.map(|rebound| rebound.rebind_id))
    })
}

fn key_of(
    account: &str,
    channel_type: Option<&str>,
    channel_id: Option<&str>,
    channel_user_id: Option<&str>,
) -> Result<(Request, ChannelKey), IdentityError> {
    let policy = policy(account)?;
    let raw = RawRequest {
        channel_type,
        channel_user_id,
        channel_id,
        ..RawRequest::default()
    };
    let request = Request::from_call(raw, &policy, &custom_channels()?)?;
    match request.channel.clone() {
        Some(key) => Ok((request, key)),
        None => Err(IdentityError::ChannelUserIdMissing),
    }
}

/// `rename_channel_user`: the platform gave a person another id; the visitor stays. Errors: 42704 when the old id is
/// not bound; 55000 when the new one is another visitor's; 22004, 22023, 22001 as `resolve_visitor`.
pub fn rename_channel_user(
    account: &str,
    channel_type: Option<&str>,
    channel_id: Option<&str>,
    old_id: Option<&str>,
    new_id: Option<&str>,
) -> Result<Uuid, IdentityError> {
    connect(|| {
        let (old, old_key) = key_of(account, channel_type, channel_id, old_id)?;
        let (new, new_key) = key_of(account, channel_type, channel_id, new_id)?;
        if is_read_only() {
            return Err(IdentityError::ReadOnlyOperation);
        }
        let holder = |request: &Request| {
            facts(Mode::Write, account, request)
                .map(|known| known.channel.map(|visitor| visitor.id))
        };
        let visitor = holder(&old)?.ok_or(IdentityError::UnknownVisitor)?;
        let stands = lock_visitor(account, visitor, Lock::Take)?
            .is_some_and(|row| row.superseded_by.is_none() && !row.visitor.forgotten);
        if !stands || holder(&old)? != Some(visitor) {
            return Err(IdentityError::Serialization);
        }
        if old_key == new_key {
            return Ok(visitor);
        }
        match holder(&new)? {
            Some(other) if other != visitor => {
                return Err(IdentityError::not_in_state(
                    "the new channel user id is another visitor's",
                    "Two ids of one person that belong to two visitors are joined by an authorization or a merge, not by a rename.",
                    "Call visitor_identity.merge_visitors if both are the same person.",
                ));
            }
            Some(_) => {}
            None => {
                if !bind_channel(account, &new_key, visitor)? {
                    return Err(IdentityError::Serialization);
                }
            }
        }
        let values = [
            Value::Text(Some(account)),
            Value::Text(Some(&old_key.channel_type)),
            Value::Text(Some(&old_key.channel_id)),
            Value::Text(Some(&old_key.channel_user_id)),
            Value::Uuid(Some(visitor)),
        ];
        UNBIND_OLD_ID.with(|statement| statement.run(Mode::Newest, &values))?;
        Ok(visitor)
    })
}
