//! A fleet: the user agents of one process and the media plane that they share, as one node.

mod lateness;
mod routes;
mod verbs;

use std::collections::VecDeque;
use std::net::SocketAddr;

use callwright_media::plane::{Lateness, Plane, PlaneConfig};
use callwright_wire::{
    Cause, Epoch, Input, Node, Output, PacketNode, Residue, Seed, SocketId, Time, Timer, TimerQueue,
};

use crate::account::Account;
use crate::media_host::{FIRST_SOCKET, MediaHost, PortRequest};
use crate::trace::TraceLimits;
use crate::user_agent::{Change, Context, OWN_QUERY, Seeds, UserAgent, UserAgentId};
use crate::verb::{Done, VerbError};
use lateness::LatenessWindows;
use routes::Routes;

/// Settings of a fleet.
#[derive(Clone, Debug)]
pub struct FleetConfig {
    /// When the world started: RTCP carries calendar time.
    pub epoch: Epoch,
    /// The seed of tags, branches, Call-IDs and SSRCs.
    pub seed: Seed,
    /// The seed of SRTP keys: in the real world from the operating system, whatever the seed of the run.
    pub key_seed: Seed,
    /// How much of its messages each user agent keeps.
    pub trace: TraceLimits,
}

/// A change of one user agent.
#[derive(Clone, Debug, PartialEq)]
pub struct FleetEvent {
    /// Whose.
    pub user_agent: UserAgentId,
    /// What changed.
    pub change: Change,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Wake(UserAgentId);

impl Timer for Wake {
    fn name(&self) -> &'static str {
        "user agent"
    }
}

/// Thousands of user agents and one media plane. See [`Node`] for how it is driven; its operations are methods, to be
/// followed by draining, as after any mutation.
#[derive(Debug)]
pub struct Fleet {
    config: FleetConfig,
    user_agents: Vec<Option<Box<UserAgent>>>,
    started: u32,
    media: MediaHost,
    routes: Routes,
    wakes: TimerQueue<Wake>,
    outputs: VecDeque<Output<FleetEvent>>,
    lateness: LatenessWindows,
    /// Malformed messages of user agents that are gone.
    malformed: u64,
    /// The time of the last mutation.
    now: Time,
}

impl Fleet {
    /// A fleet without user agents.
    pub fn new(now: Time, config: FleetConfig) -> Self {
        let plane = Plane::new(now, PlaneConfig { epoch: config.epoch });
        Fleet {
            media: MediaHost::new(plane),
            config,
            user_agents: Vec::new(),
            started: 0,
            routes: Routes::default(),
            wakes: TimerQueue::default(),
            outputs: VecDeque::new(),
            lateness: LatenessWindows::new(now),
            malformed: 0,
            now,
        }
    }

    /// Brings a user agent up. `name` tells it apart in the derivation of its randomness; [`Change::Started`] or
    /// [`Change::StartFailed`] follows.
    pub fn start(&mut self, now: Time, name: &str, account: Account) -> UserAgentId {
        let id = UserAgentId(self.started);
        self.started += 1;
        let seed = self.config.seed.derive(&format!("user agent {} {name}", id.0));
        let seeds = Seeds {
            signalling: seed.derive("signalling").stream(),
            own: seed.derive("own").stream(),
            keys: self
                .config
                .key_seed
                .derive(&format!("keys {} {name}", id.0))
                .stream(),
        };
        let user_agent = UserAgent::new(id, account, seeds, self.config.trace);
        self.user_agents.push(Some(Box::new(user_agent)));
        self.with(now, id, None, |user_agent, ctx| user_agent.begin(ctx));
        id
    }

    /// Takes a user agent away with everything that it still holds. After [`Change::Closed`] nothing is lost by it.
    pub fn remove(&mut self, now: Time, id: UserAgentId) {
        self.with(now, id, None, |user_agent, ctx| user_agent.drop_media(ctx));
        // The last piece of a recording still finds its way.
        self.drain_media_events();
        let Some(user_agent) = self.user_agents.get_mut(id.0 as usize).and_then(Option::take) else {
            return;
        };
        self.malformed += user_agent.malformed();
        self.wakes.clear(Wake(id));
        for output in self.routes.forget(id) {
            self.outputs.push_back(output);
        }
        self.drain_ports();
    }

    /// A user agent; `None` when it was removed.
    pub fn user_agent(&self, id: UserAgentId) -> Option<&UserAgent> {
        self.user_agents.get(id.0 as usize)?.as_deref()
    }

    /// How late media packets were sent since the fleet began.
    pub fn lateness(&self) -> Lateness {
        self.lateness.whole(self.media.plane().lateness())
    }

    /// The same from `since` to now, or from up to five seconds before.
    pub fn lateness_since(&self, since: Time) -> Lateness {
        self.lateness.since(since, self.media.plane().lateness())
    }

    /// Media packets that were never sent, because they would have been more than 60 ms late.
    pub fn skipped_packets(&self) -> u64 {
        self.media.skipped_packets()
    }

    /// Malformed messages that all user agents received, those that are gone included.
    pub fn malformed_messages(&self) -> u64 {
        self.malformed
            + self
                .user_agents
                .iter()
                .flatten()
                .map(|user_agent| user_agent.malformed())
                .sum::<u64>()
    }

    /// Mutates a user agent, and takes what comes out of it.
    fn with<R>(
        &mut self,
        now: Time,
        id: UserAgentId,
        cause: Option<Cause>,
        mutate: impl FnOnce(&mut UserAgent, &mut Context<'_>) -> R,
    ) -> Option<R> {
        self.now = now;
        let user_agent = self.user_agents.get_mut(id.0 as usize)?.as_deref_mut()?;
        let mut ctx = Context {
            now,
            cause,
            media: &mut self.media,
        };
        let result = mutate(user_agent, &mut ctx);
        user_agent.settle(&mut ctx);
        while let Some(output) = user_agent.poll_output() {
            self.outputs.push_back(self.routes.outward(id, output));
        }
        match user_agent.poll_timeout() {
            Some((at, _)) => {
                if self.wakes.at(Wake(id)) != Some(at) {
                    self.wakes.set(Wake(id), at);
                }
            }
            None => self.wakes.clear(Wake(id)),
        }
        self.drain_ports();
        Some(result)
    }

    fn verb(
        &mut self,
        now: Time,
        id: UserAgentId,
        cause: Option<Cause>,
        verb: impl FnOnce(&mut UserAgent, &mut Context<'_>) -> Result<Done, VerbError>,
    ) -> Result<Done, VerbError> {
        self.with(now, id, cause, verb).unwrap_or(Err(VerbError::Closing))
    }

    fn drain_ports(&mut self) {
        while let Some(request) = self.media.poll_request() {
            self.outputs.push_back(match request {
                PortRequest::Bind { rtp, local, usage } => Output::Bind {
                    socket: rtp,
                    local,
                    usage,
                },
                PortRequest::Unbind { rtp } => Output::Unbind { socket: rtp },
            });
        }
    }

    fn drain_media_events(&mut self) {
        let now = self.now;
        while let Some((session, event)) = self.media.plane_mut().poll_event() {
            if let Some((id, call)) = self.media.owner(session) {
                self.with(now, id, None, |user_agent, _| {
                    user_agent.handle_media_event(call, event)
                });
            }
        }
    }
}

impl Node for Fleet {
    type Command = std::convert::Infallible;
    type Event = FleetEvent;

    fn handle_input(&mut self, now: Time, input: Input<Self::Command>) {
        self.now = now;
        match input {
            Input::Bound { socket, local } if socket.0 >= FIRST_SOCKET => {
                let Some((id, call)) = self.media.wanted_by(socket) else {
                    return;
                };
                self.with(now, id, None, |user_agent, ctx| {
                    user_agent.handle_ports(ctx, call, socket, local);
                });
            }
            Input::BindFailed { socket, error } if socket.0 >= FIRST_SOCKET => {
                if let Some((id, call)) = self.media.bind_failed(socket) {
                    self.with(now, id, None, |user_agent, ctx| {
                        user_agent.handle_media_failed(ctx, call, &error)
                    });
                }
            }
            other => {
                let connection = match &other {
                    Input::Connected { connection, .. } | Input::Accepted { connection, .. } => {
                        Some(*connection)
                    }
                    _ => None,
                };
                let Some((id, input)) = self.routes.inward(other) else {
                    // Whoever wanted it is gone.
                    self.outputs
                        .extend(connection.map(|connection| Output::Close { connection }));
                    return;
                };
                match input {
                    Input::Resolved {
                        query: OWN_QUERY,
                        answer,
                    } => {
                        self.with(now, id, None, |user_agent, ctx| {
                            user_agent.handle_own_answer(ctx, answer)
                        });
                    }
                    input => {
                        self.with(now, id, None, |user_agent, ctx| {
                            user_agent.handle_input(ctx, input)
                        });
                    }
                }
            }
        }
    }

    fn handle_timeout(&mut self, now: Time) {
        self.now = now;
        while let Some(Wake(id)) = self.wakes.pop(now) {
            self.with(now, id, None, |user_agent, ctx| user_agent.handle_timeout(ctx));
        }
        let plane = self.media.plane_mut();
        plane.handle_timeout(now);
        self.lateness.turn(now, plane);
        self.drain_ports();
    }

    fn poll_output(&mut self) -> Option<Output<FleetEvent>> {
        if self.outputs.is_empty() {
            self.drain_media_events();
        }
        self.outputs.pop_front()
    }

    fn poll_timeout(&self) -> Option<(Time, &'static str)> {
        if self.media.has_requests() {
            return Some((Time::ZERO, "ports to give back"));
        }
        let wake = self.wakes.next().map(|(at, _)| (at, "user agent"));
        [wake, self.media.plane().poll_timeout()]
            .into_iter()
            .flatten()
            .min()
    }

    fn residue(&self) -> Residue {
        self.user_agents
            .iter()
            .flatten()
            .fold(Residue::default(), |sum, user_agent| sum + user_agent.residue())
    }
}

impl PacketNode for Fleet {
    fn handle_packet(&mut self, now: Time, socket: SocketId, from: SocketAddr, packet: &[u8]) {
        self.handle_arrival(now, now, socket, from, packet);
    }

    fn handle_arrival(
        &mut self,
        now: Time,
        arrived: Time,
        socket: SocketId,
        from: SocketAddr,
        packet: &[u8],
    ) {
        self.now = now;
        self.media
            .plane_mut()
            .handle_packet(arrived, socket, from, packet);
    }

    fn poll_transmit(&mut self, now: Time, buffer: &mut [u8]) -> Option<(SocketId, SocketAddr, usize)> {
        let packet = self.media.plane_mut().poll_transmit(now, buffer);
        if packet.is_none() {
            self.media.let_go();
        }
        packet
    }

    fn clear_text(&self) -> Option<&[u8]> {
        self.media.plane().clear_text()
    }
}
