//! What the capture of a run shows.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use callwright_capture::analysis::{Analysis, AnalysisConfig, analyze};

/// Reads it.
pub(crate) fn analysis(path: &Path) -> Result<Analysis, String> {
    let shown = path.display();
    let file = File::open(path).map_err(|error| format!("{shown}: {error}"))?;
    let config = AnalysisConfig::default();
    analyze(BufReader::new(file), config).map_err(|error| format!("{shown}: {error}"))
}
