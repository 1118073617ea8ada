//! Bytes to SIP messages and back: raw bytes kept, illegal messages representable, every size limited.
//!
//! A [`Message`] is the bytes of a request or response beside an index of where its fields are, made in one pass. Header values
//! are parsed when they are asked for, so a broken header spoils only itself: [`Message::parse`] refuses next to nothing, and
//! [`Message::validate`] says which rules a message breaks and with which status a server should answer it.
//!
//! A [`Builder`] writes messages that follow the rules; [`Message::from_raw`] holds any bytes whatever, to be sent on purpose.
//! [`Framer`] cuts a byte stream into messages, [`classify`] tells what a datagram on a SIP port is.
//!
//! Sources: RFC 3261 (§7, §18.3, §19.1, §20, §25), RFC 5118 for IPv6, and for single headers the RFC at their type.

pub mod body;
mod builder;
mod datagram;
mod framer;
mod grammar;
pub mod header;
mod host;
mod limits;
mod message;
mod method;
mod name;
mod params;
mod problem;
mod short_text;
mod uri;

pub use builder::{BuildError, Builder, check_value};
pub use datagram::{Datagram, classify};
pub use framer::{Frame, FrameError, Framer};
pub use grammar::SyntaxError;
pub use header::{
    CSeq, CallId, Challenge, Contact, Credentials, Header, HeaderError, MediaType, NameAddr, Shape,
    Transport, Via,
};
pub use host::Host;
pub use limits::{LimitExceeded, Limits};
pub use message::{Fields, Message, ParseError, StartLine, Values};
pub use method::Method;
pub use name::HeaderName;
pub use params::{Iter as ParamsIter, Params};
pub use problem::{Problem, Violations};
pub use smol_str::SmolStr;
pub use uri::{Scheme, Uri};
