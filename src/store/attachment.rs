//! Attached tables as the triggers and the rebinding see them: which column means what, and the statements over them.
//! May touch: `attached_table`, the catalog, and the attached tables themselves, always with the rights of their owner.

use super::clash::{condition, unique_indexes, OnClash, UniqueIndex};
use super::distributed::{distributed_tables, is_distributed};
use super::person_rows::PersonRows;
use super::policy::{cached, changes, keep, watch, Cache};
use super::row_lock::{Found, LockedRows, RowLocks};
use super::spi::{as_role, with_safe_search_path, Mode, Rows, Statement, Value};
use super::statement;
use crate::error::IdentityError;
use pgrx::pg_sys;
use pgrx::spi::{quote_identifier, quote_literal, quote_qualified_identifier};
use std::cell::OnceCell;
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
    /// Of a chat table.
    pub origin: Option<String>,
    pub provided: Option<String>,
    pub channel_type: Option<String>,
    pub channel_id: Option<String>,
    pub channel_user: Option<String>,
    pub account: AccountOf,
    /// The primary key.
    pub key: Vec<KeyColumn>,
}

impl Columns {
    /// The primary key of the rows `t`, as `key_as_json` takes it.
    pub fn key_references(&self) -> Vec<(String, String, bool)> {
        self.key
            .iter()
            .map(|column| {
                let reference = format!("t.{}", quote_identifier(&column.name));
                (column.written_as.clone(), reference, column.is_instant)
            })
            .collect()
    }

    /// The order in which every path locks rows `t`.
    pub fn key_order(&self) -> Vec<String> {
        self.key
            .iter()
            .map(|column| format!("t.{}", quote_identifier(&column.name)))
            .collect()
    }

    /// What a statement returns of the key, from its second column on, for `write_key`. `references`: the key's columns, as
    /// `key_references` names them.
    fn returned_key(&self, references: &[(String, String, bool)]) -> String {
        if !self.is_key_plain() {
            return format!("{}::pg_catalog.text", key_as_json(references, false));
        }
        let columns: Vec<String> = self
            .key
            .iter()
            .zip(references)
            .map(|(column, (_, reference, _))| format!("{reference}::{}", column.form.type_name()))
            .collect();
        columns.join(", ")
    }

    fn is_key_plain(&self) -> bool {
        self.key.iter().all(|column| column.form != KeyForm::Other)
    }

    /// Appends the key that a statement returned, as `key_as_json` writes it: nearly every key is of integers, texts and
    /// uuids, and is written here in a tenth of the time.
    fn write_key(&self, rows: &Rows, row: usize, json: &mut String) -> Result<(), IdentityError> {
        let missing = || IdentityError::Internal("a key has no value".into());
        if !self.is_key_plain() {
            json.push_str(&rows.get::<String>(row, 2).ok_or_else(missing)?);
            return Ok(());
        }
        let is_object = self.key.len() != 1;
        if is_object {
            json.push('{');
        }
        for (column, place) in self.key.iter().zip(2..) {
            if place > 2 {
                json.push(',');
            }
            if is_object {
                push_json_text(&column.written_as, json);
                json.push(':');
            }
            match column.form {
                KeyForm::Integer => {
                    let number = rows.get::<i64>(row, place).ok_or_else(missing)?;
                    json.push_str(&number.to_string());
                }
                KeyForm::Uuid => {
                    let id = rows.uuid(row, place).ok_or_else(missing)?;
                    push_json_text(&id.to_string(), json);
                }
                KeyForm::Text | KeyForm::Other => {
                    let text = rows.get::<String>(row, place).ok_or_else(missing)?;
                    push_json_text(&text, json);
                }
            }
        }
        if is_object {
            json.push('}');
        }
        Ok(())
    }
}

/// Appends a text as JSON. Nearly none has anything to escape.
fn push_json_text(text: &str, json: &mut String) {
    let is_plain = |byte: u8| byte >= 0x20 && byte != b'"' && byte != b'\\';
    if text.bytes().all(is_plain) {
        json.push('"');
        json.push_str(text);
        json.push('"');
    } else {
        json.push_str(&serde_json::Value::from(text).to_string());
    }
}

/// How a column of a key is written as JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum KeyForm {
    Integer,
    Text,
    Uuid,
    /// By PostgreSQL.
    Other,
}

impl KeyForm {
    fn of(base_type: i64) -> Self {
        let is = |oid: pg_sys::Oid| base_type == i64::from(oid.to_u32());
        if is(pg_sys::INT8OID) || is(pg_sys::INT4OID) || is(pg_sys::INT2OID) {
            Self::Integer
        } else if is(pg_sys::TEXTOID) || is(pg_sys::VARCHAROID) {
            Self::Text
        } else if is(pg_sys::UUIDOID) {
            Self::Uuid
        } else {
            Self::Other
        }
    }

    fn type_name(self) -> &'static str {
        match self {
            Self::Integer => "pg_catalog.int8",
            Self::Uuid => "pg_catalog.uuid",
            Self::Text | Self::Other => "pg_catalog.text",
        }
    }
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
    form: KeyForm,
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
    /// Of a chat table.
    pub origin: Option<i32>,
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
    /// Schema and name, quoted.
    pub name: String,
    pub columns: Columns,
    pub kind: Kind,
    count: Statement,
    lock: RowLocks,
    move_all: Statement,
    key_of: Statement,
    put_back: Statement,
    chats: Statement,
    /// The rows of a whole person.
    pub person: PersonRows,
    /// Made by the first batch of a backfill.
    pub backfill: OnceCell<super::backfill::Statements>,
}

/// A chat as it is stored, with its identifiers in the form by which they are keyed.
pub struct StoredChat {
    /// The key as the log writes it, and as the search shows it.
    pub logged_key: String,
    pub chat_key: String,
    pub visitor_id: Option<Uuid>,
    pub origin_visitor_id: Option<Uuid>,
    pub provided_visitor_id: Option<String>,
    /// Channel type, channel id and channel user id.
    pub channel: Option<(String, String, String)>,
}

/// What the rows of a table are.
pub enum Kind {
    /// Chats: counted, limited, shown by views.
    Chats,
    /// Anything else that belongs to a visitor.
    Rows(VisitorRows),
}

/// How a visitor table meets unique keys.
pub struct VisitorRows {
    on_clash: OnClash,
    /// Whether a unique index contains the visitor column at all.
    may_clash: bool,
    sort: Statement,
}

/// What of the columns an attached visitor table has to know beyond them.
struct Clashes {
    on_clash: OnClash,
    unique: Vec<UniqueIndex>,
    all_columns: Vec<String>,
}

/// The rows of a visitor, seen with the eyes of another who is to get them.
pub struct Sorted {
    /// How many would clash with a row of the other, and their keys as a JSON array.
    pub clashing: i64,
    clashing_keys: String,
    /// How many would not.
    pub movable: i64,
    movable_keys: String,
}

/// What a move of a visitor table's rows did.
pub struct MovedRows {
    pub moved: Vec<MovedKeys>,
    /// How many rows stayed because they clash.
    pub kept: i64,
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
        a.key_names::pg_catalog.text[],
        a.on_clash,
        case
            when a.kind operator(pg_catalog.=) 'visitor' then (
                select pg_catalog.array_agg(c.attname::pg_catalog.text order by c.attnum)
                from pg_catalog.pg_attribute as c
                where c.attrelid operator(pg_catalog.=) a.relation
                    and c.attnum operator(pg_catalog.>) 0
                    and not c.attisdropped
            )
        end
    from visitor_identity.attachment as a
    order by a.relation"
);

// The same of tables that are named in a document, because a table has another number on every node. A table of theirs
// that is not here gives a row without a number.
statement!(
    TABLES_NAMED,
    "select c.oid, c.relowner, a.schema_name, a.relation_name, a.visitor_column, a.origin_column,
        a.provided_column, a.channel_type_column, a.channel_id_column, a.channel_user_column,
        a.account_column, null::pg_catalog.text, k.names, k.types, k.type_names,
        case
            when pg_catalog.cardinality(a.key_columns) operator(pg_catalog.=) pg_catalog.cardinality(k.names)
                then a.key_columns
            else k.names
        end,
        a.on_clash,
        case
            when a.kind operator(pg_catalog.=) 'visitor' then (
                select pg_catalog.array_agg(x.attname::pg_catalog.text order by x.attnum)
                from pg_catalog.pg_attribute as x
                where x.attrelid operator(pg_catalog.=) c.oid
                    and x.attnum operator(pg_catalog.>) 0
                    and not x.attisdropped
            )
        end
    from pg_catalog.jsonb_to_recordset($1::pg_catalog.jsonb) as a (
        schema_name pg_catalog.text, relation_name pg_catalog.text, kind pg_catalog.text,
        on_clash pg_catalog.text, visitor_column pg_catalog.text, origin_column pg_catalog.text,
        account_column pg_catalog.text, provided_column pg_catalog.text,
        channel_type_column pg_catalog.text, channel_id_column pg_catalog.text,
        channel_user_column pg_catalog.text, key_columns pg_catalog.text[]
    )
    left join pg_catalog.pg_namespace as n
        on n.nspname operator(pg_catalog.=) a.schema_name::pg_catalog.name
    left join pg_catalog.pg_class as c
        on c.relnamespace operator(pg_catalog.=) n.oid
        and c.relname operator(pg_catalog.=) a.relation_name::pg_catalog.name
    cross join lateral (
        select pg_catalog.array_agg(x.attname::pg_catalog.text order by g.position) as names,
            pg_catalog.array_agg(
                case
                    when y.typtype operator(pg_catalog.=) 'd'::pg_catalog.\"char\" then y.typbasetype
                    else y.oid
                end::pg_catalog.int8
                order by g.position
            ) as types,
            pg_catalog.array_agg(pg_catalog.format('%I.%I', s.nspname, y.typname) order by g.position) as type_names
        from pg_catalog.pg_index as i
        cross join lateral pg_catalog.unnest(i.indkey) with ordinality as g (attnum, position)
        join pg_catalog.pg_attribute as x
            on x.attrelid operator(pg_catalog.=) i.indrelid
            and x.attnum operator(pg_catalog.=) g.attnum
        join pg_catalog.pg_type as y on y.oid operator(pg_catalog.=) x.atttypid
        join pg_catalog.pg_namespace as s on s.oid operator(pg_catalog.=) y.typnamespace
        where i.indrelid operator(pg_catalog.=) c.oid
            and i.indisprimary
    ) as k
    order by a.schema_name collate pg_catalog.\"C\", a.relation_name collate pg_catalog.\"C\""
);

statement!(
    ROOT,
    "select pg_catalog.pg_partition_root($1)::pg_catalog.oid"
);

/// All attached tables, in the order of their oids: the order in which every path locks them.
pub fn attached_tables() -> Result<Rc<[Rc<AttachedTable>]>, IdentityError> {
    let made_from = if is_distributed()? {
        distributed_tables()?
    } else {
        String::new()
    };
    let kept = |cache: &mut Cache| match &cache.all_tables {
        Some(tables) if cache.made_from == made_from => Some(Rc::clone(tables)),
        _ => None,
    };
    if let Some(tables) = cached(kept)? {
        return Ok(tables);
    }
    let as_of = changes();
    let rows = if made_from.is_empty() {
        TABLES.with(|statement| statement.run(Mode::NewestReadOnly, &[]))?
    } else {
        let document = [Value::Json(Some(&made_from))];
        TABLES_NAMED.with(|statement| statement.run(Mode::NewestReadOnly, &document))?
    };
    let mut tables = Vec::with_capacity(rows.len());
    for row in 0..rows.len() {
        let text = |column| rows.get::<String>(row, column);
        let (Some(relation), Some(owner), Some(schema), Some(name), Some(visitor)) = (
            rows.get::<pg_sys::Oid>(row, 1),
            rows.get::<pg_sys::Oid>(row, 2),
            text(3),
            text(4),
            text(5),
        ) else {
            // Renamed, for all we know: its chats would be left behind.
            return Err(IdentityError::not_in_state(
                "an attached table is not there by the name under which it was distributed",
                "It was renamed or dropped since.",
                "Call visitor_identity.distribute() on the coordinator: it takes over the names of today.",
            ));
        };
        let account = match (text(11), text(12)) {
            (Some(column), _) => AccountOf::Column(column),
            (None, fixed) => AccountOf::Fixed(fixed.unwrap_or_default()),
        };
        let key_types: Vec<i64> = rows.get(row, 14).unwrap_or_default();
        let type_names: Vec<String> = rows.get(row, 15).unwrap_or_default();
        let written_as: Vec<String> = rows.get(row, 16).unwrap_or_default();
        // Indexes that came after attaching and cannot be looked at in advance show only when the move breaks them.
        let clashes = match text(17).as_deref().and_then(OnClash::parse) {
            None => None,
            Some(on_clash) => Some(Clashes {
                on_clash,
                unique: unique_indexes(relation, &visitor)?
                    .into_iter()
                    .flatten()
                    .collect(),
                all_columns: rows.get(row, 18).unwrap_or_default(),
            }),
        };
        let columns = Columns {
            visitor,
            origin: text(6),
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
                    form: KeyForm::of(base_type),
                })
                .collect(),
        };
        tables.push(Rc::new(AttachedTable::new(
            relation,
            owner,
            quote_qualified_identifier(schema, name),
            columns,
            clashes,
            !made_from.is_empty(),
        )));
    }
    for table in &tables {
        watch(table.relation);
    }
    let tables: Rc<[Rc<AttachedTable>]> = tables.into();
    keep(as_of, |cache| {
        cache.all_tables = Some(Rc::clone(&tables));
        cache.made_from = made_from;
    });
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

/// The keys of rows of a visitor table that are with a superseded visitor and should be with his survivor: all that would
/// not clash there, and where the table refuses clashes every other too.
pub fn keys_left_behind(
    relation: pg_sys::Oid,
    account: &str,
    from: Uuid,
    to: Uuid,
) -> Result<Vec<serde_json::Value>, IdentityError> {
    let tables = attached_tables()?;
    let Some(table) = tables.iter().find(|table| table.relation == relation) else {
        return Ok(Vec::new());
    };
    let Some(sorted) = table.sorted(account, from, to, true)? else {
        return Ok(Vec::new());
    };
    let keys = |list: &str| {
        serde_json::from_str::<Vec<serde_json::Value>>(list)
            .map_err(|_| IdentityError::Internal("a list of keys is no JSON array".into()))
    };
    let mut left = keys(&sorted.movable_keys)?;
    if matches!(&table.kind, Kind::Rows(rows) if rows.on_clash == OnClash::Refuse) {
        left.extend(keys(&sorted.clashing_keys)?);
    }
    Ok(left)
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
    watch(relation);
    let as_of = changes();
    let values = [Value::Oid(relation)];
    let root = ROOT
        .with(|statement| statement.run(Mode::NewestReadOnly, &values))?
        .get::<pg_sys::Oid>(0, 1)
        .unwrap_or(relation);
    let table = attached_tables()?
        .iter()
        .find(|table| table.relation == root || table.relation == relation)
        .cloned()
        .ok_or_else(not_attached)?;
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
        origin: optional(&columns.origin)?,
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
    keep(as_of, |cache| {
        cache.shapes.insert(relation, Rc::clone(&shape));
    });
    Ok(shape)
}

impl AttachedTable {
    fn new(
        relation: pg_sys::Oid,
        owner: pg_sys::Oid,
        name: String,
        columns: Columns,
        clashes: Option<Clashes>,
        is_distributed: bool,
    ) -> Self {
        let visitor = quote_identifier(&columns.visitor);
        // As text, because no account needs to be a value of the column's type.
        let of_account = match &columns.account {
            // Twice: once for the index, whose collation may take two names for one, and once to the letter. Of a distributed
            // table, whose column is of the type and collation of ours, once: Citus looks for this very comparison.
            AccountOf::Column(column) if is_distributed => {
                format!("t.{} operator(pg_catalog.=) $1", quote_identifier(column))
            }
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
        let references = columns.key_references();
        let key = key_as_json(&references, false);
        let rows = clashes
            .map(|clashes| VisitorRows::new(&clashes, &name, &columns.visitor, &of_visitor, &key));
        let may_clash = rows.as_ref().is_some_and(|rows| rows.may_clash);
        let own_provided = columns.provided.as_ref().map_or_else(
            || "null::pg_catalog.text".to_owned(),
            |column| {
                format!(
                    "visitor_identity.normalize_provided_visitor_id(t.{}::pg_catalog.text)",
                    quote_identifier(column)
                )
            },
        );
        let channel_text = |column: &Option<String>| {
            column.as_ref().map_or_else(
                || "null::pg_catalog.text".to_owned(),
                |column| {
                    format!(
                        "pg_catalog.btrim(t.{}::pg_catalog.text)",
                        quote_identifier(column)
                    )
                },
            )
        };
        let own_type = channel_text(&columns.channel_type);
        let own_channel = channel_text(&columns.channel_id);
        let own_user = channel_text(&columns.channel_user);
        let object_key = key_as_json(&references, true);
        let first_stored = columns
            .origin
            .as_ref()
            .map_or_else(|| visitor.clone(), quote_identifier);
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
        let change = Change {
            name: &name,
            columns: &columns,
            of_account: &of_account,
            is_distributed,
        };
        let (move_all, put_back) = match &columns.origin {
            Some(origin) => {
                let origin = quote_identifier(origin);
                (
                    change.move_text(
                        &format!(
                            "{visitor} = $3, {origin} = coalesce(t.{origin}, t.{visitor})"
                        ),
                        &of_visitor,
                        &visitor,
                    ),
                    change.put_back_text(
                        &visitor,
                        &format!(
                            "{of_account}
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
                        )"
                        ),
                    ),
                )
            }
            // $4 and $5: the keys that clash. Without a NOT before ALL: that would not be looked up in a hash table.
            None => (
                change.move_text(
                    &format!("{visitor} = $3"),
                    &format!(
                        "{of_visitor}
                        and not ({key} operator(pg_catalog.=) any (
                            select k.value
                            from pg_catalog.jsonb_array_elements($4::pg_catalog.jsonb) as k (value)
                        ))"
                    ),
                    &visitor,
                ),
                change.put_back_text(
                    &visitor,
                    &format!(
                        "{of_account}
                        and t.{visitor} operator(pg_catalog.=) $3
                        and {key} operator(pg_catalog.=) any (
                            select k.value
                            from pg_catalog.jsonb_array_elements($4::pg_catalog.jsonb) as k (value)
                        )
                        and not ({key} operator(pg_catalog.=) any (
                            select k.value
                            from pg_catalog.jsonb_array_elements($5::pg_catalog.jsonb) as k (value)
                        ))"
                    ),
                ),
            ),
        };
        // A row whose visitor is a part of a key is locked as its change will lock it.
        let is_key_changed = may_clash;
        Self {
            relation,
            owner,
            person: PersonRows::over(owner, &name, &columns, &of_account, is_key_changed),
            kind: rows.map_or(Kind::Chats, Kind::Rows),
            key_of: Statement::over_table(format!(
                "select pg_catalog.jsonb_build_array({key})::pg_catalog.text
                from {name} as t
                where {}",
                of_key.join(" and ")
            )),
            chats: Statement::over_table(format!(
                "select {key}::pg_catalog.text, {object_key}::pg_catalog.text, t.{visitor}::pg_catalog.uuid,
                    t.{first_stored}::pg_catalog.uuid, {own_provided}, {own_type}, coalesce({own_channel}, ''),
                    visitor_identity.normalize_channel_user_id({own_type}, {own_user})
                from {name} as t
                where {of_account}
                    and t.{visitor} operator(pg_catalog.=) any ($2)
                order by {key}"
            )),
            count: Statement::over_table(format!(
                "select pg_catalog.count(*)
                from (
                    select
                    from {name} as t
                    where {of_visitor}
                    limit $3
                ) as counted"
            ))
            .for_any_values(),
            lock: RowLocks::over(owner, &name, &of_visitor, &columns.key_order(), is_key_changed),
            move_all: Statement::over_table(move_all).for_any_values(),
            put_back: Statement::over_table(put_back),
            backfill: OnceCell::new(),
            name,
            columns,
        }
    }

    /// Whether its rows are chats.
    pub fn is_of_chats(&self) -> bool {
        matches!(self.kind, Kind::Chats)
    }

    /// How its rows meet unique keys, if a unique index contains the visitor column.
    fn may_clash(&self) -> Option<&VisitorRows> {
        match &self.kind {
            Kind::Rows(rows) if rows.may_clash => Some(rows),
            _ => None,
        }
    }

    /// Whether a rebinding could break a unique key here.
    pub fn has_rows_that_may_clash(
        &self,
        account: &str,
        visitor: Uuid,
    ) -> Result<bool, IdentityError> {
        Ok(self.may_clash().is_some() && self.count_chats(account, visitor, 1)? > 0)
    }

    /// Whether the table forbids this rebinding.
    pub fn refuses(&self, account: &str, from: Uuid, to: Uuid) -> Result<bool, IdentityError> {
        match self.may_clash() {
            Some(rows) if rows.on_clash == OnClash::Refuse => {
                Ok(self.sort(rows, account, from, to, None, false)?.clashing > 0)
            }
            _ => Ok(false),
        }
    }

    /// Which rows of `from` could be those of `to`; None for a table of chats, which never clash. With `with_keys` also
    /// the keys of the movable ones.
    pub fn sorted(
        &self,
        account: &str,
        from: Uuid,
        to: Uuid,
        with_keys: bool,
    ) -> Result<Option<Sorted>, IdentityError> {
        match &self.kind {
            Kind::Chats => Ok(None),
            Kind::Rows(rows) => self
                .sort(rows, account, from, to, None, with_keys)
                .map(Some),
        }
    }

    /// `among`: only rows of these keys, a JSON array.
    fn sort(
        &self,
        rows: &VisitorRows,
        account: &str,
        from: Uuid,
        to: Uuid,
        among: Option<&str>,
        with_keys: bool,
    ) -> Result<Sorted, IdentityError> {
        let values = [
            Value::Text(Some(account)),
            Value::Uuid(Some(from)),
            Value::Uuid(Some(to)),
            Value::Json(among),
            Value::Bool(with_keys),
        ];
        let found = as_role(self.owner, || {
            with_safe_search_path(|| rows.sort.run(Mode::Newest, &values))
        })?;
        Ok(Sorted {
            clashing: found.number(0, 1),
            clashing_keys: found.get(0, 2).unwrap_or_else(|| "[]".to_owned()),
            movable: found.number(0, 3),
            movable_keys: found.get(0, 4).unwrap_or_else(|| "[]".to_owned()),
        })
    }

    /// Moves the rows of a visitor that do not clash to another, and tells which they were. Errors: 55000 when a trigger
    /// of the application keeps a row where it is; 23505 when a row that clashes was committed meanwhile.
    pub fn move_rows(
        &self,
        rows: &VisitorRows,
        account: &str,
        from: Uuid,
        to: Uuid,
    ) -> Result<MovedRows, IdentityError> {
        let mut moved = Vec::new();
        let mut passes_for_nothing = 0;
        loop {
            let locked = self.lock_chats(account, from)?;
            if locked.count == 0 {
                return Ok(MovedRows { moved, kept: 0 });
            }
            let sorted = self.sort(rows, account, from, to, None, false)?;
            if sorted.movable == 0 {
                return Ok(MovedRows {
                    moved,
                    kept: sorted.clashing,
                });
            }
            if passes_for_nothing == MOST_PASSES_FOR_NOTHING {
                return Err(kept_by_a_trigger());
            }
            let values = [
                Value::Text(Some(account)),
                Value::Uuid(Some(from)),
                Value::Uuid(Some(to)),
                Value::Json(Some(&sorted.clashing_keys)),
            ];
            let keys = self.run_move(&values)?;
            passes_for_nothing = if keys.is_empty() {
                passes_for_nothing + 1
            } else {
                0
            };
            let all_moved = count_of(&keys) == sorted.movable;
            moved.extend(keys);
            // While a pass waits for a row, the transaction that held it may write another.
            if all_moved && !locked.waited {
                return Ok(MovedRows {
                    moved,
                    kept: sorted.clashing,
                });
            }
        }
    }

    fn run_move(&self, values: &[Value<'_>]) -> Result<Vec<MovedKeys>, IdentityError> {
        let rows = as_role(self.owner, || self.move_all.run(Mode::Newest, values))?;
        if !(0..rows.len()).all(|row| rows.truth(row, 1)) {
            return Err(kept_by_a_trigger());
        }
        let mut moved: Vec<MovedKeys> = Vec::new();
        for first in (0..rows.len()).step_by(KEYS_A_PART) {
            let past = rows.len().min(first + KEYS_A_PART);
            let mut keys = String::from("[");
            for row in first..past {
                if row > first {
                    keys.push(',');
                }
                self.columns.write_key(&rows, row, &mut keys)?;
            }
            keys.push(']');
            moved.push(MovedKeys {
                count: (past - first) as i64,
                keys,
            });
        }
        Ok(moved)
    }

    /// Puts rows of these keys that are still with `to` back to `from`, and counts them. A row that would clash with one
    /// that `from` has stays. Errors: as `move_rows`.
    pub fn put_rows_back(
        &self,
        rows: &VisitorRows,
        account: &str,
        from: Uuid,
        to: Uuid,
        keys: &str,
    ) -> Result<i64, IdentityError> {
        let sorted = self.sort(rows, account, to, from, Some(keys), false)?;
        let values = [
            Value::Text(Some(account)),
            Value::Uuid(Some(from)),
            Value::Uuid(Some(to)),
            Value::Json(Some(keys)),
            Value::Json(Some(&sorted.clashing_keys)),
        ];
        self.run_put_back(&values)
    }

    fn run_put_back(&self, values: &[Value<'_>]) -> Result<i64, IdentityError> {
        let rows = as_role(self.owner, || self.put_back.run(Mode::Newest, values))?;
        if rows.truth(0, 2) {
            Ok(rows.number(0, 1))
        } else {
            Err(kept_by_a_trigger())
        }
    }

    /// Whether rows of the account can be in this table.
    fn holds(&self, account: &str) -> bool {
        match &self.columns.account {
            AccountOf::Column(_) => true,
            AccountOf::Fixed(fixed) => fixed == account,
        }
    }

    /// How many chats (or rows) the visitor has here, counted up to `limit`.
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

    /// The chats of these visitors, in the order of their keys.
    pub fn chats_of(
        &self,
        account: &str,
        visitors: &[Uuid],
    ) -> Result<Vec<StoredChat>, IdentityError> {
        let values = [Value::Text(Some(account)), Value::Uuids(visitors)];
        let rows = as_role(self.owner, || self.chats.run(Mode::ReadOnly, &values))?;
        Ok((0..rows.len())
            .map(|row| StoredChat {
                logged_key: rows.get(row, 1).unwrap_or_default(),
                chat_key: rows.get(row, 2).unwrap_or_default(),
                visitor_id: rows.uuid(row, 3),
                origin_visitor_id: rows.uuid(row, 4),
                provided_visitor_id: rows.get(row, 5),
                channel: rows
                    .get(row, 6)
                    .zip(rows.get(row, 7))
                    .zip(rows.get(row, 8))
                    .map(|((channel_type, channel_id), user_id)| {
                        (channel_type, channel_id, user_id)
                    }),
            })
            .collect())
    }

    /// A key of the log as the search shows it: always an object.
    pub fn chat_key_of(&self, logged_key: &str) -> String {
        match self.columns.key.as_slice() {
            [column] => {
                let name = serde_json::Value::from(column.written_as.as_str());
                format!("{{{name}: {logged_key}}}")
            }
            _ => logged_key.to_owned(),
        }
    }

    /// Locks the visitor's chats, waiting for those that other transactions are changing.
    pub fn lock_chats(&self, account: &str, visitor: Uuid) -> Result<LockedRows, IdentityError> {
        self.lock
            .take([Value::Text(Some(account)), Value::Uuid(Some(visitor))])
    }

    /// The visitor's chats, to be locked by `lock_found`; up to `most` of them.
    pub fn find_chats(
        &self,
        account: &str,
        visitor: Uuid,
        most: i64,
    ) -> Result<Found, IdentityError> {
        let which = [Value::Text(Some(account)), Value::Uuid(Some(visitor))];
        self.lock.find(which, Some(most))
    }

    /// Locks the chats that were found. None: one was changed meanwhile, which above READ COMMITTED is 40001.
    pub fn lock_found(&self, found: &Found) -> Result<Option<LockedRows>, IdentityError> {
        self.lock.take_found(found)
    }

    /// Moves all chats of a visitor to another and tells which they were, in parts. `locked`: what of them is locked
    /// already, since the visitor is taken. Errors: 55000 when a trigger of the application keeps a row where it is: then
    /// nothing may be superseded.
    pub fn move_chats(
        &self,
        account: &str,
        from: Uuid,
        to: Uuid,
        locked: Option<LockedRows>,
    ) -> Result<Vec<MovedKeys>, IdentityError> {
        let values = [
            Value::Text(Some(account)),
            Value::Uuid(Some(from)),
            Value::Uuid(Some(to)),
        ];
        let mut moved = Vec::new();
        let mut passes_for_nothing = 0;
        let mut locked_before = locked.filter(|locked| !locked.waited);
        loop {
            let locked = match locked_before.take() {
                Some(locked) => locked,
                None => self.lock_chats(account, from)?,
            };
            if locked.count == 0 {
                return Ok(moved);
            }
            if passes_for_nothing == MOST_PASSES_FOR_NOTHING {
                return Err(kept_by_a_trigger());
            }
            let keys = self.run_move(&values)?;
            passes_for_nothing = if keys.is_empty() {
                passes_for_nothing + 1
            } else {
                0
            };
            let all_moved = count_of(&keys) == locked.count as i64;
            moved.extend(keys);
            // While a pass waits for a row, the transaction that held it may write another. Otherwise there is none: whoever
            // adds to the visitor, who is taken, waits for us, and whoever moves one of his rows to another partition has it.
            if all_moved && !locked.waited {
                return Ok(moved);
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
        self.run_put_back(&values)
    }
}

impl VisitorRows {
    fn new(clashes: &Clashes, name: &str, visitor: &str, of_visitor: &str, key: &str) -> Self {
        let clashes_here = condition(&clashes.unique, name, &clashes.all_columns, visitor);
        Self {
            on_clash: clashes.on_clash,
            may_clash: !clashes.unique.is_empty(),
            sort: Statement::over_table(format!(
                "select pg_catalog.count(*) filter (where f.clashes),
                    pg_catalog.jsonb_agg(f.key) filter (where f.clashes)::pg_catalog.text,
                    pg_catalog.count(*) filter (where not f.clashes),
                    pg_catalog.jsonb_agg(f.key) filter (where not f.clashes and $5)::pg_catalog.text
                from (
                    select {key} as key, ({clashes_here}) as clashes
                    from {name} as t
                    where {of_visitor}
                        and (
                            $4::pg_catalog.jsonb is null
                            or {key} operator(pg_catalog.=) any (
                                select k.value
                                from pg_catalog.jsonb_array_elements($4::pg_catalog.jsonb) as k (value)
                            )
                        )
                ) as f"
            )),
        }
    }
}

fn count_of(moved: &[MovedKeys]) -> i64 {
    moved.iter().map(|keys| keys.count).sum()
}

/// An UPDATE of an attached table and the queries that it needs before it.
struct Change<'a> {
    name: &'a str,
    columns: &'a Columns,
    of_account: &'a str,
    is_distributed: bool,
}

impl Change<'_> {
    /// Which rows are changed: `which` is a condition on the alias `t`. Of a distributed table the rows are chosen, and
    /// locked, by a query of their own: in an UPDATE Citus takes immutable functions only.
    fn text(&self, set: &str, which: &str, returning: &str) -> String {
        let name = self.name;
        if !self.is_distributed {
            return format!(
                "changed as (update {name} as t set {set} where {which} returning {returning})"
            );
        }
        let (mut chosen, mut same_key) = (Vec::new(), Vec::new());
        for ((_, reference, _), number) in self.columns.key_references().into_iter().zip(1..) {
            chosen.push(format!("{reference} as key{number}"));
            same_key.push(format!("{reference} operator(pg_catalog.=) w.key{number}"));
        }
        format!(
            "chosen as materialized (
                select {chosen}
                from {name} as t
                where {which}
                for update
            ), changed as (
                update {name} as t
                set {set}
                from chosen as w
                where {of_account}
                    and {same_key}
                returning {returning}
            )",
            chosen = chosen.join(", "),
            of_account = self.of_account,
            same_key = same_key.join(" and "),
        )
    }

    /// The statement that moves rows: whether each arrived, and its key, come back. Of a distributed table the key is
    /// written after RETURNING, where Citus takes immutable functions only.
    fn move_text(&self, set: &str, which: &str, visitor: &str) -> String {
        let references = self.columns.key_references();
        let arrived = format!("t.{visitor} operator(pg_catalog.=) $3");
        if !self.is_distributed {
            return format!(
                "update {name} as t
                set {set}
                where {which}
                returning {arrived}, {key}",
                name = self.name,
                key = self.columns.returned_key(&references),
            );
        }
        let mut returned = vec![format!("{arrived} as arrived")];
        let mut moved = Vec::new();
        for ((written_as, reference, is_instant), number) in references.into_iter().zip(1..) {
            returned.push(format!("{reference} as key{number}"));
            moved.push((written_as, format!("m.key{number}"), is_instant));
        }
        format!(
            "with {changed}
            select m.arrived, {key}
            from changed as m",
            changed = self.text(set, which, &returned.join(", ")),
            key = self.columns.returned_key(&moved),
        )
    }

    /// The statement that puts rows back and counts them.
    fn put_back_text(&self, visitor: &str, which: &str) -> String {
        let changed = self.text(
            &format!("{visitor} = $2"),
            which,
            &format!("t.{visitor} operator(pg_catalog.=) $2 as arrived"),
        );
        format!(
            "with {changed}
            select pg_catalog.count(*), coalesce(pg_catalog.bool_and(b.arrived), true)
            from changed as b"
        )
    }
}

pub(super) fn not_attached() -> IdentityError {
    IdentityError::not_in_state(
        "the table is not attached",
        "A trigger of visitor_identity runs on a table that visitor_identity.attached_table does not list.",
        "Call visitor_identity.attach_chat_table, or drop the trigger.",
    )
}

pub(super) fn kept_by_a_trigger() -> IdentityError {
    IdentityError::not_in_state(
        "a trigger of an attached table keeps a chat from being rebound",
        "After the UPDATE the row was not with the visitor that it was given.",
        "Let the table's own triggers accept the new value of the visitor column.",
    )
}
