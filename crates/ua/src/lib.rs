//! A user agent: account, registration, calls, hold, transfer, DTMF and audio; commands in, changes out.
//!
//! A [`Fleet`] holds the user agents of one process and the media plane that they share. It is a
//! [`PacketNode`](callwright_wire::PacketNode): a world drives it with bytes and the time. What it can be told are its
//! methods; what happened it tells by [`Change`]s, which say only that something is different now: getters say what.
//!
//! A method never waits for the peer. What cannot be carried out is an error of the method; what the peer decides never
//! is: it shows in the state of the call or the registration.

mod account;
mod call;
mod fleet;
mod media_host;
mod target;
mod trace;
mod user_agent;
mod verb;

pub use account::{Account, DtmfMode, LocalAddress, MediaEncryption};
pub use call::{Call, CallKey, Ended, Origin, Peer, Phase};
pub use callwright_sip::digest::Password;
pub use fleet::{Fleet, FleetConfig, FleetEvent};
pub use target::{TargetError, resolve};
pub use trace::{Direction, Trace, TraceLimits, TracedMessage};
pub use user_agent::{
    Change, Heard, ListenFor, ListenerId, MessagesWaiting, Registration, RequestKey, RequestState,
    StartError, UserAgent, UserAgentId,
};
pub use verb::{ArmedResponse, Audio, Done, FreeRequest, VerbError};
