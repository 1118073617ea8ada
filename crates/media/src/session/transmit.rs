//! What a session sends, and when.

use std::net::SocketAddr;
use std::time::Duration;

use callwright_wire::{SocketId, Time};

use super::incoming::Hearing;
use super::outgoing::MAX_FRAME;
use super::report::OwnStream;
use super::{Clear, Session, Sink};
use crate::plane::{Crossing, Event, Lateness};

/// Woken later than this, a session skips what it missed instead of sending it late.
const TOO_LATE: Duration = Duration::from_millis(60);

/// A datagram to send.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Transmit {
    pub(crate) socket: SocketId,
    pub(crate) to: SocketAddr,
    pub(crate) length: usize,
}

impl Session {
    /// The next datagram that is due at `now`; `None` when there is none until [`Session::wakes_next`].
    /// `lateness` takes packets of audio, sent and skipped; RTCP has no time at which it must go.
    pub(crate) fn transmit(
        &mut self,
        now: Time,
        buffer: &mut [u8],
        clear: &mut Clear,
        lateness: &mut Lateness,
        sink: &mut Sink<'_>,
    ) -> Option<Transmit> {
        self.sleep_in(now);
        self.finish_parting();
        while self.due <= now {
            self.skip_what_is_too_late(now, lateness, sink);
            let late = now - self.due;
            let mut samples = [0; MAX_FRAME];
            let frame = &mut samples[..self.outgoing.ticks() as usize];
            let to = self.latch.rtp().filter(|_| self.sends() && self.bridge.is_none());
            let mut length = None;
            if to.is_some() {
                let sending = self.outgoing.send(frame, buffer);
                length = sending.packet;
                if sending.play_ended {
                    sink.tell(Event::PlayEnded);
                }
                if sending.announced {
                    sink.tell(Event::Announced);
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
                    lateness.record(late);
                    return Some(Transmit {
                        socket: self.ports.rtp,
                        to,
                        length,
                    });
                }
            }
        }
        self.report_if_due(now, false, buffer, clear)
    }

    /// Sends a packet that crossed a bridge.
    pub(crate) fn send_on(
        &mut self,
        crossing: &Crossing,
        buffer: &mut [u8],
        clear: &mut Clear,
    ) -> Option<Transmit> {
        self.finish_parting();
        let to = self.latch.rtp().filter(|_| self.sends());
        let length = to.and_then(|_| self.outgoing.send_on(crossing, buffer));
        let (Some(to), Some(length)) = (to, length) else {
            self.outgoing.counts.not_relayed += 1;
            return None;
        };
        let length = match &mut self.security {
            None => length,
            Some(security) => security.seal_rtp(buffer, length, clear)?,
        };
        Some(Transmit {
            socket: self.ports.rtp,
            to,
            length,
        })
    }

    fn skip_what_is_too_late(&mut self, now: Time, lateness: &mut Lateness, sink: &mut Sink<'_>) {
        let late = now - self.due;
        if late <= TOO_LATE {
            return;
        }
        let interval = self.outgoing.interval();
        let missed = u64::try_from(late.as_nanos() / interval.as_nanos()).unwrap_or(u64::MAX);
        let sending = self.sends() && self.bridge.is_none() && self.latch.rtp().is_some();
        if sending {
            lateness.record_series(late, interval, missed);
        }
        let skipped = self.outgoing.skip(missed, sending);
        if skipped.play_ended {
            sink.tell(Event::PlayEnded);
        }
        if skipped.announced {
            sink.tell(Event::Announced);
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
        Some(Transmit { socket, to, length })
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
}
