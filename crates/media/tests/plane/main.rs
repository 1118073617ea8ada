//! Two planes wired in memory, on virtual time.

mod announcements;
mod audio;
mod bridge;
mod conversation;
mod dtmf;
mod pacing;
mod pair;
mod recording;
mod renegotiation;
mod reports;
mod security;
mod statistics;
mod symmetric;
