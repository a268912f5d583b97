//! Attached tables as the triggers and the rebinding see them: which column means what, and the statements over them.
//! May touch: `attached_table`, the catalog, and the attached tables themselves, always with the rights of their owner.

use super::person_rows::PersonRows;
use super::policy::{cached, watch};
use super::spi::{as_role, Mode, Statement, Value};
use super::statement;
use crate::error::IdentityError;
use pgrx::pg_sys;
use pgrx::spi::{quote_identifier, quote_literal, quote_qualified_identifier};
use std::rc::Rc;
use uuid::Uuid;

/// Keys kept in one row of the log: jsonb is limited to 256 MB, and an undo should not have to hold them all.
const KEYS_A_PART: usize = 50_000;

/// Passes over rows that are there and do not move before a trigger of the application is blamed for it. A first one may
/// find nothing because a row was deleted and written anew while the pass waited for it.
const MOST_PASSES_FOR_NOTHING: usize = 3;

/// Whose chats a table holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AccountOf {
    /// A column says so; its name.
    Column(String),
    /// The whole table is one account's.
    Fixed(String),
}

/// The names of the columns that mean something.
#[derive(Debug, Clone)]
pub struct Columns {
    pub visitor: String,
    pub origin: String,
    pub provided: Option<String>,
    pub channel_type: Option<String>,
    pub channel_id: Option<String>,
    pub channel_user: Option<String>,
    pub account: AccountOf,
    /// The primary key.
    pub key: Vec<KeyColumn>,
}

/// One column of a primary key.
#[derive(Debug, Clone)]
pub struct KeyColumn {
    pub name: String,
    /// Its name in the log, which does not change when the column is renamed.
    pub written_as: String,
    /// A timestamp with time zone, whose text depends on the session.
    pub is_instant: bool,
    /// Its type, qualified.
    pub type_name: String,
}

/// The key of a row as JSON, the same in every session: a scalar for a key of one column, an object otherwise.
/// `columns`: the quoted reference to each column and whether it is a timestamp with time zone.
pub fn key_as_json(columns: &[(String, String, bool)], always_object: bool) -> String {
    let value = |reference: &str, is_instant: bool| {
        if is_instant {
            format!("pg_catalog.timezone('UTC', {reference})")
        } else {
            reference.to_owned()
        }
    };
    match columns {
        [(_, reference, is_instant)] if !always_object => {
            format!("pg_catalog.to_jsonb({})", value(reference, *is_instant))
        }
        _ => {
            let pairs: Vec<String> = columns
                .iter()
                .map(|(name, reference, is_instant)| {
                    format!("{}, {}", quote_literal(name), value(reference, *is_instant))
                })
                .collect();
            format!("pg_catalog.jsonb_build_object({})", pairs.join(", "))
        }
    }
}

/// Where the columns are in the rows of one relation: the attached table itself or one of its partitions.
pub struct RowShape {
    pub table: Rc<AttachedTable>,
    pub visitor: i32,
    pub origin: i32,
    pub provided: Option<i32>,
    pub channel_type: Option<i32>,
    pub channel_id: Option<i32>,
    pub channel_user: Option<i32>,
    pub account: Option<i32>,
    pub key: Vec<i32>,
}

/// One attached table.
pub struct AttachedTable {
    pub relation: pg_sys::Oid,
    pub owner: pg_sys::Oid,
    pub columns: Columns,
    count: Statement,
    lock: Statement,
    move_all: Statement,
    key_of: Statement,
    put_back: Statement,
    /// The rows of a whole person.
    pub person: PersonRows,
}

/// Which rows an undo puts back; the lists are JSON arrays of keys, and provided ids.
pub struct PutBackWhich<'a> {
    pub keys: &'a str,
    pub moved_by_others: Option<&'a str>,
    pub provided_of_to: &'a [String],
    pub provided_of_from: &'a [String],
}

/// Keys of moved rows, as a JSON array in text form, with their number.
pub struct MovedKeys {
    pub count: i64,
    pub keys: String,
}

statement!(
    TABLES,
    "select a.relation, a.owner, a.schema_name::pg_catalog.text, a.table_name::pg_catalog.text,
        a.visitor_column::pg_catalog.text, a.origin_column::pg_catalog.text,
        a.provided_column::pg_catalog.text, a.channel_type_column::pg_catalog.text,
        a.channel_id_column::pg_catalog.text, a.channel_user_column::pg_catalog.text,
        a.account_column::pg_catalog.text, a.fixed_account,
        a.key_columns::pg_catalog.text[], a.key_types::pg_catalog.int8[], a.key_type_names,
        a.key_names::pg_catalog.text[]
    from visitor_identity.attachment as a
    order by a.relation"
);

statement!(
    ROOT,
    "select pg_catalog.pg_partition_root($1)::pg_catalog.oid"
);

/// All attached tables, in the order of their oids: the order in which every path locks them.
pub fn attached_tables() -> Result<Rc<[Rc<AttachedTable>]>, IdentityError> {
    if let Some(tables) = cached(|cache| cache.all_tables.clone())? {
        return Ok(tables);
    }
    let rows = TABLES.with(|statement| statement.run(Mode::NewestReadOnly, &[]))?;
    let mut tables = Vec::with_capacity(rows.len());
    for row in 0..rows.len() {
        let text = |column| rows.get::<String>(row, column);
        let (Some(relation), Some(owner), Some(schema), Some(name), Some(visitor), Some(origin)) = (
            rows.get::<pg_sys::Oid>(row, 1),
            rows.get::<pg_sys::Oid>(row, 2),
            text(3),
            text(4),
            text(5),
            text(6),
        ) else {
            continue;
        };
        let account = match (text(11), text(12)) {
            (Some(column), _) => AccountOf::Column(column),
            (None, fixed) => AccountOf::Fixed(fixed.unwrap_or_default()),
        };
        let key_types: Vec<i64> = rows.get(row, 14).unwrap_or_default();
        let type_names: Vec<String> = rows.get(row, 15).unwrap_or_default();
        let written_as: Vec<String> = rows.get(row, 16).unwrap_or_default();
        let columns = Columns {
            visitor,
            origin,
            provided: text(7),
            channel_type: text(8),
            channel_id: text(9),
            channel_user: text(10),
            account,
            key: rows
                .get::<Vec<String>>(row, 13)
                .unwrap_or_default()
                .into_iter()
                .zip(key_types)
                .zip(type_names)
                .zip(written_as)
                .map(|(((name, base_type), type_name), written_as)| KeyColumn {
                    name,
                    written_as,
                    is_instant: base_type == i64::from(pg_sys::TIMESTAMPTZOID.to_u32()),
                    type_name,
                })
                .collect(),
        };
        tables.push(Rc::new(AttachedTable::new(
            relation,
            owner,
            &quote_qualified_identifier(schema, name),
            columns,
        )));
    }
    for table in &tables {
        watch(table.relation);
    }
    let tables: Rc<[Rc<AttachedTable>]> = tables.into();
    cached(|cache| cache.all_tables = Some(Rc::clone(&tables)))?;
    Ok(tables)
}

/// Those of them that can hold rows of an account.
pub fn tables_holding(account: &str) -> Result<Vec<Rc<AttachedTable>>, IdentityError> {
    Ok(attached_tables()?
        .iter()
        .filter(|table| table.holds(account))
        .cloned()
        .collect())
}

statement!(
    COLUMN_NUMBERS,
    "select a.attname::pg_catalog.text, a.attnum::pg_catalog.int4
    from pg_catalog.pg_attribute as a
    where a.attrelid operator(pg_catalog.=) $1
        and a.attnum operator(pg_catalog.>) 0
        and not a.attisdropped"
);

/// The attached table that a relation is, or is a partition of, with the places of its columns. Errors: 55000 when the
/// table is not attached, or a column of the attachment is gone.
pub fn row_shape(relation: pg_sys::Oid) -> Result<Rc<RowShape>, IdentityError> {
    if let Some(known) = cached(|cache| cache.shapes.get(&relation).cloned())? {
        return Ok(known);
    }
    let values = [Value::Oid(relation)];
    let root = ROOT
        .with(|statement| statement.run(Mode::NewestReadOnly, &values))?
        .get::<pg_sys::Oid>(0, 1)
        .unwrap_or(relation);
    let table = attached_tables()?
        .iter()
        .find(|table| table.relation == root || table.relation == relation)
        .cloned()
        .ok_or_else(|| IdentityError::Attachment {
            message: "the table is not attached".into(),
            detail: "A trigger of visitor_identity runs on a table that visitor_identity.attached_table does not list.".into(),
            hint: "Call visitor_identity.attach_chat_table, or drop the trigger.".into(),
        })?;
    let rows = COLUMN_NUMBERS.with(|statement| statement.run(Mode::NewestReadOnly, &values))?;
    let numbers: std::collections::HashMap<String, i32> = (0..rows.len())
        .filter_map(|row| Some((rows.get(row, 1)?, rows.get(row, 2)?)))
        .collect();
    let number = |name: &String| {
        numbers
            .get(name)
            .copied()
            .ok_or_else(|| IdentityError::Attachment {
                message: format!(
                    "column {} of an attached table is gone",
                    quote_identifier(name)
                ),
                detail: "It was dropped or renamed after the table was attached.".into(),
                hint: "Call visitor_identity.detach_table and attach the table again.".into(),
            })
    };
    let optional = |name: &Option<String>| name.as_ref().map(number).transpose();
    let columns = &table.columns;
    let shape = Rc::new(RowShape {
        visitor: number(&columns.visitor)?,
        origin: number(&columns.origin)?,
        provided: optional(&columns.provided)?,
        channel_type: optional(&columns.channel_type)?,
        channel_id: optional(&columns.channel_id)?,
        channel_user: optional(&columns.channel_user)?,
        account: match &columns.account {
            AccountOf::Column(column) => Some(number(column)?),
            AccountOf::Fixed(_) => None,
        },
        key: columns
            .key
            .iter()
            .map(|column| number(&column.name))
            .collect::<Result<_, _>>()?,
        table: Rc::clone(&table),
    });
    watch(relation);
    cached(|cache| cache.shapes.insert(relation, Rc::clone(&shape)))?;
    Ok(shape)
}

impl AttachedTable {
    fn new(relation: pg_sys::Oid, owner: pg_sys::Oid, name: &str, columns: Columns) -> Self {
        let visitor = quote_identifier(&columns.visitor);
        let origin = quote_identifier(&columns.origin);
        // As text, because no account needs to be a value of the column's type.
        let of_account = match &columns.account {
            // Twice: once for the index, whose collation may take two names for one, and once to the letter.
            AccountOf::Column(column) => {
                let column = quote_identifier(column);
                format!(
                    "t.{column}::pg_catalog.text operator(pg_catalog.=) $1
                    and t.{column}::pg_catalog.text operator(pg_catalog.=) ($1 collate pg_catalog.\"C\")"
                )
            }
            AccountOf::Fixed(_) => "$1::pg_catalog.text is not null".to_owned(),
        };
        let of_visitor =
            format!("{of_account} and t.{visitor} operator(pg_catalog.=) $2::pg_catalog.uuid");
        let references: Vec<(String, String, bool)> = columns
            .key
            .iter()
            .map(|column| {
                let reference = format!("t.{}", quote_identifier(&column.name));
                (column.written_as.clone(), reference, column.is_instant)
            })
            .collect();
        let key = key_as_json(&references, false);
        let own_provided = columns.provided.as_ref().map_or_else(
            || "null::pg_catalog.text".to_owned(),
            |column| {
                format!(
                    "visitor_identity.normalize_provided_visitor_id(t.{}::pg_catalog.text)",
                    quote_identifier(column)
                )
            },
        );
        let of_key: Vec<String> = columns
            .key
            .iter()
            .zip(1..)
            .map(|(column, number)| {
                format!(
                    "t.{} operator(pg_catalog.=) ${number}::pg_catalog.text::{}",
                    quote_identifier(&column.name),
                    column.type_name
                )
            })
            .collect();
        Self {
            relation,
            owner,
            person: PersonRows::over(owner, name, &columns, &of_account),
            key_of: Statement::over_table(format!(
                "select pg_catalog.jsonb_build_array({key})::pg_catalog.text
                from {name} as t
                where {}",
                of_key.join(" and ")
            )),
            count: Statement::over_table(format!(
                "select pg_catalog.count(*)
                from (
                    select
                    from {name} as t
                    where {of_visitor}
                    limit $3
                ) as counted"
            )),
            lock: Statement::over_table(format!(
                "select
                from {name} as t
                where {of_visitor}
                order by {key}
                for no key update"
            )),
            move_all: Statement::over_table(format!(
                "with moved as (
                    update {name} as t
                    set {visitor} = $3, {origin} = coalesce(t.{origin}, t.{visitor})
                    where {of_visitor}
                    returning {key} as key, t.{visitor} operator(pg_catalog.=) $3 as arrived
                ), numbered as (
                    select m.key, m.arrived, (pg_catalog.row_number() over () operator(pg_catalog.-) 1)
                        operator(pg_catalog./) {KEYS_A_PART} as part
                    from moved as m
                )
                select pg_catalog.count(*), pg_catalog.jsonb_agg(n.key)::pg_catalog.text,
                    coalesce(pg_catalog.bool_and(n.arrived), false)
                from numbered as n
                group by n.part
                order by n.part"
            )),
            put_back: Statement::over_table(format!(
                "with back as (
                    update {name} as t
                    set {visitor} = $2
                    where {of_account}
                        and t.{visitor} operator(pg_catalog.=) $3
                        and ({own_provided} operator(pg_catalog.=) any ($6)) is not true
                        and (
                            {key} operator(pg_catalog.=) any (
                                select k.value
                                from pg_catalog.jsonb_array_elements($4::pg_catalog.jsonb) as k (value)
                            )
                            or (
                                $5::pg_catalog.jsonb is not null
                                and t.{origin} operator(pg_catalog.=) $2
                                and {key} operator(pg_catalog.<>) all (
                                    select o.value
                                    from pg_catalog.jsonb_array_elements($5::pg_catalog.jsonb) as o (value)
                                )
                            )
                            or {own_provided} operator(pg_catalog.=) any ($7)
                        )
                    returning t.{visitor} operator(pg_catalog.=) $2 as arrived
                )
                select pg_catalog.count(*), coalesce(pg_catalog.bool_and(b.arrived), true)
                from back as b"
            )),
            columns,
        }
    }

    /// Whether rows of the account can be in this table.
    fn holds(&self, account: &str) -> bool {
        match &self.columns.account {
            AccountOf::Column(_) => true,
            AccountOf::Fixed(fixed) => fixed == account,
        }
    }

    /// How many chats the visitor has here, counted up to `limit`.
    pub fn count_chats(
        &self,
        account: &str,
        visitor: Uuid,
        limit: i64,
    ) -> Result<i64, IdentityError> {
        let values = [
            Value::Text(Some(account)),
            Value::Uuid(Some(visitor)),
            Value::Int8(Some(limit)),
        ];
        let rows = as_role(self.owner, || self.count.run(Mode::Newest, &values))?;
        Ok(rows.number(0, 1))
    }

    /// Locks the visitor's chats, waiting for those that other transactions are changing.
    pub fn lock_chats(&self, account: &str, visitor: Uuid) -> Result<(), IdentityError> {
        let values = [Value::Text(Some(account)), Value::Uuid(Some(visitor))];
        as_role(self.owner, || self.lock.run(Mode::Newest, &values))?;
        Ok(())
    }

    /// Moves all chats of a visitor to another and tells which they were, in parts. Errors: 55000 when a trigger of the
    /// application keeps a row where it is: then nothing may be superseded.
    pub fn move_chats(
        &self,
        account: &str,
        from: Uuid,
        to: Uuid,
    ) -> Result<Vec<MovedKeys>, IdentityError> {
        let values = [
            Value::Text(Some(account)),
            Value::Uuid(Some(from)),
            Value::Uuid(Some(to)),
        ];
        let mut moved = Vec::new();
        let mut passes_for_nothing = 0;
        loop {
            let rows = as_role(self.owner, || self.move_all.run(Mode::Newest, &values))?;
            let arrived = (0..rows.len()).all(|row| rows.truth(row, 3));
            moved.extend((0..rows.len()).map(|row| MovedKeys {
                count: rows.number(row, 1),
                keys: rows.get(row, 2).unwrap_or_else(|| "[]".to_owned()),
            }));
            // While a pass waits for a row, the transaction that held it may write another.
            if arrived && self.count_chats(account, from, 1)? == 0 {
                return Ok(moved);
            }
            passes_for_nothing = if rows.len() == 0 {
                passes_for_nothing + 1
            } else {
                0
            };
            if !arrived || passes_for_nothing == MOST_PASSES_FOR_NOTHING {
                return Err(kept_by_a_trigger());
            }
        }
    }

    /// The key of one row as the log keeps it: a JSON array of one. `key` has the text of every key column, in order.
    pub fn key_of(&self, key: &[String]) -> Result<String, IdentityError> {
        let values: Vec<Value<'_>> = key.iter().map(|part| Value::Text(Some(part))).collect();
        let rows = as_role(self.owner, || self.key_of.run(Mode::Newest, &values))?;
        Ok(rows.get(0, 1).unwrap_or_else(|| "[]".to_owned()))
    }

    /// Puts rows of these keys that are still with `to` back to `from`, and counts them. Given the keys that other
    /// rebindings moved, also rows of other keys that were first stored on `from`: their key has changed since. A row
    /// whose own provided id is one of those of `to` stays: it is his, whatever brought it there; one that has an id of
    /// `from` goes back, whenever it came. Errors: 55000 when a trigger of the application keeps a row where it is.
    pub fn put_chats_back(
        &self,
        account: &str,
        from: Uuid,
        to: Uuid,
        which: &PutBackWhich<'_>,
    ) -> Result<i64, IdentityError> {
        let values = [
            Value::Text(Some(account)),
            Value::Uuid(Some(from)),
            Value::Uuid(Some(to)),
            Value::Json(Some(which.keys)),
            Value::Json(which.moved_by_others),
            Value::Texts(which.provided_of_to),
            Value::Texts(which.provided_of_from),
        ];
        let rows = as_role(self.owner, || self.put_back.run(Mode::Newest, &values))?;
        if rows.truth(0, 2) {
            Ok(rows.number(0, 1))
        } else {
            Err(kept_by_a_trigger())
        }
    }
}

fn kept_by_a_trigger() -> IdentityError {
    IdentityError::not_in_state(
        "a trigger of an attached table keeps a chat from being rebound",
        "After the UPDATE the row was not with the visitor that it was given.",
        "Let the table's own triggers accept the new value of the visitor column.",
    )
}
