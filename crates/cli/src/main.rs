//! The command `callwright`.

mod arguments;
mod commands;
mod completion;
mod environment;
mod files;
mod output;
mod project;
mod signals;

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    completion::answer();
    commands::run(&arguments::parse()).code().into()
}
