//! Captures of any origin: files, links, fragments, streams, and what is made of them.

mod build;
mod calls;
mod docs;
mod files;
mod fragments;
mod hostile;
mod links;
mod media;
mod own;
mod property;
mod streams;
