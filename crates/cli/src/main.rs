//! The command `callwright`.
fn main() {}
