//! What the kernel sees pass, by AF_PACKET.

use std::net::{SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::Signal;

use crate::daemon::Daemon;
use crate::evidence::Evidence;
use crate::peer::program;

const PROBES: usize = 1_000;
const PROBE_PAUSE: Duration = Duration::from_millis(20);
/// Of the kernel, in MiB: enough for everything that a run sends while nothing is written to the disk.
const BUFFER_MIB: &str = "64";
const LOG: &str = "dumpcap.log";

/// Wireshark's `dumpcap` at the loopback of the network that the calling thread is in; stopped when dropped. Of the two times
/// that a packet passes there, going out and coming in, libpcap leaves the first out.
#[derive(Debug)]
pub struct Dumpcap {
    daemon: Daemon,
    evidence: Evidence,
    /// From here to here a last packet is sent: what was sent before it is in the file when it is.
    last: UdpSocket,
}

/// What it says of itself at its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dumped {
    /// Packets that the kernel had no room for.
    pub dropped: u64,
    /// An address of its own: what goes there is to be left out.
    pub own: SocketAddr,
}

impl Dumpcap {
    /// Starts it, and waits until it sees packets. `require!(Tshark)` comes first: it is in the same package.
    pub fn start() -> Self {
        let evidence = Evidence::new("dumpcap");
        let mut command =
            std::process::Command::new(program("dumpcap").expect("require!(Tshark) comes first"));
        command
            .args(["-q", "-i", "lo", "-B", BUFFER_MIB, "-w"])
            .arg(evidence.file("kernel.pcapng"));
        let daemon = Daemon::spawn(&mut command, &evidence.file(LOG), Signal::INT);
        let last = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        let mut dumpcap = Dumpcap {
            daemon,
            evidence,
            last,
        };
        // It names its file when it has the device open; a packet that it has seen is proof.
        dumpcap.sees(b"the first packet of a capture");
        dumpcap
    }

    /// The capture.
    pub fn path(&self) -> PathBuf {
        self.evidence.file("kernel.pcapng")
    }

    /// Ends it, when all that was sent so far is in its file.
    #[track_caller]
    pub fn finish(&mut self) -> Dumped {
        self.sees(b"the last packet of a capture");
        let status = self.daemon.finish(PROBE_PAUSE * 500);
        let said = self.evidence.read(LOG);
        assert!(
            status.is_some_and(|status| status.success()),
            "{status:?}: {said}"
        );
        // Packets received/dropped on interface 'Loopback: lo': 241413/0 (pcap:0/dumpcap:0/flushed:0/ps_ifdrop:0) (100.0%)
        let counts = said
            .rsplit_once("': ")
            .and_then(|(_, counts)| counts.split([' ', '/']).nth(1));
        let dropped = counts.and_then(|dropped| dropped.parse().ok());
        Dumped {
            dropped: dropped.unwrap_or_else(|| panic!("no number of dropped packets in {said}")),
            own: self.last.local_addr().expect("its address"),
        }
    }

    /// Sends a packet again and again until it is in the file.
    #[track_caller]
    fn sees(&mut self, bytes: &[u8]) {
        let here = self.last.local_addr().expect("its address");
        for _ in 0..PROBES {
            self.last.send_to(bytes, here).expect("it leaves");
            if self.daemon.wait(PROBE_PAUSE).is_some() {
                break;
            }
            if holds(&self.path(), bytes) {
                return;
            }
        }
        panic!("dumpcap sees nothing: {}", self.evidence.read(LOG));
    }
}

fn holds(path: &Path, bytes: &[u8]) -> bool {
    // There is no file before the device is open.
    let file = std::fs::read(path).unwrap_or_default();
    file.windows(bytes.len()).any(|window| window == bytes)
}
