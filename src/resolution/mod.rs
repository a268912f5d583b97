//! The rules of resolution (design section 3), pure: what was asked, what is known, what is to be done.
//! May touch: nothing but its arguments. No pgrx, no SQL, no clock.
#![forbid(unsafe_code)]

mod batch;
mod decision;
mod facts;
mod policy;
mod request;

pub use batch::{plan, Asked, Obstacles, Plan, Way};
pub use decision::{
    computed_id, decide, holder_of_computed_id, rebind_candidates, Basis, ChannelEffect, Decision,
    Effect, Holder, Note, Outcome, RefusedLink, Target,
};
pub use facts::{CandidateFacts, Facts, Visitor};
pub use policy::{
    check_value, ChannelFormat, Derivation, IdentifiedCookie, OnAuthorization, Policy, RefusedValue,
};
pub use request::{Asker, ChannelKey, CustomChannels, RawRequest, Refusal, Request, Unusable};
