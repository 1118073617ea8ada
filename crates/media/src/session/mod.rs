//! One media session: everything between a pair of sockets and a call.

mod announcer;
mod carried;
mod digits;
mod ears;
mod evidence;
mod incoming;
mod latch;
mod listeners;
mod outgoing;
mod player;
mod quality;
mod receive;
mod recorder;
mod report;
mod security;
mod sink;
mod transmit;

use std::time::Duration;

use callwright_sdp::Direction;
use callwright_wire::{Entropy, Epoch, Time};

use self::ears::Ears;
use self::incoming::Incoming;
use self::latch::Latch;
use self::outgoing::Outgoing;
use self::report::Reporting;
use self::security::Security;
use crate::plane::{Command, CommandError, Event, Ports, RecordingId, Relay, SessionId, Start, Stats, Track};

/// How much later than at each interval a session is woken at least that sends nothing by itself.
const NAP: Duration = Duration::from_millis(80);
/// Such sessions wake at multiples of this: a world with many of them is not woken each millisecond.
const TOGETHER: Duration = Duration::from_millis(20);

pub use self::evidence::LastHeard;
pub(crate) use self::security::Clear;
pub(crate) use self::sink::Sink;

/// A media session.
///
/// Its fields, and those of its larger parts, stand in memory as they do here: what each packet of a stream needs is together and
/// in front. With thousands of sessions nothing of one is in the cache when its next packet comes, and each line that it touches
/// costs as much as all that is computed.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Session {
    id: SessionId,
    ports: Ports,
    direction: Option<Direction>,
    rtcp_mux: bool,
    /// It is looked at next.
    listed: bool,
    /// What crosses to it comes from elsewhere, or nowhere, since it was looked at.
    parts: bool,
    told_first_packet: bool,
    /// Who sends what this one receives, and receives what this one sends.
    bridge: Option<SessionId>,
    security: Option<Box<Security>>,
    /// When the next interval ends.
    due: Time,
    /// When the plane wakes it; `Time::NEVER`: it rests until something is done with it.
    wakes: Time,
    /// Where it is in the plane's wheel; what that still has of it elsewhere counts for nothing.
    slot: u64,
    latch: Latch,
    outgoing: Outgoing,
    incoming: Incoming,
    ears: Ears,
    reporting: Reporting,
}

/// What it means that the wheel has come to a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Woken {
    /// Nothing: it was put elsewhere meanwhile, or is listed.
    No,
    /// Its time has come.
    InTime,
    /// It was put where it is because its time was too far ahead.
    Early,
}

/// What a datagram may need beside the session.
#[derive(Debug)]
pub(crate) struct Room<'a> {
    /// Where its clear text goes when it was encrypted.
    pub(crate) clear: &'a mut Clear,
    /// Where it goes when the session is joined to another.
    pub(crate) relay: &'a mut Relay,
}

impl Session {
    /// Does not remember what is heard.
    pub(crate) fn keep_nothing(&mut self) {
        self.ears.keep_nothing();
    }

    pub(crate) fn new(id: SessionId, ports: Ports, epoch: Epoch, entropy: &mut Entropy) -> Self {
        Session {
            id,
            ports,
            direction: None,
            rtcp_mux: false,
            latch: Latch::default(),
            outgoing: Outgoing::new(entropy),
            incoming: Incoming::default(),
            ears: Ears::default(),
            reporting: Reporting::new(epoch, entropy),
            security: None,
            due: Time::NEVER,
            wakes: Time::ZERO,
            slot: 0,
            listed: false,
            parts: false,
            told_first_packet: false,
            bridge: None,
        }
    }

    pub(crate) fn id(&self) -> SessionId {
        self.id
    }

    pub(crate) fn ports(&self) -> Ports {
        self.ports
    }

    pub(crate) fn bridge(&self) -> Option<SessionId> {
        self.bridge
    }

    /// Joins the session to another, or parts it. Where it slept, its own stream first has to catch up.
    pub(crate) fn join(&mut self, other: Option<SessionId>) {
        if self.bridge != other {
            self.bridge = other;
            self.parts = true;
            if self.wakes <= self.due {
                self.finish_parting();
            }
        }
    }

    /// What is sent next goes on where the stream is.
    pub(crate) fn finish_parting(&mut self) {
        if std::mem::take(&mut self.parts) {
            self.outgoing.part();
        }
    }

    /// The intervals that it slept through were not to be used: only the last one is looked at.
    pub(crate) fn sleep_in(&mut self, now: Time) {
        let until = self.wakes.min(now);
        if self.due < until {
            let interval = self.outgoing.interval();
            let intervals = (until.since(self.due).as_nanos() / interval.as_nanos()) as u32;
            self.outgoing.skip(intervals.into(), false);
            self.due += interval * intervals;
        }
    }

    /// What is received goes on a track of a recording.
    pub(crate) fn put_on(&mut self, track: (RecordingId, Track)) {
        self.ears.put_on(track);
    }

    /// It no longer does.
    pub(crate) fn take_track(&mut self) -> Option<(RecordingId, Track)> {
        self.ears.take_track()
    }

    pub(crate) fn is_started(&self) -> bool {
        self.direction.is_some()
    }

    /// When the session wants to be woken next: at its next interval. What is joined to another sends nothing by itself, and has
    /// only reports to write and gaps to give up: it is woken less often, and together with others. So is what has nobody to send to
    /// while it rings: what plays waits.
    ///
    /// `None`: not before something is done with it. What is joined to another and inactive, and was so from the beginning, has
    /// nothing to do as time goes by.
    pub(crate) fn wakes_next(&mut self) -> Option<Time> {
        let silent = self.outgoing.counts.packets == 0 && self.incoming.source().is_none();
        let alone = silent && self.latch.rtp().is_none();
        let idle = (self.bridge.is_some() || alone) && !self.ears.is_recording();
        let rests = self.bridge.is_some() && idle && silent && self.direction == Some(Direction::Inactive);
        self.wakes = match (rests, idle) {
            (true, _) => Time::NEVER,
            (false, true) => (self.due + NAP).next_multiple_of(TOGETHER),
            (false, false) => self.due,
        };
        self.listed = false;
        Some(self.wakes).filter(|_| !rests)
    }

    /// It is woken by what was done with it: what it slept through was not to be used, and what is sent by itself begins with the next
    /// interval, in its phase.
    pub(crate) fn wake_up(&mut self, now: Time) {
        if self.wakes > self.due {
            self.wakes = Time::NEVER;
            self.sleep_in(now);
            if self.due < now {
                self.outgoing.skip(1, false);
                self.due += self.outgoing.interval();
            }
        }
        self.finish_parting();
    }

    /// It was put in this slot of the wheel.
    pub(crate) fn wakes_in(&mut self, slot: u64) {
        self.slot = slot;
    }

    /// The wheel has come to it in a slot; unless it is not there any more, it is to be listed.
    pub(crate) fn woken(&mut self, slot: u64, now: Time) -> Woken {
        if self.listed || self.slot != slot {
            return Woken::No;
        }
        self.listed = true;
        if self.wakes <= now {
            Woken::InTime
        } else {
            Woken::Early
        }
    }

    /// Whether it rested, or slept for want of somebody to send to: it is to be listed then, since something was done with it.
    pub(crate) fn rouse(&mut self) -> bool {
        (self.wakes == Time::NEVER || self.bridge.is_none()) && self.rouse_from_nap()
    }

    /// Whether it slept longer than to its next interval: it is to be listed then, since it may have a use for that.
    pub(crate) fn rouse_from_nap(&mut self) -> bool {
        let sleeps = !self.listed && self.wakes > self.due;
        self.listed |= sleeps;
        sleeps
    }

    /// Carries out a command; `first` is the time of the first interval, for a session that starts.
    pub(crate) fn command(
        &mut self,
        now: Time,
        command: Command,
        first: Time,
        sink: &mut Sink<'_>,
    ) -> Result<(), CommandError> {
        match command {
            Command::Start(start) => {
                self.start(&start, first);
                Ok(())
            }
            Command::Stop => {
                if self.is_started() {
                    self.direction = Some(Direction::Inactive);
                    self.latch.describe(None);
                }
                Ok(())
            }
            Command::Play(source) => self.outgoing.play(source),
            Command::Announce(announcement) => {
                self.outgoing.announce(announcement);
                Ok(())
            }
            Command::Mute(muted) => {
                self.outgoing.mute(muted);
                Ok(())
            }
            Command::Dtmf(dtmf) => {
                self.outgoing.dtmf(&dtmf)?;
                if self.outgoing.has_no_digits() {
                    sink.tell(Event::DtmfSent);
                }
                Ok(())
            }
            Command::Listen { .. }
            | Command::Unlisten { .. }
            | Command::ListenSilence { .. }
            | Command::UnlistenSilence
            | Command::ListenDtmf(_)
            | Command::Record(_) => self.ears.command(now, &command, sink),
        }
    }

    fn start(&mut self, start: &Start, first: Time) {
        if !self.is_started() {
            self.due = first;
            self.wakes = first;
            self.listed = true;
        }
        self.direction = Some(start.direction);
        self.rtcp_mux = start.rtcp_mux;
        self.latch.describe(start.remote);
        self.outgoing.start(start);
        self.incoming.start(start);
        Security::renew(&mut self.security, start.srtp.as_ref());
    }

    pub(crate) fn stats(&self) -> Stats {
        let mut received = self.incoming.received();
        received.rtcp_packets = self.reporting.received;
        let mut sent = self.outgoing.counts.clone();
        sent.rtcp_packets = self.reporting.sent;
        let mos = quality::mos(&received, self.reporting.round_trip);
        Stats {
            sent,
            received,
            refused: self.incoming.refused.clone(),
            remote: self.reporting.remote,
            round_trip: self.reporting.round_trip,
            mos,
        }
    }

    pub(crate) fn ears(&self) -> &Ears {
        &self.ears
    }

    /// What was heard last, of a session that was closed.
    pub(crate) fn into_heard(self) -> LastHeard {
        self.ears.into_heard()
    }

    fn sends(&self) -> bool {
        let direction = matches!(self.direction, Some(Direction::SendRecv | Direction::SendOnly));
        direction && self.outgoing.is_ready()
    }

    fn receives(&self) -> bool {
        matches!(self.direction, Some(Direction::SendRecv | Direction::RecvOnly))
    }
}
