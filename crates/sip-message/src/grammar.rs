//! The lexical ground of RFC 3261 §25.1: character classes, quoted strings, lists.

use std::borrow::Cow;
use std::fmt;

use memchr::memchr;

/// A value that does not follow its grammar: what was expected, and the byte where it was missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected {expected} at byte {at}")]
pub struct SyntaxError {
    /// What the grammar asks for, in words.
    pub expected: &'static str,
    /// Offset in bytes in the text that was given to the parser.
    pub at: usize,
}

impl SyntaxError {
    /// An error at the start of `rest`, a suffix of `whole`.
    pub(crate) fn before(whole: &str, rest: &str, expected: &'static str) -> Self {
        SyntaxError {
            expected,
            at: whole.len() - rest.len(),
        }
    }

    /// The same error, when the parsed text begins `by` bytes into a larger one.
    pub(crate) fn shifted(self, by: usize) -> Self {
        SyntaxError {
            at: self.at + by,
            ..self
        }
    }
}

/// The offset in bytes of `part` in `whole`, of which it is a slice.
pub(crate) fn offset(whole: &str, part: &str) -> usize {
    (part.as_ptr() as usize)
        .saturating_sub(whole.as_ptr() as usize)
        .min(whole.len())
}

const TOKEN: u8 = 1;
const PARAM: u8 = 2;
const USER: u8 = 4;
const HOST: u8 = 8;

/// One byte of classes for each byte of text.
static CLASSES: [u8; 256] = classify_bytes();

const fn classify_bytes() -> [u8; 256] {
    let mut classes = [0u8; 256];
    let mut byte = 0usize;
    while byte < 256 {
        let b = byte as u8;
        let mut class = 0;
        // RFC 3261 §25.1: token = alphanum / "-" / "." / "!" / "%" / "*" / "_" / "+" / "`" / "'" / "~"
        if b.is_ascii_alphanumeric()
            || matches!(
                b,
                b'-' | b'.' | b'!' | b'%' | b'*' | b'_' | b'+' | b'`' | b'\'' | b'~'
            )
        {
            class |= TOKEN;
        }
        // Looser than gen-value, which no peer follows: all that cannot be taken for the end of the parameter.
        if b > 0x20 && b != 0x7f && !matches!(b, b';' | b',' | b'"' | b'<' | b'>' | b'=' | b'?') {
            class |= PARAM;
        }
        // Looser than `user`, which excludes the `#` that many phones send.
        if b > 0x20 && b != 0x7f && !matches!(b, b'"' | b'<' | b'>' | b'@' | b':') {
            class |= USER;
        }
        // `_` is in no host name of RFC 3261 and in many of private networks.
        if b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_') {
            class |= HOST;
        }
        classes[byte] = class;
        byte += 1;
    }
    classes
}

fn all(text: &str, class: u8) -> bool {
    text.bytes().all(|b| CLASSES[usize::from(b)] & class != 0)
}

/// Whether `text` is a `token`.
pub(crate) fn is_token(text: &str) -> bool {
    !text.is_empty() && all(text, TOKEN)
}

/// Length of the run of bytes at the start of `text` that belong to a token.
pub(crate) fn token_run(text: &str) -> usize {
    run(text, TOKEN)
}

/// Length of the run of bytes at the start of `text` that a parameter's name or value may have.
pub(crate) fn param_run(text: &str) -> usize {
    run(text, PARAM)
}

/// Length of the run of bytes at the start of `text` that a host name may have.
pub(crate) fn host_run(text: &str) -> usize {
    run(text, HOST)
}

fn run(text: &str, class: u8) -> usize {
    text.bytes()
        .position(|b| CLASSES[usize::from(b)] & class == 0)
        .unwrap_or(text.len())
}

/// Whether `text` can stand as the user or password of a URI.
pub(crate) fn is_user(text: &str) -> bool {
    all(text, USER)
}

/// SP and HTAB, and the CR and LF that a folded value may still hold.
pub(crate) fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\n')
}

/// `text` without linear white space on both sides.
pub(crate) fn trim(text: &str) -> &str {
    text.trim_matches(is_blank)
}

/// `text` without linear white space at its start.
pub(crate) fn skip_blank(text: &str) -> &str {
    text.trim_start_matches(is_blank)
}

/// Unsigned decimal digits only: no sign, no white space, no overflow.
pub(crate) fn number<N: TryFrom<u64>>(text: &str) -> Option<N> {
    if text.is_empty() || text.len() > 20 {
        return None;
    }
    let mut value: u64 = 0;
    for byte in text.bytes() {
        if !byte.is_ascii_digit() {
            return None;
        }
        value = value.checked_mul(10)?.checked_add(u64::from(byte - b'0'))?;
    }
    N::try_from(value).ok()
}

/// The length of the quoted string at the start of `text` (which begins with `"`), with its quotes; `None` when it does not end.
pub(crate) fn quoted_len(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut at = 1;
    loop {
        at += memchr::memchr2(b'"', b'\\', bytes.get(at..)?)?;
        if bytes[at] == b'"' {
            return Some(at + 1);
        }
        at += 2;
    }
}

/// The content of a quoted string, `\` escapes resolved; a text without quotes is returned as it is.
pub(crate) fn unquote(text: &str) -> Cow<'_, str> {
    let Some(inner) = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) else {
        return Cow::Borrowed(text);
    };
    if memchr(b'\\', inner.as_bytes()).is_none() {
        return Cow::Borrowed(inner);
    }
    let mut plain = String::with_capacity(inner.len());
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        plain.extend(if c == '\\' { chars.next() } else { Some(c) });
    }
    Cow::Owned(plain)
}

/// Prints a text as a quoted string.
pub(crate) struct Quoted<'a>(pub(crate) &'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write as _;
        f.write_char('"')?;
        let mut rest = self.0;
        while let Some(at) = memchr::memchr2(b'"', b'\\', rest.as_bytes()) {
            f.write_str(&rest[..at])?;
            f.write_char('\\')?;
            f.write_str(&rest[at..=at])?;
            rest = &rest[at + 1..];
        }
        f.write_str(rest)?;
        f.write_char('"')
    }
}

/// The elements of a comma-separated value (RFC 3261 §7.3.1), trimmed, without the empty ones. Commas in quoted strings and
/// between angle brackets do not separate.
#[derive(Debug, Clone)]
pub(crate) struct Elements<'a> {
    rest: &'a str,
}

impl<'a> Elements<'a> {
    pub(crate) fn of(value: &'a str) -> Self {
        Elements { rest: value }
    }
}

impl<'a> Iterator for Elements<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        loop {
            if self.rest.is_empty() {
                return None;
            }
            let end = element_end(self.rest);
            let element = trim(&self.rest[..end]);
            self.rest = self.rest.get(end + 1..).unwrap_or("");
            if !element.is_empty() {
                return Some(element);
            }
        }
    }
}

/// The offset of the comma that ends the first element, or the length of the text.
fn element_end(text: &str) -> usize {
    let bytes = text.as_bytes();
    let mut at = 0;
    while let Some(step) = memchr::memchr3(b',', b'"', b'<', &bytes[at..]) {
        at += step;
        match bytes[at] {
            b',' => return at,
            // A quote or a bracket that does not end takes the rest with it: the element parser will complain.
            b'"' => match quoted_len(&text[at..]) {
                Some(length) => at += length,
                None => return text.len(),
            },
            _ => match memchr(b'>', &bytes[at..]) {
                Some(length) => at += length + 1,
                None => return text.len(),
            },
        }
    }
    text.len()
}
