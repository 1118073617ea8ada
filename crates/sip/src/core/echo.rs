//! Whether a response can be taken: what it copies from its request (RFC 3261 §8.2.6.2) is what everybody reads of it.

use callwright_sip_message::{HeaderName, Message, Method};

use super::client::{Client, Kind};

/// Where the value of From stands in a request on the wire: what the transport adds to it is written before all header fields.
pub(super) fn from_at(request: &Message, wire: &[u8]) -> Option<u32> {
    let from = request.header_bytes(HeaderName::From)?;
    let at = from.as_ptr() as usize - request.raw().as_ptr() as usize;
    u32::try_from(at + wire.len() - request.raw().len()).ok()
}

/// Checks From, To, Call-ID and CSeq of a response to this request.
///
/// # Errors
///
/// What is wrong with them. RFC 3261 §18.1.2 leaves open what becomes of such a response; nothing can be done with one whose
/// dialog nobody can tell, so it is none.
pub(super) fn check(client: &Client, response: &Message) -> Result<(), String> {
    let request = client.live.as_ref();
    let request = request.and_then(|live| live.wire.get(live.from_at? as usize..));
    if request.is_some_and(|request| echoes(request, response)) {
        return Ok(());
    }
    let fault = [
        response.from().err(),
        response.to().err(),
        response.call_id().err(),
    ]
    .into_iter()
    .flatten()
    .next();
    if let Some(fault) = fault {
        return Err(fault.to_string());
    }
    let cseq = response.cseq().map_err(|fault| fault.to_string())?;
    // RFC 3261 §17.1.3: the method is that of the request.
    let other = match client.kind {
        Kind::Invite => cseq.method != Method::Invite,
        Kind::NonInvite => matches!(cseq.method, Method::Invite | Method::Cancel | Method::Ack),
        Kind::Cancel { .. } | Kind::Ack => false,
    };
    if other {
        return Err(format!("CSeq says {}, which the request was not", cseq.method));
    }
    Ok(())
}

/// True when the response has the four as they stand in the request, in the order in which the layer above writes them, To but
/// for its tag: then there is nothing to parse. What this side broke itself, on purpose, comes back as it left and is taken.
fn echoes(request_from: &[u8], response: &Message) -> bool {
    let copied = |rest: &mut &[u8], name: HeaderName, next: &[u8]| {
        let after = response
            .header_bytes(name)
            .and_then(|value| rest.strip_prefix(value))
            .and_then(|after| after.strip_prefix(next));
        after.map(|after| *rest = after).is_some()
    };
    let mut rest = request_from;
    if !copied(&mut rest, HeaderName::From, b"\r\nTo: ") {
        return false;
    }
    let Some((to, tag)) = rest
        .iter()
        .position(|byte| *byte == b'\r')
        .zip(response.header_bytes(HeaderName::To))
        .and_then(|(end, value)| Some((end, value.strip_prefix(&rest[..end])?)))
    else {
        return false;
    };
    let Some(after) = rest[to..].strip_prefix(b"\r\nCall-ID: ") else {
        return false;
    };
    rest = after;
    is_tag(tag)
        && copied(&mut rest, HeaderName::CallId, b"\r\nCSeq: ")
        && copied(&mut rest, HeaderName::CSeq, b"\r\n")
}

/// Nothing, or `;tag=` and a token of the plainest kind.
fn is_tag(text: &[u8]) -> bool {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    text.is_empty()
        || text
            .strip_prefix(b";tag=")
            .is_some_and(|tag| !tag.is_empty() && tag.iter().all(plain))
}
