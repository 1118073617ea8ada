//! What follows a `?`.

use axum::extract::Query;
use axum::extract::rejection::QueryRejection;
use serde::Deserialize;

use super::error::Problem;

/// How many records a page has where nothing is said.
const PAGE: usize = 100;
/// How many records a page may have.
const LARGEST_PAGE: usize = 1_000;
/// The longest time that statistics are computed over, in nanoseconds: 31 days.
const LONGEST: i64 = 31 * DAY;
const DAY: i64 = 86_400_000_000_000;

/// Which records.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Records {
    from: Option<String>,
    to: Option<String>,
    queue: Option<String>,
    agent: Option<String>,
    before: Option<i64>,
    limit: Option<usize>,
}

/// Which time.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Span {
    from: Option<String>,
    to: Option<String>,
    pub(super) queue: Option<String>,
}

/// What was asked for, or what is wrong with it.
pub(super) fn read<T>(query: Result<Query<T>, QueryRejection>) -> Result<T, Problem> {
    match query {
        Ok(Query(read)) => Ok(read),
        Err(rejection) => Err(Problem::bad(rejection.body_text())),
    }
}

impl Records {
    pub(super) fn query(self) -> Result<crate::store::RecordQuery, Problem> {
        let limit = self.limit.unwrap_or(PAGE);
        if !(1..=LARGEST_PAGE).contains(&limit) {
            return Err(Problem::bad(format!(
                "limit is 1 to {LARGEST_PAGE}; for more ask again with before= the number in `next`"
            )));
        }
        Ok(crate::store::RecordQuery {
            from: self.from.as_deref().map(time).transpose()?,
            to: self.to.as_deref().map(time).transpose()?,
            queue: self.queue,
            agent: self.agent,
            before: self.before,
            limit,
        })
    }
}

impl Span {
    /// From when to when, in nanoseconds since 1970: the last 24 hours where nothing is said.
    pub(super) fn times(&self, now: i64) -> Result<(i64, i64), Problem> {
        let to = self.to.as_deref().map(time).transpose()?.unwrap_or(now);
        let from = self.from.as_deref().map(time).transpose()?;
        let from = from.unwrap_or(to.saturating_sub(DAY));
        if from > to || to - from > LONGEST {
            return Err(Problem::bad("from is before to, and at most 31 days"));
        }
        Ok((from, to))
    }
}

fn time(text: &str) -> Result<i64, Problem> {
    let read = text.parse::<jiff::Timestamp>().ok();
    read.and_then(|time| i64::try_from(time.as_nanosecond()).ok())
        .ok_or_else(|| {
            Problem::bad(format!(
                "{text:?} is no time such as 2026-11-28T09:00:00Z; a + in it is written %2B"
            ))
        })
}
