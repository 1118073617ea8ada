//! Registrations.

use std::net::SocketAddr;

use callwright_wire::Time;
use serde::Serialize;

use super::time;

/// What one user agent did about one address-of-record: every REGISTER with the same Call-ID.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Registration {
    /// The address-of-record: the URI in To.
    pub aor: String,
    /// The Call-ID.
    pub call_id: String,
    /// Where the first REGISTER came from.
    pub client: SocketAddr,
    /// Where it went.
    pub server: SocketAddr,
    /// The first REGISTER.
    #[serde(rename = "started_ms", serialize_with = "time::ms")]
    pub started: Time,
    /// The attempts, in order; a challenge and the REGISTER that answers it are one.
    pub attempts: Vec<RegistrationAttempt>,
    /// Attempts beyond [`AnalysisConfig::max_attempts`](super::AnalysisConfig::max_attempts).
    pub attempts_dropped: u64,
}

impl Registration {
    /// Whether the last attempt that was answered succeeded and had bindings as its aim.
    pub fn is_registered(&self) -> bool {
        let last = self
            .attempts
            .iter()
            .rev()
            .find(|attempt| attempt.status.is_some());
        last.is_some_and(|attempt| attempt.succeeded() && !attempt.unregisters)
    }
}

/// One attempt to register, from the first REGISTER to the answer that is no challenge.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RegistrationAttempt {
    /// The first REGISTER.
    #[serde(rename = "at_ms", serialize_with = "time::ms")]
    pub at: Time,
    /// Its packet.
    pub packet: u64,
    /// The final response; `None`: there was none.
    pub status: Option<u16>,
    /// Its reason phrase.
    pub reason: Option<String>,
    /// The packet of the final response.
    pub answer_packet: Option<u64>,
    /// Whether it was challenged (401, 407).
    pub challenged: bool,
    /// Whether it asks to be removed (Expires 0).
    pub unregisters: bool,
    /// What the registrar granted, in seconds.
    pub expires_s: Option<u32>,
    /// Registration Request Delay (RFC 6076 §4.1), in milliseconds: from the REGISTER to its final response, with the
    /// challenge between them; `None` where there was none.
    pub registration_request_delay_ms: Option<f64>,
}

impl RegistrationAttempt {
    /// Whether it was answered by a 2xx.
    pub fn succeeded(&self) -> bool {
        matches!(self.status, Some(200..=299))
    }
}
