//! How late packets were sent, or would have been: the health of whoever drives the plane.

use std::fmt;
use std::time::Duration;

use hdrhistogram::Histogram;

/// Longer is counted as this.
const LONGEST_MICROS: u64 = 60_000_000;

/// The lateness of packets against the time at which they were due. One that was skipped because it would have been too
/// late counts with the lateness that it had then.
#[derive(Clone)]
pub struct Lateness {
    micros: Histogram<u64>,
}

impl Default for Lateness {
    fn default() -> Self {
        let micros = Histogram::new_with_bounds(1, LONGEST_MICROS, 2)
            .expect("bounds that hold for every histogram: 1 below 60,000,000, two digits");
        Lateness { micros }
    }
}

impl Lateness {
    /// Counts one packet.
    pub(crate) fn record(&mut self, late: Duration) {
        self.record_many(late, 1);
    }

    /// Counts `packets` packets that were due every `interval`, the first of them so `late`.
    pub(crate) fn record_series(&mut self, late: Duration, interval: Duration, packets: u64) {
        let longest = Duration::from_micros(LONGEST_MICROS);
        let beyond = late.saturating_sub(longest).as_nanos() / interval.as_nanos().max(1);
        let beyond = u64::try_from(beyond).unwrap_or(u64::MAX).min(packets);
        self.record_many(longest, beyond);
        // As many as fit into the longest, however long the machine slept.
        for number in beyond..packets {
            let later = interval.as_nanos().saturating_mul(u128::from(number));
            let later = Duration::from_nanos(u64::try_from(later).unwrap_or(u64::MAX));
            self.record(late.saturating_sub(later));
        }
    }

    /// Adds what another plane counted.
    pub fn add(&mut self, other: &Lateness) {
        // Same bounds on both sides: nothing is out of range.
        let _ = self.micros.add(&other.micros);
    }

    /// What was counted: each lateness that occurred, to two digits, and how often.
    pub fn counts(&self) -> impl Iterator<Item = (Duration, u64)> {
        self.micros.iter_recorded().map(|step| {
            (
                Duration::from_micros(step.value_iterated_to()),
                step.count_at_value(),
            )
        })
    }

    /// Counts `packets` packets of the same lateness.
    pub fn record_many(&mut self, late: Duration, packets: u64) {
        self.micros.saturating_record_n(clamped(late), packets);
    }

    /// Packets counted.
    pub fn count(&self) -> u64 {
        self.micros.len()
    }

    /// The lateness that `percentile` (0–100) of the packets kept, to two digits, in whole microseconds; zero without
    /// any.
    pub fn percentile(&self, percentile: f64) -> Duration {
        match self.micros.value_at_percentile(percentile) {
            0 | 1 => Duration::ZERO,
            micros => Duration::from_micros(micros),
        }
    }

    /// Half of the packets were at most this late.
    pub fn p50(&self) -> Duration {
        self.percentile(50.0)
    }

    /// 99 in 100 packets were at most this late.
    pub fn p99(&self) -> Duration {
        self.percentile(99.0)
    }

    /// The latest of all.
    pub fn max(&self) -> Duration {
        self.percentile(100.0)
    }
}

fn clamped(late: Duration) -> u64 {
    u64::try_from(late.as_micros())
        .unwrap_or(LONGEST_MICROS)
        .clamp(1, LONGEST_MICROS)
}

impl fmt::Debug for Lateness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "lateness of {} packets: p50 {:?}, p99 {:?}, max {:?}",
            self.count(),
            self.p50(),
            self.p99(),
            self.max()
        )
    }
}
