//! What the tests need beyond a Rust toolchain: peers and tools, looked for first and installed when missing.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Result, bail};

/// A package of Debian and the file or command that shows that it is installed.
struct DebianPackage {
    name: &'static str,
    shown_by: Evidence,
}

enum Evidence {
    Command(&'static str),
    /// A folder, and a file or folder in it or in one of its folders (the one that is named after the machine).
    File(&'static str, &'static str),
}

const DEBIAN_PACKAGES: [DebianPackage; 11] = [
    DebianPackage {
        name: "sip-tester",
        shown_by: Evidence::Command("sipp"),
    },
    DebianPackage {
        name: "kamailio",
        shown_by: Evidence::Command("kamailio"),
    },
    DebianPackage {
        name: "kamailio-tls-modules",
        shown_by: Evidence::File("/usr/lib", "kamailio/modules/tls.so"),
    },
    DebianPackage {
        name: "baresip-core",
        shown_by: Evidence::Command("baresip"),
    },
    DebianPackage {
        name: "tshark",
        shown_by: Evidence::Command("tshark"),
    },
    DebianPackage {
        name: "iproute2",
        shown_by: Evidence::Command("ip"),
    },
    DebianPackage {
        name: "sipvicious",
        shown_by: Evidence::Command("svwar"),
    },
    DebianPackage {
        name: "buildah",
        shown_by: Evidence::Command("buildah"),
    },
    DebianPackage {
        name: "valgrind",
        shown_by: Evidence::Command("valgrind"),
    },
    DebianPackage {
        name: "openssl",
        shown_by: Evidence::Command("openssl"),
    },
    DebianPackage {
        name: "ca-certificates",
        shown_by: Evidence::File("/usr/share/ca-certificates", "mozilla"),
    },
];

/// The cargo subcommands that are no part of a toolchain, by package.
const CARGO_TOOLS: [&str; 2] = ["cargo-nextest", "cargo-deny"];

/// The tools of cargo that this project installs for itself go here, so that they are kept with the build.
pub fn tools_folder(target: &Path) -> PathBuf {
    target.join("tools")
}

/// The packages of Debian that are not installed.
pub fn missing_debian_packages() -> Vec<&'static str> {
    let missing = DEBIAN_PACKAGES
        .iter()
        .filter(|package| !package.shown_by.exists());
    missing.map(|package| package.name).collect()
}

/// The cargo subcommands found neither on the path nor in the tools folder of `target`.
pub fn missing_cargo_tools(target: &Path) -> Vec<&'static str> {
    let tools = tools_folder(target).join("bin");
    CARGO_TOOLS
        .into_iter()
        .filter(|tool| !tools.join(tool).is_file() && find_command(tool).is_none())
        .collect()
}

/// Installs packages of Debian, with sudo where the user is not root.
pub fn install_debian_packages(packages: &[&str]) -> Result<()> {
    if find_command("apt-get").is_none() {
        bail!("apt-get is missing; install by hand: {}", packages.join(" "));
    }
    apt_get(&["update", "-qq"])?;
    apt_get(&[&["install", "-y", "-qq", "--no-install-recommends"], packages].concat())
}

/// Builds a cargo subcommand into the tools folder of `target`.
pub fn install_cargo_tool(tool: &str, target: &Path) -> Result<()> {
    let mut cargo = Command::new("cargo");
    cargo
        .args(["install", "--locked", "--quiet", tool, "--root"])
        .arg(tools_folder(target));
    // Its objects share nothing with the workspace's: cargo builds them in a folder that it removes.
    cargo.env_remove("CARGO_TARGET_DIR");
    run(&mut cargo)
}

fn apt_get(arguments: &[&str]) -> Result<()> {
    let root = Command::new("id")
        .arg("-u")
        .output()
        .is_ok_and(|id| id.stdout.trim_ascii() == b"0");
    let mut command = Command::new(if root { "apt-get" } else { "sudo" });
    if !root {
        command.args(["--preserve-env=DEBIAN_FRONTEND", "apt-get"]);
    }
    // Kamailio comes with a service that nobody asked for here; run level 1 keeps it from being started.
    command
        .args(arguments)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .env("RUNLEVEL", "1")
        .stdout(Stdio::null());
    run(&mut command)
}

fn run(command: &mut Command) -> Result<()> {
    match command.stdin(Stdio::null()).status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => bail!("{command:?}: {status}"),
        Err(error) => bail!("cannot run {command:?}: {error}"),
    }
}

impl Evidence {
    fn exists(&self) -> bool {
        match self {
            Self::Command(name) => find_command(name).is_some(),
            Self::File(folder, path) => {
                let folders = std::fs::read_dir(folder)
                    .into_iter()
                    .flatten()
                    .flatten()
                    .map(|entry| entry.path());
                Path::new(folder).join(path).exists()
                    || folders.into_iter().any(|inner| inner.join(path).exists())
            }
        }
    }
}

/// Where a command is installed; `/usr/sbin` is looked at too, since daemons live there.
fn find_command(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain([PathBuf::from("/usr/sbin")]);
    folders
        .map(|folder| folder.join(name))
        .find(|file| file.is_file())
}
