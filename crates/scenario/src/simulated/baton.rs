//! One baton: of all tasks of a simulated world exactly one runs.
//!
//! A task that blocks lets time pass by itself, in its own thread, until some task can go on; then the one with the
//! lowest (wake time, number) gets the baton. A world with one task never changes threads.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::{self, Thread};

use callwright_wire::Time;

use crate::embedded::Changes;
use crate::world::{Topic, Version, Wake, touched};

/// A task of a world. The thread that uses it first is task 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct TaskId(u64);

thread_local! {
    /// The world and the task that this thread was started for.
    static TASK: Cell<Option<(u64, TaskId)>> = const { Cell::new(None) };
}

/// What lets time pass.
pub(super) trait Clockwork {
    fn now(&self) -> Time;

    /// Lets things happen until `limit`, or until `moved` is set; false when nothing can ever happen any more.
    fn pass(&self, limit: Time, moved: &AtomicBool) -> bool;
}

/// The tasks of a world, and the topics that they wait for.
#[derive(Debug)]
pub(super) struct Baton {
    /// Tells the tasks of this world from those of others.
    world: u64,
    state: Mutex<State>,
    /// Something was touched: somebody may be able to go on.
    moved: AtomicBool,
    /// Nothing is waited for any more: every wait is over at once.
    closing: AtomicBool,
}

#[derive(Debug)]
struct State {
    versions: Vec<u64>,
    /// All but the one that runs.
    waiting: BTreeMap<TaskId, Waiting>,
    alive: BTreeSet<TaskId>,
    running: TaskId,
    next: u64,
}

#[derive(Debug)]
struct Waiting {
    why: Why,
    thread: Thread,
}

/// What a task waits for.
#[derive(Debug)]
enum Why {
    /// Its turn, for the first time.
    Begin(Time),
    /// A change, or a time.
    Change(Vec<(Topic, Version)>, Time),
    /// The end of other tasks.
    Ends(Vec<TaskId>),
}

impl Baton {
    /// The baton of a new world: the calling thread holds it.
    pub(super) fn new() -> Self {
        static WORLDS: AtomicU64 = AtomicU64::new(0);
        Baton {
            world: WORLDS.fetch_add(1, Ordering::Relaxed),
            state: Mutex::new(State {
                versions: Vec::new(),
                waiting: BTreeMap::new(),
                alive: BTreeSet::from([TaskId(0)]),
                running: TaskId(0),
                next: 1,
            }),
            moved: AtomicBool::new(false),
            closing: AtomicBool::new(false),
        }
    }

    pub(super) fn version(&self, topic: Topic) -> Version {
        self.lock().version(topic)
    }

    /// True ends every wait from now on.
    pub(super) fn set_closing(&self, closing: bool) {
        self.closing.store(closing, Ordering::SeqCst);
    }

    pub(super) fn is_closing(&self) -> bool {
        self.closing.load(Ordering::SeqCst)
    }

    /// Blocks the calling task as [`crate::World::wait`] says.
    pub(super) fn wait(&self, reads: &[(Topic, Version)], until: Time, clock: &impl Clockwork) -> Wake {
        {
            let state = self.lock();
            if state.changed(reads) {
                return Wake::Changed;
            }
            if until <= clock.now() || self.is_closing() {
                return Wake::TimeUp;
            }
        }
        self.block(Why::Change(reads.to_vec(), until), clock);
        if self.lock().changed(reads) {
            Wake::Changed
        } else {
            Wake::TimeUp
        }
    }

    /// Blocks the calling task until the others have ended.
    pub(super) fn join(&self, tasks: &[TaskId], clock: &impl Clockwork) {
        self.block(Why::Ends(tasks.to_vec()), clock);
    }

    /// Whether one of these has not ended yet.
    pub(super) fn any_alive(&self, tasks: &[TaskId]) -> bool {
        let state = self.lock();
        tasks.iter().any(|task| state.alive.contains(task))
    }

    /// A number for a task that is about to be started.
    pub(super) fn number(&self) -> TaskId {
        let mut state = self.lock();
        let task = TaskId(state.next);
        state.next += 1;
        state.alive.insert(task);
        task
    }

    /// A thread was started for a task: it gets its turn.
    pub(super) fn started(&self, task: TaskId, thread: &Thread, now: Time) {
        let waiting = Waiting {
            why: Why::Begin(now),
            thread: thread.clone(),
        };
        self.lock().waiting.insert(task, waiting);
    }

    /// The system gave no thread for it.
    pub(super) fn not_started(&self, task: TaskId) {
        self.lock().alive.remove(&task);
    }

    /// Runs in the thread that was started for a task: waits for its first turn, and passes the baton on at its end, also
    /// when that is a panic.
    pub(super) fn run<R>(&self, task: TaskId, clock: &impl Clockwork, body: impl FnOnce() -> R) -> R {
        TASK.set(Some((self.world, task)));
        self.take(task);
        let _ended = Ended {
            baton: self,
            task,
            clock,
        };
        body()
    }

    fn me(&self) -> TaskId {
        match TASK.get() {
            Some((world, task)) if world == self.world => task,
            _ => TaskId(0),
        }
    }

    fn block(&self, why: Why, clock: &impl Clockwork) {
        let me = self.me();
        let waiting = Waiting {
            why,
            thread: thread::current(),
        };
        self.lock().waiting.insert(me, waiting);
        let waits = Waits { baton: self, me };
        self.pass_on(me, clock);
        self.take(me);
        drop(waits);
    }

    /// Gives the baton to whoever can go on first; lets time pass until somebody can.
    fn pass_on(&self, from: TaskId, clock: &impl Clockwork) {
        loop {
            self.moved.store(false, Ordering::SeqCst);
            let limit = {
                let mut state = self.lock();
                if state.waiting.is_empty() {
                    return;
                }
                let anybody = self.is_closing();
                if let Some(next) = state.next(clock.now(), anybody) {
                    state.give(next, from);
                    return;
                }
                state.earliest()
            };
            if self.is_closing() || !clock.pass(limit, &self.moved) {
                // Nobody would ever go on: the first one hears that its time is up.
                let mut state = self.lock();
                if let Some(next) = state.next(Time::NEVER, true) {
                    state.give(next, from);
                    return;
                }
            }
        }
    }

    /// Waits until the calling task has the baton.
    fn take(&self, me: TaskId) {
        loop {
            {
                let mut state = self.lock();
                if state.running == me {
                    state.waiting.remove(&me);
                    return;
                }
            }
            thread::park();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Changes for Baton {
    fn open(&self) -> Topic {
        let mut state = self.lock();
        let topic = Topic(u32::try_from(state.versions.len()).unwrap_or(u32::MAX));
        state.versions.push(0);
        topic
    }

    fn touch(&self, topic: Topic) {
        let mut state = self.lock();
        if let Some(version) = state.versions.get_mut(topic.0 as usize) {
            *version += 1;
            touched(topic);
        }
        if state.waiting.values().any(|waiting| waiting.reads(topic)) {
            self.moved.store(true, Ordering::SeqCst);
        }
    }
}

/// A task that waits, until it does not: be it for a panic of what lets time pass.
struct Waits<'a> {
    baton: &'a Baton,
    me: TaskId,
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.baton.lock().waiting.remove(&self.me);
    }
}

/// The end of a task.
struct Ended<'a, C: Clockwork> {
    baton: &'a Baton,
    task: TaskId,
    clock: &'a C,
}

impl<C: Clockwork> Drop for Ended<'_, C> {
    fn drop(&mut self) {
        self.baton.lock().alive.remove(&self.task);
        if thread::panicking() {
            // Whatever let time pass may be what panicked: the others go on without.
            self.baton.set_closing(true);
        }
        self.baton.pass_on(self.task, self.clock);
        TASK.set(None);
    }
}

impl Waiting {
    fn reads(&self, topic: Topic) -> bool {
        match &self.why {
            Why::Change(reads, _) => reads.iter().any(|(read, _)| *read == topic),
            Why::Begin(_) | Why::Ends(_) => false,
        }
    }
}

impl State {
    fn version(&self, topic: Topic) -> Version {
        Version(self.versions.get(topic.0 as usize).copied().unwrap_or(0))
    }

    fn changed(&self, reads: &[(Topic, Version)]) -> bool {
        reads
            .iter()
            .any(|(topic, version)| self.version(*topic) != *version)
    }

    /// Who goes on first; `anybody` ends every wait but one for other tasks.
    fn next(&self, now: Time, anybody: bool) -> Option<TaskId> {
        let wakes = self.waiting.iter().filter_map(|(task, waiting)| {
            let at = match &waiting.why {
                Why::Begin(at) => Some(*at),
                Why::Change(reads, until) => {
                    if *until <= now {
                        Some(*until)
                    } else {
                        (anybody || self.changed(reads)).then_some(now)
                    }
                }
                Why::Ends(tasks) => (!tasks.iter().any(|task| self.alive.contains(task))).then_some(now),
            };
            Some((at?, *task))
        });
        wakes.min().map(|(_, task)| task)
    }

    fn earliest(&self) -> Time {
        let times = self.waiting.values().map(|waiting| match &waiting.why {
            Why::Begin(at) => *at,
            Why::Change(_, until) => *until,
            Why::Ends(_) => Time::NEVER,
        });
        times.min().unwrap_or(Time::NEVER)
    }

    fn give(&mut self, next: TaskId, from: TaskId) {
        self.running = next;
        if next != from
            && let Some(waiting) = self.waiting.get(&next)
        {
            waiting.thread.unpark();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A clock with nothing but its hands.
    #[derive(Default)]
    struct Bare(AtomicU64);

    impl Clockwork for Bare {
        fn now(&self) -> Time {
            Time::from_nanos(self.0.load(Ordering::SeqCst))
        }

        fn pass(&self, limit: Time, _: &AtomicBool) -> bool {
            if limit != Time::NEVER {
                self.0.store(limit.as_nanos(), Ordering::SeqCst);
            }
            limit != Time::NEVER
        }
    }

    /// Runs tasks as a world does, and waits for them.
    fn together(baton: &Baton, clock: &Bare, tasks: Vec<Box<dyn FnOnce() + Send + '_>>) {
        thread::scope(|scope| {
            let numbers: Vec<TaskId> = tasks
                .into_iter()
                .map(|task| {
                    let number = baton.number();
                    let spawned = scope.spawn(move || baton.run(number, clock, task));
                    baton.started(number, spawned.thread(), clock.now());
                    number
                })
                .collect();
            baton.join(&numbers, clock);
        });
    }

    #[test]
    fn tasks_take_turns_by_time_and_then_by_number() {
        for _ in 0..20 {
            let (baton, clock) = (Baton::new(), Bare::default());
            let story = Mutex::new(Vec::new());
            let say = |what: &str| {
                story
                    .lock()
                    .unwrap()
                    .push(format!("{} {what}", clock.now().as_nanos()));
            };
            let task = |name: &'static str, naps: [u64; 2]| -> Box<dyn FnOnce() + Send + '_> {
                let (baton, clock, say) = (&baton, &clock, &say);
                Box::new(move || {
                    say(name);
                    for until in naps {
                        baton.wait(&[], Time::from_nanos(until), clock);
                        say(name);
                    }
                })
            };
            together(
                &baton,
                &clock,
                vec![task("a", [5, 9]), task("b", [5, 6]), task("c", [2, 9])],
            );
            say("end");
            let told = story.lock().unwrap().join(", ");
            assert_eq!(told, "0 a, 0 b, 0 c, 2 c, 5 a, 5 b, 6 b, 9 a, 9 c, 9 end");
        }
    }

    #[test]
    fn a_touch_of_one_task_wakes_another_before_time_passes() {
        let (baton, clock) = (Baton::new(), Bare::default());
        let topic = baton.open();
        let seen = baton.version(topic);
        let woken = Mutex::new(None);
        together(
            &baton,
            &clock,
            vec![
                Box::new(|| {
                    let wake = baton.wait(&[(topic, seen)], Time::from_nanos(100), &clock);
                    *woken.lock().unwrap() = Some((wake, clock.now()));
                }),
                Box::new(|| {
                    baton.wait(&[], Time::from_nanos(7), &clock);
                    baton.touch(topic);
                    baton.wait(&[], Time::from_nanos(9), &clock);
                }),
            ],
        );
        assert_eq!(*woken.lock().unwrap(), Some((Wake::Changed, Time::from_nanos(7))));
    }

    #[test]
    fn who_would_wait_for_ever_hears_that_the_time_is_up() {
        let (baton, clock) = (Baton::new(), Bare::default());
        let topic = baton.open();
        let seen = baton.version(topic);
        assert_eq!(baton.wait(&[(topic, seen)], Time::NEVER, &clock), Wake::TimeUp);
    }

    #[test]
    fn a_panic_of_one_task_leaves_the_others_their_turns() {
        let (baton, clock) = (Baton::new(), Bare::default());
        let ended = Mutex::new(false);
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            together(
                &baton,
                &clock,
                vec![
                    Box::new(|| panic!("no luck")),
                    Box::new(|| {
                        baton.wait(&[], Time::from_nanos(3), &clock);
                        *ended.lock().unwrap() = true;
                    }),
                ],
            );
        }));
        assert!(outcome.is_err());
        assert!(*ended.lock().unwrap());
    }
}
