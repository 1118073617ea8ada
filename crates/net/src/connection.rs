//! One stream connection, with or without TLS: a machine between the kernel's readiness and what the node hears.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use bytes::Bytes;
use callwright_wire::{Cause, ConnectionError, Flow, SocketId, Time};
use mio::net::TcpStream;

use crate::PartyId;

/// How much one turn reads from a connection before others have theirs.
const TURN: usize = 256 << 10;
/// How much clear text TLS may hold sealed but unsent.
const SEALED: usize = 64 << 10;

/// Which side opened a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// The node asked for it, under this number.
    Dialled(SocketId),
    /// A peer connected to this listener.
    Accepted(SocketId),
}

/// ```text
///   Connecting ──▶ Handshaking ──▶ Open ──▶ Closing ──▶ gone
///        └───────(no TLS)───────────▲
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// The SYN is out.
    Connecting,
    /// TLS is being agreed on.
    Handshaking,
    /// Bytes flow.
    Open,
    /// The node closed it; what was sent before still goes out.
    Closing,
}

/// Clear bytes that a node wrote.
#[derive(Debug)]
pub(crate) struct Unsent {
    pub(crate) bytes: Bytes,
    pub(crate) cause: Option<Cause>,
    /// True when the tap saw them already.
    pub(crate) shown: bool,
}

impl Unsent {
    /// Takes the first `count` bytes off.
    fn split_to(&mut self, count: usize) -> Unsent {
        Unsent {
            bytes: self.bytes.split_to(count),
            ..*self
        }
    }
}

/// What came of a turn, in order.
#[derive(Debug)]
pub(crate) enum Effect {
    /// It is up, TLS included.
    Up,
    /// Clear bytes came in.
    Received(Bytes),
    /// The kernel took these clear bytes.
    Sent(Unsent),
    /// It is gone: drop it.
    Gone(Option<ConnectionError>),
}

/// A connection and what waits to be sent on it.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) party: PartyId,
    pub(crate) origin: Origin,
    pub(crate) flow: Flow,
    pub(crate) phase: Phase,
    stream: TcpStream,
    tls: Option<Box<rustls::Connection>>,
    unsent: VecDeque<Unsent>,
    unsent_bytes: usize,
    /// Clear text inside TLS records that the kernel did not take yet.
    sealed: Vec<Unsent>,
    shut: bool,
    out: Lane,
    inward: Lane,
    /// The node closed it while its link still holds back what it wrote.
    pub(crate) closes_after: bool,
}

/// Pieces of one direction of a stream that a link of the script's holds back.
#[derive(Debug, Default)]
pub(crate) struct Lane {
    pub(crate) pieces: VecDeque<(Bytes, Option<Cause>)>,
    pub(crate) octets: usize,
    /// How many of the first pieces have their time.
    pub(crate) scheduled: usize,
    /// When the last of these arrives.
    pub(crate) last: Time,
    /// How often the piece after these was lost, and since when.
    pub(crate) attempts: u32,
    pub(crate) stuck_since: Option<Time>,
    /// True until it is sent again.
    pub(crate) waits: bool,
}

impl Connection {
    pub(crate) fn new(
        party: PartyId,
        origin: Origin,
        flow: Flow,
        stream: TcpStream,
        tls: Option<rustls::Connection>,
    ) -> Self {
        let phase = match (origin, &tls) {
            (Origin::Dialled(_), _) => Phase::Connecting,
            (Origin::Accepted(_), Some(_)) => Phase::Handshaking,
            (Origin::Accepted(_), None) => Phase::Open,
        };
        Connection {
            party,
            origin,
            flow,
            phase,
            stream,
            tls: tls.map(|mut tls| {
                tls.set_buffer_limit(Some(SEALED));
                Box::new(tls)
            }),
            unsent: VecDeque::new(),
            unsent_bytes: 0,
            sealed: Vec::new(),
            shut: false,
            out: Lane::default(),
            inward: Lane::default(),
            closes_after: false,
        }
    }

    pub(crate) fn lane(&mut self, out: bool) -> &mut Lane {
        if out { &mut self.out } else { &mut self.inward }
    }

    pub(crate) fn stream(&mut self) -> &mut TcpStream {
        &mut self.stream
    }

    /// Queues bytes for the next turn.
    pub(crate) fn send(&mut self, bytes: Bytes, cause: Option<Cause>, shown: bool) {
        if !bytes.is_empty() {
            self.unsent_bytes += bytes.len();
            self.unsent.push_back(Unsent { bytes, cause, shown });
        }
    }

    /// How many bytes wait for the peer to read.
    pub(crate) fn unsent_bytes(&self) -> usize {
        self.unsent_bytes
    }

    /// Closes it in order, after what is queued.
    pub(crate) fn close(&mut self) {
        self.phase = Phase::Closing;
    }

    /// Does what the kernel is ready for. Returns true when there may be more to read.
    pub(crate) fn turn(&mut self, buffer: &mut [u8], effects: &mut Vec<Effect>) -> bool {
        let turned = self.turn_inner(buffer, effects);
        turned.unwrap_or_else(|end| {
            effects.push(end.into());
            false
        })
    }

    /// Writes what waits and reads nothing, so that who answers a flood is not flooded faster by every answer.
    pub(crate) fn write(&mut self, effects: &mut Vec<Effect>) {
        if let Err(end) = self.flush(effects) {
            effects.push(end.into());
        }
    }

    fn turn_inner(&mut self, buffer: &mut [u8], effects: &mut Vec<Effect>) -> Result<bool, End> {
        if self.phase == Phase::Connecting && !self.is_connected()? {
            return Ok(false);
        }
        if self.phase == Phase::Connecting {
            if let Ok(local) = self.stream.local_addr() {
                self.flow.local = local;
            }
            // Small messages, each wanted at once: Nagle's algorithm would only delay them.
            let _ = self.stream.set_nodelay(true);
            self.phase = match self.tls {
                Some(_) => Phase::Handshaking,
                None => self.up(effects),
            };
        }
        let more = self.read(buffer, effects)?;
        self.flush(effects)?;
        Ok(more)
    }

    fn up(&self, effects: &mut Vec<Effect>) -> Phase {
        effects.push(Effect::Up);
        Phase::Open
    }

    fn is_connected(&self) -> Result<bool, End> {
        if let Some(error) = self.stream.take_error()? {
            return Err(error.into());
        }
        match self.stream.peer_addr() {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    fn read(&mut self, buffer: &mut [u8], effects: &mut Vec<Effect>) -> Result<bool, End> {
        let mut taken = 0;
        while taken < TURN {
            let count = match self.tls.as_mut() {
                Some(tls) => tls.read_tls(&mut self.stream),
                None => self.stream.read(buffer),
            };
            let count = match count {
                Ok(0) if self.phase == Phase::Handshaking => {
                    return Err(End::tls("the peer closed the connection during the handshake"));
                }
                Ok(0) => return Err(End::Orderly),
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error.into()),
            };
            taken += count;
            match self.tls {
                Some(_) => self.open_records(buffer, effects)?,
                None => self.received(&buffer[..count], effects),
            }
        }
        Ok(true)
    }

    fn received(&self, bytes: &[u8], effects: &mut Vec<Effect>) {
        // What still arrives after the node closed the connection is read, so that no reset overtakes our last
        // bytes, and goes nowhere.
        if self.phase == Phase::Open {
            effects.push(Effect::Received(Bytes::copy_from_slice(bytes)));
        }
    }

    fn open_records(&mut self, buffer: &mut [u8], effects: &mut Vec<Effect>) -> Result<(), End> {
        let Some(tls) = self.tls.as_mut() else {
            return Ok(());
        };
        if let Err(error) = tls.process_new_packets() {
            // The alert that tells the peer why.
            let _ = tls.write_tls(&mut self.stream);
            return Err(End::tls(&error.to_string()));
        }
        if self.phase == Phase::Handshaking && !tls.is_handshaking() {
            self.phase = self.up(effects);
        }
        loop {
            let Some(tls) = self.tls.as_mut() else {
                return Ok(());
            };
            match tls.reader().read(buffer) {
                Ok(0) => return Err(End::Orderly),
                Ok(count) => self.received(&buffer[..count], effects),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Writes as much as the kernel takes.
    fn flush(&mut self, effects: &mut Vec<Effect>) -> Result<(), End> {
        let blocked = match self.tls {
            Some(_) => self.flush_tls(effects)?,
            None => self.flush_plain(effects)?,
        };
        if self.phase == Phase::Closing && !blocked && !self.shut {
            self.shut = true;
            if let Some(tls) = self.tls.as_mut() {
                tls.send_close_notify();
                let _ = tls.write_tls(&mut self.stream);
            }
            let _ = self.stream.shutdown(Shutdown::Write);
        }
        Ok(())
    }

    fn flush_plain(&mut self, effects: &mut Vec<Effect>) -> Result<bool, End> {
        while let Some(unsent) = self.unsent.front_mut() {
            match self.stream.write(&unsent.bytes) {
                Ok(count) => {
                    self.unsent_bytes -= count;
                    effects.push(Effect::Sent(unsent.split_to(count)));
                    if unsent.bytes.is_empty() {
                        self.unsent.pop_front();
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(true),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(false)
    }

    fn flush_tls(&mut self, effects: &mut Vec<Effect>) -> Result<bool, End> {
        let Some(tls) = self.tls.as_mut() else {
            return Ok(false);
        };
        loop {
            while tls.wants_write() {
                match tls.write_tls(&mut self.stream) {
                    Ok(_) => {}
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(true),
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => return Err(error.into()),
                }
            }
            effects.extend(self.sealed.drain(..).map(Effect::Sent));
            if matches!(self.phase, Phase::Connecting | Phase::Handshaking) {
                return Ok(true);
            }
            let Some(unsent) = self.unsent.front_mut() else {
                return Ok(false);
            };
            let count = tls.writer().write(&unsent.bytes)?;
            self.unsent_bytes -= count;
            self.sealed.push(unsent.split_to(count));
            if unsent.bytes.is_empty() {
                self.unsent.pop_front();
            }
        }
    }
}

/// How a connection ends.
#[derive(Debug)]
enum End {
    Orderly,
    Broken(ConnectionError),
}

impl End {
    fn tls(detail: &str) -> Self {
        End::Broken(ConnectionError::Tls {
            detail: detail.to_owned(),
        })
    }
}

impl From<End> for Effect {
    fn from(end: End) -> Self {
        Effect::Gone(match end {
            End::Orderly => None,
            End::Broken(error) => Some(error),
        })
    }
}

impl From<io::Error> for End {
    fn from(error: io::Error) -> Self {
        End::Broken(ConnectionError::from(&error))
    }
}

/// What a handshake that takes too long is called.
pub(crate) fn handshake_timed_out(after: Duration) -> ConnectionError {
    ConnectionError::Tls {
        detail: format!(
            "the peer did not finish the handshake within {} s",
            after.as_secs()
        ),
    }
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}
