//! What identifies calls and requests in them: Call-ID, CSeq (RFC 3261), RAck (RFC 3262), Replaces (RFC 3891).

use std::fmt;
use std::str::FromStr;

use smol_str::SmolStr;

use super::{Header, Shape};
use crate::grammar::{self, SyntaxError};
use crate::method::Method;
use crate::name::HeaderName;
use crate::params::Params;

/// Call-ID (RFC 3261 §20.8): compared byte for byte.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallId(SmolStr);

impl CallId {
    /// The Call-ID as on the wire.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Header for CallId {
    const NAME: HeaderName = HeaderName::CallId;
    const SHAPE: Shape = Shape::Single;
}

impl FromStr for CallId {
    type Err = SyntaxError;

    /// Looser than `callid = word [ "@" word ]`: any text without blanks, since nothing depends on its parts.
    fn from_str(text: &str) -> Result<Self, SyntaxError> {
        let text = grammar::trim(text);
        if text.is_empty() {
            return Err(SyntaxError {
                expected: "a Call-ID",
                at: 0,
            });
        }
        let at = grammar::visible_run(text);
        if at < text.len() {
            let expected = "a Call-ID without blanks";
            return Err(SyntaxError { expected, at });
        }
        Ok(CallId(SmolStr::new(text)))
    }
}

impl fmt::Display for CallId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// CSeq (RFC 3261 §20.16).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CSeq {
    /// The sequence number; RFC 3261 §8.1.1.5 wants less than 2³¹.
    pub number: u32,
    /// The method of the request.
    pub method: Method,
}

impl CSeq {
    /// `number method`
    pub fn new(number: u32, method: Method) -> CSeq {
        CSeq { number, method }
    }
}

impl Header for CSeq {
    const NAME: HeaderName = HeaderName::CSeq;
    const SHAPE: Shape = Shape::Single;
}

impl FromStr for CSeq {
    type Err = SyntaxError;

    fn from_str(text: &str) -> Result<Self, SyntaxError> {
        let (number, rest) = sequence_number(text)?;
        let method = method(text, rest)?;
        Ok(CSeq { number, method })
    }
}

impl fmt::Display for CSeq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.number, self.method)
    }
}

/// RAck (RFC 3262 §7.2): which provisional response a PRACK acknowledges.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RAck {
    /// The RSeq of the response.
    pub rseq: u32,
    /// The CSeq number of the response.
    pub cseq: u32,
    /// The CSeq method of the response.
    pub method: Method,
}

impl Header for RAck {
    const NAME: HeaderName = HeaderName::RAck;
    const SHAPE: Shape = Shape::Single;
}

impl FromStr for RAck {
    type Err = SyntaxError;

    fn from_str(text: &str) -> Result<Self, SyntaxError> {
        let (rseq, rest) = sequence_number(text)?;
        let (cseq, rest) = sequence_number(rest).map_err(|e| e.shifted(grammar::offset(text, rest)))?;
        let method = method(text, rest)?;
        Ok(RAck { rseq, cseq, method })
    }
}

impl fmt::Display for RAck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.rseq, self.cseq, self.method)
    }
}

fn sequence_number(text: &str) -> Result<(u32, &str), SyntaxError> {
    let start = grammar::skip_blank(text);
    let digits = start
        .bytes()
        .position(|b| !b.is_ascii_digit())
        .unwrap_or(start.len());
    let (number, rest) = start.split_at(digits);
    let number = grammar::number(number);
    Ok((
        number.ok_or(SyntaxError::before(text, start, "a number below 2^32"))?,
        rest,
    ))
}

fn method(whole: &str, rest: &str) -> Result<Method, SyntaxError> {
    let method = grammar::trim(rest);
    let separated = grammar::skip_blank(rest).len() < rest.len();
    if !separated || !grammar::is_token(method) {
        return Err(SyntaxError::before(whole, rest, "a blank and a method"));
    }
    Ok(Method::from(method))
}

/// Replaces (RFC 3891 §6.1): the dialog that a new call takes the place of.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Replaces {
    /// The Call-ID of the dialog.
    pub call_id: SmolStr,
    /// `to-tag`, `from-tag`, `early-only` and any other.
    pub params: Params,
}

impl Replaces {
    /// Names a dialog as its recipient sees it in a request of this call: `to_tag` is the recipient's own tag.
    pub fn new(call_id: &str, to_tag: &str, from_tag: &str) -> Replaces {
        let mut params = Params::NONE;
        params.set("to-tag", to_tag);
        params.set("from-tag", from_tag);
        Replaces {
            call_id: SmolStr::new(call_id),
            params,
        }
    }

    /// The tag of the recipient in the dialog.
    pub fn to_tag(&self) -> &str {
        self.params.value("to-tag").unwrap_or("")
    }

    /// The tag of the other side in the dialog.
    #[expect(clippy::wrong_self_convention, reason = "From is the header")]
    pub fn from_tag(&self) -> &str {
        self.params.value("from-tag").unwrap_or("")
    }

    /// Whether only an early dialog may be replaced.
    pub fn is_early_only(&self) -> bool {
        self.params.contains("early-only")
    }
}

impl Header for Replaces {
    const NAME: HeaderName = HeaderName::Replaces;
    const SHAPE: Shape = Shape::Single;
}

impl FromStr for Replaces {
    type Err = SyntaxError;

    fn from_str(text: &str) -> Result<Self, SyntaxError> {
        let text = grammar::trim(text);
        let end = text.find(';').unwrap_or(text.len());
        let call_id: CallId = text[..end].parse()?;
        let params = Params::parse(&text[end..]).map_err(|e| e.shifted(end))?;
        // RFC 3891 §6.1: exactly one to-tag and exactly one from-tag.
        for name in ["to-tag", "from-tag"] {
            let tags = params
                .iter()
                .filter(|(n, value)| n.eq_ignore_ascii_case(name) && value.is_some())
                .count();
            if tags != 1 {
                return Err(SyntaxError::before(
                    text,
                    &text[end..],
                    "one to-tag and one from-tag",
                ));
            }
        }
        Ok(Replaces {
            call_id: call_id.0,
            params,
        })
    }
}

impl fmt::Display for Replaces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.call_id, self.params)
    }
}
