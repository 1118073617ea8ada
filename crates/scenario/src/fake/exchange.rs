//! The exchange of the fake world: phones, and calls between them.

use std::sync::Arc;

use bytes::Bytes;
use callwright_wire::{Cause, Flow, Time, Transport};

use super::State;
use crate::phone::{
    Audio, CallRef, CallSnapshot, Direction, Heard, ListenFor, ListenerId, Origin, Peer, Phase, PhoneSpec,
    Quality, Registration, SipRecord, Strongest,
};
use crate::world::Topic;

#[derive(Default)]
pub(super) struct Exchange {
    pub(super) phones: Vec<Line>,
    pub(super) media_cut: bool,
    /// What is to be done without the lock.
    pub(super) outside: Vec<Box<dyn FnOnce() + Send>>,
    calls: u64,
}

/// One phone.
pub(super) struct Line {
    pub(super) spec: PhoneSpec,
    pub(super) topic: Topic,
    pub(super) registration: Registration,
    pub(super) calls: Vec<Leg>,
    pub(super) reason: Option<String>,
    pub(super) status_code: Option<u16>,
    pub(super) received_dtmf: String,
    pub(super) sending: Audio,
    pub(super) listeners: Vec<(ListenerId, ListenFor, Heard)>,
    pub(super) invite_headers: Option<Arc<[(String, String)]>>,
    pub(super) messages: Vec<Arc<SipRecord>>,
    pub(super) respond: Option<(u16, String)>,
    pub(super) requests: u32,
    pub(super) closed: bool,
}

/// One end of a call.
#[derive(Clone)]
pub(super) struct Leg {
    pub(super) call: CallRef,
    pub(super) peer: usize,
    pub(super) origin: Origin,
    pub(super) phase: Phase,
    pub(super) peer_uri: String,
    pub(super) reason: Option<String>,
    pub(super) status_code: Option<u16>,
    pub(super) started: Time,
}

impl Exchange {
    pub(super) fn add(&mut self, spec: PhoneSpec, topic: Topic) -> usize {
        self.phones.push(Line {
            spec,
            topic,
            registration: Registration::default(),
            calls: Vec::new(),
            reason: None,
            status_code: None,
            received_dtmf: String::new(),
            sending: Audio::Silence,
            listeners: Vec::new(),
            invite_headers: None,
            messages: Vec::new(),
            respond: None,
            requests: 0,
            closed: false,
        });
        self.phones.len() - 1
    }

    pub(super) fn registered(&self) -> Vec<String> {
        let registered = self.phones.iter().filter(|line| line.registration.registered);
        registered.map(|line| line.spec.aor()).collect()
    }

    /// Who answers to a URI: a registered account, or a contact.
    fn find(&self, uri: &str) -> Option<usize> {
        self.phones.iter().enumerate().position(|(number, line)| {
            !line.closed
                && (contact(number, &line.spec) == uri
                    || (line.registration.registered && line.spec.aor() == uri))
        })
    }
}

pub(super) fn contact(number: usize, spec: &PhoneSpec) -> String {
    format!("sip:{}@127.0.0.1:{}", spec.username, 20_000 + number)
}

impl Line {
    pub(super) fn newest(&self, wanted: impl Fn(&Leg) -> bool) -> Option<Leg> {
        self.calls.iter().rev().find(|leg| wanted(leg)).cloned()
    }

    fn leg(&mut self, call: CallRef) -> Option<&mut Leg> {
        self.calls.iter_mut().find(|leg| leg.call == call)
    }

    fn record(&mut self, now: Time, direction: Direction, text: String, cause: Option<Cause>) {
        let loopback = |port| ([127, 0, 0, 1], port).into();
        self.messages.push(Arc::new(SipRecord {
            time: now,
            direction,
            flow: Flow {
                transport: Transport::Udp,
                local: loopback(20_000),
                remote: loopback(20_001),
            },
            bytes: Bytes::from(text),
            retransmission: false,
            cause,
        }));
    }
}

impl State {
    pub(super) fn changed_phone(&mut self, phone: usize) {
        let topic = self.exchange.phones[phone].topic;
        self.touch(topic);
    }

    pub(super) fn register(&mut self, phone: usize, wanted: bool) {
        self.after(10, move |state| {
            let line = &mut state.exchange.phones[phone];
            let refused = line.spec.password == Some("wrong".into());
            let (status, reason) = if refused {
                (403, "403 Forbidden")
            } else {
                (200, "200 OK")
            };
            line.registration = Registration {
                registered: wanted && !refused,
                status_code: Some(status),
                reason: Some(reason.to_owned()),
                expires: Some(line.spec.registration_interval),
            };
            state.changed_phone(phone);
        });
    }

    pub(super) fn dial(
        &mut self,
        caller: usize,
        target: String,
        extra: &[(String, String)],
        cause: Option<Cause>,
    ) {
        self.exchange.calls += 1;
        let call = CallRef(self.exchange.calls);
        let now = self.now;
        let line = &mut self.exchange.phones[caller];
        let mut headers = vec![
            ("From".to_owned(), format!("<{}>;tag=a", line.spec.aor())),
            ("To".to_owned(), format!("<{target}>")),
            ("Call-ID".to_owned(), format!("call-{}", call.0)),
            ("CSeq".to_owned(), "1 INVITE".to_owned()),
        ];
        headers.extend(line.spec.headers.iter().chain(extra).cloned());
        let invite: String = headers
            .iter()
            .map(|(name, value)| format!("{name}: {value}\r\n"))
            .collect();
        let invite = format!("INVITE {target} SIP/2.0\r\n{invite}\r\n");
        line.record(now, Direction::Sent, invite.clone(), cause);
        line.calls.push(Leg {
            call,
            peer: usize::MAX,
            origin: Origin::Outgoing,
            phase: Phase::Trying,
            peer_uri: target.clone(),
            reason: None,
            status_code: None,
            started: now,
        });
        self.changed_phone(caller);
        self.after(5, move |state| {
            state.arrive(call, caller, &target, &headers, invite)
        });
    }

    fn arrive(
        &mut self,
        call: CallRef,
        caller: usize,
        target: &str,
        headers: &[(String, String)],
        invite: String,
    ) {
        let Some(callee) = self.exchange.find(target) else {
            self.refuse(call, caller, 404, "Not Found");
            return;
        };
        let now = self.now;
        let caller_aor = self.exchange.phones[caller].spec.aor();
        let line = &mut self.exchange.phones[callee];
        line.record(now, Direction::Received, invite, None);
        line.invite_headers = Some(headers.into());
        if let Some((code, reason)) = line.respond.take() {
            self.refuse(call, caller, code, &reason);
            return;
        }
        let answers = line.spec.auto_answer;
        line.calls.push(Leg {
            call,
            peer: caller,
            origin: Origin::Incoming,
            phase: Phase::Ringing,
            peer_uri: caller_aor,
            reason: None,
            status_code: None,
            started: now,
        });
        if let Some(leg) = self.exchange.phones[caller].leg(call) {
            leg.phase = Phase::Ringing;
            leg.peer = callee;
        }
        self.changed_phone(callee);
        self.changed_phone(caller);
        if let Some(delay) = answers {
            self.after(delay.as_millis() as u64, move |state| state.answer(callee, call));
        }
    }

    fn refuse(&mut self, call: CallRef, caller: usize, code: u16, reason: &str) {
        let text = format!("{code} {reason}");
        let message = format!(
            "SIP/2.0 {text}\r\nCall-ID: call-{}\r\nCSeq: 1 INVITE\r\n\r\n",
            call.0
        );
        let now = self.now;
        self.exchange.phones[caller].record(now, Direction::Received, message, None);
        self.end(caller, call, &text, Some(code));
    }

    pub(super) fn answer(&mut self, callee: usize, call: CallRef) {
        self.after(5, move |state| {
            let peer = state.exchange.phones[callee].leg(call).map(|leg| leg.peer);
            if let Some(peer) = peer {
                state.phase(peer, call, Phase::Established);
                state.after(5, move |state| state.phase(callee, call, Phase::Established));
            }
        });
    }

    pub(super) fn phase(&mut self, phone: usize, call: CallRef, phase: Phase) {
        if let Some(leg) = self.exchange.phones[phone].leg(call)
            && leg.phase != Phase::Ended
        {
            leg.phase = phase;
            self.changed_phone(phone);
        }
    }

    /// Ends one end of a call now, and the other one a message later.
    pub(super) fn hang_up(
        &mut self,
        phone: usize,
        leg: &Leg,
        own: (&str, Option<u16>),
        theirs: (String, Option<u16>),
    ) {
        self.end(phone, leg.call, own.0, own.1);
        let (peer, call) = (leg.peer, leg.call);
        if peer != usize::MAX {
            self.after(5, move |state| state.end(peer, call, &theirs.0, theirs.1));
        }
    }

    fn end(&mut self, phone: usize, call: CallRef, reason: &str, status_code: Option<u16>) {
        let line = &mut self.exchange.phones[phone];
        let Some(leg) = line.leg(call).filter(|leg| leg.phase != Phase::Ended) else {
            return;
        };
        leg.phase = Phase::Ended;
        leg.reason = Some(reason.to_owned());
        leg.status_code = status_code;
        line.reason = Some(reason.to_owned());
        line.status_code = status_code;
        self.changed_phone(phone);
    }

    /// What a phone hears now: what the peer of its established call sends.
    pub(super) fn heard_by(&self, phone: usize, call: Option<CallRef>) -> Option<&Audio> {
        let leg = self.exchange.phones[phone]
            .newest(|leg| leg.phase == Phase::Established && call.is_none_or(|call| call == leg.call))?;
        let peer = self.exchange.phones.get(leg.peer)?;
        let up = peer
            .calls
            .iter()
            .any(|other| other.call == leg.call && other.phase == Phase::Established);
        (up && !self.exchange.media_cut).then_some(&peer.sending)
    }

    /// Looks at what a listener hears, every 20 ms from 120 ms after it began.
    pub(super) fn listen(&mut self, phone: usize, call: Option<CallRef>, listener: ListenerId, millis: u64) {
        self.after(millis, move |state| {
            let audio = state.heard_by(phone, call).cloned();
            let Some((_, what, heard)) = state.exchange.phones[phone]
                .listeners
                .iter_mut()
                .find(|(id, ..)| *id == listener)
            else {
                return;
            };
            if let Some(audio) = audio {
                heard.packets += 1;
                heard.strongest = match &audio {
                    Audio::Tones { hz } => hz.first().map(|hz| Strongest { hz: *hz, dbm0: -10.0 }),
                    Audio::Silence | Audio::Noise | Audio::Samples { .. } => None,
                };
                heard.done = match (*what, &audio) {
                    (ListenFor::Tone { hz }, Audio::Tones { hz: sent }) => {
                        sent.iter().any(|sent| (sent - hz).abs() <= 10.0)
                    }
                    (ListenFor::Silence, Audio::Silence) => true,
                    _ => false,
                };
            }
            if heard.done {
                state.changed_phone(phone);
            } else {
                state.listen(phone, call, listener, 20);
            }
        });
    }

    pub(super) fn quality(&self, leg: &Leg) -> Quality {
        let since = self.now.since(leg.started);
        let measured =
            leg.phase == Phase::Established && since.as_millis() >= 1000 && !self.exchange.media_cut;
        Quality {
            mos: measured.then_some(4.4),
            codec: Some("PCMU".to_owned()),
            packets_sent: u64::try_from(since.as_millis() / 20).unwrap_or(0),
            ..Quality::default()
        }
    }

    pub(super) fn call_snapshot(&self, phone: usize, leg: &Leg) -> CallSnapshot {
        CallSnapshot {
            id: leg.call,
            origin: leg.origin,
            phase: leg.phase,
            peer: Peer {
                uri: leg.peer_uri.clone(),
                name: self.exchange.phones[phone].spec.display_name.clone(),
            },
            reason: leg.reason.clone(),
            status_code: leg.status_code,
            received_dtmf: self.exchange.phones[phone].received_dtmf.clone(),
            quality: self.quality(leg),
            muted: false,
            sending: self.exchange.phones[phone].sending.clone(),
            call_id: format!("call-{}", leg.call.0),
            started: leg.started,
        }
    }
}
