//! The bodies of the fuzz targets over the torture messages, whole, cut short and with a byte changed.

#[path = "../../../fuzz/bodies/sip.rs"]
mod sip;

use std::fs;
use std::path::Path;

#[test]
fn the_fuzz_bodies_hold_for_the_torture_messages_and_their_neighbours() {
    let torture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/torture");
    let mut seeds = 0;
    for directory in ["rfc4475", "rfc5118"] {
        for entry in fs::read_dir(torture.join(directory)).expect("the directory") {
            let bytes = fs::read(entry.expect("an entry").path()).expect("the file");
            seeds += 1;
            run(&bytes);
            for end in (0..bytes.len()).step_by(311) {
                run(&bytes[..end]);
            }
            for position in (0..bytes.len()).step_by(173) {
                let mut changed = bytes.clone();
                changed[position] = b"\r\n \"<>;,:@%\0\xff="[position % 14];
                run(&changed);
            }
        }
    }
    assert_eq!(seeds, 61);
}

fn run(bytes: &[u8]) {
    sip::message(bytes);
    sip::framing(bytes);
    sip::datagram(bytes);
}
