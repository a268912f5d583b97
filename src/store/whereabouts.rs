//! `visitor_history`: why each chat of a visitor is where it is, and where those went that left him.
//! May touch: the identity tables and the log; the attached tables through `attachment`; writes nothing.

use super::attachment::{tables_holding, AttachedTable, StoredChat};
use super::distributed::{log_statement, table_in_log};
use super::identity::survivor;
use super::policy::policy;
use super::spi::{connect, Mode, Value};
use super::statement;
use crate::error::IdentityError;
use crate::provenance::{Because, Kind, Move, Resident};
use pgrx::datum::TimestampWithTimeZone;
use pgrx::pg_sys;
use std::collections::{BTreeSet, HashMap, HashSet};
use uuid::Uuid;

/// One chat, and why it is where it is.
pub struct ExplainedChat {
    pub chat_table: pg_sys::Oid,
    pub chat_key: String,
    /// With whom it is now; None for one that left and is found neither where the log sent it nor here.
    pub visitor_id: Option<Uuid>,
    pub origin_visitor_id: Option<Uuid>,
    pub because: Because,
    pub rebind_id: Option<i64>,
    pub rebound_at: Option<TimestampWithTimeZone>,
    pub rebound_by: Option<String>,
    pub reason: Option<String>,
}

statement!(
    NAMES_OF,
    "select v.visitor_id
    from visitor_identity.visitor as v
    where v.account operator(pg_catalog.=) $1
        and v.superseded_by operator(pg_catalog.=) $2"
);

// In the order in which it happened, so that the last move of a chat is the one that counts. Read once for all chats.
log_statement!(
    MOVES,
    "select k.moved_table::pg_catalog.oid, e.value::pg_catalog.text, r.rebind_id, r.kind,
        r.from_visitor_id operator(pg_catalog.=) any ($2), r.to_visitor_id operator(pg_catalog.=) any ($2),
        r.undone_at is not null, coalesce(r.undone_at, r.rebound_at), r.rebound_by, r.reason,
        coalesce(v.superseded_by, v.visitor_id)
    from visitor_identity.rebind as r
    join visitor_identity.rebind_row as k
        on k.account operator(pg_catalog.=) $1
        and k.rebind_id operator(pg_catalog.=) r.rebind_id
        and k.moved_table::pg_catalog.oid operator(pg_catalog.<>) all (array[
            'visitor_identity.visitor'::pg_catalog.regclass::pg_catalog.oid,
            'visitor_identity.channel_identity'::pg_catalog.regclass::pg_catalog.oid,
            'visitor_identity.provided_identity'::pg_catalog.regclass::pg_catalog.oid,
            'visitor_identity.device'::pg_catalog.regclass::pg_catalog.oid
        ])
    cross join lateral pg_catalog.jsonb_array_elements(k.keys) as e (value)
    left join visitor_identity.visitor as v
        on v.account operator(pg_catalog.=) $1
        and v.visitor_id operator(pg_catalog.=)
            case when r.undone_at is null then r.to_visitor_id else r.from_visitor_id end
    where r.account operator(pg_catalog.=) $1
        and (
            r.from_visitor_id operator(pg_catalog.=) any ($2)
            or r.to_visitor_id operator(pg_catalog.=) any ($2)
        )
    order by coalesce(r.undone_at, r.rebound_at), r.rebind_id"
);

statement!(
    PROVIDED_OF_HIM,
    "select p.provided_visitor_id
    from visitor_identity.provided_identity as p
    where p.account operator(pg_catalog.=) $1
        and p.visitor_id operator(pg_catalog.=) $2
        and p.provided_visitor_id operator(pg_catalog.=) any ($3)"
);

statement!(
    CHANNELS_OF_HIM,
    "select c.channel_type, c.channel_id, c.channel_user_id
    from visitor_identity.channel_identity as c
    where c.account operator(pg_catalog.=) $1
        and c.visitor_id operator(pg_catalog.=) $2
        and c.channel_user_id operator(pg_catalog.=) any ($3)"
);

/// One logged move of one chat.
struct LoggedMove {
    step: Move,
    rebind_id: i64,
    at: Option<TimestampWithTimeZone>,
    by: Option<String>,
    reason: Option<String>,
    /// Who has the chat afterwards, as far as this move is concerned.
    then_with: Option<Uuid>,
}

/// What the log says of the chats of one table, by their keys.
#[derive(Default)]
struct Log {
    brought: HashMap<String, (Because, LoggedMove)>,
    took_away: HashMap<String, LoggedMove>,
}

/// The identifiers of these chats that are the visitor's.
struct Own {
    provided: HashSet<String>,
    channels: HashSet<(String, String, String)>,
}

/// `visitor_history`. Errors: 42704 for an unknown account, an unknown or a forgotten visitor.
pub fn whereabouts(
    account: &str,
    visitor_id: Option<Uuid>,
) -> Result<Vec<ExplainedChat>, IdentityError> {
    connect(|| {
        policy(account)?;
        let visitor_id = visitor_id.ok_or(IdentityError::UnknownVisitor)?;
        let canonical =
            survivor(Mode::ReadOnly, account, visitor_id)?.ok_or(IdentityError::UnknownVisitor)?;
        let mut log = read_log(account, canonical)?;
        let mut explained = Vec::new();
        for table in tables_holding(account)?
            .iter()
            .filter(|table| table.is_of_chats())
        {
            let of_table = log.remove(&table.relation).unwrap_or_default();
            explained.extend(explain_table(account, canonical, table, of_table)?);
        }
        Ok(explained)
    })
}

fn read_log(account: &str, canonical: Uuid) -> Result<HashMap<pg_sys::Oid, Log>, IdentityError> {
    let values = [Value::Text(Some(account)), Value::Uuid(Some(canonical))];
    let rows = NAMES_OF.with(|statement| statement.run(Mode::ReadOnly, &values))?;
    let mut names = vec![canonical];
    names.extend((0..rows.len()).filter_map(|row| rows.uuid(row, 1)));
    let values = [Value::Text(Some(account)), Value::Uuids(&names)];
    let rows = MOVES.with(|statement| statement.run(Mode::ReadOnly, &values))?;
    let mut logs: HashMap<pg_sys::Oid, Log> = HashMap::new();
    for row in 0..rows.len() {
        let text = |column| rows.get::<String>(row, column);
        let (Some(table), Some(key), Some(rebind_id), Some(kind)) = (
            table_in_log(&rows, row, 1)?,
            text(2),
            rows.get::<i64>(row, 3),
            text(4).and_then(|kind| Kind::from_name(&kind)),
        ) else {
            continue;
        };
        let step = Move {
            kind,
            from_him: rows.truth(row, 5),
            to_him: rows.truth(row, 6),
            undone: rows.truth(row, 7),
        };
        let logged = LoggedMove {
            step,
            rebind_id,
            at: rows.get(row, 8),
            by: text(9),
            reason: text(10),
            then_with: rows.uuid(row, 11),
        };
        let log = logs.entry(table).or_default();
        if let Some(because) = step.brought() {
            log.brought.insert(key, (because, logged));
        } else if step.took_away() {
            log.took_away.insert(key, logged);
        }
    }
    Ok(logs)
}

fn explain_table(
    account: &str,
    canonical: Uuid,
    table: &AttachedTable,
    mut log: Log,
) -> Result<Vec<ExplainedChat>, IdentityError> {
    let here = table.chats_of(account, &[canonical])?;
    let own = own_identifiers(account, canonical, &here)?;
    let mut explained = Vec::with_capacity(here.len());
    for chat in here {
        let brought = log.brought.remove(&chat.logged_key);
        // What an undo should have taken away and is here was left alone by it: its move stands.
        let left_alone = log
            .took_away
            .remove(&chat.logged_key)
            .and_then(|logged| Some((logged.step.as_if_not_undone()?, logged)));
        let brought = brought.or(left_alone);
        explained.push(match brought {
            Some((because, logged)) => moved(table, chat, because, logged),
            None => ExplainedChat {
                chat_table: table.relation,
                because: resident(canonical, &chat, &own).because(),
                chat_key: chat.chat_key,
                visitor_id: chat.visitor_id,
                origin_visitor_id: chat.origin_visitor_id,
                rebind_id: None,
                rebound_at: None,
                rebound_by: None,
                reason: None,
            },
        });
    }
    explained.extend(explain_left(account, table, log.took_away)?);
    Ok(explained)
}

fn resident(canonical: Uuid, chat: &StoredChat, own: &Own) -> Resident {
    Resident {
        is_origin: chat.origin_visitor_id == Some(canonical),
        has_provided_id: chat
            .provided_visitor_id
            .as_ref()
            .is_some_and(|id| own.provided.contains(id)),
        has_channel_user_id: chat
            .channel
            .as_ref()
            .is_some_and(|channel| own.channels.contains(channel)),
    }
}

fn moved(
    table: &AttachedTable,
    chat: StoredChat,
    because: Because,
    logged: LoggedMove,
) -> ExplainedChat {
    ExplainedChat {
        chat_table: table.relation,
        chat_key: chat.chat_key,
        visitor_id: chat.visitor_id,
        origin_visitor_id: chat.origin_visitor_id,
        because,
        rebind_id: Some(logged.rebind_id),
        rebound_at: logged.at,
        // Who undid it is not in the log.
        rebound_by: logged.by.filter(|_| !logged.step.undone),
        reason: logged.reason,
    }
}

/// The chats that left, looked up where the log sent them.
fn explain_left(
    account: &str,
    table: &AttachedTable,
    mut left: HashMap<String, LoggedMove>,
) -> Result<Vec<ExplainedChat>, IdentityError> {
    let whom: BTreeSet<Uuid> = left
        .values()
        .filter_map(|logged| logged.then_with)
        .collect();
    if whom.is_empty() {
        return Ok(Vec::new());
    }
    let whom: Vec<Uuid> = whom.into_iter().collect();
    let mut explained = Vec::new();
    for chat in table.chats_of(account, &whom)? {
        if let Some(logged) = left.remove(&chat.logged_key) {
            explained.push(moved(table, chat, Because::Left, logged));
        }
    }
    let mut gone: Vec<_> = left.into_iter().collect();
    gone.sort_by(|(a, _), (b, _)| a.cmp(b));
    for (logged_key, logged) in gone {
        let gone = StoredChat {
            chat_key: table.chat_key_of(&logged_key),
            logged_key,
            visitor_id: None,
            origin_visitor_id: None,
            provided_visitor_id: None,
            channel: None,
        };
        explained.push(moved(table, gone, Because::Left, logged));
    }
    Ok(explained)
}

fn own_identifiers(
    account: &str,
    canonical: Uuid,
    chats: &[StoredChat],
) -> Result<Own, IdentityError> {
    let distinct = |ids: BTreeSet<&String>| ids.into_iter().cloned().collect::<Vec<String>>();
    let provided = distinct(
        chats
            .iter()
            .filter_map(|chat| chat.provided_visitor_id.as_ref())
            .collect(),
    );
    let users = distinct(
        chats
            .iter()
            .filter_map(|chat| chat.channel.as_ref().map(|(_, _, user)| user))
            .collect(),
    );
    let [of, who] = [Value::Text(Some(account)), Value::Uuid(Some(canonical))];
    let rows = PROVIDED_OF_HIM
        .with(|statement| statement.run(Mode::ReadOnly, &[of, who, Value::Texts(&provided)]))?;
    let provided = (0..rows.len()).filter_map(|row| rows.get(row, 1)).collect();
    let rows = CHANNELS_OF_HIM
        .with(|statement| statement.run(Mode::ReadOnly, &[of, who, Value::Texts(&users)]))?;
    let channels = (0..rows.len())
        .filter_map(|row| Some((rows.get(row, 1)?, rows.get(row, 2)?, rows.get(row, 3)?)))
        .collect();
    Ok(Own { provided, channels })
}
