//! The record of logins that met a visitor and did not absorb him.
//! May touch: the table `refused_link`.

use super::distributed::caller;
use super::spi::{Mode, Value};
use super::statement;
use crate::error::IdentityError;
use crate::resolution::RefusedLink;
use uuid::Uuid;

// There is no unique key: two sessions that record the same at the same moment would have to wait for each other, and a
// row twice does no harm. Where nothing is new, nothing is written and no transaction id is taken.
statement!(
    RECORD,
    "insert into visitor_identity.refused_link (account, visitor_id, to_visitor_id, reason, refused_by)
    select $1, $2, $3, $4, coalesce($5, session_user::pg_catalog.text)
    where not exists (
        select
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
