//! The bodies of the fuzz targets over packets of a call, whole, cut short and with a byte changed.

#[path = "../../../fuzz/bodies/media.rs"]
mod media;

use callwright_media::rtcp::{Outgoing, Report, SenderInfo};
use callwright_media::rtp::Header;

fn seeds() -> Vec<Vec<u8>> {
    let mut buffer = [0; 400];
    let header = Header {
        csrc: &[1, 2],
        extension: Some((0xbede, &[1, 2, 3, 4])),
        padding: 4,
        ..Header::default()
    };
    let length = header.write(&[0xff; 160], &mut buffer).expect("room");
    let mut seeds = vec![buffer[..length].to_vec()];
    // A digit: three packets, the last with its end, each behind its length and a wait of 20 ms.
    let mut digit = Vec::new();
    for (sequence, end) in [(1, 0), (2, 0), (3, 0x80)] {
        let header = Header {
            payload_type: 101,
            sequence,
            ..Header::default()
        };
        let length = header.write(&[5, end, 0, 160], &mut buffer).expect("room");
        digit.extend([length as u8, 20]);
        digit.extend(&buffer[..length]);
    }
    seeds.push(digit);
    let compound = Outgoing {
        ssrc: 1,
        sender: Some(SenderInfo {
            ntp: 1,
            rtp: 2,
            packets: 3,
            octets: 4,
        }),
        report: Some(Report::default()),
        canonical_name: "seed",
        bye: true,
    };
    let length = compound.write(&mut buffer).expect("room");
    let mut framed = vec![length as u8, 21];
    framed.extend(&buffer[..length]);
    seeds.push(framed);
    seeds.push(buffer[..length].to_vec());
    seeds
}

#[test]
fn the_fuzz_bodies_hold_for_packets_of_a_call_and_their_neighbours() {
    for seed in seeds() {
        run(&seed);
        for end in (0..seed.len()).step_by(3) {
            run(&seed[..end]);
        }
        for position in 0..seed.len().min(100) {
            let mut changed = seed.clone();
            changed[position] = [0, 0xff, 0x80, 0x7f, 4][position % 5];
            run(&changed);
        }
    }
}

fn run(bytes: &[u8]) {
    media::rtp(bytes);
    media::rtcp(bytes);
    media::srtp(bytes);
}
