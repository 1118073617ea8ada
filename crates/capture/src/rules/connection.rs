//! Messages out of the pieces of streams.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use callwright_sip_message::{Frame, FrameError, Framer, Limits, Message};
use callwright_wire::Time;

/// What a piece of a stream brought.
#[derive(Debug)]
pub(crate) enum Piece {
    /// A message.
    Message(Message),
    /// Where a message should begin is none, behind others that were.
    Broken(FrameError),
}

/// One direction of a connection.
#[derive(Debug)]
struct Direction {
    party: u32,
    used: Time,
    /// `None`: it carries something else, such as HTTP, or was found broken.
    framer: Option<Framer>,
    /// A SIP message came of it.
    sip: bool,
}

/// Every direction of every connection.
#[derive(Debug)]
pub(crate) struct Connections {
    open: BTreeMap<(SocketAddr, SocketAddr), Direction>,
    limit: usize,
}

impl Connections {
    pub(crate) fn new(limit: usize) -> Self {
        Connections {
            open: BTreeMap::new(),
            limit,
        }
    }

    /// Reads on; what was found goes into `found`.
    pub(crate) fn read(
        &mut self,
        now: Time,
        party: u32,
        way: (SocketAddr, SocketAddr),
        bytes: &[u8],
        found: &mut Vec<Piece>,
    ) {
        if self.open.len() >= self.limit && !self.open.contains_key(&way) {
            let oldest = self.open.iter().min_by_key(|(_, direction)| direction.used);
            let oldest = oldest.map(|(way, _)| *way);
            oldest.and_then(|way| self.open.remove(&way));
        }
        let direction = self.open.entry(way).or_insert_with(|| Direction {
            party,
            used: now,
            framer: Some(Framer::new(Limits::default())),
            sip: false,
        });
        direction.used = now;
        let Some(framer) = &mut direction.framer else {
            return;
        };
        framer.push(bytes);
        while let Some(frame) = framer.next() {
            match frame {
                Ok(Frame::Message(message)) => {
                    direction.sip = true;
                    found.push(Piece::Message(message));
                }
                Ok(Frame::Ping | Frame::Pong) => {}
                Err(error) => {
                    if direction.sip || matches!(error, FrameError::ContentLength(_)) {
                        found.push(Piece::Broken(error));
                    }
                    direction.framer = None;
                    return;
                }
            }
        }
    }

    /// The connections of a party are gone.
    pub(crate) fn forget(&mut self, party: u32) {
        let theirs: Vec<_> = self
            .open
            .iter()
            .filter(|(_, direction)| direction.party == party)
            .flat_map(|((from, to), _)| [(*from, *to), (*to, *from)])
            .collect();
        for way in theirs {
            self.open.remove(&way);
        }
    }
}
