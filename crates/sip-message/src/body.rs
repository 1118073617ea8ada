//! Bodies that belong to SIP itself.

mod message_summary;
mod sipfrag;

pub use message_summary::{MessageCounts, MessageSummary};
pub use sipfrag::{Sipfrag, SipfragError};
