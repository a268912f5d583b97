//! `backfill_chats`: adopts the chats that a table had before it was attached, in the order in which they were opened.
//! May touch: `backfill_queue`, what `resolve` touches, and the attached table with the rights of its owner.
//!
//! The queue is written once, from the rows without an origin (nothing has resolved them yet), and is emptied batch by
//! batch, each in a transaction of its own. It is what makes a batch resumable: the origin of a row alone does not tell,
//! because a login further up moves later chats of the same visitor, which have identifiers of their own to be looked at.
//! And it is what makes a batch cheap: the table is read and sorted once, and then by its key only.

use super::attach::{own_table, owner_of_extension, Table};
use super::attachment::{attached_tables, key_as_json, AccountOf, AttachedTable, KeyColumn};
use super::batch::{answer_together, ask};
use super::distributed::is_distributed;
use super::policy::{custom_channels, policy};
use super::rebind::{Moving, Reason};
use super::resolve::{complete, prepare, prepare_plain_row, request_of_row, Prepared, Stance};
use super::spi::{as_role, connect, is_read_only, Mode, Statement, Value};
use super::statement;
use crate::error::IdentityError;
use crate::resolution::{RawRequest, Request, Way};
use crate::settings::effective_account;
use pgrx::pg_sys;
use pgrx::spi::{quote_identifier, quote_literal};
use std::collections::{BTreeMap, HashSet};
use std::rc::Rc;
use uuid::Uuid;

/// Chats in one row of the queue.
const CHATS_A_PART: usize = 1_000;

statement!(
    WAITING,
    "select coalesce(pg_catalog.sum(pg_catalog.jsonb_array_length(q.keys)), 0)::pg_catalog.int8
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

// The parts that a batch begins are taken whole, and what it leaves of the last one is put back. One part more than it
// can fill: the first one may have been begun.
statement!(
    TAKE,
    "with wanted as (
        select q.position, pg_catalog.sum(pg_catalog.jsonb_array_length(q.keys)) over (
            order by q.position
            rows between unbounded preceding and 1 preceding
        ) as before
        from (
            select f.position, f.keys
            from visitor_identity.backfill_queue as f
            where f.attached operator(pg_catalog.=) $1::pg_catalog.regclass::pg_catalog.oid
            order by f.position
            limit $3
        ) as q
    ), taken as (
        delete from visitor_identity.backfill_queue as q
        using wanted as w
        where q.attached operator(pg_catalog.=) $1::pg_catalog.regclass::pg_catalog.oid
            and q.position operator(pg_catalog.=) w.position
            and (w.before is null or w.before operator(pg_catalog.<) $2)
        returning q.position, q.keys
    ), chats as (
        select k.value, pg_catalog.row_number() over (order by t.position, k.number) as number,
            t.position operator(pg_catalog.+) k.number operator(pg_catalog.-) 1 as position
        from taken as t
        cross join lateral pg_catalog.jsonb_array_elements(t.keys)
            with ordinality as k (value, number)
    ), rest as (
        insert into visitor_identity.backfill_queue (attached, position, keys)
        select $1::pg_catalog.regclass, pg_catalog.min(c.position),
            pg_catalog.jsonb_agg(c.value order by c.number)
        from chats as c
        where c.number operator(pg_catalog.>) $2
        having pg_catalog.count(*) operator(pg_catalog.>) 0
    )
    select pg_catalog.count(*), pg_catalog.jsonb_agg(c.value order by c.number)::pg_catalog.text
    from chats as c
    where c.number operator(pg_catalog.<=) $2"
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
        "insert into visitor_identity.backfill_queue (attached, position, keys)
        select $1::pg_catalog.regclass, pg_catalog.min(n.position),
            pg_catalog.jsonb_agg(n.key order by n.position)
        from (
            select pg_catalog.row_number() over (order by {order}) as position, {key} as key
            from {name} as t
            where t.{origin} is null
        ) as n
        group by (n.position operator(pg_catalog.-) 1) operator(pg_catalog./) {CHATS_A_PART}",
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

statement!(
    MOVED_BY_BACKFILL,
    "select distinct r.from_visitor_id
    from visitor_identity.rebind as r
    where r.account operator(pg_catalog.=) $1
        and r.from_visitor_id operator(pg_catalog.=) any ($2)
        and r.reason operator(pg_catalog.=) 'backfill_chats'
        and r.undone_at is null"
);

/// One chat as it stands.
struct Row {
    key: String,
    /// Where its locked version is: the table or partition, and the place in it.
    version: Option<(pg_sys::Oid, pg_sys::ItemPointerData)>,
    visitor: Option<Uuid>,
    origin: Option<Uuid>,
    account: Option<String>,
    provided: Option<String>,
    channel_type: Option<String>,
    channel_id: Option<String>,
    channel_user: Option<String>,
}

impl Row {
    fn raw(&self) -> RawRequest<'_> {
        RawRequest {
            provided_visitor_id: self.provided.as_deref(),
            channel_type: self.channel_type.as_deref(),
            channel_user_id: self.channel_user.as_deref(),
            visitor_id: self.visitor,
            channel_id: self.channel_id.as_deref(),
            verified: false,
        }
    }

    /// Whether it is as it should be, this being its visitor: as if it had arrived live, or where a live session took it
    /// before its turn. Its origin then is what the log says and what an undo goes by. What a login of the backfill moved
    /// before its turn would have arrived at the visitor at once.
    fn is_of(&self, visitor: Uuid, moved_by_backfill: &HashSet<Uuid>) -> bool {
        let is_settled = |origin: Uuid| origin == visitor || !moved_by_backfill.contains(&origin);
        self.visitor == Some(visitor) && self.origin.is_some_and(is_settled)
    }
}

/// The statements over a table.
pub struct Statements {
    read: Statement,
    write: Statement,
    write_many: Statement,
    write_versions: Statement,
    visitor: Statement,
}

impl Statements {
    fn over(known: &AttachedTable) -> Self {
        let name = &known.name;
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
        // The arrays come by sub-selects, so that the planner does not see how long they are: it would rather read a table
        // of some size as a whole, for every batch.
        let write_many = |name: &str, row: &str, which: &str| {
            Statement::over_table(format!(
                "with written as (
                    update {name} as t
                    set {visitor} = n.visitor_id, {origin} = n.visitor_id
                    from (
                        select {row} as row, w.visitor_id
                        from rows from (
                            pg_catalog.unnest((select $1)),
                            pg_catalog.unnest((select $2))
                        ) as w (row, visitor_id)
                        offset 0
                    ) as n
                    where {which}
                    returning t.{visitor} operator(pg_catalog.=) n.visitor_id as arrived
                )
                select pg_catalog.count(*) filter (where w.arrived)
                from written as w"
            ))
            .for_any_values()
        };
        Self {
            // Locked in the order of the queue, chat by chat, before anything is decided.
            read: Statement::over_table(format!(
                "select k.value::pg_catalog.text, t.{visitor}::pg_catalog.uuid, {account}, {}, {}, {}, {},
                    t.{origin}::pg_catalog.uuid, t.tableoid, t.ctid
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
            ))
            .for_any_values(),
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
            ))
            .for_any_values(),
            // Locked before, so that each is what was read.
            write_many: write_many(name, "w.row::pg_catalog.jsonb", &of_key("n.row")),
            // A table without partitions or children: each is where it was locked.
            write_versions: write_many(
                &format!("only {name}"),
                "w.row",
                "t.ctid operator(pg_catalog.=) n.row",
            ),
            visitor: Statement::over_table(format!(
                "select t.{visitor}::pg_catalog.uuid
                from {name} as t
                where {}",
                of_key("$1::pg_catalog.jsonb"),
            ))
            .for_any_values(),
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
        let parts = size / CHATS_A_PART as i64 + 2;
        let taken = as_role(extension_owner, || {
            ONE_AT_A_TIME.with(|statement| statement.run(Mode::Write, &[id]))?;
            let values = [id, Value::Int8(Some(size)), Value::Int8(Some(parts))];
            TAKE.with(|statement| statement.run(Mode::Write, &values))
        })?;
        let count = taken.number(0, 1);
        let Some(keys) = taken.get::<String>(0, 2) else {
            return Ok(Done {
                taken: count,
                resolved: 0,
            });
        };
        let statements = known.backfill.get_or_init(|| Statements::over(&known));
        let keys = [Value::Json(Some(&keys))];
        let rows = as_role(known.owner, || statements.read.run(Mode::Newest, &keys))?;
        let mut by_account: BTreeMap<String, Vec<Row>> = BTreeMap::new();
        for row in 0..rows.len() {
            let chat = Row {
                key: rows.get(row, 1).unwrap_or_default(),
                visitor: rows.uuid(row, 2),
                account: rows.get(row, 3),
                provided: rows.get(row, 4),
                channel_type: rows.get(row, 5),
                channel_id: rows.get(row, 6),
                channel_user: rows.get(row, 7),
                origin: rows.uuid(row, 8),
                version: rows.get(row, 9).zip(rows.get(row, 10)),
            };
            // Of no account, of none that is known here: it is left as it is.
            if let Some(account) = &chat.account {
                match by_account.get_mut(account) {
                    Some(chats) => chats.push(chat),
                    None => {
                        by_account.insert(account.clone(), vec![chat]);
                    }
                }
            }
        }
        let mut resolved = 0;
        for (account, chats) in &by_account {
            resolved += as_role(extension_owner, || {
                adopt_all(&known, statements, account, chats)
            })?;
        }
        Ok(Done {
            taken: count,
            resolved,
        })
    })
}

/// The chats of one account, in their order; how many were given their visitor: none where the account is not known here.
fn adopt_all(
    known: &AttachedTable,
    statements: &Statements,
    account: &str,
    chats: &[Row],
) -> Result<i64, IdentityError> {
    let account = effective_account(Some(account))?;
    let policy = match policy(&account) {
        Err(IdentityError::UnknownAccount) => return Ok(0),
        policy => policy?,
    };
    let channels = custom_channels()?;
    let requests = chats
        .iter()
        .map(|chat| Request::from_row(chat.raw(), &policy, &channels))
        .collect();
    let ways = answer_together(&policy, &ask(Mode::Write, &policy, requests)?)?;
    let moved_by_backfill = moved_by_backfill(&account, chats)?;
    let mut to_write = Vec::new();
    let mut alone = Vec::new();
    for (chat, way) in chats.iter().zip(&ways) {
        match way {
            Way::Together(visitor, _) if chat.is_of(*visitor, &moved_by_backfill) => {}
            Way::Together(visitor, _) => to_write.push((chat, *visitor)),
            Way::Alone => alone.push(chat),
        }
    }
    write_many(known, statements, &to_write)?;
    for chat in alone {
        pgrx::check_for_interrupts!();
        adopt(known, statements, &account, chat, &moved_by_backfill)?;
    }
    Ok(chats.len() as i64)
}

/// Of the visitors from whom chats came before their turn, those whom the backfill itself has moved.
fn moved_by_backfill(account: &str, chats: &[Row]) -> Result<HashSet<Uuid>, IdentityError> {
    let left: Vec<Uuid> = chats
        .iter()
        .filter(|chat| chat.origin != chat.visitor)
        .filter_map(|chat| chat.origin)
        .collect();
    if left.is_empty() {
        return Ok(HashSet::new());
    }
    let values = [Value::Text(Some(account)), Value::Uuids(&left)];
    let rows = MOVED_BY_BACKFILL.with(|statement| statement.run(Mode::Write, &values))?;
    Ok((0..rows.len())
        .filter_map(|row| rows.uuid(row, 1))
        .collect())
}

/// One chat, as if it arrived now.
fn adopt(
    known: &AttachedTable,
    statements: &Statements,
    account: &str,
    chat: &Row,
    moved_by_backfill: &HashSet<Uuid>,
) -> Result<(), IdentityError> {
    let (policy, request) = request_of_row(account, chat.raw())?;
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
    if !chat.is_of(visitor, moved_by_backfill) {
        write(known, statements, chat, visitor)?;
    }
    if let Some(prepared) = prepared.filter(|prepared| !prepared.is_complete()) {
        complete(account, &prepared, Reason::Backfill, None)?;
    }
    Ok(())
}

/// Gives chats their visitors. Nothing has changed them since they were read and locked; where a trigger of the application
/// does so meanwhile, they are looked at one by one. Errors: as `write`.
fn write_many(
    known: &AttachedTable,
    statements: &Statements,
    chats: &[(&Row, Uuid)],
) -> Result<(), IdentityError> {
    if chats.is_empty() {
        return Ok(());
    }
    let visitors: Vec<Uuid> = chats.iter().map(|(_, visitor)| *visitor).collect();
    let moves = chats
        .iter()
        .map(|(chat, visitor)| (chat.visitor.unwrap_or(*visitor), *visitor));
    let versions: Option<Vec<pg_sys::ItemPointerData>> = chats
        .iter()
        .map(|(chat, _)| chat.version.filter(|(table, _)| *table == known.relation))
        .map(|version| version.map(|(_, place)| place))
        .collect();
    let moving = Moving::among(moves);
    let rows = as_role(known.owner, || match &versions {
        Some(versions) => {
            let values = [Value::Versions(versions), Value::Uuids(&visitors)];
            statements.write_versions.run(Mode::Newest, &values)
        }
        None => {
            let keys: Vec<Option<&str>> = chats
                .iter()
                .map(|(chat, _)| Some(chat.key.as_str()))
                .collect();
            let values = [Value::OptionalTexts(&keys), Value::Uuids(&visitors)];
            statements.write_many.run(Mode::Newest, &values)
        }
    })?;
    drop(moving);
    if rows.number(0, 1) != chats.len() as i64 {
        for (chat, visitor) in chats {
            write(known, statements, chat, *visitor)?;
        }
    }
    Ok(())
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
