//! Where the network loop leaves what was recorded, and who else may close it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Intake;
use crate::server::Event;

/// The intake of a running server: open from when its files can be written until it stops.
#[derive(Clone, Debug, Default)]
pub(crate) struct Desk(Arc<Mutex<Option<Intake>>>);

impl Desk {
    pub(crate) fn open(&self, intake: Intake) {
        *self.lock() = Some(intake);
    }

    pub(crate) fn close(&self) {
        *self.lock() = None;
    }

    /// Takes what is about recordings, and gives back what is not.
    pub(crate) fn take(&self, event: Event) -> Option<Event> {
        match event {
            Event::RecordingBegan { call, at } => {
                if let Some(intake) = self.lock().as_ref() {
                    intake.began(call, at);
                }
                None
            }
            Event::Recorded { call, piece } => {
                if let Some(intake) = self.lock().as_mut() {
                    intake.take(call, piece);
                }
                None
            }
            other => Some(other),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Intake>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
