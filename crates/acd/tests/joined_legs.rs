//! Each INVITE to a callee names the leg that it rings for, so that captures and logs of both sides can be joined.

mod support;

use std::time::Duration;

use callwright_acd::{AnswerWith, Overflow};
use callwright_sip_message::Message;
use callwright_ua::{Direction, Phase};
use support::script::{Request, sdp};
use support::{Lab, Phone, SERVER};

const HEADER: &str = "X-Callwright-Call";

/// What the INVITE that a phone received last says of the leg that it rings for, and the Call-ID of its own.
fn named(lab: &Lab, phone: Phone) -> (Vec<String>, String) {
    let invite = lab.last_received(phone, "INVITE");
    let values = invite.headers(HEADER).map(|value| value.into_owned());
    let own = invite.call_id().expect("a Call-ID");
    (values.collect(), own.as_str().to_owned())
}

/// The Call-ID of the INVITE that a phone sent last.
fn sent(lab: &Lab, phone: Phone) -> String {
    let trace = lab.user_agent(phone).trace();
    let mut invites = trace
        .messages()
        .filter(|message| message.direction == Direction::Sent && message.bytes.starts_with(b"INVITE"));
    let invite = Message::from_raw(invites.next_back().expect("it called").bytes.clone());
    invite.call_id().expect("a Call-ID").as_str().to_owned()
}

#[test]
fn a_callee_is_told_the_call_id_of_the_caller() {
    let mut lab = Lab::new();
    let (alice, bob) = (lab.phone("alice"), lab.registered("bob"));
    lab.establish(alice, bob);
    let (names, own) = named(&lab, bob);
    assert_eq!(names, [sent(&lab, alice)]);
    assert_ne!(names[0], own);
}

#[test]
fn agents_are_told_whose_call_is_presented_however_its_caller_is_answered() {
    for answer in [AnswerWith::Music, AnswerWith::Agent] {
        let mut lab = Lab::with_queue(|_, queue| queue.answer = answer);
        let alice = lab.registered("alice");
        let customer = lab.customer();
        lab.refuse(alice, 486);
        assert_eq!(named(&lab, alice).0, [sent(&lab, customer)]);
        // The same call, once more.
        lab.take(alice);
        assert_eq!(named(&lab, alice).0, [sent(&lab, customer)]);
    }
}

#[test]
fn what_an_invite_from_outside_says_of_legs_is_not_passed_on() {
    let mut lab = Lab::new();
    let alice = lab.phone_with("alice", |account| {
        let forged = |name: &str| (name.into(), "of-somebody-else".to_owned());
        account.headers = vec![forged(HEADER), forged("x-callwright-call"), forged("X-Ticket")];
    });
    let bob = lab.registered("bob");
    lab.establish(alice, bob);
    assert_eq!(named(&lab, bob).0, [sent(&lab, alice)]);
    let invite = lab.last_received(bob, "INVITE");
    assert_eq!(invite.header("X-Ticket").as_deref(), Some("of-somebody-else"));
}

#[test]
fn whoever_is_transferred_is_the_one_that_is_named() {
    for by_callee in [true, false] {
        let mut lab = Lab::new();
        let (alice, bob) = (lab.registered("alice"), lab.registered("bob"));
        let carol = lab.registered("carol");
        lab.establish(alice, bob);
        let (by, stays) = if by_callee {
            (bob, sent(&lab, alice))
        } else {
            (alice, named(&lab, bob).1)
        };
        lab.fleet(by, |fleet, now, id| fleet.transfer(now, id, None, "carol", None))
            .expect("there is a call");
        lab.until(|lab| lab.phase(carol) == Some(Phase::Ringing));
        assert_eq!(named(&lab, carol).0, [stays], "by the callee: {by_callee}");
    }
}

#[test]
fn somebody_outside_to_whom_a_queue_overflows_is_told_too() {
    let mut lab = Lab::with_queue(|_, queue| {
        queue.max_length = Some(0);
        let desk = "sip:desk@10.0.0.77".parse().expect("an address");
        queue.overflow = Some(Overflow::Uri(desk));
    });
    let desk = lab.script("10.0.0.77:5060");
    let customer = lab.customer();
    let invite = lab.expect(desk, "INVITE");
    let names: Vec<&str> = invite.headers(HEADER).collect();
    assert_eq!(names, [sent(&lab, customer)]);
}

#[test]
fn a_call_id_of_any_form_is_named_as_it_is() {
    let mut lab = Lab::new();
    let bob = lab.registered("bob");
    let caller = lab.script("10.0.0.66:5060");
    let uri = format!("sip:bob@{SERVER}");
    let from = format!("sip:alice@{SERVER}");
    let request = Request {
        method: "INVITE",
        uri: &uri,
        from: (&from, "a"),
        to: (&uri, ""),
        call_id: "odd",
        cseq: 1,
    };
    let contact = "Contact: <sip:alice@10.0.0.66>";
    let invite = request.write(caller, &[contact], &sdp(1, "10.0.0.66", 4_000, ""));
    lab.say(caller, invite.replace("Call-ID: odd", "Call-ID: <a\"b>:{c}@[d]"));
    lab.until(|lab| lab.phase(bob) == Some(Phase::Ringing));
    lab.pass(Duration::from_millis(10));
    assert_eq!(named(&lab, bob).0, ["<a\"b>:{c}@[d]"]);
}
