//! The record of logins that met a visitor and did not absorb him.
//! May touch: the table `refused_link`.

use super::distributed::caller;
use super::spi::{Mode, Value};
use super::statement;
use crate::error::IdentityError;
use crate::resolution::RefusedLink;
use std::collections::BTreeSet;
use uuid::Uuid;

// There is no unique key: two sessions that record the same at the same moment would have to wait for each other, and a
// row twice does no harm. Where nothing is new, nothing is written and no transaction id is taken.
statement!(
    RECORD,
    "insert into visitor_identity.refused_link (account, visitor_id, to_visitor_id, reason, refused_by)
    select $1, $2, $3, $4, coalesce($5, session_user::pg_catalog.text)
    where not exists (
        select 1
        from visitor_identity.refused_link as r
        where r.account operator(pg_catalog.=) $1
            and r.visitor_id operator(pg_catalog.=) $2
            and r.to_visitor_id operator(pg_catalog.=) $3
            and r.reason operator(pg_catalog.=) $4
    )"
);

/// Records what is not recorded yet. Not for read-only transactions.
pub fn record(
    account: &str,
    refused: &[(Uuid, RefusedLink)],
    to: Uuid,
) -> Result<(), IdentityError> {
    if refused.is_empty() {
        return Ok(());
    }
    let caller = caller();
    for (visitor, why) in refused {
        let values = [
            Value::Text(Some(account)),
            Value::Uuid(Some(*visitor)),
            Value::Uuid(Some(to)),
            Value::Text(Some(why.code())),
            Value::Text(caller.as_deref()),
        ];
        RECORD.with(|statement| statement.run(Mode::Newest, &values))?;
    }
    Ok(())
}

statement!(
    RECORD_MANY,
    "insert into visitor_identity.refused_link (account, visitor_id, to_visitor_id, reason)
    select $1, n.visitor_id, n.to_visitor_id, n.reason
    from rows from (pg_catalog.unnest($2), pg_catalog.unnest($3), pg_catalog.unnest($4))
        as n (visitor_id, to_visitor_id, reason)
    where (
        select true
        from visitor_identity.refused_link as r
        where r.account operator(pg_catalog.=) $1
            and r.visitor_id operator(pg_catalog.=) n.visitor_id
            and r.to_visitor_id operator(pg_catalog.=) n.to_visitor_id
            and r.reason operator(pg_catalog.=) n.reason
        limit 1
    ) is null"
);

/// The same for many logins at once: the visitor who was met, whose login it was, and the code of the reason.
pub fn record_many(
    account: &str,
    refused: &BTreeSet<(Uuid, Uuid, &'static str)>,
) -> Result<(), IdentityError> {
    let met: Vec<Uuid> = refused.iter().map(|(met, _, _)| *met).collect();
    let to: Vec<Uuid> = refused.iter().map(|(_, to, _)| *to).collect();
    let why: Vec<Option<&str>> = refused.iter().map(|(_, _, why)| Some(*why)).collect();
    let values = [
        Value::Text(Some(account)),
        Value::Uuids(&met),
        Value::Uuids(&to),
        Value::OptionalTexts(&why),
    ];
    RECORD_MANY.with(|statement| statement.run(Mode::Newest, &values))?;
    Ok(())
}
