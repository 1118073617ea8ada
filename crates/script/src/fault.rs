//! Errors of the engine as faults of a scenario: where, what, whether waiting may help, and which name was meant.

use callwright_scenario::{Fault, Position, Scene, nearest};
use rhai::{Dynamic, EvalAltResult};

use crate::here::place;
use crate::language;

/// What the engine's error means in a scene.
pub(crate) fn from_error(error: &EvalAltResult, scene: &Scene) -> Fault {
    walk(error, scene, None, Vec::new())
}

fn walk(error: &EvalAltResult, scene: &Scene, source: Option<&str>, mut trace: Vec<Position>) -> Fault {
    match error {
        EvalAltResult::ErrorInFunctionCall(name, inner_source, inner, position) => {
            // Calls from native code, as those of closures, have no place of their own.
            if !position.is_none() && !name.is_empty() && !name.starts_with("anon$") {
                trace.insert(0, place(scene, source, *position));
            }
            let inner_source = Some(inner_source.as_str())
                .filter(|source| !source.is_empty())
                .or(source);
            walk(inner, scene, inner_source, trace)
        }
        EvalAltResult::ErrorInModule(name, inner, position) => {
            trace.insert(0, place(scene, source, *position));
            walk(inner, scene, Some(name), trace)
        }
        EvalAltResult::ErrorRuntime(value, position) | EvalAltResult::ErrorTerminated(value, position) => {
            let at = place(scene, source, *position);
            let thrown = value.read_lock::<Fault>().map(|fault| fault.clone());
            let mut fault = thrown.unwrap_or_else(|| thrown_value(value)).at(&at);
            if fault.parts().trace.is_empty() {
                fault.parts_mut().trace = trace;
            }
            fault
        }
        other => {
            let mut fault = describe(other).at(&place(scene, source, other.position()));
            fault.parts_mut().trace = trace;
            fault
        }
    }
}

/// What a script threw may not be thrown the next time.
fn thrown_value(value: &Dynamic) -> Fault {
    let text = match value
        .read_lock::<rhai::Map>()
        .and_then(|map| map.get("message").cloned())
    {
        Some(message) => message.to_string(),
        None if value.is_unit() => "the script threw an error".to_owned(),
        None => value.to_string(),
    };
    Fault::not_yet(text)
}

fn describe(error: &EvalAltResult) -> Fault {
    match error {
        EvalAltResult::ErrorFunctionNotFound(signature, _) => unknown_function(signature),
        EvalAltResult::ErrorDotExpr(text, _) => dot(text),
        EvalAltResult::ErrorVariableNotFound(name, _) => {
            let near = nearest::question(name, language::constants());
            Fault::script(format!("unknown variable `{name}`{near}"))
        }
        EvalAltResult::ErrorIndexingType(kind, _) if is_unit(kind) => {
            Fault::not_yet("nothing is there yet: `()` has no elements")
        }
        EvalAltResult::ErrorArrayBounds(0, index, _) => {
            Fault::not_yet(format!("the array is empty: there is no element {index}"))
        }
        EvalAltResult::ErrorArrayBounds(count, index, _) => Fault::not_yet(format!(
            "the array has {count} elements: there is no element {index}"
        )),
        EvalAltResult::ErrorStringBounds(..) | EvalAltResult::ErrorBitFieldBounds(..) => {
            Fault::not_yet(without_place(error))
        }
        EvalAltResult::ErrorMismatchDataType(wanted, found, _) if is_unit(found) => {
            Fault::not_yet(format!("expected {wanted}, but there is nothing yet"))
        }
        EvalAltResult::ErrorDataRace(variable, _) => data_race(variable),
        EvalAltResult::ErrorTooManyOperations(_) => Fault::script(format!(
            "the script does too much: more than {} operations (an endless loop?)",
            language::OPERATIONS
        )),
        EvalAltResult::ErrorStackOverflow(_) => Fault::script(format!(
            "functions call each other too deeply: more than {} calls (an endless recursion?)",
            language::CALL_LEVELS
        )),
        EvalAltResult::ErrorDataTooLarge(what, _) => Fault::script(format!(
            "{what} is too large: a string may have {} characters, an array or map {} elements",
            language::STRING_SIZE,
            language::COLLECTION_SIZE
        )),
        EvalAltResult::ErrorModuleNotFound(name, _) => Fault::script(format!(
            "the module {name:?} is not found: it is looked for beside the importing file, then beside the scenario"
        )),
        other => Fault::script(without_place(other)),
    }
}

/// `foo (Agent, &str | ImmutableString | String)`: what was called, with which types.
fn unknown_function(signature: &str) -> Fault {
    let (name, types) = signature.split_once(" (").unwrap_or((signature, ""));
    let types = types.trim_end_matches(')');
    let types: Vec<&str> = split_types(types);
    if let Some(property) = name.strip_prefix("get$") {
        return property_of(property, types.first().copied().unwrap_or_default());
    }
    if types.iter().any(|kind| is_unit(kind)) {
        return Fault::not_yet(format!("`{name}` was called on `()`: nothing is there yet"));
    }
    let shown = types
        .iter()
        .map(|kind| short(kind))
        .collect::<Vec<_>>()
        .join(", ");
    if !name.starts_with(|c: char| c.is_alphabetic() || c == '_') {
        return Fault::script(format!(
            "`{name}` cannot be applied to {}",
            shown.replace(", ", " and ")
        ));
    }
    if name.starts_with("anon$") {
        return Fault::script(
            "this closure was made by a module, and is known only while a function of that module runs",
        )
        .hint("write the closure where it is called, or let the module call it: module::call_it(closure)");
    }
    let known = language::signatures(name);
    if known.is_empty() {
        let near = nearest::question(name, language::function_names());
        return Fault::script(format!("unknown function `{name}`{near}"));
    }
    let mut fault = Fault::script(format!("`{name}` cannot be called with ({shown})"));
    for signature in known {
        fault = fault.hint(format!("it is {signature}"));
    }
    fault
}

/// `Unknown property 'x' - a getter is not registered for type 'Agent'`.
fn dot(text: &str) -> Fault {
    let mut quoted = text.split('\'').skip(1).step_by(2);
    match (quoted.next(), quoted.next()) {
        (Some(property), Some(kind)) => property_of(property, kind),
        _ => Fault::script(text),
    }
}

fn property_of(property: &str, kind: &str) -> Fault {
    if is_unit(kind) {
        return Fault::not_yet(format!("`.{property}` was read from `()`: nothing is there yet"));
    }
    let kind = short(kind);
    let near = nearest::question(property, language::members_of(kind));
    Fault::script(format!("unknown property `{property}` of {kind}{near}"))
}

/// `argument #2 of function 'on'`, or the name of a variable. What `check` can see, it explains better, before the run.
fn data_race(what: &str) -> Fault {
    let method = what.split('\'').nth(1).unwrap_or(what);
    Fault::script(format!(
        "a variable is used inside a closure that is handed to its own method `{method}`"
    ))
    .hint(format!(
        "call the method as a function, {method}(x, || …) instead of x.{method}(|| …)"
    ))
}

fn is_unit(kind: &str) -> bool {
    matches!(kind.trim(), "()" | "unit")
}

/// The name of a type without its module path, and text by one name.
fn short(kind: &str) -> &str {
    if kind.contains("ImmutableString") || kind == "&str" {
        return "string";
    }
    match kind.rsplit("::").next().unwrap_or(kind) {
        "i64" => "int",
        "f64" => "float",
        other => other,
    }
}

/// Types are separated by commas; alternatives of one type are not.
fn split_types(types: &str) -> Vec<&str> {
    types
        .split(", ")
        .map(str::trim)
        .filter(|kind| !kind.is_empty())
        .collect()
}

/// The engine's words without `(line 1, position 2)`.
fn without_place(error: &EvalAltResult) -> String {
    let text = error.to_string();
    text.rsplit_once(" (line ")
        .map_or(text.as_str(), |(text, _)| text)
        .to_owned()
}
