//! Events in the order of the plan, however many scenarios run at the same time.

use std::sync::{Arc, Mutex, PoisonError};

use callwright_events::Record;

use crate::Sink;

/// Lets through what belongs to the earliest slot that has not ended, and keeps back what belongs to later ones.
pub(super) struct Ordered {
    sink: Arc<dyn Sink>,
    state: Mutex<State>,
}

struct State {
    head: usize,
    slots: Vec<Slot>,
}

#[derive(Default)]
struct Slot {
    kept: Vec<Record>,
    done: bool,
}

/// The sink of one slot.
pub(super) struct SlotSink {
    ordered: Arc<Ordered>,
    slot: usize,
}

impl Ordered {
    pub(super) fn new(sink: Arc<dyn Sink>, slots: usize) -> Arc<Self> {
        let slots = (0..slots).map(|_| Slot::default()).collect();
        Arc::new(Ordered {
            sink,
            state: Mutex::new(State { head: 0, slots }),
        })
    }

    pub(super) fn slot(self: &Arc<Self>, slot: usize) -> Arc<SlotSink> {
        Arc::new(SlotSink {
            ordered: Arc::clone(self),
            slot,
        })
    }

    /// Says that a slot has ended: what comes after it may go on.
    pub(super) fn done(&self, slot: usize) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(slot) = state.slots.get_mut(slot) {
            slot.done = true;
        }
        loop {
            let head = state.head;
            let Some(slot) = state.slots.get_mut(head) else {
                return;
            };
            for record in slot.kept.drain(..) {
                self.sink.emit(record);
            }
            if !slot.done {
                return;
            }
            state.head += 1;
        }
    }
}

impl Sink for SlotSink {
    fn emit(&self, record: Record) {
        let mut state = self.ordered.state.lock().unwrap_or_else(PoisonError::into_inner);
        if self.slot > state.head
            && let Some(slot) = state.slots.get_mut(self.slot)
        {
            slot.kept.push(record);
        } else {
            self.ordered.sink.emit(record);
        }
    }
}

/// Keeps what the top level of a file reports until the file has its slot.
#[derive(Default)]
pub(super) struct Early {
    state: Mutex<(Vec<Record>, Option<Arc<SlotSink>>)>,
}

impl Early {
    /// From now on everything goes to the slot, what was kept first.
    pub(super) fn go_on(&self, sink: Arc<SlotSink>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        for record in state.0.drain(..) {
            sink.emit(record);
        }
        state.1 = Some(sink);
    }
}

impl Sink for Early {
    fn emit(&self, record: Record) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match &state.1 {
            Some(sink) => sink.emit(record),
            None => state.0.push(record),
        }
    }
}
