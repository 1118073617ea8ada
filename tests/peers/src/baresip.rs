//! baresip, a user agent that others wrote: it sends a tone, and plays what it hears to nobody.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::json;

use crate::daemon::Daemon;
use crate::evidence::Evidence;
use crate::peer::program;
use crate::ports::Port;

const ATTEMPTS: usize = 3;
const PROBES: usize = 500;
const PROBE_PAUSE: Duration = Duration::from_millis(20);

/// A running baresip with one account, stopped when dropped.
#[derive(Debug)]
pub struct Baresip {
    daemon: Daemon,
    _sip: [Port; 2],
    control: Port,
    evidence: Evidence,
}

impl Baresip {
    /// Starts it and waits until it has registered `user` at `registrar`. It answers calls by itself, and sends a tone of `hz`.
    pub fn registered(user: &str, password: &str, registrar: SocketAddr, transport: &str, hz: u32) -> Self {
        for _ in 1..ATTEMPTS {
            if let Ok(baresip) = Self::try_start(user, password, registrar, transport, hz) {
                return baresip;
            }
        }
        Self::try_start(user, password, registrar, transport, hz)
            .unwrap_or_else(|log| panic!("baresip does not register:\n{log}"))
    }

    /// Calls somebody.
    pub fn dial(&self, target: &str) {
        self.control("dial", target);
    }

    /// Ends its call.
    pub fn hang_up(&self) {
        self.control("hangup", "");
    }

    /// Unregisters and ends.
    pub fn stop(&mut self) {
        self.daemon.stop();
    }

    /// What it wrote.
    pub fn log(&self) -> String {
        self.evidence.read("baresip.log")
    }

    /// Whether it has written `text` within a second.
    pub fn says(&mut self, text: &str) -> bool {
        self.comes_to(text, 50)
    }

    fn comes_to(&mut self, text: &str, probes: usize) -> bool {
        for _ in 0..probes {
            if self.log().contains(text) {
                return true;
            }
            if self.daemon.wait(PROBE_PAUSE).is_some() {
                return false;
            }
        }
        false
    }

    /// A command as JSON in a netstring, as its module `ctrl_tcp` takes it.
    fn control(&self, command: &str, parameters: &str) {
        let mut stream = TcpStream::connect(self.control.address()).expect("it can be controlled");
        let text = json!({"command": command, "params": parameters}).to_string();
        let limit = Some(Duration::from_secs(10));
        stream.set_read_timeout(limit).expect("a limit for the answer");
        stream
            .write_all(format!("{}:{text},", text.len()).as_bytes())
            .expect("it takes a command");
        let mut answer = [0; 4_096];
        let _length = stream.read(&mut answer).expect("it answers a command");
    }

    fn try_start(
        user: &str,
        password: &str,
        registrar: SocketAddr,
        transport: &str,
        hz: u32,
    ) -> Result<Self, String> {
        let evidence = Evidence::new("baresip");
        // It takes the port above that for SIP, too, for TLS.
        let (sip, tls, control) = (Port::lease(), Port::lease(), Port::lease());
        let modules = modules().ok_or("no modules of baresip")?;
        let config = format!(
            "poll_method epoll\n\
             sip_listen {}\n\
             net_interface 127.0.0.1\n\
             audio_source ausine,{hz}\n\
             audio_player aubridge,nowhere\n\
             audio_alert aubridge,nowhere\n\
             ausrc_srate 48000\n\
             ausrc_channels 2\n\
             audio_txmode thread\n\
             module_path {}\n\
             module g711.so\n\
             module ausine.so\n\
             module aubridge.so\n\
             module_tmp uuid.so\n\
             module_tmp account.so\n\
             module_app menu.so\n\
             module_app ctrl_tcp.so\n\
             ctrl_tcp_listen {}\n",
            sip.address(),
            modules.display(),
            control.address(),
        );
        std::fs::write(evidence.file("config"), config).expect("its configuration");
        let account = format!(
            "<sip:{user}@{registrar};transport={transport}>;auth_user={user};auth_pass={password};\
             regint=300;answermode=auto;audio_codecs=pcmu/8000/1\n"
        );
        std::fs::write(evidence.file("accounts"), account).expect("its account");
        std::fs::write(evidence.file("contacts"), "").expect("its contacts");
        let mut command = Command::new(program("baresip").expect("require!(Baresip) comes first"));
        command.arg("-f").arg(evidence.path());
        let daemon = Daemon::spawn(&mut command, &evidence.file("baresip.log"), Signal::TERM);
        let mut baresip = Baresip {
            daemon,
            _sip: [sip, tls],
            control,
            evidence,
        };
        if baresip.comes_to("200 OK", PROBES) {
            Ok(baresip)
        } else {
            Err(baresip.evidence.ends_of_logs())
        }
    }
}

fn modules() -> Option<std::path::PathBuf> {
    let folder = Path::new("/usr/lib/baresip/modules");
    folder.is_dir().then(|| folder.to_owned())
}
