//! `callwright e2e`: the run, its verdict, and what it leaves.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use callwright_events::{Outcome, Record, RunEvent};
use callwright_report::Junit;

use crate::evidence;
use crate::plan::Plan;
use crate::recorded::{Logged, Recorded};
use crate::report;
use crate::results::{Results, State, Verdict};
use crate::run::{self, E2eError, Interrupt};
use crate::verdict::{self, Evidence};

/// The name of the suite in JUnit.
const SUITE: &str = "e2e";

/// A run that was judged.
#[derive(Debug)]
pub struct Finished {
    /// What it showed.
    pub results: Results,
    /// Where its files are.
    pub folder: PathBuf,
}

/// Runs the call center with agents and customers, judges by what was captured, and writes the reports. `ready` is given the
/// handle that ends it early; `say` is told what happens, a line at a time.
///
/// # Errors
///
/// When there is nothing to judge: nothing of the run is left then, either.
pub fn e2e(
    plan: &Plan,
    ready: impl FnOnce(Interrupt),
    say: &mut dyn FnMut(&str),
) -> Result<Finished, E2eError> {
    let run = run::run(plan, ready, say)?;
    let analysis = evidence::analysis(&run.folder.capture()).map_err(E2eError::Capture)?;
    let recorded = Recorded::read(&run.folder.database());
    let logged = Logged::read(&run.folder.log("server"));
    let results = verdict::judge(&Evidence {
        plan,
        analysis: &analysis,
        observed: &run.observed,
        delivery: &run.delivery,
        recorded: &recorded,
        logged: &logged,
        recordings: &run.folder.recordings(),
    });
    let write = |name: &str, text: &str| {
        let path = run.folder.file(name);
        fs::write(&path, text).map_err(|error| unwritable(&path, error))
    };
    let json = serde_json::to_string_pretty(&results).map_err(|error| E2eError::Report(error.to_string()))?;
    write("results.json", &json)?;
    write("junit.xml", &junit(&results)?)?;
    let html = report::html(&results, &analysis, &run.folder.root().join("logs"));
    write(
        "report.html",
        &html.map_err(|error| E2eError::Report(error.to_string()))?,
    )?;
    Ok(Finished {
        results,
        folder: run.folder.root().to_owned(),
    })
}

fn unwritable(path: &Path, error: io::Error) -> E2eError {
    E2eError::Folder {
        path: path.display().to_string(),
        error,
    }
}

/// Each criterion is a test case.
fn junit(results: &Results) -> Result<String, E2eError> {
    let mut junit = Junit::default();
    let mut take = |event| {
        junit.take(&Record {
            event,
            ts: results.started.clone(),
            stamp: None,
        });
    };
    let path = SUITE.to_owned();
    take(RunEvent::FileStarted {
        path: path.clone(),
        scenarios: Some(results.criteria.len()),
    });
    let duration_ms = results.duration_s * 1_000.0;
    for criterion in &results.criteria {
        let name = criterion.demands.to_owned();
        if criterion.state == State::Skipped {
            let reason = Some(criterion.figures.clone());
            take(RunEvent::ScenarioSkipped { name, reason });
            continue;
        }
        let passed = criterion.state == State::Passed;
        let lines = || format!("{}\n{}", criterion.figures, criterion.evidence.join("\n"));
        take(RunEvent::ScenarioFinished {
            name,
            passed,
            outcome: Some(match (passed, results.verdict) {
                (true, _) => Outcome::Passed,
                (false, Verdict::Invalid) => Outcome::Invalid,
                (false, Verdict::Interrupted) => Outcome::Interrupted,
                (false, Verdict::Passed | Verdict::Failed) => Outcome::Failed,
            }),
            attempt: 1,
            error: (!passed).then(lines),
            failure: None,
            duration_ms,
        });
    }
    let count = |state: State| results.criteria.iter().filter(|one| one.state == state).count();
    take(RunEvent::SuiteFinished {
        path,
        total: results.criteria.len(),
        passed: count(State::Passed),
        skipped: count(State::Skipped),
        duration_ms,
        error: match results.verdict {
            Verdict::Passed | Verdict::Failed => None,
            Verdict::Invalid | Verdict::Interrupted => results.reason.clone(),
        },
        failure: None,
    });
    junit.xml().map_err(|error| E2eError::Report(error.to_string()))
}
