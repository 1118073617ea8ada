//! One media session: everything between a pair of sockets and a call.

mod digits;
mod ears;
mod evidence;
mod incoming;
mod latch;
mod listeners;
mod outgoing;
mod player;
mod quality;
mod recorder;
mod report;
mod security;
mod sink;

use std::net::SocketAddr;
use std::time::Duration;

use callwright_sdp::Direction;
use callwright_wire::{Entropy, Epoch, SocketId, Time};

use self::ears::Ears;
use self::incoming::{Hearing, Incoming};
use self::latch::{Latch, Verdict};
use self::outgoing::{MAX_FRAME, Outgoing};
use self::report::{OwnStream, Reporting};
use self::security::Security;
use crate::plane::{Command, CommandError, Event, Ports, Start, Stats};
use crate::rtp::{self, Kind, Packet};

pub(crate) use self::security::Clear;
pub(crate) use self::sink::Sink;

/// Woken later than this, a session skips what it missed instead of sending it late.
const TOO_LATE: Duration = Duration::from_millis(60);
/// Longer datagrams are no telephone audio: they are not looked at.
const MAX_DATAGRAM: usize = 2_048;

/// A datagram to send.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Transmit {
    pub(crate) socket: SocketId,
    pub(crate) to: SocketAddr,
    pub(crate) length: usize,
    /// How late a packet of audio is; RTCP has no time at which it must go.
    pub(crate) late: Option<Duration>,
}

/// A media session.
#[derive(Debug)]
pub(crate) struct Session {
    ports: Ports,
    direction: Option<Direction>,
    rtcp_mux: bool,
    latch: Latch,
    outgoing: Outgoing,
    incoming: Incoming,
    ears: Ears,
    reporting: Reporting,
    security: Option<Box<Security>>,
    /// When the next interval ends.
    due: Time,
    told_first_packet: bool,
}

impl Session {
    pub(crate) fn new(ports: Ports, epoch: Epoch, entropy: &mut Entropy) -> Self {
        Session {
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
            told_first_packet: false,
        }
    }

    pub(crate) fn ports(&self) -> Ports {
        self.ports
    }

    pub(crate) fn is_started(&self) -> bool {
        self.direction.is_some()
    }

    pub(crate) fn due(&self) -> Time {
        self.due
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
            Command::Play(source) => self.outgoing.play(source),
            Command::Mute(muted) => {
                self.outgoing.mute(muted);
                Ok(())
            }
            Command::Dtmf(dtmf) => self.outgoing.dtmf(&dtmf),
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
        }
        self.direction = Some(start.direction);
        self.rtcp_mux = start.rtcp_mux;
        self.latch.describe(start.remote);
        self.outgoing.start(start);
        self.incoming.start(start);
        Security::renew(&mut self.security, start.srtp.as_ref());
    }

    /// Takes a datagram; `clear` is where its clear text goes when it was encrypted.
    pub(crate) fn receive(
        &mut self,
        now: Time,
        from: SocketAddr,
        on_rtcp_port: bool,
        datagram: &[u8],
        clear: &mut Clear,
        sink: &mut Sink<'_>,
    ) {
        if !self.is_started() {
            self.incoming.refused.before_start += 1;
            return;
        }
        if datagram.len() > MAX_DATAGRAM {
            self.incoming.refused.malformed += 1;
            return;
        }
        match (rtp::classify(datagram), on_rtcp_port) {
            // RFC 5761 §5.1.1: who did not agree to share a port does not look for RTCP there; it is understood all the same.
            (Kind::Rtcp, _) => self.receive_rtcp(now, from, datagram, clear, sink),
            (Kind::Rtp, false) => self.receive_rtp(now, from, datagram, clear, sink),
            (Kind::Rtp, true) | (Kind::Other, _) => self.incoming.refused.malformed += 1,
        }
    }

    fn receive_rtp(
        &mut self,
        now: Time,
        from: SocketAddr,
        datagram: &[u8],
        clear: &mut Clear,
        sink: &mut Sink<'_>,
    ) {
        let bytes = match &mut self.security {
            None => datagram,
            Some(security) => match security.open_rtp(datagram, clear) {
                Ok(bytes) => bytes,
                Err(failure) => return failure.count(&mut self.incoming.refused),
            },
        };
        let Ok(packet) = Packet::parse(bytes) else {
            self.incoming.refused.malformed += 1;
            return;
        };
        let known = self.incoming.knows(packet.payload_type());
        let settled = self.latch.takes(from);
        if !known && !settled {
            self.incoming.refused.unknown_payload_type += 1;
            return;
        }
        let authenticated = self.security.is_some();
        match self
            .latch
            .judge(from, packet.ssrc(), packet.sequence(), authenticated)
        {
            Verdict::Taken => {}
            Verdict::Latched => sink.tell(Event::Latched { to: from }),
            Verdict::OnProbation | Verdict::Refused => {
                self.incoming.refused.wrong_source += 1;
                return;
            }
        }
        let deaf = !self.receives();
        let mut hearing = Hearing {
            ears: &mut self.ears,
            sink,
            deaf,
        };
        if known && !self.told_first_packet {
            self.told_first_packet = true;
            hearing.sink.tell(Event::FirstPacket { from });
        }
        self.incoming.packet(now, &packet, &mut hearing);
    }

    fn receive_rtcp(
        &mut self,
        now: Time,
        from: SocketAddr,
        datagram: &[u8],
        clear: &mut Clear,
        sink: &mut Sink<'_>,
    ) {
        let bytes = match &mut self.security {
            None => datagram,
            Some(security) => match security.open_rtcp(datagram, clear) {
                Ok(bytes) => bytes,
                Err(failure) => return failure.count(&mut self.incoming.refused),
            },
        };
        if !self.latch.judge_rtcp(from, self.security.is_some()) {
            self.incoming.refused.wrong_source += 1;
            return;
        }
        match self.reporting.read(now, self.outgoing.ssrc(), bytes) {
            Ok(true) => sink.tell(Event::RemoteBye),
            Ok(false) => {}
            Err(_) => self.incoming.refused.malformed += 1,
        }
    }

    /// The next datagram that is due at `now`; `None` when the session wants to be woken at [`Session::due`] again.
    pub(crate) fn transmit(
        &mut self,
        now: Time,
        buffer: &mut [u8],
        clear: &mut Clear,
        sink: &mut Sink<'_>,
    ) -> Option<Transmit> {
        while self.due <= now {
            self.skip_what_is_too_late(now, sink);
            let late = now - self.due;
            let mut samples = [0; MAX_FRAME];
            let frame = &mut samples[..self.outgoing.ticks() as usize];
            let to = self.latch.rtp().filter(|_| self.sends());
            let mut length = None;
            if to.is_some() {
                let sending = self.outgoing.send(frame, buffer);
                length = sending.packet;
                if sending.play_ended {
                    sink.tell(Event::PlayEnded);
                }
                if sending.dtmf_sent {
                    sink.tell(Event::DtmfSent);
                }
            } else {
                self.outgoing.pass(frame);
            }
            self.due += self.outgoing.interval();
            self.hear_time_go_by(now, frame, sink);
            if let (Some(to), Some(length)) = (to, length) {
                let length = match &mut self.security {
                    None => Some(length),
                    Some(security) => security.seal_rtp(buffer, length, clear),
                };
                if let Some(length) = length {
                    return Some(Transmit {
                        socket: self.ports.rtp,
                        to,
                        length,
                        late: Some(late),
                    });
                }
            }
        }
        self.report_if_due(now, false, buffer, clear)
    }

    fn skip_what_is_too_late(&mut self, now: Time, sink: &mut Sink<'_>) {
        let late = now - self.due;
        if late <= TOO_LATE {
            return;
        }
        let interval = self.outgoing.interval();
        let missed = u64::try_from(late.as_nanos() / interval.as_nanos()).unwrap_or(u64::MAX);
        let sending = self.sends() && self.latch.rtp().is_some();
        if self.outgoing.skip(missed, sending) {
            sink.tell(Event::PlayEnded);
        }
        self.due += Duration::from_nanos(missed.saturating_mul(interval.as_nanos() as u64));
    }

    fn hear_time_go_by(&mut self, now: Time, sent: &[i16], sink: &mut Sink<'_>) {
        let deaf = !self.receives();
        let mut hearing = Hearing {
            ears: &mut self.ears,
            sink,
            deaf,
        };
        self.incoming.expire(now, &mut hearing);
        self.ears.sent(sent, sink);
    }

    fn report_if_due(
        &mut self,
        now: Time,
        bye: bool,
        buffer: &mut [u8],
        clear: &mut Clear,
    ) -> Option<Transmit> {
        let (socket, to) = if self.rtcp_mux {
            (self.ports.rtp, self.latch.rtp()?)
        } else {
            (self.ports.rtcp, self.latch.rtcp()?)
        };
        let has_something_to_say = self.outgoing.counts.packets > 0 || self.incoming.source().is_some();
        if !has_something_to_say || !bye && !self.reporting.is_due(now) {
            return None;
        }
        let own = OwnStream {
            ssrc: self.outgoing.ssrc(),
            packets: self.outgoing.counts.packets,
            octets: self.outgoing.counts.octets,
            timestamp: self.outgoing.timestamp(),
        };
        let source = self.incoming.source();
        let length = self.reporting.write(now, own, source, bye, buffer)?;
        let length = match &mut self.security {
            None => length,
            Some(security) => security.seal_rtcp(buffer, length, clear)?,
        };
        Some(Transmit {
            socket,
            to,
            length,
            late: None,
        })
    }

    /// Ends the session: what waits is heard, the recording is handed over, and goodbye is written into `buffer`.
    pub(crate) fn close(
        &mut self,
        now: Time,
        buffer: &mut [u8],
        clear: &mut Clear,
        sink: &mut Sink<'_>,
    ) -> Option<Transmit> {
        let deaf = !self.receives();
        self.incoming.finish(&mut Hearing {
            ears: &mut self.ears,
            sink,
            deaf,
        });
        self.ears.finish(sink);
        self.report_if_due(now, true, buffer, clear)
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

    fn sends(&self) -> bool {
        let direction = matches!(self.direction, Some(Direction::SendRecv | Direction::SendOnly));
        direction && self.outgoing.is_ready()
    }

    fn receives(&self) -> bool {
        matches!(self.direction, Some(Direction::SendRecv | Direction::RecvOnly))
    }
}
