//! §3.8 to §3.11: sessions that come to nothing, between user agents alone and through the two proxies of the figures.

use callwright_sip::Event;
use callwright_sip::command::{Progress, Reject};
use callwright_sip::endpoint::CallId;
use callwright_sip::event::EndCause;
use callwright_sip_message::{HeaderName, Message};

use crate::parties::{ALICE, BOB, LATENCY, World};
use crate::strangers::{Stranger, routes};

#[test]
fn a_busy_callee_refuses() {
    // §3.9.
    let mut world = World::of(["alice", "bob"]);
    let alice = world.call(ALICE, BOB);
    world.run(LATENCY);
    let bob = world.incoming(BOB).call;
    world.act(BOB, |node, now| {
        node.reject(now, bob, Reject::new(486), None).expect("rejects")
    });
    world.run(2 * LATENCY);
    assert_eq!(world.ended(ALICE, alice), "response 486");
    assert_eq!(world.ended(BOB, bob), "rejected 486");
    assert_eq!(
        world.flow(),
        ["alice INVITE bob", "bob 486 alice", "alice ACK bob"]
    );
    world.assert_clean();
}

#[test]
fn a_caller_gives_up() {
    // §3.8.
    let mut world = World::of(["alice", "bob"]);
    let alice = world.call(ALICE, BOB);
    world.run(LATENCY);
    let bob = world.incoming(BOB).call;
    world.act(BOB, |node, now| {
        node.progress(now, bob, Progress::new(180), None).expect("rings")
    });
    world.run(LATENCY);
    world.hangup(ALICE, alice);
    world.run(4 * LATENCY);
    assert_eq!(world.ended(ALICE, alice), "cancelled");
    assert_eq!(world.ended(BOB, bob), "cancelled by the caller");
    assert_eq!(
        world.flow(),
        [
            "alice INVITE bob",
            "bob 180 alice",
            "alice CANCEL bob",
            "bob 200 alice",
            "bob 487 alice",
            "alice ACK bob"
        ]
    );
    world.assert_clean();
}

#[test]
fn a_callee_that_never_answers_ends_in_timer_b() {
    // §3.10.
    let mut world = World::of(["alice", "bob"]);
    world.lose("INVITE", 7);
    let alice = world.call(ALICE, BOB);
    let start = world.now;
    world.run(31_999);
    assert!(!world.was_told(ALICE, |event| matches!(event, Event::Ended { .. })));
    assert_eq!(
        world.sent_at("alice INVITE bob", start),
        [0, 500, 1_500, 3_500, 7_500, 15_500, 31_500]
    );
    world.run(1);
    assert_eq!(world.ended(ALICE, alice), "timeout Timer B");
    world.assert_clean();
}

/// Alice's call is on its way from `two` to Bob; what each proxy forwarded.
fn called_through_proxies(world: &mut World) -> (CallId, [Stranger; 2], [Message; 2]) {
    let one = world.stranger("proxy1", "10.0.0.11:5060");
    let two = world.stranger("proxy2", "10.0.0.12:5060");
    world.equip(ALICE, |identity| identity.routes = vec![one.route()]);
    let alice = world.call(ALICE, BOB);
    let invite = one.takes(world, "INVITE ");
    one.answers(world, &invite, 100, "", None);
    let first = one.forwards(world, &invite, two.address);
    let invite = two.takes(world, "INVITE ");
    two.answers(world, &invite, 100, "", None);
    let bob = world.uri_of(BOB).host().ip().expect("an address");
    let second = two.forwards(world, &invite, (bob, 5060).into());
    one.takes(world, "SIP/2.0 100");
    (alice, [one, two], [first, second])
}

/// A refusal of Bob's goes back, acknowledged at each hop.
fn refused_back(world: &mut World, proxies: [Stranger; 2], forwarded: &[Message; 2], start: &str) {
    let [one, two] = proxies;
    let bob_at = world.address_of(BOB);
    let refusal = two.takes(world, start);
    two.acknowledges(world, &forwarded[1], &refusal, bob_at);
    let onward = two.returns(world, &refusal);
    one.takes(world, start);
    one.acknowledges(world, &forwarded[0], &onward, two.address);
    two.takes(world, "ACK ");
    one.returns(world, &onward);
    let ack = one.takes(world, "ACK ");
    assert_eq!(ack.to_tag(), refusal.to_tag());
    assert_eq!(routes(&ack, HeaderName::Route), ["sip:10.0.0.11;lr"]);
}

fn ring(world: &mut World, proxies: [Stranger; 2]) -> CallId {
    world.run(LATENCY);
    let bob = world.incoming(BOB).call;
    world.act(BOB, |node, now| {
        node.progress(now, bob, Progress::new(180), None).expect("rings")
    });
    let [one, two] = proxies;
    world.carry_back(&[two, one], "SIP/2.0 180");
    bob
}

#[test]
fn a_caller_gives_up_and_each_proxy_cancels_for_itself() {
    // §3.8.
    let mut world = World::of(["alice", "bob"]);
    let (alice, proxies, forwarded) = called_through_proxies(&mut world);
    let bob = ring(&mut world, proxies);
    let [one, two] = proxies;
    world.forget();
    world.hangup(ALICE, alice);
    let cancel = one.takes(&mut world, "CANCEL sip:bob@10.0.0.2 ");
    assert_eq!(routes(&cancel, HeaderName::Route), ["sip:10.0.0.11;lr"]);
    assert_eq!(cancel.vias().count(), 1);
    one.answers(&mut world, &cancel, 200, "", None);
    one.cancels(&mut world, &forwarded[0], two.address);
    let cancel = two.takes(&mut world, "CANCEL ");
    two.answers(&mut world, &cancel, 200, "", None);
    let bob_at = world.address_of(BOB);
    two.cancels(&mut world, &forwarded[1], bob_at);
    one.takes(&mut world, "SIP/2.0 200");
    two.takes(&mut world, "SIP/2.0 200");
    refused_back(&mut world, proxies, &forwarded, "SIP/2.0 487");
    assert_eq!(world.ended(ALICE, alice), "cancelled");
    assert_eq!(world.ended(BOB, bob), "cancelled by the caller");
    assert_eq!(
        world.flow(),
        [
            "alice CANCEL proxy1",
            "proxy1 200 alice",
            "proxy1 CANCEL proxy2",
            "proxy2 200 proxy1",
            "proxy2 CANCEL bob",
            "bob 200 proxy2",
            "bob 487 proxy2",
            "proxy2 ACK bob",
            "proxy2 487 proxy1",
            "proxy1 ACK proxy2",
            "proxy1 487 alice",
            "alice ACK proxy1",
        ]
    );
    world.assert_clean();
}

#[test]
fn a_busy_callee_refuses_through_proxies() {
    // §3.9.
    let mut world = World::of(["alice", "bob"]);
    let (alice, proxies, forwarded) = called_through_proxies(&mut world);
    world.run(LATENCY);
    let bob = world.incoming(BOB).call;
    world.act(BOB, |node, now| {
        node.reject(now, bob, Reject::new(486), None).expect("rejects")
    });
    refused_back(&mut world, proxies, &forwarded, "SIP/2.0 486");
    assert_eq!(world.ended(ALICE, alice), "response 486");
    world.assert_clean();
}

#[test]
fn a_callee_that_never_answers_the_proxy_ends_with_the_proxy_s_answer() {
    // §3.10: the proxy that repeated the INVITE in vain says 480; Alice's own INVITE was answered with 100 and is not repeated.
    let mut world = World::of(["alice"]);
    let bob = world.stranger("bob", "10.0.0.2:5060");
    let proxy = world.stranger("proxy", "10.0.0.11:5060");
    world.equip(ALICE, |identity| identity.routes = vec![proxy.route()]);
    let invite = callwright_sip::command::Invite::new(world.parties[ALICE].identity, bob.uri());
    let alice = world.place(ALICE, invite);
    let invite = proxy.takes(&mut world, "INVITE ");
    proxy.answers(&mut world, &invite, 100, "", None);
    proxy.forwards(&mut world, &invite, bob.address);
    world.run(32_000);
    proxy.takes_nothing(&mut world);
    proxy.answers(&mut world, &invite, 480, "", None);
    proxy.takes(&mut world, "ACK ");
    assert_eq!(world.ended(ALICE, alice), "response 480");
    world.assert_clean();
}

#[test]
fn a_callee_that_rang_is_temporarily_unavailable() {
    // §3.11.
    let mut world = World::of(["alice", "bob"]);
    let (alice, proxies, forwarded) = called_through_proxies(&mut world);
    let bob = ring(&mut world, proxies);
    world.forget();
    let reject = Reject {
        headers: vec![(HeaderName::RetryAfter, "3600".to_owned())],
        ..Reject::new(480)
    };
    world.act(BOB, |node, now| {
        node.reject(now, bob, reject, None).expect("rejects")
    });
    refused_back(&mut world, proxies, &forwarded, "SIP/2.0 480");
    assert_eq!(world.ended(BOB, bob), "rejected 480");
    let refusal = world.expect(ALICE, |event| match event {
        Event::Ended {
            call,
            cause: EndCause::Response(message),
        } if *call == alice => Some(message.clone()),
        _ => None,
    });
    assert_eq!(refusal.status(), Some(480));
    assert_eq!(refusal.header("Retry-After").as_deref(), Some("3600"));
    assert_eq!(
        world.flow(),
        [
            "bob 480 proxy2",
            "proxy2 ACK bob",
            "proxy2 480 proxy1",
            "proxy1 ACK proxy2",
            "proxy1 480 alice",
            "alice ACK proxy1",
        ]
    );
    world.assert_clean();
}
