//! `explain_resolution`: what `resolve_visitor` would do, in words, with the same facts and the same `decide`.
//! May touch: what `find_visitor` reads, and the counts of chats; writes nothing.

use super::attachment::tables_holding;
use super::identity::facts;
use super::resolve::{expected_target, judge, request_of};
use super::spi::{connect, Mode};
use crate::error::IdentityError;
use crate::resolution::{
    computed_id, ChannelEffect, Decision, Effect, RawRequest, Request, Target,
};
use uuid::Uuid;

fn given(is_given: bool, is_used: bool) -> &'static str {
    match (is_given, is_used) {
        (false, _) => "not given",
        (true, true) => "usable",
        (true, false) => "no id: blank, zero or a placeholder",
    }
}

fn found(visitor: Option<Uuid>, asked: bool) -> String {
    match visitor {
        _ if !asked => "not asked".to_owned(),
        None => "not bound".to_owned(),
        Some(visitor) => format!("visitor {visitor}"),
    }
}

/// The steps: topic and finding. Errors: as `resolve_visitor` for bad input.
pub fn explain(account: &str, raw: RawRequest<'_>) -> Result<Vec<(String, String)>, IdentityError> {
    connect(|| {
        let (policy, request) = request_of(account, raw)?;
        let known = facts(Mode::ReadOnly, account, &request)?;
        let decision = judge(&policy, &request, &known, None)?;
        let mut steps = Vec::new();
        let mut step = |topic: &str, finding: String| steps.push((topic.to_owned(), finding));
        step("account", account.to_owned());
        step(
            "provided_visitor_id",
            given(
                raw.provided_visitor_id.is_some(),
                request.provided.is_some(),
            )
            .to_owned(),
        );
        step(
            "channel_user_id",
            given(raw.channel_user_id.is_some(), request.channel.is_some()).to_owned(),
        );
        step(
            "visitor_id",
            given(raw.visitor_id.is_some(), request.cookie.is_some()).to_owned(),
        );
        step(
            "by provided_visitor_id",
            found(known.provided, request.provided.is_some()),
        );
        step(
            "by channel_user_id",
            found(
                known.channel.map(|visitor| visitor.id),
                request.channel.is_some(),
            ),
        );
        step(
            "by visitor_id",
            match known.cookie {
                Some(visitor) if visitor.forgotten => "forgotten".to_owned(),
                Some(visitor) if Some(visitor.id) != request.cookie => {
                    format!("superseded by visitor {}", visitor.id)
                }
                cookie => found(cookie.map(|visitor| visitor.id), request.cookie.is_some()),
            },
        );
        if known.pending {
            step(
                "owed",
                "a rebinding of one of these visitors would be completed first".to_owned(),
            );
        }
        step("basis", decision.basis.name().to_owned());
        step("visitor", target_in_words(&policy, &request, &decision));
        let expected = expected_target(&policy, &request, &known);
        for (visitor, effect) in &decision.effects {
            let chats =
                super::rebind::candidate(account, *visitor, None, 1, i64::MAX, None, None)?.chats;
            step(
                "met",
                match effect {
                    Effect::Absorb => {
                        format!("visitor {visitor} would be absorbed, {chats} chats would move")
                    }
                    Effect::Claim => {
                        format!("visitor {visitor} would be claimed, its {chats} chats would stay")
                    }
                    Effect::Leave => format!(
                        "visitor {visitor} belongs to another provided id, its {chats} chats would stay"
                    ),
                },
            );
            if *effect == Effect::Absorb {
                for finding in rows_in_words(account, *visitor, expected)? {
                    step("table", finding);
                }
            }
        }
        match decision.channel {
            ChannelEffect::None => {}
            ChannelEffect::Bind => step("channel", "would be bound to the visitor".to_owned()),
            ChannelEffect::Repoint { from } => step(
                "channel",
                format!("would point to the visitor, no longer to visitor {from}"),
            ),
        }
        step("outcome", decision.outcome().name().to_owned());
        step(
            "notes",
            decision
                .notes
                .iter()
                .map(|note| note.code())
                .collect::<Vec<_>>()
                .join(", "),
        );
        Ok(steps)
    })
}

/// What would become of the rows in the attached visitor tables, a line a table that has any.
fn rows_in_words(
    account: &str,
    from: Uuid,
    to: Option<Uuid>,
) -> Result<Vec<String>, IdentityError> {
    let mut findings = Vec::new();
    // Without a target no row can clash.
    let to = to.unwrap_or(from);
    for table in tables_holding(account)? {
        let Some(sorted) = table.sorted(account, from, to, false)? else {
            continue;
        };
        match (sorted.movable, sorted.clashing) {
            (0, 0) => {}
            (moved, 0) => findings.push(format!("{}: {moved} rows would move", table.name)),
            (moved, kept) => findings.push(format!(
                "{}: {moved} rows would move, {kept} would stay, whose unique key the visitor has too",
                table.name
            )),
        }
    }
    Ok(findings)
}

fn target_in_words(
    policy: &crate::resolution::Policy,
    request: &Request,
    decision: &Decision,
) -> String {
    match decision.target {
        Target::Known(visitor) => format!("known: {visitor}"),
        Target::Random => "a new random visitor_id would be assigned".to_owned(),
        Target::Adopted(visitor) => format!("would be adopted: {visitor}"),
        target => match computed_id(policy, request, target, 0) {
            Some(visitor) => format!("would be computed and bound: {visitor}"),
            None => "nothing to compute it from".to_owned(),
        },
    }
}
