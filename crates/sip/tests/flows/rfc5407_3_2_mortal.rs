//! RFC 5407 §3.2: messages that arrive after this side sent BYE.

use callwright_sip::Event;

use crate::parties::{ALICE, BOB, LATENCY, OFFER, World, sdp};
use crate::script::Script;

#[test]
fn byes_that_cross_both_get_200() {
    // §3.2.1.
    let mut world = World::of(["alice", "bob"]);
    let (alice, bob) = world.established();
    world.hangup(ALICE, alice);
    world.hangup(BOB, bob);
    world.run(2 * LATENCY);
    assert_eq!(
        world.flow(),
        ["alice BYE bob", "bob BYE alice", "bob 200 alice", "alice 200 bob"]
    );
    assert_eq!(world.ended(ALICE, alice), "local bye");
    assert_eq!(world.ended(BOB, bob), "local bye");
    assert!(!world.was_told(ALICE, |event| matches!(event, Event::HangupFailed { .. })));
    world.assert_clean();
}

#[test]
fn a_reinvite_that_crosses_the_bye_meets_481() {
    // §3.2.2.
    let mut world = World::of(["alice", "bob"]);
    let (alice, bob) = world.established();
    world.hangup(ALICE, alice);
    world.act(BOB, |node, now| {
        node.offer(now, bob, Some(sdp(OFFER)), vec![], None)
            .expect("offers")
    });
    world.run(4 * LATENCY);
    assert!(world.flow().contains(&"alice 481 bob"), "{:?}", world.flow());
    assert_eq!(world.ended(BOB, bob), "remote bye");
    world.assert_clean();
}

#[test]
fn the_2xx_to_a_reinvite_that_the_bye_overtook_gets_its_ack() {
    // §3.2.3.
    let mut script = Script::new();
    let (call, _) = script.established();
    script.act(|node, now| {
        node.offer(now, call, Some(sdp(OFFER)), vec![], None)
            .expect("offers")
    });
    let reinvite = script.expect("INVITE ");
    script.act(|node, now| {
        node.hangup(now, call, Default::default(), None)
            .expect("hangs up")
    });
    let bye = script.expect("BYE ");
    script.answer(&reinvite, "bob", "");
    let ack = script.expect("ACK ");
    assert_eq!(
        ack.cseq().expect("CSeq").number,
        reinvite.cseq().expect("CSeq").number
    );
    script.respond(&bye, 200, "", "", None);
    assert_eq!(script.ended(call), "local bye");
    script.assert_clean();
}

#[test]
fn an_ack_after_the_bye_was_answered_is_ignored() {
    // §3.2.4.
    let mut world = World::of(["alice", "bob"]);
    world.delay("alice ACK", 100);
    let (alice, bob) = world.connected(ALICE, BOB);
    world.hangup(ALICE, alice);
    world.run(500);
    assert_eq!(world.ended(BOB, bob), "remote bye");
    assert!(!world.was_told(BOB, |event| matches!(event, Event::Confirmed { .. })));
    world.assert_clean();
}
