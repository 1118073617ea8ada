//! The project's own checks, as functions that tests can break on purpose, and the command that runs
//! every check and every test of the project.

pub mod ci;
pub mod crate_table;
pub mod image;
pub mod layers;
pub mod prerequisites;
pub mod tidy;
