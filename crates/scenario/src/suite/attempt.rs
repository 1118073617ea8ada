//! One scenario, from its first attempt to its verdict.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use callwright_events::{Failure, FailureKind, Hint, Outcome, RunEvent};

use super::{Attempt, Program, Registration, Suite};
use crate::context::Context;
use crate::scene::millis;
use crate::{Fault, FaultCause, Position, Scene, evidence};

/// Own lateness above which an audio check proves nothing.
const LATENESS_LIMIT_MS: f64 = 20.0;

/// What is run.
pub(super) enum Subject<'a> {
    /// A scenario of a suite.
    Scenario {
        suite: &'a dyn Suite,
        index: usize,
        registration: &'a Registration,
    },
    /// A file that is itself one.
    File { program: &'a dyn Program },
}

/// The user's settings for one scenario.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) retries: u32,
    pub(super) timeout: Option<Duration>,
    /// Passing only when tried again is a failure.
    pub(super) flaky_fails: bool,
}

/// How one attempt ended.
enum Ended {
    Passed,
    Skipped(Option<String>),
    Failed(Box<Failed>),
}

struct Failed {
    fault: Fault,
    failure: Failure,
    /// In the scenario itself, not in setup or teardown.
    in_body: bool,
}

/// Runs a scenario until it passes or has no more retries. `open` makes the scene of an attempt.
pub(super) fn run(subject: &Subject<'_>, limits: Limits, open: &dyn Fn() -> Arc<Scene>) -> Outcome {
    let mut trials = Trials::new(subject.registration(), limits);
    loop {
        if let Some(outcome) = trials.attempt(subject, &open(), || None) {
            return outcome;
        }
    }
}

/// The attempts of one scenario.
pub(super) struct Trials {
    limits: Limits,
    expect_fail: Option<String>,
    attempt: u32,
    first_error: Option<String>,
    /// What every failure is told with.
    hint: Option<String>,
}

impl Trials {
    /// None yet; of a file that is itself a scenario without a registration.
    pub(super) fn new(registration: Option<&Registration>, limits: Limits) -> Trials {
        Trials {
            limits: Limits {
                retries: registration
                    .and_then(|registration| registration.retries)
                    .unwrap_or(limits.retries),
                timeout: registration
                    .and_then(|registration| registration.timeout)
                    .or(limits.timeout),
                ..limits
            },
            expect_fail: registration.and_then(|registration| registration.expect_fail.clone()),
            attempt: 1,
            first_error: None,
            hint: None,
        }
    }

    /// The same; every failure is told with this hint.
    pub(super) fn with_hint(mut self, hint: String) -> Trials {
        self.hint = Some(hint);
        self
    }

    /// The number of the next attempt, from 1.
    pub(super) fn number(&self) -> u32 {
        self.attempt
    }

    /// Makes an attempt in a scene, and ends the scene. `conclude` looks at what is left then, and may find that the
    /// attempt failed for it. Gives the outcome, or nothing when it is to be tried again.
    pub(super) fn attempt(
        &mut self,
        subject: &Subject<'_>,
        scene: &Arc<Scene>,
        conclude: impl FnOnce() -> Option<Failure>,
    ) -> Option<Outcome> {
        let attempt = self.attempt;
        scene.limit(self.limits.timeout);
        subject.report_start(scene, attempt);
        let ended = subject.attempt(scene);
        let mut verdict = Verdict::of(ended, self.expect_fail.as_deref(), scene);
        let duration = scene.world().now().since(scene.started());
        report_agents(scene);
        scene.end();
        let found = conclude();
        // A rule that was broken is not made whole by another attempt.
        let lasting = found.is_some();
        if let Some(found) = found {
            verdict.add(found);
        }
        let again = verdict.outcome == Outcome::Failed
            && !lasting
            && self.expect_fail.is_none()
            && attempt <= self.limits.retries
            && !scene.run().interrupt().is_raised();
        if verdict.outcome == Outcome::Passed && attempt > 1 {
            verdict.outcome = Outcome::Flaky;
            verdict.failure = self
                .limits
                .flaky_fails
                .then(|| flaky(attempt, self.first_error.as_deref().unwrap_or("failed")));
        }
        let outcome = verdict.outcome;
        if let (Some(failure), Some(hint)) = (&mut verdict.failure, &self.hint)
            && outcome != Outcome::Interrupted
        {
            failure.hints.push(Hint(hint.clone()));
        }
        if let Some(failure) = verdict.failure.as_ref().filter(|_| again) {
            self.first_error.get_or_insert_with(|| first_line(failure));
        }
        subject.report_end(scene, verdict, (!again).then_some(outcome), attempt, duration);
        self.attempt += 1;
        (!again).then_some(outcome)
    }
}

impl Subject<'_> {
    fn registration(&self) -> Option<&Registration> {
        match self {
            Subject::Scenario { registration, .. } => Some(registration),
            Subject::File { .. } => None,
        }
    }

    fn name(&self) -> String {
        match self {
            Subject::Scenario { registration, .. } => registration.name.clone(),
            Subject::File { program } => program.path().display().to_string(),
        }
    }

    fn report_start(&self, scene: &Scene, attempt: u32) {
        if let Subject::Scenario { registration, .. } = self {
            scene.report(RunEvent::ScenarioStarted {
                name: registration.name.clone(),
                attempt,
                tags: registration.tags.clone(),
                location: registration.at.location(),
            });
        }
    }

    /// A panic is a fault of the program, and ends nothing but this attempt: its agents are still hung up.
    fn attempt(&self, scene: &Arc<Scene>) -> Ended {
        let _entered = Context::new(scene).enter();
        let run = || match self {
            Subject::File { program } => match program.run(scene).and_then(|()| in_time(scene)) {
                Ok(()) => Ended::Passed,
                Err(fault) => Ended::of(scene, fault),
            },
            Subject::Scenario {
                suite,
                index,
                registration,
            } => scenario(
                scene,
                &mut *suite.attempt(*index),
                registration.expect_fail.is_some(),
            ),
        };
        catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|panic| {
            let fault = own_fault(&*panic);
            Ended::of(scene, fault.hint("please report it, with the script"))
        })
    }

    fn report_end(
        &self,
        scene: &Scene,
        verdict: Verdict,
        outcome: Option<Outcome>,
        attempt: u32,
        duration: Duration,
    ) {
        if verdict.outcome == Outcome::Skipped {
            scene.report(RunEvent::ScenarioSkipped {
                name: self.name(),
                reason: verdict.reason,
            });
            return;
        }
        let passed = verdict.outcome.is_pass() && verdict.failure.is_none()
            || verdict.outcome == Outcome::ExpectedFailure;
        let error = verdict.failure.as_ref().map(first_line);
        let failure = verdict.failure.map(Box::new);
        let duration_ms = millis(duration);
        scene.report(match self {
            Subject::Scenario { .. } => RunEvent::ScenarioFinished {
                name: self.name(),
                passed,
                outcome,
                attempt,
                error,
                failure,
                duration_ms,
            },
            Subject::File { .. } => RunEvent::Finished {
                path: self.name(),
                passed,
                outcome,
                attempt,
                error,
                failure,
                duration_ms,
            },
        });
    }
}

/// Setup, body and teardown. What goes wrong in teardown is told beside the failure of the body, unless that one was
/// expected: then it is the failure.
fn scenario(scene: &Arc<Scene>, attempt: &mut dyn Attempt, expected: bool) -> Ended {
    if let Err(fault) = attempt.setup() {
        if let FaultCause::Skip(reason) = &fault.parts().cause {
            return Ended::Skipped(reason.clone());
        }
        let ended = Ended::of(scene, fault);
        scene.begin_end();
        if let Err(fault) = attempt.teardown() {
            note(scene, "teardown after the failed setup", &fault);
        }
        return ended;
    }
    let ended = match attempt.body().and_then(|()| in_time(scene)) {
        Ok(()) => Ended::Passed,
        Err(fault) => Ended::of(scene, fault).in_body(),
    };
    scene.begin_end();
    match (attempt.teardown(), ended) {
        (Ok(()), ended) => ended,
        (Err(fault), Ended::Failed(failed)) if !(expected && failed.is_a_finding()) => {
            note(scene, "teardown", &fault);
            Ended::Failed(failed)
        }
        (Err(mut fault), Ended::Passed | Ended::Skipped(_) | Ended::Failed(_)) => {
            let parts = fault.parts_mut();
            parts.cause = FaultCause::Failure(FailureKind::Teardown);
            parts.message = format!("teardown: {}", parts.message);
            Ended::of(scene, fault)
        }
    }
}

/// A body that looked at nothing after its time was up ended without noticing.
fn in_time(scene: &Scene) -> Result<(), Fault> {
    match scene.check() {
        Err(fault) if fault.kind() == Some(FailureKind::Timeout) => Err(fault),
        // What held before an interrupt has held.
        Ok(()) | Err(_) => Ok(()),
    }
}

fn note(scene: &Scene, what: &str, fault: &Fault) {
    let unknown = Position::file(scene.file().display().to_string());
    let at = fault.parts().at.as_ref().unwrap_or(&unknown);
    scene.note(format!("{what} failed: {fault}"), at);
}

impl Ended {
    /// Takes down the evidence at once, before agents end.
    fn of(scene: &Scene, fault: Fault) -> Ended {
        if let FaultCause::Skip(reason) = &fault.parts().cause {
            return Ended::Skipped(reason.clone());
        }
        let failure = failure(scene, &fault);
        Ended::Failed(Box::new(Failed {
            fault,
            failure,
            in_body: false,
        }))
    }

    fn in_body(mut self) -> Ended {
        if let Ended::Failed(failed) = &mut self {
            failed.in_body = true;
        }
        self
    }
}

impl Failed {
    /// Says something about the system under test, not about the script or what is around the scenario.
    fn is_a_finding(&self) -> bool {
        let kind = self.fault.kind();
        let found = matches!(
            kind,
            Some(FailureKind::Assertion | FailureKind::Verb | FailureKind::Timeout)
        );
        self.in_body && (found || self.fault.parts().retriable)
    }
}

/// What an attempt means.
struct Verdict {
    outcome: Outcome,
    failure: Option<Failure>,
    reason: Option<String>,
}

impl Verdict {
    fn of(ended: Ended, expect_fail: Option<&str>, scene: &Scene) -> Verdict {
        let verdict = |outcome, failure| Verdict {
            outcome,
            failure,
            reason: None,
        };
        match (ended, expect_fail) {
            (Ended::Passed, None) => verdict(Outcome::Passed, None),
            (Ended::Passed, Some(reason)) => {
                let message = format!("it was expected to fail ({reason}), and passed; remove `expect_fail`");
                verdict(
                    Outcome::Failed,
                    Some(evidence::bare(FailureKind::UnexpectedPass, &message)),
                )
            }
            (Ended::Skipped(reason), _) => Verdict {
                outcome: Outcome::Skipped,
                failure: None,
                reason,
            },
            (Ended::Failed(failed), expected) => {
                let finding = failed.is_a_finding();
                let Failed {
                    fault, mut failure, ..
                } = *failed;
                if fault.kind() == Some(FailureKind::Interrupted) {
                    return verdict(Outcome::Interrupted, Some(failure));
                }
                if let Some(trouble) = own_trouble(&fault, scene) {
                    failure.kind = FailureKind::Generator;
                    failure.message = format!(
                        "{}; but {trouble}, so this proves nothing: run fewer scenarios at the same time, or on a \
                         faster machine",
                        failure.message
                    );
                    return verdict(Outcome::Invalid, Some(failure));
                }
                if let Some(reason) = expected {
                    if finding {
                        return verdict(Outcome::ExpectedFailure, Some(failure));
                    }
                    failure.hints.push(Hint(format!(
                        "expect_fail ({reason}) covers what the scenario itself finds: assertions, verbs and timeouts"
                    )));
                }
                verdict(Outcome::Failed, Some(failure))
            }
        }
    }
}

impl Verdict {
    /// Something was found when all was over. It fails what passed; what the scenario found itself stays in front, unless
    /// nothing is proved by it.
    fn add(&mut self, mut found: Failure) {
        let before = self.failure.take();
        if found.kind == FailureKind::Generator {
            let besides = before.map(|failure| Hint(format!("the scenario had failed: {}", failure.message)));
            found.hints.extend(besides);
            self.outcome = Outcome::Invalid;
            self.failure = Some(found);
            return;
        }
        match (self.outcome, before) {
            (Outcome::Failed | Outcome::Invalid | Outcome::Interrupted, Some(mut failure)) => {
                failure.hints.push(Hint(format!("besides: {}", found.message)));
                self.failure = Some(failure);
            }
            _ => {
                self.outcome = Outcome::Failed;
                self.failure = Some(found);
            }
        }
    }
}

/// Why a scenario that passed in the end fails the run.
fn flaky(attempt: u32, first_error: &str) -> Failure {
    let message = format!(
        "it passed only at attempt {attempt}, which this run counts as a failure (--flaky fail); attempt 1: {first_error}"
    );
    evidence::bare(FailureKind::Flaky, &message)
}

/// What this process itself did to the audio that a fault is about.
fn own_trouble(fault: &Fault, scene: &Scene) -> Option<String> {
    let since = fault.parts().audio_since?;
    let lateness = scene.world().lateness_p99_ms(since).unwrap_or(0.0);
    if lateness > LATENESS_LIMIT_MS {
        return Some(format!(
            "own audio was {lateness:.0} ms late (99th percentile, limit {LATENESS_LIMIT_MS} ms)"
        ));
    }
    let lost = scene.lost_datagrams();
    (lost > 0).then(|| format!("own sockets had no room for {lost} datagrams that arrived"))
}

/// What was measured and, where asked for, what was sent and received.
fn report_agents(scene: &Scene) {
    for agent in scene.own_agents() {
        let quality = agent.phone().snapshot().quality;
        if quality.packets_sent + quality.packets_received > 0 {
            scene.report(RunEvent::Metric {
                agent: agent.name().to_owned(),
                mos: quality.mos,
                jitter_ms: quality.jitter_ms,
                packet_loss_pct: quality.packet_loss_pct,
                rtt_ms: quality.rtt_ms,
                packets_sent: quality.packets_sent,
                packets_received: quality.packets_received,
            });
        }
        if scene.run().settings().sip_messages {
            for (time, event) in evidence::message_events(scene, &agent) {
                scene.report_of(time, event);
            }
        }
    }
}

/// A panic as a fault of the program.
pub(super) fn own_fault(panic: &(dyn Any + Send)) -> Fault {
    let what = panic.downcast_ref::<String>().map(String::as_str);
    let what = what
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("no message");
    Fault::script(format!("a fault of callwright itself: {what}"))
}

/// The story of a fault, with its line of the script.
pub(super) fn failure(scene: &Scene, fault: &Fault) -> Failure {
    let at = fault.parts().at.as_ref();
    let excerpt = at.and_then(|at| source_line(at, scene.file()));
    evidence::failure(scene, fault, excerpt)
}

/// The line of a script at a place.
fn source_line(at: &Position, file: &Path) -> Option<String> {
    let text = std::fs::read_to_string(&*at.file)
        .or_else(|_| std::fs::read_to_string(file))
        .ok()?;
    // A mark of the byte order is no part of the first line.
    text.trim_start_matches('\u{feff}')
        .lines()
        .nth(usize::try_from(at.line).ok()?.checked_sub(1)?)
        .map(str::to_owned)
}

/// A failure in one line.
pub(super) fn first_line(failure: &Failure) -> String {
    let line = failure.message.lines().next().unwrap_or_default();
    match &failure.location {
        Some(location) if !line.starts_with(&location.file) => format!("{location}: {line}"),
        _ => line.to_owned(),
    }
}
