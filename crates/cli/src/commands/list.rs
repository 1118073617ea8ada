//! `callwright list`.

use std::path::PathBuf;
use std::sync::Arc;

use callwright_events::ExitCode;
use callwright_scenario::real::{RealConfig, RealWorld};
use callwright_scenario::suite::{self, Options, Plan, Registration};
use callwright_scenario::{Causes, Run, World};

use crate::arguments::{Environment, Selection};
use crate::files;
use crate::project::Project;

use super::run::{selection, shard, surroundings};
use super::write;

/// Lists the scenarios that would run.
pub(super) fn list(
    paths: &[PathBuf],
    chosen: &Selection,
    environment: &Environment,
) -> anyhow::Result<ExitCode> {
    let plan = plan(paths, Some(chosen), environment)?;
    let mut text = String::new();
    let mut shown = None;
    for listed in &plan.scenarios {
        if shown != Some(&listed.path) {
            text += &format!("{}\n", listed.path.display());
            shown = Some(&listed.path);
        }
        let Some(scenario) = &listed.scenario else {
            continue;
        };
        let tags = if scenario.tags.is_empty() {
            String::new()
        } else {
            format!("  [{}]", scenario.tags.join(", "))
        };
        let skip = match &scenario.skip {
            Some(Some(reason)) => format!("  (skipped: {reason})"),
            Some(None) => "  (skipped)".to_owned(),
            None => String::new(),
        };
        text += &format!("  {}{tags}{skip}\n", scenario.name);
    }
    write::line(&text)?;
    if let Some(only) = &plan.only {
        anstream::eprintln!("warning: {only}");
    }
    for (path, fault) in &plan.broken {
        match &fault.parts().at {
            Some(at) => anstream::eprintln!("{at}: {fault}"),
            None => anstream::eprintln!("{}: {fault}", path.display()),
        }
    }
    let failed = !plan.broken.is_empty() || plan.scenarios.is_empty();
    if plan.scenarios.is_empty() && plan.broken.is_empty() {
        anstream::eprintln!("no scenario was selected");
    }
    Ok(if failed {
        ExitCode::Failed
    } else {
        ExitCode::Passed
    })
}

/// What files register, for completion: nothing when something is wrong with them.
pub(crate) fn registered(paths: &[PathBuf]) -> Vec<Registration> {
    let plan = plan(paths, None, &Environment::default());
    let scenarios = plan.map(|plan| plan.scenarios).unwrap_or_default();
    scenarios
        .into_iter()
        .filter_map(|listed| listed.scenario)
        .collect()
}

/// What would run; without a selection, everything that is registered.
fn plan(paths: &[PathBuf], chosen: Option<&Selection>, environment: &Environment) -> anyhow::Result<Plan> {
    let project = Project::find(paths)?.with_profile(environment.profile.as_deref())?;
    let settings = surroundings(environment, &project)?;
    let programs = files::scenarios(paths)?
        .iter()
        .map(|file| callwright_script::load(file, &settings))
        .collect();
    let world = RealWorld::start(RealConfig::default())?;
    let run = Run::new(world as Arc<dyn World>, settings, Arc::new(Causes::default()));
    let options = match chosen {
        Some(chosen) => Options {
            selection: selection(chosen, &project.run)?,
            shard: shard(chosen, &project.run)?,
            ..Options::default()
        },
        None => Options::default(),
    };
    Ok(suite::list(&run, programs, &options))
}
