//! Which peers are installed, and what to do where one is not.

use std::path::{Path, PathBuf};

/// A program that the project's tests run against.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peer {
    /// Registrar and proxy, with its TLS module.
    Kamailio,
    /// SIPp, caller and callee.
    Sipp,
    /// The command line of Wireshark.
    Tshark,
    /// A user agent, with the modules that come with it.
    Baresip,
    /// Relays RTP.
    Rtpengine,
    /// Tries names and passwords.
    Sipvicious,
    /// Builds and runs images without a container engine.
    Buildah,
}

impl Peer {
    /// The packages of Debian that it comes in.
    pub fn packages(self) -> &'static str {
        match self {
            Self::Kamailio => "kamailio kamailio-tls-modules",
            Self::Sipp => "sip-tester",
            Self::Tshark => "tshark",
            Self::Baresip => "baresip-core",
            Self::Rtpengine => "rtpengine-daemon",
            Self::Sipvicious => "sipvicious",
            Self::Buildah => "buildah",
        }
    }

    /// Whether it can be started here.
    pub fn is_installed(self) -> bool {
        match self {
            Self::Kamailio => program("kamailio").is_some() && tls_module_is_installed(),
            Self::Sipp => program("sipp").is_some(),
            Self::Tshark => program("tshark").is_some(),
            Self::Baresip => program("baresip").is_some(),
            Self::Rtpengine => program("rtpengine").is_some(),
            Self::Sipvicious => program("svwar").is_some() && program("svcrack").is_some(),
            Self::Buildah => program("buildah").is_some(),
        }
    }
}

/// Whether all of `peers` are installed. Where one is not, says how to install it; in CI (`CI=true`) that is a
/// panic, since a check that is skipped there is a check that is not made.
pub fn available(peers: &[Peer]) -> bool {
    let missing: Vec<&str> = peers
        .iter()
        .filter(|peer| !peer.is_installed())
        .map(|peer| peer.packages())
        .collect();
    if missing.is_empty() {
        return true;
    }
    let message = format!("{peers:?} needed: apt-get install {}", missing.join(" "));
    skipped::<()>(&message);
    false
}

/// Says why a test is skipped, which in CI is a panic; always `None`.
#[track_caller]
pub(crate) fn skipped<T>(why: &str) -> Option<T> {
    assert!(std::env::var_os("CI").is_none_or(|ci| ci != "true"), "{why}");
    eprintln!("skipped: {why}");
    None
}

/// Returns from the test where one of these [`Peer`]s is not installed (in CI: fails it).
#[macro_export]
macro_rules! require {
    ($($peer:ident),+ $(,)?) => {
        if !$crate::available(&[$($crate::Peer::$peer),+]) {
            return;
        }
    };
}

/// Where a program lies; daemons are in `/usr/sbin`, which is not on everybody's path.
pub(crate) fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain([PathBuf::from("/usr/sbin")]);
    folders
        .map(|folder| folder.join(name))
        .find(|file| file.is_file())
}

fn tls_module_is_installed() -> bool {
    let folders = std::fs::read_dir(Path::new("/usr/lib"))
        .into_iter()
        .flatten()
        .flatten();
    folders
        .into_iter()
        .any(|folder| folder.path().join("kamailio/modules/tls.so").is_file())
}
