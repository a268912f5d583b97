//! What the catalog says of the session's role.
//! May touch: `pg_db_role_setting`, read once for each session user.

use super::spi::{connect, Mode, Value};
use super::statement;
use crate::error::IdentityError;
use pgrx::pg_sys;
use std::cell::RefCell;

thread_local! {
    static KNOWN: RefCell<Option<(pg_sys::Oid, Option<String>)>> = const { RefCell::new(None) };
}

// The more specific setting wins, as in PostgreSQL: role in database, role, database, all.
statement!(
    LOCKED_ACCOUNT,
    "select pg_catalog.substr(c.setting, pg_catalog.length('visitor_identity.locked_account=')
        operator(pg_catalog.+) 1)
    from pg_catalog.pg_db_role_setting as s
    cross join pg_catalog.unnest(s.setconfig) as c (setting)
    where s.setrole operator(pg_catalog.=) any (array[$1, 0::pg_catalog.oid])
        and s.setdatabase operator(pg_catalog.=) any (array[$2, 0::pg_catalog.oid])
        and pg_catalog.starts_with(c.setting, 'visitor_identity.locked_account=')
    order by s.setrole operator(pg_catalog.=) 0::pg_catalog.oid,
        s.setdatabase operator(pg_catalog.=) 0::pg_catalog.oid
    limit 1"
);

/// The account to which ALTER ROLE ... SET or ALTER DATABASE ... SET locks the session user, as of his first call: such a
/// setting is one for new sessions. A superuser is never locked by it, since he may set the setting himself.
pub fn locked_by_catalog() -> Result<Option<String>, IdentityError> {
    // SAFETY: plain reads of backend-local state and of the catalog, inside a transaction.
    let (user, is_superuser) = unsafe {
        let user = pg_sys::GetSessionUserId();
        (user, pg_sys::superuser_arg(user))
    };
    if is_superuser {
        return Ok(None);
    }
    let known = KNOWN.with(|known| {
        known
            .borrow()
            .as_ref()
            .filter(|(of_user, _)| *of_user == user)
            .map(|(_, account)| account.clone())
    });
    if let Some(account) = known {
        return Ok(account);
    }
    // SAFETY: a plain read of a backend-local variable.
    let database = unsafe { pg_sys::MyDatabaseId };
    let account = connect(|| {
        let values = [Value::Oid(user), Value::Oid(database)];
        let rows = LOCKED_ACCOUNT.with(|statement| statement.run(Mode::ReadOnly, &values))?;
        Ok(rows
            .get::<String>(0, 1)
            .filter(|account| !account.is_empty()))
    })?;
    KNOWN.with(|known| *known.borrow_mut() = Some((user, account.clone())));
    Ok(account)
}
