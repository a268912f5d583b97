//! What the tables know about a request, as values; read by `store`, judged by `decide`.
//! May touch: nothing but its arguments.

use uuid::Uuid;

/// A visitor that is not superseded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Visitor {
    pub id: Uuid,
    /// A provided id is bound to it.
    pub identified: bool,
    /// The identified visitor whose login claimed it without absorbing it.
    pub claimed_by: Option<Uuid>,
    /// A tombstone: resolves as unknown, never adopted again.
    pub forgotten: bool,
}

/// What is known about the identifiers of one request. None is "not bound" or "not asked".
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Facts {
    /// The visitor of the provided id.
    pub provided: Option<Uuid>,
    /// Whether that binding was ever verified by a signature.
    pub provided_verified: bool,
    /// The visitor of the channel user id.
    pub channel: Option<Visitor>,
    /// The visitor of the cookie, followed to its survivor.
    pub cookie: Option<Visitor>,
    /// A rebinding of one of these visitors is still owed (notes on concurrency, section 3.3).
    pub pending: bool,
}

/// What it would take to absorb one anonymous candidate; read only when there is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CandidateFacts {
    pub visitor_id: Uuid,
    /// How many chats it would bring (counted up to one past the limit).
    pub chats: i64,
    /// How many visitors the target has absorbed already.
    pub absorbed_by_target: i64,
    /// This very rebinding was undone before.
    pub undone: bool,
    /// Rows of both have the same unique key in a table that refuses such a rebinding.
    pub clash: bool,
}
