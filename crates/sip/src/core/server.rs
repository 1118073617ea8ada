//! Server transactions: from the request to its end.

use std::net::IpAddr;

use bytes::Bytes;
use callwright_sip_message::{Builder, HeaderName, Message, Method, SmolStr, Via};
use callwright_wire::{Cause, Flow, SocketId, Time};

use super::repeat::Repeat;
use super::{
    Core, CoreEvent, Due, Malformed, Note, Outgoing, RespondError, ServerId, TransactionId, Transactions,
    TransportError,
};
use crate::arena::Slot;
use crate::timer::TimerName;
use crate::transaction::{Class, Effect, InviteServer, NonInviteServer, ServerKey, ServerKeys, tag};
use crate::transport::{Exit, Source, Way, response_on_wire};

/// A request of a peer's.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) machine: Machine,
    pub(super) key: ServerKey,
    pub(super) merge: Option<ServerKey>,
    pub(super) held: Held,
}

/// What is kept of a request: all of it while something new may be sent, and little for the long time that follows (Timers I, J
/// and L).
#[derive(Debug)]
pub(super) enum Held {
    /// It has no final response yet, or one that is sent again by a timer or by the layer above.
    Live(Box<Live>),
    /// Its final response, which each retransmission of the request gets. It goes back the way that the retransmission came.
    Reply { repeat: Repeat, cause: Option<Cause> },
    /// What comes of an INVITE is absorbed, and a CANCEL is answered with the To tag of its final response.
    Absorbing { tag: SmolStr },
}

/// A request that is being answered.
#[derive(Debug)]
pub(super) struct Live {
    /// How the request came.
    pub(super) flow: Flow,
    /// How responses go.
    pub(super) way: Way,
    /// There until its final response went out.
    pub(super) request: Option<Message>,
    /// What answers retransmissions; not kept once a 2xx to INVITE went out, which the layer above repeats.
    pub(super) response: Bytes,
    /// The To tag of the responses to an INVITE; empty until it is known. Short ones take no memory beside this.
    pub(super) tag: SmolStr,
    pub(super) cause: Option<Cause>,
    /// The port of sent-by: where a response goes whose connection is gone.
    pub(super) sent_by_port: u16,
    /// The host of sent-by, where it is an address.
    pub(super) sent_by: Option<IpAddr>,
}

impl Server {
    /// True for an INVITE that was refused, until its ACK.
    pub(super) const fn awaits_ack(&self) -> bool {
        matches!(self.machine, Machine::Invite(InviteServer::Completed { .. }))
    }

    pub(super) fn live(&self) -> Option<&Live> {
        match &self.held {
            Held::Live(live) => Some(live),
            Held::Reply { .. } | Held::Absorbing { .. } => None,
        }
    }

    pub(super) fn live_mut(&mut self) -> Option<&mut Live> {
        match &mut self.held {
            Held::Live(live) => Some(live),
            Held::Reply { .. } | Held::Absorbing { .. } => None,
        }
    }

    /// The To tag of the responses to an INVITE, where it is known.
    pub(super) fn tag(&self) -> Option<&str> {
        match &self.held {
            Held::Live(live) => Some(live.tag.as_str()),
            Held::Absorbing { tag } => Some(tag.as_str()),
            Held::Reply { .. } => None,
        }
        .filter(|tag| !tag.is_empty())
    }

    /// Nothing is sent for this INVITE any more.
    fn absorb(&mut self) {
        if let Held::Live(live) = &mut self.held {
            let tag = std::mem::take(&mut live.tag);
            self.held = Held::Absorbing { tag };
        }
    }

    /// True where the transport delivers by itself. What is no longer live has no timer that depends on it.
    fn is_reliable(&self) -> bool {
        self.live().is_some_and(|live| live.way.reliable())
    }

    /// Lets go of what its state has no use for; `answered` when its final response just went out.
    fn slim(&mut self, answered: Option<&Message>, keys: &ServerKeys) {
        let Held::Live(live) = &mut self.held else { return };
        match (self.machine, answered) {
            (Machine::NonInvite(NonInviteServer::Completed), Some(request)) => {
                self.held = Held::Reply {
                    repeat: Repeat::of(&live.response, request, live.source(), keys),
                    cause: live.cause,
                };
            }
            (Machine::Invite(InviteServer::Confirmed), _) => self.absorb(),
            (Machine::Invite(InviteServer::Accepted), _) => live.response = Bytes::new(),
            (Machine::Invite(_) | Machine::NonInvite(_), _) => {}
        }
    }
}

impl Live {
    const fn source(&self) -> Source {
        Source {
            sent_by: self.sent_by,
            address: self.flow.remote,
        }
    }
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Machine {
    Invite(InviteServer),
    NonInvite(NonInviteServer),
}

impl Machine {
    pub(super) const fn is_pending(&self) -> bool {
        match self {
            Machine::Invite(machine) => machine.is_pending(),
            Machine::NonInvite(machine) => machine.is_pending(),
        }
    }
}

/// Where responses to a request go that came by `way` (RFC 3261 §18.2.2, RFC 3581 §4): by a stream back on it; else to the
/// source, at its port where `rport` is there and at the port of sent-by where not.
pub(super) fn way_back(mut way: Way, via: &Via) -> Way {
    if !way.reliable() && via.rport().is_none() {
        way.flow.remote.set_port(via.port_or_default());
    }
    way
}

impl Core {
    /// Answers a request. Gives the bytes as they left: for a 2xx to INVITE, and a reliable provisional response, the layer
    /// above repeats them by [`Core::resend`] until they are acknowledged; that a 2xx was, it says by [`Core::settle_answer`].
    pub fn respond(
        &mut self,
        now: Time,
        id: ServerId,
        response: impl Into<Outgoing>,
        cause: Option<Cause>,
    ) -> Result<Bytes, RespondError> {
        let response = response.into();
        let status = response.message.status().unwrap_or_default();
        let mut effects = std::mem::take(&mut self.effects);
        let taken = self.give(id.0, status, &mut effects);
        let Ok(way) = taken else {
            self.effects = effects;
            return Err(taken.err().unwrap_or(RespondError::NoSuchTransaction));
        };
        let Some(server) = self.transactions.servers.get_mut(id.0) else {
            return Err(RespondError::NoSuchTransaction);
        };
        let is_invite = matches!(server.machine, Machine::Invite(_));
        let Some(live) = server.live_mut() else {
            return Err(RespondError::AlreadyAnswered);
        };
        let Some(request) = &live.request else {
            return Err(RespondError::AlreadyAnswered);
        };
        let local = match way.exit {
            Exit::Socket(_) => way.flow.local,
            Exit::Connection(_) => self.sockets.stream_address(way.flow.transport, way.flow.local),
        };
        let wire = response_on_wire(&response, request, way.flow.transport, local, live.source());
        live.response = wire.clone();
        live.cause = cause.or(live.cause);
        let to = response.message.header_bytes(HeaderName::To);
        if let Some(tag) = to.and_then(tag).filter(|_| is_invite) {
            live.tag = SmolStr::new(String::from_utf8_lossy(tag));
        }
        let answered = if status >= 200 { live.request.take() } else { None };
        self.run_server(now, id.0, effects, None);
        let Transactions { servers, keys, .. } = &mut self.transactions;
        if let Some(server) = servers.get_mut(id.0) {
            server.slim(answered.as_ref(), keys);
        }
        Ok(wire)
    }

    fn give(&mut self, slot: Slot, status: u16, effects: &mut Vec<Effect>) -> Result<Way, RespondError> {
        let server = self
            .transactions
            .servers
            .get_mut(slot)
            .ok_or(RespondError::NoSuchTransaction)?;
        let Some(way) = server
            .live()
            .filter(|live| live.request.is_some())
            .map(|live| live.way)
        else {
            return Err(RespondError::AlreadyAnswered);
        };
        let terms = Core::terms(&self.config, way.reliable());
        match &mut server.machine {
            Machine::Invite(machine) => machine.respond(Class::of(status), terms, effects)?,
            Machine::NonInvite(machine) => machine.respond(status, terms, effects)?,
        }
        Ok(way)
    }

    /// Sends bytes that [`Core::respond`] gave again: a 2xx to INVITE whose ACK is missing (RFC 3261 §13.3.1.4), or a reliable
    /// provisional response without its PRACK (RFC 3262 §3). False when the transaction is over, or [`Core::settle_answer`] was called.
    pub fn resend(&mut self, now: Time, id: ServerId, response: Bytes, cause: Option<Cause>) -> bool {
        let Some(server) = self.transactions.servers.get(id.0) else {
            return false;
        };
        let allowed = matches!(
            server.machine,
            Machine::Invite(InviteServer::Proceeding { .. } | InviteServer::Accepted)
        );
        let Some(live) = server.live().filter(|_| allowed) else {
            return false;
        };
        let (way, port) = (live.way, live.sent_by_port);
        let note = Note {
            transaction: Some(TransactionId::Server(id)),
            cause: cause.or(live.cause),
            again: true,
        };
        self.transmit(now, &way, &response, note)
            || self.reconnect_for(
                now,
                id.0,
                (way.flow.remote.ip(), port).into(),
                response,
                note.cause,
            )
    }

    /// Says which To tag the responses to an INVITE will have, so that a CANCEL which comes before the first of them is answered
    /// with the same (RFC 3261 §9.2).
    pub fn expect_tag(&mut self, id: ServerId, tag: &str) {
        if let Some(server) = self.transactions.servers.get_mut(id.0)
            && matches!(server.machine, Machine::Invite(_))
            && let Some(live) = server.live_mut()
        {
            live.tag = SmolStr::new(tag);
        }
    }

    /// The 2xx to this INVITE is not sent again: its ACK came, or is awaited no more. [`Core::resend`] does nothing from here on.
    pub fn settle_answer(&mut self, id: ServerId) {
        if let Some(server) = self.transactions.servers.get_mut(id.0)
            && matches!(server.machine, Machine::Invite(InviteServer::Accepted))
        {
            server.absorb();
        }
    }

    pub(super) fn server_timer(&mut self, now: Time, slot: Slot, timer: TimerName) {
        let mut effects = std::mem::take(&mut self.effects);
        if let Some(server) = self.transactions.servers.get_mut(slot) {
            let terms = Core::terms(&self.config, server.is_reliable());
            match &mut server.machine {
                Machine::Invite(machine) => machine.timer(timer, terms, &mut effects),
                Machine::NonInvite(machine) => machine.timer(timer, &mut effects),
            }
        }
        self.run_server(now, slot, effects, None);
    }

    /// The request came again, by this way.
    pub(super) fn server_retransmission(
        &mut self,
        now: Time,
        slot: Slot,
        way: Way,
        request: &Message,
        via: &Via,
    ) {
        let Some(server) = self.transactions.servers.get(slot) else {
            return;
        };
        match &server.held {
            Held::Live(_) => {
                let mut effects = std::mem::take(&mut self.effects);
                match &server.machine {
                    Machine::Invite(machine) => machine.retransmission(&mut effects),
                    Machine::NonInvite(machine) => machine.retransmission(&mut effects),
                }
                self.run_server(now, slot, effects, None);
            }
            Held::Reply { repeat, cause } => {
                let note = Note {
                    transaction: Some(TransactionId::Server(ServerId(slot))),
                    cause: *cause,
                    again: true,
                };
                let source = Source::of(via, way.flow.remote);
                match repeat.answer(request, source, &self.transactions.keys) {
                    Some(bytes) => {
                        self.transmit(now, &way_back(way, via), &bytes, note);
                    }
                    // Answering it would make believe that somebody took it.
                    None => {
                        self.counters.malformed += 1;
                        let reason = "its branch is that of another request (RFC 3261 §8.1.1.7)".to_owned();
                        self.tell(CoreEvent::Malformed {
                            flow: way.flow,
                            error: Malformed::Invalid { reason },
                            answered: None,
                        });
                    }
                }
            }
            Held::Absorbing { .. } => {}
        }
    }

    /// An ACK with the branch of an INVITE. True when it is the layer above's.
    pub(super) fn server_ack(&mut self, now: Time, slot: Slot) -> bool {
        let mut effects = std::mem::take(&mut self.effects);
        let mut up = false;
        if let Some(server) = self.transactions.servers.get_mut(slot) {
            let terms = Core::terms(&self.config, server.is_reliable());
            if let Machine::Invite(machine) = &mut server.machine {
                up = machine.ack(terms, &mut effects);
            }
        }
        self.run_server(now, slot, effects, None);
        let Transactions { servers, keys, .. } = &mut self.transactions;
        if let Some(server) = servers.get_mut(slot) {
            server.slim(None, keys);
        }
        up
    }

    pub(super) fn server_transport_failed(&mut self, now: Time, slot: Slot, error: TransportError) {
        let mut effects = std::mem::take(&mut self.effects);
        if let Some(server) = self.transactions.servers.get_mut(slot) {
            match &mut server.machine {
                Machine::Invite(machine) => machine.transport_failed(&mut effects),
                Machine::NonInvite(machine) => machine.transport_failed(&mut effects),
            }
        }
        self.run_server(now, slot, effects, Some(error));
    }

    /// Carries out what the machine of a server transaction asked for.
    pub(super) fn run_server(
        &mut self,
        now: Time,
        slot: Slot,
        mut effects: Vec<Effect>,
        error: Option<TransportError>,
    ) {
        let id = TransactionId::Server(ServerId(slot));
        let mut error = error;
        let mut broken = None;
        for effect in effects.drain(..) {
            match effect {
                Effect::Send => broken = self.send_response(now, slot, false).err(),
                Effect::Resend => broken = self.send_response(now, slot, true).err(),
                Effect::Trying => broken = self.send_trying(now, slot).err(),
                Effect::Set(timer, span) => self.timers.set(Due::Server(slot, timer), now + span),
                Effect::Clear(timer) => self.timers.clear(Due::Server(slot, timer)),
                Effect::TimedOut(timer) => self.tell(CoreEvent::TimedOut { id, timer }),
                Effect::TransportFailed => {
                    if let Some(error) = error.take() {
                        let sent = true;
                        self.tell(CoreEvent::TransportFailed { id, sent, error });
                    }
                }
                Effect::End => self.end_server(slot),
                Effect::Ack | Effect::Tell => {}
            }
        }
        self.effects = effects;
        if let Some(error) = broken {
            self.server_transport_failed(now, slot, error);
        }
    }

    fn send_response(&mut self, now: Time, slot: Slot, again: bool) -> Result<(), TransportError> {
        let Some(live) = self.transactions.servers.get(slot).and_then(Server::live) else {
            return Ok(());
        };
        let (way, wire, port) = (live.way, live.response.clone(), live.sent_by_port);
        let note = Note {
            transaction: Some(TransactionId::Server(ServerId(slot))),
            cause: live.cause,
            again,
        };
        if self.transmit(now, &way, &wire, note) {
            return Ok(());
        }
        let to = (way.flow.remote.ip(), port).into();
        if self.reconnect_for(now, slot, to, wire, note.cause) {
            return Ok(());
        }
        Err(TransportError::Closed {
            remote: way.flow.remote,
        })
    }

    /// 100 by the transaction itself (RFC 3261 §17.2.1, RFC 4320 §4.1).
    fn send_trying(&mut self, now: Time, slot: Slot) -> Result<(), TransportError> {
        let servers = &mut self.transactions.servers;
        let Some(live) = servers.get_mut(slot).and_then(Server::live_mut) else {
            return Ok(());
        };
        let Some(request) = &live.request else {
            return Ok(());
        };
        let trying = Outgoing::new(Builder::response_to(request, 100, "Trying").finish());
        let flow = live.flow;
        live.response = response_on_wire(&trying, request, flow.transport, flow.local, live.source());
        self.send_response(now, slot, false)
    }

    fn end_server(&mut self, slot: Slot) {
        let Some(server) = self.transactions.servers.remove(slot) else {
            return;
        };
        self.transactions.by_key.remove(&server.key.get());
        if let Some(merge) = server.merge
            && let Some(count) = self.transactions.merges.get_mut(&merge.get())
        {
            *count -= 1;
            if *count == 0 {
                self.transactions.merges.remove(&merge.get());
            }
        }
        self.tell(CoreEvent::Ended {
            id: TransactionId::Server(ServerId(slot)),
        });
    }

    /// Answers without a transaction: what is malformed, or too much (RFC 3261 §8.2.7). Gives the status when one was sent.
    pub(super) fn refuse(
        &mut self,
        now: Time,
        way: &Way,
        request: &Message,
        status: u16,
        reason: &str,
    ) -> Option<u16> {
        // Without Via there is no way back; a response is never answered, nor is an ACK (RFC 3261 §17.1.1.3).
        let via = request.via().ok()?;
        if !request.is_request() {
            return None;
        }
        if request.method().is_none_or(|method| method == Method::Ack) {
            return None;
        }
        let tag = self.entropy.token(10);
        let mut builder = Builder::response_to(request, status, reason).to_tag(&tag);
        if status == 503 {
            builder = builder.header(HeaderName::RetryAfter, 5);
        }
        let response = Outgoing::new(builder.finish());
        let source = Source::of(&via, way.flow.remote);
        let bytes = response_on_wire(&response, request, way.flow.transport, way.flow.local, source);
        self.transmit(now, &way_back(*way, &via), &bytes, Note::default())
            .then_some(status)
    }

    /// ICMP says that nobody listens at `remote`: requests to it have failed (RFC 3261 §18.4).
    pub(super) fn unreachable(&mut self, now: Time, socket: SocketId, remote: std::net::SocketAddr) {
        let hit: Vec<Slot> = self
            .transactions
            .clients
            .iter()
            .filter(|(_, client)| client.is_unanswered())
            .filter(|(_, client)| {
                client
                    .way()
                    .is_some_and(|way| way.exit == Exit::Socket(socket) && way.flow.remote == remote)
            })
            .map(|(slot, _)| slot)
            .collect();
        for slot in hit {
            self.client_transport_failed(now, slot, TransportError::Unreachable { remote });
        }
    }
}
