//! What the machine says and refuses, message by message, to callers and callees that follow a script.

mod support;

use std::net::SocketAddr;
use std::time::Duration;

use callwright_acd::Auth;
use callwright_sip::digest::Algorithm;
use callwright_ua::Phase;
use support::script::{Received, Request, credentials, rtp, rtp_port, sdp};
use support::{Lab, SERVER, password};

const CALLER: &str = "sip:alice@10.0.0.250";
const CALLEE: &str = "sip:bob@10.0.0.250";
const CONTACT: &str = "Contact: <sip:alice@10.0.0.66>";

/// A scripted caller, and a scripted phone of bob.
struct Script {
    lab: Lab,
    alice: SocketAddr,
    bob: SocketAddr,
}

impl Script {
    fn new() -> Script {
        Script::with(|_| {})
    }

    fn with(adjust: impl FnOnce(&mut callwright_acd::Config)) -> Script {
        let mut lab = Lab::with(|config| {
            config.auth = Auth::None;
            adjust(config);
        });
        let alice = lab.script("10.0.0.66:5060");
        let bob = lab.script("10.0.0.77:5060");
        let register = Request {
            method: "REGISTER",
            uri: &format!("sip:{SERVER}"),
            from: (CALLEE, "f"),
            to: (CALLEE, ""),
            call_id: "bob",
            cseq: 1,
        };
        let mut script = Script { lab, alice, bob };
        if script.lab.machine.bindings(script.lab.now(), "bob").is_empty() {
            let text = register.write(bob, &["Contact: <sip:bob@10.0.0.77>"], "");
            script.lab.say(bob, text);
            script.lab.expect(bob, "SIP/2.0");
        }
        script
    }

    fn request<'a>(method: &'a str, uri: &'a str, cseq: u32, tag: &'a str) -> Request<'a> {
        Request {
            method,
            uri,
            from: (CALLER, "a"),
            to: (CALLEE, tag),
            call_id: "call",
            cseq,
        }
    }

    /// Alice's INVITE.
    fn invite(&mut self, fields: &[&str], body: &str) {
        let mut all = vec![CONTACT];
        all.extend(fields);
        let text = Script::request("INVITE", CALLEE, 1, "").write(self.alice, &all, body);
        self.lab.say(self.alice, text);
    }

    fn offer() -> String {
        sdp(1, "10.0.0.66", 6_000, "")
    }

    /// A request of alice within the dialog that this answer made.
    fn in_dialog(&mut self, answer: &Received, method: &str, cseq: u32, fields: &[&str], body: &str) {
        let (uri, tag) = (answer.target().to_owned(), answer.to_tag().to_owned());
        let text = Script::request(method, &uri, cseq, &tag).write(self.alice, fields, body);
        self.lab.say(self.alice, text);
    }

    fn bob_answers(&mut self, invite: &Received) {
        let contact = "Contact: <sip:bob@10.0.0.77>";
        let text = invite.reply("200 OK", "b", &[contact], &sdp(1, "10.0.0.77", 7_000, ""));
        self.lab.say(self.bob, text);
    }

    /// A call that is up; the INVITE that bob got, and the 200 that alice got.
    fn established(&mut self) -> (Received, Received) {
        self.invite(&[], &Script::offer());
        let invite = self.lab.expect(self.bob, "INVITE");
        self.bob_answers(&invite);
        self.lab.expect(self.bob, "ACK");
        let answer = self.lab.expect(self.alice, "SIP/2.0 200");
        self.in_dialog(&answer, "ACK", 1, &[], "");
        self.lab.pass(Duration::from_millis(10));
        (invite, answer)
    }

    /// A request of bob within his dialog.
    fn bob_says(&mut self, invite: &Received, method: &str, cseq: u32, fields: &[&str], body: &str) {
        let from = invite.header("From").expect("one").to_owned();
        let (caller, tag) = from.split_once(";tag=").expect("a tag");
        let caller = caller.trim_matches(['<', '>']);
        let call_id = invite.header("Call-ID").expect("one").to_owned();
        let uri = invite.target().to_owned();
        let request = Request {
            method,
            uri: &uri,
            from: (CALLEE, "b"),
            to: (caller, tag),
            call_id: &call_id,
            cseq,
        };
        let text = request.write(self.bob, fields, body);
        self.lab.say(self.bob, text);
    }
}

#[test]
fn a_call_that_has_hopped_too_often_is_refused() {
    let mut script = Script::new();
    script.invite(&["Max-Forwards: 0"], &Script::offer());
    assert_eq!(script.lab.expect(script.alice, "SIP/2.0 4").status(), 483);
    assert!(!script.lab.has_heard(script.bob, "INVITE"));
}

#[test]
fn each_hop_counts() {
    let mut script = Script::new();
    script.invite(&["Max-Forwards: 7"], &Script::offer());
    let invite = script.lab.expect(script.bob, "INVITE");
    assert_eq!(invite.header("Max-Forwards"), Some("6"));
}

#[test]
fn a_call_that_comes_back_is_a_loop() {
    let mut script = Script::new();
    script.invite(&[], &Script::offer());
    let invite = script.lab.expect(script.bob, "INVITE");
    // A proxy behind bob's contact sends it back to the domain.
    let back = invite.text.replacen(
        "Via: ",
        "Via: SIP/2.0/UDP 10.0.0.77:5060;branch=z9hG4bKback\r\nVia: ",
        1,
    );
    script.lab.say(script.bob, back);
    let refused = script.lab.expect(script.bob, "SIP/2.0 4");
    assert_eq!(refused.status(), 482);
    assert_eq!(script.lab.machine.counters().loops, 1);
}

#[test]
fn a_user_whose_contact_is_the_machine_itself_does_not_ring_for_ever() {
    let mut script = Script::new();
    let register = Request {
        method: "REGISTER",
        uri: &format!("sip:{SERVER}"),
        from: ("sip:dave@10.0.0.250", "f"),
        to: ("sip:dave@10.0.0.250", ""),
        call_id: "dave",
        cseq: 1,
    };
    let text = register.write(script.alice, &["Contact: <sip:dave@10.0.0.250>"], "");
    script.lab.say(script.alice, text);
    script.lab.expect(script.alice, "SIP/2.0 200");
    let call = Request {
        uri: "sip:dave@10.0.0.250",
        ..Script::request("INVITE", CALLEE, 1, "")
    };
    let text = call.write(script.alice, &[CONTACT], &Script::offer());
    script.lab.say(script.alice, text);
    let refused = script.lab.expect(script.alice, "SIP/2.0 4");
    assert_eq!(refused.status(), 482);
    let ack = Script::request("ACK", "sip:dave@10.0.0.250", 1, refused.to_tag());
    let text = ack.write(script.alice, &[], "");
    script.lab.say(script.alice, text);
    script.lab.assert_nothing_left();
}

#[test]
fn a_message_to_a_user_whose_contact_is_the_machine_itself_is_a_loop() {
    let mut script = Script::new();
    let register = Request {
        method: "REGISTER",
        uri: &format!("sip:{SERVER}"),
        from: ("sip:dave@10.0.0.250", "f"),
        to: ("sip:dave@10.0.0.250", ""),
        call_id: "dave",
        cseq: 1,
    };
    let contacts = ["Contact: <sip:dave@10.0.0.250;n=1>, <sip:dave@10.0.0.250;n=2>"];
    let text = register.write(script.alice, &contacts, "");
    script.lab.say(script.alice, text);
    script.lab.expect(script.alice, "SIP/2.0 200");
    let message = Request {
        uri: "sip:dave@10.0.0.250",
        ..Script::request("MESSAGE", CALLEE, 1, "")
    };
    let text = message.write(script.alice, &[], "");
    script.lab.say(script.alice, text);
    let refused = script.lab.expect(script.alice, "SIP/2.0 4");
    assert_eq!(refused.status(), 482);
    assert_eq!(script.lab.machine.counters().loops, 1);
}

#[test]
fn early_media_passes_with_its_status() {
    let mut script = Script::new();
    script.invite(&[], &Script::offer());
    let invite = script.lab.expect(script.bob, "INVITE");
    let contact = "Contact: <sip:bob@10.0.0.77>";
    let progress = invite.reply(
        "183 Session Progress",
        "b",
        &[contact],
        &sdp(1, "10.0.0.77", 7_000, ""),
    );
    script.lab.say(script.bob, progress);
    let early = script.lab.expect(script.alice, "SIP/2.0 183");
    assert!(early.body().contains("m=audio"), "{}", early.text);
    assert!(
        early.body().contains("c=IN IP4 10.0.0.250"),
        "it names the machine, not the callee"
    );
    script.bob_answers(&invite);
    let answer = script.lab.expect(script.alice, "SIP/2.0 200");
    assert_eq!(answer.body(), early.body(), "RFC 3261 §13.2.1: the same answer");
}

#[test]
fn early_media_is_heard_before_the_answer() {
    let mut script = Script::new();
    let alice = script.lab.phone("alice");
    script.lab.dial(alice, "bob");
    let invite = script.lab.expect(script.bob, "INVITE");
    let contact = "Contact: <sip:bob@10.0.0.77>";
    let description = sdp(1, "10.0.0.77", 7_000, "");
    script.lab.say(
        script.bob,
        invite.reply("183 Session Progress", "b", &[contact], &description),
    );
    script.lab.pass(Duration::from_millis(100));
    script.lab.relayed.clear();
    let from = "10.0.0.77:7000".parse().expect("an address");
    for sequence in 0..10 {
        script
            .lab
            .say_media(from, rtp_port(invite.body()), rtp(sequence, 0x2a));
        script.lab.pass(Duration::from_millis(20));
    }
    let heard = script
        .lab
        .relayed
        .iter()
        .filter(|(_, to, bytes)| to.ip() == alice.address() && bytes.ends_with(&[0x2a; 160]));
    assert_eq!(heard.count(), 10);
}

#[test]
fn the_branch_that_answers_is_heard_whichever_spoke_last() {
    let mut script = Script::new();
    let alice = script.lab.phone("alice");
    script.lab.dial(alice, "bob");
    let invite = script.lab.expect(script.bob, "INVITE");
    // A proxy at bob's contact forks: two branches answer the offer reliably, the first one takes the call without a word more.
    for (tag, port) in [("one", 7_000), ("two", 7_100)] {
        let fields = ["Contact: <sip:bob@10.0.0.77>", "Require: 100rel", "RSeq: 1"];
        let early = invite.reply(
            "183 Session Progress",
            tag,
            &fields,
            &sdp(1, "10.0.0.77", port, ""),
        );
        script.lab.say(script.bob, early);
        let prack = script.lab.expect(script.bob, "PRACK");
        script.lab.say(script.bob, prack.reply("200 OK", "", &[], ""));
    }
    script.lab.say(
        script.bob,
        invite.reply("200 OK", "one", &["Contact: <sip:bob@10.0.0.77>"], ""),
    );
    script
        .lab
        .until(|lab| lab.phase(alice) == Some(Phase::Established));
    script.lab.pass(Duration::from_millis(100));
    script.lab.relayed.clear();
    script.lab.pass(Duration::from_millis(200));
    let to = |port: u16| {
        script
            .lab
            .relayed
            .iter()
            .filter(|(_, to, _)| to.port() == port)
            .count()
    };
    assert!(to(7_000) >= 9, "{} packets", to(7_000));
    assert_eq!(to(7_100), 0);
}

#[test]
fn a_caller_that_makes_no_offer_is_made_one() {
    let mut script = Script::new();
    script.invite(&[], "");
    let invite = script.lab.expect(script.bob, "INVITE");
    assert!(invite.body().contains("m=audio"));
    script.bob_answers(&invite);
    let answer = script.lab.expect(script.alice, "SIP/2.0 200");
    assert!(answer.body().contains("m=audio"), "{}", answer.text);
    let body = sdp(1, "10.0.0.66", 6_000, "");
    script.in_dialog(&answer, "ACK", 1, &[], &body);
    script.lab.pass(Duration::from_secs(1));
    script.in_dialog(&answer, "BYE", 2, &[], "");
    let bye = script.lab.expect(script.bob, "BYE");
    script.lab.say(script.bob, bye.reply("200 OK", "", &[], ""));
    script.lab.assert_nothing_left();
}

#[test]
fn a_caller_that_only_sends_is_only_listened_to() {
    let mut script = Script::new();
    let offer = sdp(1, "10.0.0.66", 6_000, "a=sendonly\r\n");
    script.invite(&[], &offer);
    let invite = script.lab.expect(script.bob, "INVITE");
    assert!(invite.body().contains("a=sendonly"), "{}", invite.body());
}

#[test]
fn who_waits_for_a_party_that_is_transferred_away_is_answered() {
    let mut script = Script::new();
    let (invite, answer) = script.established();
    let carol = script.lab.registered("carol");
    let refer = ["Refer-To: <sip:carol@10.0.0.250>", "Contact: <sip:bob@10.0.0.77>"];
    script.bob_says(&invite, "REFER", 1, &refer, "");
    script.lab.until(|lab| lab.phase(carol) == Some(Phase::Ringing));
    let held = sdp(2, "10.0.0.66", 6_000, "a=sendonly\r\n");
    script.in_dialog(&answer, "INVITE", 2, &[CONTACT], &held);
    script.lab.expect(script.bob, "INVITE");
    // Bob says nothing to that, and carol answers.
    script.lab.accept(carol);
    let answered = script.lab.expect(script.alice, "SIP/2.0 200");
    assert!(answered.body().contains("a=recvonly"), "{}", answered.text);
    assert_eq!(answered.header("CSeq"), Some("2 INVITE"));
    script.lab.until(|lab| lab.phase(carol) == Some(Phase::Held));
}

#[test]
fn an_overloaded_callee_is_not_taken_for_an_overloaded_server() {
    let mut script = Script::new();
    script.invite(&[], &Script::offer());
    let invite = script.lab.expect(script.bob, "INVITE");
    script.lab.say(
        script.bob,
        invite.reply("503 Service Unavailable", "b", &["Retry-After: 60"], ""),
    );
    let refused = script.lab.expect(script.alice, "SIP/2.0 500");
    assert_eq!(refused.header("Retry-After"), None);
}

#[test]
fn an_offer_that_cannot_be_taken_rings_nobody() {
    let mut script = Script::new();
    let video = Script::offer().replace("RTP/AVP 0 101", "RTP/SAVP 0 101");
    script.invite(&[], &video);
    let refused = script.lab.expect(script.alice, "SIP/2.0 4");
    assert_eq!(refused.status(), 488);
    assert!(refused.header("Warning").is_some());
    assert!(!script.lab.has_heard(script.bob, "INVITE"));
}

#[test]
fn a_cancel_that_crosses_the_answer_ends_both_legs() {
    let mut script = Script::new();
    script.invite(&[], &Script::offer());
    let invite = script.lab.expect(script.bob, "INVITE");
    script
        .lab
        .say(script.bob, invite.reply("180 Ringing", "b", &[], ""));
    script.lab.expect(script.alice, "SIP/2.0 180");
    // Bob's answer and alice's CANCEL arrive in the same millisecond; the answer is a moment late to the store.
    script.lab.store.delay = Duration::from_millis(50);
    script.bob_answers(&invite);
    let cancel = Script::request("CANCEL", CALLEE, 1, "").write(script.alice, &[], "");
    // RFC 3261 §9.1: the branch of a CANCEL is that of its INVITE.
    let cancel = cancel.replace("call1CANCEL", "call1INVITE");
    script.lab.say(script.alice, cancel);
    script.lab.expect(script.alice, "SIP/2.0 487");
    let bye = script.lab.expect(script.bob, "BYE");
    script.lab.say(script.bob, bye.reply("200 OK", "", &[], ""));
}

#[test]
fn a_cancel_tells_the_callee_why() {
    let mut script = Script::new();
    script.invite(&[], &Script::offer());
    let invite = script.lab.expect(script.bob, "INVITE");
    script
        .lab
        .say(script.bob, invite.reply("180 Ringing", "b", &[], ""));
    script.lab.expect(script.alice, "SIP/2.0 180");
    let reason = "Reason: SIP;cause=487;text=\"Changed my mind\"";
    let cancel = Script::request("CANCEL", CALLEE, 1, "").write(script.alice, &[reason], "");
    script
        .lab
        .say(script.alice, cancel.replace("call1CANCEL", "call1INVITE"));
    let cancelled = script.lab.expect(script.bob, "CANCEL");
    assert_eq!(
        cancelled.header("Reason"),
        Some("SIP;cause=487;text=\"Changed my mind\"")
    );
}

#[test]
fn a_refusal_passes_with_its_reason_and_a_redirection_with_its_contacts() {
    let mut script = Script::new();
    script.invite(&[], &Script::offer());
    let invite = script.lab.expect(script.bob, "INVITE");
    let reason = "Reason: Q.850;cause=17;text=\"User busy\"";
    script
        .lab
        .say(script.bob, invite.reply("486 Busy Tonight", "b", &[reason], ""));
    let refused = script.lab.expect(script.alice, "SIP/2.0 486 Busy Tonight");
    assert_eq!(
        refused.header("Reason"),
        Some("Q.850;cause=17;text=\"User busy\"")
    );

    let mut script = Script::new();
    script.invite(&[], &Script::offer());
    let invite = script.lab.expect(script.bob, "INVITE");
    let contact = "Contact: <sip:carol@10.0.0.250>";
    script
        .lab
        .say(script.bob, invite.reply("302 Moved", "b", &[contact], ""));
    let moved = script.lab.expect(script.alice, "SIP/2.0 302");
    assert_eq!(moved.target(), "sip:carol@10.0.0.250");
}

#[test]
fn a_bye_hands_its_reason_on() {
    let mut script = Script::new();
    let (_, answer) = script.established();
    let reason = "Reason: Q.850;cause=16;text=\"Normal call clearing\"";
    script.in_dialog(&answer, "BYE", 2, &[reason], "");
    let bye = script.lab.expect(script.bob, "BYE");
    assert_eq!(
        bye.header("Reason"),
        Some("Q.850;cause=16;text=\"Normal call clearing\"")
    );
}

#[test]
fn a_hold_that_the_other_side_refuses_is_refused_and_changes_nothing() {
    let mut script = Script::new();
    let (_, answer) = script.established();
    let held = sdp(2, "10.0.0.66", 6_000, "a=sendonly\r\n");
    script.in_dialog(&answer, "INVITE", 2, &[CONTACT], &held);
    let passed = script.lab.expect(script.bob, "INVITE");
    assert!(passed.body().contains("a=sendonly"));
    script
        .lab
        .say(script.bob, passed.reply("488 Not Acceptable Here", "", &[], ""));
    assert_eq!(script.lab.expect(script.alice, "SIP/2.0 4").status(), 488);
    script.lab.pass(Duration::from_secs(5));
    assert!(
        !script.lab.has_heard(script.bob, "INVITE"),
        "nothing is left to be asked"
    );
}

#[test]
fn while_one_side_changes_the_session_the_other_meets_491() {
    let mut script = Script::new();
    let (invite, answer) = script.established();
    let held = sdp(2, "10.0.0.66", 6_000, "a=sendonly\r\n");
    script.in_dialog(&answer, "INVITE", 2, &[CONTACT], &held);
    let passed = script.lab.expect(script.bob, "INVITE");
    let contact = "Contact: <sip:bob@10.0.0.77>";
    let mine = sdp(2, "10.0.0.77", 7_000, "a=inactive\r\n");
    script.bob_says(&invite, "INVITE", 1, &[contact], &mine);
    assert_eq!(script.lab.expect(script.bob, "SIP/2.0 4").status(), 491);
    let answer = sdp(2, "10.0.0.77", 7_000, "a=recvonly\r\n");
    script
        .lab
        .say(script.bob, passed.reply("200 OK", "", &[contact], &answer));
    let answered = script.lab.expect(script.alice, "SIP/2.0 200");
    assert!(answered.body().contains("a=recvonly"));
}

/// A call whose caller is refreshed by re-INVITE, and the refresh that waits for its answer.
fn refreshed(script: &mut Script) -> (Received, Received) {
    let timer = ["Supported: timer", "Session-Expires: 1800;refresher=uas"];
    script.invite(&timer, &Script::offer());
    let invite = script.lab.expect(script.bob, "INVITE");
    script.bob_answers(&invite);
    let answer = script.lab.expect(script.alice, "SIP/2.0 200");
    script.in_dialog(&answer, "ACK", 1, &[], "");
    // Half of the interval; bob is refreshed too, and answers.
    script.lab.pass(Duration::from_millis(900_100));
    let refresh = script.lab.expect(script.alice, "INVITE");
    if let Some(update) = script
        .lab
        .heard(script.bob)
        .filter(|heard| heard.text.starts_with("INVITE"))
    {
        script.bob_answers(&update);
        script.lab.pass(Duration::from_millis(10));
    }
    (invite, refresh)
}

#[test]
fn the_answer_to_a_refresh_is_not_taken_for_that_to_an_offer_that_waits() {
    let mut script = Script::new();
    let (invite, refresh) = refreshed(&mut script);
    assert!(!refresh.body().contains("a=sendonly"), "{}", refresh.text);
    let contact = "Contact: <sip:bob@10.0.0.77>";
    let held = sdp(2, "10.0.0.77", 7_000, "a=sendonly\r\n");
    script.bob_says(&invite, "INVITE", 7, &[contact], &held);
    script.lab.pass(Duration::from_millis(100));
    let same = sdp(1, "10.0.0.66", 6_000, "");
    script
        .lab
        .say(script.alice, refresh.reply("200 OK", "a", &[CONTACT], &same));
    let offer = script.lab.expect(script.alice, "INVITE");
    assert!(offer.body().contains("a=sendonly"), "{}", offer.text);
    script.lab.pass(Duration::from_millis(50));
    assert!(
        !script.lab.has_heard(script.bob, "SIP/2.0 200"),
        "bob is answered by alice, not by her refresh"
    );
    let recvonly = sdp(2, "10.0.0.66", 6_000, "a=recvonly\r\n");
    script
        .lab
        .say(script.alice, offer.reply("200 OK", "a", &[CONTACT], &recvonly));
    let answered = script.lab.expect(script.bob, "SIP/2.0 200");
    assert!(answered.body().contains("a=recvonly"), "{}", answered.text);
}

#[test]
fn a_refresh_that_is_refused_refuses_no_offer_that_waits() {
    let mut script = Script::new();
    let (invite, refresh) = refreshed(&mut script);
    let contact = "Contact: <sip:bob@10.0.0.77>";
    let held = sdp(2, "10.0.0.77", 7_000, "a=sendonly\r\n");
    script.bob_says(&invite, "INVITE", 7, &[contact], &held);
    script.lab.pass(Duration::from_millis(100));
    script
        .lab
        .say(script.alice, refresh.reply("500 Server Error", "a", &[], ""));
    let offer = script.lab.expect(script.alice, "INVITE");
    assert!(offer.body().contains("a=sendonly"), "{}", offer.text);
    let recvonly = sdp(2, "10.0.0.66", 6_000, "a=recvonly\r\n");
    script
        .lab
        .say(script.alice, offer.reply("200 OK", "a", &[CONTACT], &recvonly));
    let answered = script.lab.expect(script.bob, "SIP/2.0 2");
    assert!(answered.body().contains("a=recvonly"), "{}", answered.text);
}

#[test]
fn a_change_of_address_alone_does_not_bother_the_other_side() {
    let mut script = Script::new();
    let (_, answer) = script.established();
    let moved = sdp(2, "10.0.0.66", 6_500, "");
    script.in_dialog(&answer, "UPDATE", 2, &[CONTACT], &moved);
    assert_eq!(script.lab.expect(script.alice, "SIP/2.0").status(), 200);
    script.lab.pass(Duration::from_secs(1));
    assert!(!script.lab.has_heard(script.bob, "INVITE") && !script.lab.has_heard(script.bob, "UPDATE"));
}

#[test]
fn a_reinvite_without_an_offer_is_made_one_and_its_answer_is_passed_on() {
    let mut script = Script::new();
    let (_, answer) = script.established();
    script.in_dialog(&answer, "INVITE", 2, &[CONTACT], "");
    let offered = script.lab.expect(script.alice, "SIP/2.0 200");
    assert!(offered.body().contains("m=audio"));
    let held = sdp(2, "10.0.0.66", 6_000, "a=sendonly\r\n");
    script.in_dialog(&answer, "ACK", 2, &[], &held);
    let passed = script.lab.expect(script.bob, "INVITE");
    assert!(passed.body().contains("a=sendonly"), "{}", passed.text);
}

#[test]
fn an_info_passes_both_ways_and_its_answer_comes_back() {
    let mut script = Script::new();
    let (invite, answer) = script.established();
    let dtmf = ["Content-Type: application/dtmf-relay"];
    script.in_dialog(&answer, "INFO", 2, &dtmf, "Signal=5\r\nDuration=160\r\n");
    let passed = script.lab.expect(script.bob, "INFO");
    assert_eq!(passed.body(), "Signal=5\r\nDuration=160\r\n");
    script.lab.say(
        script.bob,
        passed.reply("415 Unsupported Media Type", "", &[], ""),
    );
    assert_eq!(script.lab.expect(script.alice, "SIP/2.0 4").status(), 415);
    script.bob_says(&invite, "INFO", 1, &dtmf, "Signal=1\r\nDuration=160\r\n");
    let passed = script.lab.expect(script.alice, "INFO");
    script.lab.say(script.alice, passed.reply("200 OK", "", &[], ""));
    assert_eq!(script.lab.expect(script.bob, "SIP/2.0").status(), 200);
}

#[test]
fn a_peer_that_knows_nothing_of_the_call_ends_it_for_both() {
    let mut script = Script::new();
    let (_, answer) = script.established();
    let dtmf = ["Content-Type: application/dtmf-relay"];
    script.in_dialog(&answer, "INFO", 2, &dtmf, "Signal=5\r\n");
    let passed = script.lab.expect(script.bob, "INFO");
    script.lab.say(
        script.bob,
        passed.reply("481 Call/Transaction Does Not Exist", "", &[], ""),
    );
    let bye = script.lab.expect(script.alice, "BYE");
    script.lab.say(script.alice, bye.reply("200 OK", "", &[], ""));
    script.lab.assert_nothing_left();
}

#[test]
fn a_message_goes_to_all_contacts_and_the_first_who_takes_it_answers() {
    let mut script = Script::new();
    let text = ["Content-Type: text/plain"];
    let message = Script::request("MESSAGE", CALLEE, 1, "").write(script.alice, &text, "hello");
    script.lab.say(script.alice, message);
    let passed = script.lab.expect(script.bob, "MESSAGE sip:bob@10.0.0.77 ");
    assert_eq!(
        (passed.body(), passed.header("To")),
        ("hello", Some("<sip:bob@10.0.0.250>"))
    );
    script.lab.say(script.bob, passed.reply("200 OK", "b", &[], ""));
    assert_eq!(script.lab.expect(script.alice, "SIP/2.0").status(), 200);
    let long = "x".repeat(1_301);
    let message = Script::request("MESSAGE", CALLEE, 2, "").write(script.alice, &text, &long);
    script.lab.say(script.alice, message);
    assert_eq!(script.lab.expect(script.alice, "SIP/2.0").status(), 413);
}

#[test]
fn options_is_answered_as_an_invite_would_be() {
    let mut script = Script::new();
    for (cseq, uri, status) in [
        (1, "sip:10.0.0.250", 200),
        (2, "sip:bob@10.0.0.250", 200),
        (3, "sip:carol@10.0.0.250", 480),
        (4, "sip:mallory@10.0.0.250", 404),
    ] {
        let options = Script::request("OPTIONS", uri, cseq, "").write(script.alice, &[], "");
        script.lab.say(script.alice, options);
        let answer = script.lab.expect(script.alice, "SIP/2.0");
        assert_eq!(answer.status(), status, "{uri}");
        assert_eq!(answer.header("Allow").is_some(), status == 200);
    }
}

#[test]
fn callers_are_challenged_where_everything_is_and_call_in_their_own_name_alone() {
    let mut script = Script::with(|config| config.auth = Auth::Everything);
    let bob = script.lab.registered("bob");
    script.invite(&[], &Script::offer());
    let challenged = script.lab.expect(script.alice, "SIP/2.0 401");
    let challenge = challenged.challenge("SHA-256");
    let prove = |user: &str, count| {
        let secret = password(user);
        let request = ("INVITE", CALLEE);
        credentials(&challenge, Algorithm::Sha256, (user, &secret), request, count)
    };
    for (cseq, user, status) in [(2, "carol", 403), (3, "alice", 100)] {
        let proof = prove(user, cseq);
        let invite = Script::request("INVITE", CALLEE, cseq, "");
        let text = invite.write(script.alice, &[CONTACT, &proof], &Script::offer());
        script.lab.say(script.alice, text);
        let answer = script.lab.expect(script.alice, "SIP/2.0");
        if status == 403 {
            assert_eq!(answer.status(), 403);
        }
    }
    script.lab.until(|lab| lab.phase(bob) == Some(Phase::Ringing));
}

#[test]
fn a_refer_outside_a_call_and_an_invite_that_replaces_one_are_refused() {
    let mut script = Script::new();
    let target = ["Refer-To: <sip:carol@10.0.0.250>", CONTACT];
    let refer = Script::request("REFER", CALLEE, 1, "").write(script.alice, &target, "");
    script.lab.say(script.alice, refer);
    assert_eq!(script.lab.expect(script.alice, "SIP/2.0").status(), 403);
    let (_, answer) = script.established();
    let replaces = format!("Replaces: call;to-tag={};from-tag=a", answer.to_tag());
    let invite = Request {
        call_id: "pickup",
        from: ("sip:dave@10.0.0.250", "d"),
        ..Script::request("INVITE", CALLEE, 1, "")
    };
    let text = invite.write(script.alice, &[CONTACT, &replaces], &Script::offer());
    script.lab.say(script.alice, text);
    let refused = script.lab.expect(script.alice, "SIP/2.0 403");
    assert!(refused.text.starts_with("SIP/2.0 403 Replaces Is Not Served"));
}

#[test]
fn garbage_is_counted_and_answered_where_it_can_be() {
    let mut script = Script::new();
    let text =
        "INVITE sip:bob@10.0.0.250 SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.66;branch=z9hG4bKx\r\n\r\n".to_owned();
    script.lab.say(script.alice, text);
    script.lab.pass(Duration::from_millis(10));
    assert_eq!(script.lab.machine.counters().malformed, 1);
}
