//! Facts: what must outlive this process, and what is asked of whoever stores them.

use std::fmt;
use std::net::IpAddr;

use callwright_media::plane::Piece;
use callwright_sip_message::Uri;
use callwright_wire::{BindError, Flow, Time, Transport};

use crate::agent::{AgentRequest, AgentState, NotReadyReason};

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
    /// A call came to a queue: from outside, or (with the same number) from another queue that it overflowed or was transferred
    /// from. With [`AnswerWith::Music`](crate::AnswerWith::Music) the caller is answered when this is stored.
    CallQueued {
        /// The call.
        call: CallKey,
        /// The queue.
        queue: String,
        /// The address in the caller's From.
        caller: String,
        /// The address that the caller asked for.
        dialled: String,
        /// Its priority there.
        priority: i32,
        /// When.
        at: Time,
    },
    /// A call of a queue was presented to an agent.
    CallPresented {
        /// The call.
        call: CallKey,
        /// The agent.
        agent: String,
        /// Which presentation of the call it is, from 1; with `ring_all` those at once share a number.
        attempt: u32,
        /// When.
        at: Time,
    },
    /// A presentation is over, and the agent did not answer; one that was answered ends with [`Fact::CallAnswered`]. After that it
    /// tells that the answer came to nothing: the caller did not hear of it, and waits as before or is gone.
    PresentationEnded {
        /// The call.
        call: CallKey,
        /// The agent.
        agent: String,
        /// Why.
        outcome: PresentationOutcome,
        /// When.
        at: Time,
    },
    /// What an agent is doing changed.
    AgentChanged {
        /// The agent.
        agent: String,
        /// What it is doing now.
        state: AgentState,
        /// When.
        at: Time,
    },
    /// What an agent wants to be when its call or wrap-up is over. That holds until it is logged out, ready or not ready.
    AgentWants {
        /// The agent.
        agent: String,
        /// Not ready, with this reason; `None`: ready, as without such a fact.
        afterwards: Option<NotReadyReason>,
        /// When.
        at: Time,
    },
    /// A call was answered; the caller hears of it when this is stored.
    CallAnswered {
        /// The call.
        call: CallKey,
        /// The address in the caller's From.
        caller: String,
        /// The address-of-record of the user who answered.
        callee: String,
        /// The agent, where the call came from a queue.
        agent: Option<String>,
        /// When the callee answered.
        at: Time,
    },
    /// A call left its queue for an address that is no queue, where nobody has answered yet.
    CallOverflowed {
        /// The call.
        call: CallKey,
        /// The address.
        to: String,
        /// When.
        at: Time,
    },
    /// A party of an answered call was exchanged for another.
    CallTransferred {
        /// The call.
        call: CallKey,
        /// The agent who leaves by it, where one does.
        agent: Option<String>,
        /// The address of who took the place.
        to: String,
        /// When.
        at: Time,
    },
    /// A recording of a call began; told by who writes the files.
    RecordingStarted {
        /// The call.
        call: CallKey,
        /// The file, relative to the folder of recordings.
        file: String,
        /// When.
        at: Time,
    },
    /// A recording is finished, and can be played; told by who writes the files.
    RecordingEnded {
        /// The call.
        call: CallKey,
        /// The file, relative to the folder of recordings.
        file: String,
        /// Its length in samples of each channel, at 8,000 Hz.
        samples: u64,
        /// When.
        at: Time,
    },
    /// A call is over. Told once for each call that was let in.
    CallEnded {
        /// The call.
        call: CallKey,
        /// Why.
        cause: EndCause,
        /// Who called whom, where no fact before is known to have told it: nobody answered, and it came to no queue.
        parties: Option<Parties>,
        /// When.
        at: Time,
    },
}

/// Who called whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parties {
    /// The address in the caller's From.
    pub caller: String,
    /// The address that the caller asked for.
    pub dialled: String,
}

impl Fact {
    /// When it became true; `None` for bindings, each of which tells when it runs out.
    pub fn at(&self) -> Option<Time> {
        match self {
            Fact::Bindings { .. } => None,
            Fact::CallQueued { at, .. }
            | Fact::CallPresented { at, .. }
            | Fact::PresentationEnded { at, .. }
            | Fact::AgentChanged { at, .. }
            | Fact::AgentWants { at, .. }
            | Fact::CallAnswered { at, .. }
            | Fact::CallOverflowed { at, .. }
            | Fact::CallTransferred { at, .. }
            | Fact::RecordingStarted { at, .. }
            | Fact::RecordingEnded { at, .. }
            | Fact::CallEnded { at, .. } => Some(*at),
        }
    }

    /// The call that it is about.
    pub fn call(&self) -> Option<CallKey> {
        match self {
            Fact::Bindings { .. } | Fact::AgentChanged { .. } | Fact::AgentWants { .. } => None,
            Fact::CallQueued { call, .. }
            | Fact::CallPresented { call, .. }
            | Fact::PresentationEnded { call, .. }
            | Fact::CallAnswered { call, .. }
            | Fact::CallOverflowed { call, .. }
            | Fact::CallTransferred { call, .. }
            | Fact::RecordingStarted { call, .. }
            | Fact::RecordingEnded { call, .. }
            | Fact::CallEnded { call, .. } => Some(*call),
        }
    }
}

/// Why a presentation ended without an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PresentationOutcome {
    /// The agent let it ring.
    NoAnswer,
    /// The agent refused, or could not be reached: with this status.
    Rejected(u16),
    /// It was taken back: the caller is gone, waited long enough, or (with `ring_all`) somebody else answered; or the answer could
    /// not be stored.
    Withdrawn,
    /// The agent logged out, or said that it is not ready; or it answered, and hung up before the caller heard of it.
    AgentGone,
}

/// Why a call was not let into its queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefusedBecause {
    /// As many wait as may.
    Full,
    /// The call center closes.
    Closed,
    /// No member is logged in.
    NoAgents,
}

/// Why a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndCause {
    /// The caller hung up.
    CompletedByCaller,
    /// The callee hung up: the agent, where the call came from a queue.
    CompletedByCallee,
    /// The caller gave up before it was answered, or while it waited in a queue.
    Abandoned,
    /// Nobody answered in time.
    TimedOut,
    /// It might not wait any longer, and was told so by a message.
    Overflowed,
    /// It was not let into its queue.
    Refused(RefusedBecause),
    /// The last party moved on to another call.
    Transferred,
    /// It failed: this is the status that the caller was given, or would have been.
    Failed(u16),
    /// The process that carried it ended without a word: told by the store when it is opened again.
    Restarted,
}

impl fmt::Display for RefusedBecause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            RefusedBecause::Full => "full",
            RefusedBecause::Closed => "closed",
            RefusedBecause::NoAgents => "no_agents",
        })
    }
}

impl fmt::Display for EndCause {
    /// As in `completed_by_caller`, `refused(full)`, `failed(503)`, `failed(restart)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            EndCause::CompletedByCaller => f.write_str("completed_by_caller"),
            EndCause::CompletedByCallee => f.write_str("completed_by_callee"),
            EndCause::Abandoned => f.write_str("abandoned"),
            EndCause::TimedOut => f.write_str("timed_out"),
            EndCause::Overflowed => f.write_str("overflowed"),
            EndCause::Refused(because) => write!(f, "refused({because})"),
            EndCause::Transferred => f.write_str("transferred"),
            EndCause::Failed(status) => write!(f, "failed({status})"),
            EndCause::Restarted => f.write_str("failed(restart)"),
        }
    }
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
        /// Whether somebody waits for it and can be told no: an answer, a registration, a caller who was not answered yet. One that
        /// cannot be stored is given up then. Any other fact tells what has happened already: it is kept until it can be stored,
        /// in the order in which it was told.
        awaited: bool,
    },
    /// Two parties of a call are recorded from now on.
    RecordingBegan {
        /// The call.
        call: CallKey,
        /// When.
        at: Time,
    },
    /// A piece of a recording: left the caller or who took its place, right the other one. The last one is [`Piece::End`].
    Recorded {
        /// The call.
        call: CallKey,
        /// The piece.
        piece: Piece,
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
    /// A source of requests is not heard for a while.
    Banned(Ban),
    /// A source is heard again: its time is over, it was [pardoned](crate::Machine::pardon), or so many others were heard of since that
    /// it was forgotten.
    BanOver {
        /// Its address.
        source: IpAddr,
    },
    /// The machine was [closed](crate::Machine::close) and holds nothing any more.
    Closed,
}

/// That a source of requests is not heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ban {
    /// Its address; of an IPv6 address the first half.
    pub source: IpAddr,
    /// Why.
    pub because: BannedBecause,
    /// Until when.
    pub until: Time,
}

/// Why a source is not heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BannedBecause {
    /// It tried too many passwords that were wrong, or addresses that nobody has or where nobody is.
    Guessed,
    /// It was asked for a password again and again, and never had one.
    NoPassword,
}

impl fmt::Display for BannedBecause {
    /// In words.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            BannedBecause::Guessed => "too many wrong passwords or unknown addresses",
            BannedBecause::NoPassword => "too many requests without a password",
        })
    }
}

/// What can be told to a [`Machine`](crate::Machine).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// The fact is stored: it outlives a crash.
    Persisted {
        /// Its number.
        token: Token,
    },
    /// The fact could not be stored, and never will be.
    PersistFailed {
        /// Its number.
        token: Token,
    },
    /// Something is asked of an agent. Nothing happens where there is no such agent, or it is not logged in; what becomes of it is
    /// told as [`Fact::AgentChanged`].
    SetAgent {
        /// The agent.
        agent: String,
        /// What.
        to: AgentRequest,
    },
}
