//! `callwright agent`.

use std::fs::File;
use std::io::BufReader;

use anyhow::{Context as _, anyhow};
use callwright_e2e::{Agent, AgentError, Place};
use callwright_events::ExitCode;
use callwright_media::wav;
use callwright_ua::Audio;

use crate::arguments;
use crate::signals;

use super::Wrong;

/// Runs the phone of one agent until it is told to stop.
pub(super) fn agent(arguments: &arguments::Agent) -> anyhow::Result<ExitCode> {
    let agent = Agent {
        place: Place {
            username: arguments.username.clone(),
            server: arguments.server.clone(),
            domain: arguments.domain.clone(),
            password: arguments.password.clone(),
            port: arguments.port,
            answer_after: arguments.answer_after,
        },
        call_duration: (!arguments.call_duration.is_zero()).then_some(arguments.call_duration),
        says: arguments.play.as_deref().map_or(Ok(Audio::Silence), audio)?,
        record: arguments.record.clone(),
        verbose: arguments.verbose,
    };
    let mut handled = Ok(());
    let ended = callwright_e2e::agent(agent, |stop| {
        handled = signals::handle(
            move || {
                anstream::eprintln!("ending: hanging up and unregistering; once more ends at once");
                stop.ask();
            },
            || {},
        );
    });
    handled.context("cannot handle signals")?;
    match ended {
        Ok(()) => Ok(ExitCode::Passed),
        Err(error @ AgentError::Place(_)) => Err(error.into()),
        Err(
            error @ (AgentError::World(_)
            | AgentError::Start { .. }
            | AgentError::NotRegistered { .. }
            | AgentError::Lost { .. }
            | AgentError::NotClosed { .. }
            | AgentError::Record { .. }
            | AgentError::Failed),
        ) => Err(Wrong {
            message: error.to_string(),
            exit_code: ExitCode::Failed,
        }
        .into()),
    }
}

/// A WAV file, or `tone:HZ`.
fn audio(text: &str) -> anyhow::Result<Audio> {
    if let Some(hz) = text.strip_prefix("tone:") {
        // Below, nobody hears it; above, G.711 does not carry it.
        let hz = hz.parse().ok().filter(|hz| (100.0..=3_400.0).contains(hz));
        return match hz {
            Some(hz) => Ok(Audio::Tones { hz: vec![hz] }),
            None => Err(anyhow!(
                "--play {text}: a tone has 100 to 3400 Hz, as in tone:440"
            )),
        };
    }
    let file = File::open(text).with_context(|| format!("--play: cannot read {text}"))?;
    let samples = wav::read(BufReader::new(file)).with_context(|| format!("--play {text}"))?;
    Ok(Audio::Samples {
        samples: samples.into(),
    })
}
