//! The end of a run: what its outcomes come to, and the exit code.

use std::collections::BTreeSet;
use std::time::Duration;

use callwright_events::{ExitCode, Health, Outcome, RunEvent};

use super::Options;
use super::plan::{File, Slot};
use crate::nearest;
use crate::scene::millis;

/// What is known of a run when all is over.
pub(super) struct Totals<'a> {
    pub(super) options: &'a Options,
    pub(super) files: &'a [File],
    pub(super) slots: &'a [Slot],
    /// The outcomes of scenarios, with the number of their file; none for one that was not begun.
    pub(super) outcomes: Vec<(usize, Option<Outcome>)>,
    /// Which files were begun.
    pub(super) began: Vec<bool>,
    /// Which files failed outside their scenarios.
    pub(super) file_failed: Vec<bool>,
    /// Ended by its first failure.
    pub(super) stopped: bool,
    pub(super) interrupted: bool,
    /// How many scenarios were selected before they were divided among machines.
    pub(super) selected_before_sharding: usize,
    /// Rules of the protocols that had something to judge, and judged nothing.
    pub(super) idle_rules: Vec<&'static str>,
}

impl Totals<'_> {
    /// The last event, and the exit code.
    pub(super) fn conclude(&self, health: Health, duration: Duration) -> (RunEvent, ExitCode) {
        let total = self.outcomes.len();
        let count = |wanted: fn(Outcome) -> bool| {
            let outcomes = self.outcomes.iter().filter_map(|(_, outcome)| *outcome);
            outcomes.filter(|outcome| wanted(*outcome)).count()
        };
        let flaky = count(|outcome| outcome == Outcome::Flaky);
        let failed_flaky = if self.options.flaky_fails { flaky } else { 0 };
        let failed = count(|outcome| outcome == Outcome::Failed) + failed_flaky;
        let invalid = count(|outcome| outcome == Outcome::Invalid);
        let cut = count(|outcome| outcome == Outcome::Interrupted);
        let unrun = total - count(|_| true);
        let broken = self.file_failed.iter().filter(|failed| **failed).count();
        let ran_files: Vec<usize> = (0..self.files.len()).filter(|file| self.began[*file]).collect();
        let planned: BTreeSet<usize> = self.slots.iter().map(Slot::file).collect();
        let left = if unrun > 0 {
            not_run_text(unrun, "scenario")
        } else {
            not_run_text(planned.len() - ran_files.len(), "file")
        };
        let error = if self.interrupted {
            Some(format!("interrupted{left}"))
        } else if total == 0 && broken == 0 {
            Some(self.nothing())
        } else if self.stopped {
            Some(format!("ended at the first failure (--fail-fast){left}"))
        } else if !self.idle_rules.is_empty() {
            Some(format!(
                "nothing is proved about {}: what it speaks of occurred, and was never judged",
                self.idle_rules.join(", ")
            ))
        } else {
            None
        };
        let code = if self.interrupted {
            ExitCode::Interrupted
        } else if failed > 0 || broken > 0 || total == 0 || !self.idle_rules.is_empty() {
            ExitCode::Failed
        } else if invalid > 0 {
            ExitCode::Invalid
        } else {
            ExitCode::Passed
        };
        let fine = |file: &usize| {
            let mut of_file = self.outcomes.iter().filter(|(of, _)| of == file);
            !self.file_failed[*file]
                && of_file.all(|(_, outcome)| outcome.is_some_and(|outcome| self.options.is_fine(outcome)))
        };
        let event = RunEvent::RunFinished {
            files: ran_files.len(),
            passed_files: ran_files.iter().filter(|file| fine(file)).count(),
            failed_files: broken,
            scenarios: total,
            passed_scenarios: count(Outcome::is_pass) - failed_flaky,
            skipped_scenarios: count(|outcome| outcome == Outcome::Skipped),
            failed_scenarios: failed,
            flaky_scenarios: flaky,
            invalid_scenarios: invalid,
            interrupted_scenarios: cut,
            unrun_scenarios: unrun,
            error,
            exit_code: code.code(),
            health,
            duration_ms: millis(duration),
        };
        (event, code)
    }

    /// Why nothing was selected.
    fn nothing(&self) -> String {
        let known: usize = self.files.iter().map(|file| file.registrations().len()).sum();
        let asked = self.options.selection.text();
        if let Some(shard) = self.options.shard
            && let Some(selected) = self.selected_by_all_shards()
        {
            let (index, count) = (shard.index, shard.count);
            return format!("part {index} of {count} has none of the selected scenarios: there {selected}");
        }
        match (self.files.len(), asked.is_empty()) {
            (0, _) => "there is no scenario file".to_owned(),
            (_, true) => "there is no scenario to run".to_owned(),
            (_, false) => {
                let tags = self.files.iter().flat_map(|file| file.registrations());
                let tags: Vec<&str> = tags
                    .flat_map(|known| known.tags.iter().map(String::as_str))
                    .collect();
                let unknown = self.options.selection.tags.iter();
                let meant: String = unknown
                    .filter(|tag| !tags.contains(&tag.as_str()))
                    .map(|tag| nearest::question(tag, tags.iter().copied()))
                    .collect();
                format!("{asked} selects none of {known} scenarios{meant}")
            }
        }
    }

    /// How many scenarios all parts of the work have together; none when there are none.
    fn selected_by_all_shards(&self) -> Option<String> {
        match self.selected_before_sharding {
            0 => None,
            1 => Some("is 1".to_owned()),
            more => Some(format!("are {more}")),
        }
    }
}

/// What was left out, as the end of a sentence.
fn not_run_text(count: usize, what: &str) -> String {
    match count {
        0 => String::new(),
        1 => format!(": 1 {what} was not run"),
        _ => format!(": {count} {what}s were not run"),
    }
}
