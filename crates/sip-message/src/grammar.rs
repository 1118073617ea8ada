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
const VISIBLE: u8 = 16;

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
        if b > 0x20 && b != 0x7f {
            class |= VISIBLE;
        }
        classes[byte] = class;
        byte += 1;
    }
    classes
}

fn all(text: &str, class: u8) -> bool {
    run(text, class) == text.len()
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

/// Four bytes at a time while they last: the texts of a message are mostly one run.
fn run(text: &str, class: u8) -> usize {
    let class_of = |byte: u8| CLASSES[usize::from(byte)];
    let (chunks, _) = text.as_bytes().as_chunks::<4>();
    let whole = chunks
        .iter()
        .take_while(|[a, b, c, d]| class_of(*a) & class_of(*b) & class_of(*c) & class_of(*d) & class != 0);
    let mut length = whole.count() * 4;
    while let Some(byte) = text.as_bytes().get(length)
        && class_of(*byte) & class != 0
    {
        length += 1;
    }
    length
}

/// Length of the run of bytes at the start of `text` that are neither blanks nor controls.
pub(crate) fn visible_run(text: &str) -> usize {
    run(text, VISIBLE)
}

/// Whether `text` can stand as the user or password of a URI.
pub(crate) fn is_user(text: &str) -> bool {
    all(text, USER)
}

/// SP and HTAB, and the CR and LF that a folded value may still hold.
pub(crate) fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

/// `text` without linear white space on both sides.
pub(crate) fn trim(text: &str) -> &str {
    let text = skip_blank(text);
    let mut end = text.len();
    while end > 0 && is_blank(text.as_bytes()[end - 1]) {
        end -= 1;
    }
    &text[..end]
}

/// `text` without linear white space at its start.
pub(crate) fn skip_blank(text: &str) -> &str {
    let mut start = 0;
    while start < text.len() && is_blank(text.as_bytes()[start]) {
        start += 1;
    }
    &text[start..]
}

/// The offset of an ASCII character in a text.
pub(crate) fn find(byte: u8, text: &str) -> Option<usize> {
    find_byte(byte, text.as_bytes())
}

/// The offset of a byte. What is looked for in a message is mostly near, and found eight bytes at a time before `memchr` has
/// set itself up; what is far is left to it.
pub(crate) fn find_byte(byte: u8, bytes: &[u8]) -> Option<usize> {
    const LOW: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    const NEAR: usize = 2;
    let (chunks, tail) = bytes.as_chunks::<8>();
    for (position, chunk) in chunks.iter().take(NEAR).enumerate() {
        let difference = u64::from_le_bytes(*chunk) ^ (LOW * u64::from(byte));
        // The lowest bit that is set belongs to the first byte that is zero.
        let zeros = difference.wrapping_sub(LOW) & !difference & HIGH;
        if zeros != 0 {
            return Some(position * 8 + zeros.trailing_zeros() as usize / 8);
        }
    }
    if chunks.len() > NEAR {
        return memchr(byte, &bytes[NEAR * 8..]).map(|at| at + NEAR * 8);
    }
    tail.iter()
        .position(|b| *b == byte)
        .map(|at| at + chunks.len() * 8)
}

/// Unsigned decimal digits only: no sign, no white space, no overflow.
pub(crate) fn number<N: TryFrom<u64>>(text: &str) -> Option<N> {
    number_of(text.as_bytes())
}

/// [`number`] of bytes.
pub(crate) fn number_of<N: TryFrom<u64>>(digits: &[u8]) -> Option<N> {
    if digits.is_empty() || digits.len() > 20 {
        return None;
    }
    let mut value: u64 = 0;
    for byte in digits {
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
    if find(b'\\', inner).is_none() {
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
