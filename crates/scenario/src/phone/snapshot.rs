//! What a phone says about itself, at one moment.

use std::fmt;
use std::time::Duration;

use callwright_wire::Time;

use super::Audio;

/// Everything that getters need.
#[derive(Clone, Debug, Default)]
pub struct PhoneSnapshot {
    /// The registration.
    pub registration: Registration,
    /// All calls, oldest first, ended ones included (as far as the phone still knows them).
    pub calls: Vec<CallSnapshot>,
    /// How many calls that ended the phone no longer knows.
    pub forgotten_calls: usize,
    /// What the next call will send.
    pub next_audio: Audio,
    /// How the last call that ended did so: `"486 Busy Here"`, code first, or a text.
    pub reason: Option<String>,
    /// The status of the response that ended it, if one did.
    pub status_code: Option<u16>,
    /// Why the last challenge that was not met was not, in words for a person.
    pub unmet_challenge: Option<String>,
    /// What the last message-waiting NOTIFY said.
    pub mwi: Option<MessagesWaiting>,
    /// Digits received on the current or last call.
    pub received_dtmf: String,
    /// Figures of the current or last call.
    pub quality: Quality,
    /// The URI at which the phone itself listens; empty where it does not, as over TLS.
    pub contact: String,
    /// What it sends, in words for reports.
    pub sending: String,
}

impl PhoneSnapshot {
    /// `Established` when any call is (held ones too), else `Ringing` when any exists, else `Idle`.
    pub fn state(&self) -> CallState {
        let phases = || self.calls.iter().map(|call| call.phase);
        if phases().any(Phase::is_established) {
            CallState::Established
        } else if phases().any(|phase| phase != Phase::Ended) {
            CallState::Ringing
        } else {
            CallState::Idle
        }
    }

    /// The newest call that has not ended.
    pub fn current(&self) -> Option<&CallSnapshot> {
        self.calls.iter().rev().find(|call| call.phase != Phase::Ended)
    }

    /// Calls that have not ended.
    pub fn live_calls(&self) -> usize {
        self.calls
            .iter()
            .filter(|call| call.phase != Phase::Ended)
            .count()
    }

    /// A call by its number.
    pub fn call(&self, call: CallRef) -> Option<&CallSnapshot> {
        self.calls.iter().find(|candidate| candidate.id == call)
    }
}

/// A registration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Registration {
    /// A binding is in force now.
    pub registered: bool,
    /// The status of the last final response to REGISTER.
    pub status_code: Option<u16>,
    /// Its text, code first, or what happened instead, as in `Timer F`.
    pub reason: Option<String>,
    /// How long the binding lasts, as the registrar said.
    pub expires: Option<Duration>,
}

/// What scenarios call the state of an agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CallState {
    /// No call.
    Idle,
    /// A call that is not established.
    Ringing,
    /// A call that is established, maybe held.
    Established,
}

impl CallState {
    /// All of them.
    pub const ALL: [CallState; 3] = [CallState::Idle, CallState::Ringing, CallState::Established];

    /// `Idle`, `Ringing`, `Established`.
    pub const fn name(self) -> &'static str {
        match self {
            CallState::Idle => "Idle",
            CallState::Ringing => "Ringing",
            CallState::Established => "Established",
        }
    }
}

impl fmt::Display for CallState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A call of one phone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallRef(pub u64);

/// A call at one moment.
#[derive(Clone, Debug)]
pub struct CallSnapshot {
    /// Which.
    pub id: CallRef,
    /// Who called.
    pub origin: Origin,
    /// How far it is.
    pub phase: Phase,
    /// The other side.
    pub peer: Peer,
    /// How it ended, like [`PhoneSnapshot::reason`].
    pub reason: Option<String>,
    /// The status of the response that ended it, if one did.
    pub status_code: Option<u16>,
    /// Digits received on it.
    pub received_dtmf: String,
    /// Its figures.
    pub quality: Quality,
    /// Own audio is muted.
    pub muted: bool,
    /// What it sends.
    pub sending: Audio,
    /// Its Call-ID (RFC 3261 §8.1.1.4).
    pub call_id: String,
    /// When it began.
    pub started: Time,
}

/// Who called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The phone did.
    Outgoing,
    /// The peer did.
    Incoming,
}

/// How far a call is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// Sent, and nobody rings yet; a call that is `Trying` counts as ringing for [`CallState`].
    Trying,
    /// Rings, here or there.
    Ringing,
    /// Rings, and the peer sends audio.
    Early,
    /// Answered, and acknowledged when it came in.
    Established,
    /// On hold, by either side.
    Held,
    /// Over.
    Ended,
}

impl Phase {
    /// The word that scenarios see.
    pub const fn name(self) -> &'static str {
        match self {
            Phase::Trying => "trying",
            Phase::Ringing => "ringing",
            Phase::Early => "early",
            Phase::Established => "established",
            Phase::Held => "held",
            Phase::Ended => "ended",
        }
    }

    /// Answered and not over.
    pub const fn is_established(self) -> bool {
        matches!(self, Phase::Established | Phase::Held)
    }
}

/// The other side of a call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Peer {
    /// Its URI.
    pub uri: String,
    /// Its display name.
    pub name: Option<String>,
}

impl Peer {
    /// The user part of the URI, without parameters; of a `tel` URI the number.
    pub fn number(&self) -> Option<&str> {
        let (scheme, rest) = self.uri.split_once(':')?;
        let user = if scheme.eq_ignore_ascii_case("tel") {
            rest
        } else {
            rest.rsplit_once('@')?.0
        };
        let user = user.split([';', ':']).next().unwrap_or(user);
        (!user.is_empty()).then_some(user)
    }
}

/// Figures of a call's audio. A figure is there only when it was measured, so that no assertion passes on a default.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Quality {
    /// Mean opinion score by the E-model, 1 to 4.5; after 1 s of RTP.
    pub mos: Option<f64>,
    /// Round trip in milliseconds; after an RTCP round trip.
    pub rtt_ms: Option<f64>,
    /// Interarrival jitter in milliseconds; after 1 s of RTP.
    pub jitter_ms: Option<f64>,
    /// Packets lost, in percent; after 1 s of RTP.
    pub packet_loss_pct: Option<f64>,
    /// The codec, as in `PCMU`.
    pub codec: Option<String>,
    /// RTP packets sent.
    pub packets_sent: u64,
    /// RTP packets received.
    pub packets_received: u64,
}

/// Message waiting (RFC 3842).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MessagesWaiting {
    /// Something waits.
    pub waiting: bool,
    /// New messages, if it said so.
    pub new: Option<u32>,
    /// Old messages, if it said so.
    pub old: Option<u32>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_a_peer_is_the_user_part() {
        let number = |uri: &str| {
            let peer = Peer {
                uri: uri.to_owned(),
                name: None,
            };
            peer.number().map(str::to_owned)
        };
        assert_eq!(number("sip:bob@example.com:5080"), Some("bob".to_owned()));
        assert_eq!(
            number("sip:+4930;phone-context=x:pw@example.com"),
            Some("+4930".to_owned())
        );
        assert_eq!(number("tel:+4930;ext=1"), Some("+4930".to_owned()));
        assert_eq!(number("sip:example.com"), None);
    }
}
