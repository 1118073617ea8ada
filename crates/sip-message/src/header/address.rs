//! `name-addr` and `addr-spec` with parameters (RFC 3261 §20.10, §25.1), and the headers that consist of one.

use std::fmt;
use std::str::FromStr;

use smol_str::SmolStr;

use super::{Header, Shape};
use crate::grammar::{self, Quoted, SyntaxError};
use crate::name::HeaderName;
use crate::params::Params;
use crate::uri::Uri;

/// An address: `"Alice" <sip:alice@example.com>;tag=1`. Always printed with angle brackets.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct NameAddr {
    /// The display name as plain text, quotes and escapes resolved.
    pub display: Option<SmolStr>,
    /// The URI.
    pub uri: Uri,
    /// The parameters of the header, outside the angle brackets.
    pub params: Params,
}

impl NameAddr {
    /// `<uri>`
    pub fn new(uri: Uri) -> NameAddr {
        NameAddr {
            display: None,
            uri,
            params: Params::NONE,
        }
    }

    /// Sets the display name from plain text.
    #[must_use]
    pub fn with_display(mut self, display: &str) -> NameAddr {
        self.display = Some(SmolStr::new(display));
        self
    }

    /// The `tag` parameter.
    pub fn tag(&self) -> Option<&str> {
        self.params.value("tag")
    }

    /// Sets the `tag` parameter.
    pub fn set_tag(&mut self, tag: &str) {
        self.params.set("tag", tag);
    }

    /// The same address with a `tag`.
    #[must_use]
    pub fn with_tag(mut self, tag: &str) -> NameAddr {
        self.set_tag(tag);
        self
    }

    fn parse_bracketed(
        whole: &str,
        display: Option<SmolStr>,
        bracket: &str,
    ) -> Result<NameAddr, SyntaxError> {
        let inner = &bracket[1..];
        let end = grammar::find(b'>', inner);
        let end = end.ok_or(SyntaxError::before(whole, "", "`>` after the URI"))?;
        let uri = Uri::from_str(&inner[..end]).map_err(|e| e.shifted(grammar::offset(whole, inner)))?;
        let rest = &inner[end + 1..];
        let params = Params::parse(rest).map_err(|e| e.shifted(grammar::offset(whole, rest)))?;
        Ok(NameAddr { display, uri, params })
    }

    /// RFC 3261 §20.10: without angle brackets, what follows a `;` belongs to the header; a URI that holds a comma, question
    /// mark or semicolon needs them.
    fn parse_bare(whole: &str) -> Result<NameAddr, SyntaxError> {
        let end = grammar::find(b';', whole).unwrap_or(whole.len());
        let (uri, rest) = whole.split_at(end);
        let uri = grammar::trim(uri);
        if let Some(at) = uri.find([',', '?']) {
            return Err(SyntaxError {
                expected: "angle brackets around a URI with `,` or `?`",
                at,
            });
        }
        let uri = Uri::from_str(uri)?;
        let params = Params::parse(rest).map_err(|e| e.shifted(end))?;
        Ok(NameAddr {
            display: None,
            uri,
            params,
        })
    }
}

impl FromStr for NameAddr {
    type Err = SyntaxError;

    fn from_str(text: &str) -> Result<Self, SyntaxError> {
        let text = grammar::trim(text);
        if text.starts_with('"') {
            let length = grammar::quoted_len(text).ok_or(SyntaxError::before(
                text,
                "",
                "the end of a quoted string",
            ))?;
            let display = SmolStr::from(grammar::unquote(&text[..length]));
            let rest = grammar::skip_blank(&text[length..]);
            if !rest.starts_with('<') {
                return Err(SyntaxError::before(text, rest, "`<` after a display name"));
            }
            return NameAddr::parse_bracketed(text, Some(display), rest);
        }
        let Some(at) = grammar::find(b'<', text) else {
            return NameAddr::parse_bare(text);
        };
        let display = grammar::trim(&text[..at]);
        // RFC 3261 §25.1 has tokens here; peers send more. What would be a separator elsewhere stays forbidden.
        if let Some(at) = display.find([',', ';', '"', '>', '\\']) {
            return Err(SyntaxError {
                expected: "quotes around such a display name",
                at,
            });
        }
        let display = if display.is_empty() {
            None
        } else {
            Some(SmolStr::new(display))
        };
        NameAddr::parse_bracketed(text, display, &text[at..])
    }
}

impl fmt::Display for NameAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(display) = &self.display {
            if grammar::is_token(display) {
                f.write_str(display)?;
                f.write_str(" ")?;
            } else {
                write!(f, "{} ", Quoted(display))?;
            }
        }
        f.write_str("<")?;
        fmt::Display::fmt(&self.uri, f)?;
        f.write_str(">")?;
        fmt::Display::fmt(&self.params, f)
    }
}

impl From<Uri> for NameAddr {
    fn from(uri: Uri) -> Self {
        NameAddr::new(uri)
    }
}

macro_rules! address_headers {
    ($($(#[$doc:meta])+ $type:ident $shape:ident),+ $(,)?) => {$(
        $(#[$doc])+
        #[derive(Debug, Clone, PartialEq, Eq, Hash)]
        pub struct $type(pub NameAddr);

        impl Header for $type {
            const NAME: HeaderName = HeaderName::$type;
            const SHAPE: Shape = Shape::$shape;
        }

        impl FromStr for $type {
            type Err = SyntaxError;

            fn from_str(text: &str) -> Result<Self, SyntaxError> {
                NameAddr::from_str(text).map($type)
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }
    )+};
}

address_headers! {
    /// Route (RFC 3261 §20.34).
    Route Elements,
    /// Record-Route (RFC 3261 §20.30).
    RecordRoute Elements,
    /// Path (RFC 3327).
    Path Elements,
    /// Service-Route (RFC 3608).
    ServiceRoute Elements,
    /// Refer-To (RFC 3515 §2.1).
    ReferTo Single,
    /// Referred-By (RFC 3892 §2.1).
    ReferredBy Single,
    /// P-Asserted-Identity (RFC 3325 §9.1): one or two values.
    PAssertedIdentity Elements,
    /// Diversion (RFC 5806): the topmost is the most recent.
    Diversion Elements,
}

impl Diversion {
    /// The `reason` parameter: `no-answer`, `user-busy`, …
    pub fn reason(&self) -> Option<std::borrow::Cow<'_, str>> {
        self.0.params.unquoted("reason")
    }
}
