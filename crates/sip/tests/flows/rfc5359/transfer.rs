//! §2.4 to §2.6: transfer.

use callwright_sip::Event;
use callwright_sip::command::{Addressing, Body, Invite, OutsideRequest, Progress, Refer};
use callwright_sip::event::{ReferOutcome, Referred};
use callwright_sip_message::header::Replaces;
use callwright_sip_message::{Method, Uri};

use super::dialog_of_caller;
use crate::parties::{ALICE, BOB, CAROL, LATENCY, OFFER, World, sdp};
use crate::script::header;

/// Alice takes a REFER of Bob's, calls Carol, and reports until she is answered.
fn carry_out(world: &mut World, referred: &Referred) {
    let refer = referred.refer;
    world.act(ALICE, |node, now| {
        node.accept_refer(now, refer, None).expect("accepts")
    });
    let invite = Invite {
        target: referred.target.clone(),
        replaces: referred.replaces.clone(),
        referred_by: referred.referred_by.clone(),
        ..world.invitation(ALICE, CAROL)
    };
    world.place(ALICE, invite);
    world.run(LATENCY);
    let carol = world.incoming(CAROL);
    assert_eq!(carol.replaces.is_some(), referred.replaces.is_some());
    assert!(carol.message.has_header("Referred-By"));
    world.act(CAROL, |node, now| {
        node.progress(now, carol.call, Progress::new(180), None)
            .expect("rings")
    });
    world.run(LATENCY);
    world.act(ALICE, |node, now| {
        node.notify_refer(now, refer, 180, "Ringing", None)
            .expect("reports")
    });
    world.answer(CAROL, carol.call);
    world.run(LATENCY);
    world.act(ALICE, |node, now| {
        node.notify_refer(now, refer, 200, "OK", None).expect("reports")
    });
    world.run(3 * LATENCY);
}

#[test]
fn a_blind_transfer() {
    // §2.4: Bob transfers Alice to Carol.
    let mut world = World::of(["alice", "bob", "carol"]);
    let (alice, bob) = world.established();
    let to = world.uri_of(CAROL);
    world.act(BOB, |node, now| {
        node.refer(now, bob, Refer::to(to.clone()), None).expect("refers")
    });
    world.run(LATENCY);
    let referred = world.expect(ALICE, |event| match event {
        Event::Referred(referred) => Some((
            referred.refer,
            referred.target.clone(),
            referred.referred_by.clone(),
        )),
        _ => None,
    });
    assert_eq!(referred.1, to);
    assert_eq!(referred.2.as_deref(), Some("<sip:bob@10.0.0.2>"));
    let message = world.received(ALICE, "REFER");
    let referred = Referred {
        refer: referred.0,
        call: Some(alice),
        identity: None,
        target: referred.1,
        replaces: None,
        referred_by: referred.2,
        subscribe: true,
        message,
    };
    carry_out(&mut world, &referred);
    let mut statuses = Vec::new();
    let outcome = loop {
        let event = world.parties[BOB].events.pop_front().expect("the transfer ends");
        match event {
            Event::ReferProgress { status, .. } => statuses.push(status),
            Event::ReferEnded {
                outcome: ReferOutcome::Final { status, .. },
                ..
            } => break status,
            _ => {}
        }
    };
    assert_eq!((statuses, outcome), (vec![202, 100, 180, 200], 200));
    world.hangup(BOB, bob);
    world.run(2 * LATENCY);
    assert_eq!(world.ended(ALICE, alice), "remote bye");
    assert_eq!(
        world.flow(),
        [
            "bob REFER alice",
            "alice 202 bob",
            "alice NOTIFY bob",
            "alice INVITE carol",
            "bob 200 alice",
            "carol 180 alice",
            "alice NOTIFY bob",
            "carol 200 alice",
            "bob 200 alice",
            "alice ACK carol",
            "alice NOTIFY bob",
            "bob 200 alice",
            "bob BYE alice",
            "alice 200 bob"
        ]
    );
}

#[test]
fn an_attended_transfer() {
    // §2.5: Bob holds Alice, consults Carol, then joins the two.
    let mut world = World::of(["alice", "bob", "carol"]);
    let (alice, bob) = world.established();
    world.act(BOB, |node, now| {
        node.offer(now, bob, Some(sdp(OFFER)), vec![], None)
            .expect("holds")
    });
    world.run(LATENCY);
    world.act(ALICE, |node, now| {
        node.answer_offer(now, alice, sdp(OFFER), None).expect("answers")
    });
    world.run(2 * LATENCY);
    let (consultation, carol) = world.connected(BOB, CAROL);
    let consulted = world.received(BOB, "SIP/2.0 200");
    world.forget();
    let refer = Refer {
        replaces: Some(consultation),
        ..Refer::to(world.uri_of(CAROL))
    };
    world.act(BOB, |node, now| {
        node.refer(now, bob, refer, None).expect("refers")
    });
    world.run(LATENCY);
    let event = world.parties[ALICE].events.pop_front().expect("the REFER");
    let Event::Referred(referred) = event else {
        panic!("{event:?}")
    };
    // The tags are in the order in which Carol, who was called by Bob, has them.
    let replaces = referred.replaces.as_ref().expect("Replaces");
    assert_eq!(Some(replaces.to_tag.as_str()), consulted.to_tag().as_deref());
    assert_eq!(Some(replaces.from_tag.as_str()), consulted.from_tag().as_deref());
    carry_out(&mut world, &referred);
    let invite = world.received(CAROL, "INVITE");
    let written: Replaces = invite.typed().expect("Replaces").expect("some");
    assert_eq!(written.call_id, consulted.call_id().expect("Call-ID").to_string());
    assert_eq!(header(&invite, "Referred-By"), "<sip:bob@10.0.0.2>");
    // Carol's new call took the place of the consultation.
    assert_eq!(world.ended(CAROL, carol), "replaced");
    assert_eq!(world.ended(BOB, consultation), "remote bye");
    world.hangup(BOB, bob);
    world.run(2 * LATENCY);
    assert_eq!(world.ended(ALICE, alice), "remote bye");
    let last = world.received(BOB, "NOTIFY");
    assert_eq!(
        header(&last, "Subscription-State"),
        "terminated;reason=noresource"
    );
    assert_eq!(last.body(), sdp("SIP/2.0 200 OK\r\n"));
    assert_eq!(
        world.flow(),
        [
            "bob REFER alice",
            "alice 202 bob",
            "alice NOTIFY bob",
            "alice INVITE carol",
            "bob 200 alice",
            "carol 180 alice",
            "alice NOTIFY bob",
            "carol 200 alice",
            "carol BYE bob",
            "bob 200 alice",
            "alice ACK carol",
            "bob 200 carol",
            "alice NOTIFY bob",
            "bob 200 alice",
            "bob BYE alice",
            "alice 200 bob",
        ]
    );
}

#[test]
fn a_call_is_handed_over_by_an_instant_message() {
    // §2.6: Bob sends Carol the URI by which she can take his call with Alice.
    let mut world = World::of(["alice", "bob", "carol"]);
    let (alice, bob) = world.connected(ALICE, BOB);
    let replaces = dialog_of_caller(&world.received(ALICE, "SIP/2.0 200"), false);
    world.forget();
    let taking = world.uri_of(ALICE).with_header("Replaces", &replaces.to_string());
    let message = OutsideRequest {
        addressing: Addressing::default(),
        identity: world.parties[BOB].identity,
        method: Method::Message,
        target: world.uri_of(CAROL),
        body: Some(Body::new("text/plain", taking.to_string())),
        headers: vec![],
    };
    world.act(BOB, |node, now| {
        node.send_request(now, message, None).expect("writes")
    });
    world.run(2 * LATENCY);
    let status = world.expect(BOB, |event| match event {
        Event::Response { message, .. } => message.status(),
        _ => None,
    });
    assert_eq!(status, 200);
    let text = world.expect(CAROL, |event| match event {
        Event::Request { message, .. } => Some(message.body()),
        _ => None,
    });
    let taking: Uri = std::str::from_utf8(&text).expect("text").parse().expect("a URI");
    let (_, value) = taking.header_pairs().next().expect("a header parameter");
    let written: Replaces = value.parse().expect("Replaces");
    assert_eq!(written.to_string(), replaces.to_string());

    let invite = Invite {
        target: taking.clone().without_headers(),
        replaces: Some(replaces),
        ..world.invitation(CAROL, ALICE)
    };
    world.place(CAROL, invite);
    world.run(LATENCY);
    let taken = world.incoming(ALICE);
    assert_eq!(taken.replaces, Some(alice));
    world.answer(ALICE, taken.call);
    world.run(2 * LATENCY);
    assert_eq!(world.ended(ALICE, alice), "replaced");
    assert_eq!(world.ended(BOB, bob), "remote bye");
    assert_eq!(
        world.flow(),
        [
            "bob MESSAGE carol",
            "carol 200 bob",
            "carol INVITE alice",
            "alice 200 carol",
            "alice BYE bob",
            "carol ACK alice",
            "bob 200 alice",
        ]
    );
    world.hangup(ALICE, taken.call);
    world.assert_clean();
}
