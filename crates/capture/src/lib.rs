//! Captures of calls: pcapng with comments, written as the packets pass, and the rules that they keep or break.
//!
//! [`PcapngWriter`] turns tap records into a capture that Wireshark, tshark, tcpdump and sngrep read. What the records
//! do not hold, since no interface was listened to, is made up consistently: Ethernet, IP, UDP and TCP headers with right
//! checksums, and for streams a handshake, sequence numbers and an end. Each party is an interface with its name; the
//! script line that caused a packet is its comment.
//!
//! [`rules::Rules`] judges the same records by the rules of SIP, SDP and RTP.
//!
//! The writer is pure over any [`std::io::Write`]. Whoever has threads lets it run at the far end of a buffered tap.

pub mod analysis;
mod block;
mod packet;
pub mod read;
pub mod rules;
mod stream;
mod writer;

pub use writer::PcapngWriter;
