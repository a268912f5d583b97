//! `backfill_chats`: adopts the chats that a table had before it was attached, in the order in which they were opened.
//! May touch: `backfill_queue`, what `resolve` touches, and the attached table with the rights of its owner.
//!
//! The queue is written once, from the rows without an origin (nothing has resolved them yet), and is emptied batch by
//! batch, each in a transaction of its own. It is what makes a batch resumable: the origin of a row alone does not tell,
//! because a login further up moves later chats of the same visitor, which have identifiers of their own to be looked at.

use super::attach::{own_table, owner_of_extension, Table};
use super::attachment::{attached_tables, key_as_json, AccountOf, AttachedTable, KeyColumn};
use super::distributed::is_distributed;
use super::rebind::{Moving, Reason};
use super::resolve::{complete, prepare, prepare_plain_row, request_of_row, Prepared, Stance};
use super::spi::{as_role, connect, is_read_only, Mode, Statement, Value};
use super::statement;
use crate::error::IdentityError;
use crate::resolution::RawRequest;
use crate::settings::effective_account;
use pgrx::pg_sys;
use pgrx::spi::{quote_identifier, quote_literal};
use std::rc::Rc;
use uuid::Uuid;

statement!(
    WAITING,
    "select pg_catalog.count(*)
    from visitor_identity.backfill_queue as q
    where q.attached operator(pg_catalog.=) $1::pg_catalog.regclass::pg_catalog.oid"
);

statement!(
    OPENED_AT,
    "select t.opened_at_column::pg_catalog.text
    from visitor_identity.attached_table as t
    where t.attached operator(pg_catalog.=) $1"
);

// One batch at a time of one table: whoever comes second waits here, and goes on with the next.
statement!(
    ONE_AT_A_TIME,
    "select
    from visitor_identity.attached_table as t
    where t.attached operator(pg_catalog.=) $1
    for no key update"
);

statement!(
    TAKE,
    "with taken as (
        delete from visitor_identity.backfill_queue as q
        where q.attached operator(pg_catalog.=) $1::pg_catalog.regclass::pg_catalog.oid
            and q.position operator(pg_catalog.<) (
                select pg_catalog.min(f.position) operator(pg_catalog.+) $2
                from visitor_identity.backfill_queue as f
                where f.attached operator(pg_catalog.=) $1::pg_catalog.regclass::pg_catalog.oid
            )
        returning q.position, q.key
    )
    select pg_catalog.count(*), pg_catalog.jsonb_agg(t.key order by t.position)::pg_catalog.text
    from taken as t"
);

/// The table with what attaching knows of it. Errors: 42501 for another's table, 55000 for one that is not attached.
fn attached(
    relation: Option<pg_sys::Oid>,
    extension_owner: pg_sys::Oid,
) -> Result<(Table, Rc<AttachedTable>), IdentityError> {
    let table = own_table(relation)?;
    if is_distributed()? {
        return Err(IdentityError::not_in_state(
            "there is no backfill of distributed tables",
            "The order in which the chats were opened is that of one node.",
            "Backfill before the tables are distributed; afterwards give each chat its visitor by visitor_identity.chat_visitor.",
        ));
    }
    if is_read_only() {
        return Err(IdentityError::ReadOnlyOperation);
    }
    let known = as_role(extension_owner, attached_tables)?
        .iter()
        .find(|known| known.relation == table.relation && known.is_of_chats())
        .cloned()
        .ok_or_else(|| {
            IdentityError::not_in_state(
                "the table is not attached",
                "A backfill gives the chats of an attached table their visitors.",
                "Call visitor_identity.attach_chat_table first.",
            )
        })?;
    Ok((table, known))
}

/// Fills the queue of a table, unless chats are waiting there from an interrupted backfill; how many wait.
pub fn begin(relation: Option<pg_sys::Oid>) -> Result<i64, IdentityError> {
    connect(|| {
        let extension_owner = owner_of_extension()?;
        let (table, known) = attached(relation, extension_owner)?;
        let relation = [Value::Oid(table.relation)];
        let waiting = || {
            as_role(extension_owner, || {
                WAITING.with(|statement| statement.run(Mode::Write, &relation))
            })
            .map(|rows| rows.number(0, 1))
        };
        as_role(extension_owner, || {
            ONE_AT_A_TIME.with(|statement| statement.run(Mode::Write, &relation))
        })?;
        let interrupted = waiting()?;
        if interrupted > 0 {
            return Ok(interrupted);
        }
        let opened_at = as_role(extension_owner, || {
            OPENED_AT.with(|statement| statement.run(Mode::Write, &relation))
        })?
        .get::<String>(0, 1);
        let queue = Statement::over_table(queue_text(&table, &known, opened_at.as_deref())?);
        as_role(known.owner, || queue.run(Mode::Write, &relation))?;
        waiting()
    })
}

/// With the rights of the table's owner: the order is by values of the application's types.
fn queue_text(
    table: &Table,
    known: &AttachedTable,
    opened_at: Option<&str>,
) -> Result<String, IdentityError> {
    let mut order = Vec::new();
    if let Some(column) = opened_at {
        if !table.has_column(column) {
            return Err(IdentityError::not_in_state(
                &format!(
                    "column {} of an attached table is gone",
                    quote_identifier(column)
                ),
                "It was dropped or renamed after the table was attached, and tells the order of the chats.",
                "Call visitor_identity.detach_table with keep_origin => true and attach the table again.",
            ));
        }
        order.push(format!("t.{} nulls last", quote_identifier(column)));
    }
    let references = known.columns.key_references();
    order.extend(references.iter().map(|(_, reference, _)| reference.clone()));
    Ok(format!(
        "insert into visitor_identity.backfill_queue (attached, position, key)
        select $1::pg_catalog.regclass, pg_catalog.row_number() over (order by {order}), {key}
        from {name} as t
        where t.{origin} is null",
        order = order.join(", "),
        key = key_as_json(&references, true),
        name = table.quoted(),
        origin = quote_identifier(known.columns.origin.as_deref().unwrap_or_default()),
    ))
}

/// What a batch did.
pub struct Done {
    /// Chats taken from the queue; 0 when nothing waits any more.
    pub taken: i64,
    /// Those of them that were given their visitor.
    pub resolved: i64,
}

/// One chat as it stands.
struct Row {
    key: String,
    visitor: Option<Uuid>,
    account: Option<String>,
    provided: Option<String>,
    channel_type: Option<String>,
    channel_id: Option<String>,
    channel_user: Option<String>,
}

/// The statements over a table, prepared for a batch.
struct Statements {
    read: Statement,
    write: Statement,
    visitor: Statement,
}

impl Statements {
    fn new(table: &Table, known: &AttachedTable) -> Self {
        let name = table.quoted();
        let columns = &known.columns;
        let visitor = quote_identifier(&columns.visitor);
        let origin = quote_identifier(columns.origin.as_deref().unwrap_or_default());
        let text = |column: Option<&String>| {
            column.map_or_else(
                || "null::pg_catalog.text".to_owned(),
                |column| format!("t.{}::pg_catalog.text", quote_identifier(column)),
            )
        };
        let account = match &columns.account {
            AccountOf::Column(column) => text(Some(column)),
            AccountOf::Fixed(account) => format!("{}::pg_catalog.text", quote_literal(account)),
        };
        let of_key = |json: &str| {
            let parts: Vec<String> = columns
                .key
                .iter()
                .map(|column| of_key_column(column, json))
                .collect();
            parts.join(" and ")
        };
        Self {
            // Locked in the order of the queue, chat by chat, before anything is decided.
            read: Statement::over_table(format!(
                "select k.value::pg_catalog.text, t.{visitor}::pg_catalog.uuid, {account}, {}, {}, {}, {}
                from pg_catalog.jsonb_array_elements($1::pg_catalog.jsonb)
                    with ordinality as k (value, number)
                join {name} as t on {}
                order by k.number
                for no key update of t",
                text(columns.provided.as_ref()),
                text(columns.channel_type.as_ref()),
                text(columns.channel_id.as_ref()),
                text(columns.channel_user.as_ref()),
                of_key("k.value"),
            )),
            write: Statement::over_table(format!(
                "update {name} as t
                set {visitor} = $3, {origin} = $3
                where {}
                    and (
                        t.{visitor} operator(pg_catalog.=) $2
                        or (t.{visitor} is null and $2::pg_catalog.uuid is null)
                    )
                returning t.{visitor} operator(pg_catalog.=) $3",
                of_key("$1::pg_catalog.jsonb"),
            )),
            visitor: Statement::over_table(format!(
                "select t.{visitor}::pg_catalog.uuid
                from {name} as t
                where {}",
                of_key("$1::pg_catalog.jsonb"),
            )),
        }
    }
}

/// A key column equal to its value in a key as `key_as_json` writes it.
fn of_key_column(column: &KeyColumn, json: &str) -> String {
    let value = format!(
        "({json} operator(pg_catalog.->>) {})",
        quote_literal(&column.written_as)
    );
    let value = if column.is_instant {
        format!("pg_catalog.timezone('UTC', {value}::pg_catalog.timestamp)")
    } else {
        format!("{value}::pg_catalog.text")
    };
    format!(
        "t.{} operator(pg_catalog.=) {value}::{}",
        quote_identifier(&column.name),
        column.type_name
    )
}

/// Resolves the next chats of the queue as if each arrived now, in their order.
pub fn batch(relation: Option<pg_sys::Oid>, size: i64) -> Result<Done, IdentityError> {
    if size < 1 {
        return Err(IdentityError::BadBatchSize);
    }
    connect(|| {
        let extension_owner = owner_of_extension()?;
        let (table, known) = attached(relation, extension_owner)?;
        let id = Value::Oid(table.relation);
        let taken = as_role(extension_owner, || {
            ONE_AT_A_TIME.with(|statement| statement.run(Mode::Write, &[id]))?;
            TAKE.with(|statement| statement.run(Mode::Write, &[id, Value::Int8(Some(size))]))
        })?;
        let count = taken.number(0, 1);
        let Some(keys) = taken.get::<String>(0, 2) else {
            return Ok(Done {
                taken: count,
                resolved: 0,
            });
        };
        let statements = Statements::new(&table, &known);
        let keys = [Value::Json(Some(&keys))];
        let rows = as_role(known.owner, || statements.read.run(Mode::Newest, &keys))?;
        let chats: Vec<Row> = (0..rows.len())
            .map(|row| Row {
                key: rows.get(row, 1).unwrap_or_default(),
                visitor: rows.uuid(row, 2),
                account: rows.get(row, 3),
                provided: rows.get(row, 4),
                channel_type: rows.get(row, 5),
                channel_id: rows.get(row, 6),
                channel_user: rows.get(row, 7),
            })
            .collect();
        let mut resolved = 0;
        for chat in &chats {
            pgrx::check_for_interrupts!();
            if as_role(extension_owner, || adopt(&known, &statements, chat))? {
                resolved += 1;
            }
        }
        Ok(Done {
            taken: count,
            resolved,
        })
    })
}

/// One chat. False: it is of no account that is known here, and is left as it is.
fn adopt(
    known: &AttachedTable,
    statements: &Statements,
    chat: &Row,
) -> Result<bool, IdentityError> {
    let Some(account) = &chat.account else {
        return Ok(false);
    };
    let account = effective_account(Some(account))?;
    let raw = RawRequest {
        provided_visitor_id: chat.provided.as_deref(),
        channel_type: chat.channel_type.as_deref(),
        channel_user_id: chat.channel_user.as_deref(),
        visitor_id: chat.visitor,
        channel_id: chat.channel_id.as_deref(),
        verified: false,
    };
    let (policy, request) = match request_of_row(&account, raw) {
        Err(IdentityError::UnknownAccount) => return Ok(false),
        request => request?,
    };
    let prepared: Option<Prepared>;
    let visitor = if request.provided.is_none() && request.channel.is_none() {
        prepared = None;
        prepare_plain_row(&policy, &request)?.visitor_id
    } else {
        let ready = prepare(&policy, &request, None, Stance::HoldsChatRow(None))?;
        let visitor = ready.visitor_id;
        prepared = Some(ready);
        visitor
    };
    write(known, statements, chat, visitor)?;
    if let Some(prepared) = prepared.filter(|prepared| !prepared.is_complete()) {
        complete(&account, &prepared, Reason::Backfill, None)?;
    }
    Ok(true)
}

/// Gives the chat its visitor. A login of the same batch may have moved it since it was read; it is looked at again.
/// Errors: 55000 when a trigger of the application keeps it where it is.
fn write(
    known: &AttachedTable,
    statements: &Statements,
    chat: &Row,
    visitor: Uuid,
) -> Result<(), IdentityError> {
    let key = Value::Json(Some(&chat.key));
    let mut from = chat.visitor;
    for _ in 0..2 {
        let values = [key, Value::Uuid(from), Value::Uuid(Some(visitor))];
        let _moving = Moving::begin(from.unwrap_or(visitor), visitor);
        let rows = as_role(known.owner, || statements.write.run(Mode::Newest, &values))?;
        if rows.truth(0, 1) {
            return Ok(());
        }
        let now = as_role(known.owner, || statements.visitor.run(Mode::Newest, &[key]))?;
        from = now.uuid(0, 1);
    }
    Err(super::attachment::kept_by_a_trigger())
}
