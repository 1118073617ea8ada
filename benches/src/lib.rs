//! The work that is measured; with the feature `compare` also the same work done by another library.

pub mod call;
#[cfg(feature = "compare")]
pub mod rsipstack;

use bytes::Bytes;
use callwright_sip_message::{CSeq, CallId, Limits, Message, Method, NameAddr, StartLine, Via};

/// An INVITE of 750 bytes with SDP.
pub const INVITE: &[u8] = include_bytes!("../invite.sip");

/// What finds the transaction and the dialog of a message: start line and all header boundaries (in the message), and Via, From,
/// To, Call-ID, CSeq typed.
pub type Parsed = (Message, Via, NameAddr, NameAddr, CallId, CSeq);

/// Parses by `callwright-sip-message`; `None` unless it is an INVITE with all of these headers.
pub fn parse(bytes: &Bytes) -> Option<Parsed> {
    let message = Message::parse(bytes.clone(), &Limits::default()).ok()?;
    let StartLine::Request { method: Method::Invite, .. } = message.start() else { return None };
    let via = message.via().ok()?;
    let from = message.from().ok()?;
    let to = message.to().ok()?;
    let call_id = message.call_id().ok()?;
    let cseq = message.cseq().ok()?;
    Some((message, via, from, to, call_id, cseq))
}
