//! The timers of dialogs, calls, registrations and subscriptions.

use callwright_wire::Timer;

use crate::core::ClientId;

use super::id::{CallId, ReferId, RegistrationId, SubscriptionId};

/// What can be due, and for whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum UsageTimer {
    /// An unanswered call ends: by the `expires` of its caller (RFC 3261 §13.2.1, §13.3.1), or by our own limit.
    RingExpires(CallId),
    /// A provisional response is repeated against proxies that give up after three minutes (RFC 3261 §13.3.1.1).
    RepeatProgress(CallId),
    /// A reliable provisional response goes out again (RFC 3262 §3).
    RepeatReliable(CallId),
    /// No PRACK came: 64·T1 (RFC 3262 §3).
    AwaitPrack(CallId),
    /// A 2xx goes out again (RFC 3261 §13.3.1.4).
    RepeatAnswer(CallId),
    /// No ACK came: 64·T1 (RFC 3261 §13.3.1.4).
    AwaitAck(CallId),
    /// An offer is tried again after a 491 (RFC 3261 §14.1).
    Glare(CallId),
    /// This side refreshes the session (RFC 4028 §7.2).
    SessionRefresh(CallId),
    /// The session has run out (RFC 4028 §10).
    SessionExpires(CallId),
    /// A re-INVITE whose call has ended meanwhile still has no final response: it is cancelled, for without one its transaction
    /// would wait for ever (RFC 3261 §17.1.1.2 has no timer for it).
    Abandoned(ClientId),
    /// INVITEs that were given up longest ago are forgotten: no answer to them comes any more.
    GivenUp,
    /// The implicit subscription of a REFER has run out (RFC 3515 §2.4.4).
    ReferExpires(ReferId),
    /// A registration is refreshed, or tried again.
    Register(RegistrationId),
    /// A binding has run out.
    BindingExpires(RegistrationId),
    /// A subscription is refreshed, or asked for again.
    Subscribe(SubscriptionId),
    /// A subscription has run out.
    SubscriptionExpires(SubscriptionId),
    /// No NOTIFY came after SUBSCRIBE: Timer N, 64·T1 (RFC 6665 §4.1.2).
    AwaitNotify(SubscriptionId),
}

impl Timer for UsageTimer {
    fn name(&self) -> &'static str {
        match self {
            UsageTimer::RingExpires(_) => "end of ringing",
            UsageTimer::RepeatProgress(_) => "1xx each minute",
            UsageTimer::RepeatReliable(_) => "reliable 1xx retransmission",
            UsageTimer::AwaitPrack(_) => PRACK_WAIT,
            UsageTimer::RepeatAnswer(_) => "2xx retransmission",
            UsageTimer::AwaitAck(_) => ACK_WAIT,
            UsageTimer::Glare(_) => "retry after 491",
            UsageTimer::SessionRefresh(_) => "session refresh",
            UsageTimer::SessionExpires(_) => "session expiration",
            UsageTimer::Abandoned(_) => "64*T1 for a re-INVITE of an ended call",
            UsageTimer::GivenUp => "64*T1 for a late answer to an INVITE",
            UsageTimer::ReferExpires(_) => "expiration of the subscription of a REFER",
            UsageTimer::Register(_) => "registration refresh",
            UsageTimer::BindingExpires(_) => "expiration of the binding",
            UsageTimer::Subscribe(_) => "subscription refresh",
            UsageTimer::SubscriptionExpires(_) => "expiration of the subscription",
            UsageTimer::AwaitNotify(_) => "Timer N",
        }
    }
}

/// How the wait for the ACK to a 2xx is called: RFC 3261 §13.3.1.4 gives it the value of Timer H, but no letter.
pub const ACK_WAIT: &str = "64*T1 for the ACK to a 2xx";

/// How the end of a call is called that rang until the INVITE's own `Expires` (RFC 3261 §13.3.1).
pub const INVITE_EXPIRES: &str = "Expires of INVITE";

/// How the end of a call is called that rang for [`max_ringing`](crate::EndpointConfig::max_ringing).
pub const RING_LIMIT: &str = "the limit on ringing";

/// How the wait for a PRACK is called (RFC 3262 §3).
pub const PRACK_WAIT: &str = "64*T1 for the PRACK to a 1xx";
