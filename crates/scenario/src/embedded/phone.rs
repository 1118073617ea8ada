//! A phone of our own engine: a user agent in a fleet.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use callwright_media::detect::{ToneDetector, strongest};
use callwright_media::plane::Stats;
use callwright_sip_message::{Message, Uri};
use callwright_ua as ua;
use callwright_wire::{Cause, Time};

use crate::phone::{
    Aspect, Audio, CallRef, CallSnapshot, Direction, Heard, ListenFor, ListenerId, MessageFilter, Messages,
    MessagesWaiting, Origin, Peer, Performed, Phase, Phone, PhoneSnapshot, Quality, RecentAudio,
    Registration, RequestId, RequestState, SipRecord, Strongest, Verb, VerbError,
};
use crate::world::Topic;

use super::recorder::Recording;
use super::sink::PhoneTopics;
use super::{Home, PhoneId};

/// The tone must be in the last so much audio for [`Phone::hears`].
const HEARS_WITHIN: Duration = Duration::from_millis(200);
/// The audio that is looked at for the strongest frequency of a failure.
const STRONGEST_WITHIN: Duration = Duration::from_secs(1);
/// Samples a second.
const RATE: u32 = 8_000;

/// A user agent of the fleet, as scenarios use it. Dropping it takes it out of the fleet.
pub(crate) struct EmbeddedPhone<H: Home> {
    home: H,
    number: PhoneId,
    id: ua::UserAgentId,
    topics: PhoneTopics,
    /// Its requests go to an outbound proxy, whatever they name.
    proxied: bool,
    /// What is sent, in words.
    sending: Mutex<String>,
    recordings: Mutex<Vec<Recording>>,
}

impl<H: Home> EmbeddedPhone<H> {
    /// The user agent `id` of a fleet, which is the phone `number` of its world. `proxied` says that its requests go to an
    /// outbound proxy, whatever they name.
    pub(crate) fn new(home: H, number: PhoneId, id: ua::UserAgentId, proxied: bool) -> Self {
        let topics = home.routes().topics_of(number);
        let sending = Mutex::new("silence".to_owned());
        EmbeddedPhone {
            home,
            number,
            id,
            topics,
            proxied,
            sending,
            recordings: Mutex::default(),
        }
    }

    fn fleet<R>(&self, use_it: impl FnOnce(&mut ua::Fleet, Time) -> R) -> R {
        self.home.fleet(use_it)
    }

    fn say_what_is_sent(&self, audio: &Audio) {
        *self.sending.lock().unwrap_or_else(PoisonError::into_inner) = match audio {
            Audio::Silence => "silence".to_owned(),
            Audio::Noise => "noise".to_owned(),
            Audio::Tones { hz } => {
                let tones: Vec<_> = hz.iter().map(|hz| format!("{hz} Hz")).collect();
                tones.join(" + ")
            }
            Audio::Samples { name, .. } => name.clone(),
        };
    }

    fn record(&self, call: Option<ua::CallKey>, path: &std::path::Path) -> Result<ua::Done, VerbError> {
        let new = self
            .home
            .recorder()
            .begin(path)
            .map_err(|error| VerbError::NotNow {
                detail: error.to_string(),
            })?;
        self.home.routes().record(self.number, call, new.tape());
        let mut recordings = self.recordings.lock().unwrap_or_else(PoisonError::into_inner);
        recordings.push(new);
        drop(recordings);
        self.fleet(|fleet, now| fleet.record(now, self.id))
            .map_err(|error| self.explained(error))
    }

    fn send(
        &self,
        call: Option<ua::CallKey>,
        request: &ua::FreeRequest,
        cause: Option<Cause>,
    ) -> Result<Performed, VerbError> {
        self.home.writes_messages();
        let key = self
            .fleet(|fleet, now| fleet.send(now, self.id, call, request, cause))
            .map_err(|error| self.explained(error))?;
        Ok(Performed {
            notes: Vec::new(),
            request: Some(RequestId(key.0)),
        })
    }
}

impl<H: Home> Phone for EmbeddedPhone<H> {
    fn perform(
        &self,
        call: Option<CallRef>,
        verb: Verb,
        cause: Option<Cause>,
    ) -> Result<Performed, VerbError> {
        let call = call.map(key);
        let id = self.id;
        let done = match verb {
            Verb::Register => self.fleet(|fleet, now| fleet.register(now, id, cause)),
            Verb::Unregister => self.fleet(|fleet, now| fleet.unregister(now, id, cause)),
            Verb::Dial { target, headers } => {
                self.check_route(&target)?;
                self.fleet(|fleet, now| fleet.dial(now, id, &target, &headers, cause))
            }
            Verb::Accept => self.fleet(|fleet, now| fleet.accept(now, id, call, cause)),
            Verb::Hangup => self.fleet(|fleet, now| fleet.hangup(now, id, call, cause)),
            Verb::Bye => self.fleet(|fleet, now| fleet.bye(now, id, call, cause)),
            Verb::Reject { code, reason } => {
                self.fleet(|fleet, now| fleet.reject(now, id, call, code, reason, cause))
            }
            Verb::Hold => self.fleet(|fleet, now| fleet.hold(now, id, call, cause)),
            Verb::Resume => self.fleet(|fleet, now| fleet.resume(now, id, call, cause)),
            Verb::Update => self.fleet(|fleet, now| fleet.update(now, id, call, cause)),
            Verb::Mute => self.fleet(|fleet, now| fleet.toggle_mute(now, id, call, cause)),
            Verb::Transfer { target } => {
                self.fleet(|fleet, now| fleet.transfer(now, id, call, &target, cause))
            }
            Verb::AttendedTransfer { target } => {
                self.check_route(&target)?;
                self.fleet(|fleet, now| fleet.attended_transfer(now, id, call, &target, cause))
            }
            Verb::CompleteTransfer => self.fleet(|fleet, now| fleet.complete_transfer(now, id, cause)),
            Verb::AbortTransfer => self.fleet(|fleet, now| fleet.abort_transfer(now, id, cause)),
            Verb::Deflect { target } => self.fleet(|fleet, now| fleet.deflect(now, id, &target)),
            Verb::StopDeflect => self.fleet(|fleet, now| fleet.stop_deflect(now, id)),
            Verb::RespondIncoming {
                code,
                reason,
                headers,
            } => {
                if !headers.is_empty() {
                    self.home.writes_messages();
                }
                let response = ua::ArmedResponse {
                    status: code,
                    reason,
                    headers,
                };
                self.fleet(|fleet, now| fleet.respond_incoming(now, id, response))
            }
            Verb::Dtmf { digits, gap } => {
                self.fleet(|fleet, now| fleet.dtmf(now, id, call, &digits, gap, cause))
            }
            Verb::SendAudio(audio) => {
                let done = self.fleet(|fleet, now| fleet.send_audio(now, id, call, source(&audio)));
                if done.is_ok() {
                    self.say_what_is_sent(&audio);
                }
                done
            }
            Verb::Send {
                method,
                headers,
                body,
                content_type,
            } => {
                let request = ua::FreeRequest {
                    method,
                    headers,
                    body,
                    content_type,
                };
                return self.send(call, &request, cause);
            }
            Verb::Record { path } => return self.record(call, &path).map(performed),
        };
        done.map(performed).map_err(|error| self.explained(error))
    }

    fn number(&self) -> u32 {
        self.number.0
    }

    fn snapshot(&self) -> PhoneSnapshot {
        let sending = self
            .sending
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        self.fleet(|fleet, _| {
            let Some(user_agent) = fleet.user_agent(self.id) else {
                return PhoneSnapshot::default();
            };
            let calls: Vec<_> = user_agent
                .calls()
                .iter()
                .map(|call| call_snapshot(call, fleet.stats(self.id, call.key())))
                .collect();
            let newest = calls
                .iter()
                .rev()
                .find(|call| call.phase != Phase::Ended)
                .or(calls.last());
            PhoneSnapshot {
                registration: registration(user_agent.registration()),
                reason: user_agent.last_end().map(|end| end.reason.clone()),
                status_code: user_agent.last_end().and_then(|end| end.status),
                unmet_challenge: user_agent.unmet_challenge().map(ToString::to_string),
                mwi: user_agent.messages_waiting().map(|mwi| MessagesWaiting {
                    waiting: mwi.waiting,
                    new: mwi.new,
                    old: mwi.old,
                }),
                forgotten_calls: user_agent.forgotten_calls(),
                next_audio: audio(user_agent.next_audio()),
                received_dtmf: newest.map(|call| call.received_dtmf.clone()).unwrap_or_default(),
                quality: newest.map(|call| call.quality.clone()).unwrap_or_default(),
                contact: user_agent
                    .contact()
                    .map(|uri| uri.to_string())
                    .unwrap_or_default(),
                sending,
                calls,
            }
        })
    }

    fn topic(&self, aspect: Aspect) -> Topic {
        self.topics.of(aspect)
    }

    fn messages(&self, filter: &MessageFilter) -> Messages {
        let (traced, dropped) = self.fleet(|fleet, _| match fleet.user_agent(self.id) {
            Some(user_agent) => {
                let trace = user_agent.trace();
                (trace.messages().cloned().collect::<Vec<_>>(), trace.dropped())
            }
            None => (Vec::new(), 0),
        });
        // Parsed after the lock is given back.
        let list = traced
            .iter()
            .filter(|traced| passes(traced, filter))
            .map(|traced| Arc::new(record(traced)))
            .collect();
        Messages { list, dropped }
    }

    fn invite_headers(&self, call: Option<CallRef>) -> Option<Arc<[(String, String)]>> {
        let invite = self.fleet(|fleet, _| {
            let user_agent = fleet.user_agent(self.id)?;
            match call {
                Some(call) => user_agent.call(key(call))?.invite().cloned(),
                None => user_agent.newest_invite().cloned(),
            }
        })?;
        Some(
            invite
                .all_headers()
                .map(|(name, value)| (name.to_string(), value.to_string()))
                .collect(),
        )
    }

    fn request(&self, request: RequestId) -> RequestState {
        self.fleet(|fleet, _| {
            let Some(user_agent) = fleet.user_agent(self.id) else {
                return RequestState::default();
            };
            let Some(state) = user_agent.request(ua::RequestKey(request.0)) else {
                return RequestState::default();
            };
            let response = state.response.as_ref().and_then(|response| {
                user_agent
                    .trace()
                    .messages()
                    .rev()
                    .find(|traced| traced.bytes == *response.raw())
                    .map(|traced| Arc::new(record(traced)))
            });
            RequestState {
                status: state.status,
                response,
            }
        })
    }

    fn listen(&self, call: Option<CallRef>, what: ListenFor) -> ListenerId {
        let what = match what {
            ListenFor::Tone { hz } => ua::ListenFor::Tone { hz },
            ListenFor::Silence => ua::ListenFor::Silence,
        };
        // A frequency that no call carries is never heard; a phone that is gone hears nothing.
        self.fleet(|fleet, now| fleet.listen(now, self.id, call.map(key), what))
            .map_or(ListenerId(u32::MAX), |id| ListenerId(id.0))
    }

    fn heard(&self, listener: ListenerId) -> Heard {
        let found = self.fleet(|fleet, now| {
            let heard = fleet.heard(self.id, ua::ListenerId(listener.0))?;
            // What sounded before the listening began explains nothing.
            let span = now.since(heard.since).min(STRONGEST_WITHIN);
            Some((heard, fleet.recent_audio(self.id, heard.call, span)))
        });
        let Some((heard, audio)) = found else {
            return Heard::default();
        };
        let strongest = if heard.done { None } else { strongest(&audio) };
        let strongest = strongest.map(|found| Strongest {
            hz: found.frequency_hz,
            dbm0: found.level_dbm0,
        });
        Heard {
            done: heard.done,
            packets: heard.packets,
            strongest,
        }
    }

    fn unlisten(&self, listener: ListenerId) {
        self.fleet(|fleet, now| fleet.unlisten(now, self.id, ua::ListenerId(listener.0)));
    }

    fn hears(&self, call: Option<CallRef>, hz: f64) -> bool {
        let call = call.map(key);
        let audio = self.fleet(|fleet, now| fleet.audio_now(now, self.id, call, HEARS_WITHIN));
        ToneDetector::new(hz).is_ok_and(|mut detector| detector.push(&audio).is_some())
    }

    fn recent_audio(&self) -> Option<RecentAudio> {
        let samples = self.fleet(|fleet, _| fleet.last_audio(self.id, Duration::from_secs(3)));
        (!samples.is_empty()).then(|| RecentAudio {
            rate: RATE,
            samples: samples.into(),
        })
    }

    fn close(&self) {
        self.fleet(|fleet, now| fleet.close(now, self.id, None));
    }

    fn is_closed(&self) -> bool {
        self.fleet(|fleet, _| fleet.user_agent(self.id).is_none_or(ua::UserAgent::is_closed))
    }
}

impl<H: Home> Drop for EmbeddedPhone<H> {
    fn drop(&mut self) {
        self.home.leave(self.id);
        self.home.routes().forget(self.number);
    }
}

/// The number of a call in the fleet; one that no call has for a number that it cannot have.
fn key(call: CallRef) -> ua::CallKey {
    ua::CallKey(u32::try_from(call.0).unwrap_or(u32::MAX))
}

fn performed(done: ua::Done) -> Performed {
    Performed {
        notes: done.note.map(str::to_owned).into_iter().collect(),
        request: None,
    }
}

impl<H: Home> EmbeddedPhone<H> {
    /// A target that is an address tells at once whether there is a way to it; one that is a name only when it is
    /// looked up.
    fn check_route(&self, target: &str) -> Result<(), VerbError> {
        let Ok(uri) = target.parse::<Uri>() else {
            return Ok(());
        };
        let Some(to) = uri.host().ip().filter(|_| !self.proxied) else {
            return Ok(());
        };
        let Some(from) = self.fleet(|fleet, _| Some(fleet.user_agent(self.id)?.local_ip())) else {
            return Ok(());
        };
        self.home
            .check_route(from, to)
            .map_err(|detail| VerbError::NoRoute {
                target: target.to_owned(),
                detail,
            })
    }

    /// Why a verb cannot be carried out, with the state of the phone where that explains it.
    fn explained(&self, error: ua::VerbError) -> VerbError {
        match error {
            ua::VerbError::NoCall { wanted } => {
                let state = self.snapshot().state().name().to_lowercase();
                VerbError::NoCall { wanted, state }
            }
            error => verb_error(error),
        }
    }
}

fn verb_error(error: ua::VerbError) -> VerbError {
    match error {
        ua::VerbError::CallEnded => VerbError::CallEnded,
        ua::VerbError::BadArgument { what, detail } => VerbError::BadArgument { what, detail },
        ua::VerbError::Target(error) => VerbError::BadArgument {
            what: "target",
            detail: error.to_string(),
        },
        ua::VerbError::NotNow(detail) => VerbError::NotNow { detail },
        ua::VerbError::Media(error) => VerbError::NotNow {
            detail: error.to_string(),
        },
        ua::VerbError::Closing => VerbError::Closed,
        ua::VerbError::NoCall { wanted } => VerbError::NoCall {
            wanted,
            state: String::new(),
        },
    }
}

fn source(audio: &Audio) -> ua::Audio {
    match audio {
        Audio::Silence => ua::Audio::Silence,
        Audio::Noise => ua::Audio::Noise,
        Audio::Tones { hz } => ua::Audio::Tones { hz: hz.clone() },
        Audio::Samples { samples, .. } => ua::Audio::Samples {
            samples: samples.clone(),
        },
    }
}

fn audio(audio: &ua::Audio) -> Audio {
    match audio {
        ua::Audio::Silence => Audio::Silence,
        ua::Audio::Noise => Audio::Noise,
        ua::Audio::Tones { hz } => Audio::Tones { hz: hz.clone() },
        ua::Audio::Samples { samples } => Audio::Samples {
            name: "the same file".to_owned(),
            samples: samples.clone(),
        },
    }
}

fn registration(registration: &ua::Registration) -> Registration {
    Registration {
        registered: registration.registered,
        status_code: registration.status,
        reason: registration.reason.clone(),
        expires: registration.expires,
    }
}

fn call_snapshot(call: &ua::Call, stats: Option<Stats>) -> CallSnapshot {
    CallSnapshot {
        id: CallRef(u64::from(call.key().0)),
        origin: match call.origin() {
            ua::Origin::Outgoing => Origin::Outgoing,
            ua::Origin::Incoming => Origin::Incoming,
        },
        phase: match call.phase() {
            ua::Phase::Trying => Phase::Trying,
            ua::Phase::Ringing => Phase::Ringing,
            ua::Phase::Early => Phase::Early,
            ua::Phase::Established => Phase::Established,
            ua::Phase::Held => Phase::Held,
            ua::Phase::Ended => Phase::Ended,
        },
        peer: Peer {
            uri: call.peer().uri.clone(),
            name: call.peer().name.clone(),
        },
        reason: call.ended().map(|ended| ended.reason.clone()),
        status_code: call.ended().and_then(|ended| ended.status),
        received_dtmf: call.received_dtmf().to_owned(),
        quality: stats.map(|stats| quality(&stats)).unwrap_or_default(),
        muted: call.is_muted(),
        sending: audio(call.playing()),
        call_id: call.call_id().to_owned(),
        started: call.started(),
    }
}

fn quality(stats: &Stats) -> Quality {
    let ms = |span: Duration| span.as_secs_f64() * 1000.0;
    Quality {
        mos: stats.mos,
        rtt_ms: stats.round_trip.map(ms),
        jitter_ms: stats.received.jitter.map(ms),
        packet_loss_pct: stats.received.loss_ratio.map(|ratio| ratio * 100.0),
        codec: stats
            .sent
            .codec
            .or(stats.received.codec)
            .map(|codec| codec.name().to_owned()),
        packets_sent: stats.sent.packets,
        packets_received: stats.received.packets,
    }
}

fn record(traced: &ua::TracedMessage) -> SipRecord {
    SipRecord {
        time: traced.time,
        direction: direction(traced.direction),
        flow: traced.flow,
        bytes: traced.bytes.clone(),
        retransmission: traced.retransmission,
        cause: traced.cause,
    }
}

fn direction(direction: ua::Direction) -> Direction {
    match direction {
        ua::Direction::Sent => Direction::Sent,
        ua::Direction::Received => Direction::Received,
    }
}

/// Whether a message is wanted. One that cannot be read passes only a filter that asks for nothing of its content.
fn passes(traced: &ua::TracedMessage, filter: &MessageFilter) -> bool {
    if traced.retransmission && !filter.retransmissions {
        return false;
    }
    if filter
        .direction
        .is_some_and(|wanted| wanted != direction(traced.direction))
    {
        return false;
    }
    if filter.method.is_none()
        && filter.status.is_none()
        && filter.requests.is_none()
        && filter.call_id.is_none()
    {
        return true;
    }
    let limits = callwright_sip_message::Limits::default();
    let Ok(message) = Message::parse(traced.bytes.clone(), &limits) else {
        return false;
    };
    let method_fits = filter.method.as_ref().is_none_or(|wanted| {
        message
            .method()
            .is_some_and(|method| method.as_str().eq_ignore_ascii_case(wanted))
    });
    let call_id_fits = filter
        .call_id
        .as_ref()
        .is_none_or(|wanted| message.call_id().is_ok_and(|id| id.to_string() == *wanted));
    method_fits
        && call_id_fits
        && filter
            .status
            .is_none_or(|wanted| message.status() == Some(wanted))
        && filter
            .requests
            .is_none_or(|wanted| message.is_request() == wanted)
}
