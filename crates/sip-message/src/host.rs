//! Hosts of URIs and Via header fields (RFC 3261 §25.1, RFC 5118).

use std::fmt;
use std::hash::{Hash, Hasher};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use smol_str::SmolStr;

use crate::grammar::{self, SyntaxError};
use crate::short_text::ShortText;

/// A host name or an address. An IPv6 address is printed in brackets.
#[derive(Debug, Clone, Eq)]
pub enum Host {
    /// A name, as spelled; compared without regard to case.
    Name(SmolStr),
    /// An IPv4 address.
    V4(Ipv4Addr),
    /// An IPv6 address, in brackets on the wire.
    V6(Ipv6Addr),
}

impl Host {
    /// The address, when the host is one.
    pub fn ip(&self) -> Option<IpAddr> {
        match self {
            Host::Name(_) => None,
            Host::V4(address) => Some(IpAddr::V4(*address)),
            Host::V6(address) => Some(IpAddr::V6(*address)),
        }
    }

    /// Parses `host [":" port]` at the start of `text`; returns what follows it.
    pub(crate) fn parse_with_port(text: &str) -> Result<(Host, Option<u16>, &str), SyntaxError> {
        let (host, rest) = Host::parse_prefix(text)?;
        let Some(after) = rest.strip_prefix(':') else {
            return Ok((host, None, rest));
        };
        let digits = after
            .bytes()
            .position(|b| !b.is_ascii_digit())
            .unwrap_or(after.len());
        let port = grammar::number(&after[..digits]);
        let port = port.ok_or(SyntaxError::before(text, after, "a port number from 0 to 65535"))?;
        Ok((host, Some(port), &after[digits..]))
    }

    pub(crate) fn parse_prefix(text: &str) -> Result<(Host, &str), SyntaxError> {
        if let Some(inner) = text.strip_prefix('[') {
            let expected = SyntaxError {
                expected: "an IPv6 address in brackets",
                at: 0,
            };
            let end = inner.find(']').ok_or(expected)?;
            let address = parse_v6(&inner[..end]).ok_or(expected)?;
            return Ok((Host::V6(address), &inner[end + 1..]));
        }
        let (name, rest) = text.split_at(grammar::host_run(text));
        if name.is_empty() {
            return Err(SyntaxError {
                expected: "a host",
                at: 0,
            });
        }
        // Only what begins with a digit can be an IPv4 address.
        let address = if name.as_bytes()[0].is_ascii_digit() {
            name.parse().ok()
        } else {
            None
        };
        let host = address.map_or_else(|| Host::Name(SmolStr::new(name)), Host::V4);
        Ok((host, rest))
    }
}

/// RFC 5118 §4.10: the grammar of RFC 3261 lets a third colon stand before an IPv4 part, which must be tolerated.
fn parse_v6(text: &str) -> Option<Ipv6Addr> {
    if let Ok(address) = text.parse() {
        return Some(address);
    }
    let (before, v4) = text.split_once(":::")?;
    v4.parse::<Ipv4Addr>().ok()?;
    format!("{before}::{v4}").parse().ok()
}

impl PartialEq for Host {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Host::Name(a), Host::Name(b)) => a.eq_ignore_ascii_case(b),
            (Host::V4(a), Host::V4(b)) => a == b,
            (Host::V6(a), Host::V6(b)) => a == b,
            (Host::Name(_) | Host::V4(_) | Host::V6(_), _) => false,
        }
    }
}

impl Hash for Host {
    fn hash<H: Hasher>(&self, state: &mut H) {
        match self {
            Host::Name(name) => name.bytes().for_each(|b| state.write_u8(b.to_ascii_lowercase())),
            Host::V4(address) => address.hash(state),
            Host::V6(address) => address.hash(state),
        }
    }
}

impl From<IpAddr> for Host {
    fn from(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => Host::V4(address),
            IpAddr::V6(address) => Host::V6(address),
        }
    }
}

impl FromStr for Host {
    type Err = SyntaxError;

    /// A host with nothing after it; IPv6 in brackets.
    fn from_str(text: &str) -> Result<Self, SyntaxError> {
        match Host::parse_prefix(text)? {
            (host, "") => Ok(host),
            (_, rest) => Err(SyntaxError::before(text, rest, "the end of the host")),
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Host::Name(name) => f.write_str(name),
            Host::V4(address) => f.write_str(ShortText::of_v4(*address).as_str()),
            Host::V6(address) => write!(f, "[{address}]"),
        }
    }
}
