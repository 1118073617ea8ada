//! Captures of calls: pcapng with comments, written as the packets pass.
