//! Attaches an application's chat table and takes an attachment back: checks, triggers, views. What holds for every
//! attached table is here too.
//! May touch: the catalog, `attached_table`, and the table, its triggers and views, with the rights of its owner.

use super::clash::OnClash;
use super::distribute::{check_attachable, list_attached};
use super::distributed::is_distributed;
use super::policy::{cached, changes, keep, policy};
use super::spi::{as_role, connect, current_user, is_read_only, Mode, Rows, Statement, Value};
use super::statement;
use crate::error::IdentityError;
use crate::settings::effective_account;
use pgrx::pg_sys;
use pgrx::spi::{quote_identifier, quote_literal, quote_qualified_identifier};

/// Names of the columns as the caller gave them; NULL: not there.
pub struct Names {
    pub visitor_id: Option<String>,
    pub provided_visitor_id: Option<String>,
    pub channel_type: Option<String>,
    pub channel_id: Option<String>,
    pub channel_user_id: Option<String>,
    pub account: Option<String>,
    pub opened_at: Option<String>,
    pub closed_at: Option<String>,
    pub origin_visitor_id: Option<String>,
}

/// The columns of a view that stand for the identifiers, in place of columns of the same names.
const SHOWN: [&str; 6] = [
    "visitor_id",
    "origin_visitor_id",
    "provided_visitor_id",
    "channel_type",
    "channel_id",
    "channel_user_id",
];

/// PostgreSQL's limit for a name, in bytes.
const LONGEST_NAME: usize = 63;

statement!(
    RELATION,
    "select c.relowner, n.nspname::pg_catalog.text, c.relname::pg_catalog.text,
        c.relkind operator(pg_catalog.=) any ('{r,p}'::pg_catalog.\"char\"[]),
        c.relispartition,
        c.relpersistence operator(pg_catalog.=) 't'::pg_catalog.\"char\",
        n.nspname operator(pg_catalog.=) any (
            '{pg_catalog,information_schema,visitor_identity}'::pg_catalog.name[]
        ),
        c.relkind operator(pg_catalog.=) 'p'::pg_catalog.\"char\"
    from pg_catalog.pg_class as c
    join pg_catalog.pg_namespace as n on n.oid operator(pg_catalog.=) c.relnamespace
    where c.oid operator(pg_catalog.=) $1"
);

statement!(
    COLUMNS,
    "select a.attname::pg_catalog.text,
        a.atttypid,
        a.attnum::pg_catalog.int4,
        a.attgenerated operator(pg_catalog.<>) ''::pg_catalog.\"char\",
        (
            select pg_catalog.format('%I.%I', n.nspname, l.collname)
            from pg_catalog.pg_collation as l
            join pg_catalog.pg_namespace as n on n.oid operator(pg_catalog.=) l.collnamespace
            where l.oid operator(pg_catalog.=) a.attcollation
        )
    from pg_catalog.pg_attribute as a
    where a.attrelid operator(pg_catalog.=) $1
        and a.attnum operator(pg_catalog.>) 0
        and not a.attisdropped
    order by a.attnum"
);

// Which column positions lead an index, which unique ones contain the visitor column.
statement!(
    INDEXES,
    "select i.indisprimary, i.indisunique,
        i.indpred is null and i.indisvalid,
        (
            select pg_catalog.array_agg(k.attnum::pg_catalog.int8 order by k.position)
            from pg_catalog.unnest(i.indkey) with ordinality as k (attnum, position)
            where k.position operator(pg_catalog.<=) i.indnkeyatts
        )
    from pg_catalog.pg_index as i
    where i.indrelid operator(pg_catalog.=) $1"
);

// A partition key at any level that names the column, as a plain column or inside an expression.
statement!(
    PARTITION_KEYS,
    "select exists (
        select 1
        from pg_catalog.pg_partition_tree($1::pg_catalog.regclass) as p
        join pg_catalog.pg_partitioned_table as t
            on t.partrelid operator(pg_catalog.=) p.relid::pg_catalog.oid
        join pg_catalog.pg_attribute as a
            on a.attrelid operator(pg_catalog.=) t.partrelid
            and a.attname::pg_catalog.text operator(pg_catalog.=) any (array[$2, $3])
        where a.attnum operator(pg_catalog.=) any (t.partattrs::pg_catalog.int2[])
            or exists (
                select 1
                from pg_catalog.pg_depend as d
                where d.classid operator(pg_catalog.=) 'pg_catalog.pg_class'::pg_catalog.regclass::pg_catalog.oid
                    and d.objid operator(pg_catalog.=) t.partrelid
                    and d.objsubid operator(pg_catalog.=) 0
                    and d.refobjid operator(pg_catalog.=) t.partrelid
                    and d.refobjsubid operator(pg_catalog.=) a.attnum::pg_catalog.int4
                    and t.partexprs is not null
            )
    )"
);

statement!(
    ATTACHED,
    "select t.history_view::pg_catalog.oid, t.workspace_view::pg_catalog.oid, t.added_origin,
        t.origin_column::pg_catalog.text
    from visitor_identity.attached_table as t
    where t.attached operator(pg_catalog.=) $1"
);

statement!(
    REMEMBER,
    "insert into visitor_identity.attached_table (
        attached, visitor_column, provided_column, channel_type_column, channel_id_column,
        channel_user_column, account_column, opened_at_column, closed_at_column, origin_column,
        closed_when, fixed_account, added_origin, history_view, workspace_view, kind, on_clash,
        key_columns
    )
    values ($1::pg_catalog.regclass, $2::pg_catalog.name, $3::pg_catalog.name, $4::pg_catalog.name,
        $5::pg_catalog.name, $6::pg_catalog.name, $7::pg_catalog.name, $8::pg_catalog.name,
        $9::pg_catalog.name, $10::pg_catalog.name, $11, $12, $13,
        $14::pg_catalog.oid::pg_catalog.regclass, $15::pg_catalog.oid::pg_catalog.regclass, $16, $17, (
            select pg_catalog.array_agg(a.attname order by k.position)
            from pg_catalog.pg_index as i
            cross join pg_catalog.unnest(i.indkey) with ordinality as k (attnum, position)
            join pg_catalog.pg_attribute as a
                on a.attrelid operator(pg_catalog.=) i.indrelid
                and a.attnum operator(pg_catalog.=) k.attnum
            where i.indrelid operator(pg_catalog.=) $1
                and i.indisprimary
        ))"
);

// Tables that were dropped without being detached.
statement!(
    FORGET_DROPPED,
    "delete from visitor_identity.attached_table as t
    where not exists (
        select 1
        from pg_catalog.pg_class as c
        where c.oid operator(pg_catalog.=) t.attached
    )"
);

statement!(
    FORGET,
    "delete from visitor_identity.attached_table as t
    where t.attached operator(pg_catalog.=) $1"
);

statement!(
    OWNER_OF_EXTENSION,
    "select c.relowner
    from pg_catalog.pg_class as c
    join pg_catalog.pg_namespace as n on n.oid operator(pg_catalog.=) c.relnamespace
    where n.nspname operator(pg_catalog.=) 'visitor_identity'::pg_catalog.name
        and c.relname operator(pg_catalog.=) 'attached_table'::pg_catalog.name"
);

statement!(
    ROLE_NAME,
    "select pg_catalog.pg_get_userbyid($1)::pg_catalog.text"
);

// By the function that they call: a DBA may have renamed them.
statement!(
    TRIGGERS,
    "select t.tgname::pg_catalog.text
    from pg_catalog.pg_trigger as t
    join pg_catalog.pg_proc as p on p.oid operator(pg_catalog.=) t.tgfoid
    join pg_catalog.pg_namespace as n on n.oid operator(pg_catalog.=) p.pronamespace
    where t.tgrelid operator(pg_catalog.=) $1
        and n.nspname operator(pg_catalog.=) 'visitor_identity'::pg_catalog.name
        and not t.tgisinternal
    order by t.tgname"
);

statement!(
    NAME_OF,
    "select n.nspname::pg_catalog.text, c.relname::pg_catalog.text
    from pg_catalog.pg_class as c
    join pg_catalog.pg_namespace as n on n.oid operator(pg_catalog.=) c.relnamespace
    where c.oid operator(pg_catalog.=) $1"
);

statement!(
    OID_OF,
    "select c.oid
    from pg_catalog.pg_class as c
    join pg_catalog.pg_namespace as n on n.oid operator(pg_catalog.=) c.relnamespace
    where n.nspname operator(pg_catalog.=) $1::pg_catalog.name
        and c.relname operator(pg_catalog.=) $2::pg_catalog.name"
);

/// The role that owns the extension's tables, and so may write them. Kept: a new owner of the table that is asked for
/// empties the cache.
pub fn owner_of_extension() -> Result<pg_sys::Oid, IdentityError> {
    if let Some(owner) = cached(|cache| cache.extension_owner)? {
        return Ok(owner);
    }
    let as_of = changes();
    let owner = OWNER_OF_EXTENSION
        .with(|statement| statement.run(Mode::NewestReadOnly, &[]))?
        .get(0, 1)
        .ok_or_else(|| IdentityError::Internal("the extension's tables are gone".into()))?;
    keep(as_of, |cache| cache.extension_owner = Some(owner));
    Ok(owner)
}

fn execute(text: String) -> Result<(), IdentityError> {
    Statement::over_table(text).run(Mode::Write, &[])?;
    Ok(())
}

/// A table with what the catalog says of it.
pub(super) struct Table {
    pub(super) relation: pg_sys::Oid,
    pub(super) owner: pg_sys::Oid,
    schema: String,
    name: String,
    is_partitioned: bool,
    columns: Vec<Column>,
}

pub(super) struct Column {
    pub(super) name: String,
    base_type: pg_sys::Oid,
    number: i64,
    is_generated: bool,
    collation: Option<String>,
}

impl Table {
    pub(super) fn quoted(&self) -> String {
        quote_qualified_identifier(&self.schema, &self.name)
    }

    pub(super) fn has_column(&self, name: &str) -> bool {
        self.column(name).is_some()
    }

    fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == name)
    }

    /// The column of an argument: its own default name is skipped when there is no such column, another name is not.
    fn named(
        &self,
        name: &Option<String>,
        default: &str,
    ) -> Result<Option<&Column>, IdentityError> {
        let Some(name) = name else { return Ok(None) };
        match self.column(name) {
            Some(column) => Ok(Some(column)),
            None if name == default => Ok(None),
            None => Err(IdentityError::UnknownColumn {
                table: self.quoted(),
                column: name.clone(),
            }),
        }
    }
}

/// Reads a table that the caller may attach or detach. Errors: 42501 for another's table, 55000 for what is no table.
pub(super) fn own_table(relation: Option<pg_sys::Oid>) -> Result<Table, IdentityError> {
    let no_table = || {
        IdentityError::not_in_state(
            "not a table that can be attached",
            "It is NULL, or not a plain or partitioned table of the application.",
            "Name the table itself, for instance 'chat.chat'.",
        )
    };
    let relation = relation.ok_or_else(no_table)?;
    let values = [Value::Oid(relation)];
    let rows = RELATION.with(|statement| statement.run(Mode::Write, &values))?;
    let (Some(owner), Some(schema), Some(name)) = (
        rows.get::<pg_sys::Oid>(0, 1),
        rows.get(0, 2),
        rows.get(0, 3),
    ) else {
        return Err(no_table());
    };
    let columns = COLUMNS.with(|statement| statement.run(Mode::Write, &values))?;
    let table = Table {
        relation,
        owner,
        schema,
        name,
        is_partitioned: rows.truth(0, 8),
        columns: (0..columns.len())
            .filter_map(|row| {
                Some(Column {
                    name: columns.get(row, 1)?,
                    // SAFETY: the oid of a type, inside a transaction.
                    base_type: unsafe { pg_sys::getBaseType(columns.get(row, 2)?) },
                    number: i64::from(columns.get::<i32>(row, 3)?),
                    is_generated: columns.truth(row, 4),
                    collation: columns.get(row, 5),
                })
            })
            .collect(),
    };
    // SAFETY: two role oids, inside a transaction.
    if !unsafe { pg_sys::has_privs_of_role(current_user(), owner) } {
        return Err(IdentityError::NotTableOwner(table.quoted()));
    }
    let (is_table, is_partition, is_temporary, is_ours) = (
        rows.truth(0, 4),
        rows.truth(0, 5),
        rows.truth(0, 6),
        rows.truth(0, 7),
    );
    if !is_table || is_ours || is_temporary {
        return Err(no_table());
    }
    if is_partition {
        return Err(IdentityError::not_in_state(
            "a partition cannot be attached by itself",
            "The triggers of a partitioned table reach all its partitions.",
            "Attach the partitioned table.",
        ));
    }
    Ok(table)
}

/// Everything about an attachment that the checks have found.
struct Attachment<'a> {
    table: &'a Table,
    visitor: &'a str,
    /// Whether an index leads with the visitor column, and not with the account before it.
    visitor_leads: bool,
    origin: String,
    add_origin: bool,
    provided: Option<&'a str>,
    channel_type: Option<&'a str>,
    channel_id: Option<&'a str>,
    channel_user: Option<&'a str>,
    account: Option<&'a str>,
    fixed_account: Option<String>,
    opened_at: Option<&'a str>,
    closed_at: Option<&'a str>,
    closed_when: Option<&'a str>,
}

/// A table that the caller may attach and that is not attached yet, and the extension's owner. Errors: 25006, 42501,
/// 55000.
pub(super) fn table_to_attach(
    relation: Option<pg_sys::Oid>,
) -> Result<(pg_sys::Oid, Table), IdentityError> {
    if is_read_only() {
        return Err(IdentityError::ReadOnlySetup);
    }
    let extension_owner = owner_of_extension()?;
    let table = own_table(relation)?;
    let attached = as_role(extension_owner, || {
        ATTACHED.with(|statement| statement.run(Mode::Write, &[Value::Oid(table.relation)]))
    })?;
    if attached.len() > 0 {
        return Err(IdentityError::not_in_state(
            "the table is attached already",
            "visitor_identity.attached_table lists it.",
            "Call visitor_identity.detach_table first to attach it with other columns.",
        ));
    }
    Ok((extension_owner, table))
}

/// `attach_chat_table`. Errors: 25006, 42501, 42703, 42704 and 55000, each before anything is changed.
pub fn attach(
    relation: Option<pg_sys::Oid>,
    names: &Names,
    closed_when: Option<&str>,
    fixed_account: Option<&str>,
) -> Result<(), IdentityError> {
    connect(|| {
        let (extension_owner, table) = table_to_attach(relation)?;
        let attachment = check(&table, names, closed_when, fixed_account)?;
        check_attachable(table.relation, attachment.account)?;
        as_role(extension_owner, || {
            policy_exists(attachment.fixed_account.as_deref())?;
            grant_to_owner(
                table.owner,
                extension_owner,
                &[
                    TRIGGER_RIGHTS,
                    "select on visitor_identity.provided_identity",
                    "insert on visitor_identity.backfill_queue",
                ],
            )
        })?;
        let views = as_role(table.owner, || {
            if attachment.add_origin {
                execute(format!(
                    "alter table {} add column {} pg_catalog.uuid",
                    table.quoted(),
                    quote_identifier(&attachment.origin)
                ))?;
            }
            if !is_distributed()? {
                create_triggers(&attachment)?;
            }
            create_views(&attachment)
        })?;
        as_role(extension_owner, || remember(&attachment, &views))?;
        hints(&attachment)
    })
}

pub(super) fn policy_exists(fixed_account: Option<&str>) -> Result<(), IdentityError> {
    match fixed_account {
        Some(account) => policy(account).map(|_| ()),
        None => Ok(()),
    }
}

fn of_type(column: &Column, types: &[pg_sys::Oid], wanted: &str) -> Result<(), IdentityError> {
    if types.contains(&column.base_type) {
        return Ok(());
    }
    Err(IdentityError::not_in_state(
        &format!(
            "column {} is not of type {wanted}",
            quote_identifier(&column.name)
        ),
        "Visitors are uuids, and the times of a chat are dates or timestamps.",
        "Change the column's type, or name another column.",
    ))
}

/// The column of the visitor. Errors: 42703, 55000.
pub(super) fn visitor_column<'a>(
    table: &'a Table,
    name: &Option<String>,
) -> Result<&'a Column, IdentityError> {
    let visitor = name
        .as_ref()
        .and_then(|name| table.column(name))
        .ok_or_else(|| IdentityError::UnknownColumn {
            table: table.quoted(),
            column: name.clone().unwrap_or_default(),
        })?;
    of_type(visitor, &[pg_sys::UUIDOID], "uuid")?;
    Ok(visitor)
}

/// Whose rows the table holds: the column that says so, or else one account. Errors: 42501, 42703.
pub(super) fn account_of<'a>(
    table: &'a Table,
    name: &Option<String>,
    fixed_account: Option<&str>,
) -> Result<(Option<&'a Column>, Option<String>), IdentityError> {
    let account = match fixed_account {
        Some(_) => None,
        None => table.named(name, "account")?,
    };
    let fixed_account = match account {
        Some(_) => None,
        None => Some(effective_account(fixed_account)?),
    };
    Ok((account, fixed_account))
}

/// Errors: 55000 when the table is partitioned by one of the columns.
pub(super) fn check_partition_key(
    table: &Table,
    visitor: &str,
    origin: &str,
) -> Result<(), IdentityError> {
    let keys = [
        Value::Oid(table.relation),
        Value::Text(Some(visitor)),
        Value::Text(Some(origin)),
    ];
    let by_visitor = PARTITION_KEYS.with(|statement| statement.run(Mode::Write, &keys))?;
    if by_visitor.truth(0, 1) {
        return Err(IdentityError::not_in_state(
            "the table is partitioned by its visitor column",
            "A row cannot change its partition while it is being inserted, so no visitor could be assigned.",
            "Partition by account, by time or by the chat's own key.",
        ));
    }
    Ok(())
}

/// Errors: 55000 for a column that the triggers could not read, or an account with blanks at its end.
pub(super) fn check_columns(
    table: &Table,
    read: &[Option<&str>],
    account: Option<&Column>,
) -> Result<(), IdentityError> {
    for column in read.iter().flatten().filter_map(|name| table.column(name)) {
        if column.is_generated {
            return Err(IdentityError::not_in_state(
                &format!("column {} is generated", quote_identifier(&column.name)),
                "Its value is computed after the row's visitor is decided.",
                "Name an ordinary column, or fill one by a trigger.",
            ));
        }
    }
    if let Some(column) = account.filter(|column| column.base_type == pg_sys::BPCHAROID) {
        return Err(IdentityError::not_in_state(
            &format!(
                "column {} is of type character",
                quote_identifier(&column.name)
            ),
            "Blanks at its end would be a part of the account's name.",
            "Change its type to text.",
        ));
    }
    Ok(())
}

fn check<'a>(
    table: &'a Table,
    names: &'a Names,
    closed_when: Option<&'a str>,
    fixed_account: Option<&'a str>,
) -> Result<Attachment<'a>, IdentityError> {
    let visitor = visitor_column(table, &names.visitor_id)?;
    let origin_name = names
        .origin_visitor_id
        .clone()
        .unwrap_or_else(|| "origin_visitor_id".to_owned());
    let origin = table.column(&origin_name);
    if let Some(origin) = origin {
        of_type(origin, &[pg_sys::UUIDOID], "uuid")?;
    }
    let times = [
        pg_sys::TIMESTAMPTZOID,
        pg_sys::TIMESTAMPOID,
        pg_sys::DATEOID,
    ];
    let opened_at = table.named(&names.opened_at, "opened_at")?;
    let closed_at = table.named(&names.closed_at, "closed_at")?;
    for column in [opened_at, closed_at].into_iter().flatten() {
        of_type(column, &times, "timestamp with time zone")?;
    }
    let (account, fixed_account) = account_of(table, &names.account, fixed_account)?;
    check_partition_key(table, &visitor.name, &origin_name)?;
    let indexes = check_indexes(table, visitor, account)?;
    check_no_clash(visitor, &indexes.unique)?;
    if let Some(condition) = closed_when {
        check_condition(condition)?;
    }
    let optional = |name: &Option<String>, default| {
        table
            .named(name, default)
            .map(|column| column.map(|column| column.name.as_str()))
    };
    let attachment = Attachment {
        table,
        visitor: &visitor.name,
        visitor_leads: indexes.visitor_leads,
        add_origin: origin.is_none(),
        origin: origin_name,
        provided: optional(&names.provided_visitor_id, "provided_visitor_id")?,
        channel_type: optional(&names.channel_type, "channel_type")?,
        channel_id: optional(&names.channel_id, "channel_id")?,
        channel_user: optional(&names.channel_user_id, "channel_user_id")?,
        account: account.map(|column| column.name.as_str()),
        fixed_account,
        opened_at: opened_at.map(|column| column.name.as_str()),
        closed_at: closed_at.map(|column| column.name.as_str()),
        closed_when,
    };
    let read = [
        Some(attachment.visitor),
        Some(attachment.origin.as_str()),
        attachment.provided,
        attachment.channel_type,
        attachment.channel_id,
        attachment.channel_user,
        attachment.account,
    ];
    check_columns(table, &read, account)?;
    Ok(attachment)
}

/// What the indexes of a table say of its visitor column.
pub(super) struct Indexes {
    /// The columns of every unique index.
    unique: Vec<Vec<i64>>,
    /// Whether one leads with the visitor column, and not with the account before it.
    visitor_leads: bool,
}

/// A primary key names the rows that moved; an index by visitor makes the move independent of the table's size. Errors:
/// 55000.
pub(super) fn check_indexes(
    table: &Table,
    visitor: &Column,
    account: Option<&Column>,
) -> Result<Indexes, IdentityError> {
    let rows: Rows =
        INDEXES.with(|statement| statement.run(Mode::Write, &[Value::Oid(table.relation)]))?;
    let mut has_key = false;
    let mut has_visitor_index = false;
    let mut visitor_leads = false;
    let mut unique: Vec<Vec<i64>> = Vec::new();
    for row in 0..rows.len() {
        let columns: Vec<i64> = rows.get(row, 4).unwrap_or_default();
        has_key |= rows.truth(row, 1);
        let is_first = columns.first() == Some(&visitor.number);
        let is_second = match (columns.first(), columns.get(1), account) {
            (Some(first), Some(second), Some(account)) => {
                *first == account.number && *second == visitor.number
            }
            _ => false,
        };
        visitor_leads |= is_first && rows.truth(row, 3);
        has_visitor_index |= (is_first || is_second) && rows.truth(row, 3);
        if rows.truth(row, 2) {
            unique.push(columns);
        }
    }
    let name = table.quoted();
    if !has_key {
        return Err(IdentityError::not_in_state(
            "the table has no primary key",
            "The log of rebindings names the rows that moved by their primary key.",
            &format!("Add one: alter table {name} add primary key (...)."),
        ));
    }
    if !has_visitor_index {
        let visitor = quote_identifier(&visitor.name);
        return Err(IdentityError::not_in_state(
            "the table has no index that leads with the visitor column",
            "A rebinding would read the whole table.",
            &format!("Create one: create index concurrently on {name} ({visitor})."),
        ));
    }
    Ok(Indexes {
        unique,
        visitor_leads,
    })
}

/// A unique index over the visitor column would make a rebinding, and so a login, fail on a clash of chats.
fn check_no_clash(visitor: &Column, unique: &[Vec<i64>]) -> Result<(), IdentityError> {
    let clashes = unique.iter().any(|columns| {
        columns.contains(&visitor.number)
            && !unique.iter().any(|other| {
                !other.contains(&visitor.number)
                    && other.iter().all(|column| columns.contains(column))
            })
    });
    if clashes {
        return Err(IdentityError::not_in_state(
            "a unique index of the table contains the visitor column",
            "Rows of two visitors could clash when one is rebound to the other, and the login would fail.",
            "Drop the uniqueness, or keep such rows in a table of their own.",
        ));
    }
    Ok(())
}

/// Refuses whatever is not one expression: the text becomes part of two view definitions. Errors: 42601 from the
/// parser, 55000 otherwise.
fn check_condition(condition: &str) -> Result<(), IdentityError> {
    let refusal = || {
        IdentityError::not_in_state(
            "closed_when is not one SQL condition",
            "It is the text of a condition over the table's columns, as after WHERE.",
            "For instance: closed_when => $$state = 'closed'$$.",
        )
    };
    // By itself and in parentheses: the first excludes what would close the parentheses, the second what only a select
    // list may hold.
    for text in [
        format!("select\n{condition}\n"),
        format!("select (\n{condition}\n)"),
    ] {
        let text = std::ffi::CString::new(text).map_err(|_| refusal())?;
        if !selects_one_expression(&text) {
            return Err(refusal());
        }
    }
    Ok(())
}

/// Whether a text is one SELECT of one expression and nothing else. Errors: 42601 from the parser.
fn selects_one_expression(text: &std::ffi::CStr) -> bool {
    // SAFETY: raw_parser takes any NUL-terminated text and raises an error for what it cannot parse; the nodes are
    // read as what their tags say they are.
    unsafe {
        let list = pg_sys::raw_parser(text.as_ptr(), pg_sys::RawParseMode::RAW_PARSE_DEFAULT);
        if list.is_null() || (*list).length != 1 {
            return false;
        }
        let statement = (*(*list).elements).ptr_value as *mut pg_sys::RawStmt;
        let node = (*statement).stmt;
        if (*node).type_ != pg_sys::NodeTag::T_SelectStmt {
            return false;
        }
        let select = &*(node as *mut pg_sys::SelectStmt);
        !select.targetList.is_null()
            && (*select.targetList).length == 1
            && select.op == pg_sys::SetOperation::SETOP_NONE
            && select.fromClause.is_null()
            && select.whereClause.is_null()
            && select.groupClause.is_null()
            && select.havingClause.is_null()
            && select.windowClause.is_null()
            && select.valuesLists.is_null()
            && select.sortClause.is_null()
            && select.limitOffset.is_null()
            && select.limitCount.is_null()
            && select.lockingClause.is_null()
            && select.withClause.is_null()
            && select.intoClause.is_null()
            && select.distinctClause.is_null()
    }
}

/// What the owner of an attached table needs to have its triggers.
pub(super) const TRIGGER_RIGHTS: &str = "execute on function visitor_identity.chat_row_before(), visitor_identity.chat_row_after(), visitor_identity.chat_row_leaves()";

/// The views read the bound provided ids, and the triggers are created, with the rights of the table's owner.
pub(super) fn grant_to_owner(
    owner: pg_sys::Oid,
    extension_owner: pg_sys::Oid,
    rights: &[&str],
) -> Result<(), IdentityError> {
    // SAFETY: a role oid, inside a transaction.
    if owner == extension_owner || unsafe { pg_sys::superuser_arg(owner) } {
        return Ok(());
    }
    let role = ROLE_NAME
        .with(|statement| statement.run(Mode::Write, &[Value::Oid(owner)]))?
        .get::<String>(0, 1)
        .map(quote_identifier)
        .ok_or_else(|| IdentityError::Internal("the table's owner is gone".into()))?;
    for right in rights {
        execute(format!("grant {right} to {role}"))?;
    }
    Ok(())
}

fn any_changed(columns: &[String]) -> String {
    columns
        .iter()
        .map(|column| format!("old.{column} is distinct from new.{column}"))
        .collect::<Vec<_>>()
        .join(" or ")
}

/// The triggers that every attached table has. `guarded`: its columns, quoted, in the order in which the view
/// visitor_identity.attachment reads them back; `on_insert`: which new rows are looked at.
pub(super) fn create_row_triggers(
    table: &Table,
    guarded: &[String],
    on_insert: &str,
) -> Result<(), IdentityError> {
    let name = table.quoted();
    execute(format!(
        "create trigger visitor_identity_columns
        before update of {} on {name}
        for each row
        when (false)
        execute function visitor_identity.chat_row_before()",
        guarded.join(", ")
    ))?;
    execute(format!(
        "comment on trigger visitor_identity_columns on {name} is
        'Never fires. Lists the columns of the attachment, so that it follows when one is renamed.'"
    ))?;
    execute(format!(
        "create trigger visitor_identity_before_insert
        before insert on {name}
        for each row {on_insert} execute function visitor_identity.chat_row_before()"
    ))?;
    // Without a list of columns: such a list does not see what another BEFORE trigger has changed.
    execute(format!(
        "create trigger visitor_identity_before_update
        before update on {name}
        for each row
        when ({})
        execute function visitor_identity.chat_row_before()",
        any_changed(guarded)
    ))?;
    if table.is_partitioned {
        execute(format!(
            "create trigger visitor_identity_before_delete
            before delete on {name}
            for each row execute function visitor_identity.chat_row_leaves()"
        ))?;
    }
    Ok(())
}

fn create_triggers(attachment: &Attachment<'_>) -> Result<(), IdentityError> {
    let table = attachment.table.quoted();
    let quoted = |name: &str| quote_identifier(name);
    let identifiers: Vec<String> = [
        attachment.provided,
        attachment.channel_type,
        attachment.channel_id,
        attachment.channel_user,
    ]
    .into_iter()
    .flatten()
    .map(quoted)
    .collect();
    let mut guarded = vec![quoted(attachment.visitor), quoted(&attachment.origin)];
    guarded.extend(attachment.account.map(quoted));
    guarded.extend(identifiers.iter().cloned());
    create_row_triggers(attachment.table, &guarded, "")?;
    if identifiers.is_empty() {
        return Ok(());
    }
    // A row with an origin other than its visitor is one that moves between partitions: its AFTER is an INSERT.
    let visitor = quoted(attachment.visitor);
    let origin = quoted(&attachment.origin);
    let mut interesting = vec![format!("new.{origin} is distinct from new.{visitor}")];
    interesting.extend(
        attachment
            .provided
            .map(|column| format!("new.{} is not null", quoted(column))),
    );
    execute(format!(
        "create trigger visitor_identity_after_insert
        after insert on {table}
        for each row
        when ({})
        execute function visitor_identity.chat_row_after()",
        interesting.join(" or ")
    ))?;
    execute(format!(
        "create trigger visitor_identity_after_update
        after update on {table}
        for each row
        when ({})
        execute function visitor_identity.chat_row_after()",
        any_changed(&identifiers)
    ))
}

/// A name for a view beside the table, cut to PostgreSQL's limit without losing the suffix.
fn view_name(table: &str, suffix: &str) -> String {
    let room = LONGEST_NAME.saturating_sub(suffix.len());
    let base: String = table
        .char_indices()
        .take_while(|(start, character)| start + character.len_utf8() <= room)
        .map(|(_, character)| character)
        .collect();
    format!("{base}{suffix}")
}

struct Views {
    history: pg_sys::Oid,
    workspace: pg_sys::Oid,
}

fn create_views(attachment: &Attachment<'_>) -> Result<Views, IdentityError> {
    let (closed, open) = match (attachment.closed_when, attachment.closed_at) {
        (Some(condition), _) => (
            format!("(\n{condition}\n) is true"),
            format!("(\n{condition}\n) is not true"),
        ),
        // As a partial index would say it.
        (None, Some(column)) => {
            let column = quote_identifier(column);
            (
                format!("c.{column} is not null"),
                format!("c.{column} is null"),
            )
        }
        // A table that does not tell closed chats from open ones: History shows every chat.
        (None, None) => ("true".to_owned(), "false".to_owned()),
    };
    Ok(Views {
        history: create_view(attachment, "_history", &closed)?,
        workspace: create_view(attachment, "_workspace", &open)?,
    })
}

/// One view: every chat beside the provided id that is shown for it. In one piece, so that whichever identifier a filter
/// names, the chats are read once: a filter on the provided id makes the outer join an inner one, which begins with the
/// identity; any other begins with the chats. The visitors are joined by `= any (array[…])` both ways, because that is
/// looked up in an index and never hashed, and by a range besides, for which PostgreSQL guesses fewer rows: a filter reads
/// no whole table, also before anything was analyzed. The accounts are joined in the collation of neither side's index,
/// which is for Citus: it sends a join to the nodes only if it reads of equal distribution columns.
fn create_view(
    attachment: &Attachment<'_>,
    suffix: &str,
    condition: &str,
) -> Result<pg_sys::Oid, IdentityError> {
    let table = attachment.table;
    let name = view_name(&table.name, suffix);
    let quoted_name = quote_qualified_identifier(&table.schema, &name);
    let visitor = format!("c.{}", quote_identifier(attachment.visitor));
    let account = match (attachment.account, attachment.fixed_account.as_deref()) {
        (Some(column), _) => format!("c.{}::pg_catalog.text", quote_identifier(column)),
        (None, fixed) => format!(
            "{}::pg_catalog.text",
            quote_literal(fixed.unwrap_or_default())
        ),
    };
    let own = attachment.provided.map_or_else(
        || "null::pg_catalog.text".to_owned(),
        |column| {
            format!(
                "(visitor_identity.normalize_provided_visitor_id(c.{}::pg_catalog.text) collate pg_catalog.\"C\")",
                quote_identifier(column)
            )
        },
    );
    // Said once more in the collation of the table's column, so that an index of the table by account and visitor can be
    // used; where one leads with the visitor, another by account is not to be mixed in.
    let of_table_account = attachment
        .account
        .filter(|_| !attachment.visitor_leads)
        .and_then(|name| table.column(name))
        .filter(|column| [pg_sys::TEXTOID, pg_sys::VARCHAROID].contains(&column.base_type))
        .and_then(|column| Some((&column.name, column.collation.as_ref()?)))
        .map_or_else(String::new, |(name, collation)| {
            format!(
                "
    and c.{}::pg_catalog.text operator(pg_catalog.=) any (array[p.identity_account collate {collation}])",
                quote_identifier(name)
            )
        });
    // Of the provided ids of the visitor: the row's own if it is one of them, else the first. The columns of the identity
    // have names of their own, so that closed_when may say created_at and mean the table's.
    execute(format!(
        "create view {quoted_name} with (security_barrier = true) as
select {columns}
from {table} as c
left join visitor_identity.provided_identity
    as p (identity_account, identity_provided, identity_visitor, identity_verified, identity_created)
    on p.identity_account operator(pg_catalog.=) any (array[{account} collate pg_catalog.\"C\"])
    and p.identity_account operator(pg_catalog.=) ({account} collate pg_catalog.\"POSIX\")
    and p.identity_visitor operator(pg_catalog.=) any (array[{visitor}])
    and {visitor} operator(pg_catalog.=) any (array[p.identity_visitor])
    and {visitor} operator(pg_catalog.>=) p.identity_visitor
    and {visitor} operator(pg_catalog.<=) p.identity_visitor{of_table_account}
    and (
        p.identity_provided operator(pg_catalog.=) {own}
        or not exists (
            select 1
            from visitor_identity.provided_identity as e
            where e.account operator(pg_catalog.=) p.identity_account
                and e.visitor_id operator(pg_catalog.=) p.identity_visitor
                and (
                    e.provided_visitor_id operator(pg_catalog.=) {own}
                    or e.created_at operator(pg_catalog.<) p.identity_created
                    or (
                        e.created_at operator(pg_catalog.=) p.identity_created
                        and e.provided_visitor_id operator(pg_catalog.<) p.identity_provided
                    )
                )
        )
    )
where {condition}
    and visitor_identity.account_is_visible({account})",
        columns = shown_columns(attachment, "p.identity_provided").join(",\n    "),
        table = table.quoted(),
    ))?;
    execute(format!(
        "comment on view {quoted_name} is {}",
        quote_literal(format!(
            "The {} chats of {} as visitor_identity shows them: visitor_id is canonical, provided_visitor_id is the row's own or its visitor's.",
            if suffix == "_history" { "closed" } else { "open" },
            table.quoted()
        ))
    ))?;
    let values = [Value::Text(Some(&table.schema)), Value::Text(Some(&name))];
    OID_OF
        .with(|statement| statement.run(Mode::Write, &values))?
        .get(0, 1)
        .ok_or_else(|| IdentityError::Internal("a view is gone as soon as it was made".into()))
}

/// Every column of the table in its order, the identifiers under their own names in place of columns of these names.
fn shown_columns(attachment: &Attachment<'_>, provided: &str) -> Vec<String> {
    let column = |name: Option<&str>, otherwise: &str| match name {
        Some(name) => format!("c.{}", quote_identifier(name)),
        None => otherwise.to_owned(),
    };
    let expression = |shown: &str| match shown {
        "visitor_id" => column(Some(attachment.visitor), ""),
        "origin_visitor_id" => column(Some(&attachment.origin), ""),
        "provided_visitor_id" => provided.to_owned(),
        "channel_type" => column(attachment.channel_type, "null::pg_catalog.text"),
        "channel_id" => column(attachment.channel_id, "null::pg_catalog.text"),
        _ => column(attachment.channel_user, "null::pg_catalog.text"),
    };
    let mut columns = Vec::new();
    for name in attachment
        .table
        .columns
        .iter()
        .map(|column| column.name.as_str())
    {
        if SHOWN.contains(&name) {
            columns.push(format!(
                "{} as {}",
                expression(name),
                quote_identifier(name)
            ));
        } else {
            columns.push(format!("c.{}", quote_identifier(name)));
        }
    }
    for name in SHOWN {
        if attachment.table.column(name).is_none() {
            columns.push(format!("{} as {name}", expression(name)));
        }
    }
    columns
}

fn remember(attachment: &Attachment<'_>, views: &Views) -> Result<(), IdentityError> {
    remember_values(&[
        Value::Oid(attachment.table.relation),
        Value::Text(Some(attachment.visitor)),
        Value::Text(attachment.provided),
        Value::Text(attachment.channel_type),
        Value::Text(attachment.channel_id),
        Value::Text(attachment.channel_user),
        Value::Text(attachment.account),
        Value::Text(attachment.opened_at),
        Value::Text(attachment.closed_at),
        Value::Text(Some(&attachment.origin)),
        Value::Text(attachment.closed_when),
        Value::Text(attachment.fixed_account.as_deref()),
        Value::Bool(attachment.add_origin),
        Value::Int8(Some(i64::from(views.history.to_u32()))),
        Value::Int8(Some(i64::from(views.workspace.to_u32()))),
        Value::Text(Some("chat")),
        Value::Text(None),
    ])
}

fn remember_values(values: &[Value<'_>]) -> Result<(), IdentityError> {
    FORGET_DROPPED.with(|statement| statement.run(Mode::Write, &[]))?;
    REMEMBER.with(|statement| statement.run(Mode::Write, values))?;
    list_attached()
}

/// Lists a visitor table: of the columns it has only two that mean something.
pub(super) fn remember_visitor_table(
    table: &Table,
    visitor: &str,
    account: Option<&str>,
    fixed_account: Option<&str>,
    on_clash: OnClash,
) -> Result<(), IdentityError> {
    remember_values(&[
        Value::Oid(table.relation),
        Value::Text(Some(visitor)),
        Value::Text(None),
        Value::Text(None),
        Value::Text(None),
        Value::Text(None),
        Value::Text(account),
        Value::Text(None),
        Value::Text(None),
        Value::Text(None),
        Value::Text(None),
        Value::Text(fixed_account),
        Value::Bool(false),
        Value::Int8(None),
        Value::Int8(None),
        Value::Text(Some("visitor")),
        Value::Text(Some(on_clash.name())),
    ])
}

statement!(
    ROW_SECURITY,
    "select c.relrowsecurity and not c.relforcerowsecurity
    from pg_catalog.pg_class as c
    where c.oid operator(pg_catalog.=) $1"
);

/// Tells the owner what the attachment cannot see to. A filter on an identifier reads the table's own column: without an
/// index that leads with it, it reads the whole table. The views read the table as its owner.
fn hints(attachment: &Attachment<'_>) -> Result<(), IdentityError> {
    let relation = [Value::Oid(attachment.table.relation)];
    let secured = ROW_SECURITY.with(|statement| statement.run(Mode::Write, &relation))?;
    if secured.truth(0, 1) {
        pgrx::notice!(
            "row level security of the table does not apply to its views, which read it as its owner; force it to make it apply"
        );
    }
    let Some(column) = attachment
        .channel_user
        .and_then(|name| attachment.table.column(name))
    else {
        return Ok(());
    };
    let rows = INDEXES.with(|statement| statement.run(Mode::Write, &relation))?;
    let account = attachment
        .account
        .and_then(|name| attachment.table.column(name))
        .map(|column| column.number);
    let indexed = (0..rows.len()).any(|row| {
        let columns: Vec<i64> = rows.get(row, 4).unwrap_or_default();
        columns.first() == Some(&column.number)
            || (columns.first() == account.as_ref() && columns.get(1) == Some(&column.number))
    });
    if !indexed {
        pgrx::notice!(
            "no index leads with column {}: History can search by it only when there is one",
            quote_identifier(&column.name)
        );
    }
    Ok(())
}

/// `detach_table`: drops the views and the triggers, and the origin column where attaching added it. Errors: 42501;
/// 55000 when the table is not attached.
pub fn detach(relation: Option<pg_sys::Oid>, keep_origin: bool) -> Result<(), IdentityError> {
    connect(|| {
        if is_read_only() {
            return Err(IdentityError::ReadOnlySetup);
        }
        let extension_owner = owner_of_extension()?;
        let table = own_table(relation)?;
        let values = [Value::Oid(table.relation)];
        let attached = as_role(extension_owner, || {
            ATTACHED.with(|statement| statement.run(Mode::Write, &values))
        })?;
        if attached.len() == 0 {
            return Err(IdentityError::not_in_state(
                "the table is not attached",
                "visitor_identity.attached_table does not list it.",
                "Look at visitor_identity.attached_table.",
            ));
        }
        let views: Vec<pg_sys::Oid> = [1, 2]
            .into_iter()
            .filter_map(|column| attached.get(0, column))
            .collect();
        let drops_origin = attached.truth(0, 3) && !keep_origin;
        let origin: Option<String> = attached.get(0, 4);
        // With the caller's own rights: since the table was attached it may have got another owner, and the views not.
        for view in views {
            let names =
                NAME_OF.with(|statement| statement.run(Mode::Write, &[Value::Oid(view)]))?;
            if let (Some(schema), Some(name)) =
                (names.get::<String>(0, 1), names.get::<String>(0, 2))
            {
                execute(format!(
                    "drop view {}",
                    quote_qualified_identifier(schema, name)
                ))?;
            }
        }
        as_role(table.owner, || {
            let triggers = TRIGGERS.with(|statement| statement.run(Mode::Write, &values))?;
            for row in 0..triggers.len() {
                if let Some(trigger) = triggers.get::<String>(row, 1) {
                    execute(format!(
                        "drop trigger {} on {}",
                        quote_identifier(trigger),
                        table.quoted()
                    ))?;
                }
            }
            match origin.filter(|name| drops_origin && table.column(name).is_some()) {
                Some(name) => execute(format!(
                    "alter table {} drop column {}",
                    table.quoted(),
                    quote_identifier(name)
                )),
                None => Ok(()),
            }
        })?;
        as_role(extension_owner, || {
            FORGET.with(|statement| statement.run(Mode::Write, &values))?;
            list_attached()
        })
    })
}
