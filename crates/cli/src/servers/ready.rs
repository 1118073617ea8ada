//! Whether a server is ready: an answered OPTIONS, or an answer of HTTP.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use callwright_scenario::http;
use callwright_scenario::phone::{Aspect, PhoneSpec, RequestId, Verb};
use callwright_scenario::{Interrupt, Phone, World, span};
use callwright_wire::{Time, Transport};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

use super::ServersError;
use super::entry::Server;
use super::process::Process;

/// How often is asked, and looked whether the server is still there.
const AGAIN: Duration = Duration::from_millis(100);
/// After so long without an answer another OPTIONS is sent: its own retransmissions come ever more rarely.
const ANOTHER: Duration = Duration::from_secs(1);
/// After so long a person is told what is waited for.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long an answer of HTTP may take.
const ANSWER: Duration = Duration::from_secs(2);

/// What answers when a server is ready.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ready {
    /// OPTIONS, whatever the answer.
    Sip {
        /// Host and maybe port.
        host: String,
        transport: Transport,
        /// As it is written.
        text: String,
    },
    /// GET; an answer of 404 or 5xx is none.
    Http { url: String },
}

impl fmt::Display for Ready {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Ready::Sip { text, .. } => f.write_str(text),
            Ready::Http { url } => f.write_str(url),
        }
    }
}

impl<'de> Deserialize<'de> for Ready {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        Ready::read(&text).ok_or_else(|| {
            D::Error::custom(format!(
                "{text:?} is neither like \"sip:127.0.0.1:5060;transport=tcp\" nor a URL of HTTP"
            ))
        })
    }
}

impl Ready {
    fn read(text: &str) -> Option<Ready> {
        if text.starts_with("http://") || text.starts_with("https://") {
            return Some(Ready::Http { url: text.to_owned() });
        }
        let (secure, rest) = match (text.strip_prefix("sip:"), text.strip_prefix("sips:")) {
            (Some(rest), _) => (false, rest),
            (None, rest) => (true, rest?),
        };
        let mut parts = rest.split(';');
        let host = parts.next().filter(|host| !host.is_empty())?;
        // A user part is nobody's here: it is the server that answers.
        let host = host.rsplit_once('@').map_or(host, |(_, host)| host).to_owned();
        let mut transport = if secure { Transport::Tls } else { Transport::Udp };
        for parameter in parts {
            transport = Transport::from_token(parameter.strip_prefix("transport=")?)?;
        }
        Some(Ready::Sip {
            host,
            transport,
            text: text.to_owned(),
        })
    }
}

/// Waits until a server is ready.
///
/// # Errors
///
/// When it is not in time, ends before, or the run is interrupted.
pub(super) fn wait(
    world: &dyn World,
    server: &Server,
    mut process: Option<&mut Process>,
    interrupt: &Interrupt,
) -> Result<(), ServersError> {
    let Some(ready) = &server.ready else {
        return Ok(());
    };
    let begun = world.now();
    let mut told = false;
    let mut probe = Probe::new(ready);
    loop {
        let looked = probe.look(world);
        // Before the answer counts: it may be that of an earlier server, for whose sake this one ended.
        if let Some(ended) = process
            .as_mut()
            .and_then(|process| process.ended("before it was ready"))
        {
            return Err(ended);
        }
        let problem = match looked {
            Ok(()) => return Ok(()),
            Err(problem) => problem,
        };
        if interrupt.is_raised() {
            return Err(ServersError::Interrupted {
                name: server.name.clone(),
            });
        }
        let passed = world.now().since(begun);
        if passed >= server.timeout {
            return Err(ServersError::NotReady {
                name: server.name.clone(),
                within: span::text(server.timeout),
                detail: format!("{ready} {problem}"),
                log: process.map(|process| process.log_end()).unwrap_or_default(),
            });
        }
        if passed >= PATIENCE && !told {
            told = true;
            anstream::eprintln!("waiting for the server {}: {ready} {problem}", server.name);
        }
        let pause = AGAIN.min(server.timeout.saturating_sub(passed));
        world.wait(&probe.topics(world), world.now() + pause);
    }
}

/// Asks, again and again.
enum Probe<'a> {
    Sip(SipProbe<'a>),
    Http { url: &'a str },
}

struct SipProbe<'a> {
    host: &'a str,
    transport: Transport,
    phone: Option<Arc<dyn Phone>>,
    asked: Vec<RequestId>,
    last: Time,
}

impl Probe<'_> {
    fn new(ready: &Ready) -> Probe<'_> {
        match ready {
            Ready::Sip { host, transport, .. } => Probe::Sip(SipProbe {
                host,
                transport: *transport,
                phone: None,
                asked: Vec::new(),
                last: Time::ZERO,
            }),
            Ready::Http { url } => Probe::Http { url },
        }
    }

    /// What is not right yet.
    fn look(&mut self, world: &dyn World) -> Result<(), String> {
        match self {
            Probe::Sip(probe) => probe.look(world),
            Probe::Http { url } => ask_http(world, url),
        }
    }

    fn topics(
        &self,
        world: &dyn World,
    ) -> Vec<(
        callwright_scenario::world::Topic,
        callwright_scenario::world::Version,
    )> {
        let Probe::Sip(SipProbe {
            phone: Some(phone), ..
        }) = self
        else {
            return Vec::new();
        };
        let topic = phone.topic(Aspect::Messages);
        vec![(topic, world.version(topic))]
    }
}

impl SipProbe<'_> {
    fn look(&mut self, world: &dyn World) -> Result<(), String> {
        let phone = match &self.phone {
            Some(phone) => phone,
            None => {
                let spec = PhoneSpec {
                    transport: self.transport,
                    ..PhoneSpec::new("readiness", "readiness", self.host)
                };
                // The domain may be a name that only the server makes known.
                let phone = world
                    .phone(spec)
                    .map_err(|error| format!("cannot be asked: {error}"))?;
                self.phone.insert(phone)
            }
        };
        let mut failed = None;
        let mut open = false;
        for request in &self.asked {
            let state = phone.request(*request);
            match (state.response, state.status) {
                (Some(_), _) => return Ok(()),
                (None, Some(status)) => failed = Some(status),
                (None, None) => open = true,
            }
        }
        if !open || world.now().since(self.last) >= ANOTHER {
            self.last = world.now();
            let options = Verb::Send {
                method: "OPTIONS".into(),
                headers: Vec::new(),
                body: String::new(),
                content_type: None,
            };
            let sent = phone
                .perform(None, options, None)
                .map_err(|error| format!("cannot be asked: {error}"))?;
            self.asked.extend(sent.request);
        }
        Err(match failed {
            Some(503) => "cannot be reached".to_owned(),
            Some(_) | None => "does not answer OPTIONS".to_owned(),
        })
    }
}

impl Drop for SipProbe<'_> {
    fn drop(&mut self) {
        if let Some(phone) = &self.phone {
            phone.close();
        }
    }
}

fn ask_http(world: &dyn World, url: &str) -> Result<(), String> {
    let request = http::Request {
        method: "GET".into(),
        url: url.to_owned(),
        headers: Vec::new(),
        body: Default::default(),
        timeout: ANSWER,
        verify: true,
    };
    match world.http(&request, &[]) {
        Ok(response) if response.status == 404 || response.status >= 500 => {
            Err(format!("answers {}", response.status))
        }
        Ok(_) => Ok(()),
        Err(error) => Err(format!("does not answer: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_asked_by_sip_over_each_transport_or_by_http() {
        let sip = |text| match Ready::read(text) {
            Some(Ready::Sip { host, transport, .. }) => Some((host, transport)),
            Some(Ready::Http { .. }) | None => None,
        };
        let at = |host: &str, transport| Some((host.to_owned(), transport));
        assert_eq!(sip("sip:127.0.0.1:5060"), at("127.0.0.1:5060", Transport::Udp));
        assert_eq!(sip("sip:[::1];transport=TCP"), at("[::1]", Transport::Tcp));
        assert_eq!(
            sip("sip:x@pbx.test;transport=tls"),
            at("pbx.test", Transport::Tls)
        );
        assert_eq!(sip("sips:pbx.test"), at("pbx.test", Transport::Tls));
        for wrong in [
            "",
            "sip:",
            "127.0.0.1:5060",
            "sip:a;transport=ws",
            "sip:a;lr",
            "ftp://x",
        ] {
            assert_eq!(Ready::read(wrong), None, "{wrong}");
        }
        assert!(matches!(
            Ready::read("http://127.0.0.1:8080/healthz"),
            Some(Ready::Http { .. })
        ));
    }
}
