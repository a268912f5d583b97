//! `resolve_visitors`: many independent requests at once. What they decide together is carried out together, and what
//! changes visitors that exist goes the one-by-one way.
//! May touch: what `resolve` and `batch` touch.

use super::batch::{answer_together, ask};
use super::policy::{custom_channels, policy};
use super::resolve::{answer, resolve, Resolution};
use super::spi::{connect, Mode};
use crate::error::IdentityError;
use crate::resolution::{RawRequest, Request, Way};

/// What came of one request: its answer, or why a call with it alone would be refused.
pub type Answered = Result<Resolution, IdentityError>;

/// Answers a batch of requests, in their order. A request that a call would refuse is answered by its refusal and
/// changes nothing; any other error ends the whole. Errors: 42704, 25006, 40001.
pub fn resolve_batch(
    account: &str,
    raws: &[RawRequest<'_>],
) -> Result<Vec<Answered>, IdentityError> {
    connect(|| {
        let policy = policy(account)?;
        let channels = custom_channels()?;
        let mut requests = Vec::with_capacity(raws.len());
        let refusals: Vec<Option<IdentityError>> = raws
            .iter()
            .map(|raw| match Request::from_call(*raw, &policy, &channels) {
                Ok(request) => {
                    requests.push(request);
                    None
                }
                Err(refusal) => Some(refusal.into()),
            })
            .collect();
        let asked = ask(Mode::OwnWork, &policy, requests)?;
        let mut ways = answer_together(&policy, &asked)?.into_iter();
        raws.iter()
            .zip(refusals)
            .map(|(raw, refusal)| match refusal {
                Some(error) => Ok(Err(error)),
                None => match ways.next() {
                    Some(Way::Together(visitor, decision)) => {
                        Ok(Ok(answer(visitor, &decision, false, &[], &[], 0)))
                    }
                    Some(Way::Alone) | None => resolve(account, *raw).map(Ok),
                },
            })
            .collect()
    })
}
