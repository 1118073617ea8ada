//! RFC 3665 §3: the session flows, as far as they are a user agent's.

use crate::parties::{ALICE, ANSWER, BOB, LATENCY, World, sdp};
use callwright_sip::Event;
use callwright_sip::command::{Progress, Reject};
use callwright_sip::event::Description;

#[test]
fn a_session_is_established_and_ended_by_the_callee() {
    // RFC 3665 §3.1.
    let mut world = World::of(["alice", "bob"]);
    let alice = world.call(ALICE, BOB);
    world.run(LATENCY);
    let incoming = world.incoming(BOB);
    assert!(incoming.offer.is_some());
    world.act(BOB, |bob, now| {
        bob.progress(now, incoming.call, Progress::new(180), None)
            .expect("rings")
    });
    world.run(LATENCY);
    let status = world.expect(ALICE, |event| match event {
        Event::Progress {
            call,
            status,
            description: None,
            ..
        } if *call == alice => Some(*status),
        _ => None,
    });
    assert_eq!(status, 180);
    world.answer(BOB, incoming.call);
    world.run(2 * LATENCY);
    let answer = world.expect(ALICE, |event| match event {
        Event::Answered { description, .. } => description.clone(),
        _ => None,
    });
    assert_eq!(answer, Description::Answer(sdp(ANSWER)));
    world.expect(BOB, |event| {
        matches!(event, Event::Confirmed { .. }).then_some(())
    });
    world.hangup(BOB, incoming.call);
    world.run(2 * LATENCY);
    assert_eq!(world.ended(BOB, incoming.call), "local bye");
    assert_eq!(world.ended(ALICE, alice), "remote bye");
    assert_eq!(
        world.flow(),
        [
            "alice INVITE bob",
            "bob 180 alice",
            "bob 200 alice",
            "alice ACK bob",
            "bob BYE alice",
            "alice 200 bob"
        ]
    );
    world.assert_clean();
}

#[test]
fn a_busy_callee_refuses() {
    // RFC 3665 §3.9.
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
    // RFC 3665 §3.8.
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
    // RFC 3665 §3.10.
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
