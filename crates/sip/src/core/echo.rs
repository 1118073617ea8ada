//! Whether a response can be taken: what it copies from its request (RFC 3261 §8.2.6.2) is what everybody reads of it.

use callwright_sip_message::{HeaderName, Message, Method};

use super::client::{Client, Kind};

/// Behind how many lines of a request From is looked for: the layer above writes it near the top.
const NEAR: usize = 5;

/// Checks From, To, Call-ID and CSeq of a response to this request.
///
/// # Errors
///
/// What is wrong with them. RFC 3261 §18.1.2 leaves open what becomes of such a response; nothing can be done with one whose
/// dialog nobody can tell, so it is none.
pub(super) fn check(client: &Client, response: &Message) -> Result<(), String> {
    if echoes(&client.wire, response) {
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
        Kind::Cancel(_) | Kind::Ack => false,
    };
    if other {
        return Err(format!("CSeq says {}, which the request was not", cseq.method));
    }
    Ok(())
}

/// True when the response has the four as they stand in the request, To but for its tag: then there is nothing to parse. What
/// this side broke itself, on purpose, comes back as it left and is taken.
fn echoes(request: &[u8], response: &Message) -> bool {
    let mut rest = request;
    for _ in 0..NEAR {
        if rest.starts_with(b"From: ") {
            break;
        }
        let Some(end) = rest.iter().position(|byte| *byte == b'\n') else {
            return false;
        };
        rest = &rest[end + 1..];
    }
    let mut next = |name: HeaderName, start: &[u8]| {
        let theirs = response.header_bytes(name)?;
        let ours = rest.strip_prefix(start)?;
        let end = ours.iter().position(|byte| *byte == b'\r')?;
        rest = ours[end..].strip_prefix(b"\r\n")?;
        theirs.strip_prefix(&ours[..end])
    };
    let whole = |after: Option<&[u8]>| after.is_some_and(<[u8]>::is_empty);
    whole(next(HeaderName::From, b"From: "))
        && next(HeaderName::To, b"To: ").is_some_and(is_tag)
        && whole(next(HeaderName::CallId, b"Call-ID: "))
        && whole(next(HeaderName::CSeq, b"CSeq: "))
}

/// Nothing, or `;tag=` and a token of the plainest kind.
fn is_tag(text: &[u8]) -> bool {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    text.is_empty()
        || text
            .strip_prefix(b";tag=")
            .is_some_and(|tag| !tag.is_empty() && tag.iter().all(plain))
}
