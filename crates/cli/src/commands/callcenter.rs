//! `callwright callcenter`.

mod user;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use callwright_callcenter::{ServeError, ServerError, Settings};
use callwright_events::ExitCode;
use callwright_scenario::real::Capture;
use callwright_wire::Tap;

use crate::arguments::{self, LogFormat};
use crate::signals;

use super::{Wrong, start_log, write};

/// The file that `--init` writes unless it is told another.
const FILE: &str = "callcenter.toml";

/// Runs the call center until it is told to stop, or writes its configuration.
pub(super) fn callcenter(
    arguments: &arguments::Callcenter,
    log_format: Option<LogFormat>,
) -> anyhow::Result<ExitCode> {
    if arguments.init {
        return init(arguments.config.as_deref().unwrap_or(Path::new(FILE)));
    }
    let mut settings = match &arguments.config {
        Some(path) => Settings::read(path)?,
        None => Settings::default(),
    };
    if let Some(port) = arguments.port {
        settings.set_port(port);
    }
    if let Some(database) = &arguments.db {
        settings.set_database(database).context("--db")?;
    }
    if let Some(http) = arguments.http {
        settings.set_http(http).context("--http")?;
    }
    let configured = if settings.service().log_json {
        LogFormat::Json
    } else {
        LogFormat::Text
    };
    if let Some(arguments::CallcenterCommand::User { command }) = &arguments.command {
        return user::user(command, &settings);
    }
    start_log(log_format.unwrap_or(configured), &settings.service().log_level);
    let mut capture = None;
    let tap = |epoch| match &arguments.capture {
        Some(path) => {
            let (started, tap) = Capture::open(path, epoch, |_| Some("callcenter".to_owned()), |_| None)
                .map_err(|error| error.to_string())?;
            capture = Some(started);
            Ok(Some(Box::new(tap) as Box<dyn Tap>))
        }
        None => Ok(None),
    };
    let mut ready = Ok(());
    let served = callwright_callcenter::serve(&settings, tap, |addresses, stop| {
        let api = stop.api();
        let end = stop.clone();
        let handled = signals::handle(
            move || {
                anstream::eprintln!(
                    "ending: no new calls, those in progress may end; once more ends at once"
                );
                stop.ask();
            },
            || {},
        );
        ready = handled.context("cannot handle signals").and_then(|()| {
            for (transport, at) in addresses {
                write::line(&format!("listening on {at} ({transport})\n"))?;
            }
            if let Some(at) = api {
                write::line(&format!("API on http://{at}/api/v1\n"))?;
            }
            Ok(())
        });
        if ready.is_err() {
            // Nobody could ask for its end, or learns where it is: it ends at once.
            end.ask();
            end.ask();
        }
    });
    // What was captured is kept, however it ended.
    let captured = capture.map(Capture::close).transpose();
    ready?;
    match served {
        Ok(()) => {}
        Err(
            error @ (ServeError::Settings(_)
            | ServeError::Server(ServerError::Config(_))
            | ServeError::Capture(_)),
        ) => {
            return Err(error.into());
        }
        Err(
            error @ (ServeError::Start(_)
            | ServeError::Recordings(_)
            | ServeError::Listen { .. }
            | ServeError::Silent
            | ServeError::Api(_)
            | ServeError::Server(ServerError::Store(_))
            | ServeError::Failed),
        ) => {
            return Err(Wrong {
                message: error.to_string(),
                exit_code: ExitCode::Failed,
            }
            .into());
        }
    }
    captured.map_err(|error| Wrong {
        message: error.to_string(),
        exit_code: ExitCode::Failed,
    })?;
    Ok(ExitCode::Passed)
}

/// Writes a commented configuration; one that is there already is never written over.
fn init(path: &Path) -> anyhow::Result<ExitCode> {
    if path.exists() {
        bail!(
            "{} is there already, and nothing was written; name another file with --config",
            path.display()
        );
    }
    std::fs::write(path, Settings::commented())
        .with_context(|| format!("cannot write {}", path.display()))?;
    write::line(&format!(
        "wrote {0}\n\nRun it: callwright callcenter --config {0}\n",
        PathBuf::from(path).display()
    ))?;
    Ok(ExitCode::Passed)
}
