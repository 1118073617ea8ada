//! Finding the session description in a body.

use bytes::Bytes;
use callwright_sip_message::Message;

/// How many parts of a multipart body are looked at.
const MAX_PARTS: usize = 16;

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
    let boundary = format!("--{}", kind.params.unquoted("boundary")?);
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
