//! The server: the machine and its store as one node.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};

use callwright_acd as acd;
use callwright_acd::{
    AgentRequest, AgentState, Ban, CallKey, Config, ConfigError, Counters, Fact, Load, Machine, Piece,
};
use callwright_wire::{BindError, Input, Node, Output, PacketNode, Residue, SocketId, Time, Transport};

use crate::store::{Health, Outcome, Store, StoreError};

/// What can be asked of a [`Server`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// End in order; [`Event::Closed`] follows when no call is left.
    Close,
    /// Take no new calls, and [close](Command::Close) when those in progress are over.
    Retire,
    /// Something is asked of an agent. Nothing happens where there is no such agent, or it is not logged in.
    SetAgent {
        /// The agent.
        agent: String,
        /// What.
        to: AgentRequest,
    },
    /// Store this too: a fact of whoever writes the files of recordings. [`Event::Stored`] or [`Event::NotStored`] follows.
    Store {
        /// The fact.
        fact: Fact,
    },
}

/// Why there is no server.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// Settings that contradict each other.
    #[error("the settings of the call center: {0}")]
    Config(ConfigError),
    /// What was stored before cannot be had.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<ConfigError> for ServerError {
    fn from(error: ConfigError) -> ServerError {
        ServerError::Config(error)
    }
}

/// What a [`Server`] tells whoever runs it.
#[derive(Debug)]
pub enum Event {
    /// Every socket of the configuration is open: it can be used from now on. Told once.
    Listening {
        /// The sockets with their real ports, in the order of the configuration as far as the world answers in it.
        addresses: Vec<(Transport, SocketAddr)>,
    },
    /// A socket could not be opened. [`Event::Listening`] does not follow.
    ListenFailed {
        /// What it would have spoken.
        transport: Transport,
        /// Why, with the address.
        error: BindError,
    },
    /// A fact was stored. The end of a call is told as [`Event::CallOver`].
    Stored {
        /// The fact.
        fact: Fact,
    },
    /// A fact could not be stored: what depended on it was refused.
    NotStored {
        /// The fact.
        fact: Fact,
    },
    /// The store stopped working, or works again. While it does not, new calls and registrations are refused.
    Store {
        /// Whether it works.
        health: Health,
    },
    /// These calls were up when the process before this one ended; their records are closed.
    CallsLost {
        /// Their numbers.
        calls: Vec<u64>,
    },
    /// The Call-IDs of a call that goes on, the caller's first: they join what each leg is called on the wire.
    CallLegs {
        /// The call.
        call: CallKey,
        /// The Call-IDs.
        call_ids: Vec<String>,
    },
    /// A source of requests is not heard for a while: see [`acd::Event::Banned`].
    Banned(Ban),
    /// A source is heard again.
    BanOver {
        /// Its address.
        source: IpAddr,
    },
    /// A call is over, and that is stored.
    CallOver {
        /// The call.
        call: CallKey,
        /// Why, [as its record says](acd::CallRecord::cause).
        cause: String,
    },
    /// Two parties of a call are recorded from now on: see [`acd::Event::RecordingBegan`].
    RecordingBegan {
        /// The call that names the recording.
        call: CallKey,
        /// When.
        at: Time,
    },
    /// A piece of a recording.
    Recorded {
        /// The call that names it.
        call: CallKey,
        /// The piece.
        piece: Piece,
    },
    /// It was asked to close, and holds nothing any more.
    Closed,
}

impl Event {
    fn of(outcome: Outcome) -> Event {
        let Outcome {
            fact, stored, cause, ..
        } = outcome;
        match (fact.call(), cause) {
            (Some(call), Some(cause)) => Event::CallOver { call, cause },
            _ if stored => Event::Stored { fact },
            _ => Event::NotStored { fact },
        }
    }
}

/// The call center as a world hosts it: [`acd::Machine`] and the store that it waits for. Without IO.
///
/// It keeps the contract of [`Node`] and [`PacketNode`].
#[derive(Debug)]
pub struct Server {
    machine: Machine,
    store: Box<dyn Store>,
    health: Health,
    /// How many sockets were asked for and not heard of.
    awaited: usize,
    listening: Vec<(Transport, SocketAddr)>,
    failed: bool,
    /// Facts that did not come from the machine.
    foreign_facts: u64,
    outputs: VecDeque<Output<Event>>,
    now: Time,
}

impl Server {
    /// A server that listens where the configuration says as soon as a world hosts it. What its store kept is in force again: the
    /// bindings, what agents did, and the numbers of calls.
    ///
    /// # Errors
    ///
    /// When the configuration contradicts itself, or what was stored cannot be read.
    pub fn new(now: Time, config: Config, store: impl Into<Box<dyn Store>>) -> Result<Server, ServerError> {
        let mut store = store.into();
        let awaited = config.listen.len();
        let restored = store.restore(now)?;
        let first_call = config.first_call.max(restored.first_call);
        // The clock of the machine may have been set back since they were stored: nothing lasts longer than it could from now on.
        let latest_expiry = now + config.max_expires;
        let wrap_ups = config.queues.iter().map(|queue| queue.wrap_up);
        let latest_wrap_up = now + wrap_ups.max().unwrap_or_default();
        let mut machine = Machine::new(now, Config { first_call, ..config })?;
        for (user, mut bindings) in restored.bindings {
            for binding in &mut bindings {
                binding.expires = binding.expires.min(latest_expiry);
            }
            machine.restore(now, &user, bindings);
        }
        for (agent, mut state) in restored.agents {
            if let AgentState::WrapUp { until } = &mut state {
                *until = (*until).min(latest_wrap_up);
            }
            machine.restore_agent(now, &agent, state);
        }
        for (agent, afterwards) in restored.wishes {
            machine.restore_wish(&agent, afterwards);
        }
        let mut server = Server {
            machine,
            store,
            health: Health::Sound,
            awaited,
            listening: Vec::new(),
            failed: false,
            foreign_facts: 0,
            outputs: VecDeque::new(),
            now,
        };
        if !restored.closed.is_empty() {
            server.tell(Event::CallsLost {
                calls: restored.closed,
            });
        }
        Ok(server)
    }

    /// What outlives it: the store with what was committed.
    pub fn into_store(self) -> Box<dyn Store> {
        let mut store = self.store;
        store.lose_uncommitted();
        store
    }

    /// The store.
    pub fn store(&self) -> &dyn Store {
        self.store.as_ref()
    }

    /// The store, to make it slower or worse.
    pub fn store_mut(&mut self) -> &mut dyn Store {
        self.store.as_mut()
    }

    /// Where it listens, with real ports: all of it once [`Event::Listening`] was told.
    pub fn addresses(&self) -> &[(Transport, SocketAddr)] {
        &self.listening
    }

    /// How much the machine holds.
    pub fn load(&self) -> Load {
        self.machine.load()
    }

    /// What the machine counted.
    pub fn counters(&self) -> Counters {
        self.machine.counters()
    }

    /// The machine.
    pub fn machine(&self) -> &Machine {
        &self.machine
    }

    /// Takes what machine and store say until they have nothing more to say.
    fn settle(&mut self) {
        loop {
            // Before the machine is asked: that it closed is what it says next.
            self.close_when_over(self.now);
            while let Some(output) = self.machine.poll_output() {
                match output.into_world() {
                    Ok(output) => self.outputs.push_back(output),
                    Err(event) => self.on_event(event),
                }
            }
            self.store.begin(self.now);
            let outcomes = self.store.finish(self.now);
            let changed = self.look_after_store();
            if outcomes.is_empty() && !changed {
                break;
            }
            for outcome in outcomes {
                self.machine
                    .handle_input(self.now, Input::Command(outcome.command()));
                let legs = match &outcome.fact {
                    Fact::CallQueued { call, .. }
                    | Fact::CallAnswered { call, .. }
                    | Fact::CallTransferred { call, .. } => Some(*call),
                    Fact::Bindings { .. }
                    | Fact::CallPresented { .. }
                    | Fact::PresentationEnded { .. }
                    | Fact::AgentChanged { .. }
                    | Fact::AgentWants { .. }
                    | Fact::CallOverflowed { .. }
                    | Fact::RecordingStarted { .. }
                    | Fact::RecordingEnded { .. }
                    | Fact::CallEnded { .. } => None,
                };
                let stored = outcome.stored;
                self.tell(Event::of(outcome));
                if let Some(call) = legs.filter(|_| stored) {
                    let call_ids = self.machine.call_ids(call);
                    self.tell(Event::CallLegs { call, call_ids });
                }
            }
        }
    }

    /// Closes a machine that takes no new calls, when the last one is over.
    fn close_when_over(&mut self, now: Time) {
        if self.machine.is_retired() && self.machine.load().calls == 0 {
            self.machine.close(now);
        }
    }

    /// Whether the store stopped working, or works again.
    fn look_after_store(&mut self) -> bool {
        let health = self.store.health();
        if health == self.health {
            return false;
        }
        self.machine.set_storing(self.now, health.is_sound());
        // One reason instead of another is the same trouble.
        if health.is_sound() != self.health.is_sound() {
            self.tell(Event::Store {
                health: health.clone(),
            });
        }
        self.health = health;
        true
    }

    fn on_event(&mut self, event: acd::Event) {
        match event {
            acd::Event::Persist { token, fact, awaited } => self.store.take(token, fact, awaited),
            acd::Event::Listening { transport, local } => {
                self.listening.push((transport, local));
                self.heard_of_a_socket();
            }
            acd::Event::RecordingBegan { call, at } => self.tell(Event::RecordingBegan { call, at }),
            acd::Event::Recorded { call, piece } => self.tell(Event::Recorded { call, piece }),
            acd::Event::Banned(ban) => self.tell(Event::Banned(ban)),
            acd::Event::BanOver { source } => self.tell(Event::BanOver { source }),
            acd::Event::Closed => self.tell(Event::Closed),
            acd::Event::ListenFailed { transport, error } => {
                self.failed = true;
                self.tell(Event::ListenFailed { transport, error });
                self.heard_of_a_socket();
            }
        }
    }

    fn heard_of_a_socket(&mut self) {
        self.awaited = self.awaited.saturating_sub(1);
        if self.awaited == 0 && !self.failed {
            let addresses = self.listening.clone();
            self.tell(Event::Listening { addresses });
        }
    }

    fn tell(&mut self, event: Event) {
        self.outputs.push_back(Output::Event(event));
    }
}

impl Node for Server {
    type Command = Command;
    type Event = Event;

    fn handle_input(&mut self, now: Time, input: Input<Command>) {
        self.now = now;
        match input.of_world() {
            Ok(input) => self.machine.handle_input(now, input),
            Err(Command::Close) => self.machine.close(now),
            Err(Command::Retire) => {
                self.machine.retire();
                self.close_when_over(now);
            }
            Err(Command::SetAgent { agent, to }) => {
                let command = acd::Command::SetAgent { agent, to };
                self.machine.handle_input(now, Input::Command(command));
            }
            Err(Command::Store { fact }) => {
                // The machine counts from below, and waits for none of these.
                self.foreign_facts += 1;
                let token = acd::Token(u64::MAX - self.foreign_facts);
                self.store.take(token, fact, false);
            }
        }
    }

    fn handle_timeout(&mut self, now: Time) {
        self.now = now;
        self.machine.handle_timeout(now);
    }

    fn poll_output(&mut self) -> Option<Output<Event>> {
        if self.outputs.is_empty() {
            self.settle();
        }
        self.outputs.pop_front()
    }

    fn poll_timeout(&self) -> Option<(Time, &'static str)> {
        let commit = self.store.next().map(|at| (at, "commit of facts"));
        [self.machine.poll_timeout(), commit].into_iter().flatten().min()
    }

    fn residue(&self) -> Residue {
        self.machine.residue()
    }
}

impl PacketNode for Server {
    fn handle_packet(&mut self, now: Time, socket: SocketId, from: SocketAddr, packet: &[u8]) {
        self.now = now;
        self.machine.handle_packet(now, socket, from, packet);
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
        self.machine.handle_arrival(now, arrived, socket, from, packet);
    }

    fn poll_transmit(&mut self, now: Time, buffer: &mut [u8]) -> Option<(SocketId, SocketAddr, usize)> {
        self.machine.poll_transmit(now, buffer)
    }

    fn clear_text(&self) -> Option<&[u8]> {
        self.machine.clear_text()
    }
}
