//! What the transport writes into messages: Via, and Contact where the layer above asked for it.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};

use bytes::Bytes;
use callwright_sip_message::{HeaderName, Message};
use callwright_wire::Transport;

use crate::core::{LocalContact, Outgoing};
use crate::transaction::Branch;

/// `SIP/2.0/UDP host:port;branch=…;rport` (RFC 3261 §18.1.1, RFC 3581 §3).
pub(crate) fn via_value(transport: Transport, local: SocketAddr, branch: Branch) -> String {
    let mut value = String::with_capacity(96);
    // Writing to a String never fails.
    let _ = write!(
        value,
        "SIP/2.0/{} {local};branch={branch};rport",
        transport.via_token()
    );
    value
}

/// A request as it leaves: with a new top Via, and Contact where it is the core's to write.
pub(crate) fn request_on_wire(
    request: &Outgoing,
    transport: Transport,
    local: SocketAddr,
    branch: Branch,
) -> Bytes {
    let mut head = String::with_capacity(192);
    head.push_str("Via: ");
    let _ = write!(
        head,
        "SIP/2.0/{} {local};branch={branch};rport\r\n",
        transport.via_token()
    );
    if let Some(contact) = &request.contact {
        write_contact(&mut head, contact, transport, local);
    }
    let raw = request.message.raw();
    spliced(&[&raw[..first_line(raw)], head.as_bytes(), &raw[first_line(raw)..]])
}

/// A response as it leaves: `received` and `rport` in its top Via as the request's source says (RFC 3261 §18.2.1,
/// RFC 3581 §4), and Contact where it is the core's to write. A response that has no Via gets those of `request`.
pub(crate) fn response_on_wire(
    response: &Outgoing,
    request: &Message,
    transport: Transport,
    local: SocketAddr,
    source: SocketAddr,
) -> Bytes {
    let raw = response.message.raw();
    let mut head = String::new();
    if let Some(contact) = &response.contact {
        write_contact(&mut head, contact, transport, local);
    }
    let line = first_line(raw);
    let sent_by = request.via().ok().and_then(|via| via.host.ip());
    match response.message.header_bytes(HeaderName::Via) {
        Some(top) => {
            let from = top.as_ptr() as usize - raw.as_ptr() as usize;
            let filled = filled_in(&String::from_utf8_lossy(top), sent_by, source).into_owned();
            spliced(&[
                &raw[..line],
                head.as_bytes(),
                &raw[line..from],
                filled.as_bytes(),
                &raw[from + top.len()..],
            ])
        }
        None => {
            for (at, via) in request.headers(HeaderName::Via).enumerate() {
                let via = if at == 0 {
                    Cow::Owned(filled_in(&via, sent_by, source).into_owned())
                } else {
                    via
                };
                let _ = write!(head, "Via: {via}\r\n");
            }
            spliced(&[&raw[..line], head.as_bytes(), &raw[line..]])
        }
    }
}

fn write_contact(head: &mut String, contact: &LocalContact, transport: Transport, local: SocketAddr) {
    head.push_str(if contact.secure {
        "Contact: <sips:"
    } else {
        "Contact: <sip:"
    });
    if let Some(user) = &contact.user {
        head.push_str(user);
        head.push('@');
    }
    let _ = write!(head, "{local}");
    match transport {
        // RFC 3261 §19.1.1: without the parameter a sip URI means UDP.
        Transport::Udp => {}
        // RFC 3261 §26.2.2: `sips` means TLS.
        Transport::Tls if contact.secure => {}
        Transport::Tcp | Transport::Tls => {
            let _ = write!(head, ";transport={}", transport.uri_param());
        }
    }
    let _ = write!(head, "{}>{}\r\n", contact.uri_params, contact.params);
}

fn first_line(raw: &[u8]) -> usize {
    raw.iter()
        .position(|byte| *byte == b'\n')
        .map_or(raw.len(), |at| at + 1)
}

fn spliced(parts: &[&[u8]]) -> Bytes {
    parts.concat().into()
}

/// The top Via value with `received` and `rport` as they must be.
fn filled_in(value: &str, sent_by: Option<IpAddr>, source: SocketAddr) -> Cow<'_, str> {
    let (top, rest) = value.split_at(outside_quotes(value, b',').next().unwrap_or(value.len()));
    let mut filled = String::with_capacity(value.len() + 48);
    let mut asked_for_port = false;
    let mut had_received = false;
    for (at, part) in params(top).enumerate() {
        let name = part.split('=').next().unwrap_or_default().trim();
        if at > 0 && name.eq_ignore_ascii_case("received") {
            had_received = true;
        } else if at > 0 && name.eq_ignore_ascii_case("rport") {
            asked_for_port = true;
        } else {
            filled.push_str(if at > 0 { ";" } else { "" });
            filled.push_str(part);
        }
    }
    // RFC 3581 §4: where rport is asked for, received is written in any case.
    let differs = sent_by != Some(source.ip());
    if !asked_for_port && !had_received && !differs {
        return Cow::Borrowed(value);
    }
    if asked_for_port || differs {
        let _ = write!(filled, ";received={}", source.ip());
    }
    if asked_for_port {
        let _ = write!(filled, ";rport={}", source.port());
    }
    filled.push_str(rest);
    Cow::Owned(filled)
}

fn params(element: &str) -> impl Iterator<Item = &str> {
    let mut from = 0;
    outside_quotes(element, b';')
        .chain([element.len()])
        .map(move |end| {
            let part = &element[from..end];
            from = (end + 1).min(element.len());
            part
        })
}

/// Where `wanted` stands outside of quoted strings.
fn outside_quotes(text: &str, wanted: u8) -> impl Iterator<Item = usize> {
    let (mut quoted, mut escaped) = (false, false);
    text.bytes().enumerate().filter_map(move |(at, byte)| {
        let hit = !quoted && byte == wanted;
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            _ => {}
        }
        hit.then_some(at)
    })
}
