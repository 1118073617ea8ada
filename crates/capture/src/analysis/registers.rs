//! Registrations while the capture is read.

use std::collections::BTreeMap;

use callwright_sip_message::header::Expires;
use callwright_sip_message::{HeaderName, Method, SmolStr};

use super::config::AnalysisConfig;
use super::registration::{Registration, RegistrationAttempt};
use super::said::Said;
use super::summary::Dropped;

/// Every registration.
#[derive(Debug, Default)]
pub(crate) struct Registers {
    pub(crate) all: Vec<Registration>,
    open: BTreeMap<SmolStr, State>,
}

#[derive(Debug)]
struct State {
    place: usize,
    /// The last attempt has no final response yet, or a challenge that is to be answered.
    is_open: bool,
    /// The number of its last REGISTER, and whether that had credentials.
    number: u32,
    credentials: bool,
}

impl Registers {
    /// Takes a message that is REGISTER or a response to one.
    pub(crate) fn hear(&mut self, said: &Said<'_>, config: &AnalysisConfig, dropped: &mut Dropped) {
        if said.heard.method != Method::Register {
            return;
        }
        match said.heard.status {
            None => self.request(said, config, dropped),
            Some(status) => self.response(said, status),
        }
    }

    fn request(&mut self, said: &Said<'_>, config: &AnalysisConfig, dropped: &mut Dropped) {
        // Beyond a proxy it is the same one again.
        if said.heard.vias != 1 && self.open.contains_key(&said.heard.call_id) {
            return;
        }
        if !self.open.contains_key(&said.heard.call_id) {
            if self.all.len() >= config.max_registrations {
                dropped.registrations += 1;
                return;
            }
            self.open.insert(
                said.heard.call_id.clone(),
                State {
                    place: self.all.len(),
                    is_open: false,
                    number: 0,
                    credentials: false,
                },
            );
            self.all.push(Registration {
                aor: said.uri(HeaderName::To),
                call_id: said.heard.call_id.to_string(),
                client: said.source(),
                server: said.destination(),
                started: said.at(),
                attempts: Vec::new(),
                attempts_dropped: 0,
            });
        }
        let Some(state) = self.open.get_mut(&said.heard.call_id) else {
            return;
        };
        let registration = &mut self.all[state.place];
        let number = said.heard.cseq.number;
        if number == state.number && !registration.attempts.is_empty() {
            return;
        }
        let challenged = registration.attempts.last().is_some_and(|last| last.challenged);
        let goes_on = state.is_open && challenged;
        state.number = number;
        state.credentials = said.message().has_header(HeaderName::Authorization)
            || said.message().has_header(HeaderName::ProxyAuthorization);
        if goes_on {
            return;
        }
        if registration.attempts.len() >= config.max_attempts {
            registration.attempts_dropped += 1;
            state.is_open = false;
            return;
        }
        state.is_open = true;
        registration.attempts.push(RegistrationAttempt {
            at: said.at(),
            packet: said.packet,
            status: None,
            reason: None,
            answer_packet: None,
            challenged: false,
            unregisters: asks_for(said) == Some(0),
            expires_s: None,
            registration_request_delay_ms: None,
        });
    }

    fn response(&mut self, said: &Said<'_>, status: u16) {
        if status < 200 || said.heard.vias != 1 {
            return;
        }
        let Some(state) = self.open.get_mut(&said.heard.call_id) else {
            return;
        };
        if !state.is_open || said.heard.cseq.number != state.number {
            return;
        }
        let Some(attempt) = self.all[state.place].attempts.last_mut() else {
            return;
        };
        let refused = |stale: bool| state.credentials && attempt.challenged && !stale;
        if matches!(status, 401 | 407) {
            let stale = is_stale(said);
            let is_final = refused(stale);
            attempt.challenged = true;
            if !is_final {
                // What comes next is the REGISTER with credentials, or nothing.
                attempt.status = Some(status);
                attempt.reason = said.reason();
                attempt.answer_packet = Some(said.packet);
                return;
            }
        }
        state.is_open = false;
        attempt.status = Some(status);
        attempt.reason = said.reason();
        attempt.answer_packet = Some(said.packet);
        attempt.registration_request_delay_ms = Some((said.at() - attempt.at).as_secs_f64() * 1_000.0);
        if status < 300 {
            attempt.expires_s = asks_for(said);
        }
    }
}

/// What Contact or Expires says: RFC 3261 §10.2.1.1.
fn asks_for(said: &Said<'_>) -> Option<u32> {
    let contact = said.message().contact();
    let of_contact = contact.and_then(|contact| contact.params.value("expires")?.parse().ok());
    of_contact.or_else(|| {
        let expires = said.message().typed::<Expires>().ok().flatten();
        expires.map(|expires| expires.0)
    })
}

fn is_stale(said: &Said<'_>) -> bool {
    [HeaderName::WwwAuthenticate, HeaderName::ProxyAuthenticate]
        .into_iter()
        .flat_map(|name| said.message().headers(name))
        .any(|value| {
            let value: String = value.to_ascii_lowercase().split_whitespace().collect();
            value.contains("stale=true") || value.contains("stale=\"true\"")
        })
}
