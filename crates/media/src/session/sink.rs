//! Where the events of a session go.

use std::collections::VecDeque;

use crate::plane::{Event, SessionId};

/// The plane's queue of events, on behalf of one session.
#[derive(Debug)]
pub(crate) struct Sink<'a> {
    pub(crate) session: SessionId,
    pub(crate) events: &'a mut VecDeque<(SessionId, Event)>,
}

impl Sink<'_> {
    pub(crate) fn tell(&mut self, event: Event) {
        self.events.push_back((self.session, event));
    }
}
