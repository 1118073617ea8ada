//! Challenges and credentials (RFC 3261 §20.7, §20.27, §20.28, §20.44; RFC 7616), and Authentication-Info (§20.6).

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use smol_str::SmolStr;

use super::list::join;
use super::{Header, Shape};
use crate::grammar::{self, Elements, Quoted, SyntaxError};
use crate::name::HeaderName;

/// One `name=value` of a challenge: the value as plain text, and whether it is quoted on the wire.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct AuthParam {
    name: SmolStr,
    value: SmolStr,
    quoted: bool,
}

impl fmt::Display for AuthParam {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.quoted {
            write!(f, "{}={}", self.name, Quoted(&self.value))
        } else {
            write!(f, "{}={}", self.name, self.value)
        }
    }
}

/// The parameters of a challenge or of credentials, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct AuthParams(Vec<AuthParam>);

impl AuthParams {
    /// The value of the first parameter called `name`, in any case, without quotes.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|param| param.name.eq_ignore_ascii_case(name))
            .map(|param| param.value.as_str())
    }

    /// All parameters in order: name, value without quotes.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .iter()
            .map(|param| (param.name.as_str(), param.value.as_str()))
    }

    /// Appends `name="value"`.
    #[must_use]
    pub fn with_quoted(self, name: &str, value: &str) -> AuthParams {
        self.with(name, value, true)
    }

    /// Appends `name=value`, for values that RFC 7616 §3.4 wants without quotes (`algorithm`, `nc`, `qop` of credentials, `stale`).
    /// What is no token is quoted nevertheless.
    #[must_use]
    pub fn with_token(self, name: &str, value: &str) -> AuthParams {
        let quoted = !grammar::is_token(value);
        self.with(name, value, quoted)
    }

    fn with(mut self, name: &str, value: &str, quoted: bool) -> AuthParams {
        self.0.push(AuthParam {
            name: SmolStr::new(name),
            value: SmolStr::new(value),
            quoted,
        });
        self
    }

    /// Parses one `name = value`.
    fn push_parsed(&mut self, text: &str) -> Result<(), SyntaxError> {
        let (name, rest) = text.split_at(grammar::token_run(text));
        let value = grammar::skip_blank(rest).strip_prefix('=').map(grammar::trim);
        let value = value.filter(|_| !name.is_empty());
        let value = value.ok_or(SyntaxError::before(text, rest, "`name=value`"))?;
        let quoted = value.starts_with('"');
        let whole = if quoted {
            grammar::quoted_len(value) == Some(value.len())
        } else {
            is_bare(value)
        };
        if !whole {
            return Err(SyntaxError::before(text, value, "a token or a quoted string"));
        }
        let value: Cow<'_, str> = grammar::unquote(value);
        self.0.push(AuthParam {
            name: SmolStr::new(name),
            value: SmolStr::from(value),
            quoted,
        });
        Ok(())
    }
}

/// Looser than `token`: peers leave quotes away around realms, nonces and URIs.
fn is_bare(value: &str) -> bool {
    !value.is_empty() && !value.contains(|c: char| c <= ' ' || matches!(c, '"' | ',' | '\x7f'))
}

impl fmt::Display for AuthParams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        join(f, &self.0)
    }
}

/// Scheme and parameters: what challenges and credentials have in common.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Scheme {
    name: SmolStr,
    params: AuthParams,
}

impl Scheme {
    /// Parses every `scheme param, param` of a field. RFC 7235 §4.1: a comma separates parameters and challenges alike; an
    /// element that begins with `token blank` begins a new one.
    fn parse_all(text: &str) -> Result<Vec<Scheme>, SyntaxError> {
        let mut schemes: Vec<Scheme> = Vec::new();
        for element in Elements::of(text) {
            let at = grammar::offset(text, element);
            let (word, rest) = element.split_at(grammar::token_run(element));
            let rest = grammar::skip_blank(rest);
            let param = if !word.is_empty() && !rest.starts_with('=') {
                schemes.push(Scheme {
                    name: SmolStr::new(word),
                    params: AuthParams::default(),
                });
                rest
            } else {
                element
            };
            let last = schemes.last_mut().ok_or(SyntaxError {
                expected: "an authentication scheme",
                at,
            })?;
            if !param.is_empty() {
                last.params
                    .push_parsed(param)
                    .map_err(|e| e.shifted(grammar::offset(text, param)))?;
            }
        }
        Ok(schemes)
    }

    fn parse_one(text: &str) -> Result<Scheme, SyntaxError> {
        let mut schemes = Scheme::parse_all(text)?;
        match (schemes.pop(), schemes.is_empty()) {
            (Some(scheme), true) => Ok(scheme),
            (Some(_), false) => Err(SyntaxError {
                expected: "a single authentication scheme",
                at: 0,
            }),
            (None, _) => Err(SyntaxError {
                expected: "an authentication scheme",
                at: 0,
            }),
        }
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        if !self.params.0.is_empty() {
            write!(f, " {}", self.params)?;
        }
        Ok(())
    }
}

macro_rules! schemes {
    ($($(#[$doc:meta])+ $type:ident),+ $(,)?) => {$(
        $(#[$doc])+
        #[derive(Debug, Clone, PartialEq, Eq, Hash)]
        pub struct $type(Scheme);

        impl $type {
            /// A scheme with parameters.
            pub fn new(scheme: &str, params: AuthParams) -> $type {
                $type(Scheme { name: SmolStr::new(scheme), params })
            }

            /// The scheme, as spelled: `Digest`.
            pub fn scheme(&self) -> &str {
                &self.0.name
            }

            /// Whether the scheme is Digest.
            pub fn is_digest(&self) -> bool {
                self.0.name.eq_ignore_ascii_case("Digest")
            }

            /// The parameters in order.
            pub fn params(&self) -> &AuthParams {
                &self.0.params
            }

            /// The value of a parameter, without quotes.
            pub fn value(&self, name: &str) -> Option<&str> {
                self.0.params.value(name)
            }

            /// Parses all of a field's value, which may hold several, joined by commas.
            pub fn parse_all(text: &str) -> Result<Vec<$type>, SyntaxError> {
                Ok(Scheme::parse_all(text)?.into_iter().map($type).collect())
            }
        }

        impl FromStr for $type {
            type Err = SyntaxError;

            fn from_str(text: &str) -> Result<Self, SyntaxError> {
                Scheme::parse_one(text).map($type)
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }
    )+};
}

schemes! {
    /// A challenge of WWW-Authenticate or Proxy-Authenticate.
    Challenge,
    /// The credentials of Authorization or Proxy-Authorization.
    Credentials,
}

/// Authentication-Info (RFC 3261 §20.6).
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct AuthenticationInfo(pub AuthParams);

impl Header for AuthenticationInfo {
    const NAME: HeaderName = HeaderName::AuthenticationInfo;
    const SHAPE: Shape = Shape::Joined;
}

impl FromStr for AuthenticationInfo {
    type Err = SyntaxError;

    fn from_str(text: &str) -> Result<Self, SyntaxError> {
        let mut params = AuthParams::default();
        for element in Elements::of(text) {
            params
                .push_parsed(element)
                .map_err(|e| e.shifted(grammar::offset(text, element)))?;
        }
        Ok(AuthenticationInfo(params))
    }
}

impl fmt::Display for AuthenticationInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}
