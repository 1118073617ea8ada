//! `cargo xtask COMMAND`: see `USAGE`.

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use xtask::{ci, layers, tidy};

const USAGE: &str = "\
cargo xtask COMMAND

  layers            each crate's dependencies agree with the table in ARCHITECTURE.md
  tidy              the fast checks that no compiler makes
  ci [--no-install] every check and every test; installs the tools and peers that it misses
";

fn main() -> ExitCode {
    match run(std::env::args().skip(1).collect()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Vec<String>) -> Result<ExitCode> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .context("xtask lies in the workspace")?;
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["layers"] => Ok(report("layers", &layers::check(root)?)),
        ["tidy"] => Ok(report("tidy", &tidy::check(root)?)),
        ["ci"] => ci::run(root, ci::Install::Missing),
        ["ci", "--no-install"] => ci::run(root, ci::Install::Nothing),
        [] | ["help" | "--help" | "-h"] => {
            print!("{USAGE}");
            Ok(ExitCode::SUCCESS)
        }
        _ => bail!("no such command: {}\n\n{USAGE}", arguments.join(" ")),
    }
}

fn report(check: &str, findings: &[String]) -> ExitCode {
    for finding in findings {
        eprintln!("{check}: {finding}");
    }
    if findings.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
