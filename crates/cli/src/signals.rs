//! Ctrl-C, SIGTERM and SIGHUP: what runs ends in order, everything is hung up and unregistered.

use std::io;
use std::sync::Arc;

use callwright_scenario::Interrupt;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::servers::Groups;

/// What the shell sees after an interrupt.
pub(crate) const INTERRUPTED: i32 = 130;

/// Calls `first` at the first signal; the second one calls `at_once` and ends the process.
///
/// # Errors
///
/// When the system does not let signals be handled.
pub(crate) fn handle(
    first: impl Fn() + Send + 'static,
    at_once: impl Fn() + Send + 'static,
) -> io::Result<()> {
    // A terminal that is closed is no reason to leave servers and registrations behind.
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    // Whom nohup started is to outlive its terminal.
    if !hangup_is_ignored() {
        signals.add_signal(SIGHUP)?;
    }
    std::thread::Builder::new()
        .name("callwright-sig".into())
        .spawn(move || {
            let mut again = false;
            for _ in signals.forever() {
                if again {
                    at_once();
                    std::process::exit(INTERRUPTED);
                }
                again = true;
                first();
            }
        })?;
    Ok(())
}

/// Raises the interrupt of a run at the first signal; at the second one its servers are killed.
///
/// # Errors
///
/// When the system does not let signals be handled.
pub(crate) fn raise(interrupt: Arc<Interrupt>, servers: Groups) -> io::Result<()> {
    handle(
        move || {
            anstream::eprintln!("ending: hanging up and unregistering; once more ends at once");
            interrupt.raise();
        },
        move || servers.kill(),
    )
}

/// Whether SIGHUP was ignored when this process began (proc(5): the mask of ignored signals).
fn hangup_is_ignored() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask & 1 != 0)
}
