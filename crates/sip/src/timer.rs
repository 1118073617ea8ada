//! The timers of RFC 3261 (table 4 in Appendix A), RFC 6026 and RFC 4320, by their letters.

use std::fmt;
use std::time::Duration;

/// A timer that transactions and transports set. What a user sees of a timeout is this name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TimerName {
    /// INVITE request retransmission, unreliable transports (RFC 3261 §17.1.1.2).
    A,
    /// INVITE client transaction timeout (RFC 3261 §17.1.1.2).
    B,
    /// How long retransmissions of a final response to INVITE are awaited (RFC 3261 §17.1.1.2).
    D,
    /// Non-INVITE request retransmission, unreliable transports (RFC 3261 §17.1.2.2).
    E,
    /// Non-INVITE client transaction timeout (RFC 3261 §17.1.2.2).
    F,
    /// INVITE response retransmission, unreliable transports (RFC 3261 §17.2.1).
    G,
    /// How long the ACK to a response other than 2xx is awaited (RFC 3261 §17.2.1).
    H,
    /// How long retransmissions of an ACK are absorbed (RFC 3261 §17.2.1).
    I,
    /// How long retransmissions of a non-INVITE request are answered (RFC 3261 §17.2.2).
    J,
    /// How long retransmissions of a final response to non-INVITE are absorbed (RFC 3261 §17.1.2.2).
    K,
    /// How long an accepted INVITE absorbs retransmissions of the request (RFC 6026 §7.1).
    L,
    /// How long further 2xx to an INVITE are expected (RFC 6026 §7.2).
    M,
    /// When a server transaction sends 100 by itself: 200 ms for INVITE (RFC 3261 §17.2.1); for others when Timer E of
    /// the client reaches T2 (RFC 4320 §4.1).
    Trying,
    /// How long a cancelled INVITE waits for its final response (RFC 3261 §9.1).
    Cancelled,
    /// How long a connection that nothing uses stays open.
    IdleConnection,
}

impl TimerName {
    /// As users see it: `Timer B`.
    pub const fn as_str(self) -> &'static str {
        match self {
            TimerName::A => "Timer A",
            TimerName::B => "Timer B",
            TimerName::D => "Timer D",
            TimerName::E => "Timer E",
            TimerName::F => "Timer F",
            TimerName::G => "Timer G",
            TimerName::H => "Timer H",
            TimerName::I => "Timer I",
            TimerName::J => "Timer J",
            TimerName::K => "Timer K",
            TimerName::L => "Timer L",
            TimerName::M => "Timer M",
            TimerName::Trying => "100 Trying",
            TimerName::Cancelled => "CANCEL wait",
            TimerName::IdleConnection => "idle connection",
        }
    }
}

impl fmt::Display for TimerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The base values that all timers are made from (RFC 3261 §17.1.1.1 and table 4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimerValues {
    /// Round-trip estimate. Default 500 ms.
    pub t1: Duration,
    /// Longest interval between retransmissions of non-INVITE requests and INVITE responses. Default 4 s.
    pub t2: Duration,
    /// How long a message stays in the network. Default 5 s.
    pub t4: Duration,
    /// How long an INVITE may go unanswered before the transaction sends 100. Default 200 ms (RFC 3261 §17.2.1).
    pub trying: Duration,
}

impl Default for TimerValues {
    fn default() -> Self {
        TimerValues {
            t1: Duration::from_millis(500),
            t2: Duration::from_secs(4),
            t4: Duration::from_secs(5),
            trying: Duration::from_millis(200),
        }
    }
}

impl TimerValues {
    /// 64·T1: the value of timers B, F, H, J, L and M. 32 s by default.
    pub const fn timeout(&self) -> Duration {
        self.t1.saturating_mul(64)
    }

    /// The value of Timer D on unreliable transports: at least 32 s (RFC 3261 §17.1.1.2), and never less than Timer H of the
    /// server.
    pub fn timer_d(&self) -> Duration {
        self.timeout().max(Duration::from_secs(32))
    }

    /// When Timer E of a client reaches T2: 3.5 s by default (RFC 4320 §4.1).
    pub fn timer_e_reaches_t2(&self) -> Duration {
        let mut interval = self.t1;
        let mut at = Duration::ZERO;
        while interval < self.t2 && !interval.is_zero() {
            at += interval;
            interval = interval.saturating_mul(2);
        }
        at
    }

    /// The interval after `interval` where T2 is the cap: MIN(2·interval, T2).
    pub(crate) fn doubled_to_t2(&self, interval: Duration) -> Duration {
        interval.saturating_mul(2).min(self.t2)
    }
}
