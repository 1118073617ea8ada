//! Calls: what a person calls so, leg by leg.

use std::net::SocketAddr;

use callwright_wire::Time;
use serde::Serialize;

use super::time;

/// A call, with all legs that a back-to-back user agent made of it as far as they were recognised.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Call {
    /// From 1 on, in the order in which calls began.
    pub number: usize,
    /// Who calls: the URI in From of the first leg.
    pub caller: String,
    /// Who is called: the URI in To of the first leg.
    pub callee: String,
    /// What was dialled: the Request-URI of the first INVITE.
    pub dialled: String,
    /// Who answered: the URI in To of the last leg that was answered.
    pub answered_by: Option<String>,
    /// The first INVITE.
    #[serde(rename = "started_ms", serialize_with = "time::ms")]
    pub started: Time,
    /// The caller's first provisional response above 100.
    #[serde(rename = "ringing_ms", serialize_with = "time::optional_ms")]
    pub ringing: Option<Time>,
    /// The caller's 2xx.
    #[serde(rename = "answered_ms", serialize_with = "time::optional_ms")]
    pub answered: Option<Time>,
    /// The first BYE on any leg that was answered, or the caller's final response where none was.
    #[serde(rename = "ended_ms", serialize_with = "time::optional_ms")]
    pub ended: Option<Time>,
    /// Who ended it.
    pub ended_by: Option<EndedBy>,
    /// What became of it.
    pub outcome: Outcome,
    /// The status of the caller's final response.
    pub status: Option<u16>,
    /// Its reason phrase.
    pub reason: Option<String>,
    /// The legs, in the order in which they began; the first is the caller's.
    pub legs: Vec<Leg>,
    /// Why the other legs are taken for parts of this call, one for each.
    pub joins: Vec<Join>,
    /// Messages and streams in order of time.
    pub ladder: Ladder,
    /// Its RTP streams: places in [`Analysis::streams`](super::Analysis::streams).
    pub streams: Vec<usize>,
    /// The digits that were sent, in order of time; each as often as it was seen on a leg.
    pub digits: Vec<Digit>,
    /// What there is to say about it: places in [`Analysis::findings`](super::Analysis::findings).
    pub findings: Vec<usize>,
}

impl Call {
    /// The digits of one side, once each: as they were seen on the first leg that has any of it.
    pub fn digits_of(&self, side: Side) -> String {
        let its = || self.digits.iter().filter(move |digit| digit.from == Some(side));
        let leg = its().filter_map(|digit| digit.leg).min();
        its()
            .filter(|digit| digit.leg == leg)
            .map(|digit| digit.digit)
            .collect()
    }

    /// How long it was up, in milliseconds; `None` while it is, or when it never was.
    pub fn talk_ms(&self) -> Option<f64> {
        Some((self.ended? - self.answered?).as_secs_f64() * 1_000.0)
    }
}

/// Everything with one Call-ID that an INVITE began.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Leg {
    /// The Call-ID.
    pub call_id: String,
    /// The URI in From.
    pub caller: String,
    /// The URI in To.
    pub callee: String,
    /// The Request-URI of the first INVITE.
    pub dialled: String,
    /// Where the first INVITE came from.
    pub client: SocketAddr,
    /// Where it went.
    pub server: SocketAddr,
    /// `UDP`, `TCP`, `TLS` (in the clear, in a capture of our own).
    pub transport: &'static str,
    /// The first INVITE.
    #[serde(rename = "started_ms", serialize_with = "time::ms")]
    pub started: Time,
    /// The first provisional response above 100.
    #[serde(rename = "ringing_ms", serialize_with = "time::optional_ms")]
    pub ringing: Option<Time>,
    /// The first 2xx.
    #[serde(rename = "answered_ms", serialize_with = "time::optional_ms")]
    pub answered: Option<Time>,
    /// The first BYE, or the final response where there was no 2xx.
    #[serde(rename = "ended_ms", serialize_with = "time::optional_ms")]
    pub ended: Option<Time>,
    /// Whose BYE or CANCEL it was; the callee's where it was refused.
    pub ended_by: Option<Side>,
    /// What became of it.
    pub outcome: Outcome,
    /// The status of its final response; of one that was challenged and tried again, the last.
    pub status: Option<u16>,
    /// Its reason phrase.
    pub reason: Option<String>,
    /// Session Request Delay (RFC 6076 §4.3), in milliseconds: post-dial delay. From the first INVITE to the first response
    /// that the caller sees or hears something of: provisional above 100, or final but for a challenge.
    pub session_request_delay_ms: Option<f64>,
    /// Session Disconnect Delay (RFC 6076 §4.4), in milliseconds: from the BYE to its 2xx.
    pub session_disconnect_delay_ms: Option<f64>,
    /// Session Duration Time (RFC 6076 §4.5), in milliseconds: from the 2xx to the BYE.
    pub session_duration_ms: Option<f64>,
    /// Its media descriptions, as they stand in the end.
    pub media: Vec<MediaLine>,
    /// Its RTP streams: places in [`Analysis::streams`](super::Analysis::streams).
    pub streams: Vec<usize>,
    /// How many SIP messages it has.
    pub messages: u64,
    /// How many of them were sent again.
    pub retransmissions: u64,
}

/// One `m=` line of a leg, and what became of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct MediaLine {
    /// `audio`, `video`, …
    pub kind: String,
    /// Where the caller wants it.
    pub caller_address: Option<SocketAddr>,
    /// Where the callee wants it.
    pub callee_address: Option<SocketAddr>,
    /// The formats of the last offer, the best first: `PCMU/8000`.
    pub offered: Vec<String>,
    /// Those of its answer; empty where there was none.
    pub answered: Vec<String>,
    /// Whether the caller may send.
    pub caller_sends: bool,
    /// Whether the callee may send.
    pub callee_sends: bool,
    /// Whether it is SRTP.
    pub secure: bool,
}

/// What became of a call or leg.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Answered, and ended by a BYE.
    Completed,
    /// Answered, and still up when the capture ended.
    Up,
    /// Refused by a final response.
    Refused,
    /// Given up by the caller before somebody answered.
    Cancelled,
    /// No final response: nobody there, or the capture ended.
    Unanswered,
}

impl Outcome {
    /// The name, as in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Outcome::Completed => "completed",
            Outcome::Up => "up",
            Outcome::Refused => "refused",
            Outcome::Cancelled => "cancelled",
            Outcome::Unanswered => "unanswered",
        }
    }
}

/// One side of a leg.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// Who sent the INVITE.
    Caller,
    /// Who received it.
    Callee,
}

impl Side {
    /// The other one.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Side::Caller => Side::Callee,
            Side::Callee => Side::Caller,
        }
    }

    /// The name, as in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Side::Caller => "caller",
            Side::Callee => "callee",
        }
    }
}

/// Who ended a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum EndedBy {
    /// The caller, who began it.
    Caller,
    /// Whoever answered, or refused.
    Callee,
    /// What stands between them.
    Server,
}

impl EndedBy {
    /// The name, as in reports.
    pub const fn name(self) -> &'static str {
        match self {
            EndedBy::Caller => "caller",
            EndedBy::Callee => "callee",
            EndedBy::Server => "server",
        }
    }
}

/// Why a leg is taken for a part of a call.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Join {
    /// The leg: its place in [`Call::legs`].
    pub leg: usize,
    /// The one that it goes with.
    pub to: usize,
    /// Whether something says so, or it only looks so.
    pub is_guess: bool,
    /// What says so, in one line.
    pub because: String,
}

/// Messages and streams in order of time, between the addresses that they pass.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Ladder {
    /// Who takes part, in the order of being seen.
    pub parties: Vec<LadderParty>,
    /// What passed.
    pub rows: Vec<Row>,
    /// Rows beyond [`AnalysisConfig::max_rows`](super::AnalysisConfig::max_rows).
    pub rows_dropped: u64,
}

/// A column of a ladder.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LadderParty {
    /// Its address for SIP.
    pub address: SocketAddr,
    /// Its name, where the capture has one: the user of the caller or callee.
    pub name: Option<String>,
}

/// A row of a ladder.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// When.
    #[serde(rename = "at_ms", serialize_with = "time::ms")]
    pub at: Time,
    /// The number of the packet in the capture, from 1 on; of a stream, of its first one.
    pub packet: u64,
    /// The leg: its place in [`Call::legs`].
    pub leg: usize,
    /// The column that sent it.
    pub from: usize,
    /// The column that it went to.
    pub to: usize,
    /// What it is.
    pub kind: RowKind,
    /// `INVITE sip:bob@example.com (SDP)`, `486 Busy Here`, `RTP PCMU 8.0 s`.
    pub summary: String,
    /// The CSeq of a message: `1 INVITE`; empty for a stream.
    pub cseq: String,
    /// True when it was sent again.
    pub again: bool,
    /// The comment of the packet: in our own captures the line of the script, and what the network did.
    pub comment: Option<String>,
    /// The message as it was, where [`AnalysisConfig::keep_text`](super::AnalysisConfig::keep_text) asks for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

/// What a row of a ladder is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RowKind {
    /// A request.
    Request,
    /// A response.
    Response,
    /// A stream of RTP, at its first packet.
    Stream,
}

/// A digit that was sent.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Digit {
    /// `0-9 * # A-D`.
    pub digit: char,
    /// When it was complete.
    #[serde(rename = "at_ms", serialize_with = "time::ms")]
    pub at: Time,
    /// The packet that completed it.
    pub packet: u64,
    /// How long it sounded, in milliseconds; `None` where it does not say.
    pub duration_ms: Option<f64>,
    /// How it was sent.
    pub by: DigitBy,
    /// Who sent it, of the leg that it was seen on; `None` where that is not known.
    pub from: Option<Side>,
    /// The leg that it was seen on: its place in [`Call::legs`].
    pub leg: Option<usize>,
}

/// How a digit was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DigitBy {
    /// Events in RTP (RFC 4733).
    TelephoneEvent,
    /// A SIP INFO with `application/dtmf-relay` or `application/dtmf`.
    Info,
}
