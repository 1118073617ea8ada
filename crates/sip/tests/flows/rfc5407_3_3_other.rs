//! RFC 5407 §3.3: offers that cross, and a REFER after the BYE.

use callwright_sip::Event;
use callwright_sip::command::Refer;
use callwright_sip::event::{Failure, ReferOutcome};

use crate::parties::{ALICE, ANSWER, BOB, LATENCY, OFFER, World, sdp, uri};

/// When each side's next INVITE leaves after a collision, in ms after both INVITEs.
fn retries(seed_calls: usize) -> (u64, u64) {
    let mut world = World::of(["alice", "bob"]);
    for _ in 0..seed_calls {
        let (alice, _) = world.established();
        world.hangup(ALICE, alice);
        world.run(100);
    }
    let (alice, bob) = world.established();
    let start = world.now;
    world.act(ALICE, |node, now| {
        node.offer(now, alice, Some(sdp(OFFER)), vec![], None)
            .expect("offers")
    });
    world.act(BOB, |node, now| {
        node.offer(now, bob, Some(sdp(OFFER)), vec![], None)
            .expect("offers")
    });
    world.run(2 * LATENCY);
    assert_eq!(
        world.flow()[..6],
        [
            "alice INVITE bob",
            "bob INVITE alice",
            "bob 491 alice",
            "alice 491 bob",
            "alice ACK bob",
            "bob ACK alice"
        ]
    );
    world.run(2_005);
    // Bob, who did not place the call, is first.
    world.expect(ALICE, |event| {
        matches!(event, Event::Offer { offer: Some(_), .. }).then_some(())
    });
    world.act(ALICE, |node, now| {
        node.answer_offer(now, alice, sdp(ANSWER), None).expect("answers")
    });
    world.run(2_100);
    world.expect(BOB, |event| {
        matches!(event, Event::OfferAnswered { .. }).then_some(())
    });
    world.expect(BOB, |event| {
        matches!(event, Event::Offer { offer: Some(_), .. }).then_some(())
    });
    world.act(BOB, |node, now| {
        node.answer_offer(now, bob, sdp(ANSWER), None).expect("answers")
    });
    world.run(100);
    world.expect(ALICE, |event| {
        matches!(event, Event::OfferAnswered { .. }).then_some(())
    });
    let (alices, bobs) = (
        world.sent_at("alice INVITE bob", start),
        world.sent_at("bob INVITE alice", start),
    );
    world.hangup(ALICE, alice);
    world.assert_clean();
    (alices[1] - 2 * LATENCY, bobs[1] - 2 * LATENCY)
}

#[test]
fn reinvites_that_cross_are_tried_again_at_different_times() {
    // §3.3.1, RFC 3261 §14.1: 2.1 s to 4 s for the caller, 0 s to 2 s for the callee, both in steps of 10 ms.
    for calls in 0..8 {
        let (caller, callee) = retries(calls);
        assert!((2_100..=4_000).contains(&caller) && caller % 10 == 0, "{caller}");
        assert!(callee <= 2_000 && callee % 10 == 0, "{callee}");
    }
}

#[test]
fn an_update_that_crosses_a_reinvite_meets_491() {
    // §3.3.2.
    let mut world = World::of(["alice", "bob"]);
    let (alice, bob) = world.established();
    world.act(ALICE, |node, now| {
        node.update(now, alice, Some(sdp(OFFER)), vec![], None)
            .expect("offers")
    });
    world.act(BOB, |node, now| {
        node.offer(now, bob, Some(sdp(OFFER)), vec![], None)
            .expect("offers")
    });
    world.run(2 * LATENCY);
    assert_eq!(
        world.flow(),
        [
            "alice UPDATE bob",
            "bob INVITE alice",
            "bob 491 alice",
            "alice 491 bob",
            "bob ACK alice"
        ]
    );
    world.run(2_005);
    world.expect(ALICE, |event| {
        matches!(event, Event::Offer { offer: Some(_), .. }).then_some(())
    });
    world.act(ALICE, |node, now| {
        node.answer_offer(now, alice, sdp(ANSWER), None).expect("answers")
    });
    world.run(2_100);
    world.expect(BOB, |event| {
        matches!(event, Event::Offer { offer: Some(_), .. }).then_some(())
    });
    world.act(BOB, |node, now| {
        node.answer_offer(now, bob, sdp(ANSWER), None).expect("answers")
    });
    world.hangup(ALICE, alice);
    world.assert_clean();
}

#[test]
fn a_refer_that_crosses_the_bye_meets_481() {
    // §3.3.3.
    let mut world = World::of(["alice", "bob"]);
    let (alice, bob) = world.established();
    world.hangup(ALICE, alice);
    let refer = Refer::to(uri("sip:carol@10.0.0.3"));
    let refer = world.act(BOB, |node, now| {
        node.refer(now, bob, refer, None).expect("refers")
    });
    world.run(4 * LATENCY);
    let status = world.expect(BOB, |event| match event {
        Event::ReferEnded {
            refer: ended,
            outcome: ReferOutcome::Failed(Failure::Response(message)),
            ..
        } => (*ended == refer).then(|| message.status()),
        _ => None,
    });
    assert_eq!(status, Some(481));
    world.assert_clean();
}
