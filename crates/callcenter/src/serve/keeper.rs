//! Has facts about recordings stored, and knows how many are under way.

use std::time::{Duration, Instant};

use callwright_acd::Fact;
use callwright_wire::Time;

use super::inbox::{Inbox, News};
use super::log::log;
use crate::server::Event;

/// How long the last recordings may take to be stored.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// Has facts about recordings stored.
pub(super) struct Keeper<K> {
    keep: K,
    /// How many were neither stored nor refused.
    pending: usize,
}

impl<K: Fn(Fact)> Keeper<K> {
    pub(super) fn new(keep: K) -> Keeper<K> {
        Keeper { keep, pending: 0 }
    }

    pub(super) fn keep(&mut self, fact: Fact) {
        self.pending += 1;
        (self.keep)(fact);
    }

    pub(super) fn heard(&mut self, now: Time, event: &Event) {
        if let Event::Stored { fact } | Event::NotStored { fact } = event
            && matches!(fact, Fact::RecordingStarted { .. } | Fact::RecordingEnded { .. })
        {
            self.pending = self.pending.saturating_sub(1);
        }
        log(now, event);
    }

    /// Has the last ones stored, and waits for that, for a while.
    pub(super) fn settle(&mut self, news: &Inbox) {
        let until = Instant::now() + LAST_WORDS;
        loop {
            let next = if self.pending > 0 {
                news.take(Some(until))
            } else {
                news.try_take()
            };
            match next {
                Some(News::Fact(fact)) => self.keep(fact),
                Some(News::Of(now, event)) => self.heard(now, &event),
                Some(News::Stop | News::LeftOut(_)) => {}
                Some(News::Failed) => return,
                None if self.pending > 0 => {
                    let facts = self.pending;
                    tracing::error!(
                        facts,
                        "not stored in time: the records miss what was said of recordings"
                    );
                    return;
                }
                None => return,
            }
        }
    }
}
