//! The bodies of the fuzz targets over the torture messages, as datagrams and streams, and over steps at random.

#[path = "../../../fuzz/bodies/core.rs"]
mod core;
#[path = "../../../fuzz/bodies/endpoint.rs"]
mod endpoint;

use std::fs;
use std::path::Path;

use callwright_wire::Seed;

fn torture() -> Vec<Vec<u8>> {
    let torture = Path::new(env!("CARGO_MANIFEST_DIR")).join("../sip-message/tests/torture");
    let files = ["rfc4475", "rfc5118"]
        .into_iter()
        .flat_map(|directory| fs::read_dir(torture.join(directory)).expect("the directory"));
    let seeds: Vec<_> = files
        .map(|entry| fs::read(entry.expect("an entry").path()).expect("the file"))
        .collect();
    assert!(seeds.len() > 50);
    seeds
}

#[test]
fn a_core_survives_the_torture_messages_and_their_neighbours() {
    for bytes in torture() {
        core::core_whole(&bytes);
        for end in (0..bytes.len()).step_by(97) {
            core::core_whole(&bytes[..end]);
        }
        for position in (0..bytes.len()).step_by(31) {
            let mut changed = bytes.clone();
            changed[position] = b"\r\n \"<>;,:@%\0\xff="[position % 14];
            core::core_whole(&changed);
        }
    }
}

#[test]
fn an_endpoint_survives_the_torture_messages() {
    for bytes in torture() {
        endpoint::endpoint_whole(&bytes);
    }
}

#[test]
fn an_endpoint_survives_a_peer_at_random() {
    let mut entropy = Seed::from_number(2).stream();
    // What a line may be made into, beside noise.
    let words: [&[u8]; 12] = [
        b"To: \"Bob <sip:b@x>;tag=1\r",
        b"From: <sip:b@x\r",
        b"CSeq: 1\r",
        b"CSeq: 1 INVITE\r",
        b"Require: 100rel\r\nRSeq: 1\r",
        b"Session-Expires: 90;refresher=uac\r",
        b"Contact: <sip:nobody@nowhere.invalid;transport=tcp>\r",
        b"Record-Route: <sip:10.0.0.9>\r",
        b"Proxy-Authenticate: Digest realm=\"a\", nonce=\"b\"\r",
        b"Expires: 0\r",
        b"Event: refer\r",
        b"Content-Length: 99\r",
    ];
    for _ in 0..1_500 {
        let mut data = Vec::new();
        for _ in 0..entropy.below(24) {
            let mut head = [0; 3];
            entropy.fill(&mut head);
            let mut bytes = vec![entropy.below(14) as u8];
            match entropy.below(4) {
                0 => {}
                1 => bytes.extend(
                    (0..entropy.below(9)).map(|_| b"\r\n \"<>;,:@%\0\xff="[entropy.below(14) as usize]),
                ),
                _ => bytes.extend(words[entropy.below(12) as usize]),
            }
            data.extend(head);
            data.push(bytes.len() as u8);
            data.extend(bytes);
        }
        endpoint::endpoint(&data);
    }
}

#[test]
fn a_core_survives_steps_at_random() {
    let mut entropy = Seed::from_number(1).stream();
    for _ in 0..500 {
        let mut data = vec![0; entropy.below(600) as usize];
        entropy.fill(&mut data);
        core::core(&data);
    }
}
