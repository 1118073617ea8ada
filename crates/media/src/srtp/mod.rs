//! SRTP and SRTCP: RFC 3711 with the crypto suites of RFC 4568 §6.2.

mod context;
mod derivation;
mod key;
mod replay;
mod transform;

pub use context::{Inbound, Outbound, SrtpError};
pub use key::{MasterKey, SdesError, Suite};
