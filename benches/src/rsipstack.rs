//! The work of [`crate::parse`], done by `rsipstack`.

use ::rsipstack::sip::prelude::{HeadersExt, ToTypedHeader};
use ::rsipstack::sip::{self, SipMessage, typed};
use bytes::Bytes;

/// What [`crate::parse`] makes, as this library has it.
pub type Parsed = (
    SipMessage,
    typed::Via,
    typed::From,
    typed::To,
    sip::CallId,
    typed::CSeq,
);

/// `None` unless it is an INVITE with all of these headers.
pub fn parse(bytes: &Bytes) -> Option<Parsed> {
    let message = SipMessage::try_from(&bytes[..]).ok()?;
    let SipMessage::Request(request) = &message else {
        return None;
    };
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
