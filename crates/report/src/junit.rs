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

/// A JUnit report: one test suite a file, one test case a scenario. Give it every record in order, then ask for the
/// XML.
#[derive(Debug)]
pub struct Junit {
    report: Report,
    suite: TestSuite,
    reruns: Vec<TestRerun>,
    has_cases: bool,
}

impl Default for Junit {
    fn default() -> Self {
        Junit {
            report: Report::new("callwright"),
            suite: TestSuite::new(""),
            reruns: Vec::new(),
            has_cases: false,
        }
    }
}

impl Junit {
    /// Takes one record.
    pub fn take(&mut self, record: &Record) {
        match &record.event {
            RunEvent::FileStarted { path, .. } => self.open(path),
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
                path,
                error: Some(error),
                failure,
                ..
            } => {
                let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
                status.set_message(error.as_str());
                status.set_description(story(error, failure.as_deref()));
                self.add(TestCase::new(path.as_str(), status));
            }
            RunEvent::RunFinished {
                error, duration_ms, ..
            } => {
                if let Some(error) = error {
                    let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
                    status.set_message(error.as_str());
                    self.add(TestCase::new("run", status));
                }
                self.close();
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
        self.suite = TestSuite::new(path);
    }

    fn close(&mut self) {
        if std::mem::take(&mut self.has_cases) {
            let suite = std::mem::replace(&mut self.suite, TestSuite::new(""));
            self.report.add_test_suite(suite);
        }
    }

    fn add(&mut self, mut case: TestCase) {
        case.set_classname(self.suite.name.as_str());
        self.suite.add_test_case(case);
        self.has_cases = true;
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
                .set_message(error)
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
    status.set_message(error);
    status.set_description(story(error, failure));
    status
}

fn story(error: &str, failure: Option<&Failure>) -> String {
    failure.map_or_else(|| error.to_owned(), |failure| plain(&failure::render(failure)))
}

/// The text without its ANSI styles.
fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find('\u{1b}') {
        out.push_str(&rest[..start]);
        rest = &rest[start..];
        let end = rest.find('m').map_or(rest.len(), |end| end + 1);
        rest = &rest[end..];
    }
    out.push_str(rest);
    out
}

fn millis(ms: f64) -> Duration {
    Duration::from_secs_f64((ms / 1000.0).max(0.0))
}
