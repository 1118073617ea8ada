//! RFC 5407 §3.2: messages that arrive after this side sent BYE.

use callwright_sip::Event;

use crate::parties::{ALICE, BOB, LATENCY, OFFER, World, sdp, uri};
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

/// Tells whether it is about the end of a BYE, and of what kind.
fn of_a_bye(event: &Event) -> Option<bool> {
    match event {
        Event::HungUp { .. } => Some(true),
        Event::HangupFailed { .. } => Some(false),
        _ => None,
    }
}

#[test]
fn a_bye_that_crosses_ours_is_the_end_for_both_whatever_becomes_of_ours() {
    // §3.2.1.
    for response in [Some(200), Some(481), Some(500), None] {
        let mut script = Script::new();
        let (call, _) = script.established();
        script.act(|node, now| {
            node.hangup(now, call, Default::default(), None)
                .expect("hangs up")
        });
        assert_eq!(script.ended(call), "local bye");
        let bye = script.expect("BYE ");
        assert!(!script.is_told(|event| of_a_bye(event).is_some()));
        script.in_dialog(&bye, "BYE", 1, "", None);
        script.expect("SIP/2.0 200");
        assert!(script.told(of_a_bye), "at once");
        script.act(|node, _| assert!(!node.is_hanging_up(call)));
        match response {
            Some(status) => {
                script.respond(&bye, status, "", "", None);
            }
            None => script.peer.wait(32_000),
        }
        script.assert_clean();
        assert!(
            !script.is_told(|event| of_a_bye(event).is_some() || matches!(event, Event::Ended { .. })),
            "{response:?}: it was told"
        );
    }
}

#[test]
fn byes_that_cross_are_told_once_to_both_sides() {
    let mut world = World::of(["alice", "bob"]);
    let (alice, bob) = world.established();
    world.hangup(ALICE, alice);
    world.hangup(BOB, bob);
    // Nobody ever answers a BYE.
    for line in ["bob 200", "alice 200"] {
        world.lose(line, 100);
    }
    world.run(LATENCY);
    for party in [ALICE, BOB] {
        assert!(world.expect(party, of_a_bye), "at once");
    }
    world.settle();
    for party in [ALICE, BOB] {
        assert!(!world.was_told(party, |event| of_a_bye(event).is_some()));
    }
    world.assert_clean();
}

#[test]
fn the_bye_of_another_fork_is_not_that_of_the_session() {
    let mut script = Script::new();
    let (call, invite) = script.call();
    script.respond(&invite, 180, "desk", "Contact: <sip:bob@10.0.0.2>", None);
    script.answer(&invite, "mobile", "");
    script.expect("ACK ");
    script.act(|node, now| {
        node.hangup(now, call, Default::default(), None)
            .expect("hangs up")
    });
    let bye = script.expect("BYE ");
    assert_eq!(bye.to_tag().as_deref(), Some("mobile"));
    let late = script.answer(&invite, "desk", "");
    script.in_dialog(&late, "BYE", 1, "", None);
    script.peer.wait(100);
    assert!(!script.is_told(|event| of_a_bye(event).is_some()));
    script.act(|node, _| assert!(node.is_hanging_up(call)));
    script.respond(&bye, 200, "", "", None);
    assert!(script.told(of_a_bye));
    script.peer.wait(100);
    script.peer.sent.clear();
}

#[test]
fn the_answer_to_the_bye_of_an_early_dialog_is_not_that_of_the_session() {
    for status in [200, 500] {
        let mut script = Script::new();
        let (call, invite) = script.call();
        script.respond(&invite, 180, "desk", "Contact: <sip:bob@10.0.0.2>", None);
        script.act(|node, now| node.bye(now, call, Default::default(), None).expect("says bye"));
        let early = script.expect("BYE ");
        assert_eq!(early.to_tag().as_deref(), Some("desk"));
        script.answer(&invite, "mobile", "");
        script.expect("ACK ");
        let bye = script.expect("BYE ");
        assert_eq!(bye.to_tag().as_deref(), Some("mobile"));
        script.respond(&early, status, "", "", None);
        assert!(!script.is_told(|event| of_a_bye(event).is_some()), "{status}");
        script.respond(&bye, 200, "", "", None);
        assert!(script.told(of_a_bye));
        script.assert_clean();
    }
}

#[test]
fn a_crossed_bye_that_fails_says_nothing_while_a_refer_keeps_the_dialog() {
    let mut script = Script::new();
    let (call, _) = script.established();
    script.act(|node, now| {
        let refer = callwright_sip::command::Refer::to(uri("sip:carol@10.0.0.3"));
        node.refer(now, call, refer, None).expect("refers")
    });
    let refer = script.expect("REFER ");
    script.respond(&refer, 202, "", "Contact: <sip:bob@10.0.0.2>", None);
    script.act(|node, now| {
        node.hangup(now, call, Default::default(), None)
            .expect("hangs up")
    });
    let bye = script.expect("BYE ");
    script.in_dialog(&bye, "BYE", 1, "", None);
    assert!(script.told(of_a_bye));
    script.respond(&bye, 500, "", "", None);
    script.peer.wait(32_000);
    assert!(!script.is_told(|event| of_a_bye(event).is_some()));
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
