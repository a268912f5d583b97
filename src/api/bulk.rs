//! `resolve_visitors` as an SQL function: arrays in, one row a request out, a batch at a time.

use super::reported;
use crate::error::IdentityError;
use crate::resolution::RawRequest;
use crate::settings::effective_account;
use crate::store::bulk::{resolve_batch, Answered};
use crate::store::spi::{from_pg, to_pg};
use pgrx::iter::TableIterator;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;
use pgrx::PgLogLevel;
use uuid::Uuid;

/// Requests that one statement reads and one writes: enough to make the cost of a statement disappear, few enough to
/// keep the memory of a call flat.
const BATCH: usize = 5_000;

/// The arguments of many calls, an array each; an array that was not given is NULL in every request.
struct Requests {
    account: String,
    count: usize,
    provided_visitor_ids: Vec<Option<String>>,
    channel_types: Vec<Option<String>>,
    channel_user_ids: Vec<Option<String>>,
    visitor_ids: Vec<Option<Uuid>>,
    channel_ids: Vec<Option<String>>,
}

impl Requests {
    fn raw(&self, request: usize) -> RawRequest<'_> {
        fn text(texts: &[Option<String>], request: usize) -> Option<&str> {
            texts.get(request).and_then(Option::as_deref)
        }
        RawRequest {
            provided_visitor_id: text(&self.provided_visitor_ids, request),
            channel_type: text(&self.channel_types, request),
            channel_user_id: text(&self.channel_user_ids, request),
            visitor_id: self.visitor_ids.get(request).copied().flatten(),
            channel_id: text(&self.channel_ids, request),
            verified: false,
        }
    }

    /// Errors: 22023 when the arrays that were given differ in length.
    fn count(&self) -> Result<usize, IdentityError> {
        let lengths = [
            self.provided_visitor_ids.len(),
            self.channel_types.len(),
            self.channel_user_ids.len(),
            self.visitor_ids.len(),
            self.channel_ids.len(),
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
}

fn texts(array: Option<Array<'_, String>>) -> Vec<Option<String>> {
    array
        .map(|array| array.iter().collect())
        .unwrap_or_default()
}

/// The answers, worked out a batch at a time as they are fetched.
struct Answers {
    requests: Requests,
    asked: usize,
    waiting: std::vec::IntoIter<Answered>,
    given: i64,
}

impl Answers {
    fn ask(&mut self) -> Result<(), IdentityError> {
        let end = self.requests.count.min(self.asked.saturating_add(BATCH));
        let batch: Vec<RawRequest<'_>> = (self.asked..end)
            .map(|request| self.requests.raw(request))
            .collect();
        let answers = resolve_batch(&self.requests.account, &batch)?;
        self.waiting = answers.into_iter();
        self.asked = end;
        Ok(())
    }
}

type Row = (
    i64,
    Option<pgrx::Uuid>,
    &'static str,
    &'static str,
    Vec<&'static str>,
    Option<String>,
    Option<String>,
);

impl Iterator for Answers {
    type Item = Row;

    fn next(&mut self) -> Option<Row> {
        if self.waiting.len() == 0 && self.asked < self.requests.count {
            if let Err(error) = self.ask() {
                ErrorReport::from(error).report(PgLogLevel::ERROR);
            }
        }
        let answered = self.waiting.next()?;
        self.given = self.given.saturating_add(1);
        Some(match answered {
            Ok(resolution) => (
                self.given,
                Some(to_pg(resolution.visitor_id)),
                resolution.outcome,
                resolution.basis,
                resolution.notes,
                None,
                None,
            ),
            Err(error) => {
                let (sqlstate, message) = error.sqlstate_and_message();
                (
                    self.given,
                    None,
                    "refused",
                    "none",
                    Vec::new(),
                    Some(sqlstate),
                    Some(message),
                )
            }
        })
    }
}

#[pg_extern(sql = false)]
#[allow(clippy::type_complexity)]
fn resolve_visitors(
    provided_visitor_ids: Option<Array<'_, String>>,
    channel_types: Option<Array<'_, String>>,
    channel_user_ids: Option<Array<'_, String>>,
    visitor_ids: Option<Array<'_, pgrx::Uuid>>,
    channel_ids: Option<Array<'_, String>>,
    account: Option<&str>,
) -> Result<
    TableIterator<
        'static,
        (
            name!(request, i64),
            name!(visitor_id, Option<pgrx::Uuid>),
            name!(outcome, &'static str),
            name!(basis, &'static str),
            name!(notes, Vec<&'static str>),
            name!(refused_sqlstate, Option<String>),
            name!(refused_message, Option<String>),
        ),
    >,
    ErrorReport,
> {
    let mut requests = Requests {
        account: reported(effective_account(account))?,
        count: 0,
        provided_visitor_ids: texts(provided_visitor_ids),
        channel_types: texts(channel_types),
        channel_user_ids: texts(channel_user_ids),
        visitor_ids: visitor_ids
            .map(|ids| ids.iter().map(|id| id.map(from_pg)).collect())
            .unwrap_or_default(),
        channel_ids: texts(channel_ids),
    };
    requests.count = reported(requests.count())?;
    Ok(TableIterator::new(Answers {
        requests,
        asked: 0,
        waiting: Vec::new().into_iter(),
        given: 0,
    }))
}
