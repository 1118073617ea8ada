//! From changes of user agents to topics that tasks wait for.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use callwright_ua::{CallKey, Change, StartError};
use callwright_wire::Time;

use crate::phone::Aspect;
use crate::world::Topic;

use super::recorder::Tape;
use super::{Addresses, Changes, PhoneId};

/// One topic for each aspect of a phone.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PhoneTopics {
    registration: Topic,
    calls: Topic,
    messages: Topic,
    dtmf: Topic,
    message_waiting: Topic,
    audio: Topic,
    closed: Topic,
    pub(crate) started: Topic,
}

impl PhoneTopics {
    fn open(topics: &dyn Changes) -> Self {
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

    pub(crate) fn of(&self, aspect: Aspect) -> Topic {
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
pub(crate) struct Routes {
    topics: Arc<dyn Changes>,
    entries: Mutex<BTreeMap<PhoneId, Entry>>,
    addresses: Arc<Addresses>,
}

impl Routes {
    pub(crate) fn new(topics: Arc<dyn Changes>) -> Self {
        Routes {
            topics,
            entries: Mutex::new(BTreeMap::new()),
            addresses: Arc::default(),
        }
    }

    /// Takes a change; called under the world's lock, so it only touches topics.
    pub(crate) fn take(&self, now: Time, phone: PhoneId, change: Change) {
        let mut entries = self.lock();
        let entry = entries.entry(phone).or_insert_with(|| Entry {
            topics: PhoneTopics::open(&*self.topics),
            started: None,
            recordings: Vec::new(),
        });
        let topic = match change {
            Change::Started => {
                entry.started = Some(Ok(()));
                entry.topics.started
            }
            Change::StartFailed(error) => {
                entry.started = Some(Err(error));
                entry.topics.started
            }
            Change::Address { transport, address } => {
                self.addresses.insert(transport, address, phone);
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
    pub(crate) fn addresses(&self) -> &Arc<Addresses> {
        &self.addresses
    }

    pub(crate) fn topics_of(&self, id: PhoneId) -> PhoneTopics {
        let mut entries = self.lock();
        let entry = entries.entry(id).or_insert_with(|| Entry {
            topics: PhoneTopics::open(&*self.topics),
            started: None,
            recordings: Vec::new(),
        });
        entry.topics
    }

    pub(crate) fn started(&self, id: PhoneId) -> Option<Result<(), StartError>> {
        self.lock().get(&id)?.started.clone()
    }

    pub(crate) fn record(&self, id: PhoneId, call: Option<CallKey>, tape: Tape) {
        if let Some(entry) = self.lock().get_mut(&id) {
            entry.recordings.push((call, tape));
        }
    }

    pub(crate) fn forget(&self, id: PhoneId) {
        self.lock().remove(&id);
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<PhoneId, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
