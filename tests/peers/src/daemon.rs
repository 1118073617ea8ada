//! A peer's process: waited for by the kernel's own events, stopped politely.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};

/// How often a process is asked to finish before it is killed, and how long it may take each time.
const REQUESTS: usize = 10;
const PATIENCE: Duration = Duration::from_millis(500);

/// A running process whose output goes to a log; it is stopped when dropped.
#[derive(Debug)]
pub(crate) struct Daemon {
    child: Child,
    pid: Pid,
    /// Readable when the process has ended.
    end: OwnedFd,
    polite: Signal,
}

impl Daemon {
    /// Starts `command` with its output in `log`. `polite` is the signal at which it finishes its work.
    pub(crate) fn spawn(command: &mut Command, log: &Path, polite: Signal) -> Self {
        let output = File::create(log).expect("the log of the peer");
        let errors = output.try_clone().expect("one file for both outputs");
        let mut daemon = Self::of(command.stdin(Stdio::null()).stdout(output).stderr(errors));
        daemon.polite = polite;
        daemon
    }

    /// Starts `command` with the inputs and outputs that it names.
    pub(crate) fn of(command: &mut Command) -> Self {
        let child = command
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
        let pid = Pid::from_child(&child);
        let end = pidfd_open(pid, PidfdFlags::empty()).expect("a descriptor of the process");
        Self {
            child,
            pid,
            end,
            polite: Signal::TERM,
        }
    }

    /// The most memory that it had resident so far, in bytes; nothing once it has ended.
    pub(crate) fn peak_memory(&self) -> Option<u64> {
        self.status("VmHWM:")
    }

    fn status(&self, name: &str) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        let kibibytes: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
        Some(kibibytes * 1_024)
    }

    /// The memory that it has resident now, in bytes; nothing once it has ended.
    pub(crate) fn memory(&self) -> Option<u64> {
        self.status("VmRSS:")
    }

    /// The time of the CPU that it and those whom it waited for took so far, all threads together; zero once it has ended.
    pub(crate) fn cpu_time(&self) -> Duration {
        cpu_time_of(self.child.id())
    }

    /// The same of the processes that it started.
    pub(crate) fn cpu_time_of_children(&self) -> Duration {
        let children = self.children();
        children
            .iter()
            .map(|child| cpu_time_of(child.as_raw_nonzero().get().unsigned_abs()))
            .sum()
    }

    /// The UDP ports that the process has open, by `/proc` (proc(5)).
    pub(crate) fn udp_ports(&self) -> Vec<u16> {
        let open = std::fs::read_dir(format!("/proc/{}/fd", self.child.id()));
        let links = open.into_iter().flatten().flatten();
        let sockets: Vec<String> = links
            .filter_map(|entry| std::fs::read_link(entry.path()).ok())
            .map(|target| target.to_string_lossy().into_owned())
            .collect();
        let table = std::fs::read_to_string("/proc/net/udp").unwrap_or_default();
        let port = |line: &str| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let own = sockets.contains(&format!("socket:[{}]", fields.get(9)?));
            let (_, port) = fields.get(1)?.split_once(':')?;
            u16::from_str_radix(port, 16).ok().filter(|_| own)
        };
        table.lines().skip(1).filter_map(port).collect()
    }

    /// Asks the process to finish, once, and waits for it.
    pub(crate) fn finish(&mut self, limit: Duration) -> Option<ExitStatus> {
        let _gone = kill_process(self.pid, self.polite);
        self.wait(limit)
    }

    /// Waits until the process has ended, at most for `limit`.
    pub(crate) fn wait(&mut self, limit: Duration) -> Option<ExitStatus> {
        let timeout = Timespec::try_from(limit).expect("a limit that the kernel can count");
        let mut waited_for = [PollFd::new(&self.end, PollFlags::IN)];
        // A signal may cut the wait short: then the process is simply found running, as after the limit.
        let _interrupted = poll(&mut waited_for, Some(&timeout));
        self.child.try_wait().expect("the process is ours")
    }

    /// Asks the process to finish; kills it, and the processes that it started, when it does not.
    pub(crate) fn stop(&mut self) -> Option<ExitStatus> {
        if let Some(status) = self.wait(Duration::ZERO) {
            return Some(status);
        }
        // Kamailio may overlook a signal that comes just before it begins to wait for one: say it again.
        for _ in 0..REQUESTS {
            // It may have ended in between; then there is nothing to signal.
            let _gone = kill_process(self.pid, self.polite);
            if let Some(status) = self.wait(PATIENCE) {
                return Some(status);
            }
        }
        let children = self.children();
        self.child.kill().ok();
        for child in children {
            let _gone = kill_process(child, Signal::KILL);
        }
        self.child.wait().ok()
    }

    /// Ends the process without a word to it.
    pub(crate) fn kill(&mut self) {
        // It may have ended in between.
        let _gone = kill_process(self.pid, Signal::KILL);
        self.child.wait().expect("the process is ours");
    }

    fn children(&self) -> Vec<Pid> {
        let id = self.child.id();
        let listed = std::fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap_or_default();
        listed
            .split_whitespace()
            .filter_map(|child| Pid::from_raw(child.parse().ok()?))
            .collect()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.stop();
    }
}

/// A command that stays on one CPU, where one is named.
pub(crate) fn pinned(cpu: Option<usize>, program: &Path) -> Command {
    match cpu {
        Some(cpu) => {
            let mut command = Command::new("taskset");
            command.args(["-c", &cpu.to_string()]).arg(program);
            command
        }
        None => Command::new(program),
    }
}

/// User and system time of a process, by `/proc` (proc(5), fields 14 and 15): in ticks of 10 ms.
fn cpu_time_of(process: u32) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    // The name in parentheses may hold spaces.
    let fields = stat.rsplit_once(") ").map_or("", |(_, fields)| fields);
    let ticks: u64 = fields
        .split(' ')
        .skip(11)
        .take(2)
        .filter_map(|field| field.parse::<u64>().ok())
        .sum();
    Duration::from_millis(ticks * 10)
}
