//! Finding the session description in a body.

use bytes::Bytes;
use callwright_sip_message::Message;

/// How many parts of a multipart body are looked at.
const MAX_PARTS: usize = 16;

/// The longest boundary (RFC 2046 §5.1.1). It is searched for at each place of the body.
const MAX_BOUNDARY: usize = 70;

/// The SDP in a message: its whole body, or the first such part of a multipart body (RFC 5621 §3.2). `None` where there is none.
pub(crate) fn description(message: &Message) -> Option<Bytes> {
    let body = message.body();
    if body.is_empty() {
        return None;
    }
    let kind = message.content_type().ok().flatten()?;
    if kind.is("application/sdp") {
        return Some(body);
    }
    if !kind.kind.eq_ignore_ascii_case("multipart") {
        return None;
    }
    let boundary = kind.params.unquoted("boundary")?;
    if !(1..=MAX_BOUNDARY).contains(&boundary.len()) {
        return None;
    }
    let boundary = format!("--{boundary}");
    parts(&body, boundary.as_bytes())
        .take(MAX_PARTS)
        .find_map(|(start, end)| {
            let part = body.slice(start..end);
            let split = find(&part, b"\r\n\r\n")?;
            let head = String::from_utf8_lossy(&part[..split]).to_ascii_lowercase();
            let sdp = head.lines().any(|line| {
                line.strip_prefix("content-type:")
                    .is_some_and(|value| value.trim_start().starts_with("application/sdp"))
            });
            sdp.then(|| part.slice(split + 4..))
        })
}

/// Where the parts between boundaries are (RFC 2046 §5.1.1).
fn parts<'a>(body: &'a [u8], boundary: &'a [u8]) -> impl Iterator<Item = (usize, usize)> + 'a {
    let mut at = find(body, boundary).map(|start| start + boundary.len());
    std::iter::from_fn(move || {
        let start = at?;
        let rest = &body[start..];
        if rest.starts_with(b"--") {
            return None;
        }
        let length = find(rest, boundary)?;
        at = Some(start + length + boundary.len());
        // The line end before a boundary belongs to the boundary.
        let end = start + length.saturating_sub(2);
        Some((start, end.max(start)))
    })
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

#[cfg(test)]
mod tests {
    use callwright_sip_message::{Builder, Limits, Message, Method};

    use super::*;

    /// A message whose body has two parts between these boundaries.
    fn multipart(boundary: &str) -> Message {
        let uri = "sip:bob@10.0.0.2".parse().expect("a literal");
        let body = format!(
            "--{boundary}\r\nContent-Type: text/plain\r\n\r\nhello\r\n--{boundary}\r\n\
             Content-Type: application/sdp\r\n\r\nv=0\r\n\r\n--{boundary}--\r\n"
        );
        let message = Builder::request(Method::Invite, &uri)
            .body(format!("multipart/mixed;boundary=\"{boundary}\""), body)
            .finish();
        Message::parse(message.raw().clone(), &Limits::default()).expect("a message")
    }

    #[test]
    fn a_boundary_has_seventy_characters_at_most() {
        // RFC 2046 §5.1.1. A longer one would cost its length for each byte of the body.
        let found = description(&multipart(&"x".repeat(70)));
        assert_eq!(found.as_deref(), Some(&b"v=0\r\n"[..]));
        assert_eq!(description(&multipart(&"x".repeat(71))), None);
        assert_eq!(description(&multipart("")), None);
    }
}
