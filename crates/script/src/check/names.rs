//! Names: functions, methods, properties, and numbers of arguments.

use std::collections::BTreeSet;

use callwright_scenario::nearest;
use callwright_scenario::phone::CallState;

use super::functions::Functions;
use super::walk::{Called, Import, Property, Qualified, Walked};
use super::{File, position};
use crate::diagnostic::{Diagnostic, Severity};
use crate::entry::{Entry, Kind, Parameter};
use crate::language;

/// What the script brings to a file: its functions, and the keys of its maps, whose values may be called like methods.
pub(super) struct Known<'a> {
    functions: Vec<&'a Functions>,
    keys: BTreeSet<&'a str>,
    asked: &'a BTreeSet<String>,
    /// There may be more of them.
    is_open: bool,
}

impl<'a> Known<'a> {
    /// What is known in the file with this number. Modules also see the functions of the files that call theirs.
    pub(super) fn of(files: &'a [File], number: usize) -> Self {
        let all = || files.iter().map(|file| &file.walked);
        let others = if number == 0 { 0 } else { files.len() };
        let own = &files[number].walked.functions;
        let others = all().take(others).map(|walked| &walked.functions);
        Known {
            functions: std::iter::once(own).chain(others).collect(),
            keys: all()
                .flat_map(|walked| &walked.keys)
                .map(String::as_str)
                .collect(),
            asked: &files[number].walked.asked,
            is_open: all().any(|walked| walked.is_open),
        }
    }

    /// A function of the script.
    pub(super) fn has(&self, name: &str) -> bool {
        self.functions.iter().any(|functions| functions.has(name)) || self.asked.contains(name)
    }

    fn takes(&self, name: &str, given: usize) -> bool {
        self.functions
            .iter()
            .any(|functions| functions.takes(name, given))
            || self.asked.contains(name)
    }

    /// Whether a method of something unknown may be a closure in a map.
    pub(super) fn is_key(&self, name: &str) -> bool {
        self.keys.contains(name)
    }

    /// How certain a finding is about a method of something unknown.
    pub(super) fn severity(&self) -> Severity {
        if self.is_open {
            Severity::Warning
        } else {
            Severity::Error
        }
    }
}

pub(super) fn check(walked: &Walked, known: &Known<'_>) -> Vec<Diagnostic> {
    let calls = walked
        .calls
        .iter()
        .filter_map(|call| of_call(walked, known, call));
    let properties = walked
        .properties
        .iter()
        .filter_map(|property| of_property(walked, property));
    let states = walked.states.iter().filter_map(|state| of_state(walked, state));
    calls.chain(properties).chain(states).collect()
}

/// `a.stat`, and `a.dial` without a call.
fn of_property(walked: &Walked, property: &Property) -> Option<Diagnostic> {
    let Property { name, object, at } = property;
    let kinds: Vec<Kind> = language::entries_of(object)
        .filter(|entry| entry.name == *name)
        .map(|entry| entry.kind)
        .collect();
    if kinds.contains(&Kind::Getter) {
        return None;
    }
    let message = if kinds.is_empty() {
        let near = nearest::question(name, language::members_of(object));
        format!("unknown property `{name}` of {object}{near}")
    } else {
        format!("`{name}` is a function of {object}: write `.{name}(…)`")
    };
    let at = position(&walked.file, *at);
    Some(Diagnostic::error(at, name.chars().count(), message))
}

/// `State::Idel`.
fn of_state(walked: &Walked, (name, at): &(String, rhai::Position)) -> Option<Diagnostic> {
    let states = CallState::ALL.map(CallState::name);
    if states.contains(&name.as_str()) {
        return None;
    }
    Some(Diagnostic {
        severity: Severity::Error,
        at: position(&walked.file, *at),
        length: name.chars().count(),
        message: format!("unknown state `State::{name}`{}", nearest::question(name, states)),
        hints: Vec::new(),
    })
}

/// The calls of a module's functions.
pub(super) fn of_module(walked: &Walked, import: &Import, functions: &Functions) -> Vec<Diagnostic> {
    let same = walked.imports.iter().filter(|other| other.alias == import.alias);
    if same.count() > 1 {
        // One name for several modules, each in a block of its own.
        return Vec::new();
    }
    let calls = walked.qualified.iter().filter(|call| call.module == import.alias);
    calls
        .filter_map(|call| of_qualified(walked, call, functions))
        .collect()
}

fn of_qualified(walked: &Walked, call: &Qualified, functions: &Functions) -> Option<Diagnostic> {
    let Qualified { module, name, .. } = call;
    if functions.takes(name, call.given) {
        return None;
    }
    let (message, hints) = if functions.has(name) {
        let hints = functions.signatures(name).into_iter();
        let hints = hints.map(|signature| format!("it is {module}::{signature}"));
        (
            wrong_count(&format!("{module}::{name}"), call.given),
            hints.collect(),
        )
    } else {
        let near = nearest::question(name, functions.names());
        (format!("unknown function `{module}::{name}`{near}"), Vec::new())
    };
    Some(Diagnostic {
        severity: Severity::Error,
        at: position(&walked.file, call.at),
        length: name.chars().count(),
        message,
        hints,
    })
}

fn wrong_count(name: &str, given: usize) -> String {
    let s = if given == 1 { "" } else { "s" };
    format!("`{name}` cannot be called with {given} argument{s}")
}

fn of_call(walked: &Walked, known: &Known<'_>, call: &Called) -> Option<Diagnostic> {
    let name = call.name.as_str();
    let error =
        |message: String| Diagnostic::error(position(&walked.file, call.at), name.chars().count(), message);
    let is_certain = !call.is_method || call.object.is_some();
    if !is_certain && known.is_key(name) {
        return None;
    }
    if call.races
        && let Some(variable) = &call.variable
    {
        let message =
            format!("{variable} is used inside a closure that is handed to a method of {variable} itself");
        return Some(error(message).hint(format!(
            "call the method as a function, {name}({variable}, …) instead of {variable}.{name}(…), or take what the \
             closure needs into a variable of its own first"
        )));
    }
    let given = call.arguments.len() + usize::from(call.is_method);
    if known.has(name) {
        let fits =
            known.takes(name, call.arguments.len()) || takes(call, given) || language::is_builtin(name);
        let signatures = known
            .functions
            .iter()
            .flat_map(|functions| functions.signatures(name));
        return (!fits).then(|| {
            let wrong = error(wrong_count(name, call.arguments.len()));
            signatures.fold(wrong, |wrong, signature| wrong.hint(format!("it is {signature}")))
        });
    }
    let found = match call.object {
        Some(object) if call.is_method => of_method(call, object, given),
        _ => of_function(known, call, given),
    };
    found
        .map(|found| match found {
            Found::Unknown(message) => error(message),
            Found::Count(signatures) => signatures.iter().fold(
                error(wrong_count(name, call.arguments.len())),
                |wrong, signature| wrong.hint(format!("it is {signature}")),
            ),
        })
        .map(|found| Diagnostic {
            severity: if is_certain {
                Severity::Error
            } else {
                known.severity()
            },
            ..found
        })
}

enum Found {
    Unknown(String),
    Count(Vec<String>),
}

/// Whether a function of the language with the name of a call takes so many arguments.
fn takes(call: &Called, given: usize) -> bool {
    functions_of(call).any(|entry| entry.parameters.len() == given)
}

fn functions_of(call: &Called) -> impl Iterator<Item = &'static Entry> {
    language::entries()
        .iter()
        .filter(|entry| entry.kind == Kind::Function && entry.name == call.name)
}

/// What every value can do.
const OF_ANYTHING: [&str; 5] = ["is_shared", "print", "to_debug", "to_string", "type_of"];

/// A method of something whose type is certain.
fn of_method(call: &Called, object: &str, given: usize) -> Option<Found> {
    let name = call.name.as_str();
    let all: Vec<&Entry> = language::entries_of(object)
        .filter(|entry| entry.name == name)
        .collect();
    let functions: Vec<&&Entry> = all.iter().filter(|entry| entry.kind == Kind::Function).collect();
    if functions.iter().any(|entry| entry.parameters.len() == given) {
        return None;
    }
    if !functions.is_empty() {
        let signatures = functions.iter().map(|entry| entry.signature()).collect();
        return Some(Found::Count(signatures));
    }
    if !all.is_empty() {
        return Some(Found::Unknown(getter(call)));
    }
    // Functions that take any value: `a.log()`.
    let of_anything = functions_of(call).any(|entry| {
        entry.parameters.len() == given && entry.parameters.first().is_some_and(Parameter::is_any)
    });
    if of_anything || OF_ANYTHING.contains(&name) {
        return None;
    }
    let what = if object == "Assertion" {
        "matcher"
    } else {
        "method"
    };
    let near = nearest::question(name, language::members_of(object));
    Some(Found::Unknown(format!(
        "unknown {what} `{name}` of {object}{near}"
    )))
}

/// `a.state()`.
fn getter(call: &Called) -> String {
    let name = &call.name;
    let object = call.variable.as_deref().unwrap_or_default();
    format!("`{name}` is a property: write `{object}.{name}`")
}

/// A function, or a method of anything.
fn of_function(known: &Known<'_>, call: &Called, given: usize) -> Option<Found> {
    let name = call.name.as_str();
    if language::is_builtin(name) || takes(call, given) {
        return None;
    }
    if functions_of(call).next().is_some() {
        return Some(Found::Count(language::signatures(name)));
    }
    if call.is_method && language::is_getter(name) {
        return Some(Found::Unknown(getter(call)));
    }
    let mut names: Vec<&str> = language::function_names().collect();
    for functions in &known.functions {
        names.extend(functions.names());
    }
    let near = nearest::question(name, names);
    Some(Found::Unknown(format!("unknown function `{name}`{near}")))
}
