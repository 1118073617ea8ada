//! `callwright run`.

mod simulated;

use std::num::NonZero;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use callwright_events::ExitCode;
use callwright_report::Verbosity;
use callwright_scenario::environment::EnvFile;
use callwright_scenario::real::{Capture, CaptureError, RealConfig, RealWorld};
use callwright_scenario::suite::{self, Options};
use callwright_scenario::{Causes, Interrupt, Run, Settings, Sink, World, network};

use crate::arguments::{self, Environment, Flaky, Selection};
use crate::project::{Defaults, Project};
use crate::servers::{self, Groups, Server, Servers, ServersError};
use crate::{environment, files, output, signals};

/// Runs scenarios.
pub(super) fn run(arguments: &arguments::Run) -> anyhow::Result<ExitCode> {
    if arguments.reports.report.is_some() {
        bail!("--report is not supported yet; --junit FILE and --json are");
    }
    let project = Project::find(&arguments.paths)?.with_profile(arguments.environment.profile.as_deref())?;
    if project.run.no_color == Some(true) {
        anstream::ColorChoice::Never.write_global();
    }
    let simulate = arguments.flow.simulate || project.run.simulate.unwrap_or(false);
    let seed = arguments.flow.seed.or(project.run.seed).unwrap_or_else(any_seed);
    let options = options(arguments, &project.run, seed, simulate)?;
    let junit = arguments.reports.junit.clone().or(project.run.junit.clone());
    let capture = arguments.reports.capture.clone().or(project.run.capture.clone());
    let verbosity = verbosity(arguments, &project.run)?;
    let servers = project.servers().to_vec();
    let project_repeats = project.run.repeat.is_some();
    let settings = settings(arguments, project)?;
    let servers = if arguments.no_servers || environment::no_servers(&settings.process_env) {
        Vec::new()
    } else {
        servers
    };
    // A broken script is part of the run: it is reported as such, and no agent is started for it.
    let files = files::scenarios(&arguments.paths)?;
    for unused in files::unused(&arguments.paths, &files)? {
        anstream::eprintln!(
            "warning: {} was not run: it calls neither `scenario` nor `agent`, and nothing that runs imports it",
            unused.display()
        );
    }
    let programs = files
        .iter()
        .map(|file| callwright_script::load(file, &settings))
        .collect();
    // What cannot be written is known before the first call.
    let output = Arc::new(output::Output::new(arguments.reports.json, verbosity, junit)?);
    let sink: Arc<dyn Sink> = output.clone();
    let prepared = Prepared {
        servers,
        settings,
        programs,
        capture,
        sink,
        options,
        quiet: verbosity == Verbosity::Quiet,
        project_repeats,
    };
    let (verdict, capture) = if simulate {
        simulated::run(prepared, arguments)?
    } else {
        real(prepared)?
    };

    // Each file on its own: one that cannot be written takes no other with it, and never the verdict.
    let mut errors = output.finish();
    errors.extend(capture.err().map(Into::into));
    for error in &errors {
        anstream::eprintln!("callwright: {error:#}");
    }
    Ok(if errors.is_empty() {
        verdict
    } else {
        verdict.max(ExitCode::Failed)
    })
}

/// What a run needs, in whichever world.
struct Prepared {
    servers: Vec<Server>,
    settings: Settings,
    programs: Vec<suite::Loaded>,
    capture: Option<PathBuf>,
    sink: Arc<dyn Sink>,
    options: Options,
    /// Failures and the result only.
    quiet: bool,
    /// `callwright.toml` says how often everything runs.
    project_repeats: bool,
}

/// The exit code, and whether the capture is whole.
type Verdict = (ExitCode, Result<(), CaptureError>);

fn real(prepared: Prepared) -> anyhow::Result<Verdict> {
    let world = RealWorld::start(RealConfig {
        seed: prepared.options.seed,
        net: servers::world_config(&prepared.servers)?,
    })?;
    let causes = Arc::new(Causes::default());
    let capture = prepared
        .capture
        .map(|path| Capture::start(&world, &path, causes.clone()))
        .transpose()?;
    let run = Run::new(world.clone() as Arc<dyn World>, prepared.settings, causes);
    let groups = Groups::default();
    signals::raise(run.interrupt().clone(), groups.clone()).context("cannot handle signals")?;
    let verdict = served(&world, &prepared.servers, &groups, run.interrupt(), || {
        suite::run(&run, &prepared.sink, prepared.programs, &prepared.options)
    });
    Ok((verdict, capture.map_or(Ok(()), |capture| capture.finish(&world))))
}

/// Runs with the servers of the project: without them nothing is run, and nothing is proved when one of them did not last.
fn served(
    world: &Arc<RealWorld>,
    servers: &[Server],
    groups: &Groups,
    interrupt: &Interrupt,
    run: impl FnOnce() -> ExitCode,
) -> ExitCode {
    let mut running = match Servers::start(world, servers, groups, interrupt) {
        Ok(running) => running,
        Err(error) => {
            anstream::eprintln!("callwright: {error}");
            return match error {
                ServersError::Interrupted { .. } => ExitCode::Interrupted,
                ServersError::NotStarted { .. }
                | ServersError::NotReady { .. }
                | ServersError::Ended { .. } => ExitCode::Invalid,
            };
        }
    };
    let verdict = run();
    let ended = running.ended();
    running.stop();
    match ended {
        Some(error) => {
            anstream::eprintln!("callwright: {error}");
            verdict.max(ExitCode::Invalid)
        }
        None => verdict,
    }
}

fn verbosity(arguments: &arguments::Run, defaults: &Defaults) -> anyhow::Result<Verbosity> {
    let flags = &arguments.reports;
    let either = if flags.quiet || flags.verbose {
        (flags.quiet, flags.verbose)
    } else {
        (defaults.quiet.unwrap_or(false), defaults.verbose.unwrap_or(false))
    };
    Ok(match either {
        (true, true) => bail!("quiet and verbose in callwright.toml: it is one of them"),
        (true, false) => Verbosity::Quiet,
        (false, true) => Verbosity::Verbose,
        (false, false) => Verbosity::Normal,
    })
}

fn options(
    arguments: &arguments::Run,
    defaults: &Defaults,
    seed: u64,
    simulate: bool,
) -> anyhow::Result<Options> {
    let flow = &arguments.flow;
    let timeout = match (&flow.timeout, &defaults.timeout) {
        (Some(timeout), _) => Some(*timeout),
        (None, Some(text)) => Some(parse_span("timeout", text)?),
        (None, None) => None,
    };
    let flaky_fails = match (flow.flaky, defaults.flaky.as_deref()) {
        (Some(flaky), _) => flaky == Flaky::Fail,
        (None, Some("fail")) => true,
        (None, Some("pass") | None) => false,
        (None, Some(other)) => bail!("flaky = {other:?} in callwright.toml: it is \"pass\" or \"fail\""),
    };
    if defaults.jobs == Some(0) {
        bail!("jobs = 0 in callwright.toml: at least one scenario runs at a time");
    }
    if defaults.repeat == Some(0) {
        bail!("repeat = 0 in callwright.toml: everything runs at least once");
    }
    Ok(Options {
        selection: selection(&arguments.selection, defaults)?,
        shard: shard(&arguments.selection, defaults)?,
        repeat: flow
            .repeat
            .or(defaults.repeat)
            .map_or(1, |repeat| repeat as usize),
        jobs: match flow.jobs.or(defaults.jobs) {
            Some(jobs) => usize::from(jobs),
            // Each has a world of its own: they do not disturb each other.
            None if simulate => std::thread::available_parallelism().map_or(1, NonZero::get),
            None => 1,
        },
        retries: flow.retries.or(defaults.retries).unwrap_or(0),
        timeout,
        fail_fast: flow.fail_fast || defaults.fail_fast.unwrap_or(false),
        flaky_fails,
        seed,
        version: env!("CARGO_PKG_VERSION").to_owned(),
    })
}

fn parse_span(key: &str, text: &str) -> anyhow::Result<Duration> {
    callwright_scenario::span::parse(text).map_err(|error| anyhow!("{key} in callwright.toml: {error}"))
}

/// Which scenarios the command line, or else the project, selects.
pub(super) fn selection(arguments: &Selection, defaults: &Defaults) -> anyhow::Result<suite::Selection> {
    let either = |mine: &Vec<String>, theirs: &Vec<String>| {
        if mine.is_empty() {
            theirs.clone()
        } else {
            mine.clone()
        }
    };
    Ok(suite::Selection {
        names: arguments
            .scenario
            .iter()
            .map(|pattern| pattern.parse())
            .collect::<Result<_, _>>()?,
        tags: either(&arguments.tag, &defaults.tag),
        exclude_tags: either(&arguments.exclude_tag, &defaults.exclude_tag),
    })
}

/// The part of the work that is this machine's.
pub(super) fn shard(arguments: &Selection, defaults: &Defaults) -> anyhow::Result<Option<suite::Shard>> {
    let shard = arguments.shard.as_deref().or(defaults.shard.as_deref());
    Ok(shard.map(str::parse).transpose()?)
}

fn settings(arguments: &arguments::Run, project: Project) -> anyhow::Result<Settings> {
    let mut settings = surroundings(&arguments.environment, &project)?;
    settings.insecure_http = arguments.insecure_http
        || project.run.insecure_http.unwrap_or(false)
        || environment::insecure_http(&settings.process_env);
    settings.default_timeout = match (&arguments.flow.default_timeout, &project.run.default_timeout) {
        (Some(timeout), _) => Some(*timeout),
        (None, Some(text)) => Some(parse_span("default-timeout", text)?),
        (None, None) => None,
    };
    let network = |text: &str, place: &str| {
        network::parse(text)
            .map_err(|fault| anyhow!("{place}: {}", fault.to_string().replacen("network: ", "", 1)))
    };
    settings.network = match (&arguments.flow.network, &project.run.network) {
        (Some(text), _) => Some(network(text, "--network")?),
        (None, Some(text)) => Some(network(text, "network in callwright.toml")?),
        (None, None) => None,
    };
    settings.sip_messages = arguments.reports.logs || project.run.logs.unwrap_or(false);
    settings.save_audio = arguments.reports.save_audio.clone().or(project.run.save_audio);
    Ok(settings)
}

/// What scripts see of their surroundings.
pub(super) fn surroundings(environment: &Environment, project: &Project) -> anyhow::Result<Settings> {
    let files = project.run.env_file.iter().chain(&environment.env_file);
    let mut constants = project.run.set.clone();
    if let Some(key) = constants.keys().find(|key| !is_name(key)) {
        bail!("set.{key:?} in callwright.toml: the key is a name as of a variable");
    }
    for text in &environment.set {
        match text.split_once('=') {
            Some((key, value)) if is_name(key) => constants.insert(key.to_owned(), value.to_owned()),
            _ => bail!("--set {text}: it is KEY=VALUE, and the key a name as of a variable"),
        };
    }
    Ok(Settings {
        env_files: files.map(|file| EnvFile::read(file)).collect::<Result<_, _>>()?,
        process_env: environment::process(),
        project_env: project.env.clone(),
        constants: constants.into_iter().collect(),
        ..Settings::default()
    })
}

fn is_name(key: &str) -> bool {
    key.chars()
        .next()
        .is_some_and(|first| first.is_alphabetic() || first == '_')
        && key.chars().all(|c| c.is_alphanumeric() || c == '_')
}

/// A seed for a run that was given none; it is reported, so that the run can be repeated.
fn any_seed() -> u64 {
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default();
    now.as_nanos() as u64 % 1_000_000_000
}
