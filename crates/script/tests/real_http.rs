//! HTTP beside calls, over real sockets of loopback.

mod real;

use std::net::TcpListener;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use callwright_events::{ExitCode, FailureKind};
use real::{run, run_with};

/// A request that nobody answers and nothing ends takes 30 s.
const PATIENCE: Duration = Duration::from_secs(25);

/// A server that takes connections and never answers.
fn silent_server() -> (TcpListener, String) {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", server.local_addr().unwrap());
    (server, url)
}

#[test]
fn a_request_ends_with_the_time_of_its_scenario() {
    let (_server, url) = silent_server();
    let began = Instant::now();
    let ran = run(&format!(
        "scenario(\"slow\", #{{ timeout: \"1s\" }}, || http(\"GET\", \"{url}\"));"
    ));
    let failure = ran.failure();
    assert_eq!(failure.kind, FailureKind::Timeout);
    assert!(
        failure.message.contains("the scenario did not end within 1 s"),
        "{}",
        failure.message
    );
    assert!(began.elapsed() < PATIENCE, "it ended by itself");
}

#[test]
fn an_interrupt_ends_a_request() {
    let (server, url) = silent_server();
    let began = Instant::now();
    let ran = run_with(&format!("http(\"GET\", \"{url}\");"), |run| {
        let interrupt = Arc::clone(run.interrupt());
        thread::spawn(move || {
            let asked = server.accept();
            interrupt.raise();
            // The connection stays open: nothing but the interrupt ends the request.
            std::mem::forget(asked);
        });
    });
    assert_ne!(ran.code, ExitCode::Passed);
    assert!(began.elapsed() < PATIENCE, "it ended by itself");
}

#[test]
fn a_fixed_port_is_free_as_soon_as_its_server_has_stopped() {
    run(r#"
        let port = mock_server().port;
        let hooks = mock_server();
        let port = hooks.port;
        hooks.stop();
        for number in 0..50 {
            let hooks = mock_server(#{ port: port });
            hooks.respond("/x", text_response(`${number}`));
            // On a connection that is kept, the server before must not answer.
            assert(http("GET", hooks.url + "/x").body).equals(`${number}`);
            hooks.stop();
        }
    "#)
    .passed();
    let ran = run(r#"
        let hooks = mock_server();
        let port = hooks.port;
        hooks.stop();
        for number in 0..20 {
            scenario_each("a {} " + number, [0, 1], |ctx, row| {
                let hooks = mock_server(#{ port: port });
                hooks.respond("/x", text_response("ok"));
                http("GET", hooks.url + "/x").expect_status(200);
            });
        }
    "#);
    ran.passed();
}
