//! A conversation on two tracks, while its packets cross a bridge byte for byte.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use callwright_media::codec::Codec;
use callwright_media::plane::{Piece, Ports, RecordingId, Remote, SendFormat, Start, Track};
use callwright_media::rtp::{Header, Packet};
use callwright_media::{Command, CommandError, Plane, PlaneConfig, SessionId};
use callwright_sdp::Direction;
use callwright_wire::{Epoch, SocketId, Time};
use proptest::prelude::*;

use crate::pair::{entropy, millis};

/// A plane between phones that speak as they are told.
struct Middle {
    now: Time,
    plane: Plane,
    sessions: Vec<SessionId>,
    /// Packets on their way, with the phone that sent them.
    on_the_way: BTreeMap<(Time, u64), (usize, Vec<u8>)>,
    sent: u64,
    /// Payloads that went to each phone.
    out: Vec<Vec<Vec<u8>>>,
    recorded: Vec<Piece>,
}

const CALLER: usize = 0;
const AGENT: usize = 1;
const OTHER: usize = 2;

fn phone(index: usize) -> SocketAddr {
    ([192, 0, 2, 10 + index as u8], 30_000).into()
}

fn start(index: usize, codec: Codec) -> Start {
    Start {
        remote: Some(Remote {
            rtp: phone(index),
            rtcp: SocketAddr::new(phone(index).ip(), 30_001),
        }),
        send: Some(SendFormat {
            codec,
            payload_type: codec.payload_type(),
        }),
        receive: vec![(0, Codec::Pcmu), (8, Codec::Pcma)],
        ..Start::new(codec, codec.payload_type())
    }
}

impl Middle {
    /// Three phones; caller and agent are joined.
    fn new() -> Middle {
        let now = Time::from_secs(1);
        let epoch = Epoch::SIMULATED;
        let mut plane = Plane::new(now, PlaneConfig { epoch });
        let sessions: Vec<_> = (0..3)
            .map(|index: usize| {
                let rtp = SocketId(2 * index as u32);
                let ports = Ports {
                    rtp,
                    rtcp: SocketId(rtp.0 + 1),
                };
                let session = plane.open(ports, &mut entropy(["caller", "agent", "other"][index]));
                plane
                    .command(now, session, Command::Start(Box::new(start(index, Codec::Pcmu))))
                    .expect("it starts");
                session
            })
            .collect();
        plane
            .bridge(sessions[CALLER], sessions[AGENT])
            .expect("both are open");
        Middle {
            now,
            plane,
            sessions,
            on_the_way: BTreeMap::new(),
            sent: 0,
            out: vec![Vec::new(); 3],
            recorded: Vec::new(),
        }
    }

    fn record(&mut self, left: usize, right: usize) -> RecordingId {
        let recording = self.plane.begin_recording(self.now);
        self.put(recording, Track::Left, Some(left));
        self.put(recording, Track::Right, Some(right));
        recording
    }

    fn put(&mut self, recording: RecordingId, track: Track, index: Option<usize>) {
        let session = index.map(|index| self.sessions[index]);
        self.plane
            .record_from(recording, track, session)
            .expect("both are open");
    }

    /// A packet that arrives at `at`.
    fn send(&mut self, index: usize, at: Time, header: Header<'_>, payload: &[u8]) {
        let mut buffer = [0; 2_500];
        let length = header.write(payload, &mut buffer).expect("it fits");
        self.sent += 1;
        self.on_the_way
            .insert((at, self.sent), (index, buffer[..length].to_vec()));
    }

    /// A phone talks: packets of 20 ms for `span` from now on, with a click at the start of each fifth one. `delay` says how
    /// long each takes; `None` loses it.
    fn talk(&mut self, index: usize, span: Duration, mut delay: impl FnMut(u16) -> Option<Duration>) {
        for number in 0..(span.as_millis() / 20) as u16 {
            let mut payload = [0xff; 160];
            if number % 5 == 0 {
                payload[..8].fill(0x80);
            }
            let header = Header {
                payload_type: 0,
                sequence: number.wrapping_sub(20),
                timestamp: (160 * u32::from(number)).wrapping_sub(1_000),
                ssrc: 0x1000 + self.sent as u32 * u32::from(number == 0) + index as u32,
                ..Header::default()
            };
            if let Some(delay) = delay(number) {
                let at = self.now + millis(20) * u32::from(number) + delay;
                self.send(index, at, header, &payload);
            }
        }
    }

    fn run(&mut self, span: Duration) {
        let end = self.now + span;
        loop {
            let arrival = self.on_the_way.first_key_value().map(|((at, _), _)| *at);
            let timer = self.plane.poll_timeout().map(|(at, _)| at);
            let Some(next) = arrival.into_iter().chain(timer).min().filter(|at| *at <= end) else {
                break;
            };
            self.now = self.now.max(next);
            while let Some(entry) = self.on_the_way.first_entry()
                && entry.key().0 <= self.now
            {
                let (index, bytes) = entry.remove();
                self.plane
                    .handle_packet(self.now, SocketId(2 * index as u32), phone(index), &bytes);
            }
            self.plane.handle_timeout(self.now);
            self.drain();
        }
        self.now = end;
    }

    fn drain(&mut self) {
        let mut buffer = [0; 2_500];
        while let Some((socket, _, length)) = self.plane.poll_transmit(self.now, &mut buffer) {
            if socket.0 % 2 == 0 {
                let packet = Packet::parse(&buffer[..length]).expect("RTP");
                self.out[socket.0 as usize / 2].push(packet.payload().to_vec());
            }
        }
        while self.plane.poll_event().is_some() {}
        self.take();
    }

    fn take(&mut self) {
        while let Some((_, piece)) = self.plane.poll_recorded() {
            self.recorded.push(piece);
        }
    }

    fn end(&mut self, recording: RecordingId) -> u64 {
        let frames = self.plane.end_recording(self.now, recording);
        self.take();
        frames.expect("it went on")
    }

    /// Both tracks, as a file would have them.
    fn tracks(&self) -> [Vec<i16>; 2] {
        let mut tracks = [Vec::new(), Vec::new()];
        for piece in &self.recorded {
            match piece {
                Piece::Samples(samples) => {
                    for frame in samples.chunks_exact(2) {
                        tracks[0].push(frame[0]);
                        tracks[1].push(frame[1]);
                    }
                }
                Piece::Silence { frames } | Piece::Missing { frames } => {
                    for track in &mut tracks {
                        track.resize(track.len() + *frames as usize, 0);
                    }
                }
                Piece::End { frames } => assert_eq!(*frames, tracks[0].len() as u64),
            }
        }
        tracks
    }
}

fn on_time(_: u16) -> Option<Duration> {
    Some(millis(10))
}

/// Where the clicks are, in milliseconds.
fn clicks(track: &[i16]) -> Vec<usize> {
    let loud = |at: &usize| track[*at].unsigned_abs() > 10_000 && (*at == 0 || track[*at - 1] == 0);
    (0..track.len()).filter(loud).map(|at| at / 8).collect()
}

#[test]
fn caller_left_and_agent_right_in_step_and_as_long_as_they_talked() {
    let mut middle = Middle::new();
    middle.run(millis(333));
    let recording = middle.record(CALLER, AGENT);
    middle.talk(CALLER, millis(3_000), on_time);
    middle.talk(AGENT, millis(3_000), |_| Some(millis(60)));
    middle.run(millis(3_107));
    assert_eq!(middle.end(recording), 3_107 * 8);
    let [left, right] = middle.tracks();
    assert_eq!((left.len(), right.len()), (24_856, 24_856));
    assert_eq!(clicks(&left), (0..30).map(|n| 10 + 100 * n).collect::<Vec<_>>());
    assert_eq!(clicks(&right), (0..30).map(|n| 60 + 100 * n).collect::<Vec<_>>());
    assert_eq!(middle.plane.recordings(), 0);
    assert_eq!(middle.plane.end_recording(middle.now, recording), None);
}

#[test]
fn what_is_recorded_crosses_byte_for_byte_as_before() {
    let crossed = |recorded: bool| {
        let mut middle = Middle::new();
        if recorded {
            middle.record(CALLER, AGENT);
        }
        middle.talk(CALLER, millis(1_000), |number| {
            (number % 7 != 3).then(|| millis(10))
        });
        middle.run(millis(1_200));
        middle.out
    };
    assert_eq!(crossed(true), crossed(false));
    assert_eq!(crossed(true)[AGENT].len(), 43);
}

#[test]
fn the_right_track_goes_on_with_whoever_the_caller_is_transferred_to() {
    let mut middle = Middle::new();
    let recording = middle.record(CALLER, AGENT);
    middle.talk(CALLER, millis(3_000), on_time);
    middle.talk(AGENT, millis(1_000), on_time);
    middle.run(millis(1_500));
    let (caller, agent, other) = (
        middle.sessions[CALLER],
        middle.sessions[AGENT],
        middle.sessions[OTHER],
    );
    middle.plane.bridge(caller, other).expect("both are open");
    middle.put(recording, Track::Right, Some(OTHER));
    middle.plane.close(middle.now, agent);
    middle.talk(OTHER, millis(1_000), on_time);
    // Who has left is not heard any more.
    middle.talk(AGENT, millis(1_000), |_| Some(millis(50)));
    middle.run(millis(1_500));
    assert_eq!(middle.end(recording), 24_000);
    let [left, right] = middle.tracks();
    assert_eq!(clicks(&left).len(), 30);
    let expected: Vec<_> = (0..10).chain(15..25).map(|n| 10 + 100 * n).collect();
    assert_eq!(clicks(&right), expected);
}

#[test]
fn a_source_that_takes_over_stands_where_it_is_heard_whatever_its_timestamps_say() {
    // By how much its timestamps are off from those before, in samples.
    for off in [-2_400, -800, -80, 0, 80, 4_000, 1_000_000, -1_000_000] {
        let mut middle = Middle::new();
        let recording = middle.record(CALLER, AGENT);
        for number in 0..100u16 {
            let mut payload = [0xff; 160];
            if number % 5 == 0 {
                payload[..8].fill(0x80);
            }
            let (ssrc, off) = if number < 50 { (1, 0) } else { (2, off) };
            let header = Header {
                payload_type: 0,
                sequence: number + ssrc as u16 * 7_000,
                timestamp: (160 * u32::from(number)).wrapping_add_signed(off),
                ssrc,
                ..Header::default()
            };
            let at = middle.now + millis(20) * u32::from(number) + millis(10);
            middle.send(CALLER, at, header, &payload);
        }
        middle.run(millis(2_100));
        assert_eq!(middle.end(recording), 2_100 * 8);
        let [left, _] = middle.tracks();
        // The first packet of a source only shows that it is there (RFC 3550 §A.1).
        let expected: Vec<_> = (0..20).filter(|n| *n != 10).map(|n| 10 + 100 * n).collect();
        assert_eq!(clicks(&left), expected, "{off}");
    }
}

#[test]
fn what_is_lost_late_or_on_hold_leaves_silence_in_its_place() {
    let mut middle = Middle::new();
    let recording = middle.record(CALLER, AGENT);
    // The click at 500 ms is lost, the one at 1,000 ms comes a second late.
    middle.talk(CALLER, millis(2_000), |number| match number {
        25 => None,
        50 => Some(millis(1_000)),
        _ => Some(millis(10)),
    });
    middle.run(millis(2_100));
    let hold = Start {
        direction: Direction::SendOnly,
        ..start(CALLER, Codec::Pcmu)
    };
    let session = middle.sessions[CALLER];
    middle
        .plane
        .command(middle.now, session, Command::Start(Box::new(hold)))
        .expect("it is renegotiated");
    middle.talk(CALLER, millis(1_000), on_time);
    middle.run(millis(1_000));
    assert_eq!(middle.end(recording), 3_100 * 8);
    let [left, _] = middle.tracks();
    let expected: Vec<_> = (0..20)
        .filter(|n| ![5, 10].contains(n))
        .map(|n| 10 + 100 * n)
        .collect();
    assert_eq!(clicks(&left), expected);
}

#[test]
fn nobody_on_a_track_is_silence_and_hours_of_it_are_small() {
    let mut middle = Middle::new();
    let recording = middle.record(CALLER, AGENT);
    middle.put(recording, Track::Left, None);
    middle.put(recording, Track::Right, None);
    middle.now += Duration::from_secs(36_000);
    middle.plane.handle_timeout(middle.now);
    assert_eq!(middle.end(recording), 36_000 * 8_000);
    assert!(middle.recorded.len() < 10, "{}", middle.recorded.len());
}

#[test]
fn pieces_that_nobody_takes_are_bounded_and_said_to_be_missing() {
    let mut middle = Middle::new();
    let recording = middle.record(CALLER, AGENT);
    let mut sequence = 0u16;
    for second in 0..500u64 {
        for packet in 0..50u64 {
            let at = middle.now + Duration::from_millis(1_000 * second + 20 * packet);
            let header = Header {
                sequence,
                timestamp: 160 * (50 * second + packet) as u32,
                ssrc: 7,
                ..Header::default()
            };
            let mut buffer = [0; 200];
            let length = header.write(&[0x80; 160], &mut buffer).expect("it fits");
            middle
                .plane
                .handle_packet(at, SocketId(0), phone(CALLER), &buffer[..length]);
            middle.plane.handle_timeout(at);
            while middle.plane.poll_transmit(at, &mut [0; 1_500]).is_some() {}
            sequence = sequence.wrapping_add(1);
        }
    }
    middle.now += Duration::from_secs(500);
    assert_eq!(middle.end(recording), 500 * 8_000);
    let missing: u64 = middle
        .recorded
        .iter()
        .map(|piece| {
            if let Piece::Missing { frames } = piece {
                *frames
            } else {
                0
            }
        })
        .sum();
    assert!(missing > 60 * 8_000, "{missing}");
    assert_eq!(middle.tracks()[0].len(), 500 * 8_000);
}

#[test]
fn only_what_is_open_can_be_recorded() {
    let mut middle = Middle::new();
    let recording = middle.record(CALLER, AGENT);
    let gone = middle.sessions[OTHER];
    middle.plane.close(middle.now, gone);
    assert_eq!(
        middle.plane.record_from(recording, Track::Left, Some(gone)),
        Err(CommandError::NoSuchSession)
    );
    middle.end(recording);
    assert_eq!(
        middle.plane.record_from(recording, Track::Left, None),
        Err(CommandError::NoSuchRecording)
    );
    // The sessions can be recorded anew.
    let again = middle.record(AGENT, CALLER);
    assert_ne!(again, recording);
    assert_eq!(middle.plane.recordings(), 1);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn jitter_and_loss_leave_what_was_said_in_its_place(
        delays in proptest::collection::vec(proptest::option::weighted(0.9, 0u64..120), 200),
        base in 0u64..200,
    ) {
        let mut middle = Middle::new();
        let recording = middle.record(CALLER, AGENT);
        middle.talk(AGENT, millis(4_000), |number| {
            delays[usize::from(number)].map(|jitter| millis(base + jitter))
        });
        middle.run(millis(4_500));
        prop_assert_eq!(middle.end(recording), 36_000);
        let [left, right] = middle.tracks();
        prop_assert!(clicks(&left).is_empty());
        // The line settles on the fastest packets; each click stands near its time on them.
        let found = clicks(&right);
        for at in &found {
            let off = (at + 1_000 - base as usize) % 100;
            prop_assert!(off <= 45 || *at < 1_500, "{} {}", at, off);
        }
        prop_assert!(found.len() <= 41, "{}", found.len());
    }

    #[test]
    fn nothing_that_a_peer_sends_makes_a_recording_longer_or_shorter(
        packets in proptest::collection::vec(
            (0usize..2, 0u64..40, any::<u8>(), any::<u16>(), prop_oneof![any::<u32>(), 0u32..8_000], 0u32..3, 0usize..2_030),
            1..200,
        ),
    ) {
        let mut middle = Middle::new();
        let recording = middle.record(CALLER, AGENT);
        let mut at = middle.now;
        for (index, later, kind, sequence, timestamp, ssrc, length) in packets {
            at += millis(later);
            let header = Header {
                payload_type: [0, 8, 101, 18][usize::from(kind % 4)],
                marker: kind > 200,
                // Mostly in sequence, so that it is heard at all.
                sequence: if kind % 3 == 0 { sequence } else { middle.sent as u16 },
                timestamp,
                ssrc,
                ..Header::default()
            };
            middle.send(index, at, header, &vec![kind; length]);
        }
        middle.run(at - middle.now + millis(77));
        let expected = (middle.now - Time::from_secs(1)).as_millis() as u64 * 8;
        prop_assert_eq!(middle.end(recording), expected);
        let [left, right] = middle.tracks();
        prop_assert_eq!((left.len() as u64, right.len() as u64), (expected, expected));
    }
}
