//! `attached_rows`: all rows of an attached table, for the functions that look for what is wrong with them.
//! May touch: the catalog, and the attached table with the rights of its owner.
//!
//! Planning a query over a table runs code of the table's owner already (constants in the expressions of an index or of a
//! CHECK constraint), so that even a plain SELECT with the rights of the extension's owner would hand them over.

use super::spi::{connect, Mode, Portions, Value};
use super::statement;
use crate::error::IdentityError;
use pgrx::pg_sys;
use std::collections::VecDeque;
use uuid::Uuid;

const ROWS_A_PORTION: i64 = 1000;

/// One row, its identifiers as text.
pub struct AttachedRow {
    pub account: Option<String>,
    pub visitor_id: Option<Uuid>,
    pub origin_visitor_id: Option<Uuid>,
    pub provided_visitor_id: Option<String>,
    pub channel_type: Option<String>,
    pub channel_id: Option<String>,
    pub channel_user_id: Option<String>,
    pub row_key: Option<String>,
}

statement!(
    READ_ROWS,
    "select a.owner, pg_catalog.format(
        'select %s, t.%I::pg_catalog.uuid, %s::pg_catalog.uuid, %s, %s, %s, %s, (%s)::pg_catalog.text from %I.%I as t',
        x.account_text, a.visitor_column, case when a.origin_column is null then 'null' else pg_catalog.format('t.%I', a.origin_column) end, x.provided_text, x.channel_type_text, x.channel_id_text,
        x.channel_user_text, x.key_json, a.schema_name, a.table_name
    )
    from visitor_identity.attachment as a
    join visitor_identity.attachment_text as x on x.relation operator(pg_catalog.=) a.relation
    where a.relation operator(pg_catalog.=) $1"
);

/// The rows as they are read, portion by portion.
pub struct AttachedRows {
    portions: Portions,
    read: VecDeque<AttachedRow>,
}

impl AttachedRows {
    /// Errors: 55000 for a table that is not attached.
    pub fn of(relation: Option<pg_sys::Oid>) -> Result<Self, IdentityError> {
        connect(|| {
            let relation = [Value::Oid(relation.unwrap_or(pg_sys::InvalidOid))];
            let rows = READ_ROWS.with(|statement| statement.run(Mode::ReadOnly, &relation))?;
            let (Some(owner), Some(text)) =
                (rows.get::<pg_sys::Oid>(0, 1), rows.get::<String>(0, 2))
            else {
                return Err(super::attachment::not_attached());
            };
            Ok(Self {
                portions: Portions::open(text, owner)?,
                read: VecDeque::new(),
            })
        })
    }

    /// The next row; None after the last.
    pub fn next_row(&mut self) -> Result<Option<AttachedRow>, IdentityError> {
        if self.read.is_empty() {
            connect(|| {
                let rows = self.portions.read(ROWS_A_PORTION)?;
                self.read.extend((0..rows.len()).map(|row| AttachedRow {
                    account: rows.get(row, 1),
                    visitor_id: rows.uuid(row, 2),
                    origin_visitor_id: rows.uuid(row, 3),
                    provided_visitor_id: rows.get(row, 4),
                    channel_type: rows.get(row, 5),
                    channel_id: rows.get(row, 6),
                    channel_user_id: rows.get(row, 7),
                    row_key: rows.get(row, 8),
                }));
                Ok(())
            })?;
        }
        Ok(self.read.pop_front())
    }
}
