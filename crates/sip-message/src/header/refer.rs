//! Refer-Sub (RFC 4488) and Session-Expires (RFC 4028).

use std::fmt;
use std::str::FromStr;

use super::number::seconds_and_params;
use super::{Header, Shape};
use crate::grammar::{self, SyntaxError};
use crate::name::HeaderName;
use crate::params::Params;

/// Refer-Sub (RFC 4488 §4): whether a REFER makes a subscription.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ReferSub {
    /// `true`: with a subscription.
    pub wanted: bool,
    /// Generic parameters.
    pub params: Params,
}

impl ReferSub {
    /// `true` or `false`.
    pub fn new(wanted: bool) -> ReferSub {
        ReferSub {
            wanted,
            params: Params::NONE,
        }
    }
}

impl Header for ReferSub {
    const NAME: HeaderName = HeaderName::ReferSub;
    const SHAPE: Shape = Shape::Single;
}

impl FromStr for ReferSub {
    type Err = SyntaxError;

    fn from_str(text: &str) -> Result<Self, SyntaxError> {
        let text = grammar::trim(text);
        let end = text.find(';').unwrap_or(text.len());
        let word = grammar::trim(&text[..end]);
        let wanted = word.eq_ignore_ascii_case("true");
        if !wanted && !word.eq_ignore_ascii_case("false") {
            return Err(SyntaxError {
                expected: "`true` or `false`",
                at: 0,
            });
        }
        let params = Params::parse(&text[end..]).map_err(|e| e.shifted(end))?;
        Ok(ReferSub { wanted, params })
    }
}

impl fmt::Display for ReferSub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.wanted, self.params)
    }
}

/// Session-Expires (RFC 4028 §4).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SessionExpires {
    /// The session interval, in seconds.
    pub seconds: u32,
    /// `refresher` and any other.
    pub params: Params,
}

impl SessionExpires {
    /// An interval without a refresher.
    pub fn new(seconds: u32) -> SessionExpires {
        SessionExpires {
            seconds,
            params: Params::NONE,
        }
    }

    /// The same with `refresher`, `uac` or `uas`.
    #[must_use]
    pub fn with_refresher(mut self, refresher: &str) -> SessionExpires {
        self.params.set("refresher", refresher);
        self
    }

    /// The `refresher` parameter: `uac` or `uas`.
    pub fn refresher(&self) -> Option<&str> {
        self.params.value("refresher")
    }
}

impl Header for SessionExpires {
    const NAME: HeaderName = HeaderName::SessionExpires;
    const SHAPE: Shape = Shape::Single;
}

impl FromStr for SessionExpires {
    type Err = SyntaxError;

    fn from_str(text: &str) -> Result<Self, SyntaxError> {
        let (seconds, params) = seconds_and_params(text)?;
        Ok(SessionExpires { seconds, params })
    }
}

impl fmt::Display for SessionExpires {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.seconds, self.params)
    }
}
