//! A SIP message with what the rules ask of it, read once.

use std::borrow::Cow;
use std::net::SocketAddr;

use callwright_sdp::Session;
use callwright_sip_message::{CSeq, HeaderName, Message, Method, SmolStr, StartLine, Uri, Via};
use callwright_wire::{Fate, TapRecord, Time};

use super::ledger::Blame;

/// Whether a datagram reached its receiver, as far as the network tells.
pub(crate) fn arrives(fate: Fate) -> bool {
    !matches!(fate, Fate::Lost)
}

/// A message on its way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Passage {
    pub(crate) time: Time,
    pub(crate) source: SocketAddr,
    pub(crate) destination: SocketAddr,
    pub(crate) party: u32,
    /// Over a stream.
    pub(crate) reliable: bool,
    pub(crate) secure: bool,
    pub(crate) arrives: bool,
}

impl Passage {
    pub(crate) fn of(record: &TapRecord, reliable: bool, secure: bool) -> Self {
        Passage {
            time: record.time,
            source: record.source,
            destination: record.destination,
            party: record.party,
            reliable,
            secure,
            arrives: arrives(record.fate),
        }
    }
}

/// A message whose headers that every message needs were readable.
#[derive(Debug)]
pub(crate) struct Heard<'a> {
    pub(crate) message: &'a Message,
    pub(crate) passage: Passage,
    /// Of a response that of CSeq.
    pub(crate) method: Method,
    pub(crate) status: Option<u16>,
    pub(crate) via: Via,
    pub(crate) vias: usize,
    pub(crate) branch: SmolStr,
    pub(crate) cseq: CSeq,
    pub(crate) call_id: SmolStr,
    pub(crate) from_tag: Option<SmolStr>,
    pub(crate) to_tag: Option<SmolStr>,
    /// The session description in the body, if there is one.
    pub(crate) description: Option<Session>,
}

impl<'a> Heard<'a> {
    /// `None` where a header is missing or malformed without which a message belongs nowhere.
    pub(crate) fn read(message: &'a Message, passage: Passage) -> Option<Heard<'a>> {
        let cseq = message.cseq().ok()?;
        let via = message.via().ok()?;
        let method = match message.start() {
            StartLine::Request { method, .. } => method,
            StartLine::Response { .. } => cseq.method.clone(),
            StartLine::Neither => return None,
        };
        Some(Heard {
            passage,
            method,
            status: message.status(),
            vias: message.values(HeaderName::Via).count(),
            branch: SmolStr::new(via.branch().unwrap_or_default()),
            via,
            cseq,
            call_id: SmolStr::new(message.header(HeaderName::CallId)?),
            from_tag: tag_of(&message.header(HeaderName::From)?),
            to_tag: tag_of(&message.header(HeaderName::To)?),
            description: describe_session(message),
            message,
        })
    }

    pub(crate) fn request_uri(&self) -> Option<Uri> {
        self.message.request_uri().ok()
    }

    /// The URI of the first Contact.
    pub(crate) fn contact(&self) -> Option<String> {
        Some(self.message.contact()?.uri.to_string())
    }

    /// The URIs of a header that lists addresses.
    pub(crate) fn uris(&self, name: HeaderName) -> Vec<String> {
        let addresses = self.message.addresses(name);
        addresses
            .filter_map(|address| Some(address.ok()?.uri.to_string()))
            .collect()
    }

    pub(crate) fn blame(&self, detail: impl Into<String>, reference: &'static str) -> Blame {
        Blame {
            at: self.passage.time,
            party: self.passage.party,
            message: describe(self.message, &self.passage),
            detail: detail.into(),
            call_id: Some(self.call_id.clone()),
            reference,
        }
    }
}

fn describe_session(message: &Message) -> Option<Session> {
    let body = message.body();
    if body.is_empty() || !message.has_content_type("application/sdp") {
        return None;
    }
    Session::parse(&body).ok()
}

/// The tag parameter of a From or To, without parsing the address.
pub(crate) fn tag_of(value: &str) -> Option<SmolStr> {
    let params = value.rfind('>').map_or(value, |at| &value[at + 1..]);
    params.split(';').skip(1).find_map(|param| {
        let (name, tag) = param.split_once('=')?;
        let tag = tag.trim();
        (name.trim().eq_ignore_ascii_case("tag") && !tag.is_empty()).then(|| SmolStr::new(tag))
    })
}

/// A message in one line.
pub(crate) fn describe(message: &Message, passage: &Passage) -> String {
    let first = match message.start() {
        StartLine::Request { method, uri } => format!("{method} {uri}"),
        StartLine::Response { status, reason } => format!("{status} {reason}"),
        StartLine::Neither => "what is no SIP message".to_owned(),
    };
    let header = |name| message.header(name).unwrap_or(Cow::Borrowed("none"));
    format!(
        "{first}, Call-ID {}, CSeq {}, {} → {}",
        header(HeaderName::CallId),
        header(HeaderName::CSeq),
        passage.source,
        passage.destination
    )
}
