//! The endpoint: dialogs, calls, registrations and subscriptions of one or many identities, over one core.

mod calls;
mod channel;
mod client;
mod config;
mod dispatch;
mod id;
mod identity;
mod misuse;
mod pending;
mod reply;
mod requests;
mod server;
mod slab;
mod strays;
mod timer;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;

use callwright_sip_message::{Message, Uri};
use callwright_wire::{Entropy, Flow, Input, Node, Output, Residue, SocketId, Time, Transport};

use crate::command::{Hangup, Identity};
use crate::core::{Core, ServerId};
use crate::event::{EndCause, Event};
use crate::invite::Call;
use crate::registration::Registered;
use crate::subscription::Subscribed;

use identity::Local;
use requests::Received;
use slab::Slab;

pub use channel::is_elsewhere;
pub use config::EndpointConfig;
pub use id::{CallId, IdentityId, IncomingId, ReferId, RegistrationId, RequestId, SubscriptionId};
pub use misuse::Misuse;
pub use timer::{ACK_WAIT, INVITE_EXPIRES, PRACK_WAIT, RING_LIMIT};

pub(crate) use channel::{Channel, Owner, Purpose};
pub(crate) use reply::{Reply, write_extra};
pub(crate) use timer::UsageTimer;

/// A SIP endpoint, client and server.
///
/// It keeps the contract of [`Node`]; operations are its methods. Each takes the time, and the cause that its packets
/// shall carry; each may produce outputs, so drain it afterwards as after any mutation.
///
/// An operation of a call that is legal but not yet possible (the ACK is outstanding, another re-INVITE is pending, a
/// reliable provisional response is not acknowledged) waits, and is carried out in the order of the calls.
#[derive(Debug)]
pub struct Endpoint {
    pub(crate) channel: Channel,
    pub(crate) calls: Slab<CallId, Call>,
    /// Which call an INVITE that has a server transaction belongs to.
    invites: BTreeMap<ServerId, CallId>,
    incoming: Slab<IncomingId, Received>,
    pub(crate) registrations: Slab<RegistrationId, Registered>,
    pub(crate) subscriptions: Slab<SubscriptionId, Subscribed>,
    /// Calls that went, and their tags: requests in them may still want an answer.
    gone: Vec<(CallId, Arc<str>)>,
}

impl Endpoint {
    /// An endpoint that listens nowhere.
    pub fn new(config: EndpointConfig, mut entropy: Entropy) -> Endpoint {
        let mut seed = [0; 32];
        entropy.fill(&mut seed);
        let core = Core::new(
            config.core.clone(),
            callwright_wire::Seed::from_bytes(seed).derive("core").stream(),
        );
        Endpoint {
            channel: Channel::new(config, core, entropy),
            calls: Slab::default(),
            invites: BTreeMap::new(),
            incoming: Slab::default(),
            registrations: Slab::default(),
            subscriptions: Slab::default(),
            gone: Vec::new(),
        }
    }

    /// Opens a socket, or a listener for a stream transport; answered by [`Event::Listening`] or [`Event::ListenFailed`].
    /// Port 0: any.
    pub fn listen(&mut self, now: Time, transport: Transport, local: SocketAddr) -> SocketId {
        let socket = self.channel.core.listen(transport, local);
        self.settle(now);
        socket
    }

    /// The open sockets: number, transport, address.
    pub fn listening(&self) -> impl Iterator<Item = (SocketId, Transport, SocketAddr)> {
        self.channel.core.listening()
    }

    /// Ends everything at once: calls, registrations and subscriptions without a word to anybody, connections and sockets
    /// closed. To end in order, hang up and unregister first.
    pub fn shut_down(&mut self, now: Time) {
        self.channel.core.shut_down();
        self.channel.forget();
        self.calls = Slab::default();
        self.invites.clear();
        self.incoming = Slab::default();
        self.registrations = Slab::default();
        self.subscriptions = Slab::default();
        self.settle(now);
    }

    /// Keeps a connection open although nothing uses it, as a binding that was made over it needs; `false` lets it go again.
    /// Nothing happens for UDP, or when it is gone.
    pub fn keep_open(&mut self, flow: &Flow, keep: bool) {
        self.channel.core.keep_open(flow, keep);
    }

    /// Whether a connection with these addresses is up.
    pub fn has_flow(&self, flow: &Flow) -> bool {
        self.channel.core.has_flow(flow)
    }

    /// True while a request of ours has no final response, or a refusal of ours no ACK: who leaves now leaves the peer in
    /// doubt.
    pub fn awaits_peer(&self) -> bool {
        self.channel.core.awaits_peer()
    }

    /// What the transport and the transactions below counted.
    pub fn counters(&self) -> &crate::core::Counters {
        self.channel.core.counters()
    }

    /// Adds an identity.
    pub fn add_identity(&mut self, identity: Identity) -> IdentityId {
        self.channel.identities.insert(Local::new(identity))
    }

    /// An identity as it was given.
    pub fn identity(&self, id: IdentityId) -> Option<&Identity> {
        self.channel.identities.get(id).map(|local| &local.identity)
    }

    /// Changes an identity; dialogs that exist keep what they have.
    ///
    /// # Errors
    ///
    /// When there is none of that handle.
    pub fn change_identity(&mut self, id: IdentityId, identity: Identity) -> Result<(), Misuse> {
        let local = self
            .channel
            .identities
            .get_mut(id)
            .ok_or(Misuse::Gone { what: "identity" })?;
        *local = Local::new(identity);
        Ok(())
    }

    /// Forgets an identity. Its calls, registrations and subscriptions go on without credentials: end them first.
    pub fn remove_identity(&mut self, id: IdentityId) {
        self.channel.identities.remove(id);
    }

    /// The identity that a request outside dialogs is for: by its Request-URI, else by its To.
    pub(crate) fn identity_for(&self, message: &Message) -> Option<IdentityId> {
        let at = |uri: Uri| {
            let mut identities = self.channel.identities.iter();
            identities.find(|(_, local)| local.is_at(&uri)).map(|(id, _)| id)
        };
        let by_uri = message.request_uri().ok().and_then(at);
        by_uri.or_else(|| at(message.to().ok()?.uri))
    }

    /// A call that has not ended.
    pub(crate) fn living(&self, call: CallId) -> Result<&Call, Misuse> {
        self.calls
            .get(call)
            .filter(|call| call.lives())
            .ok_or(Misuse::Gone { what: "call" })
    }

    /// Does something with a call, and lets it go when that was the end of it.
    pub(crate) fn with_call<R>(
        &mut self,
        id: CallId,
        act: impl FnOnce(&mut Call, &mut Channel) -> R,
    ) -> Option<R> {
        let call = self.calls.get_mut(id)?;
        let result = act(call, &mut self.channel);
        if call.is_done() {
            let tag = call.local_tag.clone();
            self.calls.remove(id);
            self.channel.owners.remove(&tag);
            self.gone.push((id, tag));
        }
        Some(result)
    }

    /// An operation of the API on a call.
    fn operate(
        &mut self,
        now: Time,
        id: CallId,
        act: impl FnOnce(&mut Call, &mut Channel) -> Result<(), Misuse>,
    ) -> Result<(), Misuse> {
        self.living(id)?;
        let result = self
            .with_call(id, act)
            .unwrap_or(Err(Misuse::Gone { what: "call" }));
        self.settle(now);
        result
    }

    /// Hands the core's outputs on, and takes its events, until there are none.
    pub(crate) fn settle(&mut self, now: Time) {
        loop {
            while let Some((purpose, error)) = self.channel.unsent.pop() {
                let error = error.to_string();
                self.on_failure(now, purpose, EndCause::Transport { error });
            }
            while let Some((call, tag)) = self.gone.pop() {
                self.abandon_requests_of(now, call, &tag);
            }
            match self.channel.core.poll_output() {
                Some(output) => {
                    if let Some(event) = self.channel.pass(output) {
                        self.on_core_event(now, event);
                    }
                }
                None if self.channel.unsent.is_empty() && self.gone.is_empty() => return,
                None => {}
            }
        }
    }

    /// Does what is due.
    fn on_timer(&mut self, now: Time, timer: UsageTimer) {
        match timer {
            UsageTimer::RingExpires(id) => {
                self.with_call(id, |call, channel| {
                    call.cancel(channel, now, Hangup::default(), None);
                    call.invitation_expired(channel, now);
                });
            }
            UsageTimer::RepeatProgress(id) => {
                self.with_call(id, |call, channel| call.repeat_progress(channel, now));
            }
            UsageTimer::RepeatReliable(id) => {
                self.with_call(id, |call, channel| call.repeat_reliable(channel, now));
            }
            UsageTimer::AwaitPrack(id) => {
                self.with_call(id, |call, channel| call.prack_missing(channel, now));
            }
            UsageTimer::RepeatAnswer(id) => {
                self.with_call(id, |call, channel| call.repeat_answer(channel, now));
            }
            UsageTimer::AwaitAck(id) => {
                self.with_call(id, |call, channel| call.ack_missing(channel, now));
            }
            UsageTimer::Glare(id) => {
                self.with_call(id, |call, channel| call.glare_over(channel, now));
            }
            UsageTimer::SessionRefresh(id) => {
                self.with_call(id, |call, channel| call.refresh_session(channel, now));
            }
            UsageTimer::SessionExpires(id) => {
                let end = EndCause::SessionExpired;
                self.with_call(id, |call, channel| {
                    call.leave(channel, now, end, Hangup::default(), None)
                });
            }
            UsageTimer::Abandoned(client) => {
                self.channel.core.cancel(now, client, &[], None);
            }
            UsageTimer::GivenUp => self.channel.forget_given_up(now),
            UsageTimer::ReferExpires(id) => self.refer_expired(now, id),
            UsageTimer::Register(id) => self.send_register(now, id, None),
            UsageTimer::BindingExpires(id) => self.binding_expired(id),
            UsageTimer::Subscribe(id) => self.send_subscribe(now, id, None),
            UsageTimer::SubscriptionExpires(id) => self.subscription_expired(now, id),
            UsageTimer::AwaitNotify(id) => self.notify_missing(now, id),
        }
    }
}

impl Node for Endpoint {
    type Command = Infallible;
    type Event = Event;

    fn handle_input(&mut self, now: Time, input: Input<Infallible>) {
        self.channel.core.handle_input(now, input);
        self.settle(now);
    }

    fn handle_timeout(&mut self, now: Time) {
        self.channel.core.handle_timeout(now);
        self.settle(now);
        while let Some(timer) = self.channel.timers.pop(now) {
            self.on_timer(now, timer);
            self.settle(now);
        }
    }

    fn poll_output(&mut self) -> Option<Output<Event>> {
        self.channel.next_output()
    }

    fn poll_timeout(&self) -> Option<(Time, &'static str)> {
        let usage = self.channel.timers.next();
        let core = self.channel.core.poll_timeout();
        match (core, usage) {
            (Some(core), Some(usage)) => Some(if usage.0 < core.0 { usage } else { core }),
            (core, usage) => core.or(usage),
        }
    }

    /// Dialogs are those of calls, of subscriptions, and of REFERs outside calls; a registration counts as none.
    fn residue(&self) -> Residue {
        let calls: usize = self.calls.iter().map(|(_, call)| call.dialogs().max(1)).sum();
        let refers = self
            .channel
            .refers
            .iter()
            .filter(|(_, refer)| refer.has_dialog())
            .count();
        let own = Residue {
            dialogs: calls + refers + self.subscriptions.len(),
            timers: self.channel.timers.len(),
            ..Residue::default()
        };
        own + self.channel.core.residue()
    }
}
