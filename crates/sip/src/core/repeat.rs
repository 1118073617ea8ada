//! The final response of a server transaction, for as long as the request may come again (RFC 3261 §17.2.2).

use bytes::Bytes;
use callwright_sip_message::{HeaderName, Message};

use crate::transaction::{CopiedKey, ServerKeys};
use crate::transport::{Source, write_filled};

/// A response that was sent, to be sent again.
///
/// Most of one is copied from its request (RFC 3261 §8.2.6.2), which is there again whenever the response is needed: only the
/// rest is kept, some 50 bytes of 300.
#[derive(Debug)]
pub(super) enum Repeat {
    Rest(Rest),
    /// One that was built in another way. It says `received` and `rport` as they were the first time.
    Whole(Box<[u8]>),
}

/// What is not copied: the lines before Via, what was added to To, and what follows CSeq; and the lengths of the first two.
#[derive(Debug)]
pub(super) struct Rest {
    text: Box<[u8]>,
    before: u16,
    tag: u16,
    /// What was copied: the branch alone does not tell that a request is the same (RFC 3261 §17.2.3).
    copied: CopiedKey,
}

impl Repeat {
    /// What is to be kept of `wire`, which answered `request`.
    pub(super) fn of(wire: &[u8], request: &Message, source: Source, keys: &ServerKeys) -> Repeat {
        match Rest::of(wire, request, source, keys) {
            Some(rest) => Repeat::Rest(rest),
            None => Repeat::Whole(wire.into()),
        }
    }

    /// The response to `request`, which came again; `None` when that is another one under the same branch.
    pub(super) fn answer(&self, request: &Message, source: Source, keys: &ServerKeys) -> Option<Bytes> {
        match self {
            Repeat::Whole(bytes) => Some(Bytes::copy_from_slice(bytes)),
            Repeat::Rest(rest) => rest.answer(request, source, keys),
        }
    }
}

impl Rest {
    fn of(wire: &[u8], request: &Message, source: Source, keys: &ServerKeys) -> Option<Rest> {
        const VIA: &[u8] = b"\r\nVia: ";
        // Contact, where the transport wrote it, stands before Via.
        let before = wire.windows(VIA.len()).position(|window| window == VIA)? + 2;
        let mut copied = Vec::with_capacity(wire.len());
        copy_to(&mut copied, request, source)?;
        let rest = wire[before..].strip_prefix(&copied[..])?;
        let tag = rest.iter().position(|byte| *byte == b'\r')?;
        copied.clear();
        copy_after_to(&mut copied, request)?;
        let after = rest[tag..].strip_prefix(&copied[..])?;
        Some(Rest {
            text: [&wire[..before], &rest[..tag], after].concat().into(),
            before: before.try_into().ok()?,
            tag: tag.try_into().ok()?,
            copied: keys.copied(request),
        })
    }

    fn answer(&self, request: &Message, source: Source, keys: &ServerKeys) -> Option<Bytes> {
        if keys.copied(request) != self.copied {
            return None;
        }
        let (before, rest) = self.text.split_at(self.before.into());
        let (tag, after) = rest.split_at(self.tag.into());
        let mut out = Vec::with_capacity(self.text.len() + request.raw().len());
        out.extend_from_slice(before);
        copy_to(&mut out, request, source)?;
        out.extend_from_slice(tag);
        copy_after_to(&mut out, request)?;
        out.extend_from_slice(after);
        Some(out.into())
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
    use crate::core::Outgoing;

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
    fn wire(request: &Message, response: impl Into<Outgoing>) -> Bytes {
        let (transport, local) = (callwright_wire::Transport::Udp, SOURCE.address);
        crate::transport::response_on_wire(&response.into(), request, transport, local, SOURCE)
    }

    const KEYS: ServerKeys = ServerKeys { secret: 1 };

    fn rest(reply: Repeat) -> Rest {
        match reply {
            Repeat::Rest(rest) => rest,
            Repeat::Whole(bytes) => panic!("{}", String::from_utf8_lossy(&bytes)),
        }
    }

    #[test]
    fn what_is_kept_is_little_and_gives_the_same_bytes_again() {
        let request = options();
        let response = Builder::response_to(&request, 200, "OK")
            .to_tag("there")
            .header(HeaderName::Server, "test")
            .body("text/plain", &b"body"[..])
            .finish();
        let contact = crate::core::LocalContact::default();
        for response in [
            Outgoing::new(response.clone()),
            Outgoing::new(response).with_contact(contact),
        ] {
            let wire = wire(&request, response);
            let rest = rest(Repeat::of(&wire, &request, SOURCE, &KEYS));
            assert!(
                rest.text.len() < wire.len() / 2,
                "{} of {}",
                rest.text.len(),
                wire.len()
            );
            assert_eq!(rest.answer(&request, SOURCE, &KEYS), Some(wire));
        }
    }

    #[test]
    fn a_retransmission_from_another_port_is_told_its_own() {
        let request = options();
        let wire = wire(
            &request,
            Builder::response_to(&request, 404, "Not Found").finish(),
        );
        let rest = rest(Repeat::of(&wire, &request, SOURCE, &KEYS));
        let moved = Source {
            address: (std::net::Ipv4Addr::LOCALHOST, 9).into(),
            ..SOURCE
        };
        let again = rest.answer(&request, moved, &KEYS).expect("the same request");
        let again = String::from_utf8_lossy(&again).into_owned();
        assert!(again.contains("received=127.0.0.1;rport=9"), "{again}");
    }

    #[test]
    fn another_request_with_the_same_branch_gets_no_answer() {
        let request = options();
        let wire = wire(
            &request,
            Builder::response_to(&request, 200, "OK").to_tag("there").finish(),
        );
        let reply = Repeat::of(&wire, &request, SOURCE, &KEYS);
        let text = String::from_utf8_lossy(request.raw()).replace('\r', "");
        for (was, is) in [
            ("CSeq: 7", "CSeq: 8"),
            ("i: x@y", "i: z@y"),
            ("To: <sip:here>", "To: <sip:here>;tag=x"),
            ("f: <sip:a@b>;tag=1\n", ""),
        ] {
            let other = super::tests::request(&text.replace(was, is));
            assert_eq!(reply.answer(&other, SOURCE, &KEYS), None, "{is}");
        }
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
        let reply = Repeat::of(&wire, &request, SOURCE, &KEYS);
        assert!(matches!(reply, Repeat::Whole(_)), "{reply:?}");
        assert_eq!(reply.answer(&request, SOURCE, &KEYS), Some(wire));
    }
}
