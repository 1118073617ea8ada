//! The bodies of the fuzz targets over packets of a call, whole, cut short and with a byte changed.

#[path = "../../../fuzz/bodies/media.rs"]
mod media;
#[path = "../../../fuzz/bodies/wav.rs"]
mod wav;

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

/// A file of each kind: plain, 24 bits, floats, A-law, extensible and RF64, with a chunk of odd size before the audio.
fn wav_files() -> Vec<Vec<u8>> {
    let formats: [(u16, u16, u32, u16); 5] = [
        (1, 2, 8_000, 16),
        (1, 1, 44_100, 24),
        (3, 2, 16_000, 32),
        (6, 1, 8_000, 8),
        (1, 1, 11_025, 8),
    ];
    let mut files = Vec::new();
    for (tag, channels, rate, bits) in formats {
        let frame = channels * bits / 8;
        let mut format = Vec::new();
        format.extend(tag.to_le_bytes());
        format.extend(channels.to_le_bytes());
        format.extend(rate.to_le_bytes());
        format.extend((rate * u32::from(frame)).to_le_bytes());
        format.extend(frame.to_le_bytes());
        format.extend(bits.to_le_bytes());
        for (name, long) in [(b"RIFF", false), (b"RF64", true)] {
            let mut file = Vec::new();
            file.extend(name);
            file.extend(u32::MAX.to_le_bytes());
            file.extend(b"WAVE");
            if long {
                file.extend(b"ds64\x1c\0\0\0");
                file.extend([0; 8]);
                file.extend(240u64.to_le_bytes());
                file.extend([0; 12]);
            }
            file.extend(b"fmt \x10\0\0\0");
            file.extend(&format);
            file.extend(b"note\x03\0\0\0abc\0data");
            file.extend(if long { u32::MAX } else { 240 }.to_le_bytes());
            file.extend((0..240u8).map(|byte| byte.wrapping_mul(37)));
            files.push(file);
        }
    }
    files
}

#[test]
fn the_fuzz_body_holds_for_wav_files_and_their_neighbours() {
    for file in wav_files() {
        assert!(callwright_media::wav::read(file.as_slice()).is_ok());
        for end in (0..file.len()).step_by(5) {
            wav::wav(&file[..end]);
        }
        for position in 0..120 {
            // A rate that is changed makes a filter of its own, which takes its time.
            let mut changed = file.clone();
            changed[position] = [0, 0xff, 0x80, 0x7f, 4][position % 5];
            wav::wav(&changed);
        }
    }
}

fn run(bytes: &[u8]) {
    media::rtp(bytes);
    media::rtcp(bytes);
    media::srtp(bytes);
}
