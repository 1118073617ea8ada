//! What a core is told at its start, and the limits that it keeps.

use std::time::Duration;

use callwright_sip_message::Limits;

use crate::timer::TimerValues;

/// Settings of a [`Core`](super::Core).
#[derive(Clone, Debug)]
pub struct CoreConfig {
    /// T1, T2, T4.
    pub timers: TimerValues,
    /// A request above this size goes over TCP instead of UDP (RFC 3261 §18.1.1). Bytes; default 1,300, for a path MTU that
    /// nobody knows. `usize::MAX` keeps everything on UDP.
    pub large_request: usize,
    /// How long a connection that nothing uses stays open. Default 10 minutes; not below 64·T1 (RFC 3261 §18), as what is only awaited in
    /// case that it comes again does not keep it open.
    pub idle_connection: Duration,
    /// False accepts any certificate of a TLS server. Default true.
    pub tls_verify: bool,
    /// Whether TCP may be chosen for outgoing requests. It needs no listener. Default true.
    pub tcp: bool,
    /// Whether TLS may be chosen for outgoing requests. Default true.
    pub tls: bool,
    /// What bounds memory.
    pub limits: CoreLimits,
    /// Sizes of messages.
    pub message_limits: Limits,
}

impl Default for CoreConfig {
    fn default() -> Self {
        CoreConfig {
            timers: TimerValues::default(),
            large_request: 1300,
            idle_connection: Duration::from_secs(600),
            tls_verify: true,
            tcp: true,
            tls: true,
            limits: CoreLimits::default(),
            message_limits: Limits::default(),
        }
    }
}

/// Bounds, each with a name, so that a refusal can say which one was met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CoreLimits {
    /// Client transactions at once. Default 1,000,000.
    pub client_transactions: usize,
    /// Server transactions at once; requests beyond are answered 503. Default 1,000,000.
    pub server_transactions: usize,
    /// Connections at once, incoming and outgoing; incoming ones beyond are closed. Default 10,000.
    pub connections: usize,
    /// Messages that wait for one connection to come up. Default 1,000.
    pub queued_messages: usize,
    /// Bytes that wait for one connection to come up. Default 1 MiB.
    pub queued_bytes: usize,
}

impl Default for CoreLimits {
    fn default() -> Self {
        CoreLimits {
            client_transactions: 1_000_000,
            server_transactions: 1_000_000,
            connections: 10_000,
            queued_messages: 1_000,
            queued_bytes: 1 << 20,
        }
    }
}

/// What a core counted since its start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Requests and responses that came in, retransmissions included.
    pub received: u64,
    /// Requests and responses that went out, retransmissions included.
    pub sent: u64,
    /// Retransmissions that came in.
    pub received_again: u64,
    /// Retransmissions that went out.
    pub sent_again: u64,
    /// Inputs that were no SIP at all.
    pub garbage: u64,
    /// Inputs that looked like STUN.
    pub stun: u64,
    /// Keep-alives (CRLF).
    pub keep_alives: u64,
    /// Messages that broke the rules.
    pub malformed: u64,
    /// Responses that matched no transaction.
    pub stray_responses: u64,
    /// Requests, connections or messages that a limit turned away.
    pub over_limit: u64,
}
