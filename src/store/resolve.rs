//! Carries a decision out: facts, locks, bindings, then what an authorization does with the visitors that it met.
//! May touch: everything in `store`; takes every rule from `resolution::decide`.
//!
//! Lock order, every path (notes on concurrency, section 7): chat rows the caller holds, elections of anonymous
//! candidates sorted, visitor rows sorted, chats of the candidates, new bindings, moves, log.

use super::distributed::{at_account, is_distributed};
use super::held::hold_binding;
use super::identity::{
    bind_channel, bind_target, facts, insert_visitor, lock_known, lock_visitor, name_alias,
    repoint_channel, seat, still_bound, take_and_share, try_election, wait_for_election, Lock,
    LockedVisitor, Seat,
};
use super::policy::{custom_channels, is_anything_owed, policy};
use super::rebind::{
    absorb, candidate, claim, lock_chats, owe, owed, settle, Absorbed, FoundChats, MovedRow,
    Reason, Rebound,
};
use super::refused_link::record;
use super::row_lock::LockedRows;
use super::spi::{connect, is_read_only, transaction_snapshot_is_fixed, Mode};
use crate::call::{known_code, ArrivedResolution, Call};
use crate::error::IdentityError;
use crate::resolution::{
    computed_id, decide, rebind_candidates, Asker, Basis, CandidateFacts, ChannelEffect, Decision,
    Facts, Note, OnAuthorization, Outcome, Policy, RawRequest, Refusal, RefusedLink, Request,
    Target, Unusable, Visitor,
};
use pgrx::pg_sys;
use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;
use uuid::Uuid;

/// How often facts are read again before giving up with 40001. Each round means that another session changed what this
/// one had read, so more than a few are a sign of a storm.
const MOST_ROUNDS: usize = 50;

/// Elections by one transaction; each takes a slot of the shared lock table, so a bulk update waits for rows beyond.
const MOST_ELECTIONS: usize = 1000;

/// What a call answers.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Resolution {
    pub visitor_id: Uuid,
    pub outcome: &'static str,
    pub basis: &'static str,
    pub previous_visitor_ids: Vec<Uuid>,
    pub rebind_ids: Vec<i64>,
    pub rebound_chats: i64,
    pub notes: Vec<&'static str>,
}

impl<'de> serde::Deserialize<'de> for Resolution {
    fn deserialize<D: serde::Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        let arrived = ArrivedResolution::deserialize(input)?;
        let code = |text: &String| {
            known_code(text).ok_or_else(|| serde::de::Error::custom("unknown code"))
        };
        Ok(Self {
            visitor_id: arrived.visitor_id,
            outcome: code(&arrived.outcome)?,
            basis: code(&arrived.basis)?,
            previous_visitor_ids: arrived.previous_visitor_ids,
            rebind_ids: arrived.rebind_ids,
            rebound_chats: arrived.rebound_chats,
            notes: arrived.notes.iter().map(code).collect::<Result<_, _>>()?,
        })
    }
}

/// Whether the caller holds chat rows already, and therefore may not wait for whoever is rebinding their visitor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stance {
    /// A call: it waits for the other rebinding and gets its answer.
    HoldsNothing,
    /// A trigger: at READ COMMITTED it leaves the rebinding to the other one, above it raises 40001. The visitor is the
    /// one who has the row already, in an UPDATE: a row that stays with him adds nothing to him.
    HoldsChatRow(Option<Uuid>),
}

/// A decision whose visitor exists, is bound and locked; what remains concerns the visitors that it met.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prepared {
    pub visitor_id: Uuid,
    pub decision: Decision,
    /// The visitor was known by its id and got its provided id just now.
    pub identified_in_place: bool,
    /// To be superseded by this transaction.
    pub absorb: Vec<Uuid>,
    /// To be claimed.
    pub claim: Vec<Uuid>,
    /// Left to the transaction that is rebinding them.
    pub owe: Vec<Uuid>,
    /// Rebindings to this visitor that were owed and that this call has completed on its way.
    pub settled: Vec<(Uuid, Rebound)>,
    /// Chats of the one to be superseded that are locked since he is taken.
    pub locked_chats: Vec<(pg_sys::Oid, LockedRows)>,
}

impl Prepared {
    /// A visitor beside whom nobody is to be changed.
    fn of(visitor_id: Uuid, decision: Decision) -> Self {
        Self {
            visitor_id,
            decision,
            identified_in_place: false,
            absorb: Vec::new(),
            claim: Vec::new(),
            owe: Vec::new(),
            settled: Vec::new(),
            locked_chats: Vec::new(),
        }
    }

    /// Whether nothing remains to be done.
    pub fn is_complete(&self) -> bool {
        self.absorb.is_empty()
            && self.claim.is_empty()
            && self.owe.is_empty()
            && self.decision.refused.is_empty()
    }
}

thread_local! {
    static ELECTIONS: Cell<usize> = const { Cell::new(0) };
}

/// Counts one more lock of the kind that an election takes. False: this transaction has so many that it should take a
/// lock of another kind.
pub(super) fn count_election() -> bool {
    ELECTIONS.with(|elections| {
        let held_before = elections.get();
        elections.set(held_before.saturating_add(1));
        held_before < MOST_ELECTIONS
    })
}

/// Forgets the elections of the transaction that ended.
pub fn transaction_ended() {
    ELECTIONS.with(|elections| elections.set(0));
}

impl From<Refusal> for IdentityError {
    fn from(refusal: Refusal) -> Self {
        use crate::identifier::TextError;
        match refusal {
            Refusal::Text(TextError::TooLong, argument) => Self::TooLong(argument),
            Refusal::Text(TextError::ControlCharacter, argument) => {
                Self::ControlCharacter(argument)
            }
            Refusal::ChannelTypeMissing => Self::ChannelTypeMissing,
            Refusal::ChannelUserIdMissing => Self::ChannelUserIdMissing,
            Refusal::UnknownChannel => Self::UnknownChannel {
                built_in_only: false,
            },
            Refusal::ChannelFormat {
                channel_type,
                profile,
            } => Self::ChannelFormat {
                channel_type,
                profile,
            },
            Refusal::SignatureRequired => Self::SignatureRequired,
            Refusal::SignedIdUnusable => Self::SignedIdUnusable,
        }
    }
}

pub(super) fn request_of(
    account: &str,
    raw: RawRequest<'_>,
) -> Result<(Rc<Policy>, Request), IdentityError> {
    let policy = policy(account)?;
    let channels = custom_channels()?;
    let request = Request::from_call(raw, &policy, &channels)?;
    Ok((policy, request))
}

/// `find_visitor`: the canonical visitor, or None. Writes nothing, locks nothing.
pub fn find(account: &str, raw: RawRequest<'_>) -> Result<Option<Uuid>, IdentityError> {
    connect(|| {
        if let Some(answer) = asked_there(account, || Call::Find(raw.into()))? {
            return Ok(answer);
        }
        let (policy, request) = request_of(account, raw)?;
        let facts = facts(Mode::ReadOnly, account, &request)?;
        Ok(match decide(&policy, &request, &facts, &[]).target {
            Target::Known(visitor_id) => Some(visitor_id),
            _ => None,
        })
    })
}

/// The answer of the node that has the account, if that is another one.
pub(super) fn asked_there<T: serde::de::DeserializeOwned>(
    account: &str,
    call: impl FnOnce() -> Call,
) -> Result<Option<T>, IdentityError> {
    let text = || serde_json::to_string(&call()).unwrap_or_default();
    at_account(account, text)?
        .map(|answer| serde_json::from_str(&answer))
        .transpose()
        .map_err(|_| IdentityError::Internal("an answer that cannot be read".into()))
}

/// Carries out what another node was asked.
pub fn answer_call(account: &str, call: &str) -> Result<String, IdentityError> {
    let call = serde_json::from_str(call)
        .map_err(|_| IdentityError::Internal("a call that cannot be read".into()))?;
    let answer = match &call {
        Call::Resolve(sent) => serde_json::to_string(&resolve(account, sent.raw())?),
        Call::Find(sent) => serde_json::to_string(&find(account, sent.raw())?),
        Call::ChatVisitor(sent) => serde_json::to_string(&chat_visitor(account, sent.raw())?),
        Call::Authorize(visitor, sent, now) => serde_json::to_string(&super::signature::authorize(
            account,
            &super::signature::signed_visitor(Some(visitor))?,
            sent.raw(),
            *now,
        )?),
    };
    answer.map_err(|_| IdentityError::Internal("an answer that cannot be written".into()))
}

/// `chat_visitor`: what the triggers of an attached table do for a row that is about to be inserted, for an application
/// that writes its rows itself.
pub fn chat_visitor(account: &str, raw: RawRequest<'_>) -> Result<Uuid, IdentityError> {
    connect(|| {
        if let Some(answer) = asked_there(account, || Call::ChatVisitor(raw.into()))? {
            return Ok(answer);
        }
        if is_read_only() {
            return Err(IdentityError::ReadOnly);
        }
        let (policy, request) = request_of_row(account, raw)?;
        let prepared = if request.provided.is_none() && request.channel.is_none() {
            prepare_plain_row(&policy, &request)?
        } else {
            prepare(&policy, &request, None, Stance::HoldsChatRow(None))?
        };
        if !prepared.is_complete() || !prepared.settled.is_empty() {
            complete(account, &prepared, Reason::ChatInsert, None)?;
        }
        Ok(prepared.visitor_id)
    })
}

/// `resolve_visitor`: one read for a known visitor and nothing else.
pub fn resolve(account: &str, raw: RawRequest<'_>) -> Result<Resolution, IdentityError> {
    connect(|| {
        if let Some(answer) = asked_there(account, || Call::Resolve(raw.into()))? {
            return Ok(answer);
        }
        let (policy, request) = request_of(account, raw)?;
        let known = facts(Mode::OwnWork, account, &request)?;
        let read_only = is_read_only();
        let mut first = None;
        if !read_only && foreseen(&policy, &request, &known).is_some() {
            first = Some((known, None));
        } else if !known.pending || read_only {
            let decision = judge(&policy, &request, &known, None)?;
            match decision.target {
                Target::Known(visitor_id) if !decision.writes() => {
                    if !read_only {
                        record(account, &decision.refused, visitor_id)?;
                    }
                    return Ok(answer(visitor_id, &decision, false, &[], &[], 0));
                }
                _ => first = Some((known, Some(decision))),
            }
        }
        if read_only {
            return Err(IdentityError::ReadOnly);
        }
        let prepared = prepare(&policy, &request, first, Stance::HoldsNothing)?;
        complete(account, &prepared, Reason::ResolveVisitor, None)
    })
}

/// Decides, after reading what has to be known of the visitors that might be absorbed. `found`: where the chats of the one
/// candidate, who is taken already, are kept.
pub(super) fn judge(
    policy: &Policy,
    request: &Request,
    known: &Facts,
    mut found: Option<&mut FoundChats>,
) -> Result<Decision, IdentityError> {
    let mut candidates = Vec::new();
    if policy.on_authorization == OnAuthorization::Rebind {
        for visitor in rebind_candidates(policy, request, known) {
            candidates.push(candidate(
                &policy.account,
                visitor,
                known.provided,
                policy.max_rebinds.saturating_add(1),
                policy.max_rebind_chats.saturating_add(1),
                expected_target(policy, request, known),
                found.as_deref_mut(),
            )?);
        }
    }
    Ok(decide(policy, request, known, &candidates))
}

/// What an authorization that meets one free visitor by his cookie will lock, before it is known whether it absorbs or
/// claims him: the same rows either way. None: there may be more to it, or nothing to write.
fn foreseen(policy: &Policy, request: &Request, known: &Facts) -> Option<Decision> {
    if policy.on_authorization != OnAuthorization::Rebind
        || request.channel.is_some()
        || known.provided.is_none()
        || known.pending
    {
        return None;
    }
    let met = known
        .cookie
        .filter(|visitor| visitor.claimed_by.is_none())?
        .id;
    (rebind_candidates(policy, request, known) == [met]).then(|| {
        let allowed = CandidateFacts {
            visitor_id: met,
            chats: 0,
            absorbed_by_target: 0,
            undone: false,
            clash: false,
        };
        decide(policy, request, known, &[allowed])
    })
}

/// Where an authorization would take the rows of the visitors that it absorbs: also a visitor that does not exist yet may
/// have rows, written by an application that computes the ids itself.
pub(super) fn expected_target(policy: &Policy, request: &Request, known: &Facts) -> Option<Uuid> {
    known
        .provided
        .or_else(|| computed_id(policy, request, Target::FromProvided, 0))
}

pub(super) fn answer(
    visitor_id: Uuid,
    decision: &Decision,
    identified_in_place: bool,
    previous: &[Uuid],
    rebind_ids: &[i64],
    chats: i64,
) -> Resolution {
    let outcome = match decision.outcome() {
        // Somebody else absorbed them between the decision and the deed.
        Outcome::Authorized if previous.is_empty() => Outcome::Switched,
        Outcome::Recognized if identified_in_place => Outcome::Created,
        outcome if previous.is_empty() => outcome,
        _ => Outcome::Authorized,
    };
    Resolution {
        visitor_id,
        outcome: outcome.name(),
        basis: decision.basis.name(),
        previous_visitor_ids: previous.to_vec(),
        rebind_ids: rebind_ids.to_vec(),
        rebound_chats: chats,
        notes: decision.notes.iter().map(|note| note.code()).collect(),
    }
}

/// What this resolution has locked so far.
#[derive(Default)]
struct Held {
    taken: Vec<Uuid>,
    shared: Vec<Uuid>,
    elected: Vec<Uuid>,
    yielded: Vec<Uuid>,
    chats: Vec<Uuid>,
    /// A visitor as he was read: while his row says the same when it is taken, nothing has to be read again.
    seen: Option<Visitor>,
    /// Another transaction is moving the visitor who has the row, the row included: it stays until then.
    target_is_busy: bool,
}

impl Held {
    /// Whether an election may still be waited for.
    fn nothing(&self) -> bool {
        self.elected.is_empty() && self.taken.is_empty() && self.shared.is_empty()
    }
}

/// Tries an election a few times. An aborting transaction gives up its rows a moment before its elections: whoever it
/// wakes must not take the dying one for the winner.
fn try_election_patiently(account: &str, key: i64) -> Result<bool, IdentityError> {
    for pause in [1, 2, 4, 0] {
        if try_election(account, key)? {
            return Ok(true);
        }
        pgrx::check_for_interrupts!();
        std::thread::sleep(Duration::from_millis(pause));
    }
    Ok(false)
}

enum Locked {
    /// Everything was held already, or was locked without changing what was read.
    AsRead,
    /// The facts may have changed while waiting.
    ReadAgain,
}

/// A key for the election of a visitor's rebinder, in the space of advisory locks.
fn election_key(account: &str, visitor: Uuid) -> i64 {
    let mixed = crate::identifier::derivation::provided(visitor, account, 0).as_u128();
    // Half of the bits are enough: a collision only makes two rebindings wait for each other.
    (mixed as u64) as i64
}

/// Another key, for those who order something.
fn turn_key(account: &str, visitor: Uuid) -> i64 {
    let mixed = crate::identifier::derivation::provided(visitor, account, 1).as_u128();
    (mixed as u64) as i64
}

/// Elects this transaction as the one that moves a visitor's chats, waiting for another that does.
pub(super) fn elect(account: &str, visitor: Uuid) -> Result<(), IdentityError> {
    wait_for_election(account, election_key(account, visitor))
}

/// What a human orders about a visitor waits for what another orders about him, before anything of his is held: it takes
/// identified visitors, whom a login that holds a chat waits for.
pub(super) fn take_turn(account: &str, visitors: &[Uuid]) -> Result<(), IdentityError> {
    let mut visitors = visitors.to_vec();
    visitors.sort_unstable();
    for visitor in visitors {
        wait_for_election(account, turn_key(account, visitor))?;
    }
    Ok(())
}

/// Locks what a decision needs, in the one order: elections sorted, then rows sorted. The holder of the computed id is
/// elected and taken like whoever is absorbed, because somebody else may be absorbing him.
fn lock(
    policy: &Policy,
    request: &Request,
    decision: &Decision,
    seat: Option<Seat>,
    stance: Stance,
    share_target: bool,
    held: &mut Held,
) -> Result<Locked, IdentityError> {
    let account = policy.account.as_str();
    let mut result = Locked::AsRead;
    let mut to_take = decision.rows_to_change();
    if let Some(Seat::Held(holder)) = seat {
        to_take.push(holder);
    }
    to_take.sort_unstable();
    to_take.dedup();
    to_take.retain(|id| !held.yielded.contains(id) && !held.taken.contains(id));

    let may_wait = stance == Stance::HoldsNothing && held.nothing();
    for visitor in &to_take {
        if held.elected.contains(visitor) {
            continue;
        }
        let is_one_of_few = count_election();
        let key = election_key(account, *visitor);
        let elected = if may_wait {
            wait_for_election(account, key)?;
            true
        } else {
            (stance != Stance::HoldsNothing && !is_one_of_few)
                || try_election_patiently(account, key)?
        };
        if elected {
            held.elected.push(*visitor);
        } else if transaction_snapshot_is_fixed() {
            return Err(IdentityError::Serialization);
        } else {
            held.yielded.push(*visitor);
            result = Locked::ReadAgain;
        }
    }

    let mut rows: Vec<(Uuid, Lock)> = to_take
        .into_iter()
        .filter(|id| !held.yielded.contains(id))
        .map(|id| (id, Lock::TakeStanding))
        .collect();
    if let (Target::Known(target), true) = (decision.target, share_target) {
        if !held.shared.contains(&target) && !held.taken.contains(&target) {
            // Whoever is moving him, by order, waits for the row that we hold.
            let stays = stance == Stance::HoldsChatRow(Some(target));
            rows.push((target, if stays { Lock::ShareIdle } else { Lock::Share }));
        }
    }
    rows.sort_unstable_by_key(|(id, _)| *id);
    let both = match (decision.basis, rows.as_slice()) {
        (Basis::Provided, [(taken, Lock::TakeStanding), (shared, Lock::Share)])
        | (Basis::Provided, [(shared, Lock::Share), (taken, Lock::TakeStanding)]) => {
            take_and_share(account, *taken, *shared)?
        }
        _ => None,
    };
    for (visitor, strength) in rows {
        let at_once = both.and_then(|(taken, shared)| {
            [taken, shared]
                .into_iter()
                .find(|row| row.visitor.id == visitor)
        });
        let locked = match (stance, strength, decision.basis) {
            _ if at_once.is_some() => at_once,
            // An anonymous visitor, whom the mover of the row's own visitor may be absorbing as well.
            (Stance::HoldsChatRow(Some(left)), Lock::Share, Basis::Channel) => {
                match share_beside(account, visitor, left)? {
                    Beside::Locked(locked) => locked,
                    Beside::Busy => {
                        held.target_is_busy = true;
                        None
                    }
                }
            }
            _ => lock_visitor(account, visitor, strength)?,
        };
        match (strength, locked) {
            (Lock::Take | Lock::TakeStanding, locked) => {
                if locked.is_some() {
                    held.taken.push(visitor);
                }
                let as_read = locked.is_some_and(|row| {
                    row.superseded_by.is_none() && held.seen == Some(row.visitor)
                });
                if !as_read {
                    result = Locked::ReadAgain;
                }
            }
            (Lock::ShareIdle, None) => held.target_is_busy = true,
            (_, None) if held.target_is_busy => {}
            (Lock::Share | Lock::ShareIdle, locked) => {
                held.shared.push(visitor);
                // A claim, too, may have pointed the channel id elsewhere while we waited.
                let as_read = locked.is_some_and(|row| {
                    row.superseded_by.is_none()
                        && !row.visitor.forgotten
                        && (decision.basis != Basis::Channel || row.visitor.claimed_by.is_none())
                });
                let is_bound =
                    decision.basis != Basis::Provided || still_bound(policy, request, visitor)?;
                if !is_bound && transaction_snapshot_is_fixed() {
                    // Read again, it would look bound again.
                    return Err(IdentityError::Serialization);
                }
                if !as_read || !is_bound {
                    result = Locked::ReadAgain;
                }
            }
        }
    }
    Ok(result)
}

/// Finds or makes the visitor of a request, binds what is to be bound, and locks what an authorization will change.
/// Supersedes nobody: that is `complete`, which a trigger may call only when the row has really been written.
pub fn prepare(
    policy: &Policy,
    request: &Request,
    first: Option<(Facts, Option<Decision>)>,
    stance: Stance,
) -> Result<Prepared, IdentityError> {
    let account = policy.account.as_str();
    let mut held = Held::default();
    let mut first = first;
    let mut completed = Vec::new();
    let mut identified_in_place = false;
    let mut owed_looked_at = false;
    let mut locked_chats = Vec::new();
    // A row that may stay where it is must not wait for its visitor.
    if stance == Stance::HoldsChatRow(None) && !policy.require_signature {
        if let Some(known) = lock_known(account, request)? {
            let decision = decide(policy, request, &known, &[]);
            if let (Target::Known(visitor_id), false) = (decision.target, decision.writes()) {
                if still_bound(policy, request, visitor_id)? {
                    hold_binding(account, request, visitor_id);
                    return Ok(Prepared::of(visitor_id, decision));
                }
            }
        }
    }
    for round in 0..MOST_ROUNDS {
        let (known, judged) = match first.take() {
            Some(first) => first,
            None => {
                let known = facts(Mode::Write, account, request)?;
                if known.pending && stance == Stance::HoldsNothing && !owed_looked_at {
                    completed.extend(complete_owed(account, request, &known, &mut held)?);
                    owed_looked_at = true;
                    continue;
                }
                (known, None)
            }
        };
        let decision = match judged {
            Some(decision) => decision,
            None => {
                let stays = stance == Stance::HoldsChatRow(known.provided);
                let at_once = if round == 0 && !stays {
                    foreseen(policy, request, &known)
                } else {
                    None
                };
                if let Some(decision) = &at_once {
                    held.seen = known.cookie;
                    let locked = lock(policy, request, decision, None, stance, true, &mut held)?;
                    held.seen = None;
                    // Who yielded to whoever held one of the rows has said so by the time that it is ours.
                    if matches!(locked, Locked::ReadAgain) || is_anything_owed(account)? {
                        continue;
                    }
                }
                // Not beside a chat row that is held: what BEFORE decides may come to nothing, and locks no chats but for a
                // binding.
                let locks_found =
                    at_once.is_some() && stance == Stance::HoldsNothing && !is_distributed()?;
                let mut found = FoundChats::default();
                let decision = judge(policy, request, &known, locks_found.then_some(&mut found))?;
                if locks_found && decision.absorbed().next().is_some() {
                    locked_chats = found.lock(account)?;
                }
                decision
            }
        };
        let share_target = request.asker == Asker::ChatRow || decision.writes();
        // Nearly always the id is vacant, and where the request meets nobody the insertion says so itself.
        let hoped_for = if round == 0 && decision.effects.is_empty() {
            computed_id(policy, request, decision.target, 0).map(Seat::Vacant)
        } else {
            None
        };
        let seat = match hoped_for {
            Some(vacant) => Some(vacant),
            None => seat(policy, request, decision.target, &held.yielded)?,
        };
        let locked = lock(
            policy,
            request,
            &decision,
            seat,
            stance,
            share_target,
            &mut held,
        )?;
        if let Locked::ReadAgain = locked {
            continue;
        }
        if held.target_is_busy {
            // The row stays, and goes where its visitor is taken. What it showed beside him is owed.
            if transaction_snapshot_is_fixed() && decision.writes() {
                return Err(IdentityError::Serialization);
            }
            if let Stance::HoldsChatRow(Some(left)) = stance {
                let owe = decision.absorbed().collect();
                return Ok(Prepared {
                    owe,
                    ..Prepared::of(left, decision)
                });
            }
        }
        let absorb: Vec<Uuid> = decision
            .absorbed()
            .filter(|id| !held.yielded.contains(id))
            .collect();
        if decision.binds() {
            // Whoever holds an uncommitted binding must never wait for a chat row (notes on concurrency, 3.3).
            for visitor in &absorb {
                let stays = seat == Some(Seat::Held(*visitor));
                if !stays && !held.chats.contains(visitor) {
                    lock_chats(account, *visitor)?;
                    held.chats.push(*visitor);
                }
            }
        }
        // The cookie's row before the identifier, in every path: two statements that bring both then meet in one order.
        if let Some(alias) = decision.alias {
            if !insert_visitor(account, alias)? {
                continue;
            }
        }
        let Some(visitor_id) = bind_target(account, request, decision.target, seat)? else {
            continue;
        };
        if decision.effects.iter().any(|(id, _)| *id == visitor_id) {
            // The visitor that was met holds the very id that is computed from the provided id, and is identified in
            // place: nothing is left to absorb, so what was decided about it does not stand.
            identified_in_place = true;
            continue;
        }
        if !bind_rest(account, request, &decision, visitor_id)? {
            continue;
        }
        return Ok(Prepared {
            visitor_id,
            locked_chats,
            identified_in_place,
            absorb,
            // Another transaction is deciding about the visitor, and we may not wait: he stays unclaimed by us.
            claim: decision
                .newly_claimed()
                .filter(|id| !held.yielded.contains(id))
                .collect(),
            owe: decision
                .absorbed()
                .filter(|id| held.yielded.contains(id))
                .collect(),
            settled: completed
                .into_iter()
                .filter(|(_, to, _)| *to == visitor_id)
                .map(|(from, _, rebound)| (from, rebound))
                .collect(),
            decision,
        });
    }
    Err(IdentityError::Serialization)
}

/// Binds the channel id and the alias of a decision. False: somebody else was first, and the facts must be read again.
fn bind_rest(
    account: &str,
    request: &Request,
    decision: &Decision,
    visitor_id: Uuid,
) -> Result<bool, IdentityError> {
    let bound = match (decision.channel, request.channel.as_ref()) {
        (ChannelEffect::Bind, Some(key)) => bind_channel(account, key, visitor_id)?,
        (ChannelEffect::Repoint { from }, Some(key)) => {
            from == visitor_id || repoint_channel(account, key, from, visitor_id)?
        }
        _ => true,
    };
    if let Some(alias) = decision.alias.filter(|alias| bound && *alias != visitor_id) {
        name_alias(account, alias, visitor_id)?;
    }
    Ok(bound)
}

/// Does what remains: supersedes, claims, moves, logs.
pub fn complete(
    account: &str,
    prepared: &Prepared,
    reason: Reason,
    own_row: Option<(Uuid, &MovedRow)>,
) -> Result<Resolution, IdentityError> {
    let target = prepared.visitor_id;
    let (mut previous, mut rebind_ids, mut chats) = (Vec::new(), Vec::new(), 0);
    let mut refused = prepared.decision.refused.clone();
    for (visitor, rebound) in &prepared.settled {
        previous.push(*visitor);
        rebind_ids.push(rebound.rebind_id);
        chats += rebound.chats;
    }
    let locked = prepared.locked_chats.as_slice();
    for visitor in &prepared.absorb {
        let row = own_row
            .filter(|(left, _)| left == visitor)
            .map(|(_, row)| row);
        match absorb(account, *visitor, target, reason, row, locked)? {
            Absorbed::Done(rebound) => {
                previous.push(*visitor);
                rebind_ids.push(rebound.rebind_id);
                chats += rebound.chats;
            }
            // Rows that clash were written since it was decided.
            Absorbed::Clash => refused.push((*visitor, RefusedLink::Forbidden(Note::RebindClash))),
            Absorbed::NotFree => {}
        }
    }
    for visitor in &prepared.claim {
        claim(account, *visitor, target)?;
    }
    for visitor in &prepared.owe {
        owe(account, *visitor, target)?;
    }
    record(account, &refused, target)?;
    if let Some((left, row)) = own_row {
        if !previous.contains(&left) {
            super::rebind::log_row(account, left, target, reason, row)?;
        }
    }
    let mut resolution = answer(
        target,
        &prepared.decision,
        prepared.identified_in_place,
        &previous,
        &rebind_ids,
        chats,
    );
    let clashed = refused.len() > prepared.decision.refused.len();
    let note = Note::RebindClash.code();
    if clashed && !resolution.notes.contains(&note) {
        resolution.notes.push(note);
    }
    Ok(resolution)
}

/// Completes the rebindings that transactions left to each other and that concern the visitors of a request.
fn complete_owed(
    account: &str,
    request: &Request,
    known: &Facts,
    held: &mut Held,
) -> Result<Vec<(Uuid, Uuid, Rebound)>, IdentityError> {
    let mut completed = Vec::new();
    let met: Vec<Uuid> = [
        request.cookie,
        known.provided,
        known.channel.map(|visitor| visitor.id),
        known.cookie.map(|visitor| visitor.id),
    ]
    .into_iter()
    .flatten()
    .collect();
    for (visitor, to) in owed(account, &met)? {
        // In the order of the visitors, and waiting only while nothing else is held: otherwise whoever is busy with the
        // visitor completes it.
        let key = election_key(account, visitor);
        if held.nothing() {
            wait_for_election(account, key)?;
        } else if !try_election(account, key)? {
            continue;
        }
        held.elected.push(visitor);
        let mut pair = [(visitor, Lock::TakeStanding), (to, Lock::Share)];
        pair.sort_unstable_by_key(|(id, _)| *id);
        let mut held_target = None;
        for (id, strength) in pair {
            let locked = lock_visitor(account, id, strength)?;
            if id == to {
                held_target = locked;
            }
        }
        if let Some(survivor) = held_target.and_then(|row| row.superseded_by) {
            held_target = lock_visitor(account, survivor, Lock::Share)?;
        }
        // Nothing is owed to a person who was forgotten meanwhile.
        let target = held_target
            .map(|row| row.visitor)
            .filter(|target| !target.forgotten)
            .map(|target| target.id);
        if let Some(target) = target {
            if let Absorbed::Done(rebound) =
                absorb(account, visitor, target, Reason::Pending, None, &[])?
            {
                completed.push((visitor, target, rebound));
            }
        }
        settle(account, visitor)?;
    }
    Ok(completed)
}

/// What came of sharing a visitor's row beside a chat row that is held.
enum Beside {
    /// None: there is no such visitor.
    Locked(Option<LockedVisitor>),
    /// The chat's own visitor is being moved, perhaps by whoever is busy with this one.
    Busy,
}

/// Shares the row of a visitor to whom an UPDATE gives a chat of `left`. Somebody who is rebinding both holds this row and
/// waits for the chat, so only who is elected for `left` may wait. Errors: 40001 above READ COMMITTED.
fn share_beside(account: &str, visitor: Uuid, left: Uuid) -> Result<Beside, IdentityError> {
    let idle = lock_visitor(account, visitor, Lock::ShareIdle)?;
    if idle.is_some() || survivor(account, visitor)?.is_none() {
        return Ok(Beside::Locked(idle));
    }
    if try_election_patiently(account, election_key(account, left))? {
        return Ok(Beside::Locked(lock_visitor(account, visitor, Lock::Share)?));
    }
    if transaction_snapshot_is_fixed() {
        return Err(IdentityError::Serialization);
    }
    Ok(Beside::Busy)
}

/// The facts of a chat row that has nothing but a visitor_id, read by the lock that the row needs anyway.
pub fn facts_of_plain_row(account: &str, cookie: Uuid) -> Result<Facts, IdentityError> {
    let mut wanted = cookie;
    for _ in 0..MOST_ROUNDS {
        let Some(row) = lock_visitor(account, wanted, Lock::Share)? else {
            return Ok(Facts::default());
        };
        match row.superseded_by {
            Some(survivor) => wanted = survivor,
            None => {
                let cookie = Some(row.visitor);
                return Ok(Facts {
                    cookie,
                    ..Facts::default()
                });
            }
        }
    }
    Err(IdentityError::Serialization)
}

/// The visitor of a chat row that moves between partitions, if he can be kept without waiting; a forgotten person's row
/// stays his. Whoever is rebinding him may be waiting for this very row, whose old version the statement holds; when he
/// gets it, he finds it gone elsewhere, and looks for it where it is now. None: look again, waiting.
pub fn keep_without_waiting(
    account: &str,
    visitor_id: Uuid,
) -> Result<Option<Uuid>, IdentityError> {
    let superseded = match lock_visitor(account, visitor_id, Lock::ShareIdle)? {
        Some(locked) => Some(locked.superseded_by.is_some()),
        None => survivor(account, visitor_id)?.map(|visitor| visitor.id != visitor_id),
    };
    Ok((superseded == Some(false)).then_some(visitor_id))
}

/// The visitor to whom an UPDATE gives a chat of `left` by its visitor_id alone. None: `left` is being moved just now, and
/// the chat with him; it stays until then.
pub fn prepare_given_row(
    policy: &Policy,
    request: &Request,
    left: Uuid,
) -> Result<Option<Uuid>, IdentityError> {
    if let Some(cookie) = request.cookie {
        if let Beside::Busy = share_beside(&policy.account, cookie, left)? {
            return Ok(None);
        }
    }
    prepare_plain_row(policy, request).map(|prepared| Some(prepared.visitor_id))
}

/// The visitor of a chat row that has nothing but a visitor_id: the survivor, locked; or adopted; or a new one.
pub fn prepare_plain_row(policy: &Policy, request: &Request) -> Result<Prepared, IdentityError> {
    for _ in 0..MOST_ROUNDS {
        let known = match request.cookie {
            Some(cookie) => facts_of_plain_row(&policy.account, cookie)?,
            None => Facts::default(),
        };
        let decision = decide(policy, request, &known, &[]);
        if let Some(visitor_id) = bind_target(&policy.account, request, decision.target, None)? {
            return Ok(Prepared::of(visitor_id, decision));
        }
    }
    Err(IdentityError::Serialization)
}

/// A chat row's policy and normalised identifiers.
pub fn request_of_row(
    account: &str,
    raw: RawRequest<'_>,
) -> Result<(Rc<Policy>, Request), IdentityError> {
    let policy = policy(account)?;
    let channels = custom_channels()?;
    let request = Request::from_row(raw, &policy, &channels);
    Ok((policy, request))
}

/// The identifiers of a chat row that count as none, and why. Errors: 42704 for an unknown account.
pub fn unusable_in_row(account: &str, raw: RawRequest<'_>) -> Result<Vec<Unusable>, IdentityError> {
    connect(|| {
        let (policy, request) = request_of_row(account, raw)?;
        let mut unusable = Unusable::of_row(raw, &policy, &custom_channels()?);
        let unverified = policy.require_signature
            && request.provided.is_some()
            && provided_visitor_of_row(Mode::ReadOnly, &policy, &request)?.is_none();
        if unverified {
            unusable.push(Unusable::UNVERIFIED);
        }
        Ok(unusable)
    })
}

/// The visitor that a visitor_id stands for, read without a lock.
pub fn survivor(account: &str, visitor_id: Uuid) -> Result<Option<Visitor>, IdentityError> {
    let request = Request {
        asker: Asker::ChatRow,
        provided: None,
        channel: None,
        cookie: Some(visitor_id),
        notes: Vec::new(),
    };
    Ok(facts(Mode::Write, account, &request)?.cookie)
}

/// The visitor of a provided id, if it is bound and counts in a chat row; for the guard against stale write-backs.
pub fn provided_visitor_of_row(
    mode: Mode,
    policy: &Policy,
    request: &Request,
) -> Result<Option<Uuid>, IdentityError> {
    let only_provided = Request {
        channel: None,
        cookie: None,
        ..request.clone()
    };
    let known = facts(mode, &policy.account, &only_provided)?;
    Ok(match decide(policy, &only_provided, &known, &[]).target {
        Target::Known(visitor_id) if only_provided.provided.is_some() => Some(visitor_id),
        _ => None,
    })
}

/// The secret namespace and scheme applied to a provided id: generation 0 (design section 3). None: no id.
pub fn derive(account: &str, provided: &str) -> Result<Option<Uuid>, IdentityError> {
    connect(|| {
        let policy = policy(account)?;
        let raw = RawRequest {
            provided_visitor_id: Some(provided),
            ..RawRequest::default()
        };
        let unsigned = Policy {
            require_signature: false,
            ..(*policy).clone()
        };
        let request = Request::from_call(raw, &unsigned, &custom_channels()?)?;
        Ok(computed_id(&policy, &request, Target::FromProvided, 0))
    })
}
