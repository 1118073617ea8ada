//! Customers that are SIPp: its scenarios, and the process.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::net::{SocketAddr, UdpSocket};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use callwright_media::codec::Codec;
use callwright_media::tone::Tones;

use crate::folder::Folder;
use crate::plan::{CUSTOMER_HZ, Plan, QUEUE};

/// The level of the customers' tone, in dBm0: that of phones of this program.
const LEVEL_DBM0: f64 = -10.0;

/// What SIPp does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scenario {
    /// One that is built in.
    BuiltIn(BuiltIn),
    /// The user's own.
    File(PathBuf),
}

/// The scenarios that are built in; they are templates for users' own, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BuiltIn {
    /// Calls the queue, says a tone, and waits for the BYE of whoever took the call; hangs up itself when none comes.
    Queue,
    /// The same, and hangs up itself after the time of a long call.
    Long,
    /// Calls without audio, one after the other as fast as it is told, and hangs up itself.
    Volume,
    /// Transfers whoever took the call to the last agent, and ends its own leg.
    Transfer,
    /// Calls somebody who is not there, and expects 404, or 480 where strangers are not told who is there.
    Failed,
}

impl BuiltIn {
    /// All of them.
    pub const ALL: [BuiltIn; 5] = [
        BuiltIn::Queue,
        BuiltIn::Long,
        BuiltIn::Volume,
        BuiltIn::Transfer,
        BuiltIn::Failed,
    ];

    /// What it is called on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            BuiltIn::Queue => "queue",
            BuiltIn::Long => "long",
            BuiltIn::Volume => "volume",
            BuiltIn::Transfer => "transfer",
            BuiltIn::Failed => "failed",
        }
    }

    /// Its XML. `{limit_ms}` is how long it waits for others, `{talk_ms}` how long it talks, `{tone}` the file of
    /// what it says, `{transfer_to}` whom it transfers to.
    pub const fn xml(self) -> &'static str {
        match self {
            BuiltIn::Queue => include_str!("scenarios/queue.xml"),
            BuiltIn::Long => include_str!("scenarios/long.xml"),
            BuiltIn::Volume => include_str!("scenarios/volume.xml"),
            BuiltIn::Transfer => include_str!("scenarios/transfer.xml"),
            BuiltIn::Failed => include_str!("scenarios/failed.xml"),
        }
    }
}

impl Scenario {
    /// The one that is called so: a name of a built-in one, else a file.
    pub fn of(text: &str) -> Scenario {
        match BuiltIn::ALL.iter().find(|scenario| scenario.name() == text) {
            Some(scenario) => Scenario::BuiltIn(*scenario),
            None => Scenario::File(text.into()),
        }
    }
}

/// Why SIPp does not run.
#[derive(Debug, thiserror::Error)]
pub enum SippError {
    /// It is not installed.
    #[error(
        "SIPp is not installed: install the package sip-tester (Debian, Ubuntu) or sipp (Fedora), or leave --customers out for \
         those that are built in"
    )]
    Missing,
    /// A scenario.
    #[error(
        "cannot read the scenario {path}: {error}; built in are queue, long, volume, transfer and failed"
    )]
    Scenario {
        /// Its file.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// The system.
    #[error("cannot start SIPp: {0}")]
    Start(#[from] io::Error),
}

/// SIPp at work; killed when dropped.
pub(crate) struct Sipp {
    child: Child,
    log: PathBuf,
    errors: PathBuf,
}

impl Sipp {
    /// Starts it towards the call center.
    pub(crate) fn start(
        plan: &Plan,
        scenario: &Scenario,
        server: SocketAddr,
        folder: &Folder,
    ) -> Result<Sipp, SippError> {
        let tone = folder.file("tone.ulaw");
        let file = match scenario {
            Scenario::File(path) => {
                let read = File::open(path);
                read.map_err(|error| SippError::Scenario {
                    path: path.clone(),
                    error,
                })?;
                path.clone()
            }
            Scenario::BuiltIn(scenario) => {
                let millis = |span: Duration| span.as_millis().max(1).to_string();
                let xml = scenario
                    .xml()
                    .replace("{limit_ms}", &millis(plan.limit()))
                    .replace("{talk_ms}", &millis(plan.call_duration))
                    .replace("{transfer_to}", &plan.agent_names().pop().unwrap_or_default())
                    .replace("{tone}", &tone.display().to_string());
                let path = folder.file("sipp.xml");
                fs::write(&path, xml)?;
                path
            }
        };
        fs::write(&tone, tone_file())?;
        let log = folder.log("sipp");
        let out = File::create(&log)?;
        let errors = folder.log("sipp-errors");
        let child = Command::new("sipp")
            .arg(server.to_string())
            .arg("-sf")
            .arg(&file)
            .args([
                "-s",
                QUEUE,
                "-i",
                &server.ip().to_string(),
                "-mi",
                &server.ip().to_string(),
            ])
            .args([
                "-m",
                &plan.calls.to_string(),
                "-nostdin",
                "-trace_err",
                "-error_file",
            ])
            .arg(&errors)
            // So many calls in that many milliseconds.
            .args(["-r", &rate(plan.rate), "-rp", "1000000"])
            .args(["-mp", &free_ports(server)?.to_string()])
            .args([
                "-timeout",
                &format!("{}s", plan.limit().as_secs().max(1)),
                "-timeout_error",
            ])
            .stdin(Stdio::null())
            .stdout(out.try_clone()?)
            .stderr(out)
            .spawn()
            .map_err(|error| match error.kind() {
                io::ErrorKind::NotFound => SippError::Missing,
                _ => SippError::Start(error),
            })?;
        Ok(Sipp { child, log, errors })
    }

    /// How it ended; `None` while it has not.
    pub(crate) fn ended(&mut self) -> io::Result<Option<ExitStatus>> {
        self.child.try_wait()
    }
}

impl Drop for Sipp {
    fn drop(&mut self) {
        // It has ended already, mostly.
        let _gone = self.child.kill();
        let _gone = self.child.wait();
        // What it says of errors is read with the rest.
        if let (Ok(errors), Ok(mut log)) = (
            fs::read(&self.errors),
            OpenOptions::new().append(true).open(&self.log),
        ) {
            let _full = log.write_all(&errors);
        }
        let _absent = fs::remove_file(&self.errors);
    }
}

/// Why SIPp ended as it did.
pub(crate) fn explained(status: ExitStatus) -> String {
    match status.code() {
        Some(0) => "every call followed its scenario".to_owned(),
        Some(1) => "a call did not follow its scenario".to_owned(),
        Some(97) => "it was stopped from within its scenario, or its time was over".to_owned(),
        Some(99) => "it made no call".to_owned(),
        Some(254) => "it could not open its sockets".to_owned(),
        Some(code) => format!("it failed (exit code {code}; its log says why)"),
        None => "it was killed".to_owned(),
    }
}

/// Calls in a thousand seconds, which SIPp spreads evenly.
fn rate(rate: f64) -> String {
    format!("{:.0}", (rate * 1_000.0).max(1.0))
}

/// An even port that is free now, with the one above it.
fn free_ports(near: SocketAddr) -> io::Result<u16> {
    for _ in 0..100 {
        let port = UdpSocket::bind((near.ip(), 0))?.local_addr()?.port() & !1;
        let free = |port: u16| UdpSocket::bind((near.ip(), port)).is_ok();
        if port > 1_024 && port < u16::MAX - 2 && free(port) && free(port + 1) && free(port + 2) {
            return Ok(port);
        }
    }
    Err(io::Error::other("there are no free ports for RTP"))
}

/// A second of the customers' tone, in G.711 µ-law as it goes on the wire; played over and over.
fn tone_file() -> Vec<u8> {
    let mut samples = [0; 8_000];
    if let Ok(mut tone) = Tones::single(CUSTOMER_HZ, LEVEL_DBM0) {
        tone.fill(&mut samples);
    }
    let mut bytes = vec![0; samples.len()];
    let length = Codec::Pcmu.encode(&samples, &mut bytes);
    bytes.truncate(length);
    bytes
}

/// Whether SIPp is there.
pub(crate) fn is_installed() -> bool {
    Command::new("sipp")
        .arg("-v")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok()
}
