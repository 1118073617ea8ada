//! HTTP as scenarios use it: requests, responses, and a server to be asked by the system under test.

mod client;
mod in_flight;
pub mod json;
mod server;

use std::time::Duration;

use bytes::Bytes;
use callwright_events::RunEvent;

pub use client::Client;
pub(crate) use client::follow;
pub(crate) use in_flight::Requests;
pub use server::Servers;

use crate::{Fault, Position, Scene, Value, context, span};

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
    /// The wait for the response was ended.
    #[error("the request was given up")]
    GivenUp,
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

impl Scene {
    /// Sends a request and waits for its response, for as long as the scenario may go on.
    ///
    /// # Errors
    /// When there is no response; or the scenario has to end.
    pub fn http(&self, request: &Request, at: &Position) -> Result<Response, Fault> {
        self.check().map_err(|fault| fault.at(at))?;
        context::reads_without_event();
        let mut request = request.clone();
        let mut end = Vec::new();
        let mut deadline = None;
        if !self.is_ending() {
            end.push(self.run().interrupt().watch());
            let left = self.deadline().since(self.world().now());
            if left < request.timeout {
                request.timeout = left;
                deadline = Some(self.deadline());
            }
        }
        let outcome = self.world().http(&request, &end);
        if let (Err(RequestError::Timeout { .. }), Some(deadline)) = (&outcome, deadline) {
            // It is the scenario's own time that is up.
            self.wait_for(&[], deadline).map_err(|fault| fault.at(at))?;
        }
        self.check().map_err(|fault| fault.at(at))?;
        let response = outcome.map_err(|error| {
            let text = format!("http {} {}: {error}", request.method, request.url);
            match error {
                RequestError::Connect { .. } => Fault::environment(text).retriable(),
                RequestError::BadRequest { .. } => Fault::script(text),
                RequestError::Timeout { .. }
                | RequestError::Tls { .. }
                | RequestError::GivenUp
                | RequestError::Other { .. } => Fault::environment(text),
            }
            .at(at)
        })?;
        self.emit(RunEvent::Http {
            method: request.method,
            url: request.url,
            status: response.status,
            location: at.location(),
        });
        Ok(response)
    }
}

/// Header fields from a map; an array repeats one.
///
/// # Errors
/// A name or a value that no header field can have.
pub fn headers(value: &Value) -> Result<Vec<(String, String)>, String> {
    crate::agent::headers(value)
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
