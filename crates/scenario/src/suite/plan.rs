//! The plan of a run: its files, what is selected of them, and the steps in order.

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use callwright_events::Failure;

use super::attempt;
use super::order::{Early, SlotSink};
use super::{Loaded, Options, Program, Registration, Suite};
use crate::context::Context;
use crate::environment::Environment;
use crate::{Agent, Fault, Position, Run, Scene};

/// A file of the run.
pub(super) struct File {
    pub(super) path: PathBuf,
    program: Option<Arc<dyn Program>>,
    registrations: Vec<Registration>,
    /// What its top level holds and no other file can have at the same time.
    holds: BTreeSet<String>,
    opened: Mutex<Opened>,
    /// The scenarios to be run, by their index; of a file that is itself one, 0.
    pub(super) selected: Vec<usize>,
}

/// What the evaluation of a file's top level left.
#[derive(Clone)]
pub(super) struct Opened {
    pub(super) scene: Arc<Scene>,
    pub(super) early: Arc<Early>,
    pub(super) content: Content,
    /// What it held was given back: it is evaluated again before anything of it runs.
    returned: bool,
}

#[derive(Clone)]
pub(super) enum Content {
    Broken(Broken),
    Single(Arc<dyn Program>),
    Suite(Arc<dyn Suite>),
}

/// Why nothing of a file can run.
#[derive(Clone)]
pub(super) struct Broken {
    pub(super) fault: Fault,
    /// Its story, taken down before the agents of the top level ended.
    pub(super) failure: Box<Failure>,
}

impl File {
    /// Loads what a file registers. `alone` is true for the only file of a run, which may keep what its top level took.
    /// Others give it back: files that run one after the other may use the same accounts and ports.
    pub(super) fn open(run: &Arc<Run>, loaded: Loaded, alone: bool) -> File {
        let path = match &loaded {
            Ok(program) => program.path().to_owned(),
            Err((path, _)) => path.clone(),
        };
        let loaded = loaded.and_then(|program| match Environment::of_file(&path).error() {
            Some(error) => Err((path.clone(), Fault::environment(error.to_string()))),
            None => Ok(program),
        });
        let (program, mut opened) = match loaded {
            Ok(program) => (Some(Arc::clone(&program)), Opened::new(run, &path, program)),
            Err((_, fault)) => (None, Opened::broken(run, &path, fault)),
        };
        let holds = opened.scene.holds();
        if !alone && !holds.is_empty() {
            opened.give_back();
        }
        let registrations = match &opened.content {
            Content::Suite(suite) => suite.registrations().to_vec(),
            Content::Broken(_) | Content::Single(_) => Vec::new(),
        };
        File {
            path,
            program,
            registrations,
            holds,
            opened: Mutex::new(opened),
            selected: Vec::new(),
        }
    }

    /// What is evaluated for it; none where it could not be loaded.
    pub(super) fn program(&self) -> Option<&Arc<dyn Program>> {
        self.program.as_ref()
    }

    /// Gives back what its top level holds, where it still holds anything.
    pub(super) fn release(&self) {
        let mut opened = self.opened();
        if !opened.returned && !opened.scene.holds().is_empty() {
            opened.give_back();
            *self.opened.lock().unwrap_or_else(PoisonError::into_inner) = opened;
        }
    }

    pub(super) fn registrations(&self) -> &[Registration] {
        &self.registrations
    }

    /// The file as it is open now.
    pub(super) fn opened(&self) -> Opened {
        self.opened.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn is_broken(&self) -> bool {
        matches!(self.opened().content, Content::Broken(_))
    }

    /// Whether both cannot be open at the same time.
    pub(super) fn excludes(&self, other: &File) -> bool {
        !self.holds.is_disjoint(&other.holds)
    }

    /// Opens the file for its scenarios, which reports to `sink`: what its first evaluation reported, or what the second
    /// one does where the first could not last.
    pub(super) fn begin(&self, run: &Arc<Run>, sink: &Arc<SlotSink>) -> Opened {
        let mut opened = self.opened();
        if let Some(program) = self.program.as_ref().filter(|_| opened.returned) {
            let (scene, early) = Opened::scene(run, &self.path);
            early.go_on(Arc::clone(sink));
            let content = self.same(Opened::evaluate(&scene, Arc::clone(program)));
            opened = Opened {
                scene,
                early,
                content,
                returned: false,
            };
            *self.opened.lock().unwrap_or_else(PoisonError::into_inner) = opened.clone();
        } else {
            opened.early.go_on(Arc::clone(sink));
        }
        opened
    }

    /// The scenarios were selected by what the first evaluation registered: the second one must register the same.
    fn same(&self, content: Content) -> Content {
        let Content::Suite(suite) = &content else {
            return content;
        };
        let names = |list: &[Registration]| list.iter().map(|one| one.name.clone()).collect::<Vec<_>>();
        if names(suite.registrations()) == names(&self.registrations) {
            return content;
        }
        let fault = Fault::script("the top level registers other scenarios each time it is evaluated").hint(
            "the names of scenarios must not depend on chance, on the time, or on what other files did before",
        );
        Content::broken(&self.opened().scene, fault)
    }
}

impl Content {
    fn broken(scene: &Scene, fault: Fault) -> Content {
        let failure = Box::new(attempt::failure(scene, &fault));
        Content::Broken(Broken { fault, failure })
    }
}

impl Opened {
    fn new(run: &Arc<Run>, path: &Path, program: Arc<dyn Program>) -> Opened {
        let (scene, early) = Opened::scene(run, path);
        let content = Opened::evaluate(&scene, program);
        Opened {
            scene,
            early,
            content,
            returned: false,
        }
    }

    fn broken(run: &Arc<Run>, path: &Path, fault: Fault) -> Opened {
        let (scene, early) = Opened::scene(run, path);
        let content = Content::broken(&scene, fault);
        Opened {
            scene,
            early,
            content,
            returned: false,
        }
    }

    fn scene(run: &Arc<Run>, path: &Path) -> (Arc<Scene>, Arc<Early>) {
        let early = Arc::new(Early::default());
        let scene = Scene::of_file(run, Arc::clone(&early) as _, path, None, 0);
        (scene, early)
    }

    fn evaluate(scene: &Arc<Scene>, program: Arc<dyn Program>) -> Content {
        if !program.is_suite() {
            return Content::Single(program);
        }
        let _entered = Context::new(scene).enter();
        match program.open(scene) {
            Ok(suite) => Content::Suite(suite),
            Err(fault) => Content::broken(scene, fault.outside_scenarios()),
        }
    }

    /// Ends its agents and mock servers. What they recorded is of no use to anybody.
    pub(super) fn give_back(&mut self) {
        let recordings: Vec<PathBuf> = self
            .scene
            .own_agents()
            .iter()
            .flat_map(Agent::recordings)
            .collect();
        self.scene.end();
        for file in recordings {
            let _ = std::fs::remove_file(file);
        }
        // A broken file is not tried again: what it reported stays.
        self.returned = matches!(self.content, Content::Suite(_));
    }
}

/// What there is to say about a selection.
pub(super) struct Selected {
    /// When `only` left some out.
    pub(super) only: Option<Only>,
    /// How many there were before they were divided among machines.
    pub(super) before_sharding: usize,
}

/// Selects scenarios over the whole run.
pub(super) fn select(files: &mut [File], options: &Options) -> Selected {
    let passes = |registration: &Registration| options.selection.passes(registration);
    let only = files
        .iter()
        .flat_map(File::registrations)
        .find(|registration| registration.only && passes(registration))
        .map(|registration| registration.at.clone());
    let mut position = 0;
    let mut mine = || {
        position += 1;
        options.shard.is_none_or(|shard| shard.has(position - 1))
    };
    let mut singles = 0;
    for file in files {
        let mut selected = Vec::new();
        match file.opened().content {
            Content::Broken(_) => {}
            Content::Single(_) => {
                singles += 1;
                selected.extend(mine().then_some(0));
            }
            Content::Suite(_) => {
                for (index, registration) in file.registrations().iter().enumerate() {
                    if passes(registration) && (registration.only || only.is_none()) && mine() {
                        selected.push(index);
                    }
                }
            }
        }
        file.selected = selected.repeat(options.repeat.max(1));
    }
    Selected {
        only: only.map(|at| Only { at, singles }),
        before_sharding: position,
    }
}

/// Some scenarios say `only`.
#[derive(Debug)]
pub struct Only {
    /// The first of them.
    pub at: Position,
    /// Files that are themselves one scenario: they run nevertheless.
    singles: usize,
}

impl fmt::Display for Only {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("some scenarios say `only`: all others that are registered are left out")?;
        match self.singles {
            0 => Ok(()),
            _ => f.write_str("; files that are themselves one scenario run nevertheless"),
        }
    }
}

/// A step of the plan.
#[derive(Clone, Copy, Debug)]
pub(super) enum Slot {
    Begin { file: usize },
    Scenario { file: usize, index: usize },
    End { file: usize },
}

pub(super) fn slots(files: &[File]) -> Vec<Slot> {
    let mut slots = Vec::new();
    for (file, content) in files.iter().enumerate() {
        if content.selected.is_empty() && !content.is_broken() {
            continue;
        }
        slots.push(Slot::Begin { file });
        slots.extend(
            content
                .selected
                .iter()
                .map(|index| Slot::Scenario { file, index: *index }),
        );
        slots.push(Slot::End { file });
    }
    slots
}

impl Slot {
    pub(super) fn file(&self) -> usize {
        match self {
            Slot::Begin { file } | Slot::Scenario { file, .. } | Slot::End { file } => *file,
        }
    }
}
