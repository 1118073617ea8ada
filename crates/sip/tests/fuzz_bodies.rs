//! The bodies of the fuzz targets over the torture messages, as datagrams and streams, and over steps at random.

#[path = "../../../fuzz/bodies/core.rs"]
mod core;

use std::fs;
use std::path::Path;

use callwright_wire::Seed;

#[test]
fn a_core_survives_the_torture_messages_and_their_neighbours() {
    let torture = Path::new(env!("CARGO_MANIFEST_DIR")).join("../sip-message/tests/torture");
    let mut seeds = 0;
    for directory in ["rfc4475", "rfc5118"] {
        for entry in fs::read_dir(torture.join(directory)).expect("the directory") {
            let bytes = fs::read(entry.expect("an entry").path()).expect("the file");
            seeds += 1;
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
    assert!(seeds > 50);
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
