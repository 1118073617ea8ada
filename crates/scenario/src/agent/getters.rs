//! What an agent says about itself. Every reading is noted, so that `await_until` wakes when it changes.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use super::Agent;
use crate::Value;
use crate::context;
use crate::phone::{
    Aspect, CallRef, CallSnapshot, CallState, MessageFilter, Messages, MessagesWaiting, Origin, Peer, Phase,
    Quality, Registration,
};

/// The other side of a call; everything is missing when there is none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PeerView {
    /// Its URI.
    pub uri: Option<String>,
    /// The user part of the URI.
    pub number: Option<String>,
    /// Its display name.
    pub name: Option<String>,
}

/// One call of an agent.
#[derive(Clone)]
pub struct Call {
    agent: Agent,
    id: CallRef,
}

impl Agent {
    /// The registration.
    pub fn registration(&self) -> Registration {
        self.reads(Aspect::Registration);
        self.phone().snapshot().registration
    }

    /// The state.
    pub fn state(&self) -> CallState {
        self.reads(Aspect::Calls);
        self.phone().snapshot().state()
    }

    /// The other side of the newest call.
    pub fn peer(&self) -> PeerView {
        self.reads(Aspect::Calls);
        self.phone()
            .snapshot()
            .current()
            .map(|call| PeerView::of(&call.peer))
            .unwrap_or_default()
    }

    /// How the last call that ended did so.
    pub fn reason(&self) -> Option<String> {
        self.reads(Aspect::Calls);
        self.phone().snapshot().reason
    }

    /// The status of the response that ended it.
    pub fn status_code(&self) -> Option<u16> {
        self.reads(Aspect::Calls);
        self.phone().snapshot().status_code
    }

    /// The URI at which it listens; none over TLS.
    pub fn contact(&self) -> Option<String> {
        Some(self.phone().snapshot().contact).filter(|contact| !contact.is_empty())
    }

    /// Digits received on the current or last call.
    pub fn received_dtmf(&self) -> String {
        self.reads(Aspect::Dtmf);
        self.reads(Aspect::Calls);
        self.phone().snapshot().received_dtmf
    }

    /// Figures of the current or last call. They change without an event.
    pub fn quality(&self) -> Quality {
        context::reads_without_event();
        self.reads(Aspect::Calls);
        self.phone().snapshot().quality
    }

    /// Message waiting.
    pub fn mwi(&self) -> Option<MessagesWaiting> {
        self.reads(Aspect::MessageWaiting);
        self.phone().snapshot().mwi
    }

    /// How many calls that ended are no longer among [`Agent::calls`].
    pub fn forgotten_calls(&self) -> usize {
        self.phone().snapshot().forgotten_calls
    }

    /// All calls, oldest first, ended ones included.
    pub fn calls(&self) -> Vec<Call> {
        self.reads(Aspect::Calls);
        let calls = self.phone().snapshot().calls;
        calls
            .iter()
            .map(|call| Call {
                agent: self.clone(),
                id: call.id,
            })
            .collect()
    }

    /// True while the tone is in the audio that arrives, on the call given or on the newest that carries any.
    pub fn hears(&self, call: Option<CallRef>, hz: f64) -> bool {
        context::reads_without_event();
        self.phone().hears(call, hz)
    }

    /// A header field of the newest INVITE received.
    pub fn header(&self, name: &str) -> Option<String> {
        self.invite_headers(None)?
            .iter()
            .find(|(field, _)| field.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.clone())
    }

    /// All header fields of the newest INVITE received; of those with one name, the last.
    pub fn headers(&self) -> BTreeMap<String, String> {
        self.invite_headers(None)
            .map(|headers| headers.iter().cloned().collect())
            .unwrap_or_default()
    }

    fn invite_headers(&self, call: Option<CallRef>) -> Option<Arc<[(String, String)]>> {
        self.reads(Aspect::Calls);
        self.phone().invite_headers(call)
    }

    /// The SIP messages that pass a filter.
    pub fn messages(&self, filter: &MessageFilter) -> Messages {
        self.reads(Aspect::Messages);
        self.phone().messages(filter)
    }

    /// Everything in short, to be printed.
    pub fn info(&self) -> Value {
        self.reads(Aspect::Registration);
        self.reads(Aspect::Calls);
        let snapshot = self.phone().snapshot();
        let peer = snapshot
            .current()
            .map_or(Value::Absent, |call| PeerView::of(&call.peer).to_value());
        let calls = i64::try_from(snapshot.live_calls()).unwrap_or(i64::MAX);
        let fields: [(&str, Value); 8] = [
            ("name", self.name().into()),
            ("aor", self.aor().into()),
            ("registered", snapshot.registration.registered.into()),
            ("state", snapshot.state().name().into()),
            ("reason", snapshot.reason.clone().into()),
            ("status_code", snapshot.status_code.map(i64::from).into()),
            ("peer", peer),
            ("calls", calls.into()),
        ];
        Value::Map(
            fields
                .into_iter()
                .map(|(key, value)| (key.to_owned(), value))
                .collect(),
        )
    }
}

impl PeerView {
    fn of(peer: &Peer) -> Self {
        PeerView {
            uri: Some(peer.uri.clone()),
            number: peer.number().map(str::to_owned),
            name: peer.name.clone(),
        }
    }

    /// As a map.
    pub fn to_value(&self) -> Value {
        let fields = [("uri", &self.uri), ("number", &self.number), ("name", &self.name)];
        Value::Map(
            fields
                .into_iter()
                .map(|(key, value)| (key.to_owned(), value.clone().into()))
                .collect(),
        )
    }
}

impl fmt::Display for PeerView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.uri.as_deref().unwrap_or("no call"))
    }
}

impl Call {
    /// Whose call.
    pub fn agent(&self) -> &Agent {
        &self.agent
    }

    /// Which call.
    pub fn id(&self) -> CallRef {
        self.id
    }

    /// The call as it is now; `None` when the phone no longer knows it.
    pub fn snapshot(&self) -> Option<CallSnapshot> {
        self.agent.reads(Aspect::Calls);
        self.agent.phone().snapshot().call(self.id).cloned()
    }

    /// How far it is; a forgotten call has ended.
    pub fn phase(&self) -> Phase {
        self.snapshot().map_or(Phase::Ended, |call| call.phase)
    }

    /// The state, as of an agent with this call alone.
    pub fn state(&self) -> CallState {
        match self.phase() {
            Phase::Ended => CallState::Idle,
            phase if phase.is_established() => CallState::Established,
            _ => CallState::Ringing,
        }
    }

    /// The other side.
    pub fn peer(&self) -> PeerView {
        self.snapshot()
            .map(|call| PeerView::of(&call.peer))
            .unwrap_or_default()
    }

    /// Digits received on it.
    pub fn received_dtmf(&self) -> String {
        self.agent.reads(Aspect::Dtmf);
        self.snapshot().map(|call| call.received_dtmf).unwrap_or_default()
    }

    /// Its figures. They change without an event.
    pub fn quality(&self) -> Quality {
        context::reads_without_event();
        self.snapshot().map(|call| call.quality).unwrap_or_default()
    }

    /// The SIP messages of its dialog that pass a filter; none before its INVITE is out, or when the phone no longer
    /// knows it.
    pub fn messages(&self, filter: &MessageFilter) -> Messages {
        let call_id = self.snapshot().map(|call| call.call_id).unwrap_or_default();
        if call_id.is_empty() {
            self.agent.reads(Aspect::Messages);
            return Messages::default();
        }
        self.agent.messages(&MessageFilter {
            call_id: Some(call_id),
            ..filter.clone()
        })
    }

    /// Everything in short, to be printed.
    pub fn info(&self) -> Value {
        let snapshot = self.snapshot();
        let of = |read: fn(&CallSnapshot) -> Value| snapshot.as_ref().map_or(Value::Absent, read);
        let origin = |call: &CallSnapshot| match call.origin {
            Origin::Incoming => "incoming".into(),
            Origin::Outgoing => "outgoing".into(),
        };
        let fields: [(&str, Value); 9] = [
            ("agent", self.agent.name().into()),
            ("origin", of(origin)),
            ("phase", self.phase().name().into()),
            ("state", self.state().name().into()),
            ("peer", of(|call| PeerView::of(&call.peer).to_value())),
            ("reason", of(|call| call.reason.clone().into())),
            ("status_code", of(|call| call.status_code.map(i64::from).into())),
            ("received_dtmf", of(|call| call.received_dtmf.clone().into())),
            ("call_id", of(|call| call.call_id.clone().into())),
        ];
        Value::Map(
            fields
                .into_iter()
                .map(|(key, value)| (key.to_owned(), value))
                .collect(),
        )
    }

    /// A header field of its INVITE, when it was received.
    pub fn header(&self, name: &str) -> Option<String> {
        self.agent
            .invite_headers(Some(self.id))?
            .iter()
            .find(|(field, _)| field.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.clone())
    }

    /// All header fields of its INVITE, when it was received.
    pub fn headers(&self) -> BTreeMap<String, String> {
        let headers = self.agent.invite_headers(Some(self.id));
        headers
            .map(|headers| headers.iter().cloned().collect())
            .unwrap_or_default()
    }
}
