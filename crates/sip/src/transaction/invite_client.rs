//! The INVITE client transaction (RFC 3261 §17.1.1, RFC 6026 §7.2).

use std::time::Duration;

use super::{Class, Effect, Terms};
use crate::timer::TimerName;

/// ```text
///                           start: Send
///               Timer A         |          Timer B or transport error
///               Resend  +-----------------+  TimedOut / TransportFailed
///                +------|     Calling     |------------------+
///                +----->|                 |-------+          |
///                       +-----------------+  2xx  |          |
///                 300-699 |     | 1xx        Tell |          |
///               Ack, Tell |     | Tell            |          |
///                         |     v                 |          |
///                1xx    +-----------------+  2xx  |          |
///                Tell   |   Proceeding    | Tell  |          |
///                +------|                 |------>|          |
///                +----->+-----------------+       |          |
///                         |     | 300-699         |          |
///                         |     | Ack, Tell       |          |
///                         v     v                 v          |
///               300-699 +---------------+  +--------------+  |
///               Ack     |   Completed   |  |   Accepted   |  |  2xx
///                +------|               |  |              |--|--+ Tell
///                +----->+---------------+  +--------------+<-|--+
///                         | Timer D          | Timer M       |
///                         v                  v               v
///                       +------------------------------------------+
///                       |                   End                    |
///                       +------------------------------------------+
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InviteClient {
    /// Nothing came back yet.
    Calling {
        /// The current value of Timer A.
        interval: Duration,
    },
    /// A provisional response came.
    Proceeding,
    /// A final response other than 2xx came, and was acknowledged.
    Completed,
    /// A 2xx came; more may follow from other branches of a fork (RFC 6026 §7.2).
    Accepted,
    /// Over.
    Terminated,
}

impl InviteClient {
    /// Starts: the request goes out.
    pub fn start(terms: Terms<'_>, effects: &mut Vec<Effect>) -> Self {
        effects.push(Effect::Send);
        let interval = terms.timers.t1;
        if !terms.reliable {
            effects.push(Effect::Set(TimerName::A, interval));
        }
        effects.push(Effect::Set(TimerName::B, terms.timers.timeout()));
        InviteClient::Calling { interval }
    }

    /// A response matched this transaction.
    pub fn response(&mut self, class: Class, terms: Terms<'_>, effects: &mut Vec<Effect>) {
        match (*self, class) {
            (InviteClient::Calling { .. }, _) => {
                if !terms.reliable {
                    effects.push(Effect::Clear(TimerName::A));
                }
                effects.push(Effect::Clear(TimerName::B));
                self.advance(class, terms, effects);
            }
            (InviteClient::Proceeding, _) => self.advance(class, terms, effects),
            // RFC 3261 §17.1.1.2: retransmissions of the final response are acknowledged again, and not passed up.
            (InviteClient::Completed, Class::Failure) => effects.push(Effect::Ack),
            // RFC 6026 §7.2: every 2xx goes up, whose core acknowledges it; anything else is dropped.
            (InviteClient::Accepted, Class::Success) => effects.push(Effect::Tell),
            (InviteClient::Completed, Class::Provisional | Class::Success)
            | (InviteClient::Accepted, Class::Provisional | Class::Failure)
            | (InviteClient::Terminated, _) => {}
        }
    }

    fn advance(&mut self, class: Class, terms: Terms<'_>, effects: &mut Vec<Effect>) {
        match class {
            Class::Provisional => {
                effects.push(Effect::Tell);
                *self = InviteClient::Proceeding;
            }
            Class::Success => {
                // RFC 6026 §7.2: whatever the transport.
                effects.push(Effect::Set(TimerName::M, terms.timers.timeout()));
                effects.push(Effect::Tell);
                *self = InviteClient::Accepted;
            }
            Class::Failure => {
                effects.push(Effect::Ack);
                effects.push(Effect::Tell);
                if terms.reliable {
                    // Timer D is zero on reliable transports.
                    self.end(effects);
                } else {
                    effects.push(Effect::Set(TimerName::D, terms.timers.timer_d()));
                    *self = InviteClient::Completed;
                }
            }
        }
    }

    /// A timer that this machine set is due.
    pub fn timer(&mut self, timer: TimerName, effects: &mut Vec<Effect>) {
        match (*self, timer) {
            (InviteClient::Calling { interval }, TimerName::A) => {
                let interval = interval.saturating_mul(2);
                effects.push(Effect::Resend);
                effects.push(Effect::Set(TimerName::A, interval));
                *self = InviteClient::Calling { interval };
            }
            (InviteClient::Calling { .. }, TimerName::B) => {
                effects.push(Effect::Clear(TimerName::A));
                effects.push(Effect::TimedOut(TimerName::B));
                self.end(effects);
            }
            (InviteClient::Completed, TimerName::D) | (InviteClient::Accepted, TimerName::M) => {
                self.end(effects)
            }
            _ => {}
        }
    }

    /// The request or its ACK could not be sent.
    pub fn transport_failed(&mut self, effects: &mut Vec<Effect>) {
        match self {
            InviteClient::Calling { .. } => {
                effects.push(Effect::Clear(TimerName::A));
                effects.push(Effect::Clear(TimerName::B));
                effects.push(Effect::TransportFailed);
                self.end(effects);
            }
            InviteClient::Proceeding => {
                effects.push(Effect::TransportFailed);
                self.end(effects);
            }
            // The transaction user has its final response; only the repetition of an ACK is lost.
            InviteClient::Completed | InviteClient::Accepted | InviteClient::Terminated => {}
        }
    }

    /// Ends at once, whatever the state: a cancelled request that nobody answers (RFC 3261 §9.1).
    pub fn give_up(&mut self, timer: TimerName, effects: &mut Vec<Effect>) {
        match self {
            InviteClient::Calling { .. } | InviteClient::Proceeding => {
                effects.push(Effect::Clear(TimerName::A));
                effects.push(Effect::Clear(TimerName::B));
                effects.push(Effect::TimedOut(timer));
                self.end(effects);
            }
            InviteClient::Completed | InviteClient::Accepted | InviteClient::Terminated => {}
        }
    }

    /// True until a final response came.
    pub const fn is_pending(&self) -> bool {
        matches!(self, InviteClient::Calling { .. } | InviteClient::Proceeding)
    }

    fn end(&mut self, effects: &mut Vec<Effect>) {
        effects.push(Effect::End);
        *self = InviteClient::Terminated;
    }
}
