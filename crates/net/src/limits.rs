//! Limits of the process, and buffers of the kernel.

use std::io;
use std::os::fd::AsFd;

use nix::sys::socket::{setsockopt, sockopt};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use socket2::SockRef;

/// What is asked for signalling sockets. Bursts of thousands of messages a second overrun the kernel's default.
pub(crate) const SIGNALLING_BUFFER: usize = 4 << 20;

/// Raises the limit of open files as far as this process may, and returns what it is then.
pub(crate) fn raise_open_files() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        // Refused (by a sandbox, say) the old limit stays: it is read below.
        let _ = setrlimit(
            Resource::Nofile,
            Rlimit {
                current: limit.maximum,
                maximum: limit.maximum,
            },
        );
    }
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}

/// Asks for a large receive buffer and returns what the kernel gave, in octets of payload.
pub(crate) fn enlarge_receive_buffer(socket: &impl AsFd, size: usize) -> io::Result<usize> {
    let fd = socket.as_fd();
    // SO_RCVBUFFORCE passes net.core.rmem_max, but takes CAP_NET_ADMIN; without it the kernel cuts to that limit.
    if setsockopt(&fd, sockopt::RcvBufForce, &size).is_err() {
        SockRef::from(&fd).set_recv_buffer_size(size)?;
    }
    // socket(7): the kernel doubles the value for its bookkeeping, and says the doubled one.
    Ok(SockRef::from(&fd).recv_buffer_size()? / 2)
}
