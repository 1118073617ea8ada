//! §2.18: a computer asks a telephone to call, by a REFER outside any call.

use callwright_sip::Event;
use callwright_sip::command::{Invite, Progress};
use callwright_sip_message::Message;

use crate::parties::{ALICE, BOB, LATENCY, World, sdp};
use crate::script::header;
use crate::strangers::Stranger;

/// A NOTIFY reached the computer.
fn reported(world: &mut World, computer: Stranger, state: &str, fragment: &'static str) -> Message {
    let notify = computer.takes(world, "NOTIFY sip:computer@10.0.0.20 ");
    assert!(header(&notify, "Event").starts_with("refer"));
    assert_eq!(header(&notify, "Subscription-State"), state);
    assert_eq!(header(&notify, "Content-Type"), "message/sipfrag;version=2.0");
    assert_eq!(notify.body(), sdp(fragment));
    computer.answers(world, &notify, 200, "", None);
    notify
}

#[test]
fn a_telephone_calls_whom_a_computer_names() {
    let mut world = World::of(["alice", "bob"]);
    let computer = world.stranger("computer", "10.0.0.20:5060");
    let more = format!(
        "{}Refer-To: <sip:bob@10.0.0.2>\r\nReferred-By: <sip:computer@10.0.0.20>\r\n",
        computer.contact()
    );
    computer.asks(&mut world, "REFER", ALICE, &more, None);
    world.run(LATENCY);
    let (refer, target, referred_by) = world.expect(ALICE, |event| match event {
        Event::Referred(referred) => {
            assert_eq!((referred.call, referred.replaces.clone()), (None, None));
            assert!(referred.subscribe);
            Some((
                referred.refer,
                referred.target.clone(),
                referred.referred_by.clone(),
            ))
        }
        _ => None,
    });
    assert_eq!(target, world.uri_of(BOB));
    world.act(ALICE, |node, now| {
        node.accept_refer(now, refer, None).expect("accepts")
    });
    let accepted = computer.takes(&mut world, "SIP/2.0 202");
    assert!(accepted.contact().is_some());
    let first = reported(
        &mut world,
        computer,
        "active;expires=180",
        "SIP/2.0 100 Trying\r\n",
    );
    assert_eq!(first.call_id(), accepted.call_id());
    assert_eq!(
        (first.from_tag(), first.to_tag()),
        (accepted.to_tag(), accepted.from_tag())
    );

    let invite = Invite {
        target,
        referred_by,
        ..world.invitation(ALICE, BOB)
    };
    let alice = world.place(ALICE, invite);
    world.run(LATENCY);
    let bob = world.incoming(BOB);
    assert_eq!(header(&bob.message, "Referred-By"), "<sip:computer@10.0.0.20>");
    assert_ne!(bob.message.call_id(), accepted.call_id());
    world.act(BOB, |node, now| {
        node.progress(now, bob.call, Progress::new(180), None)
            .expect("rings")
    });
    world.run(LATENCY);
    world.answer(BOB, bob.call);
    world.run(LATENCY);
    world.act(ALICE, |node, now| {
        node.notify_refer(now, refer, 200, "OK", None).expect("reports")
    });
    let last = reported(
        &mut world,
        computer,
        "terminated;reason=noresource",
        "SIP/2.0 200 OK\r\n",
    );
    assert_eq!(
        last.cseq().expect("CSeq").number,
        first.cseq().expect("CSeq").number + 1
    );
    world.hangup(ALICE, alice);
    world.run(2 * LATENCY);
    assert_eq!(
        world.flow(),
        [
            "computer REFER alice",
            "alice 202 computer",
            "alice NOTIFY computer",
            "computer 200 alice",
            "alice INVITE bob",
            "bob 180 alice",
            "bob 200 alice",
            "alice ACK bob",
            "alice NOTIFY computer",
            "computer 200 alice",
            "alice BYE bob",
            "bob 200 alice",
        ]
    );
    world.assert_clean();
}

#[test]
fn a_telephone_reports_a_call_that_fails() {
    let mut world = World::of(["alice"]);
    let computer = world.stranger("computer", "10.0.0.20:5060");
    let more = format!("{}Refer-To: <sip:bob@10.0.0.2>\r\n", computer.contact());
    computer.asks(&mut world, "REFER", ALICE, &more, None);
    world.run(LATENCY);
    let refer = world.expect(ALICE, |event| match event {
        Event::Referred(referred) => Some(referred.refer),
        _ => None,
    });
    world.act(ALICE, |node, now| {
        node.accept_refer(now, refer, None).expect("accepts");
        node.notify_refer(now, refer, 486, "Busy Here", None)
            .expect("reports");
    });
    computer.takes(&mut world, "SIP/2.0 202");
    reported(
        &mut world,
        computer,
        "active;expires=180",
        "SIP/2.0 100 Trying\r\n",
    );
    reported(
        &mut world,
        computer,
        "terminated;reason=noresource",
        "SIP/2.0 486 Busy Here\r\n",
    );
    world.assert_clean();
}
