//! The narrow bridge to PostgreSQL's SPI: kept plans, parameters, rows, snapshots, and whose rights a statement runs with.
//! May touch: PostgreSQL's C interface. Knows nothing of visitors.

use crate::error::IdentityError;
use pgrx::datum::{FromDatum, IntoDatum};
use pgrx::pg_sys;
use std::cell::Cell;
use std::ffi::CString;
use uuid::Uuid;

/// What a statement may see and do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// The caller's own snapshot, no locks, no writes: works on a standby and takes no transaction id.
    ReadOnly,
    /// The caller's own snapshot while it shows all that this transaction has done; a new one after that, so that several
    /// calls in one statement see each other. No locks, no writes.
    OwnWork,
    /// A new snapshot at READ COMMITTED, the transaction's above it.
    Write,
    /// The newest snapshot at every level; above READ COMMITTED a row that the transaction's own snapshot does not show
    /// raises 40001, as foreign keys do (notes on concurrency, section 2).
    Newest,
    /// The newest snapshot at every level, read-only and without that check: for policies, which are not data.
    NewestReadOnly,
}

/// A parameter.
#[derive(Debug, Clone, Copy)]
pub enum Value<'a> {
    Text(Option<&'a str>),
    Uuid(Option<Uuid>),
    Uuids(&'a [Uuid]),
    /// Places of row versions in their table.
    Versions(&'a [pg_sys::ItemPointerData]),
    Texts(&'a [String]),
    OptionalUuids(&'a [Option<Uuid>]),
    OptionalTexts(&'a [Option<&'a str>]),
    Int8(Option<i64>),
    Bool(bool),
    Oid(pg_sys::Oid),
    Timestamp(Option<pgrx::datum::TimestampWithTimeZone>),
    Interval(Option<pgrx::datum::Interval>),
    Json(Option<&'a str>),
    /// JSON that is parsed here, once, and not by the plan.
    Jsonb(&'a str),
    /// A row, with its composite type.
    Row(pg_sys::Datum, pg_sys::Oid),
}

impl Value<'_> {
    fn type_oid(&self) -> pg_sys::Oid {
        match self {
            Value::Text(_) => pg_sys::TEXTOID,
            Value::Uuid(_) => pg_sys::UUIDOID,
            Value::Uuids(_) | Value::OptionalUuids(_) => pg_sys::UUIDARRAYOID,
            Value::Versions(_) => pg_sys::TIDARRAYOID,
            Value::Texts(_) | Value::OptionalTexts(_) => pg_sys::TEXTARRAYOID,
            Value::Int8(_) => pg_sys::INT8OID,
            Value::Bool(_) => pg_sys::BOOLOID,
            Value::Oid(_) => pg_sys::OIDOID,
            Value::Timestamp(_) => pg_sys::TIMESTAMPTZOID,
            Value::Interval(_) => pg_sys::INTERVALOID,
            // Passed as text and cast in the statement: the text form is what travels between two statements.
            Value::Json(_) => pg_sys::TEXTOID,
            Value::Jsonb(_) => pg_sys::JSONBOID,
            Value::Row(_, row_type) => *row_type,
        }
    }

    fn into_datum(self) -> Option<pg_sys::Datum> {
        match self {
            Value::Text(text) | Value::Json(text) => text.into_datum(),
            Value::Uuid(id) => id.map(to_pg).into_datum(),
            Value::Uuids(ids) => ids
                .iter()
                .copied()
                .map(to_pg)
                .collect::<Vec<_>>()
                .into_datum(),
            Value::Versions(versions) => versions.to_vec().into_datum(),
            Value::Texts(texts) => texts.to_vec().into_datum(),
            Value::OptionalUuids(ids) => ids
                .iter()
                .map(|id| id.map(to_pg))
                .collect::<Vec<_>>()
                .into_datum(),
            Value::OptionalTexts(texts) => texts.to_vec().into_datum(),
            Value::Int8(number) => number.into_datum(),
            Value::Bool(truth) => truth.into_datum(),
            Value::Oid(oid) => oid.into_datum(),
            Value::Timestamp(time) => time.into_datum(),
            Value::Interval(interval) => interval.into_datum(),
            Value::Jsonb(text) => CString::new(text).ok().and_then(|text| {
                // SAFETY: the input function of jsonb, which reads a text that outlives the call.
                unsafe {
                    pgrx::direct_function_call_as_datum(
                        pg_sys::jsonb_in,
                        &[Some(pg_sys::Datum::from(text.as_ptr()))],
                    )
                }
            }),
            Value::Row(row, _) => Some(row),
        }
    }
}

/// A uuid as pgrx carries it.
pub fn to_pg(id: Uuid) -> pgrx::Uuid {
    pgrx::Uuid::from_bytes(id.into_bytes())
}

/// A uuid as the pure modules carry it.
pub fn from_pg(id: pgrx::Uuid) -> Uuid {
    Uuid::from_bytes(*id.as_bytes())
}

/// A statement whose plan is prepared at its first use and kept for the life of the backend.
///
/// Made once a backend, in a `thread_local!` or in a cache that outlives every call: the plan of a dropped one is freed.
pub struct Statement {
    text: std::borrow::Cow<'static, str>,
    cursor_options: u32,
    plan: Cell<pg_sys::SPIPlanPtr>,
    /// Whether the kept plan is one for any values.
    is_for_any: Cell<bool>,
}

impl Statement {
    /// A statement with a text known at compile time.
    pub const fn fixed(text: &'static str) -> Self {
        Self {
            text: std::borrow::Cow::Borrowed(text),
            cursor_options: 0,
            plan: Cell::new(std::ptr::null_mut()),
            is_for_any: Cell::new(false),
        }
    }

    /// A statement over an attached table, whose names were put through the quoting functions.
    pub fn over_table(text: String) -> Self {
        Self {
            text: std::borrow::Cow::Owned(text),
            cursor_options: 0,
            plan: Cell::new(std::ptr::null_mut()),
            is_for_any: Cell::new(false),
        }
    }

    /// The same, planned once for whatever values come. For a statement whose way does not depend on them, but whose
    /// number of rows PostgreSQL may guess so badly (an array counts as ten) that it would plan it anew at each call.
    pub const fn for_any_values(mut self) -> Self {
        self.cursor_options = pg_sys::CURSOR_OPT_GENERIC_PLAN;
        self
    }

    fn plan(&self, values: &[Value<'_>]) -> Result<pg_sys::SPIPlanPtr, IdentityError> {
        let kept = self.plan.get();
        // One that was made before the tables were distributed stays allocated: a statement further out may be running it.
        let is_outdated = || self.is_for_any.get() && super::distributed::knows_no_crosscheck();
        if !kept.is_null() && !is_outdated() {
            return Ok(kept);
        }
        let mut types: Vec<pg_sys::Oid> = values.iter().map(Value::type_oid).collect();
        let text = CString::new(self.text.as_bytes())
            .map_err(|_| IdentityError::Internal("a statement contains NUL".into()))?;
        // Citus chooses a shard by the values, so it plans anew for them wherever that costs nothing to speak of.
        let options = if super::distributed::has_citus() {
            0
        } else {
            self.cursor_options
        };
        // SAFETY: inside an SPI connection (every caller goes through `connect`); text and types live through the call.
        let plan = unsafe {
            let plan = pg_sys::SPI_prepare_cursor(
                text.as_ptr(),
                types.len() as i32,
                types.as_mut_ptr(),
                options as i32,
            );
            if plan.is_null() || pg_sys::SPI_keepplan(plan) != 0 {
                return Err(IdentityError::Internal(
                    "a statement could not be prepared".into(),
                ));
            }
            plan
        };
        self.plan.set(plan);
        self.is_for_any.set(options != 0);
        Ok(plan)
    }

    /// Runs the statement. Call it inside [`connect`]. `values` have the same number and kinds at every call.
    pub fn run(&self, mode: Mode, values: &[Value<'_>]) -> Result<Rows, IdentityError> {
        open_connection()?;
        let plan = self.plan(values)?;
        let mut datums = Vec::with_capacity(values.len());
        let mut nulls = Vec::with_capacity(values.len());
        for value in values {
            let datum = value.into_datum();
            nulls.push(if datum.is_none() { b'n' } else { b' ' } as std::ffi::c_char);
            datums.push(datum.unwrap_or(pg_sys::Datum::from(0)));
        }
        let mode = match mode {
            Mode::OwnWork if own_work_is_visible() => Mode::ReadOnly,
            Mode::OwnWork => Mode::Write,
            mode => mode,
        };
        // SAFETY: inside an SPI connection; the plan is kept; datums and nulls have one entry a parameter and outlive
        // the call; SPI copies the snapshots that it is given.
        let status = unsafe {
            match mode {
                Mode::ReadOnly | Mode::OwnWork | Mode::Write => pg_sys::SPI_execute_plan(
                    plan,
                    datums.as_mut_ptr(),
                    nulls.as_ptr(),
                    mode == Mode::ReadOnly,
                    0,
                ),
                Mode::Newest | Mode::NewestReadOnly if pg_sys::IsInParallelMode() => {
                    // A parallel query takes no new snapshots, and writes nothing that could need one.
                    pg_sys::SPI_execute_plan(plan, datums.as_mut_ptr(), nulls.as_ptr(), true, 0)
                }
                Mode::Newest
                    if transaction_snapshot_is_fixed()
                        && super::distributed::knows_no_crosscheck() =>
                {
                    return Err(IdentityError::NeedsReadCommitted)
                }
                Mode::Newest | Mode::NewestReadOnly => {
                    let writes = mode == Mode::Newest;
                    if writes {
                        pg_sys::CommandCounterIncrement();
                    }
                    let crosscheck = if writes && transaction_snapshot_is_fixed() {
                        pg_sys::GetTransactionSnapshot()
                    } else {
                        std::ptr::null_mut()
                    };
                    pg_sys::SPI_execute_snapshot(
                        plan,
                        datums.as_mut_ptr(),
                        nulls.as_ptr(),
                        pg_sys::GetLatestSnapshot(),
                        crosscheck,
                        !writes,
                        writes,
                        0,
                    )
                }
            }
        };
        if status < 0 {
            return Err(IdentityError::Internal(format!(
                "a statement failed with SPI status {status}"
            )));
        }
        // SAFETY: set by the execution above; the table lives until the SPI connection ends, and `Rows` is read before.
        let (table, processed) = unsafe { (pg_sys::SPI_tuptable, pg_sys::SPI_processed) };
        Ok(Rows { table, processed })
    }
}

impl Drop for Statement {
    fn drop(&mut self) {
        let plan = self.plan.get();
        if !plan.is_null() {
            // SAFETY: a kept plan made by this value and freed once.
            unsafe {
                pg_sys::SPI_freeplan(plan);
            }
        }
    }
}

/// A query that is read in portions, every step of it (also its planning) with the rights of a role.
pub struct Portions {
    portal: CString,
    role: pg_sys::Oid,
}

impl Portions {
    /// Plans and opens the query. Call it, as `read`, inside [`connect`].
    pub fn open(text: String, role: pg_sys::Oid) -> Result<Self, IdentityError> {
        let text = CString::new(text)
            .map_err(|_| IdentityError::Internal("a statement contains NUL".into()))?;
        open_connection()?;
        as_role(role, || {
            // SAFETY: inside an SPI connection; the text lives through the call; the portal keeps a copy of the plan, and
            // its name is copied at once.
            let portal = unsafe {
                let plan = pg_sys::SPI_prepare(text.as_ptr(), 0, std::ptr::null_mut());
                if plan.is_null() {
                    return Err(IdentityError::Internal(
                        "a statement could not be prepared".into(),
                    ));
                }
                let portal = pg_sys::SPI_cursor_open(
                    std::ptr::null(),
                    plan,
                    std::ptr::null_mut(),
                    std::ptr::null(),
                    true,
                );
                std::ffi::CStr::from_ptr((*portal).name).to_owned()
            };
            Ok(Self { portal, role })
        })
    }

    /// The next rows; none at the end, which closes the query. One that is not read to its end is closed by the end of
    /// the transaction.
    pub fn read(&self, count: i64) -> Result<Rows, IdentityError> {
        open_connection()?;
        // SAFETY: inside an SPI connection; the portal is looked up by its name, because a rolled back subtransaction
        // may have closed it.
        as_role(self.role, || unsafe {
            let portal = pg_sys::SPI_cursor_find(self.portal.as_ptr());
            if portal.is_null() {
                return Err(IdentityError::Internal("a query was closed".into()));
            }
            pg_sys::SPI_cursor_fetch(portal, true, count);
            let (table, processed) = (pg_sys::SPI_tuptable, pg_sys::SPI_processed);
            if processed == 0 {
                pg_sys::SPI_cursor_close(portal);
            }
            Ok(Rows { table, processed })
        })
    }
}

/// A jsonb as PostgreSQL stores it, for handing on what nobody reads here: to pgrx the bytes of a bytea, which is laid out
/// as every value of varying length is.
pub type StoredJson = Vec<u8>;

/// The rows of one execution; read them before the next one of the same connection is needed.
pub struct Rows {
    table: *mut pg_sys::SPITupleTable,
    processed: u64,
}

impl Rows {
    /// How many rows were returned or written.
    pub fn len(&self) -> usize {
        self.processed as usize
    }

    /// The value at a row (from 0) and a column (from 1); NULL and out of range are None.
    pub fn get<T: FromDatum>(&self, row: usize, column: i32) -> Option<T> {
        if self.table.is_null() || row >= self.len() {
            return None;
        }
        // SAFETY: the table is the live result of an execution; row and column are checked against it here.
        unsafe {
            let table = &*self.table;
            if column < 1 || column > (*table.tupdesc).natts {
                return None;
            }
            let tuple = *table.vals.add(row);
            let mut is_null = false;
            let datum = pg_sys::SPI_getbinval(tuple, table.tupdesc, column, &mut is_null);
            T::from_datum(datum, is_null)
        }
    }

    /// A uuid.
    pub fn uuid(&self, row: usize, column: i32) -> Option<Uuid> {
        self.get::<pgrx::Uuid>(row, column).map(from_pg)
    }

    /// A truth value; NULL is false.
    pub fn truth(&self, row: usize, column: i32) -> bool {
        self.get::<bool>(row, column).unwrap_or(false)
    }

    /// A number; NULL is 0.
    pub fn number(&self, row: usize, column: i32) -> i64 {
        self.get::<i64>(row, column).unwrap_or(0)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Connection {
    /// No call is under way.
    None,
    /// The call has run no statement yet.
    AtFirstStatement,
    Open,
}

thread_local! {
    static CONNECTION: Cell<Connection> = const { Cell::new(Connection::None) };
}

/// Lets `body` run statements: its SPI connection is opened by the first of them, because a call about somebody known
/// needs none. A trigger that a statement fires has a connection of its own.
pub fn connect<R>(body: impl FnOnce() -> Result<R, IdentityError>) -> Result<R, IdentityError> {
    struct Leave(Connection);
    impl Drop for Leave {
        fn drop(&mut self) {
            if CONNECTION.replace(self.0) == Connection::Open {
                // SAFETY: opened by `open_connection` since; also while an error unwinds, before it aborts the transaction.
                unsafe { pg_sys::SPI_finish() };
            }
        }
    }
    let _leave = Leave(CONNECTION.replace(Connection::AtFirstStatement));
    body()
}

fn open_connection() -> Result<(), IdentityError> {
    match CONNECTION.get() {
        Connection::Open => Ok(()),
        Connection::AtFirstStatement => {
            // SAFETY: inside a transaction; finished when `connect` ends.
            if unsafe { pg_sys::SPI_connect() } != pg_sys::SPI_OK_CONNECT as i32 {
                return Err(IdentityError::Internal("no connection to SPI".into()));
            }
            CONNECTION.set(Connection::Open);
            Ok(())
        }
        Connection::None => Err(IdentityError::Internal(
            "a statement outside of a connection".into(),
        )),
    }
}

/// Makes the next read in `Mode::OwnWork` take a new snapshot: after waiting for another transaction, whose work the
/// caller's own snapshot does not show.
pub fn look_anew() {
    // SAFETY: inside a transaction that may write; a command id is used up as by a statement that writes.
    unsafe {
        pg_sys::GetCurrentCommandId(true);
        pg_sys::CommandCounterIncrement();
    }
}

/// Whether the active snapshot shows everything that this transaction has written.
pub fn own_work_is_visible() -> bool {
    // SAFETY: plain reads of backend-local state; a snapshot is active while a function runs.
    unsafe {
        pg_sys::ActiveSnapshotSet()
            && (*pg_sys::GetActiveSnapshot()).curcid >= pg_sys::GetCurrentCommandId(false)
    }
}

/// True at REPEATABLE READ and SERIALIZABLE.
pub fn transaction_snapshot_is_fixed() -> bool {
    // SAFETY: a plain read of a backend-local variable.
    unsafe { pg_sys::XactIsoLevel >= pg_sys::XACT_REPEATABLE_READ as i32 }
}

/// True when nothing may be written: a read-only transaction, a standby, a parallel query.
pub fn is_read_only() -> bool {
    // SAFETY: plain reads of backend-local state.
    unsafe { pg_sys::XactReadOnly || pg_sys::RecoveryInProgress() || pg_sys::IsInParallelMode() }
}

/// The role whose rights the calling statement has.
pub fn current_user() -> pg_sys::Oid {
    // SAFETY: a plain read of backend-local state.
    unsafe { pg_sys::GetUserId() }
}

/// Whether a role may read a relation; false for one that is gone.
pub fn may_read(role: pg_sys::Oid, relation: pg_sys::Oid) -> bool {
    let mut is_missing = false;
    // SAFETY: reads of the catalog, inside a transaction; the out-parameter lives through the call.
    unsafe {
        let rights = pg_sys::AclMode::from(pg_sys::ACL_SELECT);
        pg_sys::pg_class_aclcheck_ext(relation, role, rights, &mut is_missing)
            == pg_sys::AclResult::ACLCHECK_OK
            && !is_missing
    }
}

/// Whether a role may name what is in a schema that exists.
pub fn may_use_schema(role: pg_sys::Oid, schema: pg_sys::Oid) -> bool {
    let rights = pg_sys::AclMode::from(pg_sys::ACL_USAGE);
    // SAFETY: a read of the catalog, inside a transaction.
    #[cfg(any(feature = "pg14", feature = "pg15"))]
    let result = unsafe { pg_sys::pg_namespace_aclcheck(schema, role, rights) };
    // SAFETY: a read of the catalog, inside a transaction.
    #[cfg(not(any(feature = "pg14", feature = "pg15")))]
    let result =
        unsafe { pg_sys::object_aclcheck(pg_sys::NamespaceRelationId, schema, role, rights) };
    result == pg_sys::AclResult::ACLCHECK_OK
}

/// Runs `body` with the rights of `role`, as PostgreSQL's own foreign keys do: code of the application that fires
/// meanwhile (triggers, defaults, constraints) has these rights and no others, and row security of the table does not
/// hide a row from its owner. Where a superuser is going to commit, such code is also kept from leaving anything behind
/// that would run with his rights then, as deferred triggers and held cursors do.
pub fn as_role<R>(role: pg_sys::Oid, body: impl FnOnce() -> R) -> R {
    struct Restore(pg_sys::Oid, i32);
    impl Drop for Restore {
        fn drop(&mut self) {
            // SAFETY: puts back what was read below; an aborting transaction restores the same by itself.
            unsafe { pg_sys::SetUserIdAndSecContext(self.0, self.1) }
        }
    }
    let mut user = pg_sys::InvalidOid;
    let mut context = 0;
    // SAFETY: both out-parameters are valid; the guard restores them on every way out.
    unsafe { pg_sys::GetUserIdAndSecContext(&mut user, &mut context) };
    let _restore = Restore(user, context);
    let mut flags =
        context | pg_sys::SECURITY_LOCAL_USERID_CHANGE as i32 | pg_sys::SECURITY_NOFORCE_RLS as i32;
    // SAFETY: reads of backend-local state and of the catalog, inside a transaction.
    if unsafe { pg_sys::superuser_arg(pg_sys::GetOuterUserId()) && !pg_sys::superuser_arg(role) } {
        flags |= pg_sys::SECURITY_RESTRICTED_OPERATION as i32;
    }
    // SAFETY: a role that exists: the owner of a relation in the catalog.
    unsafe { pg_sys::SetUserIdAndSecContext(role, flags) };
    body()
}

/// Runs `body` with a search_path that nobody else writes to: for texts that PostgreSQL itself wrote without schemas.
/// The application's functions that run meanwhile see it too, so nothing but a look belongs here.
pub fn with_safe_search_path<R>(
    body: impl FnOnce() -> Result<R, IdentityError>,
) -> Result<R, IdentityError> {
    struct Restore(i32);
    impl Drop for Restore {
        fn drop(&mut self) {
            // SAFETY: ends the nesting level that was begun below, which puts the setting back.
            unsafe { pg_sys::AtEOXact_GUC(true, self.0) }
        }
    }
    // SAFETY: begins a nesting level, as PostgreSQL does for a function with SET; the guard ends it.
    let _restore = unsafe { Restore(pg_sys::NewGUCNestLevel()) };
    // SAFETY: two static texts and plain values.
    unsafe {
        pg_sys::set_config_option(
            c"search_path".as_ptr(),
            c"pg_catalog, pg_temp".as_ptr(),
            pg_sys::GucContext::PGC_USERSET,
            pg_sys::GucSource::PGC_S_SESSION,
            pg_sys::GucAction::GUC_ACTION_SAVE,
            true,
            0,
            false,
        );
    }
    body()
}

/// Runs `body` so that nothing of it remains when it breaks a unique key: then None. Every other error goes on.
pub fn unless_unique_violation<R>(
    body: impl FnOnce() -> Result<R, IdentityError>,
) -> Result<Option<R>, IdentityError> {
    in_subtransaction(true, || body().map(Some))
}

/// Runs `body` so that nothing of it remains when it answers None, not even its locks.
pub fn unless_none<R>(
    body: impl FnOnce() -> Result<Option<R>, IdentityError>,
) -> Result<Option<R>, IdentityError> {
    in_subtransaction(false, body)
}

/// Runs `body` in a subtransaction, which stands if it answers something.
fn in_subtransaction<R>(
    unique_violation_is_none: bool,
    body: impl FnOnce() -> Result<Option<R>, IdentityError>,
) -> Result<Option<R>, IdentityError> {
    // The connection is the caller's: one that is opened inside would be gone with the subtransaction.
    open_connection()?;
    // SAFETY: reads of backend state, to be put back as PL/pgSQL does around a block with EXCEPTION.
    let (context, owner) = unsafe { (pg_sys::CurrentMemoryContext, pg_sys::CurrentResourceOwner) };
    // SAFETY: begins a subtransaction, which exactly one of the two below ends.
    unsafe {
        pg_sys::BeginInternalSubTransaction(std::ptr::null());
        pg_sys::CurrentMemoryContext = context;
    }
    let end = |keep: bool| {
        // SAFETY: ends the subtransaction begun above; everything begun inside it has ended.
        unsafe {
            if keep {
                pg_sys::ReleaseCurrentSubTransaction();
            } else {
                pg_sys::CurrentMemoryContext = context;
                pg_sys::FlushErrorState();
                pg_sys::RollbackAndReleaseCurrentSubTransaction();
            }
            pg_sys::CurrentMemoryContext = context;
            pg_sys::CurrentResourceOwner = owner;
        }
    };
    let body = std::panic::AssertUnwindSafe(body);
    let roll_back = std::panic::AssertUnwindSafe(&end);
    let roll_back_too = std::panic::AssertUnwindSafe(&end);
    let done = pgrx::PgTryBuilder::new(move || {
        let body = body;
        (body.0)().map(Caught::Nothing)
    })
    .catch_when(
        pgrx::PgSqlErrorCode::ERRCODE_UNIQUE_VIOLATION,
        move |error| {
            roll_back(false);
            if unique_violation_is_none {
                Ok(Caught::UniqueViolation)
            } else {
                error.rethrow()
            }
        },
    )
    .catch_others(move |error| {
        roll_back_too(false);
        error.rethrow()
    })
    .execute();
    match done {
        Ok(Caught::Nothing(Some(answer))) => {
            end(true);
            Ok(Some(answer))
        }
        Ok(Caught::Nothing(None)) => {
            end(false);
            Ok(None)
        }
        // It was rolled back where it was caught.
        Ok(Caught::UniqueViolation) => Ok(None),
        Err(error) => {
            end(false);
            Err(error)
        }
    }
}

/// How the body of a subtransaction ended.
enum Caught<R> {
    Nothing(Option<R>),
    UniqueViolation,
}
