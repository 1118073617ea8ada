//! RFC 3261 §14, RFC 3311, RFC 6141: changes of an established session.

use callwright_sip::Event;
use callwright_sip::command::{Hangup, Reject};
use callwright_sip::event::{Description, Failure, OfferCarrier};
use callwright_sip_message::{Builder, HeaderName};

use crate::parties::{ANSWER, OFFER, sdp};
use crate::script::{Script, header};

#[test]
fn a_refused_reinvite_leaves_the_session_as_it_was() {
    let mut script = Script::new();
    let (call, _) = script.established();
    script.act(|node, now| {
        node.offer(now, call, Some(sdp(OFFER)), vec![], None)
            .expect("offers")
    });
    let reinvite = script.expect("INVITE ");
    script.respond(&reinvite, 488, "", "", None);
    script.expect("ACK ");
    let status = script.told(|event| match event {
        Event::OfferRejected {
            failure: Failure::Response(message),
            ..
        } => message.status(),
        _ => None,
    });
    assert_eq!(status, 488);
    // The next one is legal.
    script.act(|node, now| {
        node.offer(now, call, Some(sdp(OFFER)), vec![], None)
            .expect("offers")
    });
    script.expect("INVITE ");
}

#[test]
fn a_reinvite_that_meets_481_or_nothing_ends_the_call() {
    // §14.1.
    let mut script = Script::new();
    let (call, _) = script.established();
    script.act(|node, now| {
        node.offer(now, call, Some(sdp(OFFER)), vec![], None)
            .expect("offers")
    });
    let reinvite = script.expect("INVITE ");
    script.respond(&reinvite, 481, "", "", None);
    assert_eq!(script.ended(call), "dialog gone 481");

    let mut script = Script::new();
    let (call, _) = script.established();
    script.act(|node, now| {
        node.offer(now, call, Some(sdp(OFFER)), vec![], None)
            .expect("offers")
    });
    script.peer.wait(32_000);
    assert_eq!(script.ended(call), "timeout Timer B");
    let last = script.peer.sent.back().expect("a BYE").bytes.clone();
    assert!(last.starts_with(b"BYE "));
}

#[test]
fn a_second_reinvite_of_the_peer_while_one_waits_meets_500_with_a_time() {
    // §14.2.
    let mut script = Script::new();
    let (call, invite) = script.established();
    let contact = "Contact: <sip:bob@10.0.0.2>";
    script.in_dialog(&invite, "INVITE", 1, contact, Some(("application/sdp", OFFER)));
    script.told(|event| matches!(event, Event::Offer { .. }).then_some(()));
    script.in_dialog(&invite, "INVITE", 2, contact, Some(("application/sdp", OFFER)));
    let refused = script.expect("SIP/2.0 500");
    assert!(header(&refused, "Retry-After").parse::<u32>().expect("seconds") <= 10);
    // So does an UPDATE with an offer (RFC 3311 §5.2); one without is no offer.
    script.in_dialog(&invite, "UPDATE", 3, contact, Some(("application/sdp", OFFER)));
    assert!(script.expect("SIP/2.0 500").has_header("Retry-After"));
    script.in_dialog(&invite, "UPDATE", 4, contact, None);
    script.expect("SIP/2.0 200");
    script.act(|node, now| node.answer_offer(now, call, sdp(ANSWER), None).expect("answers"));
    let ok = script.expect("SIP/2.0 200");
    assert_eq!(ok.cseq().expect("CSeq").number, 1);
}

#[test]
fn the_peer_asks_for_an_offer() {
    let mut script = Script::new();
    let (call, invite) = script.established();
    script.in_dialog(&invite, "INVITE", 1, "Contact: <sip:bob@10.0.0.2>", None);
    script.told(|event| matches!(event, Event::Offer { offer: None, .. }).then_some(()));
    script.act(|node, now| node.answer_offer(now, call, sdp(OFFER), None).expect("offers"));
    let ok = script.expect("SIP/2.0 200");
    assert_eq!(ok.body(), sdp(OFFER));
    script.in_dialog(&invite, "ACK", 1, "", Some(("application/sdp", ANSWER)));
    let answer = script.told(|event| match event {
        Event::OfferAnswered { description, .. } => description.clone(),
        _ => None,
    });
    assert_eq!(answer, Description::Answer(sdp(ANSWER)));
}

#[test]
fn we_ask_for_an_offer() {
    let mut script = Script::new();
    let (call, _) = script.established();
    script.act(|node, now| node.offer(now, call, None, vec![], None).expect("asks"));
    let reinvite = script.expect("INVITE ");
    assert!(reinvite.body().is_empty());
    script.answer(&reinvite, "", "");
    script.peer.expect_nothing();
    let offer = script.told(|event| match event {
        Event::OfferAnswered { description, .. } => description.clone(),
        _ => None,
    });
    assert_eq!(offer, Description::Offer(sdp(ANSWER)));
    script.act(|node, now| node.answer_offer(now, call, sdp(OFFER), None).expect("answers"));
    assert_eq!(script.expect("ACK ").body(), sdp(OFFER));
}

#[test]
fn an_offer_of_the_peer_is_refused() {
    let mut script = Script::new();
    let (call, invite) = script.established();
    script.in_dialog(
        &invite,
        "INVITE",
        1,
        "Contact: <sip:bob@10.0.0.2>",
        Some(("application/sdp", OFFER)),
    );
    script.act(|node, now| {
        node.reject_offer(now, call, Reject::new(488), None)
            .expect("refuses")
    });
    script.expect("SIP/2.0 488");
    script.act(|node, now| {
        node.offer(now, call, Some(sdp(OFFER)), vec![], None)
            .expect("offers")
    });
    script.expect("INVITE ");
}

#[test]
fn an_update_carries_an_offer_both_ways() {
    // RFC 3311 §5.
    let mut script = Script::new();
    let (call, invite) = script.established();
    script.in_dialog(
        &invite,
        "UPDATE",
        1,
        "Contact: <sip:bob@10.0.0.2>",
        Some(("application/sdp", OFFER)),
    );
    let carrier = script.told(|event| match event {
        Event::Offer { carrier, .. } => Some(*carrier),
        _ => None,
    });
    assert_eq!(carrier, OfferCarrier::Update);
    script.act(|node, now| node.answer_offer(now, call, sdp(ANSWER), None).expect("answers"));
    assert_eq!(script.expect("SIP/2.0 200").body(), sdp(ANSWER));
    script.peer.expect_silence(5_000);

    script.act(|node, now| {
        node.update(now, call, Some(sdp(OFFER)), vec![], None)
            .expect("offers")
    });
    let update = script.expect("UPDATE ");
    script.respond(&update, 200, "", "Contact: <sip:bob@10.0.0.2:7000>", Some(ANSWER));
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
    script.act(|node, now| node.hangup(now, call, Hangup::default(), None).expect("hangs up"));
    script.expect("BYE sip:bob@10.0.0.2:7000 ");
}

#[test]
fn a_bye_of_the_peer_ends_its_own_pending_reinvite_with_487() {
    // §15.1.2.
    let mut script = Script::new();
    let (call, invite) = script.established();
    script.in_dialog(
        &invite,
        "INVITE",
        1,
        "Contact: <sip:bob@10.0.0.2>",
        Some(("application/sdp", OFFER)),
    );
    script.in_dialog(&invite, "BYE", 2, "", None);
    script.expect("SIP/2.0 200");
    script.expect("SIP/2.0 487");
    assert_eq!(script.ended(call), "remote bye");
}

#[test]
fn a_queue_that_nobody_empties_is_bounded() {
    let mut script = Script::new();
    let (call, _) = script.established();
    let mut refused = 0;
    for _ in 0..100 {
        let result = script.act(|node, now| node.offer(now, call, Some(sdp(OFFER)), vec![], None));
        refused += usize::from(result.is_err());
    }
    assert_eq!(refused, 100 - 1 - 32);
}

#[test]
fn a_change_whose_2xx_cannot_be_read_ends() {
    let mut script = Script::new();
    let (call, _) = script.established();
    script.act(|node, now| {
        node.offer(now, call, Some(sdp(OFFER)), vec![], None)
            .expect("offers")
    });
    let reinvite = script.expect("INVITE ");
    let broken = Builder::response_to(&reinvite, 200, "OK").set(HeaderName::CSeq, "two INVITE");
    script.peer.send(broken.finish().raw().clone());
    script.told(|event| matches!(event, Event::Malformed { .. }).then_some(()));
    script.peer.wait(32_000);
    assert_eq!(script.ended(call), "timeout Timer B");
}

#[test]
fn a_2xx_of_an_earlier_reinvite_that_comes_again_answers_no_later_offer() {
    // §13.2.2.4, §14.1.
    let mut script = Script::new();
    let (call, _) = script.established();
    let offer = |script: &mut Script| {
        script.act(|node, now| {
            node.offer(now, call, Some(sdp(OFFER)), vec![], None)
                .expect("offers")
        });
        script.expect("INVITE ")
    };
    let first = offer(&mut script);
    script.answer(&first, "", "");
    let ack = script.expect("ACK ");
    let second = offer(&mut script);
    script.peer.events.clear();
    script.answer(&first, "", "");
    assert_eq!(script.expect("ACK ").cseq(), ack.cseq());
    assert!(!script.is_told(|event| matches!(event, Event::OfferAnswered { .. })));
    script.respond(&second, 488, "", "", None);
    script.expect("ACK ");
    script.told(|event| matches!(event, Event::OfferRejected { .. }).then_some(()));

    // After the next one's ACK too, and with the body that it had.
    script.act(|node, now| node.offer(now, call, None, vec![], None).expect("asks"));
    let third = script.expect("INVITE ");
    script.answer(&third, "", "");
    script.act(|node, now| node.answer_offer(now, call, sdp(OFFER), None).expect("answers"));
    let ack = script.expect("ACK ");
    let fourth = offer(&mut script);
    script.answer(&fourth, "", "");
    script.expect("ACK ");
    script.answer(&third, "", "");
    let again = script.expect("ACK ");
    assert_eq!((again.cseq(), again.body()), (ack.cseq(), ack.body()));
    script.answer(&fourth, "", "");
    assert_eq!(
        script.expect("ACK ").cseq().expect("CSeq").number,
        fourth.cseq().expect("CSeq").number
    );
}

#[test]
fn the_answer_to_an_offer_that_was_challenged_is_taken() {
    let mut script = Script::new();
    let (call, _) = script.established();
    script.act(|node, now| {
        node.offer(now, call, Some(sdp(OFFER)), vec![], None)
            .expect("offers")
    });
    let reinvite = script.expect("INVITE ");
    script.respond(
        &reinvite,
        407,
        "",
        "Proxy-Authenticate: Digest realm=\"p\", nonce=\"1\"",
        None,
    );
    script.expect("ACK ");
    let reinvite = script.expect("INVITE ");
    script.answer(&reinvite, "", "");
    script.expect("ACK ");
    script.told(|event| matches!(event, Event::OfferAnswered { .. }).then_some(()));
}

#[test]
fn a_reinvite_without_an_answer_goes_with_its_call_although_one_before_it_was_accepted() {
    let mut script = Script::new();
    let (call, _) = script.established();
    let offer = |script: &mut Script| {
        script.act(|node, now| {
            node.offer(now, call, Some(sdp(OFFER)), vec![], None)
                .expect("offers")
        });
        script.expect("INVITE ")
    };
    let first = offer(&mut script);
    script.answer(&first, "", "");
    script.expect("ACK ");
    let second = offer(&mut script);
    script.respond(&second, 100, "", "", None);
    script.act(|node, now| node.hangup(now, call, Hangup::default(), None).expect("hangs up"));
    let bye = script.expect("BYE ");
    script.respond(&bye, 200, "", "", None);
    script.assert_clean();
}
