//! The facts of many requests, read from the indexes themselves: each table opened once, each key looked for once, in the
//! order of the index, all of it as one snapshot shows it.
//! May touch: what `direct` touches; changes and locks nothing.
//!
//! What comes of it is what the statements of `identity::facts_of_many` answer, which are asked where this cannot tell.

use super::direct::{Columns, Snapshot};
use super::identity::{
    channel_key, only_known, provided_key, visitor_key, visitor_row, LockedVisitor, CHANNELS,
    PROVIDED, VISITORS,
};
use super::spi::Mode;
use crate::resolution::{ChannelKey, Facts, Request, Visitor};
use std::collections::HashMap;
use std::hash::Hash;
use uuid::Uuid;

/// The facts of the requests, in their order, while no rebinding is owed. None: statements have to be asked.
pub fn facts_from_indexes(mode: Mode, account: &str, requests: &[&Request]) -> Option<Vec<Facts>> {
    let snapshot = Snapshot::of(mode)?;
    let provided = provided_of(&snapshot, account, requests)?;
    let channels = channels_of(&snapshot, account, requests)?;
    let mut visitors = Visitors {
        snapshot: &snapshot,
        account,
        rows: HashMap::new(),
    };
    let channel_of = |request: &Request| channels.get(request.channel.as_ref()?).copied();
    let cookies = requests.iter().filter_map(|request| request.cookie);
    // Of a channel's visitor no more than the id matters where nobody is authorized.
    let of_channels = requests
        .iter()
        .filter(|request| request.provided.is_some())
        .filter_map(|request| channel_of(request));
    visitors.read(cookies.chain(of_channels).collect())?;
    let survivors = requests.iter().filter_map(|request| {
        let cookie = visitors.rows.get(&request.cookie?)?;
        cookie.superseded_by
    });
    visitors.read(survivors.collect())?;
    let claimants = requests
        .iter()
        .filter(|request| request.provided.is_some())
        .flat_map(|request| {
            let of_channel = channel_of(request).and_then(|id| visitors.rows.get(&id));
            let of_cookie = request.cookie.and_then(|id| visitors.rows.get(&id));
            let survivor = of_cookie
                .and_then(|row| row.superseded_by)
                .and_then(|id| visitors.rows.get(&id));
            [of_channel, of_cookie, survivor]
        })
        .filter_map(|row| row?.visitor.claimed_by);
    visitors.read(claimants.collect())?;
    let facts = |request: &&Request| {
        let is_authorization = request.provided.is_some();
        let bound = request
            .provided
            .as_deref()
            .and_then(|id| provided.get(id).copied());
        Facts {
            provided: bound.map(|(visitor, _)| visitor),
            provided_verified: bound.is_some_and(|(_, verified)| verified),
            channel: channel_of(request).map(|id| {
                if is_authorization {
                    visitors.of_channel(id)
                } else {
                    only_known(id, false)
                }
            }),
            cookie: request
                .cookie
                .and_then(|id| visitors.of_cookie(id, is_authorization)),
            pending: false,
        }
    };
    Some(requests.iter().map(facts).collect())
}

/// Distinct and in order.
fn in_order<K: Ord>(keys: impl Iterator<Item = K>) -> Vec<K> {
    let mut keys: Vec<K> = keys.collect();
    keys.sort_unstable();
    keys.dedup();
    keys
}

/// The keys that were found, with what was found.
fn by_key<K: Eq + Hash, R>(keys: Vec<K>, rows: Vec<Option<Option<R>>>) -> HashMap<K, R> {
    keys.into_iter()
        .zip(rows)
        .filter_map(|(key, row)| Some((key, row.flatten()?)))
        .collect()
}

/// The visitors to whom the provided ids are bound, and whether a signature ever proved it.
fn provided_of<'a>(
    snapshot: &Snapshot,
    account: &str,
    requests: &[&'a Request],
) -> Option<HashMap<&'a str, (Uuid, bool)>> {
    let ids = in_order(
        requests
            .iter()
            .filter_map(|request| request.provided.as_deref()),
    );
    if ids.is_empty() {
        return Some(HashMap::new());
    }
    let row = |columns: &Columns<'_>| Some((columns.uuid(0)?, columns.is_given(1)));
    let keys = ids.iter().map(|id| provided_key(account, id));
    let rows = PROVIDED.with(|table| table.read_many(snapshot, keys, row))?;
    Some(by_key(ids, rows))
}

/// The visitors to whom the channel user ids are bound.
fn channels_of<'a>(
    snapshot: &Snapshot,
    account: &str,
    requests: &[&'a Request],
) -> Option<HashMap<&'a ChannelKey, Uuid>> {
    // In the order of the index.
    let parts = in_order(requests.iter().filter_map(|request| {
        let key = request.channel.as_ref()?;
        Some((&key.channel_user_id, key))
    }));
    if parts.is_empty() {
        return Some(HashMap::new());
    }
    let keys: Vec<&ChannelKey> = parts.into_iter().map(|(_, key)| key).collect();
    let wanted = keys.iter().map(|key| channel_key(account, key));
    let rows =
        CHANNELS.with(|table| table.read_many(snapshot, wanted, |columns| columns.uuid(0)))?;
    Some(by_key(keys, rows))
}

/// Rows of visitors that were read.
struct Visitors<'a> {
    snapshot: &'a Snapshot,
    account: &'a str,
    rows: HashMap<Uuid, LockedVisitor>,
}

impl Visitors<'_> {
    /// Reads those that were not read yet.
    fn read(&mut self, wanted: Vec<Uuid>) -> Option<()> {
        let ids = in_order(wanted.into_iter().filter(|id| !self.rows.contains_key(id)));
        if ids.is_empty() {
            return Some(());
        }
        let keys = ids.iter().map(|id| visitor_key(self.account, *id));
        let rows = VISITORS.with(|table| table.read_many(self.snapshot, keys, visitor_row))?;
        self.rows.extend(by_key(ids, rows));
        Some(())
    }

    /// The visitor of a channel user id, as an authorization sees him.
    fn of_channel(&self, id: Uuid) -> Visitor {
        match self.rows.get(&id) {
            Some(row) => Visitor {
                id,
                claimed_by: self.claimant(row.visitor.identified, row.visitor.claimed_by),
                ..row.visitor
            },
            None => only_known(id, false),
        }
    }

    /// The visitor of a cookie, followed to its survivor; the claimant matters to an authorization only.
    fn of_cookie(&self, cookie: Uuid, is_authorization: bool) -> Option<Visitor> {
        let row = self.rows.get(&cookie)?;
        let survivor = row.superseded_by.and_then(|id| self.rows.get(&id));
        let last = survivor.unwrap_or(row).visitor;
        let claimed_by = last.claimed_by.or(row.visitor.claimed_by);
        Some(Visitor {
            id: row.superseded_by.unwrap_or(row.visitor.id),
            claimed_by: if is_authorization {
                self.claimant(last.identified, claimed_by)
            } else {
                None
            },
            ..last
        })
    }

    /// Whoever has claimed an anonymous visitor, followed to his survivor.
    fn claimant(&self, is_identified: bool, claimed_by: Option<Uuid>) -> Option<Uuid> {
        let row = self.rows.get(&claimed_by.filter(|_| !is_identified)?)?;
        Some(row.superseded_by.unwrap_or(row.visitor.id))
    }
}
