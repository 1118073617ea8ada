//! URIs: `sip`, `sips`, `tel`, and any other as opaque text (RFC 3261 §19.1, RFC 3966).

mod equivalence;
mod escape;

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use smol_str::SmolStr;

use crate::grammar::{self, SyntaxError};
use crate::host::Host;
use crate::params::Params;
use crate::short_text::ShortText;

/// The scheme of a URI.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// `sip`
    Sip,
    /// `sips`
    Sips,
    /// `tel`
    Tel,
    /// Any other, in lower case.
    Other(SmolStr),
}

impl Scheme {
    /// The scheme in lower case, without the colon.
    pub fn as_str(&self) -> &str {
        match self {
            Scheme::Sip => "sip",
            Scheme::Sips => "sips",
            Scheme::Tel => "tel",
            Scheme::Other(text) => text,
        }
    }
}

/// A URI. User, password and headers are kept escaped, as on the wire; [`Uri::user_unescaped`] resolves the escapes.
///
/// `==` compares what is printed, but for the case of the host; [`Uri::equivalent`] compares as RFC 3261 §19.1.4 does.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Uri {
    scheme: Scheme,
    /// Of `tel` the number, of other schemes all that follows the colon.
    user: Option<SmolStr>,
    password: Option<SmolStr>,
    /// Empty unless the scheme is `sip` or `sips`.
    host: Host,
    port: Option<u16>,
    params: Params,
    /// What follows the `?`.
    headers: Option<SmolStr>,
}

impl Uri {
    /// `sip:host`
    pub fn sip(host: Host) -> Uri {
        Uri {
            scheme: Scheme::Sip,
            user: None,
            password: None,
            host,
            port: None,
            params: Params::NONE,
            headers: None,
        }
    }

    /// The scheme.
    pub fn scheme(&self) -> &Scheme {
        &self.scheme
    }

    /// Whether the scheme is `sip` or `sips`.
    pub fn is_sip(&self) -> bool {
        matches!(self.scheme, Scheme::Sip | Scheme::Sips)
    }

    /// The user as on the wire, with escapes. Of a `tel` URI the number; of an unknown scheme all that follows the colon.
    pub fn user(&self) -> Option<&str> {
        self.user.as_deref()
    }

    /// The user with its escapes resolved; bytes that are no UTF-8 become U+FFFD.
    pub fn user_unescaped(&self) -> Option<Cow<'_, str>> {
        self.user().map(escape::unescape)
    }

    /// The password as on the wire.
    pub fn password(&self) -> Option<&str> {
        self.password.as_deref()
    }

    /// The host; an empty name unless the scheme is `sip` or `sips`.
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// The port, when one is given.
    pub fn port(&self) -> Option<u16> {
        self.port
    }

    /// The URI parameters: `transport`, `lr`, `maddr`, `user`, …
    pub fn params(&self) -> &Params {
        &self.params
    }

    /// The URI parameters, to be changed.
    pub fn params_mut(&mut self) -> &mut Params {
        &mut self.params
    }

    /// What follows the `?`, as on the wire: `name=value&name=value`.
    pub fn headers(&self) -> Option<&str> {
        self.headers.as_deref()
    }

    /// The URI headers one by one, unescaped: name and value (RFC 3261 §19.1.1).
    pub fn header_pairs(&self) -> impl Iterator<Item = (Cow<'_, str>, Cow<'_, str>)> {
        self.headers()
            .into_iter()
            .flat_map(|text| text.split('&'))
            .filter(|pair| !pair.is_empty())
            .map(|pair| {
                let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
                (escape::unescape(name), escape::unescape(value))
            })
    }

    /// Sets the scheme; meant for `sip` and `sips`.
    #[must_use]
    pub fn with_scheme(mut self, scheme: Scheme) -> Uri {
        self.scheme = scheme;
        self
    }

    /// Sets the user from plain text, which is escaped as needed; an empty text removes it.
    #[must_use]
    pub fn with_user(mut self, user: &str) -> Uri {
        if user.is_empty() {
            return self.without_user();
        }
        self.user = Some(escape::escape_user(user));
        self
    }

    /// Removes user and password.
    #[must_use]
    pub fn without_user(mut self) -> Uri {
        self.user = None;
        self.password = None;
        self
    }

    /// Sets the host.
    #[must_use]
    pub fn with_host(mut self, host: Host) -> Uri {
        self.host = host;
        self
    }

    /// Sets or removes the port.
    #[must_use]
    pub fn with_port(mut self, port: Option<u16>) -> Uri {
        self.port = port;
        self
    }

    /// Sets a URI parameter.
    #[must_use]
    pub fn with_param(mut self, name: &str, value: impl fmt::Display) -> Uri {
        self.params.set(name, value);
        self
    }

    /// Sets a URI parameter without value, such as `lr`.
    #[must_use]
    pub fn with_flag(mut self, name: &str) -> Uri {
        self.params.set_flag(name);
        self
    }

    /// Appends a URI header from plain text, which is escaped.
    #[must_use]
    pub fn with_header(mut self, name: &str, value: &str) -> Uri {
        let before = self
            .headers
            .as_deref()
            .map_or(String::new(), |text| format!("{text}&"));
        let pair = (escape::escape_header(name), escape::escape_header(value));
        self.headers = Some(SmolStr::from(format!("{before}{}={}", pair.0, pair.1)));
        self
    }

    /// Removes the URI headers, which a request-URI must not have (RFC 3261 §19.1.1).
    #[must_use]
    pub fn without_headers(mut self) -> Uri {
        self.headers = None;
        self
    }

    /// The `transport` parameter, as spelled.
    pub fn transport(&self) -> Option<&str> {
        self.params.value("transport")
    }

    /// Whether the `lr` parameter is there: a loose router (RFC 3261 §16.12).
    pub fn is_loose_router(&self) -> bool {
        self.params.contains("lr")
    }

    /// Whether both name the same resource by RFC 3261 §19.1.4; of other schemes than `sip` and `sips`: whether both are the
    /// same text.
    pub fn equivalent(&self, other: &Uri) -> bool {
        equivalence::equivalent(self, other)
    }

    fn parse_sip(scheme: Scheme, whole: &str, body: &str) -> Result<Uri, SyntaxError> {
        let (userinfo, location) = match grammar::find(b'@', body) {
            Some(at) => (Some(&body[..at]), &body[at + 1..]),
            None => (None, body),
        };
        let (user, password) = match userinfo {
            Some(text) => parse_userinfo(text).map_err(|e| e.shifted(grammar::offset(whole, text)))?,
            None => (None, None),
        };
        let start = grammar::offset(whole, location);
        let (host, port, rest) = Host::parse_with_port(location).map_err(|e| e.shifted(start))?;
        let (params, headers) = match grammar::find(b'?', rest) {
            Some(at) => (&rest[..at], Some(&rest[at + 1..])),
            None => (rest, None),
        };
        let start = grammar::offset(whole, rest);
        let params = Params::parse_strict(params).map_err(|e| e.shifted(start))?;
        let headers = match headers {
            Some(text) if text.contains(|c: char| c <= ' ' || matches!(c, '<' | '>' | '"' | '\x7f')) => {
                return Err(SyntaxError::before(
                    whole,
                    text,
                    "URI headers without blanks, quotes and brackets",
                ));
            }
            text => text.map(SmolStr::new),
        };
        Ok(Uri {
            scheme,
            user,
            password,
            host,
            port,
            params,
            headers,
        })
    }

    fn parse_opaque(scheme: Scheme, whole: &str, body: &str) -> Result<Uri, SyntaxError> {
        if let Some(at) = body.find(|c: char| c <= ' ' || matches!(c, '<' | '>' | '"' | '\x7f')) {
            return Err(SyntaxError::before(
                whole,
                &body[at..],
                "a URI without blanks, quotes and brackets",
            ));
        }
        // RFC 3966 §3: telephone-subscriber *par
        let (user, params) = match (&scheme, body.find(';')) {
            (Scheme::Tel, Some(at)) => (&body[..at], Params::parse_strict(&body[at..])?),
            _ => (body, Params::NONE),
        };
        if user.is_empty() {
            return Err(SyntaxError::before(whole, body, "something after the scheme"));
        }
        let user = Some(SmolStr::new(user));
        let host = Host::Name(SmolStr::new_static(""));
        Ok(Uri {
            scheme,
            user,
            password: None,
            host,
            port: None,
            params,
            headers: None,
        })
    }
}

type UserInfo = (Option<SmolStr>, Option<SmolStr>);

fn parse_userinfo(text: &str) -> Result<UserInfo, SyntaxError> {
    let (user, password) = match grammar::find(b':', text) {
        Some(at) => (&text[..at], Some(&text[at + 1..])),
        None => (text, None),
    };
    if user.is_empty() {
        return Err(SyntaxError {
            expected: "a user before `@`",
            at: 0,
        });
    }
    for part in [Some(user), password].into_iter().flatten() {
        if !grammar::is_user(part) || !escape::is_well_escaped(part) {
            let at = grammar::offset(text, part);
            return Err(SyntaxError {
                expected: "a user without blanks, quotes, brackets and stray `%`",
                at,
            });
        }
    }
    Ok((Some(SmolStr::new(user)), password.map(SmolStr::new)))
}

impl FromStr for Uri {
    type Err = SyntaxError;

    fn from_str(text: &str) -> Result<Self, SyntaxError> {
        let colon = grammar::find(b':', text).ok_or(SyntaxError {
            expected: "a scheme and `:`",
            at: 0,
        })?;
        let (scheme, body) = (&text[..colon], &text[colon + 1..]);
        // RFC 3986 §3.1: schemes are case-insensitive.
        if scheme.eq_ignore_ascii_case("sip") {
            return Uri::parse_sip(Scheme::Sip, text, body);
        }
        if scheme.eq_ignore_ascii_case("sips") {
            return Uri::parse_sip(Scheme::Sips, text, body);
        }
        let is_scheme = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.');
        if !scheme.starts_with(|c: char| c.is_ascii_alphabetic()) || !scheme.bytes().all(is_scheme) {
            return Err(SyntaxError {
                expected: "a scheme and `:`",
                at: 0,
            });
        }
        let lower = scheme.to_ascii_lowercase();
        let scheme = if lower == "tel" {
            Scheme::Tel
        } else {
            Scheme::Other(SmolStr::from(lower))
        };
        Uri::parse_opaque(scheme, text, body)
    }
}

impl fmt::Display for Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.scheme.as_str())?;
        f.write_str(":")?;
        if let Some(user) = &self.user {
            f.write_str(user)?;
            if let Some(password) = &self.password {
                f.write_str(":")?;
                f.write_str(password)?;
            }
            if self.is_sip() {
                f.write_str("@")?;
            }
        }
        fmt::Display::fmt(&self.host, f)?;
        if let Some(port) = self.port {
            f.write_str(":")?;
            f.write_str(ShortText::of(port.into()).as_str())?;
        }
        fmt::Display::fmt(&self.params, f)?;
        if let Some(headers) = &self.headers {
            f.write_str("?")?;
            f.write_str(headers)?;
        }
        Ok(())
    }
}
