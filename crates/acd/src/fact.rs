//! Facts: what must outlive this process, and what is asked of whoever stores them.

use callwright_sip_message::Uri;
use callwright_wire::{BindError, Flow, Time, Transport};

/// The number of a fact on its way to the store: never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token(pub u64);

/// The number of a call: never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallKey(pub u64);

/// Something that is true from now on, whatever becomes of this process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fact {
    /// The bindings of a user, all of them: they take the place of those before.
    Bindings {
        /// The user.
        user: String,
        /// What is bound now.
        bindings: Vec<Binding>,
    },
    /// A call was answered; the caller hears of it when this is stored.
    CallAnswered {
        /// The call.
        call: CallKey,
        /// The address in the caller's From.
        caller: String,
        /// The address-of-record of the user who answered.
        callee: String,
        /// When the callee answered.
        at: Time,
    },
    /// A party of an answered call was exchanged for another.
    CallTransferred {
        /// The call.
        call: CallKey,
        /// The address of who took the place.
        to: String,
        /// When.
        at: Time,
    },
    /// A call is over. Told once for each call that was let in.
    CallEnded {
        /// The call.
        call: CallKey,
        /// Why.
        cause: EndCause,
        /// When.
        at: Time,
    },
}

/// Why a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndCause {
    /// The caller hung up.
    CompletedByCaller,
    /// The callee hung up.
    CompletedByCallee,
    /// The caller gave up before it was answered.
    Abandoned,
    /// Nobody answered in time.
    TimedOut,
    /// The last party moved on to another call.
    Transferred,
    /// It failed: this is the status that the caller was given, or would have been.
    Failed(u16),
}

/// A contact that a user can be reached at (RFC 3261 §10.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    /// The contact.
    pub contact: Uri,
    /// Its preference, 0 to 1000.
    pub q_thousandths: u16,
    /// When it runs out.
    pub expires: Time,
    /// The proxies on the way to it, the first to be visited first (RFC 3327).
    pub path: Vec<Uri>,
    /// How the REGISTER came: the way back to a contact behind a NAT.
    pub flow: Flow,
    /// The Call-ID of the REGISTER.
    pub call_id: String,
    /// Its sequence number.
    pub cseq: u32,
    /// Which device and which of its flows, where it told both (RFC 5626 §4.1): they, and not the address, say what is replaced.
    pub instance: Option<(String, u32)>,
}

impl Binding {
    /// Whether the contact is reached over the connection alone by which its REGISTER came, and is lost with it. That is so for a
    /// flow of RFC 5626, for TLS (who connected proved no name that could be asked for when it is connected to), for a contact
    /// behind a NAT, and for one that names the port that the connection came from, where nobody listens. A proxy in Path
    /// knows its own ways.
    pub fn needs_flow(&self) -> bool {
        let Flow {
            transport, remote, ..
        } = self.flow;
        if !transport.is_reliable() || !self.path.is_empty() {
            return false;
        }
        let source =
            self.contact.host().ip() == Some(remote.ip()) && self.contact.port() == Some(remote.port());
        self.instance.is_some()
            || transport == Transport::Tls
            || source
            || callwright_sip::endpoint::is_elsewhere(&self.contact, self.flow)
    }
}

/// What is told to whoever is above.
#[derive(Debug)]
pub enum Event {
    /// Store this, and say [`Command::Persisted`] or [`Command::PersistFailed`]. Facts are to be stored in the order in which
    /// they are told.
    Persist {
        /// Its number.
        token: Token,
        /// The fact.
        fact: Fact,
    },
    /// A socket for SIP is open.
    Listening {
        /// What it speaks.
        transport: Transport,
        /// Its address.
        local: std::net::SocketAddr,
    },
    /// A socket for SIP could not be opened.
    ListenFailed {
        /// What it would have spoken.
        transport: Transport,
        /// Why.
        error: BindError,
    },
    /// The machine was [closed](crate::Machine::close) and holds nothing any more.
    Closed,
}

/// What can be told to a [`Machine`](crate::Machine).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// The fact is stored: it outlives a crash.
    Persisted {
        /// Its number.
        token: Token,
    },
    /// The fact could not be stored.
    PersistFailed {
        /// Its number.
        token: Token,
    },
}
