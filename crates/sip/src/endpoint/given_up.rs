//! INVITEs that nobody waits for any more, while a 2xx to them may yet come.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use callwright_wire::Time;

use super::channel::Pending;

/// They are forgotten at multiples of this: nobody waits for it, and a server that is gone makes many of them.
const TOGETHER: Duration = Duration::from_secs(1);

/// Those that are remembered: each for one span, and at most
/// [`max_given_up`](crate::EndpointConfig::max_given_up) of them, of which the oldest goes first.
#[derive(Debug, Default)]
pub(super) struct GivenUp {
    /// By their Call-ID and our tag.
    invites: BTreeMap<u64, Pending>,
    /// Until when each is remembered.
    order: VecDeque<(Time, u64)>,
}

impl GivenUp {
    /// Remembers one.
    pub(super) fn note(&mut self, until: Time, dialog: u64, invite: Pending, limit: usize) {
        if self.invites.insert(dialog, invite).is_none() {
            self.order.push_back((until, dialog));
        }
        while self.invites.len() > limit
            && let Some((_, oldest)) = self.order.pop_front()
        {
            self.invites.remove(&oldest);
        }
    }

    pub(super) fn get_mut(&mut self, dialog: u64) -> Option<&mut Pending> {
        self.invites.get_mut(&dialog)
    }

    /// Forgets those whose time is over.
    pub(super) fn forget_until(&mut self, now: Time) {
        while let Some((_, dialog)) = self.order.pop_front_if(|(until, _)| *until <= now) {
            self.invites.remove(&dialog);
        }
    }

    /// When to forget the next ones.
    pub(super) fn next(&self) -> Option<Time> {
        let (until, _) = self.order.front()?;
        Some(until.next_multiple_of(TOGETHER))
    }
}
