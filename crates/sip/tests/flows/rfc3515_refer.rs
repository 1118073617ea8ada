//! RFC 3515, RFC 4488: REFER at its edges; the whole transfers are in RFC 5359's.

use callwright_sip::Event;
use callwright_sip::command::{Hangup, Refer, Reject};
use callwright_sip::endpoint::ReferId;
use callwright_sip::event::{Failure, ReferOutcome};

use crate::parties::uri;
use crate::script::{Script, header};

const FRAGMENT: &str = "message/sipfrag;version=2.0";

fn referred(script: &mut Script) -> ReferId {
    script.told(|event| match event {
        Event::Referred(referred) => Some(referred.refer),
        _ => None,
    })
}

fn outcome(script: &mut Script) -> String {
    script.told(|event| match event {
        Event::ReferEnded { outcome, .. } => Some(match outcome {
            ReferOutcome::Final { status, reason } => format!("{status} {reason}"),
            ReferOutcome::Unknown => "unknown".to_owned(),
            ReferOutcome::Failed(Failure::Response(message)) => format!("refused {:?}", message.status()),
            ReferOutcome::Failed(failure) => format!("{failure:?}"),
        }),
        _ => None,
    })
}

#[test]
fn a_refer_without_target_meets_400() {
    let mut script = Script::new();
    let (_, invite) = script.established();
    script.in_dialog(&invite, "REFER", 1, "Contact: <sip:bob@10.0.0.2>", None);
    script.expect("SIP/2.0 400");
}

#[test]
fn a_refused_refer_makes_no_subscription() {
    let mut script = Script::new();
    let (_, invite) = script.established();
    script.in_dialog(&invite, "REFER", 1, "Refer-To: <sip:carol@10.0.0.3>", None);
    let refer = referred(&mut script);
    script.act(|node, now| {
        node.reject_refer(now, refer, Reject::new(603), None)
            .expect("refuses")
    });
    script.expect("SIP/2.0 603");
    script.peer.expect_silence(200_000);
}

#[test]
fn an_accepted_refer_is_reported_at_once_and_ends_with_its_subscription() {
    // §2.4.4.
    let mut script = Script::new();
    let (_, invite) = script.established();
    script.in_dialog(
        &invite,
        "REFER",
        41,
        "Refer-To: <sip:carol@10.0.0.3>\r\nReferred-By: <sip:bob@10.0.0.2>",
        None,
    );
    let refer = referred(&mut script);
    script.act(|node, now| node.accept_refer(now, refer, None).expect("accepts"));
    script.expect("SIP/2.0 202");
    let notify = script.expect("NOTIFY ");
    assert_eq!(header(&notify, "Event"), "refer;id=41");
    assert_eq!(header(&notify, "Subscription-State"), "active;expires=180");
    assert_eq!(&notify.body()[..], b"SIP/2.0 100 Trying\r\n");
    script.respond(&notify, 200, "", "", None);
    script.peer.expect_silence(179_999);
    script.peer.wait(1);
    let last = script.expect("NOTIFY ");
    assert_eq!(header(&last, "Subscription-State"), "terminated;reason=timeout");
    script.respond(&last, 200, "", "", None);
    let gone = script.act(|node, now| node.notify_refer(now, refer, 200, "OK", None));
    assert!(gone.is_err());
}

#[test]
fn a_refer_without_subscription_is_not_reported() {
    // RFC 4488.
    let mut script = Script::new();
    let (call, invite) = script.established();
    let more = "Refer-To: <sip:carol@10.0.0.3>\r\nRefer-Sub: false\r\nSupported: norefersub";
    script.in_dialog(&invite, "REFER", 1, more, None);
    let refer = referred(&mut script);
    script.act(|node, now| node.accept_refer(now, refer, None).expect("accepts"));
    assert_eq!(header(&script.expect("SIP/2.0 200"), "Refer-Sub"), "false");
    script.act(|node, now| {
        node.notify_refer(now, refer, 200, "OK", None)
            .expect("reports to nobody")
    });
    script.peer.expect_nothing();

    let wanted = Refer {
        subscribe: false,
        ..Refer::to(uri("sip:carol@10.0.0.3"))
    };
    script.act(|node, now| node.refer(now, call, wanted, None).expect("refers"));
    let sent = script.expect("REFER ");
    assert_eq!(header(&sent, "Refer-Sub"), "false");
    script.respond(&sent, 200, "", "Refer-Sub: false", None);
    assert_eq!(outcome(&mut script), "unknown");
    script.act(|node, now| node.hangup(now, call, Hangup::default(), None).expect("hangs up"));
    let bye = script.expect("BYE ");
    script.respond(&bye, 200, "", "", None);
    script.assert_clean();
}

#[test]
fn a_notify_that_overtakes_the_202_counts() {
    let mut script = Script::new();
    let (call, invite) = script.established();
    let wanted = Refer::to(uri("sip:carol@10.0.0.3"));
    script.act(|node, now| node.refer(now, call, wanted, None).expect("refers"));
    let refer = script.expect("REFER ");
    let id = refer.cseq().expect("CSeq").number;
    let more = format!("Event: refer;id={id}\r\nSubscription-State: active;expires=60");
    script.in_dialog(
        &invite,
        "NOTIFY",
        1,
        &more,
        Some((FRAGMENT, "SIP/2.0 100 Trying\r\n")),
    );
    script.expect("SIP/2.0 200");
    script.respond(&refer, 202, "", "Contact: <sip:bob@10.0.0.2>", None);
    let more = format!("Event: refer;id={id}\r\nSubscription-State: terminated;reason=noresource");
    script.in_dialog(
        &invite,
        "NOTIFY",
        2,
        &more,
        Some((FRAGMENT, "SIP/2.0 503 Service Unavailable\r\n")),
    );
    script.expect("SIP/2.0 200");
    assert_eq!(outcome(&mut script), "503 Service Unavailable");
    // The subscription is over: one more NOTIFY finds nothing.
    script.in_dialog(
        &invite,
        "NOTIFY",
        3,
        &more,
        Some((FRAGMENT, "SIP/2.0 200 OK\r\n")),
    );
    script.expect("SIP/2.0 481");
}

#[test]
fn a_refer_without_any_notify_ends_unknown() {
    let mut script = Script::new();
    let (call, _) = script.established();
    let wanted = Refer::to(uri("sip:carol@10.0.0.3"));
    script.act(|node, now| node.refer(now, call, wanted, None).expect("refers"));
    let refer = script.expect("REFER ");
    script.respond(&refer, 202, "", "Contact: <sip:bob@10.0.0.2>", None);
    script.peer.wait(31_999);
    assert!(!script.is_told(|event| matches!(event, Event::ReferEnded { .. })));
    script.peer.wait(1);
    assert_eq!(outcome(&mut script), "unknown");
}

#[test]
fn the_subscription_outlives_the_call() {
    // RFC 5057 §2: the referrer hangs up, and still hears how it went.
    let mut script = Script::new();
    let (call, invite) = script.established();
    let wanted = Refer::to(uri("sip:carol@10.0.0.3"));
    script.act(|node, now| node.refer(now, call, wanted, None).expect("refers"));
    let refer = script.expect("REFER ");
    script.respond(&refer, 202, "", "Contact: <sip:bob@10.0.0.2>", None);
    script.act(|node, now| node.hangup(now, call, Hangup::default(), None).expect("hangs up"));
    let bye = script.expect("BYE ");
    script.respond(&bye, 200, "", "", None);
    let more = "Event: refer\r\nSubscription-State: terminated;reason=noresource";
    script.in_dialog(&invite, "NOTIFY", 1, more, Some((FRAGMENT, "SIP/2.0 200 OK\r\n")));
    script.expect("SIP/2.0 200");
    assert_eq!(outcome(&mut script), "200 OK");
    script.assert_clean();
}

#[test]
fn a_refer_outside_any_call_has_a_dialog_of_its_own() {
    let mut script = Script::new();
    let more = "Refer-To: <sip:carol@10.0.0.3>\r\nContact: <sip:bob@10.0.0.2>";
    script.request("REFER", 1, more, None);
    let refer = referred(&mut script);
    script.act(|node, now| node.accept_refer(now, refer, None).expect("accepts"));
    let accepted = script.expect("SIP/2.0 202");
    let notify = script.expect("NOTIFY sip:bob@10.0.0.2 ");
    assert_eq!(notify.from_tag(), accepted.to_tag());
    script.respond(&notify, 200, "", "", None);
    script.act(|node, now| node.notify_refer(now, refer, 200, "OK", None).expect("reports"));
    let last = script.expect("NOTIFY ");
    assert_eq!(
        header(&last, "Subscription-State"),
        "terminated;reason=noresource"
    );
    script.respond(&last, 200, "", "", None);
    script.assert_clean();
}

const REFRESH: &str = "Contact: <sip:bob@10.0.0.2>\r\nEvent: refer;id=1\r\n";

#[test]
fn the_referrer_refreshes_and_ends_the_subscription() {
    // §2.4.4: with SUBSCRIBE, in the dialog of a call and in one of its own.
    for inside in [true, false] {
        let mut script = Script::new();
        let (call, dialog) = script.established();
        let more = "Refer-To: <sip:carol@10.0.0.3>\r\nContact: <sip:bob@10.0.0.2>";
        if inside {
            script.in_dialog(&dialog, "REFER", 1, more, None);
        } else {
            script.request("REFER", 1, more, None);
        }
        let refer = referred(&mut script);
        script.act(|node, now| {
            node.accept_refer(now, refer, None).expect("accepts");
            node.notify_refer(now, refer, 180, "Ringing", None)
                .expect("reports");
        });
        let dialog = script.expect("SIP/2.0 202");
        for _ in 0..2 {
            let notify = script.expect("NOTIFY ");
            script.respond(&notify, 200, "", "", None);
        }
        script.peer.wait(100_000);
        script.in_dialog(&dialog, "SUBSCRIBE", 2, &format!("{REFRESH}Expires: 120"), None);
        let ok = script.expect("SIP/2.0 200");
        assert_eq!(header(&ok, "Expires"), "120");
        assert_eq!(ok.to_tag(), dialog.to_tag());
        assert!(ok.has_header("Contact"));
        let notify = script.expect("NOTIFY ");
        assert_eq!(header(&notify, "Subscription-State"), "active;expires=120");
        assert_eq!(&notify.body()[..], b"SIP/2.0 180 Ringing\r\n");
        script.respond(&notify, 200, "", "", None);
        // Longer than ours it never lives.
        script.in_dialog(&dialog, "SUBSCRIBE", 3, &format!("{REFRESH}Expires: 9000"), None);
        assert_eq!(header(&script.expect("SIP/2.0 200"), "Expires"), "180");
        let notify = script.expect("NOTIFY ");
        script.respond(&notify, 200, "", "", None);
        script.in_dialog(&dialog, "SUBSCRIBE", 4, &format!("{REFRESH}Expires: 0"), None);
        script.expect("SIP/2.0 200");
        let last = script.expect("NOTIFY ");
        assert_eq!(header(&last, "Subscription-State"), "terminated;reason=timeout");
        script.respond(&last, 200, "", "", None);
        script.in_dialog(&dialog, "SUBSCRIBE", 5, REFRESH, None);
        // Its own dialog is gone with it.
        script.expect(if inside { "SIP/2.0 481" } else { "SIP/2.0 489" });
        script.act(|node, now| node.hangup(now, call, Hangup::default(), None).expect("hangs up"));
        let bye = script.expect("BYE ");
        script.respond(&bye, 200, "", "", None);
        script.assert_clean();
    }
}

#[test]
fn a_subscribe_out_of_order_or_to_another_refer_finds_nothing() {
    let mut script = Script::new();
    let (_, dialog) = script.established();
    script.in_dialog(&dialog, "REFER", 7, "Refer-To: <sip:carol@10.0.0.3>", None);
    let refer = referred(&mut script);
    script.act(|node, now| node.accept_refer(now, refer, None).expect("accepts"));
    script.expect("SIP/2.0 202");
    let notify = script.expect("NOTIFY ");
    script.respond(&notify, 200, "", "", None);
    script.in_dialog(&dialog, "SUBSCRIBE", 8, REFRESH, None);
    script.expect("SIP/2.0 481");
    script.in_dialog(&dialog, "SUBSCRIBE", 3, "Event: refer;id=7", None);
    script.expect("SIP/2.0 500");
    // Another package, and outside any dialog: as before.
    script.in_dialog(&dialog, "SUBSCRIBE", 9, "Event: presence", None);
    script.expect("SIP/2.0 489");
    script.request("SUBSCRIBE", 1, "Event: refer", None);
    script.expect("SIP/2.0 489");
}
