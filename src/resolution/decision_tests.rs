//! The promises of `decide`: the cells of design section 3 one by one, properties over random facts, and a small model
//! world that carries decisions out.
//! May touch: nothing but its arguments.

use super::*;
use crate::resolution::{
    CandidateFacts, ChannelKey, CustomChannels, IdentifiedCookie, RawRequest, Refusal,
};
use proptest::prelude::*;
use std::collections::{HashMap, HashSet};

const C: Uuid = Uuid::from_u128(0xc);
const OTHER: Uuid = Uuid::from_u128(0xd);
const X: Uuid = Uuid::from_u128(0xa1);
const Y: Uuid = Uuid::from_u128(0xa2);
const K: Uuid = Uuid::from_u128(0xf0);

fn anonymous(id: Uuid) -> Visitor {
    Visitor {
        id,
        identified: false,
        claimed_by: None,
        forgotten: false,
    }
}

fn identified(id: Uuid) -> Visitor {
    Visitor {
        identified: true,
        ..anonymous(id)
    }
}

fn claimed(id: Uuid, by: Uuid) -> Visitor {
    Visitor {
        claimed_by: Some(by),
        ..anonymous(id)
    }
}

fn tombstone(id: Uuid) -> Visitor {
    Visitor {
        forgotten: true,
        ..anonymous(id)
    }
}

fn telegram(user: &str) -> ChannelKey {
    ChannelKey {
        channel_type: "telegram".into(),
        channel_id: String::new(),
        channel_user_id: user.into(),
    }
}

fn nothing(asker: Asker) -> Request {
    Request {
        asker,
        provided: None,
        channel: None,
        cookie: None,
        notes: Vec::new(),
    }
}

#[derive(Debug, Clone)]
struct Case {
    policy: Policy,
    request: Request,
    facts: Facts,
    chats: HashMap<Uuid, i64>,
    absorbed: i64,
    undone: Vec<Uuid>,
    clashing: Vec<Uuid>,
}

impl Case {
    fn of(asker: Asker) -> Self {
        Self {
            policy: Policy::for_tests(),
            request: nothing(asker),
            facts: Facts::default(),
            chats: HashMap::new(),
            absorbed: 0,
            undone: Vec::new(),
            clashing: Vec::new(),
        }
    }

    fn provided(mut self, bound: Option<Uuid>) -> Self {
        self.request.provided = Some("C-42".into());
        self.facts.provided = bound;
        self
    }

    fn verified(mut self) -> Self {
        self.facts.provided_verified = true;
        self
    }

    fn channel(mut self, bound: Option<Visitor>) -> Self {
        self.request.channel = Some(telegram("67854257"));
        self.facts.channel = bound;
        self
    }

    fn cookie(mut self, survivor: Option<Visitor>) -> Self {
        self.request.cookie = Some(survivor.map_or(K, |visitor| visitor.id));
        self.facts.cookie = survivor;
        self
    }

    fn with(mut self, change: impl FnOnce(&mut Policy)) -> Self {
        change(&mut self.policy);
        self
    }

    fn keep(self) -> Self {
        self.with(|policy| policy.on_authorization = OnAuthorization::Keep)
    }

    fn chats(mut self, visitor: Uuid, chats: i64) -> Self {
        self.chats.insert(visitor, chats);
        self
    }

    fn absorbed(mut self, absorbed: i64) -> Self {
        self.absorbed = absorbed;
        self
    }

    fn undone(mut self, visitor: Uuid) -> Self {
        self.undone.push(visitor);
        self
    }

    fn clashing(mut self, visitor: Uuid) -> Self {
        self.clashing.push(visitor);
        self
    }

    fn candidates(&self) -> Vec<CandidateFacts> {
        rebind_candidates(&self.policy, &self.request, &self.facts)
            .into_iter()
            .map(|visitor_id| CandidateFacts {
                visitor_id,
                chats: self.chats.get(&visitor_id).copied().unwrap_or(1),
                absorbed_by_target: self.absorbed,
                undone: self.undone.contains(&visitor_id),
                clash: self.clashing.contains(&visitor_id),
            })
            .collect()
    }

    fn decide(&self) -> Decision {
        decide(&self.policy, &self.request, &self.facts, &self.candidates())
    }
}

fn call() -> Case {
    Case::of(Asker::Call)
}

fn row() -> Case {
    Case::of(Asker::ChatRow)
}

fn both() -> [Case; 2] {
    [call(), row()]
}

mod canonical_visitor {
    use super::*;

    fn finds(case: &Case, target: Target, basis: Basis) -> Decision {
        let decision = case.decide();
        assert_eq!((decision.target, decision.basis), (target, basis));
        decision
    }

    #[test]
    fn a_bound_provided_id_gives_its_visitor_whatever_comes_beside_it() {
        for case in both() {
            for beside in [
                case.clone(),
                case.clone().channel(None),
                case.clone().channel(Some(identified(OTHER))),
                case.clone().cookie(Some(anonymous(X))),
                case.clone().cookie(Some(identified(OTHER))),
                case.clone().cookie(Some(tombstone(X))),
                case.cookie(None).channel(Some(anonymous(Y))),
            ] {
                finds(&beside.provided(Some(C)), Target::Known(C), Basis::Provided);
            }
        }
    }

    #[test]
    fn an_unbound_provided_id_gives_a_computed_visitor_whatever_comes_beside_it() {
        for case in both() {
            for beside in [
                case.clone(),
                case.clone().channel(Some(identified(OTHER))),
                case.clone().cookie(Some(anonymous(X))),
                case.clone().cookie(Some(tombstone(X))),
                case.cookie(None).channel(Some(anonymous(Y))),
            ] {
                finds(
                    &beside.provided(None),
                    Target::FromProvided,
                    Basis::Provided,
                );
            }
        }
    }

    #[test]
    fn a_first_provided_id_alone_is_created_and_a_bound_one_recognized_without_a_write() {
        for case in both() {
            let first = case.clone().provided(None).decide();
            assert_eq!((first.outcome(), first.writes()), (Outcome::Created, true));
            let again = case.provided(Some(C)).decide();
            assert_eq!(
                (again.outcome(), again.writes()),
                (Outcome::Recognized, false)
            );
            assert!(first.notes.is_empty() && again.notes.is_empty());
        }
    }

    #[test]
    fn a_bound_channel_id_gives_its_visitor_anonymous_or_identified() {
        for case in both() {
            for holder in [anonymous(X), identified(C), claimed(X, C)] {
                let decision = finds(
                    &case.clone().channel(Some(holder)),
                    Target::Known(holder.id),
                    Basis::Channel,
                );
                assert_eq!(decision.outcome(), Outcome::Recognized);
                assert!(!decision.writes());
            }
        }
    }

    #[test]
    fn an_unbound_channel_id_gives_a_computed_visitor() {
        for case in both() {
            let decision = finds(&case.channel(None), Target::FromChannel, Basis::Channel);
            assert_eq!(decision.outcome(), Outcome::Created);
            assert!(decision.writes());
        }
    }

    #[test]
    fn beside_a_channel_id_a_known_cookie_is_ignored_and_noted() {
        for case in both() {
            for (bound, target) in [
                (None, Target::FromChannel),
                (Some(anonymous(Y)), Target::Known(Y)),
            ] {
                for cookie in [anonymous(X), identified(OTHER), claimed(X, C)] {
                    let decision = finds(
                        &case.clone().channel(bound).cookie(Some(cookie)),
                        target,
                        Basis::Channel,
                    );
                    assert_eq!(decision.notes, [Note::CookieIgnored]);
                    assert_eq!((decision.effects, decision.alias), (Vec::new(), None));
                }
            }
        }
    }

    #[test]
    fn beside_a_channel_id_an_unknown_cookie_of_a_call_is_ignored_and_noted_as_unknown_too() {
        let decision = call().channel(Some(anonymous(Y))).cookie(None).decide();
        assert!(decision.notes.contains(&Note::CookieIgnored));
        assert!(decision.notes.contains(&Note::UnknownVisitorId));
        assert_eq!(decision.target, Target::Known(Y));
        assert!(!decision.writes());
    }

    #[test]
    fn a_known_cookie_gives_its_visitor_or_his_survivor_without_a_write() {
        for case in both() {
            for visitor in [anonymous(X), claimed(X, C), identified(C)] {
                let mut case = case.clone().cookie(Some(visitor));
                case.request.cookie = Some(K);
                let decision = finds(&case, Target::Known(visitor.id), Basis::Cookie);
                assert_eq!(decision.outcome(), Outcome::Recognized);
                assert!(!decision.writes());
                assert!(decision.notes.is_empty());
            }
        }
    }

    #[test]
    fn nothing_usable_gives_a_random_visitor() {
        for case in both() {
            let decision = finds(&case, Target::Random, Basis::None);
            assert_eq!(decision.outcome(), Outcome::Created);
            assert!(decision.writes());
            assert!(decision.notes.is_empty());
        }
    }

    #[test]
    fn a_call_cannot_choose_its_own_id_and_is_told_so() {
        let decision = finds(&call().cookie(None), Target::Random, Basis::None);
        assert_eq!(decision.notes, [Note::UnknownVisitorId]);
        assert_eq!(decision.outcome(), Outcome::Created);
        let decision = call().provided(Some(C)).cookie(None).decide();
        assert_eq!(decision.notes, [Note::UnknownVisitorId]);
        assert_eq!(decision.alias, None);
        assert!(!decision.writes());
    }

    #[test]
    fn a_chat_row_adopts_an_id_that_nobody_has() {
        let decision = finds(&row().cookie(None), Target::Adopted(K), Basis::Cookie);
        assert_eq!(decision.alias, None);
        assert_eq!(decision.outcome(), Outcome::Created);
        assert!(decision.writes());
        assert!(decision.notes.is_empty());
    }

    #[test]
    fn beside_another_identifier_of_a_chat_row_an_unknown_id_becomes_another_name_of_its_visitor() {
        for case in [
            row().provided(Some(C)),
            row().provided(None),
            row().channel(Some(anonymous(Y))),
            row().channel(None),
            row().provided(Some(C)).channel(Some(identified(C))),
        ] {
            let decision = case.cookie(None).decide();
            assert_eq!(decision.alias, Some(K));
            assert_eq!(
                (&decision.effects[..], &decision.notes[..]),
                (&[][..], &[][..])
            );
            assert!(decision.writes());
        }
    }

    #[test]
    fn a_tombstone_is_unknown_and_never_adopted_nor_another_name() {
        for case in both() {
            let bare = finds(
                &case.clone().cookie(Some(tombstone(X))),
                Target::Random,
                Basis::None,
            );
            assert_eq!(bare.alias, None);
            for beside in [
                case.clone().provided(Some(C)),
                case.clone().provided(None),
                case.clone().channel(Some(anonymous(Y))),
                case.clone().channel(None),
            ] {
                let decision = beside.cookie(Some(tombstone(X))).decide();
                assert_eq!(decision.alias, None);
                assert!(decision.effects.is_empty());
            }
        }
        let of_call = call().cookie(Some(tombstone(X))).decide();
        assert_eq!(of_call.notes, [Note::UnknownVisitorId]);
    }
}

mod identified_cookie {
    use super::*;
    use IdentifiedCookie::{Accept, Auto, Ignore};

    const TABLE: [(IdentifiedCookie, Derivation, bool, bool); 12] = [
        (Auto, Derivation::UuidV5, false, true),
        (Auto, Derivation::UuidV5, true, false),
        (Auto, Derivation::Md5, false, false),
        (Auto, Derivation::Md5, true, false),
        (Accept, Derivation::UuidV5, false, true),
        (Accept, Derivation::UuidV5, true, true),
        (Accept, Derivation::Md5, false, true),
        (Accept, Derivation::Md5, true, true),
        (Ignore, Derivation::UuidV5, false, false),
        (Ignore, Derivation::UuidV5, true, false),
        (Ignore, Derivation::Md5, false, false),
        (Ignore, Derivation::Md5, true, false),
    ];

    fn under(
        case: Case,
        identified_cookie: IdentifiedCookie,
        derivation: Derivation,
        signed: bool,
    ) -> Case {
        case.with(|policy| {
            policy.identified_cookie = identified_cookie;
            policy.derivation = derivation;
            policy.require_signature = signed;
        })
    }

    #[test]
    fn a_bare_cookie_of_an_identified_visitor_counts_where_the_account_takes_it() {
        for (setting, derivation, signed, accepted) in TABLE {
            let case = under(call(), setting, derivation, signed).cookie(Some(identified(C)));
            assert_eq!(case.policy.accepts_identified_cookie(), accepted);
            let decision = case.decide();
            if accepted {
                assert_eq!(decision.target, Target::Known(C));
                assert_eq!(decision.basis, Basis::Cookie);
                assert!(decision.notes.is_empty() && !decision.writes());
            } else {
                assert_eq!(decision.target, Target::Random);
                assert_eq!(decision.basis, Basis::None);
                assert_eq!(decision.notes, [Note::CookieIdentified]);
                assert_eq!(decision.outcome(), Outcome::Created);
            }
        }
    }

    #[test]
    fn the_setting_never_applies_to_chat_rows() {
        for (setting, derivation, signed, _) in TABLE {
            let decision = under(row(), setting, derivation, signed)
                .cookie(Some(identified(C)))
                .decide();
            assert_eq!(decision.target, Target::Known(C));
            assert!(decision.notes.is_empty());
        }
    }

    #[test]
    fn the_setting_never_applies_to_an_anonymous_cookie_nor_to_other_identifiers() {
        for (setting, derivation, signed, _) in TABLE {
            let case = under(call(), setting, derivation, signed);
            for (case, target) in [
                (case.clone().cookie(Some(anonymous(X))), Target::Known(X)),
                (case.clone().cookie(Some(claimed(X, C))), Target::Known(X)),
                (case.clone().channel(Some(identified(C))), Target::Known(C)),
                (
                    case.provided(Some(C)).cookie(Some(identified(C))),
                    Target::Known(C),
                ),
            ] {
                let decision = case.decide();
                assert_eq!(decision.target, target);
                assert!(!decision.notes.contains(&Note::CookieIdentified));
            }
        }
    }
}

mod authorization {
    use super::*;

    fn targets() -> Vec<Case> {
        both()
            .into_iter()
            .flat_map(|case| [case.clone().provided(Some(C)), case.provided(None)])
            .collect()
    }

    fn check(
        case: &Case,
        effects: &[(Uuid, Effect)],
        outcome: Outcome,
        notes: &[Note],
    ) -> Decision {
        let decision = case.decide();
        assert_eq!(decision.effects, effects);
        assert_eq!(decision.outcome(), outcome);
        assert_eq!(decision.notes, notes);
        decision
    }

    #[test]
    fn an_anonymous_cookie_visitor_is_absorbed() {
        for case in targets() {
            let decision = check(
                &case.cookie(Some(anonymous(X))),
                &[(X, Effect::Absorb)],
                Outcome::Authorized,
                &[],
            );
            assert!(decision.writes());
            assert_eq!(decision.rows_to_change(), [X]);
        }
    }

    #[test]
    fn an_anonymous_channel_visitor_is_absorbed_and_brings_his_channel_ids() {
        for case in targets() {
            let decision = check(
                &case.channel(Some(anonymous(Y))),
                &[(Y, Effect::Absorb)],
                Outcome::Authorized,
                &[],
            );
            assert_eq!(decision.channel, ChannelEffect::None);
        }
    }

    #[test]
    fn one_visitor_met_by_cookie_and_by_channel_is_one_candidate() {
        for case in targets() {
            let case = case.cookie(Some(anonymous(X))).channel(Some(anonymous(X)));
            assert_eq!(
                rebind_candidates(&case.policy, &case.request, &case.facts),
                [X]
            );
            let decision = check(&case, &[(X, Effect::Absorb)], Outcome::Authorized, &[]);
            assert_eq!(decision.channel, ChannelEffect::None);
        }
    }

    #[test]
    fn the_cookie_comes_before_the_channel() {
        for case in targets() {
            check(
                &case.cookie(Some(anonymous(X))).channel(Some(anonymous(Y))),
                &[(X, Effect::Absorb), (Y, Effect::Absorb)],
                Outcome::Authorized,
                &[],
            );
        }
    }

    #[test]
    fn an_identified_visitor_is_never_joined_and_keeps_everything_but_the_channel_id() {
        for case in targets() {
            let by_cookie = check(
                &case.clone().cookie(Some(identified(OTHER))),
                &[(OTHER, Effect::Leave)],
                Outcome::Switched,
                &[],
            );
            assert!(by_cookie.rows_to_change().is_empty());
            let by_channel = check(
                &case.channel(Some(identified(OTHER))),
                &[(OTHER, Effect::Leave)],
                Outcome::Switched,
                &[],
            );
            assert_eq!(by_channel.channel, ChannelEffect::Repoint { from: OTHER });
            assert!(by_channel.rows_to_change().is_empty());
            assert!(by_channel.writes());
        }
    }

    #[test]
    fn a_visitor_claimed_by_another_is_left_to_him_but_his_channel_id_follows_the_login() {
        for case in targets() {
            check(
                &case.clone().cookie(Some(claimed(X, OTHER))),
                &[(X, Effect::Leave)],
                Outcome::Switched,
                &[],
            );
            let by_channel = check(
                &case.channel(Some(claimed(X, OTHER))),
                &[(X, Effect::Leave)],
                Outcome::Switched,
                &[],
            );
            assert_eq!(by_channel.channel, ChannelEffect::Repoint { from: X });
        }
    }

    #[test]
    fn a_shared_browser_that_switches_writes_nothing_for_a_known_visitor() {
        for case in both() {
            for other in [identified(OTHER), claimed(X, OTHER)] {
                let decision = case.clone().provided(Some(C)).cookie(Some(other)).decide();
                assert!(!decision.writes());
            }
        }
    }

    #[test]
    fn whoever_is_met_and_not_absorbed_is_refused_with_why() {
        for case in targets() {
            for (visitor, code) in [
                (identified(OTHER), "identified"),
                (claimed(OTHER, Y), "claimed"),
            ] {
                for case in [case.clone(), case.clone().keep()] {
                    let decision = case.cookie(Some(visitor)).decide();
                    let refused: Vec<_> = decision
                        .refused
                        .iter()
                        .map(|(id, why)| (*id, why.code()))
                        .collect();
                    assert_eq!(refused, [(OTHER, code)]);
                }
            }
            let kept = case.clone().keep().cookie(Some(anonymous(X))).decide();
            assert_eq!(kept.refused, [(X, RefusedLink::Forbidden(Note::RebindOff))]);
            assert!(case.cookie(Some(anonymous(X))).decide().refused.is_empty());
        }
    }

    #[test]
    fn a_visitor_claimed_by_this_very_one_may_still_be_absorbed() {
        for case in both() {
            check(
                &case.provided(Some(C)).cookie(Some(claimed(X, C))),
                &[(X, Effect::Absorb)],
                Outcome::Authorized,
                &[],
            );
        }
    }

    #[test]
    fn keep_claims_the_visitor_and_leaves_his_chats() {
        for case in targets() {
            let by_cookie = check(
                &case.clone().keep().cookie(Some(anonymous(X))),
                &[(X, Effect::Claim)],
                Outcome::Switched,
                &[Note::RebindOff],
            );
            assert_eq!(by_cookie.newly_claimed().collect::<Vec<_>>(), [X]);
            assert_eq!(by_cookie.rows_to_change(), [X]);
            assert!(by_cookie.writes());
            let by_channel = check(
                &case.keep().channel(Some(anonymous(Y))),
                &[(Y, Effect::Claim)],
                Outcome::Switched,
                &[Note::RebindOff],
            );
            assert_eq!(by_channel.channel, ChannelEffect::None);
        }
    }

    #[test]
    fn keep_does_not_claim_what_is_identified_or_claimed_by_another() {
        for case in targets() {
            for other in [identified(OTHER), claimed(OTHER, Y)] {
                check(
                    &case.clone().keep().cookie(Some(other)),
                    &[(OTHER, Effect::Leave)],
                    Outcome::Switched,
                    &[],
                );
            }
        }
    }

    #[test]
    fn a_visitor_claimed_already_is_claimed_once() {
        for case in both() {
            let decision = check(
                &case.provided(Some(C)).keep().cookie(Some(claimed(X, C))),
                &[(X, Effect::Claim)],
                Outcome::Switched,
                &[Note::RebindOff],
            );
            assert!(!decision.writes());
            assert_eq!(decision.newly_claimed().count(), 0);
            assert!(decision.rows_to_change().is_empty());
        }
    }

    #[test]
    fn a_channel_id_that_came_back_to_a_claimed_visitor_is_pointed_to_the_claimant_again() {
        for case in both() {
            let decision = case
                .provided(Some(C))
                .keep()
                .channel(Some(claimed(X, C)))
                .decide();
            assert_eq!(decision.channel, ChannelEffect::Repoint { from: X });
            assert!(decision.writes());
        }
    }

    #[test]
    fn an_undone_rebinding_is_not_repeated() {
        for case in both() {
            let case = case.provided(Some(C)).undone(X);
            let decision = check(
                &case.clone().cookie(Some(anonymous(X))),
                &[(X, Effect::Claim)],
                Outcome::Switched,
                &[Note::RebindUndone],
            );
            assert_eq!(decision.rows_to_change(), [X]);
            check(
                &case.cookie(Some(anonymous(X))).channel(Some(anonymous(Y))),
                &[(X, Effect::Claim), (Y, Effect::Absorb)],
                Outcome::Authorized,
                &[Note::RebindUndone],
            );
        }
    }

    #[test]
    fn a_visitor_whose_rows_clash_stays_and_is_claimed_once() {
        for case in targets() {
            let case = case.clashing(X);
            let claimed = check(
                &case.clone().cookie(Some(anonymous(X))),
                &[(X, Effect::Claim)],
                Outcome::Switched,
                &[Note::RebindClash],
            );
            assert_eq!(claimed.rows_to_change(), [X]);
            check(
                &case.cookie(Some(anonymous(X))).channel(Some(anonymous(Y))),
                &[(X, Effect::Claim), (Y, Effect::Absorb)],
                Outcome::Authorized,
                &[Note::RebindClash],
            );
        }
        let again = call()
            .provided(Some(C))
            .cookie(Some(claimed(X, C)))
            .clashing(X)
            .decide();
        assert_eq!(again.notes, [Note::RebindClash]);
        assert!(!again.writes());
    }

    #[test]
    fn a_clash_takes_no_room_and_an_undone_rebinding_is_told_first() {
        let case = call()
            .provided(Some(C))
            .with(|policy| policy.max_rebinds = 1)
            .cookie(Some(anonymous(X)))
            .channel(Some(anonymous(Y)))
            .clashing(X);
        assert_eq!(case.decide().absorbed().collect::<Vec<_>>(), [Y]);
        assert_eq!(case.undone(X).decide().notes, [Note::RebindUndone]);
    }

    #[test]
    fn as_many_chats_as_allowed_may_move_and_one_more_may_not() {
        for case in targets() {
            let case = case
                .with(|policy| policy.max_rebind_chats = 5)
                .cookie(Some(anonymous(X)));
            check(
                &case.clone().chats(X, 5),
                &[(X, Effect::Absorb)],
                Outcome::Authorized,
                &[],
            );
            check(
                &case.chats(X, 6),
                &[(X, Effect::Claim)],
                Outcome::Switched,
                &[Note::RebindLimit],
            );
        }
    }

    #[test]
    fn with_no_chats_allowed_a_visitor_without_chats_still_moves() {
        let case = call()
            .with(|policy| policy.max_rebind_chats = 0)
            .provided(Some(C))
            .cookie(Some(anonymous(X)));
        assert_eq!(case.clone().chats(X, 0).decide().absorbed().count(), 1);
        assert_eq!(case.chats(X, 1).decide().absorbed().count(), 0);
    }

    #[test]
    fn as_many_visitors_as_allowed_may_be_absorbed_and_one_more_may_not() {
        for case in both() {
            let case = case
                .provided(Some(C))
                .with(|policy| policy.max_rebinds = 3)
                .cookie(Some(anonymous(X)));
            check(
                &case.clone().absorbed(2),
                &[(X, Effect::Absorb)],
                Outcome::Authorized,
                &[],
            );
            for absorbed in [3, 4] {
                check(
                    &case.clone().absorbed(absorbed),
                    &[(X, Effect::Claim)],
                    Outcome::Switched,
                    &[Note::RebindLimit],
                );
            }
        }
    }

    #[test]
    fn no_room_at_all_absorbs_nobody() {
        for case in targets() {
            for most in [0, -1, i64::MIN] {
                let case = case
                    .clone()
                    .with(|policy| policy.max_rebinds = most)
                    .cookie(Some(anonymous(X)));
                assert_eq!(case.decide().notes, [Note::RebindLimit]);
            }
        }
    }

    #[test]
    fn two_candidates_share_the_room_of_max_rebinds() {
        for case in both() {
            let case = case
                .provided(Some(C))
                .with(|policy| policy.max_rebinds = 10)
                .cookie(Some(anonymous(X)))
                .channel(Some(anonymous(Y)));
            check(
                &case.clone().absorbed(8),
                &[(X, Effect::Absorb), (Y, Effect::Absorb)],
                Outcome::Authorized,
                &[],
            );
            let one_fits = check(
                &case.clone().absorbed(9),
                &[(X, Effect::Absorb), (Y, Effect::Claim)],
                Outcome::Authorized,
                &[Note::RebindLimit],
            );
            assert_eq!(one_fits.channel, ChannelEffect::None);
            check(
                &case.absorbed(10),
                &[(X, Effect::Claim), (Y, Effect::Claim)],
                Outcome::Switched,
                &[Note::RebindLimit],
            );
        }
    }

    #[test]
    fn a_candidate_that_may_not_move_takes_no_room_from_the_next() {
        for case in both() {
            let case = case
                .provided(Some(C))
                .with(|policy| policy.max_rebinds = 1)
                .cookie(Some(anonymous(X)))
                .channel(Some(anonymous(Y)));
            check(
                &case.clone().undone(X),
                &[(X, Effect::Claim), (Y, Effect::Absorb)],
                Outcome::Authorized,
                &[Note::RebindUndone],
            );
            let most = case.policy.max_rebind_chats;
            check(
                &case.chats(X, most + 1),
                &[(X, Effect::Claim), (Y, Effect::Absorb)],
                Outcome::Authorized,
                &[Note::RebindLimit],
            );
        }
    }

    #[test]
    fn one_reason_is_noted_once_and_two_reasons_are_both_noted() {
        let case = call()
            .provided(Some(C))
            .cookie(Some(anonymous(X)))
            .channel(Some(anonymous(Y)));
        assert_eq!(case.clone().keep().decide().notes, [Note::RebindOff]);
        let most = case.policy.max_rebind_chats;
        let two = case.undone(X).chats(Y, most + 1).decide();
        assert_eq!(two.notes, [Note::RebindUndone, Note::RebindLimit]);
    }

    #[test]
    fn a_candidate_that_was_not_looked_at_is_not_absorbed() {
        for case in targets() {
            let case = case.cookie(Some(anonymous(X)));
            let decision = decide(&case.policy, &case.request, &case.facts, &[]);
            assert_eq!(decision.effects, [(X, Effect::Claim)]);
            assert_eq!(decision.notes, [Note::RebindLimit]);
        }
    }

    #[test]
    fn authorized_if_any_candidate_moved() {
        for case in targets() {
            let left_then_moved = check(
                &case
                    .clone()
                    .cookie(Some(identified(OTHER)))
                    .channel(Some(anonymous(Y))),
                &[(OTHER, Effect::Leave), (Y, Effect::Absorb)],
                Outcome::Authorized,
                &[],
            );
            assert_eq!(left_then_moved.channel, ChannelEffect::None);
            let moved_then_left = check(
                &case
                    .cookie(Some(anonymous(X)))
                    .channel(Some(identified(OTHER))),
                &[(X, Effect::Absorb), (OTHER, Effect::Leave)],
                Outcome::Authorized,
                &[],
            );
            assert_eq!(
                moved_then_left.channel,
                ChannelEffect::Repoint { from: OTHER }
            );
        }
    }

    #[test]
    fn an_unbound_channel_id_is_bound_to_the_visitor_of_the_provided_id() {
        for case in targets() {
            let decision = check(
                &case.clone().channel(None),
                &[],
                if case.facts.provided.is_some() {
                    Outcome::Recognized
                } else {
                    Outcome::Created
                },
                &[],
            );
            assert_eq!(decision.channel, ChannelEffect::Bind);
            assert!(decision.writes());
            assert_eq!(
                case.keep()
                    .cookie(Some(anonymous(X)))
                    .channel(None)
                    .decide()
                    .channel,
                ChannelEffect::Bind
            );
        }
    }

    #[test]
    fn joining_oneself_is_a_no_op() {
        for case in both() {
            for case in [case.clone(), case.keep()] {
                let decision = check(
                    &case
                        .provided(Some(C))
                        .cookie(Some(identified(C)))
                        .channel(Some(identified(C))),
                    &[],
                    Outcome::Recognized,
                    &[],
                );
                assert_eq!(decision.channel, ChannelEffect::None);
                assert!(!decision.writes());
            }
        }
    }

    #[test]
    fn without_a_channel_id_in_the_request_no_channel_id_is_touched_by_itself() {
        for case in targets() {
            assert_eq!(
                case.cookie(Some(identified(OTHER))).decide().channel,
                ChannelEffect::None
            );
        }
    }

    #[test]
    fn without_a_provided_id_nobody_is_absorbed_claimed_or_met() {
        for case in both() {
            for case in [
                case.clone()
                    .channel(Some(anonymous(Y)))
                    .cookie(Some(anonymous(X))),
                case.cookie(Some(anonymous(X))),
            ] {
                assert!(rebind_candidates(&case.policy, &case.request, &case.facts).is_empty());
                let decision = case.decide();
                assert!(decision.effects.is_empty());
                assert_eq!(decision.channel, ChannelEffect::None);
            }
        }
    }

    #[test]
    fn only_free_visitors_are_candidates() {
        let case = call().provided(Some(C));
        let of = |cookie: Visitor| {
            let case = case.clone().cookie(Some(cookie));
            rebind_candidates(&case.policy, &case.request, &case.facts)
        };
        assert_eq!(of(anonymous(X)), [X]);
        assert_eq!(of(claimed(X, C)), [X]);
        for other in [
            claimed(X, OTHER),
            identified(OTHER),
            identified(C),
            tombstone(X),
        ] {
            assert!(of(other).is_empty());
        }
        let unbound = call().provided(None).cookie(Some(claimed(X, OTHER)));
        assert!(rebind_candidates(&unbound.policy, &unbound.request, &unbound.facts).is_empty());
    }
}

mod signatures {
    use super::*;

    fn signed(case: Case) -> Case {
        case.with(|policy| policy.require_signature = true)
    }

    #[test]
    fn an_unverified_provided_id_of_a_row_does_not_count_where_a_signature_is_required() {
        for bound in [None, Some(C)] {
            let case = signed(row()).provided(bound);
            assert_eq!(case.decide().target, Target::Random);
            let by_cookie = case.clone().cookie(Some(anonymous(X)));
            assert!(
                rebind_candidates(&by_cookie.policy, &by_cookie.request, &by_cookie.facts)
                    .is_empty()
            );
            let decision = by_cookie.decide();
            assert_eq!(decision.target, Target::Known(X));
            assert_eq!(decision.basis, Basis::Cookie);
            assert!(!decision.writes());
            let decision = case.clone().channel(Some(anonymous(Y))).decide();
            assert_eq!(decision.target, Target::Known(Y));
            assert_eq!(decision.basis, Basis::Channel);
            assert_eq!(decision.channel, ChannelEffect::None);
            assert_eq!(case.cookie(None).decide().target, Target::Adopted(K));
        }
    }

    #[test]
    fn a_verified_provided_id_of_a_row_counts() {
        let case = signed(row())
            .provided(Some(C))
            .verified()
            .cookie(Some(anonymous(X)));
        let decision = case.decide();
        assert_eq!(decision.target, Target::Known(C));
        assert_eq!(decision.effects, [(X, Effect::Absorb)]);
    }

    #[test]
    fn where_no_signature_is_required_an_unverified_provided_id_of_a_row_counts() {
        let decision = row().provided(Some(C)).decide();
        assert_eq!(decision.target, Target::Known(C));
    }

    #[test]
    fn a_call_that_got_this_far_was_verified() {
        for bound in [None, Some(C)] {
            let decision = signed(call())
                .provided(bound)
                .cookie(Some(anonymous(X)))
                .decide();
            assert_eq!(decision.basis, Basis::Provided);
            assert_eq!(decision.effects, [(X, Effect::Absorb)]);
        }
    }
}

mod computed {
    use super::*;

    fn request() -> Request {
        Request {
            provided: Some("1234567890987654321".into()),
            channel: Some(telegram("67854257")),
            ..nothing(Asker::Call)
        }
    }

    fn under(derivation: Derivation) -> Policy {
        Policy {
            derivation,
            ..Policy::for_tests()
        }
    }

    #[test]
    fn md5_is_the_scheme_of_the_product_for_the_first_generation_of_provided_ids() {
        let expected = Uuid::parse_str("877a920e-de70-8241-2656-ac1cdec7ecde").unwrap();
        let policy = under(Derivation::Md5);
        let id = |generation| computed_id(&policy, &request(), Target::FromProvided, generation);
        assert_eq!(id(0), Some(expected));
        assert_eq!(id(1).unwrap().get_version_num(), 5);
        assert_eq!(
            id(1),
            computed_id(
                &under(Derivation::UuidV5),
                &request(),
                Target::FromProvided,
                1
            )
        );
    }

    #[test]
    fn channel_ids_are_always_uuid_v5() {
        for generation in 0..3 {
            let [v5, md5] = [Derivation::UuidV5, Derivation::Md5].map(|derivation| {
                computed_id(
                    &under(derivation),
                    &request(),
                    Target::FromChannel,
                    generation,
                )
            });
            assert_eq!(v5, md5);
            assert_eq!(v5.unwrap().get_version_num(), 5);
        }
    }

    #[test]
    fn every_generation_namespace_kind_and_scope_has_its_own_id() {
        let mut seen = HashSet::new();
        for namespace in 1..3 {
            let policy = Policy {
                namespace: Uuid::from_u128(namespace),
                ..Policy::for_tests()
            };
            for generation in 0..4 {
                for target in [Target::FromProvided, Target::FromChannel] {
                    let id = computed_id(&policy, &request(), target, generation);
                    assert!(seen.insert(id.unwrap()));
                }
                let mut scoped = request();
                scoped.channel.as_mut().unwrap().channel_id = "page".into();
                let id = computed_id(&policy, &scoped, Target::FromChannel, generation);
                assert!(seen.insert(id.unwrap()));
            }
        }
    }

    #[test]
    fn nothing_is_computed_without_the_identifier_or_for_another_kind_of_target() {
        let policy = Policy::for_tests();
        for target in [Target::Known(C), Target::Random, Target::Adopted(K)] {
            assert_eq!(computed_id(&policy, &request(), target, 0), None);
        }
        for target in [Target::FromProvided, Target::FromChannel] {
            assert_eq!(computed_id(&policy, &nothing(Asker::Call), target, 0), None);
        }
    }

    #[test]
    fn a_computed_id_is_taken_only_from_a_live_anonymous_unclaimed_visitor_without_identifiers() {
        assert_eq!(
            holder_of_computed_id(&anonymous(X), false, false),
            Holder::Take
        );
        for holder in [
            anonymous(X),
            identified(X),
            claimed(X, C),
            tombstone(X),
            Visitor {
                forgotten: true,
                ..identified(X)
            },
        ] {
            for superseded in [false, true] {
                for has_identifiers in [false, true] {
                    let free = holder == anonymous(X) && !superseded && !has_identifiers;
                    assert_eq!(
                        holder_of_computed_id(&holder, superseded, has_identifiers) == Holder::Take,
                        free
                    );
                }
            }
        }
    }
}

mod names {
    use super::*;

    struct NoCustomChannels;
    impl CustomChannels for NoCustomChannels {
        fn accepts(&self, _: &str, _: &str) -> Option<bool> {
            None
        }
    }

    #[test]
    fn note_codes_are_stable() {
        let codes = [
            (Note::BlockedIdentifier, "blocked_identifier"),
            (Note::UnknownVisitorId, "unknown_visitor_id"),
            (Note::CookieIgnored, "cookie_ignored"),
            (Note::CookieIdentified, "cookie_identified"),
            (Note::RebindOff, "rebind_off"),
            (Note::RebindLimit, "rebind_limit"),
            (Note::RebindUndone, "rebind_undone"),
            (Note::RebindClash, "rebind_clash"),
        ];
        for (note, code) in codes {
            assert_eq!(note.code(), code);
        }
    }

    #[test]
    fn outcomes_and_bases_have_the_names_of_the_contract() {
        assert_eq!(
            [
                Outcome::Authorized,
                Outcome::Switched,
                Outcome::Created,
                Outcome::Recognized
            ]
            .map(Outcome::name),
            ["authorized", "switched", "created", "recognized"]
        );
        assert_eq!(
            [Basis::Provided, Basis::Channel, Basis::Cookie, Basis::None].map(Basis::name),
            ["provided", "channel", "cookie", "none"]
        );
    }

    #[test]
    fn a_blocked_identifier_is_noted_beside_whatever_else_is_noted() {
        let raw = RawRequest {
            provided_visitor_id: Some("undefined"),
            visitor_id: Some(K),
            ..RawRequest::default()
        };
        let policy = Policy::for_tests();
        let request: Result<Request, Refusal> = Request::from_call(raw, &policy, &NoCustomChannels);
        let decision = decide(&policy, &request.unwrap(), &Facts::default(), &[]);
        assert_eq!(
            decision.notes,
            [Note::BlockedIdentifier, Note::UnknownVisitorId]
        );
        assert_eq!(decision.target, Target::Random);
        let row = Request::from_row(raw, &policy, &NoCustomChannels);
        let decision = decide(&policy, &row, &Facts::default(), &[]);
        assert_eq!(decision.notes, [Note::BlockedIdentifier]);
        assert_eq!(decision.target, Target::Adopted(K));
    }

    #[test]
    fn a_blocked_provided_id_authorizes_nobody() {
        for placeholder in ["0", "null", "000", " Anonymous ", "[object Object]"] {
            let raw = RawRequest {
                provided_visitor_id: Some(placeholder),
                visitor_id: Some(X),
                ..RawRequest::default()
            };
            let policy = Policy::for_tests();
            let request = Request::from_call(raw, &policy, &NoCustomChannels).unwrap();
            let facts = Facts {
                cookie: Some(anonymous(X)),
                ..Facts::default()
            };
            let decision = decide(&policy, &request, &facts, &[]);
            assert_eq!(decision.target, Target::Known(X));
            assert!(decision.effects.is_empty());
        }
    }
}

fn policies() -> impl Strategy<Value = Policy> {
    let limit = || prop_oneof![4 => Just(1000_i64), 4 => 0_i64..4, 1 => any::<i64>()];
    (
        any::<[bool; 3]>(),
        prop_oneof![
            Just(IdentifiedCookie::Auto),
            Just(IdentifiedCookie::Accept),
            Just(IdentifiedCookie::Ignore)
        ],
        limit(),
        limit(),
    )
        .prop_map(
            |([md5, keep, require_signature], identified_cookie, max_rebinds, max_rebind_chats)| {
                Policy {
                    derivation: if md5 {
                        Derivation::Md5
                    } else {
                        Derivation::UuidV5
                    },
                    on_authorization: if keep {
                        OnAuthorization::Keep
                    } else {
                        OnAuthorization::Rebind
                    },
                    require_signature,
                    identified_cookie,
                    max_rebinds,
                    max_rebind_chats,
                    ..Policy::for_tests()
                }
            },
        )
}

fn few_ids() -> impl Strategy<Value = Uuid> {
    (1_u128..6).prop_map(Uuid::from_u128)
}

fn visitors() -> impl Strategy<Value = Visitor> {
    prop_oneof![
        4 => few_ids().prop_map(anonymous),
        2 => few_ids().prop_map(identified),
        2 => (few_ids(), few_ids()).prop_map(|(id, by)| claimed(id, by)),
        1 => few_ids().prop_map(tombstone),
    ]
}

fn askers() -> impl Strategy<Value = Asker> {
    prop_oneof![Just(Asker::Call), Just(Asker::ChatRow)]
}

fn any_facts() -> impl Strategy<Value = Facts> {
    (
        proptest::option::of(few_ids()),
        any::<[bool; 2]>(),
        proptest::option::of(visitors()),
        proptest::option::of(visitors()),
    )
        .prop_map(
            |(provided, [provided_verified, pending], channel, cookie)| Facts {
                provided,
                provided_verified,
                channel,
                cookie,
                pending,
            },
        )
}

fn any_requests() -> impl Strategy<Value = Request> {
    (
        askers(),
        any::<[bool; 2]>(),
        proptest::option::of(few_ids()),
    )
        .prop_map(|(asker, [provided, channel], cookie)| Request {
            asker,
            provided: provided.then(|| "C-42".into()),
            channel: channel.then(|| telegram("67854257")),
            cookie,
            notes: Vec::new(),
        })
}

fn any_candidates() -> impl Strategy<Value = Vec<CandidateFacts>> {
    let number = || prop_oneof![4 => 0_i64..5, 1 => any::<i64>()];
    proptest::collection::vec(
        (few_ids(), number(), number(), any::<bool>(), any::<bool>()).prop_map(
            |(visitor_id, chats, absorbed_by_target, undone, clash)| CandidateFacts {
                visitor_id,
                chats,
                absorbed_by_target,
                undone,
                clash,
            },
        ),
        0..4,
    )
}

/// Facts as the tables can give them: one state per visitor, the holders of identifiers alive, facts only of what was
/// asked for, all candidates looked at for one target.
fn possible() -> impl Strategy<Value = (Policy, Request, Facts, Vec<CandidateFacts>)> {
    (
        policies(),
        any_requests(),
        any_facts(),
        0_i64..5,
        proptest::collection::vec((0_i64..5, any::<bool>(), any::<bool>()), 2),
    )
        .prop_map(|(policy, request, mut facts, absorbed, looks)| {
            let asked = (&request.provided, &request.channel, request.cookie);
            facts.provided = facts.provided.filter(|_| asked.0.is_some());
            facts.channel = facts
                .channel
                .filter(|visitor| asked.1.is_some() && !visitor.forgotten);
            facts.cookie = facts.cookie.filter(|_| asked.2.is_some());
            if let (Some(channel), Some(cookie)) = (facts.channel, facts.cookie) {
                if channel.id == cookie.id {
                    facts.cookie = Some(channel);
                }
            }
            for met in [&mut facts.channel, &mut facts.cookie] {
                *met = met.map(|visitor| {
                    if Some(visitor.id) == facts.provided {
                        identified(visitor.id)
                    } else if visitor.claimed_by == Some(visitor.id) {
                        anonymous(visitor.id)
                    } else {
                        visitor
                    }
                });
            }
            let candidates = rebind_candidates(&policy, &request, &facts)
                .into_iter()
                .zip(looks)
                .map(|(visitor_id, (chats, undone, clash))| CandidateFacts {
                    visitor_id,
                    chats,
                    absorbed_by_target: absorbed,
                    undone,
                    clash,
                })
                .collect();
            (policy, request, facts, candidates)
        })
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 2000,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn there_is_one_decision_for_every_input(
        policy in policies(),
        request in any_requests(),
        facts in any_facts(),
        candidates in any_candidates(),
    ) {
        let decision = decide(&policy, &request, &facts, &candidates);
        prop_assert_eq!(&decision, &decide(&policy, &request, &facts, &candidates));
        let _ = (decision.outcome(), decision.writes(), decision.rows_to_change());
        for (id, effect) in &decision.effects {
            let met = [facts.cookie, facts.channel]
                .into_iter()
                .flatten()
                .find(|visitor| visitor.id == *id);
            prop_assert!(met.is_some());
            if *effect != Effect::Leave {
                prop_assert!(rebind_candidates(&policy, &request, &facts).contains(id));
            }
        }
    }

    #[test]
    fn neither_an_identified_visitor_nor_one_claimed_by_another_is_absorbed_or_claimed(
        (policy, request, facts, candidates) in possible(),
    ) {
        let decision = decide(&policy, &request, &facts, &candidates);
        for visitor in [facts.cookie, facts.channel].into_iter().flatten() {
            let taken = decision
                .effects
                .iter()
                .any(|(id, effect)| *id == visitor.id && *effect != Effect::Leave);
            if taken {
                prop_assert!(!visitor.identified && !visitor.forgotten);
                prop_assert!(visitor.claimed_by.is_none() || visitor.claimed_by == facts.provided);
                prop_assert_ne!(Some(visitor.id), facts.provided);
            }
        }
    }

    #[test]
    fn a_call_adopts_no_id_and_makes_no_other_name(
        (policy, mut request, facts, candidates) in possible(),
    ) {
        request.asker = Asker::Call;
        let decision = decide(&policy, &request, &facts, &candidates);
        prop_assert!(!matches!(decision.target, Target::Adopted(_)));
        prop_assert_eq!(decision.alias, None);
    }

    #[test]
    fn only_an_id_that_nobody_ever_had_is_adopted_or_made_another_name(
        (policy, request, facts, candidates) in possible(),
    ) {
        let decision = decide(&policy, &request, &facts, &candidates);
        let adopted = match decision.target {
            Target::Adopted(id) => Some(id),
            _ => decision.alias,
        };
        if adopted.is_some() {
            prop_assert_eq!(adopted, request.cookie);
            prop_assert_eq!(facts.cookie, None);
        }
        prop_assert!(!(matches!(decision.target, Target::Adopted(_)) && decision.alias.is_some()));
    }

    #[test]
    fn a_known_visitor_with_nothing_to_change_is_not_written(
        (policy, request, facts, candidates) in possible(),
    ) {
        let decision = decide(&policy, &request, &facts, &candidates);
        let Target::Known(target) = decision.target else {
            prop_assert!(decision.writes());
            return Ok(());
        };
        let is_target = |visitor: Option<Visitor>| visitor.is_some_and(|it| it.id == target);
        let channel_rests = request.channel.is_none()
            || decision.basis != Basis::Provided
            || is_target(facts.channel);
        let alone = decision.basis != Basis::Provided
            || facts.cookie.is_none_or(|visitor| {
                visitor.id == target
                    || visitor.identified
                    || visitor.forgotten
                    || visitor.claimed_by.is_some_and(|claimant| claimant != target)
            });
        if channel_rests && alone && decision.alias.is_none() {
            prop_assert!(!decision.writes());
            prop_assert!(decision.rows_to_change().is_empty());
        }
    }

    #[test]
    fn what_is_written_what_is_locked_and_what_is_answered_agree(
        (policy, request, facts, candidates) in possible(),
    ) {
        let decision = decide(&policy, &request, &facts, &candidates);
        let rows = decision.rows_to_change();
        let distinct: HashSet<_> = rows.iter().collect();
        prop_assert_eq!(distinct.len(), rows.len());
        prop_assert_eq!(
            rows.len(),
            decision.absorbed().count() + decision.newly_claimed().count()
        );
        if !rows.is_empty() {
            prop_assert!(decision.writes());
        }
        if let Target::Known(target) = decision.target {
            prop_assert!(!rows.contains(&target));
            prop_assert!(decision.effects.iter().all(|(id, _)| *id != target));
        }
        match decision.outcome() {
            Outcome::Authorized => prop_assert!(decision.absorbed().count() > 0),
            Outcome::Switched => {
                prop_assert!(!decision.effects.is_empty());
                prop_assert_eq!(decision.absorbed().count(), 0);
            }
            Outcome::Created => prop_assert!(decision.writes() && decision.effects.is_empty()),
            Outcome::Recognized => prop_assert!(matches!(decision.target, Target::Known(_))),
        }
        let left: Vec<Uuid> = decision
            .effects
            .iter()
            .filter(|(_, effect)| *effect != Effect::Absorb)
            .map(|(id, _)| *id)
            .collect();
        let refused: Vec<Uuid> = decision.refused.iter().map(|(id, _)| *id).collect();
        prop_assert_eq!(refused, left);
        if decision.basis != Basis::Provided {
            prop_assert!(decision.effects.is_empty());
            prop_assert_eq!(decision.channel, ChannelEffect::None);
        }
        prop_assert_eq!(decision.basis == Basis::None, decision.target == Target::Random);
    }

    #[test]
    fn the_visitor_never_depends_on_what_may_be_absorbed(
        (policy, request, facts, candidates) in possible(),
    ) {
        let full = decide(&policy, &request, &facts, &candidates);
        let bare = decide(&policy, &request, &facts, &[]);
        prop_assert_eq!((full.target, full.basis), (bare.target, bare.basis));
        prop_assert_eq!(full.alias, bare.alias);
        let mut reversed = candidates;
        reversed.reverse();
        prop_assert_eq!(full, decide(&policy, &request, &facts, &reversed));
    }

    #[test]
    fn no_policy_and_no_limit_is_overstepped(
        (policy, request, facts, candidates) in possible(),
    ) {
        let decision = decide(&policy, &request, &facts, &candidates);
        let absorbed: Vec<Uuid> = decision.absorbed().collect();
        if policy.on_authorization == OnAuthorization::Keep {
            prop_assert!(absorbed.is_empty());
        }
        for candidate in candidates.iter().filter(|it| absorbed.contains(&it.visitor_id)) {
            prop_assert!(!candidate.undone);
            prop_assert!(!candidate.clash);
            prop_assert!(candidate.chats <= policy.max_rebind_chats);
            prop_assert!(
                candidate.absorbed_by_target + absorbed.len() as i64 <= policy.max_rebinds
            );
        }
        let forbidden = decision.effects.iter().any(|(_, effect)| *effect == Effect::Claim);
        let reasons = [
            Note::RebindOff,
            Note::RebindLimit,
            Note::RebindUndone,
            Note::RebindClash,
        ];
        prop_assert_eq!(
            forbidden,
            decision.notes.iter().any(|note| reasons.contains(note))
        );
        let distinct: HashSet<_> = decision.notes.iter().map(|note| note.code()).collect();
        prop_assert_eq!(distinct.len(), decision.notes.len());
    }
}

mod world {
    use super::*;

    const PROVIDED: [&str; 3] = ["C-1", "C-2", "C-3"];
    const CHANNELS: [&str; 3] = ["10000001", "10000002", "10000003"];

    #[derive(Debug, Clone, Default)]
    struct Stored {
        superseded_by: Option<Uuid>,
        claimed_by: Option<Uuid>,
        identified: bool,
        forgotten: bool,
    }

    #[derive(Debug, Clone)]
    struct Chat {
        visitor: Uuid,
        origin: Uuid,
    }

    #[derive(Debug, Clone)]
    struct Rebind {
        from: Uuid,
        to: Uuid,
        undone: bool,
        chats: Vec<usize>,
        names: Vec<Uuid>,
        channels: Vec<String>,
    }

    #[derive(Debug, Clone, Default)]
    struct World {
        visitors: HashMap<Uuid, Stored>,
        provided: HashMap<String, (Uuid, bool)>,
        channels: HashMap<String, Uuid>,
        chats: Vec<Chat>,
        rebinds: Vec<Rebind>,
        issued: Vec<Uuid>,
    }

    impl World {
        fn visitor(&self, id: Uuid) -> Option<Visitor> {
            let stored = self.visitors.get(&id)?;
            let id = stored.superseded_by.unwrap_or(id);
            let stored = self.visitors.get(&id)?;
            Some(Visitor {
                id,
                identified: stored.identified,
                claimed_by: stored.claimed_by,
                forgotten: stored.forgotten,
            })
        }

        fn facts(&self, request: &Request) -> Facts {
            let provided = request
                .provided
                .as_ref()
                .and_then(|provided| self.provided.get(provided));
            let channel = request
                .channel
                .as_ref()
                .and_then(|key| self.channels.get(&key.channel_user_id));
            Facts {
                provided: provided.map(|(id, _)| *id),
                provided_verified: provided.is_some_and(|(_, verified)| *verified),
                channel: channel.and_then(|id| self.visitor(*id)),
                cookie: request.cookie.and_then(|id| self.visitor(id)),
                pending: false,
            }
        }

        fn candidates(&self, policy: &Policy, request: &Request) -> Vec<CandidateFacts> {
            let facts = self.facts(request);
            let by_target = |undone: bool| {
                self.rebinds
                    .iter()
                    .filter(move |it| Some(it.to) == facts.provided && it.undone == undone)
            };
            rebind_candidates(policy, request, &facts)
                .into_iter()
                .map(|visitor_id| CandidateFacts {
                    visitor_id,
                    chats: self.count(visitor_id),
                    absorbed_by_target: by_target(false).count() as i64,
                    undone: by_target(true).any(|it| it.from == visitor_id),
                    clash: false,
                })
                .collect()
        }

        fn count(&self, visitor: Uuid) -> i64 {
            let of = |chat: &&Chat| chat.visitor == visitor;
            self.chats.iter().filter(of).count() as i64
        }

        fn decide(&self, policy: &Policy, request: &Request) -> Decision {
            decide(
                policy,
                request,
                &self.facts(request),
                &self.candidates(policy, request),
            )
        }

        fn insert(&mut self, id: Uuid, stored: Stored) {
            assert!(self.visitors.insert(id, stored).is_none());
        }

        fn has_identifiers(&self, id: Uuid) -> bool {
            self.provided.values().any(|(holder, _)| *holder == id)
                || self.channels.values().any(|holder| *holder == id)
        }

        fn bind_target(&mut self, policy: &Policy, request: &Request, target: Target) -> Uuid {
            let id = match target {
                Target::Known(id) => return id,
                Target::Random => Uuid::from_u128(0xffff_0000 + self.visitors.len() as u128),
                Target::Adopted(id) => id,
                Target::FromProvided | Target::FromChannel => (0..100)
                    .filter_map(|generation| computed_id(policy, request, target, generation))
                    .find(|id| match self.visitors.get(id) {
                        None => true,
                        Some(stored) => {
                            let holder = Visitor {
                                id: *id,
                                identified: stored.identified,
                                claimed_by: stored.claimed_by,
                                forgotten: stored.forgotten,
                            };
                            let superseded = stored.superseded_by.is_some();
                            holder_of_computed_id(&holder, superseded, self.has_identifiers(*id))
                                == Holder::Take
                        }
                    })
                    .unwrap(),
            };
            match (target, &request.provided, &request.channel) {
                (Target::FromProvided, Some(provided), _) => {
                    self.visitors.entry(id).or_default().identified = true;
                    self.provided.insert(provided.clone(), (id, false));
                }
                (Target::FromChannel, _, Some(key)) => {
                    self.visitors.entry(id).or_default();
                    self.channels.insert(key.channel_user_id.clone(), id);
                }
                _ => self.insert(id, Stored::default()),
            }
            id
        }

        fn move_channels(&mut self, from: Uuid, to: Uuid) -> Vec<String> {
            let mut moved = Vec::new();
            for (key, holder) in &mut self.channels {
                if *holder == from {
                    *holder = to;
                    moved.push(key.clone());
                }
            }
            moved
        }

        fn absorb(&mut self, from: Uuid, to: Uuid) {
            let names: Vec<Uuid> = self
                .visitors
                .iter()
                .filter(|(_, stored)| stored.superseded_by == Some(from))
                .map(|(id, _)| *id)
                .collect();
            let stored = self.visitors.get_mut(&from).unwrap();
            assert!(!stored.identified, "two identified visitors joined");
            assert!(!stored.forgotten && stored.superseded_by.is_none());
            assert!(stored.claimed_by.is_none() || stored.claimed_by == Some(to));
            stored.claimed_by = None;
            for id in names.iter().chain([&from]) {
                self.visitors.get_mut(id).unwrap().superseded_by = Some(to);
            }
            let mut chats = Vec::new();
            for (position, chat) in self.chats.iter_mut().enumerate() {
                if chat.visitor == from {
                    chat.visitor = to;
                    chats.push(position);
                }
            }
            let channels = self.move_channels(from, to);
            self.rebinds.push(Rebind {
                from,
                to,
                undone: false,
                chats,
                names,
                channels,
            });
        }

        fn resolve(&mut self, policy: &Policy, request: &Request) -> Uuid {
            self.resolve_and_tell(policy, request).0
        }

        /// As the store does: when a visitor that was met is identified in place, what was decided about it no longer
        /// stands, and the facts are read again.
        fn resolve_and_tell(&mut self, policy: &Policy, request: &Request) -> (Uuid, Decision) {
            let mut decision = self.decide(policy, request);
            let mut target = self.bind_target(policy, request, decision.target);
            if decision.effects.iter().any(|(id, _)| *id == target) {
                decision = self.decide(policy, request);
                target = self.bind_target(policy, request, decision.target);
            }
            if let (Asker::Call, Some(provided)) = (request.asker, &request.provided) {
                self.provided.get_mut(provided).unwrap().1 = true;
            }
            if let Some(key) = &request.channel {
                let key = key.channel_user_id.clone();
                match decision.channel {
                    ChannelEffect::None => {}
                    ChannelEffect::Bind => {
                        assert!(self.channels.insert(key, target).is_none());
                    }
                    ChannelEffect::Repoint { from } => {
                        assert_eq!(self.channels.insert(key, target), Some(from));
                    }
                }
            }
            if let Some(alias) = decision.alias.filter(|alias| *alias != target) {
                self.insert(
                    alias,
                    Stored {
                        superseded_by: Some(target),
                        ..Stored::default()
                    },
                );
            }
            for id in decision.absorbed() {
                self.absorb(id, target);
            }
            for id in decision.newly_claimed() {
                let stored = self.visitors.get_mut(&id).unwrap();
                assert!(!stored.identified && stored.claimed_by.is_none());
                stored.claimed_by = Some(target);
                self.move_channels(id, target);
            }
            self.issued.push(target);
            (target, decision)
        }

        fn chat(&mut self, policy: &Policy, request: &Request) -> Uuid {
            let visitor = self.resolve(policy, request);
            self.chats.push(Chat {
                visitor,
                origin: visitor,
            });
            visitor
        }

        fn undo(&mut self, position: usize) {
            let rebind = &mut self.rebinds[position];
            if rebind.undone || self.visitors[&rebind.to].forgotten {
                return;
            }
            rebind.undone = true;
            let rebind = rebind.clone();
            self.visitors.get_mut(&rebind.from).unwrap().superseded_by = None;
            for id in rebind.names {
                self.visitors.get_mut(&id).unwrap().superseded_by = Some(rebind.from);
            }
            for position in rebind.chats {
                let chat = &mut self.chats[position];
                if chat.visitor == rebind.to {
                    chat.visitor = rebind.from;
                }
            }
            for key in rebind.channels {
                if let Some(holder) = self.channels.get_mut(&key) {
                    if *holder == rebind.to {
                        *holder = rebind.from;
                    }
                }
            }
        }

        fn forget(&mut self, id: Uuid) {
            let stored = self.visitors.get_mut(&id).unwrap();
            if stored.superseded_by.is_none() {
                stored.forgotten = true;
                stored.identified = false;
                stored.claimed_by = None;
                self.provided.retain(|_, (holder, _)| *holder != id);
                self.channels.retain(|_, holder| *holder != id);
            }
        }

        fn check(&self) {
            for stored in self.visitors.values() {
                if let Some(survivor) = stored.superseded_by {
                    assert!(self.visitors[&survivor].superseded_by.is_none(), "depth");
                    assert!(!stored.identified && stored.claimed_by.is_none());
                }
                if let Some(claimant) = stored.claimed_by {
                    assert!(!stored.identified, "an identified visitor is claimed");
                    let claimant = &self.visitors[&claimant];
                    assert!(claimant.identified || claimant.forgotten);
                }
            }
            for chat in &self.chats {
                assert!(
                    self.visitors[&chat.visitor].superseded_by.is_none(),
                    "a chat is left behind"
                );
                assert!(self.visitors.contains_key(&chat.origin));
            }
            let mut holders = HashSet::new();
            for (holder, _) in self.provided.values() {
                assert!(holders.insert(holder), "two provided ids share a visitor");
                let stored = &self.visitors[holder];
                assert!(stored.identified && stored.superseded_by.is_none());
            }
            for stored in self.channels.values().map(|holder| &self.visitors[holder]) {
                assert!(stored.superseded_by.is_none() && !stored.forgotten);
            }
        }
    }

    #[derive(Debug, Clone)]
    enum Cookie {
        Brought(u8),
        Issued(prop::sample::Index),
        OfProvided(usize),
        OfChannel(usize),
    }

    impl Cookie {
        fn id(&self, world: &World, policy: &Policy) -> Option<Uuid> {
            match self {
                Self::Brought(number) => Some(Uuid::from_u128(0x1000 + u128::from(*number))),
                Self::Issued(index) => {
                    (!world.issued.is_empty()).then(|| *index.get(&world.issued))
                }
                Self::OfProvided(person) => computed_id(
                    policy,
                    &asking(Asker::Call, Some(*person), None, None),
                    Target::FromProvided,
                    0,
                ),
                Self::OfChannel(person) => computed_id(
                    policy,
                    &asking(Asker::Call, None, Some(*person), None),
                    Target::FromChannel,
                    0,
                ),
            }
        }
    }

    fn asking(
        asker: Asker,
        provided: Option<usize>,
        channel: Option<usize>,
        cookie: Option<Uuid>,
    ) -> Request {
        Request {
            asker,
            provided: provided.map(|person| PROVIDED[person].into()),
            channel: channel.map(|person| telegram(CHANNELS[person])),
            cookie,
            notes: Vec::new(),
        }
    }

    fn cookies() -> impl Strategy<Value = Cookie> {
        prop_oneof![
            3 => (0_u8..4).prop_map(Cookie::Brought),
            4 => any::<prop::sample::Index>().prop_map(Cookie::Issued),
            1 => (0_usize..3).prop_map(Cookie::OfProvided),
            1 => (0_usize..3).prop_map(Cookie::OfChannel),
        ]
    }

    #[derive(Debug, Clone)]
    enum Event {
        Request(Asker, Option<usize>, Option<usize>, Option<Cookie>),
        Authorize(prop::sample::Index, usize),
        Undo(prop::sample::Index),
        Forget(prop::sample::Index),
        Policy(Policy),
    }

    fn events() -> impl Strategy<Value = Event> {
        let person = || proptest::option::of(0_usize..3);
        prop_oneof![
            12 => (askers(), person(), person(), proptest::option::of(cookies()))
                .prop_map(|(asker, provided, channel, cookie)| {
                    Event::Request(asker, provided, channel, cookie)
                }),
            3 => (any::<prop::sample::Index>(), 0_usize..3)
                .prop_map(|(chat, person)| Event::Authorize(chat, person)),
            1 => any::<prop::sample::Index>().prop_map(Event::Undo),
            1 => any::<prop::sample::Index>().prop_map(Event::Forget),
            1 => policies().prop_map(Event::Policy),
        ]
    }

    fn resolve_twice(world: &mut World, policy: &Policy, request: &Request) {
        let before = world.clone();
        let decision = world.decide(policy, request);
        let seen = decide(policy, request, &world.facts(request), &[]).target;
        let answer = match request.asker {
            Asker::Call => world.resolve(policy, request),
            Asker::ChatRow => world.chat(policy, request),
        };
        if let Target::Known(found) = seen {
            assert_eq!(found, answer, "finding and resolving differ");
        }
        if !decision.writes() {
            assert_eq!(before.visitors.len(), world.visitors.len());
            assert_eq!(before.rebinds.len(), world.rebinds.len());
            assert_eq!(before.channels, world.channels);
        }
        let stored = &world.visitors[&answer];
        assert!(!stored.forgotten && stored.superseded_by.is_none());
        for (provided, (holder, _)) in &before.provided {
            assert_eq!(world.provided[provided].0, *holder, "a pair came apart");
        }
        for (position, chat) in before.chats.iter().enumerate() {
            assert_eq!(world.chats[position].origin, chat.origin);
        }

        let again = match decision.basis {
            Basis::None => Request {
                cookie: Some(answer),
                ..request.clone()
            },
            _ => request.clone(),
        };
        let second = world.decide(policy, &again);
        assert_eq!(second.target, Target::Known(answer), "another answer");
        assert!(!second.writes(), "the second time is written");
        let by_cookie = Request {
            cookie: Some(answer),
            ..nothing(Asker::ChatRow)
        };
        let carried = world.decide(policy, &by_cookie);
        assert_eq!(carried.target, Target::Known(answer));
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            cases: 1500,
            failure_persistence: None,
            ..ProptestConfig::default()
        })]

        #[test]
        fn whatever_happens_the_promises_hold_after_every_step(
            first in policies(),
            events in proptest::collection::vec(events(), 1..40),
        ) {
            let mut world = World::default();
            let mut policy = first;
            let mut tombstones: HashSet<Uuid> = HashSet::new();
            for event in events {
                match event {
                    Event::Request(asker, provided, channel, cookie) => {
                        let cookie = cookie.and_then(|cookie| cookie.id(&world, &policy));
                        let request = asking(asker, provided, channel, cookie);
                        resolve_twice(&mut world, &policy, &request);
                    }
                    Event::Authorize(index, person) => {
                        if world.chats.is_empty() {
                            continue;
                        }
                        let position = index.index(world.chats.len());
                        let left = world.chats[position].visitor;
                        if world.visitors[&left].forgotten {
                            continue;
                        }
                        let request = asking(Asker::ChatRow, Some(person), None, Some(left));
                        let counts = world.decide(&policy, &request).basis == Basis::Provided;
                        let visitor = world.resolve(&policy, &request);
                        world.chats[position].visitor = visitor;
                        if counts {
                            prop_assert_eq!(visitor, world.provided[PROVIDED[person]].0);
                        } else {
                            prop_assert_eq!(visitor, left);
                        }
                    }
                    Event::Undo(index) => {
                        if !world.rebinds.is_empty() {
                            world.undo(index.index(world.rebinds.len()));
                        }
                    }
                    Event::Forget(index) => {
                        if !world.issued.is_empty() {
                            world.forget(*index.get(&world.issued));
                        }
                    }
                    Event::Policy(changed) => policy = changed,
                }
                world.check();
                tombstones.extend(
                    world
                        .visitors
                        .iter()
                        .filter(|(_, stored)| stored.forgotten)
                        .map(|(id, _)| *id),
                );
                for id in &tombstones {
                    prop_assert!(world.visitors[id].forgotten && !world.has_identifiers(*id));
                }
            }
        }

        #[test]
        fn for_one_persons_identifiers_the_order_of_arrival_does_not_matter(
            (calls, md5, setting, steps) in (
                any::<bool>(),
                any::<bool>(),
                prop_oneof![
                    Just(IdentifiedCookie::Auto),
                    Just(IdentifiedCookie::Accept),
                    Just(IdentifiedCookie::Ignore)
                ],
                proptest::collection::vec((0_usize..2, 0_usize..2, 0_u8..3), 0..6),
            )
                .prop_flat_map(|(calls, md5, setting, extra)| {
                    let mut steps: Vec<Step> = extra
                        .into_iter()
                        .map(|(person, device, kind)| match kind {
                            0 => Step::CookieChat(person, device),
                            1 => Step::ChannelChat(person),
                            _ => Step::BothChat(person, device),
                        })
                        .collect();
                    for person in 0..2 {
                        steps.push(Step::ChannelLogin(person));
                        for device in 0..2 {
                            steps.push(Step::CookieChat(person, device));
                            steps.push(Step::CookieLogin(person, device));
                        }
                    }
                    (Just(calls), Just(md5), Just(setting), Just(steps).prop_shuffle())
                }),
        ) {
            let policy = Policy {
                derivation: if md5 { Derivation::Md5 } else { Derivation::UuidV5 },
                identified_cookie: setting,
                require_signature: calls,
                ..Policy::for_tests()
            };
            let mut world = World::default();
            let cookies: Vec<Uuid> = (0..4_u128)
                .map(|number| {
                    if calls {
                        world.resolve(&policy, &nothing(Asker::Call))
                    } else {
                        Uuid::from_u128(0x2000 + number)
                    }
                })
                .collect();
            let login = if calls { Asker::Call } else { Asker::ChatRow };
            let mut persons = Vec::new();
            for step in steps {
                let (person, request) = step.request(login, &cookies);
                if request.asker == Asker::ChatRow {
                    world.chat(&policy, &request);
                    persons.push(person);
                } else {
                    world.resolve(&policy, &request);
                }
                world.check();
            }
            let homes = [0, 1].map(|person| world.provided[PROVIDED[person]].0);
            prop_assert_ne!(homes[0], homes[1]);
            for (chat, person) in world.chats.iter().zip(&persons) {
                prop_assert_eq!(chat.visitor, homes[*person]);
            }
            for (person, home) in homes.into_iter().enumerate() {
                let request = asking(Asker::Call, Some(person), None, None);
                prop_assert_eq!(
                    computed_id(&policy, &request, Target::FromProvided, 0),
                    Some(home)
                );
                prop_assert_eq!(world.channels[CHANNELS[person]], home);
                for device in 0..2 {
                    let cookie = cookies[person * 2 + device];
                    prop_assert_eq!(world.visitor(cookie).map(|it| it.id), Some(home));
                }
            }
        }
    }

    #[derive(Debug, Clone, Copy)]
    enum Step {
        CookieChat(usize, usize),
        ChannelChat(usize),
        BothChat(usize, usize),
        CookieLogin(usize, usize),
        ChannelLogin(usize),
    }

    impl Step {
        fn request(self, login: Asker, cookies: &[Uuid]) -> (usize, Request) {
            let chat = Asker::ChatRow;
            let cookie = |person: usize, device: usize| Some(cookies[person * 2 + device]);
            match self {
                Self::CookieChat(person, device) => {
                    (person, asking(chat, None, None, cookie(person, device)))
                }
                Self::ChannelChat(person) => (person, asking(chat, None, Some(person), None)),
                Self::BothChat(person, device) => (
                    person,
                    asking(chat, None, Some(person), cookie(person, device)),
                ),
                Self::CookieLogin(person, device) => (
                    person,
                    asking(login, Some(person), None, cookie(person, device)),
                ),
                Self::ChannelLogin(person) => {
                    (person, asking(login, Some(person), Some(person), None))
                }
            }
        }
    }

    fn chat(world: &mut World, provided: Option<usize>, cookie: Uuid) -> Uuid {
        let request = asking(Asker::ChatRow, provided, None, Some(cookie));
        world.chat(&Policy::for_tests(), &request)
    }

    #[test]
    fn a_chat_before_the_login_and_a_chat_after_it_end_on_one_visitor() {
        let mut before = World::default();
        chat(&mut before, None, K);
        let after_login = chat(&mut before, Some(0), K);
        let mut after = World::default();
        assert_eq!(chat(&mut after, Some(0), K), after_login);
        assert_eq!(chat(&mut after, None, K), after_login);
        for world in [before, after] {
            assert!(world.chats.iter().all(|chat| chat.visitor == after_login));
        }
    }

    #[test]
    fn a_shared_cookie_belongs_to_its_first_login() {
        let mut world = World::default();
        chat(&mut world, None, K);
        let first = chat(&mut world, Some(0), K);
        let second = chat(&mut world, Some(1), K);
        let third = chat(&mut world, Some(2), K);
        assert_eq!(HashSet::from([first, second, third]).len(), 3);
        assert_eq!(chat(&mut world, None, K), first);
        assert_eq!(world.count(first), 3);
        world.check();
    }

    #[test]
    fn a_visitor_claimed_by_the_first_login_is_not_absorbed_by_the_second() {
        let mut world = World::default();
        let keep = Policy {
            on_authorization: OnAuthorization::Keep,
            ..Policy::for_tests()
        };
        chat(&mut world, None, K);
        let login = |person| asking(Asker::ChatRow, Some(person), None, Some(K));
        let first = world.chat(&keep, &login(0));
        let second = chat(&mut world, Some(1), K);
        assert_eq!((world.count(K), world.count(second)), (1, 1));
        assert_eq!(chat(&mut world, Some(0), K), first);
        assert_eq!((world.count(K), world.count(first)), (0, 3));
    }

    #[test]
    fn the_same_identifier_after_forgetting_is_a_new_visitor() {
        let mut world = World::default();
        chat(&mut world, None, K);
        let forgotten = chat(&mut world, Some(0), K);
        world.forget(forgotten);
        let known = world.visitors.len();
        let fresh = chat(&mut world, Some(0), K);
        assert_ne!(fresh, forgotten);
        assert_eq!(world.visitors.len(), known + 1);
        assert_ne!(chat(&mut world, None, K), K);
        assert_ne!(chat(&mut world, None, forgotten), forgotten);
    }

    #[test]
    fn a_visitor_that_holds_the_id_computed_from_its_own_login_is_identified_in_place() {
        let mut world = World::default();
        let policy = Policy::for_tests();
        let own = Cookie::OfProvided(0).id(&world, &policy).unwrap();
        assert_eq!(chat(&mut world, None, own), own);
        assert_eq!(chat(&mut world, Some(0), own), own);
        assert!(world.visitors[&own].identified);
        assert!(world.rebinds.is_empty());
        assert_eq!(world.count(own), 2);
    }

    #[test]
    fn joining_oneself_by_a_computed_id_is_a_no_op_under_every_policy() {
        for (on_authorization, max_rebinds) in [
            (OnAuthorization::Rebind, 1000),
            (OnAuthorization::Rebind, 0),
            (OnAuthorization::Keep, 1000),
        ] {
            let policy = Policy {
                on_authorization,
                max_rebinds,
                ..Policy::for_tests()
            };
            let mut world = World::default();
            let own = Cookie::OfProvided(0).id(&world, &policy).unwrap();
            chat(&mut world, None, own);
            let login = asking(Asker::Call, Some(0), None, Some(own));
            let (answer, decision) = world.resolve_and_tell(&policy, &login);
            assert_eq!(answer, own);
            assert!(world.visitors[&own].claimed_by.is_none());
            assert!(decision.notes.is_empty(), "{:?}", decision.notes);
        }
    }
}
