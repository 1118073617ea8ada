//! Findings: what is wrong or worth a look, with the packets that show it.

use std::fmt;

use callwright_wire::Time;
use serde::{Serialize, Serializer};

use super::time;
use crate::rules::Rule;

/// Something in a capture that is wrong, or worth a look.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Finding {
    /// What kind of thing it is.
    #[serde(rename = "name")]
    pub kind: FindingKind,
    /// How bad it is.
    pub severity: Severity,
    /// What was seen, in one sentence.
    pub message: String,
    /// When it showed first.
    #[serde(rename = "at_ms", serialize_with = "time::ms")]
    pub at: Time,
    /// The first packets that show it, by their number in the capture, from 1 on.
    pub packets: Vec<u64>,
    /// How often it was seen.
    pub count: u64,
    /// The call: its place in [`Analysis::calls`](super::Analysis::calls).
    pub call: Option<usize>,
    /// The leg: its place in [`Call::legs`](super::Call::legs).
    pub leg: Option<usize>,
    /// The stream: its place in [`Analysis::streams`](super::Analysis::streams).
    pub stream: Option<usize>,
    /// The registration: its place in [`Analysis::registrations`](super::Analysis::registrations).
    pub registration: Option<usize>,
    /// Where it is written what should be.
    pub source: &'static str,
}

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Worth knowing.
    Note,
    /// Somebody should look at it.
    Warning,
    /// A call or registration suffered from it, or a protocol was broken.
    Error,
}

impl Severity {
    /// The name, as in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Severity::Note => "note",
            Severity::Warning => "warning",
            Severity::Error => "error",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

macro_rules! kinds {
    ($($variant:ident $name:literal $severity:ident $description:literal, $source:literal;)+) => {
        /// The kinds of findings.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum FindingKind {
            $(#[doc = $description] #[doc = ""] #[doc = concat!($source, ".")] $variant,)+
            /// A rule of a protocol was broken.
            Protocol(Rule),
        }

        impl FindingKind {
            /// Every kind but the protocol rules ([`Rule::ALL`]).
            pub const ALL: &[FindingKind] = &[$(FindingKind::$variant),+];

            /// The name, as in reports: `one-way-audio`, `protocol:cseq`, …
            pub fn name(self) -> String {
                match self {
                    $(FindingKind::$variant => $name.to_owned(),)+
                    FindingKind::Protocol(rule) => format!("protocol:{rule}"),
                }
            }

            /// How bad it is unless the finding says otherwise.
            pub const fn severity(self) -> Severity {
                match self {
                    $(FindingKind::$variant => Severity::$severity,)+
                    FindingKind::Protocol(_) => Severity::Warning,
                }
            }

            /// What it is, in one line.
            pub const fn description(self) -> &'static str {
                match self {
                    $(FindingKind::$variant => $description,)+
                    FindingKind::Protocol(rule) => rule.description(),
                }
            }

            /// Where it is written what should be.
            pub const fn source(self) -> &'static str {
                match self {
                    $(FindingKind::$variant => $source,)+
                    FindingKind::Protocol(rule) => rule.reference(),
                }
            }
        }
    };
}

kinds! {
    CallRefused "call-refused" Note
        "a call was refused by whoever was called, or nobody was there", "RFC 3261 §21.4, §21.6";
    CallFailed "call-failed" Error
        "a call failed in the network: its final response is 5xx, or a 4xx that is no refusal by a user", "RFC 3261 §21, RFC 6076 §4.8";
    CallUnanswered "call-unanswered" Error
        "an INVITE got no response at all, or no final one within its time", "RFC 3261 §17.1.1.2";
    NoAck "no-ack" Error
        "the 2xx to an INVITE was never acknowledged", "RFC 3261 §13.2.2.4";
    NoBye "call-not-ended" Note
        "a call was still up when the capture ended", "RFC 3261 §15";
    DisconnectFailed "disconnect-failed" Error
        "a BYE was not answered by a 2xx", "RFC 3261 §15.1.2, RFC 6076 §4.4";
    SlowSetup "post-dial-delay" Warning
        "the Session Request Delay is long: the caller heard nothing for that time", "RFC 6076 §4.3";
    SlowDisconnect "disconnect-delay" Warning
        "the Session Disconnect Delay is long", "RFC 6076 §4.4";
    SlowRegistration "registration-delay" Warning
        "the Registration Request Delay is long", "RFC 6076 §4.1";
    RegistrationFailed "registration-failed" Error
        "a registration failed: an Ineffective Registration Attempt", "RFC 6076 §4.2";
    Retransmissions "retransmissions" Warning
        "messages were sent again: packets were lost, or somebody was slow", "RFC 3261 §17.1.1.2, §17.1.2.2";
    MissingAudio "missing-audio" Error
        "a call was up, and neither side's audio is in the capture", "RFC 3264 §5.1";
    OneWayAudio "one-way-audio" Error
        "a call was up, and one side's audio is not in the capture though it may send", "RFC 3264 §5.1";
    Silence "silence" Warning
        "a side sent audio, and nothing above -50 dBm0 is in it", "ITU-T G.711";
    Gap "gap" Warning
        "a stream paused although its timestamps went on", "RFC 3550 §5.1";
    Loss "loss" Warning
        "packets of a stream are missing", "RFC 3550 §6.4.1, §A.3";
    Jitter "jitter" Warning
        "packets of a stream come unevenly", "RFC 3550 §6.4.1, §A.8";
    Duplicates "duplicates" Note
        "packets of a stream came more than once", "RFC 3550 §A.1";
    OutOfOrder "out-of-order" Note
        "packets of a stream overtook each other", "RFC 3550 §A.1";
    LowQuality "low-mos" Warning
        "the estimated mean opinion score is below 3.6: many users are dissatisfied", "ITU-T G.107 annex B";
    ClockSkew "clock-skew" Note
        "the clock of a sender runs faster or slower than that of the capture", "RFC 3550 §6.4.1";
    PayloadTypeUnknown "payload-type-unknown" Error
        "a stream has a payload type that its receiver did not announce", "RFC 3264 §5.1, §6.1";
    CodecMismatch "codec-mismatch" Warning
        "a stream has a codec that was offered and not agreed on, or both directions have different ones", "RFC 3264 §6.1";
    RemoteLoss "rtcp-loss" Warning
        "the receiver of a stream reports more loss than the capture saw", "RFC 3550 §6.4.1";
    UndescribedStream "undescribed-stream" Note
        "RTP that no session description in the capture speaks of", "RFC 3264 §5.1";
    Malformed "malformed-sip" Warning
        "what should be a SIP message cannot be read", "RFC 3261 §7";
    Unreadable "encrypted-signalling" Warning
        "connections are TLS: what is said on them cannot be read", "RFC 3261 §26.3.1";
    Dropped "dropped" Warning
        "a limit of this program was reached, and something was left out", "the limits of the analysis";
    Incomplete "capture-incomplete" Warning
        "the capture ends in the middle, or has packets that were cut short", "pcap, pcapng";
}

impl fmt::Display for FindingKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name())
    }
}

impl Serialize for FindingKind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.name())
    }
}
