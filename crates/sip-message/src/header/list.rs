//! Headers that are a list of tokens over all their fields.

use std::fmt;
use std::str::FromStr;

use smol_str::SmolStr;

use super::{Header, MediaType, Shape};
use crate::grammar::{self, Elements, SyntaxError};
use crate::method::Method;
use crate::name::HeaderName;

/// Prints elements with `, ` between them.
pub(super) fn join<T: fmt::Display>(f: &mut fmt::Formatter<'_>, items: &[T]) -> fmt::Result {
    for (position, item) in items.iter().enumerate() {
        if position > 0 {
            f.write_str(", ")?;
        }
        write!(f, "{item}")?;
    }
    Ok(())
}

/// Parses each element of a list, errors at their place in the whole.
pub(super) fn parse_list<T>(
    text: &str,
    parse: impl Fn(&str) -> Result<T, SyntaxError>,
) -> Result<Vec<T>, SyntaxError> {
    Elements::of(text)
        .map(|element| parse(element).map_err(|e| e.shifted(grammar::offset(text, element))))
        .collect()
}

/// An element that must be a token.
pub(super) fn token(text: &str) -> Result<SmolStr, SyntaxError> {
    if !grammar::is_token(text) {
        return Err(SyntaxError {
            expected: "a token",
            at: 0,
        });
    }
    Ok(SmolStr::new(text))
}

macro_rules! option_tag_headers {
    ($($(#[$doc:meta])+ $type:ident),+ $(,)?) => {$(
        $(#[$doc])+
        #[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
        pub struct $type(pub Vec<SmolStr>);

        impl $type {
            /// Whether the option tag is in the list, in any case.
            pub fn contains(&self, option: &str) -> bool {
                self.0.iter().any(|tag| tag.eq_ignore_ascii_case(option))
            }
        }

        impl Header for $type {
            const NAME: HeaderName = HeaderName::$type;
            const SHAPE: Shape = Shape::Joined;
        }

        impl FromStr for $type {
            type Err = SyntaxError;

            fn from_str(text: &str) -> Result<Self, SyntaxError> {
                parse_list(text, token).map($type)
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                join(f, &self.0)
            }
        }
    )+};
}

option_tag_headers! {
    /// Supported (RFC 3261 §20.37).
    Supported,
    /// Require (RFC 3261 §20.32).
    Require,
    /// Proxy-Require (RFC 3261 §20.29).
    ProxyRequire,
    /// Unsupported (RFC 3261 §20.40).
    Unsupported,
}

/// Allow (RFC 3261 §20.5).
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Allow(pub Vec<Method>);

impl Allow {
    /// Whether the method is in the list.
    pub fn contains(&self, method: &Method) -> bool {
        self.0.contains(method)
    }
}

impl Header for Allow {
    const NAME: HeaderName = HeaderName::Allow;
    const SHAPE: Shape = Shape::Joined;
}

impl FromStr for Allow {
    type Err = SyntaxError;

    fn from_str(text: &str) -> Result<Self, SyntaxError> {
        parse_list(text, |element| {
            token(element).map(|tag| Method::from(tag.as_str()))
        })
        .map(Allow)
    }
}

impl fmt::Display for Allow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        join(f, &self.0)
    }
}

/// Accept (RFC 3261 §20.1): media ranges with their parameters (`q` among them).
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Accept(pub Vec<MediaType>);

impl Accept {
    /// Whether a body of this type may be sent: named, `type/*` or `*/*`, and not with `q=0`.
    pub fn allows(&self, kind: &str, subtype: &str) -> bool {
        let matches = |range: &&MediaType| {
            (range.kind == "*" || range.kind.eq_ignore_ascii_case(kind))
                && (range.subtype == "*" || range.subtype.eq_ignore_ascii_case(subtype))
        };
        // RFC 2616 §14.1: the most specific range decides.
        let specificity = |range: &&MediaType| (range.kind != "*", range.subtype != "*");
        let best = self.0.iter().filter(matches).max_by_key(specificity);
        best.is_some_and(|range| {
            range
                .params
                .value("q")
                .is_none_or(|q| q.bytes().any(|b| matches!(b, b'1'..=b'9')))
        })
    }
}

impl Header for Accept {
    const NAME: HeaderName = HeaderName::Accept;
    const SHAPE: Shape = Shape::Joined;
}

impl FromStr for Accept {
    type Err = SyntaxError;

    fn from_str(text: &str) -> Result<Self, SyntaxError> {
        parse_list(text, MediaType::from_str).map(Accept)
    }
}

impl fmt::Display for Accept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        join(f, &self.0)
    }
}
