//! Ports for peers that cannot choose one themselves and say which.

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::sync::atomic::{AtomicU16, Ordering};

use rustix::event::{Timespec, poll};

/// Below the range from which Linux hands out ports to whoever asks for any (32768 and up), so that only tests
/// compete for them.
const FIRST: u16 = 20_000;
const COUNT: u16 = 12_000;

/// A port on 127.0.0.1, free for UDP and TCP when it was leased, and kept from the other tests of this machine
/// until it is dropped. Another program may still take it: who starts a peer on it must be ready to try again.
#[derive(Debug)]
pub struct Port {
    number: u16,
    /// Held for its lock, which ends with the process at the latest.
    _lock: File,
}

impl Port {
    /// Leases the next free port.
    pub fn lease() -> Self {
        static NEXT: AtomicU16 = AtomicU16::new(0);
        // Test processes start apart from each other, so that they seldom ask for the same port.
        let start = (std::process::id() % 1_000) as u16 * 12;
        for _ in 0..COUNT {
            let offset = start.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % COUNT;
            if let Some(port) = Self::try_lease(FIRST + offset) {
                return port;
            }
        }
        panic!("no port from {FIRST} on is free");
    }

    fn try_lease(number: u16) -> Option<Self> {
        let folder = std::env::temp_dir().join("callwright-ports");
        std::fs::create_dir_all(&folder).expect("a folder for the locks of ports");
        let lock = File::create(folder.join(number.to_string())).expect("the lock of a port");
        lock.try_lock().ok()?;
        UdpSocket::bind((Ipv4Addr::LOCALHOST, number)).ok()?;
        TcpListener::bind((Ipv4Addr::LOCALHOST, number)).ok()?;
        Some(Self { number, _lock: lock })
    }

    /// The port number.
    pub fn number(&self) -> u16 {
        self.number
    }

    /// The port on 127.0.0.1.
    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.number).into()
    }
}

/// Waits until somebody has bound the port of `address`: from then on the kernel keeps what is sent there. A probe by
/// OPTIONS would be a message that the test then sees. Panics after a minute.
pub fn wait_for_sip(address: SocketAddr) {
    let pause = Timespec {
        tv_sec: 0,
        tv_nsec: 20_000_000,
    };
    for _ in 0..3_000 {
        if is_bound(address.port()) {
            return;
        }
        // Nothing tells when another process binds a port; look again a little later.
        let _time_up = poll(&mut [], Some(&pause));
    }
    panic!("nobody listens at {address}");
}

/// Whether some socket of this machine has the port, by the tables of the kernel.
pub(crate) fn is_bound(port: u16) -> bool {
    [
        "/proc/net/udp",
        "/proc/net/tcp",
        "/proc/net/udp6",
        "/proc/net/tcp6",
    ]
    .iter()
    .any(|table| {
        let table = std::fs::read_to_string(table).unwrap_or_default();
        table.lines().skip(1).any(|line| {
            let local = line
                .split_whitespace()
                .nth(1)
                .and_then(|local| local.rsplit(':').next());
            local.and_then(|local| u16::from_str_radix(local, 16).ok()) == Some(port)
        })
    })
}
