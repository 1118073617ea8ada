//! What is done with arbitrary bytes on media ports: nothing may panic, grow without bounds, or be said twice differently.

use std::net::SocketAddr;

use callwright_media::codec::Codec;
use callwright_media::plane::{Piece, Ports, Remote, SrtpKeys, Start, Track};
use callwright_media::rtp::{Header, Packet};
use callwright_media::srtp::{Inbound, MasterKey, Outbound, Suite};
use callwright_media::{Command, Event, Plane, PlaneConfig, rtcp};
use callwright_wire::{Epoch, Seed, SocketId, Time};

const RTP: SocketId = SocketId(0);
const RTCP: SocketId = SocketId(1);

/// A datagram taken for RTP: what was read is written as the same bytes, and as the same values.
pub(crate) fn rtp(data: &[u8]) {
    session(data, None);
    let Ok(packet) = Packet::parse(data) else { return };
    let sources: Vec<u32> = packet.csrc().collect();
    let header = Header {
        version: 2,
        marker: packet.marker(),
        payload_type: packet.payload_type(),
        sequence: packet.sequence(),
        timestamp: packet.timestamp(),
        ssrc: packet.ssrc(),
        csrc: &sources,
        extension: packet.extension(),
        padding: packet.padding() as u8,
    };
    let mut buffer = vec![0; header.packet_length(packet.payload().len())];
    assert_eq!(header.write(packet.payload(), &mut buffer), Some(data.len()));
    // Padding may be anything; all before it is the same.
    let same = data.len() - packet.padding();
    assert_eq!(buffer[..same], data[..same]);
}

/// A datagram taken for RTCP.
pub(crate) fn rtcp(data: &[u8]) {
    let mut items = 0;
    let _ = rtcp::read(data, |_| items += 1);
    assert!(items <= data.len());
}

/// A datagram under SRTP: what was sealed is opened once, what was not is never opened.
pub(crate) fn srtp(data: &[u8]) {
    for suite in [Suite::AesCm128HmacSha1_80, Suite::AesCm128HmacSha1_32] {
        let key = MasterKey::new(suite, &[7; 30]);
        let (mut outbound, mut inbound) = (Outbound::new(&key), Inbound::new(&key));
        let mut clear = vec![0; data.len() + 32];
        assert!(inbound.open_rtp(data, &mut clear).is_err());
        assert!(inbound.open_rtcp(data, &mut clear).is_err());
        let mut sealed = data.to_vec();
        sealed.resize(data.len() + 32, 0);
        if let Ok(length) = outbound.seal_rtp(&mut sealed, data.len()) {
            assert_eq!(inbound.open_rtp(&sealed[..length], &mut clear), Ok(data.len()));
            assert_eq!(clear[..data.len()], *data);
            assert!(inbound.open_rtp(&sealed[..length], &mut clear).is_err());
        }
        sealed[..data.len()].copy_from_slice(data);
        if let Ok(length) = outbound.seal_rtcp(&mut sealed, data.len()) {
            assert_eq!(inbound.open_rtcp(&sealed[..length], &mut clear), Ok(data.len()));
            assert_eq!(clear[..data.len()], *data);
        }
        session(data, Some(key));
    }
}

/// A session under a stream of datagrams: each is a length, a time, a port, and as many bytes.
fn session(mut data: &[u8], key: Option<MasterKey>) {
    let mut plane = Plane::new(
        Time::ZERO,
        PlaneConfig {
            epoch: Epoch::SIMULATED,
        },
    );
    let ports = Ports { rtp: RTP, rtcp: RTCP };
    let session = plane.open(ports, &mut Seed::from_number(1).stream());
    let from: SocketAddr = ([192, 0, 2, 1], 4_000).into();
    let mut start = Start::new(Codec::Pcmu, 0);
    start.remote = Some(Remote {
        rtp: from,
        rtcp: from,
    });
    start.telephone_event_receive = Some(101);
    start.srtp = key.map(|key| SrtpKeys {
        send: key.clone(),
        receive: Some(key),
    });
    let mut now = Time::ZERO;
    for command in [
        Command::Start(Box::new(start)),
        Command::Listen { hz: 1_000.0 },
        Command::ListenDtmf(true),
        Command::Record(true),
    ] {
        plane
            .command(now, session, command)
            .expect("a command that can be carried out");
    }
    let recording = plane.begin_recording(now);
    plane
        .record_from(recording, Track::Left, Some(session))
        .expect("both are open");
    let (mut datagrams, mut digits, mut recorded) = (0, 0, 0);
    let mut buffer = [0; 1_500];
    while let [length, wait, rest @ ..] = data {
        let (datagram, behind) = rest.split_at(rest.len().min(usize::from(*length)));
        data = behind;
        now += std::time::Duration::from_millis(u64::from(*wait));
        let socket = if wait & 1 == 0 { RTP } else { RTCP };
        plane.handle_packet(now, socket, from, datagram);
        plane.handle_timeout(now);
        while plane.poll_transmit(now, &mut buffer).is_some() {}
        while let Some((_, event)) = plane.poll_event() {
            digits += u32::from(matches!(event, Event::Digit { .. }));
        }
        recorded += frames(&mut plane);
        datagrams += 1;
    }
    assert!(digits <= datagrams * 2);
    // Whatever came: a recording lasts as long as it does, 8,000 frames a second.
    let lasted = now.as_nanos() / 125_000;
    assert_eq!(plane.end_recording(now, recording), Some(lasted));
    assert_eq!(recorded + frames(&mut plane), lasted);
    let stats = plane.close(now, session).expect("an open session");
    assert!(stats.received.packets <= u64::from(datagrams));
    assert!(stats.mos.is_none_or(|mos| (1.0..=4.5).contains(&mos)));
}

/// The frames of the pieces that wait.
fn frames(plane: &mut Plane) -> u64 {
    let mut frames = 0;
    while let Some((_, piece)) = plane.poll_recorded() {
        frames += match piece {
            Piece::Samples(samples) => samples.len() as u64 / 2,
            Piece::Silence { frames } | Piece::Missing { frames } => frames,
            Piece::End { .. } => 0,
        };
    }
    frames
}
