//! Via (RFC 3261 §20.42, RFC 3581).

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use smol_str::SmolStr;

use super::{Header, Shape};
use crate::grammar::{self, SyntaxError};
use crate::host::Host;
use crate::name::HeaderName;
use crate::params::Params;

/// The transport of a Via.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Transport {
    /// `UDP`
    Udp,
    /// `TCP`
    Tcp,
    /// `TLS`
    Tls,
    /// `SCTP` (RFC 4168)
    Sctp,
    /// `WS` (RFC 7118)
    Ws,
    /// `WSS` (RFC 7118)
    Wss,
    /// Any other, in upper case.
    Other(SmolStr),
}

impl Transport {
    /// The transport in upper case.
    pub fn as_str(&self) -> &str {
        match self {
            Transport::Udp => "UDP",
            Transport::Tcp => "TCP",
            Transport::Tls => "TLS",
            Transport::Sctp => "SCTP",
            Transport::Ws => "WS",
            Transport::Wss => "WSS",
            Transport::Other(text) => text,
        }
    }

    fn of(upper: &str) -> Option<Transport> {
        Some(match upper {
            "UDP" => Transport::Udp,
            "TCP" => Transport::Tcp,
            "TLS" => Transport::Tls,
            "SCTP" => Transport::Sctp,
            "WS" => Transport::Ws,
            "WSS" => Transport::Wss,
            _ => return None,
        })
    }

    /// Whether messages on it are framed by Content-Length alone, without datagram borders.
    pub fn is_stream(&self) -> bool {
        matches!(self, Transport::Tcp | Transport::Tls)
    }
}

impl From<&str> for Transport {
    /// In any case (RFC 3261 §7.3.1).
    fn from(text: &str) -> Self {
        Transport::of(text).unwrap_or_else(|| {
            let upper = text.to_ascii_uppercase();
            Transport::of(&upper).unwrap_or_else(|| Transport::Other(SmolStr::from(upper)))
        })
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One hop of the way that a request took.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Via {
    /// Protocol name and version: `SIP/2.0`.
    pub protocol: SmolStr,
    /// The transport.
    pub transport: Transport,
    /// The host of `sent-by`.
    pub host: Host,
    /// The port of `sent-by`.
    pub port: Option<u16>,
    /// `branch`, `received`, `rport` and any other.
    pub params: Params,
}

impl Via {
    /// `SIP/2.0/transport host:port;branch=branch`
    pub fn new(transport: Transport, host: Host, port: Option<u16>, branch: &str) -> Via {
        let mut params = Params::NONE;
        params.set("branch", branch);
        Via {
            protocol: SmolStr::new_static("SIP/2.0"),
            transport,
            host,
            port,
            params,
        }
    }

    /// The `branch` parameter.
    pub fn branch(&self) -> Option<&str> {
        self.params.value("branch")
    }

    /// Sets the `branch` parameter.
    pub fn set_branch(&mut self, branch: &str) {
        self.params.set("branch", branch);
    }

    /// The `received` parameter; with and without brackets around an IPv6 address (RFC 5118 §4.5).
    pub fn received(&self) -> Option<IpAddr> {
        let text = self.params.value("received")?;
        text.strip_prefix('[')
            .and_then(|inner| inner.strip_suffix(']'))
            .unwrap_or(text)
            .parse()
            .ok()
    }

    /// Sets `received`, an IPv6 address without brackets (RFC 3261 §25.1, `via-received`).
    pub fn set_received(&mut self, address: IpAddr) {
        self.params.set("received", address);
    }

    /// The `rport` parameter (RFC 3581): `None` not there, `Some(None)` asked for, `Some(Some(port))` filled in.
    pub fn rport(&self) -> Option<Option<u16>> {
        self.params
            .find("rport")
            .map(|value| value.and_then(grammar::number))
    }

    /// Fills in `rport`; `None` asks the peer for it.
    pub fn set_rport(&mut self, port: Option<u16>) {
        match port {
            Some(port) => self.params.set("rport", port),
            None => self.params.set_flag("rport"),
        }
    }

    /// The `maddr` parameter.
    pub fn maddr(&self) -> Option<&str> {
        self.params.value("maddr")
    }

    /// The port of `sent-by`, or the default of the transport (RFC 3261 §18.2.2): 5061 for TLS, else 5060.
    pub fn port_or_default(&self) -> u16 {
        self.port.unwrap_or(match self.transport {
            Transport::Tls => 5061,
            Transport::Ws => 80,
            Transport::Wss => 443,
            Transport::Udp | Transport::Tcp | Transport::Sctp | Transport::Other(_) => 5060,
        })
    }
}

impl Header for Via {
    const NAME: HeaderName = HeaderName::Via;
    const SHAPE: Shape = Shape::Elements;
}

impl FromStr for Via {
    type Err = SyntaxError;

    fn from_str(text: &str) -> Result<Self, SyntaxError> {
        let whole = grammar::trim(text);
        // RFC 3261 §25.1: sent-protocol = protocol-name SLASH protocol-version SLASH transport, blanks around each SLASH
        let (name, rest) = token(whole, whole)?;
        let (version, rest) = token(whole, slash(whole, rest)?)?;
        let (transport, rest) = token(whole, slash(whole, rest)?)?;
        let sent_by = grammar::skip_blank(rest);
        if sent_by.len() == rest.len() {
            return Err(SyntaxError::before(whole, rest, "a blank before sent-by"));
        }
        let at = grammar::offset(whole, sent_by);
        let (host, rest) = Host::parse_prefix(sent_by).map_err(|e| e.shifted(at))?;
        let (port, rest) = match grammar::skip_blank(rest).strip_prefix(':') {
            Some(after) => {
                let after = grammar::skip_blank(after);
                let digits = after
                    .bytes()
                    .position(|b| !b.is_ascii_digit())
                    .unwrap_or(after.len());
                let port = grammar::number(&after[..digits]);
                (
                    Some(port.ok_or(SyntaxError::before(whole, after, "a port number from 0 to 65535"))?),
                    &after[digits..],
                )
            }
            None => (None, rest),
        };
        let params = Params::parse(rest).map_err(|e| e.shifted(grammar::offset(whole, rest)))?;
        let protocol = match (name, version) {
            ("SIP", "2.0") => SmolStr::new_static("SIP/2.0"),
            _ => SmolStr::from(format!("{name}/{version}")),
        };
        Ok(Via {
            protocol,
            transport: Transport::from(transport),
            host,
            port,
            params,
        })
    }
}

fn token<'a>(whole: &str, text: &'a str) -> Result<(&'a str, &'a str), SyntaxError> {
    match grammar::token_run(text) {
        0 => Err(SyntaxError::before(whole, text, "`SIP/2.0/` and a transport")),
        length => Ok(text.split_at(length)),
    }
}

fn slash<'a>(whole: &str, text: &'a str) -> Result<&'a str, SyntaxError> {
    let after = grammar::skip_blank(text).strip_prefix('/');
    after
        .map(grammar::skip_blank)
        .ok_or(SyntaxError::before(whole, text, "`/`"))
}

impl fmt::Display for Via {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{} {}", self.protocol, self.transport, self.host)?;
        if let Some(port) = self.port {
            write!(f, ":{port}")?;
        }
        write!(f, "{}", self.params)
    }
}
