//! A capture taken where phones are: what they sent and what they heard, and nothing that only was on its way.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

/// A file of pcap whose packets begin with their IP header (LINKTYPE_RAW).
pub(crate) struct Tape {
    file: Mutex<BufWriter<File>>,
    path: PathBuf,
}

impl Tape {
    pub(crate) fn create(path: &Path) -> Tape {
        let mut file = BufWriter::new(File::create(path).expect("a file"));
        let words: [u32; 6] = [0xa1b2_c3d4, 2 | 4 << 16, 0, 0, 65_535, 101];
        for word in words {
            file.write_all(&word.to_le_bytes()).expect("it is written");
        }
        Tape {
            file: Mutex::new(file),
            path: path.to_owned(),
        }
    }

    /// Writes a datagram of UDP, with the time that it is now.
    pub(crate) fn write(&self, from: SocketAddr, to: SocketAddr, bytes: &[u8]) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
        let (IpAddr::V4(source), IpAddr::V4(destination)) = (from.ip(), to.ip()) else {
            panic!("phones are at IPv4: {from}, {to}");
        };
        let length = 28 + bytes.len();
        let of = |length: usize| u16::try_from(length).expect("a datagram").to_be_bytes();
        // RFC 791 §3.1 and RFC 768, without checksums.
        let mut packet = vec![0x45, 0];
        packet.extend(of(length));
        packet.extend([0, 0, 0, 0, 64, 17, 0, 0]);
        packet.extend(source.octets());
        packet.extend(destination.octets());
        packet.extend(from.port().to_be_bytes());
        packet.extend(to.port().to_be_bytes());
        packet.extend(of(length - 20));
        packet.extend([0, 0]);
        packet.extend(bytes);
        let seconds = u32::try_from(now.as_secs()).expect("before 2106");
        let length = u32::try_from(length).expect("a datagram");
        let head = [seconds, now.subsec_micros(), length, length].map(u32::to_le_bytes);
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.write_all(&head.concat()).expect("it is written");
        file.write_all(&packet).expect("it is written");
    }

    /// A copy of the file as it is now: it goes on being written.
    pub(crate) fn copied(&self) -> PathBuf {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.flush().expect("it is written");
        let copy = self.path.with_extension("copy.pcap");
        std::fs::copy(&self.path, &copy).expect("it is copied");
        copy
    }
}
