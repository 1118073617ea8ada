//! What can be asked of an [`Endpoint`](crate::Endpoint): one value for each operation.
//!
//! Every one of them can be changed before it is given, and every one takes further header fields. Those are written
//! as they are: a header field that the endpoint writes itself is replaced when it is named here.

use std::time::Duration;

use bytes::Bytes;
use callwright_sip_message::{HeaderName, Method, NameAddr, Uri};
use callwright_wire::{Flow, Transport};

use crate::digest::Password;
use crate::endpoint::{CallId, IdentityId};

/// Header fields beyond those that the endpoint writes: name and value, in order. One name may stand several times.
pub type Headers = Vec<(HeaderName, String)>;

/// A body and what it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Body {
    /// The value of Content-Type, as in `application/dtmf-relay`.
    pub content_type: String,
    /// The bytes.
    pub bytes: Bytes,
}

impl Body {
    /// A body of this type.
    pub fn new(content_type: impl Into<String>, bytes: impl Into<Bytes>) -> Self {
        Body {
            content_type: content_type.into(),
            bytes: bytes.into(),
        }
    }
}

/// A name and password, for challenges of `realm`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// The realm that they are for; `None`: any.
    pub realm: Option<String>,
    /// The user name in the Authorization header field.
    pub username: String,
    /// The password.
    pub password: Password,
}

/// Who somebody on this side is: given once, then named by its [`IdentityId`] in every operation.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The address-of-record: what stands in From.
    pub aor: Uri,
    /// The display name before it.
    pub display_name: Option<String>,
    /// Where this side can be reached. `None`: the user part of `aor` at the local address of the flow.
    pub contact: Option<Uri>,
    /// Names and passwords for challenges (RFC 3261 §22).
    pub accounts: Vec<Account>,
    /// Pre-loaded routes: the outbound proxy (RFC 3261 §8.1.1.1), before any Service-Route.
    pub routes: Vec<Uri>,
    /// The transport for requests whose URI names none; `None`: as RFC 3263 finds it.
    pub transport: Option<Transport>,
}

impl Identity {
    /// An identity with an address-of-record and nothing else.
    pub fn new(aor: Uri) -> Self {
        Identity {
            aor,
            display_name: None,
            contact: None,
            accounts: Vec::new(),
            routes: Vec::new(),
            transport: None,
        }
    }
}

/// Whether provisional responses are sent reliably (RFC 3262).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reliability {
    /// Not offered.
    Off,
    /// `Supported: 100rel`: the callee may.
    #[default]
    Supported,
    /// `Require: 100rel`: the callee must.
    Required,
}

/// Who refreshes a session (RFC 4028 §7.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refresher {
    /// The side that sent the request.
    Uac,
    /// The side that answered it.
    Uas,
}

/// A session timer that is asked for (RFC 4028).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionTimer {
    /// The interval in `Session-Expires`.
    pub interval: Duration,
    /// The least interval that is accepted: `Min-SE`. At least 90 s, else 90 s are written (RFC 4028 §5).
    pub min: Duration,
    /// Who shall refresh; `None`: the callee chooses.
    pub refresher: Option<Refresher>,
}

impl SessionTimer {
    /// An interval with the least minimum, and no wish who refreshes.
    pub fn new(interval: Duration) -> Self {
        SessionTimer {
            interval,
            min: Duration::from_secs(90),
            refresher: None,
        }
    }
}

/// A dialog as another user agent knows it: what stands in `Replaces` (RFC 3891 §6.1), the tags as the receiver sees them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replaces {
    /// The Call-ID.
    pub call_id: String,
    /// The receiver's local tag.
    pub to_tag: String,
    /// The receiver's remote tag.
    pub from_tag: String,
    /// Only while that dialog is early.
    pub early_only: bool,
}

/// Why something was ended, as `Reason` says it (RFC 3326).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    /// `SIP` or `Q.850`.
    pub protocol: String,
    /// A SIP status or a Q.850 cause.
    pub cause: Option<u16>,
    /// Words.
    pub text: Option<String>,
}

impl std::fmt::Display for Replaces {
    /// The value of the header field.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{};to-tag={};from-tag={}",
            self.call_id, self.to_tag, self.from_tag
        )?;
        if self.early_only {
            f.write_str(";early-only")
        } else {
            Ok(())
        }
    }
}

impl std::fmt::Display for Reason {
    /// The value of the header field.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut reason = callwright_sip_message::header::Reason::new(&self.protocol, 0, "");
        reason.params = callwright_sip_message::Params::NONE;
        if let Some(cause) = self.cause {
            reason.params.set("cause", cause);
        }
        if let Some(text) = &self.text {
            reason
                .params
                .set("text", format_args!("\"{}\"", text.replace(['"', '\\'], "'")));
        }
        reason.fmt(f)
    }
}

/// What a request outside dialogs says of whom it is from and for, and which way it goes, where the identity and the target
/// do not tell: a server speaks for many, and reaches users at contacts that are not their address.
#[derive(Clone, Debug, Default)]
pub struct Addressing {
    /// From, instead of the identity's address and display name. A tag in it is replaced.
    pub from: Option<NameAddr>,
    /// To, instead of the target. A tag in it is left out.
    pub to: Option<NameAddr>,
    /// Routes that go before those of the identity: the Path of a binding, its first value first (RFC 3327 §5.3).
    pub routes: Vec<Uri>,
    /// How the target was last heard from. Where there are no routes, an endpoint that is
    /// [symmetric](crate::EndpointConfig::symmetric) sends the request back that way when the target names a host behind
    /// a NAT.
    pub flow: Option<Flow>,
    /// Whether that way is the only one, whatever the target names: a connection over which a user agent registered that cannot
    /// be connected to (RFC 5626 §5.3).
    pub only_by_flow: bool,
}

/// A call to place: [`Endpoint::invite`](crate::Endpoint::invite).
#[derive(Clone, Debug)]
pub struct Invite {
    /// Who calls.
    pub identity: IdentityId,
    /// Whom: the Request-URI and To.
    pub target: Uri,
    /// The offer. `None`: the callee offers (a delayed offer), and the answer goes into the ACK.
    pub offer: Option<Bytes>,
    /// Whether the callee may, or must, send provisional responses reliably.
    pub reliability: Reliability,
    /// A session timer to ask for.
    pub session_timer: Option<SessionTimer>,
    /// A call of the callee that this one takes the place of (RFC 3891).
    pub replaces: Option<Replaces>,
    /// `Referred-By`, as received in a REFER (RFC 3892).
    pub referred_by: Option<String>,
    /// After a 3xx: try its contacts, best q-value first; else the call ends with the 3xx.
    pub follow_redirects: bool,
    /// CANCEL when there is no final response after this time; also written as `Expires` (RFC 3261 §13.2.1).
    pub expires: Option<Duration>,
    /// Whom it is from and for, and its way, where the identity and the target do not tell.
    pub addressing: Addressing,
    /// Further header fields.
    pub headers: Headers,
}

impl Invite {
    /// A call without an offer and without anything special.
    pub fn new(identity: IdentityId, target: Uri) -> Self {
        Invite {
            identity,
            target,
            offer: None,
            reliability: Reliability::default(),
            session_timer: None,
            replaces: None,
            referred_by: None,
            follow_redirects: false,
            expires: None,
            addressing: Addressing::default(),
            headers: Headers::new(),
        }
    }
}

/// A provisional response: [`Endpoint::progress`](crate::Endpoint::progress).
#[derive(Clone, Debug)]
pub struct Progress {
    /// 101 to 199.
    pub status: u16,
    /// The reason phrase; `None`: the usual one.
    pub reason: Option<String>,
    /// The answer to the caller's offer, or the offer when the INVITE had none and this response is reliable.
    pub description: Option<Bytes>,
    /// `Some(true)`: reliably, as far as the caller supports it; `None`: only when the caller requires it.
    pub reliable: Option<bool>,
    /// Further header fields.
    pub headers: Headers,
}

impl Progress {
    /// A provisional response without a body.
    pub fn new(status: u16) -> Self {
        Progress {
            status,
            reason: None,
            description: None,
            reliable: None,
            headers: Headers::new(),
        }
    }
}

/// A 200 to a call: [`Endpoint::answer`](crate::Endpoint::answer).
#[derive(Clone, Debug, Default)]
pub struct Answer {
    /// The answer to the caller's offer, or the offer when the INVITE had none. `None` when offer and answer were
    /// exchanged already by reliable provisional responses.
    pub description: Option<Bytes>,
    /// The session timer that is wanted, when the caller asked for none or its wish leaves a choice.
    pub session_timer: Option<SessionTimer>,
    /// Further header fields.
    pub headers: Headers,
}

/// A final response that ends a call: [`Endpoint::reject`](crate::Endpoint::reject).
#[derive(Clone, Debug)]
pub struct Reject {
    /// 400 to 699.
    pub status: u16,
    /// The reason phrase; `None`: the usual one.
    pub reason: Option<String>,
    /// Further header fields: `Retry-After`, `Warning`, `Reason`.
    pub headers: Headers,
}

impl Reject {
    /// A response with its usual phrase.
    pub fn new(status: u16) -> Self {
        Reject {
            status,
            reason: None,
            headers: Headers::new(),
        }
    }
}

/// A 3xx to a call: [`Endpoint::redirect`](crate::Endpoint::redirect).
#[derive(Clone, Debug)]
pub struct Redirect {
    /// 300 to 399; usually 302.
    pub status: u16,
    /// The reason phrase; `None`: the usual one.
    pub reason: Option<String>,
    /// Where the caller shall try, in order; q-values fall from first to last when there are several.
    pub contacts: Vec<Uri>,
    /// `Diversion` (RFC 5806): who diverts, with the reason token, as in `unconditional`, `no-answer`, `user-busy`,
    /// `deflection`.
    pub diversion: Option<(Uri, String)>,
    /// Further header fields.
    pub headers: Headers,
}

impl Redirect {
    /// 302 to `target`.
    pub fn to(target: Uri) -> Self {
        Redirect {
            status: 302,
            reason: None,
            contacts: vec![target],
            diversion: None,
            headers: Headers::new(),
        }
    }
}

/// How to hang up: [`Endpoint::hangup`](crate::Endpoint::hangup).
#[derive(Clone, Debug, Default)]
pub struct Hangup {
    /// `Reason` in the CANCEL or BYE.
    pub reason: Option<Reason>,
    /// The status when an incoming call is rejected by it; `None`: 486 (RFC 3261 §21.4.24).
    pub status: Option<u16>,
    /// Further header fields of the CANCEL, BYE or response.
    pub headers: Headers,
}

/// A transfer to ask for: [`Endpoint::refer`](crate::Endpoint::refer).
#[derive(Clone, Debug)]
pub struct Refer {
    /// Where the peer shall call: `Refer-To`.
    pub target: Uri,
    /// A call of this endpoint that the new one shall take the place of: fills `Replaces` into `Refer-To` (RFC 5589 §7.3).
    pub replaces: Option<CallId>,
    /// False: `Refer-Sub: false`, no NOTIFYs wanted (RFC 4488).
    pub subscribe: bool,
    /// False leaves `Referred-By` (RFC 3892) out.
    pub referred_by: bool,
    /// Further header fields.
    pub headers: Headers,
}

impl Refer {
    /// A blind transfer to `target`, with progress and Referred-By.
    pub fn to(target: Uri) -> Self {
        Refer {
            target,
            replaces: None,
            subscribe: true,
            referred_by: true,
            headers: Headers::new(),
        }
    }
}

/// A request inside a call: [`Endpoint::request`](crate::Endpoint::request).
#[derive(Clone, Debug)]
pub struct DialogRequest {
    /// INFO, MESSAGE, OPTIONS, or any other, but none that the endpoint sends itself (INVITE, ACK, BYE, CANCEL, PRACK).
    pub method: Method,
    /// The body.
    pub body: Option<Body>,
    /// Further header fields.
    pub headers: Headers,
}

impl DialogRequest {
    /// A request without a body.
    pub fn new(method: Method) -> Self {
        DialogRequest {
            method,
            body: None,
            headers: Headers::new(),
        }
    }
}

/// A request outside any call: [`Endpoint::send_request`](crate::Endpoint::send_request).
#[derive(Clone, Debug)]
pub struct OutsideRequest {
    /// Who asks.
    pub identity: IdentityId,
    /// OPTIONS, MESSAGE, PUBLISH or any other; not INVITE, ACK, CANCEL.
    pub method: Method,
    /// Whom: the Request-URI and To.
    pub target: Uri,
    /// Whom it is from and for, and its way, where the identity and the target do not tell.
    pub addressing: Addressing,
    /// The body.
    pub body: Option<Body>,
    /// Further header fields.
    pub headers: Headers,
}

/// A response to a request that was received: [`Endpoint::respond`](crate::Endpoint::respond).
#[derive(Clone, Debug)]
pub struct Response {
    /// 200 to 699.
    pub status: u16,
    /// The reason phrase; `None`: the usual one.
    pub reason: Option<String>,
    /// The body.
    pub body: Option<Body>,
    /// Further header fields.
    pub headers: Headers,
}

impl Response {
    /// A response without a body, with its usual phrase.
    pub fn new(status: u16) -> Self {
        Response {
            status,
            reason: None,
            body: None,
            headers: Headers::new(),
        }
    }
}

/// A registration to keep: [`Endpoint::register`](crate::Endpoint::register).
#[derive(Clone, Debug)]
pub struct Registration {
    /// Whose address-of-record.
    pub identity: IdentityId,
    /// The registrar: the Request-URI, without a user part; `None`: the domain of the address-of-record.
    pub registrar: Option<Uri>,
    /// The lifetime to ask for, in whole seconds.
    pub expires: Duration,
    /// Whether it is refreshed before it ends; else the binding runs out.
    pub refresh: bool,
    /// What happens after a failure.
    pub retry: RegistrationRetry,
    /// Further header fields.
    pub headers: Headers,
}

impl Registration {
    /// A registration for an hour that is not tried again after it failed.
    pub fn new(identity: IdentityId) -> Self {
        Registration {
            identity,
            registrar: None,
            expires: Duration::from_secs(3600),
            refresh: true,
            retry: RegistrationRetry::Never,
            headers: Headers::new(),
        }
    }
}

/// What happens after a registration failed. A 401, 407 or 423 is answered in any case and is no failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RegistrationRetry {
    /// Nothing, until it is asked for again.
    Never,
    /// Again after `Retry-After`, or else after 30 s, doubled with each failure up to 30 min: the rule of
    /// RFC 5626 §4.5 with its base time for "all failed".
    Backoff,
}

/// A subscription to keep: [`Endpoint::subscribe`](crate::Endpoint::subscribe).
#[derive(Clone, Debug)]
pub struct Subscribe {
    /// Who subscribes.
    pub identity: IdentityId,
    /// To whose state.
    pub target: Uri,
    /// The event package, as in `message-summary`.
    pub event: String,
    /// What bodies are accepted: the value of Accept.
    pub accept: String,
    /// The lifetime to ask for, in whole seconds.
    pub expires: Duration,
    /// Further header fields.
    pub headers: Headers,
}

impl Subscribe {
    /// Message waiting of the identity's own mailbox, for an hour (RFC 3842).
    pub fn message_waiting(identity: IdentityId, mailbox: Uri) -> Self {
        Subscribe {
            identity,
            target: mailbox,
            event: "message-summary".into(),
            accept: "application/simple-message-summary".into(),
            expires: Duration::from_secs(3600),
            headers: Headers::new(),
        }
    }
}
