//! What happens in a run: the versioned vocabulary that every report is made from, and the exit codes.
