//! Parameters: `;name=value;name` after URIs and header values.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use smol_str::{SmolStr, SmolStrBuilder};

use crate::grammar::{self, SyntaxError};

/// A list of parameters in their order and spelling. Names compare without regard to case (RFC 3261 §7.3.1).
///
/// Kept as its text `;name=value;name` without the white space around `;` and `=`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Params {
    text: SmolStr,
}

impl Params {
    /// No parameters.
    pub const NONE: Params = Params {
        text: SmolStr::new_static(""),
    };

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// All parameters in order: name and, when there is an `=`, the value as on the wire (a quoted string with its quotes).
    pub fn iter(&self) -> Iter<'_> {
        Iter { rest: &self.text }
    }

    /// Whether the parameter is there, with or without a value.
    pub fn contains(&self, name: &str) -> bool {
        self.find(name).is_some()
    }

    /// The value of the first parameter called `name`, as on the wire; `None` also when it has no value.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.find(name).flatten()
    }

    /// As [`Params::value`], with quotes and escapes resolved.
    pub fn unquoted(&self, name: &str) -> Option<Cow<'_, str>> {
        self.value(name).map(grammar::unquote)
    }

    /// `None`: not there. `Some(None)`: there without a value.
    pub fn find(&self, name: &str) -> Option<Option<&str>> {
        self.iter()
            .find(|(n, _)| n.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }

    /// Sets a parameter, in place when it is there, else at the end. A value with characters that a parameter cannot have is
    /// written as a quoted string. `name` is a token.
    pub fn set(&mut self, name: &str, value: impl fmt::Display) {
        self.replace(name, Some(&value.to_string()));
    }

    /// Sets a parameter without a value, such as `lr`.
    pub fn set_flag(&mut self, name: &str) {
        self.replace(name, None);
    }

    /// Removes every parameter called `name`; says whether there was one.
    pub fn remove(&mut self, name: &str) -> bool {
        if !self.contains(name) {
            return false;
        }
        let kept = self.iter().filter(|(n, _)| !n.eq_ignore_ascii_case(name));
        let mut text = SmolStrBuilder::new();
        for (name, value) in kept {
            append(&mut text, name, value);
        }
        self.text = text.finish();
        true
    }

    fn replace(&mut self, name: &str, value: Option<&str>) {
        let quoted;
        let value = match value {
            Some(value) if !is_value(value) => {
                quoted = grammar::Quoted(value).to_string();
                Some(quoted.as_str())
            }
            plain => plain,
        };
        let mut text = SmolStrBuilder::new();
        let mut placed = false;
        for (n, v) in self.iter() {
            if !n.eq_ignore_ascii_case(name) {
                append(&mut text, n, v);
            } else if !placed {
                append(&mut text, n, value);
                placed = true;
            }
        }
        if !placed {
            append(&mut text, name, value);
        }
        self.text = text.finish();
    }

    /// Parses header parameters: white space is allowed around `;` and `=`.
    pub(crate) fn parse(text: &str) -> Result<Params, SyntaxError> {
        Params::parse_with(text, true)
    }

    /// Parses URI parameters, where no white space is allowed (RFC 3261 §25.1, `uri-parameters`).
    pub(crate) fn parse_strict(text: &str) -> Result<Params, SyntaxError> {
        Params::parse_with(text, false)
    }

    fn parse_with(whole: &str, blanks: bool) -> Result<Params, SyntaxError> {
        if whole.is_empty() {
            return Ok(Params::NONE);
        }
        if is_canonical(whole) {
            return Ok(Params {
                text: SmolStr::new(whole),
            });
        }
        let skip = |text| if blanks { grammar::skip_blank(text) } else { text };
        let mut canonical = SmolStrBuilder::new();
        let mut rest = skip(whole);
        while !rest.is_empty() {
            let Some(after) = rest.strip_prefix(';') else {
                return Err(SyntaxError::before(whole, rest, "`;` before a parameter"));
            };
            rest = skip(after);
            if rest.is_empty() || rest.starts_with(';') {
                // A `;` too many says nothing: many phones end a value with one.
                continue;
            }
            let (name, after) = rest.split_at(grammar::param_run(rest));
            if name.is_empty() {
                return Err(SyntaxError::before(whole, rest, "a parameter name"));
            }
            rest = skip(after);
            let mut value = None;
            if let Some(after) = rest.strip_prefix('=') {
                let start = skip(after);
                let unended = SyntaxError::before(whole, start, "the end of a quoted string");
                let (text, after) = start.split_at(value_len(start).ok_or(unended)?);
                value = Some(text);
                rest = skip(after);
            }
            append(&mut canonical, name, value);
        }
        Ok(Params {
            text: canonical.finish(),
        })
    }
}

/// Whether `text` is `;name=value;name` without a blank: what most peers send, and what is kept as it is.
fn is_canonical(text: &str) -> bool {
    let mut rest = text;
    while let Some(start) = rest.strip_prefix(';') {
        let name = grammar::param_run(start);
        if name == 0 {
            return false;
        }
        rest = &start[name..];
        if let Some(start) = rest.strip_prefix('=') {
            let Some(value) = value_len(start) else {
                return false;
            };
            rest = &start[value..];
        }
    }
    rest.is_empty()
}

/// Length of the value at the start of `text`: a quoted string, or a run of bytes (which may hold further `=`, as Base64 does,
/// and `?`).
fn value_len(text: &str) -> Option<usize> {
    if text.starts_with('"') {
        return grammar::quoted_len(text);
    }
    let mut length = 0;
    loop {
        length += grammar::param_run(&text[length..]);
        match text.as_bytes().get(length) {
            Some(b'=' | b'?') => length += 1,
            _ => return Some(length),
        }
    }
}

fn is_value(text: &str) -> bool {
    if text.starts_with('"') {
        return grammar::quoted_len(text) == Some(text.len());
    }
    !text.is_empty() && grammar::param_run(text) == text.len()
}

fn append(text: &mut SmolStrBuilder, name: &str, value: Option<&str>) {
    text.push(';');
    text.push_str(name);
    if let Some(value) = value {
        text.push('=');
        text.push_str(value);
    }
}

/// The parameters of a [`Params`] in order.
#[derive(Debug, Clone)]
pub struct Iter<'a> {
    rest: &'a str,
}

impl<'a> Iterator for Iter<'a> {
    type Item = (&'a str, Option<&'a str>);

    fn next(&mut self) -> Option<Self::Item> {
        // The text was checked when it was made: `;name`, then perhaps `=value`.
        let rest = self.rest.strip_prefix(';')?;
        let (name, after) = rest.split_at(grammar::param_run(rest));
        let Some(start) = after.strip_prefix('=') else {
            self.rest = after;
            return Some((name, None));
        };
        let (value, after) = start.split_at(value_len(start).unwrap_or(start.len()));
        self.rest = after;
        Some((name, Some(value)))
    }
}

impl<'a> IntoIterator for &'a Params {
    type Item = (&'a str, Option<&'a str>);
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

impl FromStr for Params {
    type Err = SyntaxError;

    fn from_str(text: &str) -> Result<Self, SyntaxError> {
        Params::parse(text)
    }
}

impl fmt::Display for Params {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
