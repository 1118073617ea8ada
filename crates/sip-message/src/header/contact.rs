//! Contact (RFC 3261 §20.10).

use std::fmt;
use std::str::FromStr;

use super::{Header, NameAddr, Shape};
use crate::grammar::{self, SyntaxError};
use crate::name::HeaderName;

/// A contact, or the `*` by which a REGISTER removes all of them.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Contact {
    /// `*`
    Star,
    /// An address with its parameters.
    Address(NameAddr),
}

impl Contact {
    /// The address, unless this is `*`.
    pub fn address(&self) -> Option<&NameAddr> {
        match self {
            Contact::Star => None,
            Contact::Address(address) => Some(address),
        }
    }

    /// The address by value, unless this is `*`.
    pub fn into_address(self) -> Option<NameAddr> {
        match self {
            Contact::Star => None,
            Contact::Address(address) => Some(address),
        }
    }

    /// The `q` parameter in thousandths, 0 to 1000.
    pub fn q_thousandths(&self) -> Option<u16> {
        parse_q(self.address()?.params.value("q")?)
    }

    /// The `expires` parameter in seconds. RFC 3261 §10.2.1.1: a malformed value counts as 3600.
    pub fn expires(&self) -> Option<u32> {
        let value = self.address()?.params.value("expires")?;
        Some(grammar::number(value).unwrap_or(3600))
    }
}

/// RFC 3261 §25.1: qvalue = ( "0" [ "." 0*3DIGIT ] ) / ( "1" [ "." 0*3("0") ] )
fn parse_q(text: &str) -> Option<u16> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if fraction.len() > 3 || !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let thousandths: u16 = format!("{fraction:0<3}").parse().ok()?;
    match whole {
        "0" | "" => Some(thousandths),
        "1" if thousandths == 0 => Some(1000),
        _ => None,
    }
}

impl Header for Contact {
    const NAME: HeaderName = HeaderName::Contact;
    const SHAPE: Shape = Shape::Elements;
}

impl FromStr for Contact {
    type Err = SyntaxError;

    fn from_str(text: &str) -> Result<Self, SyntaxError> {
        if grammar::trim(text) == "*" {
            return Ok(Contact::Star);
        }
        text.parse().map(Contact::Address)
    }
}

impl fmt::Display for Contact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Contact::Star => f.write_str("*"),
            Contact::Address(address) => fmt::Display::fmt(address, f),
        }
    }
}

impl From<NameAddr> for Contact {
    fn from(address: NameAddr) -> Self {
        Contact::Address(address)
    }
}
