//! `callwright callcenter user`: users in the database. A password is never an argument, where others could read it.

use std::io::{BufRead as _, IsTerminal as _};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, bail, ensure};
use callwright_callcenter::{Settings, StoreError, Users};
use callwright_events::ExitCode;
use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};

use crate::arguments::UserCommand;

use super::super::{Wrong, write};

/// Carries out what is asked for about users.
pub(super) fn user(command: &UserCommand, settings: &Settings) -> anyhow::Result<ExitCode> {
    let database = &settings.service().database;
    let unusable = |error: StoreError| Wrong {
        message: error.to_string(),
        exit_code: ExitCode::Failed,
    };
    let users = || Users::open(database).map_err(unusable);
    let there = || Users::open_existing(database).map_err(unusable);
    match command {
        UserCommand::Add {
            name,
            password_stdin,
            no_agent,
        } => {
            // RFC 7616 §3.4.2: a colon would end the name within the hash.
            let bad = name.is_empty() || name.contains([':', '@']) || name.chars().any(char::is_control);
            ensure!(
                !bad,
                "{name:?} is not the name of a user: no `:`, no `@`, and not empty"
            );
            let password = if *password_stdin {
                first_line()?
            } else {
                asked_for()?
            };
            ensure!(!password.is_empty(), "a password is not empty");
            let domain = settings
                .domain()
                .parse()
                .with_context(|| format!("the domain {}", settings.domain()))?;
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            let now = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX);
            let there = users()?.put(name, &domain, &password, !no_agent, now)?;
            let what = if there { "changed" } else { "added" };
            write::line(&format!(
                "{what} {name} of {domain} in {}; a call center that runs knows of it when it is started again\n",
                database.display()
            ))?;
        }
        UserCommand::List => {
            for stored in there()?.map_or(Ok(Vec::new()), |users| users.list())? {
                let agent = if stored.agent { "agent" } else { "no agent" };
                write::line(&format!("{} {} {agent}\n", stored.user.name, stored.domain))?;
            }
        }
        UserCommand::Remove { name } => {
            if !there()?.map_or(Ok(false), |users| users.remove(name))? {
                return Err(Wrong {
                    message: format!("there is no user {name} in {}", database.display()),
                    exit_code: ExitCode::Failed,
                }
                .into());
            }
            write::line(&format!("removed {name}\n"))?;
        }
    }
    Ok(ExitCode::Passed)
}

/// The first line of standard input.
fn first_line() -> anyhow::Result<String> {
    let mut line = String::new();
    std::io::stdin()
        .lock()
        .read_line(&mut line)
        .context("standard input cannot be read")?;
    Ok(line.trim_end_matches(['\n', '\r']).to_owned())
}

/// Asks twice at the terminal, without showing what is typed.
fn asked_for() -> anyhow::Result<String> {
    if !std::io::stdin().is_terminal() {
        bail!("there is no terminal to ask for the password; give it with --password-stdin");
    }
    let hidden = Hidden::begin()?;
    anstream::eprint!("Password: ");
    let password = first_line()?;
    anstream::eprint!("\nOnce more: ");
    let again = first_line()?;
    anstream::eprintln!();
    drop(hidden);
    ensure!(
        password == again,
        "these were two different passwords: nothing was changed"
    );
    Ok(password)
}

/// A terminal that does not show what is typed; it does again when this is dropped.
struct Hidden(rustix::termios::Termios);

impl Hidden {
    fn begin() -> anyhow::Result<Hidden> {
        let stdin = std::io::stdin();
        let before = tcgetattr(&stdin).context("the terminal cannot be asked")?;
        let mut silent = before.clone();
        silent.local_modes.remove(LocalModes::ECHO);
        tcsetattr(&stdin, OptionalActions::Flush, &silent).context("the terminal cannot be silenced")?;
        Ok(Hidden(before))
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        // It is gone, and with it what it would show.
        let _gone = tcsetattr(std::io::stdin(), OptionalActions::Flush, &self.0);
    }
}
