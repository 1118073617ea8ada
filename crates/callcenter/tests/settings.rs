//! `callcenter.toml`: defaults, what its keys mean, and what is wrong with it.

use std::path::Path;
use std::time::Duration;

use callwright_callcenter::{
    AgentConfig, AgentState, AnswerWith, Auth, Config, Fact, Http, ModelStore, Overflow, QueueConfig, Server,
    Settings, Store as _, StoredUser, Strategy, Token, User,
};
use callwright_wire::{Epoch, Seed, Time, Transport};

const FILE: &str = "/etc/callwright/callcenter.toml";

fn parse(text: &str) -> Settings {
    Settings::parse(Path::new(FILE), text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

/// What is wrong with a file, without its path.
fn wrong(text: &str) -> String {
    let parsed = Settings::parse(Path::new(FILE), text).and_then(|mut settings| {
        settings.add_users(Vec::new())?;
        Ok(settings)
    });
    let error = match parsed {
        Ok(settings) => panic!("{settings:?} of {text}"),
        Err(error) => error.to_string(),
    };
    let place = error.strip_prefix(&format!("{FILE}:"));
    place.unwrap_or_else(|| panic!("{error}")).to_owned()
}

fn config(settings: &Settings) -> Config {
    let seed = Seed::from_number(1);
    settings.config(Epoch::SIMULATED, seed.clone(), seed)
}

#[test]
fn without_a_file_it_is_a_closed_test_on_this_machine() {
    let settings = Settings::default();
    let at = "127.0.0.1:5060".parse().expect("an address");
    assert_eq!(settings.listen(), [(Transport::Udp, at), (Transport::Tcp, at)]);
    assert_eq!(settings.domain(), "callcenter.example.com");
    assert_eq!(settings.users().collect::<Vec<_>>(), ["alice", "bob", "charlie"]);
    assert!(settings.is_open() && !settings.is_public());
    assert!(settings.identity().expect("nothing to read").is_none());
    assert_eq!(settings.queues(), [QueueConfig::new("support")]);
    assert_eq!(settings.queues()[0].strategy, Strategy::RoundRobin);
    assert_eq!(settings.queues()[0].answer, AnswerWith::Music);
    assert_eq!(settings.queues()[0].wrap_up, Duration::ZERO);
    assert_eq!(
        settings.agents(),
        ["alice", "bob", "charlie"].map(AgentConfig::new)
    );
    assert_eq!(settings.service().database, Path::new("callcenter.db"));
    assert_eq!(settings.service().http, None);
    Server::new(Time::ZERO, config(&settings), ModelStore::default()).expect("it agrees with itself");
}

#[test]
fn neither_settings_nor_what_a_server_is_told_show_what_is_secret() {
    let (md5, sha256) = ("4a4be40c96ac6314e91d93f38043a634", "1f".repeat(32));
    let token = "a-token-of-the-api";
    let settings = parse(&format!(
        r#"
        http = {{ listen = "127.0.0.1:8080", token = "{token}" }}
        [[user]]
        name = "alice"
        password = "open-sesame"
        [[user]]
        name = "bob"
        ha1 = {{ md5 = "{md5}", sha256 = "{sha256}" }}
        "#
    ));
    assert_eq!(
        settings
            .service()
            .http
            .as_ref()
            .and_then(|http| http.token.as_deref()),
        Some(token)
    );
    let config = config(&settings);
    let server = Server::new(Time::ZERO, config.clone(), ModelStore::default()).expect("it agrees");
    for shown in [
        format!("{settings:?}"),
        format!("{config:?}"),
        format!("{server:?}"),
    ] {
        for secret in ["open-sesame", md5, &sha256, token] {
            assert!(!shown.contains(secret), "{shown}");
        }
    }
}

#[test]
fn an_empty_file_and_the_commented_one_say_the_same_as_none() {
    for text in ["", Settings::commented()] {
        let (read, default) = (config(&parse(text)), config(&Settings::default()));
        assert_eq!(format!("{read:?}"), format!("{default:?}"));
        let (read, default) = (parse(text), Settings::default());
        let file = |name: &Path| Path::new("/etc/callwright").join(name);
        assert_eq!(read.service().database, file(&default.service().database));
        assert_eq!(read.service().recordings, file(&default.service().recordings));
        assert_eq!(read.service().http, default.service().http);
        assert_eq!(read.service().log_level, default.service().log_level);
        assert_eq!(read.service().log_json, default.service().log_json);
    }
}

#[test]
fn the_commented_file_is_right_where_its_comments_are_taken_away() {
    let text: String = Settings::commented()
        .lines()
        .filter(|line| !line.starts_with("# ") && !line.starts_with("#ha1"))
        // These have no default to show, or name files that are not there.
        .filter(|line| {
            ![
                "#music",
                "#announce = ",
                "#announce_every",
                "#folder = \"prompts\"",
                "#overflow",
                "#max_length",
                "#max_wait",
            ]
            .iter()
            .any(|key| line.starts_with(key))
        })
        .filter(|line| {
            !["#members", "#skills = { g"]
                .iter()
                .any(|key| line.starts_with(key))
        })
        .map(|line| format!("{}\n", line.trim_start_matches('#')))
        .collect();
    let text = text
        .replace("name = \"bob\"", "name = \"bob\"\npassword = \"x\"")
        .replace("auth = \"none\"", "auth = \"registrations\"");
    let settings = parse(&text);
    assert_eq!(settings.users().collect::<Vec<_>>(), ["alice", "bob"]);
    let (read, default) = (config(&settings), config(&Settings::default()));
    // What the comments show as defaults are the defaults.
    assert_eq!(read.limits, default.limits);
    assert_eq!(read.core.limits, default.core.limits);
    assert_eq!(
        read.core.message_limits.message,
        default.core.message_limits.message
    );
    assert_eq!(read.ring_timeout, default.ring_timeout);
    assert_eq!(read.nonce_lifetime, default.nonce_lifetime);
    assert_eq!(read.min_expires, default.min_expires);
    assert_eq!(read.max_expires, default.max_expires);
    assert_eq!(read.default_expires, default.default_expires);
    assert_eq!(read.retry_after, default.retry_after);
    assert_eq!(
        read.session_timer.map(|timer| timer.interval),
        default.session_timer.map(|timer| timer.interval)
    );
    assert_eq!(read.listen, default.listen);
    assert_eq!(read.queues, default.queues);
    assert_eq!(read.feature_codes, default.feature_codes);
    assert_eq!(read.agents, ["alice", "bob"].map(AgentConfig::new));
    let http = settings.service().http.as_ref().expect("the API that it shows");
    assert_eq!(http.listen, "127.0.0.1:8080".parse().expect("an address"));
}

#[test]
fn every_key_means_something() {
    let settings = parse(
        r#"
        domain = "pbx.test"
        aliases = ["old.test", "192.0.2.9"]
        auth = "everything"
        [listen]
        udp = ["192.0.2.1:5060", "[2001:db8::1]:5060"]
        tls = "192.0.2.1:5061"
        [tls]
        certificate = "cert.pem"
        key = "/keys/key.pem"
        [media]
        address = "192.0.2.2"
        ports = "20000-20999"
        [[user]]
        name = "alice"
        password = "secret"
        [timers]
        ring = "20s"
        session = false
        min_expires = "2m"
        max_expires = "10m"
        [limits]
        calls = 7
        connections = 9
        "#,
    );
    let udp = Transport::Udp;
    let at = |text: &str| text.parse().expect("an address");
    assert_eq!(
        settings.listen(),
        [
            (udp, at("192.0.2.1:5060")),
            (udp, at("[2001:db8::1]:5060")),
            (Transport::Tls, at("192.0.2.1:5061")),
        ]
    );
    let tls = settings.tls().expect("a certificate");
    assert_eq!(tls.certificate, Path::new("/etc/callwright/cert.pem"));
    assert_eq!(tls.key, Path::new("/keys/key.pem"));
    assert_eq!(settings.media_ports(), Some(20_000..=20_999));
    assert!(settings.is_public() && !settings.is_open());
    let config = config(&settings);
    assert_eq!(config.domain.to_string(), "pbx.test");
    assert_eq!(config.aliases.len(), 2);
    assert_eq!(config.auth, Auth::Everything);
    assert_eq!(
        config.media_address,
        Some("192.0.2.2".parse().expect("an address"))
    );
    assert_eq!(config.ring_timeout, Duration::from_secs(20));
    assert!(config.session_timer.is_none());
    // What is not written follows what is.
    assert_eq!(config.default_expires, Duration::from_secs(600));
    assert_eq!((config.limits.calls, config.core.limits.connections), (7, 9));
}

#[test]
fn queues_and_agents_are_what_is_written() {
    let settings = parse(
        r#"
        database = "data/calls.db"
        [http]
        listen = "192.0.2.1:8443"
        token = "0123456789abcdef"
        [recordings]
        folder = "/srv/recordings"
        direct = true
        [log]
        level = "debug"
        format = "json"
        [codes]
        ready = "*77"
        wrap_up_done = false
        [[user]]
        name = "alice"
        skills = { german = 3 }
        ready_on_register = false
        [[user]]
        name = "bob"
        [[user]]
        name = "desk"
        agent = false
        [[queue]]
        name = "sales"
        strategy = "longest_idle"
        members = ["bob", "alice"]
        skills = { german = 2 }
        answer = "with_agent"
        priority = -2
        max_length = 3
        max_wait = "90s"
        join_when_empty = false
        ring = "20s"
        max_no_answer = 0
        max_refused = 7
        wrap_up = "10s"
        overflow = { queue = "support" }
        service_level = "30s"
        record = true
        announce_position = true
        announce_every = "45s"
        [[queue]]
        name = "support"
        overflow = { uri = "sip:desk@example.com" }
        "#,
    );
    let [sales, support] = settings.queues() else {
        panic!("{:?}", settings.queues());
    };
    let mut expected = QueueConfig::new("sales");
    expected.strategy = Strategy::LongestIdle;
    expected.members = Some(vec!["bob".to_owned(), "alice".to_owned()]);
    expected.skills.insert("german".to_owned(), 2);
    expected.answer = AnswerWith::Agent;
    expected.priority = -2;
    expected.max_length = Some(3);
    expected.max_wait = Some(Duration::from_secs(90));
    expected.join_when_empty = false;
    expected.ring = Duration::from_secs(20);
    expected.max_no_answer = 0;
    expected.max_refused = 7;
    expected.wrap_up = Duration::from_secs(10);
    expected.overflow = Some(Overflow::Queue("support".to_owned()));
    expected.service_level = Duration::from_secs(30);
    expected.record = true;
    expected.prompts.announce_position = true;
    expected.prompts.announce_every = Some(Duration::from_secs(45));
    assert_eq!(*sales, expected);
    assert!(
        matches!(&support.overflow, Some(Overflow::Uri(uri)) if uri.to_string() == "sip:desk@example.com")
    );
    let mut alice = AgentConfig::new("alice");
    alice.skills.insert("german".to_owned(), 3);
    alice.ready_on_register = false;
    assert_eq!(settings.agents(), [alice, AgentConfig::new("bob")]);
    let codes = config(&settings).feature_codes;
    assert_eq!(codes.ready.as_deref(), Some("*77"));
    assert_eq!(
        (codes.not_ready.as_deref(), codes.wrap_up_done),
        (Some("*0"), None)
    );
    let service = settings.service();
    assert_eq!(service.database, Path::new("/etc/callwright/data/calls.db"));
    assert_eq!(service.recordings, Path::new("/srv/recordings"));
    assert!(config(&settings).record_direct);
    assert_eq!((service.log_level.as_str(), service.log_json), ("debug", true));
    let listen = "192.0.2.1:8443".parse().expect("an address");
    let token = Some("0123456789abcdef".to_owned());
    assert_eq!(service.http, Some(Http { listen, token }));
}

#[test]
fn sounds_are_read_from_files_beside_it() {
    let folder = std::path::PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("sounds");
    std::fs::create_dir_all(&folder).expect("a folder");
    let file = std::fs::File::create(folder.join("music.wav")).expect("a file");
    let mut wav = callwright_media::wav::Recorder::new(file).expect("a header");
    wav.push(&[100; 800], &[100; 800]).expect("samples");
    wav.finish().expect("an end");
    for position in ["position-1.wav", "position-12.wav", "position-x.wav"] {
        std::fs::copy(folder.join("music.wav"), folder.join(position)).expect("a copy");
    }
    let text = "prompts.folder = \".\"\n[[queue]]\nname = \"q\"\nmusic = \"music.wav\"\noverflow = { message = \"music.wav\" }";
    let settings = Settings::parse(&folder.join("callcenter.toml"), text).expect("settings");
    let queue = &settings.queues()[0];
    assert_eq!(queue.prompts.music.as_ref().map(|sound| sound.0.len()), Some(800));
    assert!(matches!(&queue.overflow, Some(Overflow::Message(sound)) if sound.0.len() == 800));
    let positions = config(&settings).positions;
    assert_eq!(positions.keys().copied().collect::<Vec<_>>(), [1, 12]);
    assert_eq!(positions[&12].0.len(), 800);
}

#[test]
fn what_a_command_line_says_stands_above_the_file() {
    let mut settings = parse("database = \"a.db\"\n[http]\nlisten = \"127.0.0.1:1\"\ntoken = false");
    settings.set_database("sqlite:///tmp/b.db").expect("a file");
    assert_eq!(settings.service().database, Path::new("/tmp/b.db"));
    let refused = settings.set_database("postgres://host/db").expect_err("none");
    assert!(
        refused.to_string().contains("postgres is not supported yet"),
        "{refused}"
    );
    settings
        .set_http("127.0.0.1:9".parse().expect("an address"))
        .expect("loopback");
    assert_eq!(
        settings.service().http.as_ref().map(|http| http.listen.port()),
        Some(9)
    );
    let open = settings.set_http("192.0.2.1:9".parse().expect("an address"));
    assert!(
        open.expect_err("nobody is asked")
            .to_string()
            .contains("needs a token")
    );
}

#[test]
fn a_password_and_its_hashes_are_one_secret() {
    let user = |secret: &str| {
        let settings = parse(&format!(
            "domain = \"pbx.test\"\n[[user]]\nname = \"alice\"\n{secret}"
        ));
        assert_eq!(
            settings.auth(),
            Auth::Registrations,
            "whoever has a password is asked for it"
        );
        config(&settings).users[0].clone()
    };
    // echo -n alice:pbx.test:secret | sha256sum; the same | md5sum
    let hashes = "ha1 = { md5 = \"MD5\", sha256 = \"SHA\" }"
        .replace("MD5", "3806e6b4bb240a49ce58b1b2ede40a0c")
        .replace(
            "SHA",
            "fe4638a9f34f116674ba285fbadbb7525a3cd16bbab8855c4fc6bbbaa6557b1c",
        );
    assert_eq!(user("password = \"secret\""), user(&hashes));
}

#[test]
fn users_without_passwords_make_an_open_server() {
    assert_eq!(parse("[[user]]\nname = \"alice\"").auth(), Auth::None);
}

#[test]
fn another_port_is_that_of_udp_and_tcp_and_tls_is_above() {
    let mut settings = parse(
        "[listen]\nudp = \"127.0.0.1:1\"\ntcp = \"127.0.0.1:1\"\ntls = \"127.0.0.1:2\"\n[tls]\ncertificate = \"c\"\nkey = \"k\"",
    );
    let ports =
        |settings: &Settings| -> Vec<u16> { settings.listen().iter().map(|(_, at)| at.port()).collect() };
    settings.set_port(6000);
    assert_eq!(ports(&settings), [6000, 6000, 6001]);
    settings.set_port(0);
    assert_eq!(ports(&settings), [0, 0, 0]);
}

#[test]
fn a_misspelt_key_is_named_with_its_place_and_the_nearest_right_one() {
    for (text, place, meant) in [
        ("doman = \"x.test\"", "1:1", "domain"),
        ("domain = \"x.test\"\n\n  alias = []", "3:3", "aliases"),
        (
            "[listen]\nudp = \"127.0.0.1:1\"\ntcp4 = \"127.0.0.1:1\"",
            "3:1",
            "tcp",
        ),
        ("[timers]\nring_timeout = \"5s\"", "2:1", "ring"),
        ("[limits]\ncall = 5", "2:1", "calls"),
        ("[[user]]\nname = \"a\"\npasword = \"x\"", "3:1", "password"),
        ("auth = \"registration\"", "1:8", "registrations"),
        ("[[users]]\nname = \"a\"", "1:3", "user"),
        (
            "[[queue]]\nname = \"a\"\nstrategie = \"random\"",
            "3:1",
            "strategy",
        ),
        (
            "[[queue]]\nname = \"a\"\nstrategy = \"roundrobin\"",
            "3:12",
            "round_robin",
        ),
        ("[[queue]]\nname = \"a\"\nanswer = \"musik\"", "3:10", "music"),
        ("databse = \"a.db\"", "1:1", "database"),
        ("[http]\nlisten_on = \"127.0.0.1:1\"", "2:1", "listen"),
        ("[recordings]\nfolders = \"x\"", "2:1", "folder"),
        ("[log]\nlevels = \"x\"", "2:1", "level"),
        ("[codes]\nredy = \"*1\"", "2:1", "ready"),
    ] {
        let said = wrong(text);
        assert!(said.starts_with(&format!("{place}: unknown ")), "{text}: {said}");
        assert!(
            said.ends_with(&format!("; did you mean `{meant}`?")),
            "{text}: {said}"
        );
    }
}

#[test]
fn a_wrong_value_is_named_with_its_place_and_what_would_be_right() {
    for (text, place, says) in [
        ("domain = \"pbx.test:5060\"", "1:10", "is not a host"),
        ("domain = 5", "1:10", "expected a string"),
        (
            "[listen]\nudp = \"localhost:5060\"",
            "2:7",
            "is not an address with a port",
        ),
        (
            "[listen]\nudp = \"0.0.0.0:5060\"",
            "2:7",
            "name the address of an interface",
        ),
        ("[listen]\nudp = 5060", "2:7", "an address such as"),
        ("[listen]\nudp = []", "1:1", "[listen] names no address"),
        ("# [listen]\nlisten = {}", "2:10", "[listen] names no address"),
        ("[timers]\nnonce = \"0s\"", "2:9", "10s at least"),
        (
            "[limits]\nqueues = 0\n[[queue]]\nname = \"q\"",
            "2:10",
            "there are 1 queues, and [limits] queues is 0: raise it",
        ),
        (
            "[[queue]]\nname = \"q\"\nring = \"0s\"",
            "3:8",
            "ring for no time",
        ),
        (
            "[listen]\ntls = \"127.0.0.1:5061\"",
            "2:7",
            "add [tls] with certificate and key",
        ),
        ("[tls]\ncertificate = \"c\"", "1:1", "missing field `key`"),
        ("[media]\nports = \"5000\"", "2:9", "is not a range of ports"),
        ("[media]\nports = \"5000-5000\"", "2:9", "RTP needs two at least"),
        (
            "[media]\naddress = \"0.0.0.0\"",
            "2:11",
            "is not the address of an interface",
        ),
        ("[timers]\nring = \"5\"", "2:8", "is not a duration"),
        ("[timers]\nsession = \"30s\"", "2:11", "90s at least"),
        ("[timers]\nsession = true", "2:11", "or false"),
        (
            "[timers]\ndefault_expires = \"5s\"",
            "2:19",
            "min_expires must not be above",
        ),
        (
            "[timers]\nmin_expires = \"2h\"",
            "2:15",
            "min_expires must not be above",
        ),
        ("[limits]\ncalls = -1", "2:9", "invalid value"),
        (
            "[limits]\nusers = 1\n[[user]]\nname = \"a\"\n[[user]]\nname = \"b\"",
            "2:9",
            "there are 2 users, and [limits] users is 1: raise it",
        ),
        ("[[user]]\nname = \"a:b\"", "2:8", "is not the name of a user"),
        (
            "[[user]]\nname = \"a\"\n[[user]]\nname = \"a\"",
            "3:1",
            "two users called a",
        ),
        (
            "auth = \"everything\"\n[[user]]\nname = \"a\"",
            "2:1",
            "has no password or hash",
        ),
        ("auth = \"everything\"", "1:8", "has no password or hash"),
        (
            "[[user]]\nname = \"a\"\npassword = \"x\"\nha1 = { md5 = \"00112233445566778899aabbccddeeff\" }",
            "1:1",
            "not both",
        ),
        (
            "[[user]]\nname = \"a\"\nha1 = { md5 = \"0011\" }",
            "3:15",
            "32 hexadecimal digits",
        ),
        ("[[user]]\nname = \"a\"\nha1 = {}", "1:1", "ha1 is empty"),
        ("domain = \n", "1:10", ""),
        (
            "[[queue]]\nname = \"q\"\nmembers = [\"alise\"]",
            "3:12",
            "alise is no agent: add a [[user]] of that name; did you mean `alice`?",
        ),
        (
            "[[queue]]\nname = \"q\"\nmembers = [\"bob\", \"bob\"]",
            "3:19",
            "twice",
        ),
        (
            "[[queue]]\nname = \"q\"\noverflow = { queue = \"sales\" }\n[[queue]]\nname = \"sale\"",
            "3:12",
            "there is no queue called sales; did you mean `sale`?",
        ),
        (
            "[[queue]]\nname = \"q\"\noverflow = { queue = \"q\" }",
            "3:12",
            "into itself",
        ),
        (
            "[[queue]]\nname = \"q\"\noverflow = {}",
            "3:12",
            "overflow is one of",
        ),
        (
            "[[queue]]\nname = \"q\"\noverflow = { uri = \"x\" }",
            "3:12",
            "is not a SIP URI",
        ),
        (
            "[[queue]]\nname = \"q\"\nmusic = \"no.wav\"",
            "3:9",
            "cannot read /etc/callwright/no.wav",
        ),
        (
            "[[queue]]\nname = \"q\"\n[[queue]]\nname = \"q\"",
            "4:8",
            "two queues called q",
        ),
        ("[[queue]]\nname = \"bob\"", "2:8", "bob is a user and a queue"),
        (
            "[[queue]]\nname = \"a@b\"",
            "2:8",
            "is not the name of a user or a queue",
        ),
        (
            "[[queue]]\nname = \"q\"\nring = \"5\"",
            "3:8",
            "is not a duration",
        ),
        ("[[queue]]\nstrategy = \"random\"", "1:1", "missing field `name`"),
        (
            "[[user]]\nname = \"a\"\nagent = false\nskills = { x = 1 }",
            "4:10",
            "only an agent has skills",
        ),
        (
            "database = \"postgres://host/db\"",
            "1:12",
            "postgres is not supported yet",
        ),
        ("database = \"\"", "1:12", "has no name"),
        (
            "[http]\nlisten = \"8080\"",
            "2:10",
            "is not an address with a port",
        ),
        ("[http]\nlisten = \"127.0.0.1:8080\"", "2:10", "needs a token"),
        (
            "[http]\nlisten = \"192.0.2.1:1\"\ntoken = false",
            "2:10",
            "can be reached from elsewhere",
        ),
        (
            "[http]\nlisten = \"127.0.0.1:1\"\ntoken = \"short\"",
            "3:9",
            "can be guessed",
        ),
        ("[http]\ntoken = false", "2:9", "no address"),
        ("[log]\nlevel = \"loud\"", "2:9", "is no level"),
        ("[codes]\nready = \"abc\"", "2:9", "a code is dialled"),
        ("[codes]\nready = true", "2:9", "a code is dialled"),
    ] {
        let said = wrong(text);
        assert!(said.starts_with(&format!("{place}: ")), "{text:?}: {said}");
        assert!(said.contains(says), "{text:?}: {said}");
    }
}

#[test]
fn a_wrap_up_of_a_clock_that_was_ahead_lasts_no_longer_than_one_may() {
    let mut store = ModelStore::default();
    let state = AgentState::WrapUp {
        until: Time::from_secs(100_000),
    };
    let fact = Fact::AgentChanged {
        agent: "alice".to_owned(),
        state,
        at: Time::ZERO,
    };
    store.take(Token(1), fact, true);
    store.begin(Time::ZERO);
    assert_eq!(store.finish(Time::ZERO).len(), 1);
    let settings = parse("[[queue]]\nname = \"q\"\nwrap_up = \"20s\"");
    let server = Server::new(Time::from_secs(5), config(&settings), store).expect("it agrees");
    let until = Time::from_secs(25);
    assert_eq!(server.machine().agents()[0].state, AgentState::WrapUp { until });
}

#[test]
fn no_secret_is_said_or_shown() {
    for text in [
        "[[user]]\nname = \"a\"\npassword = 123456789",
        "[[user]]\nname = \"a\"\npassword = [123456789]",
        "[[user]]\nname = \"a\"\nha1 = { md5 = 123456789 }",
        "[[user]]\nname = \"a\"\nha1 = { md5 = \"123456789\" }",
        "[http]\nlisten = \"127.0.0.1:0\"\ntoken = 123456789",
    ] {
        let said = wrong(text);
        assert!(!said.contains("1234"), "{said}");
    }
    let settings = parse(
        "[[user]]\nname = \"a\"\npassword = \"secret word\"\n\
         [http]\nlisten = \"127.0.0.1:0\"\ntoken = \"secret words of 16\"",
    );
    let shown = format!("{settings:?}");
    assert!(!shown.contains("secret word"), "{shown}");
}

#[test]
fn a_user_of_the_database_is_as_good_a_member_as_one_of_the_file() {
    let stored = |name: &str| StoredUser {
        user: User::with_password(name, &"callcenter.example.com".parse().expect("a host"), "x"),
        domain: "callcenter.example.com".to_owned(),
        agent: true,
    };
    let text = "[[user]]\nname = \"alice\"\npassword = \"x\"\n\
                [[queue]]\nname = \"q\"\nmembers = [\"alice\", \"bob\"]";
    let mut settings = parse(text);
    settings.add_users(vec![stored("bob")]).expect("bob is an agent");
    Server::new(Time::ZERO, config(&settings), ModelStore::default()).expect("it agrees with itself");
    let error = parse(text)
        .add_users(vec![stored("carol")])
        .expect_err("there is no bob");
    assert!(error.to_string().contains(":6:21: bob is no agent"), "{error}");
    // Who cannot prove anything is named, and why that is asked for now.
    let open = "[[user]]\nname = \"alice\"";
    let error = parse(open)
        .add_users(vec![stored("bob")])
        .expect_err("alice could not register");
    let said = error.to_string();
    assert!(
        said.contains("the users of its database") && said.contains("alice has no password"),
        "{said}"
    );
}

#[test]
fn a_certificate_that_is_not_there_is_named() {
    let error = parse("[tls]\ncertificate = \"no/cert.pem\"\nkey = \"key.pem\"").identity();
    let said = error.map(|_| ()).expect_err("there is none").to_string();
    assert!(
        said.starts_with("cannot read /etc/callwright/no/cert.pem: "),
        "{said}"
    );
}

#[test]
fn what_one_source_may_ask_for_is_configured() {
    let text = "[protection]\ninvites = false\nothers = { per_second = 7, burst = 9 }\nban = \"1h\"\n";
    let protection = config(&parse(text)).protection;
    assert_eq!(protection.invites, None);
    let others = protection.others.expect("a rate");
    assert_eq!((others.per_second, others.burst), (7, 9));
    assert_eq!(protection.ban.as_secs(), 3_600);
    let error = wrong("[protection]\ninvites = 3\n");
    assert!(error.contains("per_second"), "{error}");
}
