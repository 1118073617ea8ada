//! Legs while the capture is read: everything with one Call-ID that an INVITE began.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use callwright_sdp::{Direction, Session};
use callwright_sip_message::{HeaderName, Method, SmolStr};
use callwright_wire::Time;

use super::addresses::Addresses;
use super::call::{Digit, DigitBy, MediaLine, RowKind, Side};
use super::config::AnalysisConfig;
use super::said::{Said, short};
use super::summary::Dropped;

/// Messages of one leg that are remembered to tell that they are sent again.
const REMEMBERED: usize = 4_096;
/// Offers of one leg that may be open.
const OFFERS: usize = 64;
/// Addresses that one INVITE may reach.
const REACHED: usize = 64;
/// Header values of an INVITE that may name another call.
const VALUES: usize = 16;
/// A value that names a call is not longer.
const VALUE: usize = 256;
/// Media descriptions of a session that are looked at.
const LINES: usize = 16;
/// Packets that are kept as evidence for one thing.
pub(crate) const EVIDENCE: usize = 16;
/// Digits of one leg by INFO.
const DIGITS: usize = 4_096;

/// All legs.
#[derive(Debug, Default)]
pub(crate) struct Legs {
    pub(crate) all: Vec<LegState>,
    by_call_id: BTreeMap<SmolStr, usize>,
    rows: usize,
    text_bytes: usize,
}

/// A row of a ladder, between addresses.
#[derive(Clone, Debug)]
pub(crate) struct RowState {
    pub(crate) at: Time,
    pub(crate) packet: u64,
    pub(crate) from: SocketAddr,
    pub(crate) to: SocketAddr,
    pub(crate) kind: RowKind,
    pub(crate) summary: Box<str>,
    pub(crate) cseq: Box<str>,
    pub(crate) again: bool,
    pub(crate) comment: Option<Box<str>>,
    pub(crate) text: Option<Box<str>>,
}

/// A final response.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) at: Time,
    pub(crate) packet: u64,
    pub(crate) status: u16,
    pub(crate) reason: String,
}

/// A BYE.
#[derive(Clone, Debug)]
pub(crate) struct Bye {
    pub(crate) at: Time,
    pub(crate) packet: u64,
    pub(crate) by: Side,
    branch: SmolStr,
    source: SocketAddr,
    pub(crate) answer: Option<Answer>,
}

/// A leg, as far as it was seen.
#[derive(Debug)]
pub(crate) struct LegState {
    pub(crate) call_id: SmolStr,
    pub(crate) caller: String,
    pub(crate) callee: String,
    pub(crate) caller_user: Option<String>,
    pub(crate) dialled: String,
    pub(crate) client: SocketAddr,
    pub(crate) server: SocketAddr,
    pub(crate) transport: &'static str,
    pub(crate) started: Time,
    pub(crate) first_packet: u64,
    /// It began before the capture.
    pub(crate) begun_before: bool,
    caller_tag: Option<SmolStr>,
    /// Via values of the INVITE on the caller's hop: a response with as many has come there.
    vias: usize,
    /// The CSeq number of the last INVITE that is none inside a dialog.
    invite: u32,
    pub(crate) responded: Option<Time>,
    pub(crate) ringing: Option<Time>,
    pub(crate) answered: Option<Answer>,
    /// The last final response of the caller's INVITEs.
    pub(crate) last_final: Option<Answer>,
    pub(crate) cancelled: Option<Time>,
    pub(crate) acknowledged: bool,
    pub(crate) byes: Vec<Bye>,
    /// Where copies of the INVITE went: server, proxies, callees.
    pub(crate) reached: BTreeSet<SocketAddr>,
    /// Values of headers of the INVITE that may be the Call-ID of another leg, by name.
    pub(crate) values: Vec<(SmolStr, SmolStr)>,
    pub(crate) media: Vec<MediaLine>,
    descriptions: [Option<Session>; 2],
    /// Who made the offer that a request with this number carries.
    offers: BTreeMap<(Side, u32), Side>,
    /// Who made an offer in a response, which ACK or PRACK answers.
    late_offer: Option<Side>,
    seen: BTreeSet<u64>,
    pub(crate) rows: Vec<RowState>,
    pub(crate) rows_dropped: u64,
    pub(crate) messages: u64,
    pub(crate) again: u64,
    pub(crate) again_packets: Vec<u64>,
    pub(crate) digits: Vec<Digit>,
    pub(crate) last: Time,
}

impl Legs {
    pub(crate) fn of(&self, call_id: &str) -> Option<usize> {
        self.by_call_id.get(call_id).copied()
    }

    /// Takes a message; gives its leg.
    pub(crate) fn hear(
        &mut self,
        said: &Said<'_>,
        config: &AnalysisConfig,
        addresses: &mut Addresses,
        dropped: &mut Dropped,
    ) -> Option<usize> {
        let is_invite = said.heard.status.is_none() && said.heard.method == Method::Invite;
        let place = match self.of(&said.heard.call_id) {
            Some(place) => place,
            None if !is_invite => return None,
            None if self.all.len() >= config.max_legs => {
                dropped.legs += 1;
                return None;
            }
            None => {
                self.by_call_id.insert(said.heard.call_id.clone(), self.all.len());
                self.all.push(LegState::begin(said));
                self.all.len() - 1
            }
        };
        let leg = &mut self.all[place];
        let again = leg.hear(said);
        if let Some(session) = &said.heard.description {
            let side = leg.sender(said);
            leg.describe(said, session, side);
            addresses.describe(place, side, session, said.at());
        }
        if self.rows >= config.max_all_rows || leg.rows.len() >= config.max_rows {
            leg.rows_dropped += 1;
            dropped.rows += 1;
        } else {
            self.rows += 1;
            let length = said.message().raw().len();
            let keep_text = config.keep_text && self.text_bytes + length <= config.max_text_bytes;
            if keep_text {
                self.text_bytes += length;
            } else if config.keep_text {
                dropped.texts += 1;
            }
            leg.add_row(said, again, keep_text);
        }
        Some(place)
    }
}

impl LegState {
    fn begin(said: &Said<'_>) -> Self {
        let message = said.message();
        let begun_before = said.heard.to_tag.is_some();
        let dialled = said
            .heard
            .request_uri()
            .map_or_else(String::new, |uri| short(uri.to_string()));
        let user = message
            .from()
            .ok()
            .and_then(|from| from.uri.user().map(str::to_owned));
        LegState {
            call_id: said.heard.call_id.clone(),
            caller: said.uri(HeaderName::From),
            callee: said.uri(HeaderName::To),
            caller_user: user,
            dialled,
            client: said.source(),
            server: said.destination(),
            transport: said.transport,
            started: said.at(),
            first_packet: said.packet,
            begun_before,
            caller_tag: said.heard.from_tag.clone(),
            vias: said.heard.vias,
            invite: said.heard.cseq.number,
            responded: None,
            ringing: None,
            answered: None,
            last_final: None,
            cancelled: None,
            acknowledged: false,
            byes: Vec::new(),
            reached: BTreeSet::new(),
            values: values_of(said),
            media: Vec::new(),
            descriptions: [None, None],
            offers: BTreeMap::new(),
            late_offer: None,
            seen: BTreeSet::new(),
            rows: Vec::new(),
            rows_dropped: 0,
            messages: 0,
            again: 0,
            again_packets: Vec::new(),
            digits: Vec::new(),
            last: said.at(),
        }
    }

    /// Who sent a message.
    fn sender(&self, said: &Said<'_>) -> Side {
        let from_caller = said.heard.from_tag == self.caller_tag;
        match (said.heard.status.is_some(), from_caller) {
            (false, true) | (true, false) => Side::Caller,
            (false, false) | (true, true) => Side::Callee,
        }
    }

    /// True when the message was sent again.
    fn hear(&mut self, said: &Said<'_>) -> bool {
        self.last = self.last.max(said.at());
        self.messages += 1;
        let fingerprint = said.fingerprint();
        if !self.seen.insert(fingerprint) {
            self.again += 1;
            if self.again_packets.len() < EVIDENCE {
                self.again_packets.push(said.packet);
            }
            return true;
        }
        if self.seen.len() > REMEMBERED {
            self.seen.pop_first();
        }
        match said.heard.status {
            None => self.request(said),
            Some(status) => self.response(said, status),
        }
        false
    }

    fn request(&mut self, said: &Said<'_>) {
        match said.heard.method {
            Method::Invite if said.heard.to_tag.is_none() => {
                if said.heard.vias <= self.vias {
                    self.vias = said.heard.vias;
                    self.invite = said.heard.cseq.number;
                }
                if self.reached.len() < REACHED {
                    self.reached.insert(said.destination());
                }
            }
            Method::Ack if self.answered.is_some() => self.acknowledged = true,
            Method::Cancel => {
                self.cancelled.get_or_insert(said.at());
            }
            Method::Bye if self.byes.len() < EVIDENCE => self.byes.push(Bye {
                at: said.at(),
                packet: said.packet,
                by: self.sender(said),
                branch: said.heard.branch.clone(),
                source: said.source(),
                answer: None,
            }),
            Method::Info => self.info(said),
            _ => {}
        }
    }

    fn response(&mut self, said: &Said<'_>, status: u16) {
        let answer = || Answer {
            at: said.at(),
            packet: said.packet,
            status,
            reason: said.reason().unwrap_or_default(),
        };
        match said.heard.method {
            Method::Invite if said.heard.from_tag == self.caller_tag && said.heard.vias == self.vias => {
                self.responded.get_or_insert(said.at());
                let is_first = said.heard.cseq.number == self.invite;
                match status {
                    ..=100 => {}
                    101..=199 => {
                        self.ringing.get_or_insert(said.at());
                    }
                    200..=299 if self.answered.is_none() => {
                        self.answered = Some(answer());
                        self.last_final = Some(answer());
                    }
                    // What becomes of a re-INVITE is not what becomes of the call.
                    200.. if is_first && self.answered.is_none() => self.last_final = Some(answer()),
                    200.. => {}
                }
            }
            Method::Bye if status >= 200 => {
                let bye = self.byes.iter_mut().find(|bye| {
                    bye.branch == said.heard.branch
                        && bye.source == said.destination()
                        && bye.answer.is_none()
                });
                if let Some(bye) = bye {
                    bye.answer = Some(answer());
                    // Nothing is agreed on any more.
                    self.descriptions = [None, None];
                    self.offers.clear();
                }
            }
            _ => {}
        }
    }

    /// Digits in INFO: `Signal=5` in application/dtmf-relay, the digit alone in application/dtmf.
    fn info(&mut self, said: &Said<'_>) {
        let message = said.message();
        let body = message.body();
        let text = String::from_utf8_lossy(&body);
        let (signal, duration) = if message.has_content_type("application/dtmf-relay") {
            let field = |name: &str| {
                text.lines().find_map(|line| {
                    let (key, value) = line.split_once('=')?;
                    key.trim()
                        .eq_ignore_ascii_case(name)
                        .then(|| value.trim().to_owned())
                })
            };
            (
                field("signal"),
                field("duration").and_then(|value| value.parse().ok()),
            )
        } else if message.has_content_type("application/dtmf") {
            (Some(text.trim().to_owned()), None)
        } else {
            return;
        };
        let digit = match signal.as_deref() {
            Some("10") => Some('*'),
            Some("11") => Some('#'),
            Some(signal) => signal.chars().next().map(|digit| digit.to_ascii_uppercase()),
            None => None,
        };
        if let Some(digit) = digit.filter(|digit| "0123456789*#ABCD".contains(*digit))
            && self.digits.len() < DIGITS
        {
            self.digits.push(Digit {
                digit,
                at: said.at(),
                packet: said.packet,
                duration_ms: duration,
                by: DigitBy::Info,
                from: Some(self.sender(said)),
                leg: None,
            });
        }
    }

    /// A session description: an offer, or the answer to one (RFC 3264 §4, RFC 3261 §13.2.1, RFC 3262 §5, RFC 3311 §5.1).
    fn describe(&mut self, said: &Said<'_>, session: &Session, side: Side) {
        let number = said.heard.cseq.number;
        let offerer = match (said.heard.status, &said.heard.method) {
            (None, Method::Ack | Method::Prack) if self.late_offer == Some(side.other()) => {
                self.late_offer = None;
                side.other()
            }
            (None, Method::Ack) => return,
            (None, _) => {
                if self.offers.len() >= OFFERS {
                    self.offers.pop_first();
                }
                self.offers.insert((side, number), side);
                side
            }
            (Some(300..), _) => return,
            (Some(_), _) if self.offers.contains_key(&(side.other(), number)) => side.other(),
            (Some(_), _) => {
                self.late_offer = Some(side);
                side
            }
        };
        self.descriptions[side as usize] = Some(essence(session));
        self.agree(offerer, side);
    }

    fn agree(&mut self, offerer: Side, said_by: Side) {
        let [caller, callee] = &self.descriptions;
        let lines = [caller, callee]
            .into_iter()
            .flatten()
            .map(|session| session.media.len())
            .max()
            .unwrap_or(0);
        let is_answer = offerer != said_by;
        self.media.resize_with(lines, MediaLine::default);
        for (index, line) in self.media.iter_mut().enumerate() {
            let media = |session: &Option<Session>| {
                let session = session.as_ref()?;
                Some((session.media.get(index)?.clone(), session.rtp_address(index)))
            };
            let (its_caller, its_callee) = (media(caller), media(callee));
            let (offer, answer) = match offerer {
                Side::Caller => (&its_caller, &its_callee),
                Side::Callee => (&its_callee, &its_caller),
            };
            let formats = |media: &Option<(callwright_sdp::Media, Option<SocketAddr>)>| {
                let media = media.as_ref().map(|(media, _)| media);
                media
                    .iter()
                    .flat_map(|media| media.formats.iter().map(format_name))
                    .collect::<Vec<_>>()
            };
            if let Some((media, _)) = offer.as_ref().or(answer.as_ref()) {
                line.kind = media.kind.as_str().to_owned();
                line.secure = media.protocol.is_secure() || !media.crypto.is_empty();
            }
            line.offered = formats(offer);
            if is_answer {
                line.answered = formats(answer);
                let sends =
                    |side: &Option<(callwright_sdp::Media, Option<SocketAddr>)>,
                     other: &Option<(callwright_sdp::Media, Option<SocketAddr>)>| {
                        let (Some((own, own_at)), Some((far, far_at))) = (side, other) else {
                            return false;
                        };
                        let held = far_at.is_none_or(|at| at.ip().is_unspecified()) || own_at.is_none();
                        matches!(own.direction, Direction::SendRecv | Direction::SendOnly)
                            && matches!(far.direction, Direction::SendRecv | Direction::RecvOnly)
                            && !held
                    };
                line.caller_sends |= sends(&its_caller, &its_callee);
                line.callee_sends |= sends(&its_callee, &its_caller);
            }
            line.caller_address = its_caller.as_ref().and_then(|(_, at)| *at);
            line.callee_address = its_callee.as_ref().and_then(|(_, at)| *at);
        }
    }

    fn add_row(&mut self, said: &Said<'_>, again: bool, keep_text: bool) {
        self.rows.push(RowState {
            at: said.at(),
            packet: said.packet,
            from: said.source(),
            to: said.destination(),
            kind: if said.heard.status.is_some() {
                RowKind::Response
            } else {
                RowKind::Request
            },
            summary: said.summary().into(),
            cseq: format!("{} {}", said.heard.cseq.number, said.heard.cseq.method).into(),
            again,
            comment: said.comment.map(|comment| short(comment.to_owned()).into()),
            text: keep_text.then(|| String::from_utf8_lossy(said.message().raw()).into()),
        });
    }
}

/// A session description without what only takes room.
fn essence(session: &Session) -> Session {
    let mut session = session.clone();
    session.raw = bytes::Bytes::new();
    session.attributes.clear();
    session.defects.clear();
    session.media.truncate(LINES);
    for media in &mut session.media {
        media.attributes.clear();
        for format in &mut media.formats {
            format.fmtp = None;
        }
    }
    session
}

/// `PCMU/8000`, `opus/48000/2`; a payload type that nothing describes by its number.
pub(crate) fn format_name(format: &callwright_sdp::Format) -> String {
    if format.encoding.is_empty() {
        return format!("payload type {}", format.payload_type);
    }
    if format.channels > 1 {
        format!("{}/{}/{}", format.encoding, format.clock_rate, format.channels)
    } else {
        format!("{}/{}", format.encoding, format.clock_rate)
    }
}

/// The values of an INVITE's headers that no RFC names: one of them may be the Call-ID of the other leg. RFC 7989 has Session-ID for
/// that, and In-Reply-To names a call by its Call-ID (RFC 3261 §20.21).
fn values_of(said: &Said<'_>) -> Vec<(SmolStr, SmolStr)> {
    let known = |name: &str| {
        let lower = name.to_ascii_lowercase();
        lower.starts_with("x-") || lower.starts_with("p-") || lower == "session-id" || lower == "in-reply-to"
    };
    said.message()
        .all_headers()
        .filter(|(name, value)| known(name) && value.len() <= VALUE)
        .take(VALUES)
        .map(|(name, value)| (SmolStr::new(name), SmolStr::new(value.trim())))
        .collect()
}
