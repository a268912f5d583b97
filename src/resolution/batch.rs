//! Many requests at once: what each decides, in their order, and what of it can be done together.
//! May touch: nothing but its arguments.
//!
//! Every decision is `decide`'s. The facts of a request are those that were read for the whole batch, and beside them what
//! the requests before it have made: so a visitor that the first request creates is known to the second. What changes
//! visitors that exist (an authorization that meets an anonymous one, a channel that is pointed elsewhere) is not done
//! together: such a request, and every later one that shares an identifier or a visitor with it, is to be resolved alone,
//! after the others and in order. Requests that share nothing cannot tell in which order they were answered.

use super::decision::{
    computed_id, decide, rebind_candidates, Basis, ChannelEffect, Decision, Effect, RefusedLink,
    Target,
};
use super::facts::{Facts, Visitor};
use super::policy::Policy;
use super::request::{Asker, ChannelKey, Request};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use uuid::Uuid;

/// One of many requests, with the facts that were read before any of them was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    pub request: Request,
    pub facts: Facts,
}

/// How a request is answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Way {
    /// With the others: the visitor, by this decision.
    Together(Uuid, Decision),
    /// By itself, after the others.
    Alone,
}

/// What somebody else was found to be doing since the facts were read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Obstacles {
    /// Visitors who are being changed, or are no more what they were.
    pub busy: HashSet<Uuid>,
    /// Visitor ids that were to be new and exist.
    pub taken: HashSet<Uuid>,
}

/// What is to be locked and written so that the answers of a batch are true.
#[derive(Debug, Default)]
pub struct Plan<'a> {
    /// One a request, in their order.
    pub ways: Vec<Way>,
    /// Visitor ids that chat rows brought, to be adopted; some as another name of a visitor.
    pub adopted: BTreeMap<Uuid, Option<Uuid>>,
    /// New visitors, and whether they are identified.
    pub created: BTreeMap<Uuid, bool>,
    pub provided: BTreeMap<&'a str, Uuid>,
    pub channels: BTreeMap<&'a ChannelKey, Uuid>,
    /// Who was met, by whose login, and why he was left where he is.
    pub refused: BTreeSet<(Uuid, Uuid, &'static str)>,
    /// Visitors that exist and get something: nobody may supersede them meanwhile. True: he was found by a channel id, so
    /// nobody may claim him either.
    pub shared: BTreeMap<Uuid, bool>,
    /// Bindings that an undone merge may have changed since they were read.
    pub still_bound: BTreeMap<&'a str, Uuid>,
}

impl Plan<'_> {
    /// Whether anything is written but the record of refused links.
    pub fn creates(&self) -> bool {
        !(self.adopted.is_empty()
            && self.created.is_empty()
            && self.provided.is_empty()
            && self.channels.is_empty())
    }

    /// Whether there is anything to do at all.
    pub fn is_read_only(&self) -> bool {
        !self.creates() && self.refused.is_empty() && self.shared.is_empty()
    }
}

/// What is known of a visitor that the batch has made or pointed something to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    Anonymous,
    Identified,
    /// It was found by an identifier that does not tell.
    Untold,
}

#[derive(Debug, Clone, Copy)]
struct Made {
    visitor: Uuid,
    standing: Standing,
}

impl Made {
    /// None: an authorization has to know more of him.
    fn known(self, by_authorization: bool) -> Option<Visitor> {
        if by_authorization && self.standing == Standing::Untold {
            return None;
        }
        Some(Visitor {
            id: self.visitor,
            identified: self.standing == Standing::Identified,
            claimed_by: None,
            forgotten: false,
        })
    }
}

/// Decides many requests of one account in their order. `new_id` makes the random ids.
pub fn plan<'a>(
    policy: &Policy,
    asked: &'a [Asked],
    obstacles: &Obstacles,
    mut new_id: impl FnMut() -> Uuid,
) -> Plan<'a> {
    let mut parties = Parties::default();
    let computed: Vec<Computed> = asked
        .iter()
        .map(|one| Computed::of(policy, &one.request, &one.facts))
        .collect();
    let party_of: Vec<usize> = asked
        .iter()
        .zip(&computed)
        .map(|(one, computed)| parties.join(&one.request, &one.facts, computed))
        .collect();
    let mut alone: HashSet<usize> = HashSet::new();
    let mut planner = Planner {
        policy,
        obstacles,
        plan: Plan::default(),
        provided: HashMap::new(),
        channels: HashMap::new(),
        visitors: HashMap::new(),
    };
    for ((one, computed), party) in asked.iter().zip(&computed).zip(party_of) {
        let party = parties.find(party);
        let way = if alone.contains(&party) {
            Way::Alone
        } else {
            planner.answer(&one.request, &one.facts, computed, &mut new_id)
        };
        if way == Way::Alone {
            alone.insert(party);
        }
        planner.plan.ways.push(way);
    }
    planner.plan
}

/// The ids that the identifiers of a request give, should they be new.
struct Computed {
    provided: Option<Uuid>,
    channel: Option<Uuid>,
}

impl Computed {
    fn of(policy: &Policy, request: &Request, facts: &Facts) -> Self {
        let unless = |known: bool, target| match known {
            true => None,
            false => computed_id(policy, request, target, 0),
        };
        Self {
            provided: unless(facts.provided.is_some(), Target::FromProvided),
            channel: unless(facts.channel.is_some(), Target::FromChannel),
        }
    }
}

/// What requests have in common.
#[derive(PartialEq, Eq, Hash)]
enum Tie<'a> {
    Provided(&'a str),
    Channel(&'a ChannelKey),
    Visitor(Uuid),
}

/// Requests that are tied to each other, also by way of others, are of one party.
#[derive(Default)]
struct Parties<'a> {
    of: HashMap<Tie<'a>, usize>,
    parents: Vec<usize>,
}

impl<'a> Parties<'a> {
    fn find(&mut self, party: usize) -> usize {
        let mut root = party;
        while let Some(parent) = self.parents.get(root).filter(|parent| **parent != root) {
            root = *parent;
        }
        // Shortened, so that the next look is short.
        let mut on_the_way = party;
        while let Some(parent) = self.parents.get_mut(on_the_way) {
            if *parent == root {
                break;
            }
            on_the_way = std::mem::replace(parent, root);
        }
        root
    }

    fn tie(&mut self, tie: Tie<'a>, party: usize) {
        let other = *self.of.entry(tie).or_insert(party);
        let (root, other) = (self.find(party), self.find(other));
        if let Some(parent) = self.parents.get_mut(root) {
            *parent = other;
        }
    }

    fn join(&mut self, request: &'a Request, facts: &Facts, computed: &Computed) -> usize {
        let party = self.parents.len();
        self.parents.push(party);
        if let Some(provided) = &request.provided {
            self.tie(Tie::Provided(provided), party);
        }
        if let Some(key) = &request.channel {
            self.tie(Tie::Channel(key), party);
        }
        let visitors = [
            request.cookie,
            facts.provided,
            facts.channel.map(|visitor| visitor.id),
            facts.cookie.map(|visitor| visitor.id),
            computed.provided,
            computed.channel,
        ];
        for visitor in visitors.into_iter().flatten() {
            self.tie(Tie::Visitor(visitor), party);
        }
        party
    }
}

struct Planner<'a, 'b> {
    policy: &'b Policy,
    obstacles: &'b Obstacles,
    plan: Plan<'a>,
    provided: HashMap<&'a str, Uuid>,
    channels: HashMap<&'a ChannelKey, Made>,
    /// By the visitor_id: what it stands for.
    visitors: HashMap<Uuid, Made>,
}

impl<'a> Planner<'a, '_> {
    /// What is known of a request now. None: not enough.
    fn facts_now(&self, request: &Request, read: &Facts) -> Option<Facts> {
        let by_authorization = request.provided.is_some();
        let mut facts = *read;
        if let (None, Some(provided)) = (facts.provided, &request.provided) {
            facts.provided = self.provided.get(provided.as_str()).copied();
        }
        if let (None, Some(key)) = (facts.channel, &request.channel) {
            if let Some(made) = self.channels.get(key) {
                facts.channel = Some(made.known(by_authorization)?);
            }
        }
        if let (None, Some(cookie)) = (facts.cookie, request.cookie) {
            if let Some(made) = self.visitors.get(&cookie) {
                facts.cookie = Some(made.known(by_authorization)?);
            }
        }
        Some(facts)
    }

    fn is_new(&self, id: Uuid, facts: &Facts) -> bool {
        !self.obstacles.taken.contains(&id)
            && !self.visitors.contains_key(&id)
            && facts.cookie.map(|visitor| visitor.id) != Some(id)
            && facts.channel.map(|visitor| visitor.id) != Some(id)
    }

    fn answer(
        &mut self,
        request: &'a Request,
        read: &Facts,
        computed: &Computed,
        new_id: &mut impl FnMut() -> Uuid,
    ) -> Way {
        if read.pending {
            return Way::Alone;
        }
        let Some(facts) = self.facts_now(request, read) else {
            return Way::Alone;
        };
        if !rebind_candidates(self.policy, request, &facts).is_empty() {
            return Way::Alone;
        }
        let decision = decide(self.policy, request, &facts, &[]);
        let changes_somebody = decision
            .effects
            .iter()
            .any(|(_, effect)| *effect != Effect::Leave)
            || matches!(decision.channel, ChannelEffect::Repoint { .. });
        if changes_somebody {
            return Way::Alone;
        }
        let (visitor, is_new) = match decision.target {
            Target::Known(visitor) => (Some(visitor), false),
            Target::FromProvided => (computed.provided, true),
            Target::FromChannel => (computed.channel, true),
            Target::Adopted(visitor) => (Some(visitor), true),
            Target::Random => (Some(new_id()), true),
        };
        let Some(visitor) = visitor else {
            return Way::Alone;
        };
        // A row that brings the very id that is computed: there is nothing to be named after it.
        let alias = decision.alias.filter(|alias| *alias != visitor);
        let is_in_the_way = |id: Uuid| !self.is_new(id, &facts);
        if self.obstacles.busy.contains(&visitor)
            || (is_new && is_in_the_way(visitor))
            || alias.is_some_and(is_in_the_way)
        {
            return Way::Alone;
        }
        self.record(request, read, &decision, visitor, alias);
        Way::Together(visitor, decision)
    }

    /// Puts an answer into the plan, and what it makes before the eyes of the requests that follow.
    fn record(
        &mut self,
        request: &'a Request,
        read: &Facts,
        decision: &Decision,
        visitor: Uuid,
        alias: Option<Uuid>,
    ) {
        let mut standing = match decision.basis {
            Basis::Provided => Standing::Identified,
            Basis::Channel => Standing::Untold,
            Basis::Cookie | Basis::None => Standing::Anonymous,
        };
        match decision.target {
            Target::Known(_) => match self.visitors.get(&visitor) {
                Some(made) => standing = made.standing,
                None => self.share(request, read, decision, visitor),
            },
            Target::FromProvided => {
                self.plan.created.insert(visitor, true);
            }
            Target::FromChannel => {
                standing = Standing::Anonymous;
                self.plan.created.insert(visitor, false);
                if let Some(key) = &request.channel {
                    self.bind_channel(key, visitor, standing);
                }
            }
            Target::Random => {
                self.plan.created.insert(visitor, false);
            }
            Target::Adopted(_) => {
                self.plan.adopted.insert(visitor, None);
            }
        }
        let made = Made { visitor, standing };
        if !matches!(decision.target, Target::Known(_)) {
            self.visitors.insert(visitor, made);
        }
        if let (Target::FromProvided, Some(provided)) = (decision.target, &request.provided) {
            self.provided.insert(provided, visitor);
            self.plan.provided.insert(provided, visitor);
        }
        if let (ChannelEffect::Bind, Some(key)) = (decision.channel, &request.channel) {
            self.bind_channel(key, visitor, standing);
        }
        if let Some(alias) = alias {
            self.plan.adopted.insert(alias, Some(visitor));
            self.visitors.insert(alias, made);
        }
        let refused = decision.refused.iter();
        self.plan
            .refused
            .extend(refused.map(|(met, why): &(Uuid, RefusedLink)| (*met, visitor, why.code())));
    }

    fn bind_channel(&mut self, key: &'a ChannelKey, visitor: Uuid, standing: Standing) {
        self.plan.channels.insert(key, visitor);
        self.channels.insert(key, Made { visitor, standing });
    }

    /// A visitor that exists gets a chat or an identifier.
    fn share(&mut self, request: &'a Request, read: &Facts, decision: &Decision, visitor: Uuid) {
        if request.asker == Asker::Call && !decision.writes() {
            return;
        }
        *self.plan.shared.entry(visitor).or_default() |= decision.basis == Basis::Channel;
        let provided = request.provided.as_deref().filter(|_| {
            decision.basis == Basis::Provided
                && read.provided == Some(visitor)
                && computed_id(self.policy, request, Target::FromProvided, 0) != Some(visitor)
        });
        if let Some(provided) = provided {
            self.plan.still_bound.insert(provided, visitor);
        }
    }
}

#[cfg(test)]
#[path = "batch_tests.rs"]
mod tests;
