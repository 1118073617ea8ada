//! What a session does with a datagram.

use std::net::SocketAddr;

use callwright_wire::Time;

use super::incoming::Hearing;
use super::latch::Verdict;
use super::{Clear, Room, Session, Sink};
use crate::plane::{Crossing, Event};
use crate::rtp::{self, Kind, Packet};

/// Longer datagrams are no telephone audio: they are not looked at.
const MAX_DATAGRAM: usize = 2_048;

impl Session {
    /// Takes a datagram.
    pub(crate) fn receive(
        &mut self,
        now: Time,
        from: SocketAddr,
        on_rtcp_port: bool,
        datagram: &[u8],
        room: &mut Room<'_>,
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
            (Kind::Rtcp, _) => self.receive_rtcp(now, from, datagram, room.clear, sink),
            (Kind::Rtp, false) => self.receive_rtp(now, from, datagram, room, sink),
            (Kind::Rtp, true) | (Kind::Other, _) => self.incoming.refused.malformed += 1,
        }
    }

    fn receive_rtp(
        &mut self,
        now: Time,
        from: SocketAddr,
        datagram: &[u8],
        room: &mut Room<'_>,
        sink: &mut Sink<'_>,
    ) {
        let bytes = match &mut self.security {
            None => datagram,
            Some(security) => match security.open_rtp(datagram, room.clear) {
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
        let taken = self.incoming.packet(now, &packet, &mut hearing);
        if let (Some(to), false, Some(cargo)) = (self.bridge, deaf, taken) {
            let mut payload = room.relay.buffer();
            payload.extend_from_slice(packet.payload());
            room.relay.push(Crossing {
                to,
                cargo,
                marker: packet.marker(),
                ssrc: packet.ssrc(),
                sequence: packet.sequence(),
                timestamp: packet.timestamp(),
                payload,
            });
        }
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
}
