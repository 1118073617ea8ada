//! The final response of a server transaction, for as long as the request may come again (RFC 3261 §17.2.2).

use bytes::Bytes;
use callwright_sip_message::{HeaderName, Message};

use crate::transport::{Source, write_filled};

/// A response that was sent, to be sent again.
///
/// Most of one is copied from its request (RFC 3261 §8.2.6.2), which is there again whenever the response is needed: only the
/// rest is kept, some 50 bytes of 300.
#[derive(Debug)]
pub(super) enum Reply {
    /// The status line, what was added to To, and what follows CSeq; and the lengths of the first two.
    Rest { text: Box<[u8]>, line: u16, tag: u16 },
    /// One that was built in another way.
    Whole(Box<[u8]>),
}

impl Reply {
    /// What is to be kept of `wire`, which answered `request`.
    pub(super) fn of(wire: &[u8], request: &Message, source: Source) -> Reply {
        Reply::without_copies(wire, request, source).unwrap_or_else(|| Reply::Whole(wire.into()))
    }

    fn without_copies(wire: &[u8], request: &Message, source: Source) -> Option<Reply> {
        let line = wire.iter().position(|byte| *byte == b'\n')? + 1;
        let mut copied = Vec::with_capacity(wire.len());
        copy_to(&mut copied, request, source)?;
        let rest = wire[line..].strip_prefix(&copied[..])?;
        let tag = rest.iter().position(|byte| *byte == b'\r')?;
        copied.clear();
        copy_after_to(&mut copied, request)?;
        let after = rest[tag..].strip_prefix(&copied[..])?;
        Some(Reply::Rest {
            text: [&wire[..line], &rest[..tag], after].concat().into(),
            line: line.try_into().ok()?,
            tag: tag.try_into().ok()?,
        })
    }

    /// The response to `request`, which came again.
    pub(super) fn to(&self, request: &Message, source: Source) -> Bytes {
        match self {
            Reply::Whole(bytes) => Bytes::copy_from_slice(bytes),
            Reply::Rest { text, line, tag } => {
                let (line, rest) = text.split_at((*line).into());
                let (tag, after) = rest.split_at((*tag).into());
                let mut out = Vec::with_capacity(text.len() + request.raw().len());
                out.extend_from_slice(line);
                // What was there the first time is there again: it belongs to what finds the transaction.
                let _ = copy_to(&mut out, request, source);
                out.extend_from_slice(tag);
                let _ = copy_after_to(&mut out, request);
                out.extend_from_slice(after);
                out.into()
            }
        }
    }
}

/// Via, From and To, without the end of that line; `None` when one is missing.
fn copy_to(out: &mut Vec<u8>, request: &Message, source: Source) -> Option<()> {
    for (at, via) in request.headers(HeaderName::Via).enumerate() {
        out.extend_from_slice(b"Via: ");
        match at {
            0 => write_filled(out, via.as_bytes(), source),
            _ => out.extend_from_slice(via.as_bytes()),
        }
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b"From: ");
    out.extend_from_slice(request.header_bytes(HeaderName::From)?);
    out.extend_from_slice(b"\r\nTo: ");
    out.extend_from_slice(request.header_bytes(HeaderName::To)?);
    Some(())
}

/// Call-ID and CSeq, from the end of the line of To on.
fn copy_after_to(out: &mut Vec<u8>, request: &Message) -> Option<()> {
    out.extend_from_slice(b"\r\nCall-ID: ");
    out.extend_from_slice(request.header_bytes(HeaderName::CallId)?);
    out.extend_from_slice(b"\r\nCSeq: ");
    out.extend_from_slice(request.header_bytes(HeaderName::CSeq)?);
    out.extend_from_slice(b"\r\n");
    Some(())
}

#[cfg(test)]
mod tests {
    use callwright_sip_message::Builder;

    use super::*;

    const SOURCE: Source = Source {
        sent_by: None,
        address: std::net::SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 5071),
    };

    fn request(text: &str) -> Message {
        Message::from_raw(text.replace('\n', "\r\n").into_bytes().into())
    }

    fn options() -> Message {
        request(
            "OPTIONS sip:here SIP/2.0\nv: SIP/2.0/UDP far.example;branch=z9hG4bK1;rport\nVia: SIP/2.0/UDP b;branch=z9hG4bK2\n\
             Max-Forwards: 70\nf: <sip:a@b>;tag=1\nTo: <sip:here>\ni: x@y\nCSeq: 7 OPTIONS\nContent-Length: 0\n\n",
        )
    }

    /// A response as the core writes it.
    fn wire(request: &Message, response: Message) -> Bytes {
        let (transport, local) = (callwright_wire::Transport::Udp, SOURCE.address);
        crate::transport::response_on_wire(&response.into(), request, transport, local, SOURCE)
    }

    #[test]
    fn what_is_kept_is_little_and_gives_the_same_bytes_again() {
        let request = options();
        let response = Builder::response_to(&request, 200, "OK")
            .to_tag("there")
            .header(HeaderName::Server, "test")
            .body("text/plain", &b"body"[..])
            .finish();
        let wire = wire(&request, response);
        let reply = Reply::of(&wire, &request, SOURCE);
        let Reply::Rest { text, .. } = &reply else {
            panic!("{reply:?}");
        };
        assert!(text.len() < wire.len() / 2, "{} of {}", text.len(), wire.len());
        assert_eq!(reply.to(&request, SOURCE), wire);
    }

    #[test]
    fn a_retransmission_from_another_port_is_told_its_own() {
        let request = options();
        let wire = wire(
            &request,
            Builder::response_to(&request, 404, "Not Found").finish(),
        );
        let reply = Reply::of(&wire, &request, SOURCE);
        let moved = Source {
            address: (std::net::Ipv4Addr::LOCALHOST, 9).into(),
            ..SOURCE
        };
        let again = String::from_utf8_lossy(&reply.to(&request, moved)).into_owned();
        assert!(again.contains("received=127.0.0.1;rport=9"), "{again}");
    }

    #[test]
    fn what_was_built_in_another_way_is_kept_whole() {
        let request = options();
        let mut other = Builder::response(200, "OK").copy_from(&request, HeaderName::CallId);
        for name in [
            HeaderName::Via,
            HeaderName::From,
            HeaderName::To,
            HeaderName::CSeq,
        ] {
            other = other.copy_from(&request, name);
        }
        let wire = wire(&request, other.finish());
        let reply = Reply::of(&wire, &request, SOURCE);
        assert!(matches!(reply, Reply::Whole(_)), "{reply:?}");
        assert_eq!(reply.to(&request, SOURCE), wire);
    }
}
