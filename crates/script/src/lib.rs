//! The Rhai front end: verbs, source positions, check, docs and definitions.
