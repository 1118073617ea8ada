//! The rules of SIP, SDP and RTP that can be judged from what passes on the wire, while it passes.
//!
//! [`Rules`] takes every packet of a run in order of time, as the tap of a world shows it, and judges each [`Rule`] where its
//! precondition holds. Like an engine it is a value without clock: the same packets give the same violations.
//!
//! ```
//! # use callwright_capture::rules::{Rules, RulesConfig};
//! # use callwright_wire::Time;
//! let mut rules = Rules::new(RulesConfig::default());
//! // For each packet: rules.observe(&record);
//! rules.advance(Time::from_secs(40));
//! rules.finish(Time::from_secs(40), &[]);
//! for violation in rules.take_violations() {
//!     println!("{violation}");
//! }
//! for tally in rules.tally() {
//!     assert!(!tally.is_idle(), "{tally}");
//! }
//! ```
//!
//! A packet that is lost changes what can be asked of whoever did not get it, so each rule says when it is judged
//! ([`Rule::precondition`]), and a [`Tally`] counts how often that was: its subjects, those that were excused, and the checks that
//! were made. What was done to the world on purpose is told by [`Rules::disturbed`], and who may break rules by
//! [`RulesConfig::allow_illegal`].
//!
//! Memory is limited by the fields `max_…` of [`RulesConfig`]: the oldest is forgotten, and counts as excused.

mod call;
mod config;
mod connection;
mod form;
pub(crate) mod heard;
mod ledger;
mod media;
mod offer;
mod parties;
mod rule;
mod signalling;
mod transaction;

use std::time::Duration;

use callwright_media::rtp::{self, Kind};
use callwright_sip_message::{Datagram, Limits, Message, classify};
use callwright_wire::{Carrier, Residue, TapRecord, Time};

pub use config::RulesConfig;
pub use ledger::Violation;
pub use parties::Disturbance;
pub use rule::{Rule, Tally};

use connection::{Connections, Piece};
use heard::{Heard, Passage};
use ledger::{Blame, Ledger};
use media::Media;
use parties::Parties;
use signalling::Signalling;

/// All rules over one run.
#[derive(Debug)]
pub struct Rules {
    config: RulesConfig,
    parties: Parties,
    connections: Connections,
    signalling: Signalling,
    media: Media,
    ledger: Ledger,
    found: Vec<Piece>,
}

impl Rules {
    /// Rules that have seen nothing yet.
    pub fn new(config: RulesConfig) -> Self {
        Rules {
            parties: Parties::new(config.exempt.clone(), config.max_addresses),
            connections: Connections::new(config.max_addresses),
            signalling: Signalling::new(&config),
            media: Media::new(config.max_media_streams),
            ledger: Ledger::new(config.max_violations),
            found: Vec::new(),
            config,
        }
    }

    /// From now on a party may break rules on purpose, as by [`RulesConfig::allow_illegal`].
    pub fn exempt(&mut self, party: u32) {
        self.parties.exempt(party);
    }

    /// A packet that arrives may take this long from now on, unless that is less than before.
    pub fn allow_transit(&mut self, transit: Duration) {
        self.config.transit = self.config.transit.max(transit);
    }

    /// Takes a packet: each once, in order of time. Judges first what was due before it.
    ///
    /// Of a packet that was not seen where it was sent ([`callwright_wire::Fate::Received`]) it is not known what the network
    /// did before: the order and the gaps of RTP are not judged then.
    pub fn observe(&mut self, record: &TapRecord) {
        self.advance(record.time);
        match record.carrier {
            Carrier::Udp => self.observe_datagram(record),
            Carrier::SrtpClear => self.observe_media(record),
            Carrier::Tcp | Carrier::TlsClear => self.observe_stream(record),
        }
    }

    /// Something was done to the world: what it touches is excused.
    pub fn disturbed(&mut self, now: Time, disturbance: Disturbance) {
        self.advance(now);
        match disturbance {
            Disturbance::PartyCrashed { party } => {
                self.signalling
                    .forget_party(party, &self.parties, &mut self.ledger);
                self.connections.forget(party);
                self.media.forget(party);
                self.parties.is_gone(party);
            }
            Disturbance::PartyRestarted { party } => self.parties.is_back(party),
            Disturbance::PartyLeft { party } => {
                self.signalling.excuse_open(party, &self.parties);
                self.connections.forget(party);
                self.parties.is_gone(party);
            }
            Disturbance::PathCut { a, b } => {
                self.parties.cut(a, b);
                self.signalling.excuse_between(a, b, &self.parties);
            }
            Disturbance::PathsHealed => self.parties.heal(),
        }
    }

    /// Time passes: judges what is due.
    pub fn advance(&mut self, now: Time) {
        self.signalling
            .advance(now, &self.config, &self.parties, &mut self.ledger);
        self.media.advance(now, &mut self.ledger);
    }

    /// Everything is over, and had the time to end: judges what is still open, and what each party still holds.
    pub fn finish(&mut self, now: Time, residues: &[(u32, String, Residue)]) {
        self.advance(now);
        self.signalling
            .finish(now, &self.config, &self.parties, &mut self.ledger);
        self.media.finish(&mut self.ledger);
        for (party, name, residue) in residues {
            self.ledger
                .check(Rule::NothingLeft, *residue == Residue::default(), || Blame {
                    at: now,
                    party: *party,
                    message: format!("what {name} holds when everything is over"),
                    detail: format!("it still has {}", what_is_left(residue)),
                    call_id: None,
                    reference: Rule::NothingLeft.reference(),
                });
        }
    }

    /// The violations that nobody took yet, in order of time.
    pub fn violations(&self) -> &[Violation] {
        &self.ledger.violations
    }

    /// Takes the violations.
    pub fn take_violations(&mut self) -> Vec<Violation> {
        std::mem::take(&mut self.ledger.violations)
    }

    /// Violations beyond [`RulesConfig::max_violations`], and payload types that one address sends to another again and again:
    /// only counted.
    pub fn violations_not_kept(&self) -> u64 {
        self.ledger.not_kept
    }

    /// How often each rule was looked at, in the order of [`Rule::ALL`].
    pub fn tally(&self) -> Vec<Tally> {
        self.ledger.tally()
    }

    fn observe_datagram(&mut self, record: &TapRecord) {
        // Most datagrams are RTP: the first byte of SIP is never above 127.
        if record.bytes.first().is_some_and(|first| *first >= 0x80) {
            self.observe_media(record);
            return;
        }
        if classify(&record.bytes) != Datagram::Sip {
            return;
        }
        let passage = Passage::of(record, false, false);
        let exempt = self.parties.is_exempt(record.party);
        match Message::parse(record.bytes.clone(), &Limits::default()) {
            Ok(message) => {
                let lead = record
                    .bytes
                    .iter()
                    .take_while(|byte| matches!(byte, b'\r' | b'\n'))
                    .count();
                let behind = record.bytes.len() - lead - message.raw().len();
                self.observe_message(&message, passage, behind);
            }
            Err(error) if !exempt => form::blame_datagram(&mut self.ledger, error.to_string(), &passage),
            Err(_) => {}
        }
    }

    fn observe_stream(&mut self, record: &TapRecord) {
        let mut found = std::mem::take(&mut self.found);
        self.connections.read(
            record.time,
            record.party,
            (record.source, record.destination),
            &record.bytes,
            &mut found,
        );
        let passage = Passage::of(record, true, record.carrier == Carrier::TlsClear);
        for piece in found.drain(..) {
            match piece {
                Piece::Message(message) => self.observe_message(&message, passage, 0),
                Piece::Broken(error) if !self.parties.is_exempt(record.party) => {
                    form::blame_stream(&mut self.ledger, &error, &passage);
                }
                Piece::Broken(_) => {}
            }
        }
        self.found = found;
    }

    fn observe_message(&mut self, message: &Message, passage: Passage, behind: usize) {
        self.parties.speaks(passage.party, passage.source, passage.time);
        if passage.reliable {
            self.parties
                .streams(passage.source, passage.destination, passage.time);
        }
        // A response repeats what its request said, right or wrong.
        let mirrors = message.is_response() && self.parties.is_exempt_at(passage.destination);
        if !self.parties.is_exempt(passage.party) && !mirrors {
            form::check_message(&mut self.ledger, message, &passage, behind);
        }
        let Some(heard) = Heard::read(message, passage) else {
            return;
        };
        if let Some(session) = &heard.description {
            self.media
                .describe(session, passage.time, passage.source, passage.destination);
        }
        self.signalling
            .hear(&heard, &self.config, &self.parties, &mut self.ledger);
    }

    fn observe_media(&mut self, record: &TapRecord) {
        if rtp::classify(&record.bytes) == Kind::Rtp {
            let exempt = self.parties.is_exempt(record.party);
            self.media.hear(record, &self.config, exempt, &mut self.ledger);
        }
    }
}

fn what_is_left(residue: &Residue) -> String {
    let Residue {
        dialogs,
        transactions,
        timers,
        sockets,
        connections,
        media_sessions,
    } = *residue;
    [
        ("dialogs", dialogs),
        ("transactions", transactions),
        ("timers", timers),
        ("sockets", sockets),
        ("connections", connections),
        ("media sessions", media_sessions),
    ]
    .into_iter()
    .filter(|(_, count)| *count > 0)
    .map(|(what, count)| format!("{count} {what}"))
    .collect::<Vec<_>>()
    .join(", ")
}
