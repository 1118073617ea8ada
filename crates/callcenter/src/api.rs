//! The HTTP side: health, metrics, and a JSON API, on a thread of its own.
//!
//! What is going on is asked of the world under its lock, for as long as a copy takes; what was is read from the database, beside
//! its writer. Whoever asks has to show the token of the settings; `/healthz` needs none.

mod connections;
mod error;
mod live;
mod metrics;
mod query;
mod routes;
mod views;

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::thread::JoinHandle;
use std::time::Duration;

use callwright_net as net;
use callwright_wire::Epoch;
use tokio::sync::oneshot;

use crate::server::Server;
use crate::settings::Http;
use connections::Allowed;
use live::Live;
pub(crate) use metrics::Tally;
use routes::Shared;

/// What connections may do.
const ALLOWED: Allowed = Allowed {
    open: 256,
    of_one: 128,
    head: Duration::from_secs(10),
    age: Duration::from_secs(300),
    last: Duration::from_secs(30),
};
/// How many requests may read the database at once.
const READERS: usize = 2;
/// The largest body of a request, in bytes.
const BODY: usize = 16 << 10;

/// Why there is no API.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// Its port.
    #[error("no HTTP at {at}: {error}; name another address with [http] listen, or --http")]
    Listen {
        /// Where it would have listened.
        at: SocketAddr,
        /// What the system said.
        error: io::Error,
    },
    /// Its thread.
    #[error("no thread for HTTP: {0}")]
    Thread(io::Error),
}

/// A running API; it ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Api {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Api {
    /// Listens where the settings say, and serves.
    pub(crate) fn start(
        http: &Http,
        database: PathBuf,
        world: &Arc<net::World<Server>>,
        party: net::PartyId,
        epoch: Epoch,
        tally: Arc<Tally>,
    ) -> Result<Api, ApiError> {
        let listen = |error| ApiError::Listen {
            at: http.listen,
            error,
        };
        let socket = std::net::TcpListener::bind(http.listen).map_err(listen)?;
        socket.set_nonblocking(true).map_err(listen)?;
        let address = socket.local_addr().map_err(listen)?;
        let shared = Arc::new(Shared {
            live: Live::new(world, party, epoch),
            token: http.token.clone(),
            database,
            tally,
        });
        let (stop, stopped) = oneshot::channel();
        let (started, start) = channel();
        let thread = std::thread::Builder::new()
            .name("callwright-http".to_owned())
            .spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .max_blocking_threads(READERS)
                    .build();
                let runtime = match runtime {
                    Ok(runtime) => runtime,
                    Err(error) => {
                        let _gone = started.send(Err(error));
                        return;
                    }
                };
                runtime.block_on(async {
                    let socket = match tokio::net::TcpListener::from_std(socket) {
                        Ok(socket) => socket,
                        Err(error) => {
                            let _gone = started.send(Err(error));
                            return;
                        }
                    };
                    let _gone = started.send(Ok(()));
                    let app = routes::router(shared);
                    tokio::select! {
                        () = connections::serve(socket, app, ALLOWED) => {}
                        _ = stopped => {}
                    }
                });
                runtime.shutdown_background();
            })
            .map_err(ApiError::Thread)?;
        match start.recv() {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return Err(listen(error)),
            Err(_) => return Err(listen(io::Error::other("its thread ended"))),
        }
        Ok(Api {
            address,
            stop: Some(stop),
            thread: Some(thread),
        })
    }

    /// Where it listens, with the real port.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Api {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _over = stop.send(());
        }
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread of HTTP panicked");
        }
    }
}
