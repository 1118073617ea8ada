//! The only clock.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use callwright_wire::{Epoch, Time};

/// The monotonic clock since the world's start.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    start: Instant,
    epoch: Epoch,
}

impl Clock {
    pub(crate) fn start() -> Self {
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Clock {
            start: Instant::now(),
            epoch: Epoch::from_unix_nanos(u64::try_from(unix.as_nanos()).unwrap_or(u64::MAX)),
        }
    }

    pub(crate) fn now(&self) -> Time {
        Time::ZERO + self.start.elapsed()
    }

    pub(crate) fn epoch(&self) -> Epoch {
        self.epoch
    }
}
