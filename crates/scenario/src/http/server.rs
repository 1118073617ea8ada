//! The HTTP servers of the real world: all of them on one thread of their own, which starts with the first.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread;
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::http;
use axum::response::IntoResponse;
use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

use super::{Incoming, ListenError, Listener, Response, Service, percent_decoded};

/// What a request body may have at most.
const BODY_LIMIT: usize = 16 * 1024 * 1024;

/// How long the end of a server waits for its socket, at most: only a process that is starved needs it.
const CLOSE_WITHIN: Duration = Duration::from_secs(2);

/// The HTTP servers of the real world.
#[derive(Default)]
pub struct Servers {
    runtime: Mutex<Option<Handle>>,
}

impl Servers {
    /// Starts a server on loopback; `None` takes any free port.
    ///
    /// # Errors
    /// When the port cannot be had.
    pub fn listen(
        &self,
        port: Option<u16>,
        service: Arc<dyn Service>,
    ) -> Result<Box<dyn Listener>, ListenError> {
        let wanted = port.unwrap_or(0);
        let explain = |error: io::Error| match error.kind() {
            io::ErrorKind::AddrInUse => ListenError::InUse { port: wanted },
            _ => ListenError::Other {
                port: wanted,
                detail: error.to_string(),
            },
        };
        let socket = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, wanted))).map_err(explain)?;
        socket.set_nonblocking(true).map_err(explain)?;
        let port = socket.local_addr().map_err(explain)?.port();
        let handle = self.runtime().map_err(explain)?;
        let (stop, stopped) = oneshot::channel::<()>();
        let (open, closed) = mpsc::channel();
        let _entered = handle.enter();
        let socket = tokio::net::TcpListener::from_std(socket).map_err(explain)?;
        let app = axum::Router::new().fallback(answer).with_state(service);
        let socket = Listening { socket, _open: open };
        // It stops at once; a connection, when its request is answered: a client that keeps one must not be answered by
        // a server that is gone.
        let serving = axum::serve(socket, app).with_graceful_shutdown(async {
            let _ = stopped.await;
        });
        handle.spawn(serving.into_future());
        Ok(Box::new(Running {
            port,
            stop: Some(stop),
            closed: Mutex::new(closed),
        }))
    }

    fn runtime(&self) -> io::Result<Handle> {
        let mut runtime = self.runtime.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(handle) = &*runtime {
            return Ok(handle.clone());
        }
        let started = Builder::new_current_thread().enable_io().enable_time().build()?;
        let handle = started.handle().clone();
        // It serves until the process ends; without listeners it sleeps.
        thread::Builder::new()
            .name("http".to_owned())
            .spawn(move || started.block_on(std::future::pending::<()>()))?;
        *runtime = Some(handle.clone());
        Ok(handle)
    }
}

struct Running {
    port: u16,
    stop: Option<oneshot::Sender<()>>,
    /// Ends with the socket.
    closed: Mutex<mpsc::Receiver<()>>,
}

impl Drop for Running {
    /// The port is free when this returns.
    fn drop(&mut self) {
        self.stop = None;
        let closed = self.closed.get_mut().unwrap_or_else(PoisonError::into_inner);
        // Nothing is ever sent: the wait is for the end of the sender.
        let _ = closed.recv_timeout(CLOSE_WITHIN);
    }
}

/// The socket of a server, and who waits for it to be closed. Fields are dropped in this order.
struct Listening {
    socket: tokio::net::TcpListener,
    _open: mpsc::Sender<()>,
}

impl axum::serve::Listener for Listening {
    type Io = tokio::net::TcpStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        axum::serve::Listener::accept(&mut self.socket).await
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }
}

impl Listener for Running {
    fn port(&self) -> u16 {
        self.port
    }
}

async fn answer(
    State(service): State<Arc<dyn Service>>,
    request: http::Request<Body>,
) -> http::Response<Body> {
    let (parts, body) = request.into_parts();
    let Ok(body) = axum::body::to_bytes(body, BODY_LIMIT).await else {
        return http::StatusCode::PAYLOAD_TOO_LARGE.into_response();
    };
    let incoming = Incoming {
        method: parts.method.as_str().to_uppercase(),
        path: percent_decoded(parts.uri.path()),
        query: parts.uri.query().unwrap_or_default().to_owned(),
        headers: parts
            .headers
            .iter()
            .map(|(name, value)| {
                (
                    name.to_string(),
                    String::from_utf8_lossy(value.as_bytes()).into_owned(),
                )
            })
            .collect(),
        body,
    };
    // A responder runs a script, which blocks.
    let answered = tokio::task::spawn_blocking(move || service.answer(incoming)).await;
    answered.map_or_else(
        |_| http::StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        into_http,
    )
}

fn into_http(response: Response) -> http::Response<Body> {
    let mut builder = http::Response::builder().status(response.status);
    for (name, value) in &response.headers {
        builder = builder.header(name, value);
    }
    builder
        .body(Body::from(response.body))
        .unwrap_or_else(|_| http::StatusCode::INTERNAL_SERVER_ERROR.into_response())
}
