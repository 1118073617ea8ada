//! Links of a script's own in the real world: who says what becomes of a packet.

use std::net::SocketAddr;

use callwright_wire::Time;
use callwright_wire::link::Passage;

/// What becomes of a piece of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PiecePassage {
    /// It arrives then, unless that is before the piece ahead of it.
    Arrives(Time),
    /// It was lost: its sender sends it again then, and what follows it waits.
    Again(Time),
}

/// Says what becomes of the packets of a world ([`crate::World::set_shaper`]).
///
/// Every datagram is asked about once: when its sender is in this world, as it is sent, else as it arrives; so is every
/// piece that a node writes to a stream, or that arrives on one from outside. The addresses are those of the packet. Like a
/// tap it is called under the world's lock: it must be quick, and must not call the world.
pub trait Shaper: Send {
    /// A datagram of `octets` of payload sets out at `now`. `None`: there is no link of ours on its way, it goes as it is.
    fn datagram(
        &mut self,
        now: Time,
        source: SocketAddr,
        destination: SocketAddr,
        octets: usize,
    ) -> Option<Passage>;

    /// A piece of a stream sets out at `now`, which was lost `attempts` times before. `None`: it goes as it is.
    fn piece(
        &mut self,
        now: Time,
        source: SocketAddr,
        destination: SocketAddr,
        octets: usize,
        attempts: u32,
    ) -> Option<PiecePassage>;
}
