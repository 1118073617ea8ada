//! What the transport writes into messages: Via, and Contact where the layer above asked for it.

use std::io::Write as _;
use std::net::{IpAddr, SocketAddr};

use bytes::Bytes;
use callwright_sip_message::{HeaderName, Message, Via};
use callwright_wire::Transport;

use crate::core::{LocalContact, Outgoing};
use crate::transaction::Branch;

/// Room for the lines that are added to a message.
const ADDED: usize = 256;

/// `SIP/2.0/UDP host:port;branch=…;rport` (RFC 3261 §18.1.1, RFC 3581 §3).
pub(crate) fn via_value(transport: Transport, local: SocketAddr, branch: Branch) -> String {
    let mut value = Vec::with_capacity(96);
    write_via(&mut value, transport, local, branch);
    String::from_utf8_lossy(&value).into_owned()
}

fn write_via(out: &mut Vec<u8>, transport: Transport, local: SocketAddr, branch: Branch) {
    out.extend_from_slice(b"SIP/2.0/");
    out.extend_from_slice(transport.via_token().as_bytes());
    out.push(b' ');
    write_address(out, local);
    out.extend_from_slice(b";branch=");
    branch.write(out);
    out.extend_from_slice(b";rport");
}

/// A request as it leaves: with a new top Via, and Contact where it is the core's to write.
pub(crate) fn request_on_wire(
    request: &Outgoing,
    transport: Transport,
    local: SocketAddr,
    branch: Branch,
) -> Bytes {
    let raw = request.message.raw();
    let mut out = Vec::with_capacity(raw.len() + ADDED);
    let (first, rest) = raw.split_at(first_line(raw));
    out.extend_from_slice(first);
    out.extend_from_slice(b"Via: ");
    write_via(&mut out, transport, local, branch);
    out.extend_from_slice(b"\r\n");
    if let Some(contact) = &request.contact {
        write_contact(&mut out, contact, transport, local);
    }
    out.extend_from_slice(rest);
    out.into()
}

/// Where a request came from, as its Via and as the network says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Source {
    /// The host in sent-by, where it is an address.
    pub(crate) sent_by: Option<IpAddr>,
    /// The truth.
    pub(crate) address: SocketAddr,
}

impl Source {
    /// Of a request with this top Via, which came from `address`.
    pub(crate) fn of(via: &Via, address: SocketAddr) -> Source {
        Source {
            sent_by: via.host.ip(),
            address,
        }
    }
}

/// A response as it leaves: `received` and `rport` in its top Via as the request's source says (RFC 3261 §18.2.1,
/// RFC 3581 §4), and Contact where it is the core's to write. A response that has no Via gets those of `request`.
pub(crate) fn response_on_wire(
    response: &Outgoing,
    request: &Message,
    transport: Transport,
    local: SocketAddr,
    source: Source,
) -> Bytes {
    let raw = response.message.raw();
    let mut out = Vec::with_capacity(raw.len() + ADDED);
    let line = first_line(raw);
    out.extend_from_slice(&raw[..line]);
    if let Some(contact) = &response.contact {
        write_contact(&mut out, contact, transport, local);
    }
    match response.message.header_bytes(HeaderName::Via) {
        Some(top) => {
            let from = top.as_ptr() as usize - raw.as_ptr() as usize;
            out.extend_from_slice(&raw[line..from]);
            write_filled(&mut out, top, source);
            out.extend_from_slice(&raw[from + top.len()..]);
        }
        None => {
            for (at, via) in request.headers(HeaderName::Via).enumerate() {
                out.extend_from_slice(b"Via: ");
                match at {
                    0 => write_filled(&mut out, via.as_bytes(), source),
                    _ => out.extend_from_slice(via.as_bytes()),
                }
                out.extend_from_slice(b"\r\n");
            }
            out.extend_from_slice(&raw[line..]);
        }
    }
    out.into()
}

fn write_contact(out: &mut Vec<u8>, contact: &LocalContact, transport: Transport, local: SocketAddr) {
    out.extend_from_slice(if contact.secure {
        b"Contact: <sips:"
    } else {
        b"Contact: <sip:"
    });
    if let Some(user) = &contact.user {
        out.extend_from_slice(user.as_bytes());
        out.push(b'@');
    }
    write_address(out, local);
    match transport {
        // RFC 3261 §19.1.1: without the parameter a sip URI means UDP.
        Transport::Udp => {}
        // RFC 3261 §26.2.2: `sips` means TLS.
        Transport::Tls if contact.secure => {}
        Transport::Tcp | Transport::Tls => {
            out.extend_from_slice(b";transport=");
            out.extend_from_slice(transport.uri_param().as_bytes());
        }
    }
    out.extend_from_slice(contact.uri_params.as_bytes());
    out.push(b'>');
    out.extend_from_slice(contact.params.as_bytes());
    out.extend_from_slice(b"\r\n");
}

fn first_line(raw: &[u8]) -> usize {
    raw.iter()
        .position(|byte| *byte == b'\n')
        .map_or(raw.len(), |at| at + 1)
}

/// The Via value with `received` and `rport` of its first element as they must be.
pub(crate) fn write_filled(out: &mut Vec<u8>, value: &[u8], source: Source) {
    let mut asked_for_port = false;
    let mut keep = |out: &mut Vec<u8>, at: usize, param: &[u8]| match name_of(param) {
        // The source knows better than the peer.
        name if at > 0 && name.eq_ignore_ascii_case(b"received") => {}
        name if at > 0 && name.eq_ignore_ascii_case(b"rport") => asked_for_port = true,
        _ => {
            if at > 0 {
                out.push(b';');
            }
            out.extend_from_slice(param);
        }
    };
    let end;
    if value.contains(&b'"') {
        let mut quoted = Quoted::default();
        end = value
            .iter()
            .position(|byte| quoted.outside(*byte) && *byte == b',')
            .unwrap_or(value.len());
        let mut quoted = Quoted::default();
        let params = value[..end].split(|byte| quoted.outside(*byte) && *byte == b';');
        params.enumerate().for_each(|(at, param)| keep(out, at, param));
    } else {
        end = value.iter().position(|byte| *byte == b',').unwrap_or(value.len());
        let params = value[..end].split(|byte| *byte == b';');
        params.enumerate().for_each(|(at, param)| keep(out, at, param));
    }
    // RFC 3581 §4: where rport is asked for, received is written in any case.
    if asked_for_port || source.sent_by != Some(source.address.ip()) {
        out.extend_from_slice(b";received=");
        write_ip(out, source.address.ip());
    }
    if asked_for_port {
        out.extend_from_slice(b";rport=");
        write_number(out, source.address.port());
    }
    out.extend_from_slice(&value[end..]);
}

fn name_of(param: &[u8]) -> &[u8] {
    // No name that matters here is longer.
    let end = param
        .iter()
        .take(24)
        .position(|byte| *byte == b'=')
        .unwrap_or(param.len());
    param[..end].trim_ascii()
}

/// Follows a text byte by byte through its quoted strings.
#[derive(Default)]
struct Quoted {
    inside: bool,
    escaped: bool,
}

impl Quoted {
    /// Whether this byte stands outside of quotes.
    fn outside(&mut self, byte: u8) -> bool {
        let outside = !self.inside;
        match byte {
            _ if self.escaped => self.escaped = false,
            b'\\' if self.inside => self.escaped = true,
            b'"' => self.inside = !self.inside,
            _ => {}
        }
        outside
    }
}

/// `10.0.0.1:5060` or `[2001:db8::1]:5060`. Written by hand for IPv4: the formatter takes ten times as long.
fn write_address(out: &mut Vec<u8>, address: SocketAddr) {
    match address {
        SocketAddr::V4(_) => write_ip(out, address.ip()),
        SocketAddr::V6(v6) => {
            out.push(b'[');
            write_ip(out, IpAddr::V6(*v6.ip()));
            out.push(b']');
        }
    }
    out.push(b':');
    write_number(out, address.port());
}

fn write_ip(out: &mut Vec<u8>, ip: IpAddr) {
    match ip {
        IpAddr::V4(v4) => {
            for (at, part) in v4.octets().into_iter().enumerate() {
                if at > 0 {
                    out.push(b'.');
                }
                write_number(out, u16::from(part));
            }
        }
        IpAddr::V6(v6) => {
            // Writing to memory never fails.
            let _ = write!(out, "{v6}");
        }
    }
}

fn write_number(out: &mut Vec<u8>, number: u16) {
    let mut scale = 10_000;
    while scale > 1 && number < scale {
        scale /= 10;
    }
    while scale > 0 {
        out.push(b'0' + (number / scale % 10) as u8);
        scale /= 10;
    }
}
