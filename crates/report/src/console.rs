//! What a person reads while the run goes on.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};
use callwright_events::{Health, Location, Outcome, Record, RuleCount, RunEvent, SipDirection};

use crate::failure;

/// How much a person wants to read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verbosity {
    /// Failures and the result.
    Quiet,
    /// What each scenario does, and how it ends.
    #[default]
    Normal,
    /// Every assertion with its value, and counters.
    Verbose,
}

pub(crate) const BOLD: Style = Style::new().bold();
pub(crate) const DIM: Style = Style::new().dimmed();
pub(crate) const GREEN: Style = AnsiColor::Green.on_default();
pub(crate) const RED: Style = AnsiColor::Red.on_default().bold();
pub(crate) const YELLOW: Style = AnsiColor::Yellow.on_default();
pub(crate) const CYAN: Style = AnsiColor::Cyan.on_default();

pub(crate) fn paint(style: Style, text: impl std::fmt::Display) -> String {
    format!("{style}{text}{style:#}")
}

/// The console report. Give it every record in order, and print what it returns. The text carries ANSI styles; whoever
/// prints it strips them where they are not wanted.
#[derive(Debug, Default)]
pub struct Console {
    verbosity: Verbosity,
    /// Flaky scenarios that count as failed.
    failed_flaky: usize,
    /// Its time is virtual.
    simulated: bool,
}

impl Console {
    /// A report for a reader who wants to know so much.
    pub fn new(verbosity: Verbosity) -> Self {
        Console {
            verbosity,
            failed_flaky: 0,
            simulated: false,
        }
    }

    /// What to print for this record; empty for nothing.
    pub fn render(&mut self, record: &Record) -> String {
        let at = record.stamp.as_ref().map(|stamp| stamp.t_ms);
        match &record.event {
            RunEvent::RunStarted {
                version,
                seed,
                simulated,
                jobs,
                ..
            } => {
                self.simulated = *simulated;
                if *simulated {
                    self.normal(|| format!("{}\n", paint(DIM, format!("simulated, seed {seed}"))))
                } else {
                    self.verbose(|| format!("callwright {version}, seed {seed}, {jobs} at the same time\n"))
                }
            }
            RunEvent::FileStarted { path, scenarios } => self.normal(|| match scenarios {
                // Nothing of it runs, and why is told at its end.
                Some(0) => String::new(),
                Some(1) => format!("{}  {}\n", paint(BOLD, path), paint(DIM, "1 scenario")),
                Some(count) => format!(
                    "{}  {}\n",
                    paint(BOLD, path),
                    paint(DIM, format!("{count} scenarios"))
                ),
                None => format!("{}\n", paint(BOLD, path)),
            }),
            RunEvent::ScenarioStarted { name, attempt, .. } => self.normal(|| match attempt {
                1 => format!("  {name}\n"),
                more => format!("  {name} {}\n", paint(YELLOW, format!("attempt {more}"))),
            }),
            RunEvent::AgentStarted { name, aor, .. } => {
                self.normal(|| step(at, name, "up", Some(&paint(DIM, aor)), &None))
            }
            RunEvent::Action {
                agent, kind, detail, ..
            } => self.normal(|| step(at, agent, kind, detail.as_deref(), &None)),
            RunEvent::Network { kind, detail, .. } => {
                self.normal(|| step(at, "", kind, detail.as_deref(), &None))
            }
            RunEvent::Wait { seconds, .. } => {
                self.normal(|| step(at, "", "wait", Some(&format!("{seconds} s")), &None))
            }
            RunEvent::Log { message, .. } => self.normal(|| step(at, "", "log", Some(message), &None)),
            RunEvent::Print { message } => self.normal(|| format!("{message}\n")),
            RunEvent::Note { message, location } => {
                self.normal(|| step(at, "", &paint(DIM, "note"), Some(message), location))
            }
            RunEvent::Warning { message, location } => {
                step(at, "", &paint(YELLOW, "warning"), Some(message), location)
            }
            RunEvent::Http {
                method, url, status, ..
            } => self.normal(|| step(at, "", "http", Some(&format!("{method} {url} → {status}")), &None)),
            RunEvent::MockRequest {
                method,
                path,
                matched,
            } => self.normal(|| {
                let fate = if *matched { "" } else { " (no route: 404)" };
                step(at, "", "mock", Some(&format!("{method} {path}{fate}")), &None)
            }),
            RunEvent::MockError {
                method, path, error, ..
            } => step(
                at,
                "",
                &paint(RED, "mock"),
                Some(&format!("{method} {path}: {error}")),
                &None,
            ),
            RunEvent::Assertion {
                label,
                expect,
                ok,
                actual,
                location,
            } => self.assertion(at, label, expect, *ok, actual, location),
            RunEvent::Sip {
                agent,
                direction,
                peer,
                summary,
                raw,
                retransmission,
                location,
            } => {
                let arrow = match direction {
                    SipDirection::Sent => "→",
                    SipDirection::Received => "←",
                };
                let again = if *retransmission { " (again)" } else { "" };
                let line = step(
                    at,
                    agent,
                    arrow,
                    Some(&format!("{summary}{again}  {}", paint(DIM, peer))),
                    location,
                );
                match raw {
                    Some(raw) => line + &indented(raw, 6),
                    None => line,
                }
            }
            RunEvent::Metric { .. } => self.metric(at, &record.event),
            RunEvent::ScenarioFinished {
                name,
                outcome,
                attempt,
                failure,
                error,
                duration_ms,
                ..
            } => self.ending(
                name,
                *outcome,
                *attempt,
                error.as_deref(),
                failure.as_deref(),
                *duration_ms,
            ),
            RunEvent::Finished {
                path,
                outcome,
                attempt,
                failure,
                error,
                duration_ms,
                ..
            } => self.ending(
                path,
                *outcome,
                *attempt,
                error.as_deref(),
                failure.as_deref(),
                *duration_ms,
            ),
            RunEvent::ScenarioSkipped { name, reason } => self.normal(|| match reason {
                Some(reason) => format!("  {} {name}: {reason}\n", paint(YELLOW, "skipped")),
                None => format!("  {} {name}\n", paint(YELLOW, "skipped")),
            }),
            RunEvent::SuiteFinished {
                path, error, failure, ..
            } => match (failure, error) {
                (Some(failure), _) => format!("  {} {path}\n{}", paint(RED, "✗"), failure::render(failure)),
                (None, Some(error)) => format!("  {} {path}: {error}\n", paint(RED, "✗")),
                (None, None) => String::new(),
            },
            RunEvent::Rules { rules } => self.rules(rules),
            RunEvent::RunFinished { .. } => self.result(&record.event),
        }
    }

    fn normal(&self, text: impl FnOnce() -> String) -> String {
        if self.verbosity >= Verbosity::Normal {
            text()
        } else {
            String::new()
        }
    }

    fn verbose(&self, text: impl FnOnce() -> String) -> String {
        if self.verbosity >= Verbosity::Verbose {
            text()
        } else {
            String::new()
        }
    }

    fn assertion(
        &self,
        at: Option<f64>,
        label: &Option<String>,
        expect: &str,
        ok: bool,
        actual: &Option<String>,
        location: &Option<Location>,
    ) -> String {
        self.verbose(|| {
            let mark = if ok {
                paint(GREEN, "✓")
            } else {
                paint(RED, "✗")
            };
            let mut text = match label {
                Some(label) => format!("{label} {expect}"),
                None => expect.to_owned(),
            };
            if let Some(actual) = actual {
                let _ = write!(text, " {}", paint(DIM, format!("(is {actual})")));
            }
            step(at, "", &mark, Some(&text), location)
        })
    }

    fn metric(&self, at: Option<f64>, event: &RunEvent) -> String {
        let RunEvent::Metric {
            agent,
            mos,
            jitter_ms,
            packet_loss_pct,
            rtt_ms,
            packets_sent,
            packets_received,
        } = event
        else {
            return String::new();
        };
        self.verbose(|| {
            let mut text = format!("RTP {packets_sent} sent, {packets_received} received");
            for (name, value, unit) in [
                ("MOS", mos, ""),
                ("jitter", jitter_ms, " ms"),
                ("loss", packet_loss_pct, " %"),
                ("round trip", rtt_ms, " ms"),
            ] {
                if let Some(value) = value {
                    let _ = write!(text, ", {name} {value:.2}{unit}");
                }
            }
            step(at, agent, "audio", Some(&text), &None)
        })
    }

    fn ending(
        &mut self,
        name: &str,
        outcome: Option<Outcome>,
        attempt: u32,
        error: Option<&str>,
        failure: Option<&callwright_events::Failure>,
        duration_ms: f64,
    ) -> String {
        let took = paint(DIM, format!("({})", span(duration_ms)));
        let story = || match (failure, error) {
            (Some(failure), _) => failure::render(failure),
            (None, Some(error)) => format!("    {error}\n"),
            (None, None) => String::new(),
        };
        match outcome {
            Some(Outcome::Passed) => self.normal(|| format!("  {} {name} {took}\n", paint(GREEN, "✓"))),
            Some(Outcome::Flaky) if error.is_some() => {
                self.failed_flaky += 1;
                format!("  {} {name} {took}\n{}", paint(RED, "✗ FLAKY"), story())
            }
            Some(Outcome::Flaky) => {
                format!(
                    "  {} {name}: passed at attempt {attempt} {took}\n",
                    paint(YELLOW, "FLAKY")
                )
            }
            Some(Outcome::ExpectedFailure) => {
                self.normal(|| format!("  {} {name}: failed, as expected {took}\n", paint(GREEN, "✓")))
            }
            Some(Outcome::Failed) => format!("  {} {name} {took}\n{}", paint(RED, "✗"), story()),
            Some(Outcome::Invalid) => format!("  {} {name} {took}\n{}", paint(RED, "INVALID"), story()),
            Some(Outcome::Interrupted) => format!("  {} {name} {took}\n", paint(YELLOW, "interrupted")),
            Some(Outcome::Skipped) => self.normal(|| format!("  {} {name}\n", paint(YELLOW, "skipped"))),
            None => format!(
                "  {} {name}: attempt {attempt} failed {took}\n{}",
                paint(YELLOW, "✗"),
                story()
            ),
        }
    }

    fn rules(&self, rules: &[RuleCount]) -> String {
        let judged = rules.iter().filter(|rule| rule.checks > 0).count();
        let checks: u64 = rules.iter().map(|rule| rule.checks).sum();
        let counted = match (judged, checks) {
            (0, _) => "none judged, there was nothing on the wire".to_owned(),
            (_, 1) => format!("{judged} judged, 1 check"),
            (_, _) => format!("{judged} judged, {checks} checks"),
        };
        let mut text = self.normal(|| {
            format!(
                "{}\n",
                paint(DIM, format!("rules of SIP, SDP and RTP: {counted}"))
            )
        });
        text += &self.verbose(|| {
            let lines = rules.iter().map(|rule| {
                let excused = match rule.excused {
                    0 => String::new(),
                    excused => format!(", excused {excused}"),
                };
                format!("  {:<24}{:>8} checks{excused}\n", rule.rule, rule.checks)
            });
            lines.collect()
        });
        text
    }

    fn result(&self, event: &RunEvent) -> String {
        let RunEvent::RunFinished {
            failed_files,
            scenarios,
            passed_scenarios,
            skipped_scenarios,
            failed_scenarios,
            flaky_scenarios,
            invalid_scenarios,
            interrupted_scenarios,
            unrun_scenarios,
            error,
            exit_code,
            health,
            duration_ms,
            ..
        } = event
        else {
            return String::new();
        };
        // Each scenario once: a flaky one neither as passed nor as failed, whatever it counts as.
        let passed_flaky = flaky_scenarios.saturating_sub(self.failed_flaky);
        let mut parts = vec![format!(
            "{} passed",
            passed_scenarios.saturating_sub(passed_flaky)
        )];
        for (count, name) in [
            (failed_scenarios.saturating_sub(self.failed_flaky), "failed"),
            (*flaky_scenarios, "flaky"),
            (*invalid_scenarios, "invalid"),
            (*skipped_scenarios, "skipped"),
            (*interrupted_scenarios, "interrupted"),
            (*unrun_scenarios, "not run"),
        ] {
            if count > 0 {
                parts.push(format!("{count} {name}"));
            }
        }
        // What went wrong outside of scenarios is no failed scenario.
        match failed_files {
            0 => {}
            1 => parts.push("1 file failed".to_owned()),
            more => parts.push(format!("{more} files failed")),
        }
        let style = match exit_code {
            0 => GREEN,
            _ => RED,
        };
        let noun = if *scenarios == 1 { "scenario" } else { "scenarios" };
        let virtually = if self.simulated { " of virtual time" } else { "" };
        let mut text = String::new();
        if let Some(error) = error {
            let _ = writeln!(text, "{}", paint(RED, error));
        }
        let _ = writeln!(
            text,
            "{} {}",
            paint(style.bold(), format!("{scenarios} {noun}: {}", parts.join(", "))),
            paint(DIM, format!("({}{virtually})", span(*duration_ms)))
        );
        if self.verbosity >= Verbosity::Verbose || health.receive_drops > 0 || health.packets_skipped > 0 {
            text += &health_line(health);
        }
        text
    }
}

fn health_line(health: &Health) -> String {
    let mut parts = Vec::new();
    if let Some(p99) = health.lateness_p99_ms {
        parts.push(format!("own lateness p99 {p99:.1} ms"));
    }
    if let Some(max) = health.lateness_max_ms {
        parts.push(format!("max {max:.1} ms"));
    }
    parts.push(format!("{} packets skipped", health.packets_skipped));
    parts.push(format!("{} dropped by the kernel", health.receive_drops));
    parts.push(format!("{} malformed", health.malformed_messages));
    if let Some(bytes) = health.receive_buffer_bytes {
        parts.push(format!("receive buffer {} KiB", bytes / 1024));
    }
    if let Some(limit) = health.open_file_limit {
        parts.push(format!("open files up to {limit}"));
    }
    format!("{}\n", paint(DIM, format!("generator: {}", parts.join(", "))))
}

fn step(at: Option<f64>, who: &str, what: &str, detail: Option<&str>, location: &Option<Location>) -> String {
    let time = at.map_or_else(|| " ".repeat(10), |ms| format!("{:>10}", span(ms)));
    let mut line = format!("    {}", paint(DIM, time));
    if !who.is_empty() {
        let _ = write!(line, "  {}", paint(CYAN, who));
    }
    let _ = write!(line, "  {what}");
    if let Some(detail) = detail {
        let _ = write!(line, " {detail}");
    }
    if let Some(location) = location {
        let _ = write!(line, "  {}", paint(DIM, location));
    }
    line.push('\n');
    line
}

/// A span for a person: `12 ms`, `3.25 s`, `2 min 5 s`.
pub(crate) fn span(ms: f64) -> String {
    if ms < 1000.0 {
        format!("{ms:.0} ms")
    } else if ms < 120_000.0 {
        format!("{:.2} s", ms / 1000.0)
    } else {
        let secs = (ms / 1000.0).round() as u64;
        format!("{} min {} s", secs / 60, secs % 60)
    }
}

pub(crate) fn indented(text: &str, by: usize) -> String {
    let pad = " ".repeat(by);
    text.lines()
        .map(|line| {
            if line.is_empty() {
                "\n".to_owned()
            } else {
                format!("{pad}{line}\n")
            }
        })
        .collect()
}
