//! Messages out of a byte stream (RFC 3261 §18.3, RFC 5626 §4.4.1).

use bytes::{Buf, BytesMut};

use crate::limits::{LimitExceeded, Limits, within};
use crate::message::{Message, ParseError, find_head_end};

/// What was found in the stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    /// A message.
    Message(Message),
    /// CRLF CRLF between messages: the peer wants a CRLF back (RFC 5626 §4.4.1).
    Ping,
    /// CRLF between messages: the answer to a ping, a line end too many, or the first half of a ping whose second half has not
    /// come yet ([`Frame::Ping`] follows then).
    Pong,
}

/// Why no more messages can be found in the stream. The connection is to be closed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// What stands where a message should begin is none, or it exceeds a limit.
    #[error("the stream has no SIP message where one should begin: {0}")]
    Parse(#[from] ParseError),
    /// The message has no readable Content-Length, so its end cannot be found (RFC 3261 §20.14). A request can still be answered.
    #[error("the message has no readable Content-Length, so the next one cannot be found")]
    ContentLength(Message),
}

impl From<LimitExceeded> for FrameError {
    fn from(error: LimitExceeded) -> Self {
        FrameError::Parse(ParseError::Limit(error))
    }
}

/// Cuts a byte stream into messages. After each [`Framer::push`] call [`Framer::next`] until it returns `None`; what is kept then
/// is less than one message, bounded by the limits.
#[derive(Debug)]
pub struct Framer {
    limits: Limits,
    buffer: BytesMut,
    state: State,
    /// Whether the last frame was a CRLF that was the last of what had come: another one would make it a ping.
    half_ping: bool,
}

#[derive(Debug, Clone, Copy)]
enum State {
    /// Between messages, or in a head without an end in the first `searched` bytes.
    Head { searched: usize },
    /// The message is this long.
    Body { length: usize },
    /// An error was returned: nothing more comes.
    Failed,
}

impl Framer {
    /// A framer at the start of a stream.
    pub fn new(limits: Limits) -> Framer {
        Framer {
            limits,
            buffer: BytesMut::new(),
            state: State::Head { searched: 0 },
            half_ping: false,
        }
    }

    /// Takes bytes from the stream. After an error they are dropped.
    pub fn push(&mut self, bytes: impl AsRef<[u8]>) {
        if !matches!(self.state, State::Failed) {
            self.buffer.extend_from_slice(bytes.as_ref());
        }
    }

    /// Bytes held that are not yet a message.
    pub fn buffered(&self) -> usize {
        self.buffer.len()
    }

    /// The next frame; `None` when more bytes are needed. After an error only `None`.
    #[expect(
        clippy::should_implement_trait,
        reason = "`None` is not the end: more bytes may come"
    )]
    pub fn next(&mut self) -> Option<Result<Frame, FrameError>> {
        let frame = self.advance().transpose();
        if let Some(Err(_)) = frame {
            self.state = State::Failed;
            self.buffer = BytesMut::new();
        }
        frame
    }

    fn advance(&mut self) -> Result<Option<Frame>, FrameError> {
        if let State::Head { searched } = self.state {
            if let Some(frame) = self.take_keep_alive(searched) {
                return Ok(Some(frame));
            }
            let Some(length) = self.find_length(searched)? else {
                return Ok(None);
            };
            self.state = State::Body { length };
        }
        match self.state {
            State::Body { length } if self.buffer.len() >= length => {
                self.state = State::Head { searched: 0 };
                let bytes = self.buffer.split_to(length).freeze();
                Ok(Some(Frame::Message(Message::parse(bytes, &self.limits)?)))
            }
            State::Head { .. } | State::Body { .. } | State::Failed => Ok(None),
        }
    }

    /// Line ends before a message.
    fn take_keep_alive(&mut self, searched: usize) -> Option<Frame> {
        if searched > 0 {
            return None;
        }
        let (length, frame) = match self.buffer[..] {
            [] | [b'\r'] => return None,
            [b'\r', b'\n', ..] if self.half_ping => (2, Frame::Ping),
            [b'\r', b'\n', b'\r', b'\n', ..] => (4, Frame::Ping),
            [b'\r', b'\n', ..] => (2, Frame::Pong),
            [b'\n', ..] => (1, Frame::Pong),
            _ => {
                self.half_ping = false;
                return None;
            }
        };
        self.buffer.advance(length);
        // RFC 5626 §4.4.1: a ping is two CRLF. When only the first has come it looks like a pong, which does no harm, and is
        // reported at once, since of a true pong nothing more comes.
        self.half_ping = length == 2 && frame == Frame::Pong && self.buffer.len() < 2;
        Some(frame)
    }

    /// The length of the message at the start of the buffer, once its head is there.
    fn find_length(&mut self, searched: usize) -> Result<Option<usize>, FrameError> {
        let Some(head) = find_head_end(&self.buffer, searched) else {
            within("head", self.limits.head, self.buffer.len())?;
            // The empty line can begin with the last three bytes.
            self.state = State::Head {
                searched: self.buffer.len().saturating_sub(3),
            };
            return Ok(None);
        };
        within("head", self.limits.head, head)?;
        let message = Message::parse(bytes::Bytes::copy_from_slice(&self.buffer[..head]), &self.limits)?;
        let Some(length) = message.announced_length() else {
            return Err(FrameError::ContentLength(message));
        };
        within("body", self.limits.body, length)?;
        within("message", self.limits.message, head + length)?;
        Ok(Some(head + length))
    }
}
