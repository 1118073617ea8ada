//! A world for tests: virtual time, an exchange that knows its phones, and no network but for HTTP on loopback.
//!
//! Time stands still while any task runs, and jumps to whatever is due next when all of them wait. REGISTER takes
//! 10 ms, every other message 5 ms, a tone is heard 120 ms after somebody began to listen.

mod exchange;
mod phone;

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;

use callwright_events::{Health, Record, RunEvent};
use callwright_wire::{Epoch, Time};

use crate::phone::{Phone, PhoneSpec};
use crate::world::{StartError, Task, Topic, Version, Wake, World, touched};
use crate::{Sink, http};

use exchange::Exchange;
use phone::FakePhone;

/// A world for tests.
pub struct FakeWorld {
    this: Weak<FakeWorld>,
    state: Mutex<State>,
    moved: Condvar,
    client: http::Client,
    servers: http::Servers,
}

type Action = Box<dyn FnOnce(&mut State) + Send>;

struct State {
    now: Time,
    /// Tasks that neither wait nor wait for others.
    running: usize,
    versions: Vec<u64>,
    waiting: Vec<Waiting>,
    due: BTreeMap<(Time, u64), Action>,
    sequence: u64,
    exchange: Exchange,
    health: Health,
}

struct Waiting {
    ticket: u64,
    reads: Vec<(Topic, Version)>,
    until: Time,
    released: bool,
}

impl FakeWorld {
    /// A world at time zero. The calling task is its first one.
    pub fn new() -> Arc<Self> {
        Arc::new_cyclic(|this| FakeWorld {
            this: this.clone(),
            state: Mutex::new(State {
                now: Time::ZERO,
                running: 1,
                versions: Vec::new(),
                waiting: Vec::new(),
                due: BTreeMap::new(),
                sequence: 0,
                exchange: Exchange::default(),
                health: Health::default(),
            }),
            moved: Condvar::new(),
            client: http::Client::default(),
            servers: http::Servers::default(),
        })
    }

    /// Own audio is so late from now on.
    pub fn set_lateness_ms(&self, lateness: f64) {
        self.lock().health.lateness_p99_ms = Some(lateness);
    }

    /// Own sockets lose so many datagrams now.
    pub fn lose_datagrams(&self, count: u64) {
        self.lock().health.receive_drops += count;
    }

    /// No RTP arrives anywhere from now on.
    pub fn cut_media(&self) {
        self.lock().exchange.media_cut = true;
    }

    /// How many agents have been started.
    pub fn phones_started(&self) -> usize {
        self.lock().exchange.phones.len()
    }

    /// The accounts that are registered now.
    pub fn registered(&self) -> Vec<String> {
        self.lock().exchange.registered()
    }

    /// Does something later.
    pub fn later(&self, delay: std::time::Duration, action: impl FnOnce(&FakeWorld) + Send + 'static) {
        let this = self.this.clone();
        let mut state = self.lock();
        state.after(delay.as_millis() as u64, move |state| {
            state.exchange.outside.push(Box::new(move || {
                if let Some(world) = this.upgrade() {
                    action(&world);
                }
            }));
        });
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl World for FakeWorld {
    fn now(&self) -> Time {
        self.lock().now
    }

    fn epoch(&self) -> Epoch {
        Epoch::SIMULATED
    }

    fn random(&self) -> [u8; 16] {
        let mut state = self.lock();
        state.sequence += 1;
        u128::from(state.sequence).to_be_bytes()
    }

    fn new_topic(&self) -> Topic {
        self.lock().new_topic()
    }

    fn touch(&self, topic: Topic) {
        self.lock().touch(topic);
        self.moved.notify_all();
    }

    fn version(&self, topic: Topic) -> Version {
        self.lock().version(topic)
    }

    fn wait(&self, reads: &[(Topic, Version)], until: Time) -> Wake {
        let mut state = self.lock();
        if state.changed(reads) {
            return Wake::Changed;
        }
        if state.now >= until {
            return Wake::TimeUp;
        }
        state.sequence += 1;
        let ticket = state.sequence;
        state.waiting.push(Waiting {
            ticket,
            reads: reads.to_vec(),
            until,
            released: false,
        });
        state.running -= 1;
        loop {
            state.step();
            let outside = std::mem::take(&mut state.exchange.outside);
            if !outside.is_empty() {
                drop(state);
                outside.into_iter().for_each(|action| action());
                state = self.lock();
                // Whether it released somebody or not, time goes on.
                continue;
            }
            self.moved.notify_all();
            let mine = state
                .waiting
                .iter()
                .position(|waiting| waiting.ticket == ticket && waiting.released);
            if let Some(mine) = mine {
                state.waiting.remove(mine);
                return if state.changed(reads) {
                    Wake::Changed
                } else {
                    Wake::TimeUp
                };
            }
            state = self.moved.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn run_tasks(&self, tasks: Vec<Task<'_>>) {
        self.lock().running += tasks.len();
        thread::scope(|scope| {
            let running: Vec<_> = tasks
                .into_iter()
                .map(|task| {
                    scope.spawn(move || {
                        let _ended = Ended(self);
                        task();
                    })
                })
                .collect();
            drop(Ended(self));
            for task in running {
                if let Err(panic) = task.join() {
                    std::panic::resume_unwind(panic);
                }
            }
        });
        self.lock().running += 1;
    }

    fn phone(&self, spec: PhoneSpec) -> Result<Arc<dyn Phone>, StartError> {
        let world = self.this.upgrade().ok_or(StartError::Ending)?;
        let mut state = self.lock();
        let topic = state.new_topic();
        let number = state.exchange.add(spec, topic);
        Ok(Arc::new(FakePhone { world, number }))
    }

    fn listen(
        &self,
        port: Option<u16>,
        service: Arc<dyn http::Service>,
    ) -> Result<Box<dyn http::Listener>, http::ListenError> {
        self.servers.listen(port, service)
    }

    fn http(
        &self,
        request: &http::Request,
        _end: &[(Topic, Version)],
    ) -> Result<http::Response, http::RequestError> {
        self.client.send(request)
    }

    fn health(&self) -> Health {
        self.lock().health.clone()
    }
}

/// A task has ended, also when it panicked.
struct Ended<'a>(&'a FakeWorld);

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.running -= 1;
        drop(state);
        self.0.moved.notify_all();
    }
}

impl State {
    fn new_topic(&mut self) -> Topic {
        self.versions.push(0);
        Topic(u32::try_from(self.versions.len() - 1).unwrap_or(u32::MAX))
    }

    fn version(&self, topic: Topic) -> Version {
        Version(self.versions.get(topic.0 as usize).copied().unwrap_or(0))
    }

    fn touch(&mut self, topic: Topic) {
        self.versions[topic.0 as usize] += 1;
        touched(topic);
        self.release();
    }

    fn changed(&self, reads: &[(Topic, Version)]) -> bool {
        reads
            .iter()
            .any(|(topic, version)| self.version(*topic) != *version)
    }

    /// Does something in so many milliseconds.
    fn after(&mut self, millis: u64, action: impl FnOnce(&mut State) + Send + 'static) {
        self.sequence += 1;
        let at = self.now + std::time::Duration::from_millis(millis);
        self.due.insert((at, self.sequence), Box::new(action));
    }

    /// When all tasks wait: goes on to what is due next, until one of them can go on.
    fn step(&mut self) {
        while self.running == 0 && self.exchange.outside.is_empty() {
            let until = self
                .waiting
                .iter()
                .map(|waiting| waiting.until)
                .min()
                .unwrap_or(Time::NEVER);
            match self.due.first_key_value().map(|(key, _)| *key) {
                Some(key) if key.0 <= until => {
                    self.now = self.now.max(key.0);
                    if let Some(action) = self.due.remove(&key) {
                        action(self);
                    }
                }
                _ if until == Time::NEVER => return,
                _ => self.now = until,
            }
            self.release();
        }
    }

    fn release(&mut self) {
        let now = self.now;
        for position in 0..self.waiting.len() {
            let waiting = &self.waiting[position];
            if !waiting.released && (waiting.until <= now || self.changed(&waiting.reads)) {
                self.waiting[position].released = true;
                self.running += 1;
            }
        }
    }
}

/// A sink that keeps everything.
#[derive(Default)]
pub struct Kept(Mutex<Vec<Record>>);

impl Sink for Kept {
    fn emit(&self, record: Record) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(record);
    }
}

impl Kept {
    /// What was emitted so far.
    pub fn records(&self) -> Vec<Record> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The events of what was emitted so far.
    pub fn events(&self) -> Vec<RunEvent> {
        self.records().into_iter().map(|record| record.event).collect()
    }
}
