//! Transfers, blind and attended (RFC 5589), and calls that are sent elsewhere.

mod support;

use std::time::Duration;

use callwright_ua::{ArmedResponse, Phase};
use support::Lab;

#[test]
fn a_blind_transfer_is_carried_out_by_who_receives_the_refer() {
    let mut lab = Lab::new();
    let (a, b, c) = (lab.phone("alice"), lab.phone("bob"), lab.phone("carol"));
    lab.establish(a, b);
    let target = lab.contact(c);
    lab.fleet(b, |fleet, now, id| fleet.transfer(now, id, None, &target, None))
        .unwrap();
    lab.until(|lab| lab.phase(c) == Some(Phase::Ringing));
    assert_eq!(lab.user_agent(c).calls()[0].peer().uri, "sip:alice@10.0.0.250");
    lab.accept(c);
    lab.until(|lab| lab.phase(a) == Some(Phase::Established) && lab.phase(b) == Some(Phase::Ended));
    assert_eq!(lab.user_agent(a).calls().len(), 2);
    lab.until(|lab| lab.user_agent(a).calls()[0].phase() == Phase::Ended);
    assert_eq!(lab.phase(c), Some(Phase::Established));
}

#[test]
fn a_blind_transfer_that_fails_leaves_the_call() {
    let mut lab = Lab::new();
    let (a, b, c) = (lab.phone("alice"), lab.phone("bob"), lab.phone("carol"));
    lab.establish(a, b);
    let target = lab.contact(c);
    lab.fleet(b, |fleet, now, id| fleet.transfer(now, id, None, &target, None))
        .unwrap();
    lab.until(|lab| lab.phase(c) == Some(Phase::Ringing));
    lab.hangup(c).unwrap();
    lab.pass(Duration::from_secs(2));
    assert_eq!(lab.phase(b), Some(Phase::Established));
    assert_eq!(lab.user_agent(a).calls()[0].phase(), Phase::Established);
}

#[test]
fn an_attended_transfer_connects_the_two_others() {
    let mut lab = Lab::new();
    let (a, b, c) = (lab.phone("alice"), lab.phone("bob"), lab.phone("carol"));
    lab.establish(a, b);
    let target = lab.contact(c);
    lab.fleet(b, |fleet, now, id| {
        fleet.attended_transfer(now, id, None, &target, None)
    })
    .unwrap();
    lab.until(|lab| lab.phase(c) == Some(Phase::Ringing));
    lab.until(|lab| lab.user_agent(a).calls()[0].phase() == Phase::Held);
    lab.accept(c);
    lab.until(|lab| lab.phase(b) == Some(Phase::Established));
    lab.fleet(b, |fleet, now, id| fleet.complete_transfer(now, id, None))
        .unwrap();
    lab.until(|lab| {
        let live = |phone| {
            lab.user_agent(phone)
                .calls()
                .iter()
                .filter(|call| call.phase() != Phase::Ended)
                .count()
        };
        live(b) == 0 && live(a) == 1 && live(c) == 1
    });
    assert_eq!(lab.phase(a), Some(Phase::Established));
    assert_eq!(lab.phase(c), Some(Phase::Established));
}

#[test]
fn an_attended_transfer_that_is_aborted_resumes_the_first_call() {
    let mut lab = Lab::new();
    let (a, b, c) = (lab.phone("alice"), lab.phone("bob"), lab.phone("carol"));
    lab.establish(a, b);
    let target = lab.contact(c);
    lab.fleet(b, |fleet, now, id| {
        fleet.attended_transfer(now, id, None, &target, None)
    })
    .unwrap();
    lab.until(|lab| lab.phase(c) == Some(Phase::Ringing));
    lab.fleet(b, |fleet, now, id| fleet.abort_transfer(now, id, None))
        .unwrap();
    lab.until(|lab| lab.phase(c) == Some(Phase::Ended));
    lab.until(|lab| {
        lab.phase(a) == Some(Phase::Established) && lab.user_agent(b).calls()[0].phase() == Phase::Established
    });
}

#[test]
fn a_call_is_deflected_with_302() {
    let mut lab = Lab::new();
    let a = lab.phone("alice");
    let b = lab.phone_with("bob", |account| {
        account.deflect_to = Some("sip:carol@10.0.0.3".into())
    });
    lab.dial(a, b);
    lab.until(|lab| lab.phase(a) == Some(Phase::Ended));
    assert_eq!(lab.user_agent(a).last_end().unwrap().status, Some(302));
}

#[test]
fn an_armed_response_answers_one_call() {
    let mut lab = Lab::new();
    let (a, b) = (lab.phone("alice"), lab.phone("bob"));
    let response = ArmedResponse {
        status: 503,
        reason: "Maintenance".into(),
        headers: vec![("Retry-After".into(), "60".into())],
    };
    lab.fleet(b, |fleet, now, id| fleet.respond_incoming(now, id, response))
        .unwrap();
    lab.dial(a, b);
    lab.until(|lab| lab.phase(a) == Some(Phase::Ended));
    assert_eq!(lab.reason(a), "503 Maintenance");
    lab.dial(a, b);
    lab.until(|lab| lab.phase(b) == Some(Phase::Ringing));
}

#[test]
fn an_armed_redirection_is_sent_with_its_header_fields() {
    let mut lab = Lab::new();
    let peer = lab.domain();
    let b = lab.phone("bob");
    let response = ArmedResponse {
        status: 302,
        reason: "Over There".into(),
        headers: vec![("Contact".into(), "<sip:carol@10.0.0.3>".into())],
    };
    lab.fleet(b, |fleet, now, id| fleet.respond_incoming(now, id, response))
        .unwrap();
    let target = lab.contact(b);
    let to = target.trim_start_matches("sip:bob@").parse().unwrap();
    let invite = format!(
        "INVITE {target} SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.250:5060;branch=z9hG4bK1\r\nMax-Forwards: 70\r\n\
         From: <sip:dave@10.0.0.250>;tag=d\r\nTo: <{target}>\r\nCall-ID: 1\r\nCSeq: 1 INVITE\r\n\
         Contact: <sip:10.0.0.250>\r\nContent-Length: 0\r\n\r\n"
    );
    lab.say(peer, to, invite);
    let response = lab.expect(peer, "SIP/2.0 302 Over There");
    assert_eq!(response.header("Contact"), Some("<sip:carol@10.0.0.3>"));
    assert_eq!(lab.phase(b), Some(Phase::Ended));
}

#[test]
fn a_transfer_that_succeeds_after_the_peer_hung_up_tells_no_second_end() {
    let mut lab = Lab::new();
    let peer = lab.domain();
    let (a, c) = (lab.phone("alice"), lab.phone("carol"));
    lab.fleet(a, |fleet, now, id| fleet.dial(now, id, "bob", &[], None))
        .unwrap();
    let invite = lab.expect(peer, "INVITE");
    let contact = ["Contact: <sip:10.0.0.250>"];
    let answer = support::script::sdp(1, "10.0.0.250", 4000, "");
    lab.say(peer, invite.from, invite.reply("200 OK", "p", &contact, &answer));
    lab.expect(peer, "ACK");
    lab.fleet(a, |fleet, now, id| fleet.transfer(now, id, None, "dave", None))
        .unwrap();
    let refer = lab.expect(peer, "REFER");
    lab.say(peer, refer.from, refer.reply("202 Accepted", "", &contact, ""));
    lab.say(peer, invite.from, invite.request_back("BYE", 1, "p", &[], ""));
    lab.expect(peer, "SIP/2.0 200");
    assert_eq!(lab.reason(a), "the peer hung up");
    lab.establish(c, a);
    lab.hangup(a).unwrap();
    lab.pass(std::time::Duration::from_millis(20));
    assert_eq!(lab.reason(a), "hung up");
    let fields = [
        "Event: refer",
        "Subscription-State: terminated;reason=noresource",
        contact[0],
    ];
    let notify = invite.request_back("NOTIFY", 2, "p", &fields, "SIP/2.0 200 OK\r\n");
    lab.say(
        peer,
        invite.from,
        notify.replace("application/sdp", "message/sipfrag"),
    );
    lab.expect(peer, "SIP/2.0 200");
    assert_eq!(lab.reason(a), "hung up");
}

#[test]
fn a_call_is_answered_by_itself_after_ringing() {
    let mut lab = Lab::new();
    let a = lab.phone("alice");
    let b = lab.phone_with("bob", |account| {
        account.auto_answer = Some(Duration::from_secs(3))
    });
    lab.dial(a, b);
    lab.pass(Duration::from_millis(2_900));
    assert_eq!(lab.phase(b), Some(Phase::Ringing));
    lab.pass(Duration::from_millis(200));
    assert_eq!(lab.phase(b), Some(Phase::Established));
}
