//! The plan of a run: its files, what is selected of them, and the steps in order.

use std::path::PathBuf;
use std::sync::Arc;

use callwright_wire::Time;

use super::order::Early;
use super::{Loaded, Options, Program, Registration, Suite};
use crate::context::Context;
use crate::{Fault, Run, Scene};

/// A file of the run.
pub(super) struct File {
    pub(super) path: PathBuf,
    pub(super) scene: Arc<Scene>,
    pub(super) early: Arc<Early>,
    pub(super) started: Time,
    pub(super) content: Content,
    /// The scenarios to be run, by their index; of a file that is itself one, 0.
    pub(super) selected: Vec<usize>,
}

pub(super) enum Content {
    Broken(Fault),
    Single(Arc<dyn Program>),
    Suite(Arc<dyn Suite>),
}

impl File {
    /// Loads what a file registers.
    pub(super) fn open(run: &Arc<Run>, loaded: Loaded) -> File {
        let early = Arc::new(Early::default());
        let path = match &loaded {
            Ok(program) => program.path().to_owned(),
            Err((path, _)) => path.clone(),
        };
        let scene = Scene::of_file(run, Arc::clone(&early) as _, &path, None, 0);
        let content = match loaded {
            Err((_, fault)) => Content::Broken(fault),
            Ok(program) if !program.is_suite() => Content::Single(program),
            Ok(program) => {
                let _entered = Context::new(&scene).enter();
                match program.open(&scene) {
                    Ok(suite) => Content::Suite(suite),
                    Err(fault) => Content::Broken(fault.outside_scenarios()),
                }
            }
        };
        File {
            path,
            started: scene.started(),
            scene,
            early,
            content,
            selected: Vec::new(),
        }
    }

    pub(super) fn registrations(&self) -> &[Registration] {
        match &self.content {
            Content::Suite(suite) => suite.registrations(),
            Content::Broken(_) | Content::Single(_) => &[],
        }
    }
}

/// Selects scenarios over the whole run; true when `only` left some out.
pub(super) fn select(files: &mut [File], options: &Options) -> bool {
    let passes = |registration: &Registration| options.selection.passes(registration);
    let only = files
        .iter()
        .flat_map(File::registrations)
        .any(|registration| registration.only && passes(registration));
    let mut position = 0;
    let mut mine = || {
        position += 1;
        options.shard.is_none_or(|shard| shard.has(position - 1))
    };
    for file in files {
        let mut selected = Vec::new();
        match &file.content {
            Content::Broken(_) => {}
            Content::Single(_) => selected.extend(mine().then_some(0)),
            Content::Suite(suite) => {
                for (index, registration) in suite.registrations().iter().enumerate() {
                    if passes(registration) && (registration.only || !only) && mine() {
                        selected.push(index);
                    }
                }
            }
        }
        file.selected = selected.repeat(options.repeat.max(1));
    }
    only
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
        if content.selected.is_empty() && !matches!(content.content, Content::Broken(_)) {
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
