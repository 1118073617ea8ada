//! `report.html`: one file that opens without a network.

mod ladder;
mod timeline;

use std::fs;
use std::path::Path;

use callwright_capture::analysis::{Analysis, Call, Metrics, Summary};
use minijinja::value::Serde;
use minijinja::{Environment, Value};
use serde::Serialize;

use crate::results::{CallShown, Results};

use ladder::Drawing;
use timeline::Timeline;

/// More of a log is read in its file.
const LOG_BYTES: usize = 200_000;

/// A log beside the report, and within it.
#[derive(Debug, Serialize)]
struct LogShown {
    name: String,
    /// Relative to the report.
    file: String,
    text: String,
    /// Bytes that are left out at its beginning.
    left_out: usize,
}

/// What the template shows.
#[derive(Debug, Serialize)]
struct Shown<'a> {
    results: &'a Results,
    ladders: Vec<Drawing>,
    /// The most calls that an agent took.
    most: usize,
    timeline: Timeline,
    metrics: &'a Metrics,
    capture: &'a Summary,
    logs: Vec<LogShown>,
}

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReportError {
    #[error("its template is wrong, which is a bug of callwright: {0:#}")]
    Template(#[from] minijinja::Error),
}

/// The report as HTML. `logs` is the folder of logs.
pub(crate) fn html(results: &Results, analysis: &Analysis, logs: &Path) -> Result<String, ReportError> {
    let mut environment = Environment::new();
    environment.add_filter("ms", ms);
    environment.add_filter("seconds", |value: f64| format!("{value:.1} s"));
    environment.add_filter("fixed", |value: f64, digits: usize| format!("{value:.digits$}"));
    environment.add_filter("spark", spark);
    environment.add_template("style.css", include_str!("report/templates/style.css"))?;
    environment.add_template("report.html", include_str!("report/templates/report.html"))?;
    let shown = Shown {
        results,
        ladders: shown_calls(results, analysis).map(Drawing::of).collect(),
        most: results
            .agents
            .iter()
            .map(|agent| agent.calls)
            .max()
            .unwrap_or(0)
            .max(1),
        timeline: Timeline::of(results),
        metrics: &analysis.metrics,
        capture: &analysis.capture,
        logs: read_logs(logs),
    };
    let template = environment.get_template("report.html")?;
    Ok(template.render(Value::from(Serde(&shown)))?)
}

/// The calls of the results, in their order.
fn shown_calls<'a>(results: &'a Results, analysis: &'a Analysis) -> impl Iterator<Item = &'a Call> {
    let find = |shown: &CallShown| analysis.calls.iter().find(|call| call.number == shown.number);
    results.calls.iter().filter_map(find)
}

/// `3.1 ms`, `12 ms`, `1.25 s`.
fn ms(value: f64) -> String {
    if value < 10.0 {
        format!("{value:.1} ms")
    } else if value < 1_000.0 {
        format!("{value:.0} ms")
    } else {
        format!("{:.2} s", value / 1_000.0)
    }
}

/// The points of a line over seconds, −60 to 0 dBm0 over a height of 24.
fn spark(levels: Vec<f64>) -> String {
    let step = 100.0 / (levels.len().max(2) - 1) as f64;
    let point = |(index, level): (usize, &f64)| {
        let y = (-level.clamp(-60.0, 0.0)) / 60.0 * 24.0;
        format!("{:.1},{y:.1}", index as f64 * step)
    };
    let points: Vec<String> = levels.iter().enumerate().map(point).collect();
    points.join(" ")
}

fn read_logs(folder: &Path) -> Vec<LogShown> {
    let mut files: Vec<_> = fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "log"));
    // The call center first.
    files.sort_by_key(|path| (!path.ends_with("server.log"), path.clone()));
    files
        .iter()
        .map(|path| {
            let name = path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            let bytes = fs::read(path).unwrap_or_default();
            let left_out = bytes.len().saturating_sub(LOG_BYTES);
            LogShown {
                file: format!("logs/{name}"),
                text: plain(&String::from_utf8_lossy(&bytes[left_out..])),
                name,
                left_out,
            }
        })
        .collect()
}

/// Without what only a terminal understands.
fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '\u{1b}' if characters.peek() == Some(&'[') => {
                characters.next();
                for next in characters.by_ref() {
                    if ('@'..='~').contains(&next) {
                        break;
                    }
                }
            }
            '\r' => {}
            '\n' | '\t' => out.push(character),
            control if control.is_control() => {}
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_only_a_terminal_understands_is_left_out() {
        assert_eq!(plain("\u{1b}[2J\u{1b}[1;31mred\u{1b}[0m\r\n\u{7}ok"), "red\nok");
    }

    #[test]
    fn spans_are_short() {
        assert_eq!(ms(0.26), "0.3 ms");
        assert_eq!(ms(12.34), "12 ms");
        assert_eq!(ms(5_021.0), "5.02 s");
    }
}
