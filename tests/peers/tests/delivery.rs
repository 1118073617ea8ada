//! What `e2e` says was delivered, beside what the kernel saw pass.

use std::collections::BTreeMap;
use std::path::Path;

use callwright_peers::{Capture, Dumpcap, Evidence, command, in_own_network, require};

/// What went from one address to another, in order: the octets of datagrams as hexadecimal digits.
type Flows = BTreeMap<(String, String), Vec<String>>;

/// The datagrams of a capture.
fn flows(path: &Path) -> Flows {
    let fields = ["ip.src", "udp.srcport", "ip.dst", "udp.dstport", "udp.payload"];
    let mut flows = Flows::new();
    // An ICMP message quotes the datagram that it is about.
    for row in Capture::open(path).fields("udp && !icmp", &fields) {
        let [from, from_port, to, to_port, payload] = row.as_slice() else {
            panic!("tshark's fields of a datagram: {row:?}");
        };
        let flow = (format!("{from}:{from_port}"), format!("{to}:{to_port}"));
        flows.entry(flow).or_default().push(payload.clone());
    }
    flows
}

/// In which two captures differ, a line a flow; those who made both saw the same when there is none.
fn differences(ours: &Flows, kernels: &Flows) -> Vec<String> {
    let flows: std::collections::BTreeSet<_> = ours.keys().chain(kernels.keys()).collect();
    let of = |side: &Flows, flow| side.get(flow).cloned().unwrap_or_default();
    let unlike = flows.into_iter().filter_map(|flow| {
        let (ours, kernels) = (of(ours, flow), of(kernels, flow));
        let at = ours
            .iter()
            .zip(&kernels)
            .position(|(our, kernels)| our != kernels);
        let at = at.or_else(|| (ours.len() != kernels.len()).then(|| ours.len().min(kernels.len())))?;
        Some(format!(
            "{} → {}: {} packets of {}; the first difference is at {at}: {:?}, {:?}",
            flow.0,
            flow.1,
            ours.len(),
            kernels.len(),
            ours.get(at),
            kernels.get(at)
        ))
    });
    unlike.collect()
}

#[test]
fn the_capture_of_a_run_holds_what_the_kernel_saw_and_nothing_else() {
    require!(Tshark);
    let evidence = Evidence::new("e2e-delivery");
    let out = evidence.file("run");
    let seen = in_own_network(|| {
        let mut kernel = Dumpcap::start();
        let mut run = command();
        run.args(["e2e", "--rate", "5", "--call-duration", "1s", "--out"])
            .arg(&out);
        let ended = run.output().expect("it runs");
        // A machine that is too busy to judge audio (3) delivers all the same.
        assert!(
            matches!(ended.status.code(), Some(0 | 3)),
            "{}",
            String::from_utf8_lossy(&ended.stdout)
        );
        let dumped = kernel.finish();
        assert_eq!(dumped.dropped, 0, "the kernel had no room for packets");
        let mut flows = flows(&kernel.path());
        let own = dumped.own.to_string();
        flows.remove(&(own.clone(), own)).expect("it saw its own packets");
        flows
    });
    let Some(kernels) = seen else { return };
    let ours = flows(&out.join("pcaps/test_capture.pcapng"));
    let packets: usize = ours.values().map(Vec::len).sum();
    println!("{packets} datagrams in {} flows", ours.len());
    // Two agents register, and five calls have two legs with RTP and RTCP in both directions.
    assert!(
        ours.len() >= 40 && packets > 1_000,
        "{packets} packets in {} flows",
        ours.len()
    );
    let differences = differences(&ours, &kernels);
    assert!(differences.is_empty(), "{differences:#?}");
}

#[test]
fn a_packet_that_is_missing_altered_moved_or_foreign_is_a_difference() {
    let flow = ("127.0.0.1:5060".to_owned(), "127.0.0.1:5061".to_owned());
    let of = |packets: &[&str]| -> Flows {
        let packets = packets.iter().map(|packet| (*packet).to_owned()).collect();
        [(flow.clone(), packets)].into()
    };
    let all = of(&["00", "01", "02"]);
    assert!(differences(&all, &all).is_empty());
    for other in [
        of(&["00", "01"]),
        of(&["00", "01", "03"]),
        of(&["01", "00", "02"]),
        of(&[]),
        Flows::new(),
    ] {
        assert_eq!(differences(&all, &other).len(), 1, "{other:?}");
        assert_eq!(differences(&other, &all).len(), 1, "{other:?}");
    }
}
