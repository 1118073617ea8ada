//! `callcenter.toml`: defaults, what its keys mean, and what is wrong with it.

use std::path::Path;
use std::time::Duration;

use callwright_callcenter::{Auth, Config, ModelStore, Server, Settings};
use callwright_wire::{Epoch, Seed, Time, Transport};

const FILE: &str = "/etc/callwright/callcenter.toml";

fn parse(text: &str) -> Settings {
    Settings::parse(Path::new(FILE), text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

/// What is wrong with a file, without its path.
fn wrong(text: &str) -> String {
    let error = match Settings::parse(Path::new(FILE), text) {
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
    Server::new(Time::ZERO, config(&settings), ModelStore::default()).expect("it agrees with itself");
}

#[test]
fn an_empty_file_and_the_commented_one_say_the_same_as_none() {
    for text in ["", Settings::commented()] {
        let (read, default) = (config(&parse(text)), config(&Settings::default()));
        assert_eq!(format!("{read:?}"), format!("{default:?}"));
    }
}

#[test]
fn the_commented_file_is_right_where_its_comments_are_taken_away() {
    let text: String = Settings::commented()
        .lines()
        .filter(|line| !line.starts_with("# ") && !line.starts_with("#ha1"))
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
            "1:1",
            "there are 2 users",
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
    ] {
        let said = wrong(text);
        assert!(said.starts_with(&format!("{place}: ")), "{text:?}: {said}");
        assert!(said.contains(says), "{text:?}: {said}");
    }
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
