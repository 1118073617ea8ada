//! The image of the product, run by buildah without a container engine.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::peer::{Peer, available, program};

/// The image as `cargo xtask image` built it last.
#[derive(Debug, Clone)]
pub struct Image {
    folder: PathBuf,
}

/// A container of the image, removed when dropped. It shares the network of the host.
#[derive(Debug)]
pub struct Container {
    image: Image,
    id: String,
    mounts: Vec<String>,
    environment: Vec<String>,
}

impl Image {
    /// The image, in the build folder that this test belongs to. Nothing, with a word on how to get it, where it
    /// was not built; in CI that is a panic.
    pub fn find() -> Option<Self> {
        if !available(&[Peer::Buildah]) {
            return None;
        }
        let test = std::env::current_exe().expect("the path of this test");
        let folder = test
            .ancestors()
            .nth(3)
            .expect("a test lies in target/PROFILE/deps")
            .join("image");
        if folder.join("store").is_dir() {
            return Some(Self { folder });
        }
        assert!(
            std::env::var_os("CI").is_none_or(|ci| ci != "true"),
            "no image in {}",
            folder.display()
        );
        eprintln!("skipped: no image was built: cargo xtask image");
        None
    }

    /// A new container.
    pub fn container(&self) -> Container {
        let output = self.buildah(&["from", "--pull-never", "callwright"]);
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        let id = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        Container {
            image: self.clone(),
            id,
            mounts: Vec::new(),
            environment: Vec::new(),
        }
    }

    fn buildah(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(program("buildah").expect("found before"));
        command
            .args(["--storage-driver", "vfs", "--root"])
            .arg(self.folder.join("store"));
        command
            .arg("--runroot")
            .arg(self.folder.join("run"))
            .args(arguments);
        command
            .output()
            .unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"))
    }
}

impl Container {
    /// Mounts a folder of the host, as `docker run -v HOST:INSIDE`.
    #[must_use]
    pub fn mount(mut self, host: &Path, inside: &str) -> Self {
        self.mounts.push(format!("{}:{inside}", host.display()));
        self
    }

    /// Mounts a folder that cannot be written to, as `docker run -v HOST:INSIDE:ro`.
    #[must_use]
    pub fn mount_read_only(mut self, host: &Path, inside: &str) -> Self {
        self.mounts.push(format!("{}:{inside}:ro", host.display()));
        self
    }

    /// Sets a variable, as `docker run -e NAME=VALUE`.
    #[must_use]
    pub fn variable(mut self, name: &str, value: &str) -> Self {
        self.environment.push(format!("{name}={value}"));
        self
    }

    /// Runs the product in the container with `arguments`, as `docker run IMAGE ARGUMENTS` would.
    pub fn callwright(&self, arguments: &[&str]) -> Output {
        self.run(&[&["/callwright"], arguments].concat())
    }

    /// Runs any program in the container.
    pub fn run(&self, words: &[&str]) -> Output {
        let mut all = vec!["run", "--isolation", "chroot"];
        all.extend(self.mounts.iter().flat_map(|mount| ["--volume", mount]));
        all.extend(self.environment.iter().flat_map(|variable| ["--env", variable]));
        all.extend([self.id.as_str(), "--"]);
        self.image.buildah(&[&all, words].concat())
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        self.image.buildah(&["rm", &self.id]);
    }
}
