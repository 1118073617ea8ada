//! `callwright run`.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use callwright_events::ExitCode;
use callwright_report::Verbosity;
use callwright_scenario::environment::EnvFile;
use callwright_scenario::real::{Capture, RealConfig, RealWorld};
use callwright_scenario::suite::{self, Options};
use callwright_scenario::{Causes, Run, Settings, Sink, World};

use crate::arguments::{self, Environment, Flaky, Selection};
use crate::project::{Defaults, Project};
use crate::{environment, files, output, signals};

/// Runs scenarios.
pub(super) fn run(arguments: &arguments::Run) -> anyhow::Result<ExitCode> {
    if arguments.flow.simulate {
        bail!("--simulate is not supported yet");
    }
    if arguments.reports.report.is_some() {
        bail!("--report is not supported yet; --junit FILE and --json are");
    }
    let project = Project::find(&arguments.paths)?.with_profile(arguments.profile.as_deref())?;
    let seed = arguments.flow.seed.or(project.run.seed).unwrap_or_else(any_seed);
    let options = options(arguments, &project.run, seed)?;
    let junit = arguments.reports.junit.clone().or(project.run.junit.clone());
    let capture = arguments.reports.capture.clone().or(project.run.capture.clone());
    let settings = settings(arguments, project)?;
    // A broken script is part of the run: it is reported as such, and no agent is started for it.
    let programs = files::scenarios(&arguments.paths)?
        .iter()
        .map(|file| callwright_script::load(file, &settings))
        .collect();

    let world = RealWorld::start(RealConfig {
        seed,
        ..RealConfig::default()
    })?;
    let causes = Arc::new(Causes::default());
    let capture = capture
        .map(|path| Capture::start(&world, &path, causes.clone()))
        .transpose()?;
    let run = Run::new(world.clone() as Arc<dyn World>, settings, causes);
    signals::raise(run.interrupt().clone()).context("cannot handle signals")?;
    let output = Arc::new(output::Output::new(
        arguments.reports.json,
        verbosity(arguments),
        junit,
    ));
    let sink: Arc<dyn Sink> = output.clone();
    let verdict = suite::run(&run, &sink, programs, &options);

    // Each file on its own: one that cannot be written takes no other with it.
    let captured = capture.map_or(Ok(()), |capture| capture.finish(&world));
    output.finish()?;
    if let Err(error) = captured {
        anstream::eprintln!("callwright: {error}");
        return Ok(verdict.max(ExitCode::Failed));
    }
    Ok(verdict)
}

fn verbosity(arguments: &arguments::Run) -> Verbosity {
    match (arguments.reports.quiet, arguments.reports.verbose) {
        (true, _) => Verbosity::Quiet,
        (_, true) => Verbosity::Verbose,
        (false, false) => Verbosity::Normal,
    }
}

fn options(arguments: &arguments::Run, defaults: &Defaults, seed: u64) -> anyhow::Result<Options> {
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
    Ok(Options {
        selection: selection(&arguments.selection, Some(defaults))?,
        shard: shard(&arguments.selection)?,
        repeat: flow
            .repeat
            .or(defaults.repeat)
            .map_or(1, |repeat| repeat as usize),
        jobs: usize::from(flow.jobs.or(defaults.jobs).unwrap_or(1)),
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
pub(super) fn selection(
    arguments: &Selection,
    defaults: Option<&Defaults>,
) -> anyhow::Result<suite::Selection> {
    let either = |mine: &Vec<String>, theirs: Option<&Vec<String>>| match theirs {
        Some(theirs) if mine.is_empty() => theirs.clone(),
        _ => mine.clone(),
    };
    Ok(suite::Selection {
        names: arguments
            .scenario
            .iter()
            .map(|pattern| pattern.parse())
            .collect::<Result<_, _>>()?,
        tags: either(&arguments.tag, defaults.map(|defaults| &defaults.tag)),
        exclude_tags: either(
            &arguments.exclude_tag,
            defaults.map(|defaults| &defaults.exclude_tag),
        ),
    })
}

/// The part of the work that is this machine's.
pub(super) fn shard(arguments: &Selection) -> anyhow::Result<Option<suite::Shard>> {
    Ok(arguments.shard.as_deref().map(str::parse).transpose()?)
}

fn settings(arguments: &arguments::Run, project: Project) -> anyhow::Result<Settings> {
    let mut settings = surroundings(&arguments.environment, &project)?;
    settings.insecure_http = arguments.insecure_http
        || project.run.insecure_http.unwrap_or(false)
        || environment::insecure_http(&settings.process_env);
    settings.sip_messages = arguments.reports.logs;
    settings.save_audio = arguments.reports.save_audio.clone();
    Ok(settings)
}

/// What scripts see of their surroundings.
pub(super) fn surroundings(environment: &Environment, project: &Project) -> anyhow::Result<Settings> {
    let files = project.run.env_file.iter().chain(&environment.env_file);
    let constants = environment
        .set
        .iter()
        .map(|text| match text.split_once('=') {
            Some((key, value)) if is_name(key) => Ok((key.to_owned(), value.to_owned())),
            _ => Err(anyhow!(
                "--set {text}: it is KEY=VALUE, and the key a name as of a variable"
            )),
        })
        .collect::<anyhow::Result<_>>()?;
    Ok(Settings {
        env_files: files.map(|file| EnvFile::read(file)).collect::<Result<_, _>>()?,
        process_env: environment::process(),
        project_env: project.env.clone(),
        constants,
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
