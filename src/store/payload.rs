//! What the payloads are made of: one visitor with his fields and identifiers, and a row of an attached chat table.
//! May touch: the identity tables with the extension's rights; a row that the caller has, with the caller's.

use super::attach::owner_of_extension;
use super::attachment::key_as_json;
use super::identity::survivor;
use super::policy::{cached, changes, custom_channels, keep, policy, watch};
use super::spi::{as_role, connect, Mode, Statement, Value};
use super::statement;
use crate::error::IdentityError;
use crate::identifier::channel::ChannelType;
use crate::identifier::text::trim;
use crate::instant::Instant;
use crate::payload::{Channel, Person};
use crate::resolution::CustomChannels;
use crate::settings::account_is_visible;
use pgrx::datum::TimestampWithTimeZone;
use pgrx::pg_sys;
use pgrx::spi::{quote_identifier, quote_literal};
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::rc::Rc;
use uuid::Uuid;

/// Microseconds between the epochs of Unix and of PostgreSQL.
const POSTGRES_EPOCH: i64 = 946_684_800_000_000;

/// A time as the pure modules carry it.
pub(super) fn instant(time: Option<TimestampWithTimeZone>) -> Instant {
    Instant(time.map_or(0, i64::from).saturating_add(POSTGRES_EPOCH))
}

// The provided id is the one with which his fields were signed, as long as it is his; else the one verified last; else
// the one seen first.
statement!(
    PERSON,
    "select v.created_at,
        greatest(v.created_at, f.verified_at, c.created_at, (
            select p.created_at
            from visitor_identity.provided_identity as p
            where p.account operator(pg_catalog.=) $1
                and p.visitor_id operator(pg_catalog.=) v.visitor_id
            order by p.created_at desc, p.provided_visitor_id desc
            limit 1
        )),
        f.fields::pg_catalog.text,
        coalesce((
            select p.provided_visitor_id
            from visitor_identity.provided_identity as p
            where p.account operator(pg_catalog.=) $1
                and p.provided_visitor_id operator(pg_catalog.=)
                    visitor_identity.normalize_provided_visitor_id(f.fields operator(pg_catalog.->>) 'id')
                and p.visitor_id operator(pg_catalog.=) v.visitor_id
        ), (
            select p.provided_visitor_id
            from visitor_identity.provided_identity as p
            where p.account operator(pg_catalog.=) $1
                and p.visitor_id operator(pg_catalog.=) v.visitor_id
                and p.verified_at is not null
            order by p.verified_at desc, p.created_at, p.provided_visitor_id
            limit 1
        ), (
            select p.provided_visitor_id
            from visitor_identity.provided_identity as p
            where p.account operator(pg_catalog.=) $1
                and p.visitor_id operator(pg_catalog.=) v.visitor_id
            order by p.created_at, p.provided_visitor_id
            limit 1
        )),
        c.channel_type, c.channel_id, c.channel_user_id
    from visitor_identity.visitor as v
    left join visitor_identity.visitor_fields as f
        on f.account operator(pg_catalog.=) $1
        and f.visitor_id operator(pg_catalog.=) v.visitor_id
    left join lateral (
        select i.channel_type, i.channel_id, i.channel_user_id, i.created_at
        from visitor_identity.channel_identity as i
        where i.account operator(pg_catalog.=) $1
            and i.visitor_id operator(pg_catalog.=) v.visitor_id
            and ($3 is null or i.channel_type operator(pg_catalog.=) $3)
        order by i.created_at desc, i.channel_type, i.channel_id, i.channel_user_id
        limit 1
    ) as c on true
    where v.account operator(pg_catalog.=) $1
        and v.visitor_id operator(pg_catalog.=) $2"
);

/// Who a visitor is, followed to his survivor. `channel_type`: his latest id in this channel only. Errors: 42704 for an
/// unknown account, an unknown or a forgotten visitor; 22023 for an unknown channel.
pub fn person(
    account: &str,
    visitor_id: Option<Uuid>,
    channel_type: Option<&str>,
) -> Result<Person, IdentityError> {
    connect(|| {
        policy(account)?;
        if let Some(channel_type) = channel_type {
            let is_known = ChannelType::from_name(channel_type).is_some()
                || custom_channels()?.accepts(channel_type, "").is_some();
            if !is_known {
                return Err(IdentityError::UnknownChannel {
                    built_in_only: false,
                });
            }
        }
        let visitor_id = visitor_id.ok_or(IdentityError::UnknownVisitor)?;
        // A chat row may be one that this very statement has written, with a visitor that it has made.
        let visitor_id =
            survivor(Mode::OwnWork, account, visitor_id)?.ok_or(IdentityError::UnknownVisitor)?;
        let values = [
            Value::Text(Some(account)),
            Value::Uuid(Some(visitor_id)),
            Value::Text(channel_type),
        ];
        let rows = PERSON.with(|statement| statement.run(Mode::OwnWork, &values))?;
        if rows.len() == 0 {
            return Err(IdentityError::UnknownVisitor);
        }
        let text = |column| rows.get::<String>(0, column);
        let fields: BTreeMap<String, String> = text(3)
            .map(|fields| serde_json::from_str(&fields))
            .transpose()
            .map_err(|_| IdentityError::Internal("the fields of a visitor are no texts".into()))?
            .unwrap_or_default();
        Ok(Person {
            visitor_id,
            provided_visitor_id: text(4),
            fields,
            channel: text(5).map(|channel_type| Channel {
                channel_type,
                channel_id: text(6).filter(|id| !id.is_empty()),
                channel_user_id: text(7),
            }),
            created_at: instant(rows.get(0, 1)),
            modified_at: instant(rows.get(0, 2)),
        })
    })
}

/// Reads the rows of one composite type: what a payload needs of a chat.
pub struct RowReader {
    read: Statement,
}

// The names of a table's row are today's, those of a view's row are the view's. A partition has the names of its table.
statement!(
    ROW_TYPE,
    "select r.relation, x.fixed_account, x.account_column, x.visitor_column, x.channel_type_column, x.channel_id_column,
        x.channel_user_column, x.key_columns, a.key_names::pg_catalog.text[], a.key_types::pg_catalog.int8[]
    from (
        select c.oid as relation, coalesce(pg_catalog.pg_partition_root(c.oid)::pg_catalog.oid, c.oid) as root
        from pg_catalog.pg_type as t
        join pg_catalog.pg_class as c on c.oid operator(pg_catalog.=) t.typrelid
        where t.oid operator(pg_catalog.=) $1
    ) as r
    join visitor_identity.attached_table as t
        on t.attached::pg_catalog.oid operator(pg_catalog.=) any (array[r.relation, r.root])
        or t.history_view::pg_catalog.oid operator(pg_catalog.=) r.relation
        or t.workspace_view::pg_catalog.oid operator(pg_catalog.=) r.relation
    join visitor_identity.attachment as a
        on a.relation operator(pg_catalog.=) t.attached::pg_catalog.oid
        and a.kind operator(pg_catalog.=) 'chat'
    cross join lateral (
        select a.fixed_account, a.account_column::pg_catalog.text, a.visitor_column::pg_catalog.text,
            a.channel_type_column::pg_catalog.text, a.channel_id_column::pg_catalog.text,
            a.channel_user_column::pg_catalog.text, a.key_columns::pg_catalog.text[]
        where t.attached::pg_catalog.oid operator(pg_catalog.=) any (array[r.relation, r.root])
        union all
        select a.fixed_account, t.account_column::pg_catalog.text, 'visitor_id', 'channel_type', 'channel_id',
            'channel_user_id', a.key_names::pg_catalog.text[]
        where t.attached::pg_catalog.oid operator(pg_catalog.<>) all (array[r.relation, r.root])
    ) as x (
        fixed_account, account_column, visitor_column, channel_type_column, channel_id_column, channel_user_column,
        key_columns
    )"
);

fn not_attached() -> IdentityError {
    IdentityError::not_in_state(
        "the row is not one of an attached chat table",
        "A payload is made of a whole row of an attached table, of a partition of one, or of a view that attaching made.",
        "Pass the row by its alias: select visitor_identity.bot_payload(c) from chat.chat as c.",
    )
}

/// The reader of a composite type. Call it with the extension's rights. Errors: 55000 when no attached table has it.
fn row_reader(row_type: pg_sys::Oid) -> Result<Rc<RowReader>, IdentityError> {
    if let Some(known) = cached(|cache| cache.row_readers.get(&row_type).cloned())? {
        return Ok(known);
    }
    let as_of = changes();
    let values = [Value::Oid(row_type)];
    let rows = ROW_TYPE.with(|statement| statement.run(Mode::NewestReadOnly, &values))?;
    let text = |column| rows.get::<String>(0, column);
    let (Some(relation), Some(visitor)) = (rows.get::<pg_sys::Oid>(0, 1), text(4)) else {
        return Err(not_attached());
    };
    let value = |name: &str| format!("($1).{}", quote_identifier(name));
    let as_text = |name: Option<String>| match name {
        Some(name) => format!("{}::pg_catalog.text", value(&name)),
        None => "null::pg_catalog.text".to_owned(),
    };
    let account_column = text(3);
    let account = match &account_column {
        Some(column) => as_text(Some(column.clone())),
        None => format!(
            "{}::pg_catalog.text",
            quote_literal(text(2).unwrap_or_default())
        ),
    };
    let key: Vec<(String, String, bool, bool)> = rows
        .get::<Vec<String>>(0, 8)
        .unwrap_or_default()
        .into_iter()
        .zip(rows.get::<Vec<String>>(0, 9).unwrap_or_default())
        .zip(rows.get::<Vec<i64>>(0, 10).unwrap_or_default())
        .map(|((name, written_as), base_type)| {
            let is_instant = base_type == i64::from(pg_sys::TIMESTAMPTZOID.to_u32());
            let is_account = account_column.as_ref() == Some(&name);
            (written_as, value(&name), is_instant, is_account)
        })
        .collect();
    let columns = |with_account: bool| -> Vec<(String, String, bool)> {
        key.iter()
            .filter(|(.., is_account)| with_account || !is_account)
            .map(|(name, reference, is_instant, _)| (name.clone(), reference.clone(), *is_instant))
            .collect()
    };
    // A chat has an id of its own within its account; a key of more columns is the chat_key of search_history.
    let own = columns(false);
    let chat_id = key_as_json(&if own.len() == 1 { own } else { columns(true) }, false);
    let reader = Rc::new(RowReader {
        read: Statement::over_table(format!(
            "select {account}, {}::pg_catalog.uuid, {}, {}, {}, {chat_id}::pg_catalog.text",
            value(&visitor),
            as_text(text(5)),
            as_text(text(6)),
            as_text(text(7)),
        )),
    });
    watch(relation);
    keep(as_of, |cache| {
        cache.row_readers.insert(row_type, Rc::clone(&reader));
    });
    Ok(reader)
}

/// What a payload says of one chat.
pub struct ChatOfRow {
    pub chat_id: Box<RawValue>,
    pub channel: Option<Channel>,
    pub person: Person,
}

/// The chat that a row is, and its visitor. The row is read with the caller's rights: reading it may run code of the
/// application. Errors: 55000 when it is no row of an attached table; 42501 when it is of an account that the session may
/// not see; 42704 when its account or its visitor is unknown.
pub fn chat_of_row(row: pg_sys::Datum, row_type: pg_sys::Oid) -> Result<ChatOfRow, IdentityError> {
    connect(|| {
        // SAFETY: a plain look at the catalog's cache.
        let row_type = unsafe { pg_sys::getBaseType(row_type) };
        let extension_owner = owner_of_extension()?;
        let reader = as_role(extension_owner, || row_reader(row_type))?;
        let rows = reader
            .read
            .run(Mode::ReadOnly, &[Value::Row(row, row_type)])?;
        let text = |column| rows.get::<String>(0, column);
        let account = text(1);
        if !account_is_visible(account.as_deref())? {
            return Err(IdentityError::AccountLocked);
        }
        let account = account.ok_or(IdentityError::UnknownAccount)?;
        let visitor_id = rows.uuid(0, 2);
        let channel = text(3)
            .map(|channel_type| trim(&channel_type).to_owned())
            .filter(|channel_type| !channel_type.is_empty())
            .map(|channel_type| {
                let user_id = text(5).map(|id| match ChannelType::from_name(&channel_type) {
                    Some(channel) => channel.normalize(&id).into_owned(),
                    None => trim(&id).to_owned(),
                });
                Channel {
                    channel_id: text(4)
                        .map(|id| trim(&id).to_owned())
                        .filter(|id| !id.is_empty()),
                    channel_user_id: user_id.filter(|id| !id.is_empty()),
                    channel_type,
                }
            });
        let chat_id = text(6)
            .and_then(|id| RawValue::from_string(id).ok())
            .ok_or_else(|| IdentityError::Internal("a chat without a key".into()))?;
        Ok(ChatOfRow {
            chat_id,
            channel,
            person: as_role(extension_owner, || person(&account, visitor_id, None))?,
        })
    })
}
