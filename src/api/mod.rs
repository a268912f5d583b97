//! The SQL functions, by topic: arguments in, rows or errors out, nothing else. Their SQL declarations are in `sql/`.

mod attach;
mod audit;
mod backfill;
mod bulk;
mod check;
mod device;
mod distribution;
mod history;
mod inspect;
mod json;
mod operation;
mod payload;
mod privacy;
mod resolve;
mod rows;
mod set;
mod signature;

use crate::error::IdentityError;
use pgrx::pg_sys::panic::ErrorReport;

/// What an SQL function returns: its value, or one of our errors with SQLSTATE, DETAIL and HINT.
type Answer<T> = Result<T, ErrorReport>;

fn reported<T>(result: Result<T, IdentityError>) -> Answer<T> {
    result.map_err(ErrorReport::from)
}
