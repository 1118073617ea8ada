//! Two sessions of one plane joined: what one receives the other sends.

use std::net::SocketAddr;
use std::time::Duration;

use callwright_media::codec::Codec;
use callwright_media::plane::{Ports, Remote, SendFormat, Start};
use callwright_media::rtp::{Header, Packet};
use callwright_media::{Command, CommandError, Event, Plane, PlaneConfig, SessionId};
use callwright_sdp::Direction;
use callwright_wire::{Epoch, SocketId, Time};

use crate::pair::{entropy, millis, tone};

/// A phone on each side of the plane, with what it received.
struct Middle {
    now: Time,
    plane: Plane,
    sessions: [SessionId; 2],
    out: Vec<(Time, SocketId, SocketAddr, Vec<u8>)>,
}

const LEFT: usize = 0;
const RIGHT: usize = 1;

fn rtp_socket(side: usize) -> SocketId {
    SocketId(2 * side as u32)
}

fn phone(side: usize) -> SocketAddr {
    ([192, 0, 2, 10 + side as u8], 30_000).into()
}

fn start(side: usize, codec: Codec, event: Option<u8>) -> Start {
    let rtcp = SocketAddr::new(phone(side).ip(), 30_001);
    Start {
        remote: Some(Remote {
            rtp: phone(side),
            rtcp,
        }),
        send: Some(SendFormat {
            codec,
            payload_type: codec.payload_type(),
        }),
        receive: vec![(0, Codec::Pcmu), (8, Codec::Pcma)],
        telephone_event_send: event,
        telephone_event_receive: event,
        ..Start::new(codec, codec.payload_type())
    }
}

impl Middle {
    fn joined(left: Start, right: Start) -> Middle {
        let mut middle = Middle::opened(Time::from_secs(1));
        middle.begin([left, right]);
        middle
    }

    /// Two sessions that were not started.
    fn opened(now: Time) -> Middle {
        let epoch = Epoch::SIMULATED;
        let mut plane = Plane::new(now, PlaneConfig { epoch });
        let sessions = [LEFT, RIGHT].map(|side| {
            let rtp = rtp_socket(side);
            let ports = Ports {
                rtp,
                rtcp: SocketId(rtp.0 + 1),
            };
            plane.open(ports, &mut entropy(["left", "right"][side]))
        });
        Middle {
            now,
            plane,
            sessions,
            out: Vec::new(),
        }
    }

    /// Starts both, and joins them.
    fn begin(&mut self, starts: [Start; 2]) {
        for (session, start) in self.sessions.into_iter().zip(starts) {
            self.plane
                .command(self.now, session, Command::Start(Box::new(start)))
                .expect("it starts");
        }
        let [left, right] = self.sessions;
        self.plane.bridge(left, right).expect("both are open");
    }

    /// Both phones speak µ-law, with telephone-events 101 and 96.
    fn alike() -> Middle {
        Middle::joined(
            start(LEFT, Codec::Pcmu, Some(101)),
            start(RIGHT, Codec::Pcmu, Some(96)),
        )
    }

    fn drain(&mut self) {
        let mut buffer = [0; 1_500];
        while let Some((socket, to, length)) = self.plane.poll_transmit(self.now, &mut buffer) {
            self.out.push((self.now, socket, to, buffer[..length].to_vec()));
        }
    }

    /// Time goes by, and the plane is woken as it asks.
    fn run(&mut self, span: Duration) {
        let end = self.now + span;
        while let Some((at, _)) = self.plane.poll_timeout().filter(|(at, _)| *at <= end) {
            self.now = self.now.max(at);
            self.plane.handle_timeout(self.now);
            self.drain();
        }
        self.now = end;
    }

    fn receive(&mut self, side: usize, header: Header<'_>, payload: &[u8]) {
        self.receive_from(side, phone(side), header, payload);
    }

    fn receive_from(&mut self, side: usize, from: SocketAddr, header: Header<'_>, payload: &[u8]) {
        let mut buffer = [0; 1_500];
        let length = header.write(payload, &mut buffer).expect("it fits");
        self.plane
            .handle_packet(self.now, rtp_socket(side), from, &buffer[..length]);
        self.drain();
    }

    /// When the last RTP went to a phone, and its timestamp.
    fn last_heard(&self, side: usize) -> (Time, u32) {
        let mut out = self.out.iter().rev();
        let last = out.find(|(_, socket, to, _)| *socket == rtp_socket(side) && *to == phone(side));
        let (at, .., bytes) = last.expect("something went there");
        (*at, read(bytes).timestamp())
    }

    /// The RTP that went to a phone since the last time.
    fn heard(&mut self, side: usize) -> Vec<Vec<u8>> {
        let out = std::mem::take(&mut self.out);
        let to_it = |(_, socket, to, _): &(Time, SocketId, SocketAddr, Vec<u8>)| {
            *socket == rtp_socket(side) && *to == phone(side)
        };
        out.into_iter().filter(to_it).map(|(.., bytes)| bytes).collect()
    }
}

fn header(payload_type: u8, sequence: u16) -> Header<'static> {
    Header {
        payload_type,
        sequence,
        timestamp: 160 * u32::from(sequence),
        ssrc: 0xa11ce,
        ..Header::default()
    }
}

fn read(bytes: &[u8]) -> Packet<'_> {
    Packet::parse(bytes).expect("RTP")
}

#[test]
fn a_packet_leaves_the_other_side_at_once_and_byte_for_byte() {
    let mut middle = Middle::alike();
    let payload: Vec<u8> = (0..160).map(|byte| byte as u8).collect();
    middle.receive(LEFT, header(0, 7), &payload);
    let heard = middle.heard(RIGHT);
    assert_eq!(heard.len(), 1);
    assert_eq!(read(&heard[0]).payload(), payload);
    assert_eq!(read(&heard[0]).payload_type(), 0);
    assert!(read(&heard[0]).marker());
    assert_ne!(
        read(&heard[0]).ssrc(),
        0xa11ce,
        "each side has a source of its own"
    );
}

#[test]
fn a_joined_session_sends_nothing_of_its_own() {
    let mut middle = Middle::alike();
    middle
        .plane
        .command(middle.now, middle.sessions[RIGHT], tone(440.0))
        .expect("it plays");
    middle.run(millis(500));
    assert!(middle.heard(RIGHT).is_empty());
    middle.plane.unbridge(middle.sessions[LEFT]);
    middle.run(millis(100));
    assert_eq!(middle.heard(RIGHT).len(), 5);
}

#[test]
fn what_is_sent_after_the_parting_goes_on_where_the_stream_is() {
    for part in [500, 505, 515, 532, 575, 590, 603] {
        let mut middle = Middle::alike();
        let begun = middle.now;
        for sequence in 0..=part / 20 {
            middle.run(begun + millis(20 * sequence) - middle.now);
            middle.receive(LEFT, header(0, sequence as u16), &[0x55; 160]);
        }
        middle.run(begun + millis(part) - middle.now);
        let relayed = middle.last_heard(RIGHT);
        middle.plane.unbridge(middle.sessions[LEFT]);
        middle.drain();
        middle.run(millis(25));
        let own = middle.last_heard(RIGHT);
        let (wall, stream) = (own.0 - relayed.0, own.1.wrapping_sub(relayed.1));
        let off = wall.as_secs_f64() * 8_000.0 - f64::from(stream);
        assert!(
            stream >= 160 && off.abs() <= 240.0,
            "parted at {part} ms: {wall:?}, {stream} samples"
        );
    }
}

#[test]
fn those_that_are_joined_as_they_start_are_woken_together_and_seldom() {
    let mut middle = Middle::alike();
    assert!(middle.plane.poll_transmit(middle.now, &mut [0; 1_500]).is_none());
    let mut wakings = Vec::new();
    let end = middle.now + millis(500);
    while let Some((at, _)) = middle.plane.poll_timeout().filter(|(at, _)| *at <= end) {
        wakings.push(at.as_millis() % 20);
        middle.plane.handle_timeout(at);
        assert!(middle.plane.poll_transmit(at, &mut [0; 1_500]).is_none());
    }
    assert!((4..=10).contains(&wakings.len()), "{wakings:?}");
    assert!(wakings.iter().all(|past| *past == 0), "{wakings:?}");
}

#[test]
fn those_that_are_joined_after_a_long_silence_report_all_the_same() {
    let mut middle = Middle::opened(Time::ZERO);
    middle.now = Time::from_nanos(9_000_300_000);
    middle.begin([
        start(LEFT, Codec::Pcmu, Some(101)),
        start(RIGHT, Codec::Pcmu, Some(96)),
    ]);
    let begun = middle.now;
    for sequence in 0..500 {
        middle.run(begun + millis(20 * sequence) - middle.now);
        middle.receive(LEFT, header(0, sequence as u16), &[0x55; 160]);
    }
    let reports = middle.out.iter().filter(|(_, socket, ..)| socket.0 % 2 == 1);
    assert!(reports.count() >= 2);
}

#[test]
fn one_that_is_parted_and_closed_is_not_woken_any_more() {
    let mut middle = Middle::alike();
    middle.run(millis(110));
    for session in middle.sessions {
        middle.plane.close(middle.now, session);
    }
    middle.drain();
    let last = middle.now + millis(120);
    while let Some((at, _)) = middle.plane.poll_timeout() {
        assert!(at <= last && at.as_millis() % 20 == 0, "{at}");
        middle.plane.handle_timeout(at);
    }
}

#[test]
fn losses_doubles_and_disorder_are_carried_across() {
    let mut middle = Middle::alike();
    for sequence in [10, 11, 14, 13, 13] {
        middle.receive(LEFT, header(0, sequence), &[0x55; 160]);
    }
    let heard = middle.heard(RIGHT);
    let first = read(&heard[0]).sequence();
    let steps: Vec<_> = heard
        .iter()
        .map(|bytes| read(bytes).sequence().wrapping_sub(first))
        .collect();
    assert_eq!(steps, [0, 1, 4, 3, 3]);
    let times: Vec<_> = heard
        .iter()
        .map(|bytes| read(bytes).timestamp().wrapping_sub(read(&heard[0]).timestamp()))
        .collect();
    assert_eq!(times, [0, 160, 640, 480, 480]);
}

#[test]
fn a_codec_that_the_other_side_does_not_send_is_transcoded() {
    let mut middle = Middle::joined(start(LEFT, Codec::Pcmu, None), start(RIGHT, Codec::Pcma, None));
    let samples: Vec<i16> = (0..160).map(|n| 8_000 - 100 * n).collect();
    let (mut law_mu, mut law_a) = ([0; 160], [0; 160]);
    Codec::Pcmu.encode(&samples, &mut law_mu);
    let mut decoded = [0; 160];
    Codec::Pcmu.decode(&law_mu, &mut decoded);
    Codec::Pcma.encode(&decoded, &mut law_a);
    middle.receive(LEFT, header(0, 1), &law_mu);
    let heard = middle.heard(RIGHT);
    assert_eq!(read(&heard[0]).payload_type(), 8);
    assert_eq!(read(&heard[0]).payload(), law_a);
    // The other way nothing needs to be done where the phone sends what the other one takes.
    middle.receive(RIGHT, header(0, 1), &law_mu);
    let heard = middle.heard(LEFT);
    assert_eq!(
        (read(&heard[0]).payload_type(), read(&heard[0]).payload()),
        (0, &law_mu[..])
    );
}

#[test]
fn a_telephone_event_gets_the_payload_type_of_the_other_side() {
    let mut middle = Middle::alike();
    middle.receive(LEFT, header(0, 1), &[0xff; 160]);
    let event = Header {
        marker: true,
        ..header(101, 2)
    };
    middle.receive(LEFT, event, &[5, 0x0a, 0, 160]);
    let heard = middle.heard(RIGHT);
    assert_eq!(read(&heard[1]).payload_type(), 96);
    assert_eq!(read(&heard[1]).payload(), [5, 0x0a, 0, 160]);
    assert!(read(&heard[1]).marker());
}

#[test]
fn an_event_for_a_side_without_events_is_counted_and_told() {
    let mut middle = Middle::joined(
        start(LEFT, Codec::Pcmu, Some(101)),
        start(RIGHT, Codec::Pcmu, None),
    );
    middle.receive(LEFT, header(101, 2), &[5, 0x8a, 3, 0x20]);
    middle.run(millis(200));
    assert!(middle.heard(RIGHT).is_empty());
    let stats = middle.plane.stats(middle.sessions[RIGHT]).expect("open");
    assert_eq!((stats.sent.relayed, stats.sent.not_relayed), (0, 1));
    let told: Vec<_> = std::iter::from_fn(|| middle.plane.poll_event()).collect();
    assert!(
        told.iter()
            .any(|(session, event)| *session == middle.sessions[LEFT]
                && matches!(event, Event::Digit { digit: '5', .. }))
    );
}

#[test]
fn packets_of_strangers_and_of_unknown_formats_do_not_cross() {
    let mut middle = Middle::alike();
    middle.receive(LEFT, header(0, 1), &[0xff; 160]);
    let stranger = "203.0.113.66:4000".parse().expect("an address");
    for sequence in 1..10 {
        middle.receive_from(LEFT, stranger, header(0, sequence), &[0x11; 160]);
    }
    middle.receive(LEFT, header(18, 2), &[0x11; 20]);
    assert_eq!(middle.heard(RIGHT).len(), 1);
}

#[test]
fn nothing_crosses_from_a_side_on_hold_or_to_one() {
    let held = Start {
        direction: Direction::SendOnly,
        ..start(LEFT, Codec::Pcmu, None)
    };
    let mut middle = Middle::joined(held, start(RIGHT, Codec::Pcmu, None));
    middle.receive(LEFT, header(0, 1), &[0xff; 160]);
    assert!(middle.heard(RIGHT).is_empty());
    middle.receive(RIGHT, header(0, 1), &[0xff; 160]);
    assert_eq!(middle.heard(LEFT).len(), 1);
    let mute = Start {
        direction: Direction::RecvOnly,
        ..start(LEFT, Codec::Pcmu, None)
    };
    middle
        .plane
        .command(middle.now, middle.sessions[LEFT], Command::Start(Box::new(mute)))
        .expect("it is renegotiated");
    middle.receive(RIGHT, header(0, 2), &[0xff; 160]);
    assert!(middle.heard(LEFT).is_empty());
}

#[test]
fn the_stream_goes_on_when_the_bridge_leads_elsewhere() {
    let mut middle = Middle::alike();
    let other = Ports {
        rtp: SocketId(10),
        rtcp: SocketId(11),
    };
    let third = middle.plane.open(other, &mut entropy("third"));
    let began = Command::Start(Box::new(start(LEFT, Codec::Pcmu, None)));
    middle.plane.command(middle.now, third, began).expect("it starts");
    for sequence in 500..503 {
        middle.receive(LEFT, header(0, sequence), &[0x55; 160]);
        middle.run(millis(20));
    }
    middle
        .plane
        .bridge(third, middle.sessions[RIGHT])
        .expect("both are open");
    assert_eq!(middle.plane.bridged_to(middle.sessions[LEFT]), None);
    let before = middle.heard(RIGHT);
    let mut buffer = [0; 200];
    let next = Header {
        ssrc: 77,
        timestamp: 9,
        ..header(0, 40_000)
    };
    let length = next.write(&[0x66; 160], &mut buffer).expect("it fits");
    middle
        .plane
        .handle_packet(middle.now, SocketId(10), phone(LEFT), &buffer[..length]);
    middle.drain();
    let after = middle.heard(RIGHT);
    let (last, new) = (read(&before[2]), read(&after[0]));
    assert_eq!(new.ssrc(), last.ssrc());
    assert_eq!(new.sequence(), last.sequence().wrapping_add(1));
    let step = new.timestamp().wrapping_sub(last.timestamp());
    assert!((160..=320).contains(&step), "{step}");
}

#[test]
fn a_session_that_closes_leaves_the_other_alone() {
    let mut middle = Middle::alike();
    middle.plane.close(middle.now, middle.sessions[LEFT]);
    assert_eq!(middle.plane.bridged_to(middle.sessions[RIGHT]), None);
    middle.receive(RIGHT, header(0, 1), &[0xff; 160]);
    let again = middle.plane.bridge(middle.sessions[LEFT], middle.sessions[RIGHT]);
    assert_eq!(again, Err(CommandError::NoSuchSession));
    let itself = middle
        .plane
        .bridge(middle.sessions[RIGHT], middle.sessions[RIGHT]);
    assert_eq!(itself, Err(CommandError::BridgeToItself));
}

#[test]
fn packets_that_nobody_takes_out_are_bounded() {
    let mut middle = Middle::alike();
    let mut buffer = [0; 200];
    for sequence in 0..2_000_u16 {
        let length = header(0, sequence)
            .write(&[0xff; 160], &mut buffer)
            .expect("it fits");
        middle
            .plane
            .handle_packet(middle.now, rtp_socket(LEFT), phone(LEFT), &buffer[..length]);
    }
    middle.drain();
    assert_eq!(middle.heard(RIGHT).len(), 1_024);
    assert_eq!(middle.plane.relay_dropped(), 976);
}
