//! The identity tables: facts in one statement, locks, bindings.
//! May touch: `visitor`, `provided_identity`, `channel_identity`, `former_channel_identity`; never an application's table.

use super::batch_facts::facts_from_indexes;
use super::direct::{Columns, Key, KeyType, KeyedTable, Seen, Snapshot};
use super::distributed::{is_distributed, try_lock_at_account, wait_for_lock_at_account};
use super::held::{bound, held, hold};
use super::spi::{Mode, Rows, Statement, Value};
use super::statement;
use crate::error::IdentityError;
use crate::resolution::{
    computed_id, holder_of_computed_id, ChannelKey, Facts, Holder, Policy, Request, Target, Visitor,
};
use pgrx::datum::IntoDatum;
use pgrx::pg_sys;
use std::collections::BTreeMap;
use std::mem::ManuallyDrop;
use uuid::Uuid;

/// The canonical visitor of a visitor_id; None for the unknown and the forgotten.
pub fn survivor(mode: Mode, account: &str, visitor: Uuid) -> Result<Option<Uuid>, IdentityError> {
    let remembered = |id| -> Result<Option<LockedVisitor>, IdentityError> {
        Ok(read_visitor(mode, account, id)?.filter(|row| !row.visitor.forgotten))
    };
    let mut found = remembered(visitor)?;
    if let Some(survivor) = found.and_then(|row| row.superseded_by) {
        found = remembered(survivor)?;
    }
    Ok(found.map(|row| row.visitor.id))
}

/// The statements that read the facts, one for every combination of identifiers, made at their first use: a request
/// pays for the probes of the identifiers that it has.
struct FactStatements([std::cell::OnceCell<Statement>; 8]);

impl FactStatements {
    const fn none() -> Self {
        Self([const { std::cell::OnceCell::new() }; 8])
    }

    fn run(
        &self,
        given: [bool; 3],
        source: &Source,
        mode: Mode,
        values: &[Value<'_>],
    ) -> Result<Rows, IdentityError> {
        let [provided, channel, cookie] = given;
        let index = usize::from(provided) | usize::from(channel) << 1 | usize::from(cookie) << 2;
        let slot = self
            .0
            .get(index)
            .ok_or_else(|| IdentityError::Internal("no statement for these facts".into()))?;
        slot.get_or_init(|| Statement::over_table(facts_text(given, source)).for_any_values())
            .run(mode, values)
    }
}

thread_local! {
    static FACTS: ManuallyDrop<FactStatements> = const { ManuallyDrop::new(FactStatements::none()) };
    static FACTS_OF_MANY: ManuallyDrop<FactStatements> =
        const { ManuallyDrop::new(FactStatements::none()) };
    static FACTS_OF_MANY_OWED: ManuallyDrop<FactStatements> =
        const { ManuallyDrop::new(FactStatements::none()) };
}

/// Where a statement for facts finds the identifiers of its request or requests. The account is $1 in both.
struct Source {
    from: &'static str,
    /// Whether the plan has to be kept from reading whole tables.
    is_many: bool,
    /// Whether rebindings that are owed are looked for.
    owed: bool,
    provided: &'static str,
    channel_type: &'static str,
    channel_id: &'static str,
    channel_user_id: &'static str,
    cookie: &'static str,
    number: &'static str,
}

const ONE_REQUEST: Source = Source {
    from: "(select) as request",
    is_many: false,
    owed: true,
    provided: "$2",
    channel_type: "$3",
    channel_id: "$4",
    channel_user_id: "$5",
    cookie: "$6",
    number: "1",
};

const MANY_REQUESTS: Source = Source {
    is_many: true,
    owed: false,
    from: "rows from (
            pg_catalog.unnest($2), pg_catalog.unnest($3), pg_catalog.unnest($4),
            pg_catalog.unnest($5), pg_catalog.unnest($6)
        ) with ordinality as q (
            provided_visitor_id, channel_type, channel_id, channel_user_id, cookie, number
        )",
    provided: "q.provided_visitor_id",
    channel_type: "q.channel_type",
    channel_id: "q.channel_id",
    channel_user_id: "q.channel_user_id",
    cookie: "q.cookie",
    number: "q.number",
};

const MANY_REQUESTS_OWED: Source = Source {
    owed: true,
    ..MANY_REQUESTS
};

// The second probe stands in a sub-select with a limit: as a plain join, a plan made while the table was small reads
// every visitor of the account.
fn facts_text(given: [bool; 3], source: &Source) -> String {
    let [provided, channel, cookie] = given;
    let pick = |given: bool, text: &str, otherwise: &str| {
        if given {
            text.to_owned()
        } else {
            otherwise.to_owned()
        }
    };
    let channel_state = channel && provided;
    // The claimant is followed to his survivor. A visitor that is still owed to somebody belongs to him already: nobody
    // else may absorb it.
    let claim = |claimed_by: &str, visitor: &str| {
        let claimant = format!(
            "(
                select coalesce(h.superseded_by, h.visitor_id)
                from visitor_identity.visitor as h
                where h.account operator(pg_catalog.=) $1
                    and h.visitor_id operator(pg_catalog.=) {claimed_by}
            )"
        );
        if source.owed {
            format!(
                "coalesce({claimant}, (
                    select r.to_visitor_id
                    from visitor_identity.pending_rebind as r
                    where r.account operator(pg_catalog.=) $1
                        and r.visitor_id operator(pg_catalog.=) {visitor}
                    order by r.created_at
                    limit 1
                ))"
            )
        } else {
            format!("case when {claimed_by} is not null then {claimant} end")
        }
    };
    // One row at most, found by its whole key.
    let probe = |table: &str, columns: &str, key: String, name: &str| {
        if source.is_many {
            format!(
                "left join lateral (
                    select {columns}
                    from visitor_identity.{table} as {name}
                    where {key}
                    limit 1
                ) as {name} on true"
            )
        } else {
            format!("left join visitor_identity.{table} as {name} on {key}")
        }
    };
    let mut owed = Vec::new();
    if provided && source.owed {
        owed.push("r.to_visitor_id operator(pg_catalog.=) p.visitor_id");
    }
    if channel && source.owed {
        owed.push("r.visitor_id operator(pg_catalog.=) c.visitor_id");
        owed.push("r.to_visitor_id operator(pg_catalog.=) c.visitor_id");
    }
    if cookie && source.owed {
        owed.push("r.visitor_id operator(pg_catalog.=) k.visitor_id");
    }
    format!(
        "select {provided_columns}, {channel_column}, {channel_columns}, {cookie_columns},
            {cookie_claim}, {cookie_state},
            exists (
                select 1
                from visitor_identity.pending_rebind as r
                where r.account operator(pg_catalog.=) $1
                    and ({owed})
            ), {number}
        from {source_from}
        {provided_join}
        {channel_join}
        {channel_state_join}
        {cookie_join}",
        source_from = source.from,
        number = source.number,
        provided_columns = pick(
            provided,
            "p.visitor_id, p.verified_at is not null",
            "null::pg_catalog.uuid, false",
        ),
        channel_column = pick(channel, "c.visitor_id", "null::pg_catalog.uuid"),
        channel_columns = pick(
            channel_state,
            &format!(
                "v.identified,
                case when v.identified then null else {} end,
                v.forgotten",
                claim("v.claimed_by", "c.visitor_id"),
            ),
            "false, null::pg_catalog.uuid, false",
        ),
        cookie_columns = pick(
            cookie,
            "coalesce(k.superseded_by, k.visitor_id),
            case when s.visitor_id is null then k.identified else s.identified end",
            "null::pg_catalog.uuid, false",
        ),
        cookie_claim = pick(
            cookie && provided,
            &format!(
                "case when coalesce(s.identified, k.identified) then null else {} end",
                claim(
                    "coalesce(s.claimed_by, k.claimed_by)",
                    "coalesce(k.superseded_by, k.visitor_id)",
                ),
            ),
            "null::pg_catalog.uuid",
        ),
        cookie_state = pick(
            cookie,
            "case when s.visitor_id is null then k.forgotten else s.forgotten end",
            "false",
        ),
        owed = if owed.is_empty() {
            "false".to_owned()
        } else {
            owed.join(" or ")
        },
        provided_join = pick(
            provided,
            &probe(
                "provided_identity",
                "p.visitor_id, p.verified_at",
                format!(
                    "p.account operator(pg_catalog.=) $1
                    and p.provided_visitor_id operator(pg_catalog.=) {}",
                    source.provided
                ),
                "p",
            ),
            "",
        ),
        channel_join = pick(
            channel,
            &probe(
                "channel_identity",
                "c.visitor_id",
                format!(
                    "c.account operator(pg_catalog.=) $1
                    and c.channel_user_id operator(pg_catalog.=) {}
                    and c.channel_type operator(pg_catalog.=) {}
                    and c.channel_id operator(pg_catalog.=) {}",
                    source.channel_user_id, source.channel_type, source.channel_id
                ),
                "c",
            ),
            "",
        ),
        channel_state_join = pick(
            channel_state,
            "left join lateral (
                select h.identified, h.claimed_by, h.forgotten
                from visitor_identity.visitor as h
                where h.account operator(pg_catalog.=) $1
                    and h.visitor_id operator(pg_catalog.=) c.visitor_id
                limit 1
            ) as v on true",
            "",
        ),
        cookie_join = pick(
            cookie,
            &format!(
                "{}
            left join lateral (
                select v.visitor_id, v.identified, v.claimed_by, v.forgotten
                from visitor_identity.visitor as v
                where v.account operator(pg_catalog.=) $1
                    and v.visitor_id operator(pg_catalog.=) k.superseded_by
                limit 1
            ) as s on true",
                probe(
                    "visitor",
                    "k.superseded_by, k.visitor_id, k.identified, k.claimed_by, k.forgotten",
                    format!(
                        "k.account operator(pg_catalog.=) $1
                        and k.visitor_id operator(pg_catalog.=) {}",
                        source.cookie
                    ),
                    "k",
                ),
            ),
            "",
        ),
    )
}

statement!(
    BY_PROVIDED,
    "select p.visitor_id, p.verified_at is not null
    from visitor_identity.provided_identity as p
    where p.account operator(pg_catalog.=) $1
        and p.provided_visitor_id operator(pg_catalog.=) $2"
);

statement!(
    BY_CHANNEL,
    "select c.visitor_id
    from visitor_identity.channel_identity as c
    where c.account operator(pg_catalog.=) $1
        and c.channel_user_id operator(pg_catalog.=) $4
        and c.channel_type operator(pg_catalog.=) $2
        and c.channel_id operator(pg_catalog.=) $3"
);

statement!(
    VISITOR,
    "select v.superseded_by, v.visitor_id, v.identified, v.claimed_by, v.forgotten
    from visitor_identity.visitor as v
    where v.account operator(pg_catalog.=) $1
        and v.visitor_id operator(pg_catalog.=) $2"
);

thread_local! {
    pub(super) static VISITORS: KeyedTable = const {
        KeyedTable::new(
            c"visitor",
            c"visitor_pkey",
            &[(c"account", KeyType::Text), (c"visitor_id", KeyType::Uuid)],
            &[c"superseded_by", c"visitor_id", c"identified", c"claimed_by", c"forgotten"],
        )
    };
    pub(super) static PROVIDED: KeyedTable = const {
        KeyedTable::new(
            c"provided_identity",
            c"provided_identity_pkey",
            &[(c"provided_visitor_id", KeyType::Text), (c"account", KeyType::Text)],
            &[c"visitor_id", c"verified_at"],
        )
    };
    pub(super) static CHANNELS: KeyedTable = const {
        KeyedTable::new(
            c"channel_identity",
            c"channel_identity_pkey",
            &[
                (c"account", KeyType::Text),
                (c"channel_user_id", KeyType::Text),
                (c"channel_type", KeyType::Text),
                (c"channel_id", KeyType::Text),
            ],
            &[c"visitor_id"],
        )
    };
}

/// The key of `VISITORS`.
pub(super) fn visitor_key(account: &str, visitor_id: Uuid) -> [Key<'_>; 2] {
    [Key::Text(account), Key::Uuid(visitor_id)]
}

/// The key of `PROVIDED`.
pub(super) fn provided_key<'a>(account: &'a str, provided: &'a str) -> [Key<'a>; 2] {
    [Key::Text(provided), Key::Text(account)]
}

/// The key of `CHANNELS`.
pub(super) fn channel_key<'a>(account: &'a str, key: &'a ChannelKey) -> [Key<'a>; 4] {
    [
        Key::Text(account),
        Key::Text(&key.channel_user_id),
        Key::Text(&key.channel_type),
        Key::Text(&key.channel_id),
    ]
}

/// A visitor's row as `VISITORS` reads it.
pub(super) fn visitor_row(columns: &Columns<'_>) -> Option<LockedVisitor> {
    columns.uuid(1).map(|id| LockedVisitor {
        superseded_by: columns.uuid(0),
        visitor: Visitor {
            id,
            identified: columns.truth(2),
            claimed_by: columns.uuid(3),
            forgotten: columns.truth(4),
        },
    })
}

/// The visitor to whom a provided id is bound, and whether a signature ever proved it.
pub fn bound_to_provided(
    mode: Mode,
    account: &str,
    provided: &str,
) -> Result<(Option<Uuid>, bool), IdentityError> {
    let key = provided_key(account, provided);
    let row = |columns: &Columns<'_>| (columns.uuid(0), columns.is_given(1));
    match PROVIDED.with(|table| table.read(mode, &key, row)) {
        Seen::Row(found) => Ok(found),
        Seen::NoRow => Ok((None, false)),
        Seen::CannotTell => {
            let values = [Value::Text(Some(account)), Value::Text(Some(provided))];
            let rows = BY_PROVIDED.with(|statement| statement.run(mode, &values))?;
            Ok((rows.uuid(0, 1), rows.truth(0, 2)))
        }
    }
}

/// The visitor to whom a channel user id is bound.
fn bound_to_channel(
    mode: Mode,
    account: &str,
    key: &ChannelKey,
) -> Result<Option<Uuid>, IdentityError> {
    let index_key = channel_key(account, key);
    match CHANNELS.with(|table| table.read(mode, &index_key, |columns| columns.uuid(0))) {
        Seen::Row(found) => Ok(found),
        Seen::NoRow => Ok(None),
        Seen::CannotTell => {
            let values = channel_values(account, key);
            let rows = BY_CHANNEL.with(|statement| statement.run(mode, &values))?;
            Ok(rows.uuid(0, 1))
        }
    }
}

/// A visitor's row, read without a lock.
fn read_visitor(
    mode: Mode,
    account: &str,
    visitor_id: Uuid,
) -> Result<Option<LockedVisitor>, IdentityError> {
    let key = visitor_key(account, visitor_id);
    match VISITORS.with(|table| table.read(mode, &key, visitor_row)) {
        Seen::Row(found) => Ok(found),
        Seen::NoRow => Ok(None),
        Seen::CannotTell => {
            let values = [Value::Text(Some(account)), Value::Uuid(Some(visitor_id))];
            let rows = VISITOR.with(|statement| statement.run(mode, &values))?;
            Ok(locked_visitor(&rows))
        }
    }
}

/// The visitor of a cookie, followed to its survivor; without the claimant, who matters to an authorization only.
fn cookie_visitor(
    mode: Mode,
    account: &str,
    cookie: Option<Uuid>,
) -> Result<Option<Visitor>, IdentityError> {
    let Some(cookie) = cookie else {
        return Ok(None);
    };
    let mut found = read_visitor(mode, account, cookie)?;
    if let Some(survivor) = found.and_then(|row| row.superseded_by) {
        found = read_visitor(mode, account, survivor)?;
    }
    Ok(found.map(|row| Visitor {
        claimed_by: None,
        ..row.visitor
    }))
}

/// A visitor of whom no more than the id was read, because no more is needed.
pub(super) fn only_known(id: Uuid, identified: bool) -> Visitor {
    Visitor {
        id,
        identified,
        claimed_by: None,
        forgotten: false,
    }
}

/// Reads what has to be known about a request. For whoever is known, nearly always, that is one probe of one index: a
/// provided id with no other cookie than its visitor's own, a channel user id, a cookie. Everything else is read by one
/// statement for all facts, and so is everything while some rebinding is owed.
pub fn facts(mode: Mode, account: &str, request: &Request) -> Result<Facts, IdentityError> {
    if super::policy::is_anything_owed(account)? {
        return all_facts(mode, account, request);
    }
    match (&request.provided, &request.channel, request.cookie) {
        (None, None, cookie) => Ok(Facts {
            cookie: cookie_visitor(mode, account, cookie)?,
            ..Facts::default()
        }),
        (None, Some(key), cookie) => Ok(Facts {
            channel: bound_to_channel(mode, account, key)?.map(|id| only_known(id, false)),
            cookie: cookie_visitor(mode, account, cookie)?,
            ..Facts::default()
        }),
        (Some(provided), None, cookie) => {
            let (found, verified) = bound_to_provided(mode, account, provided)?;
            if cookie.is_some() && cookie != found {
                return all_facts(mode, account, request);
            }
            Ok(Facts {
                provided: found,
                provided_verified: verified,
                cookie: cookie.map(|id| only_known(id, true)),
                ..Facts::default()
            })
        }
        (Some(_), Some(_), _) => all_facts(mode, account, request),
    }
}

/// The facts of a chat row whose visitor is known by one identifier and is not to change, read by the lock that the row
/// needs anyway. None: there is more to it, or the row was superseded, forgotten or claimed meanwhile.
pub fn lock_known(account: &str, request: &Request) -> Result<Option<Facts>, IdentityError> {
    let known = match (bound(account, request), &request.provided, &request.channel) {
        (Some(held), ..) => Some(held),
        (None, Some(provided), None) => bound_to_provided(Mode::Write, account, provided)?.0,
        (None, None, Some(key)) => bound_to_channel(Mode::Write, account, key)?,
        _ => None,
    };
    let by_provided = request.provided.is_some();
    let Some(known) = known.filter(|id| !by_provided || request.cookie.is_none_or(|c| c == *id))
    else {
        return Ok(None);
    };
    let stands = |row: &LockedVisitor| {
        row.superseded_by.is_none() && !row.visitor.forgotten && row.visitor.claimed_by.is_none()
    };
    let Some(found) = lock_visitor(account, known, Lock::Share)?
        .filter(stands)
        .map(|row| row.visitor)
    else {
        return Ok(None);
    };
    if by_provided {
        return Ok(Some(Facts {
            provided: Some(found.id),
            cookie: request.cookie.map(|_| found),
            ..Facts::default()
        }));
    }
    let cookie = match request.cookie {
        Some(id) if id == found.id => Some(found),
        // An unknown cookie becomes another name of the visitor: that is for the long way.
        Some(id) => match cookie_visitor(Mode::Write, account, Some(id))? {
            None => return Ok(None),
            known => known,
        },
        None => None,
    };
    Ok(Some(Facts {
        channel: Some(found),
        cookie,
        ..Facts::default()
    }))
}

/// The facts of a provided id that came with a cookie, where there is no more to them than two rows. None: the cookie was
/// superseded or claimed, or something is owed.
fn facts_of_login(
    mode: Mode,
    account: &str,
    request: &Request,
) -> Result<Option<Facts>, IdentityError> {
    let (Some(provided), None, Some(cookie)) =
        (&request.provided, &request.channel, request.cookie)
    else {
        return Ok(None);
    };
    if super::policy::is_anything_owed(account)? {
        return Ok(None);
    }
    // One row after the other costs less than a statement that joins.
    let cookie = read_visitor(mode, account, cookie)?;
    let has_more =
        |row: LockedVisitor| row.superseded_by.is_some() || row.visitor.claimed_by.is_some();
    if cookie.is_some_and(has_more) {
        return Ok(None);
    }
    let (provided, provided_verified) = bound_to_provided(mode, account, provided)?;
    Ok(Some(Facts {
        provided,
        provided_verified,
        cookie: cookie.map(|row| row.visitor),
        ..Facts::default()
    }))
}

/// Reads all facts about a request in one statement.
fn all_facts(mode: Mode, account: &str, request: &Request) -> Result<Facts, IdentityError> {
    let given = [
        request.provided.is_some(),
        request.channel.is_some(),
        request.cookie.is_some(),
    ];
    if given == [false; 3] {
        return Ok(Facts::default());
    }
    if let Some(known) = facts_of_login(mode, account, request)? {
        return Ok(known);
    }
    let key = request.channel.as_ref();
    let values = [
        Value::Text(Some(account)),
        Value::Text(request.provided.as_deref()),
        Value::Text(key.map(|key| key.channel_type.as_str())),
        Value::Text(key.map(|key| key.channel_id.as_str())),
        Value::Text(key.map(|key| key.channel_user_id.as_str())),
        Value::Uuid(request.cookie),
    ];
    let rows = FACTS.with(|statements| statements.run(given, &ONE_REQUEST, mode, &values))?;
    Ok(facts_in(&rows, 0))
}

/// Reads all facts about many requests, from the indexes themselves if that can be, otherwise by one statement for those that
/// bring the same kinds of identifiers; the answers are in the order of the requests. They are looked up in the order of their keys: neighbours in an index are found together.
pub fn facts_of_many(
    mode: Mode,
    account: &str,
    requests: &[&Request],
) -> Result<Vec<Facts>, IdentityError> {
    let owed = super::policy::is_anything_owed(account)?;
    if !owed {
        if let Some(facts) = facts_from_indexes(mode, account, requests) {
            return Ok(facts);
        }
    }
    let mut sorted: Vec<(usize, &Request)> = requests.iter().copied().enumerate().collect();
    sorted.sort_unstable_by(|(_, a), (_, b)| {
        let key = |request| {
            (
                given(request),
                request.provided.as_deref(),
                user_of(request),
            )
        };
        (key(a), a.cookie).cmp(&(key(b), b.cookie))
    });
    let mut facts = vec![Facts::default(); requests.len()];
    for alike in sorted.chunk_by(|(_, a), (_, b)| given(a) == given(b)) {
        let Some(given) = alike.first().map(|(_, request)| given(request)) else {
            continue;
        };
        if given == [false; 3] {
            continue;
        }
        let rows = facts_of_alike(mode, account, given, alike, owed)?;
        for row in 0..rows.len() {
            let number = usize::try_from(rows.number(row, NUMBER_OF_REQUEST)).unwrap_or_default();
            let asked = alike.get(number.wrapping_sub(1));
            if let Some(place) = asked.and_then(|(place, _)| facts.get_mut(*place)) {
                *place = facts_in(&rows, row);
            }
        }
        if rows.len() != alike.len() {
            return Err(IdentityError::Internal(
                "facts of another number of requests than were asked for".into(),
            ));
        }
    }
    Ok(facts)
}

fn facts_of_alike(
    mode: Mode,
    account: &str,
    given: [bool; 3],
    alike: &[(usize, &Request)],
    owed: bool,
) -> Result<Rows, IdentityError> {
    let of_channel = |part: fn(&ChannelKey) -> &str| -> Vec<Option<&str>> {
        alike
            .iter()
            .map(|(_, request)| request.channel.as_ref().map(part))
            .collect()
    };
    let provided: Vec<Option<&str>> = alike
        .iter()
        .map(|(_, request)| request.provided.as_deref())
        .collect();
    let types = of_channel(|key| &key.channel_type);
    let ids = of_channel(|key| &key.channel_id);
    let users = of_channel(|key| &key.channel_user_id);
    let cookies: Vec<Option<Uuid>> = alike.iter().map(|(_, request)| request.cookie).collect();
    let values = [
        Value::Text(Some(account)),
        Value::OptionalTexts(&provided),
        Value::OptionalTexts(&types),
        Value::OptionalTexts(&ids),
        Value::OptionalTexts(&users),
        Value::OptionalUuids(&cookies),
    ];
    if owed {
        FACTS_OF_MANY_OWED
            .with(|statements| statements.run(given, &MANY_REQUESTS_OWED, mode, &values))
    } else {
        FACTS_OF_MANY.with(|statements| statements.run(given, &MANY_REQUESTS, mode, &values))
    }
}

/// Which identifiers a request brings: provided id, channel user id, cookie.
fn given(request: &Request) -> [bool; 3] {
    [
        request.provided.is_some(),
        request.channel.is_some(),
        request.cookie.is_some(),
    ]
}

fn user_of(request: &Request) -> Option<&str> {
    let key = request.channel.as_ref();
    key.map(|key| key.channel_user_id.as_str())
}

/// The column in which the statement for many requests says which it is, from 1.
const NUMBER_OF_REQUEST: i32 = 12;

/// The facts in a row of the statements of `facts_text`.
fn facts_in(rows: &Rows, row: usize) -> Facts {
    Facts {
        provided: rows.uuid(row, 1),
        provided_verified: rows.truth(row, 2),
        channel: visitor_in(rows, row, 3),
        cookie: visitor_in(rows, row, 7),
        pending: rows.truth(row, 11),
    }
}

/// A visitor from four columns of the first row: id, identified, claimed_by, forgotten.
fn visitor(rows: &Rows, column: i32) -> Option<Visitor> {
    visitor_in(rows, 0, column)
}

fn visitor_in(rows: &Rows, row: usize, column: i32) -> Option<Visitor> {
    rows.uuid(row, column).map(|id| Visitor {
        id,
        identified: rows.truth(row, column + 1),
        claimed_by: rows.uuid(row, column + 2),
        forgotten: rows.truth(row, column + 3),
    })
}

statement!(
    SHARE_VISITOR,
    "select v.superseded_by, v.visitor_id, v.identified, v.claimed_by, v.forgotten
    from visitor_identity.visitor as v
    where v.account operator(pg_catalog.=) $1
        and v.visitor_id operator(pg_catalog.=) $2
    for key share"
);

statement!(
    SHARE_IDLE_VISITOR,
    "select v.superseded_by, v.visitor_id, v.identified, v.claimed_by, v.forgotten
    from visitor_identity.visitor as v
    where v.account operator(pg_catalog.=) $1
        and v.visitor_id operator(pg_catalog.=) $2
    for key share skip locked"
);

statement!(
    TAKE_VISITOR,
    "select v.superseded_by, v.visitor_id, v.identified, v.claimed_by, v.forgotten
    from visitor_identity.visitor as v
    where v.account operator(pg_catalog.=) $1
        and v.visitor_id operator(pg_catalog.=) $2
    for update"
);

statement!(
    TAKE_STANDING_VISITOR,
    "select v.superseded_by, v.visitor_id, v.identified, v.claimed_by, v.forgotten
    from visitor_identity.visitor as v
    where v.account operator(pg_catalog.=) $1
        and v.visitor_id operator(pg_catalog.=) $2
        and v.superseded_by is null
    for update"
);

/// A visitor row as it is after the lock was granted: its own columns only, because the rest of a locking statement is
/// as old as its snapshot (notes on concurrency, section 2.2).
#[derive(Debug, Clone, Copy)]
pub struct LockedVisitor {
    pub superseded_by: Option<Uuid>,
    pub visitor: Visitor,
}

/// How strongly a visitor row is locked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lock {
    /// KEY SHARE: nobody supersedes, merges away or forgets the visitor until we end; others may share it.
    Share,
    /// The same, unless that would mean waiting: then the row is passed over as if it did not exist.
    ShareIdle,
    /// FOR UPDATE: nobody adds a chat to the visitor until we end.
    Take,
    /// The same, unless he is superseded: a merge of the survivor changes the rows of the superseded, and we are about to
    /// wait for the survivor. The caller is elected, so that he stays what he is.
    TakeStanding,
}

/// Locks a visitor row, waiting if need be. None: there is no such visitor.
pub fn lock_visitor(
    account: &str,
    visitor_id: Uuid,
    lock: Lock,
) -> Result<Option<LockedVisitor>, IdentityError> {
    if lock == Lock::Share {
        if let Some(row) = held(account, visitor_id) {
            return Ok(Some(row));
        }
        let key = visitor_key(account, visitor_id);
        match VISITORS.with(|table| table.share(&key, visitor_row)) {
            Seen::Row(found) => {
                if let Some(row) = found {
                    hold(account, visitor_id, row);
                }
                return Ok(found);
            }
            Seen::NoRow => return Ok(None),
            Seen::CannotTell => {}
        }
    }
    let values = [Value::Text(Some(account)), Value::Uuid(Some(visitor_id))];
    let rows = match lock {
        Lock::Share => SHARE_VISITOR.with(|statement| statement.run(Mode::Write, &values)),
        Lock::ShareIdle => SHARE_IDLE_VISITOR.with(|statement| statement.run(Mode::Write, &values)),
        Lock::Take => TAKE_VISITOR.with(|statement| statement.run(Mode::Write, &values)),
        Lock::TakeStanding => {
            TAKE_STANDING_VISITOR.with(|statement| statement.run(Mode::Write, &values))
        }
    }?;
    Ok(locked_visitor(&rows))
}

/// A visitor's row as the first row of a statement has it.
fn locked_visitor(rows: &Rows) -> Option<LockedVisitor> {
    visitor(rows, 2).map(|visitor| LockedVisitor {
        superseded_by: rows.uuid(0, 1),
        visitor,
    })
}

// The rows are locked in the order of the locking clauses.
statement!(
    TAKE_AND_SHARE,
    "select v.superseded_by, v.visitor_id, v.identified, v.claimed_by, v.forgotten,
        c.superseded_by, c.visitor_id, c.identified, c.claimed_by, c.forgotten
    from visitor_identity.visitor as v
    cross join visitor_identity.visitor as c
    where v.account operator(pg_catalog.=) $1
        and v.visitor_id operator(pg_catalog.=) $2
        and v.superseded_by is null
        and c.account operator(pg_catalog.=) $1
        and c.visitor_id operator(pg_catalog.=) $3
    for update of v
    for key share of c"
);

statement!(
    SHARE_AND_TAKE,
    "select v.superseded_by, v.visitor_id, v.identified, v.claimed_by, v.forgotten,
        c.superseded_by, c.visitor_id, c.identified, c.claimed_by, c.forgotten
    from visitor_identity.visitor as v
    cross join visitor_identity.visitor as c
    where v.account operator(pg_catalog.=) $1
        and v.visitor_id operator(pg_catalog.=) $2
        and v.superseded_by is null
        and c.account operator(pg_catalog.=) $1
        and c.visitor_id operator(pg_catalog.=) $3
    for key share of c
    for update of v"
);

/// Takes one standing visitor and shares another, in the order of their ids, by one statement. Both rows are as they are
/// after the locks were granted. None: one of them is superseded by now, there is no such visitor, or they have to be locked
/// one after the other; it is not known which of the two is locked.
pub fn take_and_share(
    account: &str,
    taken: Uuid,
    shared: Uuid,
) -> Result<Option<(LockedVisitor, LockedVisitor)>, IdentityError> {
    // A call that Citus sent here runs no such statement: Citus compares the account of each with the one by which the call
    // was sent, with its collation, and PostgreSQL gives it the column's where it is the account of two rows.
    if is_distributed()? {
        return Ok(None);
    }
    let values = [
        Value::Text(Some(account)),
        Value::Uuid(Some(taken)),
        Value::Uuid(Some(shared)),
    ];
    let rows = if taken < shared {
        TAKE_AND_SHARE.with(|statement| statement.run(Mode::Write, &values))
    } else {
        SHARE_AND_TAKE.with(|statement| statement.run(Mode::Write, &values))
    }?;
    let locked = |column| {
        visitor(&rows, column + 1).map(|visitor| LockedVisitor {
            superseded_by: rows.uuid(0, column),
            visitor,
        })
    };
    Ok(locked(1).zip(locked(6)))
}

/// Elects this transaction as the one that rebinds a visitor of the account, without waiting. False: another one is it.
pub fn try_election(account: &str, key: i64) -> Result<bool, IdentityError> {
    if is_distributed()? {
        return try_lock_at_account(account, key);
    }
    // SAFETY: a function of PostgreSQL that takes one bigint and is never NULL; it only touches the lock table.
    let elected = unsafe {
        pgrx::direct_function_call::<bool>(
            pg_sys::pg_try_advisory_xact_lock_int8,
            &[key.into_datum()],
        )
    };
    Ok(elected.unwrap_or(false))
}

/// The same, waiting until the other transaction ends.
pub fn wait_for_election(account: &str, key: i64) -> Result<(), IdentityError> {
    if is_distributed()? {
        return wait_for_lock_at_account(account, key);
    }
    // SAFETY: as above.
    unsafe {
        pgrx::direct_function_call::<()>(pg_sys::pg_advisory_xact_lock_int8, &[key.into_datum()]);
    }
    Ok(())
}

statement!(
    INSERT_VISITOR,
    "insert into visitor_identity.visitor (account, visitor_id)
    values ($1, $2)
    on conflict do nothing"
);

statement!(
    NAME_ALIAS,
    "update visitor_identity.visitor as v
    set superseded_by = $3
    where v.account operator(pg_catalog.=) $1
        and v.visitor_id operator(pg_catalog.=) $2
        and v.superseded_by is null"
);

/// Makes a visitor that this transaction has just inserted another name of a visitor.
pub fn name_alias(account: &str, alias: Uuid, of: Uuid) -> Result<(), IdentityError> {
    let values = [
        Value::Text(Some(account)),
        Value::Uuid(Some(alias)),
        Value::Uuid(Some(of)),
    ];
    NAME_ALIAS.with(|statement| statement.run(Mode::Newest, &values))?;
    Ok(())
}

/// Inserts a visitor. False: the id exists already.
pub fn insert_visitor(account: &str, visitor_id: Uuid) -> Result<bool, IdentityError> {
    let values = [Value::Text(Some(account)), Value::Uuid(Some(visitor_id))];
    let rows = INSERT_VISITOR.with(|statement| statement.run(Mode::Write, &values))?;
    Ok(rows.len() == 1)
}

// The visitor first, then the identifier, by a plain statement each: one for both has to keep the row of the first for
// the second and costs more than that. Nothing is updated afterwards. Of two sessions that compute the same id the second
// waits in the visitor's key for the first.
statement!(
    INSERT_IDENTIFIED,
    "insert into visitor_identity.visitor (account, visitor_id, identified)
    values ($1, $2, true)
    on conflict do nothing"
);

statement!(
    BIND_PROVIDED,
    "insert into visitor_identity.provided_identity (account, provided_visitor_id, visitor_id)
    values ($1, $2, $3)
    on conflict do nothing"
);

statement!(
    DELETE_OWN_VISITOR,
    "delete from visitor_identity.visitor as v
    where v.account operator(pg_catalog.=) $1
        and v.visitor_id operator(pg_catalog.=) $2"
);

statement!(
    HOLDER,
    "select v.superseded_by, v.visitor_id, v.identified, v.claimed_by, v.forgotten,
        exists (
            select 1
            from visitor_identity.channel_identity as c
            where c.account operator(pg_catalog.=) $1
                and c.visitor_id operator(pg_catalog.=) $2
        ) or exists (
            select 1
            from visitor_identity.provided_identity as p
            where p.account operator(pg_catalog.=) $1
                and p.visitor_id operator(pg_catalog.=) $2
        )
    from visitor_identity.visitor as v
    where v.account operator(pg_catalog.=) $1
        and v.visitor_id operator(pg_catalog.=) $2"
);

statement!(
    IDENTIFY_IN_PLACE,
    "with i as (
        insert into visitor_identity.provided_identity (account, provided_visitor_id, visitor_id)
        values ($1, $2, $3)
        on conflict do nothing
        returning visitor_id
    )
    update visitor_identity.visitor as v
    set identified = true
    from i
    where v.account operator(pg_catalog.=) $1
        and v.visitor_id operator(pg_catalog.=) i.visitor_id"
);

statement!(
    BIND_CHANNEL,
    "insert into visitor_identity.channel_identity
        (account, channel_type, channel_id, channel_user_id, visitor_id)
    values ($1, $2, $3, $4, $5)
    on conflict do nothing"
);

fn channel_values<'a>(account: &'a str, key: &'a ChannelKey) -> [Value<'a>; 4] {
    [
        Value::Text(Some(account)),
        Value::Text(Some(&key.channel_type)),
        Value::Text(Some(&key.channel_id)),
        Value::Text(Some(&key.channel_user_id)),
    ]
}

/// Whether a provided id is bound to a visitor still, now that he is locked. Only the undoing of a merge, which takes both
/// visitors, binds it to another one who stands; it is asked where a merge is possible: where the id was not computed.
pub fn still_bound(
    policy: &Policy,
    request: &Request,
    visitor_id: Uuid,
) -> Result<bool, IdentityError> {
    let Some(provided) = request.provided.as_deref() else {
        return Ok(true);
    };
    if bound(&policy.account, request) == Some(visitor_id)
        || computed_id(policy, request, Target::FromProvided, 0) == Some(visitor_id)
    {
        return Ok(true);
    }
    let (bound, _) = bound_to_provided(Mode::NewestReadOnly, &policy.account, provided)?;
    Ok(bound == Some(visitor_id))
}

/// Binds a channel user id to a visitor that is locked. False: somebody else bound it first.
pub fn bind_channel(
    account: &str,
    key: &ChannelKey,
    visitor_id: Uuid,
) -> Result<bool, IdentityError> {
    let [a, b, c, d] = channel_values(account, key);
    let values = [a, b, c, d, Value::Uuid(Some(visitor_id))];
    let rows = BIND_CHANNEL.with(|statement| statement.run(Mode::Write, &values))?;
    Ok(rows.len() == 1)
}

statement!(
    REPOINT_CHANNEL,
    "with moved as (
        update visitor_identity.channel_identity as c
        set visitor_id = $6
        where c.account operator(pg_catalog.=) $1
            and c.channel_type operator(pg_catalog.=) $2
            and c.channel_id operator(pg_catalog.=) $3
            and c.channel_user_id operator(pg_catalog.=) $4
            and c.visitor_id operator(pg_catalog.=) $5
        returning c.account, c.channel_type, c.channel_id, c.channel_user_id
    ), remembered as (
        insert into visitor_identity.former_channel_identity
            (account, channel_type, channel_id, channel_user_id, visitor_id)
        select m.account, m.channel_type, m.channel_id, m.channel_user_id, $5
        from moved as m
        on conflict do nothing
    )
    select pg_catalog.count(*)
    from moved"
);

/// Points a channel user id to another visitor and remembers who held it. False: it was not `from`'s any more.
pub fn repoint_channel(
    account: &str,
    key: &ChannelKey,
    from: Uuid,
    to: Uuid,
) -> Result<bool, IdentityError> {
    let [a, b, c, d] = channel_values(account, key);
    let values = [a, b, c, d, Value::Uuid(Some(from)), Value::Uuid(Some(to))];
    let rows = REPOINT_CHANNEL.with(|statement| statement.run(Mode::Newest, &values))?;
    Ok(rows.number(0, 1) == 1)
}

/// Generations tried before giving up: each was forgotten or is another's, which a person can bring about only by
/// being forgotten that often.
const MOST_GENERATIONS: u32 = 1000;

/// The computed visitor_id that an identifier is to be bound to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seat {
    /// Nobody has it.
    Vacant(Uuid),
    /// A visitor without identifiers has it, and may be identified in place once he is locked.
    Held(Uuid),
}

/// The first generation of a computed id that is vacant, or held by a visitor who may be identified in place. None: the
/// target is not computed.
///
/// `busy`: visitors whom another transaction is rebinding; we hold a chat row and must not wait for them.
pub fn seat(
    policy: &Policy,
    request: &Request,
    target: Target,
    busy: &[Uuid],
) -> Result<Option<Seat>, IdentityError> {
    for generation in 0..MOST_GENERATIONS {
        let Some(visitor_id) = computed_id(policy, request, target, generation) else {
            return Ok(None);
        };
        let values = [
            Value::Text(Some(&policy.account)),
            Value::Uuid(Some(visitor_id)),
        ];
        let rows = HOLDER.with(|statement| statement.run(Mode::Write, &values))?;
        let Some(holder) = visitor(&rows, 2) else {
            return Ok(Some(Seat::Vacant(visitor_id)));
        };
        let verdict = holder_of_computed_id(&holder, rows.uuid(0, 1).is_some(), rows.truth(0, 6));
        if verdict == Holder::Take && !busy.contains(&visitor_id) {
            return Ok(Some(Seat::Held(visitor_id)));
        }
    }
    Err(IdentityError::Internal(
        "no generation of the computed visitor_id is free".into(),
    ))
}

/// Makes the visitor of a decision exist and binds the identifier to it. None: somebody else was first, and the facts
/// have to be read again. The holder of a seat is locked by the caller.
pub fn bind_target(
    account: &str,
    request: &Request,
    target: Target,
    seat: Option<Seat>,
) -> Result<Option<Uuid>, IdentityError> {
    match (target, seat) {
        (Target::Known(visitor_id), _) => Ok(Some(visitor_id)),
        (Target::Random, _) => {
            let visitor_id = crate::identifier::derivation::random();
            insert_visitor(account, visitor_id)?;
            Ok(Some(visitor_id))
        }
        (Target::Adopted(visitor_id), _) => {
            Ok(insert_visitor(account, visitor_id)?.then_some(visitor_id))
        }
        (Target::FromProvided | Target::FromChannel, Some(Seat::Vacant(visitor_id))) => {
            Ok(first_sight(account, request, target, visitor_id)?.then_some(visitor_id))
        }
        (Target::FromProvided | Target::FromChannel, Some(Seat::Held(visitor_id))) => {
            Ok(take_seat(account, request, target, visitor_id)?.then_some(visitor_id))
        }
        (Target::FromProvided | Target::FromChannel, None) => Err(IdentityError::Internal(
            "nothing to compute a visitor_id from".into(),
        )),
    }
}

// The same for many at once, always in the order of their keys: two of these statements meet in one order. A key that exists
// is an error here, which the caller catches: looking for each before it is written would cost as much as writing it. Those
// that look something up do so by a sub-select that no plan turns into a join: a plan made while the table was small would
// read all of it for every batch.
statement!(
    ADOPT_MANY,
    "insert into visitor_identity.visitor (account, visitor_id, superseded_by)
    select $1, n.visitor_id, n.superseded_by
    from rows from (pg_catalog.unnest($2), pg_catalog.unnest($3)) as n (visitor_id, superseded_by)"
);

statement!(
    CREATE_MANY,
    "insert into visitor_identity.visitor (account, visitor_id, identified)
    select $1, n.visitor_id, $3
    from pg_catalog.unnest($2) as n (visitor_id)"
);

statement!(
    BIND_MANY_PROVIDED,
    "insert into visitor_identity.provided_identity (account, provided_visitor_id, visitor_id)
    select $1, n.provided_visitor_id, n.visitor_id
    from rows from (pg_catalog.unnest($2), pg_catalog.unnest($3))
        as n (provided_visitor_id, visitor_id)"
);

statement!(
    BIND_MANY_CHANNELS,
    "insert into visitor_identity.channel_identity
        (account, channel_type, channel_id, channel_user_id, visitor_id)
    select $1, n.channel_type, n.channel_id, n.channel_user_id, n.visitor_id
    from rows from (
        pg_catalog.unnest($2), pg_catalog.unnest($3), pg_catalog.unnest($4),
        pg_catalog.unnest($5)
    ) as n (channel_type, channel_id, channel_user_id, visitor_id)"
);

statement!(
    EXISTING,
    "select v.visitor_id
    from pg_catalog.unnest($2) as n (visitor_id)
    cross join lateral (
        select h.visitor_id
        from visitor_identity.visitor as h
        where h.account operator(pg_catalog.=) $1
            and h.visitor_id operator(pg_catalog.=) n.visitor_id
        limit 1
    ) as v"
);

statement!(
    SHARE_IDLE_MANY,
    "select v.superseded_by, v.visitor_id, v.identified, v.claimed_by, v.forgotten
    from pg_catalog.unnest($2) as n (visitor_id)
    cross join lateral (
        select h.superseded_by, h.visitor_id, h.identified, h.claimed_by, h.forgotten
        from visitor_identity.visitor as h
        where h.account operator(pg_catalog.=) $1
            and h.visitor_id operator(pg_catalog.=) n.visitor_id
        limit 1
        for key share skip locked
    ) as v"
);

statement!(
    BOUND_TO_OTHERS,
    "select n.visitor_id
    from rows from (pg_catalog.unnest($2), pg_catalog.unnest($3))
        as n (provided_visitor_id, visitor_id)
    where not coalesce((
        select p.visitor_id operator(pg_catalog.=) n.visitor_id
        from visitor_identity.provided_identity as p
        where p.account operator(pg_catalog.=) $1
            and p.provided_visitor_id operator(pg_catalog.=) n.provided_visitor_id
    ), false)"
);

/// Makes visitors of the ids that chat rows brought, some of them other names of a visitor. Errors: 23505, as the next three.
pub fn adopt_many(
    account: &str,
    adopted: &BTreeMap<Uuid, Option<Uuid>>,
) -> Result<(), IdentityError> {
    let visitors: Vec<Uuid> = adopted.keys().copied().collect();
    let survivors: Vec<Option<Uuid>> = adopted.values().copied().collect();
    let values = [
        Value::Text(Some(account)),
        Value::Uuids(&visitors),
        Value::OptionalUuids(&survivors),
    ];
    ADOPT_MANY.with(|statement| statement.run(Mode::Write, &values))?;
    Ok(())
}

/// Makes new visitors.
pub fn create_many(
    account: &str,
    visitors: &[Uuid],
    identified: bool,
) -> Result<(), IdentityError> {
    let values = [
        Value::Text(Some(account)),
        Value::Uuids(visitors),
        Value::Bool(identified),
    ];
    CREATE_MANY.with(|statement| statement.run(Mode::Write, &values))?;
    Ok(())
}

/// Binds provided ids to visitors that are ours.
pub fn bind_many_provided(
    account: &str,
    bindings: &BTreeMap<&str, Uuid>,
) -> Result<(), IdentityError> {
    let (ids, visitors) = provided_arrays(bindings);
    let values = [
        Value::Text(Some(account)),
        Value::OptionalTexts(&ids),
        Value::Uuids(&visitors),
    ];
    BIND_MANY_PROVIDED.with(|statement| statement.run(Mode::Write, &values))?;
    Ok(())
}

fn provided_arrays<'a>(bindings: &BTreeMap<&'a str, Uuid>) -> (Vec<Option<&'a str>>, Vec<Uuid>) {
    (
        bindings.keys().copied().map(Some).collect(),
        bindings.values().copied().collect(),
    )
}

/// The same for channel user ids; the visitors are ours or locked.
pub fn bind_many_channels(
    account: &str,
    bindings: &BTreeMap<&ChannelKey, Uuid>,
) -> Result<(), IdentityError> {
    let part = |part: fn(&ChannelKey) -> &str| -> Vec<Option<&str>> {
        bindings.keys().map(|key| Some(part(key))).collect()
    };
    let types = part(|key| &key.channel_type);
    let ids = part(|key| &key.channel_id);
    let users = part(|key| &key.channel_user_id);
    let visitors: Vec<Uuid> = bindings.values().copied().collect();
    let values = [
        Value::Text(Some(account)),
        Value::OptionalTexts(&types),
        Value::OptionalTexts(&ids),
        Value::OptionalTexts(&users),
        Value::Uuids(&visitors),
    ];
    BIND_MANY_CHANNELS.with(|statement| statement.run(Mode::Write, &values))?;
    Ok(())
}

/// Those of the ids that are visitors' by now.
pub fn existing(account: &str, visitors: &[Uuid]) -> Result<Vec<Uuid>, IdentityError> {
    let values = [Value::Text(Some(account)), Value::Uuids(visitors)];
    let rows = EXISTING.with(|statement| statement.run(Mode::NewestReadOnly, &values))?;
    Ok((0..rows.len())
        .filter_map(|row| rows.uuid(row, 1))
        .collect())
}

/// Shares the rows of many visitors, in their order and without waiting: those that somebody is changing are left out, as
/// those are that do not exist.
pub fn share_idle_many(
    account: &str,
    visitors: &[Uuid],
) -> Result<Vec<LockedVisitor>, IdentityError> {
    let keys = visitors.iter().map(|id| visitor_key(account, *id));
    if let Some(rows) = VISITORS.with(|table| table.share_idle_many(keys, visitor_row)) {
        return Ok(rows.into_iter().flatten().collect());
    }
    let values = [Value::Text(Some(account)), Value::Uuids(visitors)];
    let rows = SHARE_IDLE_MANY.with(|statement| statement.run(Mode::Write, &values))?;
    Ok((0..rows.len())
        .filter_map(|row| {
            visitor_in(&rows, row, 2).map(|visitor| LockedVisitor {
                superseded_by: rows.uuid(row, 1),
                visitor,
            })
        })
        .collect())
}

/// The visitors of those of the bindings that stand no more. As `still_bound`, for many.
pub fn bound_to_others(
    account: &str,
    bindings: &BTreeMap<&str, Uuid>,
) -> Result<Vec<Uuid>, IdentityError> {
    if let Some(snapshot) = Snapshot::of(Mode::NewestReadOnly) {
        let keys = bindings.keys().map(|id| provided_key(account, id));
        let row = |columns: &Columns<'_>| columns.uuid(0);
        if let Some(rows) = PROVIDED.with(|table| table.read_many(&snapshot, keys, row)) {
            let is_other = |(visitor, found): &(&Uuid, Option<Option<Uuid>>)| {
                found.flatten() != Some(**visitor)
            };
            let others = bindings.values().zip(rows).filter(is_other);
            return Ok(others.map(|(visitor, _)| *visitor).collect());
        }
    }
    let (ids, visitors) = provided_arrays(bindings);
    let values = [
        Value::Text(Some(account)),
        Value::OptionalTexts(&ids),
        Value::Uuids(&visitors),
    ];
    let rows = BOUND_TO_OTHERS.with(|statement| statement.run(Mode::NewestReadOnly, &values))?;
    Ok((0..rows.len())
        .filter_map(|row| rows.uuid(row, 1))
        .collect())
}

/// The visitor is ours and nobody has seen it: it must not stay as an orphan.
fn delete_own_visitor(account: &str, visitor_id: Uuid) -> Result<(), IdentityError> {
    let values = [Value::Text(Some(account)), Value::Uuid(Some(visitor_id))];
    DELETE_OWN_VISITOR.with(|statement| statement.run(Mode::Write, &values))?;
    Ok(())
}

/// Inserts the visitor and binds the identifier. False: one of the two exists by now.
fn first_sight(
    account: &str,
    request: &Request,
    target: Target,
    visitor_id: Uuid,
) -> Result<bool, IdentityError> {
    let values = [Value::Text(Some(account)), Value::Uuid(Some(visitor_id))];
    let bound = match (
        target,
        request.provided.as_deref(),
        request.channel.as_ref(),
    ) {
        (Target::FromProvided, Some(provided), _) => {
            let inserted =
                INSERT_IDENTIFIED.with(|statement| statement.run(Mode::Write, &values))?;
            if inserted.len() == 0 {
                return Ok(false);
            }
            let [account, visitor_id] = values;
            let values = [account, Value::Text(Some(provided)), visitor_id];
            let bound = BIND_PROVIDED.with(|statement| statement.run(Mode::Write, &values))?;
            bound.len() == 1
        }
        (Target::FromChannel, _, Some(key)) => {
            if !insert_visitor(account, visitor_id)? {
                return Ok(false);
            }
            bind_channel(account, key, visitor_id)?
        }
        _ => return Err(IdentityError::Internal("no identifier to bind".into())),
    };
    if !bound {
        delete_own_visitor(account, visitor_id)?;
    }
    Ok(bound)
}

/// Binds the identifier to the visitor who has the computed id. False: it is bound by now.
fn take_seat(
    account: &str,
    request: &Request,
    target: Target,
    visitor_id: Uuid,
) -> Result<bool, IdentityError> {
    match (
        target,
        request.provided.as_deref(),
        request.channel.as_ref(),
    ) {
        (Target::FromProvided, Some(provided), _) => {
            let values = [
                Value::Text(Some(account)),
                Value::Text(Some(provided)),
                Value::Uuid(Some(visitor_id)),
            ];
            let rows = IDENTIFY_IN_PLACE.with(|statement| statement.run(Mode::Write, &values))?;
            Ok(rows.len() == 1)
        }
        (Target::FromChannel, _, Some(key)) => bind_channel(account, key, visitor_id),
        _ => Ok(false),
    }
}
