//! Feature codes: an agent dials what it wants to be. The call is answered when that is stored, and ends with a short tone.

use callwright_sip::command::Reject;
use callwright_sip_message::{Message, Uri};
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

    /// The agent who dials, and the user that it is: `sender`, where that is known, or else proved by its password.
    pub(super) fn agent_who_dials(
        &mut self,
        now: Time,
        message: &Message,
        flow: Flow,
        from: &Uri,
        sender: Option<UserKey>,
    ) -> Result<(UserKey, AgentKey), Denial> {
        let named = self.user_at(from);
        let user = match (sender, self.config.auth) {
            (Some(sender), _) => Some(sender),
            (None, Auth::None) => named,
            (None, Auth::Registrations | Auth::Everything) => {
                let proved = self.prove(now, message, flow)?;
                self.registrar.find(&proved).filter(|user| named == Some(*user))
            }
        };
        let agent = user.and_then(|user| Some((user, self.floor.agent_of(user)?)));
        agent.ok_or(Reject::new(403).into())
    }

    /// The user whose address this is, where the request came the way its REGISTER did: a From alone proves nothing.
    pub(crate) fn user_behind(&self, now: Time, from: &Uri, flow: Flow) -> Option<UserKey> {
        let user = self.user_at(from)?;
        let own = |binding: &crate::fact::Binding| {
            let bound = binding.flow;
            let same_host = bound.remote.ip() == flow.remote.ip();
            bound.transport == flow.transport
                && same_host
                && (flow.transport.is_reliable() || bound.remote == flow.remote)
        };
        let known = self.registrar.account(user).bound(now).any(own);
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
        if !self.ask_agent(now, agent, request) {
            let reject = self.unavailable();
            return self.fail_call(now, key, reject);
        }
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
