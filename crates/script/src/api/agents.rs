//! Agents and their verbs. Verbs about a call exist on agents and on single calls alike.

use std::sync::Arc;

use callwright_scenario::Fault;
use callwright_scenario::agent::{Agent, Call, Target};
use callwright_scenario::phone::{CallRef, MessageFilter, Messages, Verb};
use rhai::{Map, NativeCallContext, Variant};

use super::Collector;
use crate::convert::{map_value, register as register_type, to_span};
use crate::entry::{Api, Section};
use crate::here::{Here, Outcome};

pub(super) fn register(api: &mut Api) {
    register_type::<Agent>(&mut api.engine, "Agent");
    api.engine.register_fn("==", |a: Agent, b: Agent| a.is(&b));
    api.engine.register_fn("!=", |a: Agent, b: Agent| !a.is(&b));
    api.section(Section::Agents);
    api.add(
        "agent(name: string, config: map) -> Agent",
        &format!(
            "Starts an agent: a SIP endpoint. It registers when told to. The keys of the configuration:\n\n{}",
            keys()
        ),
        |context: NativeCallContext<'_>, name: &str, config: Map| -> Outcome<Agent> {
            let here = Here::of(&context)?;
            if Collector::is_open() {
                let fault = Fault::script(format!(
                    "agent({name:?}, …) at the top level of a suite would be shared by all its scenarios, and each has \
                     agents of its own"
                ));
                return Err(here.raise(fault.hint("make it in setup(|| …), or in the scenario")));
            }
            let agent = here.check(Agent::start(&here.scene, name, &map_value(&config), &here.at))?;
            if let Some(metadata) = config.get("metadata") {
                agent.keep(Arc::new(metadata.clone()));
            }
            Ok(agent)
        },
    );
    plain(api, "register", "Registers, or registers again.", || {
        Verb::Register
    });
    plain(api, "unregister", "Takes the registration back.", || {
        Verb::Unregister
    });
    dial(api);
    about_calls::<Agent>(api);
    target(
        api,
        "deflect",
        "Answers the calls that come with 302 to the target; to be armed before.",
        |target| Verb::Deflect { target },
    );
    plain(api, "stop_deflect", "Ends `deflect`.", || Verb::StopDeflect);
    respond_incoming(api);
}

fn keys() -> String {
    let keys = callwright_scenario::agent::KEYS.iter();
    keys.map(|key| format!("- `{}`: {}", key.name, key.meaning))
        .collect::<Vec<_>>()
        .join("\n")
}

/// Something that verbs about a call can be called on.
pub(super) trait OnCall: Variant + Clone {
    const NAME: &'static str;
    const VARIABLE: &'static str;
    fn agent(&self) -> &Agent;
    fn call(&self) -> Option<CallRef>;
    fn messages(&self, filter: &MessageFilter) -> Messages;
}

impl OnCall for Agent {
    const NAME: &'static str = "Agent";
    const VARIABLE: &'static str = "agent";

    fn agent(&self) -> &Agent {
        self
    }

    fn call(&self) -> Option<CallRef> {
        None
    }

    fn messages(&self, filter: &MessageFilter) -> Messages {
        Agent::messages(self, filter)
    }
}

impl OnCall for Call {
    const NAME: &'static str = "Call";
    const VARIABLE: &'static str = "call";

    fn agent(&self) -> &Agent {
        Call::agent(self)
    }

    fn call(&self) -> Option<CallRef> {
        Some(self.id())
    }

    fn messages(&self, filter: &MessageFilter) -> Messages {
        Call::messages(self, filter)
    }
}

fn perform(context: &NativeCallContext<'_>, on: &impl OnCall, verb: Verb) -> Outcome<()> {
    let here = Here::of(context)?;
    here.check(
        on.agent()
            .perform(&here.scene, on.call(), verb, &here.at)
            .map(|_| ()),
    )
}

fn plain(api: &mut Api, name: &str, doc: &str, verb: fn() -> Verb) {
    plain_on::<Agent>(api, name, doc, verb);
}

fn plain_on<T: OnCall>(api: &mut Api, name: &str, doc: &str, verb: fn() -> Verb) {
    let signature = format!("{name}({}: {})", T::VARIABLE, T::NAME);
    api.add(
        &signature,
        doc,
        move |context: NativeCallContext<'_>, on: &mut T| perform(&context, on, verb()),
    );
}

fn target(api: &mut Api, name: &str, doc: &str, verb: fn(String) -> Verb) {
    target_on::<Agent>(api, name, doc, verb);
}

/// A verb with a target: an agent, or a text.
fn target_on<T: OnCall>(api: &mut Api, name: &str, doc: &str, verb: fn(String) -> Verb) {
    let to = move |context: &NativeCallContext<'_>, on: &T, target: Target| {
        let here = Here::of(context)?;
        here.check(
            on.agent()
                .to_target(&here.scene, on.call(), verb, &target, &here.at),
        )
    };
    let signature = |kind: &str| format!("{name}({}: {}, target: {kind})", T::VARIABLE, T::NAME);
    api.add(
        &signature("Agent"),
        doc,
        move |context: NativeCallContext<'_>, on: &mut T, target: Agent| {
            to(&context, on, Target::Agent(target))
        },
    );
    let doc = "The same with a URI, `user@host`, or a name or number in the agent's own domain.";
    api.add(
        &signature("string"),
        doc,
        move |context: NativeCallContext<'_>, on: &mut T, target: &str| {
            to(&context, on, Target::Text(target.to_owned()))
        },
    );
}

fn dial(api: &mut Api) {
    fn run(
        context: &NativeCallContext<'_>,
        agent: &Agent,
        target: &Target,
        headers: Option<&Map>,
    ) -> Outcome<()> {
        let here = Here::of(context)?;
        let headers = headers.map(map_value);
        here.check(agent.dial(&here.scene, target, headers.as_ref(), &here.at))
    }
    api.add(
        "dial(agent: Agent, target: Agent)",
        "Calls another agent at its address-of-record.",
        |context: NativeCallContext<'_>, agent: &mut Agent, target: Agent| {
            run(&context, agent, &Target::Agent(target), None)
        },
    );
    api.add(
        "dial(agent: Agent, target: Agent, headers: map)",
        "The same with headers for this call.",
        |context: NativeCallContext<'_>, agent: &mut Agent, target: Agent, headers: Map| {
            run(&context, agent, &Target::Agent(target), Some(&headers))
        },
    );
    api.add(
        "dial(agent: Agent, target: string)",
        "Calls a `sip:`, `sips:` or `tel:` URI, `user@host`, or a name or number in the agent's own domain.",
        |context: NativeCallContext<'_>, agent: &mut Agent, target: &str| {
            run(&context, agent, &Target::Text(target.to_owned()), None)
        },
    );
    api.add(
        "dial(agent: Agent, target: string, headers: map)",
        "The same with headers for this call.",
        |context: NativeCallContext<'_>, agent: &mut Agent, target: &str, headers: Map| {
            run(&context, agent, &Target::Text(target.to_owned()), Some(&headers))
        },
    );
}

/// The verbs that mean the current call of an agent, or a given one.
pub(super) fn about_calls<T: OnCall>(api: &mut Api) {
    plain_on::<T>(
        api,
        "accept",
        "Answers the newest incoming call that rings.",
        || Verb::Accept,
    );
    plain_on::<T>(
        api,
        "hangup",
        "Ends the newest call that rings (the caller cancels, the callee rejects with 486), else the newest established.",
        || Verb::Hangup,
    );
    plain_on::<T>(
        api,
        "bye",
        "Ends the call by BYE at once, to see what the other side makes of it: a call that was placed and rings, which \
         `hangup` would CANCEL, or one that was just answered, where `hangup` would wait for the ACK. Else it is `hangup`.",
        || Verb::Bye,
    );
    plain_on::<T>(api, "hold", "Puts the call on hold.", || Verb::Hold);
    plain_on::<T>(api, "resume", "Resumes the newest held call.", || Verb::Resume);
    plain_on::<T>(
        api,
        "update",
        "Offers the session again as it is, by UPDATE (RFC 3311). It waits for the end of another offer.",
        || Verb::Update,
    );
    plain_on::<T>(api, "mute", "Mutes the own side, or ends that.", || Verb::Mute);
    target_on::<T>(
        api,
        "transfer",
        "Transfers the call to another agent, blind: REFER. The transferring agent hangs up when NOTIFY reports success.",
        |target| Verb::Transfer { target },
    );
    target_on::<T>(
        api,
        "attended_transfer",
        "Holds the call and places a consultation call; `complete_transfer` connects the two.",
        |target| Verb::AttendedTransfer { target },
    );
    let whose = match T::VARIABLE {
        "call" => " An agent has one at a time: it is that one, on whichever of its calls this is called.",
        _ => "",
    };
    plain_on::<T>(
        api,
        "complete_transfer",
        &format!("Completes the attended transfer: REFER with Replaces.{whose}"),
        || Verb::CompleteTransfer,
    );
    plain_on::<T>(
        api,
        "abort_transfer",
        &format!("Aborts the attended transfer and resumes the first call.{whose}"),
        || Verb::AbortTransfer,
    );
    reject::<T>(api);
    dtmf::<T>(api);
}

fn reject<T: OnCall>(api: &mut Api) {
    fn run<T: OnCall>(
        context: &NativeCallContext<'_>,
        on: &T,
        code: i64,
        reason: Option<String>,
    ) -> Outcome<()> {
        let here = Here::of(context)?;
        here.check(on.agent().reject(&here.scene, on.call(), code, reason, &here.at))
    }
    let signature = format!("reject({}: {}, code: int)", T::VARIABLE, T::NAME);
    api.add(
        &signature,
        "Rejects the newest incoming call that rings.",
        |context: NativeCallContext<'_>, on: &mut T, code: i64| run(&context, on, code, None),
    );
    let signature = format!("reject({}: {}, code: int, reason: string)", T::VARIABLE, T::NAME);
    api.add(
        &signature,
        "The same with a reason phrase.",
        |context: NativeCallContext<'_>, on: &mut T, code: i64, reason: &str| {
            run(&context, on, code, Some(reason.to_owned()))
        },
    );
}

fn dtmf<T: OnCall>(api: &mut Api) {
    fn run<T: OnCall>(
        context: &NativeCallContext<'_>,
        on: &T,
        digits: &str,
        gap: Option<&str>,
    ) -> Outcome<()> {
        let here = Here::of(context)?;
        let gap = here.check(gap.map(to_span).transpose())?;
        here.check(on.agent().dtmf(&here.scene, on.call(), digits, gap, &here.at))
    }
    let signature = format!("dtmf({}: {}, digits: string)", T::VARIABLE, T::NAME);
    api.add(
        &signature,
        "Sends digits: `0-9 * # A-D`; blanks are ignored.",
        |context: NativeCallContext<'_>, on: &mut T, digits: &str| run(&context, on, digits, None),
    );
    let signature = format!("dtmf({}: {}, digits: string, gap: string)", T::VARIABLE, T::NAME);
    api.add(
        &signature,
        "The same with a pause between digits: `dtmf(\"123#\", \"200ms\")`.",
        |context: NativeCallContext<'_>, on: &mut T, digits: &str, gap: &str| {
            run(&context, on, digits, Some(gap))
        },
    );
}

fn respond_incoming(api: &mut Api) {
    fn run(
        context: &NativeCallContext<'_>,
        agent: &Agent,
        code: i64,
        reason: &str,
        headers: Option<&Map>,
    ) -> Outcome<()> {
        let here = Here::of(context)?;
        let headers = headers.map(map_value);
        here.check(agent.respond_incoming(&here.scene, code, reason.to_owned(), headers.as_ref(), &here.at))
    }
    api.add(
        "respond_incoming(agent: Agent, code: int, reason: string)",
        "Answers the next incoming call with this response; to be armed before.",
        |context: NativeCallContext<'_>, agent: &mut Agent, code: i64, reason: &str| {
            run(&context, agent, code, reason, None)
        },
    );
    api.add(
        "respond_incoming(agent: Agent, code: int, reason: string, headers: map)",
        "The same with headers.",
        |context: NativeCallContext<'_>, agent: &mut Agent, code: i64, reason: &str, headers: Map| {
            run(&context, agent, code, reason, Some(&headers))
        },
    );
}
