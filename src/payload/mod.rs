//! The JSON that bots, custom APIs and the client's page get of a visitor (design section 7, product notes section 2).
//! Pure. May touch: nothing but its arguments.
//!
//! One struct is the one definition of each shape. What the extension does not know, such as a picture or the name that a
//! person has in a messenger, is null or empty as the shape has it, and never made up. `jsonb` keeps no order of keys.
#![forbid(unsafe_code)]

mod message;
mod router;
mod shape;

pub use message::{messages, Message};
pub use router::external_user_id;
pub use shape::{BotMessage, Client, NewChat, Shape};

use crate::instant::Instant;
use std::collections::BTreeMap;
use uuid::Uuid;

/// What is known of a visitor.
#[derive(Debug, Clone)]
pub struct Person {
    /// The canonical visitor.
    pub visitor_id: Uuid,
    pub provided_visitor_id: Option<String>,
    /// The verified fields, as they were signed.
    pub fields: BTreeMap<String, String>,
    /// The channel id seen last.
    pub channel: Option<Channel>,
    pub created_at: Instant,
    pub modified_at: Instant,
}

/// Where a person writes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Channel {
    pub channel_type: String,
    /// The page, bot or number within the channel; None where there is one.
    pub channel_id: Option<String>,
    pub channel_user_id: Option<String>,
}

#[cfg(test)]
mod tests;
