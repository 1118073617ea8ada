//! Digest authentication in SIP: RFC 3261 §22, RFC 7616, RFC 8760.
//!
//! [`Client`] answers challenges and authorizes later requests before they are challenged; [`Server`] challenges and verifies.
//! Both are plain values: the time and the randomness of nonces come in.

mod client;
mod computation;
mod nonce;
mod password;
mod server;

pub use client::{Account, AuthError, Client};
pub use computation::{Algorithm, Proof, Qop, Secret};
pub use password::Password;
pub use server::{Refusal, Server, ServerConfig, Signed};
