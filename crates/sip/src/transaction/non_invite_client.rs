//! The non-INVITE client transaction (RFC 3261 §17.1.2).

use std::time::Duration;

use super::{Class, Effect, Terms};
use crate::timer::TimerName;

/// ```text
///                           start: Send
///               Timer E         |          Timer F or transport error
///               Resend  +-----------------+  TimedOut / TransportFailed
///                +------|     Trying      |------------------+
///                +----->|                 |------+           |
///                       +-----------------+      |           |
///                               | 1xx            | 200-699   |
///             Timer E           | Tell           | Tell      |
///             Resend            v                |           |
///             1xx Tell  +-----------------+      |           |
///                +------|   Proceeding    |------|---------->|
///                +----->+-----------------+      |  Timer F  |
///                               | 200-699 Tell   |           |
///                               v                v           |
///                       +-----------------------------+      |
///                       |          Completed          |      |
///                       +-----------------------------+      |
///                                      | Timer K             |
///                                      v                     v
///                       +------------------------------------------+
///                       |                   End                    |
///                       +------------------------------------------+
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NonInviteClient {
    /// Nothing came back yet.
    Trying {
        /// The current value of Timer E.
        interval: Duration,
    },
    /// A provisional response came.
    Proceeding,
    /// A final response came; its retransmissions are absorbed.
    Completed,
    /// Over.
    Terminated,
}

impl NonInviteClient {
    /// Starts: the request goes out.
    pub fn start(terms: Terms<'_>, effects: &mut Vec<Effect>) -> Self {
        effects.push(Effect::Send);
        let interval = terms.timers.t1;
        if !terms.reliable {
            effects.push(Effect::Set(TimerName::E, interval));
        }
        effects.push(Effect::Set(TimerName::F, terms.timers.timeout()));
        NonInviteClient::Trying { interval }
    }

    /// A response matched this transaction.
    pub fn response(&mut self, class: Class, terms: Terms<'_>, effects: &mut Vec<Effect>) {
        match (*self, class) {
            (NonInviteClient::Trying { .. } | NonInviteClient::Proceeding, Class::Provisional) => {
                effects.push(Effect::Tell);
                *self = NonInviteClient::Proceeding;
            }
            (
                NonInviteClient::Trying { .. } | NonInviteClient::Proceeding,
                Class::Success | Class::Failure,
            ) => {
                self.clear_timers(terms.reliable, effects);
                effects.push(Effect::Tell);
                if terms.reliable {
                    // Timer K is zero on reliable transports.
                    self.end(effects);
                } else {
                    effects.push(Effect::Set(TimerName::K, terms.timers.t4));
                    *self = NonInviteClient::Completed;
                }
            }
            (NonInviteClient::Completed | NonInviteClient::Terminated, _) => {}
        }
    }

    /// A timer that this machine set is due.
    pub fn timer(&mut self, timer: TimerName, terms: Terms<'_>, effects: &mut Vec<Effect>) {
        match (*self, timer) {
            (NonInviteClient::Trying { interval }, TimerName::E) => {
                let interval = terms.timers.doubled_to_t2(interval);
                effects.push(Effect::Resend);
                effects.push(Effect::Set(TimerName::E, interval));
                *self = NonInviteClient::Trying { interval };
            }
            (NonInviteClient::Proceeding, TimerName::E) => {
                // RFC 3261 §17.1.2.2: in Proceeding the interval is T2 at once.
                effects.push(Effect::Resend);
                effects.push(Effect::Set(TimerName::E, terms.timers.t2));
            }
            (NonInviteClient::Trying { .. } | NonInviteClient::Proceeding, TimerName::F) => {
                self.clear_timers(terms.reliable, effects);
                effects.push(Effect::TimedOut(TimerName::F));
                self.end(effects);
            }
            (NonInviteClient::Completed, TimerName::K) => self.end(effects),
            _ => {}
        }
    }

    /// The request could not be sent.
    pub fn transport_failed(&mut self, effects: &mut Vec<Effect>) {
        match self {
            NonInviteClient::Trying { .. } | NonInviteClient::Proceeding => {
                self.clear_timers(false, effects);
                effects.push(Effect::TransportFailed);
                self.end(effects);
            }
            NonInviteClient::Completed | NonInviteClient::Terminated => {}
        }
    }

    /// True until a final response came.
    pub const fn is_pending(&self) -> bool {
        matches!(self, NonInviteClient::Trying { .. } | NonInviteClient::Proceeding)
    }

    fn clear_timers(&self, reliable: bool, effects: &mut Vec<Effect>) {
        if !reliable {
            effects.push(Effect::Clear(TimerName::E));
        }
        effects.push(Effect::Clear(TimerName::F));
    }

    fn end(&mut self, effects: &mut Vec<Effect>) {
        effects.push(Effect::End);
        *self = NonInviteClient::Terminated;
    }
}
