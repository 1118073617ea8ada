//! Calls and registrations, and the metrics of RFC 6076.

use callwright_capture::analysis::{EndedBy, FindingKind, Outcome, Side};

use super::build::{ALICE, BOB, Pcap, call, kinds, message, request, response};

fn close(actual: Option<f64>, expected: f64) {
    let actual = actual.expect("a value");
    assert!((actual - expected).abs() < 1e-6, "{actual}, not {expected}");
}

#[test]
fn a_call_is_told_with_its_times_and_who_ended_it() {
    let mut pcap = Pcap::new();
    call(&mut pcap, "x", 2);
    let analysis = pcap.analyze();
    let [call] = analysis.calls.as_slice() else {
        panic!("one call: {:?}", analysis.calls)
    };
    assert_eq!(
        (call.caller.as_str(), call.callee.as_str()),
        ("sip:alice@example.com", "sip:bob@example.com")
    );
    assert_eq!(
        (call.outcome, call.status, call.ended_by),
        (Outcome::Completed, Some(200), Some(EndedBy::Caller))
    );
    let leg = &call.legs[0];
    close(leg.session_request_delay_ms, 10.0);
    close(leg.session_duration_ms, 2_020.0);
    close(leg.session_disconnect_delay_ms, 15.0);
    close(call.talk_ms(), 2_020.0);
    assert_eq!(leg.media[0].answered, ["PCMU/8000", "telephone-event/8000"]);
    assert!(leg.media[0].caller_sends && leg.media[0].callee_sends);
    assert_eq!(call.streams.len(), 2);
    assert_eq!(kinds(&analysis), []);
    let metrics = &analysis.metrics;
    assert_eq!(metrics.session_establishment_ratio.percent, Some(100.0));
    assert_eq!(metrics.session_completion_ratio.percent, Some(100.0));
}

#[test]
fn the_ladder_has_a_row_for_each_message_and_stream() {
    let mut pcap = Pcap::new();
    call(&mut pcap, "x", 1);
    let analysis = pcap.analyze();
    let ladder = &analysis.calls[0].ladder;
    let names: Vec<_> = ladder.parties.iter().map(|party| party.name.as_deref()).collect();
    assert_eq!(names, [Some("alice"), Some("bob")]);
    let rows: Vec<_> = ladder
        .rows
        .iter()
        .map(|row| (row.from, row.to, row.summary.as_str()))
        .collect();
    assert_eq!(
        rows,
        [
            (0, 1, "INVITE sip:bob@example.com (SDP)"),
            (1, 0, "180 Ringing"),
            (1, 0, "200 OK (SDP)"),
            (0, 1, "ACK sip:bob@example.com"),
            (0, 1, "RTP PCMU/8000 1.0 s, 50 packets"),
            (1, 0, "RTP PCMU/8000 1.0 s, 50 packets"),
            (0, 1, "BYE sip:bob@example.com"),
            (1, 0, "200 OK"),
        ]
    );
}

/// What the first response but 100 says decides what became of it.
fn refused(status: &str) -> (Outcome, Vec<FindingKind>) {
    let mut pcap = Pcap::new();
    pcap.udp(0, ALICE, BOB, &request("INVITE", "x", 1, None))
        .udp(5, BOB, ALICE, &response("100 Trying", "INVITE", "x", 1, None))
        .udp(40, BOB, ALICE, &response(status, "INVITE", "x", 1, None))
        .udp(50, ALICE, BOB, &request("ACK", "x", 1, None));
    let analysis = pcap.analyze();
    close(analysis.calls[0].legs[0].session_request_delay_ms, 40.0);
    (analysis.calls[0].outcome, kinds(&analysis))
}

#[test]
fn a_refusal_is_told_from_a_failure() {
    assert_eq!(
        refused("486 Busy Here"),
        (Outcome::Refused, vec![FindingKind::CallRefused])
    );
    assert_eq!(
        refused("503 Service Unavailable"),
        (Outcome::Refused, vec![FindingKind::CallFailed])
    );
}

#[test]
fn a_challenge_is_not_the_end_of_a_call() {
    let mut pcap = Pcap::new();
    pcap.udp(0, ALICE, BOB, &request("INVITE", "x", 1, None))
        .udp(
            5,
            BOB,
            ALICE,
            &response("407 Proxy Authentication Required", "INVITE", "x", 1, None),
        )
        .udp(6, ALICE, BOB, &request("ACK", "x", 1, None))
        .udp(7, ALICE, BOB, &request("INVITE", "x", 2, None))
        .udp(90, BOB, ALICE, &response("200 OK", "INVITE", "x", 2, None))
        .udp(91, ALICE, BOB, &request("ACK", "x", 2, None))
        .udp(500, BOB, ALICE, &bye_of_callee())
        .udp(501, ALICE, BOB, &ok_to_callee());
    let analysis = pcap.analyze();
    let call = &analysis.calls[0];
    assert_eq!(
        (call.outcome, call.status, call.ended_by),
        (Outcome::Completed, Some(200), Some(EndedBy::Callee))
    );
    close(call.legs[0].session_request_delay_ms, 90.0);
    assert_eq!(
        analysis.metrics.session_establishment_ratio.of, 1,
        "one attempt, challenged"
    );
}

/// From and To change places.
fn bye_of_callee() -> Vec<u8> {
    swapped(&request("BYE", "x", 7, None))
}

fn ok_to_callee() -> Vec<u8> {
    swapped(&response("200 OK", "BYE", "x", 7, None))
}

fn swapped(message: &[u8]) -> Vec<u8> {
    let text = String::from_utf8(message.to_vec()).expect("text");
    text.replace(
        "From: <sip:alice@example.com>;tag=a",
        "From: <sip:bob@example.com>;tag=b",
    )
    .replace(
        "To: <sip:bob@example.com>;tag=b",
        "To: <sip:alice@example.com>;tag=a",
    )
    .into_bytes()
}

#[test]
fn a_caller_who_gives_up_cancelled_the_call() {
    let mut pcap = Pcap::new();
    pcap.udp(0, ALICE, BOB, &request("INVITE", "x", 1, None))
        .udp(30, BOB, ALICE, &response("180 Ringing", "INVITE", "x", 1, None))
        .udp(900, ALICE, BOB, &request("CANCEL", "x", 1, None))
        .udp(901, BOB, ALICE, &response("200 OK", "CANCEL", "x", 1, None))
        .udp(
            902,
            BOB,
            ALICE,
            &response("487 Request Terminated", "INVITE", "x", 1, None),
        )
        .udp(903, ALICE, BOB, &request("ACK", "x", 1, None));
    let analysis = pcap.analyze();
    let call = &analysis.calls[0];
    assert_eq!(
        (call.outcome, call.ended_by),
        (Outcome::Cancelled, Some(EndedBy::Caller))
    );
    assert_eq!(kinds(&analysis), []);
}

#[test]
fn an_invite_that_nobody_answers_is_an_error_with_its_retransmissions() {
    let mut pcap = Pcap::new();
    for at in [0, 500, 1_500, 3_500, 7_500, 15_500, 31_500] {
        pcap.udp(at, ALICE, BOB, &request("INVITE", "x", 1, None));
    }
    let analysis = pcap.analyze();
    assert_eq!(analysis.calls[0].outcome, Outcome::Unanswered);
    assert_eq!(
        kinds(&analysis),
        [FindingKind::CallUnanswered, FindingKind::Retransmissions]
    );
    let again = analysis
        .findings
        .iter()
        .find(|finding| finding.kind == FindingKind::Retransmissions);
    assert_eq!(again.expect("it is there").packets, [2, 3, 4, 5, 6, 7]);
}

#[test]
fn what_is_slow_is_a_finding() {
    let mut pcap = Pcap::new();
    pcap.udp(0, ALICE, BOB, &request("INVITE", "x", 1, None))
        .udp(6_000, BOB, ALICE, &response("200 OK", "INVITE", "x", 1, None))
        .udp(6_001, ALICE, BOB, &request("ACK", "x", 1, None))
        .udp(6_500, ALICE, BOB, &request("BYE", "x", 2, None))
        .udp(9_500, BOB, ALICE, &response("200 OK", "BYE", "x", 2, None));
    assert_eq!(
        kinds(&pcap.analyze()),
        [FindingKind::SlowSetup, FindingKind::SlowDisconnect]
    );
}

#[test]
fn a_bye_that_is_not_answered_and_an_answer_that_is_not_acknowledged_are_errors() {
    let mut pcap = Pcap::new();
    pcap.udp(0, ALICE, BOB, &request("INVITE", "x", 1, None))
        .udp(100, BOB, ALICE, &response("200 OK", "INVITE", "x", 1, None))
        .udp(600, BOB, ALICE, &response("200 OK", "INVITE", "x", 1, None))
        .udp(900, ALICE, BOB, &request("BYE", "x", 2, None))
        .udp(1_400, ALICE, BOB, &request("BYE", "x", 2, None));
    let found = kinds(&pcap.analyze());
    assert!(found.contains(&FindingKind::NoAck), "{found:?}");
    let mut pcap = pcap.clone();
    pcap.udp(2_400, ALICE, BOB, &request("BYE", "x", 2, None));
    assert!(kinds(&pcap.analyze()).contains(&FindingKind::DisconnectFailed));
}

#[test]
fn digits_in_info_are_read() {
    let mut pcap = Pcap::new();
    call(&mut pcap, "x", 1);
    let info = message(
        "INFO sip:bob@example.com SIP/2.0",
        "INFO",
        "x",
        5,
        ";tag=b",
        Some("Signal=7\r\nDuration=120\r\n"),
        "",
    );
    pcap.udp(500, ALICE, BOB, &info);
    let analysis = pcap.analyze();
    assert_eq!(analysis.calls[0].digits_of(Side::Caller), "7");
    assert_eq!(analysis.calls[0].digits[0].duration_ms, Some(120.0));
}

fn register(cseq: u32, credentials: bool, expires: u32) -> Vec<u8> {
    let authorization = if credentials {
        "Authorization: Digest username=\"alice\", realm=\"r\", nonce=\"n\", uri=\"sip:example.com\", response=\"0\"\r\n"
    } else {
        ""
    };
    let more = format!("{authorization}Expires: {expires}\r\n");
    message(
        "REGISTER sip:example.com SIP/2.0",
        "REGISTER",
        "r",
        cseq,
        "",
        None,
        &more,
    )
}

fn answer(status: &str, cseq: u32) -> Vec<u8> {
    let more = if status.starts_with("401") {
        "WWW-Authenticate: Digest realm=\"r\", nonce=\"n\"\r\n"
    } else {
        "Expires: 60\r\n"
    };
    message(
        &format!("SIP/2.0 {status}"),
        "REGISTER",
        "r",
        cseq,
        ";tag=r",
        None,
        more,
    )
}

#[test]
fn a_challenge_belongs_to_the_registration_request_delay() {
    let mut pcap = Pcap::new();
    pcap.udp(0, ALICE, BOB, &register(1, false, 60))
        .udp(20, BOB, ALICE, &answer("401 Unauthorized", 1))
        .udp(25, ALICE, BOB, &register(2, true, 60))
        .udp(50, BOB, ALICE, &answer("200 OK", 2));
    let analysis = pcap.analyze();
    let registration = &analysis.registrations[0];
    assert!(registration.is_registered());
    assert_eq!(registration.attempts.len(), 1);
    close(registration.attempts[0].registration_request_delay_ms, 50.0);
    assert_eq!(registration.attempts[0].expires_s, Some(60));
    assert_eq!(
        analysis.metrics.ineffective_registration_attempts.percent,
        Some(0.0)
    );
    assert_eq!(kinds(&analysis), []);
}

#[test]
fn wrong_credentials_are_an_ineffective_registration_attempt() {
    let mut pcap = Pcap::new();
    pcap.udp(0, ALICE, BOB, &register(1, false, 60))
        .udp(20, BOB, ALICE, &answer("401 Unauthorized", 1))
        .udp(25, ALICE, BOB, &register(2, true, 60))
        .udp(50, BOB, ALICE, &answer("401 Unauthorized", 2));
    let analysis = pcap.analyze();
    assert!(!analysis.registrations[0].is_registered());
    assert_eq!(
        analysis.metrics.ineffective_registration_attempts.percent,
        Some(100.0)
    );
    assert_eq!(kinds(&analysis), [FindingKind::RegistrationFailed]);
}

#[test]
fn legs_are_joined_by_a_header_that_names_the_other_and_by_their_caller() {
    const SERVER: &str = "10.0.0.9:5060";
    let named = message(
        "INVITE sip:bob@10.0.0.2 SIP/2.0",
        "INVITE",
        "second",
        1,
        "",
        None,
        "X-Call: first\r\n",
    );
    let alike = request("INVITE", "second", 1, None);
    for (invite, is_guess) in [(named, false), (alike, true)] {
        let mut pcap = Pcap::new();
        pcap.udp(0, ALICE, SERVER, &request("INVITE", "first", 1, None))
            .udp(5, SERVER, BOB, &invite)
            .udp(50, BOB, SERVER, &response("200 OK", "INVITE", "second", 1, None))
            .udp(51, SERVER, BOB, &request("ACK", "second", 1, None))
            .udp(60, SERVER, ALICE, &response("200 OK", "INVITE", "first", 1, None))
            .udp(61, ALICE, SERVER, &request("ACK", "first", 1, None))
            .udp(700, BOB, SERVER, &swapped(&request("BYE", "second", 7, None)))
            .udp(
                701,
                SERVER,
                BOB,
                &swapped(&response("200 OK", "BYE", "second", 7, None)),
            )
            .udp(702, SERVER, ALICE, &swapped(&request("BYE", "first", 8, None)))
            .udp(
                703,
                ALICE,
                SERVER,
                &swapped(&response("200 OK", "BYE", "first", 8, None)),
            );
        let analysis = pcap.analyze();
        let [call] = analysis.calls.as_slice() else {
            panic!("one call: {:?}", analysis.calls)
        };
        assert_eq!(call.legs.len(), 2);
        assert_eq!(
            (call.joins[0].leg, call.joins[0].to, call.joins[0].is_guess),
            (1, 0, is_guess)
        );
        assert_eq!(call.ended_by, Some(EndedBy::Callee), "the agent hung up first");
        assert_eq!(call.ladder.parties.len(), 3);
    }
}

#[test]
fn a_call_id_is_named_whatever_it_looks_like() {
    const SERVER: &str = "10.0.0.9:5060";
    let start = "INVITE sip:bob@10.0.0.2 SIP/2.0";
    for id in ["<odd>:\"1\"", "two,parts;of it"] {
        let named = message(
            start,
            "INVITE",
            "second",
            1,
            "",
            None,
            &format!("X-Callwright-Call: {id}\r\n"),
        );
        let other = String::from_utf8(named)
            .expect("text")
            .replace("alice@", "carol@");
        let mut pcap = Pcap::new();
        pcap.udp(0, ALICE, SERVER, &request("INVITE", id, 1, None))
            .udp(5, SERVER, BOB, other.as_bytes());
        assert_eq!(pcap.analyze().calls.len(), 1, "{id}");
    }
}

#[test]
fn calls_of_two_callers_through_one_server_are_two() {
    const SERVER: &str = "10.0.0.9:5060";
    let other = String::from_utf8(request("INVITE", "second", 1, None)).expect("text");
    let other = other.replace("alice@", "carol@").into_bytes();
    let mut pcap = Pcap::new();
    pcap.udp(0, ALICE, SERVER, &request("INVITE", "first", 1, None))
        .udp(5, SERVER, BOB, &other);
    assert_eq!(pcap.analyze().calls.len(), 2);
}

#[test]
fn a_session_refresh_is_not_the_answer_to_a_call_that_began_before() {
    let again = String::from_utf8(request("INVITE", "x", 5, None)).expect("text");
    let again = again.replace("To: <sip:bob@example.com>", "To: <sip:bob@example.com>;tag=b");
    let mut pcap = Pcap::new();
    pcap.udp(0, ALICE, BOB, again.as_bytes())
        .udp(10, BOB, ALICE, &response("200 OK", "INVITE", "x", 5, None))
        .udp(11, ALICE, BOB, &request("ACK", "x", 5, None))
        .udp(10_000, ALICE, BOB, &request("BYE", "x", 6, None))
        .udp(10_010, BOB, ALICE, &response("200 OK", "BYE", "x", 6, None));
    let analysis = pcap.analyze();
    let leg = &analysis.calls[0].legs[0];
    assert_eq!((leg.outcome, leg.answered), (Outcome::Completed, None));
    assert_eq!(leg.session_duration_ms, None);
    let metrics = &analysis.metrics;
    assert_eq!(metrics.session_duration_time.count, 0);
    assert_eq!(metrics.session_establishment_ratio.of, 0);
    assert_eq!(metrics.session_establishment_effectiveness_ratio.of, 0);
    assert_eq!(metrics.ineffective_session_attempts.of, 0);
    assert_eq!(metrics.session_completion_ratio.of, 0);
}

#[test]
fn the_metrics_of_rfc_6076_take_only_what_they_are_defined_over() {
    let mut pcap = Pcap::new();
    for (id, status) in [
        ("moved", "302 Moved Temporarily"),
        ("challenged", "407 Proxy Authentication Required"),
        ("busy", "486 Busy Here"),
    ] {
        pcap.udp(0, ALICE, BOB, &request("INVITE", id, 1, None))
            .udp(100, BOB, ALICE, &response(status, "INVITE", id, 1, None))
            .udp(101, ALICE, BOB, &request("ACK", id, 1, None));
    }
    // The capture ends before anybody picks up.
    pcap.udp(200, ALICE, BOB, &request("INVITE", "rings", 1, None))
        .udp(
            210,
            BOB,
            ALICE,
            &response("180 Ringing", "INVITE", "rings", 1, None),
        );
    let metrics = pcap.analyze().metrics;
    assert_eq!(metrics.failed_session_request_delay.count, 1, "of 486");
    let established = &metrics.session_establishment_ratio;
    assert_eq!((established.count, established.of), (0, 2), "407 and 486");
    assert_eq!(metrics.session_establishment_effectiveness_ratio.count, 1);
    assert_eq!(metrics.ineffective_session_attempts.of, 3);
    assert_eq!(metrics.session_completion_ratio.of, 3);
}
