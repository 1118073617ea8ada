//! What the wire alone says of calls: who came to a queue, which agent's phone answered, and how long they were connected.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use callwright_sip_message::{Limits, Message, Method};
use callwright_wire::{Fate, Tap, TapRecord, Time};

/// A call as the wire shows it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    /// The user part that its caller asked for.
    pub(crate) dialled: String,
    /// When each agent's phone answered, and when one side ended that.
    pub(crate) legs: Vec<(Time, Option<Time>)>,
}

#[derive(Debug, Default)]
struct State {
    calls: BTreeMap<String, Seen>,
    /// The Call-IDs of legs to agents: the caller, and which of its legs.
    legs: BTreeMap<String, (String, Option<usize>)>,
}

/// A tap that reads SIP and nothing else.
#[derive(Clone, Debug)]
pub(crate) struct Reader {
    server: IpAddr,
    state: Arc<Mutex<State>>,
}

impl Reader {
    pub(crate) fn new(server: IpAddr) -> Reader {
        Reader {
            server,
            state: Arc::default(),
        }
    }

    /// Every call that came from outside, by its caller.
    pub(crate) fn calls(&self) -> BTreeMap<String, Seen> {
        self.state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .calls
            .clone()
    }
}

impl Tap for Reader {
    fn record(&mut self, record: TapRecord) {
        if record.fate == Fate::Lost {
            return;
        }
        let Ok(message) = Message::parse(record.bytes.clone(), &Limits::default()) else {
            return;
        };
        let (Ok(cseq), Ok(from), Ok(id)) = (message.cseq(), message.from(), message.call_id()) else {
            return;
        };
        let (caller, id) = (from.uri.to_string(), id.to_string());
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let state = &mut *state;
        let by_server = record.source.ip() == self.server;
        let method = message.method().filter(|_| message.is_request());
        match (method, message.status(), cseq.method) {
            (Some(Method::Invite), _, _) if by_server => {
                state.legs.entry(id).or_insert((caller, None));
            }
            (Some(Method::Invite), _, _) => {
                let dialled = message.request_uri().ok();
                let dialled = dialled.and_then(|uri| Some(uri.user_unescaped()?.to_string()));
                let dialled = dialled.unwrap_or_default();
                // Its re-INVITEs ask for a contact of the server.
                state.calls.entry(caller).or_insert(Seen {
                    dialled,
                    legs: Vec::new(),
                });
            }
            (None, Some(200), Method::Invite) if !by_server => {
                if let Some((caller, leg @ None)) = state.legs.get_mut(&id)
                    && let Some(seen) = state.calls.get_mut(caller)
                {
                    *leg = Some(seen.legs.len());
                    seen.legs.push((record.time, None));
                }
            }
            (Some(Method::Bye), _, _) => {
                if let Some((caller, Some(leg))) = state.legs.get(&id)
                    && let Some(seen) = state.calls.get_mut(caller)
                {
                    seen.legs[*leg].1.get_or_insert(record.time);
                }
            }
            _ => {}
        }
    }
}
