//! Who holds a port: for errors that say what to stop.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The process that holds `local`, as in `kamailio (pid 4711)`; `None` where that cannot be found out.
///
/// Reads `/proc`: processes of other users are only visible to a privileged reader.
pub(crate) fn holder(local: SocketAddr, stream: bool) -> Option<String> {
    let tables = if stream { ["tcp", "tcp6"] } else { ["udp", "udp6"] };
    let inode = tables.iter().find_map(|table| {
        let text = fs::read_to_string(format!("/proc/net/{table}")).ok()?;
        inode_of(&text, local, stream)
    })?;
    process_with(inode)
}

/// The inode of the socket in a table of `/proc/net` that keeps `wanted` from being bound.
fn inode_of(table: &str, wanted: SocketAddr, stream: bool) -> Option<u64> {
    /// The state of a listening socket in `/proc/net/tcp`.
    const LISTEN: &str = "0A";
    table.lines().skip(1).find_map(|line| {
        let mut fields = line.split_ascii_whitespace();
        let local = address(fields.nth(1)?)?;
        let state = fields.nth(1)?;
        let inode = fields.nth(5)?;
        let clash = local.port() == wanted.port()
            && (!stream || state == LISTEN)
            && (local.ip() == wanted.ip() || local.ip().is_unspecified() || wanted.ip().is_unspecified());
        if clash { inode.parse().ok() } else { None }
    })
}

/// Reads `0100007F:13C4`: 32-bit words in the machine's order, in hexadecimal.
fn address(text: &str) -> Option<SocketAddr> {
    let (ip, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let words: Vec<u32> = (0..ip.len() / 8)
        .map(|word| u32::from_str_radix(ip.get(word * 8..word * 8 + 8)?, 16).ok())
        .collect::<Option<_>>()?;
    let ip = match words.as_slice() {
        [word] => IpAddr::V4(Ipv4Addr::from(word.to_ne_bytes())),
        [a, b, c, d] => {
            let mut octets = [0; 16];
            for (place, word) in octets.chunks_exact_mut(4).zip([a, b, c, d]) {
                place.copy_from_slice(&word.to_ne_bytes());
            }
            IpAddr::V6(Ipv6Addr::from(octets)).to_canonical()
        }
        _ => return None,
    };
    Some(SocketAddr::new(ip, port))
}

fn process_with(inode: u64) -> Option<String> {
    let link = format!("socket:[{inode}]");
    let processes = fs::read_dir("/proc").ok()?;
    for process in processes.flatten() {
        let name = process.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        let Ok(files) = fs::read_dir(process.path().join("fd")) else {
            continue;
        };
        let holds = files
            .flatten()
            .any(|file| fs::read_link(file.path()).is_ok_and(|target| target.as_os_str() == link.as_str()));
        if holds {
            let program = fs::read_to_string(process.path().join("comm")).unwrap_or_default();
            return Some(match program.trim() {
                "" => format!("pid {pid}"),
                program => format!("{program} (pid {pid})"),
            });
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const UDP: &str = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops
  123: 0100007F:13C4 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 4242 2 0000000000000000 0
  124: 00000000:13C5 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 4243 2 0000000000000000 0
";

    #[test]
    fn the_table_names_the_inode_of_the_same_address() {
        assert_eq!(
            inode_of(UDP, "127.0.0.1:5060".parse().unwrap(), false),
            Some(4242)
        );
        assert_eq!(inode_of(UDP, "127.0.0.2:5060".parse().unwrap(), false), None);
    }

    #[test]
    fn a_wildcard_on_either_side_clashes() {
        assert_eq!(inode_of(UDP, "0.0.0.0:5060".parse().unwrap(), false), Some(4242));
        assert_eq!(
            inode_of(UDP, "127.0.0.1:5061".parse().unwrap(), false),
            Some(4243)
        );
    }

    #[test]
    fn addresses_of_both_families_are_read() {
        assert_eq!(address("0100007F:13C4"), Some("127.0.0.1:5060".parse().unwrap()));
        assert_eq!(
            address("00000000000000000000000001000000:13C4"),
            Some("[::1]:5060".parse().unwrap())
        );
        assert_eq!(address("garbage"), None);
    }
}
