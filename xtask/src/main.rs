//! `cargo xtask COMMAND`: see `USAGE`.

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use xtask::image::Image;
use xtask::{ci, layers, tidy};

const USAGE: &str = "\
cargo xtask COMMAND

  layers            each crate's dependencies agree with the table in ARCHITECTURE.md
  tidy              the fast checks that no compiler makes
  image [--export]  build the static binary and the image around it, and start it once;
                    --export also writes target/image/callwright.tar for `docker load`
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
        ["image"] => image(root, false),
        ["image", "--export"] => image(root, true),
        ["ci"] => ci::run(root, ci::Install::Missing),
        ["ci", "--no-install"] => ci::run(root, ci::Install::Nothing),
        [] | ["help" | "--help" | "-h"] => {
            print!("{USAGE}");
            Ok(ExitCode::SUCCESS)
        }
        _ => bail!("no such command: {}\n\n{USAGE}", arguments.join(" ")),
    }
}

fn image(root: &Path, export: bool) -> Result<ExitCode> {
    let image = Image::new(root, &ci::target_folder(root));
    image.build(&image.build_binary()?)?;
    if export {
        println!("{}", image.export()?.display());
    }
    Ok(ExitCode::SUCCESS)
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
