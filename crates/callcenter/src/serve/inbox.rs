//! What the network loop and others tell the thread that serves.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use callwright_acd::Fact;
use callwright_wire::Time;

use crate::server::Event;

/// How many events may wait to be logged; beyond, they are left out and counted.
const WAITING: usize = 10_000;
/// How long what is for the log alone is gathered after the last that was there was taken: to wake who logs for each event costs the processor
/// more than the line does.
const GATHER: Duration = Duration::from_millis(10);

/// Something that happened.
pub(super) enum News {
    /// Something to be acted upon, or logged.
    Of(Time, Event),
    /// So many events were left out of the log: whoever reads it is too slow.
    LeftOut(u64),
    /// About a recording.
    Fact(Fact),
    /// It is to end.
    Stop,
    /// The network loop ended by itself.
    Failed,
}

/// A queue that never holds up who puts something in: events that are for the log alone are left out when it is full, and what
/// somebody waits for never is.
#[derive(Clone, Default)]
pub(super) struct Inbox(Arc<(Mutex<Queue>, Condvar)>);

#[derive(Default)]
struct Queue {
    news: VecDeque<News>,
    left_out: u64,
    /// How many of them are not for the log alone.
    urgent: usize,
    /// Until when what is for the log alone waits.
    gathers_until: Option<Instant>,
}

impl Queue {
    fn push(&mut self, news: News) {
        self.urgent += usize::from(!is_for_the_log(&news));
        self.news.push_back(news);
    }

    fn pop(&mut self) -> Option<News> {
        let news = self.news.pop_front()?;
        self.urgent -= usize::from(!is_for_the_log(&news));
        Some(news)
    }
}

impl Inbox {
    pub(super) fn put(&self, news: News) {
        let (queue, arrived) = &*self.0;
        let mut queue = lock(queue);
        if queue.news.len() >= WAITING && is_for_the_log(&news) {
            queue.left_out += 1;
            return;
        }
        let waited_for = if is_for_the_log(&news) {
            queue.news.is_empty() && queue.gathers_until.is_none()
        } else {
            queue.urgent == 0
        };
        if queue.left_out > 0 && queue.news.len() < WAITING {
            let left_out = std::mem::take(&mut queue.left_out);
            queue.push(News::LeftOut(left_out));
        }
        queue.push(news);
        drop(queue);
        if waited_for {
            arrived.notify_one();
        }
    }

    /// The next thing that is there.
    pub(super) fn try_take(&self) -> Option<News> {
        lock(&self.0.0).pop()
    }

    /// Waits for the next thing; `None`: nothing came until then. There is one who takes.
    pub(super) fn take(&self, until: Option<Instant>) -> Option<News> {
        let (queue, arrived) = &*self.0;
        let mut queue = lock(queue);
        loop {
            let now = Instant::now();
            queue.gathers_until = queue.gathers_until.filter(|at| *at > now);
            if (queue.urgent > 0 || queue.gathers_until.is_none())
                && let Some(news) = queue.pop()
            {
                if queue.news.is_empty() {
                    queue.gathers_until = Some(now + GATHER);
                }
                return Some(news);
            }
            if until.is_some_and(|until| until <= now) {
                return None;
            }
            queue = match until.into_iter().chain(queue.gathers_until).min() {
                None => arrived.wait(queue).unwrap_or_else(PoisonError::into_inner),
                Some(until) => {
                    arrived
                        .wait_timeout(queue, until - now)
                        .unwrap_or_else(PoisonError::into_inner)
                        .0
                }
            };
        }
    }
}

/// Whether nothing is done about it but a line of the log. A fact about a recording is waited for.
fn is_for_the_log(news: &News) -> bool {
    match news {
        News::Of(_, Event::Stored { fact } | Event::NotStored { fact }) => {
            !matches!(fact, Fact::RecordingStarted { .. } | Fact::RecordingEnded { .. })
        }
        News::LeftOut(_)
        | News::Of(
            _,
            Event::CallLegs { .. } | Event::CallOver { .. } | Event::Banned(_) | Event::BanOver { .. },
        ) => true,
        News::Of(
            _,
            Event::Listening { .. }
            | Event::ListenFailed { .. }
            | Event::Store { .. }
            | Event::CallsLost { .. }
            | Event::RecordingBegan { .. }
            | Event::Recorded { .. }
            | Event::Closed,
        )
        | News::Fact(_)
        | News::Stop
        | News::Failed => false,
    }
}

fn lock(queue: &Mutex<Queue>) -> MutexGuard<'_, Queue> {
    queue.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use callwright_acd::AgentState;

    #[test]
    fn a_log_that_nobody_reads_loses_lines_and_holds_up_nothing() {
        let inbox = Inbox::default();
        for second in 0..WAITING as u64 + 5 {
            let fact = Fact::AgentChanged {
                agent: "alice".to_owned(),
                state: AgentState::Ready,
                at: Time::from_secs(second),
            };
            inbox.put(News::Of(Time::ZERO, Event::Stored { fact }));
        }
        inbox.put(News::Stop);
        let lines = (0..WAITING).filter(|_| matches!(inbox.try_take(), Some(News::Of(..))));
        assert_eq!(lines.count(), WAITING);
        assert!(matches!(inbox.try_take(), Some(News::Stop)));
        inbox.put(News::Stop);
        assert!(matches!(inbox.try_take(), Some(News::LeftOut(5))));
    }
}
