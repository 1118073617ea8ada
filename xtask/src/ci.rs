//! Every check and every test, in one command that needs a Rust toolchain and Debian's packages.
//!
//! All steps build the workspace in one profile and with the same flags, so that nothing is compiled twice.

use std::cell::OnceCell;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::Instant;

use anyhow::{Context as _, Result, bail, ensure};

use crate::image::Image;
use crate::{layers, prerequisites, tidy};

/// Whether the command may install what it misses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Install {
    /// Packages of Debian by apt-get, tools of cargo into the target folder.
    Missing,
    /// Tests whose peer is missing are skipped, or fail where `CI` is `true`.
    Nothing,
}

/// What the steps work with.
struct Workshop {
    root: PathBuf,
    target: PathBuf,
    /// The binary as users get it, once it is built.
    binary: OnceCell<PathBuf>,
}

type Step = (&'static str, fn(&Workshop) -> Result<()>);

const STEPS: [Step; 9] = [
    ("fmt", |shop| shop.cargo(&["fmt", "--all", "--check"])),
    ("layers", |shop| no_findings(layers::check(&shop.root)?)),
    ("tidy", |shop| no_findings(tidy::check(&shop.root)?)),
    ("deny", |shop| {
        shop.cargo(&["deny", "check", "licenses", "bans", "sources"])
    }),
    ("clippy", |shop| {
        shop.cargo(&[
            "clippy",
            "--workspace",
            "--all-targets",
            "--locked",
            "--",
            "-D",
            "warnings",
        ])
    }),
    ("image", build_image),
    ("tests", |shop| {
        shop.cargo(&["nextest", "run", "--workspace", "--locked", "--no-fail-fast"])
    }),
    ("doc tests", |shop| {
        shop.cargo(&["test", "--doc", "--workspace", "--locked", "--quiet"])
    }),
    ("gates", count_instructions),
];

/// Runs all steps, also after one has failed, and ends with a line that counts them.
pub fn run(root: &Path, install: Install) -> Result<ExitCode> {
    let shop = Workshop {
        root: root.to_owned(),
        target: target_folder(root),
        binary: OnceCell::new(),
    };
    let began = Instant::now();
    if install == Install::Missing {
        shop.install_what_is_missing()?;
    }
    let mut summary = Vec::new();
    let mut failed = 0;
    for (name, step) in STEPS {
        println!("\n== {name}");
        let step_began = Instant::now();
        let result = step(&shop);
        let verdict = match &result {
            Ok(()) => "passed".to_owned(),
            Err(error) => format!("FAILED: {error:#}"),
        };
        failed += usize::from(result.is_err());
        summary.push(format!(
            "{name:>10} {:>5} s  {verdict}",
            step_began.elapsed().as_secs()
        ));
    }
    println!(
        "\n{}\n{:>10} {:>5} s",
        summary.join("\n"),
        "all",
        began.elapsed().as_secs()
    );
    println!("ci: {} passed, {failed} failed", STEPS.len() - failed);
    Ok(if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// The tests after it run against the binary and the image that users get.
fn build_image(shop: &Workshop) -> Result<()> {
    let image = Image::new(&shop.root, &shop.target);
    let binary = image.build_binary()?;
    image.build(shop.binary.get_or_init(|| binary))
}

/// Counts are the same on every machine, unlike times, so that a gate can be strict. The benchmarks are a workspace
/// of their own, with other dependencies and so objects of their own.
fn count_instructions(shop: &Workshop) -> Result<()> {
    let mut command = Command::new(shop.root.join("benches/instructions"));
    command.env("CARGO_TARGET_DIR", shop.target.join("benches"));
    shop.run(&mut command)
}

impl Workshop {
    fn install_what_is_missing(&self) -> Result<()> {
        let packages = prerequisites::missing_debian_packages();
        if !packages.is_empty() {
            println!("== installing by apt-get: {}", packages.join(" "));
            if let Err(error) = prerequisites::install_debian_packages(&packages) {
                // The tests that need one of them say so themselves: skipped here, failed in CI.
                eprintln!("xtask: {error:#}");
            }
        }
        for tool in prerequisites::missing_cargo_tools(&self.target) {
            println!("== installing by cargo: {tool}");
            prerequisites::install_cargo_tool(tool, &self.target)?;
        }
        Ok(())
    }

    fn cargo(&self, arguments: &[&str]) -> Result<()> {
        let mut command = Command::new("cargo");
        command.args(arguments);
        if let Some(binary) = self.binary.get() {
            command.env("CALLWRIGHT_BIN", binary);
        }
        self.run(&mut command)
    }

    fn run(&self, command: &mut Command) -> Result<()> {
        command
            .current_dir(&self.root)
            .stdin(Stdio::null())
            .env("PATH", self.path()?);
        let status = command
            .status()
            .with_context(|| format!("cannot run {command:?}"))?;
        let program = Path::new(command.get_program()).file_name().unwrap_or_default();
        ensure!(status.success(), "{}: {status}", program.to_string_lossy());
        Ok(())
    }

    /// The search path with the tools that this project installed for itself at its end.
    fn path(&self) -> Result<OsString> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let tools = prerequisites::tools_folder(&self.target).join("bin");
        Ok(std::env::join_paths(std::env::split_paths(&path).chain([tools]))?)
    }
}

fn no_findings(findings: Vec<String>) -> Result<()> {
    for finding in &findings {
        eprintln!("{finding}");
    }
    if !findings.is_empty() {
        bail!("{} findings", findings.len());
    }
    Ok(())
}

/// Where cargo builds the workspace in `root`.
pub fn target_folder(root: &Path) -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), |folder| root.join(folder))
}
