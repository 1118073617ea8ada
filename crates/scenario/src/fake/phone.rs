//! A phone at the fake exchange.

use std::sync::Arc;

use callwright_wire::Cause;

use super::FakeWorld;
use super::exchange::{Leg, contact};
use crate::phone::{
    Aspect, Audio, CallRef, Heard, ListenFor, ListenerId, MessageFilter, Messages, Origin, Performed, Phase,
    Phone, PhoneSnapshot, RecentAudio, RequestId, RequestState, Verb, VerbError,
};
use crate::world::Topic;

pub(super) struct FakePhone {
    pub(super) world: Arc<FakeWorld>,
    pub(super) number: usize,
}

fn rings(leg: &Leg) -> bool {
    matches!(leg.phase, Phase::Trying | Phase::Ringing)
}

fn rings_here(leg: &Leg) -> bool {
    rings(leg) && leg.origin == Origin::Incoming
}

impl FakePhone {
    fn leg(
        &self,
        call: Option<CallRef>,
        wanted: fn(&Leg) -> bool,
        what: &'static str,
    ) -> Result<Leg, VerbError> {
        let state = self.world.lock();
        let line = &state.exchange.phones[self.number];
        line.newest(|leg| call.is_none_or(|call| call == leg.call) && wanted(leg))
            .ok_or(VerbError::NoCall {
                wanted: what,
                state: if line.calls.iter().any(|leg| leg.phase != Phase::Ended) {
                    "busy"
                } else {
                    "idle"
                }
                .to_owned(),
            })
    }

    fn hang_up(&self, call: Option<CallRef>) -> Performed {
        let established = |leg: &Leg| leg.phase.is_established();
        let leg = self
            .leg(call, rings, "")
            .or_else(|_| self.leg(call, established, ""));
        let Ok(leg) = leg else {
            return Performed {
                notes: vec!["there was no call to hang up".to_owned()],
                request: None,
            };
        };
        let theirs = match (rings(&leg), leg.origin) {
            (true, Origin::Incoming) => ("486 Busy Here".to_owned(), Some(486)),
            (true, Origin::Outgoing) => ("cancelled".to_owned(), None),
            (false, _) => ("remote hangup".to_owned(), None),
        };
        self.world
            .lock()
            .hang_up(self.number, &leg, ("local hangup", None), theirs);
        Performed::default()
    }

    fn set_phase(
        &self,
        call: Option<CallRef>,
        from: fn(&Leg) -> bool,
        what: &'static str,
        to: Phase,
    ) -> Result<(), VerbError> {
        let leg = self.leg(call, from, what)?;
        let (number, peer) = (self.number, leg.peer);
        self.world.lock().after(5, move |state| {
            state.phase(number, leg.call, to);
            state.phase(peer, leg.call, to);
        });
        Ok(())
    }
}

impl Phone for FakePhone {
    fn perform(
        &self,
        call: Option<CallRef>,
        verb: Verb,
        cause: Option<Cause>,
    ) -> Result<Performed, VerbError> {
        let number = self.number;
        if self.world.lock().exchange.phones[number].closed {
            return Err(VerbError::Closed);
        }
        let established: fn(&Leg) -> bool = |leg| leg.phase == Phase::Established;
        match verb {
            Verb::Register => self.world.lock().register(number, true),
            Verb::Unregister => self.world.lock().register(number, false),
            Verb::Dial { target, headers } => {
                self.world.lock().dial(number, target, &headers, cause);
                self.world.moved.notify_all();
            }
            Verb::Accept => {
                let leg = self.leg(call, rings_here, "incoming call that rings")?;
                self.world.lock().answer(number, leg.call);
            }
            Verb::Hangup => {
                let performed = self.hang_up(call);
                self.world.moved.notify_all();
                return Ok(performed);
            }
            Verb::Reject { code, reason } => {
                let leg = self.leg(call, rings_here, "incoming call that rings")?;
                let text = format!("{code} {}", reason.unwrap_or_else(|| "Rejected".to_owned()));
                self.world
                    .lock()
                    .hang_up(number, &leg, ("rejected", None), (text, Some(code)));
            }
            Verb::Hold => self.set_phase(call, established, "established call", Phase::Held)?,
            Verb::Resume => self.set_phase(
                call,
                |leg| leg.phase == Phase::Held,
                "held call",
                Phase::Established,
            )?,
            Verb::Dtmf { digits, .. } => {
                let leg = self.leg(call, established, "established call")?;
                self.world.lock().after(20, move |state| {
                    state.exchange.phones[leg.peer].received_dtmf.push_str(&digits);
                    state.changed_phone(leg.peer);
                });
            }
            Verb::Transfer { target } => {
                let leg = self.leg(call, established, "established call")?;
                self.world.lock().after(5, move |state| {
                    state.dial(leg.peer, target, &[], None);
                    state.hang_up(
                        number,
                        &leg,
                        ("transferred", None),
                        ("transferred".to_owned(), None),
                    );
                });
            }
            Verb::Mute => {
                self.leg(call, established, "established call")?;
            }
            Verb::SendAudio(audio) => self.world.lock().exchange.phones[number].sending = audio,
            Verb::RespondIncoming { code, reason, .. } => {
                self.world.lock().exchange.phones[number].respond = Some((code, reason));
            }
            Verb::Send { .. } => {
                let mut state = self.world.lock();
                state.exchange.phones[number].requests += 1;
                let request = RequestId(state.exchange.phones[number].requests);
                return Ok(Performed {
                    notes: Vec::new(),
                    request: Some(request),
                });
            }
            Verb::StopDeflect => {
                return Ok(Performed {
                    notes: vec!["no deflection was armed".to_owned()],
                    request: None,
                });
            }
            Verb::Record { .. } => {}
            Verb::Bye
            | Verb::Update
            | Verb::Deflect { .. }
            | Verb::AttendedTransfer { .. }
            | Verb::CompleteTransfer
            | Verb::AbortTransfer => {
                return Err(VerbError::NotSupported {
                    what: verb.kind().to_owned(),
                });
            }
        }
        Ok(Performed::default())
    }

    fn number(&self) -> u32 {
        self.number as u32
    }

    fn snapshot(&self) -> PhoneSnapshot {
        let state = self.world.lock();
        let line = &state.exchange.phones[self.number];
        PhoneSnapshot {
            registration: line.registration.clone(),
            calls: line
                .calls
                .iter()
                .map(|leg| state.call_snapshot(self.number, leg))
                .collect(),
            reason: line.reason.clone(),
            status_code: line.status_code,
            unmet_challenge: None,
            mwi: None,
            received_dtmf: line.received_dtmf.clone(),
            quality: line
                .calls
                .last()
                .map(|leg| state.quality(leg))
                .unwrap_or_default(),
            contact: contact(self.number, &line.spec),
            sending: String::new(),
            forgotten_calls: 0,
            next_audio: line.sending.clone(),
        }
    }

    fn topic(&self, _aspect: Aspect) -> Topic {
        self.world.lock().exchange.phones[self.number].topic
    }

    fn messages(&self, filter: &MessageFilter) -> Messages {
        let state = self.world.lock();
        let all = state.exchange.phones[self.number].messages.iter();
        Messages {
            list: all.filter(|record| filter.passes(record)).cloned().collect(),
            dropped: 0,
        }
    }

    fn invite_headers(&self, _call: Option<CallRef>) -> Option<Arc<[(String, String)]>> {
        self.world.lock().exchange.phones[self.number]
            .invite_headers
            .clone()
    }

    fn request(&self, _request: RequestId) -> RequestState {
        RequestState {
            status: Some(200),
            response: None,
        }
    }

    fn listen(&self, call: Option<CallRef>, what: ListenFor) -> ListenerId {
        let mut state = self.world.lock();
        state.sequence += 1;
        let listener = ListenerId(u32::try_from(state.sequence).unwrap_or(u32::MAX));
        state.exchange.phones[self.number]
            .listeners
            .push((listener, what, Heard::default()));
        state.listen(self.number, call, listener, 120);
        listener
    }

    fn heard(&self, listener: ListenerId) -> Heard {
        let state = self.world.lock();
        let mut listeners = state.exchange.phones[self.number].listeners.iter();
        listeners
            .find(|(id, ..)| *id == listener)
            .map(|(.., heard)| *heard)
            .unwrap_or_default()
    }

    fn unlisten(&self, listener: ListenerId) {
        self.world.lock().exchange.phones[self.number]
            .listeners
            .retain(|(id, ..)| *id != listener);
    }

    fn hears(&self, call: Option<CallRef>, hz: f64) -> bool {
        let state = self.world.lock();
        matches!(state.heard_by(self.number, call), Some(Audio::Tones { hz: sent }) if sent.contains(&hz))
    }

    fn recent_audio(&self) -> Option<RecentAudio> {
        None
    }

    fn close(&self) {
        while self.hang_up(None).notes.is_empty() {}
        let number = self.number;
        let mut state = self.world.lock();
        state.after(10, move |state| {
            let line = &mut state.exchange.phones[number];
            line.registration.registered = false;
            line.closed = true;
            state.changed_phone(number);
        });
    }

    fn is_closed(&self) -> bool {
        self.world.lock().exchange.phones[self.number].closed
    }
}
