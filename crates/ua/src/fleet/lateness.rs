//! Own lateness, for the whole life of a fleet and for the last seconds: a check is judged by the time it took, not by
//! what was long before.

use std::time::Duration;

use callwright_media::plane::{Lateness, Plane};
use callwright_wire::Time;

/// How long a window is. The last one and the present one together are "the last seconds".
const WINDOW: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub(super) struct LatenessWindows {
    /// All windows that are over.
    over: Lateness,
    /// The last one of them.
    last: Lateness,
    began: Time,
}

impl LatenessWindows {
    pub(super) fn new(now: Time) -> Self {
        LatenessWindows {
            over: Lateness::default(),
            last: Lateness::default(),
            began: now,
        }
    }

    /// Begins a new window when the present one is over.
    pub(super) fn turn(&mut self, now: Time, plane: &mut Plane) {
        if now.since(self.began) < WINDOW {
            return;
        }
        self.began = now;
        self.last = plane.take_lateness();
        self.over.add(&self.last);
    }

    pub(super) fn whole(&self, present: &Lateness) -> Lateness {
        let mut whole = self.over.clone();
        whole.add(present);
        whole
    }

    pub(super) fn recent(&self, present: &Lateness) -> Lateness {
        let mut recent = self.last.clone();
        recent.add(present);
        recent
    }
}
