//! Reason (RFC 3326).

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use smol_str::SmolStr;

use super::list::token;
use super::{Header, Shape};
use crate::grammar::{self, Quoted, SyntaxError};
use crate::name::HeaderName;
use crate::params::Params;

/// Why a request was sent: `Q.850;cause=16;text="Normal call clearing"`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Reason {
    /// `SIP`, `Q.850`, or another protocol.
    pub protocol: SmolStr,
    /// `cause`, `text` and any other.
    pub params: Params,
}

impl Reason {
    /// `protocol;cause=cause;text="text"`; an empty text is left out.
    pub fn new(protocol: &str, cause: u16, text: &str) -> Reason {
        let mut params = Params::NONE;
        params.set("cause", cause);
        if !text.is_empty() {
            params.set("text", Quoted(text));
        }
        Reason {
            protocol: SmolStr::new(protocol),
            params,
        }
    }

    /// The `cause` parameter.
    pub fn cause(&self) -> Option<u16> {
        grammar::number(self.params.value("cause")?)
    }

    /// The `text` parameter as plain text.
    pub fn text(&self) -> Option<Cow<'_, str>> {
        self.params.unquoted("text")
    }
}

impl Header for Reason {
    const NAME: HeaderName = HeaderName::Reason;
    const SHAPE: Shape = Shape::Elements;
}

impl FromStr for Reason {
    type Err = SyntaxError;

    fn from_str(text: &str) -> Result<Self, SyntaxError> {
        let text = grammar::trim(text);
        let end = text.find(';').unwrap_or(text.len());
        let protocol = token(grammar::trim(&text[..end]))?;
        let params = Params::parse(&text[end..]).map_err(|e| e.shifted(end))?;
        Ok(Reason { protocol, params })
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.protocol, self.params)
    }
}
