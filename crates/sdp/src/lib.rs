//! Bytes to session descriptions and back, and what an offer or an answer says.
//!
//! Three subjects, each of use alone:
//!
//! - [`Session`] and what it holds: a session description as a value (RFC 8866). [`Session::parse`] reads one from the
//!   wire, keeps the bytes in [`Session::raw`] and notes in [`Session::defects`] what it could not understand:
//!   one broken line does not spoil the rest. [`Session::to_bytes`] writes one.
//! - [`Crypto`]: the keys of SRTP in an `a=crypto` attribute (RFC 4568).
//! - [`negotiation::OfferAnswer`]: the offer/answer machine (RFC 3264, RFC 6337). It sees no socket, no clock and no
//!   randomness: addresses, ports, keys and the session id are given to it.
//!
//! ```
//! use callwright_sdp::{Direction, Session};
//!
//! let body = b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0 8\r\na=sendonly\r\n";
//! let session = Session::parse(body)?;
//! assert_eq!(session.rtp_address(0), Some("192.0.2.1:4000".parse().unwrap()));
//! assert_eq!(session.media[0].direction, Direction::SendOnly);
//! assert_eq!(session.media[0].formats[1].encoding, "PCMA");
//! # Ok::<(), callwright_sdp::SdpError>(())
//! ```

mod crypto;
mod format;
mod media;
pub mod negotiation;
mod parse;
mod session;
mod write;

pub use crypto::{Crypto, CryptoSuite, InlineKey, KeyError};
pub use format::{EventSet, Format};
pub use media::{Direction, Media, MediaKind, Protocol, RtcpAddress};
pub use parse::{Defect, DefectKind, MAX_BODY_BYTES, MAX_DEFECTS, MAX_MEDIA, SdpError};
pub use session::{Attribute, Bandwidth, Connection, Origin, Session};
