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
    /// `name`: quoted and qualified. `which`: a condition on the alias `t`, `$1` and `$2`. `key`: their order. `is_key_changed`: whether
    /// what is going to be changed is a part of a key.
    pub fn over(
        owner: pg_sys::Oid,
        name: &str,
        which: &str,
        key: &[String],
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
        let numbered: Vec<(String, String)> = key
            .iter()
            .zip(1..)
            .map(|(column, number)| (format!("{column} as k{number}"), format!("f.k{number}")))
            .collect();
        let (columns, order): (Vec<String>, Vec<String>) = numbered.into_iter().unzip();
        Self {
            owner,
            mode,
            // The limit before the order: who has found too many has not read them all.
            find: Statement::over_table(format!(
                "select f.place, f.version
                from (
                    select t.tableoid as place, t.ctid as version, {}
                    from {name} as t
                    where {which}
                    limit $3
                ) as f
                order by {}",
                columns.join(", "),
                order.join(", ")
            ))
            .for_any_values(),
            lock: Statement::over_table(format!(
                "select
                from {name} as t
                where {which}
                order by {}
                {strength}",
                key.join(", ")
            ))
            .for_any_values(),
        }
    }

    /// The rows as they are now, in the order in which they are locked; up to `most` of them.
    pub fn find(&self, which: [Value<'_>; 2], most: Option<i64>) -> Result<Found, IdentityError> {
        let [account, visitors] = which;
        let values = [account, visitors, Value::Int8(most)];
        as_role(self.owner, || self.find.run(Mode::Newest, &values)).map(Found)
    }

    /// Locks all of the rows that were found, waiting for those that other transactions are changing. None: one was
    /// changed meanwhile, which above READ COMMITTED is 40001.
    pub fn take_found(&self, found: &Found) -> Result<Option<LockedRows>, IdentityError> {
        let mut waited = false;
        match self.take_versions(&found.0, &mut waited)? {
            Taken::All => Ok(Some(LockedRows {
                count: found.count(),
                waited,
            })),
            Taken::SomeWereChanged if transaction_snapshot_is_fixed() => {
                Err(IdentityError::Serialization)
            }
            Taken::SomeWereChanged | Taken::CannotTell => Ok(None),
        }
    }

    /// Locks the rows, waiting for those that other transactions are changing. Errors: 40001 above READ COMMITTED when one
    /// was changed meanwhile.
    pub fn take(&self, which: [Value<'_>; 2]) -> Result<LockedRows, IdentityError> {
        let mut waited = false;
        for _ in 0..MOST_PASSES {
            let found = self.find(which, None)?;
            match self.take_versions(&found.0, &mut waited)? {
                Taken::All => {
                    return Ok(LockedRows {
                        count: found.count(),
                        waited,
                    })
                }
                Taken::SomeWereChanged if transaction_snapshot_is_fixed() => {
                    return Err(IdentityError::Serialization)
                }
                Taken::SomeWereChanged => waited = true,
                Taken::CannotTell => break,
            }
        }
        let rows = as_role(self.owner, || self.lock.run(Mode::Newest, &which))?;
        Ok(LockedRows {
            count: rows.len(),
            waited: true,
        })
    }

    fn take_versions(&self, rows: &Rows, waited: &mut bool) -> Result<Taken, IdentityError> {
        // A version is a place on one node.
        if is_distributed()? {
            return Ok(Taken::CannotTell);
        }
        let version = |row| {
            let table = rows.get::<pg_sys::Oid>(row, 1)?;
            Some((table, rows.get::<pg_sys::ItemPointerData>(row, 2)?))
        };
        let mut row = 0;
        while row < rows.len() {
            let Some((table, _)) = version(row) else {
                return Ok(Taken::CannotTell);
            };
            // The rows of one table or partition by one opening of it, as far as they follow each other.
            let versions = std::iter::from_fn(|| {
                let found = version(row).filter(|(of_table, _)| *of_table == table)?;
                row += 1;
                Some(found.1)
            });
            match lock_versions(table, versions, self.mode, waited) {
                Taken::All => {}
                other => return Ok(other),
            }
        }
        Ok(Taken::All)
    }
}

/// Rows that were found, to be locked while the same connection lasts.
pub struct Found(Rows);

impl Found {
    pub fn count(&self) -> usize {
        self.0.len()
    }
}

/// What was locked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LockedRows {
    pub count: usize,
    /// Whether another transaction had one of the rows first: then it may have written others meanwhile.
    pub waited: bool,
}

/// What came of locking the versions that a snapshot showed.
enum Taken {
    All,
    /// Another transaction changed one before it was ours.
    SomeWereChanged,
    /// The table is not stored in a way that tells.
    CannotTell,
}

/// Locks versions of rows and none that follow them, waiting for the transactions that have them.
fn lock_versions(
    table: pg_sys::Oid,
    versions: impl Iterator<Item = pg_sys::ItemPointerData>,
    mode: pg_sys::LockTupleMode::Type,
    waited: &mut bool,
) -> Taken {
    use pg_sys::LockWaitPolicy::{LockWaitBlock, LockWaitSkip};
    use pg_sys::TM_Result;
    // SAFETY: the statement that showed the versions has locked the table until the transaction ends, and the snapshot of
    // the calling statement keeps them from being removed; an error gives back the relation and the slot with
    // everything else of the transaction.
    unsafe {
        let relation = pg_sys::table_open(table, pg_sys::RowShareLock as pg_sys::LOCKMODE);
        let interface = (*relation).rd_tableam;
        let lock = if interface.is_null() {
            None
        } else {
            (*interface).tuple_lock
        };
        // A foreign table has none.
        let mut taken = Taken::CannotTell;
        if let Some(lock) = lock {
            taken = Taken::All;
            let slot = pg_sys::table_slot_create(relation, std::ptr::null_mut());
            let mut failure = pg_sys::TM_FailureData::default();
            for mut version in versions {
                let mut take = |policy| {
                    lock(
                        relation,
                        &mut version,
                        pg_sys::GetActiveSnapshot(),
                        slot,
                        pg_sys::GetCurrentCommandId(true),
                        mode,
                        policy,
                        0,
                        &mut failure,
                    )
                };
                let mut result = take(LockWaitSkip);
                if result == TM_Result::TM_WouldBlock {
                    *waited = true;
                    result = take(LockWaitBlock);
                }
                if matches!(
                    result,
                    TM_Result::TM_Updated | TM_Result::TM_Deleted | TM_Result::TM_Invisible
                ) {
                    taken = Taken::SomeWereChanged;
                    break;
                }
            }
            pg_sys::ExecDropSingleTupleTableSlot(slot);
        }
        pg_sys::table_close(relation, pg_sys::NoLock as pg_sys::LOCKMODE);
        taken
    }
}
