//! `resolve_visitors`: many independent requests at once. Whoever is known is read by one statement a batch, whoever is
//! new is bound by one, and only what needs more than that goes the one-by-one way.
//! May touch: what `resolve` touches; takes every rule from `resolution::decide`.

use super::identity::{
    facts_of_many, first_sights_of_channels, first_sights_of_provided, insert_visitors,
};
use super::policy::{custom_channels, policy};
use super::resolve::{answer, resolve, Resolution};
use super::spi::{connect, is_read_only, Mode};
use crate::error::IdentityError;
use crate::identifier::derivation;
use crate::resolution::{
    computed_id, decide, rebind_candidates, ChannelEffect, ChannelKey, Decision, Facts, Policy,
    RawRequest, Request, Target,
};
use std::collections::{BTreeMap, HashSet};
use uuid::Uuid;

/// What came of one request: its answer, or why a call with it alone would be refused.
pub type Answered = Result<Resolution, IdentityError>;

/// How a request is answered.
enum Way {
    Refused(IdentityError),
    /// By the facts alone.
    Read(Decision),
    /// By binding its one identifier, which nobody has seen.
    New(Decision),
    /// By `resolve`, because it changes something of visitors that exist.
    Alone,
}

struct Asked<'a> {
    raw: RawRequest<'a>,
    request: Option<Request>,
    facts: Facts,
    way: Way,
    /// Whether all that it concerns is known to the others.
    is_counted: bool,
}

/// Whoever is concerned by the requests that are answered alone: other requests of these go the same way, in order.
#[derive(Default)]
struct Concerned {
    provided: HashSet<String>,
    channels: HashSet<ChannelKey>,
    visitors: HashSet<Uuid>,
}

impl Concerned {
    fn visitors_of(request: &Request, facts: &Facts) -> impl Iterator<Item = Uuid> {
        [
            request.cookie,
            facts.provided,
            facts.channel.map(|visitor| visitor.id),
            facts.cookie.map(|visitor| visitor.id),
        ]
        .into_iter()
        .flatten()
    }

    fn add(&mut self, request: &Request, facts: &Facts) {
        self.provided.extend(request.provided.clone());
        self.channels.extend(request.channel.clone());
        self.visitors.extend(Self::visitors_of(request, facts));
    }

    fn includes(&self, request: &Request, facts: &Facts) -> bool {
        let has = |provided: &String| self.provided.contains(provided);
        request.provided.as_ref().is_some_and(has)
            || request
                .channel
                .as_ref()
                .is_some_and(|key| self.channels.contains(key))
            || Self::visitors_of(request, facts).any(|visitor| self.visitors.contains(&visitor))
    }
}

/// Answers a batch of requests, in their order. A request that a call would refuse is answered by its refusal and
/// changes nothing; any other error ends the whole. Errors: 42704, 25006, 40001.
pub fn resolve_batch(
    account: &str,
    raws: &[RawRequest<'_>],
) -> Result<Vec<Answered>, IdentityError> {
    connect(|| {
        let policy = policy(account)?;
        let mut asked = read(&policy, raws)?;
        go_along(&mut asked);
        let mut first_sights = FirstSights::bind(&policy, &asked)?;
        asked
            .into_iter()
            .map(|one| match one.way {
                Way::Refused(error) => Ok(Err(error)),
                Way::Read(decision) => match decision.target {
                    Target::Known(visitor) => Ok(Ok(answered(visitor, &decision))),
                    _ => resolve(account, one.raw).map(Ok),
                },
                Way::New(decision) => {
                    let visitor = one
                        .request
                        .as_ref()
                        .and_then(|request| first_sights.take(&policy, request, &decision));
                    match visitor {
                        Some(visitor) => Ok(Ok(answered(visitor, &decision))),
                        None => resolve(account, one.raw).map(Ok),
                    }
                }
                Way::Alone => resolve(account, one.raw).map(Ok),
            })
            .collect()
    })
}

/// Sends along all whose identifiers or visitors are those of a request that is answered alone, and theirs in turn.
fn go_along(asked: &mut [Asked<'_>]) {
    let mut concerned = Concerned::default();
    let mut is_new = true;
    while is_new {
        is_new = false;
        for one in asked.iter_mut() {
            let Some(request) = &one.request else {
                continue;
            };
            let goes_along = match one.way {
                Way::Alone => !one.is_counted,
                Way::Read(_) | Way::New(_) => concerned.includes(request, &one.facts),
                Way::Refused(_) => false,
            };
            if goes_along {
                concerned.add(request, &one.facts);
                one.way = Way::Alone;
                one.is_counted = true;
                is_new = true;
            }
        }
    }
}

fn answered(visitor: Uuid, decision: &Decision) -> Resolution {
    answer(visitor, decision, false, &[], &[], 0)
}

fn read<'a>(policy: &Policy, raws: &[RawRequest<'a>]) -> Result<Vec<Asked<'a>>, IdentityError> {
    let channels = custom_channels()?;
    let requests: Vec<Result<Request, IdentityError>> = raws
        .iter()
        .map(|raw| Request::from_call(*raw, policy, &channels).map_err(IdentityError::from))
        .collect();
    let usable: Vec<&Request> = requests.iter().flatten().collect();
    let mut known = facts_of_many(Mode::OwnWork, &policy.account, &usable)?.into_iter();
    Ok(raws
        .iter()
        .zip(requests)
        .map(|(raw, request)| match request {
            Err(error) => Asked {
                raw: *raw,
                request: None,
                facts: Facts::default(),
                way: Way::Refused(error),
                is_counted: false,
            },
            Ok(request) => {
                let facts = known.next().unwrap_or_default();
                Asked {
                    raw: *raw,
                    way: way(policy, &request, &facts),
                    request: Some(request),
                    facts,
                    is_counted: false,
                }
            }
        })
        .collect())
}

fn way(policy: &Policy, request: &Request, facts: &Facts) -> Way {
    if facts.pending || !rebind_candidates(policy, request, facts).is_empty() {
        return Way::Alone;
    }
    let decision = decide(policy, request, facts, &[]);
    match decision.target {
        // Whoever was met and not joined is a refused link, to be recorded.
        Target::Known(_) if !decision.writes() && decision.effects.is_empty() => {
            Way::Read(decision)
        }
        Target::FromProvided | Target::FromChannel | Target::Random
            if decision.effects.is_empty()
                && decision.channel == ChannelEffect::None
                && decision.alias.is_none() =>
        {
            Way::New(decision)
        }
        _ => Way::Alone,
    }
}

/// The visitors of identifiers that were new to this batch.
struct FirstSights {
    bound: HashSet<Uuid>,
    random: std::vec::IntoIter<Uuid>,
    answered: HashSet<Uuid>,
}

impl FirstSights {
    fn bind(policy: &Policy, asked: &[Asked<'_>]) -> Result<Self, IdentityError> {
        let (mut provided, mut channels) = (BTreeMap::new(), BTreeMap::new());
        let mut random = Vec::new();
        for one in asked {
            let (Way::New(decision), Some(request)) = (&one.way, &one.request) else {
                continue;
            };
            let computed = computed_id(policy, request, decision.target, 0);
            match (
                decision.target,
                computed,
                &request.provided,
                &request.channel,
            ) {
                (Target::FromProvided, Some(id), Some(text), _) => {
                    provided.insert(id, text.as_str());
                }
                (Target::FromChannel, Some(id), _, Some(key)) => {
                    channels.insert(id, key);
                }
                _ => random.push(derivation::random()),
            }
        }
        let mut bound = HashSet::new();
        if !(provided.is_empty() && channels.is_empty() && random.is_empty()) {
            if is_read_only() {
                return Err(IdentityError::ReadOnly);
            }
            let account = policy.account.as_str();
            if !provided.is_empty() {
                bound.extend(first_sights_of_provided(account, &provided)?);
            }
            if !channels.is_empty() {
                bound.extend(first_sights_of_channels(account, &channels)?);
            }
            if !random.is_empty() {
                insert_visitors(account, &random)?;
            }
        }
        Ok(Self {
            bound,
            random: random.into_iter(),
            answered: HashSet::new(),
        })
    }

    /// The visitor of a request, to the first of its kind; whoever asks again is no news, and looks.
    fn take(&mut self, policy: &Policy, request: &Request, decision: &Decision) -> Option<Uuid> {
        match computed_id(policy, request, decision.target, 0) {
            None => self.random.next(),
            Some(id) => (self.bound.contains(&id) && self.answered.insert(id)).then_some(id),
        }
    }
}
