//! The INVITE server transaction (RFC 3261 §17.2.1, RFC 6026 §7.1).

use std::time::Duration;

use super::{Class, Effect, RespondError, Terms};
use crate::timer::TimerName;

/// ```text
///                                 start
///                INVITE             |             100 unless answered
///                Resend     +----------------+    within 200 ms
///                    +------|   Proceeding   |------+
///                    +----->|                |<-----+  1xx given: Send
///                           +----------------+
///            300-699 given: Send |      | 2xx given: Send
///                                v      |
///        INVITE, Timer G   +-----------+|
///        Resend      +-----| Completed ||     transport error
///                    +---->|           |------------------------------+
///                          +-----------+|     Timer H: TimedOut       |
///                            ACK |      |                             |
///                                v      v                             |
///                     +-----------+  +------------+  INVITE: nothing  |
///   INVITE, ACK: +----| Confirmed |  |  Accepted  |--+ 2xx given: Send|
///   nothing      +--->|           |  |            |<-+               |
///                     +-----------+  +------------+                   |
///                   Timer I |           | Timer L                     |
///                           v           v                             v
///                     +-----------------------------------------------+
///                     |                      End                      |
///                     +-----------------------------------------------+
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InviteServer {
    /// No final response yet.
    Proceeding {
        /// True once a provisional response went out: it answers retransmissions.
        progressed: bool,
    },
    /// A final response other than 2xx went out; the ACK is awaited.
    Completed {
        /// The current value of Timer G.
        interval: Duration,
    },
    /// The ACK came; its retransmissions are absorbed.
    Confirmed,
    /// A 2xx went out; retransmitting it, and its ACK, are the transaction user's (RFC 6026 §7.1).
    Accepted,
    /// Over.
    Terminated,
}

impl InviteServer {
    /// Starts: the request goes up.
    pub fn start(terms: Terms<'_>, effects: &mut Vec<Effect>) -> Self {
        effects.push(Effect::Set(TimerName::Trying, terms.timers.trying));
        InviteServer::Proceeding { progressed: false }
    }

    /// The same INVITE came again.
    pub fn retransmission(&self, effects: &mut Vec<Effect>) {
        match self {
            InviteServer::Proceeding { progressed: true } | InviteServer::Completed { .. } => {
                effects.push(Effect::Resend);
            }
            // RFC 6026 §7.1: absorbed; the transaction user repeats its 2xx by its own timer.
            InviteServer::Proceeding { progressed: false }
            | InviteServer::Confirmed
            | InviteServer::Accepted
            | InviteServer::Terminated => {}
        }
    }

    /// The transaction user gives a response.
    pub fn respond(
        &mut self,
        class: Class,
        terms: Terms<'_>,
        effects: &mut Vec<Effect>,
    ) -> Result<(), RespondError> {
        match (*self, class) {
            (InviteServer::Proceeding { progressed }, _) => {
                if !progressed {
                    effects.push(Effect::Clear(TimerName::Trying));
                }
                effects.push(Effect::Send);
                match class {
                    Class::Provisional => *self = InviteServer::Proceeding { progressed: true },
                    Class::Success => {
                        effects.push(Effect::Set(TimerName::L, terms.timers.timeout()));
                        *self = InviteServer::Accepted;
                    }
                    Class::Failure => self.complete(terms, effects),
                }
                Ok(())
            }
            // RFC 6026 §7.1: retransmissions of the 2xx pass through.
            (InviteServer::Accepted, Class::Success) => {
                effects.push(Effect::Send);
                Ok(())
            }
            (InviteServer::Terminated, _) => Err(RespondError::NoSuchTransaction),
            (InviteServer::Completed { .. } | InviteServer::Confirmed | InviteServer::Accepted, _) => {
                Err(RespondError::AlreadyAnswered)
            }
        }
    }

    fn complete(&mut self, terms: Terms<'_>, effects: &mut Vec<Effect>) {
        let interval = terms.timers.t1;
        if !terms.reliable {
            effects.push(Effect::Set(TimerName::G, interval));
        }
        // Timer H is set whatever the transport (RFC 3261 §17.2.1).
        effects.push(Effect::Set(TimerName::H, terms.timers.timeout()));
        *self = InviteServer::Completed { interval };
    }

    /// An ACK with the branch of this INVITE came. True when it acknowledges a 2xx, which concerns the transaction user
    /// (RFC 6026 §7.1).
    pub fn ack(&mut self, terms: Terms<'_>, effects: &mut Vec<Effect>) -> bool {
        match self {
            InviteServer::Completed { .. } => {
                effects.push(Effect::Clear(TimerName::G));
                effects.push(Effect::Clear(TimerName::H));
                if terms.reliable {
                    // Timer I is zero on reliable transports.
                    self.end(effects);
                } else {
                    effects.push(Effect::Set(TimerName::I, terms.timers.t4));
                    *self = InviteServer::Confirmed;
                }
                false
            }
            InviteServer::Accepted => true,
            InviteServer::Proceeding { .. } | InviteServer::Confirmed | InviteServer::Terminated => false,
        }
    }

    /// A timer that this machine set is due.
    pub fn timer(&mut self, timer: TimerName, terms: Terms<'_>, effects: &mut Vec<Effect>) {
        match (*self, timer) {
            (InviteServer::Proceeding { progressed: false }, TimerName::Trying) => {
                effects.push(Effect::Trying);
                *self = InviteServer::Proceeding { progressed: true };
            }
            (InviteServer::Completed { interval }, TimerName::G) => {
                let interval = terms.timers.doubled_to_t2(interval);
                effects.push(Effect::Resend);
                effects.push(Effect::Set(TimerName::G, interval));
                *self = InviteServer::Completed { interval };
            }
            (InviteServer::Completed { .. }, TimerName::H) => {
                effects.push(Effect::Clear(TimerName::G));
                effects.push(Effect::TimedOut(TimerName::H));
                self.end(effects);
            }
            (InviteServer::Confirmed, TimerName::I) | (InviteServer::Accepted, TimerName::L) => {
                self.end(effects)
            }
            _ => {}
        }
    }

    /// A response could not be sent, and no other address is left to try (RFC 3261 §17.2.4).
    pub fn transport_failed(&mut self, effects: &mut Vec<Effect>) {
        match self {
            InviteServer::Proceeding { progressed } => {
                if !*progressed {
                    effects.push(Effect::Clear(TimerName::Trying));
                }
                effects.push(Effect::TransportFailed);
                self.end(effects);
            }
            InviteServer::Completed { .. } => {
                effects.push(Effect::Clear(TimerName::G));
                effects.push(Effect::Clear(TimerName::H));
                effects.push(Effect::TransportFailed);
                self.end(effects);
            }
            // RFC 6026 §7.1: it goes on absorbing the INVITE, which must not be a new one when it comes again.
            InviteServer::Accepted => effects.push(Effect::TransportFailed),
            InviteServer::Confirmed | InviteServer::Terminated => {}
        }
    }

    /// True until a final response went out.
    pub const fn is_pending(&self) -> bool {
        matches!(self, InviteServer::Proceeding { .. })
    }

    fn end(&mut self, effects: &mut Vec<Effect>) {
        effects.push(Effect::End);
        *self = InviteServer::Terminated;
    }
}
