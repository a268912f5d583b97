//! The identity tables: facts in one statement, locks, bindings.
//! May touch: `visitor`, `provided_identity`, `channel_identity`, `former_channel_identity`; never an application's table.

use super::distributed::{is_distributed, try_lock_at_account, wait_for_lock_at_account};
use super::spi::{Mode, Rows, Statement, Value};
use super::statement;
use crate::error::IdentityError;
use crate::resolution::{
    computed_id, holder_of_computed_id, ChannelKey, Facts, Holder, Policy, Request, Target, Visitor,
};
use std::collections::{BTreeMap, HashSet};
use std::mem::ManuallyDrop;
use uuid::Uuid;

statement!(
    SURVIVOR,
    "select s.visitor_id
    from visitor_identity.visitor as v
    join visitor_identity.visitor as s
        on s.account operator(pg_catalog.=) $1
        and s.visitor_id operator(pg_catalog.=) coalesce(v.superseded_by, v.visitor_id)
    where v.account operator(pg_catalog.=) $1
        and v.visitor_id operator(pg_catalog.=) $2
        and not v.forgotten
        and not s.forgotten"
);

/// The canonical visitor of a visitor_id; None for the unknown and the forgotten.
pub fn survivor(mode: Mode, account: &str, visitor: Uuid) -> Result<Option<Uuid>, IdentityError> {
    let values = [Value::Text(Some(account)), Value::Uuid(Some(visitor))];
    let rows = SURVIVOR.with(|statement| statement.run(mode, &values))?;
    Ok(rows.uuid(0, 1))
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
        slot.get_or_init(|| Statement::over_table(facts_text(given, source)))
            .run(mode, values)
    }
}

thread_local! {
    static FACTS: ManuallyDrop<FactStatements> = const { ManuallyDrop::new(FactStatements::none()) };
    static FACTS_OF_MANY: ManuallyDrop<FactStatements> =
        const { ManuallyDrop::new(FactStatements::none()) };
}

/// Where a statement for facts finds the identifiers of its request or requests. The account is $1 in both.
struct Source {
    from: &'static str,
    provided: &'static str,
    channel_type: &'static str,
    channel_id: &'static str,
    channel_user_id: &'static str,
    cookie: &'static str,
    order: &'static str,
}

const ONE_REQUEST: Source = Source {
    from: "(select) as request",
    provided: "$2",
    channel_type: "$3",
    channel_id: "$4",
    channel_user_id: "$5",
    cookie: "$6",
    order: "",
};

const MANY_REQUESTS: Source = Source {
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
    order: "order by q.number",
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
    let mut owed = Vec::new();
    if provided {
        owed.push("r.to_visitor_id operator(pg_catalog.=) p.visitor_id");
    }
    if channel {
        owed.push("r.visitor_id operator(pg_catalog.=) c.visitor_id");
        owed.push("r.to_visitor_id operator(pg_catalog.=) c.visitor_id");
    }
    if cookie {
        owed.push("r.visitor_id operator(pg_catalog.=) k.visitor_id");
    }
    format!(
        "select {provided_columns}, {channel_column}, {channel_columns}, {cookie_columns},
            {cookie_claim}, {cookie_state},
            exists (
                select
                from visitor_identity.pending_rebind as r
                where r.account operator(pg_catalog.=) $1
                    and ({owed})
            )
        from {source_from}
        {provided_join}
        {channel_join}
        {channel_state_join}
        {cookie_join}
        {order}",
        source_from = source.from,
        order = source.order,
        provided_columns = pick(
            provided,
            "p.visitor_id, p.verified_at is not null",
            "null::pg_catalog.uuid, false",
        ),
        channel_column = pick(channel, "c.visitor_id", "null::pg_catalog.uuid"),
        // The claimant is followed to his survivor. A visitor that is still owed to somebody belongs to him already:
        // nobody else may absorb it.
        channel_columns = pick(
            channel_state,
            "v.identified,
            case when v.identified then null else coalesce((
                select coalesce(h.superseded_by, h.visitor_id)
                from visitor_identity.visitor as h
                where h.account operator(pg_catalog.=) $1
                    and h.visitor_id operator(pg_catalog.=) v.claimed_by
            ), (
                select r.to_visitor_id
                from visitor_identity.pending_rebind as r
                where r.account operator(pg_catalog.=) $1
                    and r.visitor_id operator(pg_catalog.=) c.visitor_id
                order by r.created_at
                limit 1
            )) end,
            v.forgotten",
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
            "case
                when coalesce(s.identified, k.identified) then null
                else coalesce((
                    select coalesce(h.superseded_by, h.visitor_id)
                    from visitor_identity.visitor as h
                    where h.account operator(pg_catalog.=) $1
                        and h.visitor_id operator(pg_catalog.=) coalesce(s.claimed_by, k.claimed_by)
                ), (
                    select r.to_visitor_id
                    from visitor_identity.pending_rebind as r
                    where r.account operator(pg_catalog.=) $1
                        and r.visitor_id operator(pg_catalog.=)
                            coalesce(k.superseded_by, k.visitor_id)
                    order by r.created_at
                    limit 1
                ))
            end",
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
            &format!(
                "left join visitor_identity.provided_identity as p
                on p.account operator(pg_catalog.=) $1
                and p.provided_visitor_id operator(pg_catalog.=) {}",
                source.provided
            ),
            "",
        ),
        channel_join = pick(
            channel,
            &format!(
                "left join visitor_identity.channel_identity as c
                on c.account operator(pg_catalog.=) $1
                and c.channel_user_id operator(pg_catalog.=) {}
                and c.channel_type operator(pg_catalog.=) {}
                and c.channel_id operator(pg_catalog.=) {}",
                source.channel_user_id, source.channel_type, source.channel_id
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
                "left join visitor_identity.visitor as k
                on k.account operator(pg_catalog.=) $1
                and k.visitor_id operator(pg_catalog.=) {}
            left join lateral (
                select v.visitor_id, v.identified, v.claimed_by, v.forgotten
                from visitor_identity.visitor as v
                where v.account operator(pg_catalog.=) $1
                    and v.visitor_id operator(pg_catalog.=) k.superseded_by
                limit 1
            ) as s on true",
                source.cookie
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
    BY_COOKIE,
    "select v.superseded_by, v.visitor_id, v.identified, null::pg_catalog.uuid, v.forgotten
    from visitor_identity.visitor as v
    where v.account operator(pg_catalog.=) $1
        and v.visitor_id operator(pg_catalog.=) $2"
);

/// The visitor of a cookie, followed to its survivor; without the claimant, who matters to an authorization only.
fn cookie_visitor(
    mode: Mode,
    account: &str,
    cookie: Option<Uuid>,
) -> Result<Option<Visitor>, IdentityError> {
    let Some(cookie) = cookie else {
        return Ok(None);
    };
    let read = |id: Uuid| {
        let values = [Value::Text(Some(account)), Value::Uuid(Some(id))];
        BY_COOKIE.with(|statement| statement.run(mode, &values))
    };
    let rows = read(cookie)?;
    match rows.uuid(0, 1) {
        None => Ok(visitor(&rows, 2)),
        Some(survivor) => Ok(visitor(&read(survivor)?, 2)),
    }
}

/// A visitor of whom no more than the id was read, because no more is needed.
fn only_known(id: Uuid, identified: bool) -> Visitor {
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
        (None, Some(key), cookie) => {
            let values = channel_values(account, key);
            let rows = BY_CHANNEL.with(|statement| statement.run(mode, &values))?;
            Ok(Facts {
                channel: rows.uuid(0, 1).map(|id| only_known(id, false)),
                cookie: cookie_visitor(mode, account, cookie)?,
                ..Facts::default()
            })
        }
        (Some(provided), None, cookie) => {
            let values = [Value::Text(Some(account)), Value::Text(Some(provided))];
            let rows = BY_PROVIDED.with(|statement| statement.run(mode, &values))?;
            let found = rows.uuid(0, 1);
            if cookie.is_some() && cookie != found {
                return all_facts(mode, account, request);
            }
            Ok(Facts {
                provided: found,
                provided_verified: rows.truth(0, 2),
                cookie: cookie.map(|id| only_known(id, true)),
                ..Facts::default()
            })
        }
        (Some(_), Some(_), _) => all_facts(mode, account, request),
    }
}

// The identifier is looked up by a sub-select that is computed first, so that the visitor's row is found by its whole key
// in every plan.
statement!(
    SHARE_BY_PROVIDED,
    "select v.superseded_by, v.visitor_id, v.identified, v.claimed_by, v.forgotten
    from visitor_identity.visitor as v
    where v.account operator(pg_catalog.=) $1
        and v.visitor_id operator(pg_catalog.=) (
            select p.visitor_id
            from visitor_identity.provided_identity as p
            where p.account operator(pg_catalog.=) $1
                and p.provided_visitor_id operator(pg_catalog.=) $2
        )
        and ($3::pg_catalog.uuid is null or v.visitor_id operator(pg_catalog.=) $3)
    for key share"
);

statement!(
    SHARE_BY_CHANNEL,
    "select v.superseded_by, v.visitor_id, v.identified, v.claimed_by, v.forgotten
    from visitor_identity.visitor as v
    where v.account operator(pg_catalog.=) $1
        and v.visitor_id operator(pg_catalog.=) (
            select c.visitor_id
            from visitor_identity.channel_identity as c
            where c.account operator(pg_catalog.=) $1
                and c.channel_user_id operator(pg_catalog.=) $4
                and c.channel_type operator(pg_catalog.=) $2
                and c.channel_id operator(pg_catalog.=) $3
        )
    for key share"
);

/// The facts of a chat row whose visitor is known by one identifier and is not to change, read by the lock that the row
/// needs anyway. None: there is more to it, or the row was superseded, forgotten or claimed meanwhile.
pub fn lock_known(account: &str, request: &Request) -> Result<Option<Facts>, IdentityError> {
    let (rows, by_provided) = match (&request.provided, &request.channel) {
        (Some(provided), None) => {
            let values = [
                Value::Text(Some(account)),
                Value::Text(Some(provided)),
                Value::Uuid(request.cookie),
            ];
            let rows = SHARE_BY_PROVIDED.with(|statement| statement.run(Mode::Write, &values))?;
            (rows, true)
        }
        (None, Some(key)) => {
            let values = channel_values(account, key);
            let rows = SHARE_BY_CHANNEL.with(|statement| statement.run(Mode::Write, &values))?;
            (rows, false)
        }
        _ => return Ok(None),
    };
    let stands = |visitor: &Visitor| !visitor.forgotten && visitor.claimed_by.is_none();
    let Some(found) = visitor(&rows, 2)
        .filter(stands)
        .filter(|_| rows.uuid(0, 1).is_none())
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

/// Reads all facts about many requests in one statement; the answers are in the order of the requests.
pub fn facts_of_many(
    mode: Mode,
    account: &str,
    requests: &[&Request],
) -> Result<Vec<Facts>, IdentityError> {
    let given = [
        requests.iter().any(|request| request.provided.is_some()),
        requests.iter().any(|request| request.channel.is_some()),
        requests.iter().any(|request| request.cookie.is_some()),
    ];
    let of_channel = |part: fn(&ChannelKey) -> &str| -> Vec<Option<&str>> {
        requests
            .iter()
            .map(|request| request.channel.as_ref().map(part))
            .collect()
    };
    let provided: Vec<Option<&str>> = requests
        .iter()
        .map(|request| request.provided.as_deref())
        .collect();
    let types = of_channel(|key| &key.channel_type);
    let ids = of_channel(|key| &key.channel_id);
    let users = of_channel(|key| &key.channel_user_id);
    let cookies: Vec<Option<Uuid>> = requests.iter().map(|request| request.cookie).collect();
    let values = [
        Value::Text(Some(account)),
        Value::OptionalTexts(&provided),
        Value::OptionalTexts(&types),
        Value::OptionalTexts(&ids),
        Value::OptionalTexts(&users),
        Value::OptionalUuids(&cookies),
    ];
    let rows =
        FACTS_OF_MANY.with(|statements| statements.run(given, &MANY_REQUESTS, mode, &values))?;
    if rows.len() != requests.len() {
        return Err(IdentityError::Internal(
            "facts of another number of requests than were asked for".into(),
        ));
    }
    Ok((0..rows.len()).map(|row| facts_in(&rows, row)).collect())
}

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
    let values = [Value::Text(Some(account)), Value::Uuid(Some(visitor_id))];
    let rows = match lock {
        Lock::Share => SHARE_VISITOR.with(|statement| statement.run(Mode::Write, &values)),
        Lock::ShareIdle => SHARE_IDLE_VISITOR.with(|statement| statement.run(Mode::Write, &values)),
        Lock::Take => TAKE_VISITOR.with(|statement| statement.run(Mode::Write, &values)),
        Lock::TakeStanding => {
            TAKE_STANDING_VISITOR.with(|statement| statement.run(Mode::Write, &values))
        }
    }?;
    Ok(visitor(&rows, 2).map(|visitor| LockedVisitor {
        superseded_by: rows.uuid(0, 1),
        visitor,
    }))
}

statement!(
    TRY_ELECTION,
    "select pg_catalog.pg_try_advisory_xact_lock($1)"
);
statement!(WAIT_ELECTION, "select pg_catalog.pg_advisory_xact_lock($1)");

/// Elects this transaction as the one that rebinds a visitor of the account, without waiting. False: another one is it.
pub fn try_election(account: &str, key: i64) -> Result<bool, IdentityError> {
    if is_distributed()? {
        return try_lock_at_account(account, key);
    }
    let values = [Value::Int8(Some(key))];
    Ok(TRY_ELECTION
        .with(|statement| statement.run(Mode::Write, &values))?
        .truth(0, 1))
}

/// The same, waiting until the other transaction ends.
pub fn wait_for_election(account: &str, key: i64) -> Result<(), IdentityError> {
    if is_distributed()? {
        return wait_for_lock_at_account(account, key);
    }
    let values = [Value::Int8(Some(key))];
    WAIT_ELECTION.with(|statement| statement.run(Mode::Write, &values))?;
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

// One statement, visitor first: both tables get one row each, nothing is updated afterwards. Of two sessions that
// compute the same id the second waits in the visitor's key for the first.
statement!(
    FIRST_SIGHT_PROVIDED,
    "with v as (
        insert into visitor_identity.visitor (account, visitor_id, identified)
        values ($1, $3, true)
        on conflict do nothing
        returning visitor_id
    ), i as (
        insert into visitor_identity.provided_identity (account, provided_visitor_id, visitor_id)
        select $1, $2, v.visitor_id
        from v
        on conflict do nothing
        returning visitor_id
    )
    select exists (select 1 from v), exists (select 1 from i)"
);

statement!(
    FIRST_SIGHT_CHANNEL,
    "with v as (
        insert into visitor_identity.visitor (account, visitor_id)
        values ($1, $5)
        on conflict do nothing
        returning visitor_id
    ), i as (
        insert into visitor_identity.channel_identity
            (account, channel_type, channel_id, channel_user_id, visitor_id)
        select $1, $2, $3, $4, v.visitor_id
        from v
        on conflict do nothing
        returning visitor_id
    )
    select exists (select 1 from v), exists (select 1 from i)"
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
            select
            from visitor_identity.channel_identity as c
            where c.account operator(pg_catalog.=) $1
                and c.visitor_id operator(pg_catalog.=) $2
        ) or exists (
            select
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
    if computed_id(policy, request, Target::FromProvided, 0) == Some(visitor_id) {
        return Ok(true);
    }
    let values = [
        Value::Text(Some(&policy.account)),
        Value::Text(Some(provided)),
    ];
    let rows = BY_PROVIDED.with(|statement| statement.run(Mode::NewestReadOnly, &values))?;
    Ok(rows.uuid(0, 1) == Some(visitor_id))
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

// The same for many identifiers that one statement can bind, in the order of their ids: two of these statements meet in
// one order.
statement!(
    FIRST_SIGHTS_PROVIDED,
    "with n as (
        select q.provided_visitor_id, q.visitor_id
        from rows from (pg_catalog.unnest($2), pg_catalog.unnest($3))
            as q (provided_visitor_id, visitor_id)
    ), v as (
        insert into visitor_identity.visitor (account, visitor_id, identified)
        select $1, n.visitor_id, true
        from n
        order by n.visitor_id
        on conflict do nothing
        returning visitor_id
    ), i as (
        insert into visitor_identity.provided_identity (account, provided_visitor_id, visitor_id)
        select $1, n.provided_visitor_id, n.visitor_id
        from n
        join v on v.visitor_id operator(pg_catalog.=) n.visitor_id
        order by n.visitor_id
        on conflict do nothing
        returning visitor_id
    )
    select v.visitor_id, i.visitor_id is not null
    from v
    left join i on i.visitor_id operator(pg_catalog.=) v.visitor_id"
);

statement!(
    FIRST_SIGHTS_CHANNEL,
    "with n as (
        select q.channel_type, q.channel_id, q.channel_user_id, q.visitor_id
        from rows from (
            pg_catalog.unnest($2), pg_catalog.unnest($3), pg_catalog.unnest($4),
            pg_catalog.unnest($5)
        ) as q (channel_type, channel_id, channel_user_id, visitor_id)
    ), v as (
        insert into visitor_identity.visitor (account, visitor_id)
        select $1, n.visitor_id
        from n
        order by n.visitor_id
        on conflict do nothing
        returning visitor_id
    ), i as (
        insert into visitor_identity.channel_identity
            (account, channel_type, channel_id, channel_user_id, visitor_id)
        select $1, n.channel_type, n.channel_id, n.channel_user_id, n.visitor_id
        from n
        join v on v.visitor_id operator(pg_catalog.=) n.visitor_id
        order by n.visitor_id
        on conflict do nothing
        returning visitor_id
    )
    select v.visitor_id, i.visitor_id is not null
    from v
    left join i on i.visitor_id operator(pg_catalog.=) v.visitor_id"
);

statement!(
    INSERT_VISITORS,
    "insert into visitor_identity.visitor (account, visitor_id)
    select $1, n.visitor_id
    from pg_catalog.unnest($2) as n (visitor_id)
    on conflict do nothing"
);

/// Makes new random visitors.
pub fn insert_visitors(account: &str, visitors: &[Uuid]) -> Result<(), IdentityError> {
    let values = [Value::Text(Some(account)), Value::Uuids(visitors)];
    INSERT_VISITORS.with(|statement| statement.run(Mode::Write, &values))?;
    Ok(())
}

/// Binds provided ids that nobody has seen to the ids computed from them, and tells which it has bound. Those that it
/// has not were bound meanwhile, or their computed id has a holder.
pub fn first_sights_of_provided(
    account: &str,
    new: &BTreeMap<Uuid, &str>,
) -> Result<HashSet<Uuid>, IdentityError> {
    let ids: Vec<Option<&str>> = new.values().copied().map(Some).collect();
    let visitors: Vec<Uuid> = new.keys().copied().collect();
    let values = [
        Value::Text(Some(account)),
        Value::OptionalTexts(&ids),
        Value::Uuids(&visitors),
    ];
    let rows = FIRST_SIGHTS_PROVIDED.with(|statement| statement.run(Mode::Write, &values))?;
    bound_of(account, &rows)
}

/// The same for channel user ids.
pub fn first_sights_of_channels(
    account: &str,
    new: &BTreeMap<Uuid, &ChannelKey>,
) -> Result<HashSet<Uuid>, IdentityError> {
    let part = |part: fn(&ChannelKey) -> &str| -> Vec<Option<&str>> {
        new.values().map(|key| Some(part(key))).collect()
    };
    let types = part(|key| &key.channel_type);
    let ids = part(|key| &key.channel_id);
    let users = part(|key| &key.channel_user_id);
    let visitors: Vec<Uuid> = new.keys().copied().collect();
    let values = [
        Value::Text(Some(account)),
        Value::OptionalTexts(&types),
        Value::OptionalTexts(&ids),
        Value::OptionalTexts(&users),
        Value::Uuids(&visitors),
    ];
    let rows = FIRST_SIGHTS_CHANNEL.with(|statement| statement.run(Mode::Write, &values))?;
    bound_of(account, &rows)
}

fn bound_of(account: &str, rows: &Rows) -> Result<HashSet<Uuid>, IdentityError> {
    let mut bound = HashSet::new();
    let mut orphans = Vec::new();
    for row in 0..rows.len() {
        match rows.uuid(row, 1) {
            Some(visitor) if rows.truth(row, 2) => {
                bound.insert(visitor);
            }
            orphan => orphans.extend(orphan),
        }
    }
    for orphan in orphans {
        delete_own_visitor(account, orphan)?;
    }
    Ok(bound)
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
    let rows = match (
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
            FIRST_SIGHT_PROVIDED.with(|statement| statement.run(Mode::Write, &values))?
        }
        (Target::FromChannel, _, Some(key)) => {
            let [a, b, c, d] = channel_values(account, key);
            let values = [a, b, c, d, Value::Uuid(Some(visitor_id))];
            FIRST_SIGHT_CHANNEL.with(|statement| statement.run(Mode::Write, &values))?
        }
        _ => return Err(IdentityError::Internal("no identifier to bind".into())),
    };
    let (inserted, bound) = (rows.truth(0, 1), rows.truth(0, 2));
    if inserted && !bound {
        delete_own_visitor(account, visitor_id)?;
    }
    Ok(inserted && bound)
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
