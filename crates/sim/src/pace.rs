//! Whether the world gets on.

use crate::PartyId;
use crate::config::{LimitExceeded, Limits};
use crate::network::Network;

/// Counts what happens while the clock stands still.
#[derive(Debug)]
pub(crate) struct Pace {
    limit: usize,
    spent: usize,
    /// The party that was woken last, and by which timer.
    timer: Option<(PartyId, &'static str)>,
    exceeded: Option<LimitExceeded>,
}

impl Pace {
    pub(crate) fn new(limits: &Limits) -> Self {
        Pace {
            limit: limits.events_per_instant,
            spent: 0,
            timer: None,
            exceeded: None,
        }
    }

    pub(crate) fn time_passes(&mut self) {
        self.spent = 0;
        self.timer = None;
    }

    /// A timer of a node is due.
    pub(crate) fn woken(&mut self, party: PartyId, timer: &'static str) {
        self.timer = Some((party, timer));
    }

    /// One thing more happens to `party`. False when that is one too many.
    pub(crate) fn spend(&mut self, network: &Network, party: PartyId) -> bool {
        self.spent += 1;
        if self.spent > self.limit && self.exceeded.is_none() {
            self.exceeded = Some(LimitExceeded::EventsPerInstant {
                at: network.now,
                party: network.seat(party).name.to_string(),
                timer: self
                    .timer
                    .filter(|(woken, _)| *woken == party)
                    .map(|(_, timer)| timer),
                limit: self.limit,
            });
        }
        self.exceeded.is_none()
    }

    /// More is on its way than may be.
    pub(crate) fn overloaded(&mut self, network: &Network) {
        self.exceeded.get_or_insert(LimitExceeded::InFlight {
            at: network.now,
            limit: network.config.limits.in_flight,
        });
    }

    pub(crate) fn check(&self) -> Result<(), LimitExceeded> {
        match &self.exceeded {
            None => Ok(()),
            Some(exceeded) => Err(exceeded.clone()),
        }
    }
}
