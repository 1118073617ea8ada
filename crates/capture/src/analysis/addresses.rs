//! Who announced which address for RTP, and with which formats (RFC 3264 §5.1, §6.1).

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::rc::Rc;

use callwright_sdp::{Format, Media, MediaKind, Session};
use callwright_wire::Time;

use super::call::Side;

/// Legs of which it is remembered that they announced one address: the latest ones. Where media go past a server, its legs announce the
/// same; where ports are used again, one call after the other does.
const SHARED: usize = 8;

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
    /// Of each address, in the order in which it was announced first by each leg.
    announced: BTreeMap<SocketAddr, Vec<Announced>>,
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
        self.next += 1;
        let payload_types = media
            .formats
            .iter()
            .fold(0, |set, format| set | 1u128 << (format.payload_type & 0x7f));
        let mut new = Announced {
            leg,
            side,
            is_audio: media.kind == MediaKind::Audio,
            secure: media.protocol.is_secure() || !media.crypto.is_empty(),
            formats: media.formats.clone().into(),
            payload_types,
            since: now,
            number: self.next,
        };
        let all = self.announced.entry(address).or_default();
        if let Some(before) = all.iter_mut().find(|before| before.leg == leg) {
            self.order.remove(&before.number);
            if before.side == side {
                new.payload_types |= before.payload_types;
                new.since = before.since;
            }
            *before = new;
        } else {
            if all.len() == SHARED {
                self.order.remove(&all.remove(0).number);
            }
            all.push(new);
        }
        self.order.insert(self.next, address);
        if self.order.len() > self.limit {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        let Some((number, address)) = self.order.pop_first() else {
            return;
        };
        let Some(all) = self.announced.get_mut(&address) else {
            return;
        };
        all.retain(|announced| announced.number != number);
        if all.is_empty() {
            self.announced.remove(&address);
        }
    }

    /// Who announced an address, the earliest first.
    pub(crate) fn at(&self, address: SocketAddr) -> &[Announced] {
        self.announced.get(&address).map_or(&[], Vec::as_slice)
    }

    /// Whether so many legs announced it that some may be forgotten.
    pub(crate) fn is_crowded(&self, address: SocketAddr) -> bool {
        self.at(address).len() == SHARED
    }

    /// What a leg announced of an address.
    pub(crate) fn of(&self, address: SocketAddr, leg: usize) -> Option<&Announced> {
        self.at(address).iter().find(|announced| announced.leg == leg)
    }
}
