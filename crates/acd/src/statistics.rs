//! Statistics of a queue, or of several: sums over call records, and what follows from them.

use std::time::Duration;

use crate::fact::{EndCause, RefusedBecause};
use crate::record::{CallRecord, Visit};

/// What counts as in time, and as quick.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Thresholds {
    /// A call that is answered within this time is answered in time.
    pub service_level: Duration,
    /// A caller who gives up within this time did so for reasons of its own.
    pub quick: Duration,
}

impl Default for Thresholds {
    /// 20 s, and 5 s.
    fn default() -> Self {
        Thresholds {
            service_level: Duration::from_secs(20),
            quick: Duration::from_secs(5),
        }
    }
}

/// Sums over the visits of calls to queues. Calls that are up count when they have left the queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Visits that are over: answered, abandoned, and all the others.
    pub offered: u64,
    /// Those that an agent answered.
    pub answered: u64,
    /// Those of them that were answered in time.
    pub answered_in_time: u64,
    /// Those whose caller gave up.
    pub abandoned: u64,
    /// Those of them who gave up quickly.
    pub abandoned_quickly: u64,
    /// Those that went on to another queue or address, or to the message of the overflow.
    pub overflowed: u64,
    /// Those that waited as long as they may.
    pub timed_out: u64,
    /// Those that were not let in because too many waited, nobody was logged in, or the call center closed.
    pub refused: Refused,
    /// Those that ended for another reason.
    pub failed: u64,
    /// How long the answered ones had waited, together.
    pub wait_of_answered: Duration,
    /// The longest wait of all, answered or not.
    pub longest_wait: Duration,
    /// Answered ones that are over for their agent, wrap-up included.
    pub handled: u64,
    /// How long agents talked in those, holds included.
    pub talk: Duration,
    /// How long they wrapped up after those.
    pub wrap: Duration,
}

/// Why calls were not let into a queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Refused {
    /// As many waited as may.
    pub full: u64,
    /// The call center closed.
    pub closed: u64,
    /// No member was logged in.
    pub no_agents: u64,
}

impl Statistics {
    /// Counts the visits of a call; to one queue, or to all.
    pub fn add(&mut self, record: &CallRecord, queue: Option<&str>, thresholds: &Thresholds) {
        self.add_where(record, thresholds, |visit| {
            queue.is_none_or(|queue| queue == visit.queue)
        });
    }

    /// Counts those visits of a call for which `counts` is true.
    pub fn add_where(
        &mut self,
        record: &CallRecord,
        thresholds: &Thresholds,
        mut counts: impl FnMut(&Visit) -> bool,
    ) {
        let last = record.visits.len().saturating_sub(1);
        for (at, visit) in record.visits.iter().enumerate() {
            if counts(visit) {
                self.add_visit(record, at, at == last, thresholds);
            }
        }
    }

    fn add_visit(&mut self, record: &CallRecord, index: usize, last: bool, thresholds: &Thresholds) {
        let visit = &record.visits[index];
        let Some(left) = visit.left else { return };
        let wait = left.since(visit.entered);
        self.offered += 1;
        self.longest_wait = self.longest_wait.max(wait);
        if let Some(answer) = record.answer_of(index) {
            self.answered += 1;
            self.wait_of_answered += wait;
            self.answered_in_time += u64::from(wait <= thresholds.service_level);
            if let (Some(talk), Some(wrap)) = (answer.talk(), answer.wrap()) {
                self.handled += 1;
                self.talk += talk;
                self.wrap += wrap;
            }
            return;
        }
        let ended = record.ended.filter(|_| last && !visit.overflowed);
        match ended.map(|ended| ended.cause) {
            None | Some(EndCause::Overflowed) => self.overflowed += 1,
            Some(EndCause::Abandoned | EndCause::CompletedByCaller) => {
                self.abandoned += 1;
                self.abandoned_quickly += u64::from(wait <= thresholds.quick);
            }
            Some(EndCause::TimedOut) => self.timed_out += 1,
            Some(EndCause::Refused(RefusedBecause::Full)) => self.refused.full += 1,
            Some(EndCause::Refused(RefusedBecause::Closed)) => self.refused.closed += 1,
            Some(EndCause::Refused(RefusedBecause::NoAgents)) => self.refused.no_agents += 1,
            Some(
                EndCause::CompletedByCallee
                | EndCause::Transferred
                | EndCause::Failed(_)
                | EndCause::Restarted,
            ) => self.failed += 1,
        }
    }

    /// Answered in time over offered; `None` where nothing was offered.
    pub fn service_level(&self) -> Option<f64> {
        ratio(self.answered_in_time, self.offered)
    }

    /// Answered in time over those offered whose callers did not give up quickly.
    pub fn service_level_without_quick(&self) -> Option<f64> {
        ratio(self.answered_in_time, self.offered - self.abandoned_quickly)
    }

    /// Abandoned over offered.
    pub fn abandon_rate(&self) -> Option<f64> {
        ratio(self.abandoned, self.offered)
    }

    /// How long the answered ones had waited, on average.
    pub fn average_speed_of_answer(&self) -> Option<Duration> {
        mean(self.wait_of_answered, self.answered)
    }

    /// How long an agent was busy with a call, wrap-up included, on average.
    pub fn average_handle_time(&self) -> Option<Duration> {
        mean(self.talk + self.wrap, self.handled)
    }
}

fn ratio(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

fn mean(sum: Duration, count: u64) -> Option<Duration> {
    let nanos = sum.as_nanos().checked_div(u128::from(count))?;
    Some(Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX)))
}
