//! Event, Allow-Events, Subscription-State (RFC 6665 §8.4).

use std::fmt;
use std::str::FromStr;

use smol_str::SmolStr;

use super::list::{join, parse_list, token};
use super::{Header, Shape};
use crate::grammar::{self, SyntaxError};
use crate::name::HeaderName;
use crate::params::Params;

/// Event: the package and perhaps an `id`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Event {
    /// The package: `refer`, `message-summary`, `dialog`, …
    pub package: SmolStr,
    /// `id` and any other.
    pub params: Params,
}

impl Event {
    /// An event package without parameters.
    pub fn new(package: &str) -> Event {
        Event {
            package: SmolStr::new(package),
            params: Params::NONE,
        }
    }

    /// The `id` parameter, which tells several subscriptions of one dialog apart.
    pub fn id(&self) -> Option<&str> {
        self.params.value("id")
    }
}

impl Header for Event {
    const NAME: HeaderName = HeaderName::Event;
    const SHAPE: Shape = Shape::Single;
}

impl FromStr for Event {
    type Err = SyntaxError;

    fn from_str(text: &str) -> Result<Self, SyntaxError> {
        let (package, params) = token_and_params(text)?;
        Ok(Event { package, params })
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.package, self.params)
    }
}

/// `token *( SEMI generic-param )`
fn token_and_params(text: &str) -> Result<(SmolStr, Params), SyntaxError> {
    let text = grammar::trim(text);
    let end = text.find(';').unwrap_or(text.len());
    let head = token(grammar::trim(&text[..end]))?;
    let params = Params::parse(&text[end..]).map_err(|e| e.shifted(end))?;
    Ok((head, params))
}

/// Subscription-State (RFC 6665 §4.1.3).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SubscriptionState {
    /// `active`, `pending`, `terminated`, or an extension.
    pub state: SmolStr,
    /// `expires`, `reason`, `retry-after` and any other.
    pub params: Params,
}

impl SubscriptionState {
    /// `state` without parameters.
    pub fn new(state: &str) -> SubscriptionState {
        SubscriptionState {
            state: SmolStr::new(state),
            params: Params::NONE,
        }
    }

    /// Whether the subscription has ended.
    pub fn is_terminated(&self) -> bool {
        self.state.eq_ignore_ascii_case("terminated")
    }

    /// The `expires` parameter, seconds.
    pub fn expires(&self) -> Option<u32> {
        grammar::number(self.params.value("expires")?)
    }

    /// The `retry-after` parameter, seconds.
    pub fn retry_after(&self) -> Option<u32> {
        grammar::number(self.params.value("retry-after")?)
    }

    /// The `reason` parameter: `noresource`, `timeout`, …
    pub fn reason(&self) -> Option<&str> {
        self.params.value("reason")
    }
}

impl Header for SubscriptionState {
    const NAME: HeaderName = HeaderName::SubscriptionState;
    const SHAPE: Shape = Shape::Single;
}

impl FromStr for SubscriptionState {
    type Err = SyntaxError;

    fn from_str(text: &str) -> Result<Self, SyntaxError> {
        let (state, params) = token_and_params(text)?;
        Ok(SubscriptionState { state, params })
    }
}

impl fmt::Display for SubscriptionState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.state, self.params)
    }
}

/// Allow-Events: the packages that a user agent understands.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct AllowEvents(pub Vec<SmolStr>);

impl Header for AllowEvents {
    const NAME: HeaderName = HeaderName::AllowEvents;
    const SHAPE: Shape = Shape::Joined;
}

impl FromStr for AllowEvents {
    type Err = SyntaxError;

    fn from_str(text: &str) -> Result<Self, SyntaxError> {
        parse_list(text, token).map(AllowEvents)
    }
}

impl fmt::Display for AllowEvents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        join(f, &self.0)
    }
}
