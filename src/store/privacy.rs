//! What is held about a person: told as one document, and erased.
//! May touch: every table of the extension that holds something about a visitor, and the attached tables through
//! `person_rows`.
//!
//! A person is a canonical visitor and all that it superseded. What he claimed is not his for certain and is left alone.

use super::attachment::{tables_holding, AttachedTable};
use super::identity::{lock_visitor, survivor, Lock};
use super::policy::{policy, Kept};
use super::rebind::{announce_debts, Moving};
use super::resolve::{elect, take_turn};
use super::spi::{connect, is_read_only, unless_none, Mode, Rows, Value};
use super::statement;
use crate::error::IdentityError;
use pgrx::pg_sys;
use pgrx::spi::quote_identifier;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::thread::LocalKey;
use uuid::Uuid;

/// How often the person is looked up again because he was absorbed by another meanwhile.
const MOST_ROUNDS: usize = 50;

/// What is done with the rows of an attached table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowsAction {
    Delete,
    Anonymize,
    Keep,
}

const ROWS_ACTIONS: &str = "delete, anonymize, keep";

impl RowsAction {
    fn from_name(name: &str) -> Option<Self> {
        [Self::Delete, Self::Anonymize, Self::Keep]
            .into_iter()
            .find(|action| action.name() == name)
    }

    fn name(self) -> &'static str {
        match self {
            Self::Delete => "delete",
            Self::Anonymize => "anonymize",
            Self::Keep => "keep",
        }
    }
}

/// What was done with one table.
pub struct Erased {
    pub table: pg_sys::Oid,
    pub action: &'static str,
    pub rows: i64,
}

/// A table of the extension that holds something about visitors. Both statements take the account and the person's
/// visitors, of whom the first is the canonical one.
struct Held {
    table: &'static str,
    /// Its key in the document, and the statement that reads it as a JSON array. None: told elsewhere.
    told: Option<(&'static str, &'static LocalKey<Kept>)>,
    /// What the statement does that erases it.
    action: &'static str,
    erase: &'static LocalKey<Kept>,
}

/// Every table of the extension with something about a visitor, beside `visitor` itself, in the order in which it is
/// erased: bindings, what was owed, the log.
const HELD: [Held; 11] = [
    Held {
        table: "visitor_identity.rebind_row",
        told: None,
        action: "anonymize",
        erase: &ERASE_VALUES_IN_KEYS,
    },
    Held {
        table: "visitor_identity.former_channel_identity",
        told: None,
        action: "delete",
        erase: &ERASE_VALUES_HELD_BEFORE,
    },
    Held {
        table: "visitor_identity.provided_identity",
        told: Some(("provided_ids", &TELL_PROVIDED)),
        action: "delete",
        erase: &ERASE_PROVIDED,
    },
    Held {
        table: "visitor_identity.channel_identity",
        told: Some(("channel_ids", &TELL_CHANNELS)),
        action: "delete",
        erase: &ERASE_CHANNELS,
    },
    Held {
        table: "visitor_identity.former_channel_identity",
        told: Some(("former_channel_ids", &TELL_FORMER_CHANNELS)),
        action: "delete",
        erase: &ERASE_FORMER_CHANNELS,
    },
    Held {
        table: "visitor_identity.visitor_fields",
        told: Some(("fields", &TELL_FIELDS)),
        action: "delete",
        erase: &ERASE_FIELDS,
    },
    Held {
        table: "visitor_identity.device",
        told: Some(("devices", &TELL_DEVICES)),
        action: "delete",
        erase: &ERASE_DEVICES,
    },
    Held {
        table: OWED,
        told: Some(("owed_rebindings", &TELL_OWED)),
        action: "delete",
        erase: &ERASE_OWED,
    },
    Held {
        table: "visitor_identity.refused_link",
        told: Some(("refused_links", &TELL_REFUSED)),
        action: "delete",
        erase: &ERASE_REFUSED,
    },
    Held {
        table: "visitor_identity.rebind_row",
        told: None,
        action: "delete",
        erase: &ERASE_KEYS,
    },
    Held {
        table: "visitor_identity.rebind",
        told: Some(("rebindings", &TELL_REBINDINGS)),
        action: "anonymize",
        erase: &ERASE_REASONS,
    },
];

const OWED: &str = "visitor_identity.pending_rebind";

statement!(
    TELL_PROVIDED,
    "select coalesce(pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object(
        'provided_visitor_id', p.provided_visitor_id,
        'verified_at', p.verified_at,
        'created_at', p.created_at
    ) order by p.created_at, p.provided_visitor_id), '[]'::pg_catalog.jsonb)::pg_catalog.text
    from visitor_identity.provided_identity as p
    where p.account operator(pg_catalog.=) $1
        and p.visitor_id operator(pg_catalog.=) any ($2)"
);

statement!(
    ERASE_PROVIDED,
    "delete from visitor_identity.provided_identity as p
    where p.account operator(pg_catalog.=) $1
        and p.visitor_id operator(pg_catalog.=) any ($2)"
);

statement!(
    TELL_CHANNELS,
    "select coalesce(pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object(
        'channel_type', c.channel_type,
        'channel_id', c.channel_id,
        'channel_user_id', c.channel_user_id,
        'created_at', c.created_at
    ) order by c.created_at, c.channel_type, c.channel_id, c.channel_user_id),
        '[]'::pg_catalog.jsonb)::pg_catalog.text
    from visitor_identity.channel_identity as c
    where c.account operator(pg_catalog.=) $1
        and c.visitor_id operator(pg_catalog.=) any ($2)"
);

statement!(
    ERASE_CHANNELS,
    "delete from visitor_identity.channel_identity as c
    where c.account operator(pg_catalog.=) $1
        and c.visitor_id operator(pg_catalog.=) any ($2)"
);

statement!(
    TELL_FORMER_CHANNELS,
    "select coalesce(pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object(
        'channel_type', f.channel_type,
        'channel_id', f.channel_id,
        'channel_user_id', f.channel_user_id,
        'visitor_id', f.visitor_id,
        'until', f.until
    ) order by f.until, f.channel_type, f.channel_id, f.channel_user_id, f.visitor_id),
        '[]'::pg_catalog.jsonb)::pg_catalog.text
    from visitor_identity.former_channel_identity as f
    where f.account operator(pg_catalog.=) $1
        and f.visitor_id operator(pg_catalog.=) any ($2)"
);

statement!(
    ERASE_FORMER_CHANNELS,
    "delete from visitor_identity.former_channel_identity as f
    where f.account operator(pg_catalog.=) $1
        and f.visitor_id operator(pg_catalog.=) any ($2)"
);

statement!(
    TELL_FIELDS,
    "select coalesce(pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object(
        'visitor_id', f.visitor_id,
        'fields', f.fields,
        'verified_at', f.verified_at
    ) order by f.verified_at, f.visitor_id), '[]'::pg_catalog.jsonb)::pg_catalog.text
    from visitor_identity.visitor_fields as f
    where f.account operator(pg_catalog.=) $1
        and f.visitor_id operator(pg_catalog.=) any ($2)"
);

statement!(
    ERASE_FIELDS,
    "delete from visitor_identity.visitor_fields as f
    where f.account operator(pg_catalog.=) $1
        and f.visitor_id operator(pg_catalog.=) any ($2)"
);

statement!(
    TELL_DEVICES,
    "select coalesce(pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object(
        'app', d.app,
        'device_id', d.device_id,
        'service', d.service,
        'token', d.token,
        'registered_visitor_id', d.registered_visitor_id,
        'registered_at', d.registered_at
    ) order by d.registered_at, d.app, d.device_id), '[]'::pg_catalog.jsonb)::pg_catalog.text
    from visitor_identity.device as d
    where d.account operator(pg_catalog.=) $1
        and d.visitor_id operator(pg_catalog.=) any ($2)"
);

statement!(
    ERASE_DEVICES,
    "delete from visitor_identity.device as d
    where d.account operator(pg_catalog.=) $1
        and d.visitor_id operator(pg_catalog.=) any ($2)"
);

statement!(
    TELL_OWED,
    "select coalesce(pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object(
        'visitor_id', r.visitor_id,
        'to_visitor_id', r.to_visitor_id,
        'created_at', r.created_at
    ) order by r.created_at, r.visitor_id, r.to_visitor_id), '[]'::pg_catalog.jsonb)::pg_catalog.text
    from visitor_identity.pending_rebind as r
    where r.account operator(pg_catalog.=) $1
        and (r.visitor_id operator(pg_catalog.=) any ($2)
            or r.to_visitor_id operator(pg_catalog.=) any ($2))"
);

statement!(
    ERASE_OWED,
    "delete from visitor_identity.pending_rebind as r
    where r.account operator(pg_catalog.=) $1
        and (r.visitor_id operator(pg_catalog.=) any ($2)
            or r.to_visitor_id operator(pg_catalog.=) any ($2))"
);

statement!(
    TELL_REFUSED,
    "select coalesce(pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object(
        'visitor_id', r.visitor_id,
        'to_visitor_id', r.to_visitor_id,
        'reason', r.reason,
        'refused_by', r.refused_by,
        'refused_at', r.refused_at
    ) order by r.refused_id), '[]'::pg_catalog.jsonb)::pg_catalog.text
    from visitor_identity.refused_link as r
    where r.account operator(pg_catalog.=) $1
        and (r.visitor_id operator(pg_catalog.=) any ($2)
            or r.to_visitor_id operator(pg_catalog.=) any ($2))"
);

statement!(
    ERASE_REFUSED,
    "delete from visitor_identity.refused_link as r
    where r.account operator(pg_catalog.=) $1
        and (r.visitor_id operator(pg_catalog.=) any ($2)
            or r.to_visitor_id operator(pg_catalog.=) any ($2))"
);

// Ids that were another person's before are named in his log and as his former ones. Reads the whole log of the account.
// The log names a table by its number, or by its whole name where the tables are distributed.
statement!(
    ERASE_VALUES_IN_KEYS,
    "with erased as (
        select array[
            'visitor_identity.channel_identity',
            'visitor_identity.channel_identity'::pg_catalog.regclass::pg_catalog.text
        ] as moved_table,
            pg_catalog.jsonb_build_object(
                'channel_type', c.channel_type,
                'channel_id', c.channel_id,
                'channel_user_id', c.channel_user_id
            ) as key
        from visitor_identity.channel_identity as c
        where c.account operator(pg_catalog.=) $1
            and c.visitor_id operator(pg_catalog.=) any ($2)
        union all
        select array[
            'visitor_identity.device',
            'visitor_identity.device'::pg_catalog.regclass::pg_catalog.text
        ],
            pg_catalog.jsonb_build_object('app', d.app, 'device_id', d.device_id)
        from visitor_identity.device as d
        where d.account operator(pg_catalog.=) $1
            and d.visitor_id operator(pg_catalog.=) any ($2)
        union all
        select array[
            'visitor_identity.provided_identity',
            'visitor_identity.provided_identity'::pg_catalog.regclass::pg_catalog.text
        ],
            pg_catalog.to_jsonb(p.provided_visitor_id)
        from visitor_identity.provided_identity as p
        where p.account operator(pg_catalog.=) $1
            and p.visitor_id operator(pg_catalog.=) any ($2)
    )
    update visitor_identity.rebind_row as k
    set keys = (
        select coalesce(pg_catalog.jsonb_agg(e.value), '[]'::pg_catalog.jsonb)
        from pg_catalog.jsonb_array_elements(k.keys) as e (value)
        where not exists (
            select 1
            from erased as v
            where k.moved_table::pg_catalog.text operator(pg_catalog.=) any (v.moved_table)
                and e.value operator(pg_catalog.@>) v.key
        )
    )
    where k.account operator(pg_catalog.=) $1
        and exists (
            select 1
            from erased as v
            where k.moved_table::pg_catalog.text operator(pg_catalog.=) any (v.moved_table)
                and k.keys operator(pg_catalog.@>) pg_catalog.jsonb_build_array(v.key)
        )"
);

statement!(
    ERASE_VALUES_HELD_BEFORE,
    "delete from visitor_identity.former_channel_identity as f
    using visitor_identity.channel_identity as c
    where c.account operator(pg_catalog.=) $1
        and c.visitor_id operator(pg_catalog.=) any ($2)
        and f.account operator(pg_catalog.=) $1
        and f.channel_user_id operator(pg_catalog.=) c.channel_user_id
        and f.channel_type operator(pg_catalog.=) c.channel_type
        and f.channel_id operator(pg_catalog.=) c.channel_id"
);

// The keys are those of channel and provided ids too, and nothing of the person can be undone any more.
statement!(
    ERASE_KEYS,
    "delete from visitor_identity.rebind_row as k
    using visitor_identity.rebind as r
    where r.account operator(pg_catalog.=) $1
        and (r.from_visitor_id operator(pg_catalog.=) any ($2)
            or r.to_visitor_id operator(pg_catalog.=) any ($2))
        and k.account operator(pg_catalog.=) $1
        and k.rebind_id operator(pg_catalog.=) r.rebind_id"
);

statement!(
    TELL_REBINDINGS,
    "select coalesce(pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object(
        'rebind_id', r.rebind_id,
        'kind', r.kind,
        'from_visitor_id', r.from_visitor_id,
        'to_visitor_id', r.to_visitor_id,
        'rebound_chats', r.rebound_chats,
        'kept_rows', r.kept_rows,
        'claimed_by', r.claimed_by,
        'reason', r.reason,
        'rebound_by', r.rebound_by,
        'rebound_at', r.rebound_at,
        'undone_at', r.undone_at
    ) order by r.rebind_id), '[]'::pg_catalog.jsonb)::pg_catalog.text
    from visitor_identity.rebind as r
    where r.account operator(pg_catalog.=) $1
        and (r.from_visitor_id operator(pg_catalog.=) any ($2)
            or r.to_visitor_id operator(pg_catalog.=) any ($2))"
);

// What a human wrote may name the person; the other reasons are codes.
statement!(
    ERASE_REASONS,
    "update visitor_identity.rebind as r
    set reason = 'forgotten'
    where r.account operator(pg_catalog.=) $1
        and (r.from_visitor_id operator(pg_catalog.=) any ($2)
            or r.to_visitor_id operator(pg_catalog.=) any ($2))
        and r.kind operator(pg_catalog.=) 'merge'
        and r.reason operator(pg_catalog.<>) 'forgotten'"
);

statement!(
    TELL_VISITOR,
    "select pg_catalog.to_jsonb(v.created_at)::pg_catalog.text, v.identified, v.claimed_by, (
        select coalesce(pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object(
            'visitor_id', f.visitor_id,
            'created_at', f.created_at
        ) order by f.created_at, f.visitor_id), '[]'::pg_catalog.jsonb)::pg_catalog.text
        from visitor_identity.visitor as f
        where f.account operator(pg_catalog.=) $1
            and f.superseded_by operator(pg_catalog.=) $2
    ), (
        select coalesce(pg_catalog.jsonb_agg(c.visitor_id order by c.created_at, c.visitor_id),
            '[]'::pg_catalog.jsonb)::pg_catalog.text
        from visitor_identity.visitor as c
        where c.account operator(pg_catalog.=) $1
            and c.claimed_by operator(pg_catalog.=) any ($3)
    )
    from visitor_identity.visitor as v
    where v.account operator(pg_catalog.=) $1
        and v.visitor_id operator(pg_catalog.=) $2"
);

statement!(
    FORMER_NAMES,
    "select v.visitor_id
    from visitor_identity.visitor as v
    where v.account operator(pg_catalog.=) $1
        and v.superseded_by operator(pg_catalog.=) $2
    order by v.visitor_id"
);

// Chats of a former name go on being added to the canonical visitor, whose row is what stops them: waiting for those who
// hold a former name as well could be waiting for one another.
statement!(
    TAKE_FORMER_NAMES_BEFORE,
    "select v.visitor_id
    from visitor_identity.visitor as v
    where v.account operator(pg_catalog.=) $1
        and v.superseded_by operator(pg_catalog.=) $2
        and v.visitor_id operator(pg_catalog.<) $2
    order by v.visitor_id
    for no key update"
);

statement!(
    TAKE_FORMER_NAMES,
    "select v.visitor_id
    from visitor_identity.visitor as v
    where v.account operator(pg_catalog.=) $1
        and v.superseded_by operator(pg_catalog.=) $2
    order by v.visitor_id
    for no key update"
);

statement!(
    BURY,
    "update visitor_identity.visitor as v
    set forgotten = true, identified = false, claimed_by = null
    where v.account operator(pg_catalog.=) $1
        and v.visitor_id operator(pg_catalog.=) any ($2)"
);

statement!(
    COUNT_CLAIMED,
    "select pg_catalog.count(*)
    from visitor_identity.visitor as v
    where v.account operator(pg_catalog.=) $1
        and v.claimed_by operator(pg_catalog.=) any ($2)
        and v.visitor_id operator(pg_catalog.<>) all ($2)"
);

statement!(
    RELATION,
    "select pg_catalog.to_regclass($1)::pg_catalog.oid"
);

statement!(
    NOT_NULL_COLUMNS,
    "select a.attname::pg_catalog.text
    from pg_catalog.pg_attribute as a
    join pg_catalog.pg_type as t on t.oid operator(pg_catalog.=) a.atttypid
    where a.attrelid operator(pg_catalog.=) $1
        and (a.attnotnull or t.typnotnull)
        and a.attname::pg_catalog.text operator(pg_catalog.=) any ($2)
    order by a.attnum"
);

fn relation(name: &str) -> Result<Option<pg_sys::Oid>, IdentityError> {
    let values = [Value::Text(Some(name))];
    let rows = RELATION.with(|statement| statement.run(Mode::Write, &values))?;
    Ok(rows.get(0, 1))
}

/// The canonical visitor. Errors: 42704 for one that is not known, or not any more.
fn canonical(mode: Mode, account: &str, visitor_id: Uuid) -> Result<Uuid, IdentityError> {
    survivor(mode, account, visitor_id)?.ok_or(IdentityError::UnknownVisitor)
}

fn ids(rows: &Rows) -> Vec<Uuid> {
    (0..rows.len())
        .filter_map(|row| rows.uuid(row, 1))
        .collect()
}

/// `export_visitor`: the text of a JSON object. Errors: 42704 for an unknown or forgotten visitor.
pub fn export(account: &str, visitor_id: Uuid) -> Result<String, IdentityError> {
    connect(|| {
        policy(account)?;
        let canonical = canonical(Mode::ReadOnly, account, visitor_id)?;
        let one = [Value::Text(Some(account)), Value::Uuid(Some(canonical))];
        let former = FORMER_NAMES.with(|statement| statement.run(Mode::ReadOnly, &one))?;
        let mut person = vec![canonical];
        person.extend(ids(&former));

        let mut document = Document::default();
        let values = [one[0], one[1], Value::Uuids(&person)];
        let rows = TELL_VISITOR.with(|statement| statement.run(Mode::ReadOnly, &values))?;
        let json = |column| rows.get::<String>(0, column).unwrap_or_default();
        document.add_text("account", account)?;
        document.add_text("visitor_id", &canonical.to_string())?;
        document.add("created_at", &json(1));
        document.add(
            "identified",
            if rows.truth(0, 2) { "true" } else { "false" },
        );
        match rows.uuid(0, 3) {
            Some(claimant) => document.add_text("claimed_by", &claimant.to_string())?,
            None => document.add("claimed_by", "null"),
        }
        document.add("former_visitor_ids", &json(4));
        document.add("claimed_visitor_ids", &json(5));
        let values = [one[0], Value::Uuids(&person)];
        for (key, statement) in HELD.iter().filter_map(|held| held.told) {
            let rows = statement.with(|statement| statement.run(Mode::ReadOnly, &values))?;
            document.add(key, &rows.get::<String>(0, 1).unwrap_or_default());
        }
        let mut tables = Document::default();
        for table in tables_holding(account)? {
            tables.add(&table.name, &table.person.read(account, &person)?);
        }
        document.add("attached_tables", &tables.text());
        Ok(document.text())
    })
}

/// A JSON object in the making, of values that are JSON already: what PostgreSQL wrote stays to the letter.
#[derive(Default)]
struct Document(Vec<String>);

impl Document {
    fn add(&mut self, key: &str, json: &str) {
        let key = serde_json::Value::from(key);
        self.0.push(format!("{key}: {json}"));
    }

    fn add_text(&mut self, key: &str, text: &str) -> Result<(), IdentityError> {
        let json = serde_json::to_string(text)
            .map_err(|_| IdentityError::Internal("a text could not be written as JSON".into()))?;
        self.add(key, &json);
        Ok(())
    }

    fn text(&self) -> String {
        format!("{{{}}}", self.0.join(", "))
    }
}

/// Whether a text has the form of a table's name, with its schema or without: `to_regclass` raises errors of its own for
/// what has not.
fn is_table_name(text: &str) -> bool {
    let (mut parts, mut rest) = (0, text);
    loop {
        let end = match rest.strip_prefix('"') {
            Some(quoted) => {
                let inner = quoted.replace("\"\"", "__");
                match inner.find('"') {
                    Some(length) if length > 0 => length + 2,
                    _ => return false,
                }
            }
            None => rest
                .find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '$' || !c.is_ascii()))
                .unwrap_or(rest.len()),
        };
        let begins_well = !rest.starts_with(|c: char| c.is_ascii_digit() || c == '$');
        parts += 1;
        if end == 0 || !begins_well || parts > 2 {
            return false;
        }
        match rest.get(end..) {
            Some("") => return true,
            Some(more) => match more.strip_prefix('.') {
                Some(more) => rest = more,
                None => return false,
            },
            None => return false,
        }
    }
}

/// What is to be done with each attached table of the account. Errors: 22023.
fn plan(
    tables: &[Rc<AttachedTable>],
    attached_rows: &str,
    per_table: &str,
) -> Result<Vec<(Rc<AttachedTable>, RowsAction)>, IdentityError> {
    let for_all = RowsAction::from_name(attached_rows).ok_or(IdentityError::BadOption {
        option: "attached_rows",
        allowed: ROWS_ACTIONS,
    })?;
    let named: BTreeMap<String, String> = serde_json::from_str(per_table).map_err(|_| {
        IdentityError::BadPerTable("it is not a JSON object with a text for each table".into())
    })?;
    let mut exceptions: Vec<(pg_sys::Oid, RowsAction)> = Vec::with_capacity(named.len());
    for (name, action) in &named {
        let refused = |what: &str| IdentityError::BadPerTable(format!("\"{name}\" {what}"));
        let action = RowsAction::from_name(action)
            .ok_or_else(|| refused("has another value than delete, anonymize or keep"))?;
        let named = if is_table_name(name) {
            relation(name)?
        } else {
            None
        };
        let table = named
            .filter(|oid| tables.iter().any(|table| table.relation == *oid))
            .ok_or_else(|| refused("is no attached table of the account"))?;
        if exceptions.iter().any(|(known, _)| *known == table) {
            return Err(refused("is named twice"));
        }
        exceptions.push((table, action));
    }
    Ok(tables
        .iter()
        .map(|table| {
            let action = exceptions
                .iter()
                .find(|(named, _)| *named == table.relation)
                .map_or(for_all, |(_, action)| *action);
            (Rc::clone(table), action)
        })
        .collect())
}

/// Takes a person: nobody adds anything to him, rebinds him or undoes a rebinding to him until we end. The canonical
/// visitor is the first. Errors: 42704 when he was forgotten meanwhile.
///
/// His chats are locked before his row: whoever changes one of them may be waiting for the row.
fn take_person(account: &str, visitor_id: Uuid) -> Result<Vec<Uuid>, IdentityError> {
    let mut wanted = canonical(Mode::Write, account, visitor_id)?;
    let lock_rows = |person: &[Uuid]| {
        tables_holding(account)?
            .iter()
            .try_for_each(|table| table.person.lock(account, person))
    };
    for _ in 0..MOST_ROUNDS {
        // Elected, he stays who he is; until then another may have absorbed him, and while that one is waited for nothing of
        // his may be held, nor his election, which who undoes it waits for.
        let stays = unless_none(|| {
            take_turn(account, &[wanted])?;
            elect(account, wanted)?;
            let now = canonical(Mode::Write, account, wanted)?;
            let stays = now == wanted;
            wanted = now;
            Ok(stays.then_some(()))
        })?;
        if stays.is_none() {
            continue;
        }
        lock_rows(&[wanted])?;
        let values = [Value::Text(Some(account)), Value::Uuid(Some(wanted))];
        TAKE_FORMER_NAMES_BEFORE.with(|statement| statement.run(Mode::Newest, &values))?;
        let locked =
            lock_visitor(account, wanted, Lock::Take)?.ok_or(IdentityError::UnknownVisitor)?;
        if let Some(survivor) = locked.superseded_by {
            wanted = survivor;
            continue;
        }
        if locked.visitor.forgotten {
            return Err(IdentityError::UnknownVisitor);
        }
        let former = TAKE_FORMER_NAMES.with(|statement| statement.run(Mode::Newest, &values))?;
        let mut person = vec![wanted];
        person.extend(ids(&former));
        lock_rows(&person)?;
        return Ok(person);
    }
    Err(IdentityError::Serialization)
}

/// `forget_visitor`. Errors: 42704 for an unknown visitor; 22023 for what is no action; 55000 when an identifier cannot
/// be set to NULL, or a trigger of the application does not let go of a row.
pub fn forget(
    account: &str,
    visitor_id: Uuid,
    attached_rows: &str,
    per_table: &str,
) -> Result<Vec<Erased>, IdentityError> {
    connect(|| {
        policy(account)?;
        if is_read_only() {
            return Err(IdentityError::ReadOnlyOperation);
        }
        let plan = plan(&tables_holding(account)?, attached_rows, per_table)?;
        let person = take_person(account, visitor_id)?;
        for (table, action) in &plan {
            if *action == RowsAction::Anonymize {
                can_anonymize(table, account, &person)?;
            }
        }

        let values = [Value::Text(Some(account)), Value::Uuids(&person)];
        let mut done = Vec::new();
        let mut say = |table: &str, action: &'static str, rows: i64| {
            let table = relation(table)?
                .ok_or_else(|| IdentityError::Internal(format!("{table} is not there")))?;
            done.push(Erased {
                table,
                action,
                rows,
            });
            Ok::<_, IdentityError>(())
        };
        let buried = BURY.with(|statement| statement.run(Mode::Newest, &values))?;
        let buried = buried.len();
        if buried != person.len() {
            return Err(IdentityError::Serialization);
        }
        say("visitor_identity.visitor", "tombstone", buried as i64)?;
        let claimed = COUNT_CLAIMED.with(|statement| statement.run(Mode::Newest, &values))?;
        let claimed = claimed.number(0, 1);
        if claimed > 0 {
            say("visitor_identity.visitor", "left", claimed)?;
        }
        // The table that was attached last first: it is the one that may refer to another.
        let mut attached = Vec::with_capacity(plan.len());
        for (table, action) in plan.iter().rev() {
            attached.push(Erased {
                table: table.relation,
                action: action.name(),
                rows: treat(table, *action, account, &person)?,
            });
        }
        // After the chats: whoever yielded while they were waited for has said so by now.
        for held in &HELD {
            let erased = held
                .erase
                .with(|statement| statement.run(Mode::Newest, &values))?;
            let erased = erased.len() as i64;
            if erased > 0 {
                say(held.table, held.action, erased)?;
                if held.table == OWED {
                    announce_debts()?;
                }
            }
        }
        attached.reverse();
        done.extend(attached);
        Ok(done)
    })
}

/// Errors, if the person has a row there: 55000 for a column that must have a value, and for a table that is no chat
/// table: what identifies him in its rows, if not all of them, only the application knows.
fn can_anonymize(
    table: &AttachedTable,
    account: &str,
    person: &[Uuid],
) -> Result<(), IdentityError> {
    let has_rows = || Ok::<_, IdentityError>(table.person.tally(account, person)?.rows > 0);
    if !table.is_of_chats() {
        return if has_rows()? {
            Err(IdentityError::Attachment {
                message: format!("the rows of {} cannot be anonymized", table.name),
                detail: "It is attached as a visitor table, whose columns with personal data are not known.".into(),
                hint: "Say what to do with the table: per_table => '{\"schema.table\": \"delete\"}' or \"keep\".".into(),
            })
        } else {
            Ok(())
        };
    }
    let columns = &table.person.identifier_columns;
    let values = [Value::Oid(table.relation), Value::Texts(columns)];
    let rows = NOT_NULL_COLUMNS.with(|statement| statement.run(Mode::Write, &values))?;
    let Some(column) = rows.get::<String>(0, 1) else {
        return Ok(());
    };
    if !has_rows()? {
        return Ok(());
    }
    Err(IdentityError::Attachment {
        message: format!(
            "column {} of {} cannot be set to NULL",
            quote_identifier(&column),
            table.name
        ),
        detail: "It holds identifiers of the person and is NOT NULL.".into(),
        hint: "Drop the NOT NULL, or say what to do with the table: per_table => '{\"schema.table\": \"delete\"}' or \"keep\".".into(),
    })
}

/// Does with the person's rows what was asked for, and counts them. Errors: 55000 when a trigger of the application does
/// not let it happen.
fn treat(
    table: &AttachedTable,
    action: RowsAction,
    account: &str,
    person: &[Uuid],
) -> Result<i64, IdentityError> {
    let rows = &table.person;
    let before = rows.tally(account, person)?;
    if before.rows == 0 {
        return Ok(0);
    }
    let _moving = Moving::in_place();
    let remains = match action {
        RowsAction::Keep => 0,
        RowsAction::Anonymize => {
            rows.anonymize(account, person)?;
            rows.tally(account, person)?.identified
        }
        RowsAction::Delete => {
            rows.delete(account, person)?;
            rows.tally(account, person)?.rows
        }
    };
    if remains > 0 {
        return Err(IdentityError::not_in_state(
            "a trigger of an attached table keeps what is to be forgotten",
            "After the statement a row of the person was still there, or still showed an identifier.",
            "Let the table's own triggers accept the change, or say keep for the table in per_table.",
        ));
    }
    Ok(before.rows)
}
