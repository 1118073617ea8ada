//! What agents send and hear.

use callwright_scenario::agent::Call;
use callwright_scenario::phone::Audio;
use callwright_scenario::{Agent, Value, sound};
use rhai::{Array, Dynamic, NativeCallContext};

use super::agents::OnCall;
use crate::convert::{to_hz, to_span};
use crate::entry::{Api, Section};
use crate::here::{Here, Outcome};

pub(super) fn register(api: &mut Api) {
    api.engine.register_type_with_name::<Audio>("AudioSpec");
    api.section(Section::Audio);
    sources(api);
    sending(api);
    listening(api);
}

fn sources(api: &mut Api) {
    api.add(
        "tone(hz: int|float) -> AudioSpec",
        "A sine wave.",
        |context: NativeCallContext<'_>, hz: Dynamic| -> Outcome<Audio> {
            let here = Here::of(&context)?;
            here.check(to_hz(&hz).and_then(sound::tone))
        },
    );
    api.add(
        "tones(hz: array) -> AudioSpec",
        "Several sine waves, mixed: `tones([440, 620])`.",
        |context: NativeCallContext<'_>, hz: Array| -> Outcome<Audio> {
            let here = Here::of(&context)?;
            let hz: Result<Vec<f64>, _> = hz.iter().map(to_hz).collect();
            here.check(hz.and_then(sound::tones))
        },
    );
    api.add("noise() -> AudioSpec", "White noise.", || Audio::Noise);
    api.add("silent() -> AudioSpec", "Silence.", || Audio::Silence);
    api.add(
        "file(path: string) -> AudioSpec",
        "A WAV file, relative to the scenario file: any rate, 8 to 32 bits or float, mono or stereo.",
        |context: NativeCallContext<'_>, path: &str| -> Outcome<Audio> {
            let here = Here::of(&context)?;
            here.check(sound::file(&here.scene, path))
        },
    );
}

fn sending(api: &mut Api) {
    api.add(
        "send_audio(agent: Agent, source: AudioSpec)",
        "Sends this from now on; before a call: in the next one. Agents send silence until told.",
        |context: NativeCallContext<'_>, agent: &mut Agent, audio: Audio| -> Outcome<()> {
            let here = Here::of(&context)?;
            here.check(agent.send_audio(&here.scene, None, audio, &here.at))
        },
    );
    api.add(
        "send_audio(call: Call, source: AudioSpec)",
        "Sends this in one call from now on; the other calls of the agent go on as they are.",
        |context: NativeCallContext<'_>, call: &mut Call, audio: Audio| -> Outcome<()> {
            let here = Here::of(&context)?;
            here.check(
                call.agent()
                    .send_audio(&here.scene, Some(call.id()), audio, &here.at),
            )
        },
    );
}

fn listening(api: &mut Api) {
    listening_on::<Agent>(api);
    api.add(
        "verify_audio_connection(a: Agent, b: Agent)",
        "Passes when each hears the other: both send a tone of their own for that, which nobody else in the run sends \
         meanwhile, and afterwards what they sent before. Checks that share an agent wait for each other.",
        |context: NativeCallContext<'_>, a: Agent, b: Agent| -> Outcome<()> {
            let here = Here::of(&context)?;
            let within = here.scene.default_timeout();
            here.check(sound::verify_connection(&here.scene, &a, &b, within, &here.at))
        },
    );
}

/// What an agent, or one of its calls, hears.
pub(super) fn listening_on<T: OnCall>(api: &mut Api) {
    let on = format!("{}: {}", T::VARIABLE, T::NAME);
    api.add(
        &format!("verify_audio({on}, hz: int|float, within: string)"),
        "Passes as soon as the tone is heard in audio that arrives from now on: within ±10 Hz, at least −40 dBm0, at \
         least a fifth of the energy, over at least 100 ms. The failure names the strongest frequency, and says whether \
         RTP arrived at all.",
        |context: NativeCallContext<'_>, on: &mut T, hz: Dynamic, within: &str| -> Outcome<()> {
            let here = Here::of(&context)?;
            let hz = here.check(to_hz(&hz))?;
            let within = here.check(to_span(within))?;
            let heard = on.agent().verify_audio(&here.scene, on.call(), hz, within, &here.at);
            here.check(heard)
        },
    );
    api.add(
        &format!("verify_silence({on}, within: string)"),
        "Passes as soon as RTP that carries silence arrives; fails when the time is up, or when no RTP arrives at all.",
        |context: NativeCallContext<'_>, on: &mut T, within: &str| -> Outcome<()> {
            let here = Here::of(&context)?;
            let within = here.check(to_span(within))?;
            here.check(on.agent().verify_silence(&here.scene, on.call(), within, &here.at))
        },
    );
    api.add(
        &format!("heard({on}, hz: int|float) -> bool"),
        "The tone is in the audio that arrives now.",
        |context: NativeCallContext<'_>, on: &mut T, hz: Dynamic| -> Outcome<Dynamic> {
            let here = Here::of(&context)?;
            let hz = here.check(to_hz(&hz))?;
            let since = here.scene.world().now();
            let name = on.agent().name();
            let label = match on.call() {
                None => format!("{name} heard {hz} Hz"),
                Some(_) => format!("{name} call heard {hz} Hz"),
            };
            let heard = on.agent().hears(on.call(), hz);
            Ok(here.read_of_audio(&label, Value::Bool(heard), since))
        },
    );
    api.add(
        &format!("record({on}, path: string)"),
        "Records to a WAV file in stereo: left what is sent, right what is heard. Calls at the same time are mixed; one \
         that begins later, when there is no other, follows without a pause. A recording of a call has that call alone. \
         The path is relative to the working directory. Nothing is overwritten: where the file exists, the name gets a \
         number, and a note says so.",
        |context: NativeCallContext<'_>, on: &mut T, path: &str| -> Outcome<()> {
            let here = Here::of(&context)?;
            here.check(on.agent().record(&here.scene, on.call(), path, &here.at))
        },
    );
}
