//! The visitors whose rows the running command has locked already, and the identifiers that led to them, so that a COPY
//! looks each of its people up once.
//! May touch: nothing but the backend's own memory.
//!
//! The KEY SHARE lock keeps everybody else from superseding, claiming, identifying or forgetting a visitor until the
//! transaction ends; a rolled back subtransaction gives the lock up, and what this transaction itself writes has another
//! command id. So what is remembered holds for one command, and is forgotten whenever a subtransaction is rolled back. What
//! the lock does not keep is where a superseded visitor points to: an undo may turn that back meanwhile, and the rest of the
//! command still goes to the survivor, as if it had come before the undo.

use super::identity::LockedVisitor;
use crate::resolution::{ChannelKey, Request};
use pgrx::pg_sys;
use std::cell::RefCell;
use std::collections::HashMap;
use uuid::Uuid;

/// The most visitors that are remembered, and the most identifiers: some twenty megabytes.
const MOST_VISITORS: usize = 100_000;

#[derive(Default)]
struct Held {
    command: pg_sys::CommandId,
    account: String,
    visitors: HashMap<Uuid, LockedVisitor>,
    provided: HashMap<String, Uuid>,
    channels: HashMap<ChannelKey, Uuid>,
}

impl Held {
    /// Forgets what was locked by another command or for another account, and everything when there is too much of it.
    fn make_room(&mut self, account: &str) {
        let command = command();
        let is_other = self.command != command || self.account != account;
        let bindings = self.provided.len().saturating_add(self.channels.len());
        if is_other || self.visitors.len().max(bindings) >= MOST_VISITORS {
            self.visitors.clear();
            self.provided.clear();
            self.channels.clear();
            self.command = command;
            account.clone_into(&mut self.account);
        }
    }

    fn is_of(&self, account: &str) -> bool {
        !self.visitors.is_empty() && self.command == command() && self.account == account
    }
}

thread_local! {
    static HELD: RefCell<Held> = RefCell::new(Held::default());
}

fn command() -> pg_sys::CommandId {
    // SAFETY: a plain read of transaction state.
    unsafe { pg_sys::GetCurrentCommandId(false) }
}

/// A visitor that this command has locked FOR KEY SHARE, as it was then and therefore still is.
pub fn held(account: &str, visitor_id: Uuid) -> Option<LockedVisitor> {
    HELD.with(|held| {
        let held = held.borrow();
        if !held.is_of(account) {
            return None;
        }
        held.visitors.get(&visitor_id).copied()
    })
}

/// Remembers a visitor whose row was locked FOR KEY SHARE just now, under the id by which it was asked for.
pub fn hold(account: &str, visitor_id: Uuid, row: LockedVisitor) {
    HELD.with(|held| {
        let mut held = held.borrow_mut();
        held.make_room(account);
        held.visitors.insert(visitor_id, row);
    });
}

/// The visitor to whom the one identifier of a chat row was bound when this command locked him, and therefore still is.
pub fn bound(account: &str, request: &Request) -> Option<Uuid> {
    HELD.with(|held| {
        let held = held.borrow();
        let found = match (&request.provided, &request.channel) {
            (Some(provided), None) => held.provided.get(provided),
            (None, Some(key)) => held.channels.get(key),
            _ => None,
        };
        found.copied().filter(|_| held.is_of(account))
    })
}

/// Remembers to whom the identifier of a chat row is bound, now that his row is locked FOR KEY SHARE. Only what this lock
/// keeps as it is: a provided id, which an undone merge alone binds to somebody else, taking both; and the channel id of
/// an anonymous visitor. That of an identified one may be pointed elsewhere without him.
pub fn hold_binding(account: &str, request: &Request, visitor_id: Uuid) {
    let Some(row) = held(account, visitor_id) else {
        return;
    };
    if request.channel.is_some() && row.visitor.identified {
        return;
    }
    HELD.with(|held| {
        let mut held = held.borrow_mut();
        held.make_room(account);
        match (&request.provided, &request.channel) {
            (Some(provided), None) => {
                held.provided.insert(provided.clone(), visitor_id);
            }
            (None, Some(key)) => {
                held.channels.insert(key.clone(), visitor_id);
            }
            _ => {}
        }
    });
}

/// Forgets all of them: the transaction ended, or a part of it was rolled back, and locks went with it.
pub fn let_go() {
    HELD.with(|held| {
        let mut held = held.borrow_mut();
        if !held.visitors.is_empty() {
            held.visitors = HashMap::new();
            held.provided = HashMap::new();
            held.channels = HashMap::new();
        }
    });
}
