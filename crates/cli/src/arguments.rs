//! The command line.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::{OsStringValueParser, TypedValueParser as _};
use clap::{Args, ColorChoice, CommandFactory as _, FromArgMatches as _, Parser, Subcommand, ValueEnum};
use clap_complete::engine::ArgValueCompleter;

use callwright_ua::Password;

use crate::completion;

/// Scripted end-to-end tests for telephony: place real calls, and assert what happened.
#[derive(Debug, Parser)]
#[command(
    name = "callwright",
    version,
    arg_required_else_help = true,
    max_term_width = 110
)]
#[command(
    after_help = "Exit codes: 0 all passed, 1 something failed or nothing was selected, 2 wrong command line, \
                        3 the run proves nothing (the generator was late, or a server did not start or last), 130 interrupted."
)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,

    /// Print without colours (also: NO_COLOR)
    #[arg(long, global = true, alias = "no-ansi")]
    pub(crate) no_color: bool,

    /// The form of log lines on standard error [default: text]; what is logged is chosen by RUST_LOG
    #[arg(long, global = true, value_enum, value_name = "FORMAT")]
    pub(crate) log_format: Option<LogFormat>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum LogFormat {
    Text,
    Json,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run scenario files and directories
    Run(Box<Run>),
    /// Check scripts without running them: no agent is started
    Check {
        /// Scenario files and directories
        #[arg(required = true)]
        paths: Vec<PathBuf>,
        #[command(flatten)]
        environment: Environment,
    },
    /// List the scenarios that would run, with their tags
    List {
        /// Scenario files and directories
        #[arg(required = true)]
        paths: Vec<PathBuf>,
        #[command(flatten)]
        selection: Selection,
        #[command(flatten)]
        environment: Environment,
    },
    /// Say what captures show: calls, registrations, streams, and what is wrong with them
    Analyze(Analyze),
    /// Run the call center, until Ctrl-C or SIGTERM
    Callcenter(Callcenter),
    /// The phone of one agent: registers, answers by itself, until Ctrl-C or SIGTERM
    Agent(Agent),
    /// Run the call center with agents and customers, and judge by what was captured
    E2e(E2e),
    /// Write the reference of everything that a scenario can call
    Docs {
        /// The file to write; standard output when it is left out
        out: Option<PathBuf>,
        /// Its form
        #[arg(long, value_enum, default_value = "md")]
        format: DocsFormat,
    },
    /// Write the Rhai definition file for editors
    Definitions {
        /// The file to write; standard output when it is left out
        out: Option<PathBuf>,
    },
    /// Begin a project: a configuration, a first scenario that runs as it is, a CI workflow
    Init {
        /// The directory; made when it is not there
        #[arg(default_value = ".")]
        directory: PathBuf,
    },
    /// Print the script that completes command lines in a shell
    Completions {
        /// The shell
        shell: Shell,
    },
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum DocsFormat {
    #[value(alias = "markdown")]
    Md,
    Html,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Shell {
    Bash,
    Elvish,
    Fish,
    Powershell,
    Zsh,
}

#[derive(Debug, Args)]
pub(crate) struct Run {
    /// Scenario files and directories (every *.rhai in them, recursively)
    #[arg(required = true)]
    pub(crate) paths: Vec<PathBuf>,

    #[command(flatten)]
    pub(crate) selection: Selection,
    #[command(flatten)]
    pub(crate) environment: Environment,
    #[command(flatten)]
    pub(crate) flow: Flow,
    #[command(flatten)]
    pub(crate) reports: Reports,

    /// Start no [[server]] of callwright.toml, where what is tested runs already; also CALLWRIGHT_NO_SERVERS=1
    #[arg(long)]
    pub(crate) no_servers: bool,
    /// Accept any certificate in http(…); also CALLWRIGHT_INSECURE_HTTP=1
    #[arg(long)]
    pub(crate) insecure_http: bool,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Without a configuration it listens on 127.0.0.1:5060 (UDP, TCP) for alice, bob and charlie, without \
                        authentication. Exit codes: 0 stopped in order, 1 it could not start, 2 the command line or the \
                        configuration is wrong, 130 stopped at once."
)]
pub(crate) struct Callcenter {
    /// Its users in the database
    #[command(subcommand)]
    pub(crate) command: Option<CallcenterCommand>,
    /// Its configuration, callcenter.toml
    #[arg(long, value_name = "FILE", global = true)]
    pub(crate) config: Option<PathBuf>,
    /// The port of UDP and TCP instead of the configured one, TLS takes the one above; 0 is any
    #[arg(long, value_name = "N")]
    pub(crate) port: Option<u16>,
    /// Its database instead of the configured one: a file
    #[arg(long, value_name = "FILE", global = true)]
    pub(crate) db: Option<String>,
    /// Serve the API and the metrics here, as in 127.0.0.1:8080
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) http: Option<SocketAddr>,
    /// Write a commented configuration to FILE (callcenter.toml), and do nothing else
    #[arg(long, conflicts_with_all = ["port", "db", "http", "capture"])]
    pub(crate) init: bool,
    /// Every packet, SIP and RTP, as pcapng
    #[arg(long, value_name = "FILE")]
    pub(crate) capture: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum CallcenterCommand {
    /// Users in its database, besides those of the configuration, which stand above them
    User {
        #[command(subcommand)]
        command: UserCommand,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum UserCommand {
    /// Add a user, or give one another password; it is asked for, and only hashes of it are kept
    #[command(after_help = "A call center that runs knows of it when it is started again.")]
    Add {
        /// The user part of its address
        name: String,
        /// Read the password from standard input, up to the end of its first line
        #[arg(long)]
        password_stdin: bool,
        /// It takes no calls of queues
        #[arg(long)]
        no_agent: bool,
    },
    /// List the users
    List,
    /// Remove a user
    #[command(after_help = "A call center that runs knows of it when it is started again.")]
    Remove {
        /// Its name
        name: String,
    },
}

#[derive(Debug, Args)]
#[command(
    after_help = "Exit codes: 0 stopped in order, 1 it could not start or register, 2 the command line is wrong, 130 stopped \
                        at once."
)]
pub(crate) struct Agent {
    /// Whose phone it is
    #[arg(long, value_name = "NAME")]
    pub(crate) username: String,
    /// The server, HOST or HOST:PORT
    #[arg(long, value_name = "SERVER", default_value = "127.0.0.1:5060")]
    pub(crate) server: String,
    /// The domain [default: the host of the server]
    #[arg(long, value_name = "DOMAIN")]
    pub(crate) domain: Option<String>,
    /// The local port [default: any]
    #[arg(long, value_name = "N")]
    pub(crate) port: Option<u16>,
    /// The password, where the server asks for one; also CALLWRIGHT_PASSWORD
    #[arg(
        long,
        value_name = "PASSWORD",
        env = "CALLWRIGHT_PASSWORD",
        hide_env_values = true
    )]
    pub(crate) password: Option<Password>,
    /// Hang up so long after answering; 0 waits for the other side
    #[arg(long, value_name = "DURATION", default_value = "5s", value_parser = duration_or_seconds)]
    pub(crate) call_duration: Duration,
    /// Ring so long, then answer
    #[arg(long, value_name = "DURATION", default_value = "0s", value_parser = duration_or_seconds)]
    pub(crate) answer_after: Duration,
    /// What it says: a WAV file (once), or tone:HZ [default: silence]
    #[arg(long, value_name = "WAV|tone:HZ")]
    pub(crate) play: Option<String>,
    /// Record each call into DIR, as stereo WAV: left said, right heard; never overwrites
    #[arg(long, value_name = "DIR")]
    pub(crate) record: Option<PathBuf>,
    /// Log the SIP messages
    #[arg(long, short)]
    pub(crate) verbose: bool,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Exit codes: 0 all captures could be read, 1 a finding that --fail-on names, 2 wrong command line, 3 a file is no \
                        capture or cannot be read."
)]
pub(crate) struct Analyze {
    /// Captures, pcap or pcapng
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// One JSON object a file on standard output, and nothing else
    #[arg(long)]
    pub(crate) json: bool,
    /// Only these calls: by number, or by the Call-ID of a leg
    #[arg(long, value_name = "ID")]
    pub(crate) call: Vec<String>,
    /// Exit with 1 when there is a finding of this severity or worse (note, warning, error), or of this name
    #[arg(long, value_name = "WHAT", value_delimiter = ',')]
    pub(crate) fail_on: Vec<String>,
    /// Which calls are drawn as ladders [default: all of up to five calls, and those of --call]
    #[arg(long, value_enum, value_name = "WHICH", conflicts_with = "json")]
    pub(crate) ladders: Option<Ladders>,
    /// The messages themselves, in the ladders and in the JSON
    #[arg(long)]
    pub(crate) text: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Ladders {
    All,
    /// Those with a finding of severity error
    Failed,
    None,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Exit codes: 0 every criterion holds, 1 one does not, 2 the command line is wrong, 3 the run proves nothing (the \
                        call center did not start, SIPp is missing, this machine was too slow), 130 interrupted."
)]
pub(crate) struct E2e {
    /// How many agents
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=500))]
    pub(crate) agents: u16,
    /// How many calls
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) calls: u32,
    /// How many calls begin a second
    #[arg(long, value_name = "N", default_value_t = 1.0, value_parser = rate)]
    pub(crate) rate: f64,
    /// How long a customer and an agent talk
    #[arg(long, value_name = "DURATION", default_value = "5s", value_parser = duration_or_seconds)]
    pub(crate) call_duration: Duration,
    /// Who calls: phones of this program, or SIPp
    #[arg(long, value_enum, value_name = "WHO", default_value = "embedded")]
    pub(crate) customers: Customers,
    /// What SIPp does: a file, or one of those that are built in (queue, long, volume, transfer, failed)
    #[arg(long, value_name = "FILE|NAME")]
    pub(crate) sipp_scenario: Option<String>,
    /// The port of the call center; 0 is any
    #[arg(long, value_name = "N", default_value_t = 5060)]
    pub(crate) port: u16,
    /// Where logs, capture, database and reports go
    #[arg(long, value_name = "DIR", default_value = "callwright-e2e")]
    pub(crate) out: PathBuf,
    /// Keep what an earlier run left there, and use DIR-2, DIR-3, … instead
    #[arg(long)]
    pub(crate) keep: bool,
    /// Break something on purpose, to see the verdict fail: wrong-password=AGENT, kill=AGENT (in its first call), give-up=N
    /// (customer N hangs up while waiting)
    #[arg(long, value_name = "WHAT=WHO")]
    pub(crate) fault: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Customers {
    Embedded,
    Sipp,
}

/// Which scenarios.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Selection")]
pub(crate) struct Selection {
    /// Only scenarios whose name contains this, whatever the case; `re:…` is a regular expression
    #[arg(long, value_name = "PATTERN", add = ArgValueCompleter::new(completion::scenarios))]
    pub(crate) scenario: Option<String>,
    /// Only scenarios with one of these tags
    #[arg(long, value_name = "TAG", value_delimiter = ',', add = ArgValueCompleter::new(completion::tags))]
    pub(crate) tag: Vec<String>,
    /// No scenarios with one of these tags
    #[arg(long, value_name = "TAG", value_delimiter = ',', add = ArgValueCompleter::new(completion::tags))]
    pub(crate) exclude_tag: Vec<String>,
    /// Part I of N of the selected scenarios, for machines that share the work
    #[arg(long, value_name = "I/N")]
    pub(crate) shard: Option<String>,
}

/// What scripts see of their surroundings.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Environment")]
pub(crate) struct Environment {
    /// A dotenv file for env(…); the last one wins
    #[arg(long, value_name = "FILE")]
    pub(crate) env_file: Vec<PathBuf>,
    /// A string constant of the scripts
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,
    /// The profile of callwright.toml whose defaults and variables hold
    #[arg(long, value_name = "NAME")]
    pub(crate) profile: Option<String>,
}

/// How it runs.
#[derive(Debug, Args)]
#[command(next_help_heading = "Flow")]
pub(crate) struct Flow {
    /// How many scenarios run at the same time [default: 1; with --simulate the number of cores]
    #[arg(long, short = 'j', value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) jobs: Option<u16>,
    /// How often a failed scenario is tried again; one that passes then is FLAKY
    #[arg(long, value_name = "N")]
    pub(crate) retries: Option<u32>,
    /// Whether a FLAKY scenario counts as passed [default: pass]
    #[arg(long, value_enum, value_name = "VERDICT")]
    pub(crate) flaky: Option<Flaky>,
    /// How long a scenario may take, as in 90s or 2m
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub(crate) timeout: Option<Duration>,
    /// How long await_until waits where a script says nothing else [default: 5s]
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub(crate) default_timeout: Option<Duration>,
    /// How packets of all agents travel where a script says nothing else, as in loss=5%,latency=20ms,jitter=40ms; the
    /// keys are those of network(…)
    #[arg(long, value_name = "CONDITIONS")]
    pub(crate) network: Option<String>,
    /// Run everything so often; with --simulate, with so many seeds from --seed on: the first that fails is reported
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) repeat: Option<u32>,
    /// Start no further scenario after a failure
    #[arg(long)]
    pub(crate) fail_fast: bool,
    /// The seed of every choice made by chance [default: another one each time]
    #[arg(long, value_name = "N")]
    pub(crate) seed: Option<u64>,
    /// Run in virtual time, on a simulated network, each scenario in a world of its own with the built-in servers of
    /// callwright.toml; the same --seed is the same run
    #[arg(long)]
    pub(crate) simulate: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Flaky {
    Pass,
    Fail,
}

/// What is reported.
#[derive(Debug, Args)]
#[command(next_help_heading = "Reports")]
pub(crate) struct Reports {
    /// One JSON event a line on standard output, and nothing else
    #[arg(long)]
    pub(crate) json: bool,
    /// A JUnit report for CI
    #[arg(long, value_name = "FILE")]
    pub(crate) junit: Option<PathBuf>,
    /// Every packet, SIP and RTP, as pcapng
    #[arg(long, value_name = "FILE")]
    pub(crate) capture: Option<PathBuf>,
    /// The SIP messages of each agent, at the end of its scenario
    #[arg(long)]
    pub(crate) logs: bool,
    /// The audio that each agent sent and heard, as WAV; never overwrites
    #[arg(long, value_name = "DIR", num_args = 0..=1, require_equals = true, default_missing_value = ".")]
    #[arg(value_parser = OsStringValueParser::new().map(directory))]
    pub(crate) save_audio: Option<PathBuf>,
    /// Failures and the result only
    #[arg(long, short, conflicts_with = "verbose")]
    pub(crate) quiet: bool,
    /// Every assertion with its value, and counters
    #[arg(long, short)]
    pub(crate) verbose: bool,
    /// Not supported yet
    #[arg(long, hide = true, value_name = "DIR")]
    pub(crate) report: Option<PathBuf>,
}

fn duration(text: &str) -> Result<Duration, String> {
    callwright_scenario::span::parse(text).map_err(|error| error.to_string())
}

/// A duration; a bare number counts seconds.
fn duration_or_seconds(text: &str) -> Result<Duration, String> {
    match text.trim().parse() {
        Ok(seconds) => Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string()),
        Err(_) => duration(text),
    }
}

/// A number of calls a second.
fn rate(text: &str) -> Result<f64, String> {
    match text.trim().parse::<f64>() {
        Ok(rate) if rate > 0.0 && rate <= 1_000.0 => Ok(rate),
        _ => Err("calls a second: above 0, and 1000 at most".to_owned()),
    }
}

/// A directory; none means the working directory.
fn directory(text: OsString) -> PathBuf {
    if text.is_empty() {
        PathBuf::from(".")
    } else {
        PathBuf::from(text)
    }
}

/// Reads the command line; ends the process where it is wrong, or where help was asked for.
pub(crate) fn parse() -> Arguments {
    let words: Vec<OsString> = std::env::args_os().collect();
    let mut command = Arguments::command();
    // What is wrong with the line is told before the line is understood.
    let mut flags = words.iter().take_while(|word| *word != "--");
    if flags.any(|word| word == "--no-color" || word == "--no-ansi") {
        command = command.color(ColorChoice::Never);
    }
    let matches = command.clone().get_matches_from(words);
    Arguments::from_arg_matches(&matches).unwrap_or_else(|error| error.format(&mut command).exit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_line_does_not_show_its_password() {
        let line = "callwright agent --username alice --server 127.0.0.1 --password open-sesame";
        let arguments = Arguments::try_parse_from(line.split(' ')).expect("it is complete");
        let Command::Agent(agent) = &arguments.command else {
            unreachable!("it is an agent")
        };
        let password = agent.password.as_ref().map(Password::reveal);
        assert_eq!(password, Some("open-sesame"));
        let shown = format!("{arguments:?}");
        assert!(
            shown.contains("alice") && !shown.contains("open-sesame"),
            "{shown}"
        );
    }
}
