//! Names: functions, methods, properties, and numbers of arguments.

use std::collections::BTreeSet;

use callwright_scenario::nearest;
use callwright_scenario::phone::CallState;

use super::functions::Functions;
use super::position;
use super::walk::{Called, Import, Qualified, Walked};
use crate::diagnostic::{Diagnostic, Severity};
use crate::entry::Kind;
use crate::language;

pub(super) fn check(walked: &Walked) -> Vec<Diagnostic> {
    let calls = walked.calls.iter().filter_map(|call| of_call(walked, call));
    let properties = walked
        .properties
        .iter()
        .filter(|property| !language::members_of(property.object).any(|member| member == property.name));
    let properties = properties.map(|property| Diagnostic {
        severity: Severity::Error,
        at: position(&walked.file, property.at),
        length: property.name.chars().count(),
        message: format!(
            "unknown property `{}` of {}{}",
            property.name,
            property.object,
            nearest::question(&property.name, language::members_of(property.object))
        ),
        hints: Vec::new(),
    });
    let states = walked.states.iter().filter_map(|state| of_state(walked, state));
    calls.chain(properties).chain(states).collect()
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

fn of_call(walked: &Walked, call: &Called) -> Option<Diagnostic> {
    let name = call.name.as_str();
    let error = |message: String, hints: Vec<String>| {
        Some(Diagnostic {
            severity: Severity::Error,
            at: position(&walked.file, call.at),
            length: name.chars().count(),
            message,
            hints,
        })
    };
    if let Some(variable) = &call.races {
        let message =
            format!("{variable} is used inside a closure that is handed to a method of {variable} itself");
        let hint = format!(
            "call the method as a function, {name}({variable}, …) instead of {variable}.{name}(…), or take what the \
             closure needs into a variable of its own first"
        );
        return error(message, vec![hint]);
    }
    let given = call.arguments.len() + usize::from(call.is_method);
    let takes: BTreeSet<usize> = language::entries()
        .iter()
        .filter(|entry| entry.kind == Kind::Function && entry.name == name)
        .map(|entry| entry.parameters.len())
        .collect();
    if walked.functions.has(name) {
        let fits = walked.functions.takes(name, call.arguments.len())
            || takes.contains(&given)
            || language::is_builtin(name)
            || (call.is_method && walked.keys.contains(name));
        let hints = walked.functions.signatures(name).into_iter();
        let hints = hints.map(|signature| format!("it is {signature}"));
        return if fits {
            None
        } else {
            error(wrong_count(name, call.arguments.len()), hints.collect())
        };
    }
    if let Some(object) = call.object
        && !language::members_of(object).any(|member| member == name)
        && !language::is_builtin(name)
    {
        let what = if object == "Assertion" {
            "matcher"
        } else {
            "method"
        };
        let near = nearest::question(name, language::members_of(object));
        return error(format!("unknown {what} `{name}` of {object}{near}"), Vec::new());
    }
    let known = !takes.is_empty() || language::is_builtin(name);
    if !known {
        // A closure in a map is called like a method.
        if call.is_method && walked.keys.contains(name) {
            return None;
        }
        let mut names: Vec<&str> = walked.functions.names().collect();
        for known in language::function_names() {
            names.push(known);
        }
        let near = nearest::question(name, names);
        return error(format!("unknown function `{name}`{near}"), Vec::new());
    }
    if language::is_builtin(name) || takes.contains(&given) {
        return None;
    }
    let hints = language::signatures(name)
        .iter()
        .map(|signature| format!("it is {signature}"))
        .collect();
    error(wrong_count(name, call.arguments.len()), hints)
}
