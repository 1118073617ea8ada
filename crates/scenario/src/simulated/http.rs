//! Mock servers of a simulated world: no sockets, but a table of ports, requests that take their time, and tasks that answer
//! them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::baton::{Clockwork, TaskId};
use super::{Shared, SimulatedWorld, lock};
use crate::embedded::Changes as _;
use crate::http::{
    Incoming, ListenError, Listener, Request, RequestError, Response, Service, percent_decoded,
};
use crate::world::{STACK, Time, Topic, Version, Wake, World as _};

/// The first port that a server is given which asks for none.
const FIRST_PORT: u16 = 49_152;

/// How long requests that are still being answered may take once a scenario is over.
const ANSWERS: Duration = Duration::from_secs(60);

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

    fn find(&self, port: u16) -> Option<Arc<dyn Service>> {
        self.lock().get(&port).cloned()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u16, Arc<dyn Service>>> {
        lock(&self.0)
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
struct Addressed {
    /// Host and port, for people.
    host: String,
    port: u16,
    incoming: Incoming,
}

/// Reads the URL of a request.
///
/// # Errors
/// When it cannot be used, or leads out of the simulation.
fn addressed(request: &Request) -> Result<Addressed, RequestError> {
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

impl SimulatedWorld {
    /// One request and its response.
    pub(super) fn exchange(
        &self,
        request: &Request,
        until: Time,
        end: &[(Topic, Version)],
    ) -> Result<Response, RequestError> {
        if self.is_over() {
            return Err(RequestError::GivenUp);
        }
        let to = addressed(request)?;
        let timeout = || RequestError::Timeout {
            within: request.timeout,
        };
        let pause = |span: Duration| {
            let at = self.now() + span;
            match self.wait(end, at.min(until)) {
                Wake::Changed => Err(RequestError::GivenUp),
                Wake::TimeUp if at > until => Err(timeout()),
                Wake::TimeUp => Ok(()),
            }
        };
        let latency = self.shared.latency();
        pause(latency)?;
        let Some(service) = self.shared.ports.find(to.port) else {
            pause(latency)?;
            return Err(RequestError::Connect {
                host: to.host,
                detail: "connection refused: no mock server has that port".to_owned(),
            });
        };
        let topic = self.new_topic();
        let seen = self.version(topic);
        let answer: Arc<Mutex<Option<Response>>> = Arc::default();
        let (shared, given, incoming) = (self.shared.clone(), answer.clone(), to.incoming);
        let number = shared.baton.number();
        let spawned = thread::Builder::new().stack_size(STACK).spawn(move || {
            let baton = shared.baton.clone();
            baton.run(number, &*shared, || {
                let response = service.answer(incoming);
                *lock(&given) = Some(response);
                shared.baton.touch(topic);
            });
        });
        let thread = spawned.map_err(|error| {
            self.shared.baton.not_started(number);
            RequestError::Other {
                detail: format!("the system gives no thread: {error}"),
            }
        })?;
        self.shared
            .baton
            .started(number, thread.thread(), Clockwork::now(&*self.shared));
        self.shared.keep(number, thread);
        let mut reads = end.to_vec();
        reads.push((topic, seen));
        let wake = self.wait(&reads, until);
        let response = lock(&answer).take();
        match (response, wake) {
            (Some(response), _) => {
                pause(latency)?;
                Ok(response)
            }
            (None, Wake::Changed) => Err(RequestError::GivenUp),
            (None, Wake::TimeUp) => Err(timeout()),
        }
    }

    /// Ends requests that are still being answered: after a while every wait of theirs is over at once. No other task may run.
    pub fn close(&self) {
        let answering = std::mem::take(&mut *lock(&self.shared.answering));
        if answering.is_empty() {
            return;
        }
        let tasks: Vec<TaskId> = answering.iter().map(|(task, _)| *task).collect();
        let until = self.now() + ANSWERS;
        while self.shared.baton.any_alive(&tasks) && self.now() < until {
            let next = self.shared.core().world.next_event().unwrap_or(until);
            self.wait(&[], next.max(self.now() + Duration::from_millis(100)).min(until));
        }
        if self.shared.baton.any_alive(&tasks) {
            self.shared.baton.set_closing(true);
            self.shared.baton.join(&tasks, &*self.shared);
            self.shared.baton.set_closing(false);
        }
        for (_, thread) in answering {
            // A panic of a responder was its own; it answered 500 with it.
            let _ = thread.join();
        }
    }
}

impl Shared {
    /// Keeps the thread that answers a request until it has ended.
    fn keep(&self, task: TaskId, thread: JoinHandle<()>) {
        let mut answering = lock(&self.answering);
        let ended: Vec<_> = answering
            .extract_if(.., |(_, thread)| thread.is_finished())
            .collect();
        answering.push((task, thread));
        drop(answering);
        for (_, thread) in ended {
            // A panic of a responder was its own; it answered 500 with it.
            let _ = thread.join();
        }
    }
}
