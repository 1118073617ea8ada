//! RFC 6665 §4.1 and RFC 3842: subscriptions, and message waiting.

use std::time::Duration;

use callwright_sip::Event;
use callwright_sip::command::Subscribe;
use callwright_sip::endpoint::SubscriptionId;
use callwright_sip::event::{MessageSummary, SubscriptionState};
use callwright_sip_message::Message;
use callwright_wire::Node;

use crate::parties::uri;
use crate::script::{Script, header};

const KIND: &str = "application/simple-message-summary";
const SUMMARY: &str =
    "Messages-Waiting: yes\r\nMessage-Account: sip:alice@10.0.0.2\r\nVoice-Message: 2/8 (0/2)\r\n";
const EVENT: &str = "Event: message-summary\r\nContact: <sip:mwi@10.0.0.2>\r\n";

fn subscribe(script: &mut Script) -> (SubscriptionId, Message) {
    let wanted = Subscribe::message_waiting(script.identity, uri("sip:alice@10.0.0.2"));
    let id = script.act(|node, now| node.subscribe(now, wanted, None).expect("subscribes"));
    (id, script.expect("SUBSCRIBE "))
}

fn state(script: &mut Script) -> SubscriptionState {
    script.told(|event| match event {
        Event::Subscription { state, .. } => Some(state.clone()),
        _ => None,
    })
}

fn notify(script: &mut Script, subscribe: &Message, cseq: u32, state: &str) {
    let more = format!("{EVENT}Subscription-State: {state}");
    script.in_dialog(subscribe, "NOTIFY", cseq, &more, Some((KIND, SUMMARY)));
    script.expect("SIP/2.0 200");
}

#[test]
fn message_waiting_is_told_and_refreshed() {
    let mut script = Script::new();
    let (id, first) = subscribe(&mut script);
    assert_eq!(
        (header(&first, "Event"), header(&first, "Expires")),
        ("message-summary".into(), "3600".into())
    );
    script.respond(
        &first,
        200,
        "bob",
        "Expires: 600\r\nContact: <sip:mwi@10.0.0.2>",
        None,
    );
    notify(&mut script, &first, 1, "active;expires=600");
    let summary = script.told(|event| match event {
        Event::MessageWaiting {
            subscription,
            summary,
            ..
        } if *subscription == Some(id) => Some(summary.clone()),
        _ => None,
    });
    let expected = MessageSummary {
        waiting: true,
        account: Some("sip:alice@10.0.0.2".to_owned()),
        new: Some(2),
        old: Some(8),
    };
    assert_eq!(summary, expected);
    assert_eq!(
        state(&mut script),
        SubscriptionState::Active {
            expires: Duration::from_secs(600)
        }
    );
    script.peer.expect_silence(539_999);
    script.peer.wait(1);
    let refresh = script.expect("SUBSCRIBE sip:mwi@10.0.0.2 ");
    assert_eq!(refresh.to_tag().as_deref(), Some("bob"));
    script.respond(&refresh, 200, "", "Expires: 600", None);
    notify(&mut script, &first, 2, "active;expires=600");
    script.act(|node, now| node.unsubscribe(now, id, None).expect("unsubscribes"));
    let last = script.expect("SUBSCRIBE ");
    assert_eq!(header(&last, "Expires"), "0");
    script.respond(&last, 200, "", "Expires: 0", None);
    notify(&mut script, &first, 3, "terminated;reason=timeout");
    let over = script.told(|event| match event {
        Event::Subscription {
            state: SubscriptionState::Terminated { retry, .. },
            ..
        } => Some(*retry),
        _ => None,
    });
    assert_eq!(over, None);
    script.assert_clean();
}

#[test]
fn a_notify_before_the_2xx_makes_the_dialog() {
    // §4.1.2.4.
    let mut script = Script::new();
    let (_, first) = subscribe(&mut script);
    notify(&mut script, &first, 1, "active;expires=600");
    script.respond(
        &first,
        200,
        "bob",
        "Expires: 600\r\nContact: <sip:mwi@10.0.0.2>",
        None,
    );
    notify(&mut script, &first, 2, "active;expires=590");
    assert_eq!(script.peer.node.residue().dialogs, 1);
}

#[test]
fn a_subscription_without_notify_ends_in_timer_n() {
    // §4.1.2.4: 64·T1.
    let mut script = Script::new();
    let (_, first) = subscribe(&mut script);
    script.respond(
        &first,
        200,
        "bob",
        "Expires: 600\r\nContact: <sip:mwi@10.0.0.2>",
        None,
    );
    script.peer.wait(31_999);
    assert!(!script.is_told(|event| matches!(event, Event::Subscription { .. })));
}

#[test]
fn a_refused_subscription_is_over() {
    let mut script = Script::new();
    let (_, first) = subscribe(&mut script);
    script.respond(&first, 489, "bob", "", None);
    let over = SubscriptionState::Terminated {
        reason: "489 Bad Event".to_owned(),
        retry: None,
    };
    assert_eq!(state(&mut script), over);
    script.assert_clean();
}

#[test]
fn a_subscription_that_the_notifier_ends_is_asked_for_again_as_it_says() {
    // §4.1.3.
    for (end, wait) in [
        ("terminated;reason=deactivated", Some(0)),
        ("terminated;reason=probation;retry-after=5", Some(5)),
        ("terminated;reason=giveup", Some(60)),
        ("terminated;reason=rejected", None),
        ("terminated;reason=noresource", None),
    ] {
        let mut script = Script::new();
        let (_, first) = subscribe(&mut script);
        script.respond(
            &first,
            200,
            "bob",
            "Expires: 600\r\nContact: <sip:mwi@10.0.0.2>",
            None,
        );
        notify(&mut script, &first, 1, end);
        let SubscriptionState::Terminated { retry, .. } = state(&mut script) else {
            panic!("not over")
        };
        assert_eq!(retry, wait.map(Duration::from_secs), "{end}");
        if let Some(wait) = wait {
            script.peer.wait(wait * 1_000);
            let again = script.expect("SUBSCRIBE ");
            assert_ne!(
                again.call_id().expect("Call-ID"),
                first.call_id().expect("Call-ID")
            );
        } else {
            script.assert_clean();
        }
    }
}

#[test]
fn message_waiting_comes_unasked() {
    let mut script = Script::new();
    let more = format!("{EVENT}Subscription-State: active");
    script.request("NOTIFY", 1, &more, Some((KIND, SUMMARY)));
    script.expect("SIP/2.0 200");
    let (subscription, identity) = script.told(|event| match event {
        Event::MessageWaiting {
            subscription,
            identity,
            ..
        } => Some((*subscription, *identity)),
        _ => None,
    });
    assert_eq!((subscription, identity), (None, Some(script.identity)));
}

#[test]
fn a_notify_of_an_unknown_package_meets_489() {
    let mut script = Script::new();
    script.request("NOTIFY", 1, "Event: presence\r\nSubscription-State: active", None);
    script.expect("SIP/2.0 489");
}

#[test]
fn a_notify_that_cannot_be_read_is_answered() {
    // §7.3.1 of RFC 3261: it has tags, so it belongs here, but its From ends in a quote.
    let mut script = Script::new();
    let (_, subscribe) = subscribe(&mut script);
    let notify = format!(
        "NOTIFY sip:alice@10.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.2:5060;branch=z9hG4bKn\r\n\
         From: \"Bob <sip:bob@10.0.0.2>;tag=bob\r\nTo: <sip:a@b>;tag={}\r\nCall-ID: {}\r\nCSeq: 1 NOTIFY\r\n\
         Event: message-summary\r\nSubscription-State: active\r\nContent-Length: 0\r\n\r\n",
        subscribe.from_tag().expect("a tag"),
        subscribe.call_id().expect("a Call-ID"),
    );
    script.peer.send(notify);
    script.expect("SIP/2.0 400");
}

#[test]
fn a_notifier_that_ends_each_subscription_at_once_is_not_asked_at_once_each_time() {
    let mut script = Script::new();
    let (_, mut first) = subscribe(&mut script);
    let mut ended = |script: &mut Script, after: u64| {
        script.respond(
            &first,
            200,
            "bob",
            "Expires: 600\r\nContact: <sip:mwi@10.0.0.2>",
            None,
        );
        notify(script, &first, 1, "terminated;reason=deactivated");
        let SubscriptionState::Terminated { retry, .. } = state(script) else {
            panic!("not over")
        };
        assert_eq!(retry, Some(Duration::from_secs(after)));
        script.peer.wait(after * 1_000);
        first = script.expect("SUBSCRIBE ");
    };
    ended(&mut script, 0);
    ended(&mut script, 60);
    ended(&mut script, 60);
}

#[test]
fn a_subscription_that_is_too_brief_is_asked_for_with_what_the_notifier_wants() {
    // §4.1.2.2, as a REGISTER is (RFC 3261 §10.2.8).
    let mut script = Script::new();
    let (_, mut first) = subscribe(&mut script);
    for min in [4_000, 5_000, 6_000] {
        script.respond(&first, 423, "bob", &format!("Min-Expires: {min}"), None);
        first = script.expect("SUBSCRIBE ");
        assert_eq!(header(&first, "Expires"), min.to_string());
    }
    // Not for ever.
    script.respond(&first, 423, "bob", "Min-Expires: 7000", None);
    script.peer.expect_nothing();
    let SubscriptionState::Terminated { retry: None, .. } = state(&mut script) else {
        panic!("not over")
    };
    script.assert_clean();
}
