//! Connections of HTTP: so many may be open, none for nothing, and nobody takes all of them.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::serve::Listener;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

/// What connections may do.
#[derive(Clone, Copy, Debug)]
pub(super) struct Allowed {
    /// How many may be open; one beyond waits in the queue of the system.
    pub(super) open: usize,
    /// How many of them one address may have; one beyond is closed.
    pub(super) of_one: usize,
    /// How long the head of a request may take, and how long the next one may be awaited.
    pub(super) head: Duration,
    /// How long one is open before it is closed after its next answer.
    pub(super) age: Duration,
    /// How long that answer may take.
    pub(super) last: Duration,
}

/// Serves until it is dropped.
pub(super) async fn serve(mut socket: TcpListener, app: Router, allowed: Allowed) {
    let room = Arc::new(Semaphore::new(allowed.open));
    let addresses = Addresses::default();
    loop {
        let permit = room.clone().acquire_owned().await.ok();
        let (stream, from) = Listener::accept(&mut socket).await;
        let Some(place) = addresses.place(from.ip(), allowed.of_one) else {
            continue;
        };
        let app = app.clone();
        tokio::spawn(async move {
            serve_one(stream, app, allowed).await;
            drop((permit, place));
        });
    }
}

async fn serve_one(stream: TcpStream, app: Router, allowed: Allowed) {
    let service = TowerToHyperService::new(app);
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(allowed.head)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    tokio::select! {
        // How it ended is the peer's business.
        _ended = connection.as_mut() => {}
        () = tokio::time::sleep(allowed.age) => {
            connection.as_mut().graceful_shutdown();
            let _late = tokio::time::timeout(allowed.last, connection).await;
        }
    }
}

/// How many connections each address has.
#[derive(Clone, Default)]
struct Addresses(Arc<Mutex<BTreeMap<IpAddr, usize>>>);

impl Addresses {
    /// A place for one more of an address, where it may have one.
    fn place(&self, of: IpAddr, limit: usize) -> Option<Place> {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = open.entry(of).or_insert(0);
        if *count >= limit {
            return None;
        }
        *count += 1;
        let among = self.clone();
        Some(Place { of, among })
    }
}

/// The place of a connection among those of its address.
struct Place {
    of: IpAddr,
    among: Addresses,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.among.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(&self.of) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.of);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::{SocketAddr, TcpStream};
    use std::sync::mpsc::channel;

    use axum::routing::get;

    use super::*;

    const PATIENT: Allowed = Allowed {
        open: 4,
        of_one: 2,
        head: Duration::from_secs(60),
        age: Duration::from_secs(60),
        last: Duration::from_secs(60),
    };

    /// Where it serves, for as long as the test runs.
    fn start(allowed: Allowed) -> SocketAddr {
        let (told, listening) = channel();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime").block_on(async {
                let socket = TcpListener::bind("127.0.0.1:0").await.expect("a port");
                told.send(socket.local_addr().expect("an address"))
                    .expect("somebody waits");
                let app = Router::new().route("/", get(|| async { "here" }));
                serve(socket, app, allowed).await;
            });
        });
        listening.recv().expect("it listens")
    }

    fn connect(to: SocketAddr) -> TcpStream {
        let stream = TcpStream::connect(to).expect("it listens");
        let limit = Some(Duration::from_secs(20));
        stream.set_read_timeout(limit).expect("a limit");
        stream
    }

    /// What comes until the connection is closed.
    fn rest(mut stream: TcpStream) -> String {
        let mut text = Vec::new();
        // Closed, in whatever way.
        let _reset = stream.read_to_end(&mut text);
        String::from_utf8(text).expect("text")
    }

    const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: test\r\n\r\n";

    #[test]
    fn whoever_asks_nothing_or_no_more_is_let_go() {
        let head = Duration::from_millis(100);
        let at = start(Allowed { head, ..PATIENT });
        let mut slow = connect(at);
        slow.write_all(b"GET / HTT").expect("it leaves");
        assert!(!rest(slow).contains("here"));
        let mut kept = connect(at);
        kept.write_all(REQUEST).expect("it leaves");
        assert!(rest(kept).ends_with("here"));
        let old = start(Allowed { age: head, ..PATIENT });
        let mut kept = connect(old);
        kept.write_all(REQUEST).expect("it leaves");
        assert!(rest(kept).ends_with("here"));
    }

    #[test]
    fn one_address_has_so_many_connections_and_gets_another_when_it_lets_one_go() {
        let addresses = Addresses::default();
        let [one, other] = [[192, 0, 2, 1], [192, 0, 2, 2]].map(IpAddr::from);
        let held = [(); 2].map(|()| addresses.place(one, 2));
        assert!(held.iter().all(Option::is_some));
        assert!(addresses.place(one, 2).is_none() && addresses.place(other, 2).is_some());
        drop(held);
        assert!(addresses.place(one, 2).is_some());
        assert!(
            addresses.0.lock().expect("it is free").is_empty(),
            "nothing is left"
        );
    }
}
