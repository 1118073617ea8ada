//! HTTP as scenarios use it: requests, responses, and a server to be asked by the system under test.

use std::time::Duration;

use bytes::Bytes;

/// A request to send.
#[derive(Clone, Debug)]
pub struct Request {
    /// Upper case.
    pub method: String,
    /// Absolute.
    pub url: String,
    /// In order.
    pub headers: Vec<(String, String)>,
    /// Empty for none.
    pub body: Bytes,
    /// For the whole exchange, redirects included.
    pub timeout: Duration,
    /// False accepts any certificate.
    pub verify: bool,
}

/// A complete response.
#[derive(Clone, Debug, Default)]
pub struct Response {
    /// The status.
    pub status: u16,
    /// In order.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Bytes,
}

/// Why there is no response. Each text says what the reader can do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// Nobody there, or not yet: worth another try.
    #[error("cannot connect to {host}: {detail}")]
    Connect {
        /// Host and port.
        host: String,
        /// What the system said.
        detail: String,
    },
    /// No complete response in time.
    #[error("no response within {seconds} s")]
    Timeout {
        /// The time given.
        seconds: u64,
    },
    /// The certificate, or the handshake.
    #[error("TLS: {detail}; a private authority can be named with SSL_CERT_FILE")]
    Tls {
        /// What the TLS library said.
        detail: String,
    },
    /// The URL or a header cannot be used.
    #[error("{detail}")]
    BadRequest {
        /// What is wrong.
        detail: String,
    },
    /// Anything else.
    #[error("{detail}")]
    Other {
        /// What happened.
        detail: String,
    },
}

/// A request that came in.
#[derive(Clone, Debug)]
pub struct Incoming {
    /// Upper case.
    pub method: String,
    /// The path, decoded, without the query.
    pub path: String,
    /// The query, as sent, without the question mark.
    pub query: String,
    /// In order.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Bytes,
}

/// What answers requests. Called from tasks of the world's own, several at a time.
pub trait Service: Send + Sync {
    /// Answers one request. May block.
    fn answer(&self, request: Incoming) -> Response;
}

/// A server that runs until it is dropped.
pub trait Listener: Send + Sync {
    /// Its port.
    fn port(&self) -> u16;
}

/// Why a server cannot be started.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ListenError {
    /// Somebody has the port.
    #[error("port {port} is in use; leave `port` out to take any free one")]
    InUse {
        /// The port.
        port: u16,
    },
    /// Anything else.
    #[error("cannot listen on port {port}: {detail}")]
    Other {
        /// The port.
        port: u16,
        /// What the system said.
        detail: String,
    },
}
