//! What an analysis is told: thresholds and limits.

use std::time::Duration;

/// Thresholds of findings, and limits of memory. What is beyond a limit is left out and counted in
/// [`Dropped`](super::Dropped).
#[derive(Clone, Debug, PartialEq)]
pub struct AnalysisConfig {
    /// Keep the text of every message in its row of the ladder. Default: no.
    pub keep_text: bool,
    /// Session Request Delay from which a finding is made. Default 5 s.
    pub slow_setup: Duration,
    /// Session Disconnect Delay from which a finding is made. Default 2 s.
    pub slow_disconnect: Duration,
    /// Registration Request Delay from which a finding is made. Default 2 s.
    pub slow_registration: Duration,
    /// Loss from which a finding is made, in percent. Default 1.
    pub loss_percent: f64,
    /// Mean jitter from which a finding is made, in milliseconds. Default 30.
    pub jitter_ms: f64,
    /// Mean opinion score below which a finding is made. Default 3.6.
    pub low_mos: f64,
    /// A time without a packet that is a gap where the timestamps do not explain it. Default 200 ms.
    pub gap: Duration,
    /// Clock skew from which a finding is made, in parts per million. Default 500.
    pub clock_skew_ppm: f64,
    /// How long a call must be up before missing audio is a finding. Default 1 s.
    pub audio_expected: Duration,
    /// Legs that are kept. Default 100,000.
    pub max_legs: usize,
    /// Registrations that are kept. Default 100,000.
    pub max_registrations: usize,
    /// Attempts of one registration that are kept. Default 1,000.
    pub max_attempts: usize,
    /// RTP streams that are kept. Default 100,000.
    pub max_streams: usize,
    /// Rows of one leg's ladder that are kept. Default 2,000.
    pub max_rows: usize,
    /// Rows of all ladders that are kept. Default 500,000.
    pub max_all_rows: usize,
    /// Bytes of the texts of all messages that are kept. Default 256 MiB.
    pub max_text_bytes: usize,
    /// Seconds of a stream whose level is listed. Default 7,200.
    pub max_seconds: usize,
    /// Findings that are kept. Default 10,000.
    pub max_findings: usize,
    /// Connections whose bytes are put together at the same time. Default 4,096.
    pub max_connections: usize,
    /// Bytes that wait in one direction of a connection for those before them. Default 262,144.
    pub max_waiting_bytes: usize,
    /// Bytes of fragments of IP packets that wait for the others. Default 4 MiB.
    pub max_fragment_bytes: usize,
    /// Addresses of session descriptions that are remembered. Default 50,000.
    pub max_addresses: usize,
}

impl Default for AnalysisConfig {
    fn default() -> Self {
        AnalysisConfig {
            keep_text: false,
            slow_setup: Duration::from_secs(5),
            slow_disconnect: Duration::from_secs(2),
            slow_registration: Duration::from_secs(2),
            loss_percent: 1.0,
            jitter_ms: 30.0,
            low_mos: 3.6,
            gap: Duration::from_millis(200),
            clock_skew_ppm: 500.0,
            audio_expected: Duration::from_secs(1),
            max_legs: 100_000,
            max_registrations: 100_000,
            max_attempts: 1_000,
            max_streams: 100_000,
            max_rows: 2_000,
            max_all_rows: 500_000,
            max_text_bytes: 256 << 20,
            max_seconds: 7_200,
            max_findings: 10_000,
            max_connections: 4_096,
            max_waiting_bytes: 262_144,
            max_fragment_bytes: 4 << 20,
            max_addresses: 50_000,
        }
    }
}
