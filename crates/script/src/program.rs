//! A file of scenarios, or one that is itself a scenario, as the runner sees it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use callwright_scenario::suite::{Attempt, Loaded, Program, Registration, Suite};
use callwright_scenario::{Fault, Position, Scene, Settings, context};
use rhai::{AST, Dynamic};

use crate::api::{Collected, Collector, refuse_unmatched};
use crate::closure::{Closure, Copier};
use crate::diagnostic::{Diagnostic, Severity};
use crate::fault::from_error;
use crate::{language, reach, source};

/// Loads a scenario file: compiled and checked, not run. Whatever is certainly wrong with it is found here, before any
/// agent starts; warnings are left to [`check`](crate::check).
pub fn load(path: &Path, settings: &Settings) -> Loaded {
    let errors: Vec<Diagnostic> = crate::check(path, settings)
        .into_iter()
        .filter(|diagnostic| diagnostic.severity == Severity::Error)
        .collect();
    let loaded = match errors.split_first() {
        Some((first, others)) => Err(fault_of(first, others)),
        None => compile(path),
    };
    loaded.map_or_else(
        |fault| Err((path.to_owned(), fault)),
        |script| Ok(Arc::new(script) as _),
    )
}

/// The first error; the others are hints.
fn fault_of(first: &Diagnostic, others: &[Diagnostic]) -> Fault {
    let mut fault = Fault::script(&first.message).at(&first.at);
    for hint in &first.hints {
        fault = fault.hint(hint);
    }
    for other in others {
        fault = fault.hint(format!("{}: {}", other.at, other.message));
    }
    fault
}

/// True for a file that neither registers scenarios nor makes agents: something to be imported. A file that cannot be
/// read or compiled is none, so that its error is shown.
pub fn is_library(path: &Path) -> bool {
    let compiled = source(path)
        .ok()
        .and_then(|text| language::engine().compile(text).ok());
    compiled.is_some_and(|ast| {
        let calls = reach::calls(path, &ast);
        !registers(&calls) && !calls.contains("agent")
    })
}

fn registers(calls: &BTreeSet<String>) -> bool {
    calls.contains("scenario") || calls.contains("scenario_each")
}

/// Functions that prepare something or note it: of these alone no scenario is made.
const IDLE: [&str; 16] = [
    "default_timeout",
    "describe",
    "env",
    "file",
    "json_response",
    "load_env",
    "log",
    "noise",
    "regex",
    "silent",
    "skip",
    "text_response",
    "tone",
    "tones",
    "uuid",
    "value",
];

/// Whether a call does something or asserts it. What Rhai itself has a function of the name for, as `contains`, may mean
/// that one.
fn acts(call: &str) -> bool {
    !language::signatures(call).is_empty() && !language::is_builtin(call) && !IDLE.contains(&call)
}

/// Whether a file that makes this call is worth to be run when somebody names it.
fn is_worth(call: &str) -> bool {
    acts(call) || ["debug", "log", "print", "skip", "sleep", "throw"].contains(&call)
}

fn compile(path: &Path) -> Result<Script, Fault> {
    let name = path.display().to_string();
    let text = source(path).map_err(|error| error.fault())?;
    let mut ast = language::engine().compile(&text).map_err(|error| {
        Fault::script(format!("syntax error: {}", error.0)).at(&crate::check::position(&name, error.1))
    })?;
    ast.set_source(name.as_str());
    let calls = reach::calls(path, &ast);
    if !calls.iter().any(|call| is_worth(call)) {
        let fault = "this file does nothing: it calls neither `scenario` nor `agent`, and asserts nothing";
        return Err(Fault::script(fault)
            .hint("a library runs as a part of the scenarios that import it")
            .at(&Position::new(&*name, 1, 1)));
    }
    let is_suite = registers(&calls);
    Ok(Script {
        path: path.to_owned(),
        ast,
        is_suite,
    })
}

struct Script {
    path: PathBuf,
    ast: AST,
    is_suite: bool,
}

impl Script {
    fn evaluate(&self, scene: &Scene) -> Result<(), Fault> {
        language::evaluate(&self.ast)
            .map(|_| ())
            .map_err(|error| from_error(&error, scene))
    }
}

impl Program for Script {
    fn path(&self) -> &Path {
        &self.path
    }

    fn is_suite(&self) -> bool {
        self.is_suite
    }

    fn open(&self, scene: &Arc<Scene>) -> Result<Arc<dyn Suite>, Fault> {
        let collector = Collector::open();
        self.evaluate(scene)?;
        Ok(Arc::new(Registered(collector.close())))
    }

    fn run(&self, scene: &Arc<Scene>) -> Result<(), Fault> {
        self.evaluate(scene)
    }
}

struct Registered(Collected);

impl Suite for Registered {
    fn registrations(&self) -> &[Registration] {
        &self.0.registrations
    }

    fn setup_file(&self, scene: &Arc<Scene>) -> Result<(), Fault> {
        call(self.0.setup_file.as_ref(), &[], scene).map(|_| ())
    }

    fn teardown_file(&self, scene: &Arc<Scene>) -> Result<(), Fault> {
        call(self.0.teardown_file.as_ref(), &[], scene).map(|_| ())
    }

    fn attempt(&self, scenario: usize) -> Box<dyn Attempt> {
        // One copier for all three: what setup changes, the scenario and teardown see, and nobody else.
        let mut copier = Copier::default();
        let mut copy = |closure: &Option<Closure>| closure.as_ref().map(|closure| closure.copy(&mut copier));
        let setup = copy(&self.0.setup);
        let teardown = copy(&self.0.teardown);
        let (body, row) = match self.0.bodies.get(scenario) {
            Some((body, row)) => (
                Some(body.copy(&mut copier)),
                row.as_ref().map(|row| copier.value(row)),
            ),
            None => (None, None),
        };
        Box::new(Trial {
            setup,
            body,
            teardown,
            row,
            handed: Dynamic::UNIT,
        })
    }
}

struct Trial {
    setup: Option<Closure>,
    body: Option<Closure>,
    teardown: Option<Closure>,
    row: Option<Dynamic>,
    /// What setup returned.
    handed: Dynamic,
}

impl Trial {
    fn scene() -> Result<Arc<Scene>, Fault> {
        context::scene().ok_or_else(|| Fault::script("a scenario ran without a scene"))
    }
}

impl Attempt for Trial {
    fn setup(&mut self) -> Result<(), Fault> {
        self.handed = call(self.setup.as_ref(), &[], &*Trial::scene()?)?;
        Ok(())
    }

    fn body(&mut self) -> Result<(), Fault> {
        let mut arguments = vec![self.handed.clone()];
        arguments.extend(self.row.clone());
        call(self.body.as_ref(), &arguments, &*Trial::scene()?).map(|_| ())
    }

    fn teardown(&mut self) -> Result<(), Fault> {
        call(
            self.teardown.as_ref(),
            std::slice::from_ref(&self.handed),
            &*Trial::scene()?,
        )
        .map(|_| ())
    }
}

fn call(closure: Option<&Closure>, arguments: &[Dynamic], scene: &Scene) -> Result<Dynamic, Fault> {
    closure.map_or(Ok(Dynamic::UNIT), |closure| {
        let value = closure
            .call(language::engine(), arguments)
            .map_err(|error| from_error(&error, scene))?;
        refuse_unmatched(&value).map_err(|fault| fault.at(&closure.at(scene)))?;
        Ok(value)
    })
}
