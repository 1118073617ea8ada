//! RFC 3261 §22: every kind of request is sent again with credentials.

use callwright_sip::command::{Addressing, DialogRequest, Hangup, OutsideRequest, Refer};
use callwright_sip::{EndpointConfig, Event};
use callwright_sip_message::{Message, Method};

use crate::parties::{OFFER, sdp, uri};
use crate::script::{Script, header};

const CHALLENGE: &str =
    "Proxy-Authenticate: Digest realm=\"proxy\", nonce=\"abc\", qop=\"auth\", algorithm=SHA-256";

/// Challenges a request; the one that follows must be it again, with credentials and the next number.
fn challenge(script: &mut Script, request: &Message, nonce: &str) -> Message {
    let stale = if request.has_header("Proxy-Authorization") {
        ", stale=true"
    } else {
        ""
    };
    let challenge = CHALLENGE.replace("abc", nonce) + stale;
    script.respond(request, 407, "proxy", &challenge, None);
    let method = request.method().expect("a request").to_string();
    if method == "INVITE" {
        script.expect("ACK ");
    }
    let again = script.expect(&format!("{method} "));
    assert_eq!(
        again.call_id().expect("Call-ID"),
        request.call_id().expect("Call-ID")
    );
    assert_eq!(again.from_tag(), request.from_tag());
    assert_eq!(
        again.cseq().expect("CSeq").number,
        request.cseq().expect("CSeq").number + 1
    );
    assert_eq!(again.body(), request.body());
    assert!(header(&again, "Proxy-Authorization").contains(&format!("nonce=\"{nonce}\"")));
    again
}

#[test]
fn a_call_its_changes_and_its_end_are_challenged() {
    let mut script = Script::new();
    let (call, invite) = script.call();
    let invite = challenge(&mut script, &invite, "n1");
    script.answer(&invite, "bob", "");
    // §22.1: the ACK carries what the INVITE had.
    let ack = script.expect("ACK ");
    assert_eq!(
        header(&ack, "Proxy-Authorization"),
        header(&invite, "Proxy-Authorization")
    );

    script.act(|node, now| {
        node.offer(now, call, Some(sdp(OFFER)), vec![], None)
            .expect("offers")
    });
    let reinvite = script.expect("INVITE ");
    // The nonce that is known goes out at once.
    assert!(header(&reinvite, "Proxy-Authorization").contains("nc=00000002"));
    let reinvite = challenge(&mut script, &reinvite, "n2");
    script.answer(&reinvite, "", "");
    script.expect("ACK ");

    script.act(|node, now| node.update(now, call, None, vec![], None).expect("updates"));
    let update = script.expect("UPDATE ");
    let update = challenge(&mut script, &update, "n3");
    script.respond(&update, 200, "", "Contact: <sip:bob@10.0.0.2>", None);

    script.act(|node, now| {
        node.request(now, call, DialogRequest::new(Method::Info), None)
            .expect("asks")
    });
    let info = script.expect("INFO ");
    let info = challenge(&mut script, &info, "n4");
    script.respond(&info, 200, "", "", None);

    script.act(|node, now| {
        node.refer(now, call, Refer::to(uri("sip:carol@10.0.0.3")), None)
            .expect("refers")
    });
    let refer = script.expect("REFER ");
    let refer = challenge(&mut script, &refer, "n5");
    script.respond(&refer, 603, "", "", None);

    script.act(|node, now| node.hangup(now, call, Hangup::default(), None).expect("hangs up"));
    let bye = script.expect("BYE ");
    let bye = challenge(&mut script, &bye, "n6");
    script.respond(&bye, 200, "", "", None);
    assert_eq!(script.ended(call), "local bye");
    assert!(!script.is_told(|event| matches!(event, Event::HangupFailed { .. })));
    script.assert_clean();
}

#[test]
fn a_request_outside_dialogs_is_challenged() {
    let mut script = Script::new();
    let request = OutsideRequest {
        identity: script.identity,
        method: Method::Message,
        target: uri("sip:bob@10.0.0.2"),
        addressing: Default::default(),
        body: Some(callwright_sip::command::Body::new("text/plain", "hello")),
        headers: vec![],
    };
    script.act(|node, now| node.send_request(now, request, None).expect("asks"));
    let message = script.expect("MESSAGE ");
    let message = challenge(&mut script, &message, "n1");
    script.respond(&message, 202, "", "", None);
    let status = script.told(|event| match event {
        Event::Response { message, .. } => message.status(),
        _ => None,
    });
    assert_eq!(status, 202);
    script.assert_clean();
}

#[test]
fn a_call_whose_credentials_are_refused_ends_with_the_407() {
    let mut script = Script::new();
    let (call, invite) = script.call();
    let again = challenge(&mut script, &invite, "n1");
    script.respond(&again, 407, "proxy", &CHALLENGE.replace("abc", "n2"), None);
    script.expect("ACK ");
    script.peer.expect_nothing();
    script.told(|event| matches!(event, Event::ChallengeUnmet { .. }).then_some(()));
    assert_eq!(script.ended(call), "response 407");
    script.assert_clean();
}

#[test]
fn a_server_that_asks_for_ever_in_new_names_is_given_up() {
    let mut script = Script::new();
    let request = OutsideRequest {
        addressing: Addressing::default(),
        identity: script.identity,
        method: Method::Options,
        target: uri("sip:bob@10.0.0.2"),
        body: None,
        headers: vec![],
    };
    script.act(|node, now| node.send_request(now, request, None).expect("asks"));
    for realm in 1..=5 {
        let options = script.expect("OPTIONS ");
        let challenge = format!("Proxy-Authenticate: Digest realm=\"r{realm}\", nonce=\"n\"");
        script.respond(&options, 407, "proxy", &challenge, None);
    }
    let options = script.expect("OPTIONS ");
    assert_eq!(options.cseq().expect("CSeq").number, 6);
    script.respond(
        &options,
        407,
        "proxy",
        "Proxy-Authenticate: Digest realm=\"r6\", nonce=\"n\"",
        None,
    );
    script.peer.expect_nothing();
    let error = script.told(|event| match event {
        Event::ChallengeUnmet { error, .. } => Some(error.to_string()),
        _ => None,
    });
    assert!(error.contains("5 times"), "{error}");
    let status = script.told(|event| match event {
        Event::Response { message, .. } => message.status(),
        _ => None,
    });
    assert_eq!(status, 407);
    script.assert_clean();
}

#[test]
fn the_early_dialogs_of_a_challenged_invite_are_over() {
    // §8.1.3.5: it is a new INVITE, and what it makes does not compete with what the old one made.
    let mut script = Script::with(EndpointConfig {
        max_forks: 1,
        ..EndpointConfig::default()
    });
    let (_, invite) = script.call();
    script.respond(&invite, 183, "announcement", "Contact: <sip:bob@10.0.0.2>", None);
    let invite = challenge(&mut script, &invite, "n1");
    let reliable = "Contact: <sip:bob@10.0.0.2>\r\nRequire: 100rel\r\nRSeq: 1";
    script.respond(&invite, 180, "bob", reliable, None);
    script.expect("PRACK ");
}

#[test]
fn acks_and_byes_of_further_answers_have_the_credentials_of_the_invite() {
    // §22.1 and §13.2.2.4, while the call lives and once it is gone.
    let mut script = Script::new();
    let (call, invite) = script.call();
    let invite = challenge(&mut script, &invite, "n1");
    let credentials = header(&invite, "Proxy-Authorization");
    let ok = script.answer(&invite, "bob", "");
    script.expect("ACK ");
    for (tag, alive) in [("bob", true), ("mobile", true), ("desk", false), ("desk", false)] {
        if !alive && tag == "desk" && script.peer.node.call_id(call).is_some() {
            script.act(|node, now| node.hangup(now, call, Hangup::default(), None).expect("hangs up"));
            let bye = script.expect("BYE ");
            script.respond(&bye, 200, "", "", None);
        }
        script.answer(&invite, tag, "");
        let ack = script.expect("ACK ");
        assert_eq!(ack.to_tag().as_deref(), Some(tag));
        assert_eq!(header(&ack, "Proxy-Authorization"), credentials, "{tag}");
        if let Some(sent) = script.peer.sent.front()
            && sent.bytes.starts_with(b"BYE ")
        {
            let bye = script.expect("BYE ");
            assert_eq!(bye.call_id().expect("Call-ID"), ok.call_id().expect("Call-ID"));
            script.respond(&bye, 200, "", "", None);
        }
    }
    script.assert_clean();
}
