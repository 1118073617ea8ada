//! HTTP as scenarios use it: requests, responses, and a server to be asked by the system under test.

mod client;
pub mod json;
mod server;

use std::time::Duration;

use bytes::Bytes;

pub use client::Client;
pub use server::Servers;

use crate::span;

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
    #[error("no response within {}", span::text(*.within))]
    Timeout {
        /// The time given.
        within: Duration,
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

/// The value of the first header field of that name.
pub fn header<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    headers
        .iter()
        .find(|(field, _)| field.eq_ignore_ascii_case(name))
        .map(|(_, value)| value.as_str())
}

/// The value of a query parameter, decoded.
pub fn query_value(query: &str, name: &str) -> Option<String> {
    query
        .split('&')
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .find(|(key, _)| percent_decoded(&key.replace('+', " ")) == name)
        .map(|(_, value)| percent_decoded(&value.replace('+', " ")))
}

/// A text with its %XX decoded; what is not UTF-8 then is replaced.
pub(crate) fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let hex = after
            .get(..2)
            .filter(|_| first == b'%')
            .and_then(|hex| std::str::from_utf8(hex).ok());
        match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            None => {
                bytes.push(first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_decoded() {
        assert_eq!(query_value("a=1&b=x%20y+z%C3%A4", "b"), Some("x y zä".to_owned()));
        assert_eq!(query_value("flag&b=%zz", "b"), Some("%zz".to_owned()));
        assert_eq!(query_value("flag", "flag"), Some(String::new()));
        assert_eq!(query_value("", "a"), None);
    }
}
