//! One source asks without end; another is served as ever.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use callwright_peers::{CallCenter, CallCenterOptions};

use super::phone::{Answering, Phone};

const FLOODER: [u8; 4] = [127, 0, 0, 2];
const OTHER: [u8; 4] = [127, 0, 0, 1];
/// Fifty times what one source is allowed.
const PER_SECOND: u32 = 5_000;
const ROUNDS: usize = 20;
const SECONDS_OF_LONG: u64 = 120;
/// A phone that waits longer has sent its request again.
const T1: Duration = Duration::from_millis(500);

/// REGISTERs and INVITEs from one source until it is dropped.
struct Flood {
    stop: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<u64>>,
}

impl Flood {
    fn start(server: std::net::SocketAddr, per_second: Option<u32>) -> Flood {
        let stop = Arc::new(AtomicBool::new(false));
        let until = stop.clone();
        let thread = std::thread::spawn(move || {
            let phone = Phone::at(FLOODER, server);
            let began = Instant::now();
            let mut sent = 0_u64;
            while !until.load(Relaxed) {
                let (method, user) = if sent.is_multiple_of(2) {
                    ("REGISTER", "alice")
                } else {
                    ("INVITE", "bob")
                };
                phone.send(phone.text(method, user, "").as_bytes());
                sent += 1;
                if let Some(per_second) = per_second {
                    let due =
                        began + Duration::from_secs(1) * u32::try_from(sent).unwrap_or(u32::MAX) / per_second;
                    std::thread::park_timeout(due.saturating_duration_since(Instant::now()));
                }
            }
            sent
        });
        Flood {
            stop,
            thread: Some(thread),
        }
    }

    fn end(mut self) -> u64 {
        self.stop.store(true, Relaxed);
        let thread = self.thread.take().expect("it was started");
        thread.join().expect("it floods")
    }
}

/// A registration and a whole call: how long until the one is stored, and the other answered.
fn serve(phone: &Phone) -> [Duration; 2] {
    let registered = phone.asks("REGISTER", "carol", "Expires: 600\r\n");
    assert_eq!(registered.status, 200, "{}", registered.text);
    let answered = phone.asks("INVITE", "dave", "");
    assert_eq!(answered.status, 200, "{}", answered.text);
    phone.hangs_up("dave", &answered);
    [registered.after, answered.after]
}

fn print(what: &str, times: &mut [[Duration; 2]]) -> [Duration; 2] {
    [0, 1].map(|at| {
        times.sort_unstable_by_key(|pair| pair[at]);
        let (median, longest) = (times[times.len() / 2][at], times[times.len() - 1][at]);
        println!(
            "{what}: {} after {median:?}, {longest:?} at most",
            ["registered", "answered"][at]
        );
        median
    })
}

fn a_flood_leaves_others_served(per_second: Option<u32>, go_on: impl Fn(usize, Duration) -> bool) {
    let server = CallCenter::start_with(&CallCenterOptions {
        auth: Some("none"),
        more: CallCenter::OPEN_API,
        ..CallCenterOptions::default()
    });
    let _dave = Answering::start(server.address(), "dave");
    let phone = Phone::at(OTHER, server.address());
    let mut times: Vec<_> = (0..ROUNDS).map(|_| serve(&phone)).collect();
    print("before the flood", &mut times);

    let flood = Flood::start(server.address(), per_second);
    let began = Instant::now();
    times.clear();
    while go_on(times.len(), began.elapsed()) {
        times.push(serve(&phone));
    }
    let sent = flood.end();
    let unheard = server.metric("rate_limited_total");
    println!(
        "{sent} requests in {:?}, {unheard} unheard, {} KiB resident",
        began.elapsed(),
        server.memory() / 1_024
    );
    let medians = print("in the flood", &mut times);
    assert!(medians.iter().all(|median| *median < T1), "{medians:?}");
    assert!(unheard > 0 && unheard <= sent, "{unheard} of {sent}");
}

#[test]
fn a_flood_from_one_source_leaves_others_served() {
    // Long enough for what is allowed at once to be used up.
    a_flood_leaves_others_served(Some(PER_SECOND), |rounds, span| {
        rounds < ROUNDS || span < Duration::from_secs(2)
    });
}

#[test]
#[ignore = "sends as fast as it can for two minutes"]
fn a_flood_without_pause_leaves_others_served() {
    a_flood_leaves_others_served(None, |_, span| span < Duration::from_secs(SECONDS_OF_LONG));
}
