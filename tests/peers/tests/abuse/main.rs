//! Whoever means no good: names and passwords are tried, ports get what is no SIP and no RTP, and one source asks without end. Others
//! are served meanwhile, and the server is none the worse for it afterwards.
//!
//! What runs for minutes is ignored unless asked for:
//!
//! ```sh
//! cargo test -p callwright-peers --test abuse -- --ignored --nocapture --test-threads 1
//! ```

mod flood;
mod guesses;
mod leaks;
mod mutated;
mod phone;
