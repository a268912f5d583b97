//! The rebinding itself: one visitor superseded by another, everything of his moved, all of it logged.
//! May touch: the identity tables, the log, and the attached tables through `attachment`.
//!
//! The caller holds the visitor's row FOR UPDATE and the target's FOR KEY SHARE (notes on concurrency, section 7).

use super::attachment::{tables_holding, AttachedTable, Kind};
use super::device::move_devices;
use super::distributed::{caller, log_statement, logged};
use super::notification::{notify, Rebinding};
use super::policy::{announce_change, is_anything_owed};
use super::row_lock::{Found, LockedRows};
use super::spi::{transaction_snapshot_is_fixed, unless_unique_violation, Mode, Value};
use super::statement;
use crate::error::IdentityError;
use pgrx::pg_sys;
use std::cell::RefCell;
use std::collections::HashSet;
use std::rc::Rc;
use uuid::Uuid;

/// Why a rebinding happened; the column `reason` of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    ResolveVisitor,
    ChatInsert,
    ChatUpdate,
    Pending,
    Backfill,
}

impl Reason {
    pub fn name(self) -> &'static str {
        match self {
            Self::ResolveVisitor => "resolve_visitor",
            Self::ChatInsert => "chat_insert",
            Self::ChatUpdate => "chat_update",
            Self::Pending => "pending",
            Self::Backfill => "backfill_chats",
        }
    }
}

/// What a rebinding did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rebound {
    pub rebind_id: i64,
    pub chats: i64,
}

/// What came of an attempt to absorb a visitor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Absorbed {
    Done(Rebound),
    /// Superseded, identified or claimed by now: nothing was done.
    NotFree,
    /// A table refuses it, because rows of both have the same unique key: the visitor was claimed instead.
    Clash,
}

/// How often a rebinding begins anew after rows that clash were committed while it moved, before 40001.
const MOST_ATTEMPTS: usize = 5;

/// A change of rows that this extension is making.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Move {
    Between(Uuid, Uuid),
    /// Many rows of a backfill: every pair of the visitor before and after.
    Among(HashSet<(Uuid, Uuid)>),
    /// The rows stay with their visitor, whoever that is.
    InPlace,
}

thread_local! {
    static MOVES: RefCell<Vec<Move>> = const { RefCell::new(Vec::new()) };
}

/// Whether this change of a row's visitor is one that we are making just now: the triggers leave it alone.
pub fn is_moving(from: Uuid, to: Uuid) -> bool {
    MOVES.with(|moves| match moves.borrow().last() {
        Some(Move::Between(left, reached)) => (*left, *reached) == (from, to),
        Some(Move::Among(pairs)) => pairs.contains(&(from, to)),
        Some(Move::InPlace) => from == to,
        None => false,
    })
}

/// While it lives, changes of rows from one visitor to another are known to be ours.
pub struct Moving;

impl Moving {
    pub fn begin(from: Uuid, to: Uuid) -> Self {
        Self::of(Move::Between(from, to))
    }

    /// The same for many rows, each pair the visitor before and after.
    pub fn among(pairs: impl Iterator<Item = (Uuid, Uuid)>) -> Self {
        Self::of(Move::Among(pairs.collect()))
    }

    /// The same for changes that leave a row with its visitor.
    pub fn in_place() -> Self {
        Self::of(Move::InPlace)
    }

    fn of(change: Move) -> Self {
        MOVES.with(|moves| moves.borrow_mut().push(change));
        Self
    }
}

impl Drop for Moving {
    fn drop(&mut self) {
        MOVES.with(|moves| moves.borrow_mut().pop());
    }
}

// Nearly always nobody claimed him. The sub-selects tell what he has beside chats: he is taken, so that nobody adds to it
// until we end, and what is not there needs no statement of its own.
statement!(
    SUPERSEDE_UNCLAIMED,
    "update visitor_identity.visitor as v
    set superseded_by = $3
    where v.account operator(pg_catalog.=) $1
        and v.visitor_id operator(pg_catalog.=) $2
        and v.superseded_by is null
        and not v.identified
        and not v.forgotten
        and v.claimed_by is null
    returning exists (
        select 1
        from visitor_identity.visitor as o
        where o.account operator(pg_catalog.=) $1
            and o.superseded_by operator(pg_catalog.=) $2
    ), exists (
        select 1
        from visitor_identity.channel_identity as c
        where c.account operator(pg_catalog.=) $1
            and c.visitor_id operator(pg_catalog.=) $2
    ), exists (
        select 1
        from visitor_identity.former_channel_identity as f
        where f.account operator(pg_catalog.=) $1
            and f.visitor_id operator(pg_catalog.=) $2
    ), exists (
        select 1
        from visitor_identity.device as d
        where d.account operator(pg_catalog.=) $1
            and d.visitor_id operator(pg_catalog.=) $2
    )"
);

statement!(
    SUPERSEDE,
    "update visitor_identity.visitor as v
    set superseded_by = $3, claimed_by = null
    from visitor_identity.visitor as before
    where before.account operator(pg_catalog.=) $1
        and before.visitor_id operator(pg_catalog.=) $2
        and v.account operator(pg_catalog.=) $1
        and v.visitor_id operator(pg_catalog.=) $2
        and v.superseded_by is null
        and not v.identified
        and not v.forgotten
        and (
            v.claimed_by is null
            or v.claimed_by operator(pg_catalog.=) $3
            or exists (
                select 1
                from visitor_identity.visitor as h
                where h.account operator(pg_catalog.=) $1
                    and h.visitor_id operator(pg_catalog.=) v.claimed_by
                    and h.superseded_by operator(pg_catalog.=) $3
            )
        )
    returning before.claimed_by"
);

// The explicit join of two visitors that a human orders.
statement!(
    SUPERSEDE_BY_ORDER,
    "update visitor_identity.visitor as v
    set superseded_by = $3, claimed_by = null
    from visitor_identity.visitor as before
    where before.account operator(pg_catalog.=) $1
        and before.visitor_id operator(pg_catalog.=) $2
        and v.account operator(pg_catalog.=) $1
        and v.visitor_id operator(pg_catalog.=) $2
        and v.superseded_by is null
        and not v.forgotten
    returning before.claimed_by"
);

statement!(
    MOVE_PROVIDED,
    "with moved as (
        update visitor_identity.provided_identity as p
        set visitor_id = $3
        where p.account operator(pg_catalog.=) $1
            and p.visitor_id operator(pg_catalog.=) $2
        returning p.provided_visitor_id
    )
    select pg_catalog.count(*), pg_catalog.jsonb_agg(m.provided_visitor_id)::pg_catalog.text
    from moved as m"
);

statement!(
    COMPRESS_POINTERS,
    "with moved as (
        update visitor_identity.visitor as v
        set superseded_by = $3
        where v.account operator(pg_catalog.=) $1
            and v.superseded_by operator(pg_catalog.=) $2
        returning v.visitor_id
    )
    select pg_catalog.count(*), pg_catalog.jsonb_agg(m.visitor_id)::pg_catalog.text
    from moved as m"
);

statement!(
    MOVE_CHANNELS,
    "with moved as (
        update visitor_identity.channel_identity as c
        set visitor_id = $3
        where c.account operator(pg_catalog.=) $1
            and c.visitor_id operator(pg_catalog.=) $2
        returning c.account, c.channel_type, c.channel_id, c.channel_user_id
    )
    select pg_catalog.count(*), pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object(
        'channel_type', m.channel_type,
        'channel_id', m.channel_id,
        'channel_user_id', m.channel_user_id
    ))::pg_catalog.text
    from moved as m"
);

// The chats that a channel id brought to the absorbed visitor before it was pointed elsewhere are the target's now.
statement!(
    INHERIT_FORMER_CHANNELS,
    "insert into visitor_identity.former_channel_identity
        (account, channel_type, channel_id, channel_user_id, visitor_id, until)
    select $1, f.channel_type, f.channel_id, f.channel_user_id, $3, f.until
    from visitor_identity.former_channel_identity as f
    where f.account operator(pg_catalog.=) $1
        and f.visitor_id operator(pg_catalog.=) $2
    on conflict do nothing"
);

// A claimed visitor's chats stay, so who held the channel ids must be remembered.
statement!(
    POINT_CHANNELS,
    "with moved as (
        update visitor_identity.channel_identity as c
        set visitor_id = $3
        where c.account operator(pg_catalog.=) $1
            and c.visitor_id operator(pg_catalog.=) $2
        returning c.account, c.channel_type, c.channel_id, c.channel_user_id
    )
    insert into visitor_identity.former_channel_identity
        (account, channel_type, channel_id, channel_user_id, visitor_id)
    select m.account, m.channel_type, m.channel_id, m.channel_user_id, $2
    from moved as m
    on conflict do nothing"
);

statement!(
    CLAIM,
    "update visitor_identity.visitor as v
    set claimed_by = $3
    where v.account operator(pg_catalog.=) $1
        and v.visitor_id operator(pg_catalog.=) $2
        and v.superseded_by is null
        and not v.identified
        and not v.forgotten
        and v.claimed_by is null"
);

statement!(
    LOG,
    "insert into visitor_identity.rebind
        (account, kind, from_visitor_id, to_visitor_id, rebound_chats, reason, kept_rows, claimed_by, rebound_by)
    values ($1, $2, $3, $4, $5, $6, $7, $8, coalesce($9, session_user::pg_catalog.text))
    returning rebind_id"
);

log_statement!(
    LOG_KEYS,
    "insert into visitor_identity.rebind_row
        (account, rebind_id, moved_table, part, keys, of_visitor_table)
    values ($1, $2, $3::pg_catalog.regclass, $4::pg_catalog.int4, $5, $6)"
);

// A row that left the visitor in the same transaction in which he was absorbed belongs to that rebinding.
log_statement!(
    LOG_ONE_MORE,
    "with r as (
        update visitor_identity.rebind as r
        set rebound_chats = r.rebound_chats operator(pg_catalog.+) 1
        where r.account operator(pg_catalog.=) $1
            and r.rebind_id operator(pg_catalog.=) (
                select pg_catalog.max(o.rebind_id)
                from visitor_identity.rebind as o
                where o.account operator(pg_catalog.=) $1
                    and o.from_visitor_id operator(pg_catalog.=) $2
                    and o.to_visitor_id operator(pg_catalog.=) $3
                    and o.kind operator(pg_catalog.=) 'visitor'
                    and o.undone_at is null
            )
        returning r.rebind_id
    )
    insert into visitor_identity.rebind_row (account, rebind_id, moved_table, part, keys)
    select $1, r.rebind_id, $4::pg_catalog.regclass, coalesce((
        select pg_catalog.max(o.part) operator(pg_catalog.+) 1
        from visitor_identity.rebind_row as o
        where o.account operator(pg_catalog.=) $1
            and o.rebind_id operator(pg_catalog.=) r.rebind_id
            and o.moved_table operator(pg_catalog.=) $4::pg_catalog.oid
    ), 0), $5::pg_catalog.jsonb
    from r
    returning rebind_id"
);

statement!(
    SETTLE,
    "delete from visitor_identity.pending_rebind as r
    where r.account operator(pg_catalog.=) $1
        and r.visitor_id operator(pg_catalog.=) $2"
);

statement!(
    OWE,
    "insert into visitor_identity.pending_rebind (account, visitor_id, to_visitor_id)
    values ($1, $2, $3)
    on conflict do nothing"
);

statement!(
    OWED,
    "select r.visitor_id, r.to_visitor_id
    from visitor_identity.pending_rebind as r
    where r.account operator(pg_catalog.=) $1
        and (r.visitor_id operator(pg_catalog.=) any ($2)
            or r.to_visitor_id operator(pg_catalog.=) any ($2))
    order by r.visitor_id, r.created_at, r.to_visitor_id"
);

// A row for each visitor that the target has absorbed, and one for an undone rebinding of this very pair.
statement!(
    CANDIDATE,
    "(
        select false
        from visitor_identity.rebind as r
        where r.account operator(pg_catalog.=) $1
            and r.to_visitor_id operator(pg_catalog.=) $3
            and r.kind operator(pg_catalog.=) 'visitor'
            and r.undone_at is null
        limit $4
    )
    union all
    (
        select true
        from visitor_identity.rebind as r
        where r.account operator(pg_catalog.=) $1
            and r.from_visitor_id operator(pg_catalog.=) $2
            and r.to_visitor_id operator(pg_catalog.=) $3
            and r.kind operator(pg_catalog.<>) 'chat'
            and r.undone_at is not null
        limit 1
    )"
);

statement!(
    TABLE_OIDS,
    "select 'visitor_identity.visitor'::pg_catalog.regclass::pg_catalog.oid,
        'visitor_identity.channel_identity'::pg_catalog.regclass::pg_catalog.oid,
        'visitor_identity.provided_identity'::pg_catalog.regclass::pg_catalog.oid,
        'visitor_identity.pending_rebind'::pg_catalog.regclass::pg_catalog.oid,
        'visitor_identity.device'::pg_catalog.regclass::pg_catalog.oid"
);

fn pair<'a>(account: &'a str, from: Uuid, to: Uuid) -> [Value<'a>; 3] {
    [
        Value::Text(Some(account)),
        Value::Uuid(Some(from)),
        Value::Uuid(Some(to)),
    ]
}

/// The chats of a visitor who is taken, as they were counted: so that they are not looked for again to be locked.
#[derive(Default)]
pub struct FoundChats(Vec<(Rc<AttachedTable>, Found)>);

impl FoundChats {
    fn look(
        &mut self,
        table: &Rc<AttachedTable>,
        account: &str,
        visitor: Uuid,
        most: i64,
    ) -> Result<i64, IdentityError> {
        let found = table.find_chats(account, visitor, most)?;
        let count = found.count() as i64;
        self.0.push((Rc::clone(table), found));
        Ok(count)
    }

    /// Locks them, if that is all that has to be locked. The tables whose chats are not among the answers are still to be
    /// locked.
    pub fn lock(self, account: &str) -> Result<Vec<(pg_sys::Oid, LockedRows)>, IdentityError> {
        // In the order of the tables; those that are no chats come among them.
        if tables_holding(account)?
            .iter()
            .any(|table| !table.is_of_chats())
        {
            return Ok(Vec::new());
        }
        let mut locked = Vec::with_capacity(self.0.len());
        for (table, found) in self.0 {
            match table.lock_found(&found)? {
                Some(rows) => locked.push((table.relation, rows)),
                None => break,
            }
        }
        Ok(locked)
    }
}

/// What is needed to decide whether `to` may absorb `from`: how many it absorbed already (up to `most_rebinds`), whether
/// this pair was undone, how many chats would move (up to `most_chats`), whether rows of both clash. `expected`: where
/// his rows would go, also while the target does not exist.
pub fn candidate(
    account: &str,
    from: Uuid,
    to: Option<Uuid>,
    most_rebinds: i64,
    most_chats: i64,
    expected: Option<Uuid>,
    mut found: Option<&mut FoundChats>,
) -> Result<crate::resolution::CandidateFacts, IdentityError> {
    let (absorbed_by_target, undone) = match to {
        None => (0, false),
        Some(to) => {
            let [a, b, c] = pair(account, from, to);
            let values = [a, b, c, Value::Int8(Some(most_rebinds))];
            let rows = CANDIDATE.with(|statement| statement.run(Mode::Write, &values))?;
            let undone = (0..rows.len()).any(|row| rows.truth(row, 1));
            (rows.len() as i64 - i64::from(undone), undone)
        }
    };
    let mut chats = 0;
    let mut clash = false;
    for table in tables_holding(account)? {
        if table.is_of_chats() && chats < most_chats {
            chats += match found.as_deref_mut() {
                Some(found) => found.look(&table, account, from, most_chats - chats)?,
                None => table.count_chats(account, from, most_chats - chats)?,
            };
        }
        if let (Some(expected), false) = (expected, clash) {
            clash = table.refuses(account, from, expected)?;
        }
    }
    Ok(crate::resolution::CandidateFacts {
        visitor_id: from,
        chats,
        absorbed_by_target,
        undone,
        clash,
    })
}

/// The table that refuses a rebinding, if there is one: its name.
fn refusing_table(account: &str, from: Uuid, to: Uuid) -> Result<Option<String>, IdentityError> {
    for table in tables_holding(account)? {
        if table.refuses(account, from, to)? {
            return Ok(Some(table.name.clone()));
        }
    }
    Ok(None)
}

/// What came of a rebinding that a table may refuse; then the table's name.
enum Attempt<R> {
    Done(R),
    Refused(String),
}

/// Runs a rebinding that no table refuses. Rows that clash may be committed while it moves: then nothing of it remains, and
/// it begins anew with what is known now, or above READ COMMITTED raises 40001.
fn attempt<R>(
    account: &str,
    from: Uuid,
    to: Uuid,
    rebind: impl Fn() -> Result<R, IdentityError>,
) -> Result<Attempt<R>, IdentityError> {
    let mut may_clash = false;
    for table in tables_holding(account)? {
        may_clash |= !may_clash && table.has_rows_that_may_clash(account, from)?;
    }
    if !may_clash {
        // No subtransaction where none is needed: it would make a multixact of the lock on the visitor's row.
        return rebind().map(Attempt::Done);
    }
    for _ in 0..MOST_ATTEMPTS {
        if let Some(table) = refusing_table(account, from, to)? {
            return Ok(Attempt::Refused(table));
        }
        match unless_unique_violation(&rebind)? {
            Some(done) => return Ok(Attempt::Done(done)),
            None if transaction_snapshot_is_fixed() => break,
            None => {}
        }
    }
    Err(IdentityError::ClashAppeared)
}

/// Locks all chats and other rows of a visitor, table by table in the order of their oids.
pub fn lock_chats(account: &str, visitor: Uuid) -> Result<(), IdentityError> {
    for table in tables_holding(account)? {
        table.lock_chats(account, visitor)?;
    }
    Ok(())
}

/// Supersedes `from` by `to` and moves everything, or claims him where a table refuses that.
///
/// `own_row`: the table and key of the chat row whose change this is, which left `from` already.
///
/// `locked`: chats of his that are locked already, and what of them.
pub fn absorb(
    account: &str,
    from: Uuid,
    to: Uuid,
    reason: Reason,
    own_row: Option<&MovedRow>,
    locked: &[(pg_sys::Oid, LockedRows)],
) -> Result<Absorbed, IdentityError> {
    let values = pair(account, from, to);
    let absorbed = attempt(account, from, to, || {
        let mut log = Entry {
            account,
            kind: "visitor",
            from,
            to,
            claimed_by: None,
            reason: reason.name(),
        };
        let unclaimed =
            SUPERSEDE_UNCLAIMED.with(|statement| statement.run(Mode::Newest, &values))?;
        let has = if unclaimed.len() == 1 {
            Belongings {
                pointers: unclaimed.truth(0, 1),
                channels: unclaimed.truth(0, 2),
                former_channels: unclaimed.truth(0, 3),
                devices: unclaimed.truth(0, 4),
                // An anonymous visitor has none.
                provided: false,
            }
        } else {
            let claimed = SUPERSEDE.with(|statement| statement.run(Mode::Newest, &values))?;
            if claimed.len() == 0 {
                return Ok(Absorbed::NotFree);
            }
            log.claimed_by = claimed.uuid(0, 1);
            Belongings::UNKNOWN
        };
        move_everything(&log, has, own_row, locked).map(Absorbed::Done)
    })?;
    match absorbed {
        Attempt::Done(absorbed) => Ok(absorbed),
        Attempt::Refused(_) => {
            claim(account, from, to)?;
            Ok(Absorbed::Clash)
        }
    }
}

/// Joins two visitors by order. None: `from` is superseded or forgotten by now, and nothing was done. Errors: 55000 when a
/// table refuses it.
pub fn merge(
    account: &str,
    from: Uuid,
    to: Uuid,
    reason: &str,
) -> Result<Option<Rebound>, IdentityError> {
    let values = pair(account, from, to);
    let merged = attempt(account, from, to, || {
        let superseded =
            SUPERSEDE_BY_ORDER.with(|statement| statement.run(Mode::Newest, &values))?;
        if superseded.len() == 0 {
            return Ok(None);
        }
        let log = Entry {
            account,
            kind: "merge",
            from,
            to,
            claimed_by: superseded.uuid(0, 1),
            reason,
        };
        move_everything(&log, Belongings::UNKNOWN, None, &[]).map(Some)
    })?;
    match merged {
        Attempt::Done(merged) => Ok(merged),
        Attempt::Refused(table) => Err(IdentityError::not_in_state(
            "the visitors cannot be merged",
            &format!("Rows of both have the same unique key in table {table}, which was attached with on_clash 'refuse'."),
            "Change or delete one of each two rows, or attach the table with on_clash => 'move_or_keep_target'.",
        )),
    }
}

/// What the log says of a rebinding, beside what moved.
struct Entry<'a> {
    account: &'a str,
    kind: &'a str,
    from: Uuid,
    to: Uuid,
    /// Who had claimed the visitor before: undoing the rebinding gives the claim back.
    claimed_by: Option<Uuid>,
    reason: &'a str,
}

/// What a visitor may have beside rows in attached tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Belongings {
    pointers: bool,
    channels: bool,
    former_channels: bool,
    devices: bool,
    provided: bool,
}

impl Belongings {
    const UNKNOWN: Self = Self {
        pointers: true,
        channels: true,
        former_channels: true,
        devices: true,
        provided: true,
    };
}

/// Moves all that a visitor has who was superseded just now, and logs it.
fn move_everything(
    entry: &Entry<'_>,
    has: Belongings,
    own_row: Option<&MovedRow>,
    locked: &[(pg_sys::Oid, LockedRows)],
) -> Result<Rebound, IdentityError> {
    let Entry {
        account, from, to, ..
    } = *entry;
    let values = pair(account, from, to);
    let mut moved: Vec<Moved> = Vec::new();
    // The chats first: whoever holds one may be waiting for an identifier.
    let (mut chats, mut kept) = (0, 0);
    for table in tables_holding(account)? {
        let _moving = Moving::begin(from, to);
        let keys = match &table.kind {
            Kind::Chats => {
                let locked = locked
                    .iter()
                    .find(|(of, _)| *of == table.relation)
                    .map(|(_, rows)| *rows);
                let keys = table.move_chats(account, from, to, locked)?;
                chats += keys.iter().map(|keys| keys.count).sum::<i64>();
                keys
            }
            Kind::Rows(rows) => {
                let done = table.move_rows(rows, account, from, to)?;
                kept += done.kept;
                done.moved
            }
        };
        let is_of_chats = table.is_of_chats();
        moved.extend(keys.into_iter().map(|keys| Moved {
            table: table.relation,
            keys: keys.keys,
            of_visitor_table: !is_of_chats,
        }));
    }
    for (has, table, statement) in [
        (has.pointers, OwnTable::Visitor, &COMPRESS_POINTERS),
        (has.channels, OwnTable::Channel, &MOVE_CHANNELS),
        (has.provided, OwnTable::Provided, &MOVE_PROVIDED),
    ] {
        if has {
            let rows = statement.with(|statement| statement.run(Mode::Newest, &values))?;
            if let Some(keys) = rows.get::<String>(0, 2) {
                moved.push(Moved::of_ours(table, keys)?);
            }
        }
    }
    if has.former_channels {
        INHERIT_FORMER_CHANNELS.with(|statement| statement.run(Mode::Write, &values))?;
    }
    if has.devices {
        if let Some(keys) = move_devices(account, from, to)? {
            moved.push(Moved::of_ours(OwnTable::Device, keys.keys)?);
        }
    }
    if let Some(row) = own_row {
        chats += 1;
        moved.push(Moved {
            table: row.table,
            keys: row.keys.clone(),
            of_visitor_table: false,
        });
    }
    // After the moves: whoever yielded while they waited has said so by now, also to this backend (the invalidation of a
    // transaction arrives before its locks are free).
    if is_anything_owed(account)? {
        settle(account, from)?;
    }
    moved.sort_by_key(|moved| moved.table.to_u32());
    let rebind_id = log(entry, chats, kept, &moved)?;
    Ok(Rebound { rebind_id, chats })
}

/// Keys for the log.
struct Moved {
    table: pg_sys::Oid,
    /// A JSON array.
    keys: String,
    of_visitor_table: bool,
}

impl Moved {
    fn of_ours(table: OwnTable, keys: String) -> Result<Self, IdentityError> {
        Ok(Self {
            table: table.oid()?,
            keys,
            of_visitor_table: false,
        })
    }
}

/// The tables of the extension that the log or an announcement names; the number is the column of `TABLE_OIDS`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum OwnTable {
    Visitor = 1,
    Channel = 2,
    Provided = 3,
    Pending = 4,
    Device = 5,
}

impl OwnTable {
    fn oid(self) -> Result<pg_sys::Oid, IdentityError> {
        TABLE_OIDS
            .with(|statement| statement.run(Mode::ReadOnly, &[]))?
            .get::<pg_sys::Oid>(0, self as i32)
            .ok_or_else(|| IdentityError::Internal("a table of the extension is gone".into()))
    }
}

/// One chat row that a trigger moved: its table and its key, as a JSON array of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MovedRow {
    pub table: pg_sys::Oid,
    pub keys: String,
}

/// Logs that one chat row alone moved.
pub fn log_row(
    account: &str,
    from: Uuid,
    to: Uuid,
    reason: Reason,
    row: &MovedRow,
) -> Result<(), IdentityError> {
    let [a, b, c] = pair(account, from, to);
    let table = logged(row.table)?;
    let values = [a, b, c, table.value(), Value::Json(Some(&row.keys))];
    let joined = LOG_ONE_MORE.with(|statement| statement.run(Mode::Write, &values))?;
    if joined.len() == 0 {
        let entry = Entry {
            account,
            kind: "chat",
            from,
            to,
            claimed_by: None,
            reason: reason.name(),
        };
        let moved = Moved {
            table: row.table,
            keys: row.keys.clone(),
            of_visitor_table: false,
        };
        log(&entry, 1, 0, &[moved])?;
    }
    Ok(())
}

/// Logs a rebinding with the chats that moved, the other rows that were kept, and the keys, sorted by their tables.
fn log(entry: &Entry<'_>, chats: i64, kept: i64, moved: &[Moved]) -> Result<i64, IdentityError> {
    let account = Value::Text(Some(entry.account));
    let caller = caller();
    let values = [
        account,
        Value::Text(Some(entry.kind)),
        Value::Uuid(Some(entry.from)),
        Value::Uuid(Some(entry.to)),
        Value::Int8(Some(chats)),
        Value::Text(Some(entry.reason)),
        Value::Int8(Some(kept)),
        Value::Uuid(entry.claimed_by),
        Value::Text(caller.as_deref()),
    ];
    let rows = LOG.with(|statement| statement.run(Mode::Write, &values))?;
    let rebind_id = rows.number(0, 1);
    let mut part = 0;
    let mut last = pg_sys::InvalidOid;
    for moved in moved {
        part = if moved.table == last { part + 1 } else { 0 };
        last = moved.table;
        let table = logged(moved.table)?;
        let values = [
            account,
            Value::Int8(Some(rebind_id)),
            table.value(),
            Value::Int8(Some(part)),
            Value::Jsonb(&moved.keys),
            Value::Bool(moved.of_visitor_table),
        ];
        LOG_KEYS.with(|statement| statement.run(Mode::Write, &values))?;
    }
    notify(&Rebinding {
        account: entry.account,
        rebind_id,
        kind: entry.kind,
        from: entry.from,
        to: entry.to,
        rebound_chats: chats,
    })?;
    Ok(rebind_id)
}

/// Claims an anonymous visitor for an identified one; its channel ids and devices point to the claimant, its chats stay.
pub fn claim(account: &str, visitor: Uuid, by: Uuid) -> Result<(), IdentityError> {
    let values = pair(account, visitor, by);
    let claimed = CLAIM.with(|statement| statement.run(Mode::Newest, &values))?;
    if claimed.len() == 1 {
        POINT_CHANNELS.with(|statement| statement.run(Mode::Newest, &values))?;
        move_devices(account, visitor, by)?;
    }
    Ok(())
}

/// Tells every backend, at commit, that debts were settled; that one was made, the table's trigger tells.
pub(super) fn announce_debts() -> Result<(), IdentityError> {
    announce_change(OwnTable::Pending.oid()?);
    Ok(())
}

/// Records a rebinding that this transaction leaves to the one that is rebinding the visitor just now.
pub fn owe(account: &str, visitor: Uuid, to: Uuid) -> Result<(), IdentityError> {
    OWE.with(|statement| statement.run(Mode::Write, &pair(account, visitor, to)))?;
    Ok(())
}

/// The rebindings still owed by any of these visitors, or to any of them.
pub fn owed(account: &str, visitors: &[Uuid]) -> Result<Vec<(Uuid, Uuid)>, IdentityError> {
    let values = [Value::Text(Some(account)), Value::Uuids(visitors)];
    let rows = OWED.with(|statement| statement.run(Mode::Write, &values))?;
    Ok((0..rows.len())
        .filter_map(|row| Some((rows.uuid(row, 1)?, rows.uuid(row, 2)?)))
        .collect())
}

/// Strikes what a visitor owed, when it can no longer be rebound.
pub fn settle(account: &str, visitor: Uuid) -> Result<(), IdentityError> {
    let values = [Value::Text(Some(account)), Value::Uuid(Some(visitor))];
    let settled = SETTLE.with(|statement| statement.run(Mode::Newest, &values))?;
    if settled.len() > 0 {
        announce_debts()?;
    }
    Ok(())
}
