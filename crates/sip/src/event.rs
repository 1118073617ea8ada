//! What an [`Endpoint`](crate::Endpoint) tells whoever is above.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use callwright_sip_message::{Message, Uri};
use callwright_wire::{BindError, Flow, SocketId, Transport};

use crate::command::{Reason, Replaces};
use crate::core::{Malformed, Seen};
use crate::digest::AuthError;
use crate::endpoint::{CallId, IdentityId, IncomingId, ReferId, RegistrationId, RequestId, SubscriptionId};

/// Something that happened.
#[derive(Debug)]
pub enum Event {
    /// A socket of `listen` is open.
    Listening {
        /// Its number.
        socket: SocketId,
        /// What it speaks.
        transport: Transport,
        /// Its address with the real port.
        local: SocketAddr,
    },
    /// A connection is gone, closed by either side: nobody is reached by it any more.
    FlowClosed {
        /// Its addresses.
        flow: Flow,
    },
    /// A socket of `listen` could not be opened.
    ListenFailed {
        /// Its number.
        socket: SocketId,
        /// What it would have spoken.
        transport: Transport,
        /// Why.
        error: BindError,
    },
    /// A message went out or came in: everything, retransmissions included. For traces.
    Seen(Seen),
    /// Bytes came that are no acceptable message.
    Malformed {
        /// How they came.
        flow: Flow,
        /// What is wrong with them.
        error: Malformed,
        /// The status of the response that was sent, if one was possible.
        answered: Option<u16>,
    },
    /// A challenge (401 or 407) was not met; the event of the operation itself follows.
    ChallengeUnmet {
        /// Whose credentials were asked for.
        identity: IdentityId,
        /// Why they were not, or not again, sent.
        error: AuthError,
    },
    /// Somebody calls. Answer by `progress`, `answer`, `reject` or `redirect`.
    IncomingCall(Box<IncomingCall>),
    /// A provisional response to a call that was placed (100 included).
    Progress {
        /// The call.
        call: CallId,
        /// Which of its early dialogs, in order of their first response; a forked call has several (RFC 3261 §12.1.2).
        fork: u16,
        /// The status, 100 to 199.
        status: u16,
        /// Its session description, where it has one.
        description: Option<Description>,
        /// True when it was sent reliably (RFC 3262); it has been PRACKed when an answer was due from this side.
        reliable: bool,
        /// The response.
        message: Message,
    },
    /// The callee answered. When `description` is an offer, `answer_offer` sends the ACK with the answer.
    Answered {
        /// The call.
        call: CallId,
        /// Which of its early dialogs.
        fork: u16,
        /// Its session description; `None` when all was agreed in provisional responses.
        description: Option<Description>,
        /// The 2xx.
        message: Message,
    },
    /// The ACK to our answer of an incoming call arrived: the call is established on both sides.
    Confirmed {
        /// The call.
        call: CallId,
        /// The answer, when our 2xx carried an offer.
        description: Option<Description>,
    },
    /// The peer offers a change of the session, or (`offer` is `None`) asks us to offer. Answer by `answer_offer` or
    /// `reject_offer`.
    Offer {
        /// The call.
        call: CallId,
        /// The offer.
        offer: Option<Bytes>,
        /// What carried it.
        carrier: OfferCarrier,
        /// The request, or the response.
        message: Message,
    },
    /// The peer took its offer back before it was answered (CANCEL of its re-INVITE): what was agreed before stays.
    OfferWithdrawn {
        /// The call.
        call: CallId,
    },
    /// Our offer was answered. `description` is an offer when we asked for one (a re-INVITE without a body); then
    /// `answer_offer` sends the ACK with the answer.
    OfferAnswered {
        /// The call.
        call: CallId,
        /// The answer; `None` when an UPDATE or PRACK that carried no offer was accepted.
        description: Option<Description>,
        /// The 2xx to the re-INVITE, UPDATE or PRACK, or the ACK or PRACK that carried the answer.
        message: Message,
        /// True where the endpoint refreshed the session by itself (RFC 4028 §7.4): an offer of the caller of the API that
        /// waits is not meant.
        refresh: bool,
    },
    /// Our offer was refused; what was agreed before stays. A 491 is not told: it is tried again (RFC 3261 §14.1).
    OfferRejected {
        /// The call.
        call: CallId,
        /// Why.
        failure: Failure,
        /// True where it was a refresh of the endpoint's own (RFC 4028 §7.4), which is tried again.
        refresh: bool,
    },
    /// A 3xx is followed to another target.
    Redirected {
        /// The call.
        call: CallId,
        /// Where it goes now.
        target: Uri,
        /// The 3xx.
        message: Message,
    },
    /// The peer asks for a transfer. Answer by `accept_refer` or `reject_refer`.
    Referred(Box<Referred>),
    /// The peer took our REFER (`status` 202 or 200), or told how far it got (RFC 3515 §2.4.4).
    ReferProgress {
        /// The REFER.
        refer: ReferId,
        /// The call it was sent in.
        call: CallId,
        /// The status of the response, or in the sipfrag.
        status: u16,
        /// The reason phrase.
        reason: String,
        /// The response or the NOTIFY.
        message: Message,
    },
    /// Our REFER is over. Its handle is gone.
    ReferEnded {
        /// The REFER.
        refer: ReferId,
        /// The call it was sent in.
        call: CallId,
        /// How it ended.
        outcome: ReferOutcome,
    },
    /// A request that is not about the session: INFO, MESSAGE, OPTIONS or one that the configuration lets through.
    Request {
        /// To be answered by `respond`; `None` when the endpoint answered it already.
        request: Option<IncomingId>,
        /// The call that it belongs to.
        call: Option<CallId>,
        /// The identity that it was sent to, where it belongs to no call.
        identity: Option<IdentityId>,
        /// The request.
        message: Message,
        /// How it came.
        flow: Flow,
    },
    /// A response to a request of `request` or `send_request`, provisional ones included. After a final one the handle
    /// is gone.
    Response {
        /// The request.
        request: RequestId,
        /// The call that it was sent in.
        call: Option<CallId>,
        /// The response.
        message: Message,
    },
    /// A request of `request` or `send_request` got no response. Its handle is gone.
    RequestFailed {
        /// The request.
        request: RequestId,
        /// The call that it was sent in.
        call: Option<CallId>,
        /// Why.
        failure: Failure,
    },
    /// The BYE of a call that was hung up, and whose end was told, is answered, or was crossed by one of the peer (RFC 5407 §3.2.1):
    /// the peer knows of it too.
    HungUp {
        /// The call; its handle is gone.
        call: CallId,
    },
    /// The BYE of a call that was hung up, and whose end was told, found no agreement: it timed out, could not be sent, or
    /// was refused with something other than 408 or 481.
    HangupFailed {
        /// The call; its handle is gone.
        call: CallId,
        /// Why.
        failure: Failure,
    },
    /// The call is over. Its handle is gone.
    Ended {
        /// The call.
        call: CallId,
        /// Why.
        cause: EndCause,
    },
    /// A registration changed its state.
    Registration {
        /// The registration.
        registration: RegistrationId,
        /// Its state now.
        state: RegistrationState,
        /// The response that changed it.
        message: Option<Message>,
    },
    /// A subscription changed its state.
    Subscription {
        /// The subscription.
        subscription: SubscriptionId,
        /// Its state now.
        state: SubscriptionState,
        /// The NOTIFY or response that changed it.
        message: Option<Message>,
    },
    /// A NOTIFY within a subscription; it was answered 200.
    Notify {
        /// The subscription.
        subscription: SubscriptionId,
        /// The request.
        message: Message,
    },
    /// A NOTIFY about message waiting, asked for or not (RFC 3842).
    MessageWaiting {
        /// The subscription; `None` when it came unasked.
        subscription: Option<SubscriptionId>,
        /// The identity it was sent to.
        identity: Option<IdentityId>,
        /// What it says.
        summary: MessageSummary,
        /// The request.
        message: Message,
    },
}

/// An incoming call.
#[derive(Debug)]
pub struct IncomingCall {
    /// Its handle.
    pub call: CallId,
    /// The identity that it is for, by the Request-URI or To; `None` when none fits (the call can be answered all the same).
    pub identity: Option<IdentityId>,
    /// The offer; `None` when the caller wants us to offer.
    pub offer: Option<Bytes>,
    /// The call that this one takes the place of (RFC 3891): when it is answered, that one is ended.
    pub replaces: Option<CallId>,
    /// True when the caller takes provisional responses reliably.
    pub reliable: bool,
    /// The INVITE.
    pub message: Message,
    /// How it came.
    pub flow: Flow,
}

/// A transfer that the peer asks for.
#[derive(Debug)]
pub struct Referred {
    /// Its handle.
    pub refer: ReferId,
    /// The call that it came in; `None` when it came outside any.
    pub call: Option<CallId>,
    /// The identity that it was sent to.
    pub identity: Option<IdentityId>,
    /// Where to call, without header parameters.
    pub target: Uri,
    /// `Replaces` in the Refer-To, decoded (RFC 5589 §7).
    pub replaces: Option<Replaces>,
    /// `Referred-By` as it stands, to be copied into the INVITE (RFC 3892 §2.2).
    pub referred_by: Option<String>,
    /// False when the peer wants no NOTIFYs (RFC 4488).
    pub subscribe: bool,
    /// The REFER.
    pub message: Message,
}

/// A session description and what it is (RFC 3264, RFC 6337).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Description {
    /// An offer: it is to be answered.
    Offer(Bytes),
    /// The answer to our offer.
    Answer(Bytes),
    /// The answer once more or before its time: in an unreliable provisional response, or a repetition after the
    /// answer. The session may be set up by it, but it does not end the exchange (RFC 6337 §3.1.1).
    Preview(Bytes),
}

impl Description {
    /// The SDP.
    pub fn bytes(&self) -> &Bytes {
        match self {
            Description::Offer(bytes) | Description::Answer(bytes) | Description::Preview(bytes) => bytes,
        }
    }
}

/// What carries an offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OfferCarrier {
    /// A re-INVITE.
    Invite,
    /// An UPDATE (RFC 3311).
    Update,
    /// A PRACK (RFC 3262 §5).
    Prack,
    /// A reliable provisional response to our INVITE without an offer.
    Provisional,
}

/// Why a request did not succeed.
#[derive(Debug)]
pub enum Failure {
    /// The peer said so.
    Response(Message),
    /// No response in time: the RFC's name of the timer, as in `Timer B`.
    Timeout {
        /// The timer.
        timer: &'static str,
    },
    /// It could not be sent.
    Transport {
        /// Why, in words for a person.
        error: String,
    },
    /// The call ended before it was sent or answered.
    CallEnded,
}

/// Why a call ended.
#[derive(Debug)]
pub enum EndCause {
    /// A final response to the INVITE other than 2xx, received or (as `Rejected`) sent.
    Response(Message),
    /// This side rejected or redirected it.
    Rejected {
        /// The status that was sent.
        status: u16,
    },
    /// The peer sent BYE.
    RemoteBye {
        /// Its Reason.
        reason: Option<Reason>,
        /// The BYE.
        message: Message,
    },
    /// This side sent BYE because it was told to.
    LocalBye,
    /// The caller cancelled: this side (`remote` false) or the peer.
    Cancelled {
        /// True when the peer did.
        remote: bool,
        /// The Reason in the CANCEL.
        reason: Option<Reason>,
    },
    /// Nothing came in time: the name of the timer, as in `Timer B`.
    Timeout {
        /// The timer.
        timer: &'static str,
    },
    /// The INVITE, or a request inside the dialog, could not be sent.
    Transport {
        /// Why, in words for a person.
        error: String,
    },
    /// A request inside the dialog was refused with a status that ends it: 408, 481 and others (RFC 5057 §5.1).
    DialogGone(Message),
    /// The session timer ran out (RFC 4028 §10).
    SessionExpired,
    /// Another call took its place (RFC 3891).
    Replaced {
        /// That call.
        by: CallId,
    },
    /// The peer broke the protocol in a way that leaves no session.
    Protocol {
        /// The rule.
        rule: &'static str,
    },
}

/// How a REFER of ours ended.
#[derive(Debug)]
pub enum ReferOutcome {
    /// The peer reported a final status of the new call.
    Final {
        /// The status.
        status: u16,
        /// The reason phrase.
        reason: String,
    },
    /// The peer took it without reporting (RFC 4488), or the subscription ended before a final status.
    Unknown,
    /// The REFER itself failed.
    Failed(Failure),
}

/// The state of a registration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RegistrationState {
    /// A binding is in force.
    Registered {
        /// The status, 200 or another 2xx.
        status: u16,
        /// Its reason phrase.
        reason: String,
        /// What the registrar granted.
        expires: Duration,
        /// All bindings of the address-of-record.
        bindings: Vec<Binding>,
        /// Service-Route (RFC 3608): the identity's requests use it from now on.
        service_route: Vec<Uri>,
    },
    /// The attempt failed; whether a binding is still in force `registered` tells.
    Failed {
        /// The status; `None` when there was no response.
        status: Option<u16>,
        /// The reason phrase, or what went wrong.
        reason: String,
        /// True while an earlier binding lives on.
        registered: bool,
        /// When it is tried again.
        retry: Option<Duration>,
    },
    /// The binding ran out without a successful refresh.
    Expired,
    /// The binding was removed.
    Unregistered {
        /// The status; `None` when the registrar did not answer.
        status: Option<u16>,
        /// The reason phrase, or what went wrong.
        reason: String,
    },
}

/// A binding at the registrar.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    /// The contact.
    pub contact: Uri,
    /// What is left of it.
    pub expires: Duration,
    /// True when it is the one of this registration.
    pub own: bool,
}

/// The state of a subscription (RFC 6665 §4.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SubscriptionState {
    /// The notifier has not decided yet.
    Pending,
    /// It is in force.
    Active {
        /// For how long.
        expires: Duration,
    },
    /// It is over. When `retry` is given it is asked for again then, else its handle is gone.
    Terminated {
        /// The reason in Subscription-State, a status with its phrase, or a timer.
        reason: String,
        /// When it is asked for again.
        retry: Option<Duration>,
    },
}

/// What a message summary says (RFC 3842 §5.2).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MessageSummary {
    /// Whether messages wait.
    pub waiting: bool,
    /// The mailbox.
    pub account: Option<String>,
    /// New voice messages; `None` when not told.
    pub new: Option<u32>,
    /// Old voice messages; `None` when not told.
    pub old: Option<u32>,
}
