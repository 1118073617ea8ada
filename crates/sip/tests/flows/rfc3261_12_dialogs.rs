//! RFC 3261 §12: dialogs, seen by a scripted peer.

use callwright_sip::Event;
use callwright_sip::command::{DialogRequest, Hangup, Progress};
use callwright_sip::endpoint::Misuse;
use callwright_sip_message::{HeaderName, Message, Method};
use callwright_wire::Node;

use crate::parties::{ANSWER, OFFER, sdp};
use crate::script::{Script, header};

fn routes(message: &Message) -> Vec<String> {
    message
        .routes()
        .map(|route| route.expect("Route").uri.to_string())
        .collect()
}

#[test]
fn the_route_set_of_the_caller_is_the_record_route_reversed() {
    // §12.1.2.
    let mut script = Script::new();
    let (call, invite) = script.call();
    script.answer(
        &invite,
        "bob",
        "Record-Route: <sip:10.0.0.2;lr>, <sip:10.0.0.3;lr>\r\n",
    );
    // The next hop is the last of them.
    let ack = script.expect("ACK sip:bob@10.0.0.2 ");
    assert_eq!(routes(&ack), ["sip:10.0.0.3;lr", "sip:10.0.0.2;lr"]);
    script.act(|node, now| node.hangup(now, call, Hangup::default(), None).expect("hangs up"));
    assert_eq!(
        routes(&script.expect("BYE sip:bob@10.0.0.2 ")),
        ["sip:10.0.0.3;lr", "sip:10.0.0.2;lr"]
    );
}

#[test]
fn the_route_set_of_the_callee_is_the_record_route_in_order() {
    // §12.1.1.
    let mut script = Script::new();
    let (call, _) = script.invited("Record-Route: <sip:10.0.0.2;lr>, <sip:10.0.0.3;lr>\r\n");
    let answer = callwright_sip::command::Answer {
        description: Some(crate::parties::sdp(ANSWER)),
        ..Default::default()
    };
    script.act(|node, now| node.answer(now, call, answer, None).expect("answers"));
    let ok = script.expect("SIP/2.0 200");
    assert_eq!(
        header(&ok, "Record-Route"),
        "<sip:10.0.0.2;lr>, <sip:10.0.0.3;lr>"
    );
    script.in_dialog(&ok, "ACK", 1, "", None);
    script.act(|node, now| node.hangup(now, call, Hangup::default(), None).expect("hangs up"));
    assert_eq!(
        routes(&script.expect("BYE sip:bob@10.0.0.2 ")),
        ["sip:10.0.0.2;lr", "sip:10.0.0.3;lr"]
    );
}

#[test]
fn a_strict_router_gets_the_request_uri() {
    // §12.2.1.1.
    let mut script = Script::new();
    let (_, invite) = script.call();
    script.answer(&invite, "bob", "Record-Route: <sip:10.0.0.3>\r\n");
    let ack = script.expect("ACK sip:10.0.0.3 ");
    assert_eq!(routes(&ack), ["sip:bob@10.0.0.2"]);
}

#[test]
fn a_lower_sequence_number_meets_500() {
    // §12.2.2.
    let mut script = Script::new();
    let (_, invite) = script.established();
    script.in_dialog(&invite, "OPTIONS", 5, "", None);
    script.expect("SIP/2.0 200");
    script.in_dialog(&invite, "OPTIONS", 4, "", None);
    script.expect("SIP/2.0 500");
    script.in_dialog(&invite, "OPTIONS", 9, "", None);
    script.expect("SIP/2.0 200");
}

#[test]
fn a_request_for_no_dialog_meets_481() {
    let mut script = Script::new();
    let (_, invite) = script.established();
    let mut wrong = invite.to_builder().finish();
    wrong = wrong.to_builder().set("Call-ID", "another").finish();
    script.in_dialog(&wrong, "OPTIONS", 5, "", None);
    script.expect("SIP/2.0 481");
    for method in ["BYE", "UPDATE", "PRACK", "INFO"] {
        script.request(method, 1, "", None);
        script.expect("SIP/2.0 481");
    }
}

#[test]
fn the_remote_target_follows_a_reinvite_of_the_peer() {
    // §12.2.2.
    let mut script = Script::new();
    let (call, invite) = script.established();
    let more = "Contact: <sip:bob@10.0.0.2:7777>";
    script.in_dialog(&invite, "INVITE", 1, more, Some(("application/sdp", ANSWER)));
    script.act(|node, now| {
        node.answer_offer(now, call, crate::parties::sdp(ANSWER), None)
            .expect("answers");
    });
    script.expect("SIP/2.0 200");
    script.in_dialog(&invite, "ACK", 1, "", None);
    script.act(|node, now| node.hangup(now, call, Hangup::default(), None).expect("hangs up"));
    script.expect("BYE sip:bob@10.0.0.2:7777 ");
}

#[test]
fn a_forked_call_has_a_dialog_for_each_answerer_and_keeps_the_first_that_answers() {
    // §12.1.2, §13.2.2.4.
    let mut script = Script::new();
    let (call, invite) = script.call();
    let contact = "Contact: <sip:bob@10.0.0.2>";
    for (tag, fork) in [("desk", 0), ("mobile", 1), ("desk", 0)] {
        script.respond(&invite, 180, tag, contact, None);
        let told = script.told(|event| match event {
            Event::Progress { fork, .. } => Some(*fork),
            _ => None,
        });
        assert_eq!(told, fork);
    }
    script.answer(&invite, "mobile", "");
    let ack = script.expect("ACK ");
    assert_eq!(ack.to_tag().as_deref(), Some("mobile"));
    let fork = script.told(|event| match event {
        Event::Answered { fork, .. } => Some(*fork),
        _ => None,
    });
    assert_eq!(fork, 1);

    // The desk phone answers too: it is acknowledged and hung up at once, and only once.
    let second = script.answer(&invite, "desk", "");
    assert_eq!(script.expect("ACK ").to_tag().as_deref(), Some("desk"));
    let bye = script.expect("BYE ");
    assert_eq!(bye.to_tag().as_deref(), Some("desk"));
    script.peer.send(second.raw().clone());
    assert_eq!(script.expect("ACK ").to_tag().as_deref(), Some("desk"));
    script.peer.expect_nothing();
    script.respond(&bye, 200, "", "", None);

    script.act(|node, now| node.hangup(now, call, Hangup::default(), None).expect("hangs up"));
    let bye = script.expect("BYE ");
    assert_eq!(bye.to_tag().as_deref(), Some("mobile"));
    script.respond(&bye, 200, "", "", None);
    script.assert_clean();
}

#[test]
fn forks_are_bounded() {
    let mut script = Script::new();
    let (call, invite) = script.call();
    for fork in 0..100 {
        script.respond(
            &invite,
            180,
            &format!("fork{fork}"),
            "Contact: <sip:bob@10.0.0.2>",
            None,
        );
    }
    assert_eq!(script.peer.node.residue().dialogs, 16);
    script.answer(&invite, "fork99", "");
    assert_eq!(script.expect("ACK ").to_tag().as_deref(), Some("fork99"));
    assert_eq!(script.peer.node.residue().dialogs, 1);
    script.act(|node, now| node.hangup(now, call, Hangup::default(), None).expect("hangs up"));
}

#[test]
fn a_request_that_meets_481_or_408_or_nothing_ends_the_dialog() {
    // §12.2.1.2, RFC 5057 §5.1.
    for (status, end) in [
        (Some(481), "dialog gone 481"),
        (Some(408), "dialog gone 408"),
        (None, "timeout Timer F"),
    ] {
        let mut script = Script::new();
        let (call, _) = script.established();
        script.act(|node, now| {
            node.request(now, call, DialogRequest::new(Method::Info), None)
                .expect("asks");
        });
        let info = script.expect("INFO ");
        match status {
            Some(status) => {
                script.respond(&info, status, "", "", None);
            }
            None => {
                script.peer.wait(32_000);
                while script.peer.sent.len() > 1 {
                    script.peer.sent.pop_front();
                }
            }
        }
        assert_eq!(script.ended(call), end);
        // Nobody is there who could take a BYE after 481.
        if status == Some(481) {
            script.peer.expect_nothing();
        } else {
            let bye = script.expect("BYE ");
            script.respond(&bye, 481, "", "", None);
        }
        assert!(!script.is_told(|event| matches!(event, Event::HangupFailed { .. })));
        script.assert_clean();
    }
}

#[test]
fn any_other_refusal_leaves_the_dialog() {
    for status in [400, 403, 404, 405, 480, 500, 503, 603] {
        let mut script = Script::new();
        let (call, _) = script.established();
        script.act(|node, now| {
            node.request(now, call, DialogRequest::new(Method::Info), None)
                .expect("asks");
        });
        let info = script.expect("INFO ");
        script.respond(&info, status, "", "", None);
        let seen = script.told(|event| match event {
            Event::Response { message, .. } => message.status(),
            _ => None,
        });
        assert_eq!(seen, status);
        assert!(!script.is_told(|event| matches!(event, Event::Ended { .. })));
    }
}

#[test]
fn a_provisional_response_of_ours_has_the_tag_and_the_contact_of_the_dialog() {
    let mut script = Script::new();
    let (call, _) = script.invited("");
    script.act(|node, now| node.progress(now, call, Progress::new(180), None).expect("rings"));
    let ringing = script.expect("SIP/2.0 180");
    assert!(ringing.to_tag().is_some());
    assert_eq!(header(&ringing, "Contact"), "<sip:alice@10.0.0.1:5060>");
}

#[test]
fn an_update_belongs_to_the_early_dialog_that_it_came_in() {
    // RFC 3311 §5.2: two parties ring, both have answered the offer, and the second one changes its target and offers.
    let mut script = Script::new();
    let (call, invite) = script.call();
    for tag in ["bob", "mobile"] {
        let reliable = format!("Contact: <sip:{tag}@10.0.0.2>\r\nRequire: 100rel\r\nRSeq: 1");
        script.respond(&invite, 183, tag, &reliable, Some(ANSWER));
        let prack = script.expect("PRACK ");
        script.respond(&prack, 200, "", "", None);
    }
    let update = |script: &mut Script, cseq: u32, body| {
        let mut of_mobile = invite.to().expect("To");
        of_mobile.set_tag("mobile");
        let in_dialog = invite.to_builder().set(HeaderName::To, of_mobile).finish();
        let contact = "Contact: <sip:moved@10.0.0.2>";
        script.in_dialog(&in_dialog, "UPDATE", cseq, contact, body);
    };
    update(&mut script, 1, Some(("application/sdp", OFFER)));
    script.told(|event| matches!(event, Event::Offer { .. }).then_some(()));
    // The first dialog is as it was: its party may be offered something.
    script.act(|node, now| node.answer_offer(now, call, sdp(ANSWER), None).expect("answers"));
    script.expect("SIP/2.0 200");
    script.act(|node, now| {
        node.update(now, call, Some(sdp(OFFER)), vec![], None)
            .expect("offers")
    });
    let ours = script.expect("UPDATE sip:bob@10.0.0.2 ");
    assert_eq!(ours.to_tag().expect("a tag"), "bob");
    // Ours is open in the first dialog, not in the second: but one change at a time is what a call has.
    update(&mut script, 2, None);
    script.expect("SIP/2.0 200");
    // The second one answers: what was open in the first is over.
    script.answer(&invite, "mobile", "");
    script.expect("ACK ");
    script.told(|event| matches!(event, Event::OfferRejected { .. }).then_some(()));
    script.respond(&ours, 200, "", "Contact: <sip:other@10.0.0.2>", Some(ANSWER));
    script.act(|node, now| node.hangup(now, call, Hangup::default(), None).expect("hangs up"));
    let bye = script.expect("BYE sip:bob@10.0.0.2 ");
    assert_eq!(bye.to_tag().expect("a tag"), "mobile");
    script.respond(&bye, 200, "", "", None);
    script.assert_clean();
}

#[test]
fn an_offer_in_an_early_dialog_that_another_one_outran_is_withdrawn() {
    let mut script = Script::new();
    let (_, invite) = script.call();
    let reliable = "Contact: <sip:bob@10.0.0.2>\r\nRequire: 100rel\r\nRSeq: 1";
    script.respond(&invite, 183, "bob", reliable, Some(ANSWER));
    let prack = script.expect("PRACK ");
    script.respond(&prack, 200, "", "", None);
    let contact = "Contact: <sip:bob@10.0.0.2>";
    script.in_dialog(&invite, "UPDATE", 1, contact, Some(("application/sdp", OFFER)));
    script.told(|event| matches!(event, Event::Offer { .. }).then_some(()));
    script.answer(&invite, "mobile", "");
    script.expect("SIP/2.0 487");
    script.expect("ACK ");
    script.told(|event| matches!(event, Event::OfferWithdrawn { .. }).then_some(()));
}

#[test]
fn a_callee_sends_nothing_inside_a_dialog_that_the_caller_does_not_know() {
    // §12.1: responses from 101 to 299 make a dialog, and 100 does not.
    let mut script = Script::new();
    let (call, _) = script.invited("");
    let update =
        |node: &mut callwright_sip::endpoint::Endpoint, now| node.update(now, call, None, vec![], None);
    let refused = script.act(update);
    assert!(matches!(refused, Err(Misuse::State { .. })), "{refused:?}");
    let refused = script.act(|node, now| node.request(now, call, DialogRequest::new(Method::Info), None));
    assert!(matches!(refused, Err(Misuse::State { .. })), "{refused:?}");
    script.act(|node, now| node.progress(now, call, Progress::new(180), None).expect("rings"));
    script.expect("SIP/2.0 180");
    script.act(update).expect("there is a dialog now");
    script.expect("UPDATE ");
}
