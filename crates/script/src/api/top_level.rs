//! Waiting, variables, notes.

use std::time::Duration;

use callwright_scenario::{Fault, Tried};
use rhai::{Array, Dynamic, FnPtr, NativeCallContext};

use super::refuse_unmatched;
use crate::closure::{Closure, Copier};
use crate::convert::{to_span, to_text, to_value};
use crate::entry::{Api, Section};
use crate::fault::from_error;
use crate::here::{Here, Outcome};
use crate::language;

pub(super) fn register(api: &mut Api) {
    api.section(Section::TopLevel);
    waiting(api);
    variables(api);
    notes(api);
}

fn waiting(api: &mut Api) {
    api.add(
        "await_until(body: Fn) -> ?",
        "Evaluates the closure again after every event that could change its outcome, until it succeeds or the default \
         timeout is over, and returns its value. A failed matcher, `throw`, and whatever is not there yet is tried \
         again; so is a closure without assertions that returns `false`. Any other error fails at once.\n\n\
         ```rhai\nawait_until(|| assert(a.registered).is_true());\n```",
        |context: NativeCallContext<'_>, body: FnPtr| await_until(&context, &body, None),
    );
    api.add(
        "await_until(body: Fn, within: string) -> ?",
        "The same with a timeout of its own: `await_until(|| assert(b.state).equals(State::Ringing), \"15s\")`.",
        |context: NativeCallContext<'_>, body: FnPtr, within: &str| await_until(&context, &body, Some(within)),
    );
    api.add(
        "default_timeout(duration: string)",
        "Sets the default timeout of `await_until` for this file or scenario; it is 5 s at first.",
        |context: NativeCallContext<'_>, duration: &str| -> Outcome<()> {
            let here = Here::of(&context)?;
            let span = here.check(to_span(duration))?;
            here.scene.set_default_timeout(span);
            Ok(())
        },
    );
    let doc = "Holds for so many seconds, whether or not there is a call; fails at once when a call that was established \
               at the start ends.";
    api.add(
        "wait(seconds: int)",
        doc,
        |context: NativeCallContext<'_>, seconds: i64| {
            #[expect(clippy::cast_precision_loss, reason = "seconds to hold are far below 2^53")]
            hold(&context, Some(seconds as f64))
        },
    );
    api.add(
        "wait(seconds: float)",
        doc,
        |context: NativeCallContext<'_>, seconds: f64| hold(&context, Some(seconds)),
    );
    api.add(
        "wait(duration: string)",
        doc,
        |context: NativeCallContext<'_>, duration: &str| -> Outcome<()> {
            let here = Here::of(&context)?;
            let span = here.check(to_span(duration))?;
            here.check(here.scene.hold(span, &here.at))
        },
    );
    api.add(
        "parallel(tasks: array) -> array",
        "Runs closures at the same time, waits for all, and returns their results in order; fails when one fails. Each \
         task has its own copy of captured variables.\n\n\
         ```rhai\nparallel([|| verify_audio(a, 1000, \"3s\"), || verify_audio(b, 1400, \"3s\")]);\n```",
        parallel,
    );
}

fn await_until(context: &NativeCallContext<'_>, body: &FnPtr, within: Option<&str>) -> Outcome<Dynamic> {
    let here = Here::of(context)?;
    let within = here.check(within.map(to_span).transpose())?;
    let outcome = here.scene.await_until(within, &here.at, || {
        let value: Dynamic = body
            .call_within_context(context, ())
            .map_err(|error| from_error(&error, &here.scene))?;
        refuse_unmatched(&value).map_err(|fault| fault.at(&here.at))?;
        let is_false = value.as_bool() == Ok(false);
        Ok(Tried { value, is_false })
    });
    here.check(outcome)
}

fn hold(context: &NativeCallContext<'_>, seconds: Option<f64>) -> Outcome<()> {
    let here = Here::of(context)?;
    let span = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    let span = here.check(span.ok_or_else(|| Fault::script("wait: seconds are 0 or more")))?;
    here.check(here.scene.hold(span, &here.at))
}

fn parallel(context: NativeCallContext<'_>, tasks: Array) -> Outcome<Array> {
    let here = Here::of(&context)?;
    let mut closures = Vec::with_capacity(tasks.len());
    for task in &tasks {
        let Some(pointer) = task.flatten_clone().try_cast::<FnPtr>() else {
            let fault = Fault::script(format!(
                "parallel takes an array of closures, || …, not {}",
                to_value(task)
            ));
            return Err(here.raise(fault));
        };
        closures.push(Closure::keep(&context, &pointer).copy(&mut Copier::default()));
    }
    let scene = &here.scene;
    let running = closures
        .into_iter()
        .map(|closure| {
            let task: Box<dyn FnOnce() -> Result<Dynamic, Fault> + Send + '_> = Box::new(move || {
                closure
                    .call(language::engine(), &[])
                    .map_err(|error| from_error(&error, scene))
            });
            task
        })
        .collect();
    here.check(scene.parallel(running))
}

fn variables(api: &mut Api) {
    api.add(
        "env(name: string) -> string",
        "A variable, looked up in: `load_env` files (the last first), `<scenario>.env` beside the file, `--env-file`s \
         (the last first), the process environment, `[env]` of `callwright.toml`. An error when it is not set.",
        |context: NativeCallContext<'_>, name: &str| -> Outcome<String> {
            let here = Here::of(&context)?;
            let value = here.scene.env(name);
            here.check(value)
        },
    );
    api.add(
        "env(name: string, default: string) -> string",
        "A variable, or the default when it is not set.",
        |context: NativeCallContext<'_>, name: &str, default: &str| -> Outcome<String> {
            Ok(Here::of(&context)?.scene.env_or(name, default))
        },
    );
    api.add(
        "load_env(path: string)",
        "Loads a dotenv file (`KEY=VALUE` lines), relative to the scenario file.",
        |context: NativeCallContext<'_>, path: &str| -> Outcome<()> {
            let here = Here::of(&context)?;
            here.check(here.scene.load_env(path))
        },
    );
    api.describe(
        "const worker: int",
        "The number of the running worker, from 0: to pick accounts by when scenarios run at the same time. Always 0 in a \
         simulated run, where each scenario has a world of its own.",
    );
    api.add(
        "uuid() -> string",
        "A random UUID.",
        |context: NativeCallContext<'_>| -> Outcome<String> {
            let here = Here::of(&context)?;
            Ok(uuid(here.scene.world().random()))
        },
    );
}

/// RFC 9562 §5.4: version 4.
fn uuid(mut bytes: [u8; 16]) -> String {
    bytes[6] = (bytes[6] & 0x0f) | 0x40;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!(
        "{}-{}-{}-{}-{}",
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..]
    )
}

fn notes(api: &mut Api) {
    api.add(
        "log(message: ?)",
        "A timestamped note in every report; `print` writes a bare line.",
        |context: NativeCallContext<'_>, message: Dynamic| -> Outcome<()> {
            let here = Here::of(&context)?;
            here.scene.log(&here.check(to_text(&message))?, &here.at);
            Ok(())
        },
    );
    let doc = "Skips the running scenario; in `setup`, without teardown.";
    api.add("skip()", doc, |context: NativeCallContext<'_>| {
        skip(&context, None)
    });
    api.add(
        "skip(reason: string)",
        doc,
        |context: NativeCallContext<'_>, reason: &str| skip(&context, Some(reason.to_owned())),
    );
}

fn skip(context: &NativeCallContext<'_>, reason: Option<String>) -> Outcome<()> {
    let here = Here::of(context)?;
    Err(here.raise(Fault::skip(reason)))
}
