//! What bounds memory, and what was counted.

/// Bounds, each with a name and a default. Sizes of messages, connections and transactions are bounded by
/// [`CoreConfig`](callwright_sip::core::CoreConfig).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Users. Default 10,000; more are an error at construction.
    pub users: usize,
    /// Queues. Default 100; more are an error at construction.
    pub queues: usize,
    /// Bindings of one user; a REGISTER beyond is answered 503. Default 10.
    pub bindings_per_user: usize,
    /// Values of Path that one binding keeps; a REGISTER with more is answered 413. Default 8.
    pub path_values: usize,
    /// REGISTERs of one user that wait while a fact about it is stored; one beyond is answered 503. Default 4.
    pub waiting_registers: usize,
    /// Calls at once; an INVITE beyond is answered 503. Default 2,000.
    pub calls: usize,
    /// Contacts that one call rings at once, those with the highest q first. Default 10.
    pub forks: usize,
    /// Agents that one call rings for at once with `ring_all`. Default 50.
    pub ring_all: usize,
    /// Facts that wait to be stored. Beyond, what depends on one fails as if the store had, no call is presented or transferred, and
    /// nothing can be asked of agents; what is told all the same are the ends of what is under way, a handful for each call and
    /// each agent. Default 10,000.
    pub facts_in_flight: usize,
    /// Nonces that are remembered with their counts. Default 65,536.
    pub nonces: usize,
    /// Sources of requests that are remembered, to limit what each may ask for. Default 10,000.
    pub sources: usize,
    /// Answers to wrong passwords and unknown addresses that are held back; one beyond is a 503. Default 1,000.
    pub late_answers: usize,
    /// Requests that wait for the answer of another user: INFO and MESSAGE; one beyond is answered 503. Default 10,000.
    pub relayed_requests: usize,
    /// Bytes of the body of a MESSAGE; a larger one is answered 413 (RFC 3428 §8). Default 1,300.
    pub message_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            users: 10_000,
            queues: 100,
            bindings_per_user: 10,
            path_values: 8,
            waiting_registers: 4,
            calls: 2_000,
            forks: 10,
            ring_all: 50,
            facts_in_flight: 10_000,
            nonces: 65_536,
            sources: 10_000,
            late_answers: 1_000,
            relayed_requests: 10_000,
            message_bytes: 1_300,
        }
    }
}

/// What was counted since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// What was turned away by one of [`Limits`], or found no port for its audio: requests, INVITEs to contacts, facts.
    pub over_limit: u64,
    /// Contacts that were not rung because there were more than [`Limits::forks`].
    pub contacts_not_rung: u64,
    /// Credentials that were wrong: no such user, or another password.
    pub wrong_credentials: u64,
    /// Requests that were not heard or refused since there were too many from their source.
    pub rate_limited: u64,
    /// Requests that were not heard or refused since their source is banned.
    pub banned: u64,
    /// Nonce counts that were used before.
    pub replays: u64,
    /// INVITEs that had come round to where they were sent from.
    pub loops: u64,
    /// Facts that the store refused, or that found no room on their way to it.
    pub facts_lost: u64,
    /// Bytes that came and were no acceptable message.
    pub malformed: u64,
}
