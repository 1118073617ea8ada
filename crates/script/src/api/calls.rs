//! Single calls of an agent.

use callwright_scenario::Value;
use callwright_scenario::agent::{Agent, Call};
use rhai::{Array, Dynamic, Map, NativeCallContext};

use super::agents::about_calls;
use super::audio::listening_on;
use super::getters::{Figures, Peer};
use super::messages::about_messages;
use crate::convert::register as register_type;
use crate::entry::{Api, Section};
use crate::here::{Here, Outcome};

pub(super) fn register(api: &mut Api) {
    register_type::<Call>(&mut api.engine, "Call");
    api.section(Section::Calls);
    api.add(
        "get calls(agent: Agent) -> array",
        "All calls, oldest first, ended ones included; each has the verbs and getters of an agent, about itself. Only so \
         many that ended are kept; a note says when older ones are missing.",
        |context: NativeCallContext<'_>, agent: &mut Agent| -> Outcome<Dynamic> {
            let here = Here::of(&context)?;
            let calls: Array = agent.calls().into_iter().map(Dynamic::from).collect();
            let forgotten = agent.forgotten_calls();
            if forgotten > 0 {
                let note = format!(
                    "{}: its {forgotten} oldest calls are no longer known; only so many that ended are kept",
                    agent.name()
                );
                here.scene.note(note, &here.at);
            }
            Ok(here.read_whole(&format!("{} calls", agent.name()), calls.into()))
        },
    );
    about_calls::<Call>(api);
    listening_on::<Call>(api);
    about_messages::<Call>(api);
    api.add(
        "get phase(call: Call) -> string",
        "`\"trying\"`, `\"ringing\"`, `\"early\"`, `\"established\"`, `\"held\"` or `\"ended\"`.",
        |context: NativeCallContext<'_>, call: &mut Call| -> Outcome<Dynamic> {
            let here = Here::of(&context)?;
            Ok(here.read(
                &format!("{} call phase", call.agent().name()),
                call.phase().name(),
            ))
        },
    );
    api.add(
        "get state(call: Call) -> State",
        "Its state.",
        |context: NativeCallContext<'_>, call: &mut Call| -> Outcome<Dynamic> {
            let here = Here::of(&context)?;
            Ok(here.read(&format!("{} call state", call.agent().name()), call.state()))
        },
    );
    getter(
        api,
        "get reason(call: Call) -> ?",
        "How it ended, or `()`.",
        |call| call.snapshot().and_then(|call| call.reason).into(),
    );
    getter(
        api,
        "get status_code(call: Call) -> ?",
        "The status of the response that ended it, or `()`.",
        |call| {
            let call = call.snapshot();
            call.and_then(|call| call.status_code).map(i64::from).into()
        },
    );
    getter(
        api,
        "get received_dtmf(call: Call) -> string",
        "The digits received on it.",
        |call| call.received_dtmf().into(),
    );
    getter(
        api,
        "info(call: Call) -> map",
        "Everything in short: agent, origin (`\"incoming\"` or `\"outgoing\"`), phase, state (a string), peer, reason, \
         status_code, received_dtmf, call_id.",
        Call::info,
    );
    api.add(
        "to_json(call: Call) -> string",
        "The same as JSON text.",
        |call: &mut Call| call.info().to_json().to_string(),
    );
    whole(api);
}

/// A getter of a call whose value labels an assertion: `Caller call reason`.
fn getter(api: &mut Api, signature: &str, doc: &str, read: fn(&Call) -> Value) {
    let name = signature.trim_start_matches("get ").split('(').next();
    let name = name.unwrap_or_default().to_owned();
    api.add(
        signature,
        doc,
        move |context: NativeCallContext<'_>, call: &mut Call| -> Outcome<Dynamic> {
            let here = Here::of(&context)?;
            Ok(here.read(&format!("{} call {name}", call.agent().name()), read(call)))
        },
    );
}

fn whole(api: &mut Api) {
    api.add(
        "get peer(call: Call) -> Peer",
        "The other side.",
        |context: NativeCallContext<'_>, call: &mut Call| -> Outcome<Dynamic> {
            let here = Here::of(&context)?;
            let whose = call.agent().name().to_owned();
            let label = format!("{whose} call peer");
            let view = call.peer();
            Ok(here.read_whole(&label, Dynamic::from(Peer { whose, view })))
        },
    );
    api.add(
        "get quality(call: Call) -> Quality",
        "Its figures.",
        |call: &mut Call| Figures {
            whose: call.agent().name().to_owned(),
            quality: call.quality(),
        },
    );
    api.add(
        "header(call: Call, name: string) -> ?",
        "A header of its INVITE, when that was received.",
        |context: NativeCallContext<'_>, call: &mut Call, name: &str| -> Outcome<Dynamic> {
            let here = Here::of(&context)?;
            let label = format!("{} call header {name}", call.agent().name());
            Ok(here.read(&label, call.header(name)))
        },
    );
    api.add(
        "headers(call: Call) -> map",
        "All headers of its INVITE, when that was received.",
        |call: &mut Call| -> Map {
            call.headers()
                .into_iter()
                .map(|(name, value)| (name.into(), value.into()))
                .collect()
        },
    );
}
