//! Ctrl-C and SIGTERM: the run ends in order, everything is hung up and unregistered.

use std::io;
use std::sync::Arc;

use callwright_scenario::Interrupt;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

/// What the shell sees after an interrupt.
const INTERRUPTED: i32 = 130;

/// Raises the interrupt at the first signal; the second one ends the process at once.
///
/// # Errors
///
/// When the system does not let signals be handled.
pub(crate) fn raise(interrupt: Arc<Interrupt>) -> io::Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    std::thread::Builder::new()
        .name("callwright-sig".into())
        .spawn(move || {
            let mut again = false;
            for _ in signals.forever() {
                if again {
                    std::process::exit(INTERRUPTED);
                }
                again = true;
                anstream::eprintln!("ending: hanging up and unregistering; once more ends at once");
                interrupt.raise();
            }
        })?;
    Ok(())
}
