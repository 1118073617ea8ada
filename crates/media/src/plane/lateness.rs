//! How late packets were sent: the health of whoever drives the plane.

use std::fmt;
use std::time::Duration;

use hdrhistogram::Histogram;

/// Longer is counted as this.
const LONGEST_MICROS: u64 = 60_000_000;

/// The lateness of packets against the time at which they were due.
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
    pub(super) fn record(&mut self, late: Duration) {
        let micros = u64::try_from(late.as_micros()).unwrap_or(LONGEST_MICROS);
        self.micros.saturating_record(micros.clamp(1, LONGEST_MICROS));
    }

    /// Adds what another plane counted.
    pub fn add(&mut self, other: &Lateness) {
        // Same bounds on both sides: nothing is out of range.
        let _ = self.micros.add(&other.micros);
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
