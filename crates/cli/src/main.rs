//! The command `callwright`.

mod arguments;
mod commands;
mod completion;
mod environment;
mod files;
mod log;
mod output;
mod project;
mod servers;
mod signals;

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    completion::answer();
    let code = commands::run(&arguments::parse()).code();
    log::finish();
    code.into()
}
