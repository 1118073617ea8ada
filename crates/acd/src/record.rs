//! Call records: what the facts tell of each call, put together.
//!
//! A record is a fold of facts and of nothing else: whoever has the facts, a database or a test, makes the same records of
//! them again. Times are those of the facts.

use std::collections::BTreeMap;
use std::time::Duration;

use callwright_wire::Time;

use crate::agent::AgentState;
use crate::fact::{CallKey, EndCause, Fact, Parties, PresentationOutcome};

/// What is known of one call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallRecord {
    /// Its number.
    pub call: CallKey,
    /// The address in the caller's From; `None` where the process died before anybody answered a call that came to no queue.
    pub caller: Option<String>,
    /// The address that was asked for: that of the user who answered, where one did and the call came to no queue.
    pub dialled: Option<String>,
    /// When the first fact of it was told.
    pub arrived: Time,
    /// The queues that it came to, in their order.
    pub visits: Vec<Visit>,
    /// To whom it was presented, in their order.
    pub presentations: Vec<Presentation>,
    /// Who answered it, in their order: more than one where it was transferred to a queue.
    pub answers: Vec<Answer>,
    /// The addresses of those who took the place of a party.
    pub transfers: Vec<Transfer>,
    /// Its recordings.
    pub recordings: Vec<Recording>,
    /// How it ended; `None`: it is up.
    pub ended: Option<Ended>,
}

/// One stay in a queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Visit {
    /// The queue.
    pub queue: String,
    /// Its priority there.
    pub priority: i32,
    /// When it came.
    pub entered: Time,
    /// When it left: answered, for another queue or address, or because it ended.
    pub left: Option<Time>,
    /// Whether it went on to an address that is no queue.
    pub overflowed: bool,
}

/// One presentation to one agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Presentation {
    /// The agent.
    pub agent: String,
    /// Which presentation of the call it is, from 1; with `ring_all` those at once share a number.
    pub attempt: u32,
    /// When it began.
    pub at: Time,
    /// When it was over.
    pub ended: Option<Time>,
    /// Why it was over; `None` while it rings, and where the agent answered.
    pub outcome: Option<PresentationOutcome>,
}

/// Who answered, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The address-of-record of who answered.
    pub callee: String,
    /// The agent, where the call came from a queue.
    pub agent: Option<String>,
    /// The visit that it ended, as an index of [`CallRecord::visits`].
    pub visit: Option<usize>,
    /// When.
    pub at: Time,
    /// When the agent left: at the end of the call, or before, where it transferred the caller away. An agent who was consulted in it and
    /// goes on in another call, whose caller was transferred to it, leaves when that talk is over.
    pub left: Option<Time>,
    /// The wrap-up of the agent.
    pub wrap_up: Option<WrapUp>,
}

/// A party that took the place of another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transfer {
    /// Its address.
    pub to: String,
    /// When.
    pub at: Time,
}

/// A recording.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recording {
    /// The file, relative to the folder of recordings.
    pub file: String,
    /// When it began.
    pub started: Time,
    /// Its length in samples of each channel, at 8,000 Hz; `None`: it is not finished.
    pub samples: Option<u64>,
}

/// What an agent did after a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WrapUp {
    /// When it began.
    pub began: Time,
    /// When it is over by itself.
    pub until: Time,
    /// When it was over: not after that, even where nobody was there to say so.
    pub ended: Option<Time>,
}

/// The end of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    /// Why.
    pub cause: EndCause,
    /// When.
    pub at: Time,
}

impl CallRecord {
    fn new(call: CallKey, arrived: Time) -> CallRecord {
        CallRecord {
            call,
            caller: None,
            dialled: None,
            arrived,
            visits: Vec::new(),
            presentations: Vec::new(),
            answers: Vec::new(),
            transfers: Vec::new(),
            recordings: Vec::new(),
            ended: None,
        }
    }

    /// The queue that it came to last.
    pub fn queue(&self) -> Option<&str> {
        self.visits.last().map(|visit| visit.queue.as_str())
    }

    /// Who answered first.
    pub fn answered(&self) -> Option<&Answer> {
        self.answers.first()
    }

    /// Who answered a visit, an index of [`CallRecord::visits`].
    pub fn answer_of(&self, visit: usize) -> Option<&Answer> {
        self.answers.iter().find(|answer| answer.visit == Some(visit))
    }

    /// The agent who answered, the last one where there were several.
    pub fn agent(&self) -> Option<&str> {
        self.by_agents().next_back()?.agent.as_deref()
    }

    fn by_agents(&self) -> impl DoubleEndedIterator<Item = &Answer> {
        self.answers.iter().filter(|answer| answer.agent.is_some())
    }

    /// Why it ended, as records call it: what is `completed_by_callee` between users is `completed_by_agent` with an agent who was in
    /// it to the end.
    pub fn cause(&self) -> Option<String> {
        let Ended { cause, at } = self.ended?;
        let stayed = |answer: &Answer| {
            let left = answer.left.is_some_and(|left| left < at);
            answer.agent.is_some() && !left
        };
        Some(match cause {
            EndCause::CompletedByCallee if self.answers.last().is_some_and(stayed) => {
                "completed_by_agent".to_owned()
            }
            cause => cause.to_string(),
        })
    }

    /// Whether it is over, and nothing more is to come but recordings.
    pub fn is_over(&self) -> bool {
        let wraps = |answer: &Answer| answer.wrap_up.is_some_and(|wrap_up| wrap_up.ended.is_none());
        self.ended.is_some() && !self.answers.iter().any(wraps)
    }

    /// From its arrival to its first answer, or to its end where nobody answered.
    pub fn wait(&self) -> Option<Duration> {
        let answered = self.answered().map(|answer| answer.at);
        let until = answered.or(self.ended.map(|ended| ended.at))?;
        Some(until.since(self.arrived))
    }

    /// How long it rang at the agent who answered first.
    pub fn ring(&self) -> Option<Duration> {
        let answer = self.by_agents().next()?;
        let answered = |presentation: &&Presentation| {
            Some(&presentation.agent) == answer.agent.as_ref() && presentation.ended == Some(answer.at)
        };
        let presented = self.presentations.iter().rev().find(answered)?;
        Some(answer.at.since(presented.at))
    }

    /// From its first answer to its end, whoever talked.
    pub fn talk(&self) -> Option<Duration> {
        Some(self.ended?.at.since(self.answered()?.at))
    }

    /// How long agents were in it, holds included; `None` where none was, or one still is.
    pub fn agent_talk(&self) -> Option<Duration> {
        self.by_agents().next()?;
        self.by_agents().map(Answer::talk).sum()
    }

    /// How long the wrap-ups after it took; zero where there was none, `None` while one lasts.
    pub fn wrap(&self) -> Option<Duration> {
        self.answers.iter().map(Answer::wrap).sum()
    }

    /// An agent answered, and the caller did not hear of it.
    fn take_answer_back(&mut self, agent: &str, outcome: PresentationOutcome, at: Time) -> bool {
        let in_vain = |answer: &mut Answer| answer.agent.as_deref() == Some(agent) && answer.left.is_none();
        let Some(answer) = self.answers.pop_if(in_vain) else {
            return false;
        };
        if let Some(visit) = answer.visit.and_then(|visit| self.visits.get_mut(visit)) {
            visit.left = None;
        }
        let answered = |presentation: &&mut Presentation| {
            presentation.agent == agent && presentation.ended == Some(answer.at)
        };
        if let Some(presentation) = self.presentations.iter_mut().rev().find(answered) {
            presentation.ended = Some(at);
            presentation.outcome = Some(outcome);
        }
        true
    }

    fn leave_queue(&mut self, at: Time) {
        if let Some(visit) = self.visits.last_mut() {
            visit.left.get_or_insert(at);
        }
    }

    /// The call leaves its queue for an address that is none.
    fn overflow(&mut self, at: Time) {
        if let Some(visit) = self.visits.last_mut().filter(|visit| visit.left.is_none()) {
            visit.left = Some(at);
            visit.overflowed = true;
        }
    }
}

impl Answer {
    /// How long who answered was in the call, holds included; `None`: it still is.
    pub fn talk(&self) -> Option<Duration> {
        Some(self.left?.since(self.at))
    }

    /// How long the wrap-up took; zero where there was none, `None` while it lasts.
    pub fn wrap(&self) -> Option<Duration> {
        match self.wrap_up {
            None => Some(Duration::ZERO),
            Some(wrap_up) => Some(wrap_up.ended?.since(wrap_up.began)),
        }
    }
}

/// The fold: facts in their order, records out.
///
/// It holds the calls that are up, and those that are over as long as an agent wraps up.
#[derive(Clone, Debug, Default)]
pub struct Records {
    open: BTreeMap<CallKey, CallRecord>,
    /// The call that each agent answered last, and which of its answers that is, as long as the agent is busy with it.
    busy: BTreeMap<String, (CallKey, usize)>,
    /// What was there before [`Records::mark`], of what changed since.
    undo: Option<Undo>,
}

/// The calls that a fact changed: one, or two where an agent answers and was busy with another before.
pub type Touched = [Option<CallKey>; 2];

#[derive(Clone, Debug, Default)]
struct Undo {
    open: BTreeMap<CallKey, Option<CallRecord>>,
    busy: BTreeMap<String, Option<(CallKey, usize)>>,
}

impl Records {
    /// Takes a fact; gives back the calls whose records changed.
    pub fn apply(&mut self, fact: &Fact) -> Touched {
        let touched = self.fold(fact);
        let other = if let Fact::CallAnswered {
            call,
            agent: Some(agent),
            ..
        } = fact
        {
            let answers = self.open.get(call).map_or(0, |record| record.answers.len());
            let before = self.set_busy(agent, Some((*call, answers.saturating_sub(1))));
            before.map(|(other, _)| other).filter(|other| other != call)
        } else {
            None
        };
        [touched, other]
    }

    /// What is applied from now on can be taken back.
    pub fn mark(&mut self) {
        self.undo = Some(Undo::default());
    }

    /// What was applied since the mark stays.
    pub fn keep(&mut self) {
        self.undo = None;
    }

    /// What was applied since the mark is taken back.
    pub fn undo(&mut self) {
        let Some(undo) = self.undo.take() else { return };
        for (call, record) in undo.open {
            match record {
                Some(record) => self.open.insert(call, record),
                None => self.open.remove(&call),
            };
        }
        for (agent, call) in undo.busy {
            self.set_busy(&agent, call);
        }
    }

    fn set_busy(&mut self, agent: &str, call: Option<(CallKey, usize)>) -> Option<(CallKey, usize)> {
        let before = match call {
            Some(call) => self.busy.insert(agent.to_owned(), call),
            None => self.busy.remove(agent),
        };
        if let Some(undo) = &mut self.undo {
            undo.busy.entry(agent.to_owned()).or_insert(before);
        }
        before
    }

    /// Remembers how a record was, where that may be asked for.
    fn save(&mut self, call: CallKey) {
        if let Some(undo) = &mut self.undo {
            let open = &self.open;
            undo.open.entry(call).or_insert_with(|| open.get(&call).cloned());
        }
    }

    fn fold(&mut self, fact: &Fact) -> Option<CallKey> {
        match fact {
            Fact::Bindings { .. } | Fact::AgentWants { .. } => None,
            Fact::AgentChanged { agent, state, at } => self.agent_changed(agent, state, *at),
            Fact::CallQueued {
                call,
                queue,
                caller,
                dialled,
                priority,
                at,
            } => self.change(*call, *at, |record| {
                record.caller.get_or_insert_with(|| caller.clone());
                record.dialled.get_or_insert_with(|| dialled.clone());
                record.leave_queue(*at);
                record.visits.push(Visit {
                    queue: queue.clone(),
                    priority: *priority,
                    entered: *at,
                    left: None,
                    overflowed: false,
                });
            }),
            Fact::CallPresented {
                call,
                agent,
                attempt,
                at,
            } => self.change_open(*call, |record| {
                record.presentations.push(Presentation {
                    agent: agent.clone(),
                    attempt: *attempt,
                    at: *at,
                    ended: None,
                    outcome: None,
                });
            }),
            Fact::CallOverflowed { call, at, .. } => self.change_open(*call, |record| record.overflow(*at)),
            Fact::PresentationEnded {
                call,
                agent,
                outcome,
                at,
            } => {
                let mut in_vain = false;
                let touched = self.change_open(*call, |record| {
                    let rings = |presentation: &&mut Presentation| {
                        presentation.agent == *agent && presentation.ended.is_none()
                    };
                    if let Some(presentation) = record.presentations.iter_mut().rev().find(rings) {
                        presentation.ended = Some(*at);
                        presentation.outcome = Some(*outcome);
                    } else {
                        in_vain = record.take_answer_back(agent, *outcome, *at);
                    }
                });
                if in_vain && self.busy.get(agent).is_some_and(|(busy, _)| busy == call) {
                    self.set_busy(agent, None);
                }
                touched
            }
            Fact::CallAnswered {
                call,
                caller,
                callee,
                agent,
                at,
            } => self.change(*call, *at, |record| {
                record.caller.get_or_insert_with(|| caller.clone());
                record.dialled.get_or_insert_with(|| callee.clone());
                let visit = record.visits.len().checked_sub(1);
                let visit = visit.filter(|visit| agent.is_some() && record.visits[*visit].left.is_none());
                if visit.is_some() {
                    record.leave_queue(*at);
                } else {
                    record.overflow(*at);
                }
                let rings = |presentation: &&mut Presentation| {
                    Some(&presentation.agent) == agent.as_ref() && presentation.ended.is_none()
                };
                if let Some(presentation) = record.presentations.iter_mut().rev().find(rings) {
                    presentation.ended = Some(*at);
                }
                record.answers.push(Answer {
                    callee: callee.clone(),
                    agent: agent.clone(),
                    visit,
                    at: *at,
                    left: None,
                    wrap_up: None,
                });
            }),
            Fact::CallTransferred { call, agent, to, at } => self.change_open(*call, |record| {
                let leaves = |answer: &&mut Answer| agent.is_some() && answer.agent == *agent;
                if let Some(answer) = record.answers.iter_mut().rev().find(leaves) {
                    answer.left.get_or_insert(*at);
                }
                record.transfers.push(Transfer {
                    to: to.clone(),
                    at: *at,
                });
            }),
            Fact::RecordingStarted { call, file, at } => self.change_open(*call, |record| {
                record.recordings.push(Recording {
                    file: file.clone(),
                    started: *at,
                    samples: None,
                });
            }),
            Fact::RecordingEnded {
                call,
                file,
                samples,
                at: _,
            } => {
                // It may be written after the call was put away: whoever keeps records completes it there.
                self.save(*call);
                let record = self.open.get_mut(call)?;
                let of_file = |recording: &&mut Recording| recording.file == *file;
                if let Some(recording) = record.recordings.iter_mut().find(of_file) {
                    recording.samples = Some(*samples);
                }
                Some(*call)
            }
            Fact::CallEnded {
                call,
                cause,
                parties,
                at,
            } => {
                // Who talks on in another call says so itself when that is over.
                let busy = self.busy.values().filter(|(busy, _)| busy == call);
                let busy = busy.filter(|_| *cause == EndCause::Transferred);
                let goes_on: Vec<usize> = busy.map(|(_, answer)| *answer).collect();
                self.change(*call, *at, |record| {
                    if let Some(Parties { caller, dialled }) = parties {
                        record.caller.get_or_insert_with(|| caller.clone());
                        record.dialled.get_or_insert_with(|| dialled.clone());
                    }
                    record.leave_queue(*at);
                    for presentation in &mut record.presentations {
                        if presentation.ended.is_none() {
                            presentation.ended = Some(*at);
                            presentation.outcome = Some(PresentationOutcome::Withdrawn);
                        }
                    }
                    for (index, answer) in record.answers.iter_mut().enumerate() {
                        if answer.agent.is_some() && !goes_on.contains(&index) {
                            answer.left.get_or_insert(*at);
                        }
                    }
                    record.ended.get_or_insert(Ended {
                        cause: *cause,
                        at: *at,
                    });
                })
            }
        }
    }

    /// The record of a call that is held.
    pub fn get(&self, call: CallKey) -> Option<&CallRecord> {
        self.open.get(&call)
    }

    /// The records that are held, by their numbers.
    pub fn open(&self) -> impl Iterator<Item = &CallRecord> {
        self.open.values()
    }

    /// Who talks on in another call, as far as is known, with the call that is over in which it was consulted. Nothing ends such a talk but
    /// what the agent becomes: after a crash it is to be told.
    pub fn talking_on(&self) -> impl Iterator<Item = (&str, CallKey)> {
        self.busy.iter().filter_map(|(agent, (call, index))| {
            let record = self.open.get(call).filter(|record| record.ended.is_some())?;
            let talks = record.answers.get(*index)?.left.is_none();
            talks.then_some((agent.as_str(), *call))
        })
    }

    /// Puts a record away that is over; `None` where it is not, or where there is none.
    pub fn take_over(&mut self, call: CallKey) -> Option<CallRecord> {
        if self.is_over(call) {
            self.save(call);
            self.open.remove(&call)
        } else {
            None
        }
    }

    /// Whether a call that is held is over, and no agent is busy with it any more.
    pub fn is_over(&self, call: CallKey) -> bool {
        let Some(record) = self.open.get(&call).filter(|record| record.is_over()) else {
            return false;
        };
        let busy = |(index, answer): (usize, &Answer)| {
            let agent = answer.agent.as_deref();
            agent.and_then(|agent| self.busy.get(agent)) == Some(&(call, index))
        };
        !record.answers.iter().enumerate().any(busy)
    }

    /// Takes every record, those that are up included.
    pub fn into_records(self) -> Vec<CallRecord> {
        self.open.into_values().collect()
    }

    fn change(&mut self, call: CallKey, at: Time, change: impl FnOnce(&mut CallRecord)) -> Option<CallKey> {
        self.save(call);
        change(self.open.entry(call).or_insert_with(|| CallRecord::new(call, at)));
        Some(call)
    }

    /// A call that is over, or was never let in, changes no more.
    fn change_open(&mut self, call: CallKey, change: impl FnOnce(&mut CallRecord)) -> Option<CallKey> {
        self.save(call);
        change(self.open.get_mut(&call)?);
        Some(call)
    }

    fn agent_changed(&mut self, agent: &str, state: &AgentState, at: Time) -> Option<CallKey> {
        let (call, index) = *self.busy.get(agent)?;
        let wraps = match state {
            AgentState::Talking => return None,
            AgentState::WrapUp { until } => Some(*until),
            AgentState::LoggedOut | AgentState::NotReady(_) | AgentState::Ready | AgentState::Reserved => {
                None
            }
        };
        if wraps.is_none() {
            self.set_busy(agent, None);
        }
        self.save(call);
        let answer = self.open.get_mut(&call)?.answers.get_mut(index)?;
        answer.left.get_or_insert(at);
        match (&mut answer.wrap_up, wraps) {
            (None, Some(until)) => {
                answer.wrap_up = Some(WrapUp {
                    began: at,
                    until,
                    ended: None,
                });
            }
            (Some(wrap_up), Some(until)) => wrap_up.until = until,
            (Some(wrap_up), None) => {
                wrap_up.ended.get_or_insert(at.min(wrap_up.until));
            }
            (None, None) => {}
        }
        Some(call)
    }
}
