//! One SIP endpoint, as a scenario uses it.
//!
//! What the verbs mean is the phone's: `accept` takes the newest incoming call that rings; `hangup` the newest that
//! rings, else the newest established; `resume` the newest held; every other verb the newest established. With a
//! [`CallRef`] a verb means that call. A verb never waits for the peer: one on a call that was just answered is queued
//! until its ACK, one behind a pending re-INVITE until that ends. What the peer decides is never an error of a verb.

mod message;
mod snapshot;
mod spec;
mod verb;

use std::sync::Arc;

use callwright_wire::Cause;

use crate::world::Topic;

pub use callwright_sip_message::Message as SipMessage;
pub use message::{Direction, MessageFilter, Messages, SipRecord};
pub use snapshot::{
    CallRef, CallSnapshot, CallState, MessagesWaiting, Origin, Peer, Phase, PhoneSnapshot, Quality,
    Registration,
};
pub use spec::{AudioCodec, DtmfMode, LocalAddress, MediaEncryption, PhoneSpec};
pub use verb::{Audio, Performed, RequestId, RequestState, Verb, VerbError};

/// What a wait on a phone is about. A phone may give several aspects the same topic; fewer wakes are better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Aspect {
    /// The registration.
    Registration,
    /// The calls: their phases, peers and ends, and what [`Phone::invite_headers`] says.
    Calls,
    /// The SIP messages sent and received, and requests made with [`Verb::Send`].
    Messages,
    /// Digits received.
    Dtmf,
    /// Message waiting.
    MessageWaiting,
    /// What a listener heard.
    Audio,
    /// That the phone has closed.
    Closed,
}

/// What to listen for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ListenFor {
    /// A tone: within ±10 Hz, at least −40 dBm0, at least a fifth of the energy, over at least 100 ms.
    Tone {
        /// Its frequency.
        hz: f64,
    },
    /// RTP that carries silence.
    Silence,
}

/// A listener of one phone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ListenerId(pub u32);

/// What a listener heard since it was started.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Heard {
    /// What it listens for was heard.
    pub done: bool,
    /// RTP packets that arrived since.
    pub packets: u64,
    /// The strongest frequency that was heard since, if anything was.
    pub strongest: Option<Strongest>,
}

/// The strongest frequency in what was heard.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Strongest {
    /// Its frequency.
    pub hz: f64,
    /// Its level.
    pub dbm0: f64,
}

/// The last audio that a phone heard: at most three seconds, unless it records.
#[derive(Clone, Debug)]
pub struct RecentAudio {
    /// Samples a second.
    pub rate: u32,
    /// Mono samples, oldest first.
    pub samples: Arc<[i16]>,
}

/// A SIP endpoint. All methods return at once, from any task.
pub trait Phone: Send + Sync {
    /// Carries out a verb on the current call, or on the one given. `cause` is attached to every message that follows
    /// from it.
    ///
    /// # Errors
    /// [`VerbError`], when it cannot be carried out. Never for what a peer decides.
    fn perform(
        &self,
        call: Option<CallRef>,
        verb: Verb,
        cause: Option<Cause>,
    ) -> Result<Performed, VerbError>;

    /// Its number in its world: what [`crate::world::Site`] means it by.
    fn number(&self) -> u32;

    /// Everything that getters need, at one moment.
    fn snapshot(&self) -> PhoneSnapshot;

    /// The topic to wait on for an aspect.
    fn topic(&self, aspect: Aspect) -> Topic;

    /// The SIP messages of this phone that pass the filter, oldest first; capped, and says how many were dropped.
    fn messages(&self, filter: &MessageFilter) -> Messages;

    /// The header fields of the newest initial INVITE received (or of the given call's), in order, also after its call
    /// ended; `None` when none was received. Never those of an INVITE that this phone sent.
    fn invite_headers(&self, call: Option<CallRef>) -> Option<Arc<[(String, String)]>>;

    /// How a request made with [`Verb::Send`] stands.
    fn request(&self, request: RequestId) -> RequestState;

    /// Starts to listen, from now on: audio that arrived before does not count. Works on the call given, or on whatever
    /// call carries audio, also one that begins later.
    fn listen(&self, call: Option<CallRef>, what: ListenFor) -> ListenerId;

    /// What a listener heard so far; nothing for one that is not there any more.
    fn heard(&self, listener: ListenerId) -> Heard;

    /// Ends a listener.
    fn unlisten(&self, listener: ListenerId);

    /// True while the tone is in the audio that arrives (the last 200 ms), on the call given or on the newest that
    /// carries any.
    fn hears(&self, call: Option<CallRef>, hz: f64) -> bool;

    /// The last audio heard, if any.
    fn recent_audio(&self) -> Option<RecentAudio>;

    /// Begins to hang up every call, unregister and give everything back. [`Aspect::Closed`] changes when done. Verbs
    /// fail from now on; getters keep what they last said.
    fn close(&self);

    /// True when nothing is left to be waited for.
    fn is_closed(&self) -> bool;
}
