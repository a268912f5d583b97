//! The rows of one person in one attached table: read, counted, freed of identifiers, deleted.
//! May touch: the attached table, always with the rights of its owner.

use super::attachment::{key_as_json, Columns};
use super::row_lock::RowLocks;
use super::spi::{as_role, Mode, Rows, Statement, Value};
use crate::error::IdentityError;
use pgrx::pg_sys;
use pgrx::spi::quote_identifier;
use uuid::Uuid;

/// How many rows a person has in a table, and how many of them show an identifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tally {
    pub rows: i64,
    pub identified: i64,
}

/// The statements over the rows of a person: of all visitors that are, or were, he.
pub struct PersonRows {
    owner: pg_sys::Oid,
    /// The columns that hold identifiers of a person; the channel and its page are not his.
    pub identifier_columns: Vec<String>,
    tally: Statement,
    lock: RowLocks,
    read: Statement,
    anonymize: Option<Statement>,
    delete: Statement,
}

impl PersonRows {
    /// `name`: quoted and qualified. `of_account`: the condition on the alias `t` and `$1`. `is_key_changed`:
    /// whether a row's visitor is a part of a key.
    pub fn over(
        owner: pg_sys::Oid,
        name: &str,
        columns: &Columns,
        of_account: &str,
        is_key_changed: bool,
    ) -> Self {
        let of_person = format!(
            "{of_account} and t.{} operator(pg_catalog.=) any ($2)",
            quote_identifier(&columns.visitor)
        );
        let identifier_columns: Vec<String> = [&columns.provided, &columns.channel_user]
            .into_iter()
            .flatten()
            .cloned()
            .collect();
        let quoted: Vec<String> = identifier_columns.iter().map(quote_identifier).collect();
        let shows_identifier = if quoted.is_empty() {
            "false".to_owned()
        } else {
            let shown: Vec<String> = quoted
                .iter()
                .map(|column| format!("t.{column} is not null"))
                .collect();
            format!("({})", shown.join(" or "))
        };
        let references = columns.key_references();
        let key = key_as_json(&references, false);
        let anonymize = (!quoted.is_empty()).then(|| {
            let set: Vec<String> = quoted
                .iter()
                .map(|column| format!("{column} = null"))
                .collect();
            Statement::over_table(format!(
                "update {name} as t
                set {}
                where {of_person}
                    and {shows_identifier}",
                set.join(", ")
            ))
        });
        Self {
            owner,
            identifier_columns,
            tally: Statement::over_table(format!(
                "select pg_catalog.count(*),
                    pg_catalog.count(*) filter (where {shows_identifier})
                from {name} as t
                where {of_person}"
            )),
            lock: RowLocks::over(
                owner,
                name,
                &of_person,
                &columns.key_order(),
                is_key_changed,
            ),
            // The whole row, also where the table has a column that is called t.
            read: Statement::over_table(format!(
                "select coalesce(
                    pg_catalog.jsonb_agg(pg_catalog.to_jsonb(t.*) order by {key}),
                    '[]'::pg_catalog.jsonb
                )::pg_catalog.text
                from {name} as t
                where {of_person}"
            )),
            anonymize,
            delete: Statement::over_table(format!("delete from {name} as t where {of_person}")),
        }
    }

    fn run(
        &self,
        statement: &Statement,
        mode: Mode,
        account: &str,
        person: &[Uuid],
    ) -> Result<Rows, IdentityError> {
        let values = [Value::Text(Some(account)), Value::Uuids(person)];
        as_role(self.owner, || statement.run(mode, &values))
    }

    /// Counts the rows.
    pub fn tally(&self, account: &str, person: &[Uuid]) -> Result<Tally, IdentityError> {
        let rows = self.run(&self.tally, Mode::Newest, account, person)?;
        Ok(Tally {
            rows: rows.number(0, 1),
            identified: rows.number(0, 2),
        })
    }

    /// Locks the rows, waiting for those that other transactions are changing.
    pub fn lock(&self, account: &str, person: &[Uuid]) -> Result<(), IdentityError> {
        self.lock
            .take([Value::Text(Some(account)), Value::Uuids(person)])
            .map(|_| ())
    }

    /// The rows as a JSON array, every column of each, in the order of their keys.
    pub fn read(&self, account: &str, person: &[Uuid]) -> Result<String, IdentityError> {
        let rows = self.run(&self.read, Mode::ReadOnly, account, person)?;
        Ok(rows.get(0, 1).unwrap_or_else(|| "[]".to_owned()))
    }

    /// Sets the identifiers of the rows to NULL.
    pub fn anonymize(&self, account: &str, person: &[Uuid]) -> Result<(), IdentityError> {
        match &self.anonymize {
            Some(statement) => self
                .run(statement, Mode::Newest, account, person)
                .map(|_| ()),
            None => Ok(()),
        }
    }

    /// Deletes the rows. The keys of other tables that refer to them do what they were made to do.
    pub fn delete(&self, account: &str, person: &[Uuid]) -> Result<(), IdentityError> {
        self.run(&self.delete, Mode::Newest, account, person)?;
        Ok(())
    }
}
