//! RFC 3261 §13 and §15: the 2xx and its ACK, at their boundary times.

use std::time::Duration;

use bytes::Bytes;
use callwright_sip::command::{Answer, Hangup, Invite, Progress, Reason};
use callwright_sip::core::{CoreConfig, CoreLimits};
use callwright_sip::endpoint::{ACK_WAIT, RING_LIMIT};
use callwright_sip::event::Description;
use callwright_sip::{EndpointConfig, Event, Misuse};
use callwright_sip_message::{Builder, HeaderName, Message};
use callwright_wire::{ConnectionError, Input, Node, Transport};

use crate::parties::{ANSWER, OFFER, sdp};
use crate::script::{Script, header};

fn answer() -> Answer {
    Answer {
        description: Some(Bytes::from_static(ANSWER.as_bytes())),
        ..Answer::default()
    }
}

#[test]
fn a_2xx_goes_out_again_until_its_ack() {
    // §13.3.1.4: T1, doubled up to T2.
    let mut script = Script::new();
    let (call, _) = script.invited("");
    script.act(|node, now| node.answer(now, call, answer(), None).expect("answers"));
    let ok = script.expect("SIP/2.0 200");
    for gap in [500, 1_000, 2_000, 4_000, 4_000] {
        script.peer.expect_retransmit(gap);
    }
    script.in_dialog(&ok, "ACK", 1, "", None);
    script.told(|event| matches!(event, Event::Confirmed { .. }).then_some(()));
    script.peer.expect_silence(60_000);
    assert!(!script.is_told(|event| matches!(event, Event::Ended { .. })));
}

#[test]
fn a_2xx_without_ack_ends_in_bye_after_64_t1() {
    let mut script = Script::new();
    let (call, _) = script.invited("");
    script.act(|node, now| node.answer(now, call, answer(), None).expect("answers"));
    script.peer.wait(31_999);
    assert!(!script.is_told(|event| matches!(event, Event::Ended { .. })));
    script.peer.sent.clear();
    script.peer.wait(1);
    let bye = script.expect("BYE ");
    assert_eq!(script.ended(call), format!("timeout {ACK_WAIT}"));
    script.respond(&bye, 200, "", "", None);
    script.assert_clean();
}

#[test]
fn an_ack_with_another_number_acknowledges_nothing() {
    let mut script = Script::new();
    let (call, _) = script.invited("");
    script.act(|node, now| node.answer(now, call, answer(), None).expect("answers"));
    let ok = script.expect("SIP/2.0 200");
    script.in_dialog(&ok, "ACK", 2, "", None);
    script.peer.expect_retransmit(500);
    script.in_dialog(&ok, "ACK", 1, "", None);
    script.peer.expect_silence(10_000);
}

#[test]
fn a_2xx_that_comes_again_gets_the_same_ack() {
    // §13.2.2.4.
    let mut script = Script::new();
    let (_, invite) = script.call();
    let ok = script.answer(&invite, "bob", "");
    let first = script.expect("ACK ");
    script.peer.send(ok.raw().clone());
    let second = script.expect("ACK ");
    assert_eq!(
        first.cseq().expect("CSeq").number,
        invite.cseq().expect("CSeq").number
    );
    let without_via = |message: &callwright_sip_message::Message| message.to_builder().remove("Via").finish();
    assert_eq!(without_via(&first), without_via(&second));
    assert_eq!(
        script
            .peer
            .events
            .iter()
            .filter(|event| matches!(event, Event::Answered { .. }))
            .count(),
        1
    );
}

#[test]
fn a_delayed_offer_is_answered_in_the_ack() {
    let mut script = Script::new();
    let invite = Invite {
        offer: None,
        ..script.invitation()
    };
    let (call, invite) = script.place(invite);
    assert!(invite.body().is_empty());
    let ok = script.answer(&invite, "bob", "");
    script.peer.expect_nothing();
    let description = script.told(|event| match event {
        Event::Answered { description, .. } => description.clone(),
        _ => None,
    });
    assert_eq!(description, Description::Offer(sdp(ANSWER)));
    // Its repetition is not acknowledged before there is an answer.
    script.peer.send(ok.raw().clone());
    script.peer.expect_nothing();
    script.act(|node, now| node.answer_offer(now, call, sdp(OFFER), None).expect("answers"));
    assert_eq!(script.expect("ACK ").body(), sdp(OFFER));
    script.peer.send(ok.raw().clone());
    assert_eq!(script.expect("ACK ").body(), sdp(OFFER));
}

#[test]
fn our_offer_in_a_2xx_needs_an_answer_in_the_ack() {
    let mut script = Script::new();
    script.request("INVITE", 1, "Contact: <sip:bob@10.0.0.2>", None);
    let call = script.told(|event| match event {
        Event::IncomingCall(incoming) => incoming.offer.is_none().then_some(incoming.call),
        _ => None,
    });
    let none = script.act(|node, now| node.answer(now, call, Answer::default(), None));
    assert!(matches!(none, Err(Misuse::DescriptionNeeded { .. })));
    script.act(|node, now| node.answer(now, call, answer(), None).expect("answers"));
    let ok = script.expect("SIP/2.0 200");
    script.in_dialog(&ok, "ACK", 1, "", None);
    script.expect("BYE ");
    assert!(
        script
            .ended(call)
            .starts_with("protocol the ACK carries no answer")
    );
}

#[test]
fn hanging_up_before_a_provisional_response_waits_for_one() {
    // §9.1.
    let mut script = Script::new();
    let (call, invite) = script.call();
    let reason = Reason {
        protocol: "SIP".to_owned(),
        cause: Some(200),
        text: Some("Elsewhere".to_owned()),
    };
    let hangup = Hangup {
        reason: Some(reason),
        ..Hangup::default()
    };
    script.act(|node, now| node.hangup(now, call, hangup, None).expect("hangs up"));
    script.peer.expect_nothing();
    script.respond(&invite, 180, "bob", "Contact: <sip:bob@10.0.0.2>", None);
    let cancel = script.expect("CANCEL ");
    assert_eq!(header(&cancel, "Reason"), "SIP;cause=200;text=\"Elsewhere\"");
    script.respond(&cancel, 200, "bob", "", None);
    script.respond(&invite, 487, "bob", "", None);
    script.expect("ACK ");
    assert_eq!(script.ended(call), "cancelled");
    script.assert_clean();
}

#[test]
fn a_cancelled_call_without_final_response_ends_after_64_t1() {
    let mut script = Script::new();
    let (call, invite) = script.call();
    script.respond(&invite, 180, "bob", "Contact: <sip:bob@10.0.0.2>", None);
    script.act(|node, now| node.hangup(now, call, Hangup::default(), None).expect("hangs up"));
    let cancel = script.expect("CANCEL ");
    script.respond(&cancel, 200, "bob", "", None);
    script.peer.wait(31_999);
    assert!(!script.is_told(|event| matches!(event, Event::Ended { .. })));
    script.peer.wait(1);
    assert_eq!(script.ended(call), "timeout CANCEL wait");
    script.assert_clean();
}

#[test]
fn a_cancel_of_the_caller_tells_its_reason() {
    // §9.2, RFC 3326.
    let mut script = Script::new();
    let (call, invite) = script.invited("");
    script.act(|node, now| node.progress(now, call, Progress::new(180), None).expect("rings"));
    script.expect("SIP/2.0 180");
    let cancel = invite
        .to_string()
        .replacen("INVITE", "CANCEL", 1)
        .replace("1 INVITE", "1 CANCEL");
    let (head, _) = cancel.split_once("Content-Type").expect("a head");
    let reason = "Reason: Q.850;cause=16;text=\"Terminated\"\r\nContent-Length: 0\r\n\r\n";
    script.peer.send(format!("{head}{reason}"));
    script.expect("SIP/2.0 200");
    script.expect("SIP/2.0 487");
    let reason = script.told(|event| match event {
        Event::Ended {
            cause: callwright_sip::event::EndCause::Cancelled { remote: true, reason },
            ..
        } => reason.clone(),
        _ => None,
    });
    assert_eq!((reason.protocol.as_str(), reason.cause), ("Q.850", Some(16)));
}

#[test]
fn a_cancel_before_any_ringing_has_the_to_tag_of_the_487() {
    // §9.2.
    let mut script = Script::new();
    let (call, invite) = script.invited("");
    let cancel = invite
        .to_string()
        .replacen("INVITE", "CANCEL", 1)
        .replace("1 INVITE", "1 CANCEL");
    script.peer.send(cancel);
    let ok = script.expect("SIP/2.0 200");
    assert!(ok.to_tag().is_some());
    assert_eq!(ok.to_tag(), script.expect("SIP/2.0 487").to_tag());
    assert_eq!(script.ended(call), "cancelled by the caller");
}

#[test]
fn a_call_that_nobody_takes_expires_when_the_caller_says() {
    let mut script = Script::new();
    let expires = std::time::Duration::from_secs(20);
    let invite = Invite {
        expires: Some(expires),
        ..script.invitation()
    };
    let (_, invite) = script.place(invite);
    assert_eq!(header(&invite, "Expires"), "20");
    script.respond(&invite, 180, "bob", "Contact: <sip:bob@10.0.0.2>", None);
    script.peer.expect_silence(19_999);
    script.peer.wait(1);
    script.expect("CANCEL ");
}

#[test]
fn ringing_is_repeated_each_minute() {
    // §13.3.1.1.
    let mut script = Script::new();
    let (call, _) = script.invited("");
    script.act(|node, now| node.progress(now, call, Progress::new(180), None).expect("rings"));
    script.expect("SIP/2.0 180");
    script.peer.expect_retransmit(60_000);
    script.peer.expect_retransmit(60_000);
}

#[test]
fn a_bye_that_finds_no_agreement_is_told() {
    let mut script = Script::new();
    let (call, _) = script.established();
    script.act(|node, now| node.hangup(now, call, Hangup::default(), None).expect("hangs up"));
    assert_eq!(script.ended(call), "local bye");
    script.expect("BYE ");
    script.peer.wait(32_000);
    script.told(|event| matches!(event, Event::HangupFailed { .. }).then_some(()));
    script.assert_clean();
}

#[test]
fn a_bye_that_is_answered_is_told_after_the_end_of_the_call() {
    for status in [200, 481] {
        let mut script = Script::new();
        let (call, _) = script.established();
        script.act(|node, now| node.hangup(now, call, Hangup::default(), None).expect("hangs up"));
        assert_eq!(script.ended(call), "local bye");
        let bye = script.expect("BYE ");
        assert!(!script.is_told(|event| matches!(event, Event::HungUp { .. })));
        script.act(|node, _| assert!(node.is_hanging_up(call)));
        script.respond(&bye, status, "", "", None);
        script.told(|event| matches!(event, Event::HungUp { call: over } if *over == call).then_some(()));
        script.act(|node, _| assert!(!node.is_hanging_up(call)));
        script.assert_clean();
    }
}

#[test]
fn operations_in_the_wrong_state_say_so() {
    let mut script = Script::new();
    let (call, invite) = script.call();
    let state = |result| match result {
        Err(Misuse::State { state, .. }) => state,
        other => panic!("{other:?}"),
    };
    assert_eq!(
        state(script.act(|node, now| node.answer(now, call, answer(), None))),
        "is being placed"
    );
    let offer = script.act(|node, now| node.offer(now, call, Some(sdp(OFFER)), vec![], None));
    assert_eq!(state(offer), "is being placed");
    script.answer(&invite, "bob", "");
    assert_eq!(
        state(script.act(|node, now| node.answer(now, call, answer(), None))),
        "is established"
    );
    let no_offer = script.act(|node, now| node.answer_offer(now, call, sdp(OFFER), None));
    assert_eq!(no_offer, Err(Misuse::NoOffer));
    script.act(|node, now| node.hangup(now, call, Hangup::default(), None).expect("hangs up"));
    let gone = script.act(|node, now| node.hangup(now, call, Hangup::default(), None));
    assert_eq!(gone, Err(Misuse::Gone { what: "call" }));
}

#[test]
fn an_invite_that_nobody_takes_expires_when_its_caller_says() {
    // §13.3.1.
    let mut script = Script::new();
    let (call, _) = script.invited("Expires: 20");
    script.peer.expect_silence(150);
    script.peer.wait(19_849);
    assert!(!script.is_told(|event| matches!(event, Event::Ended { .. })));
    script.peer.sent.clear();
    script.peer.wait(1);
    script.expect("SIP/2.0 487");
    assert_eq!(script.ended(call), "timeout Expires of INVITE");
}

#[test]
fn a_second_answer_after_the_call_has_ended_is_hung_up() {
    // §13.2.2.4.
    let mut script = Script::new();
    let (call, invite) = script.established();
    script.act(|node, now| node.hangup(now, call, Hangup::default(), None).expect("hangs up"));
    let bye = script.expect("BYE ");
    script.respond(&bye, 200, "", "", None);
    script.answer(&invite, "mobile", "");
    assert_eq!(script.expect("ACK ").to_tag().as_deref(), Some("mobile"));
    let bye = script.expect("BYE ");
    assert_eq!(bye.to_tag().as_deref(), Some("mobile"));
    script.respond(&bye, 200, "", "", None);
    script.assert_clean();
}

#[test]
fn requests_that_wait_when_the_call_ends_meet_481() {
    let info = callwright_sip_message::Method::Info;
    let config = callwright_sip::EndpointConfig {
        answer_above: vec![info],
        ..Default::default()
    };
    let mut script = Script::with(config);
    let (call, invite) = script.established();
    script.in_dialog(&invite, "INFO", 1, "", None);
    script.in_dialog(
        &invite,
        "REFER",
        2,
        "Refer-To: <sip:carol@10.0.0.3>\r\nContact: <sip:bob@10.0.0.2>",
        None,
    );
    script.act(|node, now| node.hangup(now, call, Hangup::default(), None).expect("hangs up"));
    let bye = script.expect("BYE ");
    script.respond(&bye, 200, "", "", None);
    for method in ["INFO", "REFER"] {
        let refused = script.expect("SIP/2.0 481");
        assert!(header(&refused, "CSeq").ends_with(method));
    }
    script.assert_clean();
}

/// A 200 to `invite` whose To cannot be read: the quotes of the display name do not end.
fn with_a_broken_to(script: &mut Script, invite: &Message) {
    let ok = Builder::response_to(invite, 200, "OK")
        .set(HeaderName::To, "\"Bob <sip:bob@10.0.0.2>;tag=bob")
        .header(HeaderName::Contact, "<sip:bob@10.0.0.2>")
        .finish();
    script.peer.send(ok.raw().clone());
}

#[test]
fn a_2xx_that_cannot_be_read_is_told_and_does_not_hold_the_call() {
    // §18.1.2: what is malformed is no response, so Timer B runs on.
    let mut script = Script::new();
    let (call, invite) = script.call();
    with_a_broken_to(&mut script, &invite);
    script.told(|event| matches!(event, Event::Malformed { answered: None, .. }).then_some(()));
    script.peer.expect_nothing();
    assert_eq!(script.peer.node.counters().malformed, 1);
    script.peer.wait(32_000);
    assert_eq!(script.ended(call), "timeout Timer B");
    script.assert_clean();
}

#[test]
fn a_call_whose_2xx_says_no_more_than_our_own_broken_from_ends() {
    let mut script = Script::new();
    let broken = (HeaderName::From, "\"Alice <sip:alice@10.0.0.1>;tag=a".to_owned());
    let invite = Invite {
        headers: vec![broken],
        ..script.invitation()
    };
    let (call, invite) = script.place(invite);
    script.answer(&invite, "bob", "");
    assert_eq!(
        script.ended(call),
        "protocol the 2xx to the INVITE makes no dialog (RFC 3261 §12.1.2)"
    );
    script.assert_clean();
}

#[test]
fn a_call_that_may_have_no_dialog_ends_with_its_transaction() {
    let mut script = Script::with(EndpointConfig {
        max_forks: 0,
        ..EndpointConfig::default()
    });
    let (call, invite) = script.call();
    script.answer(&invite, "bob", "");
    script.peer.wait(32_000);
    assert_eq!(
        script.ended(call),
        "protocol the 2xx to the INVITE makes no dialog (RFC 3261 §12.1.2)"
    );
    script.assert_clean();
}

#[test]
fn the_bye_to_a_second_answer_counts_on_from_its_early_dialog() {
    // §12.2.1.1, §13.2.2.4: the PRACK took number 2 in that dialog already.
    let mut script = Script::new();
    let (call, invite) = script.call();
    for tag in ["bob", "mobile"] {
        let reliable = "Contact: <sip:bob@10.0.0.2>\r\nRequire: 100rel\r\nRSeq: 1";
        script.respond(&invite, 180, tag, reliable, None);
        let prack = script.expect("PRACK ");
        assert_eq!(prack.cseq().expect("CSeq").number, 2);
        script.respond(&prack, 200, "", "", None);
    }
    script.answer(&invite, "bob", "");
    script.expect("ACK ");
    script.answer(&invite, "mobile", "");
    script.expect("ACK ");
    let bye = script.expect("BYE ");
    assert_eq!(bye.to_tag().expect("a tag"), "mobile");
    assert_eq!(bye.cseq().expect("CSeq").number, 3);
    script.respond(&bye, 200, "", "", None);
    // The same again is acknowledged, and its dialog is not ended twice.
    script.answer(&invite, "mobile", "");
    script.expect("ACK ");
    script.peer.expect_nothing();
    script.act(|node, now| node.hangup(now, call, Hangup::default(), None).expect("hangs up"));
    let bye = script.expect("BYE ");
    assert_eq!(bye.cseq().expect("CSeq").number, 3);
    script.respond(&bye, 200, "", "", None);
    // The call is gone, its transaction is not.
    for (tag, number) in [("mobile", None), ("desk", Some(2))] {
        script.answer(&invite, tag, "");
        script.expect("ACK ");
        if let Some(number) = number {
            let bye = script.expect("BYE ");
            assert_eq!(bye.cseq().expect("CSeq").number, number);
            script.respond(&bye, 200, "", "", None);
        }
        script.answer(&invite, tag, "");
        script.expect("ACK ");
        script.peer.expect_nothing();
    }
    script.assert_clean();
}

#[test]
fn a_call_whose_caller_cannot_be_reached_any_more_ends() {
    // §17.2.4: the connection is gone, and no other one to the caller can be opened.
    let mut script = Script::new();
    let local = script.peer.local;
    script.act(|node, now| node.listen(now, Transport::Tcp, local));
    let connection = script.peer.connect(Transport::Tcp);
    let invite = "INVITE sip:alice@10.0.0.1 SIP/2.0\r\nVia: SIP/2.0/TCP 10.0.0.2:5060;branch=z9hG4bKtcp\r\n\
                  From: <sip:bob@10.0.0.2>;tag=bob\r\nTo: <sip:alice@10.0.0.1>\r\nCall-ID: tcp\r\nCSeq: 1 INVITE\r\n\
                  Contact: <sip:bob@10.0.0.2;transport=tcp>\r\nContent-Length: 0\r\n\r\n";
    script.peer.write(connection, invite);
    let call = script.told(|event| match event {
        Event::IncomingCall(incoming) => Some(incoming.call),
        _ => None,
    });
    script.peer.input(Input::Closed {
        connection,
        error: None,
    });
    script.act(|node, now| node.progress(now, call, Progress::new(180), None).expect("rings"));
    script.peer.refuse(ConnectionError::Refused);
    assert!(script.ended(call).starts_with("transport "));
    script.peer.wait(40_000);
    assert_eq!(script.peer.node.residue().dialogs, 0);
    assert_eq!(script.peer.node.residue().transactions, 0);
}

/// An endpoint whose calls ring for four minutes at most.
fn impatient() -> Script {
    Script::with(EndpointConfig {
        max_ringing: Duration::from_secs(240),
        ..EndpointConfig::default()
    })
}

#[test]
fn a_call_that_nobody_answers_for_ever_meets_480() {
    // §13.3.1: 487 is for an invitation that expires, and the caller set no such time.
    for more in ["", "Expires: 86400"] {
        let mut script = impatient();
        let (call, _) = script.invited(more);
        script.act(|node, now| node.progress(now, call, Progress::new(180), None).expect("rings"));
        script.expect("SIP/2.0 180");
        for _ in 0..3 {
            script.peer.wait(60_000);
            script.expect("SIP/2.0 180");
        }
        script.peer.expect_silence(59_999);
        script.peer.wait(1);
        script.expect("SIP/2.0 480");
        assert_eq!(script.ended(call), format!("timeout {RING_LIMIT}"));
        script.assert_clean();
    }
}

#[test]
fn a_call_of_ours_that_rings_for_ever_is_cancelled() {
    let mut script = impatient();
    let (call, invite) = script.call();
    script.respond(&invite, 180, "bob", "", None);
    script.peer.expect_silence(239_999);
    script.peer.wait(1);
    let cancel = script.expect("CANCEL ");
    script.respond(&cancel, 200, "", "", None);
    script.respond(&invite, 487, "bob", "", None);
    script.expect("ACK ");
    assert_eq!(script.ended(call), "cancelled");
    script.assert_clean();
}

#[test]
fn a_call_that_the_core_has_no_room_for_leaves_nothing_behind() {
    let core = CoreConfig {
        limits: CoreLimits {
            client_transactions: 1,
            ..CoreLimits::default()
        },
        ..CoreConfig::default()
    };
    let mut script = Script::with(EndpointConfig {
        core,
        ..EndpointConfig::default()
    });
    let (first, invite) = script.call();
    let refused = Invite {
        expires: Some(Duration::from_secs(40)),
        ..script.invitation()
    };
    let refused = script.act(|node, now| node.invite(now, refused, None));
    assert!(matches!(refused, Err(Misuse::TooManyCalls { .. })));
    script.respond(&invite, 486, "bob", "", None);
    script.expect("ACK ");
    assert_eq!(script.ended(first), "response 486");
    script.peer.wait(32_000);
    // Nothing of the refused one happens to the next one.
    let (_, invite) = script.call();
    script.respond(&invite, 180, "bob", "", None);
    assert!(!script.is_told(|event| matches!(event, Event::Ended { .. })));
    script.peer.expect_silence(60_000);
}

#[test]
fn an_answer_of_another_dialog_is_neither_acknowledged_nor_hung_up() {
    // Whoever was called may not make us end a call with somebody else: the ACK and the BYE would be written from this answer.
    let mut script = Script::new();
    let (call, invite) = script.call();
    let ok = script.answer(&invite, "bob", "");
    script.expect("ACK ");
    let text = String::from_utf8_lossy(ok.raw()).into_owned();
    let call_id = ok.call_id().expect("Call-ID").as_str().to_owned();
    let ours = ok.from_tag().expect("a tag").to_string();
    let foreign = |script: &mut Script| {
        for (was, is) in [(call_id.as_str(), "other"), (ours.as_str(), "other")] {
            script
                .peer
                .send(text.replace(was, is).replace("tag=bob", "tag=third"));
            script.peer.expect_nothing();
        }
    };
    foreign(&mut script);
    script.act(|node, now| node.hangup(now, call, Hangup::default(), None).expect("hangs up"));
    let bye = script.expect("BYE ");
    script.respond(&bye, 200, "", "", None);
    foreign(&mut script);
    script.peer.send(ok.raw().clone());
    script.expect("ACK ");
    script.peer.expect_nothing();
    script.assert_clean();
}
