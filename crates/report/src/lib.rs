//! Pure functions from run events to console, NDJSON and JUnit.
