//! Streams whose segments were not seen: a plausible TCP conversation around their bytes.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use crate::packet::{ACK, FIN, PSH, SYN, Segment, tcp};

/// The most that goes into one segment: a SIP message stays in one piece.
const SEGMENT: usize = 60_000;
/// How many streams are followed; beyond, the one that was silent longest is ended.
const STREAMS: usize = 65_536;

/// One direction's place in the sequence space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Side {
    next: u32,
}

/// A stream, seen from the side whose bytes came first, which is taken for the client.
#[derive(Clone, Copy, Debug)]
struct Stream {
    client: Side,
    server: Side,
    interface: u32,
    used: u64,
}

/// A frame of a stream, on the interface that it belongs to.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) interface: u32,
    pub(crate) bytes: Vec<u8>,
    /// True when it carries bytes of the record: those deserve the comment.
    pub(crate) is_data: bool,
}

/// All streams of a capture, by client and server address.
#[derive(Debug, Default)]
pub(crate) struct Streams {
    open: BTreeMap<(SocketAddr, SocketAddr), Stream>,
    used: u64,
}

impl Streams {
    /// The frames that carry `bytes` from `source` to `destination`, a handshake before the first.
    pub(crate) fn carry(
        &mut self,
        interface: u32,
        source: SocketAddr,
        destination: SocketAddr,
        identification: &mut u16,
        bytes: &[u8],
    ) -> Vec<Frame> {
        let mut frames = Vec::new();
        let (key, from_client) = if self.open.contains_key(&(destination, source)) {
            ((destination, source), false)
        } else {
            ((source, destination), true)
        };
        if !self.open.contains_key(&key) {
            if self.open.len() >= STREAMS {
                self.end_oldest(identification, &mut frames);
            }
            self.open
                .insert(key, shake_hands(interface, key, identification, &mut frames));
        }
        self.used += 1;
        let used = self.used;
        let Some(stream) = self.open.get_mut(&key) else {
            return frames;
        };
        stream.used = used;
        for piece in bytes.chunks(SEGMENT) {
            let (from, to) = if from_client {
                (&mut stream.client, stream.server)
            } else {
                (&mut stream.server, stream.client)
            };
            let segment = Segment {
                sequence: from.next,
                acknowledged: to.next,
                flags: PSH | ACK,
            };
            from.next = from.next.wrapping_add(piece.len() as u32);
            frames.push(Frame {
                interface,
                bytes: tcp(source, destination, next(identification), segment, piece),
                is_data: true,
            });
        }
        frames
    }

    /// The frames that end every stream.
    pub(crate) fn end_all(&mut self, identification: &mut u16) -> Vec<Frame> {
        let mut frames = Vec::new();
        for (key, stream) in std::mem::take(&mut self.open) {
            say_goodbye(key, stream, identification, &mut frames);
        }
        frames
    }

    fn end_oldest(&mut self, identification: &mut u16, frames: &mut Vec<Frame>) {
        let oldest = self
            .open
            .iter()
            .min_by_key(|(_, stream)| stream.used)
            .map(|(key, _)| *key);
        if let Some(key) = oldest
            && let Some(stream) = self.open.remove(&key)
        {
            say_goodbye(key, stream, identification, frames);
        }
    }
}

/// RFC 9293 §3.5, figure 6.
fn shake_hands(
    interface: u32,
    (client, server): (SocketAddr, SocketAddr),
    identification: &mut u16,
    frames: &mut Vec<Frame>,
) -> Stream {
    for (source, destination, sequence, acknowledged, flags) in [
        (client, server, 0, 0, SYN),
        (server, client, 0, 1, SYN | ACK),
        (client, server, 1, 1, ACK),
    ] {
        let segment = Segment {
            sequence,
            acknowledged,
            flags,
        };
        frames.push(Frame {
            interface,
            bytes: tcp(source, destination, next(identification), segment, &[]),
            is_data: false,
        });
    }
    Stream {
        client: Side { next: 1 },
        server: Side { next: 1 },
        interface,
        used: 0,
    }
}

/// RFC 9293 §3.6, figure 12.
fn say_goodbye(
    (client, server): (SocketAddr, SocketAddr),
    stream: Stream,
    identification: &mut u16,
    frames: &mut Vec<Frame>,
) {
    let (c, s) = (stream.client.next, stream.server.next);
    for (source, destination, sequence, acknowledged, flags) in [
        (client, server, c, s, FIN | ACK),
        (server, client, s, c.wrapping_add(1), FIN | ACK),
        (client, server, c.wrapping_add(1), s.wrapping_add(1), ACK),
    ] {
        let segment = Segment {
            sequence,
            acknowledged,
            flags,
        };
        frames.push(Frame {
            interface: stream.interface,
            bytes: tcp(source, destination, next(identification), segment, &[]),
            is_data: false,
        });
    }
}

/// The next value of the IP identification field.
pub(crate) fn next(identification: &mut u16) -> u16 {
    *identification = identification.wrapping_add(1);
    *identification
}
