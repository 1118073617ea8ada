//! Reading captures of any origin: files, links, IP fragments, TCP streams.
//!
//! [`read`] hands out the packets of a pcap or pcapng file one after the other. It holds one window of the file, however long that is.
//!
//! ```
//! use callwright_capture::read::read;
//!
//! # let file: &[u8] = &[0xa1, 0xb2, 0xc3, 0xd4, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 101];
//! let mut bytes = 0;
//! read(file, |packet| bytes += packet.data.len())?;
//! # Ok::<(), callwright_capture::read::ReadError>(())
//! ```

mod file;
pub(crate) mod fragments;
pub(crate) mod link;
pub(crate) mod segments;
mod window;

pub(crate) use file::read_with_facts;
pub use file::{FileFacts, Packet, PacketDirection, ReadError, read};
