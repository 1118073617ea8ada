//! Names: functions, methods, properties, and numbers of arguments.

use std::collections::BTreeSet;

use callwright_scenario::nearest;

use super::position;
use super::walk::{Called, Walked};
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
    calls.chain(properties).collect()
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
    if walked.functions.contains(name) {
        return None;
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
    let counts: BTreeSet<usize> = language::entries()
        .iter()
        .filter(|entry| entry.kind == Kind::Function && entry.name == name)
        .map(|entry| entry.parameters.len())
        .collect();
    let known = !counts.is_empty() || language::is_builtin(name);
    if !known {
        // A closure in a map is called like a method.
        if call.is_method && walked.keys.contains(name) {
            return None;
        }
        let own = walked
            .functions
            .iter()
            .map(String::as_str)
            .filter(|name| !name.starts_with("anon$"));
        let mut names: Vec<&str> = own.collect();
        for known in language::function_names() {
            names.push(known);
        }
        let near = nearest::question(name, names);
        return error(format!("unknown function `{name}`{near}"), Vec::new());
    }
    let given = call.arguments.len() + usize::from(call.is_method);
    if language::is_builtin(name) || counts.contains(&given) {
        return None;
    }
    let hints = language::signatures(name)
        .iter()
        .map(|signature| format!("it is {signature}"))
        .collect();
    error(
        format!(
            "`{name}` cannot be called with {} arguments",
            call.arguments.len()
        ),
        hints,
    )
}
