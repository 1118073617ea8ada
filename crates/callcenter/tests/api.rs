//! The API of a call center that runs: what is there, who may ask, and what is said to who asks wrongly.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::mpsc::channel;
use std::thread::JoinHandle;
use std::time::Duration;

use callwright_callcenter::{ServeError, Settings, Stop, serve};
use serde_json::Value;

const TOKEN: &str = "a token of sixteen or more";

/// A call center on loopback, until it is dropped.
struct Running {
    api: SocketAddr,
    stop: Stop,
    thread: Option<JoinHandle<Result<(), ServeError>>>,
    _folder: tempfile::TempDir,
}

impl Running {
    fn start(token: bool) -> Running {
        let folder = tempfile::tempdir().expect("a folder");
        let token = if token {
            format!("{TOKEN:?}")
        } else {
            "false".to_owned()
        };
        let text = format!(
            "[listen]\nudp = \"127.0.0.1:0\"\n[http]\nlisten = \"127.0.0.1:0\"\ntoken = {token}\n[[queue]]\nname = \"support\"\n"
        );
        let path = folder.path().join("callcenter.toml");
        let settings = Settings::parse(&path, &text).expect("settings");
        let (started, start) = channel();
        let thread = std::thread::spawn(move || {
            serve(
                &settings,
                |_| Ok(None),
                |_, stop| started.send(stop).expect("somebody waits"),
            )
        });
        let stop = start.recv_timeout(Duration::from_secs(20)).expect("it starts");
        Running {
            api: stop.api().expect("it has an API"),
            stop,
            thread: Some(thread),
            _folder: folder,
        }
    }

    /// The status and the body.
    fn ask(&self, method: &str, path: &str, fields: &str, body: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(self.api).expect("it listens");
        stream
            .set_read_timeout(Some(Duration::from_secs(20)))
            .expect("a limit");
        let length = body.len();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\nContent-Length: {length}\r\n{fields}\r\n{body}"
        );
        stream.write_all(request.as_bytes()).expect("it leaves");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok());
        let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        (status.expect("a status"), body.to_owned())
    }

    fn get(&self, path: &str) -> (u16, Value) {
        let (status, body) = self.ask("GET", path, "", "");
        (status, serde_json::from_str(&body).unwrap_or(Value::String(body)))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.ask();
        let ended = self.thread.take().expect("once").join();
        if !std::thread::panicking() {
            ended.expect("no panic").expect("it ends in order");
        }
    }
}

#[test]
fn everything_but_health_needs_the_token() {
    let running = Running::start(true);
    assert_eq!(running.get("/healthz").0, 200);
    for path in ["/metrics", "/api/v1", "/api/v1/agents", "/api/v1/records"] {
        let (status, body) = running.get(path);
        assert_eq!(status, 401, "{path}");
        let error = body["error"].as_str().unwrap_or_default().to_owned();
        assert!(error.contains("Authorization: Bearer"), "{error}");
        let wrong = format!("Authorization: Bearer {}x\r\n", &TOKEN[1..]);
        assert_eq!(running.ask("GET", path, &wrong, "").0, 401, "{path}");
        let right = format!("Authorization: Bearer {TOKEN}\r\n");
        assert_eq!(running.ask("GET", path, &right, "").0, 200, "{path}");
    }
}

#[test]
fn agents_queues_calls_records_and_statistics_can_be_read() {
    let running = Running::start(false);
    let (_, agents) = running.get("/api/v1/agents");
    let names: Vec<_> = agents["agents"]
        .as_array()
        .expect("agents")
        .iter()
        .map(|agent| (agent["name"].as_str(), agent["state"].as_str()))
        .collect();
    let out = Some("logged_out");
    assert_eq!(
        names,
        [(Some("alice"), out), (Some("bob"), out), (Some("charlie"), out)]
    );
    assert_eq!(running.get("/api/v1/agents/bob").1["name"], "bob");
    let (_, queues) = running.get("/api/v1/queues");
    assert_eq!(queues["queues"][0]["name"], "support");
    assert_eq!(running.get("/api/v1/calls").1["calls"], Value::Array(Vec::new()));
    assert_eq!(
        running.get("/api/v1/sources").1["sources"],
        Value::Array(Vec::new())
    );
    let (status, records) = running.get("/api/v1/records?limit=5&queue=support");
    assert_eq!((status, &records["next"]), (200, &Value::Null));
    let (status, statistics) = running.get("/api/v1/statistics");
    assert_eq!(status, 200, "{statistics}");
    let of_queue = &statistics["statistics"][0];
    assert_eq!(
        (&of_queue["queue"], &of_queue["offered"]),
        (&"support".into(), &0.into())
    );
    assert_eq!(
        of_queue["service_level"],
        Value::Null,
        "of nothing there is no share"
    );
    assert_eq!(of_queue["service_level_threshold_s"], 20.0);
}

#[test]
fn metrics_are_in_the_text_format() {
    let running = Running::start(false);
    let (status, text) = running.ask("GET", "/metrics", "", "");
    assert_eq!(status, 200);
    for line in [
        "callwright_database_up 1",
        "callwright_calls 0",
        "callwright_queue_waiting{queue=\"support\"} 0",
        "callwright_agents{state=\"logged_out\"} 3",
        "# EOF",
    ] {
        assert!(text.contains(line), "{line} in\n{text}");
    }
}

#[test]
fn who_asks_wrongly_is_told_what_to_do() {
    let running = Running::start(false);
    let says = |method: &str, path: &str, fields: &str, body: &str| {
        let (status, body) = running.ask(method, path, fields, body);
        let body: Value = serde_json::from_str(&body).unwrap_or_else(|_| panic!("{path}: {body}"));
        assert_eq!(body["status"], status, "{path}");
        (status, body["error"].as_str().expect("an error").to_owned())
    };
    let json = "Content-Type: application/json\r\n";
    let alice = "/api/v1/agents/alice";
    let cases = [
        ("GET", "/nowhere", "", "", 404, "/api/v1 lists"),
        ("DELETE", alice, "", "", 405, "POST /api/v1/agents/NAME"),
        ("GET", "/api/v1/agents/zoe", "", "", 404, "no agent \"zoe\""),
        (
            "POST",
            alice,
            json,
            "{\"state\": \"asleep\"}",
            422,
            "wrap_up_done",
        ),
        ("POST", alice, json, "{\"state\"", 400, "not_ready"),
        ("POST", alice, "", "{\"state\": \"ready\"}", 415, "ready"),
        (
            "POST",
            alice,
            json,
            "{\"state\": \"ready\"}",
            409,
            "has to register first",
        ),
        ("GET", "/api/v1/records?limit=5000", "", "", 400, "1 to 1000"),
        ("GET", "/api/v1/records?form=now", "", "", 400, "form"),
        (
            "GET",
            "/api/v1/records?from=yesterday",
            "",
            "",
            400,
            "2026-11-28T09:00:00Z",
        ),
        ("GET", "/api/v1/records/17", "", "", 404, "no call"),
        (
            "GET",
            "/api/v1/statistics?queue=sales",
            "",
            "",
            404,
            "no such queue",
        ),
        (
            "GET",
            "/api/v1/statistics?from=2020-01-01T00:00:00Z",
            "",
            "",
            400,
            "31 days",
        ),
    ];
    for (method, path, fields, body, status, word) in cases {
        let (said, error) = says(method, path, fields, body);
        assert_eq!(said, status, "{method} {path}: {error}");
        assert!(error.contains(word), "{method} {path}: {error}");
    }
    let large = format!("{{\"state\": \"ready\", \"note\": \"{}\"}}", "x".repeat(20_000));
    let (status, _) = says("POST", alice, json, &large);
    assert_eq!(status, 413);
}

#[test]
fn users_of_the_database_register_and_those_of_the_file_stand_above_them() {
    use callwright_callcenter::{LeftOut, Users};
    let folder = tempfile::tempdir().expect("a folder");
    let users = Users::open(&folder.path().join("users.db")).expect("it opens");
    let domain = "callcenter.test".parse().expect("a domain");
    let put = |name: &str, password: &str| {
        users
            .put(name, &domain, password, true, 0)
            .expect("it is written")
    };
    assert!(!put("alice", "of the database"));
    assert!(!put("dave", "davepw"));
    assert!(put("dave", "another"), "another password");
    let file = std::fs::read(folder.path().join("users.db-wal")).expect("the journal");
    let holds = |text: &str| file.windows(text.len()).any(|window| window == text.as_bytes());
    assert!(
        holds("dave") && !holds("davepw") && !holds("of the database"),
        "no password is kept"
    );
    let other = "elsewhere.test".parse().expect("a domain");
    users
        .put("eve", &other, "evepw", false, 0)
        .expect("it is written");

    let text = "domain = \"callcenter.test\"\n[[user]]\nname = \"alice\"\npassword = \"of the file\"\nagent = true\n";
    let mut settings = Settings::parse(Path::new("callcenter.toml"), text).expect("settings");
    let left_out = settings
        .add_users(users.list().expect("users"))
        .expect("it fits together");
    assert_eq!(
        left_out,
        [
            LeftOut::InFile {
                name: "alice".to_owned()
            },
            LeftOut::OtherDomain {
                name: "eve".to_owned(),
                of: "elsewhere.test".to_owned()
            }
        ]
    );
    assert_eq!(settings.users().collect::<Vec<_>>(), ["alice", "dave"]);
    let agents: Vec<_> = settings
        .agents()
        .iter()
        .map(|agent| agent.name.as_str())
        .collect();
    assert_eq!(agents, ["alice", "dave"]);

    // Without users in the file those of the database take the place of alice, bob and charlie, and have to prove who they are.
    let text = "domain = \"callcenter.test\"\n";
    let mut settings = Settings::parse(Path::new("callcenter.toml"), text).expect("settings");
    settings
        .add_users(users.list().expect("users"))
        .expect("it fits together");
    assert_eq!(settings.users().collect::<Vec<_>>(), ["alice", "dave"]);
    assert!(!settings.is_open());
    assert!(users.remove("dave").expect("it is written"));
    assert!(!users.remove("dave").expect("it is written"));
}
