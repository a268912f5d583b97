//! The triggers on attached tables (design section 4).
//! May touch: the row at hand, through PostgreSQL's trigger interface; all else through `store`.
//!
//! BEFORE decides the row and at most binds; superseding and moving happen in AFTER, because a row that was decided may
//! still not be written (ON CONFLICT, another trigger), and what it would have moved would be stranded. What BEFORE
//! found is kept in backend memory by the row's key until AFTER takes it.

use crate::error::IdentityError;
use crate::identifier::is_no_visitor;
use crate::resolution::{Asker, Basis, RawRequest, Request};
use crate::settings;
use crate::store::attachment::{row_shape, AccountOf, RowShape};
use crate::store::held::let_go;
use crate::store::policy::announce_change;
use crate::store::rebind::{is_moving, log_row, MovedRow, Reason};
use crate::store::resolve::{
    complete, facts_of_plain_row, keep_without_waiting, prepare, prepare_given_row,
    prepare_plain_row, provided_visitor_of_row, request_of_row, survivor, transaction_ended,
    Prepared, Stance,
};
use crate::store::spi::{as_role, connect, from_pg, to_pg, Mode};
use pgrx::datum::{FromDatum, IntoDatum};
use pgrx::pg_sys;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::PgLogLevel;
use std::cell::RefCell;
use std::collections::HashMap;
use std::ffi::CStr;
use std::rc::Rc;
use uuid::Uuid;

/// What BEFORE leaves for AFTER.
struct Decided {
    account: String,
    /// Where the row was, when the statement moved it.
    left: Option<Uuid>,
    prepared: Prepared,
    reason: Reason,
    subtransaction: pg_sys::SubTransactionId,
}

type RowKey = (pg_sys::Oid, Vec<String>);

thread_local! {
    static DECIDED: RefCell<HashMap<RowKey, Decided>> = RefCell::new(HashMap::new());
    static LEAVING: RefCell<Option<Leaving>> = const { RefCell::new(None) };
    static SETTLED: RefCell<Option<Changed>> = const { RefCell::new(None) };
}

#[pgrx::pg_guard]
unsafe extern "C-unwind" fn at_end_of_transaction(
    event: pg_sys::XactEvent::Type,
    _argument: *mut core::ffi::c_void,
) {
    use pg_sys::XactEvent::{XACT_EVENT_ABORT, XACT_EVENT_COMMIT, XACT_EVENT_PREPARE};
    if matches!(
        event,
        XACT_EVENT_COMMIT | XACT_EVENT_ABORT | XACT_EVENT_PREPARE
    ) {
        DECIDED.with(|decided| decided.borrow_mut().clear());
        LEAVING.with(|leaving| leaving.borrow_mut().take());
        let_go();
        transaction_ended();
    }
}

#[pgrx::pg_guard]
unsafe extern "C-unwind" fn at_end_of_subtransaction(
    event: pg_sys::SubXactEvent::Type,
    subtransaction: pg_sys::SubTransactionId,
    _parent: pg_sys::SubTransactionId,
    _argument: *mut core::ffi::c_void,
) {
    if event == pg_sys::SubXactEvent::SUBXACT_EVENT_ABORT_SUB {
        let_go();
        LEAVING.with(|leaving| leaving.borrow_mut().take());
        DECIDED.with(|decided| {
            decided
                .borrow_mut()
                .retain(|_, decided| decided.subtransaction < subtransaction);
        });
    }
}

/// Registers the callbacks; called once, when the library is loaded.
pub fn register() {
    // SAFETY: static functions that live as long as the backend; registered once.
    unsafe {
        pg_sys::RegisterXactCallback(Some(at_end_of_transaction), std::ptr::null_mut());
        pg_sys::RegisterSubXactCallback(Some(at_end_of_subtransaction), std::ptr::null_mut());
    }
}

/// The row that BEFORE DELETE saw last: in a row movement between partitions its BEFORE INSERT follows. As long as this
/// is remembered, the transaction holds the row's old version, and whoever rebinds its visitor waits for us.
struct Leaving {
    table: pg_sys::Oid,
    /// The row's visitor and origin. Not its key, of which the partition key is a part and changes.
    visitor: Option<Uuid>,
    origin: Option<Uuid>,
}

/// The visitor that BEFORE UPDATE took a row from, and the one it gave it.
#[derive(PartialEq, Eq)]
struct Changed {
    table: pg_sys::Oid,
    left: Option<Uuid>,
    visitor: Option<Uuid>,
}

/// One version of a row.
#[derive(Clone, Copy)]
struct Row {
    tuple: pg_sys::HeapTuple,
    descriptor: pg_sys::TupleDesc,
}

impl Row {
    /// The text of a column, by its type's output function; NULL is None.
    fn text(&self, column: i32) -> Option<String> {
        if self.stores_text(column) {
            return self.stored_text(column).map(str::to_owned);
        }
        // SAFETY: a tuple of this descriptor, live while the trigger runs; the result is copied at once.
        unsafe {
            let value = pg_sys::SPI_getvalue(self.tuple, self.descriptor, column);
            (!value.is_null()).then(|| CStr::from_ptr(value).to_string_lossy().into_owned())
        }
    }

    fn is_null(&self, column: i32) -> bool {
        let mut is_null = false;
        // SAFETY: as above.
        unsafe { pg_sys::SPI_getbinval(self.tuple, self.descriptor, column, &mut is_null) };
        is_null
    }

    /// Whether a column's values are texts as they are stored: their output function changes nothing.
    fn stores_text(&self, column: i32) -> bool {
        // SAFETY: a plain read of the descriptor.
        let type_oid = unsafe { pg_sys::SPI_gettypeid(self.descriptor, column) };
        matches!(type_oid, pg_sys::TEXTOID | pg_sys::VARCHAROID)
    }

    /// The text of such a column.
    fn stored_text(&self, column: i32) -> Option<&str> {
        let mut is_null = false;
        // SAFETY: as above; the column's type says that the value is a text.
        unsafe {
            let datum = pg_sys::SPI_getbinval(self.tuple, self.descriptor, column, &mut is_null);
            <&str>::from_datum(datum, is_null)
        }
    }

    /// Whether the text of a column is another one than in another version of the row.
    fn differs(&self, other: Self, column: i32) -> bool {
        if self.stores_text(column) {
            self.stored_text(column) != other.stored_text(column)
        } else {
            self.text(column) != other.text(column)
        }
    }

    fn optional_text(&self, column: Option<i32>) -> Option<String> {
        column.and_then(|column| self.text(column))
    }

    fn optional_uuid(&self, column: Option<i32>) -> Option<Uuid> {
        column.and_then(|column| self.uuid(column))
    }

    /// A uuid column.
    fn uuid(&self, column: i32) -> Option<Uuid> {
        let mut is_null = false;
        // SAFETY: as above; attaching made sure that the column is a uuid.
        unsafe {
            let datum = pg_sys::SPI_getbinval(self.tuple, self.descriptor, column, &mut is_null);
            pgrx::Uuid::from_datum(datum, is_null).map(from_pg)
        }
    }

    /// The text of the primary key. The account, where it is a part and still NULL, is the one to be filled in.
    fn key(&self, shape: &RowShape, account: &str) -> Vec<String> {
        shape
            .key
            .iter()
            .map(|column| {
                self.text(*column).unwrap_or_else(|| {
                    if shape.account == Some(*column) {
                        account.to_owned()
                    } else {
                        String::new()
                    }
                })
            })
            .collect()
    }

    /// The account of the row. Errors: 42501 for another account than the session is locked to.
    fn account(&self, shape: &RowShape) -> Result<String, IdentityError> {
        match &shape.table.columns.account {
            AccountOf::Fixed(account) => settings::effective_account(Some(account)),
            AccountOf::Column(_) => {
                settings::effective_account(self.optional_text(shape.account).as_deref())
            }
        }
    }

    /// The identifiers of the row, without its visitor_id.
    fn identifiers(&self, shape: &RowShape) -> Identifiers {
        Identifiers {
            provided: self.optional_text(shape.provided),
            channel_type: self.optional_text(shape.channel_type),
            channel_user: self.optional_text(shape.channel_user),
            channel_id: self.optional_text(shape.channel_id),
        }
    }
}

struct Identifiers {
    provided: Option<String>,
    channel_type: Option<String>,
    channel_user: Option<String>,
    channel_id: Option<String>,
}

impl Identifiers {
    fn raw(&self, visitor_id: Option<Uuid>) -> RawRequest<'_> {
        RawRequest {
            provided_visitor_id: self.provided.as_deref(),
            channel_type: self.channel_type.as_deref(),
            channel_user_id: self.channel_user.as_deref(),
            visitor_id,
            channel_id: self.channel_id.as_deref(),
            verified: false,
        }
    }
}

/// What BEFORE sets in the row.
struct Settled {
    visitor: Uuid,
    origin: Option<Uuid>,
    /// The account to fill in, where the column is NULL.
    account: Option<String>,
}

/// The trigger call. Of a DELETE, `new` is the row that goes.
struct Call {
    relation: pg_sys::Oid,
    new: Row,
    old: Option<Row>,
}

impl Call {
    /// Reads the call. Errors: 39P01-like misuse is reported as 55000, since the functions are not meant to be called
    /// by anything but the triggers that attaching makes.
    ///
    /// # Safety
    /// `fcinfo` comes from PostgreSQL.
    unsafe fn read(fcinfo: pg_sys::FunctionCallInfo) -> Result<Self, IdentityError> {
        let misuse = || IdentityError::Attachment {
            message: "not called as a row trigger of an attached table".into(),
            detail:
                "The function serves the triggers that visitor_identity.attach_chat_table creates."
                    .into(),
            hint: "Call visitor_identity.attach_chat_table on the table.".into(),
        };
        // SAFETY: the caller's promise; called_as_trigger checks the node before it is read as TriggerData.
        unsafe {
            if !pgrx::trigger_support::called_as_trigger(fcinfo) {
                return Err(misuse());
            }
            let data = (*fcinfo).context as *mut pg_sys::TriggerData;
            let event = (*data).tg_event;
            let descriptor = (*(*data).tg_relation).rd_att;
            let relation = (*(*data).tg_relation).rd_id;
            let row = |tuple| Row { tuple, descriptor };
            if event & pg_sys::TRIGGER_EVENT_ROW == 0 {
                return Err(misuse());
            }
            match event & pg_sys::TRIGGER_EVENT_OPMASK {
                pg_sys::TRIGGER_EVENT_INSERT | pg_sys::TRIGGER_EVENT_DELETE => Ok(Self {
                    relation,
                    new: row((*data).tg_trigtuple),
                    old: None,
                }),
                pg_sys::TRIGGER_EVENT_UPDATE => Ok(Self {
                    relation,
                    new: row((*data).tg_newtuple),
                    old: Some(row((*data).tg_trigtuple)),
                }),
                _ => Err(misuse()),
            }
        }
    }
}

fn remember(
    shape: &RowShape,
    key: impl FnOnce() -> Vec<String>,
    account: &str,
    left: Option<Uuid>,
    prepared: Prepared,
    reason: Reason,
) {
    let left = left.filter(|left| *left != prepared.visitor_id);
    let is_done = left.is_none() && prepared.is_complete();
    if is_done && DECIDED.with(|all| all.borrow().is_empty()) {
        return;
    }
    let row = (shape.table.relation, key());
    if is_done {
        // An earlier row of this key was dropped after it was decided: what it showed must not be carried out by us.
        DECIDED.with(|all| all.borrow_mut().remove(&row));
        return;
    }
    let decided = Decided {
        account: account.to_owned(),
        left,
        prepared,
        reason,
        // SAFETY: a plain read of transaction state.
        subtransaction: unsafe { pg_sys::GetCurrentSubTransactionId() },
    };
    DECIDED.with(|all| all.borrow_mut().insert(row, decided));
}

fn plain(account_row: &Request, cookie: Option<Uuid>) -> Request {
    Request {
        asker: Asker::ChatRow,
        provided: None,
        channel: None,
        cookie: cookie.filter(|id| !is_no_visitor(*id)),
        notes: account_row.notes.clone(),
    }
}

/// Whether an inserted row is one that an UPDATE takes to another partition (or that was deleted to be written anew).
fn is_moving_partition(row: Row, shape: &RowShape) -> bool {
    let leaving = LEAVING.with(|leaving| leaving.borrow_mut().take());
    let table = shape.table.relation;
    let visitor = row.uuid(shape.visitor);
    leaving.is_some_and(|leaving| {
        let settled_on_the_way = || {
            let changed = Changed {
                table,
                left: leaving.visitor,
                visitor,
            };
            SETTLED.with(|settled| settled.borrow().as_ref() == Some(&changed))
        };
        leaving.table == table
            && visitor.is_some()
            && (leaving.origin == row.optional_uuid(shape.origin) || leaving.origin.is_none())
            && (leaving.visitor == visitor || settled_on_the_way())
    })
}

/// A row that moves to another partition comes to another visitor than BEFORE UPDATE left it with: to be logged, with
/// what was decided there.
fn moves_on(shape: &RowShape, key: Vec<String>, account: &str, left: Uuid, prepared: Prepared) {
    let row = (shape.table.relation, key);
    let decided_before = DECIDED.with(|all| match all.borrow_mut().get_mut(&row) {
        Some(decided) => {
            decided.left = decided.left.or(Some(left));
            decided.prepared.visitor_id = prepared.visitor_id;
            true
        }
        None => false,
    });
    if !decided_before {
        remember(
            shape,
            || row.1,
            account,
            Some(left),
            prepared,
            Reason::ChatUpdate,
        );
    }
}

/// A row that moves to another partition keeps its visitor: resolving it again by its channel id could hand it to
/// whoever holds that id today. The same holds for a row that is loaded again (it arrives with an origin, and its
/// visitor is known here); its provided id is looked at, because such a row belongs to that id's visitor always.
fn before_insert(call: &Call, shape: &RowShape) -> Result<Settled, IdentityError> {
    let row = call.new;
    let account = row.account(shape)?;
    let identifiers = row.identifiers(shape);
    let visitor_id = row.uuid(shape.visitor);
    let origin = row.optional_uuid(shape.origin);
    let (policy, mut request) = request_of_row(&account, identifiers.raw(visitor_id))?;
    let moves = is_moving_partition(row, shape);
    let mut keeps = moves;
    if let (false, Some(visitor_id), true) = (keeps, visitor_id, origin.is_some()) {
        if request.provided.is_some() {
            request.channel = None;
        } else {
            keeps = facts_of_plain_row(&account, visitor_id)?
                .cookie
                .is_some_and(|visitor| !visitor.forgotten);
        }
    }
    let kept = match visitor_id.filter(|_| moves) {
        Some(visitor) => keep_without_waiting(&account, visitor)?,
        None => None,
    };
    let visitor = if let Some(kept) = kept {
        kept
    } else if keeps || (request.provided.is_none() && request.channel.is_none()) {
        let prepared = prepare_plain_row(&policy, &plain(&request, visitor_id))?;
        let visitor = prepared.visitor_id;
        if let Some(left) = visitor_id.filter(|left| moves && *left != visitor) {
            moves_on(shape, row.key(shape, &account), &account, left, prepared);
        }
        visitor
    } else {
        let prepared = prepare(&policy, &request, None, Stance::HoldsChatRow(None))?;
        let visitor = prepared.visitor_id;
        remember(
            shape,
            || row.key(shape, &account),
            &account,
            None,
            prepared,
            Reason::ChatInsert,
        );
        visitor
    };
    Ok(Settled {
        visitor,
        origin: origin.or(Some(visitor)),
        account: account_to_fill_in(row, shape, account),
    })
}

/// The account, where the row has a column for it that is NULL.
fn account_to_fill_in(row: Row, shape: &RowShape, account: String) -> Option<String> {
    let is_null = |column| row.is_null(column);
    shape.account.is_some_and(is_null).then_some(account)
}

/// A row of a visitor table follows its visitor and decides nothing; one without a visitor is left alone.
fn visitor_row(call: &Call, shape: &RowShape) -> Result<Option<Settled>, IdentityError> {
    let row = call.new;
    let wanted = row.uuid(shape.visitor).filter(|id| !is_no_visitor(*id));
    let left = call.old.and_then(|old| old.uuid(shape.visitor));
    if let (Some(old), Some(column), Some(_), Some(_)) = (call.old, shape.account, left, wanted) {
        if row.differs(old, column) {
            return Err(IdentityError::AccountOfRowChanged);
        }
    }
    let Some(wanted) = wanted.filter(|wanted| left != Some(*wanted)) else {
        return Ok(None);
    };
    if left.is_some_and(|left| is_moving(left, wanted)) {
        return Ok(None);
    }
    let account = row.account(shape)?;
    let visitor = if call.old.is_none() && is_moving_partition(row, shape) {
        // Also a row that a rebinding left with a former visitor stays where it is. The lock, where it is to be had
        // without waiting, lets whoever rebinds the visitor find the row in its new partition.
        keep_without_waiting(&account, wanted)?;
        wanted
    } else {
        // Where the row stays with its visitor nothing is locked, as for a chat.
        let survivor = match left {
            Some(_) => survivor(&account, wanted)?.map(|visitor| visitor.id),
            None => None,
        };
        match survivor.filter(|survivor| Some(*survivor) == left) {
            Some(same) => same,
            None => {
                let (policy, request) = request_of_row(&account, RawRequest::default())?;
                prepare_plain_row(&policy, &plain(&request, survivor.or(Some(wanted))))?.visitor_id
            }
        }
    };
    Ok(Some(Settled {
        visitor,
        origin: None,
        account: account_to_fill_in(row, shape, account),
    }))
}

/// The row appears to be authorized, to change its channel, or to be written back with an old visitor_id.
fn before_update(
    call: &Call,
    old: Row,
    shape: &RowShape,
) -> Result<Option<Settled>, IdentityError> {
    let row = call.new;
    let account = old.account(shape)?;
    if shape.account.is_some_and(|column| row.differs(old, column)) {
        return Err(IdentityError::AccountOfChatChanged);
    }
    let left = old.uuid(shape.visitor);
    let wanted = row.uuid(shape.visitor);
    if let (Some(from), Some(to)) = (left, wanted) {
        if is_moving(from, to) {
            return Ok(None);
        }
    }
    let (policy, was) = request_of_row(&account, old.identifiers(shape).raw(None))?;
    let (_, is) = request_of_row(&account, row.identifiers(shape).raw(left))?;
    let channel_appears = is.channel.is_some() && is.channel != was.channel;
    let provided_appears = is.provided.is_some() && is.provided != was.provided;

    let mut settled = None;
    if is.provided.is_some() && (provided_appears || channel_appears) {
        let mut prepared = prepare(&policy, &is, None, Stance::HoldsChatRow(left))?;
        if was.provided.is_some() && was.channel == is.channel {
            // Another id on the row itself: nobody showed the cookie or channel of the one whom it names no more.
            let refused = &mut prepared.decision.refused;
            refused.retain(|(visitor, _)| Some(*visitor) != left);
        }
        // Otherwise the id does not count here (require_signature), and the row stays where it is.
        if prepared.decision.basis == Basis::Provided {
            settled = Some(prepared);
        }
    } else if channel_appears {
        let keeps = match left {
            // Without a lock: we hold a row of his, and whoever is rebinding him waits for it.
            Some(left) => survivor(&account, left)?.is_some_and(|visitor| visitor.identified),
            None => false,
        };
        if !keeps {
            let by_channel = Request {
                cookie: None,
                ..is.clone()
            };
            settled = Some(prepare(
                &policy,
                &by_channel,
                None,
                Stance::HoldsChatRow(left),
            )?);
        }
    }
    let visitor = match settled {
        Some(prepared) => {
            let visitor = prepared.visitor_id;
            remember(
                shape,
                || row.key(shape, &account),
                &account,
                left,
                prepared,
                Reason::ChatUpdate,
            );
            visitor
        }
        None => {
            let mut target = wanted.or(left);
            if target != left && is_authorized(&policy, &was, &is, left)? {
                target = left;
            }
            // Where the row stays with its visitor, nothing is added to him, and nothing is locked: whoever is rebinding
            // him waits for this row, and takes it along.
            let mut known = match target {
                Some(target) => survivor(&account, target)?,
                None => None,
            };
            // The visitor_id of a forgotten person that a live session writes back names nobody.
            if let (Some(left), Some(true)) = (left, known.map(|visitor| visitor.forgotten)) {
                target = Some(left);
                known = survivor(&account, left)?;
            }
            let survivor = known.map(|visitor| visitor.id);
            let visitor = match survivor.filter(|survivor| Some(*survivor) == left) {
                Some(same) => same,
                None => {
                    let given = plain(&is, survivor.or(target));
                    let visitor = match left {
                        Some(left) => prepare_given_row(&policy, &given, left)?.or(Some(left)),
                        None => None,
                    };
                    match visitor {
                        Some(visitor) => visitor,
                        None => prepare_plain_row(&policy, &given)?.visitor_id,
                    }
                }
            };
            if let Some(left) = left.filter(|left| *left != visitor) {
                let moved = MovedRow {
                    table: shape.table.relation,
                    keys: shape.table.key_of(&old.key(shape, &account))?,
                };
                log_row(&account, left, visitor, Reason::ChatUpdate, &moved)?;
            }
            visitor
        }
    };
    let changed = Changed {
        table: shape.table.relation,
        left,
        visitor: Some(visitor),
    };
    SETTLED.with(|settled| settled.borrow_mut().replace(changed));
    Ok(Some(Settled {
        visitor,
        origin: old.optional_uuid(shape.origin).or(left).or(Some(visitor)),
        account: None,
    }))
}

/// Whether the row is with the visitor of its own provided id, before or after the change: such a row does not follow
/// a visitor_id that an application writes back.
fn is_authorized(
    policy: &crate::resolution::Policy,
    was: &Request,
    is: &Request,
    visitor: Option<Uuid>,
) -> Result<bool, IdentityError> {
    for request in [was, is] {
        if request.provided.is_some() && visitor.is_some() {
            let bound = provided_visitor_of_row(Mode::Write, policy, request)?;
            if bound.is_some() && bound == visitor {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

/// The row as BEFORE settled it, in the memory of the trigger's caller.
fn rewritten(row: Row, shape: &RowShape, settled: Settled) -> pg_sys::HeapTuple {
    let mut columns: Vec<i32> = Vec::with_capacity(3);
    let mut values: Vec<pg_sys::Datum> = Vec::with_capacity(3);
    let mut set = |column: i32, datum: Option<pg_sys::Datum>| {
        columns.push(column);
        values.push(datum.unwrap_or(pg_sys::Datum::from(0)));
    };
    if row.uuid(shape.visitor) != Some(settled.visitor) {
        set(shape.visitor, to_pg(settled.visitor).into_datum());
    }
    if let (Some(column), Some(origin)) = (shape.origin, settled.origin) {
        if row.uuid(column) != Some(origin) {
            set(column, to_pg(origin).into_datum());
        }
    }
    if let (Some(column), Some(account)) = (shape.account, settled.account) {
        // The input function of a domain runs the application's own checks.
        set(
            column,
            as_role(shape.table.owner, || {
                typed(row.descriptor, column, &account)
            }),
        );
    }
    if columns.is_empty() {
        return row.tuple;
    }
    let mut nulls = vec![false; columns.len()];
    // SAFETY: a live tuple of this descriptor; three arrays of the same length; the columns exist in it.
    unsafe {
        pg_sys::heap_modify_tuple_by_cols(
            row.tuple,
            row.descriptor,
            columns.len() as i32,
            columns.as_mut_ptr(),
            values.as_mut_ptr(),
            nulls.as_mut_ptr(),
        )
    }
}

/// A text as a value of a column's own type, by the type's input function.
fn typed(descriptor: pg_sys::TupleDesc, column: i32, text: &str) -> Option<pg_sys::Datum> {
    let text = std::ffi::CString::new(text).ok()?;
    // SAFETY: a live descriptor and a column of it; the input function copies the text.
    unsafe {
        let type_oid = pg_sys::SPI_gettypeid(descriptor, column);
        let mut input = pg_sys::InvalidOid;
        let mut parameter = pg_sys::InvalidOid;
        pg_sys::getTypeInputInfo(type_oid, &mut input, &mut parameter);
        Some(pg_sys::OidInputFunctionCall(
            input,
            text.as_ptr() as *mut _,
            parameter,
            -1,
        ))
    }
}

fn report(error: IdentityError) -> ! {
    ErrorReport::from(error).report(PgLogLevel::ERROR);
    unreachable!("an error report does not return")
}

fn before(call: &Call) -> Result<pg_sys::HeapTuple, IdentityError> {
    let settled = connect(|| {
        let shape = row_shape(call.relation)?;
        let settled = match call.old {
            _ if !shape.table.is_of_chats() => visitor_row(call, &shape)?,
            None => Some(before_insert(call, &shape)?),
            Some(old) => before_update(call, old, &shape)?,
        };
        Ok((shape, settled))
    })?;
    Ok(match settled {
        (shape, Some(settled)) => rewritten(call.new, &shape, settled),
        (_, None) => call.new.tuple,
    })
}

/// What BEFORE left for the row. An inserted row whose key another trigger completed after us is found by
/// its visitor.
fn take_decided(table: pg_sys::Oid, key: &[String], visitor: Option<Uuid>) -> Option<Decided> {
    DECIDED.with(|all| {
        let mut all = all.borrow_mut();
        if let Some(decided) = all.remove(&(table, key.to_vec())) {
            return Some(decided);
        }
        let other = all
            .iter()
            .find(|((of_table, key), decided)| {
                *of_table == table
                    && key.iter().any(String::is_empty)
                    && decided.left.is_none()
                    && Some(decided.prepared.visitor_id) == visitor
            })
            .map(|(row, _)| row.clone())?;
        all.remove(&other)
    })
}

/// Remembers a row that is being deleted, in case it is about to appear in another partition.
fn before_delete(call: &Call) -> Result<(), IdentityError> {
    connect(|| {
        let shape = row_shape(call.relation)?;
        let leaving = Leaving {
            table: shape.table.relation,
            visitor: call.new.uuid(shape.visitor),
            origin: call.new.optional_uuid(shape.origin),
        };
        LEAVING.with(|slot| slot.borrow_mut().replace(leaving));
        Ok(())
    })
}

fn after(call: &Call) -> Result<(), IdentityError> {
    if DECIDED.with(|all| all.borrow().is_empty()) {
        return Ok(());
    }
    connect(|| {
        let shape: Rc<RowShape> = row_shape(call.relation)?;
        let key = call.new.key(&shape, "");
        let table = shape.table.relation;
        let visitor = call.new.uuid(shape.visitor);
        let Some(decided) = take_decided(table, &key, visitor) else {
            return Ok(());
        };
        if visitor != Some(decided.prepared.visitor_id) {
            // A later trigger of the application sent the row elsewhere.
            return Ok(());
        }
        let row = match decided.left {
            Some(left) => Some((
                left,
                MovedRow {
                    table,
                    keys: shape.table.key_of(&key)?,
                },
            )),
            None => None,
        };
        complete(
            &decided.account,
            &decided.prepared,
            decided.reason,
            row.as_ref().map(|(left, row)| (*left, row)),
        )?;
        Ok(())
    })
}

/// Declares a trigger function to PostgreSQL: the version record beside the symbol.
macro_rules! trigger_function {
    ($wrapper:ident, $record:ident, $body:expr) => {
        #[doc(hidden)]
        #[no_mangle]
        pub extern "C" fn $record() -> &'static pg_sys::Pg_finfo_record {
            const RECORD: pg_sys::Pg_finfo_record = pg_sys::Pg_finfo_record { api_version: 1 };
            &RECORD
        }

        /// # Safety
        /// Called by PostgreSQL.
        #[doc(hidden)]
        #[no_mangle]
        #[pgrx::pg_guard]
        pub unsafe extern "C-unwind" fn $wrapper(
            fcinfo: pg_sys::FunctionCallInfo,
        ) -> pg_sys::Datum {
            ($body)(fcinfo)
        }
    };
}

trigger_function!(
    chat_row_before_wrapper,
    pg_finfo_chat_row_before_wrapper,
    |fcinfo: pg_sys::FunctionCallInfo| {
        // SAFETY: PostgreSQL's own call.
        let call = unsafe { Call::read(fcinfo) };
        match call.and_then(|call| before(&call)) {
            Ok(tuple) => pg_sys::Datum::from(tuple),
            Err(error) => report(error),
        }
    }
);

trigger_function!(
    chat_row_after_wrapper,
    pg_finfo_chat_row_after_wrapper,
    |fcinfo: pg_sys::FunctionCallInfo| {
        // SAFETY: PostgreSQL's own call.
        let call = unsafe { Call::read(fcinfo) };
        match call.and_then(|call| after(&call)) {
            Ok(()) => pg_sys::Datum::from(0),
            Err(error) => report(error),
        }
    }
);

trigger_function!(
    chat_row_leaves_wrapper,
    pg_finfo_chat_row_leaves_wrapper,
    |fcinfo: pg_sys::FunctionCallInfo| {
        // SAFETY: PostgreSQL's own call.
        let call = unsafe { Call::read(fcinfo) };
        match call.and_then(|call| before_delete(&call).map(|()| call.new.tuple)) {
            Ok(tuple) => pg_sys::Datum::from(tuple),
            Err(error) => report(error),
        }
    }
);

trigger_function!(
    policy_changed_wrapper,
    pg_finfo_policy_changed_wrapper,
    |fcinfo: pg_sys::FunctionCallInfo| {
        // SAFETY: PostgreSQL's own call; checked to be one of a trigger before the context is read as TriggerData.
        unsafe {
            if pgrx::trigger_support::called_as_trigger(fcinfo) {
                let data = (*fcinfo).context as *mut pg_sys::TriggerData;
                announce_change((*(*data).tg_relation).rd_id);
            }
        }
        pg_sys::Datum::from(0)
    }
);
