//! Headers that are one number.

use std::fmt;
use std::str::FromStr;

use super::{Header, Shape};
use crate::grammar::{self, SyntaxError};
use crate::name::HeaderName;
use crate::params::Params;

macro_rules! number_headers {
    ($($(#[$doc:meta])+ $type:ident $number:ident $expected:literal),+ $(,)?) => {$(
        $(#[$doc])+
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $type(pub $number);

        impl Header for $type {
            const NAME: HeaderName = HeaderName::$type;
            const SHAPE: Shape = Shape::Single;
        }

        impl FromStr for $type {
            type Err = SyntaxError;

            fn from_str(text: &str) -> Result<Self, SyntaxError> {
                let number = grammar::number(grammar::trim(text));
                number.map($type).ok_or(SyntaxError { expected: $expected, at: 0 })
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }
    )+};
}

number_headers! {
    /// Content-Length (RFC 3261 §20.14), bytes.
    ContentLength u32 "a number of bytes",
    /// Expires (RFC 3261 §20.19), seconds.
    Expires u32 "a number of seconds",
    /// Max-Forwards (RFC 3261 §20.22), 0 to 255.
    MaxForwards u8 "a number from 0 to 255",
    /// Min-Expires (RFC 3261 §20.23), seconds.
    MinExpires u32 "a number of seconds",
    /// RSeq (RFC 3262 §7.1).
    RSeq u32 "a number below 2^32",
}

/// Min-SE (RFC 4028 §5).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct MinSe {
    /// The shortest session interval, in seconds.
    pub seconds: u32,
    /// Generic parameters.
    pub params: Params,
}

impl Header for MinSe {
    const NAME: HeaderName = HeaderName::MinSe;
    const SHAPE: Shape = Shape::Single;
}

impl FromStr for MinSe {
    type Err = SyntaxError;

    fn from_str(text: &str) -> Result<Self, SyntaxError> {
        let (seconds, params) = seconds_and_params(text)?;
        Ok(MinSe { seconds, params })
    }
}

impl fmt::Display for MinSe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.seconds, self.params)
    }
}

/// `delta-seconds *( SEMI generic-param )`
pub(super) fn seconds_and_params(text: &str) -> Result<(u32, Params), SyntaxError> {
    let text = grammar::trim(text);
    let end = text.find(';').unwrap_or(text.len());
    let seconds = grammar::number(grammar::trim(&text[..end]));
    let seconds = seconds.ok_or(SyntaxError {
        expected: "a number of seconds",
        at: 0,
    })?;
    let params = Params::parse(&text[end..]).map_err(|e| e.shifted(end))?;
    Ok((seconds, params))
}
