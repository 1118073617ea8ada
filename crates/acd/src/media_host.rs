//! The media plane, and the ports of its sessions.

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, SocketAddr};

use callwright_media::plane::{Plane, Ports, SessionId};
use callwright_sip::core::Core;
use callwright_wire::{Entropy, SocketId, SocketUse, Time};

use crate::b2bua::LegKey;

/// Whether a socket is one of media: the endpoint numbers its own above.
pub(crate) const fn is_media(socket: SocketId) -> bool {
    socket.0 < Core::FIRST_SOCKET.0
}

/// A socket that a session wants, or gives back.
#[derive(Debug)]
pub(crate) enum PortRequest {
    Bind {
        rtp: SocketId,
        local: SocketAddr,
        usage: SocketUse,
    },
    Unbind {
        rtp: SocketId,
    },
}

/// Sessions, their legs and their sockets.
#[derive(Debug)]
pub(crate) struct MediaHost {
    plane: Plane,
    /// Ports that were asked for and are not there yet.
    wanted: BTreeMap<SocketId, LegKey>,
    sessions: BTreeMap<SessionId, (LegKey, SocketId)>,
    /// The even number of each pair that can be used again.
    free: Vec<u32>,
    next: u32,
    requests: VecDeque<PortRequest>,
    /// Sessions that ended: their ports are given back when their goodbye is out.
    leaving: Vec<SocketId>,
}

impl MediaHost {
    pub(crate) fn new(plane: Plane) -> MediaHost {
        MediaHost {
            plane,
            wanted: BTreeMap::new(),
            sessions: BTreeMap::new(),
            free: Vec::new(),
            next: 0,
            requests: VecDeque::new(),
            leaving: Vec::new(),
        }
    }

    pub(crate) fn plane(&self) -> &Plane {
        &self.plane
    }

    pub(crate) fn plane_mut(&mut self) -> &mut Plane {
        &mut self.plane
    }

    /// Asks for a pair of ports at `ip`.
    pub(crate) fn want(&mut self, leg: LegKey, ip: IpAddr) -> SocketId {
        let first = self.free.pop().unwrap_or_else(|| {
            let first = self.next;
            self.next += 2;
            first
        });
        let rtp = SocketId(first);
        self.wanted.insert(rtp, leg);
        self.requests.push_back(PortRequest::Bind {
            rtp,
            local: SocketAddr::new(ip, 0),
            usage: SocketUse::Media { rtcp: companion(rtp) },
        });
        rtp
    }

    /// The leg that wanted these ports is over.
    pub(crate) fn unwant(&mut self, rtp: SocketId) {
        if self.wanted.remove(&rtp).is_some() {
            self.requests.push_back(PortRequest::Unbind { rtp });
            self.free.push(rtp.0);
        }
    }

    /// The ports are there: the session begins. Nothing when nobody wants them any more.
    pub(crate) fn bound(&mut self, rtp: SocketId, entropy: &mut Entropy) -> Option<(LegKey, SessionId)> {
        let leg = self.wanted.remove(&rtp)?;
        let ports = Ports {
            rtp,
            rtcp: companion(rtp),
        };
        let session = self.plane.open(ports, entropy);
        self.sessions.insert(session, (leg, rtp));
        Some((leg, session))
    }

    /// There are no ports.
    pub(crate) fn bind_failed(&mut self, rtp: SocketId) -> Option<LegKey> {
        let leg = self.wanted.remove(&rtp)?;
        self.free.push(rtp.0);
        Some(leg)
    }

    /// Ends a session.
    pub(crate) fn close(&mut self, now: Time, session: SessionId) {
        if let Some((_, rtp)) = self.sessions.remove(&session) {
            self.plane.close(now, session);
            self.leaving.push(rtp);
        }
    }

    pub(crate) fn leg_of(&self, session: SessionId) -> Option<LegKey> {
        self.sessions.get(&session).map(|(leg, _)| *leg)
    }

    pub(crate) fn sessions(&self) -> usize {
        self.sessions.len()
    }

    /// Whether every port was given back, and every goodbye is out.
    pub(crate) fn is_quiet(&self) -> bool {
        self.sessions.is_empty()
            && self.wanted.is_empty()
            && self.leaving.is_empty()
            && self.requests.is_empty()
    }

    pub(crate) fn poll_request(&mut self) -> Option<PortRequest> {
        self.requests.pop_front()
    }

    /// Everything that was to be sent is out: ports of sessions that ended are given back.
    pub(crate) fn let_go(&mut self) {
        for rtp in self.leaving.drain(..) {
            self.requests.push_back(PortRequest::Unbind { rtp });
            self.free.push(rtp.0);
        }
    }

    pub(crate) fn has_requests(&self) -> bool {
        !self.requests.is_empty()
    }
}

/// RTCP is the odd number above (RFC 3550 §11).
fn companion(rtp: SocketId) -> SocketId {
    SocketId(rtp.0 + 1)
}
