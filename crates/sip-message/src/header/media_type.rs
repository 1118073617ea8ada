//! Media types: Content-Type and the ranges of Accept (RFC 3261 §20.1, §20.15).

use std::fmt;
use std::str::FromStr;

use smol_str::SmolStr;

use super::{Header, Shape};
use crate::grammar::{self, SyntaxError};
use crate::name::HeaderName;
use crate::params::Params;

/// `type/subtype;param=value`
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct MediaType {
    /// The type, as spelled; `*` in a range.
    pub kind: SmolStr,
    /// The subtype, as spelled; `*` in a range.
    pub subtype: SmolStr,
    /// `charset`, `boundary`, `q`, …
    pub params: Params,
}

impl MediaType {
    /// `kind/subtype`
    pub fn new(kind: &str, subtype: &str) -> MediaType {
        MediaType {
            kind: SmolStr::new(kind),
            subtype: SmolStr::new(subtype),
            params: Params::NONE,
        }
    }

    /// Whether it is `essence` (`application/sdp`), in any case, whatever the parameters.
    pub fn is(&self, essence: &str) -> bool {
        essence.split_once('/').is_some_and(|(kind, subtype)| {
            self.kind.eq_ignore_ascii_case(kind) && self.subtype.eq_ignore_ascii_case(subtype)
        })
    }
}

impl FromStr for MediaType {
    type Err = SyntaxError;

    fn from_str(text: &str) -> Result<Self, SyntaxError> {
        let text = grammar::trim(text);
        let expected = |rest| SyntaxError::before(text, rest, "a media type such as application/sdp");
        let (kind, rest) = text.split_at(grammar::token_run(text));
        let rest = grammar::skip_blank(rest)
            .strip_prefix('/')
            .ok_or(expected(rest))?;
        let rest = grammar::skip_blank(rest);
        let (subtype, rest) = rest.split_at(grammar::token_run(rest));
        if kind.is_empty() || subtype.is_empty() {
            return Err(expected(rest));
        }
        let params = Params::parse(rest).map_err(|e| e.shifted(grammar::offset(text, rest)))?;
        Ok(MediaType {
            kind: SmolStr::new(kind),
            subtype: SmolStr::new(subtype),
            params,
        })
    }
}

impl fmt::Display for MediaType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}{}", self.kind, self.subtype, self.params)
    }
}

/// Content-Type (RFC 3261 §20.15).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ContentType(pub MediaType);

impl Header for ContentType {
    const NAME: HeaderName = HeaderName::ContentType;
    const SHAPE: Shape = Shape::Single;
}

impl FromStr for ContentType {
    type Err = SyntaxError;

    fn from_str(text: &str) -> Result<Self, SyntaxError> {
        text.parse().map(ContentType)
    }
}

impl fmt::Display for ContentType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}
