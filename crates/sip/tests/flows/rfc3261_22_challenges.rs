//! RFC 3261 §22: every kind of request is sent again with credentials.

use callwright_sip::Event;
use callwright_sip::command::{DialogRequest, Hangup, OutsideRequest, Refer};
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
