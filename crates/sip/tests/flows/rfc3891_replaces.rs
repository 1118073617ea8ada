//! RFC 3891 §3: which dialog a Replaces finds.

use callwright_sip::Event;
use callwright_sip::command::{Answer, Hangup};
use callwright_sip_message::Message;

use crate::parties::{ANSWER, sdp};
use crate::script::{Script, header};

/// Replaces with the tags of a dialog of alice's, from a request of hers.
fn replaces(ours: &Message, more: &str) -> String {
    let call_id = ours.call_id().expect("Call-ID");
    let tag = ours.from_tag().expect("a tag");
    format!("Contact: <sip:bob@10.0.0.2>\r\nReplaces: {call_id};to-tag={tag};from-tag=bob{more}")
}

#[test]
fn an_established_dialog_is_replaced_and_ended_by_bye() {
    let mut script = Script::new();
    let (old, invite) = script.established();
    script.request(
        "INVITE",
        1,
        &replaces(&invite, ""),
        Some(("application/sdp", ANSWER)),
    );
    let (new, replaced) = script.told(|event| match event {
        Event::IncomingCall(incoming) => Some((incoming.call, incoming.replaces)),
        _ => None,
    });
    assert_eq!(replaced, Some(old));
    script.peer.expect_nothing();
    let answer = Answer {
        description: Some(sdp(ANSWER)),
        ..Answer::default()
    };
    script.act(|node, now| node.answer(now, new, answer, None).expect("answers"));
    script.expect("SIP/2.0 200");
    script.expect("BYE ");
    assert_eq!(script.ended(old), "replaced");
}

#[test]
fn early_only_refuses_an_established_dialog() {
    let mut script = Script::new();
    let (_, invite) = script.established();
    script.request("INVITE", 1, &replaces(&invite, ";early-only"), None);
    script.expect("SIP/2.0 486");
}

#[test]
fn an_unknown_dialog_meets_481_and_one_that_ended_603() {
    let mut script = Script::new();
    let (call, invite) = script.established();
    let unknown = replaces(&invite, "").replace("from-tag=bob", "from-tag=carol");
    script.request("INVITE", 1, &unknown, None);
    script.expect("SIP/2.0 481");
    script.act(|node, now| node.hangup(now, call, Hangup::default(), None).expect("hangs up"));
    script.expect("BYE ");
    script.request("INVITE", 2, &replaces(&invite, ""), None);
    script.expect("SIP/2.0 603");
}

#[test]
fn an_early_dialog_of_the_peer_s_making_is_not_replaced() {
    let mut script = Script::new();
    let (call, _) = script.invited("");
    let ring = callwright_sip::command::Progress::new(180);
    script.act(|node, now| node.progress(now, call, ring, None).expect("rings"));
    let ringing = script.expect("SIP/2.0 180");
    let tag = ringing.to_tag().expect("a tag");
    let more = format!("Contact: <sip:bob@10.0.0.2>\r\nReplaces: script;to-tag={tag};from-tag=bob");
    script.request("INVITE", 2, &more, None);
    assert!(header(&script.expect("SIP/2.0 481"), "CSeq").starts_with('2'));
}

#[test]
fn a_broken_or_doubled_replaces_meets_400() {
    let mut script = Script::new();
    let contact = "Contact: <sip:bob@10.0.0.2>\r\n";
    script.request("INVITE", 1, &format!("{contact}Replaces: only-a-call-id"), None);
    script.expect("SIP/2.0 400");
    let one = "Replaces: a;to-tag=b;from-tag=c";
    script.request("INVITE", 2, &format!("{contact}{one}\r\n{one}"), None);
    script.expect("SIP/2.0 400");
}

#[test]
fn replaces_in_anything_but_an_invite_meets_400() {
    // §3.
    let mut script = Script::new();
    let (_, invite) = script.established();
    script.request("OPTIONS", 1, &replaces(&invite, ""), None);
    script.expect("SIP/2.0 400");
    script.in_dialog(&invite, "INFO", 1, "Replaces: 1;to-tag=2;from-tag=3", None);
    script.expect("SIP/2.0 400");
}
