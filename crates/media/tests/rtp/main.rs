//! The parts of RTP, each by itself, by RFC.

mod rfc3550_order;
mod rfc3550_packet;
mod rfc3550_reception;
mod rfc3550_rtcp;
mod rfc3711_srtp;
mod rfc4568_keys;
mod rfc4733_digits;
