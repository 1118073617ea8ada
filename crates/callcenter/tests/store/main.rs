//! Stores: one contract for all of them, and what only a database in a file can meet with.

mod contract;
mod documentation;
mod facts;
mod file;
