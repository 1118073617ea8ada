//! Message waiting: a subscription made by itself, and what it tells (RFC 3842).

mod support;

use std::time::Duration;

use callwright_ua::MessagesWaiting;
use support::Lab;

fn notify(subscribe: &support::script::Received, cseq: u32, state: &str, summary: &str) -> String {
    let state = format!("Subscription-State: {state}");
    let text = subscribe.request_back("NOTIFY", cseq, "n", &["Event: message-summary", &state], summary);
    text.replace("application/sdp", "application/simple-message-summary")
}

#[test]
fn a_registered_user_agent_subscribes_and_learns_what_waits() {
    let mut lab = Lab::new();
    let server = lab.domain();
    let a = lab.phone_with("alice", |account| account.message_waiting = true);
    lab.fleet(a, |fleet, now, id| fleet.register(now, id, None))
        .unwrap();
    let register = lab.expect(server, "REGISTER");
    lab.say(
        server,
        register.from,
        register.reply("200 OK", "r", &["Expires: 600"], ""),
    );
    let subscribe = lab.expect(server, "SUBSCRIBE");
    assert_eq!(subscribe.header("Event"), Some("message-summary"));
    let fields = ["Expires: 600", "Contact: <sip:10.0.0.250>"];
    lab.say(
        server,
        subscribe.from,
        subscribe.reply("200 OK", "n", &fields, ""),
    );
    assert_eq!(lab.user_agent(a).messages_waiting(), None);
    let summary = "Messages-Waiting: yes\r\nVoice-Message: 2/8\r\n";
    lab.say(
        server,
        subscribe.from,
        notify(&subscribe, 1, "active;expires=600", summary),
    );
    lab.expect(server, "SIP/2.0 200");
    let waiting = MessagesWaiting {
        waiting: true,
        new: Some(2),
        old: Some(8),
    };
    assert_eq!(lab.user_agent(a).messages_waiting(), Some(waiting));
    let summary = "Messages-Waiting: no\r\n";
    lab.say(
        server,
        subscribe.from,
        notify(&subscribe, 2, "active;expires=590", summary),
    );
    lab.expect(server, "SIP/2.0 200");
    let none = MessagesWaiting {
        waiting: false,
        new: None,
        old: None,
    };
    assert_eq!(lab.user_agent(a).messages_waiting(), Some(none));
}

#[test]
fn closing_ends_the_subscription_and_the_registration() {
    let mut lab = Lab::new();
    let server = lab.domain();
    let a = lab.phone_with("alice", |account| account.message_waiting = true);
    lab.fleet(a, |fleet, now, id| fleet.register(now, id, None))
        .unwrap();
    let register = lab.expect(server, "REGISTER");
    lab.say(
        server,
        register.from,
        register.reply("200 OK", "r", &["Expires: 600"], ""),
    );
    let subscribe = lab.expect(server, "SUBSCRIBE");
    let fields = ["Expires: 600", "Contact: <sip:10.0.0.250>"];
    lab.say(
        server,
        subscribe.from,
        subscribe.reply("200 OK", "n", &fields, ""),
    );
    lab.say(
        server,
        subscribe.from,
        notify(&subscribe, 1, "active;expires=600", "Messages-Waiting: no\r\n"),
    );
    lab.expect(server, "SIP/2.0 200");
    lab.fleet(a, |fleet, now, id| fleet.close(now, id, None));
    let last = lab.expect(server, "SUBSCRIBE");
    assert_eq!(last.header("Expires"), Some("0"));
    lab.say(server, last.from, last.reply("200 OK", "n", &["Expires: 0"], ""));
    assert!(!lab.user_agent(a).is_closed());
    let register = lab.expect(server, "REGISTER");
    assert_eq!(register.header("Expires"), Some("0"));
    lab.say(server, register.from, register.reply("200 OK", "r", &[], ""));
    lab.pass(Duration::from_millis(10));
    assert!(lab.user_agent(a).is_closed());
}

#[test]
fn a_server_without_message_waiting_leaves_the_registration_as_it_is() {
    let mut lab = Lab::new();
    let server = lab.domain();
    let a = lab.phone_with("alice", |account| account.message_waiting = true);
    lab.fleet(a, |fleet, now, id| fleet.register(now, id, None))
        .unwrap();
    let register = lab.expect(server, "REGISTER");
    lab.say(
        server,
        register.from,
        register.reply("200 OK", "r", &["Expires: 600"], ""),
    );
    let subscribe = lab.expect(server, "SUBSCRIBE");
    lab.say(
        server,
        subscribe.from,
        subscribe.reply("489 Bad Event", "n", &[], ""),
    );
    lab.pass(Duration::from_secs(2));
    assert!(lab.user_agent(a).registration().registered);
    assert_eq!(lab.user_agent(a).messages_waiting(), None);
}
