//! JUnit XML, as CI servers read it.

use std::time::Duration;

use callwright_events::{Failure, Outcome, Record, RunEvent};
use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestRerun, TestSuite};

use crate::failure;

/// Why the report could not be written.
#[derive(Debug)]
pub struct JunitError(quick_junit::SerializeError);

impl std::fmt::Display for JunitError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the JUnit report could not be written: {}", self.0)
    }
}

impl std::error::Error for JunitError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.0)
    }
}

/// A JUnit report: one test suite a file, one test case a scenario, and one more suite for what went wrong with the run as
/// a whole. Warnings are the output of their scenario or file; those of the run are that of every file. Give it every
/// record in order, then ask for the XML.
#[derive(Debug)]
pub struct Junit {
    report: Report,
    /// The suite of the file that is running.
    suite: Option<TestSuite>,
    reruns: Vec<TestRerun>,
    run_warnings: Vec<String>,
    file_warnings: Vec<String>,
    scenario_warnings: Vec<String>,
}

impl Default for Junit {
    fn default() -> Self {
        Junit {
            report: Report::new("callwright"),
            suite: None,
            reruns: Vec::new(),
            run_warnings: Vec::new(),
            file_warnings: Vec::new(),
            scenario_warnings: Vec::new(),
        }
    }
}

impl Junit {
    /// Takes one record.
    pub fn take(&mut self, record: &Record) {
        match &record.event {
            RunEvent::FileStarted { path, .. } => self.open(path),
            RunEvent::Warning { message, location } => {
                let place = location.as_ref().map(|at| format!("{at}: ")).unwrap_or_default();
                let warnings = match (&record.stamp, &self.suite) {
                    (Some(_), _) => &mut self.scenario_warnings,
                    (None, Some(_)) => &mut self.file_warnings,
                    (None, None) => &mut self.run_warnings,
                };
                let warning = plain(&format!("warning: {place}{message}"));
                if !warnings.contains(&warning) {
                    warnings.push(warning);
                }
            }
            RunEvent::ScenarioFinished {
                name,
                outcome,
                error,
                failure,
                duration_ms,
                ..
            }
            | RunEvent::Finished {
                path: name,
                outcome,
                error,
                failure,
                duration_ms,
                ..
            } => {
                self.attempt(name, *outcome, error.as_deref(), failure.as_deref(), *duration_ms);
            }
            RunEvent::ScenarioSkipped { name, reason } => {
                let mut status = TestCaseStatus::skipped();
                if let Some(reason) = reason {
                    status.set_message(reason.as_str());
                }
                self.add(TestCase::new(name.as_str(), status));
            }
            RunEvent::SuiteFinished {
                path, error, failure, ..
            } => {
                if let Some(error) = error {
                    let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
                    status.set_message(plain(error));
                    status.set_description(story(error, failure.as_deref()));
                    self.add(TestCase::new(path.as_str(), status));
                }
                self.close();
            }
            RunEvent::RunFinished {
                error, duration_ms, ..
            } => {
                self.close();
                if let Some(error) = error {
                    let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
                    status.set_message(plain(error));
                    self.open("callwright");
                    self.add(TestCase::new("run", status));
                    self.close();
                }
                self.report.set_time(millis(*duration_ms));
            }
            _ => {}
        }
    }

    /// The report as XML.
    ///
    /// # Errors
    ///
    /// When a name cannot be written as XML.
    pub fn xml(&self) -> Result<String, JunitError> {
        self.report.to_string().map_err(JunitError)
    }

    fn open(&mut self, path: &str) {
        self.close();
        self.suite = Some(TestSuite::new(path));
    }

    fn close(&mut self) {
        let warnings = std::mem::take(&mut self.file_warnings);
        let Some(mut suite) = self.suite.take().filter(|suite| !suite.test_cases.is_empty()) else {
            return;
        };
        let warnings: Vec<_> = self.run_warnings.iter().cloned().chain(warnings).collect();
        if !warnings.is_empty() {
            suite.set_system_out(warnings.join("\n"));
        }
        self.report.add_test_suite(suite);
    }

    fn add(&mut self, mut case: TestCase) {
        let warnings = std::mem::take(&mut self.scenario_warnings);
        if !warnings.is_empty() {
            case.set_system_out(warnings.join("\n"));
        }
        if let Some(suite) = &mut self.suite {
            case.set_classname(suite.name.as_str());
            suite.add_test_case(case);
        }
    }

    fn attempt(
        &mut self,
        name: &str,
        outcome: Option<Outcome>,
        error: Option<&str>,
        failure: Option<&Failure>,
        duration_ms: f64,
    ) {
        let passed = error.is_none();
        let error = error.unwrap_or("failed");
        let Some(outcome) = outcome else {
            let mut rerun = TestRerun::new(NonSuccessKind::Failure);
            rerun
                .set_message(plain(error))
                .set_description(story(error, failure))
                .set_time(millis(duration_ms));
            self.reruns.push(rerun);
            return;
        };
        let mut status = match outcome {
            Outcome::Flaky if !passed => failed(NonSuccessKind::Failure, error, failure),
            Outcome::Passed | Outcome::Flaky | Outcome::ExpectedFailure => TestCaseStatus::success(),
            Outcome::Skipped => TestCaseStatus::skipped(),
            Outcome::Failed => failed(NonSuccessKind::Failure, error, failure),
            Outcome::Invalid | Outcome::Interrupted => failed(NonSuccessKind::Error, error, failure),
        };
        for rerun in self.reruns.drain(..) {
            status.add_rerun(rerun);
        }
        let mut case = TestCase::new(name, status);
        case.set_time(millis(duration_ms));
        self.add(case);
    }
}

fn failed(kind: NonSuccessKind, error: &str, failure: Option<&Failure>) -> TestCaseStatus {
    let mut status = TestCaseStatus::non_success(kind);
    status.set_message(plain(error));
    status.set_description(story(error, failure));
    status
}

fn story(error: &str, failure: Option<&Failure>) -> String {
    failure.map_or_else(|| plain(error), |failure| plain(&failure::render(failure)))
}

/// The text without our ANSI styles. An escape character of a peer stays to be seen, and takes nothing with it.
fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find('\u{1b}') {
        out.push_str(&rest[..start]);
        rest = &rest[start + 1..];
        match styled(rest) {
            Some(after) => rest = after,
            None => out.push('\u{241b}'),
        }
    }
    out.push_str(rest);
    out
}

/// What follows a style, `[1;31m` and the like.
fn styled(text: &str) -> Option<&str> {
    let numbers = text.strip_prefix('[')?;
    numbers
        .trim_start_matches(|c: char| c.is_ascii_digit() || c == ';')
        .strip_prefix('m')
}

fn millis(ms: f64) -> Duration {
    Duration::from_secs_f64((ms / 1000.0).max(0.0))
}
