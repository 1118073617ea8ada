//! Single calls of an agent.

use callwright_scenario::agent::{Agent, Call};
use rhai::{Array, Dynamic, Map, NativeCallContext};

use super::agents::about_calls;
use super::getters::{Figures, Peer};
use crate::convert::optional;
use crate::entry::{Api, Section};
use crate::here::{Here, Outcome};

pub(super) fn register(api: &mut Api) {
    api.engine.register_type_with_name::<Call>("Call");
    api.section(Section::Calls);
    api.add(
        "get calls(agent: Agent) -> array",
        "All calls, oldest first, ended ones included; each has the verbs and getters of an agent, about itself.",
        |agent: &mut Agent| -> Array { agent.calls().into_iter().map(Dynamic::from).collect() },
    );
    about_calls::<Call>(api);
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
    api.add(
        "get peer(call: Call) -> Peer",
        "The other side.",
        |call: &mut Call| Peer {
            whose: call.agent().name().to_owned(),
            view: call.peer(),
        },
    );
    api.add(
        "get reason(call: Call) -> ?",
        "How it ended, or `()`.",
        |call: &mut Call| optional(call.snapshot().and_then(|call| call.reason)),
    );
    api.add(
        "get status_code(call: Call) -> ?",
        "The status of the response that ended it, or `()`.",
        |call: &mut Call| optional(call.snapshot().and_then(|call| call.status_code).map(i64::from)),
    );
    api.add(
        "get received_dtmf(call: Call) -> string",
        "The digits received on it.",
        |call: &mut Call| call.received_dtmf(),
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
        |call: &mut Call, name: &str| optional(call.header(name)),
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
