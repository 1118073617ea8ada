//! RFC 3262: reliable provisional responses on both sides.

use callwright_sip::command::{Answer, Invite, Progress, Reject, Reliability};
use callwright_sip::endpoint::PRACK_WAIT;
use callwright_sip::event::{Description, OfferCarrier};
use callwright_sip::{Event, Misuse};
use callwright_sip_message::header::RSeq;

use crate::parties::{ALICE, ANSWER, BOB, LATENCY, OFFER, World, sdp};
use crate::script::{Script, header};

const RELIABLE: &str = "Contact: <sip:bob@10.0.0.2>\r\nRequire: 100rel\r\n";

fn reliably(status: u16) -> Progress {
    Progress {
        reliable: Some(true),
        ..Progress::new(status)
    }
}

#[test]
fn a_reliable_183_carries_the_answer_and_the_200_waits_for_its_prack() {
    // §3, §5.
    let mut world = World::of(["alice", "bob"]);
    let alice = world.call(ALICE, BOB);
    world.run(LATENCY);
    let incoming = world.incoming(BOB);
    assert!(incoming.reliable);
    let bob = incoming.call;
    world.act(BOB, |node, now| {
        let progress = Progress {
            description: Some(sdp(ANSWER)),
            ..reliably(183)
        };
        node.progress(now, bob, progress, None).expect("progresses");
        node.answer(now, bob, Answer::default(), None).expect("answers");
    });
    world.run(LATENCY);
    let description = world.expect(ALICE, |event| match event {
        Event::Progress {
            reliable: true,
            description,
            ..
        } => description.clone(),
        _ => None,
    });
    assert_eq!(description, Description::Answer(sdp(ANSWER)));
    world.run(3 * LATENCY);
    let answered = world.expect(ALICE, |event| match event {
        Event::Answered { description, .. } => Some(description.clone()),
        _ => None,
    });
    assert_eq!(answered, None);
    assert_eq!(
        world.flow(),
        [
            "alice INVITE bob",
            "bob 183 alice",
            "alice PRACK bob",
            "bob 200 alice",
            "bob 200 alice",
            "alice ACK bob"
        ]
    );
    world.hangup(ALICE, alice);
    world.assert_clean();
}

#[test]
fn a_reliable_response_goes_out_again_until_its_prack_and_the_call_ends_after_64_t1() {
    // §3: T1, doubled without a bound.
    let mut script = Script::new();
    let (call, _) = script.invited("Supported: 100rel");
    script.act(|node, now| node.progress(now, call, reliably(180), None).expect("rings"));
    let ringing = script.expect("SIP/2.0 180");
    assert_eq!(header(&ringing, "Require"), "100rel");
    for gap in [500, 1_000, 2_000, 4_000, 8_000] {
        script.peer.expect_retransmit(gap);
    }
    script.peer.expect_retransmit(16_000);
    script.peer.expect_silence(499);
    script.peer.wait(1);
    script.expect("SIP/2.0 504");
    assert_eq!(script.ended(call), format!("timeout {PRACK_WAIT}"));
}

#[test]
fn a_prack_stops_the_repetition_and_the_next_response_has_the_next_number() {
    let mut script = Script::new();
    let (call, _) = script.invited("Supported: 100rel");
    script.act(|node, now| {
        node.progress(now, call, reliably(180), None).expect("rings");
        node.progress(now, call, reliably(181), None)
            .expect("is forwarded");
    });
    let first = script.expect("SIP/2.0 180");
    // §3: the second one waits for the PRACK to the first.
    script.peer.expect_nothing();
    let rseq = first.typed::<RSeq>().expect("RSeq").expect("RSeq").0;
    script.in_dialog(
        &first,
        "PRACK",
        2,
        &format!("RAck: {} 1 INVITE", rseq.wrapping_add(7)),
        None,
    );
    script.expect("SIP/2.0 481");
    script.in_dialog(&first, "PRACK", 3, &format!("RAck: {rseq} 1 INVITE"), None);
    script.expect("SIP/2.0 200");
    let second = script.expect("SIP/2.0 181");
    assert_eq!(second.typed::<RSeq>().expect("RSeq").expect("RSeq").0, rseq + 1);
}

#[test]
fn a_caller_that_requires_100rel_gets_it() {
    let mut script = Script::new();
    let (call, _) = script.invited("Require: 100rel");
    script.act(|node, now| node.progress(now, call, Progress::new(180), None).expect("rings"));
    assert!(script.expect("SIP/2.0 180").requires("100rel"));
}

#[test]
fn a_caller_without_100rel_never_gets_it_and_no_offer_by_it() {
    let mut script = Script::new();
    let (call, _) = script.invited("");
    script.act(|node, now| node.progress(now, call, reliably(180), None).expect("rings"));
    assert!(!script.expect("SIP/2.0 180").requires("100rel"));

    let mut script = Script::new();
    script.request("INVITE", 1, "Contact: <sip:bob@10.0.0.2>", None);
    let call = script.told(|event| match event {
        Event::IncomingCall(incoming) => Some(incoming.call),
        _ => None,
    });
    let progress = Progress {
        description: Some(sdp(OFFER)),
        ..reliably(183)
    };
    let refused = script.act(|node, now| node.progress(now, call, progress, None));
    assert!(matches!(refused, Err(Misuse::DescriptionIllegal { .. })));
}

#[test]
fn responses_that_are_repeated_or_out_of_order_are_not_acknowledged() {
    // §4.
    let mut script = Script::new();
    let (_, invite) = script.call();
    script.respond(&invite, 180, "bob", &format!("{RELIABLE}RSeq: 10"), None);
    assert_eq!(header(&script.expect("PRACK "), "RAck"), "10 1 INVITE");
    script.respond(&invite, 180, "bob", &format!("{RELIABLE}RSeq: 10"), None);
    script.respond(&invite, 181, "bob", &format!("{RELIABLE}RSeq: 12"), None);
    script.peer.expect_nothing();
    script.respond(&invite, 181, "bob", &format!("{RELIABLE}RSeq: 11"), None);
    assert_eq!(header(&script.expect("PRACK "), "RAck"), "11 1 INVITE");
    // Another fork counts for itself.
    script.respond(&invite, 180, "mobile", &format!("{RELIABLE}RSeq: 5"), None);
    assert_eq!(header(&script.expect("PRACK "), "RAck"), "5 1 INVITE");
}

#[test]
fn an_offer_in_a_reliable_response_is_answered_in_the_prack() {
    // §5.
    let mut script = Script::new();
    let invite = Invite {
        offer: None,
        reliability: Reliability::Required,
        ..script.invitation()
    };
    let (call, invite) = script.place(invite);
    assert_eq!(header(&invite, "Require"), "100rel");
    script.respond(&invite, 183, "bob", &format!("{RELIABLE}RSeq: 1"), Some(OFFER));
    script.peer.expect_nothing();
    let description = script.told(|event| match event {
        Event::Progress { description, .. } => description.clone(),
        _ => None,
    });
    assert_eq!(description, Description::Offer(sdp(OFFER)));
    script.act(|node, now| node.answer_offer(now, call, sdp(ANSWER), None).expect("answers"));
    let prack = script.expect("PRACK ");
    assert_eq!(prack.body(), sdp(ANSWER));
    script.respond(&prack, 200, "", "", None);
    script.answer(&invite, "bob", "");
    assert!(script.expect("ACK ").body().is_empty());
}

#[test]
fn an_offer_in_the_prack_is_answered_in_its_2xx() {
    // RFC 6337 §2.1, pattern 5.
    let mut script = Script::new();
    let (call, _) = script.invited("Supported: 100rel");
    let progress = Progress {
        description: Some(sdp(ANSWER)),
        ..reliably(183)
    };
    script.act(|node, now| node.progress(now, call, progress, None).expect("progresses"));
    let progress = script.expect("SIP/2.0 183");
    let rack = format!("RAck: {} 1 INVITE", header(&progress, "RSeq"));
    script.in_dialog(&progress, "PRACK", 2, &rack, Some(("application/sdp", OFFER)));
    let carrier = script.told(|event| match event {
        Event::Offer { carrier, .. } => Some(*carrier),
        _ => None,
    });
    assert_eq!(carrier, OfferCarrier::Prack);
    script.act(|node, now| node.answer_offer(now, call, sdp(ANSWER), None).expect("answers"));
    assert_eq!(script.expect("SIP/2.0 200").body(), sdp(ANSWER));
}

#[test]
fn an_early_update_is_legal_after_the_first_exchange() {
    // RFC 3311 §5.1.
    let mut script = Script::new();
    let (call, invite) = script.call();
    script.respond(&invite, 183, "bob", &format!("{RELIABLE}RSeq: 1"), Some(ANSWER));
    let prack = script.expect("PRACK ");
    script.respond(&prack, 200, "", "", None);
    script.act(|node, now| {
        node.update(now, call, Some(sdp(OFFER)), vec![], None)
            .expect("updates")
    });
    let update = script.expect("UPDATE ");
    script.respond(&update, 200, "", "Contact: <sip:bob@10.0.0.2>", Some(ANSWER));
    script.told(|event| {
        matches!(
            event,
            Event::OfferAnswered {
                description: Some(_),
                ..
            }
        )
        .then_some(())
    });
}

#[test]
fn a_prack_that_the_200_overtook_is_answered_200() {
    // §3: a final response before the PRACK is legal, and the PRACK must be processed.
    let mut script = Script::new();
    let (call, _) = script.invited("Supported: 100rel");
    script.act(|node, now| {
        node.progress(now, call, reliably(180), None).expect("rings");
        let answer = Answer {
            description: Some(sdp(ANSWER)),
            ..Answer::default()
        };
        node.answer(now, call, answer, None).expect("answers");
    });
    let ringing = script.expect("SIP/2.0 180");
    let ok = script.expect("SIP/2.0 200");
    script.in_dialog(&ok, "ACK", 1, "", None);
    let rack = format!("RAck: {} 1 INVITE", header(&ringing, "RSeq"));
    script.in_dialog(&ringing, "PRACK", 2, &rack, None);
    script.expect("SIP/2.0 200");
    // It is acknowledged now.
    script.in_dialog(&ringing, "PRACK", 3, &rack, None);
    script.expect("SIP/2.0 481");
}

#[test]
fn a_prack_after_the_end_of_the_invite_transaction_is_too_late() {
    let mut script = Script::new();
    let (call, _) = script.invited("Supported: 100rel");
    script.act(|node, now| {
        node.progress(now, call, reliably(180), None).expect("rings");
        let answer = Answer {
            description: Some(sdp(ANSWER)),
            ..Answer::default()
        };
        node.answer(now, call, answer, None).expect("answers");
    });
    let ringing = script.expect("SIP/2.0 180");
    let ok = script.expect("SIP/2.0 200");
    script.in_dialog(&ok, "ACK", 1, "", None);
    script.peer.wait(32_000);
    let rack = format!("RAck: {} 1 INVITE", header(&ringing, "RSeq"));
    script.in_dialog(&ringing, "PRACK", 2, &rack, None);
    script.expect("SIP/2.0 481");
}

#[test]
fn a_reliable_response_is_followed_by_another_each_minute() {
    // RFC 3261 §13.3.1.1: proxies count from the last one; RFC 3262 §3: what was acknowledged is not sent again.
    let mut script = Script::new();
    let (call, _) = script.invited("Supported: 100rel");
    script.act(|node, now| {
        let progress = Progress {
            description: Some(sdp(ANSWER)),
            ..reliably(183)
        };
        node.progress(now, call, progress, None).expect("progresses");
    });
    let mut last = script.expect("SIP/2.0 183");
    for number in 1..4 {
        let rseq: u32 = header(&last, "RSeq").parse().expect("a number");
        script.in_dialog(
            &last,
            "PRACK",
            1 + number,
            &format!("RAck: {rseq} 1 INVITE"),
            None,
        );
        script.expect("SIP/2.0 200");
        script.peer.expect_silence(59_999);
        script.peer.wait(1);
        last = script.expect("SIP/2.0 183");
        assert_eq!(header(&last, "RSeq"), (rseq + 1).to_string());
        assert!(last.body().is_empty());
    }
    script.act(|node, now| node.reject(now, call, Reject::new(486), None).expect("refuses"));
    script.expect("SIP/2.0 486");
    script.in_dialog(&last, "ACK", 1, "", None);
    script.assert_clean();
}
