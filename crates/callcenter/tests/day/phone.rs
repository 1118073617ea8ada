//! A phone. Most only signal: their sessions are inactive, so that no audio is made. What one does is planned when a call begins.

use std::collections::{BTreeMap, VecDeque};
use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use callwright_sip::Event;
use callwright_sip::command::{
    Addressing, Answer, Hangup, Headers, Identity, Invite, Progress, Refer, Registration, RegistrationRetry,
    Reject,
};
use callwright_sip::endpoint::{CallId, Endpoint, EndpointConfig, IdentityId, RegistrationId};
use callwright_sip::event::{Description, EndCause, RegistrationState};
use callwright_sip_message::{NameAddr, Uri};
use callwright_wire::{
    Input, Node, Output, PacketNode, Residue, Seed, SocketId, Time, Timer, TimerQueue, Transport,
};

use crate::sound::{Heard, Sound};

/// What a phone makes of a call that rings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pickup {
    /// It answers.
    After(Duration),
    /// It refuses with this status.
    Refuse(u16, Duration),
    /// It lets it ring.
    Never,
}

/// What happens within a call that was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    HangUp,
    /// A re-INVITE that changes nothing.
    Offer,
    /// REFER to this address.
    Transfer(Uri),
}

/// What a phone does with a call.
#[derive(Clone, Debug, Default)]
pub(crate) struct Plan {
    /// Of a call that comes.
    pub(crate) pickup: Option<Pickup>,
    /// The caller waits for an answer no longer than this.
    pub(crate) patience: Option<Duration>,
    /// After the answer, each so long after the one before.
    pub(crate) acts: Vec<(Duration, Act)>,
}

/// What a phone told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Said {
    /// A call comes: it needs a [`Plan`].
    Rings { call: CallId, from: Uri },
    /// A call was answered: one that was placed at its 200, one that came at its ACK.
    Up { call: CallId },
    /// A call is over. `status`: of the response that refused it.
    Over {
        call: CallId,
        status: Option<u16>,
        by_peer: bool,
    },
    /// The binding is in force, or not.
    Registered(bool),
}

/// A call as its phone sees it.
#[derive(Clone, Debug)]
pub(crate) struct PhoneCall {
    pub(crate) incoming: bool,
    /// Who called: this phone, or the peer.
    pub(crate) from: Uri,
    pub(crate) began: Time,
    /// When it was answered, here or there.
    pub(crate) answered: Option<Time>,
    acts: VecDeque<(Duration, Act)>,
    /// What the peer offered, of a call that came.
    offered: Option<Bytes>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Alarm {
    Pickup(CallId),
    Patience(CallId),
    Act(CallId),
}

impl Timer for Alarm {
    fn name(&self) -> &'static str {
        match self {
            Alarm::Pickup(_) => "pickup",
            Alarm::Patience(_) => "end of patience",
            Alarm::Act(_) => "next act",
        }
    }
}

/// A phone, or many callers at one address.
#[derive(Debug)]
pub(crate) struct Phone {
    endpoint: Endpoint,
    identity: IdentityId,
    local: SocketAddr,
    registration: Option<RegistrationId>,
    calls: BTreeMap<CallId, PhoneCall>,
    pickups: BTreeMap<CallId, Pickup>,
    alarms: TimerQueue<Alarm>,
    sound: Option<Sound>,
    said: VecDeque<Said>,
    now: Time,
}

impl Phone {
    /// A phone of `name` at a domain.
    pub(crate) fn new(now: Time, name: &str, domain: &str, ip: IpAddr, seed: &Seed) -> Phone {
        let config = EndpointConfig {
            max_calls: 100_000,
            product: None,
            ..EndpointConfig::default()
        };
        let mut endpoint = Endpoint::new(config, seed.derive("signalling").stream());
        let aor: Uri = format!("sip:{name}@{domain}").parse().expect("an address");
        let local = SocketAddr::new(ip, 5060);
        let contact = format!("sip:{name}@{local}").parse().expect("an address");
        let identity = endpoint.add_identity(Identity {
            contact: Some(contact),
            ..Identity::new(aor)
        });
        endpoint.listen(now, Transport::Udp, local);
        Phone {
            endpoint,
            identity,
            local,
            registration: None,
            calls: BTreeMap::new(),
            pickups: BTreeMap::new(),
            alarms: TimerQueue::default(),
            sound: None,
            said: VecDeque::new(),
            now,
        }
    }

    /// The same with audio, in so many calls at once.
    pub(crate) fn with_lines(mut self, lines: u32, seed: &Seed) -> Phone {
        self.sound = Some(Sound::new(self.now, self.local.ip(), lines, seed));
        self
    }

    /// What it heard in calls that are over; `None` of one that only signals.
    pub(crate) fn heard(&self) -> Option<Heard> {
        self.sound.as_ref().map(Sound::heard)
    }

    /// What it says of a call that it is in, or of one that it is about to place.
    fn description(&self, call: Option<CallId>) -> Bytes {
        let ip = self.local.ip();
        let (port, direction) = match (&self.sound, call) {
            (None, _) => (40_000, "inactive"),
            (Some(sound), None) => (sound.next_port(), "sendrecv"),
            (Some(sound), Some(call)) => (sound.port(call), "sendrecv"),
        };
        format!(
            "v=0\r\no=- 1 1 IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\nm=audio {port} RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n\
             a={direction}\r\n"
        )
        .into()
    }

    /// The calls that it knows of.
    pub(crate) fn calls(&self) -> impl Iterator<Item = (CallId, &PhoneCall)> {
        self.calls.iter().map(|(call, of)| (*call, of))
    }

    pub(crate) fn register(&mut self, now: Time, expires: Duration) {
        self.now = now;
        match self.registration {
            Some(registration) => {
                let _over = self.endpoint.reregister(now, registration, None);
            }
            None => {
                let registration = Registration {
                    expires,
                    retry: RegistrationRetry::Backoff,
                    ..Registration::new(self.identity)
                };
                self.registration = self.endpoint.register(now, registration, None).ok();
            }
        }
    }

    pub(crate) fn unregister(&mut self, now: Time) {
        self.now = now;
        if let Some(registration) = self.registration {
            let _over = self.endpoint.unregister(now, registration, None);
        }
    }

    /// Places a call in the name of `from`.
    pub(crate) fn dial(&mut self, now: Time, from: &Uri, to: &Uri, plan: Plan) -> Option<CallId> {
        self.now = now;
        let invite = Invite {
            offer: Some(self.description(None)),
            addressing: Addressing {
                from: Some(NameAddr::from(from.clone())),
                ..Addressing::default()
            },
            ..Invite::new(self.identity, to.clone())
        };
        let call = self.endpoint.invite(now, invite, None).ok()?;
        if let Some(sound) = &mut self.sound {
            sound.take(call);
        }
        self.calls.insert(
            call,
            PhoneCall {
                incoming: false,
                from: from.clone(),
                began: now,
                answered: None,
                acts: plan.acts.into(),
                offered: None,
            },
        );
        if let Some(patience) = plan.patience {
            self.alarms.set(Alarm::Patience(call), now + patience);
        }
        Some(call)
    }

    /// Says what becomes of a call that rings.
    pub(crate) fn plan(&mut self, now: Time, call: CallId, plan: Plan) {
        self.now = now;
        let Some(known) = self.calls.get_mut(&call) else {
            return;
        };
        known.acts = plan.acts.into();
        match plan.pickup {
            Some(pickup @ (Pickup::After(delay) | Pickup::Refuse(_, delay))) => {
                self.pickups.insert(call, pickup);
                if delay.is_zero() {
                    self.pick_up(now, call);
                } else {
                    self.alarms.set(Alarm::Pickup(call), now + delay);
                }
            }
            Some(Pickup::Never) | None => {}
        }
    }

    fn pick_up(&mut self, now: Time, call: CallId) {
        let description = Some(self.description(Some(call)));
        let _over = match self.pickups.remove(&call) {
            Some(Pickup::After(_)) => {
                let answer = Answer {
                    description,
                    ..Answer::default()
                };
                self.endpoint.answer(now, call, answer, None)
            }
            Some(Pickup::Refuse(status, _)) => self.endpoint.reject(now, call, Reject::new(status), None),
            Some(Pickup::Never) | None => return,
        };
    }

    fn act(&mut self, now: Time, call: CallId) {
        let Some((_, act)) = self.calls.get_mut(&call).and_then(|call| call.acts.pop_front()) else {
            return;
        };
        let _over = match act {
            Act::HangUp => self.endpoint.hangup(now, call, Hangup::default(), None),
            Act::Offer => {
                let offer = Some(self.description(Some(call)));
                self.endpoint.offer(now, call, offer, Headers::new(), None)
            }
            Act::Transfer(target) => self
                .endpoint
                .refer(now, call, Refer::to(target), None)
                .map(|_refer| ()),
        };
        self.next_act(now, call);
    }

    fn next_act(&mut self, now: Time, call: CallId) {
        if let Some((after, _)) = self.calls.get(&call).and_then(|call| call.acts.front()) {
            self.alarms.set(Alarm::Act(call), now + *after);
        }
    }

    fn up(&mut self, now: Time, call: CallId) {
        self.alarms.clear(Alarm::Patience(call));
        self.said.push_back(Said::Up { call });
        self.next_act(now, call);
    }

    fn answer_offer(&mut self, now: Time, call: CallId) {
        let answer = self.description(Some(call));
        let _over = self.endpoint.answer_offer(now, call, answer, None);
    }

    fn on_event(&mut self, now: Time, event: Event) {
        match event {
            Event::IncomingCall(incoming) => {
                let call = incoming.call;
                let from = incoming.message.from().map(|from| from.uri);
                let Ok(from) = from else {
                    let _over = self.endpoint.reject(now, call, Reject::new(400), None);
                    return;
                };
                let _over = self.endpoint.progress(now, call, Progress::new(180), None);
                if let Some(sound) = &mut self.sound {
                    sound.take(call);
                }
                self.calls.insert(
                    call,
                    PhoneCall {
                        incoming: true,
                        from: from.clone(),
                        began: now,
                        answered: None,
                        acts: VecDeque::new(),
                        offered: incoming.offer.clone(),
                    },
                );
                self.said.push_back(Said::Rings { call, from });
            }
            Event::Answered {
                call,
                description: offered,
                ..
            } => {
                if let Some(known) = self.calls.get_mut(&call) {
                    known.answered = Some(now);
                }
                match (&mut self.sound, offered) {
                    (_, Some(Description::Offer(_))) => self.answer_offer(now, call),
                    (Some(sound), Some(answer)) => sound.begin(now, call, answer.bytes()),
                    (Some(_) | None, _) => {}
                }
                self.up(now, call);
            }
            Event::Confirmed { call, .. } => {
                if let Some(known) = self.calls.get_mut(&call) {
                    known.answered = Some(now);
                    if let (Some(sound), Some(offer)) = (&mut self.sound, &known.offered) {
                        sound.begin(now, call, offer);
                    }
                }
                self.up(now, call);
            }
            Event::Offer { call, .. }
            | Event::OfferAnswered {
                call,
                description: Some(Description::Offer(_)),
                ..
            } => self.answer_offer(now, call),
            Event::ReferEnded {
                call,
                outcome: callwright_sip::event::ReferOutcome::Final { status: 200..300, .. },
                ..
            } => {
                // RFC 5589 §6.1: who transferred leaves once the target answered.
                let _over = self.endpoint.hangup(now, call, Hangup::default(), None);
            }
            Event::Referred(referred) => {
                let _over = self
                    .endpoint
                    .reject_refer(now, referred.refer, Reject::new(603), None);
            }
            Event::Ended { call, cause } => {
                for alarm in [Alarm::Pickup(call), Alarm::Patience(call), Alarm::Act(call)] {
                    self.alarms.clear(alarm);
                }
                self.calls.remove(&call);
                if let Some(sound) = &mut self.sound {
                    sound.end(now, call);
                }
                self.pickups.remove(&call);
                let by_peer = matches!(
                    cause,
                    EndCause::RemoteBye { .. } | EndCause::Cancelled { remote: true, .. }
                );
                let status = match cause {
                    EndCause::Response(message) => message.status(),
                    _ => None,
                };
                self.said.push_back(Said::Over {
                    call,
                    status,
                    by_peer,
                });
            }
            Event::Registration { state, .. } => {
                let registered = match state {
                    RegistrationState::Registered { .. } => true,
                    RegistrationState::Failed { registered, .. } => registered,
                    RegistrationState::Expired | RegistrationState::Unregistered { .. } => false,
                };
                if let RegistrationState::Unregistered { .. } = state {
                    self.registration = None;
                }
                self.said.push_back(Said::Registered(registered));
            }
            _ => {}
        }
    }
}

impl Node for Phone {
    type Command = Infallible;
    type Event = Said;

    fn handle_input(&mut self, now: Time, input: Input<Infallible>) {
        self.now = now;
        match (input, &mut self.sound) {
            (Input::Bound { socket, local }, Some(sound)) if Sound::is_line(socket) => {
                sound.bound(socket, local);
            }
            (input, _) => self.endpoint.handle_input(now, input),
        }
    }

    fn handle_timeout(&mut self, now: Time) {
        self.now = now;
        self.endpoint.handle_timeout(now);
        if let Some(sound) = &mut self.sound {
            sound.handle_timeout(now);
        }
        while let Some(alarm) = self.alarms.pop(now) {
            match alarm {
                Alarm::Pickup(call) => self.pick_up(now, call),
                Alarm::Patience(call) => {
                    let _over = self.endpoint.hangup(now, call, Hangup::default(), None);
                }
                Alarm::Act(call) => self.act(now, call),
            }
        }
    }

    fn poll_output(&mut self) -> Option<Output<Said>> {
        while let Some(output) = self.endpoint.poll_output() {
            match output.into_world() {
                Ok(output) => return Some(output),
                Err(event) => self.on_event(self.now, event),
            }
        }
        if let Some(output) = self.sound.as_mut().and_then(Sound::poll_output) {
            return Some(output.map_event(|never| match never {}));
        }
        self.said.pop_front().map(Output::Event)
    }

    fn poll_timeout(&self) -> Option<(Time, &'static str)> {
        let audio = self.sound.as_ref().and_then(Sound::poll_timeout);
        [self.endpoint.poll_timeout(), self.alarms.next(), audio]
            .into_iter()
            .flatten()
            .min()
    }

    fn residue(&self) -> Residue {
        self.endpoint.residue()
    }
}

impl PacketNode for Phone {
    fn handle_packet(&mut self, now: Time, socket: SocketId, from: SocketAddr, packet: &[u8]) {
        if let Some(sound) = &mut self.sound {
            sound.handle_packet(now, socket, from, packet);
        }
    }

    fn poll_transmit(&mut self, now: Time, buffer: &mut [u8]) -> Option<(SocketId, SocketAddr, usize)> {
        self.sound.as_mut()?.poll_transmit(now, buffer)
    }
}
