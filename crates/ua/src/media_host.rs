//! The media plane that all user agents of a fleet share, and the ports of its sessions.

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use callwright_media::plane::{Closed, Command, CommandError, Plane, Ports, SessionId, Stats};
use callwright_wire::{Entropy, SocketId, SocketUse, Time};

use crate::call::CallKey;
use crate::user_agent::UserAgentId;

/// Numbers from here on are media sockets: they never meet those of signalling.
pub(crate) const FIRST_SOCKET: u32 = 1 << 31;

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

/// Whose session it is.
pub(crate) type Owner = (UserAgentId, CallKey);

/// Sessions, their owners and their sockets.
#[derive(Debug)]
pub(crate) struct MediaHost {
    plane: Plane,
    /// Ports that were asked for and are not there yet.
    wanted: BTreeMap<SocketId, Owner>,
    sessions: BTreeMap<SessionId, (Owner, SocketId)>,
    /// The even number of each pair that can be used again.
    free: Vec<u32>,
    next: u32,
    requests: VecDeque<PortRequest>,
    /// Sessions that ended: their last events still find their owner, and their ports are given back when their
    /// goodbye is out.
    leaving: Vec<(SessionId, SocketId)>,
    /// Packets that sessions which ended never sent, because they would have been too late.
    skipped: u64,
}

impl MediaHost {
    pub(crate) fn new(plane: Plane) -> Self {
        MediaHost {
            plane,
            wanted: BTreeMap::new(),
            sessions: BTreeMap::new(),
            free: Vec::new(),
            next: FIRST_SOCKET,
            requests: VecDeque::new(),
            leaving: Vec::new(),
            skipped: 0,
        }
    }

    pub(crate) fn plane(&self) -> &Plane {
        &self.plane
    }

    pub(crate) fn plane_mut(&mut self) -> &mut Plane {
        &mut self.plane
    }

    /// Asks for a pair of ports at `ip`.
    pub(crate) fn want(&mut self, owner: Owner, ip: IpAddr) -> SocketId {
        let first = self.free.pop().unwrap_or_else(|| {
            let first = self.next;
            self.next += 2;
            first
        });
        let rtp = SocketId(first);
        self.wanted.insert(rtp, owner);
        let usage = SocketUse::Media { rtcp: companion(rtp) };
        self.requests.push_back(PortRequest::Bind {
            rtp,
            local: SocketAddr::new(ip, 0),
            usage,
        });
        rtp
    }

    /// The call that wanted these ports is over.
    pub(crate) fn unwant(&mut self, rtp: SocketId) {
        if self.wanted.remove(&rtp).is_some() {
            self.requests.push_back(PortRequest::Unbind { rtp });
            self.free.push(rtp.0);
        }
    }

    /// The ports are there: the session begins. Nothing when nobody wants them any more.
    /// SSRC and the like come from `entropy`, the stream of whom they belong to.
    pub(crate) fn bound(&mut self, rtp: SocketId, entropy: &mut Entropy) -> Option<(Owner, SessionId)> {
        let owner = self.wanted.remove(&rtp)?;
        let session = self.plane.open(
            Ports {
                rtp,
                rtcp: companion(rtp),
            },
            entropy,
        );
        self.sessions.insert(session, (owner, rtp));
        Some((owner, session))
    }

    /// Who asked for these ports.
    pub(crate) fn wanted_by(&self, rtp: SocketId) -> Option<Owner> {
        self.wanted.get(&rtp).copied()
    }

    /// There are no ports.
    pub(crate) fn bind_failed(&mut self, rtp: SocketId) -> Option<Owner> {
        let owner = self.wanted.remove(&rtp)?;
        self.free.push(rtp.0);
        Some(owner)
    }

    /// Ends a session; its last figures.
    pub(crate) fn close(&mut self, now: Time, session: SessionId) -> Option<Closed> {
        let (_, rtp) = *self.sessions.get(&session)?;
        let closed = self.plane.close_with_audio(now, session)?;
        self.leaving.push((session, rtp));
        self.skipped += closed.stats.sent.skipped_packets;
        Some(closed)
    }

    pub(crate) fn command(
        &mut self,
        now: Time,
        session: SessionId,
        command: Command,
    ) -> Result<(), CommandError> {
        self.plane.command(now, session, command)
    }

    pub(crate) fn owner(&self, session: SessionId) -> Option<Owner> {
        self.sessions.get(&session).map(|(owner, _)| *owner)
    }

    pub(crate) fn stats(&self, session: SessionId) -> Option<Stats> {
        self.plane.stats(session)
    }

    /// Packets that were never sent because they would have been too late.
    pub(crate) fn skipped_packets(&self) -> u64 {
        let live = self
            .sessions
            .keys()
            .filter_map(|session| self.plane.stats(*session));
        self.skipped + live.map(|stats| stats.sent.skipped_packets).sum::<u64>()
    }

    pub(crate) fn recent_audio(&self, session: SessionId, span: Duration) -> Vec<i16> {
        self.plane.recent_audio(session, span)
    }

    pub(crate) fn heard_at(&self, session: SessionId) -> Option<Time> {
        self.plane.heard_at(session)
    }

    pub(crate) fn poll_request(&mut self) -> Option<PortRequest> {
        self.requests.pop_front()
    }

    /// Everything that was to be sent is out: ports of sessions that ended are given back.
    pub(crate) fn let_go(&mut self) {
        for (session, rtp) in self.leaving.drain(..) {
            self.sessions.remove(&session);
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
