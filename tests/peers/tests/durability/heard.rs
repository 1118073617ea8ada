//! What captures of phones say of their calls, as tshark reads them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use callwright_peers::Capture;

/// Seconds since 1970.
pub(crate) type Seconds = f64;

/// A call on the wire: the caller's leg, and those to agents that were made for it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Heard {
    /// It sent its INVITE.
    pub(crate) invited: Option<Seconds>,
    /// Its INVITE was answered with 200.
    pub(crate) answered: Option<Seconds>,
    /// The caller hung up.
    pub(crate) bye_sent: Option<Seconds>,
    /// Its BYE was answered with 200.
    pub(crate) bye_answered: Option<Seconds>,
    /// The other side hung up.
    pub(crate) hung_up: Option<Seconds>,
    /// Agents who were called for it, in order.
    pub(crate) offers: Vec<Offer>,
}

/// An agent's phone is called for a caller.
#[derive(Clone, Debug)]
pub(crate) struct Offer {
    pub(crate) agent: String,
    pub(crate) call_id: String,
    /// The agent's 200 was acknowledged.
    pub(crate) connected: Option<Seconds>,
}

impl Heard {
    /// The agent whom the caller talked with, since when.
    pub(crate) fn talk(&self) -> Option<(&str, Seconds)> {
        let talk = |offer: &'_ Offer| offer.connected;
        let offer = self.offers.iter().find(|offer| talk(offer).is_some())?;
        Some((&offer.agent, offer.connected?))
    }
}

/// What two captures say.
pub(crate) struct Wire {
    /// By the names that callers call by.
    pub(crate) calls: BTreeMap<String, Heard>,
    /// Whose registrations were acknowledged.
    pub(crate) registered: BTreeSet<String>,
}

const FIELDS: [&str; 7] = [
    "frame.time_epoch",
    "sip.Method",
    "sip.Status-Code",
    "sip.CSeq.method",
    "sip.Call-ID",
    "sip.from.user",
    "sip.r-uri.user",
];

/// A message, by the fields above.
struct Message([String; 7]);

impl Message {
    fn at(&self) -> Seconds {
        self.0[0].parse().expect("a time")
    }

    fn is(&self, method: &str) -> bool {
        self.0[1] == method
    }

    /// Whether it is a response of success to a request of this method.
    fn accepts(&self, method: &str) -> bool {
        self.0[2].starts_with('2') && self.0[3] == method
    }

    fn call_id(&self) -> &str {
        &self.0[4]
    }

    fn from(&self) -> &str {
        &self.0[5]
    }

    fn to_user(&self) -> &str {
        &self.0[6]
    }
}

fn messages(path: &Path) -> impl Iterator<Item = Message> {
    // Each description would be remembered: all are of one port.
    let rows = Capture::open(path).without_descriptions().fields("sip", &FIELDS);
    rows.into_iter().map(|row| {
        Message(
            row.try_into()
                .unwrap_or_else(|row| panic!("fields of a message: {row:?}")),
        )
    })
}

impl Wire {
    /// Reads the capture of the callers, and that of the agents.
    pub(crate) fn read(callers: &Path, agents: &Path) -> Wire {
        let mut wire = Wire {
            calls: BTreeMap::new(),
            registered: BTreeSet::new(),
        };
        for message in messages(callers) {
            // The caller's name is in its Call-ID, whoever says it.
            let name = message.call_id().split('@').next().unwrap_or_default().to_owned();
            let call = wire.calls.entry(name.clone()).or_default();
            let at = Some(message.at());
            if message.is("INVITE") {
                call.invited = call.invited.or(at);
            } else if message.accepts("INVITE") {
                call.answered = call.answered.or(at);
            } else if message.is("BYE") && message.from() == name {
                call.bye_sent = call.bye_sent.or(at);
            } else if message.is("BYE") {
                call.hung_up = call.hung_up.or(at);
            } else if message.accepts("BYE") && call.bye_sent.is_some() {
                call.bye_answered = call.bye_answered.or(at);
            }
        }
        for message in messages(agents) {
            if message.accepts("REGISTER") {
                wire.registered.insert(message.from().to_owned());
                continue;
            }
            let Some(call) = wire.calls.get_mut(message.from()) else {
                assert!(
                    !message.is("INVITE"),
                    "an agent is called for {:?}",
                    message.from()
                );
                continue;
            };
            let known = call
                .offers
                .iter_mut()
                .find(|offer| offer.call_id == message.call_id());
            match known {
                None if message.is("INVITE") => call.offers.push(Offer {
                    agent: message.to_user().to_owned(),
                    call_id: message.call_id().to_owned(),
                    connected: None,
                }),
                Some(offer) if message.is("ACK") => offer.connected = offer.connected.or(Some(message.at())),
                None | Some(_) => {}
            }
        }
        wire
    }
}
