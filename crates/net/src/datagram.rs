//! One UDP socket: opening it, receiving with what the kernel knows beside the payload, sending one or many.

use std::io::{self, IoSlice, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use callwright_wire::{BindError, BindErrorKind};
use nix::sys::socket::{ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, setsockopt, sockopt};
use nix::sys::time::TimeSpec;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::addr::SocketAddrArg;
use rustix::net::{MMsgHdr, SendAncillaryBuffer, SendFlags, sendmmsg};
use socket2::{Domain, Protocol, Socket, Type};

use crate::holder::holder;

/// The largest payload that a datagram can have, and a little more.
pub(crate) const LARGEST: usize = 65_536;
/// Room for the control messages that are asked for: packet info, the drop counter, the time of arrival, an ICMP error
/// with its address.
const CONTROL: usize = 256;
/// A datagram that seems to have waited longer was stamped before the clock was set.
const LONGEST_WAIT: Duration = Duration::from_secs(10);
/// How many datagrams one system call sends.
const TRAIN: usize = 32;

/// What the kernel is to tell beside a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Notes {
    /// How long it waited, and what was dropped before it.
    Full,
    /// Nothing: that costs least.
    None,
}

/// A bound, non-blocking UDP socket.
#[derive(Debug)]
pub(crate) struct Datagrams {
    socket: std::net::UdpSocket,
    local: SocketAddr,
    notes: Notes,
}

/// What one call received.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Received {
    pub(crate) from: SocketAddr,
    /// The address it was sent to, where the socket is bound to none.
    pub(crate) to: Option<IpAddr>,
    pub(crate) length: usize,
    /// How many datagrams this socket has dropped, once it has dropped any.
    pub(crate) drops: Option<u32>,
    /// How long it waited in the kernel.
    pub(crate) waited: Duration,
}

impl Datagrams {
    /// Binds `local`; port 0 takes any. One that is bound to no address has notes in any case.
    pub(crate) fn bind(local: SocketAddr, notes: Notes) -> io::Result<Self> {
        // Bound to no address, it has to be told at which one a datagram came.
        let notes = if local.ip().is_unspecified() {
            Notes::Full
        } else {
            notes
        };
        let socket = Socket::new(Domain::for_address(local), Type::DGRAM, Some(Protocol::UDP))?;
        socket.set_nonblocking(true)?;
        if local.is_ipv6() {
            // Each family has sockets of its own: no mapped addresses in flows.
            socket.set_only_v6(true)?;
        }
        socket.bind(&local.into())?;
        // These tell more than a plain socket does, and are not needed: a kernel without them is no error.
        if notes == Notes::Full {
            let _ = setsockopt(&socket, sockopt::RxqOvfl, &1);
            let _ = setsockopt(&socket, sockopt::ReceiveTimestampns, &true);
        }
        if local.is_ipv6() {
            let _ = setsockopt(&socket, sockopt::Ipv6RecvErr, &true);
        } else {
            let _ = setsockopt(&socket, sockopt::Ipv4RecvErr, &true);
        }
        if local.ip().is_unspecified() {
            if local.is_ipv6() {
                let _ = setsockopt(&socket, sockopt::Ipv6RecvPacketInfo, &true);
            } else {
                let _ = setsockopt(&socket, sockopt::Ipv4PacketInfo, &true);
            }
        }
        let socket = std::net::UdpSocket::from(socket);
        let local = socket.local_addr()?;
        Ok(Datagrams { socket, local, notes })
    }

    /// The address, with the real port.
    pub(crate) fn local(&self) -> SocketAddr {
        self.local
    }

    /// Receives one datagram; `WouldBlock` when there is none.
    pub(crate) fn receive(&self, buffer: &mut [u8]) -> io::Result<Received> {
        let mut control = [0; CONTROL];
        let mut slices = [IoSliceMut::new(buffer)];
        let message = recvmsg::<SockaddrStorage>(
            self.socket.as_raw_fd(),
            &mut slices,
            Some(&mut control),
            MsgFlags::MSG_DONTWAIT,
        )?;
        let mut received = Received {
            from: message
                .address
                .as_ref()
                .and_then(socket_address)
                .ok_or(io::ErrorKind::InvalidData)?,
            to: None,
            length: message.bytes,
            drops: None,
            waited: Duration::ZERO,
        };
        for note in message.cmsgs()? {
            match note {
                ControlMessageOwned::RxqOvfl(drops) => received.drops = Some(drops),
                ControlMessageOwned::ScmTimestampns(at) => received.waited = waited_since(at),
                ControlMessageOwned::Ipv4PacketInfo(info) => {
                    received.to = Some(Ipv4Addr::from(info.ipi_addr.s_addr.to_ne_bytes()).into());
                }
                ControlMessageOwned::Ipv6PacketInfo(info) => {
                    received.to = Some(Ipv6Addr::from(info.ipi6_addr.s6_addr).into());
                }
                _ => {}
            }
        }
        Ok(received)
    }

    /// Whether datagrams come with notes.
    pub(crate) fn notes(&self) -> Notes {
        self.notes
    }

    /// Receives one datagram without notes, which costs the kernel half of what it does with them.
    pub(crate) fn receive_plain(&self, buffer: &mut [u8]) -> io::Result<Received> {
        let (length, from) = self.socket.recv_from(buffer)?;
        Ok(Received {
            from,
            to: None,
            length,
            drops: None,
            waited: Duration::ZERO,
        })
    }

    /// Whether nothing waits to be received, asked for less than a try to receive costs. An empty datagram in front counts as
    /// nothing, and with it what stands behind, until the next one arrives.
    pub(crate) fn is_drained(&self) -> bool {
        rustix::io::ioctl_fionread(&self.socket).is_ok_and(|octets| octets == 0)
    }

    /// Whether neither a datagram, even an empty one, nor an error waits.
    pub(crate) fn has_nothing(&self) -> bool {
        let mut sockets = [PollFd::new(&self.socket, PollFlags::IN)];
        let now = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        poll(&mut sockets, Some(&now)).is_ok_and(|ready| ready == 0)
    }

    /// Takes what is in the error queue, and returns where datagrams went whose destination is unreachable.
    pub(crate) fn take_errors(&self) -> Vec<SocketAddr> {
        let mut unreachable = Vec::new();
        let mut payload = [0; 1];
        let mut control = [0; CONTROL];
        loop {
            let mut slices = [IoSliceMut::new(&mut payload)];
            let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_ERRQUEUE;
            let Ok(message) =
                recvmsg::<SockaddrStorage>(self.socket.as_raw_fd(), &mut slices, Some(&mut control), flags)
            else {
                return unreachable;
            };
            // ip(7): the address is the destination of the datagram that caused the error.
            let to = message.address.as_ref().and_then(socket_address);
            let says_so = message
                .cmsgs()
                .is_ok_and(|mut notes| notes.any(|note| is_unreachable(&note)));
            unreachable.extend(to.filter(|_| says_so));
        }
    }

    /// Sends one datagram.
    pub(crate) fn send(&self, to: SocketAddr, payload: &[u8]) -> io::Result<()> {
        match self.socket.send_to(payload, to) {
            Ok(_) => Ok(()),
            // ip(7), IP_RECVERR: the error of an earlier datagram is reported here once, and this one was not sent.
            Err(error) if is_pending_error(&error) => self.socket.send_to(payload, to).map(drop),
            Err(error) => Err(error),
        }
    }

    /// Sends datagrams in order, many to a system call, and returns how many went; an error concerns the next one.
    pub(crate) fn send_many(&self, datagrams: &[(SocketAddr, Bytes)]) -> (usize, Option<io::Error>) {
        let mut sent = 0;
        while sent < datagrams.len() {
            let train = &datagrams[sent..datagrams.len().min(sent + TRAIN)];
            match self.send_train(train) {
                Ok(count) => sent += count,
                Err(_) => match self.send(train[0].0, &train[0].1) {
                    // One by one, so that the error is that of this datagram.
                    Ok(()) => sent += 1,
                    Err(error) => return (sent, Some(error)),
                },
            }
        }
        (sent, None)
    }

    fn send_train(&self, train: &[(SocketAddr, Bytes)]) -> io::Result<usize> {
        let addresses: Vec<_> = train.iter().map(|(to, _)| to.as_any()).collect();
        let slices: Vec<_> = train.iter().map(|(_, bytes)| [IoSlice::new(bytes)]).collect();
        let mut controls: Vec<_> = train.iter().map(|_| SendAncillaryBuffer::default()).collect();
        let mut messages: Vec<_> = addresses
            .iter()
            .zip(&slices)
            .zip(&mut controls)
            .map(|((address, slice), control)| MMsgHdr::new_with_addr(address, slice, control))
            .collect();
        Ok(sendmmsg(&self.socket, &mut messages, SendFlags::DONTWAIT)?)
    }
}

impl AsFd for Datagrams {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// How long ago this was by the calendar clock, which the kernel stamps datagrams with. A clock that was set meanwhile tells
/// nothing.
fn waited_since(at: TimeSpec) -> Duration {
    let Ok(now) = SystemTime::now().duration_since(UNIX_EPOCH) else {
        return Duration::ZERO;
    };
    let waited = now.saturating_sub(Duration::from(at));
    if waited > LONGEST_WAIT {
        Duration::ZERO
    } else {
        waited
    }
}

/// True for ICMP "destination unreachable", but for "fragmentation needed": the kernel learns from that by itself.
fn is_unreachable(note: &ControlMessageOwned) -> bool {
    /// `SO_EE_ORIGIN_ICMP` with type 3, and `SO_EE_ORIGIN_ICMP6` with type 1.
    const DESTINATION_UNREACHABLE: [(u8, u8); 2] = [(2, 3), (3, 1)];
    const FRAGMENTATION_NEEDED: (u8, u8, u8) = (2, 3, 4);
    let (ControlMessageOwned::Ipv4RecvErr(error, _) | ControlMessageOwned::Ipv6RecvErr(error, _)) = note
    else {
        return false;
    };
    DESTINATION_UNREACHABLE.contains(&(error.ee_origin, error.ee_type))
        && (error.ee_origin, error.ee_type, error.ee_code) != FRAGMENTATION_NEEDED
}

fn socket_address(storage: &SockaddrStorage) -> Option<SocketAddr> {
    if let Some(v4) = storage.as_sockaddr_in() {
        return Some(SocketAddr::new(v4.ip().into(), v4.port()));
    }
    storage
        .as_sockaddr_in6()
        .map(|v6| SocketAddr::from(std::net::SocketAddrV6::from(*v6)))
}

/// True for the errors by which a socket reports an ICMP message about an earlier datagram: those to which Linux maps the
/// codes of "destination unreachable" in both families, and "time exceeded".
pub(crate) fn is_pending_error(error: &io::Error) -> bool {
    use nix::errno::Errno;
    [
        Errno::ECONNREFUSED,
        Errno::EHOSTUNREACH,
        Errno::ENETUNREACH,
        Errno::EHOSTDOWN,
        Errno::ENONET,
        Errno::ENOPROTOOPT,
        Errno::EOPNOTSUPP,
        Errno::EMSGSIZE,
        Errno::EACCES,
        Errno::EPERM,
        Errno::EPROTO,
    ]
    .iter()
    .any(|errno| error.raw_os_error() == Some(*errno as i32))
}

/// What a failed bind means to whoever asked.
pub(crate) fn bind_error(local: SocketAddr, error: &io::Error, stream: bool) -> BindError {
    let kind = match error.kind() {
        io::ErrorKind::AddrInUse => BindErrorKind::InUse {
            holder: holder(local, stream),
        },
        io::ErrorKind::AddrNotAvailable => BindErrorKind::NoSuchAddress,
        io::ErrorKind::PermissionDenied => BindErrorKind::NotPermitted,
        _ if error.raw_os_error() == Some(nix::errno::Errno::EMFILE as i32) => {
            BindErrorKind::TooManyOpenFiles
        }
        _ => BindErrorKind::Other {
            detail: error.to_string(),
        },
    };
    BindError { local, kind }
}
