//! Attaches any other table with a visitor_id: its rows follow their visitors and decide nothing.
//! May touch: the catalog, `attached_table`, and the table and its triggers with the rights of its owner.

use super::attach::{
    account_of, check_columns, check_indexes, check_partition_key, create_row_triggers,
    grant_to_owner, policy_exists, remember_visitor_table, table_to_attach, visitor_column, Table,
    TRIGGER_RIGHTS,
};
use super::clash::{unique_indexes, OnClash};
use super::distribute::check_attachable;
use super::distributed::is_distributed;
use super::spi::{as_role, connect, Mode, Value};
use super::statement;
use crate::error::IdentityError;
use pgrx::pg_sys;
use pgrx::spi::quote_identifier;

// By a key of which the visitor column is a part, and without following a change of it.
statement!(
    REFERRING,
    "select exists (
        select 1
        from pg_catalog.pg_constraint as c
        join pg_catalog.pg_attribute as a
            on a.attrelid operator(pg_catalog.=) c.confrelid
            and a.attnum operator(pg_catalog.=) any (c.confkey)
        where c.contype operator(pg_catalog.=) 'f'::pg_catalog.\"char\"
            and c.confrelid operator(pg_catalog.=) $1
            and a.attname operator(pg_catalog.=) $2::pg_catalog.name
            and c.confupdtype operator(pg_catalog.<>) 'c'::pg_catalog.\"char\"
    )"
);

/// `attach_visitor_table`. Errors: 22023, 42501, 42703, 42704 and 55000, each before anything is changed.
pub fn attach(
    relation: Option<pg_sys::Oid>,
    visitor_name: &Option<String>,
    account_name: &Option<String>,
    on_clash: Option<&str>,
    fixed_account: Option<&str>,
) -> Result<(), IdentityError> {
    let on_clash = on_clash
        .and_then(OnClash::parse)
        .ok_or(IdentityError::BadOption {
            option: "on_clash",
            allowed: "move_or_keep_target, refuse",
        })?;
    connect(|| {
        let (extension_owner, table) = table_to_attach(relation)?;
        let visitor = visitor_column(&table, visitor_name)?;
        let (account, fixed_account) = account_of(&table, account_name, fixed_account)?;
        let account_name = account.map(|column| column.name.as_str());
        check_partition_key(&table, &visitor.name, &visitor.name)?;
        check_indexes(&table, visitor, account)?;
        check_columns(&table, &[Some(&visitor.name), account_name], account)?;
        check_clashes_can_be_found(&table, &visitor.name)?;
        check_nobody_holds_on(&table, &visitor.name)?;
        check_attachable(table.relation, account_name)?;
        as_role(extension_owner, || {
            policy_exists(fixed_account.as_deref())?;
            grant_to_owner(table.owner, extension_owner, &[TRIGGER_RIGHTS])
        })?;
        let quoted = quote_identifier(&visitor.name);
        let mut guarded = vec![quoted.clone()];
        guarded.extend(account_name.map(quote_identifier));
        if !is_distributed()? {
            as_role(table.owner, || {
                create_row_triggers(
                    &table,
                    &guarded,
                    &format!("when (new.{quoted} is not null)"),
                )
            })?;
        }
        as_role(extension_owner, || {
            remember_visitor_table(
                &table,
                &visitor.name,
                account_name,
                fixed_account.as_deref(),
                on_clash,
            )
        })
    })
}

/// A row that would clash must be known before it is moved, and a race must show then, not at COMMIT. Errors: 55000.
fn check_clashes_can_be_found(table: &Table, visitor: &str) -> Result<(), IdentityError> {
    if unique_indexes(table.relation, visitor)?
        .iter()
        .all(|index| index.as_ref().is_some_and(|index| !index.is_deferrable))
    {
        return Ok(());
    }
    Err(IdentityError::not_in_state(
        "a constraint over the visitor column cannot be looked at in advance",
        "It is an exclusion constraint, a deferrable one, or an index that only one partition has: a rebinding, and so a login, would fail on a clash.",
        "Use a unique constraint that is not deferrable, on the whole table, or drop it.",
    ))
}

/// A foreign key that refers to the visitor column would make a rebinding fail. Errors: 55000.
fn check_nobody_holds_on(table: &Table, visitor: &str) -> Result<(), IdentityError> {
    let values = [Value::Oid(table.relation), Value::Text(Some(visitor))];
    let referring = REFERRING.with(|statement| statement.run(Mode::Write, &values))?;
    if !referring.truth(0, 1) {
        return Ok(());
    }
    Err(IdentityError::not_in_state(
        "a foreign key refers to the visitor column",
        "A row that another table refers to by its visitor could not be moved, and the login would fail.",
        "Declare the foreign key ON UPDATE CASCADE, or let it refer to another key.",
    ))
}
