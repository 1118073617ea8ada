//! Mock servers: real HTTP servers that the system under test calls.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use bytes::Bytes;
use callwright_events::RunEvent;
use regex::Regex;

use crate::context::{self, Context};
use crate::http::{self, Incoming, Listener, Response, Service};
use crate::world::{Topic, World};
use crate::{Fault, Position, Scene, Value, nearest};

/// How many requests a server keeps.
const REQUESTS_KEPT: usize = 10_000;

/// What answers the requests of a route; runs on a task of the server's own.
pub type Responder = Arc<dyn Fn(Arc<Incoming>) -> Result<Response, Fault> + Send + Sync>;

/// A handle on a mock server. Clones mean the same server; it ends with its scene.
#[derive(Clone)]
pub struct MockServer(Arc<MockParts>);

pub(crate) struct MockParts {
    port: u16,
    topic: Topic,
    world: Arc<dyn World>,
    shared: Arc<Shared>,
    listener: Mutex<Option<Box<dyn Listener>>>,
}

/// Which paths a route answers.
#[derive(Clone, Debug)]
pub enum PathPattern {
    /// This one.
    Exact(String),
    /// Those that the expression matches as a whole.
    Matching {
        /// The expression as written.
        pattern: String,
        /// Anchored.
        regex: Regex,
    },
}

/// What the server's own tasks need.
struct Shared {
    scene: Weak<Scene>,
    world: Arc<dyn World>,
    topic: Topic,
    routes: Mutex<Vec<Route>>,
    requests: Mutex<VecDeque<Arc<Incoming>>>,
    /// How many were dropped because there were too many.
    dropped: AtomicU64,
    ages: AtomicU64,
}

struct Route {
    method: Option<String>,
    path: PathPattern,
    age: u64,
    responder: Responder,
}

impl MockServer {
    /// Starts a server on loopback. `config` may have `port`.
    ///
    /// # Errors
    /// An unknown key, or a port that cannot be had.
    pub fn start(scene: &Arc<Scene>, config: Option<&Value>, at: &Position) -> Result<MockServer, Fault> {
        scene.check().map_err(|fault| fault.at(at))?;
        let port = config.map_or(Ok(None), port).map_err(|fault| fault.at(at))?;
        let world = Arc::clone(scene.run().world());
        let topic = world.new_topic();
        let shared = Arc::new(Shared {
            scene: Arc::downgrade(scene),
            world: Arc::clone(&world),
            topic,
            routes: Mutex::default(),
            requests: Mutex::default(),
            dropped: AtomicU64::new(0),
            ages: AtomicU64::new(0),
        });
        let service: Arc<dyn Service> = Arc::clone(&shared) as _;
        let listener = world
            .listen(port, service)
            .map_err(|error| Fault::environment(format!("mock_server: {error}")).at(at))?;
        let parts = Arc::new(MockParts {
            port: listener.port(),
            topic,
            world,
            shared,
            listener: Mutex::new(Some(listener)),
        });
        scene.keep_mock(Arc::clone(&parts));
        Ok(MockServer(parts))
    }

    /// `http://127.0.0.1:` and the port.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.0.port)
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.0.port
    }

    /// Adds a route; the same route again replaces. A method of `*` or none: any.
    pub fn route(&self, method: Option<&str>, path: PathPattern, responder: Responder) {
        let method = method.filter(|method| *method != "*").map(str::to_uppercase);
        let shared = &self.0.shared;
        let age = shared.ages.fetch_add(1, Ordering::Relaxed);
        let mut routes = lock(&shared.routes);
        routes.retain(|route| route.method != method || !route.path.is(&path));
        routes.push(Route {
            method,
            path,
            age,
            responder,
        });
    }

    /// The requests on these paths, oldest first.
    pub fn requests(&self, path: &PathPattern) -> Vec<Arc<Incoming>> {
        context::reads(&*self.0.world, self.0.topic);
        lock(&self.0.shared.requests)
            .iter()
            .filter(|request| path.matches(&request.path))
            .cloned()
            .collect()
    }

    /// How many requests, on whatever path, are no longer among [`MockServer::requests`].
    pub fn dropped(&self) -> u64 {
        self.0.shared.dropped.load(Ordering::Relaxed)
    }

    /// The newest request on these paths.
    ///
    /// # Errors
    /// When there is none yet.
    pub fn last_request(&self, path: &PathPattern) -> Result<Arc<Incoming>, Fault> {
        self.requests(path)
            .pop()
            .ok_or_else(|| Fault::not_yet(format!("last_request: there is no request on {path} yet")))
    }

    /// Stops it. Returns false when it was stopped already.
    pub fn stop(&self) -> bool {
        self.0.stop()
    }
}

impl MockParts {
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn stop(&self) -> bool {
        lock(&self.listener).take().is_some()
    }
}

fn port(config: &Value) -> Result<Option<u16>, Fault> {
    let Value::Map(map) = config else {
        return Err(Fault::script(format!(
            "mock_server: the configuration is a map, not {config}"
        )));
    };
    if let Some(key) = map.keys().find(|key| *key != "port") {
        let near = nearest::question(key, ["port"]);
        return Err(Fault::script(format!("mock_server: unknown key `{key}`{near}")));
    }
    match map.get("port") {
        None | Some(Value::Absent) => Ok(None),
        Some(Value::Int(port)) if (0..=65535).contains(port) => {
            Ok(u16::try_from(*port).ok().filter(|port| *port > 0))
        }
        Some(other) => Err(Fault::script(format!(
            "mock_server: `port` is a number from 0 to 65535, not {other}"
        ))),
    }
}

impl Service for Shared {
    fn answer(&self, request: Incoming) -> Response {
        let request = Arc::new(request);
        let responder = self.responder(&request);
        {
            let mut requests = lock(&self.requests);
            if requests.len() == REQUESTS_KEPT {
                requests.pop_front();
                self.dropped.fetch_add(1, Ordering::Relaxed);
            }
            requests.push_back(Arc::clone(&request));
        }
        let scene = self.scene.upgrade();
        let report = |event: RunEvent| {
            if let Some(scene) = &scene {
                scene.report_mock(&event);
            }
        };
        report(RunEvent::MockRequest {
            method: request.method.clone(),
            path: request.path.clone(),
            matched: responder.is_some(),
        });
        // The request counts as soon as it is here: its answer may wait for what the scenario does next.
        self.world.touch(self.topic);
        let Some(responder) = responder else {
            return plain(404, format!("no route for {} {}", request.method, request.path));
        };
        let _entered = scene.as_ref().map(|scene| Context::new(scene).enter());
        responder(Arc::clone(&request)).unwrap_or_else(|fault| {
            let place = fault
                .parts()
                .at
                .as_ref()
                .map_or_else(String::new, |at| format!("{at}: "));
            let error = format!("{place}{fault}");
            report(RunEvent::MockError {
                method: request.method.clone(),
                path: request.path.clone(),
                error: error.clone(),
                location: fault.parts().at.as_ref().and_then(Position::location),
            });
            plain(500, error)
        })
    }
}

impl Shared {
    /// Exact path before expression, exact method before any, newest wins.
    fn responder(&self, request: &Incoming) -> Option<Responder> {
        let routes = lock(&self.routes);
        let fits = |route: &&Route| {
            route
                .method
                .as_ref()
                .is_none_or(|method| *method == request.method)
                && route.path.matches(&request.path)
        };
        let best = routes.iter().filter(fits).max_by_key(|route| {
            (
                matches!(route.path, PathPattern::Exact(_)),
                route.method.is_some(),
                route.age,
            )
        });
        best.map(|route| Arc::clone(&route.responder))
    }
}

impl PathPattern {
    /// An expression, anchored to the whole path.
    ///
    /// # Errors
    /// When it is no regular expression.
    pub fn regex(pattern: &str) -> Result<Self, Fault> {
        let regex = Regex::new(&format!("^(?:{pattern})$"))
            .map_err(|error| Fault::script(format!("{pattern:?} is not a regular expression: {error}")))?;
        Ok(PathPattern::Matching {
            pattern: pattern.to_owned(),
            regex,
        })
    }

    fn matches(&self, path: &str) -> bool {
        match self {
            PathPattern::Exact(exact) => exact == path,
            PathPattern::Matching { regex, .. } => regex.is_match(path),
        }
    }

    fn is(&self, other: &PathPattern) -> bool {
        match (self, other) {
            (PathPattern::Exact(a), PathPattern::Exact(b)) => a == b,
            (PathPattern::Matching { pattern: a, .. }, PathPattern::Matching { pattern: b, .. }) => a == b,
            (PathPattern::Exact(_), PathPattern::Matching { .. })
            | (PathPattern::Matching { .. }, PathPattern::Exact(_)) => false,
        }
    }
}

impl std::fmt::Display for PathPattern {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            PathPattern::Exact(path) => f.write_str(path),
            PathPattern::Matching { pattern, .. } => write!(f, "regex({pattern:?})"),
        }
    }
}

/// A response from a map: `status`, `content_type`, `headers`, `body` (a string, or anything else as JSON).
///
/// # Errors
/// An unknown key, or a value of the wrong type.
pub fn response(value: &Value) -> Result<Response, Fault> {
    const KEYS: [&str; 4] = ["status", "content_type", "headers", "body"];
    let Value::Map(map) = value else {
        return Err(Fault::script(format!(
            "a response is a map, as from json_response(…) or text_response(…), not {value}"
        )));
    };
    let mut response = Response {
        status: 200,
        ..Response::default()
    };
    let mut content_type = None;
    for (key, value) in map {
        match (key.as_str(), value) {
            ("status", Value::Int(status)) if (100..=599).contains(status) => {
                response.status = u16::try_from(*status).unwrap_or(500);
            }
            ("status", other) => {
                return Err(Fault::script(format!(
                    "a response's `status` is a number from 100 to 599, not {other}"
                )));
            }
            ("content_type", Value::Text(text)) => content_type = Some(text.clone()),
            ("headers", headers @ Value::Map(_)) => {
                let fields = http::headers(headers)
                    .map_err(|error| Fault::script(format!("a response's `headers`: {error}")))?;
                response.headers.extend(fields);
            }
            ("body", Value::Absent) => {}
            ("body", Value::Text(text)) => {
                content_type.get_or_insert_with(|| "text/plain; charset=utf-8".to_owned());
                response.body = Bytes::from(text.clone());
            }
            ("body", other) => {
                content_type.get_or_insert_with(|| "application/json".to_owned());
                response.body = Bytes::from(other.to_json().to_string());
            }
            ("content_type" | "headers", other) => {
                return Err(Fault::script(format!("a response's `{key}` cannot be {other}")));
            }
            (other, _) => {
                let near = nearest::question(other, KEYS);
                return Err(Fault::script(format!("a response has no key `{other}`{near}")));
            }
        }
    }
    // The map is in alphabetical order: a given type was not known yet when the body came.
    if let Some(Value::Text(given)) = map.get("content_type") {
        content_type = Some(given.clone());
    }
    if let Some(content_type) = content_type
        && http::header(&response.headers, "content-type").is_none()
    {
        response.headers.push(("content-type".to_owned(), content_type));
    }
    Ok(response)
}

fn plain(status: u16, text: String) -> Response {
    Response {
        status,
        headers: vec![("content-type".to_owned(), "text/plain; charset=utf-8".to_owned())],
        body: Bytes::from(text),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
