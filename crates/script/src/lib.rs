//! The Rhai front end: scenarios as scripts.
//!
//! Every function of the language is registered once, with its documentation, in [`language`]; `check`, `docs`,
//! `definitions` and the nearest names in errors all come from that one table. [`load`] turns a file into a
//! [`Program`](callwright_scenario::suite::Program) that the runner of the `scenario` crate runs.

mod api;
mod check;
mod closure;
mod convert;
mod diagnostic;
mod docs;
mod entry;
mod fault;
mod here;
mod imports;
mod language;
mod program;
mod reach;
mod source;

pub use check::{check, check_all};
pub use diagnostic::{Diagnostic, Severity};
pub use docs::{definitions, html, markdown};
pub use entry::{Entry, Kind, Parameter, Section};
pub use language::entries;
pub use program::{is_library, load};
pub use reach::unused;
pub use source::{SourceError, source};
