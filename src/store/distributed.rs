//! What is different where Citus distributes the tables: what may be kept in memory, who holds a lock for whom, how a
//! table is named, and where a call is carried out.
//! May touch: the catalog of Citus and `distributed_table`, which both exist only to be read here.
//!
//! A statement over a distributed table is carried out by the node that has the account, whoever runs it. So every path
//! is right on every node; `at_account` makes it quick, by running the whole call there.

use super::policy::{cached, changes, keep};
use super::spi::{Mode, Rows, Statement, Value};
use super::statement;
use crate::error::IdentityError;
use pgrx::pg_sys;
use std::cell::{Cell, OnceCell, RefCell};

statement!(
    IS_DISTRIBUTED,
    "select exists (
        select 1
        from pg_catalog.pg_dist_partition as p
        where p.logicalrelid operator(pg_catalog.=) 'visitor_identity.visitor'::pg_catalog.regclass
    )"
);

thread_local! {
    static KNOWS_NO_CROSSCHECK: Cell<bool> = const { Cell::new(false) };
    static CALLER: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Whether Citus is installed in this database.
pub fn has_citus() -> bool {
    // SAFETY: a look into the catalog, inside a transaction; a missing extension is no error.
    unsafe { pg_sys::get_extension_oid(c"citus".as_ptr(), true) != pg_sys::InvalidOid }
}

/// Whether the identity tables are distributed. Call it inside `connect`.
pub fn is_distributed() -> Result<bool, IdentityError> {
    if let Some(known) = cached(|cache| cache.distributed)? {
        return Ok(known);
    }
    let as_of = changes();
    let distributed = has_citus()
        && IS_DISTRIBUTED
            .with(|statement| statement.run(Mode::NewestReadOnly, &[]))?
            .truth(0, 1);
    KNOWS_NO_CROSSCHECK.with(|flag| flag.set(distributed));
    keep(as_of, |cache| cache.distributed = Some(distributed));
    Ok(distributed)
}

/// Whether a statement may be carried out by an executor that looks at no crosscheck snapshot: then nothing may be moved
/// above READ COMMITTED, where that check is what finds a chat that somebody else has moved.
pub(super) fn knows_no_crosscheck() -> bool {
    KNOWS_NO_CROSSCHECK.with(Cell::get)
}

statement!(
    TRY_LOCK,
    "select pg_catalog.pg_try_advisory_xact_lock($2)
    from (
        select pg_catalog.count(*)
        from visitor_identity.pending_rebind as r
        where r.account operator(pg_catalog.=) $1
            and r.visitor_id operator(pg_catalog.=) '00000000-0000-0000-0000-000000000000'::pg_catalog.uuid
    ) as node_of_account"
);

statement!(
    WAIT_FOR_LOCK,
    "select pg_catalog.pg_advisory_xact_lock($2)
    from (
        select pg_catalog.count(*)
        from visitor_identity.pending_rebind as r
        where r.account operator(pg_catalog.=) $1
            and r.visitor_id operator(pg_catalog.=) '00000000-0000-0000-0000-000000000000'::pg_catalog.uuid
    ) as node_of_account"
);

/// Takes an advisory lock until the end of the transaction on the node that has the account: everybody who wants it meets
/// there. False: somebody else has it.
pub(super) fn try_lock_at_account(account: &str, key: i64) -> Result<bool, IdentityError> {
    let values = [Value::Text(Some(account)), Value::Int8(Some(key))];
    let rows = TRY_LOCK.with(|statement| statement.run(Mode::Write, &values))?;
    Ok(rows.truth(0, 1))
}

/// The same, waiting.
pub(super) fn wait_for_lock_at_account(account: &str, key: i64) -> Result<(), IdentityError> {
    let values = [Value::Text(Some(account)), Value::Int8(Some(key))];
    WAIT_FOR_LOCK.with(|statement| statement.run(Mode::Write, &values))?;
    Ok(())
}

statement!(
    DISTRIBUTED_TABLES,
    "select pg_catalog.jsonb_agg(t.attachment order by t.table_name)::pg_catalog.text
    from visitor_identity.distributed_table as t"
);

/// The attached tables as every node knows them: a JSON array.
pub(super) fn distributed_tables() -> Result<String, IdentityError> {
    let rows = DISTRIBUTED_TABLES.with(|statement| statement.run(Mode::NewestReadOnly, &[]))?;
    Ok(rows.get(0, 1).unwrap_or_else(|| "[]".to_owned()))
}

/// A statement over the log. It names a table by its number, which follows a renaming; or by its name, where the tables
/// are distributed: a table has another number on every node.
pub struct LogStatement {
    by_number: Statement,
    by_name: OnceCell<Statement>,
    text: &'static str,
}

impl LogStatement {
    /// `text` names the table's type by `pg_catalog.regclass` or `pg_catalog.oid`, and no other column's.
    pub const fn fixed(text: &'static str) -> Self {
        Self {
            by_number: Statement::fixed(text),
            by_name: OnceCell::new(),
            text,
        }
    }

    /// As `Statement::run`.
    pub fn run(&self, mode: Mode, values: &[Value<'_>]) -> Result<Rows, IdentityError> {
        if !is_distributed()? {
            return self.by_number.run(mode, values);
        }
        self.by_name
            .get_or_init(|| {
                Statement::over_table(
                    self.text
                        .replace("::pg_catalog.regclass", "::pg_catalog.text")
                        .replace("::pg_catalog.oid", "::pg_catalog.text"),
                )
            })
            .run(mode, values)
    }
}

/// A log statement kept for the life of the backend, in a name.
macro_rules! log_statement {
    ($name:ident, $text:expr) => {
        thread_local! {
            static $name: std::mem::ManuallyDrop<$crate::store::distributed::LogStatement> = const {
                std::mem::ManuallyDrop::new($crate::store::distributed::LogStatement::fixed($text))
            };
        }
    };
}
pub(crate) use log_statement;

/// A table as the log names it.
pub enum LoggedTable {
    Number(pg_sys::Oid),
    Name(String),
}

impl LoggedTable {
    pub fn value(&self) -> Value<'_> {
        match self {
            Self::Number(number) => Value::Oid(*number),
            Self::Name(name) => Value::Text(Some(name)),
        }
    }
}

statement!(
    NAME_OF_TABLE,
    "select pg_catalog.format('%I.%I', n.nspname, c.relname)
    from pg_catalog.pg_class as c
    join pg_catalog.pg_namespace as n on n.oid operator(pg_catalog.=) c.relnamespace
    where c.oid operator(pg_catalog.=) $1"
);

statement!(
    NUMBER_OF_TABLE,
    "select pg_catalog.to_regclass($1)::pg_catalog.oid"
);

/// How the log names a table of this node.
pub fn logged(table: pg_sys::Oid) -> Result<LoggedTable, IdentityError> {
    if !is_distributed()? {
        return Ok(LoggedTable::Number(table));
    }
    let rows = NAME_OF_TABLE.with(|statement| statement.run(Mode::Write, &[Value::Oid(table)]))?;
    rows.get(0, 1)
        .map(LoggedTable::Name)
        .ok_or_else(|| IdentityError::Internal("a table without a name".into()))
}

/// The table of this node that a row of the log names. The invalid oid: it is gone.
pub fn table_in_log(
    rows: &Rows,
    row: usize,
    column: i32,
) -> Result<Option<pg_sys::Oid>, IdentityError> {
    if !is_distributed()? {
        return Ok(rows.get(row, column));
    }
    let Some(name) = rows.get::<String>(row, column) else {
        return Ok(None);
    };
    let values = [Value::Text(Some(&name))];
    let found = NUMBER_OF_TABLE.with(|statement| statement.run(Mode::ReadOnly, &values))?;
    Ok(Some(found.get(0, 1).unwrap_or(pg_sys::InvalidOid)))
}

/// The session user of the node that was called, where this one does its work.
pub(super) fn caller() -> Option<String> {
    CALLER.with(|caller| caller.borrow().clone())
}

statement!(
    AT_ACCOUNT,
    "select a.answer
    from visitor_identity.at_account($1, $2, $3) as a (answer)"
);

statement!(SESSION_USER, "select session_user::pg_catalog.text");

/// Has a call carried out by the node that has the account: its answer. None: that is to be done here, because nothing is
/// distributed, or because this is that node.
pub(super) fn at_account(
    account: &str,
    call: impl FnOnce() -> String,
) -> Result<Option<String>, IdentityError> {
    if !is_distributed()? || CALLER.with(|caller| caller.borrow().is_some()) {
        return Ok(None);
    }
    let call = call();
    let user = SESSION_USER
        .with(|statement| statement.run(Mode::ReadOnly, &[]))?
        .get::<String>(0, 1);
    let values = [
        Value::Text(Some(account)),
        Value::Text(Some(&call)),
        Value::Text(user.as_deref()),
    ];
    let rows = AT_ACCOUNT.with(|statement| statement.run(Mode::OwnWork, &values))?;
    rows.get(0, 1)
        .map(Some)
        .ok_or_else(|| IdentityError::Internal("no answer from the node of the account".into()))
}

/// Carries out here what another node was asked, in the name of its session user.
pub fn for_caller<R>(caller: &str, body: impl FnOnce() -> R) -> R {
    struct Restore(Option<String>);
    impl Drop for Restore {
        fn drop(&mut self) {
            CALLER.with(|caller| *caller.borrow_mut() = self.0.take());
        }
    }
    let _restore = Restore(CALLER.with(|slot| slot.borrow_mut().replace(caller.to_owned())));
    body()
}
