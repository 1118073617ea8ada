//! Everything that can be known about a script without a call.

mod arguments;
mod functions;
mod names;
mod walk;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use callwright_scenario::environment::{EnvFile, Environment};
use callwright_scenario::{Position, Settings};
use rhai::Scope;

use crate::diagnostic::{Diagnostic, Severity};
use crate::{imports, language, source};

/// Checks a script and the modules that it imports: syntax, unknown functions, methods, variables, keys and options with
/// the nearest right one, wrong numbers of arguments, literals that cannot be used, missing files, unset variables.
pub fn check(path: &Path, settings: &Settings) -> Vec<Diagnostic> {
    match source(path) {
        Err(error) => vec![error.diagnostic()],
        Ok(text) => {
            let mut checker = Checker::new(path, settings);
            checker.file(path, &text);
            checker.found
        }
    }
}

struct Checker<'a> {
    scenario: &'a Path,
    settings: &'a Settings,
    environment: Environment,
    checked: BTreeSet<PathBuf>,
    found: Vec<Diagnostic>,
}

impl<'a> Checker<'a> {
    fn new(scenario: &'a Path, settings: &'a Settings) -> Self {
        Checker {
            scenario,
            settings,
            environment: Environment::of_file(scenario),
            checked: BTreeSet::new(),
            found: Vec::new(),
        }
    }

    fn file(&mut self, path: &Path, text: &str) {
        if !self.checked.insert(path.to_owned()) {
            return;
        }
        let name = path.display().to_string();
        let ast = match language::engine().compile(text) {
            Ok(ast) => ast,
            Err(error) => {
                let at = position(&name, error.1);
                self.found.push(syntax(&at, &error.0.to_string()));
                return;
            }
        };
        self.variables(&name, text);
        let mut walked = walk::Walked::new(&name, &ast);
        walked.walk(&ast);
        self.found.extend(names::check(&walked));
        let mut arguments = arguments::Arguments {
            walked: &walked,
            folder: self.scenario.parent().unwrap_or(Path::new("")),
            environment: &mut self.environment,
            settings: self.settings,
            found: Vec::new(),
        };
        arguments.check();
        self.found.append(&mut arguments.found);
        self.imports(path, &name, &walked);
        self.found
            .sort_by(|a, b| (a.severity, &a.at).cmp(&(b.severity, &b.at)));
    }

    /// A variable that is nowhere defined.
    fn variables(&mut self, name: &str, text: &str) {
        let mut scope = Scope::new();
        scope.push_constant("worker", 0_i64);
        for (key, value) in &self.settings.constants {
            scope.push_constant(key.as_str(), value.clone());
        }
        if let Err(error) = language::strict_engine().compile_with_scope(&scope, text)
            && let rhai::ParseErrorType::VariableUndefined(variable) = &*error.0
        {
            let near = callwright_scenario::nearest::question(
                variable,
                defined(text, variable).iter().map(String::as_str),
            );
            self.found.push(Diagnostic {
                severity: Severity::Error,
                at: position(name, error.1),
                length: variable.chars().count(),
                message: format!("unknown variable `{variable}`{near}"),
                hints: Vec::new(),
            });
        }
    }

    fn imports(&mut self, path: &Path, name: &str, walked: &walk::Walked) {
        for import in &walked.imports {
            match imports::find(Some(path), Some(self.scenario), &import.path) {
                Some(file) => {
                    if let Ok(text) = source(&file) {
                        self.file(&file, &text);
                        if let Ok(module) = language::engine().compile(&text) {
                            let functions = functions::Functions::of(&module);
                            self.found.extend(names::of_module(walked, import, &functions));
                        }
                    }
                }
                None => self.found.push(Diagnostic {
                    severity: Severity::Error,
                    at: position(name, import.at),
                    length: 0,
                    message: format!("the module {:?} is not found", import.path),
                    hints: vec![
                        "it is looked for beside the importing file, then beside the scenario".to_owned(),
                    ],
                }),
            }
        }
    }
}

/// A fault of the parser.
pub(crate) fn syntax(at: &Position, error: &str) -> Diagnostic {
    Diagnostic {
        severity: Severity::Error,
        at: at.clone(),
        length: 0,
        message: format!("syntax error: {error}"),
        hints: Vec::new(),
    }
}

/// A place in a file.
pub(crate) fn position(file: &str, position: rhai::Position) -> Position {
    let number = |number: Option<usize>| number.and_then(|number| u32::try_from(number).ok()).unwrap_or(0);
    Position::new(file, number(position.line()), number(position.position()))
}

/// The words of a script that could be variables, for the nearest one.
fn defined(text: &str, but: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !c.is_alphanumeric() && c != '_');
    words
        .filter(|word| !word.is_empty() && *word != but)
        .map(str::to_owned)
        .collect()
}

/// A dotenv file that a script loads.
fn env_file(path: &Path) -> Result<EnvFile, String> {
    EnvFile::read(path).map_err(|error| error.to_string())
}
