//! Suites: which scenarios run, in which order, and what becomes of them.
//!
//! A front end loads files as [`Program`]s. The runner evaluates the top level of each suite (that registers its
//! scenarios), selects over the whole run, and runs each attempt of a scenario in a scene of its own. Agents and mock
//! servers of the top level are there while the scenarios of their file run: where there are several files they are
//! ended after the selection, and the top level is evaluated again when the file begins. What it reported the first
//! time is dropped then.

mod attempt;
mod order;
mod plan;
mod runner;
mod selection;
mod simulated;
mod totals;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::{Fault, Position, Scene};

pub use plan::Only;
pub use runner::{Listed, Options, Plan, list, run};
pub use selection::{NamePattern, PatternError, Selection, Shard, ShardError};
pub use simulated::{Replay, Simulation, Simulator};

/// A scenario as a file registered it.
#[derive(Clone, Debug)]
pub struct Registration {
    /// Its name, the only one in its file.
    pub name: String,
    /// Its tags.
    pub tags: Vec<String>,
    /// Not to be run, maybe with a reason.
    pub skip: Option<Option<String>>,
    /// Only this one, and others that say so.
    pub only: bool,
    /// How long it may take.
    pub timeout: Option<Duration>,
    /// How often it is tried again.
    pub retries: Option<u32>,
    /// It is known to fail, and why.
    pub expect_fail: Option<String>,
    /// Where it is registered.
    pub at: Position,
}

/// A file of scenarios, or one that is itself a scenario.
pub trait Program: Send + Sync {
    /// The file, as the user named it.
    fn path(&self) -> &Path;

    /// Whether it registers scenarios; else it is itself one.
    fn is_suite(&self) -> bool;

    /// Evaluates the top level of a suite: what it registers.
    ///
    /// # Errors
    /// What the script says.
    fn open(&self, scene: &Arc<Scene>) -> Result<Arc<dyn Suite>, Fault>;

    /// Runs a file that is itself one scenario.
    ///
    /// # Errors
    /// What failed.
    fn run(&self, scene: &Arc<Scene>) -> Result<(), Fault>;
}

/// The scenarios of a file, once its top level was evaluated.
pub trait Suite: Send + Sync {
    /// In the order of their registration.
    fn registrations(&self) -> &[Registration];

    /// Runs `setup_file`, if there is one.
    ///
    /// # Errors
    /// What failed.
    fn setup_file(&self, scene: &Arc<Scene>) -> Result<(), Fault>;

    /// Runs `teardown_file`, if there is one.
    ///
    /// # Errors
    /// What failed.
    fn teardown_file(&self, scene: &Arc<Scene>) -> Result<(), Fault>;

    /// A fresh attempt of a scenario, with variables of its own.
    fn attempt(&self, scenario: usize) -> Box<dyn Attempt>;
}

/// One attempt of a scenario. The parts are called in this order, in the context of its scene.
pub trait Attempt: Send {
    /// Before it.
    ///
    /// # Errors
    /// What failed; the body is not run then.
    fn setup(&mut self) -> Result<(), Fault>;

    /// The scenario.
    ///
    /// # Errors
    /// What failed.
    fn body(&mut self) -> Result<(), Fault>;

    /// After it, whatever happened, unless setup skipped it; gets what setup returned, or nothing when it failed.
    ///
    /// # Errors
    /// What failed.
    fn teardown(&mut self) -> Result<(), Fault>;
}

/// A file that was given: a program, or why it is none.
pub type Loaded = Result<Arc<dyn Program>, (PathBuf, Fault)>;
