//! `callwright analyze`.

mod ladder;
mod text;

use std::collections::BTreeSet;
use std::fs::File;
use std::path::Path;

use anyhow::bail;
use callwright_capture::analysis::{Analysis, AnalysisConfig, Call, Finding, FindingKind, Severity, analyze};
use callwright_capture::rules::Rule;
use callwright_events::ExitCode;

use crate::arguments::{self, Ladders};

use super::{Wrong, write};

/// Up to so many calls, each has its ladder unless told otherwise.
const FEW: usize = 5;

/// Says what is in captures.
pub(super) fn analyze_files(arguments: &arguments::Analyze) -> anyhow::Result<ExitCode> {
    let fatal = Fatal::parse(&arguments.fail_on)?;
    let mut exit_code = ExitCode::Passed;
    for (place, path) in arguments.files.iter().enumerate() {
        let analysis = match read(path, arguments) {
            Ok(analysis) => analysis,
            Err(message) => {
                anstream::eprintln!("callwright: {message}");
                exit_code = ExitCode::Invalid;
                continue;
            }
        };
        let chosen = choose(&analysis, &arguments.call);
        if let (false, Some(wanted)) = (arguments.call.is_empty(), arguments.call.first())
            && chosen.is_empty()
        {
            return Err(Wrong {
                message: format!(
                    "{}: no call has the number or Call-ID {wanted}; it has {} calls, list them without --call",
                    path.display(),
                    analysis.calls.len()
                ),
                exit_code: ExitCode::Failed,
            }
            .into());
        }
        if arguments.json {
            write::line(&json(path, &analysis, arguments, &chosen)?)?;
        } else {
            let gap = if place > 0 { "\n" } else { "" };
            let whole = arguments.call.is_empty();
            let mut told = format!("{gap}{}", text::heading(path, &analysis));
            if whole {
                told += &text::overview(&analysis);
            }
            told += &text::calls(&analysis, &chosen);
            if whole {
                told += &text::rest(&analysis);
            }
            told += &text::findings(&analysis, if whole { None } else { Some(&chosen) });
            for call in chosen
                .iter()
                .filter(|call| wants_ladder(arguments, &analysis, call))
            {
                told += &ladder::draw(call, arguments.text);
            }
            write::line(&told)?;
        }
        let considered = analysis
            .findings
            .iter()
            .filter(|finding| arguments.call.is_empty() || chosen.iter().any(|call| is_about(finding, call)));
        if considered.clone().any(|finding| fatal.is(finding)) && exit_code == ExitCode::Passed {
            exit_code = ExitCode::Failed;
        }
    }
    Ok(exit_code)
}

fn is_about(finding: &Finding, call: &Call) -> bool {
    finding.call == Some(call.number - 1)
}

/// Reads a capture; the error names the file, the place in it, and the packet before that.
fn read(path: &Path, arguments: &arguments::Analyze) -> Result<Analysis, String> {
    let file = File::open(path).map_err(|error| format!("{}: cannot be opened: {error}", path.display()))?;
    let config = AnalysisConfig {
        keep_text: arguments.text,
        ..AnalysisConfig::default()
    };
    analyze(file, config).map_err(|error| format!("{} {error}", path.display()))
}

/// The calls with these numbers or Call-IDs; all where none is named.
fn choose<'a>(analysis: &'a Analysis, wanted: &[String]) -> Vec<&'a Call> {
    let is_wanted = |call: &Call| {
        wanted.iter().any(|wanted| {
            wanted.parse() == Ok(call.number) || call.legs.iter().any(|leg| leg.call_id == *wanted)
        })
    };
    let calls = analysis.calls.iter();
    calls
        .filter(|call| wanted.is_empty() || is_wanted(call))
        .collect()
}

fn wants_ladder(arguments: &arguments::Analyze, analysis: &Analysis, call: &Call) -> bool {
    let failed = || {
        analysis
            .findings_of(call)
            .any(|finding| finding.severity >= Severity::Error)
    };
    match arguments.ladders {
        Some(Ladders::All) => true,
        Some(Ladders::Failed) => failed(),
        Some(Ladders::None) => false,
        None => !arguments.call.is_empty() || arguments.text || analysis.calls.len() <= FEW,
    }
}

/// One JSON object a file, in one line.
fn json(
    path: &Path,
    analysis: &Analysis,
    arguments: &arguments::Analyze,
    chosen: &[&Call],
) -> anyhow::Result<String> {
    let mut value = serde_json::to_value(analysis)?;
    if let Some(object) = value.as_object_mut() {
        object.insert("file".to_owned(), path.display().to_string().into());
        if !arguments.call.is_empty() {
            object.insert("calls".to_owned(), serde_json::to_value(chosen)?);
        }
    }
    Ok(format!("{value}\n"))
}

/// What makes a capture fail.
#[derive(Debug, Default)]
struct Fatal {
    severity: Option<Severity>,
    names: BTreeSet<String>,
}

impl Fatal {
    /// Severities and names of findings.
    fn parse(words: &[String]) -> anyhow::Result<Self> {
        let mut fatal = Fatal::default();
        let kinds = FindingKind::ALL.iter().copied();
        let rules = Rule::ALL.iter().copied().map(FindingKind::Protocol);
        let names: BTreeSet<String> = kinds.chain(rules).map(FindingKind::name).collect();
        for word in words {
            let severity = [Severity::Note, Severity::Warning, Severity::Error]
                .into_iter()
                .find(|severity| severity.name() == word);
            match severity {
                Some(severity) => {
                    fatal.severity = Some(fatal.severity.map_or(severity, |before| before.min(severity)));
                }
                None if names.contains(word) => {
                    fatal.names.insert(word.clone());
                }
                None => {
                    let names: Vec<&str> = names.iter().map(String::as_str).collect();
                    bail!(
                        "--fail-on {word}: neither a severity (note, warning, error) nor the name of a finding; those are {}",
                        names.join(", ")
                    );
                }
            }
        }
        Ok(fatal)
    }

    fn is(&self, finding: &Finding) -> bool {
        self.severity.is_some_and(|severity| finding.severity >= severity)
            || self.names.contains(&finding.kind.name())
    }
}
