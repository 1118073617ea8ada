//! `callwright run --simulate`.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context as _, bail};
use callwright_events::ExitCode;
use callwright_scenario::simulated::{ServerPlan, SimulatedCapture};
use callwright_scenario::suite::{Simulation, Simulator};
use callwright_scenario::{Causes, span};

use super::{Prepared, Verdict};
use crate::arguments;
use crate::servers::{Groups, Kind};
use crate::signals;

pub(super) fn run(prepared: Prepared, arguments: &arguments::Run) -> anyhow::Result<Verdict> {
    let began = Instant::now();
    let mut servers = Vec::new();
    for server in prepared.servers {
        match server.kind {
            Kind::Callcenter(settings) => servers.push(ServerPlan {
                name: server.name,
                settings: *settings,
            }),
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
            let environment = environment(arguments);
            move |seed, file, scenario| replay(&environment, seed, file, scenario)
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
    if !arguments.reports.json && !arguments.reports.quiet {
        anstream::eprintln!("simulated in {:.2} s", began.elapsed().as_secs_f64());
    }
    Ok((verdict, captured))
}

/// The flags that change what scripts see.
fn environment(arguments: &arguments::Run) -> String {
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
        words.push(format!(
            " --default-timeout {}",
            span::text(timeout).replace(' ', "")
        ));
    }
    if let Some(network) = &arguments.flow.network {
        words.push(format!(" --network {}", quoted(network)));
    }
    if arguments.no_servers {
        words.push(" --no-servers".to_owned());
    }
    words.concat()
}

/// The command that repeats a scenario.
fn replay(environment: &str, seed: u64, file: &Path, scenario: Option<&str>) -> String {
    let scenario = scenario.map_or_else(String::new, |name| format!(" --scenario {}", quoted(name)));
    let file = quoted(&file.display().to_string());
    format!("callwright run --simulate --seed {seed}{environment} {file}{scenario}")
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
            r"callwright run --simulate --seed 7 --set A=1 'my calls/a.rhai' --scenario 'it'\''s up'"
        );
    }
}
