//! The decision about arbitrary facts: there is one for every input, it oversteps no promise, and carrying it out and
//! asking again changes nothing.

use super::policy::policy;
use crate::resolution::{
    decide, holder_of_computed_id, rebind_candidates, Asker, CandidateFacts, ChannelEffect,
    ChannelKey, Decision, Effect, Facts, Holder, OnAuthorization, Outcome, Policy, Request, Target,
    Visitor,
};
use crate::source::Source;
use uuid::Uuid;

pub const REACHES: &[&str] = &["authorized", "switched", "created", "recognized"];

/// The visitor that is computed, adopted or made up.
const NEW: Uuid = Uuid::from_u128(99);

fn id(source: &mut Source<'_>) -> Uuid {
    Uuid::from_u128(source.below(6) as u128 + 1)
}

fn visitor(source: &mut Source<'_>, id: Uuid) -> Visitor {
    let identified = source.byte() % 3 == 2;
    Visitor {
        id,
        identified,
        claimed_by: (!identified && source.byte() % 3 == 2).then(|| self::id(source)),
        forgotten: source.byte() % 8 == 7,
    }
}

/// What a table of six visitors knows: one id is one visitor, wherever it is met.
fn facts(source: &mut Source<'_>) -> Facts {
    let channel = source.maybe(|source| {
        let id = id(source);
        visitor(source, id)
    });
    let cookie = source.maybe(|source| {
        let id = id(source);
        channel
            .filter(|known| known.id == id)
            .unwrap_or_else(|| visitor(source, id))
    });
    let provided = source.maybe(id);
    let known = |visitor: Visitor| match provided {
        // Whoever has a provided id is identified, claimed by nobody and not forgotten.
        Some(id) if id == visitor.id => Visitor {
            identified: true,
            claimed_by: None,
            forgotten: false,
            ..visitor
        },
        _ => visitor,
    };
    Facts {
        provided,
        provided_verified: source.flag(),
        channel: channel.map(known),
        cookie: cookie.map(known),
        pending: false,
    }
}

fn assert_promises(
    policy: &Policy,
    request: &Request,
    facts: &Facts,
    candidates: &[CandidateFacts],
    made: &Decision,
) {
    let counts = request.provided.is_some()
        && (request.asker == Asker::Call || !policy.require_signature || facts.provided_verified);
    assert!(
        counts || made.effects.is_empty(),
        "an effect without an authorization"
    );
    let target = match made.target {
        Target::Known(id) => {
            let known = [
                facts.provided,
                facts.channel.map(|one| one.id),
                facts.cookie.map(|one| one.id),
            ];
            assert!(known.contains(&Some(id)), "a visitor from nowhere");
            assert!(
                !counts || facts.provided == Some(id),
                "another than the provided id's"
            );
            Some(id)
        }
        Target::Adopted(id) => {
            assert!(
                request.asker == Asker::ChatRow
                    && request.cookie == Some(id)
                    && facts.cookie.is_none()
            );
            Some(id)
        }
        Target::FromProvided => {
            assert!(counts && facts.provided.is_none());
            None
        }
        Target::FromChannel => {
            assert!(!counts && request.channel.is_some() && facts.channel.is_none());
            None
        }
        Target::Random => {
            assert!(
                !counts && request.channel.is_none(),
                "a usable identifier is not used"
            );
            None
        }
    };
    let met = |id: Uuid| {
        [facts.cookie, facts.channel]
            .into_iter()
            .flatten()
            .find(|one| one.id == id)
    };
    let free = |one: Visitor| {
        !one.identified
            && !one.forgotten
            && one.claimed_by.is_none_or(|by| Some(by) == facts.provided)
    };
    let asked = rebind_candidates(policy, request, facts);
    let absorbed: Vec<Uuid> = made.absorbed().collect();
    for id in &absorbed {
        assert!(
            met(*id).is_some_and(free),
            "somebody who is not free is absorbed"
        );
        assert!(
            Some(*id) != target
                && asked.contains(id)
                && policy.on_authorization == OnAuthorization::Rebind
        );
        let candidate = candidates
            .iter()
            .find(|one| one.visitor_id == *id)
            .expect("facts of the absorbed");
        assert!(
            !candidate.undone && !candidate.clash && candidate.chats <= policy.max_rebind_chats
        );
        assert!(
            candidate.absorbed_by_target < policy.max_rebinds,
            "one too many is absorbed"
        );
    }
    for (place, (id, effect)) in made.effects.iter().enumerate() {
        assert!(
            made.effects
                .iter()
                .skip(place + 1)
                .all(|(other, _)| other != id),
            "one visitor, two effects"
        );
        let visitor = met(*id).expect("an effect on somebody who was not met");
        assert_eq!(*effect == Effect::Leave, !free(visitor));
        let refused = made.refused.iter().any(|(other, _)| other == id);
        assert_eq!(
            refused,
            *effect != Effect::Absorb,
            "a refused link without a reason"
        );
    }
    assert_eq!(made.refused.len() + absorbed.len(), made.effects.len());
    match made.channel {
        ChannelEffect::None => {}
        ChannelEffect::Bind => {
            assert!(counts && request.channel.is_some() && facts.channel.is_none())
        }
        ChannelEffect::Repoint { from } => {
            assert!(
                counts
                    && request.channel.is_some()
                    && facts.channel.is_some_and(|one| one.id == from)
            );
            assert!(Some(from) != target && !absorbed.contains(&from));
        }
    }
    assert!(
        made.alias.is_none() || (request.asker == Asker::ChatRow && made.alias == request.cookie)
    );
    assert_eq!(made.outcome() == Outcome::Authorized, !absorbed.is_empty());
    assert!(made.writes() || matches!(made.outcome(), Outcome::Recognized | Outcome::Switched));
    assert!(
        made.rows_to_change().iter().all(|id| asked.contains(id)),
        "a row changes that was not looked at"
    );
}

/// The facts after the decision was carried out.
fn afterwards(request: &Request, facts: &Facts, made: &Decision) -> Facts {
    let target = match made.target {
        Target::Known(id) | Target::Adopted(id) => id,
        _ => NEW,
    };
    let authorizes = made.basis == crate::resolution::Basis::Provided;
    let person = Visitor {
        id: target,
        identified: authorizes,
        claimed_by: None,
        forgotten: false,
    };
    let follow = |one: Visitor| match made.effects.iter().find(|(id, _)| *id == one.id) {
        Some((_, Effect::Absorb)) => person,
        Some((_, Effect::Claim)) => Visitor {
            claimed_by: Some(target),
            ..one
        },
        _ => one,
    };
    let follows = |one: Visitor| {
        made.rows_to_change().contains(&one.id)
            || matches!(made.channel, ChannelEffect::Repoint { .. })
    };
    let bound = made.channel == ChannelEffect::Bind || made.target == Target::FromChannel;
    Facts {
        provided: if authorizes {
            Some(target)
        } else {
            facts.provided
        },
        channel: match facts.channel {
            Some(one) if follows(one) => Some(person),
            None if bound && request.channel.is_some() => Some(person),
            other => other,
        },
        cookie: if made.alias.is_some() {
            Some(person)
        } else {
            facts.cookie.map(follow)
        },
        ..*facts
    }
}

pub fn run(data: &[u8]) -> &'static str {
    let mut source = Source::new(data);
    let mut policy = policy(&mut source);
    if !source.one_in(4) {
        (policy.max_rebinds, policy.max_rebind_chats) =
            (source.below(4) as i64, source.below(4) as i64);
    }
    let mut facts = facts(&mut source);
    let request = Request {
        asker: if source.flag() {
            Asker::ChatRow
        } else {
            Asker::Call
        },
        provided: (!source.one_in(4)).then(|| "C-42".to_owned()),
        channel: source.maybe(|_| ChannelKey {
            channel_type: "telegram".into(),
            channel_id: String::new(),
            channel_user_id: "67854257".into(),
        }),
        cookie: source.maybe(|source| match source.flag() {
            true => facts.cookie.map_or(Uuid::from_u128(77), |one| one.id),
            false => Uuid::from_u128(78),
        }),
        notes: Vec::new(),
    };
    // What is not asked is not known.
    facts.provided = facts.provided.filter(|_| request.provided.is_some());
    facts.channel = facts.channel.filter(|_| request.channel.is_some());
    facts.cookie = facts.cookie.filter(|_| request.cookie.is_some());
    let absorbed_by_target = if source.flag() {
        source.below(4) as i64
    } else {
        source.number().max(0)
    };
    let mut candidates = Vec::new();
    for id in rebind_candidates(&policy, &request, &facts) {
        let candidate = CandidateFacts {
            visitor_id: id,
            chats: source.below(5) as i64,
            absorbed_by_target,
            undone: source.byte() % 8 == 7,
            clash: source.byte() % 8 == 7,
        };
        if source.byte() % 16 != 15 {
            candidates.push(candidate);
        }
    }

    let made = decide(&policy, &request, &facts, &candidates);
    assert_promises(&policy, &request, &facts, &candidates, &made);
    if let Some(holder) = facts.cookie {
        let (superseded, has_identifiers) = (source.flag(), source.flag());
        let taken = holder_of_computed_id(&holder, superseded, has_identifiers) == Holder::Take;
        let free = !holder.identified && !holder.forgotten && holder.claimed_by.is_none();
        assert_eq!(
            taken,
            free && !superseded && !has_identifiers,
            "a computed id is taken from somebody"
        );
    }

    // Resolving twice gives the same answer, and the second time there is nothing left to write.
    let by_identifier =
        !matches!(made.target, Target::Random) && !matches!(made.target, Target::Adopted(_));
    if by_identifier {
        let after = afterwards(&request, &facts, &made);
        let took = made.absorbed().count() as i64;
        for candidate in &mut candidates {
            candidate.absorbed_by_target = candidate.absorbed_by_target.saturating_add(took);
        }
        let again = decide(&policy, &request, &after, &candidates);
        let target = match made.target {
            Target::Known(id) => id,
            _ => NEW,
        };
        assert_eq!(
            again.target,
            Target::Known(target),
            "another answer the second time"
        );
        assert!(
            !again.writes(),
            "something is left to write: {made:?} {again:?}"
        );
    }
    made.outcome().name()
}
