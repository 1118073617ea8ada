//! SIP out of the streams of connections (RFC 3261 §18.3).

use std::borrow::Cow;
use std::collections::BTreeMap;

use callwright_sip_message::{Frame, FrameError, Framer, Limits, Message};

use crate::read::segments::{Delivery, Way};

/// So much of a stream is searched for the start of a message before it is taken for something else.
const SEARCHED: usize = 16_384;
/// So many starts in one segment may turn out to be none; the rest of it is passed over.
const STARTS: usize = 64;

/// What a stream brought.
#[derive(Debug)]
pub(crate) enum Piece {
    Message(Message),
    KeepAlive,
    /// What should be a message is none.
    Broken(String),
}

/// What is told of all connections.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct TalkCounts {
    pub(crate) tls: u64,
    pub(crate) missing: u64,
    pub(crate) unframed: u64,
    pub(crate) forgotten: u64,
}

/// Every direction of every connection that may carry SIP.
#[derive(Debug)]
pub(crate) struct Talks {
    open: BTreeMap<Way, Talk>,
    order: BTreeMap<u64, Way>,
    next: u64,
    limit: usize,
    pub(crate) counts: TalkCounts,
}

#[derive(Debug)]
struct Talk {
    number: u64,
    state: State,
    /// Messages came of it.
    is_sip: bool,
    /// Nothing came of it yet.
    is_fresh: bool,
}

#[derive(Debug)]
enum State {
    /// A message begins here, or goes on.
    Framing(Box<Framer>),
    /// Looking for where one begins.
    Searching(Search),
    /// TLS, or another protocol.
    Foreign { tls: bool },
}

/// Bytes in which no message begins so far.
#[derive(Debug, Default)]
struct Search {
    held: Vec<u8>,
    /// Where the last line begins, whose end has not come.
    line: usize,
    /// Up to here there is no end of it.
    searched: usize,
}

impl Talks {
    pub(crate) fn new(limit: usize) -> Self {
        Talks {
            open: BTreeMap::new(),
            order: BTreeMap::new(),
            next: 0,
            limit,
            counts: TalkCounts::default(),
        }
    }

    /// Takes what came on a connection; what was found goes to `found`.
    pub(crate) fn take(&mut self, way: Way, delivery: &Delivery<'_>, found: &mut Vec<Piece>) {
        match delivery {
            Delivery::Start => self.begin(way, State::Framing(Box::new(Framer::new(Limits::default())))),
            Delivery::Midway => self.begin(way, State::Searching(Search::default())),
            Delivery::Missing(count) => {
                if let Some(talk) = self.open.get_mut(&way)
                    && !matches!(talk.state, State::Foreign { .. })
                {
                    if talk.is_sip {
                        self.counts.missing += count;
                    }
                    talk.state = State::Searching(Search::default());
                }
            }
            Delivery::Bytes(bytes) => self.read(way, bytes, found),
        }
    }

    fn begin(&mut self, way: Way, state: State) {
        if let Some(before) = self.open.remove(&way) {
            self.order.remove(&before.number);
        }
        if self.open.len() >= self.limit
            && let Some((_, oldest)) = self.order.pop_first()
        {
            self.open.remove(&oldest);
            self.counts.forgotten += 1;
        }
        self.next += 1;
        self.order.insert(self.next, way);
        let talk = Talk {
            number: self.next,
            state,
            is_sip: false,
            is_fresh: true,
        };
        self.open.insert(way, talk);
    }

    fn read(&mut self, way: Way, bytes: &[u8], found: &mut Vec<Piece>) {
        let back = (way.1, way.0);
        let back_is_tls = || {
            matches!(
                self.open.get(&back).map(|talk| &talk.state),
                Some(State::Foreign { tls: true })
            )
        };
        let fresh_tls = self.open.get(&way).is_some_and(|talk| talk.is_fresh) && looks_like_tls(bytes);
        if fresh_tls && !back_is_tls() {
            self.counts.tls += 1;
        }
        let Some(talk) = self.open.get_mut(&way) else {
            return;
        };
        talk.is_fresh = false;
        if fresh_tls {
            talk.state = State::Foreign { tls: true };
        }
        talk.read(bytes, &mut self.counts, found);
    }
}

impl Talk {
    fn read(&mut self, bytes: &[u8], counts: &mut TalkCounts, found: &mut Vec<Piece>) {
        let mut rest = Cow::Borrowed(bytes);
        let mut starts = 0;
        loop {
            match &mut self.state {
                State::Foreign { .. } => return,
                State::Framing(framer) => {
                    framer.push(&rest);
                    let Some((error, unread)) = take_frames(framer, &mut self.is_sip, found) else {
                        return;
                    };
                    if !self.survives(error, found) {
                        return;
                    }
                    // Where the broken message starts in what came last, one byte must be left out, or it is found again.
                    let last = &rest[rest.len() - unread.min(rest.len())..];
                    let again = usize::from(unread <= rest.len()).min(last.len());
                    counts.unframed += (unread - last.len() + again) as u64;
                    rest = Cow::Owned(last[again..].to_vec());
                    self.state = State::Searching(Search::default());
                    starts += 1;
                    if starts == STARTS {
                        counts.unframed += rest.len() as u64;
                        return;
                    }
                }
                State::Searching(search) => {
                    search.held.extend_from_slice(&rest);
                    if !search.find_start() {
                        self.keep_searching(counts);
                        return;
                    }
                    if self.is_sip {
                        counts.unframed += search.line as u64;
                    }
                    rest = Cow::Owned(search.held.split_off(search.line));
                    self.state = State::Framing(Box::new(Framer::new(Limits::default())));
                }
            }
        }
    }

    /// What stands in the stream is no message; whether the next one is worth being looked for.
    fn survives(&mut self, error: FrameError, found: &mut Vec<Piece>) -> bool {
        match error {
            // RFC 3261 §18.3 wants a Content-Length on streams; without it the head is known, and no more.
            FrameError::ContentLength(message) => {
                self.is_sip = true;
                found.push(Piece::Message(message));
            }
            error if self.is_sip => found.push(Piece::Broken(error.to_string())),
            _ => {}
        }
        if !self.is_sip {
            self.state = State::Foreign { tls: false };
        }
        self.is_sip
    }

    /// No message begins in what is held: the start line may be there in part.
    fn keep_searching(&mut self, counts: &mut TalkCounts) {
        let State::Searching(search) = &mut self.state else {
            return;
        };
        if self.is_sip {
            counts.unframed += search.pass() as u64;
        } else if search.held.len() > SEARCHED {
            self.state = State::Foreign { tls: false };
        }
    }
}

impl Search {
    /// Moves `line` to where a whole start line begins. Every byte is looked at once.
    fn find_start(&mut self) -> bool {
        let ends = |byte: &u8| *byte == b'\n';
        while let Some(found) = self.held[self.searched..].iter().position(ends) {
            let end = self.searched + found + 1;
            if is_start_line(&self.held[self.line..end]) {
                return true;
            }
            (self.line, self.searched) = (end, end);
        }
        self.searched = self.held.len();
        false
    }

    /// Lets go of whole lines, and of one that is too long; gives how many bytes that was.
    fn pass(&mut self) -> usize {
        let passed = self.line.max(self.held.len().saturating_sub(SEARCHED));
        self.held.drain(..passed);
        (self.line, self.searched) = (0, self.held.len());
        passed
    }
}

/// Takes all frames; after an error, how many bytes the framer held before it.
fn take_frames(
    framer: &mut Framer,
    is_sip: &mut bool,
    found: &mut Vec<Piece>,
) -> Option<(FrameError, usize)> {
    loop {
        let held = framer.buffered();
        match framer.next()? {
            Ok(Frame::Message(message)) => {
                *is_sip = true;
                found.push(Piece::Message(message));
            }
            Ok(Frame::Ping | Frame::Pong) => found.push(Piece::KeepAlive),
            Err(error) => return Some((error, held)),
        }
    }
}

/// RFC 8446 §5.1: a record of a known type, of a version that begins with 3.
fn looks_like_tls(bytes: &[u8]) -> bool {
    matches!(bytes, [20..=23, 3, 0..=4, ..])
}

/// `SIP/2.0 200 …`, or a line that ends in ` SIP/2.0`.
fn is_start_line(line: &[u8]) -> bool {
    line.starts_with(b"SIP/2.0 ") || line.strip_suffix(b"SIP/2.0\r\n").is_some_and(is_request_line)
}

/// RFC 3261 §7.1: a token, a blank, a URI, a blank.
fn is_request_line(before_version: &[u8]) -> bool {
    let mut words = before_version.split(|byte| *byte == b' ');
    let (Some(method), Some(uri), Some(b""), None) = (words.next(), words.next(), words.next(), words.next())
    else {
        return false;
    };
    !method.is_empty() && method.iter().all(u8::is_ascii_alphanumeric) && uri.contains(&b':')
}
