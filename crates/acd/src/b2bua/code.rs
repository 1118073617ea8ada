//! Feature codes: an agent dials what it wants to be. The call is answered when that is stored, and ends with a short tone.

use callwright_sip::command::Reject;
use callwright_sip::event::IncomingCall;
use callwright_sip_message::Uri;
use callwright_wire::{Flow, Time};

use crate::agent::AgentRequest;
use crate::config::{Auth, Sound};
use crate::denial::Denial;
use crate::fact::{CallKey, EndCause};
use crate::journal::Due;
use crate::machine::Machine;
use crate::queueing::AgentKey;
use crate::registrar::UserKey;

/// The tone that says yes: a quarter of a second of 880 Hz, soft.
fn yes() -> Sound {
    let sample = |at: u32| {
        let angle = f64::from(at) * std::f64::consts::TAU * 880.0 / 8_000.0;
        (angle.sin() * 3_000.0) as i16
    };
    Sound((0..2_000).map(sample).collect::<Vec<_>>().into())
}

impl Machine {
    /// What somebody asks for who dials this.
    pub(super) fn code_at(&self, uri: &Uri) -> Option<AgentRequest> {
        if !self.is_ours(uri) {
            return None;
        }
        let dialled = uri.user_unescaped()?;
        let codes = &self.config.feature_codes;
        let is = |code: &Option<String>| code.as_deref() == Some(&*dialled);
        if is(&codes.ready) {
            return Some(AgentRequest::Ready);
        }
        if is(&codes.wrap_up_done) {
            return Some(AgentRequest::WrapUpDone);
        }
        let reason = dialled.strip_prefix(codes.not_ready.as_deref()?)?;
        Some(AgentRequest::NotReady(reason.to_owned()))
    }

    /// The agent who sends this INVITE: known by where it comes from, or proved by its password.
    pub(super) fn agent_who_dials(&mut self, now: Time, incoming: &IncomingCall) -> Result<AgentKey, Denial> {
        let from = incoming.message.from().map_err(|_| Reject::new(400))?;
        if let Some(agent) = self.agent_behind(now, &from.uri, incoming.flow) {
            return Ok(agent);
        }
        let named = self.user_at(&from.uri).and_then(|user| self.floor.agent_of(user));
        if self.config.auth == Auth::None {
            return named.ok_or(Reject::new(403).into());
        }
        let user = self.prove(now, &incoming.message)?;
        let proved = self
            .registrar
            .find(&user)
            .and_then(|user| self.floor.agent_of(user));
        proved
            .filter(|proved| named == Some(*proved))
            .ok_or(Reject::new(403).into())
    }

    /// The agent whose address this is, where the request came the way its REGISTER did: a From alone proves nothing.
    pub(super) fn agent_behind(&self, now: Time, from: &Uri, flow: Flow) -> Option<AgentKey> {
        let user = self.user_behind(now, from, flow)?;
        self.floor.agent_of(user)
    }

    /// The user whose address this is, likewise.
    pub(crate) fn user_behind(&self, now: Time, from: &Uri, flow: Flow) -> Option<UserKey> {
        let user = self.user_at(from)?;
        let own = |binding: &crate::fact::Binding| {
            let bound = binding.flow;
            let same_host = bound.remote.ip() == flow.remote.ip();
            bound.transport == flow.transport
                && same_host
                && (flow.transport.is_reliable() || bound.remote == flow.remote)
        };
        let known = self.registrar.account(user).bound(now).any(own) || self.config.auth == Auth::Everything;
        known.then_some(user)
    }

    /// Does what an agent dialled; it hears so when that is stored.
    pub(super) fn carry_out_code(
        &mut self,
        now: Time,
        key: CallKey,
        agent: AgentKey,
        request: &AgentRequest,
    ) {
        self.prepare_speech(key, yes(), EndCause::CompletedByCallee);
        let before = self.journal.told();
        self.ask_agent(now, agent, request);
        let changed = self.journal.told() > before;
        if !changed || !self.journal.redirect_last(Due::Speech(key)) {
            self.speech_is_due(now, key);
        }
    }

    /// The store has spoken about what an agent dialled.
    pub(crate) fn on_speech_stored(&mut self, now: Time, key: CallKey, stored: bool) {
        if stored {
            self.speech_is_due(now, key);
        } else {
            let reject = self.unavailable();
            self.fail_call(now, key, reject);
        }
    }
}
