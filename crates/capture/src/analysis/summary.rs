//! What a capture holds, and what was left out of it.

use std::collections::BTreeMap;

use serde::Serialize;

/// What a capture holds.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Summary {
    /// `pcap` or `pcapng`.
    pub format: &'static str,
    /// The program that wrote it, where it says so.
    pub application: Option<String>,
    /// Packets.
    pub packets: u64,
    /// Bytes of packets, as they were captured.
    pub bytes: u64,
    /// The time of the first packet: nanoseconds since 1970-01-01T00:00:00Z.
    pub started_unix_nanos: u64,
    /// From the first packet to the last, in milliseconds.
    pub duration_ms: f64,
    /// SIP messages.
    pub sip_messages: u64,
    /// Requests, by method.
    pub requests: BTreeMap<String, u64>,
    /// Responses, by status.
    pub responses: BTreeMap<u16, u64>,
    /// RTP packets, of all streams.
    pub rtp_packets: u64,
    /// RTCP compounds.
    pub rtcp_packets: u64,
    /// CRLF on SIP ports and connections (RFC 5626 §4.4.1, RFC 6223).
    pub keep_alives: u64,
    /// Connections that are TLS: what is said on them cannot be read.
    pub tls_connections: u64,
    /// Packets that are neither SIP nor RTP nor RTCP.
    pub other_packets: u64,
    /// What was left out.
    pub dropped: Dropped,
    /// Why the rest of the capture was not read; `None`: all of it was.
    pub broken: Option<String>,
}

/// What was left out of an analysis, and why.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Dropped {
    /// Packets of link types that are not known here.
    pub unknown_link_type: u64,
    /// Packets cut short by the one who captured them (snap length); what is there of them is read.
    pub cut_short: u64,
    /// Packets whose IP, UDP or TCP header cannot be read.
    pub malformed_packets: u64,
    /// IP fragments whose packet never became whole, or that had no room
    /// ([`max_fragment_bytes`](super::AnalysisConfig::max_fragment_bytes)).
    pub fragments: u64,
    /// Bytes missing in TCP streams that SIP was read from: the reader went on behind them.
    pub missing_stream_bytes: u64,
    /// Bytes of streams that are no SIP where a message should begin.
    pub unframed_stream_bytes: u64,
    /// Connections forgotten for newer ones ([`max_connections`](super::AnalysisConfig::max_connections)).
    pub connections: u64,
    /// Packets that were captured twice, on two interfaces.
    pub seen_twice: u64,
    /// Legs beyond [`max_legs`](super::AnalysisConfig::max_legs).
    pub legs: u64,
    /// Registrations beyond [`max_registrations`](super::AnalysisConfig::max_registrations).
    pub registrations: u64,
    /// Streams beyond [`max_streams`](super::AnalysisConfig::max_streams).
    pub streams: u64,
    /// Rows of ladders beyond [`max_rows`](super::AnalysisConfig::max_rows) and
    /// [`max_all_rows`](super::AnalysisConfig::max_all_rows).
    pub rows: u64,
    /// Texts of messages beyond [`max_text_bytes`](super::AnalysisConfig::max_text_bytes).
    pub texts: u64,
    /// Findings beyond [`max_findings`](super::AnalysisConfig::max_findings).
    pub findings: u64,
}
