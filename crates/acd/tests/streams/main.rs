//! Registrations and calls over TCP and TLS, in the simulated world: the connection of a REGISTER is the way to its contact, and
//! the contact is lost with it (RFC 3261 §18, RFC 5626).

mod town;

use std::time::Duration;

use callwright_acd::{Auth, Fact};
use callwright_ua::Phase;
use callwright_wire::{Node, Residue, Transport};
use town::Town;

const REGISTER: &str = "REGISTER sip:example.com SIP/2.0\r\nVia: SIP/2.0/TCP VIA;branch=z9hG4bK1\r\n\
     From: <sip:bob@example.com>;tag=f\r\nTo: <sip:bob@example.com>\r\nCall-ID: r\r\nCSeq: 1 REGISTER\r\n\
     Max-Forwards: 70\r\nContact: CONTACT\r\nSupported: path, outbound\r\nContent-Length: 0\r\n\r\n";

#[test]
fn phones_register_and_talk_over_every_pair_of_transports() {
    let transports = [Transport::Udp, Transport::Tcp, Transport::Tls];
    for (one, other) in transports
        .into_iter()
        .flat_map(|one| transports.map(|other| (one, other)))
    {
        let mut town = Town::new();
        let (alice, bob) = (town.registered("alice", one), town.registered("bob", other));
        town.establish(alice, bob);
        town.assert_they_talk(alice, bob);
        town.hang_up(bob);
        town.until(|town| town.phase(alice) == Some(Phase::Ended));
        town.pass(Duration::from_secs(64));
        let load = town.machine().load();
        assert_eq!((load.calls, load.legs), (0, 0), "{one:?} and {other:?}");
    }
}

#[test]
fn a_call_goes_over_the_connection_of_the_register() {
    for transport in [Transport::Tcp, Transport::Tls] {
        let mut town = Town::new();
        let (alice, bob) = (
            town.registered("alice", transport),
            town.registered("bob", transport),
        );
        let connections = town.machine().residue().connections;
        assert_eq!(connections, 2);
        town.establish(alice, bob);
        assert_eq!(
            town.machine().residue().connections,
            connections,
            "and over no other"
        );
        assert!(town.bindings("bob")[0].flow.transport == transport);
    }
}

#[test]
fn a_connection_that_a_binding_needs_is_not_closed_for_being_idle() {
    let mut town = Town::with(|config| config.core.idle_connection = Duration::from_secs(60));
    let (alice, bob) = (
        town.registered("alice", Transport::Udp),
        town.registered("bob", Transport::Tls),
    );
    town.pass(Duration::from_secs(600));
    assert_eq!(town.bindings("bob").len(), 1);
    town.establish(alice, bob);
}

#[test]
fn a_contact_is_lost_with_its_connection_and_callers_hear_so_at_once() {
    let mut town = Town::with(|config| config.auth = Auth::None);
    let alice = town.registered("alice", Transport::Udp);
    let bob = town.script("bob");
    let local = town.with_script(bob, |script| script.local.expect("it is connected"));
    for (call, contact) in [
        // The port that it connects from, where nobody listens.
        ("source", format!("<sip:bob@{local};transport=tcp>")),
        // Behind a NAT.
        ("private", "<sip:bob@192.168.1.2;transport=tcp>".to_owned()),
        (
            "browser",
            "<sip:bob@df7jal23ls0d.invalid;transport=tcp>".to_owned(),
        ),
        // A flow of its own (RFC 5626), whatever the contact names.
        (
            "outbound",
            "<sip:bob@phone.example.net;transport=tcp>;reg-id=1;+sip.instance=\"<urn:uuid:0>\"".to_owned(),
        ),
    ] {
        let party = town.script(call);
        let register = REGISTER.replace("VIA", "192.0.2.1").replace("CONTACT", &contact);
        let register = if call == "source" {
            let own = town.with_script(party, |script| script.local.expect("it is connected"));
            register.replace(&local.to_string(), &own.to_string())
        } else {
            register
        };
        town.with_script(party, |script| script.say(register));
        town.hears(party, "SIP/2.0 200");
        assert_eq!(town.bindings("bob").len(), 1, "{call}");
        town.dial(alice, "bob");
        town.hears(party, "INVITE sip:bob@");
        town.with_script(party, |script| script.hang_up());
        // Who rang there is gone.
        town.until(|town| town.phase(alice) == Some(Phase::Ended));
        assert_eq!(town.ended(alice), Some(480), "{call}");
        assert_eq!(town.bindings("bob"), [], "{call}");
        let gone = Fact::Bindings {
            user: "bob".into(),
            bindings: Vec::new(),
        };
        assert!(town.server().facts.contains(&gone), "the store hears of it");
        let before = town.world.now();
        town.dial(alice, "bob");
        town.until(|town| town.phase(alice) == Some(Phase::Ended));
        assert_eq!(town.ended(alice), Some(480), "{call}");
        assert!(town.world.now().since(before) < Duration::from_millis(100));
    }
}

#[test]
fn a_contact_that_listens_outlives_the_connection() {
    let mut town = Town::with(|config| config.auth = Auth::None);
    let (alice, bob) = (town.registered("alice", Transport::Udp), town.script("bob"));
    // Carol listens, and somebody registers bob there.
    let carol = town.registered("carol", Transport::Tcp);
    let contact = town.bindings("carol")[0].contact.clone();
    let register = REGISTER
        .replace("VIA", "192.0.2.1")
        .replace("CONTACT", &format!("<{contact}>"));
    town.with_script(bob, |script| script.say(register));
    town.hears(bob, "SIP/2.0 200");
    town.with_script(bob, |script| script.hang_up());
    town.pass(Duration::from_millis(100));
    assert_eq!(town.bindings("bob").len(), 1);
    town.dial(alice, "bob");
    town.until(|town| town.phase(carol) == Some(Phase::Ringing));
}

#[test]
fn a_server_that_starts_again_waits_for_phones_that_it_reaches_by_connection_alone() {
    let mut town = Town::new();
    let (alice, bob) = (
        town.registered("alice", Transport::Udp),
        town.registered("bob", Transport::Tls),
    );
    town.restart_server();
    assert_eq!(town.bindings("bob"), [], "its connection is gone");
    assert_eq!(town.bindings("alice").len(), 1, "UDP needs none");
    town.until(|town| town.bindings("bob").len() == 1);
    town.establish(alice, bob);
}

#[test]
fn a_server_that_is_closed_leaves_no_connection() {
    let mut town = Town::new();
    let (alice, bob) = (
        town.registered("alice", Transport::Tcp),
        town.registered("bob", Transport::Tls),
    );
    town.establish(alice, bob);
    town.close_server();
    town.until(|town| town.machine().is_closed());
    assert_eq!(town.machine().residue(), Residue::default());
    assert_eq!(
        [alice, bob].map(|phone| town.phase(phone)),
        [Some(Phase::Ended), Some(Phase::Ended)]
    );
}
