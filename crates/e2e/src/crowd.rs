//! What the end-to-end run needs of a world of phones.

use std::time::Duration;

use callwright_wire::{Epoch, Tap, Time};

use crate::phone_world::PhoneWorld;

impl PhoneWorld {
    pub(crate) fn epoch(&self) -> Epoch {
        self.world.epoch()
    }

    pub(crate) fn now(&self) -> Time {
        self.world.now()
    }

    pub(crate) fn set_tap(&self, tap: Option<Box<dyn Tap>>) {
        drop(self.world.set_tap(tap));
    }

    /// The largest part of media packets that left late, at the 99th of 100; zero when none left.
    pub(crate) fn lateness_p99(&self) -> Duration {
        self.with(|phones, _| {
            let lateness = phones.fleet().lateness();
            if lateness.count() == 0 {
                Duration::ZERO
            } else {
                lateness.p99()
            }
        })
    }

    /// Media packets that were left out because they would have been too late, and datagrams that own sockets had no room for.
    pub(crate) fn losses(&self) -> (u64, u64) {
        let skipped = self.with(|phones, _| phones.fleet().skipped_packets());
        (skipped, self.world.health().receive_drops)
    }
}
