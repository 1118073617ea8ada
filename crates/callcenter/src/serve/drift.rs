//! Whether the clock of the machine still says what it said when the call center began.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use callwright_wire::{Epoch, Time};

/// How far both may be apart before that is told, again.
const NOTABLE: Duration = Duration::from_secs(2);

/// How far the clock of the machine is from the one that records go by, which nobody sets.
#[derive(Debug, Default)]
pub(super) struct Drift {
    told_nanos: i128,
}

impl Drift {
    /// Says in the log when the clock was set.
    pub(super) fn look(&mut self, epoch: Epoch, now: Time) {
        let Ok(wall) = SystemTime::now().duration_since(UNIX_EPOCH) else {
            return;
        };
        if let Some(seconds) = self.moved(wall, epoch.unix_nanos_at(now)) {
            tracing::warn!(
                seconds,
                "the clock of the machine was set, and is so far ahead of the times of records: they go by what it said at the start; restart the call center where that matters"
            );
        }
    }

    /// How many seconds the clock is ahead, when that was not told yet.
    fn moved(&mut self, wall: Duration, records: u64) -> Option<f64> {
        let ahead = i128::try_from(wall.as_nanos()).ok()? - i128::from(records);
        if (ahead - self.told_nanos).unsigned_abs() < NOTABLE.as_nanos() {
            return None;
        }
        self.told_nanos = ahead;
        Some(ahead as f64 / 1e9)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_set_is_told_once_each_time() {
        let mut drift = Drift::default();
        let at = |secs: u64| secs * 1_000_000_000;
        let mut moved = |wall, records| drift.moved(Duration::from_millis(wall), at(records));
        assert_eq!(moved(100_500, 100), None);
        assert_eq!(moved(3_700_000, 100), Some(3_600.0));
        assert_eq!(moved(3_800_000, 200), None);
        assert_eq!(moved(250_000, 300), Some(-50.0));
    }
}
