//! Locks the rows that visitors have in an attached table, and waits for no others.
//! May touch: rows of attached tables, which it locks by PostgreSQL's table interface and does not change.
//!
//! A locking SELECT goes on to the newest version of a row before it looks whether the row still is one of those that it
//! seeks. A chat that left its visitor a moment ago would be waited for too, and who holds it now may be giving it back to
//! him and waiting for us: 40P01.

use super::distributed::is_distributed;
use super::spi::{as_role, transaction_snapshot_is_fixed, Mode, Rows, Statement, Value};
use crate::error::IdentityError;
use pgrx::pg_sys;

/// How often rows are looked for again before they are locked as a SELECT does. Each time means that somebody changed one
/// that was waited for.
const MOST_PASSES: usize = 50;

/// The statements that lock the rows of one table.
pub struct RowLocks {
    owner: pg_sys::Oid,
    mode: pg_sys::LockTupleMode::Type,
    find: Statement,
    lock: Statement,
}

impl RowLocks {
    /// `name`: quoted and qualified. `which`: a condition on the alias `t`. `key`: their order. `is_key_changed`: whether
    /// what is going to be changed is a part of a key.
    pub fn over(
        owner: pg_sys::Oid,
        name: &str,
        which: &str,
        key: &str,
        is_key_changed: bool,
    ) -> Self {
        let (mode, strength) = if is_key_changed {
            (pg_sys::LockTupleMode::LockTupleExclusive, "for update")
        } else {
            (
                pg_sys::LockTupleMode::LockTupleNoKeyExclusive,
                "for no key update",
            )
        };
        Self {
            owner,
            mode,
            find: Statement::over_table(format!(
                "select t.tableoid, t.ctid
                from {name} as t
                where {which}
                order by {key}"
            )),
            lock: Statement::over_table(format!(
                "select
                from {name} as t
                where {which}
                order by {key}
                {strength}"
            )),
        }
    }

    /// Locks the rows, waiting for those that other transactions are changing, and counts them. Errors: 40001 above READ
    /// COMMITTED when one was changed meanwhile.
    pub fn take(&self, values: &[Value<'_>]) -> Result<usize, IdentityError> {
        // A version is a place on one node.
        let passes = if is_distributed()? { 0 } else { MOST_PASSES };
        for _ in 0..passes {
            let rows = as_role(self.owner, || self.find.run(Mode::Newest, values))?;
            match self.take_versions(&rows) {
                Taken::All => return Ok(rows.len()),
                Taken::SomeWereChanged if transaction_snapshot_is_fixed() => {
                    return Err(IdentityError::Serialization)
                }
                Taken::SomeWereChanged => {}
                Taken::CannotTell => break,
            }
        }
        let rows = as_role(self.owner, || self.lock.run(Mode::Newest, values))?;
        Ok(rows.len())
    }

    fn take_versions(&self, rows: &Rows) -> Taken {
        for row in 0..rows.len() {
            let (Some(table), Some(version)) = (
                rows.get::<pg_sys::Oid>(row, 1),
                rows.get::<pg_sys::ItemPointerData>(row, 2),
            ) else {
                return Taken::CannotTell;
            };
            match lock_version(table, version, self.mode) {
                None => return Taken::CannotTell,
                Some(
                    pg_sys::TM_Result::TM_Updated
                    | pg_sys::TM_Result::TM_Deleted
                    | pg_sys::TM_Result::TM_Invisible,
                ) => return Taken::SomeWereChanged,
                Some(_) => {}
            }
        }
        Taken::All
    }
}

/// What came of locking the versions that a snapshot showed.
enum Taken {
    All,
    /// Another transaction changed one before it was ours.
    SomeWereChanged,
    /// The table is not stored in a way that tells.
    CannotTell,
}

/// Locks one version of a row and none that follows it, waiting for the transaction that has it. None: a foreign table.
fn lock_version(
    table: pg_sys::Oid,
    mut version: pg_sys::ItemPointerData,
    mode: pg_sys::LockTupleMode::Type,
) -> Option<pg_sys::TM_Result::Type> {
    // SAFETY: the statement that showed the version has locked the table until the transaction ends, and the snapshot of
    // the calling statement keeps the version from being removed; an error gives back the relation and the slot with
    // everything else of the transaction.
    unsafe {
        let relation = pg_sys::table_open(table, pg_sys::RowShareLock as pg_sys::LOCKMODE);
        let interface = (*relation).rd_tableam;
        let lock = if interface.is_null() {
            None
        } else {
            (*interface).tuple_lock
        };
        let result = lock.map(|lock| {
            let slot = pg_sys::table_slot_create(relation, std::ptr::null_mut());
            let mut failure = pg_sys::TM_FailureData::default();
            let result = lock(
                relation,
                &mut version,
                pg_sys::GetActiveSnapshot(),
                slot,
                pg_sys::GetCurrentCommandId(true),
                mode,
                pg_sys::LockWaitPolicy::LockWaitBlock,
                0,
                &mut failure,
            );
            pg_sys::ExecDropSingleTupleTableSlot(slot);
            result
        });
        pg_sys::table_close(relation, pg_sys::NoLock as pg_sys::LOCKMODE);
        result
    }
}
