//! Values as they are written: hosts, addresses, spans of time, ranges of ports.

use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::time::Duration;

use callwright_sip_message::Host;
use serde::de::Error;
use serde::{Deserialize, Deserializer};

/// One address, or a list of them.
#[derive(Debug, Default)]
pub(super) struct Addresses(pub(super) Vec<SocketAddr>);

#[derive(Deserialize)]
#[serde(
    untagged,
    expecting = "an address such as \"127.0.0.1:5060\", or a list of them"
)]
enum OneOrMore {
    One(String),
    More(Vec<String>),
}

impl<'de> Deserialize<'de> for Addresses {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let texts = match OneOrMore::deserialize(from)? {
            OneOrMore::One(text) => vec![text],
            OneOrMore::More(texts) => texts,
        };
        let read = |text: &String| {
            let at: SocketAddr = text.parse().map_err(|_| {
                D::Error::custom(format!(
                    "{text:?} is not an address with a port, such as \"127.0.0.1:5060\" or \"[::1]:5060\""
                ))
            })?;
            if at.ip().is_unspecified() {
                return Err(D::Error::custom(format!(
                    "{text:?} is no address that a phone could send to: name the address of an interface"
                )));
            }
            Ok(at)
        };
        texts.iter().map(read).collect::<Result<_, _>>().map(Addresses)
    }
}

/// A name of a host, or an address.
#[derive(Clone, Debug)]
pub(super) struct Domain(pub(super) Host);

impl<'de> Deserialize<'de> for Domain {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        text.parse().map(Domain).map_err(|_| {
            D::Error::custom(format!(
                "{text:?} is not a host: a name such as \"example.com\", or an address, without a port"
            ))
        })
    }
}

/// The address of an interface.
#[derive(Clone, Copy, Debug)]
pub(super) struct Interface(pub(super) IpAddr);

impl<'de> Deserialize<'de> for Interface {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        let ip = text.parse().ok().filter(|ip: &IpAddr| !ip.is_unspecified());
        ip.map(Interface).ok_or_else(|| {
            D::Error::custom(format!(
                "{text:?} is not the address of an interface, such as \"192.0.2.10\""
            ))
        })
    }
}

/// The user part of an address.
#[derive(Debug)]
pub(super) struct UserName(pub(super) String);

impl<'de> Deserialize<'de> for UserName {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let name = String::deserialize(from)?;
        // RFC 7616 §3.4.2: a colon in it would end the name within the hash.
        if name.is_empty() || name.contains([':', '@']) || name.chars().any(char::is_control) {
            return Err(D::Error::custom(format!(
                "{name:?} is not the name of a user or a queue: no `:`, no `@`, and not empty"
            )));
        }
        Ok(UserName(name))
    }
}

/// A span of time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span(pub(super) Duration);

impl Span {
    fn read(text: &str) -> Option<Duration> {
        let text = text.trim();
        let split = text.find(|c: char| !(c.is_ascii_digit() || c == '.'))?;
        let (number, unit) = text.split_at(split);
        let number: f64 = number.parse().ok()?;
        let seconds = match unit.trim() {
            "ms" => number / 1000.0,
            "s" => number,
            "m" => number * 60.0,
            "h" => number * 3600.0,
            _ => return None,
        };
        Duration::try_from_secs_f64(seconds).ok()
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        Span::read(&text).map(Span).ok_or_else(|| {
            D::Error::custom(format!(
                "{text:?} is not a duration; write it as \"250ms\", \"1.5s\", \"2m\" or \"1h\""
            ))
        })
    }
}

/// A range of ports.
#[derive(Clone, Debug)]
pub(super) struct Ports(pub(super) RangeInclusive<u16>);

impl<'de> Deserialize<'de> for Ports {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        let read = || {
            let (first, last) = text.split_once('-')?;
            let range = first.trim().parse().ok()?..=last.trim().parse().ok()?;
            // A pair at least: RTP and RTCP.
            (*range.start() > 0 && range.start() < range.end()).then_some(range)
        };
        read().map(Ports).ok_or_else(|| {
            D::Error::custom(format!(
                "{text:?} is not a range of ports, such as \"16384-32767\": RTP needs two at least"
            ))
        })
    }
}
