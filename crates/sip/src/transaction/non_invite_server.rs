//! The non-INVITE server transaction (RFC 3261 §17.2.2, RFC 4320).

use super::{Class, Effect, RespondError, Terms};
use crate::timer::TimerName;

/// ```text
///                                 start
///                                   |
///            request: nothing +------------+  transport error
///                        +----|   Trying   |----------------------+
///                        +--->|            |---+                  |
///                             +------------+   |                  |
///   100 given, or Timer E of        |          |                  |
///   the client at T2: Send          |          | 200-699 given    |
///                                   v          | Send             |
///            request: Resend  +------------+   |  transport error |
///                        +----| Proceeding |---|----------------->|
///                        +--->+------------+   |                  |
///                 200-699 given     |          |                  |
///                 Send              v          v                  |
///            request: Resend  +---------------------+             |
///    transport error:    +----|      Completed      |             |
///    TransportFailed     +--->+---------------------+             |
///                                        | Timer J                |
///                                        v                        v
///                             +-----------------------------------+
///                             |                End                |
///                             +-----------------------------------+
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NonInviteServer {
    /// No response yet.
    Trying,
    /// 100 went out.
    Proceeding,
    /// The final response went out; it answers retransmissions.
    Completed,
    /// Over.
    Terminated,
}

impl NonInviteServer {
    /// Starts: the request goes up.
    pub fn start(terms: Terms<'_>, effects: &mut Vec<Effect>) -> Self {
        // RFC 4320 §4.1: whatever the transport, 100 goes out at that time, and over UDP not before.
        effects.push(Effect::Set(TimerName::Trying, terms.timers.timer_e_reaches_t2()));
        NonInviteServer::Trying
    }

    /// The same request came again.
    pub fn retransmission(&self, effects: &mut Vec<Effect>) {
        match self {
            NonInviteServer::Proceeding | NonInviteServer::Completed => effects.push(Effect::Resend),
            NonInviteServer::Trying | NonInviteServer::Terminated => {}
        }
    }

    /// The transaction user gives a response.
    pub fn respond(
        &mut self,
        status: u16,
        terms: Terms<'_>,
        effects: &mut Vec<Effect>,
    ) -> Result<(), RespondError> {
        match (*self, Class::of(status)) {
            (NonInviteServer::Completed, _) => Err(RespondError::AlreadyAnswered),
            (NonInviteServer::Terminated, _) => Err(RespondError::NoSuchTransaction),
            (NonInviteServer::Trying, Class::Provisional) if status == 100 && terms.reliable => {
                effects.push(Effect::Clear(TimerName::Trying));
                effects.push(Effect::Send);
                *self = NonInviteServer::Proceeding;
                Ok(())
            }
            (NonInviteServer::Trying | NonInviteServer::Proceeding, Class::Provisional) => {
                Err(RespondError::ProvisionalToNonInvite)
            }
            (NonInviteServer::Trying | NonInviteServer::Proceeding, _) if status == 408 => {
                Err(RespondError::TimeoutToNonInvite)
            }
            (NonInviteServer::Trying | NonInviteServer::Proceeding, Class::Success | Class::Failure) => {
                if *self == NonInviteServer::Trying {
                    effects.push(Effect::Clear(TimerName::Trying));
                }
                effects.push(Effect::Send);
                if terms.reliable {
                    // Timer J is zero on reliable transports.
                    self.end(effects);
                } else {
                    effects.push(Effect::Set(TimerName::J, terms.timers.timeout()));
                    *self = NonInviteServer::Completed;
                }
                Ok(())
            }
        }
    }

    /// A timer that this machine set is due.
    pub fn timer(&mut self, timer: TimerName, effects: &mut Vec<Effect>) {
        match (*self, timer) {
            (NonInviteServer::Trying, TimerName::Trying) => {
                effects.push(Effect::Trying);
                *self = NonInviteServer::Proceeding;
            }
            (NonInviteServer::Completed, TimerName::J) => self.end(effects),
            _ => {}
        }
    }

    /// A response could not be sent, and no other address is left to try (RFC 3261 §17.2.4).
    pub fn transport_failed(&mut self, effects: &mut Vec<Effect>) {
        match self {
            NonInviteServer::Trying => effects.push(Effect::Clear(TimerName::Trying)),
            NonInviteServer::Proceeding => {}
            // It has answered; the request may come again until Timer J.
            NonInviteServer::Completed => return effects.push(Effect::TransportFailed),
            NonInviteServer::Terminated => return,
        }
        effects.push(Effect::TransportFailed);
        self.end(effects);
    }

    /// True until a final response went out.
    pub const fn is_pending(&self) -> bool {
        matches!(self, NonInviteServer::Trying | NonInviteServer::Proceeding)
    }

    fn end(&mut self, effects: &mut Vec<Effect>) {
        effects.push(Effect::End);
        *self = NonInviteServer::Terminated;
    }
}
