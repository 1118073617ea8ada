//! The work that is measured, beside the same work done by another library.

pub mod call;

use bytes::Bytes;
use callwright_sip_message::{CSeq, CallId, Limits, Message, Method, NameAddr, StartLine, Via};
use rsipstack::sip::prelude::{HeadersExt, ToTypedHeader};
use rsipstack::sip::{self, SipMessage, typed};

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

/// The same by `rsipstack`.
pub type ParsedByRsipstack = (SipMessage, typed::Via, typed::From, typed::To, sip::CallId, typed::CSeq);

/// Parses by `rsipstack`; `None` unless it is an INVITE with all of these headers.
pub fn parse_by_rsipstack(bytes: &Bytes) -> Option<ParsedByRsipstack> {
    let message = SipMessage::try_from(&bytes[..]).ok()?;
    let SipMessage::Request(request) = &message else { return None };
    if request.method != sip::Method::Invite {
        return None;
    }
    let via = request.via_header().ok()?.typed().ok()?;
    let from = request.from_header().ok()?.typed().ok()?;
    let to = request.to_header().ok()?.typed().ok()?;
    let call_id = request.call_id_header().ok()?.clone();
    let cseq = request.cseq_header().ok()?.typed().ok()?;
    Some((message, via, from, to, call_id, cseq))
}
