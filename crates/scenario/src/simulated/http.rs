//! Mock servers of a simulated world: no sockets, but a table of ports, and requests that take their time.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::http::{Incoming, ListenError, Listener, Request, RequestError, Service, percent_decoded};

/// The first port that a server is given which asks for none.
const FIRST_PORT: u16 = 49_152;

/// Who listens where.
#[derive(Default)]
pub(super) struct Ports(Mutex<BTreeMap<u16, Arc<dyn Service>>>);

impl Ports {
    /// Lets a server listen until the listener is dropped.
    ///
    /// # Errors
    /// When the port is taken.
    pub(super) fn listen(
        self: &Arc<Self>,
        port: Option<u16>,
        service: Arc<dyn Service>,
    ) -> Result<Box<dyn Listener>, ListenError> {
        let mut ports = self.lock();
        let port = match port {
            Some(port) if ports.contains_key(&port) => return Err(ListenError::InUse { port }),
            Some(port) => port,
            None => (FIRST_PORT..=u16::MAX)
                .find(|port| !ports.contains_key(port))
                .ok_or_else(|| ListenError::Other {
                    port: 0,
                    detail: "every port is in use".to_owned(),
                })?,
        };
        ports.insert(port, service);
        drop(ports);
        Ok(Box::new(Open {
            ports: Arc::clone(self),
            port,
        }))
    }

    pub(super) fn find(&self, port: u16) -> Option<Arc<dyn Service>> {
        self.lock().get(&port).cloned()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u16, Arc<dyn Service>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Open {
    ports: Arc<Ports>,
    port: u16,
}

impl Listener for Open {
    fn port(&self) -> u16 {
        self.port
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.ports.lock().remove(&self.port);
    }
}

/// Where a request goes, and what arrives there.
pub(super) struct Addressed {
    /// Host and port, for people.
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) incoming: Incoming,
}

/// Reads the URL of a request.
///
/// # Errors
/// When it cannot be used, or leads out of the simulation.
pub(super) fn addressed(request: &Request) -> Result<Addressed, RequestError> {
    let bad = |detail: String| RequestError::BadRequest {
        detail: format!("{}: {detail}", request.url),
    };
    let uri: ureq::http::Uri = request
        .url
        .parse()
        .map_err(|error: ureq::http::uri::InvalidUri| bad(error.to_string()))?;
    let host = uri
        .host()
        .ok_or_else(|| bad("the URL names no host".to_owned()))?;
    let outside = |why: &str| RequestError::Other {
        detail: format!(
            "{why}: a simulated run reaches only the mock servers of its scenario, so that nothing outside of it can \
             change its course; run it without --simulate, or stand a mock server in"
        ),
    };
    let bare = host.trim_matches(['[', ']']);
    let local = bare.eq_ignore_ascii_case("localhost")
        || bare.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback());
    if !local {
        return Err(outside(&format!("{host} is not in the simulation")));
    }
    match uri.scheme_str() {
        Some("http") => {}
        Some("https") => return Err(outside("no mock server speaks TLS")),
        Some(other) => return Err(bad(format!("the scheme is http or https, not {other}"))),
        None => return Err(bad("the URL has no scheme".to_owned())),
    }
    let port = uri.port_u16().unwrap_or(80);
    let mut headers: Vec<(String, String)> = vec![("host".to_owned(), format!("{host}:{port}"))];
    headers.extend(
        request
            .headers
            .iter()
            .map(|(name, value)| (name.to_lowercase(), value.clone())),
    );
    if !request.body.is_empty() {
        headers.push(("content-length".to_owned(), request.body.len().to_string()));
    }
    Ok(Addressed {
        host: format!("{host}:{port}"),
        port,
        incoming: Incoming {
            method: request.method.to_uppercase(),
            path: percent_decoded(uri.path()),
            query: uri.query().unwrap_or_default().to_owned(),
            headers,
            body: request.body.clone(),
        },
    })
}
