//! Reports of a run: pure functions from run events to text.
//!
//! Each takes [`Record`](callwright_events::Record)s one after the other and says what to print; none of them knows a
//! terminal, a file or a clock. A recorded NDJSON gives the same reports again.

mod console;
mod failure;
mod junit;
mod ndjson;

pub use console::{Console, Verbosity};
pub use junit::{Junit, JunitError};
pub use ndjson::line;
