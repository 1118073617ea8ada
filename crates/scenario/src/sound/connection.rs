//! `verify_audio_connection`: each of two agents hears the other.
//!
//! What is heard could come from anywhere: from another call, another check, or a constant tone. So each check sends two
//! tones that nobody else in the run sends meanwhile, one for each direction, so that an echo is no answer either.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use callwright_events::FailureKind;

use crate::phone::{Aspect, Audio, CallRef, Phase, Verb};
use crate::world::{Time, Topic, World};
use crate::{Agent, Fault, Position, Run, Scene};

/// Detectors keep tones apart that are so far from each other, in Hz.
const APART: u32 = 40;
/// What every codec and trunk carries well.
const LOWEST: u32 = 400;
const HIGHEST: u32 = 3_360;
/// The first tone of the first check, in Hz.
const FIRST: f64 = 1_000.0;
/// How far the tones of one check are from each other in the list of all: about 400 Hz.
const STRIDE: usize = 8;
/// Tones with a meaning: digits (Q.23), dialling and ringing (E.182), faxes (T.30).
const MEANT: [u32; 15] = [
    440, 480, 620, 697, 770, 852, 941, 1_100, 1_209, 1_336, 1_477, 1_633, 1_800, 2_100, 2_600,
];
/// A tone is not used when one with a meaning is so near.
const NEAR: u32 = 20;

/// The checks of a run that go on, and the tones that its agents send.
pub(crate) struct Checks {
    state: Mutex<State>,
    topic: Topic,
}

#[derive(Default)]
struct State {
    /// By address-of-record: who takes part in a check, and what it sends for that.
    under_way: BTreeMap<String, f64>,
    /// By address-of-record: tones that a script made an agent send.
    sent: BTreeMap<String, Vec<f64>>,
    /// Where the next search begins: what was sent a moment ago may still be on its way.
    next: usize,
}

impl Checks {
    pub(crate) fn new(world: &dyn World) -> Self {
        let state = State {
            next: tones().position(|hz| hz >= FIRST).unwrap_or(0),
            ..State::default()
        };
        Checks {
            state: Mutex::new(state),
            topic: world.new_topic(),
        }
    }

    /// Notes what a script made an agent send: instead of all that it sent before, or besides that.
    pub(crate) fn sends(&self, aor: &str, audio: &Audio, instead: bool) {
        let mut state = self.lock();
        let tones = state.sent.entry(aor.to_owned()).or_default();
        if instead {
            tones.clear();
        }
        if let Audio::Tones { hz } = audio {
            tones.extend(hz);
        }
        if tones.is_empty() {
            state.sent.remove(aor);
        }
    }

    /// An agent ends.
    pub(crate) fn forget(&self, aor: &str) {
        self.lock().sent.remove(aor);
    }

    /// Two tones for a check of these agents; `None` when it has to wait for another check to end.
    fn begin(&self, agents: [&Agent; 2]) -> Result<Option<[f64; 2]>, Fault> {
        let mut state = self.lock();
        if agents
            .iter()
            .any(|agent| state.under_way.contains_key(agent.aor()))
        {
            return Ok(None);
        }
        let all: Vec<f64> = tones().collect();
        let used: Vec<f64> = state
            .under_way
            .values()
            .chain(state.sent.values().flatten())
            .copied()
            .collect();
        let is_free = |hz: &f64| used.iter().all(|used| (used - hz).abs() >= f64::from(APART));
        let free_from = |start: usize| {
            (0..all.len())
                .map(|number| (start + number) % all.len())
                .find(|number| is_free(&all[*number]))
        };
        let first = free_from(state.next);
        let second = first.and_then(|first| free_from(first + STRIDE).filter(|second| *second != first));
        let (Some(first), Some(second)) = (first, second) else {
            return if state.under_way.is_empty() {
                Err(Fault::script(
                    "verify_audio_connection: the agents of the run send so many tones that none is left to check with",
                ))
            } else {
                Ok(None)
            };
        };
        let chosen = [all[first], all[second]];
        state.next = first + 1;
        for (agent, hz) in agents.into_iter().zip(chosen) {
            state.under_way.insert(agent.aor().to_owned(), hz);
        }
        Ok(Some(chosen))
    }

    fn end(&self, agents: [&Agent; 2]) {
        let mut state = self.lock();
        for agent in agents {
            state.under_way.remove(agent.aor());
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Everything that a check may send.
fn tones() -> impl Iterator<Item = f64> {
    (LOWEST..=HIGHEST)
        .step_by(APART as usize)
        .filter(|hz| MEANT.iter().all(|meant| meant.abs_diff(*hz) >= NEAR))
        .map(f64::from)
}

/// A check under way: its agents and its tones are its own until it is dropped.
struct Check<'a> {
    run: &'a Run,
    agents: [&'a Agent; 2],
    tones: [f64; 2],
}

impl<'a> Check<'a> {
    /// Waits until no other check has one of the agents, and two tones are free.
    fn begin(scene: &'a Scene, agents: [&'a Agent; 2]) -> Result<Self, Fault> {
        let run = scene.run();
        let checks = run.checks();
        loop {
            let seen = scene.world().version(checks.topic);
            if let Some(tones) = checks.begin(agents)? {
                return Ok(Check { run, agents, tones });
            }
            scene.wait_for(&[(checks.topic, seen)], Time::NEVER)?;
        }
    }
}

impl Drop for Check<'_> {
    fn drop(&mut self) {
        self.run.checks().end(self.agents);
        self.run.world().touch(self.run.checks().topic);
    }
}

/// What an agent sent on each of its calls.
struct Before {
    calls: Vec<(CallRef, Audio)>,
    next: Audio,
}

impl Before {
    fn of(agent: &Agent) -> Self {
        let snapshot = agent.phone().snapshot();
        let calls = snapshot.calls.into_iter();
        Before {
            calls: calls
                .filter(|call| call.phase != Phase::Ended)
                .map(|call| (call.id, call.sending))
                .collect(),
            next: snapshot.next_audio,
        }
    }

    /// Puts back what was sent wherever the check's tone is sent now.
    fn restore(self, scene: &Scene, agent: &Agent, tone: &Audio, at: &Position) {
        let snapshot = agent.phone().snapshot();
        let send = |call, audio: &Audio| {
            // The call may have ended meanwhile: then nobody hears the tone any more.
            let _ = agent.perform(scene, call, Verb::SendAudio(audio.clone()), at);
        };
        for call in snapshot
            .calls
            .iter()
            .filter(|call| call.phase != Phase::Ended && call.sending == *tone)
        {
            let known = self.calls.iter().find(|(id, _)| *id == call.id);
            send(Some(call.id), known.map_or(&self.next, |(_, audio)| audio));
        }
        if snapshot.next_audio == *tone && snapshot.live_calls() == 0 {
            send(None, &self.next);
        }
    }

    fn has_call(&self) -> bool {
        !self.calls.is_empty()
    }
}

/// Passes when each of two agents hears the other. What they sent before, they send again afterwards.
///
/// # Errors
/// When one does not within `within`: the text says which, and what it heard. At once when neither has a call.
pub fn verify_connection(
    scene: &Scene,
    a: &Agent,
    b: &Agent,
    within: Duration,
    at: &Position,
) -> Result<(), Fault> {
    if a.is(b) {
        return Err(Fault::script("verify_audio_connection needs two agents").at(at));
    }
    scene.check().map_err(|fault| fault.at(at))?;
    let agents = [a, b];
    let check = Check::begin(scene, agents).map_err(|fault| fault.at(at))?;
    agents.iter().for_each(|agent| agent.reads(Aspect::Calls));
    let before = agents.map(Before::of);
    if !before.iter().any(Before::has_call) {
        let message = format!(
            "verify_audio_connection: neither {} nor {} has a call",
            a.name(),
            b.name()
        );
        return Err(Fault::new(FailureKind::Assertion, message).retriable().at(at));
    }
    let audio = check.tones.map(|hz| Audio::Tones { hz: vec![hz] });
    let mut outcome = Ok(());
    for (agent, audio) in agents.iter().zip(&audio) {
        outcome = outcome.and_then(|()| {
            agent
                .perform(scene, None, Verb::SendAudio(audio.clone()), at)
                .map(|_| ())
        });
    }
    let outcome = outcome.and_then(|()| {
        let listeners = [(b, check.tones[0]), (a, check.tones[1])];
        let tasks = listeners.map(|(agent, hz)| {
            let task: Box<dyn FnOnce() -> Result<(), Fault> + Send + '_> =
                Box::new(move || agent.verify_audio(scene, None, hz, within, at));
            task
        });
        let heard = scene.together(Vec::from(tasks));
        heard.map(|_| ()).map_err(|(_, fault)| fault)
    });
    for ((agent, before), audio) in agents.iter().zip(before).zip(&audio) {
        if !scene.is_ending() && scene.check().is_ok() {
            before.restore(scene, agent, audio, at);
        }
    }
    outcome
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_many_tones_and_detectors_keep_them_apart() {
        let all: Vec<f64> = tones().collect();
        assert!(all.len() > 55, "{}", all.len());
        assert!(all.windows(2).all(|pair| pair[1] - pair[0] >= f64::from(APART)));
        assert!(!all.contains(&440.0));
    }
}
