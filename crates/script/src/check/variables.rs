//! Variables that are nowhere defined.

use std::collections::BTreeSet;

use callwright_scenario::{Settings, nearest};
use rhai::{ParseErrorType, Scope};

use super::{File, position};
use crate::diagnostic::Diagnostic;
use crate::language;

/// How many are shown.
const LIMIT: usize = 100;

/// The variables and modules of a file that are nowhere defined, each where it is used first.
pub(super) fn unknown(file: &File, settings: &Settings) -> Vec<Diagnostic> {
    let mut scope = Scope::new();
    scope.push_constant("worker", 0_i64);
    for (key, value) in &settings.constants {
        scope.push_constant(key.as_str(), value.clone());
    }
    // `is_def_var("x")`: the script asks before it uses it.
    for name in &file.walked.asked {
        scope.push_constant(name.as_str(), ());
    }
    let mut modules = BTreeSet::new();
    let mut found = Vec::new();
    // The parser stops at the first one: it is defined, and the parser tries again.
    for _ in 0..LIMIT {
        let Err(error) = language::strict_engine(&modules).compile_with_scope(&scope, &file.text) else {
            break;
        };
        let at = position(&file.name, error.1);
        match *error.0 {
            ParseErrorType::VariableUndefined(name) => {
                let near = nearest::question(&name, words(&file.text, &name).iter().map(String::as_str));
                let message = format!("unknown variable `{name}`{near}");
                found.push(Diagnostic::error(at, name.chars().count(), message));
                scope.push_constant(name, ());
            }
            ParseErrorType::ModuleUndefined(name) => {
                // An import elsewhere in the file may be the one that is meant.
                if !file.walked.imports.iter().any(|import| import.alias == name) && !file.walked.is_open {
                    let near = nearest::question(
                        &name,
                        file.walked.imports.iter().map(|import| import.alias.as_str()),
                    );
                    let message = format!("unknown module `{name}`{near}");
                    found.push(Diagnostic::error(at, name.chars().count(), message));
                }
                if !modules.insert(name) {
                    break;
                }
            }
            _ => break,
        }
    }
    found
}

/// The words of a script that could be variables, for the nearest one.
fn words(text: &str, but: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !c.is_alphanumeric() && c != '_');
    words
        .filter(|word| !word.is_empty() && *word != but)
        .map(str::to_owned)
        .collect()
}
