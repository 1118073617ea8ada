//! §3.2 to §3.5: sessions through proxies that challenge, fail, or rewrite what they pass on.

use callwright_sip::Event;
use callwright_sip::command::{Account, Progress};
use callwright_sip::endpoint::CallId;
use callwright_sip::event::Description;
use callwright_sip_message::{HeaderName, Message};
use callwright_wire::{DnsQuery, DnsRecord};

use crate::parties::{ALICE, ANSWER, BOB, LATENCY, OFFER, World, sdp, uri};
use crate::script::header;
use crate::strangers::{Stranger, routes};

const ATLANTA: &str =
    "Proxy-Authenticate: Digest realm=\"atlanta\", nonce=\"na\", qop=\"auth\", algorithm=MD5";
const BILOXI: &str = "Proxy-Authenticate: Digest realm=\"biloxi\", nonce=\"nb\", qop=\"auth\", algorithm=MD5";

/// Alice has an account in each domain, and the first proxy before her.
fn two_proxies() -> (World, Stranger, Stranger) {
    let mut world = World::of(["alice", "bob"]);
    let one = world.stranger("proxy1", "10.0.0.11:5060");
    let two = world.stranger("proxy2", "10.0.0.12:5060");
    equip(&mut world);
    world.equip(ALICE, |identity| identity.routes = vec![one.route()]);
    (world, one, two)
}

fn equip(world: &mut World) {
    let account = |realm: &str| Account {
        realm: Some(realm.to_owned()),
        username: format!("alice-{realm}"),
        password: "secret".into(),
    };
    world.equip(ALICE, |identity| {
        identity.accounts = vec![account("atlanta"), account("biloxi")]
    });
}

/// Bob rings and answers; `path` leads from him to Alice. The call at his side.
fn ring_and_answer(world: &mut World, path: &[Stranger]) -> CallId {
    let bob = world.incoming(BOB).call;
    world.act(BOB, |node, now| {
        node.progress(now, bob, Progress::new(180), None).expect("rings")
    });
    world.carry_back(path, "SIP/2.0 180");
    world.answer(BOB, bob);
    world.carry_back(path, "SIP/2.0 200");
    bob
}

/// Bob hangs up; the BYE and its answer go along the proxies.
fn hang_up(world: &mut World, bob: CallId, path: &[Stranger]) {
    world.hangup(BOB, bob);
    let alice = world.address_of(ALICE);
    world.carry(path, "BYE ", alice);
    let back: Vec<_> = path.iter().rev().copied().collect();
    world.carry_back(&back, "SIP/2.0 200");
}

/// The realms in Proxy-Authorization, each with its user and nonce count.
fn proofs(message: &Message) -> Vec<(String, String, String)> {
    let all = message.credentials(HeaderName::ProxyAuthorization);
    let value = |text: Option<&str>| text.unwrap_or_default().to_owned();
    all.into_iter()
        .map(|one| one.expect("credentials"))
        .map(|one| {
            (
                value(one.value("realm")),
                value(one.value("username")),
                value(one.value("nc")),
            )
        })
        .collect()
}

fn proof(realm: &str, count: &str) -> (String, String, String) {
    (realm.to_owned(), format!("alice-{realm}"), count.to_owned())
}

#[test]
fn a_session_through_two_proxies_stays_on_its_way() {
    // §3.2.
    let (mut world, one, two) = two_proxies();
    let alice = world.call(ALICE, BOB);
    let first = one.takes(&mut world, "INVITE sip:bob@10.0.0.2 ");
    assert_eq!(routes(&first, HeaderName::Route), ["sip:10.0.0.11;lr"]);
    assert!(!first.has_header("Proxy-Authorization"));
    one.answers(&mut world, &first, 407, ATLANTA, None);
    let ack = one.takes(&mut world, "ACK sip:bob@10.0.0.2 ");
    assert_eq!(
        ack.via().expect("Via").branch(),
        first.via().expect("Via").branch()
    );
    assert_eq!(routes(&ack, HeaderName::Route), ["sip:10.0.0.11;lr"]);

    let second = one.takes(&mut world, "INVITE sip:bob@10.0.0.2 ");
    assert_eq!(second.call_id(), first.call_id());
    assert_eq!(
        second.cseq().expect("CSeq").number,
        first.cseq().expect("CSeq").number + 1
    );
    assert_ne!(
        second.via().expect("Via").branch(),
        first.via().expect("Via").branch()
    );
    assert_eq!(proofs(&second), [proof("atlanta", "00000001")]);
    one.answers(&mut world, &second, 100, "", None);
    one.forwards(&mut world, &second, two.address);
    let onward = two.takes(&mut world, "INVITE ");
    two.answers(&mut world, &onward, 100, "", None);
    one.takes(&mut world, "SIP/2.0 100");
    let bob_at = world.address_of(BOB);
    two.forwards(&mut world, &onward, bob_at);
    world.run(LATENCY);
    let back = [two, one];
    let bob = ring_and_answer(&mut world, &back);
    let ok = world.received(ALICE, "SIP/2.0 200");
    assert_eq!(
        routes(&ok, HeaderName::RecordRoute),
        ["sip:10.0.0.12;lr", "sip:10.0.0.11;lr"]
    );

    let ack = world.carry(&[one, two], "ACK sip:bob@10.0.0.2:5060 ", bob_at);
    assert_eq!(ack.vias().count(), 3);
    assert!(!ack.has_header("Route"));
    let sent = &world.received(BOB, "ACK");
    assert_eq!(
        sent.cseq().expect("CSeq").number,
        second.cseq().expect("CSeq").number
    );
    world.expect(BOB, |event| {
        matches!(event, Event::Confirmed { .. }).then_some(())
    });

    world.hangup(BOB, bob);
    let bye = two.takes(&mut world, "BYE sip:alice@10.0.0.1:5060 ");
    assert_eq!(
        routes(&bye, HeaderName::Route),
        ["sip:10.0.0.12;lr", "sip:10.0.0.11;lr"]
    );
    two.forwards(&mut world, &bye, one.address);
    let alice_at = world.address_of(ALICE);
    world.carry(&[one], "BYE ", alice_at);
    world.carry_back(&[one, two], "SIP/2.0 200");
    assert_eq!(world.ended(ALICE, alice), "remote bye");
    assert_eq!(world.ended(BOB, bob), "local bye");
    assert_eq!(
        world.flow(),
        [
            "alice INVITE proxy1",
            "proxy1 407 alice",
            "alice ACK proxy1",
            "alice INVITE proxy1",
            "proxy1 100 alice",
            "proxy1 INVITE proxy2",
            "proxy2 100 proxy1",
            "proxy2 INVITE bob",
            "bob 180 proxy2",
            "proxy2 180 proxy1",
            "proxy1 180 alice",
            "bob 200 proxy2",
            "proxy2 200 proxy1",
            "proxy1 200 alice",
            "alice ACK proxy1",
            "proxy1 ACK proxy2",
            "proxy2 ACK bob",
            "bob BYE proxy2",
            "proxy2 BYE proxy1",
            "proxy1 BYE alice",
            "alice 200 proxy1",
            "proxy1 200 proxy2",
            "proxy2 200 bob",
        ]
    );
    world.assert_clean();
}

#[test]
fn two_proxies_that_challenge_in_turn_both_get_their_credentials() {
    // §3.3.
    let (mut world, one, two) = two_proxies();
    let alice = world.call(ALICE, BOB);
    let first = one.takes(&mut world, "INVITE ");
    one.answers(&mut world, &first, 407, ATLANTA, None);
    one.takes(&mut world, "ACK ");

    let second = one.takes(&mut world, "INVITE ");
    assert_eq!(proofs(&second), [proof("atlanta", "00000001")]);
    one.answers(&mut world, &second, 100, "", None);
    let onward = one.forwards(&mut world, &second, two.address);
    let reached = two.takes(&mut world, "INVITE ");
    two.answers(&mut world, &reached, 407, BILOXI, None);
    let refusal = one.takes(&mut world, "SIP/2.0 407");
    one.acknowledges(&mut world, &onward, &refusal, two.address);
    two.takes(&mut world, "ACK ");
    one.returns(&mut world, &refusal);
    let ack = one.takes(&mut world, "ACK ");
    assert_eq!(header(&ack, "To"), header(&refusal, "To"));

    let third = one.takes(&mut world, "INVITE ");
    let numbers = [&first, &second, &third].map(|invite| invite.cseq().expect("CSeq").number);
    assert_eq!(numbers, [1, 2, 3]);
    assert_eq!(third.call_id(), first.call_id());
    assert_eq!(third.from_tag(), first.from_tag());
    assert_eq!(
        proofs(&third),
        [proof("atlanta", "00000002"), proof("biloxi", "00000001")]
    );
    one.answers(&mut world, &third, 100, "", None);
    one.forwards(&mut world, &third, two.address);
    let bob_at = world.address_of(BOB);
    world.carry(&[two], "INVITE ", bob_at);
    let bob = ring_and_answer(&mut world, &[two, one]);
    // RFC 3261 §22.1: no response can ask the ACK for credentials, so it has those of its INVITE.
    let ack = world.carry(&[one, two], "ACK ", bob_at);
    assert_eq!(proofs(&ack), proofs(&third));
    hang_up(&mut world, bob, &[two, one]);
    assert_eq!(world.ended(ALICE, alice), "remote bye");
    world.assert_clean();
}

/// Alice's outbound proxy is a name with two servers.
fn a_primary_and_a_secondary() -> (World, Stranger, Stranger) {
    let (mut world, one, two) = two_proxies();
    let server = |priority, target: &str| DnsRecord::Srv {
        priority,
        weight: 0,
        port: 5060,
        target: target.to_owned(),
    };
    let servers = vec![server(1, "ss1.atlanta.example"), server(2, "ss2.atlanta.example")];
    world
        .zone
        .insert(DnsQuery::Srv("_sip._udp.atlanta.example".to_owned()), servers);
    for (name, at) in [("ss1.atlanta.example", one), ("ss2.atlanta.example", two)] {
        world.zone.insert(
            DnsQuery::Address(name.to_owned()),
            vec![DnsRecord::Address(at.address.ip())],
        );
    }
    world.equip(ALICE, |identity| {
        identity.routes = vec![uri("sip:atlanta.example;lr")]
    });
    (world, one, two)
}

#[test]
fn the_secondary_proxy_is_asked_when_the_primary_does_not_answer() {
    // §3.4: seven INVITEs to the one, then one to the other.
    let (mut world, one, two) = a_primary_and_a_secondary();
    let start = world.now;
    let alice = world.call(ALICE, BOB);
    let lost = one.takes(&mut world, "INVITE ");
    world.run_to(start + std::time::Duration::from_secs(32));
    assert_eq!(
        world.sent_at("alice INVITE proxy1", start),
        [0, 500, 1_500, 3_500, 7_500, 15_500, 31_500]
    );
    assert_eq!(world.sent_at("alice INVITE proxy2", start), [32_000]);
    let taken = two.takes(&mut world, "INVITE ");
    assert_eq!(taken.call_id(), lost.call_id());
    assert_ne!(
        taken.via().expect("Via").branch(),
        lost.via().expect("Via").branch()
    );
    let bob_at = world.address_of(BOB);
    two.answers(&mut world, &taken, 100, "", None);
    two.forwards(&mut world, &taken, bob_at);
    world.run(LATENCY);
    let bob = ring_and_answer(&mut world, &[two]);
    world.carry(&[two], "ACK ", bob_at);
    hang_up(&mut world, bob, &[two]);
    assert_eq!(world.ended(ALICE, alice), "remote bye");
    world.assert_clean();
}

#[test]
fn a_challenge_of_the_secondary_proxy_is_met_there() {
    // §3.4: the 407 of the proxy that answers is no reason to wait for the silent one once more.
    let (mut world, one, two) = a_primary_and_a_secondary();
    world.call(ALICE, BOB);
    world.run(32_000);
    let taken = two.takes(&mut world, "INVITE ");
    while world.arrived(one.address).is_some() {}
    two.answers(&mut world, &taken, 407, BILOXI, None);
    two.takes(&mut world, "ACK ");
    one.takes_nothing(&mut world);
    let again = two.takes(&mut world, "INVITE ");
    assert_eq!(
        again.cseq().expect("CSeq").number,
        taken.cseq().expect("CSeq").number + 1
    );
    assert_eq!(proofs(&again), [proof("biloxi", "00000001")]);
}

#[test]
fn a_session_through_an_alg_has_the_descriptions_that_it_wrote() {
    // §3.5: the gateway rewrites both descriptions and stays in the signalling.
    const OFFERED: &str = "v=0\r\no=- 1 1 IN IP4 10.0.0.11\r\ns=-\r\n";
    const ANSWERED: &str = "v=0\r\no=- 2 1 IN IP4 10.0.0.11\r\ns=-\r\n";
    let (mut world, alg, two) = two_proxies();
    let alice = world.call(ALICE, BOB);
    let invite = alg.takes(&mut world, "INVITE ");
    assert_eq!(invite.body(), sdp(OFFER));
    alg.answers(&mut world, &invite, 100, "", None);
    let rewritten = invite.to_builder().body("application/sdp", sdp(OFFERED)).finish();
    alg.forwards(&mut world, &rewritten, two.address);
    let bob_at = world.address_of(BOB);
    world.carry(&[two], "INVITE ", bob_at);
    let incoming = world.incoming(BOB);
    assert_eq!(incoming.offer, Some(sdp(OFFERED)));
    world.answer(BOB, incoming.call);
    world.carry_back(&[two], "SIP/2.0 200");
    let ok = alg.takes(&mut world, "SIP/2.0 200");
    assert_eq!(ok.body(), sdp(ANSWER));
    let rewritten = ok.to_builder().body("application/sdp", sdp(ANSWERED)).finish();
    alg.returns(&mut world, &rewritten);
    world.run(LATENCY);
    let answer = world.expect(ALICE, |event| match event {
        Event::Answered { description, .. } => description.clone(),
        _ => None,
    });
    assert_eq!(answer, Description::Answer(sdp(ANSWERED)));
    world.carry(&[alg, two], "ACK ", bob_at);
    hang_up(&mut world, incoming.call, &[two, alg]);
    assert_eq!(world.ended(ALICE, alice), "remote bye");
    world.assert_clean();
}
