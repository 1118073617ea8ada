//! `callwright check`.

use std::path::{Path, PathBuf};

use callwright_events::ExitCode;
use callwright_script::Severity;

use crate::arguments::Environment;
use crate::files;
use crate::project::Project;

use super::run::surroundings;
use super::write;

/// Says everything about scripts that can be known without a call. Warnings alone pass.
pub(super) fn check(paths: &[PathBuf], environment: &Environment) -> anyhow::Result<ExitCode> {
    let project = Project::find(paths)?.with_profile(environment.profile.as_deref())?;
    let settings = surroundings(environment, &project)?;
    let files = files::scripts(paths)?;
    let (mut errors, mut warnings) = (0, 0);
    for diagnostic in callwright_script::check_all(&files, &settings) {
        match diagnostic.severity {
            Severity::Error => errors += 1,
            Severity::Warning => warnings += 1,
        }
        // What is wrong in a module is shown in the module.
        let source = callwright_script::source(Path::new(&*diagnostic.at.file)).ok();
        write::line(&format!("{}\n", diagnostic.render(source.as_deref(), true)))?;
    }
    let count = |number: usize, what: &str| match number {
        1 => format!("1 {what}"),
        _ => format!("{number} {what}s"),
    };
    if files.is_empty() {
        write::line("no scripts were found\n")?;
        return Ok(ExitCode::Failed);
    }
    write::line(&format!(
        "{}: {}, {}\n",
        count(files.len(), "script"),
        count(errors, "error"),
        count(warnings, "warning")
    ))?;
    Ok(if errors > 0 {
        ExitCode::Failed
    } else {
        ExitCode::Passed
    })
}
