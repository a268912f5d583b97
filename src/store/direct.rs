//! Reads, and locks, rows of an identity table by their primary keys from the index itself, without a statement.
//! May touch: `visitor`, `provided_identity`, `channel_identity`, by PostgreSQL's index and table interfaces; changes nothing.
//!
//! Starting and ending the executor costs more than finding the row. What a statement would look after is looked after
//! here: the snapshot, the locks of the table and the index, serializable conflicts (in the interfaces themselves). Where a
//! statement would do more than this (a partitioned, distributed or inherited table, row security that binds the current
//! user, another index or collation than the extension made), the answer is that it cannot be told, and the caller runs
//! his statement.

use super::distributed::has_citus;
use super::spi::{is_read_only, own_work_is_visible, to_pg, Mode};
use crate::settings;
use pgrx::datum::{FromDatum, IntoDatum};
use pgrx::pg_sys;
use std::cell::Cell;
use std::ffi::CStr;
use uuid::Uuid;

/// The most columns a primary key read here has.
const MOST_KEY_COLUMNS: usize = 4;
/// The most columns that are read of a row.
const MOST_COLUMNS: usize = 5;

const UUID_BTREE_FAM_OID: pg_sys::Oid = pg_sys::Oid::from_u32(2968);

/// A value of the key.
#[derive(Debug, Clone, Copy)]
pub enum Key<'a> {
    Text(&'a str),
    Uuid(Uuid),
}

/// What a column of the key is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyType {
    Text,
    Uuid,
}

/// What came of looking for a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen<R> {
    Row(R),
    NoRow,
    /// A statement has to be asked.
    CannotTell,
}

/// A table of the extension and its primary key, by their names.
pub struct KeyedTable {
    name: &'static CStr,
    primary_key: &'static CStr,
    key: &'static [(&'static CStr, KeyType)],
    columns: &'static [&'static CStr],
    known: Cell<Known>,
}

/// What was found out about the table, until the catalog changes.
#[derive(Clone, Copy)]
enum Known {
    Nothing,
    /// As of the change of the catalog with this number.
    Statement(u64),
    Index(Place, u64),
}

/// Where the row is to be looked for.
#[derive(Clone, Copy)]
struct Place {
    table: pg_sys::Oid,
    index: pg_sys::Oid,
    /// The numbers of the columns that are read.
    columns: [i16; MOST_COLUMNS],
    last_column: i16,
}

thread_local! {
    /// The number of the last change of the catalog that concerned the tables read here.
    static CHANGES: Cell<u64> = const { Cell::new(1) };
    static WATCHED: Cell<[pg_sys::Oid; 8]> = const { Cell::new([pg_sys::InvalidOid; 8]) };
}

/// Receives cache invalidations. Called by PostgreSQL at moments when no table may be read: it only takes a note.
#[pgrx::pg_guard]
unsafe extern "C-unwind" fn relation_changed(_argument: pg_sys::Datum, relation: pg_sys::Oid) {
    if relation == pg_sys::InvalidOid || WATCHED.get().contains(&relation) {
        CHANGES.set(CHANGES.get().wrapping_add(1));
        WATCHED.set([pg_sys::InvalidOid; 8]);
    }
}

/// Registers the callback; called once, when the library is loaded.
pub fn register() {
    // SAFETY: a static function that lives as long as the backend; registered once.
    unsafe {
        pg_sys::CacheRegisterRelcacheCallback(Some(relation_changed), pg_sys::Datum::from(0));
    }
}

fn watch(relation: pg_sys::Oid) {
    let mut watched = WATCHED.get();
    if watched.contains(&relation) {
        return;
    }
    if let Some(free) = watched.iter_mut().find(|oid| **oid == pg_sys::InvalidOid) {
        *free = relation;
        WATCHED.set(watched);
    }
}

/// The columns of a row that was found, in the order in which the table names them.
pub struct Columns<'a> {
    slot: &'a pg_sys::TupleTableSlot,
    numbers: &'a [i16; MOST_COLUMNS],
}

impl Columns<'_> {
    fn datum(&self, column: usize) -> Option<pg_sys::Datum> {
        let number = usize::try_from(*self.numbers.get(column)?)
            .ok()?
            .checked_sub(1)?;
        // SAFETY: the caller has deformed the slot up to the greatest of the numbers.
        unsafe {
            if *self.slot.tts_isnull.add(number) {
                None
            } else {
                Some(*self.slot.tts_values.add(number))
            }
        }
    }

    /// A uuid.
    pub fn uuid(&self, column: usize) -> Option<Uuid> {
        let datum = self.datum(column)?;
        // SAFETY: of a uuid column: sixteen bytes in the slot, which outlives this call.
        unsafe { pgrx::Uuid::from_datum(datum, false).map(super::spi::from_pg) }
    }

    /// A truth value; NULL is false.
    pub fn truth(&self, column: usize) -> bool {
        self.datum(column).is_some_and(|datum| datum.value() != 0)
    }

    /// Whether there is a value at all.
    pub fn is_given(&self, column: usize) -> bool {
        self.datum(column).is_some()
    }
}

impl KeyedTable {
    /// `key`: the columns of the primary key in its order; `columns`: those that are read.
    pub const fn new(
        name: &'static CStr,
        primary_key: &'static CStr,
        key: &'static [(&'static CStr, KeyType)],
        columns: &'static [&'static CStr],
    ) -> Self {
        Self {
            name,
            primary_key,
            key,
            columns,
            known: Cell::new(Known::Nothing),
        }
    }

    /// The row of a key, as a statement in this mode would see it.
    pub fn read<R>(
        &self,
        mode: Mode,
        key: &[Key<'_>],
        row: impl FnOnce(&Columns<'_>) -> R,
    ) -> Seen<R> {
        let Some(place) = self.place() else {
            return Seen::CannotTell;
        };
        let Some(snapshot) = Snapshot::of(mode) else {
            return Seen::CannotTell;
        };
        let seen = self.look(&place, key, row, None);
        drop(snapshot);
        seen
    }

    /// The rows of many keys, in the order of the keys, as one snapshot shows them: by one opening of the table and its
    /// index. None: a statement has to be asked.
    pub fn read_many<'k, const N: usize, R>(
        &self,
        _active: &Snapshot,
        keys: impl Iterator<Item = [Key<'k>; N]>,
        row: impl Fn(&Columns<'_>) -> R,
    ) -> Option<Vec<Option<R>>> {
        self.look_for_many(&self.place()?, keys, row, None)
    }

    /// The row of a key, locked FOR KEY SHARE, waiting if need be: its columns are those of the version that is locked.
    /// A row that was changed meanwhile is left to the statement, which goes on to the newest version or raises 40001.
    pub fn share<R>(&self, key: &[Key<'_>], row: impl FnOnce(&Columns<'_>) -> R) -> Seen<R> {
        if is_read_only() {
            return Seen::CannotTell;
        }
        let Some(place) = self.place() else {
            return Seen::CannotTell;
        };
        let snapshot = Snapshot::of_new_statement();
        let wait = pg_sys::LockWaitPolicy::LockWaitBlock;
        let seen = self.look(&place, key, row, Some(wait));
        drop(snapshot);
        seen
    }

    /// The rows of many keys, in the order of the keys, each locked FOR KEY SHARE unless that would mean waiting: it is left
    /// out then, as it is if it was changed since the snapshot. None: a statement has to be asked.
    pub fn share_idle_many<'k, const N: usize, R>(
        &self,
        keys: impl Iterator<Item = [Key<'k>; N]>,
        row: impl Fn(&Columns<'_>) -> R,
    ) -> Option<Vec<R>> {
        if is_read_only() {
            return None;
        }
        let place = self.place()?;
        let snapshot = Snapshot::of_new_statement();
        let skip = pg_sys::LockWaitPolicy::LockWaitSkip;
        let rows = self.look_for_many(&place, keys, row, Some(skip));
        drop(snapshot);
        rows.map(|rows| rows.into_iter().flatten().collect())
    }

    /// Where to look, if a look suffices.
    fn place(&self) -> Option<Place> {
        if !settings::reads_directly() {
            return None;
        }
        let now = CHANGES.get();
        match self.known.get() {
            Known::Index(place, then) if then == now => Some(place),
            Known::Statement(then) if then == now => None,
            _ => {
                // Of before the look: a change that arrives meanwhile makes it out of date.
                let place = self.find_place();
                self.known.set(match place {
                    Some(place) => Known::Index(place, now),
                    None => Known::Statement(now),
                });
                place
            }
        }
    }

    fn find_place(&self) -> Option<Place> {
        // SAFETY: inside a transaction. The names are constants; relations are opened with a lock that stays until the
        // transaction ends and closed again; what they point to is read while they are open.
        unsafe {
            let schema = pg_sys::get_namespace_oid(c"visitor_identity".as_ptr(), true);
            let table = pg_sys::get_relname_relid(self.name.as_ptr(), schema);
            let index = pg_sys::get_relname_relid(self.primary_key.as_ptr(), schema);
            if table == pg_sys::InvalidOid || index == pg_sys::InvalidOid {
                return None;
            }
            watch(table);
            watch(index);
            if has_citus() {
                return None;
            }
            let lock = pg_sys::AccessShareLock as pg_sys::LOCKMODE;
            let keep = pg_sys::NoLock as pg_sys::LOCKMODE;
            let relation = pg_sys::try_table_open(table, lock);
            if relation.is_null() {
                return None;
            }
            let mut place = None;
            if is_plain_table(relation) && self.has_primary_key(relation, index) {
                let descriptor = (*relation).rd_att;
                let mut columns = [0; MOST_COLUMNS];
                let mut last_column = 0;
                let mut all_there = true;
                for (column, name) in columns.iter_mut().zip(self.columns) {
                    let number = pg_sys::SPI_fnumber(descriptor, name.as_ptr());
                    *column = i16::try_from(number).unwrap_or(0);
                    last_column = last_column.max(*column);
                    all_there &= *column > 0;
                }
                place = all_there.then_some(Place {
                    table,
                    index,
                    columns,
                    last_column,
                });
            }
            pg_sys::table_close(relation, keep);
            place
        }
    }

    /// Whether the index is the primary key, of exactly these columns, compared byte by byte.
    ///
    /// # Safety
    /// `relation` is open.
    unsafe fn has_primary_key(&self, relation: pg_sys::Relation, index: pg_sys::Oid) -> bool {
        let lock = pg_sys::AccessShareLock as pg_sys::LOCKMODE;
        // SAFETY: the caller has locked the table, so that the index found by its name stays; of an index relation the
        // index form and, for each key column, the family and the collation are there.
        unsafe {
            let opened = pg_sys::try_relation_open(index, lock);
            if opened.is_null() {
                return false;
            }
            let is_index = (*(*opened).rd_rel).relkind == pg_sys::RELKIND_INDEX as std::ffi::c_char
                && (*(*opened).rd_rel).relam == pg_sys::BTREE_AM_OID
                && !(*opened).rd_index.is_null();
            let mut fits = is_index;
            if is_index {
                let form = &*(*opened).rd_index;
                fits = form.indrelid == (*relation).rd_id
                    && form.indisprimary
                    && form.indisvalid
                    && form.indisready
                    && form.indislive
                    && !form.indcheckxmin
                    && form.indimmediate
                    && usize::try_from(form.indnkeyatts) == Ok(self.key.len())
                    && self.key.len() <= MOST_KEY_COLUMNS;
                for (position, (name, key_type)) in self.key.iter().enumerate() {
                    if !fits {
                        break;
                    }
                    let column = *form.indkey.values.as_ptr().add(position);
                    let family = *(*opened).rd_opfamily.add(position);
                    let collation = *(*opened).rd_indcollation.add(position);
                    let named = pg_sys::SPI_fnumber((*relation).rd_att, name.as_ptr());
                    fits = named == i32::from(column)
                        && match key_type {
                            KeyType::Text => {
                                family == pg_sys::TEXT_BTREE_FAM_OID
                                    && collation == pg_sys::C_COLLATION_OID
                            }
                            KeyType::Uuid => family == UUID_BTREE_FAM_OID,
                        };
                }
            }
            pg_sys::relation_close(opened, pg_sys::NoLock as pg_sys::LOCKMODE);
            fits
        }
    }

    /// Looks with the active snapshot. `wait`: locks the row as well.
    fn look<R>(
        &self,
        place: &Place,
        key: &[Key<'_>],
        row: impl FnOnce(&Columns<'_>) -> R,
        wait: Option<pg_sys::LockWaitPolicy::Type>,
    ) -> Seen<R> {
        if key.len() != self.key.len() {
            return Seen::CannotTell;
        }
        self.with_scan(place, wait.is_some(), |scan| scan.look(key, row, wait))
            .unwrap_or(Seen::CannotTell)
    }

    /// The same for many keys, in their order. None: a statement has to be asked.
    fn look_for_many<'k, const N: usize, R>(
        &self,
        place: &Place,
        keys: impl Iterator<Item = [Key<'k>; N]>,
        row: impl Fn(&Columns<'_>) -> R,
        wait: Option<pg_sys::LockWaitPolicy::Type>,
    ) -> Option<Vec<Option<R>>> {
        if N != self.key.len() {
            return None;
        }
        self.with_scan(place, wait.is_some(), |scan| {
            keys.map(|key| {
                pgrx::check_for_interrupts!();
                match scan.look(&key, &row, wait) {
                    Seen::Row(found) => Some(found),
                    Seen::NoRow | Seen::CannotTell => None,
                }
            })
            .collect()
        })
    }

    /// Opens the table and its index for `body`, which locks rows or only reads. None: they are not what they were, or not the
    /// current user's.
    fn with_scan<R>(
        &self,
        place: &Place,
        locks: bool,
        body: impl FnOnce(&Scan<'_>) -> R,
    ) -> Option<R> {
        let table_lock = if locks {
            pg_sys::RowShareLock
        } else {
            pg_sys::AccessShareLock
        };
        let keep = pg_sys::NoLock as pg_sys::LOCKMODE;
        let as_of = CHANGES.get();
        // SAFETY: inside a transaction with an active snapshot. The relations are opened with a lock that stays until the
        // transaction ends, as a statement's do, and what was found out about them is compared after that with the last
        // change of the catalog. The scan and the slot live between here and their ends; an error gives them back with
        // everything else of the transaction.
        unsafe {
            let relation = pg_sys::try_table_open(place.table, table_lock as pg_sys::LOCKMODE);
            if relation.is_null() {
                return None;
            }
            if CHANGES.get() != as_of || !is_open_to_current_user(relation) {
                pg_sys::table_close(relation, keep);
                return None;
            }
            let index =
                pg_sys::index_open(place.index, pg_sys::AccessShareLock as pg_sys::LOCKMODE);
            if CHANGES.get() != as_of {
                pg_sys::index_close(index, keep);
                pg_sys::table_close(relation, keep);
                return None;
            }
            let slot = pg_sys::table_slot_create(relation, std::ptr::null_mut());
            let scan = begin_scan(relation, index, self.key.len());
            let answer = body(&Scan {
                relation,
                scan,
                slot,
                place,
            });
            pg_sys::index_endscan(scan);
            pg_sys::ExecDropSingleTupleTableSlot(slot);
            pg_sys::index_close(index, keep);
            pg_sys::table_close(relation, keep);
            Some(answer)
        }
    }
}

/// An index that is being looked into, key by key, with its table.
struct Scan<'a> {
    relation: pg_sys::Relation,
    scan: pg_sys::IndexScanDesc,
    slot: *mut pg_sys::TupleTableSlot,
    place: &'a Place,
}

impl Scan<'_> {
    /// `key`: of as many columns as the scan was begun with. `wait`: locks the row as well.
    fn look<R>(
        &self,
        key: &[Key<'_>],
        row: impl FnOnce(&Columns<'_>) -> R,
        wait: Option<pg_sys::LockWaitPolicy::Type>,
    ) -> Seen<R> {
        let (scan, slot) = (self.scan, self.slot);
        let mut keys = [pg_sys::ScanKeyData::default(); MOST_KEY_COLUMNS];
        // SAFETY: only `with_scan` makes one, and lends it while the relations, the scan and the slot are open and a
        // snapshot is active. The scan copies its keys; what they point to outlives this call, and so does the slot.
        unsafe {
            for (position, (entry, value)) in keys.iter_mut().zip(key).enumerate() {
                let (equal, collation, datum) = match value {
                    Key::Text(text) => {
                        (pg_sys::F_TEXTEQ, pg_sys::C_COLLATION_OID, text.into_datum())
                    }
                    Key::Uuid(id) => (
                        pg_sys::F_UUID_EQ,
                        pg_sys::InvalidOid,
                        to_pg(*id).into_datum(),
                    ),
                };
                pg_sys::ScanKeyEntryInitialize(
                    entry,
                    0,
                    position as pg_sys::AttrNumber + 1,
                    pg_sys::BTEqualStrategyNumber as pg_sys::StrategyNumber,
                    pg_sys::InvalidOid,
                    collation,
                    equal.into(),
                    datum.unwrap_or(pg_sys::Datum::from(0)),
                );
            }
            pg_sys::index_rescan(
                scan,
                keys.as_mut_ptr(),
                key.len() as i32,
                std::ptr::null_mut(),
                0,
            );
            let found =
                pg_sys::index_getnext_slot(scan, pg_sys::ScanDirection::ForwardScanDirection, slot);
            if !found {
                return Seen::NoRow;
            }
            if wait.is_some_and(|wait| !share_version(self.relation, slot, wait)) {
                return Seen::CannotTell;
            }
            let last_column = i32::from(self.place.last_column);
            if i32::from((*slot).tts_nvalid) < last_column {
                pg_sys::slot_getsomeattrs_int(slot, last_column);
            }
            Seen::Row(row(&Columns {
                slot: &*slot,
                numbers: &self.place.columns,
            }))
        }
    }
}

/// # Safety
/// Both relations are open, and a snapshot is active.
unsafe fn begin_scan(
    relation: pg_sys::Relation,
    index: pg_sys::Relation,
    keys: usize,
) -> pg_sys::IndexScanDesc {
    // SAFETY: the caller's promise.
    unsafe {
        pg_sys::index_beginscan(
            relation,
            index,
            pg_sys::GetActiveSnapshot(),
            #[cfg(feature = "pg18")]
            std::ptr::null_mut(),
            keys as i32,
            0,
        )
    }
}

/// Locks the version in the slot FOR KEY SHARE. False: it is not the newest one, it was changed by this very command, or
/// somebody has it and is not to be waited for.
///
/// # Safety
/// The slot holds a row of the relation, which is open, and a snapshot is active.
unsafe fn share_version(
    relation: pg_sys::Relation,
    slot: *mut pg_sys::TupleTableSlot,
    wait: pg_sys::LockWaitPolicy::Type,
) -> bool {
    // SAFETY: the caller's promise; the lock's failure is written before it is read.
    unsafe {
        let Some(lock) = (*relation).rd_tableam.as_ref().and_then(|am| am.tuple_lock) else {
            return false;
        };
        let mut failure = pg_sys::TM_FailureData::default();
        let mut version = (*slot).tts_tid;
        let result = lock(
            relation,
            &mut version,
            pg_sys::GetActiveSnapshot(),
            slot,
            pg_sys::GetCurrentCommandId(false),
            pg_sys::LockTupleMode::LockTupleKeyShare,
            wait,
            pg_sys::TUPLE_LOCK_FLAG_LOCK_UPDATE_IN_PROGRESS as u8,
            &mut failure,
        );
        result == pg_sys::TM_Result::TM_Ok && !failure.traversed
    }
}

fn is_in_parallel() -> bool {
    // SAFETY: a plain read of backend-local state.
    unsafe { pg_sys::IsInParallelMode() }
}

/// Whether the table is what the extension made: an ordinary one, without children.
///
/// # Safety
/// The relation is open.
unsafe fn is_plain_table(relation: pg_sys::Relation) -> bool {
    // SAFETY: the caller's promise.
    let form = unsafe { &*(*relation).rd_rel };
    form.relkind == pg_sys::RELKIND_RELATION as std::ffi::c_char
        && form.relam == pg_sys::HEAP_TABLE_AM_OID
        && !form.relhassubclass
}

/// Whether the current user is the table's owner, whom row security does not bind.
///
/// # Safety
/// The relation is open.
unsafe fn is_open_to_current_user(relation: pg_sys::Relation) -> bool {
    // SAFETY: the caller's promise; a plain read of backend-local state.
    unsafe {
        let form = &*(*relation).rd_rel;
        form.relowner == pg_sys::GetUserId() && !form.relforcerowsecurity
    }
}

/// The snapshot that looks are made with, active until it is dropped.
pub enum Snapshot {
    /// The caller's own.
    Active,
    Pushed,
}

impl Snapshot {
    /// That of a statement in this mode. None: it would do more than look.
    pub fn of(mode: Mode) -> Option<Self> {
        Some(match mode {
            Mode::ReadOnly => Self::Active,
            Mode::OwnWork if own_work_is_visible() => Self::Active,
            _ if is_in_parallel() => return None,
            Mode::OwnWork | Mode::Write => Self::of_new_statement(),
            Mode::NewestReadOnly => Self::newest(),
            Mode::Newest => return None,
        })
    }

    /// A new snapshot at READ COMMITTED, the transaction's above it; both show what this transaction has done.
    fn of_new_statement() -> Self {
        // SAFETY: inside a transaction that is no part of a parallel query; popped when this is dropped, or by the end of
        // the (sub)transaction.
        unsafe {
            pg_sys::CommandCounterIncrement();
            pg_sys::PushActiveSnapshot(pg_sys::GetTransactionSnapshot());
        }
        Self::Pushed
    }

    /// The newest at every level.
    fn newest() -> Self {
        // SAFETY: as above.
        unsafe { pg_sys::PushActiveSnapshot(pg_sys::GetLatestSnapshot()) };
        Self::Pushed
    }
}

impl Drop for Snapshot {
    fn drop(&mut self) {
        // While an error unwinds, the end of the (sub)transaction pops it.
        if matches!(self, Self::Pushed) && !std::thread::panicking() {
            // SAFETY: pushed above, and everything pushed later was popped before.
            unsafe { pg_sys::PopActiveSnapshot() }
        }
    }
}
