//! What the current task is doing: which scene it runs, and which tries of `await_until` it is inside of.
//!
//! A front end calls scenario functions from deep inside its interpreter, so this is kept per thread; a task that is
//! started for a scene [enters](Context::enter) the context that it was started in.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use callwright_events::RunEvent;

use crate::Scene;
use crate::world::{Topic, Version, World};

thread_local! {
    static CURRENT: RefCell<Option<Context>> = const { RefCell::new(None) };
}

/// What a task is doing.
#[derive(Clone)]
pub struct Context {
    scene: Arc<Scene>,
    tries: Vec<Arc<Try>>,
}

/// Puts back what the task did before.
#[must_use = "the context ends when this is dropped"]
pub struct Entered {
    before: Option<Context>,
}

impl Context {
    /// A context for a scene, outside of any try.
    pub fn new(scene: &Arc<Scene>) -> Self {
        Context {
            scene: Arc::clone(scene),
            tries: Vec::new(),
        }
    }

    /// The context of this task.
    pub fn current() -> Option<Context> {
        CURRENT.with_borrow(Clone::clone)
    }

    /// Makes this the context of the calling task until the guard is dropped.
    pub fn enter(self) -> Entered {
        Entered {
            before: CURRENT.replace(Some(self)),
        }
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        CURRENT.set(self.before.take());
    }
}

/// The scene of this task.
pub fn scene() -> Option<Arc<Scene>> {
    CURRENT.with_borrow(|current| current.as_ref().map(|context| Arc::clone(&context.scene)))
}

/// One evaluation of a closure of `await_until`: what it read, and what it would have reported.
#[derive(Default)]
pub(crate) struct Try {
    reads: Mutex<BTreeMap<Topic, Version>>,
    polls: AtomicBool,
    asserted: AtomicBool,
    events: Mutex<Vec<RunEvent>>,
}

impl Try {
    /// The topics read, at the version of their first reading.
    pub(crate) fn reads(&self) -> Vec<(Topic, Version)> {
        let reads = self.reads.lock().unwrap_or_else(PoisonError::into_inner);
        reads.iter().map(|(topic, version)| (*topic, *version)).collect()
    }

    /// It looked at something that changes without an event.
    pub(crate) fn polls(&self) -> bool {
        self.polls.load(Ordering::Relaxed)
    }

    /// It made an assertion.
    pub(crate) fn asserted(&self) -> bool {
        self.asserted.load(Ordering::Relaxed)
    }

    /// What it would have reported.
    pub(crate) fn take_events(&self) -> Vec<RunEvent> {
        std::mem::take(&mut self.events.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Starts a try of the current task; it ends with the guard.
pub(crate) fn begin_try() -> Option<(Arc<Try>, Entered)> {
    let mut context = Context::current()?;
    let attempt = Arc::new(Try::default());
    context.tries.push(Arc::clone(&attempt));
    Some((attempt, context.enter()))
}

/// Notes that the current task reads what `topic` stands for. To be called before the reading itself, so that a
/// change in between is seen as one.
pub(crate) fn reads(world: &dyn World, topic: Topic) {
    for_tries(|attempt| {
        let mut reads = attempt.reads.lock().unwrap_or_else(PoisonError::into_inner);
        reads.entry(topic).or_insert_with(|| world.version(topic));
    });
}

/// Notes which topics the current task touched itself, as often as they stand here: a try is not woken by that, but by
/// every touch of somebody else, before or after. What the try had read before may be otherwise by its own doing, so it
/// is looked at again, though not at once: its next try may do the same.
pub(crate) fn changed_itself(touched: &[Topic]) {
    for_tries(|attempt| {
        let mut reads = attempt.reads.lock().unwrap_or_else(PoisonError::into_inner);
        for topic in touched {
            if let Some(version) = reads.get_mut(topic) {
                version.0 += 1;
                attempt.polls.store(true, Ordering::Relaxed);
            }
        }
    });
}

/// Notes that the current task reads something that changes without an event: a clock, a media figure, HTTP.
pub fn reads_without_event() {
    for_tries(|attempt| attempt.polls.store(true, Ordering::Relaxed));
}

/// Notes an assertion of the current task.
pub(crate) fn asserts() {
    for_tries(|attempt| attempt.asserted.store(true, Ordering::Relaxed));
}

/// Keeps an event for the end of the innermost try; gives it back outside of any.
pub(crate) fn hold_event(event: RunEvent) -> Option<RunEvent> {
    CURRENT.with_borrow(|current| {
        let innermost = current.as_ref().and_then(|context| context.tries.last());
        match innermost {
            Some(attempt) => {
                attempt
                    .events
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .push(event);
                None
            }
            None => Some(event),
        }
    })
}

fn for_tries(mut act: impl FnMut(&Try)) {
    CURRENT.with_borrow(|current| {
        if let Some(context) = current {
            context.tries.iter().for_each(|attempt| act(attempt));
        }
    });
}
