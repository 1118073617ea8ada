//! Who announced which address for RTP, and with which formats (RFC 3264 §5.1, §6.1).

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::rc::Rc;

use callwright_sdp::{Format, Media, MediaKind, Session};
use callwright_wire::Time;

use super::call::Side;

/// What a session description says of an address that it names.
#[derive(Clone, Debug)]
pub(crate) struct Announced {
    pub(crate) leg: usize,
    /// Who wants RTP there.
    pub(crate) side: Side,
    pub(crate) is_audio: bool,
    pub(crate) secure: bool,
    /// Of the last description.
    pub(crate) formats: Rc<[Format]>,
    /// Of all descriptions of this side so far: what was sent by an older one is still on its way.
    pub(crate) payload_types: u128,
    pub(crate) since: Time,
    number: u64,
}

/// All addresses for RTP that are known.
#[derive(Debug)]
pub(crate) struct Addresses {
    announced: BTreeMap<SocketAddr, Announced>,
    order: BTreeMap<u64, SocketAddr>,
    next: u64,
    limit: usize,
}

impl Addresses {
    pub(crate) fn new(limit: usize) -> Self {
        Addresses {
            announced: BTreeMap::new(),
            order: BTreeMap::new(),
            next: 0,
            limit,
        }
    }

    /// Rises with every description.
    pub(crate) fn version(&self) -> u64 {
        self.next
    }

    /// A side of a leg describes its session.
    pub(crate) fn describe(&mut self, leg: usize, side: Side, session: &Session, now: Time) {
        for (index, media) in session.media.iter().enumerate() {
            let Some(address) = session.rtp_address(index).filter(|_| media.protocol.is_rtp()) else {
                continue;
            };
            if !address.ip().is_unspecified() {
                self.announce(address, leg, side, media, now);
            }
        }
    }

    fn announce(&mut self, address: SocketAddr, leg: usize, side: Side, media: &Media, now: Time) {
        let mut payload_types = media
            .formats
            .iter()
            .fold(0, |set, format| set | 1u128 << (format.payload_type & 0x7f));
        let mut since = now;
        if let Some(before) = self.announced.remove(&address) {
            self.order.remove(&before.number);
            if (before.leg, before.side) == (leg, side) {
                payload_types |= before.payload_types;
                since = before.since;
            }
        }
        if self.announced.len() >= self.limit
            && let Some((_, oldest)) = self.order.pop_first()
        {
            self.announced.remove(&oldest);
        }
        self.next += 1;
        self.order.insert(self.next, address);
        self.announced.insert(
            address,
            Announced {
                leg,
                side,
                is_audio: media.kind == MediaKind::Audio,
                secure: media.protocol.is_secure() || !media.crypto.is_empty(),
                formats: media.formats.clone().into(),
                payload_types,
                since,
                number: self.next,
            },
        );
    }

    pub(crate) fn at(&self, address: SocketAddr) -> Option<&Announced> {
        self.announced.get(&address)
    }
}
