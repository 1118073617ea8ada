//! The commands: arguments in, exit code out.

mod agent;
mod analyze;
mod callcenter;
mod check;
mod e2e;
mod init;
mod list;
mod run;
mod write;

use callwright_events::ExitCode;

use crate::arguments::{Arguments, Command, DocsFormat, LogFormat};

/// Carries out what the command line says.
pub(crate) fn run(arguments: &Arguments) -> ExitCode {
    if arguments.no_color {
        anstream::ColorChoice::Never.write_global();
    }
    if let Some(level) = default_level(&arguments.command) {
        start_log(arguments.log_format.unwrap_or(LogFormat::Text), level);
    }
    let result = match &arguments.command {
        Command::Run(run) => run::run(run),
        Command::Check { paths, environment } => check::check(paths, environment),
        Command::List {
            paths,
            selection,
            environment,
        } => list::list(paths, selection, environment),
        Command::Analyze(arguments) => analyze::analyze_files(arguments),
        Command::Callcenter(callcenter) => callcenter::callcenter(callcenter, arguments.log_format),
        Command::Agent(agent) => agent::agent(agent),
        Command::E2e(e2e) => e2e::e2e(e2e),
        Command::Docs { out, format } => {
            let text = match format {
                DocsFormat::Md => callwright_script::markdown(),
                DocsFormat::Html => callwright_script::html(),
            };
            write::text(out.as_deref(), &text)
        }
        Command::Definitions { out } => write::text(out.as_deref(), &callwright_script::definitions()),
        Command::Init { directory } => init::init(directory),
        Command::Completions { shell } => write::completions(*shell),
    };
    result.unwrap_or_else(|error| {
        anstream::eprintln!("callwright: {error:#}");
        error
            .downcast_ref::<Wrong>()
            .map_or(ExitCode::Usage, |wrong| wrong.exit_code)
    })
}

pub(crate) use list::registered;

/// An error with an exit code of its own; every other one is that of a wrong command line.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
struct Wrong {
    message: String,
    exit_code: ExitCode,
}

/// What is logged where RUST_LOG says nothing: a phone tells what it does, a run has its reports. `None`: the command knows
/// when it has read its configuration.
fn default_level(command: &Command) -> Option<&'static str> {
    match command {
        Command::Callcenter(_) => None,
        Command::Agent(agent) if agent.verbose => Some("debug"),
        Command::Agent(_) => Some("info"),
        Command::E2e(_)
        | Command::Run(_)
        | Command::Analyze(_)
        | Command::Check { .. }
        | Command::List { .. }
        | Command::Docs { .. }
        | Command::Definitions { .. }
        | Command::Init { .. }
        | Command::Completions { .. } => Some("warn"),
    }
}

/// Logs go to standard error; RUST_LOG says which. Who logs never waits for who reads.
fn start_log(format: LogFormat, level: &str) {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new(level));
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(crate::log::Lossy::start());
    match format {
        LogFormat::Text => log
            .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()))
            .init(),
        LogFormat::Json => log.json().init(),
    }
}
