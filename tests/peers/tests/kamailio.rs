//! Kamailio as the project configures it: it challenges, registers and routes.

use std::net::UdpSocket;
use std::path::Path;
use std::time::Duration;

use callwright_peers::{Kamailio, Sipp, require};

/// Longer than any answer takes on a machine under load; reached only by a test that fails.
const PATIENCE: Duration = Duration::from_secs(10);

#[test]
fn it_answers_options_over_udp() {
    require!(Kamailio);
    let kamailio = Kamailio::start();

    let udp = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    udp.set_read_timeout(Some(PATIENCE)).expect("a limit");
    let (to, from) = (kamailio.udp(), udp.local_addr().expect("bound"));
    let request = format!(
        "OPTIONS sip:{to} SIP/2.0\r\nVia: SIP/2.0/UDP {from};branch=z9hG4bK1;rport\r\nMax-Forwards: 70\r\n\
         From: <sip:test@{from}>;tag=1\r\nTo: <sip:{to}>\r\nCall-ID: 1@{from}\r\nCSeq: 1 OPTIONS\r\n\
         Content-Length: 0\r\n\r\n"
    );
    udp.send_to(request.as_bytes(), to).expect("the request leaves");
    let mut answer = [0; 2_048];
    let length = udp.recv(&mut answer).expect("an answer");
    assert!(
        answer[..length].starts_with(b"SIP/2.0 200 Alive"),
        "{}",
        String::from_utf8_lossy(&answer)
    );
}

#[test]
fn the_examples_find_it_in_their_environment() {
    require!(Kamailio);
    let kamailio = Kamailio::start();
    for (transport, address) in [
        ("udp", kamailio.udp()),
        ("tcp", kamailio.tcp()),
        ("tls", kamailio.tls()),
    ] {
        let environment = kamailio.environment(transport);
        let value = |name: &str| {
            environment
                .iter()
                .find(|(key, _)| key == name)
                .map(|(_, value)| value.as_str())
        };
        assert_eq!(value("SIP_DOMAIN"), Some(address.to_string().as_str()));
        assert_eq!(value("SIP_TRANSPORT"), Some(transport));
        assert_eq!((value("B_USER"), value("B_PASS")), (Some("bob"), Some("bobpw")));
    }
}

#[test]
fn a_wrong_password_is_challenged_again() {
    require!(Kamailio, Sipp);
    let kamailio = Kamailio::start();
    let user = ("alice".to_owned(), "wrong".to_owned());
    let outcome = Sipp::registering(kamailio.udp(), &[user], kamailio.udp()).run();
    assert_eq!((outcome.successful, outcome.failed), (0, 1));
    assert!(outcome.errors.contains("401"), "{}", outcome.errors);
    assert_eq!(kamailio.contacts(), 0);
}

#[test]
fn a_call_goes_through_to_a_registered_callee_and_ends_there() {
    require!(Kamailio, Sipp);
    let kamailio = Kamailio::start();
    let callee = Sipp::uas().calls(20).start();
    Sipp::registering(kamailio.udp(), &[Kamailio::user(1)], callee.address())
        .run()
        .assert_clean();
    let caller = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios/caller.xml");
    Sipp::caller(&caller, kamailio.udp())
        .service("u1")
        .calls(20)
        .rate(20)
        .run()
        .assert_clean();
    callee.finish().assert_clean();
}

#[test]
fn it_answers_for_callees_that_stand_for_a_status() {
    require!(Kamailio, Sipp);
    let kamailio = Kamailio::start_with(&["WITHOUT_INVITE_AUTH"]);
    for (callee, status) in [("status486", "486"), ("status603", "603"), ("nobody", "404")] {
        let outcome = Sipp::uac(kamailio.udp()).service(callee).run();
        assert_eq!((outcome.successful, outcome.failed), (0, 1), "{callee}");
        assert!(
            outcome.errors.contains(&format!("SIP/2.0 {status} ")),
            "{callee}: {}",
            outcome.errors
        );
    }
}

#[test]
fn it_challenges_an_invite_unless_told_not_to() {
    require!(Kamailio, Sipp);
    let kamailio = Kamailio::start();
    // The stock caller of SIPp comes as the user `sipp`, which nobody knows.
    let outcome = Sipp::uac(kamailio.udp()).service("status486").run();
    assert!(
        outcome.errors.contains("SIP/2.0 403 Unknown User"),
        "{}",
        outcome.errors
    );
}
