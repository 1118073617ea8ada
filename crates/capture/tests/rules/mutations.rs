//! Breaking a rule on purpose: each is caught by the rule that names it, and by no other.

use std::time::Duration;

use callwright_capture::rules::Rule;
use callwright_sip_message::{HeaderName, Method};
use callwright_ua::Phase;
use callwright_wire::Transport;

use crate::mutant::Fault;
use crate::town::{Phone, Town, Verdict, account, clean};

/// Two phones that call each other without anybody between; the first of them breaks a rule from its call on.
fn broken_caller(fault: Fault) -> Verdict {
    call_between_phones(Transport::Udp, |town, a, _| town.break_rule(a.party, fault))
}

/// The same, and the one who is called breaks a rule.
fn broken_callee(fault: Fault) -> Verdict {
    call_between_phones(Transport::Udp, |town, _, b| town.break_rule(b.party, fault))
}

fn call_between_phones(transport: Transport, spoil: impl FnOnce(&mut Town, Phone, Phone)) -> Verdict {
    let mut town = Town::new(1, clean());
    let a = town.phone("alice", account("alice", transport));
    let b = town.phone("bob", account("bob", transport));
    town.play(a, 437.0);
    town.play(b, 881.0);
    spoil(&mut town, a, b);
    let target = town.user_agent(b).contact().unwrap().to_string();
    town.dial(a, &target);
    let ringing = |town: &Town| town.phase(b) == Some(Phase::Ringing);
    for _ in 0..100 {
        if ringing(&town) {
            break;
        }
        town.pass(Duration::from_millis(20));
    }
    let _ = town.fleet(b, |fleet, now, id| fleet.accept(now, id, None, None));
    town.pass(Duration::from_secs(2));
    let _ = town.fleet(a, |fleet, now, id| fleet.dtmf(now, id, None, "12", None, None));
    town.pass(Duration::from_secs(2));
    let _ = town.fleet(a, |fleet, now, id| fleet.hold(now, id, None, None));
    town.pass(Duration::from_secs(1));
    let _ = town.fleet(a, |fleet, now, id| fleet.resume(now, id, None, None));
    town.pass(Duration::from_secs(2));
    let _ = town.fleet(a, |fleet, now, id| fleet.hangup(now, id, None, None));
    town.pass(Duration::from_secs(2));
    // It lives, and says so.
    let target = town.user_agent(a).contact().unwrap().to_string();
    town.dial(b, &target);
    town.pass(Duration::from_secs(40));
    let target = town.user_agent(b).contact().unwrap().to_string();
    town.dial(a, &target);
    town.pass(Duration::from_secs(3));
    town.finish()
}

#[test]
fn a_call_without_a_fault_breaks_nothing() {
    for transport in [Transport::Udp, Transport::Tcp] {
        call_between_phones(transport, |_, _, _| {}).assert_sound("nothing is wrong");
    }
}

#[test]
fn an_ack_that_is_forgotten() {
    broken_caller(Fault::Forget(Method::Ack)).assert_broken(&[Rule::Ack]);
}

#[test]
fn a_cseq_that_falls_or_is_not_that_of_the_invite() {
    broken_caller(Fault::Number(Method::Bye, -2)).assert_broken(&[Rule::CSeq]);
    broken_caller(Fault::Number(Method::Ack, 1)).assert_broken(&[Rule::CSeq]);
}

#[test]
fn a_dialog_that_nobody_ends() {
    let verdict = call_between_phones(Transport::Udp, |town, a, b| {
        town.break_rule(a.party, Fault::Forget(Method::Bye));
        town.break_rule(b.party, Fault::Forget(Method::Bye));
    });
    assert!(
        verdict.broken().contains(&Rule::DialogEnd),
        "{:?}",
        verdict.broken()
    );
}

#[test]
fn a_dialog_that_is_kept() {
    broken_caller(Fault::Keep).assert_broken(&[Rule::NothingLeft]);
}

#[test]
fn a_sequence_number_of_rtp_that_is_skipped() {
    broken_caller(Fault::SkipSequence(30)).assert_broken(&[Rule::RtpSequence]);
    broken_callee(Fault::SkipSequence(30)).assert_broken(&[Rule::RtpSequence]);
}

#[test]
fn a_timestamp_of_rtp_that_leaps() {
    broken_caller(Fault::Timestamp(30, 8_000)).assert_broken(&[Rule::RtpTimestamp]);
    broken_caller(Fault::Timestamp(30, u32::MAX - 80)).assert_broken(&[Rule::RtpTimestamp]);
}

#[test]
fn a_payload_type_that_nobody_announced() {
    broken_caller(Fault::PayloadType(35)).assert_broken(&[Rule::RtpPayloadType]);
}

#[test]
fn an_event_whose_packets_have_timestamps_of_their_own() {
    broken_caller(Fault::EventTimestamp(101)).assert_broken(&[Rule::RtpEvent]);
}

#[test]
fn a_response_that_never_comes() {
    broken_callee(Fault::Mute(200)).assert_broken(&[Rule::InviteFinal]);
}

#[test]
fn a_request_that_is_never_answered() {
    let verdict = broken_callee(Fault::Mute(100));
    assert!(verdict.broken().contains(&Rule::TransactionEnd));
}

#[test]
fn two_final_responses_to_one_invite() {
    broken_callee(Fault::TwoFinals).assert_broken(&[Rule::InviteFinal]);
}

#[test]
fn a_request_that_is_sent_twice() {
    broken_caller(Fault::Twice).assert_broken(&[Rule::Retransmission]);
}

#[test]
fn a_branch_of_all_requests() {
    // Whatever comes back then belongs to nothing, so there is more than one thing wrong.
    let verdict = broken_caller(Fault::Branch("z9hG4bKalways".into()));
    assert!(verdict.broken().contains(&Rule::Branch));
}

#[test]
fn a_branch_without_the_cookie() {
    let verdict = broken_caller(Fault::Branch("1".into()));
    assert!(verdict.broken().contains(&Rule::Branch));
}

#[test]
fn a_tag_that_changes() {
    broken_caller(Fault::Tag(Method::Bye)).assert_broken(&[Rule::Tags]);
}

#[test]
fn a_request_without_max_forwards() {
    broken_caller(Fault::Without(Method::Bye, HeaderName::MaxForwards)).assert_broken(&[Rule::MaxForwards]);
}

#[test]
fn an_invite_without_contact() {
    broken_callee(Fault::Without(Method::Invite, HeaderName::Contact)).assert_broken(&[Rule::Contact]);
}

#[test]
fn a_via_of_somebody_else() {
    broken_caller(Fault::SentBy(Method::Bye)).assert_broken(&[Rule::Via]);
}

#[test]
fn a_response_with_another_call_id() {
    let fault = Fault::ResponseHeader(Method::Bye, HeaderName::CallId, "another".into());
    broken_callee(fault).assert_broken(&[Rule::ResponseEcho]);
}

#[test]
fn a_route_that_is_none_of_the_dialog() {
    let fault = Fault::Header(Method::Bye, HeaderName::Route, "<sip:192.0.2.77;lr>".into());
    broken_caller(fault).assert_broken(&[Rule::RouteSet]);
}

#[test]
fn a_header_that_is_no_header() {
    let fault = Fault::Header(Method::Bye, HeaderName::Route, "<sip:".into());
    let verdict = broken_caller(fault);
    assert!(verdict.broken().contains(&Rule::Legal));
}

#[test]
fn a_length_that_is_not_that_of_the_body() {
    broken_caller(Fault::Length).assert_broken(&[Rule::ContentLength]);
}

#[test]
fn an_answer_with_more_lines_than_its_offer() {
    broken_callee(Fault::MoreLines).assert_broken(&[Rule::AnswerLines]);
}

#[test]
fn a_description_that_changes_under_its_version() {
    broken_caller(Fault::Version).assert_broken(&[Rule::SdpVersion]);
}
