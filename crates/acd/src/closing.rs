//! The end of a machine, in order: nothing new is taken, calls in progress are ended, and the sockets are closed when no peer
//! is left in doubt.

use std::time::Duration;

use callwright_wire::{Node, Time, TimerQueue};

use crate::b2bua::Stage;
use crate::fact::Event;
use crate::journal::Due;
use crate::machine::{Alarm, Machine};

/// How long closing may take: Timer F, and a second for the answer to what was cancelled (RFC 3261 §17.1.2.2).
const CLOSING: Duration = Duration::from_secs(33);

/// How far a machine is.
///
/// ```text
///   Serving ──close──▶ Closing ──nothing left, or 33 s over──▶ Closed
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Life {
    /// It takes calls and registrations.
    Serving,
    /// It answers 503 to both, and waits for calls to end and facts to be stored.
    Closing,
    /// It holds nothing any more.
    Closed,
}

impl Machine {
    /// Ends everything in order. New calls, registrations and MESSAGEs are answered 503 with Retry-After from now on. Callers who
    /// wait get the same, contacts that ring a CANCEL, parties who talk a BYE. When every peer and the store have answered, and
    /// after 33 s at the latest, the sockets are closed and [`Event::Closed`] is told. Bindings stay stored: they outlive a restart.
    pub fn close(&mut self, now: Time) {
        if self.life != Life::Serving {
            return;
        }
        self.life = Life::Closing;
        self.alarms.set(Alarm::Close, now + CLOSING);
        self.end_calls(now);
        self.settle(now);
    }

    /// Takes no new calls from now on: they are answered 503 with Retry-After. Calls in progress go on, those that wait included, and
    /// so do registrations.
    pub fn retire(&mut self) {
        self.retired = true;
    }

    /// Whether it was [told](Machine::retire) to take no new calls, and is not closing yet.
    pub fn is_retired(&self) -> bool {
        self.retired && self.life == Life::Serving
    }

    /// Whether [`Machine::close`] was carried out: nothing is held any more.
    pub fn is_closed(&self) -> bool {
        self.life == Life::Closed
    }

    /// Says whether the store works. As long as it does not, new calls and registrations are answered 503 with Retry-After at
    /// once, and a call of a queue whose caller is answered together with the agent is presented to nobody; calls in progress go
    /// on, and MESSAGEs pass.
    pub fn set_storing(&mut self, now: Time, works: bool) {
        self.now = now;
        self.storing = works;
        self.floor.set_storing(works);
        let going_on = if works {
            Vec::new()
        } else {
            self.switch.answered_calls()
        };
        for (key, stage) in going_on {
            match stage {
                Stage::Arriving { stored: false } => self.go_on(now, Due::Queue(key)),
                Stage::Storing { callee } => self.go_on(now, Due::Answer(key, callee)),
                Stage::Arriving { stored: true }
                | Stage::Waiting
                | Stage::Speaking { .. }
                | Stage::Ringing
                | Stage::Talking { .. }
                | Stage::Over => {}
            }
        }
        self.settle(now);
    }

    /// Whether anything new is taken.
    pub(crate) fn serves(&self) -> bool {
        self.life == Life::Serving
    }

    /// Whether anything new is taken that has to be stored.
    pub(crate) fn serves_durably(&self) -> bool {
        self.serves() && self.storing
    }

    /// Whether new calls are taken.
    pub(crate) fn takes_calls(&self) -> bool {
        self.serves_durably() && !self.retired
    }

    /// Closes the sockets when nobody is left who waits.
    pub(crate) fn close_if_quiet(&mut self, now: Time) {
        let quiet = self.switch.legs() == 0
            && self.media.is_quiet()
            && self.load().facts_in_flight == 0
            && !self.endpoint.awaits_peer()
            && self.endpoint.residue().dialogs == 0;
        if quiet {
            self.life = Life::Closed;
            self.alarms = TimerQueue::default();
            self.endpoint.shut_down(now);
            self.settle(now);
            self.tell(Event::Closed);
        }
    }

    /// Lets everybody go who did not answer in time.
    pub(crate) fn end_closing(&mut self, now: Time) {
        self.end_recordings(now);
        self.drop_calls(now);
        self.forget_facts();
        self.endpoint.shut_down(now);
    }
}
