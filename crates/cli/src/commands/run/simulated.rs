//! `callwright run --simulate`.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context as _, bail};
use callwright_events::ExitCode;
use callwright_scenario::Causes;
use callwright_scenario::simulated::{ServerPlan, SimulatedCapture};
use callwright_scenario::suite::{Options, Simulation, Simulator};

use super::{Prepared, Verdict};
use crate::arguments;
use crate::servers::{Groups, Kind, warn_of_service};
use crate::signals;

pub(super) fn run(prepared: Prepared, arguments: &arguments::Run) -> anyhow::Result<Verdict> {
    let began = Instant::now();
    let mut servers = Vec::new();
    for server in prepared.servers {
        match server.kind {
            Kind::Callcenter(settings) => {
                warn_of_service(&server.name, &settings, "");
                servers.push(ServerPlan {
                    name: server.name,
                    settings: *settings,
                });
            }
            Kind::Command { .. } => bail!(
                "the server {} is a program of its own, which cannot run in a simulation: use one that is built in \
                 (callcenter = \"callcenter.toml\"), or leave it out with --no-servers",
                server.name
            ),
        }
    }
    let causes = Arc::new(Causes::default());
    let capture = prepared
        .capture
        .map(|path| SimulatedCapture::start(&path, causes.clone()))
        .transpose()?;
    let writer = capture.clone();
    let simulation = Simulation {
        servers,
        capture: writer.map(|writer| Arc::new(move |episode| writer.take(episode)) as _),
        ..Simulation::new(Box::new({
            let flags = flags(arguments, &prepared.options, prepared.project_repeats);
            move |seed, file, scenario| replay(&flags, seed, file, scenario)
        }))
    };
    let simulator = match Simulator::new(prepared.settings, causes, simulation) {
        Ok(simulator) => simulator,
        Err(error) => {
            anstream::eprintln!("callwright: {error}");
            return Ok((ExitCode::Invalid, Ok(())));
        }
    };
    signals::raise(simulator.interrupt().clone(), Groups::default()).context("cannot handle signals")?;
    let verdict = simulator.run(&prepared.sink, prepared.programs, &prepared.options);
    drop(simulator);
    let captured = capture.map_or(Ok(()), SimulatedCapture::finish);
    if !arguments.reports.json && !prepared.quiet {
        anstream::eprintln!("simulated in {:.2} s", began.elapsed().as_secs_f64());
    }
    Ok((verdict, captured))
}

/// The flags that a replay needs: what changes the course of a scenario, or how it is judged.
fn flags(arguments: &arguments::Run, options: &Options, project_repeats: bool) -> String {
    let environment = &arguments.environment;
    let mut words = Vec::new();
    for file in &environment.env_file {
        words.push(format!(" --env-file {}", quoted(&file.display().to_string())));
    }
    for set in &environment.set {
        words.push(format!(" --set {}", quoted(set)));
    }
    if let Some(profile) = &environment.profile {
        words.push(format!(" --profile {}", quoted(profile)));
    }
    if let Some(timeout) = arguments.flow.default_timeout {
        words.push(format!(" --default-timeout {}ms", timeout.as_millis()));
    }
    if let Some(network) = &arguments.flow.network {
        words.push(format!(" --network {}", quoted(network)));
    }
    if let Some(timeout) = arguments.flow.timeout {
        words.push(format!(" --timeout {}ms", timeout.as_millis()));
    }
    if options.retries > 0 {
        words.push(format!(" --retries {}", options.retries));
    }
    if options.flaky_fails {
        words.push(" --flaky fail".to_owned());
    }
    // What the project says for whole runs is not meant for one scenario.
    if project_repeats {
        words.push(" --repeat 1".to_owned());
    }
    if options.shard.is_some() {
        words.push(" --shard 1/1".to_owned());
    }
    if arguments.no_servers {
        words.push(" --no-servers".to_owned());
    }
    words.concat()
}

/// The command that repeats a scenario.
fn replay(flags: &str, seed: u64, file: &Path, scenario: Option<&str>) -> String {
    // The name as a whole: others may contain it.
    let scenario = scenario.map_or_else(String::new, |name| {
        format!(" --scenario {}", quoted(&format!("re:^{}$", escaped(name))))
    });
    let file = quoted(&file.display().to_string());
    format!("callwright run --simulate --seed {seed}{flags} {file}{scenario}")
}

/// A text as a regular expression that means it.
fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for c in text.chars() {
        if r"\.+*?()|[]{}^$#&-~".contains(c) {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}

/// A word as a shell takes it.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./=:,@+%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replay_can_be_pasted_into_a_shell() {
        let file = Path::new("my calls/a.rhai");
        assert_eq!(
            replay(" --set A=1", 7, file, Some("it's up")),
            r"callwright run --simulate --seed 7 --set A=1 'my calls/a.rhai' --scenario 're:^it'\''s up$'"
        );
    }
}
