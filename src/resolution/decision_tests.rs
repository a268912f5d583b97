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

    fn candidates(&self) -> Vec<CandidateFacts> {
        rebind_candidates(&self.policy, &self.request, &self.facts)
            .into_iter()
            .map(|visitor_id| CandidateFacts {
                visitor_id,
                chats: self.chats.get(&visitor_id).copied().unwrap_or(1),
                absorbed_by_target: self.absorbed,
                undone: self.undone.contains(&visitor_id),
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
