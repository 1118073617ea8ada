//! Client transactions: from the request to its end.

use bytes::Bytes;
use callwright_sip_message::{HeaderName, Message, Method};
use callwright_wire::{Cause, Flow, Time};

use super::failover::{Attempt, Failure};
use super::{
    ClientId, Core, CoreEvent, Due, Note, Outgoing, RequestError, Target, TransactionId, TransportError, echo,
};
use crate::arena::Slot;
use crate::timer::TimerName;
use crate::transaction::{Branch, Class, Effect, InviteClient, NonInviteClient};
use crate::transport::{Way, request_on_wire};

/// A request of ours.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) kind: Kind,
    pub(super) stage: Stage,
    /// The random part of the branch.
    pub(super) nonce: u64,
    /// There until a 2xx came: what follows is absorbed, or the layer above's, and nothing more is sent. Another final response may
    /// be acknowledged again, and a challenge is met on the way that it came.
    pub(super) live: Option<Box<Live>>,
}

/// A request that is on its way, or whose ACK may be due again.
#[derive(Debug, Default)]
pub(super) struct Live {
    pub(super) cause: Option<Cause>,
    /// What was given; gone once no other server and no ACK can need it.
    pub(super) request: Option<Outgoing>,
    pub(super) way: Option<Way>,
    /// What is sent again: the request, later its ACK.
    pub(super) wire: Bytes,
    /// It has been sent to some server.
    pub(super) has_left: bool,
    /// Where the value of From stands in the request, once it was sent.
    pub(super) from_at: Option<u32>,
    /// What else could be tried; gone with the first response that ends the search.
    pub(super) attempt: Option<Box<Attempt>>,
    pub(super) cancel: Option<Slot>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Invite,
    NonInvite,
    /// A CANCEL. Its branch is that of its INVITE: the place of that, and the nonce of both.
    Cancel {
        invite: u32,
    },
    /// An ACK to a 2xx, which is no transaction: it is gone once it was sent.
    Ack,
}

/// How far a request is.
#[derive(Debug)]
pub(super) enum Stage {
    /// It waits for the resolver, a connection, or (CANCEL) a provisional response.
    Waiting,
    Invite(InviteClient),
    NonInvite(NonInviteClient),
}

impl Client {
    /// One that has still to find its way.
    pub(super) fn new(kind: Kind, request: Outgoing, cause: Option<Cause>) -> Client {
        let live = Live {
            cause,
            request: Some(request),
            ..Live::default()
        };
        Client::waiting(kind, live)
    }

    pub(super) fn waiting(kind: Kind, live: Live) -> Client {
        Client {
            kind,
            stage: Stage::Waiting,
            nonce: 0,
            live: Some(Box::new(live)),
        }
    }

    /// By which way it went last; none before that, and once a 2xx has come.
    pub(super) fn way(&self) -> Option<Way> {
        self.live.as_ref()?.way
    }

    /// True before it left.
    pub(super) const fn is_waiting(&self) -> bool {
        matches!(self.stage, Stage::Waiting)
    }

    /// Whether another server may be asked.
    fn has_others(&self) -> bool {
        let live = self.live.as_ref();
        live.is_some_and(|live| live.attempt.is_some() && live.cancel.is_none())
    }

    fn is_reliable(&self) -> bool {
        self.way().is_some_and(|way| way.reliable())
    }

    pub(super) const fn is_pending(&self) -> bool {
        match &self.stage {
            Stage::Waiting => true,
            Stage::Invite(machine) => machine.is_pending(),
            Stage::NonInvite(machine) => machine.is_pending(),
        }
    }

    /// True while nothing has come back: another server may still be asked.
    pub(super) const fn is_unanswered(&self) -> bool {
        match &self.stage {
            Stage::Waiting => true,
            Stage::Invite(machine) => matches!(machine, InviteClient::Calling { .. }),
            Stage::NonInvite(machine) => matches!(machine, NonInviteClient::Trying { .. }),
        }
    }
}

impl Core {
    /// Sends a request by a client transaction. Its Via, and the choice of the server with all that follows from it, are the
    /// core's: RFC 3263, the switch to TCP (RFC 3261 §18.1.1), the next server after a failure (RFC 3263 §4.3).
    pub fn request(
        &mut self,
        now: Time,
        request: impl Into<Outgoing>,
        target: Target,
        cause: Option<Cause>,
    ) -> Result<ClientId, RequestError> {
        let request = request.into();
        if !request.message.is_request() {
            return Err(RequestError::NotARequest);
        }
        let kind = match request.message.method() {
            Some(Method::Invite) => Kind::Invite,
            Some(Method::Ack | Method::Cancel) | None => return Err(RequestError::NotATransaction),
            Some(_) => Kind::NonInvite,
        };
        let max = self.config.limits.client_transactions;
        if self.transactions.clients.len() >= max {
            self.counters.over_limit += 1;
            return Err(RequestError::TooMany { max });
        }
        let slot = self
            .transactions
            .clients
            .insert(Client::new(kind, request, cause));
        self.find_way(now, slot, target);
        Ok(ClientId(slot))
    }

    /// The way is found: the request goes out, and its machine starts.
    pub(super) fn start_client(&mut self, now: Time, slot: Slot, way: Way, local: std::net::SocketAddr) {
        let Some(client) = self.transactions.clients.get_mut(slot) else {
            return;
        };
        let Some(live) = &mut client.live else { return };
        let Some(request) = &live.request else { return };
        client.nonce = self.entropy.next_u64();
        live.way = Some(way);
        let branch = Branch {
            index: slot.index,
            nonce: client.nonce,
        };
        live.wire = request_on_wire(request, way.flow.transport, local, branch);
        live.has_left = true;
        live.from_at = echo::from_at(&request.message, &live.wire);
        if live.attempt.is_none() && client.kind == Kind::NonInvite {
            live.request = None;
        }
        if client.kind == Kind::Ack {
            let note = Note {
                transaction: None,
                cause: live.cause,
                again: false,
            };
            let wire = live.wire.clone();
            self.transactions.clients.remove(slot);
            self.transmit(now, &way, &wire, note);
            return;
        }
        self.start_machine(now, slot);
    }

    /// Starts the machine of a client whose wire bytes and way are set.
    pub(super) fn start_machine(&mut self, now: Time, slot: Slot) {
        let mut effects = std::mem::take(&mut self.effects);
        if let Some(client) = self.transactions.clients.get_mut(slot)
            && let Some(way) = client.way()
        {
            let terms = Core::terms(&self.config, way.reliable());
            client.stage = match client.kind {
                Kind::Invite => Stage::Invite(InviteClient::start(terms, &mut effects)),
                Kind::NonInvite | Kind::Cancel { .. } | Kind::Ack => {
                    Stage::NonInvite(NonInviteClient::start(terms, &mut effects))
                }
            };
        }
        self.run_client(now, slot, effects, None);
    }

    pub(super) fn client_timer(&mut self, now: Time, slot: Slot, timer: TimerName) {
        let mut effects = std::mem::take(&mut self.effects);
        if let Some(client) = self.transactions.clients.get_mut(slot) {
            let terms = Core::terms(&self.config, client.is_reliable());
            match &mut client.stage {
                Stage::Waiting => {}
                Stage::Invite(machine) if timer == TimerName::Cancelled => {
                    machine.give_up(timer, &mut effects)
                }
                Stage::Invite(machine) => machine.timer(timer, &mut effects),
                Stage::NonInvite(machine) => machine.timer(timer, terms, &mut effects),
            }
        }
        self.run_client(now, slot, effects, None);
    }

    /// A response that belongs to this client.
    pub(super) fn client_response(&mut self, now: Time, slot: Slot, message: Message, flow: Flow) {
        let mut effects = std::mem::take(&mut self.effects);
        let class = Class::of(message.status().unwrap_or_default());
        if let Some(client) = self.transactions.clients.get_mut(slot) {
            let terms = Core::terms(&self.config, client.is_reliable());
            match &mut client.stage {
                Stage::Waiting => {}
                Stage::Invite(machine) => machine.response(class, terms, &mut effects),
                Stage::NonInvite(machine) => machine.response(class, terms, &mut effects),
            }
        }
        self.run_client(now, slot, effects, Some((message, flow)));
    }

    /// The way of this client broke.
    pub(super) fn client_transport_failed(&mut self, now: Time, slot: Slot, error: TransportError) {
        let mut effects = std::mem::take(&mut self.effects);
        if let Some(client) = self.transactions.clients.get_mut(slot) {
            match &mut client.stage {
                Stage::Waiting => {}
                Stage::Invite(machine) => machine.transport_failed(&mut effects),
                Stage::NonInvite(machine) => machine.transport_failed(&mut effects),
            }
            if !effects.is_empty() {
                self.timers.clear(Due::Client(slot, TimerName::Cancelled));
                return self.run_failed(now, slot, effects, error);
            }
        }
        self.effects = effects;
    }

    fn run_failed(&mut self, now: Time, slot: Slot, mut effects: Vec<Effect>, error: TransportError) {
        let others = self
            .transactions
            .clients
            .get(slot)
            .is_some_and(Client::has_others);
        for effect in effects.drain(..) {
            if let Effect::Clear(timer) = effect {
                self.timers.clear(Due::Client(slot, timer));
            }
        }
        self.effects = effects;
        if others {
            self.next_server(now, slot, Failure::Transport(error));
        } else {
            self.fail_client(now, slot, Failure::Transport(error));
        }
    }

    /// Carries out what the machine of a client asked for.
    fn run_client(
        &mut self,
        now: Time,
        slot: Slot,
        mut effects: Vec<Effect>,
        response: Option<(Message, Flow)>,
    ) {
        let mut response = response;
        let mut broken = None;
        for effect in effects.drain(..) {
            match effect {
                Effect::Send | Effect::Resend => {
                    if !self.send_client(now, slot, effect == Effect::Resend) {
                        broken = self.transactions.clients.get(slot).and_then(Client::way);
                    }
                }
                Effect::Ack => self.acknowledge(now, slot, response.as_ref().map(|(message, _)| message)),
                Effect::Trying => {}
                Effect::Set(timer, span) => self.timers.set(Due::Client(slot, timer), now + span),
                Effect::Clear(timer) => self.timers.clear(Due::Client(slot, timer)),
                Effect::Tell => {
                    if let Some((message, flow)) = response.take()
                        && self.take_response(now, slot, message, flow)
                    {
                        // Another server is asked: what follows concerned the old transaction.
                        break;
                    }
                }
                Effect::TimedOut(timer) => {
                    let others = self
                        .transactions
                        .clients
                        .get(slot)
                        .is_some_and(Client::has_others);
                    if others && timer != TimerName::Cancelled {
                        self.next_server(now, slot, Failure::TimedOut(timer));
                    } else {
                        self.fail_client(now, slot, Failure::TimedOut(timer));
                    }
                    break;
                }
                // `client_transport_failed` does not come here.
                Effect::TransportFailed => {}
                Effect::End => self.end_client(now, slot),
            }
        }
        effects.clear();
        self.effects = effects;
        if let Some(way) = broken {
            let remote = way.flow.remote;
            self.client_transport_failed(now, slot, TransportError::Closed { remote });
        }
    }

    fn send_client(&mut self, now: Time, slot: Slot, again: bool) -> bool {
        let client = self.transactions.clients.get(slot);
        let Some(live) = client.and_then(|client| client.live.as_ref()) else {
            return true;
        };
        let Some(way) = live.way else { return true };
        let (wire, cause) = (live.wire.clone(), live.cause);
        let note = Note {
            transaction: Some(TransactionId::Client(ClientId(slot))),
            cause,
            again,
        };
        self.transmit(now, &way, &wire, note)
    }

    /// Passes a response up, or goes on to the next server instead: true then.
    fn take_response(&mut self, now: Time, slot: Slot, message: Message, flow: Flow) -> bool {
        let Some(client) = self.transactions.clients.get_mut(slot) else {
            return false;
        };
        let status = message.status().unwrap_or_default();
        // RFC 3263 §4.3: 503 counts as a failure of that server.
        if status == 503 && client.has_others() {
            self.leave_behind(now, slot);
            self.next_server(now, slot, Failure::Response(message, flow));
            return true;
        }
        let mut cancel = None;
        if let Some(live) = &mut client.live {
            live.attempt = None;
            cancel = live.cancel;
            match status {
                ..200 => {}
                200..300 => client.live = None,
                // An ACK that may be due again has its own bytes.
                300.. => live.request = None,
            }
        }
        self.tell(CoreEvent::Response {
            id: ClientId(slot),
            message,
            flow,
        });
        if let Some(cancel) = cancel {
            self.cancel_may_go(now, slot, cancel, status);
        }
        false
    }

    /// The transaction is over.
    pub(super) fn end_client(&mut self, now: Time, slot: Slot) {
        let Some(client) = self.transactions.clients.remove(slot) else {
            return;
        };
        if let Kind::Cancel { invite } = client.kind {
            self.transactions.cancels.remove(&Branch {
                index: invite,
                nonce: client.nonce,
            });
        }
        self.tell(CoreEvent::Ended {
            id: TransactionId::Client(ClientId(slot)),
        });
        if let Some(cancel) = client.live.and_then(|live| live.cancel) {
            self.timers.clear(Due::Client(slot, TimerName::Cancelled));
            self.drop_waiting_cancel(now, cancel);
        }
    }

    /// The CSeq method of a response: INVITE and its CANCEL share a branch.
    pub(super) fn answers_cancel(message: &Message) -> bool {
        // The method is the last word of CSeq.
        message
            .header_bytes(HeaderName::CSeq)
            .is_some_and(|value| value.trim_ascii_end().ends_with(b"CANCEL"))
    }
}
