//! What the rules are told before they see anything.

use std::collections::BTreeSet;
use std::time::Duration;

/// Timers, tolerances and limits of [`Rules`](super::Rules).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RulesConfig {
    /// The estimate of the round trip time (RFC 3261 §17.1.1.1). Default 500 ms.
    pub t1: Duration,
    /// The longest interval between retransmissions of a request other than INVITE. Default 4 s.
    pub t2: Duration,
    /// How long a message stays in the network. Default 5 s.
    pub t4: Duration,
    /// A retransmission may be this much early: what a real clock and a kernel add. Default 20 ms.
    pub early: Duration,
    /// A packet that arrives does so within this time. Default 2 s.
    pub transit: Duration,
    /// The timestamp of RTP may differ from the time that passed by this much after a pause. Default 200 ms.
    pub pause_tolerance: Duration,
    /// Parties that break rules on purpose: what they send is not judged, nor what the other side does in their calls.
    pub exempt: BTreeSet<u32>,
    /// How many transactions are remembered. Default 65,536.
    pub max_transactions: usize,
    /// How many calls, registrations and other Call-IDs are remembered. Default 16,384.
    pub max_calls: usize,
    /// How many dialogs, INVITEs, tags and final responses one call may have; one with more is not judged any more. Default 256.
    pub max_per_call: usize,
    /// How many RTP streams are remembered. Default 16,384.
    pub max_media_streams: usize,
    /// How many connections are read, and how many addresses are remembered. Default 65,536.
    pub max_addresses: usize,
    /// How many violations are kept until somebody takes them; more are counted. Default 1,000.
    pub max_violations: usize,
}

impl Default for RulesConfig {
    fn default() -> Self {
        RulesConfig {
            t1: Duration::from_millis(500),
            t2: Duration::from_secs(4),
            t4: Duration::from_secs(5),
            early: Duration::from_millis(20),
            transit: Duration::from_secs(2),
            pause_tolerance: Duration::from_millis(200),
            exempt: BTreeSet::new(),
            max_transactions: 65_536,
            max_calls: 16_384,
            max_per_call: 256,
            max_media_streams: 16_384,
            max_addresses: 65_536,
            max_violations: 1_000,
        }
    }
}

impl RulesConfig {
    /// Lets a party break rules on purpose.
    #[must_use]
    pub fn allow_illegal(mut self, party: u32) -> Self {
        self.exempt.insert(party);
        self
    }

    /// Timers B, F and H (RFC 3261 §17): 64·T1.
    pub(crate) fn timeout(&self) -> Duration {
        self.t1 * 64
    }
}
