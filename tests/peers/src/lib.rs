//! Foreign peers for tests: Kamailio, SIPp, baresip, rtpengine, tshark and the product's own image, each started on ports of its own, waited for without a
//! fixed sleep, read when it is done, and stopped when it is dropped. Whatever a peer wrote stays in a folder that
//! is shown when the test fails.
//!
//! A test begins with [`require!`], which skips it where a peer is not installed, and fails it in CI:
//!
//! ```no_run
//! use callwright_peers::{Kamailio, Sipp, require};
//!
//! require!(Kamailio, Sipp);
//! let kamailio = Kamailio::start();
//! let calls = Sipp::uac(kamailio.udp()).service("status486").calls(1).run();
//! assert_eq!(calls.failed, 1);
//! ```

mod authority;
mod baresip;
mod callcenter;
mod daemon;
mod dumpcap;
mod evidence;
mod image;
mod kamailio;
mod measured;
mod own_network;
mod peer;
mod ports;
mod product;
mod rtpengine;
mod sipp;
mod sipvicious;
mod tone;
mod tshark;

pub use authority::Authority;
pub use baresip::Baresip;
pub use callcenter::{CallCenter, CallCenterOptions};
pub use dumpcap::{Dumpcap, Dumped};
pub use evidence::Evidence;
pub use image::{Container, Image};
pub use kamailio::Kamailio;
pub use measured::{Measured, measure};
pub use own_network::in_own_network;
pub use peer::{Peer, available};
pub use ports::{Port, wait_for_sip};
pub use product::{binary, callwright, command, example};
pub use rtpengine::Rtpengine;
pub use sipp::{RunningSipp, Sipp, SippCalls};
pub use sipvicious::{svcrack, svwar};
pub use tone::power_at;
pub use tshark::{Capture, Digit, Stream};
