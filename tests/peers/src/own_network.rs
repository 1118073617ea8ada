//! A network of its own: loopback, and nobody there but whom a test starts.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::os::fd::AsFd as _;
use std::process::{Command, Stdio};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::peer::skipped;

/// Does `work` on a thread whose sockets, and those of the processes that it starts, are in a network of their own, which has
/// nothing but loopback. `None` where this user may not make one (root may); in CI (`CI=true`) that is a panic.
///
/// # Panics
///
/// When `work` does.
pub fn in_own_network<R: Send>(work: impl FnOnce() -> R + Send) -> Option<R> {
    // The network lives as long as somebody is in it; the shell waits for the end of its input, which is that of the child's handle.
    let holder = Command::new("unshare")
        .args(["--net", "sh", "-c", "ip link set lo up && echo up && exec cat"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn();
    let mut holder = match holder {
        Ok(holder) => holder,
        Err(error) => return skipped(&format!("unshare (package util-linux) does not start: {error}")),
    };
    let mut said = String::new();
    let out = holder.stdout.take().expect("it is piped");
    BufReader::new(out)
        .read_line(&mut said)
        .expect("what it says is text");
    let moved = said.starts_with("up").then(|| {
        let network = File::open(format!("/proc/{}/ns/net", holder.id())).expect("its network");
        std::thread::scope(|scope| {
            let thread = scope.spawn(|| {
                // A thread alone can change its network: those of other tests stay where they are.
                move_into_link_name_space(network.as_fd(), Some(LinkNameSpaceType::Network)).ok()?;
                Some(work())
            });
            thread
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    });
    drop(holder.stdin.take());
    holder.wait().expect("it is a child");
    match moved.flatten() {
        Some(done) => Some(done),
        None => skipped("only root may make a network of its own, and needs ip (package iproute2) for it"),
    }
}
