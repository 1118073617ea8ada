//! The HTTP client of the real world.

use std::io;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use bytes::Bytes;
use ureq::http;
use ureq::tls::{Certificate, RootCerts, TlsConfig};

use super::{Request, RequestError, Response};

/// How many redirects are followed.
const REDIRECTS: usize = 10;

/// What a response body may have at most.
const BODY_LIMIT: u64 = 64 * 1024 * 1024;

/// Sends a request by `exchange`, and those to which its responses redirect (RFC 9110 §15.4).
///
/// # Errors
/// Those of `exchange`, and where there is no end of redirects.
pub(crate) fn follow(
    request: &Request,
    mut exchange: impl FnMut(&Request) -> Result<Response, RequestError>,
) -> Result<Response, RequestError> {
    let mut request = request.clone();
    for _ in 0..=REDIRECTS {
        let response = exchange(&request)?;
        match redirect(&request, &response) {
            Some(next) => request = next,
            None => return Ok(response),
        }
    }
    Err(RequestError::Other {
        detail: format!("more than {REDIRECTS} redirects"),
    })
}

/// The HTTP client of the real world. Connections are kept and used again.
#[derive(Default)]
pub struct Client {
    verifying: OnceLock<ureq::Agent>,
    trusting: OnceLock<ureq::Agent>,
}

impl Client {
    /// Sends a request, follows redirects (RFC 9110 §15.4), and blocks until the last response is complete.
    ///
    /// # Errors
    /// [`RequestError`]; a response with an error status is none.
    pub fn send(&self, request: &Request) -> Result<Response, RequestError> {
        // The deadline of a real request is a real one: this is the real world's client.
        let until = Instant::now() + request.timeout;
        follow(request, |request| {
            self.exchange(request, until.saturating_duration_since(Instant::now()))
        })
    }

    fn exchange(&self, request: &Request, left: Duration) -> Result<Response, RequestError> {
        let mut builder = http::Request::builder()
            .method(request.method.as_str())
            .uri(&request.url);
        for (name, value) in &request.headers {
            builder = builder.header(name, value);
        }
        let bad = |error: http::Error| RequestError::BadRequest {
            detail: format!("{}: {error}", request.url),
        };
        let agent = self.agent(request.verify);
        let outcome = if request.body.is_empty() {
            run(agent, builder.body(()).map_err(bad)?, left)
        } else {
            run(agent, builder.body(&request.body[..]).map_err(bad)?, left)
        };
        let mut response = outcome.map_err(|error| explain(&error, request))?;
        let body = response
            .body_mut()
            .with_config()
            .limit(BODY_LIMIT)
            .read_to_vec()
            .map_err(|error| explain(&error, request))?;
        let text = |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        Ok(Response {
            status: response.status().as_u16(),
            headers: response
                .headers()
                .iter()
                .map(|(name, value)| (name.to_string(), text(value)))
                .collect(),
            body: Bytes::from(body),
        })
    }

    fn agent(&self, verify: bool) -> &ureq::Agent {
        let slot = if verify { &self.verifying } else { &self.trusting };
        slot.get_or_init(|| {
            let tls = TlsConfig::builder()
                .disable_verification(!verify)
                .root_certs(roots())
                .build();
            ureq::Agent::config_builder()
                .http_status_as_error(false)
                .max_redirects(0)
                // A connection that is kept may be one whose server is just going: a test must not fail for that.
                .max_idle_connections(0)
                .max_idle_connections_per_host(0)
                .allow_non_standard_methods(true)
                .tls_config(tls)
                .user_agent(concat!("callwright/", env!("CARGO_PKG_VERSION")))
                .build()
                .new_agent()
        })
    }
}

fn run(
    agent: &ureq::Agent,
    request: http::Request<impl ureq::AsSendBody>,
    left: Duration,
) -> Result<http::Response<ureq::Body>, ureq::Error> {
    let local = request.uri().host().is_some_and(|host| {
        host == "localhost"
            || host
                .trim_matches(['[', ']'])
                .parse::<std::net::IpAddr>()
                .is_ok_and(|ip| ip.is_loopback())
    });
    let config = agent
        .configure_request(request)
        .timeout_global(Some(left.max(Duration::from_millis(1))));
    // A proxy of the environment is for the world outside.
    let config = if local { config.proxy(None) } else { config };
    agent.run(config.build())
}

/// The system's roots, and those of `SSL_CERT_FILE`.
fn roots() -> RootCerts {
    let certificates: Vec<Certificate<'static>> = callwright_net::system_roots()
        .iter()
        .map(|certificate| Certificate::from_der(certificate).to_owned())
        .collect();
    RootCerts::new_with_certs(&certificates)
}

/// The request that follows a redirect, if the response is one.
fn redirect(request: &Request, response: &Response) -> Option<Request> {
    if !matches!(response.status, 301 | 302 | 303 | 307 | 308) {
        return None;
    }
    let location = response
        .headers
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case("location"))?;
    let mut next = Request {
        url: resolve(&request.url, &location.1),
        ..request.clone()
    };
    // RFC 9110 §15.4: 307 and 308 keep the method; the others turn a POST into a GET, as every client does.
    let keeps = matches!(response.status, 307 | 308) || matches!(request.method.as_str(), "GET" | "HEAD");
    if !keeps {
        next.method = "GET".to_owned();
        next.body = Bytes::new();
        next.headers
            .retain(|(name, _)| !name.eq_ignore_ascii_case("content-type"));
    }
    if origin(&next.url) != origin(&request.url) {
        next.headers
            .retain(|(name, _)| !name.eq_ignore_ascii_case("authorization"));
    }
    Some(next)
}

/// A reference resolved against an absolute URL (RFC 3986 §5.2.2).
fn resolve(base: &str, reference: &str) -> String {
    // RFC 9110 §10.2.2: a fragment of the request goes on to where it leads, but is never sent.
    let reference = reference.split('#').next().unwrap_or(reference);
    let base = base.split('#').next().unwrap_or(base);
    let scheme = base.split("//").next().unwrap_or("http:");
    let has_scheme = reference.split_once(':').is_some_and(|(scheme, _)| {
        scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
    });
    if has_scheme {
        return reference.to_owned();
    }
    if reference.starts_with("//") {
        return format!("{scheme}{reference}");
    }
    let origin = origin(base);
    let (path, query) = split_query(base.get(origin.len()..).unwrap_or_default());
    let (new_path, new_query) = split_query(reference);
    let query = match (new_path.is_empty(), new_query.is_empty()) {
        (true, true) => query,
        _ => new_query,
    };
    let path = if new_path.is_empty() {
        path.to_owned()
    } else if new_path.starts_with('/') {
        without_dots(new_path)
    } else {
        // RFC 3986 §5.2.3: the reference takes the place of the last segment.
        let folder = path.rfind('/').map_or("/", |end| &path[..=end]);
        without_dots(&format!("{folder}{new_path}"))
    };
    let path = if path.is_empty() { "/" } else { &path };
    format!("{origin}{path}{query}")
}

/// A path, and the query with its question mark.
fn split_query(text: &str) -> (&str, &str) {
    text.split_at(text.find('?').unwrap_or(text.len()))
}

/// RFC 3986 §5.2.4.
fn without_dots(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    let mut segments = path.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        let is_last = segments.peek().is_none();
        match segment {
            "." | ".." => {
                if segment == ".." {
                    kept.pop();
                }
                if is_last {
                    kept.push("");
                }
            }
            segment => kept.push(segment),
        }
    }
    format!("/{}", kept.join("/"))
}

/// Scheme, host and port.
fn origin(url: &str) -> &str {
    let start = url.find("://").map_or(0, |at| at + 3);
    let end = url[start..]
        .find(['/', '?', '#'])
        .map_or(url.len(), |at| start + at);
    &url[..end]
}

fn explain(error: &ureq::Error, request: &Request) -> RequestError {
    let connect = |detail: String| RequestError::Connect {
        host: origin(&request.url).to_owned(),
        detail,
    };
    match error {
        ureq::Error::Io(error) if is_refusal(error) || is_lookup(error) => connect(error.to_string()),
        ureq::Error::Io(error) if error.kind() == io::ErrorKind::InvalidData => RequestError::Tls {
            detail: error.to_string(),
        },
        ureq::Error::ConnectionFailed => connect("connection failed".to_owned()),
        ureq::Error::HostNotFound => connect("no such host".to_owned()),
        ureq::Error::Timeout(_) => RequestError::Timeout {
            within: request.timeout,
        },
        ureq::Error::Tls(detail) => RequestError::Tls {
            detail: (*detail).to_owned(),
        },
        ureq::Error::Rustls(error) => RequestError::Tls {
            detail: error.to_string(),
        },
        ureq::Error::BadUri(_) | ureq::Error::Http(_) => RequestError::BadRequest {
            detail: format!("{}: {error}", request.url),
        },
        other => RequestError::Other {
            detail: other.to_string(),
        },
    }
}

fn is_refusal(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused
            | io::ErrorKind::HostUnreachable
            | io::ErrorKind::NetworkUnreachable
            | io::ErrorKind::AddrNotAvailable
            | io::ErrorKind::ConnectionReset
    )
}

/// A name that does not resolve, not yet: the standard library has no kind for that.
fn is_lookup(error: &io::Error) -> bool {
    error.to_string().contains("failed to lookup address information")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_resolved() {
        let base = "http://127.0.0.1:8080/a/b?q=1";
        assert_eq!(resolve(base, "https://x.example/y"), "https://x.example/y");
        assert_eq!(resolve(base, "/c"), "http://127.0.0.1:8080/c");
        assert_eq!(resolve(base, "c"), "http://127.0.0.1:8080/a/c");
        assert_eq!(resolve("http://127.0.0.1:8080", "c"), "http://127.0.0.1:8080/c");
        assert_eq!(resolve(base, "?y=9"), "http://127.0.0.1:8080/a/b?y=9");
        assert_eq!(resolve(base, ""), base);
        assert_eq!(resolve(base, "../c?x=a/b"), "http://127.0.0.1:8080/c?x=a/b");
        assert_eq!(resolve(base, "./d/../e/."), "http://127.0.0.1:8080/a/e/");
        assert_eq!(resolve(base, "/c/./../../d#top"), "http://127.0.0.1:8080/d");
        assert_eq!(
            resolve(base, "c?to=http://x/"),
            "http://127.0.0.1:8080/a/c?to=http://x/"
        );
        assert_eq!(resolve(base, "//x.example/c"), "http://x.example/c");
    }
}
