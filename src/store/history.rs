//! The search bar of the History page: finds whom the words mean, then reads their closed chats through the views.
//! May touch: the identity tables with the extension's rights; the views with the caller's rights and no others.

use super::attach::owner_of_extension;
use super::attachment::key_as_json;
use super::identity::survivor;
use super::policy::policy;
use super::spi::{as_role, connect, Mode, Statement, Value};
use super::statement;
use crate::error::IdentityError;
use crate::search::Words;
use pgrx::datum::TimestampWithTimeZone;
use pgrx::pg_sys;
use pgrx::spi::{quote_identifier, quote_literal, quote_qualified_identifier};
use uuid::Uuid;

/// Where the page before this one ended: its last row.
#[derive(Clone, Copy)]
pub struct Cursor<'a> {
    pub opened_at: Option<TimestampWithTimeZone>,
    pub chat_table: pg_sys::Oid,
    pub chat_key: &'a str,
}

/// One closed chat.
pub struct FoundChat {
    pub chat_table: pg_sys::Oid,
    pub chat_key: String,
    pub account: Option<String>,
    pub visitor_id: Option<Uuid>,
    pub origin_visitor_id: Option<Uuid>,
    pub provided_visitor_id: Option<String>,
    pub channel_type: Option<String>,
    pub channel_id: Option<String>,
    pub channel_user_id: Option<String>,
    pub opened_at: Option<TimestampWithTimeZone>,
    pub closed_at: Option<TimestampWithTimeZone>,
    pub matched_by: String,
}

/// Whose chats an operator's words may mean. A chat that several meanings find is labelled by the first.
#[derive(Default)]
struct Meanings {
    /// The visitor of a visitor_id, followed to its survivor.
    by_visitor: Vec<Uuid>,
    /// The visitor of a provided id.
    by_provided: Vec<Uuid>,
    /// Whoever holds or held a channel user id: only the chats with that id.
    by_channel: Vec<Uuid>,
    channel_user_ids: Vec<String>,
    /// Where chats went that left a visitor_id one by one: only the chats stored on it first.
    moved_to: Vec<Uuid>,
    origin: Option<Uuid>,
}

impl Meanings {
    fn visitors(&self) -> Vec<Uuid> {
        let mut all = [
            self.by_visitor.as_slice(),
            &self.by_provided,
            &self.by_channel,
            &self.moved_to,
        ]
        .concat();
        all.sort_unstable();
        all.dedup();
        all
    }
}

statement!(
    MOVED_FROM,
    "select distinct coalesce(v.superseded_by, v.visitor_id)
    from visitor_identity.rebind as r
    join visitor_identity.visitor as v
        on v.account operator(pg_catalog.=) $1
        and v.visitor_id operator(pg_catalog.=) r.to_visitor_id
    where r.account operator(pg_catalog.=) $1
        and r.from_visitor_id operator(pg_catalog.=) $2"
);

statement!(
    BY_PROVIDED,
    "select p.visitor_id
    from visitor_identity.provided_identity as p
    where p.account operator(pg_catalog.=) $1
        and p.provided_visitor_id operator(pg_catalog.=) $2"
);

statement!(
    BY_CHANNEL,
    "select c.visitor_id
    from visitor_identity.channel_identity as c
    where c.account operator(pg_catalog.=) $1
        and c.channel_user_id operator(pg_catalog.=) any ($2)
    union
    select coalesce(v.superseded_by, v.visitor_id)
    from visitor_identity.former_channel_identity as f
    join visitor_identity.visitor as v
        on v.account operator(pg_catalog.=) $1
        and v.visitor_id operator(pg_catalog.=) f.visitor_id
    where f.account operator(pg_catalog.=) $1
        and f.channel_user_id operator(pg_catalog.=) any ($2)"
);

statement!(
    TABLES,
    "select t.attached::pg_catalog.oid, n.nspname::pg_catalog.text, h.relname::pg_catalog.text,
        t.account_column::pg_catalog.text, t.fixed_account,
        t.opened_at_column::pg_catalog.text, t.closed_at_column::pg_catalog.text,
        t.channel_type_column is not null and t.channel_user_column is not null,
        exists (
            select
            from pg_catalog.pg_index as i
            join visitor_identity.attachment as x
                on x.relation operator(pg_catalog.=) i.indrelid
            join pg_catalog.pg_attribute as a
                on a.attrelid operator(pg_catalog.=) i.indrelid
                and a.attname operator(pg_catalog.=) x.channel_user_column
            where i.indrelid operator(pg_catalog.=) t.attached::pg_catalog.oid
                and i.indkey[0] operator(pg_catalog.=) a.attnum
                and i.indpred is null
        ),
        pg_catalog.has_table_privilege($1, h.oid, 'select'),
        pg_catalog.has_table_privilege(h.relowner, t.attached::pg_catalog.oid, 'select')
            and pg_catalog.has_table_privilege(
                h.relowner, 'visitor_identity.provided_identity', 'select'
            ),
        t.key_columns::pg_catalog.text[],
        (
            select pg_catalog.array_agg(
                a.atttypid operator(pg_catalog.=) 'pg_catalog.timestamptz'::pg_catalog.regtype
                order by k.position
            )
            from pg_catalog.unnest(t.key_columns) with ordinality as k (name, position)
            join pg_catalog.pg_attribute as a
                on a.attrelid operator(pg_catalog.=) h.oid
                and a.attname operator(pg_catalog.=) k.name
        )
    from visitor_identity.attached_table as t
    join pg_catalog.pg_class as h on h.oid operator(pg_catalog.=) t.history_view::pg_catalog.oid
    join pg_catalog.pg_namespace as n on n.oid operator(pg_catalog.=) h.relnamespace
    order by 1"
);

/// `search_history`. `by`: one kind only. Errors: 22023 for an unknown kind, 22P02 for a malformed uuid where one is
/// asked for, 42501 when the caller may read none of the views.
pub fn search(
    query: &str,
    by: Option<&str>,
    account: &str,
    page_size: i64,
    after: Option<Cursor<'_>>,
) -> Result<Vec<FoundChat>, IdentityError> {
    let wanted = |kind: &str| by.is_none_or(|by| by == kind);
    if !["visitor_id", "provided_visitor_id", "channel_user_id"]
        .iter()
        .any(|kind| wanted(kind))
    {
        return Err(IdentityError::BadOption {
            option: "by",
            allowed: "visitor_id, provided_visitor_id, channel_user_id",
        });
    }
    if page_size < 1 {
        return Err(IdentityError::BadPageSize);
    }
    connect(|| {
        let caller = super::spi::current_user();
        let extension_owner = owner_of_extension()?;
        let (meanings, views) = as_role(extension_owner, || {
            policy(account)?;
            let mut meanings = Meanings::default();
            let words = Words::read(query);
            if wanted("visitor_id") {
                find_visitor_id(account, &words, by.is_some(), &mut meanings)?;
            }
            if let Some(id) = words.identifier {
                if wanted("provided_visitor_id") {
                    find_provided(account, id, &mut meanings)?;
                }
                if wanted("channel_user_id") {
                    find_channel(account, words.channel_user_ids(), &mut meanings)?;
                }
            }
            Ok::<_, IdentityError>((meanings, views(caller, account)?))
        })?;
        let mut found = Vec::new();
        if !meanings.visitors().is_empty() || !meanings.channel_user_ids.is_empty() {
            for view in &views {
                found.extend(view.read(&meanings, page_size, after, account)?);
            }
        }
        // Newest first, chats without a time last, then by table; each table's rows come in the order of their keys,
        // which a stable sort keeps.
        found.sort_by(|a: &FoundChat, b: &FoundChat| {
            let time = |chat: &FoundChat| chat.opened_at.map(i64::from);
            time(b)
                .cmp(&time(a))
                .then_with(|| a.chat_table.to_u32().cmp(&b.chat_table.to_u32()))
        });
        found.truncate(usize::try_from(page_size).unwrap_or(usize::MAX));
        Ok(found)
    })
}

fn find_visitor_id(
    account: &str,
    words: &Words<'_>,
    must_be_uuid: bool,
    meanings: &mut Meanings,
) -> Result<(), IdentityError> {
    let Some(visitor_id) = words.visitor_id else {
        return if must_be_uuid {
            Err(IdentityError::MalformedUuid)
        } else {
            Ok(())
        };
    };
    let values = [Value::Text(Some(account)), Value::Uuid(Some(visitor_id))];
    let Some(survivor) = survivor(Mode::ReadOnly, account, visitor_id)? else {
        return Ok(());
    };
    let moved = MOVED_FROM.with(|statement| statement.run(Mode::ReadOnly, &values))?;
    meanings.by_visitor.push(survivor);
    meanings.origin = Some(visitor_id);
    meanings
        .moved_to
        .extend((0..moved.len()).filter_map(|row| moved.uuid(row, 1)));
    Ok(())
}

fn find_provided(account: &str, id: &str, meanings: &mut Meanings) -> Result<(), IdentityError> {
    let values = [Value::Text(Some(account)), Value::Text(Some(id))];
    let rows = BY_PROVIDED.with(|statement| statement.run(Mode::ReadOnly, &values))?;
    meanings.by_provided.extend(rows.uuid(0, 1));
    Ok(())
}

fn find_channel(
    account: &str,
    ids: Vec<String>,
    meanings: &mut Meanings,
) -> Result<(), IdentityError> {
    let values = [Value::Text(Some(account)), Value::Texts(&ids)];
    let rows = BY_CHANNEL.with(|statement| statement.run(Mode::ReadOnly, &values))?;
    meanings
        .by_channel
        .extend((0..rows.len()).filter_map(|row| rows.uuid(row, 1)));
    meanings.channel_user_ids = ids;
    Ok(())
}

/// An attached table as the search reads it.
struct HistoryView {
    relation: pg_sys::Oid,
    name: String,
    columns: String,
    account: String,
    opened_at: String,
    key: String,
    has_channel: bool,
    /// An index leads with the channel user id, so that rows can be looked up by it as it stands.
    has_channel_index: bool,
}

/// The views that the caller may read. Errors: 42501 when there are some and he may read none.
fn views(caller: pg_sys::Oid, account: &str) -> Result<Vec<HistoryView>, IdentityError> {
    let rows = TABLES.with(|statement| statement.run(Mode::ReadOnly, &[Value::Oid(caller)]))?;
    let mut views = Vec::new();
    let mut refused = None;
    for row in 0..rows.len() {
        let text = |column| rows.get::<String>(row, column);
        let (Some(relation), Some(schema), Some(name)) =
            (rows.get::<pg_sys::Oid>(row, 1), text(2), text(3))
        else {
            continue;
        };
        if !rows.truth(row, 10) {
            refused = Some(name);
            continue;
        }
        if !rows.truth(row, 11) {
            pgrx::warning!(
                "view {} is passed over: its owner may not read the table any more; detach the table and attach it again",
                quote_identifier(&name)
            );
            continue;
        }
        let fixed = text(5);
        if fixed.as_deref().is_some_and(|fixed| fixed != account) {
            continue;
        }
        let column = |name: Option<String>, cast: &str| match name {
            Some(name) => format!("h.{}::{cast}", quote_identifier(name)),
            None => format!("null::{cast}"),
        };
        let account_text = match (text(4), fixed) {
            (Some(column), _) => format!("h.{}::pg_catalog.text", quote_identifier(column)),
            (None, fixed) => format!(
                "{}::pg_catalog.text",
                quote_literal(fixed.unwrap_or_default())
            ),
        };
        let opened_at = column(text(6), "pg_catalog.timestamptz");
        let closed_at = column(text(7), "pg_catalog.timestamptz");
        let names: Vec<String> = rows.get(row, 12).unwrap_or_default();
        let instants: Vec<bool> = rows.get(row, 13).unwrap_or_default();
        let references: Vec<(String, String, bool)> = names
            .into_iter()
            .zip(instants)
            .map(|(name, is_instant)| {
                let reference = format!("h.{}", quote_identifier(&name));
                (name, reference, is_instant)
            })
            .collect();
        let key = key_as_json(&references, true);
        views.push(HistoryView {
            relation,
            name: quote_qualified_identifier(schema, name),
            columns: format!(
                "select {key}::pg_catalog.text, {account_text}, h.visitor_id, h.origin_visitor_id,
                    h.provided_visitor_id::pg_catalog.text, h.channel_type::pg_catalog.text,
                    h.channel_id::pg_catalog.text, h.channel_user_id::pg_catalog.text,
                    {opened_at}, {closed_at}"
            ),
            account: account_text,
            opened_at,
            key,
            has_channel: rows.truth(row, 8),
            has_channel_index: rows.truth(row, 9),
        });
    }
    match refused {
        Some(view) if views.is_empty() => Err(IdentityError::NotReadable(view)),
        _ => Ok(views),
    }
}

impl HistoryView {
    /// One page of the chats that the words find in this table.
    fn read(
        &self,
        meanings: &Meanings,
        page_size: i64,
        after: Option<Cursor<'_>>,
        account: &str,
    ) -> Result<Vec<FoundChat>, IdentityError> {
        let of_channel = if self.has_channel {
            "(h.visitor_id operator(pg_catalog.=) any ($10)
                and visitor_identity.normalize_channel_user_id(
                    h.channel_type::pg_catalog.text, h.channel_user_id::pg_catalog.text
                ) operator(pg_catalog.=) any ($11))"
        } else {
            "($10 is null and $11 is null)"
        };
        let (opened_at, key) = (&self.opened_at, &self.key);
        let after_cursor = format!(
            "(
                $5::pg_catalog.jsonb is null
                or {opened_at} operator(pg_catalog.<) $4
                or ({opened_at} is null and $4 is not null)
                or (
                    {opened_at} is not distinct from $4
                    and (
                        $6 operator(pg_catalog.>) $7
                        or (
                            $6 operator(pg_catalog.=) $7
                            and {key} operator(pg_catalog.>) $5::pg_catalog.jsonb
                        )
                    )
                )
            )"
        );
        // Also a chat whose channel user id is bound to nobody: malformed, or of a chat that was somebody's already.
        let by_text = if self.has_channel_index {
            format!(
                "union all
                (
                    {select}, 'channel_user_id'::pg_catalog.text, {opened_at}, {key}
                    from {view} as h
                    where {account} operator(pg_catalog.=) $1
                        and h.channel_user_id::pg_catalog.text operator(pg_catalog.=) any ($11)
                        and (h.visitor_id operator(pg_catalog.=) any ($2)) is not true
                        and {after_cursor}
                    order by {opened_at} desc nulls last, {key}
                    limit $3
                )",
                select = self.columns,
                view = self.name,
                account = self.account,
            )
        } else {
            String::new()
        };
        let statement = Statement::over_table(format!(
            "select page.*
            from ((
                {select},
                    case
                        when h.visitor_id operator(pg_catalog.=) any ($8) then 'visitor_id'
                        when h.visitor_id operator(pg_catalog.=) any ($9) then 'provided_visitor_id'
                        when {of_channel} then 'channel_user_id'
                        else 'origin_visitor_id'
                    end::pg_catalog.text, {opened_at} as visitor_identity_time, {key} as visitor_identity_key
                from {view} as h
                where {account} operator(pg_catalog.=) $1
                    and h.visitor_id operator(pg_catalog.=) any ($2)
                    and (
                        h.visitor_id operator(pg_catalog.=) any ($8)
                        or h.visitor_id operator(pg_catalog.=) any ($9)
                        or {of_channel}
                        or (
                            h.visitor_id operator(pg_catalog.=) any ($12)
                            and h.origin_visitor_id operator(pg_catalog.=) $13
                        )
                    )
                    and {after_cursor}
                order by {opened_at} desc nulls last, {key}
                limit $3
            )
            {by_text}) as page
            order by page.visitor_identity_time desc nulls last, page.visitor_identity_key
            limit $3",
            select = self.columns,
            view = self.name,
            account = self.account,
        ));
        let values = [
            Value::Text(Some(account)),
            Value::Uuids(&meanings.visitors()),
            Value::Int8(Some(page_size)),
            Value::Timestamp(after.and_then(|cursor| cursor.opened_at)),
            Value::Json(after.map(|cursor| cursor.chat_key)),
            Value::Oid(self.relation),
            Value::Oid(after.map_or(self.relation, |cursor| cursor.chat_table)),
            Value::Uuids(&meanings.by_visitor),
            Value::Uuids(&meanings.by_provided),
            Value::Uuids(&meanings.by_channel),
            Value::Texts(&meanings.channel_user_ids),
            Value::Uuids(&meanings.moved_to),
            Value::Uuid(meanings.origin),
        ];
        let rows = statement.run(Mode::ReadOnly, &values)?;
        Ok((0..rows.len())
            .map(|row| FoundChat {
                chat_table: self.relation,
                chat_key: rows.get(row, 1).unwrap_or_default(),
                account: rows.get(row, 2),
                visitor_id: rows.uuid(row, 3),
                origin_visitor_id: rows.uuid(row, 4),
                provided_visitor_id: rows.get(row, 5),
                channel_type: rows.get(row, 6),
                channel_id: rows.get(row, 7),
                channel_user_id: rows.get(row, 8),
                opened_at: rows.get(row, 9),
                closed_at: rows.get(row, 10),
                matched_by: rows.get(row, 11).unwrap_or_default(),
            })
            .collect())
    }
}
