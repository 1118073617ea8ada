//! Own lateness, for the whole life of a fleet and for any span that ends now: a check is judged by the time it took, not
//! by what was long before.

use std::collections::VecDeque;
use std::time::Duration;

use callwright_media::plane::{Lateness, Plane};
use callwright_wire::Time;

/// How long a window is.
const WINDOW: Duration = Duration::from_secs(5);
/// How many windows are kept apart: a minute. Longer spans are judged by the whole life.
const WINDOWS: usize = 12;

/// A window that is over. Most packets are equally late: that is much smaller than a histogram.
#[derive(Debug)]
struct Window {
    end: Time,
    counts: Box<[(Duration, u64)]>,
}

#[derive(Debug)]
pub(super) struct LatenessWindows {
    /// All windows that are over.
    over: Lateness,
    /// The last of them, oldest first.
    last: VecDeque<Window>,
    /// When the oldest of them began.
    known_from: Time,
    /// When the present one began.
    began: Time,
}

impl LatenessWindows {
    pub(super) fn new(now: Time) -> Self {
        LatenessWindows {
            over: Lateness::default(),
            last: VecDeque::new(),
            known_from: now,
            began: now,
        }
    }

    /// Begins a new window when the present one is over.
    pub(super) fn turn(&mut self, now: Time, plane: &mut Plane) {
        if now.since(self.began) < WINDOW {
            return;
        }
        self.began = now;
        let window = plane.take_lateness();
        self.over.add(&window);
        self.last.push_back(Window {
            end: now,
            counts: window.counts().collect(),
        });
        if self.last.len() > WINDOWS
            && let Some(oldest) = self.last.pop_front()
        {
            self.known_from = oldest.end;
        }
    }

    pub(super) fn whole(&self, present: &Lateness) -> Lateness {
        let mut whole = self.over.clone();
        whole.add(present);
        whole
    }

    /// Every window that reaches into the span from `since` to now, and the last whole one in any case: the present one
    /// may have just begun.
    pub(super) fn since(&self, since: Time, present: &Lateness) -> Lateness {
        if since < self.known_from {
            return self.whole(present);
        }
        let mut sum = present.clone();
        for (index, window) in self.last.iter().rev().enumerate() {
            if index > 0 && window.end <= since {
                break;
            }
            for (late, count) in &window.counts {
                sum.record_many(*late, *count);
            }
        }
        sum
    }
}
