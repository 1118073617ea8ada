//! From changes of user agents to topics that tasks wait for.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use callwright_ua::{CallKey, Change, FleetEvent, StartError, UserAgentId};
use callwright_wire::Time;

use crate::phone::Aspect;
use crate::world::{Topic, Topics};

use super::capture::Addresses;
use super::recorder::Tape;

/// One topic for each aspect of a phone.
#[derive(Clone, Copy, Debug)]
pub(super) struct PhoneTopics {
    registration: Topic,
    calls: Topic,
    messages: Topic,
    dtmf: Topic,
    message_waiting: Topic,
    audio: Topic,
    closed: Topic,
    pub(super) started: Topic,
}

impl PhoneTopics {
    fn open(topics: &Topics) -> Self {
        PhoneTopics {
            registration: topics.open(),
            calls: topics.open(),
            messages: topics.open(),
            dtmf: topics.open(),
            message_waiting: topics.open(),
            audio: topics.open(),
            closed: topics.open(),
            started: topics.open(),
        }
    }

    pub(super) fn of(&self, aspect: Aspect) -> Topic {
        match aspect {
            Aspect::Registration => self.registration,
            Aspect::Calls => self.calls,
            Aspect::Messages => self.messages,
            Aspect::Dtmf => self.dtmf,
            Aspect::MessageWaiting => self.message_waiting,
            Aspect::Audio => self.audio,
            Aspect::Closed => self.closed,
        }
    }
}

/// What is known of a user agent outside the fleet.
#[derive(Debug)]
struct Entry {
    topics: PhoneTopics,
    started: Option<Result<(), StartError>>,
    /// And of which call, unless of all.
    recordings: Vec<(Option<CallKey>, Tape)>,
}

/// Where the changes of each user agent go. An entry is there from the first change on, which comes while the user
/// agent is being started.
#[derive(Debug)]
pub(super) struct Routes {
    topics: Arc<Topics>,
    entries: Mutex<BTreeMap<UserAgentId, Entry>>,
    addresses: Arc<Addresses>,
}

impl Routes {
    pub(super) fn new(topics: Arc<Topics>) -> Self {
        Routes {
            topics,
            entries: Mutex::new(BTreeMap::new()),
            addresses: Arc::default(),
        }
    }

    /// Takes a change; called under the world's lock, so it only touches topics.
    pub(super) fn take(&self, now: Time, event: FleetEvent) {
        let mut entries = self.lock();
        let entry = entries.entry(event.user_agent).or_insert_with(|| Entry {
            topics: PhoneTopics::open(&self.topics),
            started: None,
            recordings: Vec::new(),
        });
        let topic = match event.change {
            Change::Started => {
                entry.started = Some(Ok(()));
                entry.topics.started
            }
            Change::StartFailed(error) => {
                entry.started = Some(Err(error));
                entry.topics.started
            }
            Change::Address { transport, address } => {
                self.addresses.insert(transport, address, event.user_agent);
                return;
            }
            Change::Registration => entry.topics.registration,
            Change::Calls => entry.topics.calls,
            Change::Messages => entry.topics.messages,
            Change::Dtmf => entry.topics.dtmf,
            Change::MessageWaiting => entry.topics.message_waiting,
            Change::Audio => entry.topics.audio,
            Change::Recorded { call, samples } => {
                let samples = Arc::from(samples);
                for (_, tape) in entry
                    .recordings
                    .iter()
                    .filter(|(of, _)| of.is_none_or(|of| of == call))
                {
                    tape.take(call, now, &samples);
                }
                return;
            }
            Change::Closed => entry.topics.closed,
        };
        drop(entries);
        self.topics.touch(topic);
    }

    /// Who sends from where.
    pub(super) fn addresses(&self) -> &Arc<Addresses> {
        &self.addresses
    }

    pub(super) fn topics_of(&self, id: UserAgentId) -> PhoneTopics {
        let mut entries = self.lock();
        let entry = entries.entry(id).or_insert_with(|| Entry {
            topics: PhoneTopics::open(&self.topics),
            started: None,
            recordings: Vec::new(),
        });
        entry.topics
    }

    pub(super) fn started(&self, id: UserAgentId) -> Option<Result<(), StartError>> {
        self.lock().get(&id)?.started.clone()
    }

    pub(super) fn record(&self, id: UserAgentId, call: Option<CallKey>, tape: Tape) {
        if let Some(entry) = self.lock().get_mut(&id) {
            entry.recordings.push((call, tape));
        }
    }

    pub(super) fn forget(&self, id: UserAgentId) {
        self.lock().remove(&id);
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<UserAgentId, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
