//! The image: a static binary `FROM scratch`, built and started by buildah, without a container engine.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};

/// The image holds no more than this, in bytes.
const LARGEST: u64 = 25_000_000;

/// The package `ca-certificates` of Debian installs Mozilla's roots here. The bundle that it makes of them in
/// `/etc/ssl` may hold roots of this machine alone, which have no place in an image for others.
const ROOT_CERTIFICATES: &str = "/usr/share/ca-certificates/mozilla";

/// Where an engine mounts no table of hosts of its own, `localhost` is still a name. A static program looks names up
/// in it and by DNS without any library of the system (glibc 2.34 and newer).
const HOSTS: &str = "127.0.0.1 localhost\n::1 localhost\n";

/// The folders and names of one build of the image.
#[derive(Debug, Clone)]
pub struct Image {
    root: PathBuf,
    target: PathBuf,
}

impl Image {
    /// The image of the project in `root`, built in `target/image`.
    pub fn new(root: &Path, target: &Path) -> Self {
        Self {
            root: root.to_owned(),
            target: target.to_owned(),
        }
    }

    /// Builds the binary as the image holds it: static, at a fixed address, without symbols. Returns its path. A binary
    /// that can lie anywhere carries a megabyte of relocations.
    pub fn build_binary(&self) -> Result<PathBuf> {
        let host = host_triple()?;
        // With `--target`, the flags hold for the binary alone: a macro cannot be linked statically.
        run(Command::new("cargo")
            .args([
                "build",
                "--release",
                "--locked",
                "--package",
                "callwright-cli",
                "--bin",
                "callwright",
            ])
            .args(["--target", &host])
            .env(
                "RUSTFLAGS",
                "-C target-feature=+crt-static -C relocation-model=static -C strip=symbols",
            )
            .current_dir(&self.root))?;
        Ok(self.target.join(host).join("release/callwright"))
    }

    /// Puts the image together from the binary, checks its size, and starts it once.
    pub fn build(&self, binary: &Path) -> Result<()> {
        let rootfs = self.folder().join("rootfs");
        if rootfs.exists() {
            fs::remove_dir_all(&rootfs)?;
        }
        for folder in ["etc/ssl/certs", "work", "tmp"] {
            fs::create_dir_all(rootfs.join(folder))?;
        }
        fs::copy(binary, rootfs.join("callwright"))
            .with_context(|| format!("no binary at {}", binary.display()))?;
        fs::write(
            rootfs.join("etc/ssl/certs/ca-certificates.crt"),
            root_certificates(Path::new(ROOT_CERTIFICATES))?,
        )?;
        fs::write(rootfs.join("etc/hosts"), HOSTS)?;

        let size = size_of(&rootfs)?;
        ensure!(
            size <= LARGEST,
            "the image holds {size} bytes, more than {LARGEST}"
        );
        run(self
            .buildah(&[
                "build",
                "--isolation",
                "chroot",
                "--layers=false",
                "--tag",
                "callwright",
            ])
            .arg("--file")
            .arg(self.root.join("Dockerfile"))
            .arg(self.folder()))?;
        self.start()?;
        println!("image: {:.1} MB", size as f64 / 1e6);
        Ok(())
    }

    /// Writes the image to `target/image/callwright.tar`, as `docker load` and `podman load` take it.
    pub fn export(&self) -> Result<PathBuf> {
        let archive = self.folder().join("callwright.tar");
        if archive.exists() {
            fs::remove_file(&archive)?;
        }
        let destination = format!("docker-archive:{}:callwright:latest", archive.display());
        run(&mut self.buildah(&["push", "callwright", &destination]))?;
        Ok(archive)
    }

    fn start(&self) -> Result<()> {
        let container = output(&mut self.buildah(&["from", "--pull-never", "callwright"]))?;
        let started = run(&mut self.buildah(&[
            "run",
            "--isolation",
            "chroot",
            &container,
            "--",
            "/callwright",
            "--version",
        ]));
        run(self.buildah(&["rm", &container]).stdout(Stdio::null()))?;
        started.context("the image does not start")
    }

    fn folder(&self) -> PathBuf {
        self.target.join("image")
    }

    /// The images of this project live in its target folder, apart from the user's own.
    fn buildah(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("buildah");
        command
            .args(["--storage-driver", "vfs", "--root"])
            .arg(self.folder().join("store"));
        command
            .arg("--runroot")
            .arg(self.folder().join("run"))
            .args(arguments);
        command
    }
}

/// All root certificates of a folder in one text.
fn root_certificates(folder: &Path) -> Result<String> {
    let entries = fs::read_dir(folder).with_context(|| {
        format!(
            "no root certificates in {}: install ca-certificates",
            folder.display()
        )
    })?;
    let mut paths = entries
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<Vec<PathBuf>>>()?;
    paths.sort();
    let bundle = paths
        .iter()
        .map(fs::read_to_string)
        .collect::<std::io::Result<String>>()?;
    ensure!(
        bundle.contains("BEGIN CERTIFICATE"),
        "no certificate in {}",
        folder.display()
    );
    Ok(bundle)
}

/// The bytes of all files under a folder.
fn size_of(folder: &Path) -> Result<u64> {
    let mut size = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        size += if metadata.is_dir() {
            size_of(&entry.path())?
        } else {
            metadata.len()
        };
    }
    Ok(size)
}

fn host_triple() -> Result<String> {
    let version = output(Command::new("rustc").arg("-vV"))?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.context("rustc names no host")?.to_owned())
}

fn run(command: &mut Command) -> Result<()> {
    let status = command
        .stdin(Stdio::null())
        .status()
        .with_context(|| format!("cannot run {command:?}"))?;
    ensure!(status.success(), "{command:?}: {status}");
    Ok(())
}

fn output(command: &mut Command) -> Result<String> {
    let output = command
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("cannot run {command:?}"))?;
    ensure!(output.status.success(), "{command:?}: {}", output.status);
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}
