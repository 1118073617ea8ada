//! Everything that can be known about a script without a call.
//!
//! An error is certain: a run would fail, whatever the world does. What may be right is a warning, or nothing.

mod arguments;
mod functions;
mod names;
mod unmatched;
mod variables;
mod walk;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use callwright_scenario::environment::{EnvFile, EnvFileError, Environment};
use callwright_scenario::{Position, Settings};
use rhai::AST;

use crate::diagnostic::{Diagnostic, Severity};
use crate::{imports, language, reach, source};

use names::Known;
use walk::Walked;

/// Checks a script and the modules that it imports: syntax, unknown functions, methods, variables, keys and options with
/// the nearest right one, wrong numbers of arguments, literals that cannot be used, missing files, unset variables.
pub fn check(path: &Path, settings: &Settings) -> Vec<Diagnostic> {
    let mut checker = Checker {
        scenario: path,
        settings,
        environment: Environment::of_file(path),
        files: Vec::new(),
        found: Vec::new(),
    };
    if let Some(error) = checker.environment.error() {
        checker.found.push(match error {
            EnvFileError::BadLine { path, line } => {
                let line = u32::try_from(*line).unwrap_or(0);
                let at = Position::new(path.display().to_string(), line, 1);
                Diagnostic::error(at, 0, "not KEY=VALUE".to_owned())
            }
            EnvFileError::Unreadable { path, .. } => {
                let at = Position::file(path.display().to_string());
                Diagnostic::error(at, 0, error.to_string())
            }
        });
    }
    checker.load(path);
    checker.check();
    let mut found = checker.found;
    found.sort_by(|a, b| (a.severity, &a.at).cmp(&(b.severity, &b.at)));
    found.dedup();
    found
}

/// Checks scripts that belong together. A module is checked as a part of what imports it, since its files and variables
/// are those of the scenario; alone only when nothing imports it. What several scenarios find in it is said once.
pub fn check_all(paths: &[PathBuf], settings: &Settings) -> Vec<Diagnostic> {
    let known = |path: &Path| std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let mut covered = BTreeSet::new();
    let mut imported = BTreeMap::new();
    for path in paths {
        let own = known(path);
        let others: BTreeSet<PathBuf> = reach::imported(path).iter().map(|file| known(file)).collect();
        covered.extend(others.iter().filter(|file| **file != own).cloned());
        imported.insert(own, others);
    }
    let is_root = |path: &Path| !covered.contains(&known(path)) || !crate::is_library(path);
    let (roots, rest): (Vec<&PathBuf>, Vec<&PathBuf>) = paths.iter().partition(|path| is_root(path));
    let mut done = BTreeSet::new();
    let mut seen = BTreeSet::new();
    let mut found = Vec::new();
    for path in roots.into_iter().chain(rest) {
        let own = known(path);
        // Of modules that import each other, and are imported by nothing else, the first is checked.
        let is_part = covered.contains(&own) && crate::is_library(path) && done.contains(&own);
        if !is_part {
            for diagnostic in check(path, settings) {
                let file = known(Path::new(&*diagnostic.at.file));
                let (line, column) = (diagnostic.at.line, diagnostic.at.column);
                if seen.insert((file, line, column, diagnostic.message.clone())) {
                    found.push(diagnostic);
                }
            }
            done.extend(imported.remove(&own).unwrap_or_default());
            done.insert(own);
        }
    }
    found
}

/// A file that compiles, and what stands in it.
struct File {
    path: PathBuf,
    name: String,
    text: String,
    ast: AST,
    walked: Walked,
}

struct Checker<'a> {
    scenario: &'a Path,
    settings: &'a Settings,
    environment: Environment,
    /// The scenario first.
    files: Vec<File>,
    found: Vec<Diagnostic>,
}

impl Checker<'_> {
    /// A file and those that it imports.
    fn load(&mut self, path: &Path) {
        if self.files.iter().any(|file| file.path == path) {
            return;
        }
        let text = match source(path) {
            Ok(text) => text,
            Err(error) => {
                self.found.push(error.diagnostic());
                return;
            }
        };
        let name = path.display().to_string();
        let ast = match language::engine().compile(&text) {
            Ok(ast) => ast,
            Err(error) => {
                let at = position(&name, error.1);
                self.found
                    .push(Diagnostic::error(at, 0, format!("syntax error: {}", error.0)));
                return;
            }
        };
        let mut walked = Walked::new(&name, &ast);
        walked.walk(&ast);
        let paths: Vec<String> = walked.imports.iter().map(|import| import.path.clone()).collect();
        self.files.push(File {
            path: path.to_owned(),
            name,
            text,
            ast,
            walked,
        });
        for import in paths {
            if let Some(file) = imports::find(Some(path), Some(self.scenario), &import) {
                self.load(&file);
            }
        }
    }

    fn check(&mut self) {
        let files = std::mem::take(&mut self.files);
        for (number, file) in files.iter().enumerate() {
            let known = Known::of(&files, number);
            let mut found = variables::unknown(file, self.settings);
            if number > 0 {
                // A function of a module may never be called here, and wait for a constant that another scenario sets.
                found
                    .iter_mut()
                    .for_each(|finding| finding.severity = Severity::Warning);
            }
            found.extend(names::check(&file.walked, &known));
            let mut arguments = arguments::Arguments {
                walked: &file.walked,
                known: &known,
                folder: self.scenario.parent().unwrap_or(Path::new("")),
                environment: &mut self.environment,
                settings: self.settings,
                found: Vec::new(),
            };
            arguments.check(&file.ast);
            found.append(&mut arguments.found);
            self.imports(file, &files, &mut found);
            for diagnostic in &mut found {
                // What fails there may be meant to.
                if file.walked.is_tried(&diagnostic.at) {
                    diagnostic.severity = Severity::Warning;
                }
            }
            found.extend(unmatched::assertions(file));
            self.found.append(&mut found);
        }
    }

    fn imports(&self, file: &File, files: &[File], found: &mut Vec<Diagnostic>) {
        for import in &file.walked.imports {
            match imports::find(Some(&file.path), Some(self.scenario), &import.path) {
                Some(path) => {
                    if let Some(module) = files.iter().find(|file| file.path == path) {
                        found.extend(names::of_module(&file.walked, import, &module.walked.functions));
                    }
                }
                None => {
                    let at = position(&file.name, import.at);
                    found.push(
                        Diagnostic::error(at, 0, format!("the module {:?} is not found", import.path))
                            .hint("it is looked for beside the importing file, then beside the scenario"),
                    );
                }
            }
        }
    }
}

/// A place in a file.
pub(crate) fn position(file: &str, position: rhai::Position) -> Position {
    let number = |number: Option<usize>| number.and_then(|number| u32::try_from(number).ok()).unwrap_or(0);
    Position::new(file, number(position.line()), number(position.position()))
}

/// A dotenv file that a script loads.
fn env_file(path: &Path) -> Result<EnvFile, String> {
    EnvFile::read(path).map_err(|error| error.to_string())
}
