//! What agents say about themselves.

use callwright_scenario::Value;
use callwright_scenario::agent::{Agent, PeerView};
use callwright_scenario::phone::{MessagesWaiting, Quality, Registration};
use rhai::{Dynamic, Map, NativeCallContext};

use crate::convert::{register as register_type, to_dynamic};
use crate::entry::{Api, Section};
use crate::here::{Here, Outcome};

pub(super) fn register(api: &mut Api) {
    api.section(Section::Getters);
    state(api);
    headers(api);
    peer(api);
    registration(api);
    quality(api);
    mwi(api);
}

/// A getter of an agent whose value labels an assertion: `Caller state`.
fn getter(api: &mut Api, signature: &str, doc: &str, read: fn(&Agent) -> Value) {
    let name = signature.split([' ', '(']).nth(1).unwrap_or_default().to_owned();
    api.add(
        signature,
        doc,
        move |context: NativeCallContext<'_>, agent: &mut Agent| -> Outcome<Dynamic> {
            let here = Here::of(&context)?;
            Ok(here.read(&format!("{} {name}", agent.name()), read(agent)))
        },
    );
}

fn state(api: &mut Api) {
    getter(
        api,
        "get registered(agent: Agent) -> bool",
        "A registration is in force now.",
        |agent| agent.registration().registered.into(),
    );
    getter(
        api,
        "get state(agent: Agent) -> State",
        "`State::Established` when any call is (held ones too), else `State::Ringing` when any exists, else \
         `State::Idle`. An outgoing call is ringing from `dial` on.",
        |agent| agent.state().into(),
    );
    getter(
        api,
        "get reason(agent: Agent) -> ?",
        "How the last call that ended did so: `\"486 Busy Here\"`, code first, or a text; `()` before.",
        |agent| agent.reason().into(),
    );
    getter(
        api,
        "get status_code(agent: Agent) -> ?",
        "The status of the response that ended the last call; `()` unless a response ended it.",
        |agent| agent.status_code().map(i64::from).into(),
    );
    getter(
        api,
        "get contact(agent: Agent) -> ?",
        "The URI at which this agent itself listens; `()` over TLS, where it has no certificate to listen with and calls \
         come on the connection to its server.",
        |agent| agent.contact().into(),
    );
    getter(
        api,
        "get received_dtmf(agent: Agent) -> string",
        "The digits received on the current or last call: telephone-events and INFO; tones in the audio where the peer \
         takes no telephone-events, or where this agent has `dtmf_mode: \"inband\"`.",
        |agent| agent.received_dtmf().into(),
    );
    api.add(
        "get name(agent: Agent) -> string",
        "The agent's name.",
        |agent: &mut Agent| agent.name().to_owned(),
    );
    api.add(
        "get aor(agent: Agent) -> string",
        "Its address-of-record.",
        |agent: &mut Agent| agent.aor().to_owned(),
    );
    api.add(
        "get metadata(agent: Agent) -> map",
        "What the scenario keeps with the agent, as it was given: agents and closures, too.",
        |context: NativeCallContext<'_>, agent: &mut Agent| -> Outcome<Dynamic> {
            let here = Here::of(&context)?;
            let kept = agent.kept().and_then(|kept| kept.downcast_ref::<Dynamic>());
            let metadata = kept.filter(|kept| !kept.is_unit()).cloned();
            let metadata = metadata.unwrap_or_else(|| Map::new().into());
            Ok(here.read_whole(&format!("{} metadata", agent.name()), metadata))
        },
    );
    api.add(
        "info(agent: Agent) -> map",
        "Everything in short: name, aor, registered, state (a string), reason, status_code, peer, calls (their number).",
        |agent: &mut Agent| to_dynamic(&agent.info()),
    );
    api.add(
        "to_json(agent: Agent) -> string",
        "The same as JSON text.",
        |agent: &mut Agent| agent.info().to_json().to_string(),
    );
}

fn headers(api: &mut Api) {
    api.add(
        "header(agent: Agent, name: string) -> ?",
        "A header of the newest INVITE received, also after its call ended; `()` when it is absent. Never of an INVITE \
         that the agent sent.",
        |context: NativeCallContext<'_>, agent: &mut Agent, name: &str| -> Outcome<Dynamic> {
            let here = Here::of(&context)?;
            Ok(here.read(&format!("{} header {name}", agent.name()), agent.header(name)))
        },
    );
    api.add(
        "headers(agent: Agent) -> map",
        "All headers of the newest INVITE received; of several with one name, the last.",
        |agent: &mut Agent| -> Map {
            agent
                .headers()
                .into_iter()
                .map(|(name, value)| (name.into(), value.into()))
                .collect()
        },
    );
}

/// A peer, and whose.
#[derive(Clone)]
pub(crate) struct Peer {
    pub(super) whose: String,
    pub(crate) view: PeerView,
}

fn peer(api: &mut Api) {
    register_type::<Peer>(&mut api.engine, "Peer");
    api.add(
        "get peer(agent: Agent) -> Peer",
        "The other side of the newest call.",
        |context: NativeCallContext<'_>, agent: &mut Agent| -> Outcome<Dynamic> {
            let here = Here::of(&context)?;
            let whose = agent.name().to_owned();
            let label = format!("{whose} peer");
            let view = agent.peer();
            Ok(here.read_whole(&label, Dynamic::from(Peer { whose, view })))
        },
    );
    let mut part = |signature: &str, doc: &str, read: fn(&PeerView) -> &Option<String>| {
        let name = signature.split([' ', '(']).nth(1).unwrap_or_default().to_owned();
        api.add(
            signature,
            doc,
            move |context: NativeCallContext<'_>, peer: &mut Peer| -> Outcome<Dynamic> {
                let here = Here::of(&context)?;
                Ok(here.read(&format!("{} peer {name}", peer.whose), read(&peer.view).clone()))
            },
        );
    };
    part("get uri(peer: Peer) -> ?", "The peer's URI, or `()`.", |peer| {
        &peer.uri
    });
    part(
        "get number(peer: Peer) -> ?",
        "The user part of the peer's URI, or `()`.",
        |peer| &peer.number,
    );
    part(
        "get name(peer: Peer) -> ?",
        "The peer's display name, or `()`.",
        |peer| &peer.name,
    );
}

/// A registration, and whose.
#[derive(Clone)]
pub(crate) struct Registered {
    whose: String,
    registration: Registration,
}

type Field<T> = (&'static str, fn(&T) -> Value);

const REGISTRATION: [Field<Registration>; 4] = [
    ("registered", |registration| registration.registered.into()),
    ("status_code", |registration| {
        registration.status_code.map(i64::from).into()
    }),
    ("reason", |registration| registration.reason.clone().into()),
    ("expires", |registration| {
        let expires = registration.expires;
        expires.and_then(|span| i64::try_from(span.as_secs()).ok()).into()
    }),
];

impl Registered {
    pub(crate) fn to_value(&self) -> Value {
        as_map(&REGISTRATION, &self.registration)
    }
}

fn as_map<T>(fields: &[Field<T>], of: &T) -> Value {
    Value::Map(
        fields
            .iter()
            .map(|(name, read)| ((*name).to_owned(), read(of)))
            .collect(),
    )
}

fn field<T>(fields: &[Field<T>], name: &str) -> fn(&T) -> Value {
    let found = fields.iter().find(|(field, _)| *field == name);
    found.map_or(|_| Value::Absent, |(_, read)| *read)
}

fn registration(api: &mut Api) {
    register_type::<Registered>(&mut api.engine, "Registration");
    api.add(
        "get registration(agent: Agent) -> Registration",
        "The registration in detail.",
        |agent: &mut Agent| Registered {
            whose: agent.name().to_owned(),
            registration: agent.registration(),
        },
    );
    let mut part = |name: &'static str, kind: &str, doc: &str| {
        let read = field(&REGISTRATION, name);
        api.add(
            &format!("get {name}(registration: Registration) -> {kind}"),
            doc,
            move |context: NativeCallContext<'_>, of: &mut Registered| -> Outcome<Dynamic> {
                let here = Here::of(&context)?;
                let label = format!("{} registration {name}", of.whose);
                Ok(here.read(&label, read(&of.registration)))
            },
        );
    };
    part(
        "status_code",
        "?",
        "The status of the last final response to REGISTER, or `()`.",
    );
    part(
        "reason",
        "?",
        "Its text, code first, or what happened instead; or `()`.",
    );
    part(
        "expires",
        "?",
        "For how many seconds the binding was granted, or `()`.",
    );
    part("registered", "bool", "A binding is in force now.");
}

/// Figures, and whose.
#[derive(Clone)]
pub(crate) struct Figures {
    pub(super) whose: String,
    pub(super) quality: Quality,
}

const FIGURES: [Field<Quality>; 7] = [
    ("mos", |quality| quality.mos.into()),
    ("rtt", |quality| quality.rtt_ms.into()),
    ("jitter", |quality| quality.jitter_ms.into()),
    ("packet_loss", |quality| quality.packet_loss_pct.into()),
    ("codec", |quality| quality.codec.clone().into()),
    ("packets_sent", |quality| {
        i64::try_from(quality.packets_sent).unwrap_or(i64::MAX).into()
    }),
    ("packets_received", |quality| {
        i64::try_from(quality.packets_received).unwrap_or(i64::MAX).into()
    }),
];

impl Figures {
    pub(crate) fn to_value(&self) -> Value {
        as_map(&FIGURES, &self.quality)
    }
}

fn quality(api: &mut Api) {
    register_type::<Figures>(&mut api.engine, "Quality");
    api.add(
        "get quality(agent: Agent) -> Quality",
        "Figures of the current or last call. A figure that was not measured is `()`.",
        |agent: &mut Agent| Figures {
            whose: agent.name().to_owned(),
            quality: agent.quality(),
        },
    );
    let mut figure = |name: &'static str, kind: &str, doc: &str| {
        let read = field(&FIGURES, name);
        api.add(
            &format!("get {name}(quality: Quality) -> {kind}"),
            doc,
            move |context: NativeCallContext<'_>, figures: &mut Figures| -> Outcome<Dynamic> {
                let here = Here::of(&context)?;
                let label = format!("{} quality {name}", figures.whose);
                let value = read(&figures.quality);
                // What was agreed on is the same however late this process was.
                Ok(if name == "codec" {
                    here.read(&label, value)
                } else {
                    here.read_of_audio(&label, value, here.scene.started())
                })
            },
        );
    };
    figure("mos", "?", "Mean opinion score, 1 to 4.5; after 1 s of RTP.");
    figure("rtt", "?", "Round trip in ms; after an RTCP round trip.");
    figure("jitter", "?", "Interarrival jitter in ms; after 1 s of RTP.");
    figure("packet_loss", "?", "Loss in percent; after 1 s of RTP.");
    figure("codec", "?", "The codec, or `()`.");
    figure("packets_sent", "int", "RTP packets sent.");
    figure("packets_received", "int", "RTP packets received.");
}

/// Message waiting, and whose.
#[derive(Clone)]
pub(crate) struct Waiting {
    whose: String,
    mwi: MessagesWaiting,
}

const MWI: [Field<MessagesWaiting>; 3] = [
    ("waiting", |mwi| mwi.waiting.into()),
    ("new", |mwi| mwi.new.map(i64::from).into()),
    ("old", |mwi| mwi.old.map(i64::from).into()),
];

impl Waiting {
    pub(crate) fn to_value(&self) -> Value {
        as_map(&MWI, &self.mwi)
    }
}

fn mwi(api: &mut Api) {
    register_type::<Waiting>(&mut api.engine, "MessagesWaiting");
    api.add(
        "get mwi(agent: Agent) -> ?",
        "Message waiting, from the last NOTIFY; `()` before one.",
        |context: NativeCallContext<'_>, agent: &mut Agent| -> Outcome<Dynamic> {
            let here = Here::of(&context)?;
            let whose = agent.name().to_owned();
            let label = format!("{whose} mwi");
            let mwi = agent.mwi();
            let value = mwi.map_or(Dynamic::UNIT, |mwi| Dynamic::from(Waiting { whose, mwi }));
            Ok(here.read_whole(&label, value))
        },
    );
    let mut part = |name: &'static str, kind: &str, doc: &str| {
        let read = field(&MWI, name);
        api.add(
            &format!("get {name}(mwi: MessagesWaiting) -> {kind}"),
            doc,
            move |context: NativeCallContext<'_>, of: &mut Waiting| -> Outcome<Dynamic> {
                let here = Here::of(&context)?;
                Ok(here.read(&format!("{} mwi {name}", of.whose), read(&of.mwi)))
            },
        );
    };
    part("waiting", "bool", "Something waits.");
    part("new", "?", "New messages; `()` when the NOTIFY gave no numbers.");
    part("old", "?", "Old messages; `()` when the NOTIFY gave no numbers.");
}
