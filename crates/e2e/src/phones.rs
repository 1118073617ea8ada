//! Phones that act by themselves: a fleet, and what each of its user agents does without being told again. Without IO.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use callwright_ua as ua;
use callwright_wire::{
    Input, Node, Output, PacketNode, Residue, SocketId, Time, Timer, TimerQueue, Transport,
};

/// One phone, and what it does by itself.
#[derive(Clone, Debug)]
pub struct Phone {
    /// What it is called in logs and captures.
    pub name: String,
    /// Its account; [`ua::Account::auto_answer`] says whether and when it answers.
    pub account: ua::Account,
    /// What it does.
    pub duty: Duty,
    /// What it says in each call.
    pub says: ua::Audio,
    /// The tone of whom it talks to, in Hz: what else is heard is music. `None`: nothing is listened for.
    pub partner_hz: Option<f64>,
    /// Whether what it says and hears is told as [`Happening::Recorded`].
    pub record: bool,
}

/// What a phone does by itself.
#[derive(Clone, Debug, PartialEq)]
pub enum Duty {
    /// Registers, and takes calls.
    Answer {
        /// Hangs up so long after a call was answered; `None` waits for the other side.
        talk: Option<Duration>,
    },
    /// Calls once, when it is up.
    Call {
        /// Whom, as a person would dial.
        target: String,
        /// Hangs up so long after the partner's tone was heard first; `None` waits for the other side.
        talk: Option<Duration>,
        /// Hangs up when that tone was not heard so long after dialling.
        patience: Duration,
    },
}

/// The number of a phone, in the order of being added; not used again.
pub use callwright_ua::UserAgentId as PhoneId;

/// Something that happened to a phone.
#[derive(Clone, Debug, PartialEq)]
pub struct PhoneEvent {
    /// Which.
    pub phone: PhoneId,
    /// What.
    pub what: Happening,
}

/// What happened to a phone.
#[derive(Clone, Debug, PartialEq)]
pub enum Happening {
    /// It sends and receives here, too: told before the first packet.
    Address {
        /// Over datagrams or over a stream.
        transport: Transport,
        /// The local address.
        address: SocketAddr,
    },
    /// It could not be started.
    StartFailed {
        /// Why.
        error: ua::StartError,
    },
    /// It is registered.
    Registered {
        /// How long the binding lasts.
        expires: Duration,
    },
    /// It is not registered.
    RegistrationFailed {
        /// The status, where the registrar gave one.
        status: Option<u16>,
        /// `403 Forbidden`, or words.
        reason: String,
    },
    /// A phone that was registered could not renew that, or its binding ran out; it tries again where its account says so.
    RefreshFailed {
        /// Whether the binding is still in force.
        registered: bool,
        /// The status, where the registrar gave one.
        status: Option<u16>,
        /// `503 Service Unavailable`, or words.
        reason: String,
    },
    /// A binding was taken back.
    Unregistered {
        /// `200 OK`, or words.
        reason: String,
    },
    /// A SIP message passed.
    Message {
        /// Which way, and its first line.
        text: String,
    },
    /// A call begins.
    CallBegan {
        /// Its number.
        call: ua::CallKey,
        /// Who called.
        origin: ua::Origin,
        /// The other side.
        peer: String,
    },
    /// It rings, here or there.
    Ringing {
        /// Its number.
        call: ua::CallKey,
    },
    /// It is up.
    Answered {
        /// Its number.
        call: ua::CallKey,
        /// Its Call-ID.
        call_id: String,
    },
    /// The tone of the partner was heard.
    PartnerHeard {
        /// On which call.
        call: ua::CallKey,
    },
    /// It is over.
    CallEnded(CallEnd),
    /// A piece of a recording: stereo samples at 8,000 Hz, interleaved, left said, right heard.
    Recorded {
        /// Of which call.
        call: ua::CallKey,
        /// The samples.
        samples: Box<[i16]>,
    },
    /// It hung up, unregistered and is gone.
    Closed,
}

/// How a call ended, seen from one phone.
#[derive(Clone, Debug, PartialEq)]
pub struct CallEnd {
    /// Its number.
    pub call: ua::CallKey,
    /// Its Call-ID.
    pub call_id: String,
    /// Why this phone hung up; `None`: the other side ended it.
    pub hung_up: Option<HungUp>,
    /// The status that ended it, where one did.
    pub status: Option<u16>,
    /// In words.
    pub reason: String,
    /// From the answer to the end; zero where there was none.
    pub lasted: Duration,
    /// Whether the partner's tone was heard, where that was listened for.
    pub partner_heard: bool,
}

/// Why a phone hung up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HungUp {
    /// It had talked as long as it was to.
    Talked,
    /// Nobody came.
    OutOfPatience,
    /// It was told to end.
    Closing,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Alarm {
    HangUp(PhoneId, ua::CallKey),
    GiveUp(PhoneId),
}

impl Timer for Alarm {
    fn name(&self) -> &'static str {
        match self {
            Alarm::HangUp(..) => "end of talking",
            Alarm::GiveUp(_) => "end of patience",
        }
    }
}

/// What is known of a phone beside its user agent.
#[derive(Debug)]
struct Entry {
    phone: Phone,
    registered: bool,
    /// It registers for the first time, or again.
    registering: bool,
    calls: BTreeMap<ua::CallKey, Seen>,
    /// How many of its messages were told.
    messages: u64,
    closing: bool,
}

/// What was told of a call.
#[derive(Debug, Default)]
struct Seen {
    rang: bool,
    answered: Option<Time>,
    ended: bool,
    hung_up: Option<HungUp>,
    listener: Option<ua::ListenerId>,
    partner_heard: bool,
}

/// Any number of phones as one node. See [`Node`] for how it is driven; its operations are methods, to be followed by
/// draining.
#[derive(Debug)]
pub struct Phones {
    fleet: ua::Fleet,
    entries: BTreeMap<PhoneId, Entry>,
    alarms: TimerQueue<Alarm>,
    outputs: VecDeque<Output<PhoneEvent>>,
    /// Ends of calls that are still to be told.
    ended: VecDeque<Output<PhoneEvent>>,
    /// Whether each SIP message is told.
    tells_messages: bool,
    now: Time,
}

impl Phones {
    /// None yet.
    pub fn new(now: Time, config: ua::FleetConfig) -> Phones {
        Phones {
            fleet: ua::Fleet::new(now, config),
            entries: BTreeMap::new(),
            alarms: TimerQueue::default(),
            outputs: VecDeque::new(),
            ended: VecDeque::new(),
            tells_messages: false,
            now,
        }
    }

    /// Tells [`Happening::Message`] from now on.
    pub fn tell_messages(&mut self) {
        self.tells_messages = true;
    }

    /// The user agents.
    pub fn fleet(&self) -> &ua::Fleet {
        &self.fleet
    }

    /// Brings a phone up; it begins with its duty by itself.
    pub fn add(&mut self, now: Time, phone: Phone) -> PhoneId {
        self.now = now;
        let id = self.fleet.start(now, &phone.name, phone.account.clone());
        let entry = Entry {
            phone,
            registered: false,
            registering: false,
            calls: BTreeMap::new(),
            messages: 0,
            closing: false,
        };
        self.entries.insert(id, entry);
        self.settle();
        id
    }

    /// Hangs up and unregisters; [`Happening::Closed`] follows.
    pub fn close(&mut self, now: Time, id: PhoneId) {
        self.now = now;
        if let Some(entry) = self.entries.get_mut(&id)
            && !entry.closing
        {
            entry.closing = true;
            for seen in entry.calls.values_mut().filter(|seen| !seen.ended) {
                seen.hung_up.get_or_insert(HungUp::Closing);
            }
            self.fleet.close(now, id, None);
            self.settle();
        }
    }

    /// Its process dies: nothing is hung up, nothing unregistered.
    pub fn kill(&mut self, now: Time, id: PhoneId) {
        self.now = now;
        if let Some(entry) = self.entries.remove(&id) {
            self.alarms.clear(Alarm::GiveUp(id));
            for call in entry.calls.into_keys() {
                self.alarms.clear(Alarm::HangUp(id, call));
            }
            self.fleet.remove(now, id);
            self.settle();
        }
    }

    /// How many phones there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Takes what the fleet says until it has nothing more to say.
    fn settle(&mut self) {
        while let Some(output) = self.fleet.poll_output() {
            match output.into_world() {
                Ok(output) => self.outputs.push_back(output),
                Err(event) => self.on_change(event.user_agent, event.change),
            }
        }
        // Behind the last piece of their recordings.
        self.outputs.append(&mut self.ended);
    }

    fn tell(&mut self, phone: PhoneId, what: Happening) {
        let queue = match what {
            Happening::CallEnded(_) => &mut self.ended,
            _ => &mut self.outputs,
        };
        queue.push_back(Output::Event(PhoneEvent { phone, what }));
    }

    fn on_change(&mut self, id: PhoneId, change: ua::Change) {
        match change {
            ua::Change::Started => self.begin(id),
            ua::Change::StartFailed(error) => self.tell(id, Happening::StartFailed { error }),
            ua::Change::Address { transport, address } => {
                self.tell(id, Happening::Address { transport, address });
            }
            ua::Change::Registration => self.on_registration(id),
            ua::Change::Calls => self.on_calls(id),
            ua::Change::Audio => self.on_audio(id),
            ua::Change::Messages => self.on_messages(id),
            ua::Change::Recorded { call, samples } => self.tell(id, Happening::Recorded { call, samples }),
            ua::Change::Dtmf | ua::Change::MessageWaiting => {}
            ua::Change::Closed => {
                self.alarms.clear(Alarm::GiveUp(id));
                self.entries.remove(&id);
                self.fleet.remove(self.now, id);
                self.tell(id, Happening::Closed);
            }
        }
    }

    /// It is up: its duty begins.
    fn begin(&mut self, id: PhoneId) {
        let now = self.now;
        let Some(entry) = self.entries.get_mut(&id) else {
            return;
        };
        let fleet = &mut self.fleet;
        // This fails while it closes only: then there is no duty any more.
        if entry.phone.record {
            let _closing = fleet.record(now, id);
        }
        match &entry.phone.duty {
            Duty::Answer { .. } => {
                entry.registering = fleet.register(now, id, None).is_ok();
            }
            Duty::Call { target, patience, .. } => {
                self.alarms.set(Alarm::GiveUp(id), now + *patience);
                if let Err(error) = fleet.dial(now, id, target, &[], None) {
                    let reason = error.to_string();
                    self.tell(
                        id,
                        Happening::CallEnded(CallEnd {
                            call: ua::CallKey(0),
                            call_id: String::new(),
                            hung_up: None,
                            status: None,
                            reason,
                            lasted: Duration::ZERO,
                            partner_heard: false,
                        }),
                    );
                }
            }
        }
    }

    fn on_registration(&mut self, id: PhoneId) {
        let (Some(entry), Some(user_agent)) = (self.entries.get_mut(&id), self.fleet.user_agent(id)) else {
            return;
        };
        let state = user_agent.registration();
        let reason = || state.reason.clone().unwrap_or_default();
        let was = std::mem::replace(&mut entry.registered, state.registered);
        let granted = state.status.is_some_and(|status| status < 300);
        let what = match (was, state.registered) {
            (false, true) => {
                entry.registering = false;
                Happening::Registered {
                    expires: state.expires.unwrap_or_default(),
                }
            }
            (true, false) if entry.closing => Happening::Unregistered { reason: reason() },
            (false, false) if entry.registering && state.reason.is_some() => {
                entry.registering = false;
                Happening::RegistrationFailed {
                    status: state.status,
                    reason: reason(),
                }
            }
            // What an end does to a binding is told as the end.
            (false, false) if entry.closing || entry.registering => return,
            (true, true) if granted => return,
            (_, registered) => Happening::RefreshFailed {
                registered,
                status: state.status,
                reason: reason(),
            },
        };
        self.tell(id, what);
    }

    fn on_calls(&mut self, id: PhoneId) {
        let now = self.now;
        let (Some(entry), Some(user_agent)) = (self.entries.get_mut(&id), self.fleet.user_agent(id)) else {
            return;
        };
        let mut told = Vec::new();
        let (mut begun, mut over) = (Vec::new(), Vec::new());
        for call in user_agent.calls() {
            let key = call.key();
            let known = entry.calls.contains_key(&key);
            let seen = entry.calls.entry(key).or_default();
            if !known {
                begun.push(key);
                told.push(Happening::CallBegan {
                    call: key,
                    origin: call.origin(),
                    peer: call.peer().uri.clone(),
                });
            }
            match call.phase() {
                ua::Phase::Trying => {}
                ua::Phase::Ringing | ua::Phase::Early if !seen.rang => {
                    seen.rang = true;
                    told.push(Happening::Ringing { call: key });
                }
                ua::Phase::Ringing | ua::Phase::Early => {}
                ua::Phase::Established | ua::Phase::Held if seen.answered.is_none() => {
                    seen.answered = Some(now);
                    if let Duty::Answer { talk: Some(talk) } = entry.phone.duty {
                        self.alarms.set(Alarm::HangUp(id, key), now + talk);
                    }
                    told.push(Happening::Answered {
                        call: key,
                        call_id: call.call_id().to_owned(),
                    });
                }
                ua::Phase::Established | ua::Phase::Held => {}
                ua::Phase::Ended if !seen.ended => {
                    seen.ended = true;
                    over.extend(seen.listener.take());
                    self.alarms.clear(Alarm::HangUp(id, key));
                    if matches!(entry.phone.duty, Duty::Call { .. }) {
                        self.alarms.clear(Alarm::GiveUp(id));
                    }
                    let ended = call.ended();
                    told.push(Happening::CallEnded(CallEnd {
                        call: key,
                        call_id: call.call_id().to_owned(),
                        hung_up: seen.hung_up,
                        status: ended.and_then(|ended| ended.status),
                        reason: ended.map(|ended| ended.reason.clone()).unwrap_or_default(),
                        lasted: seen.answered.map_or(Duration::ZERO, |at| now.since(at)),
                        partner_heard: seen.partner_heard,
                    }));
                }
                ua::Phase::Ended => {}
            }
        }
        // Calls that the user agent forgot need not be kept here.
        if let Some(oldest) = user_agent.calls().first().map(ua::Call::key) {
            entry.calls.retain(|key, seen| *key >= oldest || !seen.ended);
        }
        for call in &begun {
            // It ended in this moment, or it closes.
            let _over = self
                .fleet
                .send_audio(now, id, Some(*call), entry.phone.says.clone());
        }
        if let Some(hz) = entry.phone.partner_hz {
            for call in begun {
                let what = ua::ListenFor::Tone { hz };
                if let Some(seen) = entry.calls.get_mut(&call).filter(|seen| !seen.ended) {
                    seen.listener = self.fleet.listen(now, id, Some(call), what).ok();
                }
            }
        }
        for listener in over {
            self.fleet.unlisten(now, id, listener);
        }
        for what in told {
            self.tell(id, what);
        }
    }

    fn on_audio(&mut self, id: PhoneId) {
        let now = self.now;
        let Some(entry) = self.entries.get_mut(&id) else {
            return;
        };
        let mut heard = Vec::new();
        for (call, seen) in &mut entry.calls {
            let Some(listener) = seen.listener.filter(|_| !seen.partner_heard) else {
                continue;
            };
            seen.partner_heard = self.fleet.heard(id, listener).is_some_and(|heard| heard.done);
            if seen.partner_heard {
                heard.push(*call);
            }
        }
        for call in heard {
            if let Duty::Call { talk, .. } = entry.phone.duty {
                self.alarms.clear(Alarm::GiveUp(id));
                if let Some(talk) = talk {
                    self.alarms.set(Alarm::HangUp(id, call), now + talk);
                }
            }
            self.outputs.push_back(Output::Event(PhoneEvent {
                phone: id,
                what: Happening::PartnerHeard { call },
            }));
        }
    }

    fn on_messages(&mut self, id: PhoneId) {
        if !self.tells_messages {
            return;
        }
        let (Some(entry), Some(user_agent)) = (self.entries.get_mut(&id), self.fleet.user_agent(id)) else {
            return;
        };
        let trace = user_agent.trace();
        let skip = entry.messages.saturating_sub(trace.dropped());
        let texts: Vec<String> = trace
            .messages()
            .skip(usize::try_from(skip).unwrap_or(usize::MAX))
            .map(|message| summary(message))
            .collect();
        entry.messages = entry.messages.max(trace.dropped()) + texts.len() as u64;
        for text in texts {
            self.tell(id, Happening::Message { text });
        }
    }

    fn on_alarm(&mut self, alarm: Alarm) {
        let now = self.now;
        let (id, calls, why) = match alarm {
            Alarm::HangUp(id, call) => (id, vec![call], HungUp::Talked),
            Alarm::GiveUp(id) => {
                let entry = self.entries.get(&id);
                let live = entry.into_iter().flat_map(|entry| &entry.calls);
                let live = live.filter(|(_, seen)| !seen.ended).map(|(key, _)| *key);
                (id, live.collect(), HungUp::OutOfPatience)
            }
        };
        for call in calls {
            let seen = self
                .entries
                .get_mut(&id)
                .and_then(|entry| entry.calls.get_mut(&call));
            if let Some(seen) = seen {
                seen.hung_up = Some(why);
            }
            // It ended in this moment otherwise.
            let _over = self.fleet.hangup(now, id, Some(call), None);
        }
    }
}

/// `→ 127.0.0.1:5060 INVITE sip:support@… SIP/2.0`.
fn summary(message: &ua::TracedMessage) -> String {
    let line = message
        .bytes
        .split(|byte| *byte == b'\r')
        .next()
        .unwrap_or_default();
    let line = String::from_utf8_lossy(line);
    let again = if message.retransmission { " (again)" } else { "" };
    let arrow = match message.direction {
        ua::Direction::Sent => '→',
        ua::Direction::Received => '←',
    };
    format!("{arrow} {} {line}{again}", message.flow.remote)
}

impl Node for Phones {
    type Command = std::convert::Infallible;
    type Event = PhoneEvent;

    fn handle_input(&mut self, now: Time, input: Input<Self::Command>) {
        self.now = now;
        self.fleet.handle_input(now, input);
        self.settle();
    }

    fn handle_timeout(&mut self, now: Time) {
        self.now = now;
        self.fleet.handle_timeout(now);
        self.settle();
        while let Some(alarm) = self.alarms.pop(now) {
            self.on_alarm(alarm);
            self.settle();
        }
    }

    fn poll_output(&mut self) -> Option<Output<PhoneEvent>> {
        if self.outputs.is_empty() {
            self.settle();
        }
        self.outputs.pop_front()
    }

    fn poll_timeout(&self) -> Option<(Time, &'static str)> {
        [self.fleet.poll_timeout(), self.alarms.next()]
            .into_iter()
            .flatten()
            .min()
    }

    fn residue(&self) -> Residue {
        let mut residue = self.fleet.residue();
        residue.timers += self.alarms.len();
        residue
    }
}

impl PacketNode for Phones {
    fn handle_packet(&mut self, now: Time, socket: SocketId, from: SocketAddr, packet: &[u8]) {
        self.handle_arrival(now, now, socket, from, packet);
    }

    fn handle_arrival(
        &mut self,
        now: Time,
        arrived: Time,
        socket: SocketId,
        from: SocketAddr,
        packet: &[u8],
    ) {
        self.now = now;
        self.fleet.handle_arrival(now, arrived, socket, from, packet);
    }

    fn poll_transmit(&mut self, now: Time, buffer: &mut [u8]) -> Option<(SocketId, SocketAddr, usize)> {
        self.fleet.poll_transmit(now, buffer)
    }

    fn clear_text(&self) -> Option<&[u8]> {
        self.fleet.clear_text()
    }
}
