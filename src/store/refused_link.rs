//! The record of logins that met a visitor and did not absorb him.
//! May touch: the table `refused_link`.

use super::spi::{Mode, Value};
use super::statement;
use crate::error::IdentityError;
use crate::resolution::RefusedLink;
use uuid::Uuid;

// There is no unique key: two sessions that record the same at the same moment would have to wait for each other, and a
// row twice does no harm. Where nothing is new, nothing is written and no transaction id is taken.
statement!(
    RECORD,
    "insert into visitor_identity.refused_link (account, visitor_id, to_visitor_id, reason)
    select $1, $2, $3, $4
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
    for (visitor, why) in refused {
        let values = [
            Value::Text(Some(account)),
            Value::Uuid(Some(*visitor)),
            Value::Uuid(Some(to)),
            Value::Text(Some(why.code())),
        ];
        RECORD.with(|statement| statement.run(Mode::Newest, &values))?;
    }
    Ok(())
}
