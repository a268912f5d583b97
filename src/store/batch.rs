//! Carries out what many requests decide together: one statement reads the facts of all, one shares the visitors, one
//! writes each kind of row. What has to be resolved alone is told, and left to the caller.
//! May touch: the identity tables; takes every rule from `resolution::plan`.
//!
//! Lock order (notes on concurrency, section 7): existing visitors sorted, then the ids that chat rows brought sorted, then
//! new visitors sorted, then identifiers sorted. For an existing visitor nobody is waited for: who is busy is for later.

use super::distributed::is_distributed;
use super::identity::{
    adopt_many, bind_many_channels, bind_many_provided, bound_to_others, create_many, existing,
    facts_of_many, share_idle_many,
};
use super::refused_link::record_many;
use super::spi::{is_read_only, unless_unique_violation, Mode};
use crate::error::IdentityError;
use crate::identifier::derivation;
use crate::resolution::{plan, Asked, Obstacles, Plan, Policy, Request, Way};
use std::collections::HashSet;
use uuid::Uuid;

/// How often a batch is planned anew because others made what it was about to make, before its requests go one by one.
const MOST_ROUNDS: usize = 3;

/// Reads the facts of many requests of one account.
pub fn ask(
    mode: Mode,
    policy: &Policy,
    requests: Vec<Request>,
) -> Result<Vec<Asked>, IdentityError> {
    let all: Vec<&Request> = requests.iter().collect();
    let facts = facts_of_many(mode, &policy.account, &all)?;
    Ok(requests
        .into_iter()
        .zip(facts)
        .map(|(request, facts)| Asked { request, facts })
        .collect())
}

/// Answers what can be answered together and makes it true; what is to be resolved alone, after that and in order, is
/// `Way::Alone`. Errors: 25006 when something new would have to be written and nothing may be.
pub fn answer_together(policy: &Policy, asked: &[Asked]) -> Result<Vec<Way>, IdentityError> {
    let mut obstacles = Obstacles::default();
    for _ in 0..MOST_ROUNDS {
        let first = plan(policy, asked, &obstacles, derivation::random);
        if first.is_read_only() || (is_read_only() && !first.creates()) {
            return Ok(first.ways);
        }
        if is_read_only() {
            return Err(IdentityError::ReadOnly);
        }
        if is_distributed()? {
            // Citus does not tell a unique key that is taken from other errors where many rows are written at once.
            break;
        }
        let mut taken = Vec::new();
        let done =
            unless_unique_violation(|| attempt(policy, asked, first, &mut obstacles, &mut taken))?;
        if let Some(ways) = done {
            return Ok(ways);
        }
        obstacles.taken.extend(existing(&policy.account, &taken)?);
    }
    Ok(asked.iter().map(|_| Way::Alone).collect())
}

/// Errors: 23505 when somebody else made what was to be new. `made`: the visitors that were to be.
fn attempt(
    policy: &Policy,
    asked: &[Asked],
    first: Plan<'_>,
    obstacles: &mut Obstacles,
    made: &mut Vec<Uuid>,
) -> Result<Vec<Way>, IdentityError> {
    let account = policy.account.as_str();
    let mut planned = first;
    let mut shared = HashSet::new();
    while share(account, &planned, &mut shared, obstacles)? {
        planned = plan(policy, asked, obstacles, derivation::random);
    }
    made.extend(planned.adopted.keys().chain(planned.created.keys()));
    let created = |identified: bool| -> Vec<Uuid> {
        planned
            .created
            .iter()
            .filter(|(_, is_identified)| **is_identified == identified)
            .map(|(visitor, _)| *visitor)
            .collect()
    };
    let (identified, anonymous) = (created(true), created(false));
    if !planned.adopted.is_empty() {
        adopt_many(account, &planned.adopted)?;
    }
    for (visitors, is_identified) in [(identified, true), (anonymous, false)] {
        if !visitors.is_empty() {
            create_many(account, &visitors, is_identified)?;
        }
    }
    if !planned.provided.is_empty() {
        bind_many_provided(account, &planned.provided)?;
    }
    if !planned.channels.is_empty() {
        bind_many_channels(account, &planned.channels)?;
    }
    if !planned.refused.is_empty() {
        record_many(account, &planned.refused)?;
    }
    Ok(planned.ways)
}

/// Shares the visitors of a plan that are not shared yet. True: some are busy or not what they were, and it has to be
/// planned anew.
fn share(
    account: &str,
    planned: &Plan<'_>,
    shared: &mut HashSet<Uuid>,
    obstacles: &mut Obstacles,
) -> Result<bool, IdentityError> {
    let wanted: Vec<Uuid> = planned
        .shared
        .keys()
        .filter(|visitor| !shared.contains(*visitor))
        .copied()
        .collect();
    if wanted.is_empty() {
        return Ok(false);
    }
    let mut idle = HashSet::with_capacity(wanted.len());
    for row in share_idle_many(account, &wanted)? {
        let visitor = row.visitor.id;
        let by_channel = planned.shared.get(&visitor).copied().unwrap_or_default();
        let stands = row.superseded_by.is_none()
            && !row.visitor.forgotten
            && (!by_channel || row.visitor.claimed_by.is_none());
        if stands {
            idle.insert(visitor);
        }
    }
    if !planned.still_bound.is_empty() {
        for visitor in bound_to_others(account, &planned.still_bound)? {
            idle.remove(&visitor);
        }
    }
    let busy_before = obstacles.busy.len();
    obstacles
        .busy
        .extend(wanted.iter().filter(|visitor| !idle.contains(*visitor)));
    shared.extend(wanted);
    Ok(obstacles.busy.len() > busy_before)
}
