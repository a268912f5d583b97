//! The promises of `plan`: what follows an answer knows of it, what changes somebody goes alone and takes along who is tied
//! to it, and nobody else.
//! May touch: nothing but its arguments.

use super::*;
use crate::resolution::Outcome;

const V: Uuid = Uuid::from_u128(0xa1);
const W: Uuid = Uuid::from_u128(0xa2);
const C: Uuid = Uuid::from_u128(0xc);

fn row(provided: Option<&str>, channel: Option<&str>, cookie: Option<Uuid>) -> Asked {
    Asked {
        request: Request {
            asker: Asker::ChatRow,
            provided: provided.map(str::to_owned),
            channel: channel.map(|user| ChannelKey {
                channel_type: "telegram".into(),
                channel_id: String::new(),
                channel_user_id: user.into(),
            }),
            cookie,
            notes: Vec::new(),
        },
        facts: Facts::default(),
    }
}

fn call(provided: &str) -> Asked {
    let mut asked = row(Some(provided), None, None);
    asked.request.asker = Asker::Call;
    asked
}

fn standing(id: Uuid, identified: bool) -> Option<Visitor> {
    Some(Visitor {
        id,
        identified,
        claimed_by: None,
        forgotten: false,
    })
}

fn planned<'a>(asked: &'a [Asked], obstacles: &Obstacles) -> Plan<'a> {
    let mut random = 0;
    plan(&Policy::for_tests(), asked, obstacles, || {
        random += 1;
        Uuid::from_u128(0xff00 + random)
    })
}

fn visitors(plan: &Plan<'_>) -> Vec<Option<Uuid>> {
    plan.ways
        .iter()
        .map(|way| match way {
            Way::Together(visitor, _) => Some(*visitor),
            Way::Alone => None,
        })
        .collect()
}

fn computed(provided: &str) -> Uuid {
    let asked = call(provided);
    computed_id(
        &Policy::for_tests(),
        &asked.request,
        Target::FromProvided,
        0,
    )
    .unwrap()
}

#[test]
fn who_is_made_by_one_request_is_known_to_the_next() {
    let asked = [call("p"), call("p"), call("q")];
    let plan = planned(&asked, &Obstacles::default());
    let outcomes: Vec<Outcome> = plan
        .ways
        .iter()
        .map(|way| match way {
            Way::Together(_, decision) => decision.outcome(),
            Way::Alone => panic!("alone"),
        })
        .collect();
    assert_eq!(
        outcomes,
        [Outcome::Created, Outcome::Recognized, Outcome::Created]
    );
    let (p, q) = (computed("p"), computed("q"));
    assert_eq!(visitors(&plan), [Some(p), Some(p), Some(q)]);
    assert_eq!(plan.provided, BTreeMap::from([("p", p), ("q", q)]));
    assert!(plan.shared.is_empty());
}

#[test]
fn a_login_midway_goes_alone_and_so_does_what_follows_it_and_nobody_else() {
    let asked = [
        row(None, None, Some(V)),
        row(Some("p"), None, Some(V)),
        row(None, None, Some(V)),
        row(None, Some("1"), Some(V)),
        row(None, Some("1"), None),
        row(Some("p"), None, None),
        row(None, None, Some(W)),
        row(Some("q"), None, None),
    ];
    let plan = planned(&asked, &Obstacles::default());
    assert_eq!(
        visitors(&plan),
        [
            Some(V),
            None,
            None,
            None,
            None,
            None,
            Some(W),
            Some(computed("q"))
        ]
    );
    assert_eq!(plan.adopted, BTreeMap::from([(V, None), (W, None)]));
    assert_eq!(plan.provided.len(), 1);
}

#[test]
fn a_cookie_that_comes_first_with_its_login_becomes_another_name_for_all_that_follow() {
    let asked = [
        row(Some("p"), None, Some(V)),
        row(None, None, Some(V)),
        row(Some("p"), Some("1"), Some(W)),
        row(None, Some("1"), None),
    ];
    let plan = planned(&asked, &Obstacles::default());
    let p = computed("p");
    assert_eq!(visitors(&plan), [Some(p); 4]);
    assert_eq!(plan.adopted, BTreeMap::from([(V, Some(p)), (W, Some(p))]));
    assert_eq!(plan.created, BTreeMap::from([(p, true)]));
    assert_eq!(plan.channels.len(), 1);
}

#[test]
fn a_row_that_brings_the_computed_id_itself_gets_no_second_name() {
    let p = computed("p");
    let asked = [row(Some("p"), None, Some(p)), row(None, None, Some(p))];
    let plan = planned(&asked, &Obstacles::default());
    assert_eq!(visitors(&plan), [Some(p), Some(p)]);
    assert!(plan.adopted.is_empty());
    // Brought before it is claimed, it belongs to an anonymous visitor, who is identified in place: alone.
    let asked = [row(None, None, Some(p)), row(Some("p"), None, None)];
    let plan = planned(&asked, &Obstacles::default());
    assert_eq!(visitors(&plan), [Some(p), None]);
}

#[test]
fn whoever_may_be_somebody_else_by_now_is_left_to_be_resolved_alone() {
    let mut known = row(None, None, Some(V));
    known.facts.cookie = standing(V, false);
    let asked = [known, row(None, None, Some(W)), row(Some("p"), None, None)];
    let plan = planned(&asked, &Obstacles::default());
    assert_eq!(plan.shared, BTreeMap::from([(V, false)]));
    let obstacles = Obstacles {
        busy: HashSet::from([V]),
        taken: HashSet::from([W, computed("p")]),
    };
    assert_eq!(visitors(&planned(&asked, &obstacles)), [None; 3]);
}

#[test]
fn a_shared_browser_is_remembered_and_changes_nobody() {
    let mut asked = row(Some("p"), None, Some(V));
    asked.facts = Facts {
        provided: Some(C),
        cookie: standing(V, true),
        ..Facts::default()
    };
    let asked = [asked];
    let plan = planned(&asked, &Obstacles::default());
    assert_eq!(visitors(&plan), [Some(C)]);
    assert_eq!(plan.refused, BTreeSet::from([(V, C, "identified")]));
    assert_eq!(plan.still_bound, BTreeMap::from([("p", C)]));
}

#[test]
fn an_authorization_beside_a_visitor_of_whom_too_little_is_known_goes_alone() {
    // The channel's holder may be identified or not: the request that named V after him did not have to know.
    let mut by_channel = row(None, Some("1"), Some(V));
    by_channel.facts.channel = standing(C, false);
    let asked = [
        by_channel,
        row(None, None, Some(V)),
        row(Some("p"), None, Some(V)),
    ];
    let plan = planned(&asked, &Obstacles::default());
    assert_eq!(visitors(&plan), [Some(C), Some(C), None]);
}

#[test]
fn a_rebinding_that_is_owed_goes_alone() {
    let mut asked = row(None, None, Some(V));
    asked.facts.pending = true;
    let asked = [asked];
    assert_eq!(visitors(&planned(&asked, &Obstacles::default())), [None]);
}
