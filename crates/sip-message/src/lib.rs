//! Bytes to SIP messages and back: raw bytes kept, illegal messages representable, every size limited.
