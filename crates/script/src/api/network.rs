//! Conditions of the network: only a clear error today.

use callwright_scenario::{Agent, Fault};
use rhai::{Map, NativeCallContext};

use crate::entry::{Api, Section};
use crate::here::{Here, Outcome};

fn not_yet(context: &NativeCallContext<'_>, what: &str) -> Outcome<()> {
    let here = Here::of(context)?;
    Err(here.raise(Fault::script(format!("{what} is not supported yet"))))
}

pub(super) fn register(api: &mut Api) {
    api.section(Section::Network);
    const DOC: &str = "Not supported yet.";
    api.add(
        "network(conditions: map)",
        DOC,
        |context: NativeCallContext<'_>, _: Map| not_yet(&context, "network"),
    );
    api.add(
        "network(a: Agent, b: Agent, conditions: map)",
        DOC,
        |context: NativeCallContext<'_>, _: Agent, _: Agent, _: Map| not_yet(&context, "network"),
    );
    api.add(
        "partition(a: Agent, b: Agent)",
        DOC,
        |context: NativeCallContext<'_>, _: Agent, _: Agent| not_yet(&context, "partition"),
    );
    api.add("heal()", DOC, |context: NativeCallContext<'_>| {
        not_yet(&context, "heal")
    });
    api.add(
        "crash(server: string)",
        DOC,
        |context: NativeCallContext<'_>, _: &str| not_yet(&context, "crash"),
    );
    api.add(
        "restart(server: string)",
        DOC,
        |context: NativeCallContext<'_>, _: &str| not_yet(&context, "restart"),
    );
    api.add(
        "advance(duration: string)",
        DOC,
        |context: NativeCallContext<'_>, _: &str| not_yet(&context, "advance"),
    );
}
