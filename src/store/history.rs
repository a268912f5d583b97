//! The search bar of the History page: finds whom the words mean, then reads their closed chats through the views.
//! May touch: the identity tables with the extension's rights; the views with the caller's rights and no others.

use super::attach::owner_of_extension;
use super::attachment::key_as_json;
use super::distributed::is_distributed;
use super::identity::{bound_to_provided, survivor};
use super::policy::{cached, changes, keep, policy, watch};
use super::spi::{as_role, connect, may_read, may_use_schema, Mode, Statement, StoredJson, Value};
use super::statement;
use crate::error::IdentityError;
use crate::search::Words;
use pgrx::datum::TimestampWithTimeZone;
use pgrx::pg_sys;
use pgrx::spi::{quote_identifier, quote_literal, quote_qualified_identifier};
use std::cell::OnceCell;
use std::rc::Rc;
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
    pub chat_key: Option<StoredJson>,
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
    /// The one visitor whose chats are meant, all of them and no others, and the label that they get.
    fn only_visitor(&self) -> Option<(Uuid, &'static str)> {
        let (visitor, label) = match (self.by_visitor.first(), self.by_provided.first()) {
            (Some(visitor), _) => (*visitor, "visitor_id"),
            (None, Some(visitor)) => (*visitor, "provided_visitor_id"),
            (None, None) => return None,
        };
        let every = self.visitors();
        (every == [visitor]).then_some((visitor, label))
    }

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
    "select coalesce(v.superseded_by, v.visitor_id)
    from visitor_identity.rebind as r
    join visitor_identity.visitor as v
        on v.account operator(pg_catalog.=) $1
        and v.visitor_id operator(pg_catalog.=) r.to_visitor_id
    where r.account operator(pg_catalog.=) $1
        and r.from_visitor_id operator(pg_catalog.=) $2"
);

statement!(
    BY_CHANNEL,
    "select c.visitor_id
    from visitor_identity.channel_identity as c
    where c.account operator(pg_catalog.=) $1
        and c.channel_user_id operator(pg_catalog.=) any ($2)
    union all
    select coalesce(v.superseded_by, v.visitor_id)
    from visitor_identity.former_channel_identity as f
    join visitor_identity.visitor as v
        on v.account operator(pg_catalog.=) $1
        and v.visitor_id operator(pg_catalog.=) f.visitor_id
    where f.account operator(pg_catalog.=) $1
        and f.channel_user_id operator(pg_catalog.=) any ($2)"
);

statement!(
    VIEWS,
    "select t.attached::pg_catalog.oid, n.nspname::pg_catalog.text, h.relname::pg_catalog.text,
        t.account_column::pg_catalog.text, t.fixed_account,
        t.opened_at_column::pg_catalog.text, t.closed_at_column::pg_catalog.text,
        t.channel_type_column is not null and t.channel_user_column is not null,
        exists (
            select 1
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
        h.oid, h.relowner, n.oid,
        'visitor_identity.provided_identity'::pg_catalog.regclass::pg_catalog.oid,
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
            Ok::<_, IdentityError>((meanings, history_views()?))
        })?;
        let page = Page {
            account,
            size: page_size,
            after,
        };
        let mut found = Vec::new();
        for view in readable(&views, caller, account)? {
            found.extend(view.read(&meanings, &page, caller)?);
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
    let (visitor, _) = bound_to_provided(Mode::ReadOnly, account, id)?;
    meanings.by_provided.extend(visitor);
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

/// An attached table as the search reads it. Kept until the table, its view or the list of tables changes.
pub(super) struct HistoryView {
    relation: pg_sys::Oid,
    view: pg_sys::Oid,
    view_owner: pg_sys::Oid,
    schema: pg_sys::Oid,
    identities: pg_sys::Oid,
    /// Without its schema, and quoted with it.
    short_name: String,
    name: String,
    columns: String,
    account: String,
    fixed_account: Option<String>,
    opened_at: String,
    key: String,
    has_channel: bool,
    /// An index leads with the channel user id, so that rows can be looked up by it as it stands.
    has_channel_index: bool,
    /// Those that were needed until now, one a shape.
    statements: [OnceCell<Statement>; Shape::COUNT],
}

/// What a statement over a view looks for. As few shapes as there are ways to the rows, each planned once.
#[derive(Clone, Copy)]
struct Shape {
    visitors: Whom,
    /// Also rows of others that have the channel user id themselves.
    by_text: bool,
    /// From the page before on.
    after: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Whom {
    Nobody,
    /// All chats of one visitor.
    One,
    /// Chats of several, or some of their chats.
    Several,
}

impl Shape {
    const COUNT: usize = 12;

    fn number(self) -> usize {
        self.visitors as usize * 4 + usize::from(self.by_text) * 2 + usize::from(self.after)
    }
}

/// Which page is wanted.
struct Page<'a> {
    account: &'a str,
    size: i64,
    after: Option<Cursor<'a>>,
}

/// The views of all attached tables, with the extension's rights.
fn history_views() -> Result<Rc<[Rc<HistoryView>]>, IdentityError> {
    if let Some(views) = cached(|cache| cache.history_views.clone())? {
        return Ok(views);
    }
    let as_of = changes();
    let rows = VIEWS.with(|statement| statement.run(Mode::NewestReadOnly, &[]))?;
    let mut views = Vec::with_capacity(rows.len());
    for row in 0..rows.len() {
        let text = |column| rows.get::<String>(row, column);
        let oid = |column| rows.get::<pg_sys::Oid>(row, column);
        let (Some(relation), Some(schema_name), Some(short_name)) = (oid(1), text(2), text(3))
        else {
            continue;
        };
        let (Some(view), Some(view_owner), Some(schema), Some(identities)) =
            (oid(10), oid(11), oid(12), oid(13))
        else {
            continue;
        };
        let fixed_account = text(5);
        let column = |name: Option<String>, cast: &str| match name {
            Some(name) => format!("h.{}::{cast}", quote_identifier(name)),
            None => format!("null::{cast}"),
        };
        let account = match (text(4), &fixed_account) {
            (Some(column), _) => format!("h.{}::pg_catalog.text", quote_identifier(column)),
            (None, fixed) => format!(
                "{}::pg_catalog.text",
                quote_literal(fixed.as_deref().unwrap_or_default())
            ),
        };
        let opened_at = column(text(6), "pg_catalog.timestamptz");
        let closed_at = column(text(7), "pg_catalog.timestamptz");
        let names: Vec<String> = rows.get(row, 14).unwrap_or_default();
        let instants: Vec<bool> = rows.get(row, 15).unwrap_or_default();
        let references: Vec<(String, String, bool)> = names
            .into_iter()
            .zip(instants)
            .map(|(name, is_instant)| {
                let reference = format!("h.{}", quote_identifier(&name));
                (name, reference, is_instant)
            })
            .collect();
        let key = key_as_json(&references, true);
        views.push(Rc::new(HistoryView {
            relation,
            view,
            view_owner,
            schema,
            identities,
            name: quote_qualified_identifier(&schema_name, &short_name),
            short_name,
            columns: format!(
                "{key} as visitor_identity_key, {account} as account, h.visitor_id, h.origin_visitor_id,
                    h.provided_visitor_id::pg_catalog.text, h.channel_type::pg_catalog.text,
                    h.channel_id::pg_catalog.text, h.channel_user_id::pg_catalog.text,
                    {opened_at} as visitor_identity_time, {closed_at} as closed_at"
            ),
            account,
            fixed_account: if text(4).is_some() { None } else { fixed_account },
            opened_at,
            key,
            has_channel: rows.truth(row, 8),
            has_channel_index: rows.truth(row, 9),
            statements: Default::default(),
        }));
    }
    for view in &views {
        watch(view.relation);
        watch(view.view);
    }
    let views: Rc<[Rc<HistoryView>]> = views.into();
    keep(as_of, |cache| cache.history_views = Some(Rc::clone(&views)));
    Ok(views)
}

/// The views that the caller may read, of those that can hold chats of the account. Errors: 42501 when there are some and
/// he may read none.
fn readable(
    views: &[Rc<HistoryView>],
    caller: pg_sys::Oid,
    account: &str,
) -> Result<Vec<Rc<HistoryView>>, IdentityError> {
    let mut readable = Vec::new();
    let mut refused = None;
    for view in views {
        if !may_read(caller, view.view) {
            refused = Some(&view.short_name);
        } else if !may_read(view.view_owner, view.relation)
            || !may_read(view.view_owner, view.identities)
        {
            pgrx::warning!(
                "view {} is passed over: its owner may not read the table any more; detach the table and attach it again",
                quote_identifier(&view.short_name)
            );
        } else if view
            .fixed_account
            .as_deref()
            .is_none_or(|fixed| fixed == account)
        {
            readable.push(Rc::clone(view));
        }
    }
    match refused {
        Some(view) if readable.is_empty() => Err(IdentityError::NotReadable(view.clone())),
        _ => Ok(readable),
    }
}

impl HistoryView {
    /// One page of the chats that the words find in this table.
    fn read(
        &self,
        meanings: &Meanings,
        page: &Page<'_>,
        caller: pg_sys::Oid,
    ) -> Result<Vec<FoundChat>, IdentityError> {
        let visitors = meanings.visitors();
        let only = meanings.only_visitor();
        let shape = Shape {
            visitors: match only {
                Some(_) => Whom::One,
                None if visitors.is_empty() => Whom::Nobody,
                None => Whom::Several,
            },
            by_text: self.has_channel_index && !meanings.channel_user_ids.is_empty(),
            after: page.after.is_some(),
        };
        if shape.visitors == Whom::Nobody && !shape.by_text {
            return Ok(Vec::new());
        }
        let (visitor, label) = only.unzip();
        let cursor = page.after;
        let values = [
            Value::Text(Some(page.account)),
            match visitor {
                Some(visitor) => Value::Uuid(Some(visitor)),
                None => Value::Uuids(&visitors),
            },
            Value::Int8(Some(page.size)),
            Value::Timestamp(cursor.and_then(|cursor| cursor.opened_at)),
            Value::Json(cursor.map(|cursor| cursor.chat_key)),
            Value::Oid(self.relation),
            Value::Oid(cursor.map_or(self.relation, |cursor| cursor.chat_table)),
            Value::Texts(&meanings.channel_user_ids),
            Value::Text(label),
            Value::Uuids(&meanings.by_visitor),
            Value::Uuids(&meanings.by_provided),
            Value::Uuids(&meanings.by_channel),
            Value::Uuids(&meanings.moved_to),
            Value::Uuid(meanings.origin),
        ];
        // The last ones are for several visitors only.
        let values = match shape.visitors {
            Whom::Several => values.as_slice(),
            _ => values.split_at(9).0,
        };
        let at_once = is_distributed()?;
        let statement = || Statement::over_table(self.statement(shape, at_once)).for_any_values();
        let kept = self.statements.get(shape.number());
        let rows = match kept {
            // The name of the schema is looked up with a caller's rights when the statement is planned, and a kept one is
            // planned with those of an earlier caller.
            Some(kept) if may_use_schema(caller, self.schema) => {
                kept.get_or_init(statement).run(Mode::ReadOnly, values)?
            }
            _ => statement().run(Mode::ReadOnly, values)?,
        };
        Ok((0..rows.len())
            .map(|row| FoundChat {
                chat_table: self.relation,
                chat_key: rows.get(row, 1),
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

    /// The text of a statement. `at_once`: the visitors are not looked for one at a time.
    fn statement(&self, shape: Shape, at_once: bool) -> String {
        let parts: Vec<String> = [
            match shape.visitors {
                Whom::Nobody => None,
                Whom::One => Some(self.of_one(shape)),
                Whom::Several => Some(self.of_several(shape, at_once)),
            },
            shape.by_text.then(|| self.by_text(shape)),
        ]
        .into_iter()
        .flatten()
        .collect();
        match parts.as_slice() {
            [part] => part.clone(),
            parts => format!(
                "({})
                order by visitor_identity_time desc nulls last, visitor_identity_key
                limit $3",
                parts.join(") union all (")
            ),
        }
    }

    fn of_one(&self, shape: Shape) -> String {
        self.page(
            "$9::pg_catalog.text",
            "h.visitor_id operator(pg_catalog.=) $2",
            shape,
        )
    }

    /// A visitor at a time, each by the index, however many are guessed. All at once for Citus, which limits no sub-select
    /// for each row of another.
    fn of_several(&self, shape: Shape, at_once: bool) -> String {
        let id = if at_once { "h.visitor_id" } else { "v.id" };
        let of_channel = if self.has_channel {
            format!(
                "(
                {id} operator(pg_catalog.=) any ($12)
                and visitor_identity.normalize_channel_user_id(
                    h.channel_type::pg_catalog.text, h.channel_user_id::pg_catalog.text
                ) operator(pg_catalog.=) any ($8)
            )"
            )
        } else {
            "false".to_owned()
        };
        let label = format!(
            "case
                when {id} operator(pg_catalog.=) any ($10) then 'visitor_id'
                when {id} operator(pg_catalog.=) any ($11) then 'provided_visitor_id'
                when {of_channel} then 'channel_user_id'
                else 'origin_visitor_id'
            end::pg_catalog.text"
        );
        let sought = if at_once { "any ($2)" } else { "v.id" };
        let which = format!(
            "h.visitor_id operator(pg_catalog.=) {sought}
            and (
                {id} operator(pg_catalog.=) any ($10)
                or {id} operator(pg_catalog.=) any ($11)
                or {of_channel}
                or (
                    {id} operator(pg_catalog.=) any ($13)
                    and h.origin_visitor_id operator(pg_catalog.=) $14
                )
            )"
        );
        let page = self.page(&label, &which, shape);
        if at_once {
            return page;
        }
        format!(
            "select page.*
            from pg_catalog.unnest($2) as v (id)
            cross join lateral (
                {page}
            ) as page
            order by page.visitor_identity_time desc nulls last, page.visitor_identity_key
            limit $3"
        )
    }

    /// Also a chat whose channel user id is bound to nobody: malformed, or of a chat that was somebody's already.
    fn by_text(&self, shape: Shape) -> String {
        let which = format!(
            "h.channel_user_id::pg_catalog.text operator(pg_catalog.=) any ($8)
            {}",
            match shape.visitors {
                Whom::Nobody => "",
                Whom::One => "and (h.visitor_id operator(pg_catalog.=) $2) is not true",
                Whom::Several => "and (h.visitor_id operator(pg_catalog.=) any ($2)) is not true",
            }
        );
        self.page("'channel_user_id'::pg_catalog.text", &which, shape)
    }

    /// A page of the chats that meet a condition.
    fn page(&self, label: &str, which: &str, shape: Shape) -> String {
        let (opened_at, key) = (&self.opened_at, &self.key);
        let after = if shape.after {
            format!(
                "and (
                    {opened_at} operator(pg_catalog.<) $4
                    or ({opened_at} is null and $4 is not null)
                    or (
                        (
                            {opened_at} operator(pg_catalog.=) $4
                            or ({opened_at} is null and $4 is null)
                        )
                        and (
                            $6 operator(pg_catalog.>) $7
                            or (
                                $6 operator(pg_catalog.=) $7
                                and {key} operator(pg_catalog.>) $5::pg_catalog.jsonb
                            )
                        )
                    )
                )"
            )
        } else {
            String::new()
        };
        format!(
            "select {columns}, {label} as matched_by
            from {view} as h
            where {account} operator(pg_catalog.=) $1
                and {which}
                {after}
            order by visitor_identity_time desc nulls last, visitor_identity_key
            limit $3",
            columns = self.columns,
            view = self.name,
            account = self.account,
        )
    }
}
