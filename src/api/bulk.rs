//! `resolve_visitors` as an SQL function: arrays in, one row a request out, a batch at a time.

use super::set::{in_memory_of_its_own, Rows};
use crate::error::IdentityError;
use crate::resolution::RawRequest;
use crate::settings::effective_account;
use crate::store::bulk::{resolve_batch, Answered};
use crate::store::spi::{from_pg, to_pg};
use pgrx::datum::{Array, IntoDatum};
use pgrx::fcinfo::pg_getarg;
use pgrx::pg_sys;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::PgLogLevel;

/// Requests that one statement reads and one writes: enough to make the cost of a statement disappear, few enough to
/// keep the memory of a call flat.
const BATCH: usize = 5_000;

/// The arguments of many calls, an array each; an array that was not given is NULL in every request. They are read where
/// PostgreSQL has them, so that a call takes no more memory than its arguments and one batch.
struct Arguments<'a> {
    provided_visitor_ids: Option<Array<'a, &'a str>>,
    channel_types: Option<Array<'a, &'a str>>,
    channel_user_ids: Option<Array<'a, &'a str>>,
    visitor_ids: Option<Array<'a, pgrx::Uuid>>,
    channel_ids: Option<Array<'a, &'a str>>,
}

impl<'a> Arguments<'a> {
    /// Errors: 22023 when the arrays that were given differ in length.
    fn count(&self) -> Result<usize, IdentityError> {
        let length = |array: &Option<Array<'_, &str>>| array.as_ref().map_or(0, Array::len);
        let lengths = [
            length(&self.provided_visitor_ids),
            length(&self.channel_types),
            length(&self.channel_user_ids),
            self.visitor_ids.as_ref().map_or(0, Array::len),
            length(&self.channel_ids),
        ];
        let count = lengths.into_iter().max().unwrap_or_default();
        if lengths
            .into_iter()
            .any(|length| length != 0 && length != count)
        {
            return Err(IdentityError::ArraysDiffer);
        }
        Ok(count)
    }

    /// The requests, one after the other.
    fn requests<'r>(&'r self) -> impl Iterator<Item = RawRequest<'r>> + use<'r, 'a> {
        fn texts<'r, 'a>(
            array: &'r Option<Array<'a, &'a str>>,
        ) -> impl Iterator<Item = Option<&'r str>> + use<'r, 'a> {
            array
                .iter()
                .flat_map(Array::iter)
                .chain(std::iter::repeat(None))
        }
        let visitors = self.visitor_ids.iter().flat_map(Array::iter);
        texts(&self.provided_visitor_ids)
            .zip(texts(&self.channel_types))
            .zip(texts(&self.channel_user_ids))
            .zip(visitors.chain(std::iter::repeat(None)))
            .zip(texts(&self.channel_ids))
            .map(
                |((((provided, channel_type), user), visitor), channel)| RawRequest {
                    provided_visitor_id: provided,
                    channel_type,
                    channel_user_id: user,
                    visitor_id: visitor.map(from_pg),
                    channel_id: channel,
                    verified: false,
                },
            )
    }
}

fn answer_all(
    account: &str,
    arguments: &Arguments<'_>,
    rows: &mut Rows,
) -> Result<(), IdentityError> {
    let count = arguments.count()?;
    let mut requests = arguments.requests().take(count);
    let mut given = 0_i64;
    loop {
        let batch: Vec<RawRequest<'_>> = requests.by_ref().take(BATCH).collect();
        if batch.is_empty() {
            return Ok(());
        }
        in_memory_of_its_own(|| {
            for answered in resolve_batch(account, &batch)? {
                given = given.saturating_add(1);
                put(rows, given, answered)?;
            }
            Ok::<(), IdentityError>(())
        })?;
        pgrx::check_for_interrupts!();
    }
}

fn put(rows: &mut Rows, number: i64, answered: Answered) -> Result<(), IdentityError> {
    match answered {
        Ok(resolution) => rows.put([
            number.into_datum(),
            to_pg(resolution.visitor_id).into_datum(),
            resolution.outcome.into_datum(),
            resolution.basis.into_datum(),
            resolution.notes.into_datum(),
            None,
            None,
        ]),
        Err(error) => {
            let (sqlstate, message) = error.sqlstate_and_message();
            rows.put([
                number.into_datum(),
                None,
                "refused".into_datum(),
                "none".into_datum(),
                Vec::<&str>::new().into_datum(),
                sqlstate.into_datum(),
                message.into_datum(),
            ])
        }
    }
}

#[doc(hidden)]
#[no_mangle]
pub extern "C" fn pg_finfo_resolve_visitors_wrapper() -> &'static pg_sys::Pg_finfo_record {
    const RECORD: pg_sys::Pg_finfo_record = pg_sys::Pg_finfo_record { api_version: 1 };
    &RECORD
}

/// # Safety
/// Called by PostgreSQL, as the function that `sql/resolve.sql` declares.
#[doc(hidden)]
#[no_mangle]
#[pgrx::pg_guard]
pub unsafe extern "C-unwind" fn resolve_visitors_wrapper(
    fcinfo: pg_sys::FunctionCallInfo,
) -> pg_sys::Datum {
    // SAFETY: PostgreSQL's own call, whose arguments have the types that are declared and live through it.
    let answered = unsafe {
        let arguments = Arguments {
            provided_visitor_ids: pg_getarg(fcinfo, 0),
            channel_types: pg_getarg(fcinfo, 1),
            channel_user_ids: pg_getarg(fcinfo, 2),
            visitor_ids: pg_getarg(fcinfo, 3),
            channel_ids: pg_getarg(fcinfo, 4),
        };
        let account: Option<&str> = pg_getarg(fcinfo, 5);
        effective_account(account)
            .and_then(|account| answer_all(&account, &arguments, &mut Rows::begin(fcinfo)?))
    };
    if let Err(error) = answered {
        ErrorReport::from(error).report(PgLogLevel::ERROR);
    }
    pg_sys::Datum::from(0)
}
