//! Retry-After, Warning, Timestamp, Date (RFC 3261 §20.33, §20.43, §20.38, §20.17).

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use smol_str::SmolStr;

use super::{Header, Shape};
use crate::grammar::{self, Quoted, SyntaxError};
use crate::name::HeaderName;
use crate::params::Params;

/// Retry-After: `120 (I'm in a meeting);duration=60`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RetryAfter {
    /// Seconds to wait.
    pub seconds: u32,
    /// The comment with its parentheses, as on the wire.
    pub comment: Option<SmolStr>,
    /// `duration` and any other.
    pub params: Params,
}

impl Header for RetryAfter {
    const NAME: HeaderName = HeaderName::RetryAfter;
    const SHAPE: Shape = Shape::Single;
}

impl FromStr for RetryAfter {
    type Err = SyntaxError;

    fn from_str(text: &str) -> Result<Self, SyntaxError> {
        let text = grammar::trim(text);
        let digits = text
            .bytes()
            .position(|b| !b.is_ascii_digit())
            .unwrap_or(text.len());
        let (seconds, rest) = text.split_at(digits);
        let seconds = grammar::number(seconds).ok_or(SyntaxError {
            expected: "a number of seconds",
            at: 0,
        })?;
        let rest = grammar::skip_blank(rest);
        let length = comment_len(rest).ok_or(SyntaxError::before(text, rest, "the end of a comment"))?;
        let (comment, rest) = rest.split_at(length);
        let comment = if comment.is_empty() {
            None
        } else {
            Some(SmolStr::new(comment))
        };
        let params = Params::parse(rest).map_err(|e| e.shifted(grammar::offset(text, rest)))?;
        Ok(RetryAfter {
            seconds,
            comment,
            params,
        })
    }
}

/// Length of the comment at the start, nested ones included; 0 when there is none; `None` when it does not end.
fn comment_len(text: &str) -> Option<usize> {
    if !text.starts_with('(') {
        return Some(0);
    }
    let mut depth = 0usize;
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'(' => depth += 1,
            b')' if depth == 1 => return Some(at + 1),
            b')' => depth -= 1,
            _ => {}
        }
    }
    None
}

impl fmt::Display for RetryAfter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.seconds)?;
        if let Some(comment) = &self.comment {
            write!(f, " {comment}")?;
        }
        write!(f, "{}", self.params)
    }
}

/// Warning: `370 devnull "Choose a bigger pipe"`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Warning {
    /// The three-digit code.
    pub code: u16,
    /// Host, with a port perhaps, or pseudonym of who warns.
    pub agent: SmolStr,
    /// The text, quotes and escapes resolved.
    pub text: SmolStr,
}

impl Header for Warning {
    const NAME: HeaderName = HeaderName::Warning;
    const SHAPE: Shape = Shape::Elements;
}

impl FromStr for Warning {
    type Err = SyntaxError;

    fn from_str(text: &str) -> Result<Self, SyntaxError> {
        let text = grammar::trim(text);
        let expected = SyntaxError {
            expected: "a three-digit code, an agent and a quoted text",
            at: 0,
        };
        let (code, rest) = text.split_once([' ', '\t']).ok_or(expected)?;
        let (agent, quoted) = grammar::skip_blank(rest)
            .split_once([' ', '\t'])
            .ok_or(expected)?;
        let quoted = grammar::skip_blank(quoted);
        let code = grammar::number(code)
            .filter(|code| (100..=999).contains(code))
            .ok_or(expected)?;
        if agent.contains(['"', ','])
            || !quoted.starts_with('"')
            || grammar::quoted_len(quoted) != Some(quoted.len())
        {
            return Err(expected);
        }
        let text: Cow<'_, str> = grammar::unquote(quoted);
        Ok(Warning {
            code,
            agent: SmolStr::new(agent),
            text: SmolStr::from(text),
        })
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:03} {} {}", self.code, self.agent, Quoted(&self.text))
    }
}

macro_rules! text_headers {
    ($($(#[$doc:meta])+ $type:ident),+ $(,)?) => {$(
        $(#[$doc])+
        #[derive(Debug, Clone, PartialEq, Eq, Hash)]
        pub struct $type(pub SmolStr);

        impl Header for $type {
            const NAME: HeaderName = HeaderName::$type;
            const SHAPE: Shape = Shape::Single;
        }

        impl FromStr for $type {
            type Err = SyntaxError;

            fn from_str(text: &str) -> Result<Self, SyntaxError> {
                Ok($type(SmolStr::new(grammar::trim(text))))
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    )+};
}

text_headers! {
    /// Timestamp, as on the wire: seconds and perhaps a delay. A 100 copies it (RFC 3261 §8.2.6.1).
    Timestamp,
    /// Date, as on the wire.
    Date,
}
