//! The timers of a core.

use std::collections::VecDeque;
use std::time::Duration;

use callwright_wire::{ConnectionId, Time, Timer, TimerQueue};

use crate::arena::Slot;
use crate::timer::TimerName;
use crate::transaction::Branch;

/// What is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Due {
    Client(Slot, TimerName),
    Server(Slot, TimerName),
    /// A request that went on to another server still acknowledges the first one's response.
    Left(Branch),
    Idle(ConnectionId),
}

impl Timer for Due {
    fn name(&self) -> &'static str {
        match self {
            Due::Client(_, timer) | Due::Server(_, timer) => timer.as_str(),
            Due::Left(_) => TimerName::D.as_str(),
            Due::Idle(_) => TimerName::IdleConnection.as_str(),
        }
    }
}

/// The timers that end transactions which only absorb what comes again: one line for each.
const LINES: [fn(Slot) -> Due; 6] = [
    |slot| Due::Client(slot, TimerName::D),
    |slot| Due::Client(slot, TimerName::K),
    |slot| Due::Client(slot, TimerName::M),
    |slot| Due::Server(slot, TimerName::I),
    |slot| Due::Server(slot, TimerName::J),
    |slot| Due::Server(slot, TimerName::L),
];

/// Those in lines are asked for at multiples of this: nobody waits for the end of a transaction that lingers, and at a thousand
/// calls a second each millisecond has one.
const TOGETHER: Duration = Duration::from_millis(50);

/// In which line this one stands.
const fn line_of(due: Due) -> Option<(usize, Slot)> {
    match due {
        Due::Client(slot, TimerName::D) => Some((0, slot)),
        Due::Client(slot, TimerName::K) => Some((1, slot)),
        Due::Client(slot, TimerName::M) => Some((2, slot)),
        Due::Server(slot, TimerName::I) => Some((3, slot)),
        Due::Server(slot, TimerName::J) => Some((4, slot)),
        Due::Server(slot, TimerName::L) => Some((5, slot)),
        Due::Client(..) | Due::Server(..) | Due::Left(_) | Due::Idle(_) => None,
    }
}

/// All timers, in order of their time.
///
/// Most are those of transactions that are over and linger. Those of one name have one span, so that they are due in the order in
/// which they were set, and none is ever cleared: they stand in line, with a tenth of the memory of an entry in the queue.
#[derive(Debug, Default)]
pub(super) struct Timers {
    queue: TimerQueue<Due>,
    lines: [VecDeque<(Time, Slot)>; LINES.len()],
}

impl Timers {
    /// Sets a timer, or moves it. One that lingers is set once.
    pub(super) fn set(&mut self, due: Due, at: Time) {
        match line_of(due) {
            // Time does not go back, yet whoever drives the core may give a time from before another's.
            Some((line, slot)) => {
                let line = &mut self.lines[line];
                let last = line.back().map_or(Time::ZERO, |(last, _)| *last);
                line.push_back((at.max(last), slot));
            }
            None => self.queue.set(due, at),
        }
    }

    /// Forgets a timer; nothing happens when it is not set. Those that linger run out.
    pub(super) fn clear(&mut self, due: Due) {
        self.queue.clear(due);
    }

    /// Takes the next timer that is due at `now`.
    pub(super) fn pop(&mut self, now: Time) -> Option<Due> {
        let queued = self.queue.next().map(|(at, _)| at);
        match self.first_in_line() {
            Some((at, line)) if at <= now && queued.is_none_or(|queued| at < queued) => {
                let (_, slot) = self.lines[line].pop_front()?;
                Some(LINES[line](slot))
            }
            _ => self.queue.pop(now),
        }
    }

    /// When to ask for timers next, and the name of the first.
    pub(super) fn next(&self) -> Option<(Time, &'static str)> {
        let first = self.first_in_line();
        let first = first.and_then(|(at, line)| {
            let (_, slot) = self.lines[line].front()?;
            Some((at.next_multiple_of(TOGETHER), LINES[line](*slot).name()))
        });
        match (self.queue.next(), first) {
            (Some(queued), Some(first)) if first.0 < queued.0 => Some(first),
            (queued, first) => queued.or(first),
        }
    }

    /// How many are set.
    pub(super) fn len(&self) -> usize {
        self.queue.len() + self.lines.iter().map(VecDeque::len).sum::<usize>()
    }

    fn first_in_line(&self) -> Option<(Time, usize)> {
        let fronts = self.lines.iter().enumerate();
        let fronts = fronts.filter_map(|(line, timers)| Some((timers.front()?.0, line)));
        fronts.min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn slot(index: u32) -> Slot {
        Slot { index, generation: 0 }
    }

    #[test]
    fn those_that_linger_and_others_come_in_order_of_time() {
        let mut timers = Timers::default();
        let at = Time::from_secs;
        timers.set(Due::Server(slot(1), TimerName::J), at(32));
        timers.set(Due::Client(slot(2), TimerName::K), at(5));
        timers.set(Due::Client(slot(3), TimerName::A), at(5));
        timers.set(Due::Server(slot(4), TimerName::J), at(33));
        timers.set(Due::Client(slot(5), TimerName::B), at(40));
        assert_eq!(timers.next(), Some((at(5), "Timer A")));
        assert_eq!(timers.len(), 5);
        timers.clear(Due::Client(slot(5), TimerName::B));
        assert_eq!(timers.len(), 4);
        let mut order = Vec::new();
        while let Some((next, name)) = timers.next() {
            assert_eq!(timers.pop(Time::from_millis(next.as_millis() - 1)), None);
            order.push((name, timers.pop(next)));
        }
        let expected = [
            ("Timer A", Due::Client(slot(3), TimerName::A)),
            ("Timer K", Due::Client(slot(2), TimerName::K)),
            ("Timer J", Due::Server(slot(1), TimerName::J)),
            ("Timer J", Due::Server(slot(4), TimerName::J)),
        ];
        assert_eq!(order, expected.map(|(name, due)| (name, Some(due))));
        assert_eq!(timers.len(), 0);
    }

    #[test]
    fn each_line_gives_the_timers_that_stand_in_it() {
        for (line, due) in LINES.into_iter().enumerate() {
            assert_eq!(line_of(due(slot(7))), Some((line, slot(7))));
        }
    }

    #[test]
    fn a_time_from_before_does_not_hold_up_those_behind_it() {
        let mut timers = Timers::default();
        timers.set(Due::Server(slot(1), TimerName::L), Time::from_secs(2));
        timers.set(Due::Server(slot(2), TimerName::L), Time::from_secs(1));
        assert_eq!(timers.pop(Time::from_secs(1)), None);
        let both = [(); 2].map(|()| timers.pop(Time::from_secs(2)));
        assert!(both.iter().all(Option::is_some));
    }
}
