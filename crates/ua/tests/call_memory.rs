//! What an established call of a user agent holds of memory, beside its media and the messages that are kept as evidence.

mod support;

use std::time::Duration;

use allocation_counter::measure;
use callwright_media::codec::Codec;
use callwright_media::plane::{Ports, Remote, Start};
use callwright_media::{Command, Plane, PlaneConfig};
use callwright_ua::TraceLimits;
use callwright_wire::{Epoch, Seed, SocketId, Time};
use support::Lab;

const CALLS: i64 = 32;

/// Bytes of a running media session that hears nothing.
fn media_session() -> i64 {
    let mut plane = Plane::new(
        Time::ZERO,
        PlaneConfig {
            epoch: Epoch::SIMULATED,
        },
    );
    let mut entropy = Seed::from_number(1).stream();
    let held = measure(|| {
        for number in 0..CALLS as u32 {
            let (rtp, rtcp) = (SocketId(2 * number), SocketId(2 * number + 1));
            let session = plane.open(Ports { rtp, rtcp }, &mut entropy);
            let mut start = Start::new(Codec::Pcmu, 0);
            start.remote = Some(Remote {
                rtp: ([10, 0, 0, 2], 10_000).into(),
                rtcp: ([10, 0, 0, 2], 10_001).into(),
            });
            plane
                .command(Time::ZERO, session, Command::Start(Box::new(start)))
                .expect("a session starts");
        }
    });
    held.bytes_current / CALLS
}

#[test]
fn an_established_call_holds_little_beside_media_and_evidence() {
    let mut lab = Lab::new();
    lab.deaf = true;
    lab.trace = TraceLimits {
        messages: 1,
        bytes: 1,
    };
    let (a, b) = (lab.phone("a"), lab.phone("b"));
    // What the first call brings with it stays.
    lab.establish(a, b);
    lab.pass(Duration::from_secs(40));
    let held = measure(|| {
        for _ in 0..CALLS {
            lab.establish(a, b);
        }
        // RFC 3261 §17: no transaction lives longer than 32 s.
        lab.pass(Duration::from_secs(40));
    });
    let media = media_session();
    let call = held.bytes_current / CALLS / 2 - media;
    println!("an established call and side: {call} bytes, and {media} of media");
    assert!(call <= 8 * 1024, "{call}");
}
