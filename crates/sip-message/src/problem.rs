//! Which rules of RFC 3261 a message breaks, and how a server answers that.

use crate::grammar::{self, SyntaxError};
use crate::header::{
    Allow, ContentType, Expires, Header, HeaderError, MaxForwards, MinExpires, Require, Supported,
};
use crate::message::{Message, Start};
use crate::method::Method;
use crate::name::HeaderName;
use crate::uri::{Scheme, Uri};

/// A rule that a message breaks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// It is neither a request nor a response.
    #[error("the first line is not one of SIP")]
    NoStartLine,
    /// The version is not 2.0 (RFC 3261 §7.1).
    #[error("the version is {version}, not SIP/2.0")]
    Version {
        /// The version as sent.
        version: String,
    },
    /// The request line has blanks where none belong (RFC 3261 §7.1).
    #[error("the request line is not `method SP URI SP SIP/2.0`")]
    RequestLine,
    /// The request-URI is malformed (RFC 3261 §7.1).
    #[error("the request-URI is malformed: {0}")]
    RequestUri(SyntaxError),
    /// The request-URI has headers after a `?` (RFC 3261 §19.1.1).
    #[error("the request-URI has headers, which belong into other URIs only")]
    RequestUriHeaders,
    /// The scheme of the request-URI is not one of SIP's (RFC 3261 §8.2.2.1).
    #[error("the scheme `{scheme}` of the request-URI is not supported")]
    Scheme {
        /// The scheme, in lower case.
        scheme: String,
    },
    /// A mandatory header is missing (RFC 3261 §8.1.1).
    #[error("there is no {0} header")]
    Missing(HeaderName),
    /// A header that may occur once occurs more often (RFC 3261 §7.3.1).
    #[error("the {0} header occurs more than once")]
    Repeated(HeaderName),
    /// A header that every request needs to be processed does not follow its grammar.
    #[error(transparent)]
    Malformed(HeaderError),
    /// A header that can be done without does not follow its grammar (RFC 3261 §8.2: such are ignored).
    #[error("{0}; it is ignored")]
    Ignored(HeaderError),
    /// A line of the head is no header (RFC 3261 §7.3).
    #[error("the line `{line}` is no header: it has no colon")]
    NoHeader {
        /// The line.
        line: String,
    },
    /// The CSeq number is 2³¹ or more (RFC 3261 §8.1.1.5).
    #[error("the CSeq number {0} is not below 2^31")]
    CSeqNumber(u32),
    /// The method of CSeq is not that of the request (RFC 3261 §8.1.1.5).
    #[error("CSeq says {cseq}, the request line {method}")]
    CSeqMethod {
        /// The method of CSeq.
        cseq: Method,
        /// The method of the request line.
        method: Method,
    },
    /// The body is shorter than Content-Length says (RFC 3261 §18.3).
    #[error("the body has {actual} bytes, Content-Length says {announced}")]
    Truncated {
        /// What Content-Length says.
        announced: usize,
        /// Bytes that are there.
        actual: usize,
    },
    /// No empty line ends the head (RFC 3261 §7).
    #[error("no empty line ends the header fields")]
    Unterminated,
    /// A line ends with LF alone (RFC 3261 §7).
    #[error("a line ends without CR")]
    BareLineFeed,
    /// There is a body, but no Content-Type (RFC 3261 §20.15).
    #[error("there is a body but no Content-Type")]
    UntypedBody,
}

impl Problem {
    /// The status with which a server refuses a request for this; `None`: no reason to refuse it. A response with a problem
    /// that would have a status is to be dropped.
    pub fn status(&self) -> Option<u16> {
        match self {
            // RFC 3261 §8.2.2.1
            Problem::Scheme { .. } => Some(416),
            // RFC 3261 §21.5.6
            Problem::Version { .. } => Some(505),
            Problem::NoStartLine
            | Problem::RequestLine
            | Problem::RequestUri(_)
            | Problem::RequestUriHeaders
            | Problem::Missing(_)
            | Problem::Repeated(_)
            | Problem::Malformed(_)
            | Problem::NoHeader { .. }
            | Problem::CSeqNumber(_)
            | Problem::CSeqMethod { .. }
            | Problem::Truncated { .. } => Some(400),
            Problem::Ignored(_) | Problem::Unterminated | Problem::BareLineFeed | Problem::UntypedBody => {
                None
            }
        }
    }
}

/// All rules that a message breaks, in the order of the message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violations(Vec<Problem>);

impl Violations {
    /// The problems.
    pub fn problems(&self) -> &[Problem] {
        &self.0
    }

    /// The first problem for which a message is refused, with the status for a request: the version first, since nothing
    /// is known of a message of another one.
    pub fn refusal(&self) -> Option<(u16, &Problem)> {
        let refusals = || {
            self.0
                .iter()
                .filter_map(|problem| Some((problem.status()?, problem)))
        };
        refusals()
            .find(|(status, _)| *status == 505)
            .or_else(|| refusals().next())
    }
}

impl std::fmt::Display for Violations {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (position, problem) in self.0.iter().enumerate() {
            if position > 0 {
                f.write_str("; ")?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Violations {}

/// Headers that RFC 3261 §20 and its extensions allow once.
const SINGLE: [HeaderName; 10] = [
    HeaderName::From,
    HeaderName::To,
    HeaderName::CallId,
    HeaderName::CSeq,
    HeaderName::MaxForwards,
    HeaderName::ContentLength,
    HeaderName::ContentType,
    HeaderName::Expires,
    HeaderName::Event,
    HeaderName::ReferTo,
];

/// The same, a bit for each.
const SINGLES: u128 = {
    let (mut set, mut at) = (0, 0);
    while at < SINGLE.len() {
        set |= SINGLE[at].id().bit();
        at += 1;
    }
    set
};

impl Message {
    /// Checks the rules of RFC 3261 that concern the message alone.
    ///
    /// # Errors
    ///
    /// The rules that it breaks. Not all are a reason to refuse it: [`Violations::refusal`].
    pub fn validate(&self) -> Result<(), Violations> {
        let mut check = Check {
            message: self,
            problems: Vec::new(),
        };
        check.start_line();
        check.lines();
        check.mandatory();
        check.singles();
        check.needed::<MaxForwards>();
        check.needed::<ContentType>();
        check.needed_tokens::<Require>();
        check.addresses(HeaderName::Route);
        check.addresses(HeaderName::RecordRoute);
        check.contacts();
        check.ignorable::<Expires>();
        check.ignorable::<MinExpires>();
        check.ignorable_tokens::<Allow>();
        check.ignorable_tokens::<Supported>();
        check.body();
        if check.problems.is_empty() {
            Ok(())
        } else {
            Err(Violations(check.problems))
        }
    }

    /// Whether the start line is one to act on, every other line a header field, and none there twice that may be there once: what
    /// [`Message::validate`] finds without parsing a value.
    pub fn has_sound_lines(&self) -> bool {
        let mut check = Check {
            message: self,
            problems: Vec::new(),
        };
        check.start_line();
        let fields = &self.index().fields;
        check.problems.is_empty() && !fields.iter().any(|field| field.name.is_empty()) && !self.repeats()
    }

    /// Whether a header that may occur once occurs more often.
    fn repeats(&self) -> bool {
        let mut seen = 0;
        self.index().fields.iter().any(|field| {
            let single = SINGLES & field.id.bit();
            let again = seen & single != 0;
            seen |= single;
            again
        })
    }

    /// The body length that Content-Length announces; `None` without a readable one.
    pub(crate) fn announced_length(&self) -> Option<usize> {
        self.typed::<crate::header::ContentLength>()
            .ok()
            .flatten()
            .and_then(|length| usize::try_from(length.0).ok())
    }
}

struct Check<'a> {
    message: &'a Message,
    problems: Vec<Problem>,
}

impl Check<'_> {
    fn start_line(&mut self) {
        let version = match &self.message.index().start {
            Start::Request { version, exact, .. } => {
                let (version, exact) = (*version, *exact);
                if !exact {
                    self.problems.push(Problem::RequestLine);
                }
                self.request_uri();
                version
            }
            Start::Response { version, .. } => *version,
            Start::Neither => {
                self.problems.push(Problem::NoStartLine);
                return;
            }
        };
        let version = self.message.text(version);
        // RFC 3261 §7.1: "the SIP-Version string is case-insensitive".
        if !version.eq_ignore_ascii_case("SIP/2.0") {
            self.problems.push(Problem::Version {
                version: version.into_owned(),
            });
        }
    }

    fn request_uri(&mut self) {
        match self.message.request_uri() {
            Ok(uri) if is_supported(&uri) => {
                if uri.headers().is_some() {
                    self.problems.push(Problem::RequestUriHeaders);
                }
            }
            Ok(uri) => self.problems.push(Problem::Scheme {
                scheme: uri.scheme().as_str().to_owned(),
            }),
            Err(error) => self.problems.push(Problem::RequestUri(error)),
        }
    }

    fn lines(&mut self) {
        let index = self.message.index();
        for field in index.fields.iter().filter(|field| field.name.is_empty()) {
            self.problems.push(Problem::NoHeader {
                line: self.message.text(field.value).into_owned(),
            });
        }
        if !index.crlf {
            self.problems.push(Problem::BareLineFeed);
        }
        if !index.terminated {
            self.problems.push(Problem::Unterminated);
        }
    }

    /// RFC 3261 §8.1.1: To, From, CSeq, Call-ID, Max-Forwards and Via. Max-Forwards is forgiven: RFC 2543 had none.
    fn mandatory(&mut self) {
        let message = self.message;
        let mut vias = message.vias().peekable();
        if vias.peek().is_none() {
            self.problems.push(Problem::Missing(HeaderName::Via));
        }
        for error in vias.filter_map(Result::err) {
            self.error(error);
        }
        for error in [message.from().err(), message.to().err(), message.call_id().err()]
            .into_iter()
            .flatten()
        {
            self.error(error);
        }
        match message.cseq() {
            Ok(cseq) => {
                if cseq.number >= 1 << 31 {
                    self.problems.push(Problem::CSeqNumber(cseq.number));
                }
                if let Start::Request { method, .. } = &message.index().start
                    && *method != cseq.method
                {
                    self.problems.push(Problem::CSeqMethod {
                        cseq: cseq.method,
                        method: method.clone(),
                    });
                }
            }
            Err(error) => self.error(error),
        }
    }

    fn singles(&mut self) {
        if !self.message.repeats() {
            return;
        }
        for name in &SINGLE {
            let (fields, id) = (&self.message.index().fields, name.id());
            if fields.iter().filter(|field| field.id == id).count() > 1 {
                self.problems.push(Problem::Repeated(name.clone()));
            }
        }
    }

    fn needed<T: Header>(&mut self) {
        if let Err(error) = self.message.typed::<T>() {
            self.error(error);
        }
    }

    fn ignorable<T: Header>(&mut self) {
        if let Err(error) = self.message.typed::<T>() {
            self.problems.push(Problem::Ignored(error));
        }
    }

    fn needed_tokens<T: Header>(&mut self) {
        if !self.are_tokens(T::NAME) {
            self.needed::<T>();
        }
    }

    fn ignorable_tokens<T: Header>(&mut self) {
        if !self.are_tokens(T::NAME) {
            self.ignorable::<T>();
        }
    }

    /// Whether a list has nothing but tokens: then there is nothing to find by parsing it.
    fn are_tokens(&self, name: HeaderName) -> bool {
        self.message
            .values(name)
            .all(|element| grammar::is_token(&element))
    }

    fn addresses(&mut self, name: HeaderName) {
        for error in self.message.addresses(name).filter_map(Result::err) {
            self.error(error);
        }
    }

    fn contacts(&mut self) {
        for error in self.message.contacts().filter_map(Result::err) {
            self.error(error);
        }
    }

    fn body(&mut self) {
        let actual = self.message.raw().len() - self.message.index().body_start();
        match self.message.typed::<crate::header::ContentLength>() {
            Ok(Some(length)) if length.0 as usize > actual => {
                self.problems.push(Problem::Truncated {
                    announced: length.0 as usize,
                    actual,
                });
            }
            Ok(_) => {}
            Err(error) => self.error(error),
        }
        if actual > 0 && !self.message.has_header(HeaderName::ContentType) {
            self.problems.push(Problem::UntypedBody);
        }
    }

    fn error(&mut self, error: HeaderError) {
        self.problems.push(match error {
            HeaderError::Missing { name } => Problem::Missing(name),
            malformed @ HeaderError::Malformed { .. } => Problem::Malformed(malformed),
        });
    }
}

fn is_supported(uri: &Uri) -> bool {
    matches!(uri.scheme(), Scheme::Sip | Scheme::Sips | Scheme::Tel)
}
