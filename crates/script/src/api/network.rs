//! Conditions of the network, crashes, and time that passes.

use callwright_scenario::Agent;
use callwright_scenario::network::{KEYS, Place};
use rhai::{Map, NativeCallContext, Variant};

use crate::convert::{map_value, to_span};
use crate::entry::{Api, Section};
use crate::here::{Here, Outcome};

/// Something that stands at one end of a link.
trait Standing: Variant + Clone {
    const KIND: &'static str;
    fn place(&self) -> Place;
}

impl Standing for Agent {
    const KIND: &'static str = "Agent";

    fn place(&self) -> Place {
        Place::Agent(self.clone())
    }
}

impl Standing for rhai::ImmutableString {
    const KIND: &'static str = "string";

    fn place(&self) -> Place {
        Place::Server(self.to_string())
    }
}

pub(super) fn register(api: &mut Api) {
    api.section(Section::Network);
    api.add(
        "network(conditions: map)",
        &format!(
            "From now on the packets of all agents of the scenario, also of such as start later, travel so, in both \
             directions; what was said for two of them before is forgotten. What is not named is perfect: `network(#{{}})` \
             makes everything perfect again. In a simulated run a packet takes 10 ms anyway. Conditions end with their scenario. Which packets are lost is drawn from the seed of the \
             run.\n\n{}\n\n\
             ```rhai\nnetwork(#{{ latency: \"40ms\", jitter: \"10ms\", loss: \"2%\" }});\n```\n\n\
             A capture shows what was lost, came twice or was delayed. Of a TCP or TLS stream nothing is lost for good: loss \
             is a delay there, as it is sent again. HTTP of a simulated run takes the latency, and nothing else of it.",
            keys()
        ),
        |context: NativeCallContext<'_>, conditions: Map| -> Outcome<()> {
            let here = Here::of(&context)?;
            here.check(here.scene.network(None, &map_value(&conditions), &here.at))
        },
    );
    between::<Agent, Agent>(
        api,
        "The same for what two agents send each other.\n\n\
         ```rhai\nnetwork(alice, bob, #{ latency: \"200ms\" });\n```",
    );
    const SERVER: &str = "The same where one end is a server of this run, by its name.";
    between::<Agent, rhai::ImmutableString>(api, SERVER);
    between::<rhai::ImmutableString, Agent>(api, SERVER);
    between::<rhai::ImmutableString, rhai::ImmutableString>(api, "The same between two servers of this run.");
    partition::<Agent, Agent>(
        api,
        "From now on nothing that one of two agents sends the other arrives, until `heal`. What is on its way already does.",
    );
    partition::<Agent, rhai::ImmutableString>(api, SERVER);
    partition::<rhai::ImmutableString, Agent>(api, SERVER);
    partition::<rhai::ImmutableString, rhai::ImmutableString>(
        api,
        "The same between two servers of this run.",
    );
    api.add(
        "heal()",
        "Ends every partition. Links stay as `network` made them.",
        |context: NativeCallContext<'_>| -> Outcome<()> {
            let here = Here::of(&context)?;
            here.check(here.scene.heal(&here.at))
        },
    );
    api.add(
        "crash(server: string)",
        "Ends the process of a server of this run without warning: what it had not stored is gone, and who sends to it \
         hears that nobody is there. Only in a \
         simulated run.\n\n```rhai\ncrash(\"callcenter\");\n```",
        |context: NativeCallContext<'_>, server: &str| -> Outcome<()> {
            let here = Here::of(&context)?;
            here.check(here.scene.crash(server, &here.at))
        },
    );
    api.add(
        "restart(server: string)",
        "Starts a server again that crashed; it knows what it had stored. Only in a simulated run.",
        |context: NativeCallContext<'_>, server: &str| -> Outcome<()> {
            let here = Here::of(&context)?;
            here.check(here.scene.restart(server, &here.at))
        },
    );
    api.add(
        "advance(duration: string)",
        "Lets time pass, with everything that happens in it. Only in a simulated run, where that takes no time: \
         `advance(\"10m\")`.",
        |context: NativeCallContext<'_>, duration: &str| -> Outcome<()> {
            let here = Here::of(&context)?;
            let span = here.check(to_span(duration))?;
            here.check(here.scene.advance(span, &here.at))
        },
    );
}

fn keys() -> String {
    let keys = KEYS.iter();
    keys.map(|key| format!("- `{}`: {}", key.name, key.meaning))
        .collect::<Vec<_>>()
        .join("\n")
}

fn between<A: Standing, B: Standing>(api: &mut Api, doc: &str) {
    let signature = format!("network(a: {}, b: {}, conditions: map)", A::KIND, B::KIND);
    api.add(
        &signature,
        doc,
        |context: NativeCallContext<'_>, a: A, b: B, conditions: Map| -> Outcome<()> {
            let here = Here::of(&context)?;
            let between = Some((&a.place(), &b.place()));
            here.check(here.scene.network(between, &map_value(&conditions), &here.at))
        },
    );
}

fn partition<A: Standing, B: Standing>(api: &mut Api, doc: &str) {
    let signature = format!("partition(a: {}, b: {})", A::KIND, B::KIND);
    api.add(
        &signature,
        doc,
        |context: NativeCallContext<'_>, a: A, b: B| -> Outcome<()> {
            let here = Here::of(&context)?;
            here.check(here.scene.partition(&a.place(), &b.place(), &here.at))
        },
    );
}
