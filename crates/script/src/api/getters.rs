//! What agents say about themselves.

use callwright_scenario::Value;
use callwright_scenario::agent::{Agent, PeerView};
use callwright_scenario::phone::{MessagesWaiting, Quality, Registration};
use rhai::{Dynamic, Map, NativeCallContext};

use crate::convert::{optional, to_dynamic};
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
        "The digits received on the current or last call.",
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
        "What the scenario keeps with the agent.",
        |agent: &mut Agent| to_dynamic(agent.metadata()),
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
pub(super) struct Peer {
    pub(super) whose: String,
    pub(super) view: PeerView,
}

fn peer(api: &mut Api) {
    api.engine.register_type_with_name::<Peer>("Peer");
    api.engine.register_fn("to_string", |peer: &mut Peer| {
        peer.view.uri.clone().unwrap_or_default()
    });
    api.engine
        .register_fn("to_debug", |peer: &mut Peer| peer.view.to_string());
    api.add(
        "get peer(agent: Agent) -> Peer",
        "The other side of the newest call.",
        |agent: &mut Agent| Peer {
            whose: agent.name().to_owned(),
            view: agent.peer(),
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

fn registration(api: &mut Api) {
    api.engine.register_type_with_name::<Registration>("Registration");
    api.add(
        "get registration(agent: Agent) -> Registration",
        "The registration in detail.",
        |agent: &mut Agent| agent.registration(),
    );
    api.add(
        "get status_code(registration: Registration) -> ?",
        "The status of the last final response to REGISTER, or `()`.",
        |registration: &mut Registration| optional(registration.status_code.map(i64::from)),
    );
    api.add(
        "get reason(registration: Registration) -> ?",
        "Its text, code first, or what happened instead; or `()`.",
        |registration: &mut Registration| optional(registration.reason.clone()),
    );
    api.add(
        "get expires(registration: Registration) -> ?",
        "For how many seconds the binding was granted, or `()`.",
        |registration: &mut Registration| {
            optional(
                registration
                    .expires
                    .and_then(|span| i64::try_from(span.as_secs()).ok()),
            )
        },
    );
    api.add(
        "get registered(registration: Registration) -> bool",
        "A binding is in force now.",
        |registration: &mut Registration| registration.registered,
    );
}

/// Figures, and whose.
#[derive(Clone)]
pub(super) struct Figures {
    pub(super) whose: String,
    pub(super) quality: Quality,
}

fn quality(api: &mut Api) {
    api.engine.register_type_with_name::<Figures>("Quality");
    api.add(
        "get quality(agent: Agent) -> Quality",
        "Figures of the current or last call. A figure that was not measured is `()`.",
        |agent: &mut Agent| Figures {
            whose: agent.name().to_owned(),
            quality: agent.quality(),
        },
    );
    let mut figure = |signature: &str, doc: &str, read: fn(&Quality) -> Value| {
        let name = signature.split([' ', '(']).nth(1).unwrap_or_default().to_owned();
        api.add(
            signature,
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
    figure(
        "get mos(quality: Quality) -> ?",
        "Mean opinion score, 1 to 4.5; after 1 s of RTP.",
        |quality| quality.mos.into(),
    );
    figure(
        "get rtt(quality: Quality) -> ?",
        "Round trip in ms; after an RTCP round trip.",
        |quality| quality.rtt_ms.into(),
    );
    figure(
        "get jitter(quality: Quality) -> ?",
        "Interarrival jitter in ms; after 1 s of RTP.",
        |quality| quality.jitter_ms.into(),
    );
    figure(
        "get packet_loss(quality: Quality) -> ?",
        "Loss in percent; after 1 s of RTP.",
        |quality| quality.packet_loss_pct.into(),
    );
    figure(
        "get codec(quality: Quality) -> ?",
        "The codec, or `()`.",
        |quality| quality.codec.clone().into(),
    );
    figure(
        "get packets_sent(quality: Quality) -> int",
        "RTP packets sent.",
        |quality| i64::try_from(quality.packets_sent).unwrap_or(i64::MAX).into(),
    );
    figure(
        "get packets_received(quality: Quality) -> int",
        "RTP packets received.",
        |quality| i64::try_from(quality.packets_received).unwrap_or(i64::MAX).into(),
    );
}

fn mwi(api: &mut Api) {
    api.engine
        .register_type_with_name::<MessagesWaiting>("MessagesWaiting");
    api.add(
        "get mwi(agent: Agent) -> ?",
        "Message waiting, from the last NOTIFY; `()` before one.",
        |agent: &mut Agent| agent.mwi().map_or(Dynamic::UNIT, Dynamic::from),
    );
    api.add(
        "get waiting(mwi: MessagesWaiting) -> bool",
        "Something waits.",
        |mwi: &mut MessagesWaiting| mwi.waiting,
    );
    api.add(
        "get new(mwi: MessagesWaiting) -> ?",
        "New messages; `()` when the NOTIFY gave no numbers.",
        |mwi: &mut MessagesWaiting| optional(mwi.new.map(i64::from)),
    );
    api.add(
        "get old(mwi: MessagesWaiting) -> ?",
        "Old messages; `()` when the NOTIFY gave no numbers.",
        |mwi: &mut MessagesWaiting| optional(mwi.old.map(i64::from)),
    );
}
