//! RFC 4028: session timers.

use std::time::Duration;

use callwright_sip::Event;
use callwright_sip::command::{Answer, Hangup, Invite, Refresher, SessionTimer};

use crate::parties::{ANSWER, OFFER, sdp};
use crate::script::{Script, header};

fn timer(seconds: u64) -> Option<SessionTimer> {
    Some(SessionTimer::new(Duration::from_secs(seconds)))
}

/// A call of alice's with a timer, answered so.
fn called(script: &mut Script, more: &str) -> callwright_sip::endpoint::CallId {
    let invite = Invite {
        session_timer: timer(1_800),
        ..script.invitation()
    };
    let (call, invite) = script.place(invite);
    assert_eq!(header(&invite, "Session-Expires"), "1800");
    assert_eq!(header(&invite, "Min-SE"), "90");
    script.answer(&invite, "bob", more);
    script.expect("ACK ");
    script.peer.events.clear();
    call
}

#[test]
fn the_refresher_refreshes_at_half_the_interval_by_update_where_that_is_allowed() {
    // §7.2, §7.4.
    let mut script = Script::new();
    called(
        &mut script,
        "Session-Expires: 600;refresher=uac\r\nRequire: timer\r\nAllow: INVITE, ACK, BYE, UPDATE\r\n",
    );
    script.peer.expect_silence(299_999);
    script.peer.wait(1);
    let update = script.expect("UPDATE ");
    assert_eq!(header(&update, "Session-Expires"), "600;refresher=uac");
    assert!(update.body().is_empty());
    script.respond(
        &update,
        200,
        "",
        "Contact: <sip:bob@10.0.0.2>\r\nSession-Expires: 600;refresher=uac",
        None,
    );
    // And again, counted from the refresh.
    script.peer.expect_silence(299_999);
    script.peer.wait(1);
    script.expect("UPDATE ");
}

#[test]
fn without_update_the_refresh_is_a_reinvite_with_the_same_offer() {
    let mut script = Script::new();
    called(
        &mut script,
        "Session-Expires: 600;refresher=uac\r\nAllow: INVITE, ACK, BYE\r\n",
    );
    script.peer.expect_silence(299_999);
    script.peer.wait(1);
    let reinvite = script.expect("INVITE ");
    assert_eq!(reinvite.body(), sdp(OFFER));
}

#[test]
fn a_session_that_the_peer_does_not_refresh_expires() {
    // §10: 600 s less 32 s; 90 s less a third of it.
    for (interval, ms) in [(600, 568_000), (90, 60_000)] {
        let mut script = Script::new();
        let call = called(
            &mut script,
            &format!("Session-Expires: {interval};refresher=uas\r\n"),
        );
        script.peer.expect_silence(ms - 1);
        script.peer.wait(1);
        let bye = script.expect("BYE ");
        assert_eq!(script.ended(call), "session expired");
        script.respond(&bye, 200, "", "", None);
        script.assert_clean();
    }
}

#[test]
fn a_refresh_of_the_peer_starts_the_timer_anew() {
    let mut script = Script::new();
    let invite = Invite {
        session_timer: timer(600),
        ..script.invitation()
    };
    let (_, invite) = script.place(invite);
    script.answer(&invite, "bob", "Session-Expires: 600;refresher=uas\r\n");
    script.expect("ACK ");
    script.peer.wait(300_000);
    let more = "Contact: <sip:bob@10.0.0.2>\r\nSupported: timer\r\nSession-Expires: 600;refresher=uac";
    script.in_dialog(&invite, "UPDATE", 1, more, None);
    let ok = script.expect("SIP/2.0 200");
    assert_eq!(header(&ok, "Session-Expires"), "600;refresher=uac");
    assert!(ok.requires("timer"));
    script.peer.expect_silence(567_999);
    script.peer.wait(1);
    script.expect("BYE ");
}

#[test]
fn a_peer_that_ignores_the_timer_leaves_none() {
    let mut script = Script::new();
    called(&mut script, "");
    script.peer.expect_silence(10_000_000);
}

#[test]
fn a_422_is_met_with_a_longer_interval() {
    // §7.3.
    let mut script = Script::new();
    let invite = Invite {
        session_timer: timer(100),
        ..script.invitation()
    };
    let (_, invite) = script.place(invite);
    script.respond(&invite, 422, "bob", "Min-SE: 300", None);
    script.expect("ACK ");
    let again = script.expect("INVITE ");
    assert_eq!(
        again.cseq().expect("CSeq").number,
        invite.cseq().expect("CSeq").number + 1
    );
    assert_eq!(
        (header(&again, "Session-Expires"), header(&again, "Min-SE")),
        ("300".into(), "300".into())
    );
    script.answer(&again, "bob", "Session-Expires: 300;refresher=uac\r\n");
    script.expect("ACK ");
}

#[test]
fn an_interval_below_ours_meets_422() {
    // §9.
    let mut script = Script::new();
    let more = "Contact: <sip:bob@10.0.0.2>\r\nSupported: timer\r\nSession-Expires: 60";
    script.request("INVITE", 1, more, None);
    assert_eq!(header(&script.expect("SIP/2.0 422"), "Min-SE"), "90");
}

#[test]
fn the_callee_agrees_and_says_who_refreshes() {
    // §9, table 2.
    let cases = [
        (
            "Supported: timer\r\nSession-Expires: 600",
            None,
            "600;refresher=uac",
            true,
        ),
        (
            "Supported: timer\r\nSession-Expires: 600;refresher=uas",
            None,
            "600;refresher=uas",
            false,
        ),
        (
            "Supported: timer\r\nSession-Expires: 600",
            Some(Refresher::Uas),
            "600;refresher=uas",
            false,
        ),
        ("Session-Expires: 600", None, "600;refresher=uas", false),
    ];
    for (more, wish, agreed, required) in cases {
        let mut script = Script::new();
        let (call, _) = script.invited(more);
        let session_timer = wish.map(|refresher| SessionTimer {
            refresher: Some(refresher),
            ..SessionTimer::new(Duration::from_secs(1_800))
        });
        let answer = Answer {
            description: Some(sdp(ANSWER)),
            session_timer,
            ..Answer::default()
        };
        script.act(|node, now| node.answer(now, call, answer, None).expect("answers"));
        let ok = script.expect("SIP/2.0 200");
        assert_eq!(
            (header(&ok, "Session-Expires").as_str(), ok.requires("timer")),
            (agreed, required),
            "{more}"
        );
        script.in_dialog(&ok, "ACK", 1, "", None);
        // 300 s: half of the interval is our turn.
        script.peer.wait(300_000);
        assert_eq!(!script.peer.sent.is_empty(), agreed.ends_with("uas"), "{more}");
    }
}

#[test]
fn a_hung_up_call_leaves_no_timer() {
    let mut script = Script::new();
    let call = called(&mut script, "Session-Expires: 600;refresher=uac\r\n");
    script.act(|node, now| node.hangup(now, call, Hangup::default(), None).expect("hangs up"));
    let bye = script.expect("BYE ");
    script.respond(&bye, 200, "", "", None);
    assert!(!script.is_told(|event| matches!(event, Event::HangupFailed { .. })));
    script.assert_clean();
}

#[test]
fn a_refresh_offers_what_is_agreed_and_not_what_was_refused() {
    // §7.4, RFC 3261 §14.1.
    let mut script = Script::new();
    let call = called(
        &mut script,
        "Session-Expires: 600;refresher=uac\r\nAllow: INVITE, ACK, BYE\r\n",
    );
    let offer = |script: &mut Script, description| {
        script.act(|node, now| {
            node.offer(now, call, Some(sdp(description)), vec![], None)
                .expect("offers")
        });
        script.expect("INVITE ")
    };
    let refused = offer(&mut script, ANSWER);
    script.respond(&refused, 488, "", "", None);
    script.expect("ACK ");
    script.peer.wait(300_000);
    let refresh = script.expect("INVITE ");
    assert_eq!(refresh.body(), sdp(OFFER));
    script.answer(&refresh, "", "Session-Expires: 600;refresher=uac\r\n");
    script.expect("ACK ");
    // What was accepted is what counts from then on.
    let accepted = offer(&mut script, ANSWER);
    script.answer(&accepted, "", "Session-Expires: 600;refresher=uac\r\n");
    script.expect("ACK ");
    script.peer.wait(300_000);
    assert_eq!(script.expect("INVITE ").body(), sdp(ANSWER));
}

const UPDATED: &str = "Contact: <sip:bob@10.0.0.2>\r\nSession-Expires: 600;refresher=uac";

/// A call whose first refresh, an UPDATE, is due.
fn due(script: &mut Script) -> (callwright_sip::endpoint::CallId, callwright_sip_message::Message) {
    let call = called(
        script,
        "Session-Expires: 600;refresher=uac\r\nAllow: INVITE, ACK, BYE, UPDATE\r\n",
    );
    script.peer.wait(300_000);
    (call, script.expect("UPDATE "))
}

#[test]
fn a_refused_refresh_is_tried_again_when_the_peer_says() {
    let mut script = Script::new();
    let (_, update) = due(&mut script);
    script.respond(&update, 503, "", "Retry-After: 30", None);
    script.peer.expect_silence(29_999);
    script.peer.wait(1);
    let update = script.expect("UPDATE ");
    script.respond(&update, 200, "", UPDATED, None);
    script.peer.expect_silence(299_999);
    script.peer.wait(1);
    script.expect("UPDATE ");
}

#[test]
fn a_refused_refresh_is_tried_again_while_the_session_lives() {
    // Half of what is left each time, and then the expiration after 568 s.
    let mut script = Script::new();
    let (call, mut update) = due(&mut script);
    for ms in [134_000, 67_000, 33_500, 16_750, 8_375, 4_188, 2_094, 2_000] {
        script.respond(&update, 500, "", "", None);
        script.peer.expect_silence(ms - 2);
        script.peer.wait(2);
        update = script.expect("UPDATE ");
    }
    script.respond(&update, 500, "", "", None);
    script.peer.wait(2_000);
    let bye = script.expect("BYE ");
    script.respond(&bye, 200, "", "", None);
    assert_eq!(script.ended(call), "session expired");
    script.assert_clean();
}

#[test]
fn a_refresh_that_is_too_short_is_tried_with_what_the_peer_wants() {
    // §7.3, §7.4.
    let mut script = Script::new();
    let (_, update) = due(&mut script);
    script.respond(&update, 422, "", "Min-SE: 900", None);
    script.peer.wait(2_000);
    let update = script.expect("UPDATE ");
    assert_eq!(header(&update, "Session-Expires"), "900;refresher=uac");
    assert_eq!(header(&update, "Min-SE"), "900");
    script.respond(
        &update,
        200,
        "",
        "Contact: <sip:bob@10.0.0.2>\r\nSession-Expires: 900;refresher=uac",
        None,
    );
    script.peer.expect_silence(449_999);
    script.peer.wait(1);
    assert_eq!(header(&script.expect("UPDATE "), "Min-SE"), "900");
}

#[test]
fn a_peer_that_allows_no_update_after_all_is_refreshed_by_reinvite() {
    let mut script = Script::new();
    let (_, update) = due(&mut script);
    script.respond(&update, 405, "", "", None);
    script.peer.wait(2_000);
    assert_eq!(script.expect("INVITE ").body(), sdp(OFFER));
}
