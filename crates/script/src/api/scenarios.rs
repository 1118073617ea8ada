//! The registration of scenarios and their hooks.

use std::cell::RefCell;

use callwright_scenario::suite::Registration;
use callwright_scenario::{Fault, Position, Value, nearest};
use rhai::{Array, Dynamic, FnPtr, Map, NativeCallContext};

use crate::closure::Closure;
use crate::convert::{map_value, to_span, to_value};
use crate::entry::{Api, Section};
use crate::here::{Here, Outcome};

thread_local! {
    static COLLECTED: RefCell<Option<Collected>> = const { RefCell::new(None) };
}

/// What the top level of a file registers.
#[derive(Clone, Default)]
pub(crate) struct Collected {
    pub(crate) registrations: Vec<Registration>,
    /// The body of each, and the row of `scenario_each`.
    pub(crate) bodies: Vec<(Closure, Option<Dynamic>)>,
    pub(crate) setup: Option<Closure>,
    pub(crate) teardown: Option<Closure>,
    pub(crate) setup_file: Option<Closure>,
    pub(crate) teardown_file: Option<Closure>,
}

/// Takes what the calling task registers until it is closed.
pub(crate) struct Collector;

impl Collector {
    pub(crate) fn open() -> Self {
        COLLECTED.set(Some(Collected::default()));
        Collector
    }

    /// Whether the calling task evaluates the top level of a suite.
    pub(crate) fn is_open() -> bool {
        COLLECTED.with_borrow(Option::is_some)
    }

    pub(crate) fn close(self) -> Collected {
        COLLECTED.take().unwrap_or_default()
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        COLLECTED.set(None);
    }
}

pub(super) fn register(api: &mut Api) {
    api.section(Section::TopLevel);
    let doc = "Registers a scenario. It runs in isolation: with fresh agents, which are hung up and unregistered \
               afterwards, and with its own copy of the file's variables. The body may take what `setup` returned.";
    api.add(
        "scenario(name: string, body: Fn)",
        doc,
        |context: NativeCallContext<'_>, name: &str, body: FnPtr| scenario(&context, name, None, &body),
    );
    api.add(
        "scenario(name: string, options: map, body: Fn)",
        "The same with options: `tags` (an array), `skip` (`true` or a reason), `only`, `timeout` (a duration), \
         `retries` (a number), `expect_fail` (a reason).\n\n\
         ```rhai\nscenario(\"answered call\", #{ tags: [\"smoke\"] }, |ctx| { … });\n```",
        |context: NativeCallContext<'_>, name: &str, options: Map, body: FnPtr| {
            scenario(&context, name, Some(&options), &body)
        },
    );
    let doc = "Registers one scenario a row. `{key}` in the name is filled from the row when it is a map, `{}` when it is \
               not.\n\n\
               ```rhai\nscenario_each(\"code {code}\", [#{ code: 486 }, #{ code: 603 }], |ctx, row| { … });\n```";
    api.add(
        "scenario_each(name: string, rows: array, body: Fn)",
        doc,
        |context: NativeCallContext<'_>, name: &str, rows: Array, body: FnPtr| {
            scenario_each(&context, name, &rows, None, &body)
        },
    );
    api.add(
        "scenario_each(name: string, rows: array, options: map, body: Fn)",
        "The same with options, as of `scenario`.",
        |context: NativeCallContext<'_>, name: &str, rows: Array, options: Map, body: FnPtr| {
            scenario_each(&context, name, &rows, Some(&options), &body)
        },
    );
    hook(
        api,
        "setup(body: Fn)",
        "Runs before each scenario; what it returns is handed to the scenario and to `teardown`.",
        |all| &mut all.setup,
    );
    hook(
        api,
        "teardown(body: Fn)",
        "Runs after each scenario, also after a failure; may take what `setup` returned.",
        |all| &mut all.teardown,
    );
    hook(
        api,
        "setup_file(body: Fn)",
        "Runs once before the scenarios of the file.",
        |all| &mut all.setup_file,
    );
    hook(
        api,
        "teardown_file(body: Fn)",
        "Runs once after the scenarios of the file.",
        |all| &mut all.teardown_file,
    );
}

fn hook(api: &mut Api, signature: &'static str, doc: &str, slot: fn(&mut Collected) -> &mut Option<Closure>) {
    api.add(
        signature,
        doc,
        move |context: NativeCallContext<'_>, body: FnPtr| -> Outcome<()> {
            let name = signature.split('(').next().unwrap_or_default();
            let closure = Closure::keep(&context, &body);
            collect(&context, name, |all| {
                let slot = slot(all);
                if slot.is_some() {
                    return Err(Fault::script(format!("{name} is given twice")));
                }
                *slot = Some(closure);
                Ok(())
            })
        },
    );
}

fn collect(
    context: &NativeCallContext<'_>,
    name: &str,
    add: impl FnOnce(&mut Collected) -> Result<(), Fault>,
) -> Outcome<()> {
    let here = Here::of(context)?;
    let outcome = COLLECTED.with_borrow_mut(|collected| match collected {
        Some(collected) => add(collected),
        None => Err(Fault::script(format!(
            "{name}(…) belongs to the top level of a suite, not into a scenario"
        ))),
    });
    here.check(outcome)
}

fn scenario(context: &NativeCallContext<'_>, name: &str, options: Option<&Map>, body: &FnPtr) -> Outcome<()> {
    let here = Here::of(context)?;
    let registration = here.check(registration(&here.at, name.to_owned(), options))?;
    let closure = Closure::keep(context, body);
    collect(context, "scenario", |all| all.add(registration, closure, None))
}

fn scenario_each(
    context: &NativeCallContext<'_>,
    name: &str,
    rows: &Array,
    options: Option<&Map>,
    body: &FnPtr,
) -> Outcome<()> {
    let here = Here::of(context)?;
    let closure = Closure::keep(context, body);
    if rows.is_empty() {
        let text = format!("scenario_each({name:?}, …): there are no rows, so nothing of it is run");
        here.scene.warn(text, &here.at);
    }
    for row in rows {
        let name = here.check(filled(name, &to_value(row)))?;
        let registration = here.check(registration(&here.at, name, options))?;
        collect(context, "scenario_each", |all| {
            all.add(registration, closure.clone(), Some(row.clone()))
        })?;
    }
    Ok(())
}

impl Collected {
    fn add(&mut self, registration: Registration, body: Closure, row: Option<Dynamic>) -> Result<(), Fault> {
        if let Some(twin) = self
            .registrations
            .iter()
            .find(|other| other.name == registration.name)
        {
            return Err(Fault::script(format!(
                "there are two scenarios with the name {:?}; the first is at {}",
                registration.name, twin.at
            )));
        }
        self.registrations.push(registration);
        self.bodies.push((body, row));
        Ok(())
    }
}

/// The name of one row: `{key}` from a map, `{}` from anything else.
fn filled(name: &str, row: &Value) -> Result<String, Fault> {
    let mut text = String::new();
    let mut rest = name;
    while let Some((before, after)) = rest.split_once('{') {
        let Some((key, after)) = after.split_once('}') else {
            break;
        };
        text.push_str(before);
        match row {
            Value::Map(map) => {
                let value = map.get(key).ok_or_else(|| {
                    let near = nearest::question(key, map.keys().map(String::as_str));
                    Fault::script(format!("scenario_each: the row {row} has no key `{key}`{near}"))
                })?;
                text.push_str(&value.text());
            }
            other => text.push_str(&other.text()),
        }
        rest = after;
    }
    text.push_str(rest);
    Ok(text)
}

pub(crate) const OPTIONS: [&str; 6] = ["tags", "skip", "only", "timeout", "retries", "expect_fail"];

/// What a scenario's options say.
pub(crate) fn registration(
    at: &Position,
    name: String,
    options: Option<&Map>,
) -> Result<Registration, Fault> {
    let mut registration = Registration {
        name,
        tags: Vec::new(),
        skip: None,
        only: false,
        timeout: None,
        retries: None,
        expect_fail: None,
        at: at.clone(),
    };
    let Some(options) = options else {
        return Ok(registration);
    };
    let Value::Map(options) = map_value(options) else {
        return Ok(registration);
    };
    let name = registration.name.clone();
    let wrong = |key: &str, wanted: &str, value: &Value| {
        Fault::script(format!("scenario {name:?}: `{key}` is {wanted}, not {value}"))
    };
    for (key, value) in &options {
        match (key.as_str(), value) {
            ("tags", Value::Array(tags)) => registration.tags = tags.iter().map(Value::text).collect(),
            ("tags", Value::Text(tag)) => registration.tags = vec![tag.clone()],
            ("skip", Value::Bool(true)) => registration.skip = Some(None),
            ("skip", Value::Text(reason)) => registration.skip = Some(Some(reason.clone())),
            ("skip" | "only" | "expect_fail", Value::Bool(false)) => {}
            ("only", Value::Bool(true)) => registration.only = true,
            ("timeout", Value::Text(text)) => registration.timeout = Some(to_span(text)?),
            ("retries", Value::Int(count)) if *count >= 0 => {
                registration.retries = u32::try_from(*count).ok()
            }
            ("expect_fail", Value::Text(reason)) => registration.expect_fail = Some(reason.clone()),
            ("expect_fail", Value::Bool(true)) => registration.expect_fail = Some("known".to_owned()),
            ("tags", other) => return Err(wrong(key, "an array of strings", other)),
            ("skip", other) => return Err(wrong(key, "true or a reason", other)),
            ("only", other) => return Err(wrong(key, "true or false", other)),
            ("timeout", other) => return Err(wrong(key, "a duration, as \"60s\"", other)),
            ("retries", other) => return Err(wrong(key, "a number, 0 or more", other)),
            ("expect_fail", other) => return Err(wrong(key, "a reason", other)),
            (other, _) => {
                let near = nearest::question(other, OPTIONS);
                return Err(Fault::script(format!(
                    "scenario {name:?}: unknown option `{other}`{near}"
                )));
            }
        }
    }
    Ok(registration)
}
