//! The endpoint: dialogs, calls, registrations and subscriptions of one or many identities, over one core.
//!
//! The operations are declared here; none is carried out yet.

mod config;
mod id;
mod misuse;

use std::collections::VecDeque;
use std::convert::Infallible;
use std::net::SocketAddr;

use bytes::Bytes;
use callwright_wire::{Cause, Entropy, Input, Node, Output, Residue, SocketId, Time, Transport};

use crate::command::{
    Answer, DialogRequest, Hangup, Headers, Identity, Invite, OutsideRequest, Progress, Redirect, Refer, Registration,
    Reject, Response, Subscribe,
};
use crate::event::Event;

pub use config::EndpointConfig;
pub use id::{CallId, IdentityId, IncomingId, ReferId, RegistrationId, RequestId, SubscriptionId};
pub use misuse::Misuse;

/// A SIP endpoint, client and server.
///
/// It keeps the contract of [`Node`]; operations are its methods. Each takes the time, and the cause that its packets
/// shall carry; each may produce outputs, so drain it afterwards as after any mutation.
///
/// An operation of a call that is legal but not yet possible (the ACK is outstanding, another re-INVITE is pending, a
/// reliable provisional response is not acknowledged) waits, and is carried out in the order of the calls.
#[derive(Debug)]
pub struct Endpoint {
    config: EndpointConfig,
    entropy: Entropy,
    outputs: VecDeque<Output<Event>>,
}

impl Endpoint {
    /// An endpoint that listens nowhere.
    pub fn new(config: EndpointConfig, entropy: Entropy) -> Endpoint {
        Endpoint { config, entropy, outputs: VecDeque::new() }
    }

    /// Opens a socket, or a listener for a stream transport; answered by [`Event::Listening`] or [`Event::ListenFailed`].
    /// Port 0: any.
    pub fn listen(&mut self, now: Time, transport: Transport, local: SocketAddr) -> SocketId {
        SocketId(0)
    }

    /// Closes what `listen` opened.
    pub fn unlisten(&mut self, now: Time, socket: SocketId) {}

    /// Adds an identity.
    pub fn add_identity(&mut self, identity: Identity) -> IdentityId {
        IdentityId { index: 0, generation: 0 }
    }

    /// Changes an identity; calls that exist keep what they sent.
    pub fn change_identity(&mut self, id: IdentityId, identity: Identity) -> Result<(), Misuse> {
        Err(Misuse::Gone { what: "identity" })
    }

    /// Forgets an identity. Its calls, registrations and subscriptions go on without credentials: end them first.
    pub fn remove_identity(&mut self, id: IdentityId) {}

    /// Places a call. Its story is told by events, from [`Event::Progress`] to [`Event::Ended`].
    pub fn invite(&mut self, now: Time, invite: Invite, cause: Option<Cause>) -> Result<CallId, Misuse> {
        Err(Misuse::Gone { what: "identity" })
    }

    /// Sends a provisional response to an incoming call.
    pub fn progress(&mut self, now: Time, call: CallId, progress: Progress, cause: Option<Cause>) -> Result<(), Misuse> {
        Err(Misuse::Gone { what: "call" })
    }

    /// Answers an incoming call with 200. A call that it replaces (RFC 3891) is ended.
    pub fn answer(&mut self, now: Time, call: CallId, answer: Answer, cause: Option<Cause>) -> Result<(), Misuse> {
        Err(Misuse::Gone { what: "call" })
    }

    /// Refuses an incoming call with 400 to 699.
    pub fn reject(&mut self, now: Time, call: CallId, reject: Reject, cause: Option<Cause>) -> Result<(), Misuse> {
        Err(Misuse::Gone { what: "call" })
    }

    /// Refuses an incoming call with 3xx.
    pub fn redirect(&mut self, now: Time, call: CallId, redirect: Redirect, cause: Option<Cause>) -> Result<(), Misuse> {
        Err(Misuse::Gone { what: "call" })
    }

    /// Ends a call by what its state asks for: CANCEL, a refusal, or BYE. A BYE that must wait for the ACK waits
    /// (RFC 3261 §15); other operations that wait are given up.
    pub fn hangup(&mut self, now: Time, call: CallId, hangup: Hangup, cause: Option<Cause>) -> Result<(), Misuse> {
        Err(Misuse::Gone { what: "call" })
    }

    /// Offers a change of the session by a re-INVITE; `None` asks the peer to offer. Waits while another is pending.
    pub fn offer(
        &mut self,
        now: Time,
        call: CallId,
        offer: Option<Bytes>,
        headers: Headers,
        cause: Option<Cause>,
    ) -> Result<(), Misuse> {
        Err(Misuse::Gone { what: "call" })
    }

    /// Sends an UPDATE (RFC 3311), with an offer or without; in an early dialog too.
    pub fn update(
        &mut self,
        now: Time,
        call: CallId,
        offer: Option<Bytes>,
        headers: Headers,
        cause: Option<Cause>,
    ) -> Result<(), Misuse> {
        Err(Misuse::Gone { what: "call" })
    }

    /// Answers an offer of the peer: [`Event::Offer`], or an offer in [`Event::Answered`], [`Event::Progress`] or
    /// [`Event::OfferAnswered`]. When the peer asked for an offer, `description` is that offer. It travels in what the
    /// carrier of the offer asks for: the 2xx, the ACK or the PRACK.
    pub fn answer_offer(
        &mut self,
        now: Time,
        call: CallId,
        description: Bytes,
        cause: Option<Cause>,
    ) -> Result<(), Misuse> {
        Err(Misuse::Gone { what: "call" })
    }

    /// Refuses an offer of the peer, usually with 488. An offer in a 2xx cannot be refused: hang up instead.
    pub fn reject_offer(&mut self, now: Time, call: CallId, reject: Reject, cause: Option<Cause>) -> Result<(), Misuse> {
        Err(Misuse::Gone { what: "call" })
    }

    /// Asks the peer of an established call to call somebody else (RFC 3515).
    pub fn refer(&mut self, now: Time, call: CallId, refer: Refer, cause: Option<Cause>) -> Result<ReferId, Misuse> {
        Err(Misuse::Gone { what: "call" })
    }

    /// Takes a REFER with 202 (200 where no subscription is wanted) and a first NOTIFY of `100 Trying`.
    pub fn accept_refer(&mut self, now: Time, refer: ReferId, cause: Option<Cause>) -> Result<(), Misuse> {
        Err(Misuse::Gone { what: "REFER" })
    }

    /// Refuses a REFER with 400 to 699.
    pub fn reject_refer(&mut self, now: Time, refer: ReferId, reject: Reject, cause: Option<Cause>) -> Result<(), Misuse> {
        Err(Misuse::Gone { what: "REFER" })
    }

    /// Reports how far the call that a REFER asked for has got: its last status. From 200 on the report is the last
    /// one, and the handle is gone.
    pub fn notify_refer(
        &mut self,
        now: Time,
        refer: ReferId,
        status: u16,
        reason: &str,
        cause: Option<Cause>,
    ) -> Result<(), Misuse> {
        Err(Misuse::Gone { what: "REFER" })
    }

    /// Sends a request inside a call.
    pub fn request(
        &mut self,
        now: Time,
        call: CallId,
        request: DialogRequest,
        cause: Option<Cause>,
    ) -> Result<RequestId, Misuse> {
        Err(Misuse::Gone { what: "call" })
    }

    /// Sends a request outside any call.
    pub fn send_request(
        &mut self,
        now: Time,
        request: OutsideRequest,
        cause: Option<Cause>,
    ) -> Result<RequestId, Misuse> {
        Err(Misuse::Gone { what: "identity" })
    }

    /// Answers a request of [`Event::Request`].
    pub fn respond(
        &mut self,
        now: Time,
        request: IncomingId,
        response: Response,
        cause: Option<Cause>,
    ) -> Result<(), Misuse> {
        Err(Misuse::Gone { what: "request" })
    }

    /// Registers, and refreshes by itself until `unregister`.
    pub fn register(
        &mut self,
        now: Time,
        registration: Registration,
        cause: Option<Cause>,
    ) -> Result<RegistrationId, Misuse> {
        Err(Misuse::Gone { what: "identity" })
    }

    /// Sends the REGISTER of a registration again, now.
    pub fn reregister(&mut self, now: Time, registration: RegistrationId, cause: Option<Cause>) -> Result<(), Misuse> {
        Err(Misuse::Gone { what: "registration" })
    }

    /// Removes the binding. After [`RegistrationState::Unregistered`](crate::event::RegistrationState::Unregistered)
    /// the handle is gone.
    pub fn unregister(&mut self, now: Time, registration: RegistrationId, cause: Option<Cause>) -> Result<(), Misuse> {
        Err(Misuse::Gone { what: "registration" })
    }

    /// Subscribes, and refreshes by itself until `unsubscribe`.
    pub fn subscribe(&mut self, now: Time, subscribe: Subscribe, cause: Option<Cause>) -> Result<SubscriptionId, Misuse> {
        Err(Misuse::Gone { what: "identity" })
    }

    /// Ends a subscription. After a [`SubscriptionState::Terminated`](crate::event::SubscriptionState::Terminated)
    /// without `retry` the handle is gone.
    pub fn unsubscribe(
        &mut self,
        now: Time,
        subscription: SubscriptionId,
        cause: Option<Cause>,
    ) -> Result<(), Misuse> {
        Err(Misuse::Gone { what: "subscription" })
    }
}

impl Node for Endpoint {
    type Command = Infallible;
    type Event = Event;

    fn handle_input(&mut self, now: Time, input: Input<Infallible>) {}

    fn handle_timeout(&mut self, now: Time) {}

    fn poll_output(&mut self) -> Option<Output<Event>> {
        self.outputs.pop_front()
    }

    fn poll_timeout(&self) -> Option<(Time, &'static str)> {
        None
    }

    fn residue(&self) -> Residue {
        Residue::default()
    }
}
