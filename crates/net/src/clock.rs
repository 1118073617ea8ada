//! The only clock.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use callwright_wire::{Epoch, Time};
use rustix::time::{ClockId, clock_gettime};

/// A clock since the world's start that nobody sets, and that goes on while the machine is suspended: bindings and sessions of
/// peers run out meanwhile.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    start: Duration,
    epoch: Epoch,
}

impl Clock {
    pub(crate) fn start() -> Self {
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Clock {
            start: since_boot(),
            epoch: Epoch::from_unix_nanos(u64::try_from(unix.as_nanos()).unwrap_or(u64::MAX)),
        }
    }

    pub(crate) fn now(&self) -> Time {
        Time::ZERO + since_boot().saturating_sub(self.start)
    }

    pub(crate) fn epoch(&self) -> Epoch {
        self.epoch
    }
}

/// Time since the machine started, suspension included (clock_getres(2): CLOCK_BOOTTIME).
fn since_boot() -> Duration {
    let now = clock_gettime(ClockId::Boottime);
    let nanos = u32::try_from(now.tv_nsec).unwrap_or_default();
    Duration::new(u64::try_from(now.tv_sec).unwrap_or_default(), nanos)
}
