//! `decide`: the two tables of design section 3 as code. The one place where these rules stand; calls, chat rows and
//! explanations all come here.
//! May touch: nothing but its arguments.

use super::facts::{CandidateFacts, Facts, Visitor};
use super::policy::{Derivation, OnAuthorization, Policy};
use super::request::{Asker, Request};
use crate::identifier::derivation;
use uuid::Uuid;

/// By which identifier the visitor was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Basis {
    Provided,
    Channel,
    Cookie,
    None,
}

impl Basis {
    pub const ALL: [Self; 4] = [Self::Provided, Self::Channel, Self::Cookie, Self::None];

    pub fn name(self) -> &'static str {
        match self {
            Self::Provided => "provided",
            Self::Channel => "channel",
            Self::Cookie => "cookie",
            Self::None => "none",
        }
    }
}

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// An anonymous visitor was absorbed by the identified one.
    Authorized,
    /// Another visitor's cookie or channel was shown; nothing of it moved.
    Switched,
    /// A visitor_id was assigned.
    Created,
    /// Known, nothing changed.
    Recognized,
}

impl Outcome {
    pub const ALL: [Self; 4] = [
        Self::Authorized,
        Self::Switched,
        Self::Created,
        Self::Recognized,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Authorized => "authorized",
            Self::Switched => "switched",
            Self::Created => "created",
            Self::Recognized => "recognized",
        }
    }
}

/// Stable codes of what a caller may want to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Note {
    /// A blank, a zero, a placeholder or a blocked value counted as no id.
    BlockedIdentifier,
    /// The visitor_id was never issued here, or its person was forgotten.
    UnknownVisitorId,
    /// Beside a channel id the cookie does not count.
    CookieIgnored,
    /// The cookie is an identified visitor's, and the account does not take such cookies.
    CookieIdentified,
    /// on_authorization is keep.
    RebindOff,
    /// max_rebinds or max_rebind_chats is reached.
    RebindLimit,
    /// This very rebinding was undone before.
    RebindUndone,
    /// Rows of both visitors have the same unique key in a table that refuses such a rebinding.
    RebindClash,
}

impl Note {
    pub const ALL: [Self; 8] = [
        Self::BlockedIdentifier,
        Self::UnknownVisitorId,
        Self::CookieIgnored,
        Self::CookieIdentified,
        Self::RebindOff,
        Self::RebindLimit,
        Self::RebindUndone,
        Self::RebindClash,
    ];

    pub fn code(self) -> &'static str {
        match self {
            Self::BlockedIdentifier => "blocked_identifier",
            Self::UnknownVisitorId => "unknown_visitor_id",
            Self::CookieIgnored => "cookie_ignored",
            Self::CookieIdentified => "cookie_identified",
            Self::RebindOff => "rebind_off",
            Self::RebindLimit => "rebind_limit",
            Self::RebindUndone => "rebind_undone",
            Self::RebindClash => "rebind_clash",
        }
    }
}

/// Who the visitor is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// A visitor that exists.
    Known(Uuid),
    /// To be computed from the provided id and bound to it.
    FromProvided,
    /// To be computed from the channel user id and bound to it.
    FromChannel,
    /// A new random visitor.
    Random,
    /// The visitor_id that a chat row brought, adopted as an anonymous visitor.
    Adopted(Uuid),
}

/// What an authorization does with another visitor that it met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Superseded by the target; chats, channel ids and devices move.
    Absorb,
    /// Stays, claimed by the target; its channel ids and devices point to the target; its chats stay.
    Claim,
    /// Stays as it is.
    Leave,
}

/// Why an authorization leaves a visitor that it met where he is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefusedLink {
    /// He has a provided id of his own.
    Identified,
    /// Another provided id claimed him before.
    Claimed,
    /// A policy, a limit or an undo forbids it.
    Forbidden(Note),
}

impl RefusedLink {
    /// The stable code in `visitor_identity.refused_link`.
    pub fn code(self) -> &'static str {
        match self {
            Self::Identified => "identified",
            Self::Claimed => "claimed",
            Self::Forbidden(note) => note.code(),
        }
    }
}

/// What happens to the channel user id of the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChannelEffect {
    None,
    /// Not bound yet: bound to the target.
    Bind,
    /// Bound to another visitor, who keeps his chats: it points to the target from now on.
    Repoint {
        from: Uuid,
    },
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    pub target: Target,
    pub basis: Basis,
    /// Every other visitor that an authorization met, in the order of the request.
    pub effects: Vec<(Uuid, Effect)>,
    /// Those of them that are not absorbed, and why.
    pub refused: Vec<(Uuid, RefusedLink)>,
    pub channel: ChannelEffect,
    /// An unknown visitor_id that becomes another name of the target.
    pub alias: Option<Uuid>,
    pub notes: Vec<Note>,
    claims: Vec<Uuid>,
}

impl Decision {
    /// Whether anything has to be written.
    pub fn writes(&self) -> bool {
        self.binds()
            || self.effects.iter().any(|(id, effect)| match effect {
                Effect::Absorb => true,
                Effect::Claim => !self.claims.contains(id),
                Effect::Leave => false,
            })
    }

    /// Whether an identifier or a cookie is bound that others may be waiting to bind.
    pub fn binds(&self) -> bool {
        !matches!(self.target, Target::Known(_))
            || self.channel != ChannelEffect::None
            || self.alias.is_some()
    }

    /// The visitors to be superseded.
    pub fn absorbed(&self) -> impl Iterator<Item = Uuid> + '_ {
        self.having(Effect::Absorb)
    }

    /// The visitors to be claimed that are not claimed yet.
    pub fn newly_claimed(&self) -> impl Iterator<Item = Uuid> + '_ {
        self.having(Effect::Claim)
            .filter(|id| !self.claims.contains(id))
    }

    fn having(&self, wanted: Effect) -> impl Iterator<Item = Uuid> + '_ {
        self.effects
            .iter()
            .filter(move |(_, effect)| *effect == wanted)
            .map(|(id, _)| *id)
    }

    /// The visitor rows to be locked so that nobody adds to them meanwhile, and so that nobody else takes them.
    pub fn rows_to_change(&self) -> Vec<Uuid> {
        self.absorbed().chain(self.newly_claimed()).collect()
    }

    /// The outcome of design section 3, step 2.
    pub fn outcome(&self) -> Outcome {
        if self.absorbed().next().is_some() {
            Outcome::Authorized
        } else if !self.effects.is_empty() {
            Outcome::Switched
        } else if matches!(self.target, Target::Known(_)) {
            Outcome::Recognized
        } else {
            Outcome::Created
        }
    }
}

/// The visitors that an authorization meets, beside its target: the cookie's, then the channel's.
fn met(provided: bool, facts: &Facts) -> Vec<Visitor> {
    let mut met: Vec<Visitor> = Vec::new();
    if provided {
        for visitor in [facts.cookie, facts.channel].into_iter().flatten() {
            let is_new = met.iter().all(|other| other.id != visitor.id);
            if !visitor.forgotten && Some(visitor.id) != facts.provided && is_new {
                met.push(visitor);
            }
        }
    }
    met
}

/// A provided id counts in a chat row of an account that requires signatures only when it is bound and verified.
fn counted_provided<'a>(policy: &Policy, request: &'a Request, facts: &Facts) -> Option<&'a str> {
    let counts =
        request.asker == Asker::Call || !policy.require_signature || facts.provided_verified;
    request.provided.as_deref().filter(|_| counts)
}

/// Whether a visitor may be absorbed or claimed: anonymous, and not claimed by another provided id.
fn is_free(visitor: &Visitor, target: Option<Uuid>) -> bool {
    !visitor.identified
        && match visitor.claimed_by {
            None => true,
            Some(claimant) => Some(claimant) == target,
        }
}

/// The visitors whose `CandidateFacts` have to be read before `decide`.
pub fn rebind_candidates(policy: &Policy, request: &Request, facts: &Facts) -> Vec<Uuid> {
    let provided = counted_provided(policy, request, facts).is_some();
    met(provided, facts)
        .iter()
        .filter(|visitor| is_free(visitor, facts.provided))
        .map(|visitor| visitor.id)
        .collect()
}

/// Decides what to do with a request, by the policies and the facts. Total: there is a decision for every input.
///
/// `candidates` holds the facts of every visitor of [`rebind_candidates`]; one that is missing counts as over the limit.
pub fn decide(
    policy: &Policy,
    request: &Request,
    facts: &Facts,
    candidates: &[CandidateFacts],
) -> Decision {
    let provided = counted_provided(policy, request, facts);
    let mut notes = request.notes.clone();
    let known_cookie = facts.cookie.filter(|visitor| !visitor.forgotten);
    let unknown_cookie = match known_cookie {
        Some(_) => None,
        None => request.cookie,
    };
    if unknown_cookie.is_some() && request.asker == Asker::Call {
        notes.push(Note::UnknownVisitorId);
    }
    // A tombstone's id is never adopted and never becomes another name.
    let adoptable =
        unknown_cookie.filter(|_| request.asker == Asker::ChatRow && facts.cookie.is_none());

    let mut decision = Decision {
        target: Target::Random,
        basis: Basis::None,
        effects: Vec::new(),
        refused: Vec::new(),
        channel: ChannelEffect::None,
        alias: None,
        notes,
        claims: Vec::new(),
    };

    if provided.is_some() {
        decision.basis = Basis::Provided;
        decision.target = facts.provided.map_or(Target::FromProvided, Target::Known);
        decision.alias = adoptable;
        authorize(policy, request, facts, candidates, &mut decision);
    } else if request.channel.is_some() {
        decision.basis = Basis::Channel;
        decision.target = facts
            .channel
            .map_or(Target::FromChannel, |visitor| Target::Known(visitor.id));
        decision.alias = adoptable;
        if request.cookie.is_some() && decision.alias.is_none() {
            decision.notes.push(Note::CookieIgnored);
        }
    } else if let Some(visitor) = known_cookie {
        let refused = request.asker == Asker::Call
            && visitor.identified
            && !policy.accepts_identified_cookie();
        if refused {
            decision.notes.push(Note::CookieIdentified);
        } else {
            decision.basis = Basis::Cookie;
            decision.target = Target::Known(visitor.id);
        }
    } else if let Some(id) = adoptable {
        decision.basis = Basis::Cookie;
        decision.target = Target::Adopted(id);
    }
    decision
}

/// Step 2 of design section 3.
fn authorize(
    policy: &Policy,
    request: &Request,
    facts: &Facts,
    candidates: &[CandidateFacts],
    decision: &mut Decision,
) {
    let mut room = None;
    for visitor in met(true, facts) {
        if !is_free(&visitor, facts.provided) {
            let why = if visitor.identified {
                RefusedLink::Identified
            } else {
                RefusedLink::Claimed
            };
            decision.refused.push((visitor.id, why));
            decision.effects.push((visitor.id, Effect::Leave));
            continue;
        }
        let forbidden = match candidates
            .iter()
            .find(|candidate| candidate.visitor_id == visitor.id)
        {
            _ if policy.on_authorization == OnAuthorization::Keep => Some(Note::RebindOff),
            Some(candidate) if candidate.undone => Some(Note::RebindUndone),
            Some(candidate) if candidate.clash => Some(Note::RebindClash),
            Some(candidate) => {
                let left = room.get_or_insert(
                    policy
                        .max_rebinds
                        .saturating_sub(candidate.absorbed_by_target),
                );
                (*left <= 0 || candidate.chats > policy.max_rebind_chats)
                    .then_some(Note::RebindLimit)
            }
            None => Some(Note::RebindLimit),
        };
        match forbidden {
            Some(note) => {
                if !decision.notes.contains(&note) {
                    decision.notes.push(note);
                }
                if visitor.claimed_by.is_some() {
                    decision.claims.push(visitor.id);
                }
                let why = RefusedLink::Forbidden(note);
                decision.refused.push((visitor.id, why));
                decision.effects.push((visitor.id, Effect::Claim));
            }
            None => {
                room = room.map(|left: i64| left - 1);
                decision.effects.push((visitor.id, Effect::Absorb));
            }
        }
    }
    if request.channel.is_none() {
        return;
    }
    decision.channel = match facts.channel {
        None => ChannelEffect::Bind,
        Some(holder) if Some(holder.id) == facts.provided => ChannelEffect::None,
        // A visitor that is absorbed or claimed now brings all its channel ids.
        Some(holder) if decision.rows_to_change().contains(&holder.id) => ChannelEffect::None,
        Some(holder) => ChannelEffect::Repoint { from: holder.id },
    };
}

/// What the holder of a computed id means for whoever computes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holder {
    /// The holder is free and is identified in place.
    Take,
    /// The next generation is computed.
    NextGeneration,
}

/// Whether a computed id may be taken from the visitor that has it (design section 3): only from a live, anonymous,
/// unclaimed visitor without identifiers.
pub fn holder_of_computed_id(holder: &Visitor, superseded: bool, has_identifiers: bool) -> Holder {
    let free = !superseded
        && !holder.forgotten
        && !holder.identified
        && holder.claimed_by.is_none()
        && !has_identifiers;
    if free {
        Holder::Take
    } else {
        Holder::NextGeneration
    }
}

/// The visitor_id that is computed from the identifier of a request at a generation (design sections 2 and 3): `md5`
/// is for generation 0 of provided ids only.
pub fn computed_id(
    policy: &Policy,
    request: &Request,
    target: Target,
    generation: u32,
) -> Option<Uuid> {
    match target {
        Target::FromProvided => request.provided.as_deref().map(|provided| {
            if policy.derivation == Derivation::Md5 && generation == 0 {
                derivation::md5(provided)
            } else {
                derivation::provided(policy.namespace, provided, generation)
            }
        }),
        Target::FromChannel => request.channel.as_ref().map(|key| {
            derivation::channel(
                policy.namespace,
                &key.channel_type,
                &key.channel_id,
                &key.channel_user_id,
                generation,
            )
        }),
        Target::Random | Target::Known(_) | Target::Adopted(_) => None,
    }
}

#[cfg(test)]
#[path = "decision_tests.rs"]
mod tests;
