//! RFC 5407 §3.1: messages that arrive while the callee's 2xx has no ACK.

use bytes::Bytes;
use callwright_sip::Event;
use callwright_sip::command::{Answer, Hangup, Invite};
use callwright_sip::event::{Description, OfferCarrier};

use crate::parties::{ALICE, ANSWER, BOB, LATENCY, OFFER, World, sdp};
use crate::script::Script;

#[test]
fn an_invite_that_comes_again_after_the_2xx_changes_nothing() {
    // §3.1.1: the 200 is late, so the INVITE goes out again while the callee waits for the ACK.
    let mut world = World::of(["alice", "bob"]);
    world.delay("bob 200", 600);
    let alice = world.call(ALICE, BOB);
    world.run(LATENCY);
    let bob = world.incoming(BOB).call;
    world.answer(BOB, bob);
    world.run(1_500);
    assert!(!world.was_told(BOB, |event| matches!(event, Event::IncomingCall(_))));
    world.expect(ALICE, |event| {
        matches!(event, Event::Answered { .. }).then_some(())
    });
    world.hangup(ALICE, alice);
    world.run(100);
    assert_eq!(world.ended(BOB, bob), "remote bye");
    world.assert_clean();
}

#[test]
fn a_cancel_that_crosses_the_2xx_ends_in_ack_and_bye() {
    // §3.1.2.
    let mut world = World::of(["alice", "bob"]);
    let (alice, bob) = world.ringing();
    world.forget();
    world.answer(BOB, bob);
    world.hangup(ALICE, alice);
    world.run(6 * LATENCY);
    assert_eq!(world.ended(ALICE, alice), "local bye");
    assert_eq!(world.ended(BOB, bob), "remote bye");
    let flow = world.flow();
    assert_eq!(flow[..2], ["bob 200 alice", "alice CANCEL bob"]);
    assert!(
        flow.contains(&"alice ACK bob") && flow.contains(&"alice BYE bob"),
        "{flow:?}"
    );
    assert!(!flow.contains(&"bob 487 alice"));
    world.assert_clean();
}

#[test]
fn a_bye_for_the_early_dialog_that_crosses_the_2xx_ends_the_call() {
    // §3.1.3: Bob is scripted, and gives up by BYE instead of CANCEL.
    let mut script = Script::new();
    let (call, _) = script.invited("");
    script.act(|node, now| {
        let ring = callwright_sip::command::Progress::new(180);
        node.progress(now, call, ring, None).expect("rings");
        let answer = Answer {
            description: Some(sdp(ANSWER)),
            ..Answer::default()
        };
        node.answer(now, call, answer, None).expect("answers");
    });
    script.expect("SIP/2.0 180");
    let ok = script.expect("SIP/2.0 200");
    script.in_dialog(&ok, "BYE", 2, "", None);
    script.expect("SIP/2.0 200");
    assert_eq!(script.ended(call), "remote bye");
    // The ACK to the 200 comes too, late, and says nothing any more.
    script.in_dialog(&ok, "ACK", 1, "", None);
    script.peer.expect_silence(10_000);
    script.assert_clean();
}

#[test]
fn a_caller_that_says_bye_while_the_2xx_is_on_its_way_acknowledges_it() {
    // §3.1.3 as the caller sees it.
    let mut world = World::of(["alice", "bob"]);
    let (alice, bob) = world.ringing();
    world.forget();
    world.answer(BOB, bob);
    world.act(ALICE, |node, now| {
        node.bye(now, alice, Hangup::default(), None).expect("says bye")
    });
    world.run(6 * LATENCY);
    assert_eq!(world.ended(ALICE, alice), "local bye");
    assert_eq!(world.ended(BOB, bob), "remote bye");
    assert_eq!(
        world.flow(),
        ["bob 200 alice", "alice BYE bob", "alice ACK bob", "bob 200 alice"]
    );
    world.assert_clean();
}

#[test]
fn a_caller_may_leave_an_early_dialog_by_bye() {
    // RFC 3261 §15.1.1, §15.1.2: the pending INVITE gets its 487.
    let mut world = World::of(["alice", "bob"]);
    let (alice, bob) = world.ringing();
    world.forget();
    world.act(BOB, |node, now| {
        assert!(node.bye(now, bob, Hangup::default(), None).is_err());
    });
    world.act(ALICE, |node, now| {
        node.bye(now, alice, Hangup::default(), None).expect("says bye")
    });
    world.run(6 * LATENCY);
    assert_eq!(world.ended(ALICE, alice), "local bye");
    assert_eq!(world.ended(BOB, bob), "remote bye");
    assert_eq!(
        world.flow(),
        ["alice BYE bob", "bob 200 alice", "bob 487 alice", "alice ACK bob"]
    );
    world.assert_clean();
}

#[test]
fn an_early_dialog_that_was_left_and_never_refused_is_cancelled() {
    let mut script = Script::new();
    let (call, invite) = script.call();
    script.respond(&invite, 180, "bob", "Contact: <sip:bob@10.0.0.2>\r\n", None);
    script.act(|node, now| node.bye(now, call, Hangup::default(), None).expect("says bye"));
    let bye = script.expect("BYE ");
    script.respond(&bye, 200, "", "", None);
    // 64·T1 for the 487 that does not come.
    let end = script.peer.now + std::time::Duration::from_millis(32_000);
    script.peer.run_to(end);
    let cancel = script.expect("CANCEL ");
    script.respond(&cancel, 200, "", "", None);
    script.respond(&invite, 487, "bob", "", None);
    script.expect("ACK ");
    assert_eq!(script.ended(call), "local bye");
    script.assert_clean();
}

#[test]
fn a_reinvite_before_the_ack_is_taken_where_the_answer_was_in_the_2xx() {
    // §3.1.4.
    let mut world = World::of(["alice", "bob"]);
    world.lose("alice ACK", 1);
    let (alice, bob) = world.connected(ALICE, BOB);
    world.act(ALICE, |node, now| {
        node.offer(now, alice, Some(sdp(OFFER)), vec![], None)
            .expect("offers")
    });
    world.run(LATENCY);
    world.expect(BOB, |event| {
        matches!(event, Event::Confirmed { .. }).then_some(())
    });
    let carrier = world.expect(BOB, |event| match event {
        Event::Offer {
            offer: Some(_),
            carrier,
            ..
        } => Some(*carrier),
        _ => None,
    });
    assert_eq!(carrier, OfferCarrier::Invite);
    world.act(BOB, |node, now| {
        node.answer_offer(now, bob, sdp(ANSWER), None).expect("answers")
    });
    world.run(1_000);
    world.expect(ALICE, |event| {
        matches!(event, Event::OfferAnswered { .. }).then_some(())
    });
    assert!(!world.was_told(BOB, |event| matches!(event, Event::Ended { .. })));
    world.hangup(ALICE, alice);
    world.assert_clean();
}

#[test]
fn a_reinvite_before_the_ack_meets_491_where_that_ack_carries_the_answer() {
    // §3.1.5: the INVITE had no offer, the 200 has it, and the ACK with the answer is late.
    let mut world = World::of(["alice", "bob"]);
    world.delay("alice ACK", 300);
    let invite = Invite {
        offer: None,
        ..world.invitation(ALICE, BOB)
    };
    let alice = world.place(ALICE, invite);
    world.run(LATENCY);
    let bob = world.incoming(BOB).call;
    let answer = Answer {
        description: Some(Bytes::from_static(OFFER.as_bytes())),
        ..Answer::default()
    };
    world.act(BOB, |node, now| {
        node.answer(now, bob, answer, None).expect("answers")
    });
    world.run(LATENCY);
    let offer = world.expect(ALICE, |event| match event {
        Event::Answered { description, .. } => description.clone(),
        _ => None,
    });
    assert_eq!(offer, Description::Offer(sdp(OFFER)));
    world.act(ALICE, |node, now| {
        node.answer_offer(now, alice, sdp(ANSWER), None).expect("answers");
        node.offer(now, alice, Some(sdp(OFFER)), vec![], None)
            .expect("offers");
    });
    world.run(3 * LATENCY);
    assert!(world.flow().contains(&"bob 491 alice"), "{:?}", world.flow());
    // 300 ms later the ACK is there; the offer is tried again between 2.1 s and 4 s after the 491.
    world.run(2_000);
    world.expect(BOB, |event| {
        matches!(
            event,
            Event::Confirmed {
                description: Some(_),
                ..
            }
        )
        .then_some(())
    });
    assert!(!world.was_told(BOB, |event| matches!(event, Event::Offer { .. })));
    world.run(2_100);
    world.expect(BOB, |event| {
        matches!(event, Event::Offer { offer: Some(_), .. }).then_some(())
    });
    world.hangup(ALICE, alice);
    world.assert_clean();
}

#[test]
fn a_bye_that_overtakes_the_ack_ends_the_call() {
    // §3.1.6.
    let mut world = World::of(["alice", "bob"]);
    world.delay("alice ACK", 300);
    let (alice, bob) = world.connected(ALICE, BOB);
    world.hangup(ALICE, alice);
    world.run(1_000);
    assert_eq!(world.ended(BOB, bob), "remote bye");
    // The 200 to the INVITE does not go out again after the BYE.
    assert_eq!(
        world
            .flow()
            .iter()
            .filter(|line| **line == "bob 200 alice")
            .count(),
        2
    );
    world.assert_clean();
}

#[test]
fn a_callee_that_hangs_up_before_the_ack_waits_for_it() {
    // RFC 3261 §15.
    let mut world = World::of(["alice", "bob"]);
    world.delay("alice ACK", 300);
    let (alice, bob) = world.connected(ALICE, BOB);
    world.act(BOB, |node, now| {
        node.hangup(now, bob, Hangup::default(), None).expect("hangs up")
    });
    world.run(200);
    assert!(!world.flow().contains(&"bob BYE alice"));
    world.run(200);
    assert_eq!(world.ended(ALICE, alice), "remote bye");
    assert_eq!(world.ended(BOB, bob), "local bye");
    world.assert_clean();
}

#[test]
fn a_callee_may_be_made_to_say_bye_before_the_ack() {
    let mut world = World::of(["alice", "bob"]);
    world.delay("alice ACK", 300);
    let (alice, bob) = world.connected(ALICE, BOB);
    world.act(BOB, |node, now| {
        node.bye(now, bob, Hangup::default(), None).expect("says bye")
    });
    world.run(4 * LATENCY);
    assert_eq!(world.ended(ALICE, alice), "remote bye");
    assert_eq!(world.ended(BOB, bob), "local bye");
    world.run(400);
    assert!(!world.was_told(BOB, |event| matches!(event, Event::Confirmed { .. })));
    world.assert_clean();
}
