//! RFC 3665: the basic call flows.

mod session;
