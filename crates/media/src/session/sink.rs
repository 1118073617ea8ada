//! Where the events of a session go, and what is recorded of it.

use std::collections::VecDeque;

use crate::plane::{Event, SessionId};
use crate::recording::Recordings;

/// The plane's queue of events and its recordings, on behalf of one session.
#[derive(Debug)]
pub(crate) struct Sink<'a> {
    pub(crate) session: SessionId,
    pub(crate) events: &'a mut VecDeque<(SessionId, Event)>,
    pub(crate) recordings: &'a mut Recordings,
}

impl Sink<'_> {
    pub(crate) fn tell(&mut self, event: Event) {
        self.events.push_back((self.session, event));
    }
}
