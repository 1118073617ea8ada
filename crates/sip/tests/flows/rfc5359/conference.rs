//! §2.10 and §2.11: Bob's telephone is the focus of three; Alice and Carol see it in his Contact (RFC 4579).

use callwright_sip::Event;
use callwright_sip::command::{Answer, Invite};
use callwright_sip::endpoint::CallId;
use callwright_sip_message::{HeaderName, Message};

use super::{DIALOG_INFO, dialog_info, dialog_of_caller, monitor, notify, read_dialog_info};
use crate::parties::{ALICE, ANSWER, BOB, CAROL, LATENCY, OFFER, World, sdp, uri};
use crate::script::{Script, header};

const FOCUS: &str = "<sip:conference@10.0.0.2>;isfocus";

fn focus() -> Vec<(HeaderName, String)> {
    vec![(HeaderName::Contact, FOCUS.to_owned())]
}

/// Bob tells Alice that he is a focus now; the INVITE as she got it.
fn becomes_focus(world: &mut World, bob: CallId, alice: CallId) -> Message {
    world.act(BOB, |node, now| {
        node.offer(now, bob, Some(sdp(OFFER)), focus(), None)
            .expect("offers")
    });
    world.run(LATENCY);
    let invite = world.expect(ALICE, |event| match event {
        Event::Offer { message, .. } => Some(message.clone()),
        _ => None,
    });
    world.act(ALICE, |node, now| {
        node.answer_offer(now, alice, sdp(ANSWER), None).expect("answers")
    });
    world.run(2 * LATENCY);
    invite
}

/// One after the other leaves; each BYE goes to the conference.
fn leave(world: &mut World, parties: [(usize, CallId); 2]) {
    for (party, call) in parties {
        world.hangup(party, call);
        world.run(LATENCY);
        let bye = world.received(BOB, "BYE sip:conference@10.0.0.2 ");
        assert_eq!(bye.from().expect("From").uri, world.uri_of(party));
        world.run(LATENCY);
        assert_eq!(world.ended(party, call), "local bye");
    }
}

#[test]
fn a_third_party_is_added() {
    // §2.10.
    let mut world = World::of(["alice", "bob", "carol"]);
    let (alice, bob) = world.established();
    let invite = Invite {
        headers: focus(),
        ..world.invitation(BOB, CAROL)
    };
    let added = world.place(BOB, invite);
    world.run(LATENCY);
    let carol = world.incoming(CAROL);
    assert_eq!(header(&carol.message, "Contact"), FOCUS);
    world.answer(CAROL, carol.call);
    world.run(2 * LATENCY);
    let told = becomes_focus(&mut world, bob, alice);
    assert_eq!(header(&told, "Contact"), FOCUS);
    assert!(told.contact().expect("Contact").params.contains("isfocus"));
    leave(&mut world, [(ALICE, alice), (CAROL, carol.call)]);
    assert_eq!(world.ended(BOB, bob), "remote bye");
    assert_eq!(world.ended(BOB, added), "remote bye");
    assert_eq!(
        world.flow(),
        [
            "bob INVITE carol",
            "carol 200 bob",
            "bob ACK carol",
            "bob INVITE alice",
            "alice 200 bob",
            "bob ACK alice",
            "alice BYE bob",
            "bob 200 alice",
            "carol BYE bob",
            "bob 200 carol",
        ]
    );
    world.assert_clean();
}

#[test]
fn a_third_party_joins() {
    // §2.11: Carol names the dialog of Alice and Bob, and Bob takes her in. Bob's dialogs are known to her.
    let mut world = World::of(["alice", "bob", "carol"]);
    let (alice, bob) = world.connected(ALICE, BOB);
    let mut joined = dialog_of_caller(&world.received(ALICE, "SIP/2.0 200"), false);
    // As Bob, who was called, has the tags.
    std::mem::swap(&mut joined.to_tag, &mut joined.from_tag);
    world.forget();
    let invite = Invite {
        headers: vec![(HeaderName::from("Join"), joined.to_string())],
        ..world.invitation(CAROL, BOB)
    };
    let carol = world.place(CAROL, invite);
    world.run(LATENCY);
    let joining = world.incoming(BOB);
    assert_eq!(header(&joining.message, "Join"), joined.to_string());
    assert_eq!(joining.replaces, None);
    let answer = Answer {
        description: Some(sdp(ANSWER)),
        headers: focus(),
        ..Answer::default()
    };
    world.act(BOB, |node, now| {
        node.answer(now, joining.call, answer, None).expect("answers")
    });
    world.run(2 * LATENCY);
    assert_eq!(header(&world.received(CAROL, "SIP/2.0 200"), "Contact"), FOCUS);
    let told = becomes_focus(&mut world, bob, alice);
    assert_eq!(header(&told, "Contact"), FOCUS);
    leave(&mut world, [(CAROL, carol), (ALICE, alice)]);
    assert_eq!(
        world.flow(),
        [
            "carol INVITE bob",
            "bob 200 carol",
            "carol ACK bob",
            "bob INVITE alice",
            "alice 200 bob",
            "bob ACK alice",
            "carol BYE bob",
            "bob 200 carol",
            "alice BYE bob",
            "bob 200 alice",
        ]
    );
    world.assert_clean();
}

#[test]
fn a_third_party_learns_which_dialog_to_join() {
    // §2.11 from Carol's side: SUBSCRIBE, NOTIFY, and an INVITE that names what it said.
    const ALONE: usize = 0;
    let mut world = World::with([("carol", monitor())]);
    let bob = world.stranger("bob", "10.0.0.2:5060");
    let known = callwright_sip::command::Replaces {
        call_id: "of-alice".to_owned(),
        to_tag: "alice".to_owned(),
        from_tag: "bob".to_owned(),
        early_only: false,
    };
    let wanted = callwright_sip::command::Subscribe {
        identity: world.parties[ALONE].identity,
        target: bob.uri(),
        event: "dialog".to_owned(),
        accept: DIALOG_INFO.to_owned(),
        expires: std::time::Duration::from_secs(60),
        headers: vec![],
    };
    world.act(ALONE, |node, now| {
        node.subscribe(now, wanted, None).expect("subscribes")
    });
    let subscribe = bob.takes(&mut world, "SUBSCRIBE sip:bob@10.0.0.2 ");
    assert_eq!(header(&subscribe, "Event"), "dialog");
    bob.answers(
        &mut world,
        &subscribe,
        200,
        &format!("{}Expires: 60", bob.contact()),
        None,
    );
    notify(
        &mut world,
        bob,
        &subscribe,
        1,
        "active;expires=60",
        &dialog_info(&known, "confirmed"),
    );
    let told = world.expect(ALONE, |event| match event {
        Event::Notify { message, .. } => Some(message.clone()),
        _ => None,
    });
    let mut join = read_dialog_info(&told, false);
    std::mem::swap(&mut join.to_tag, &mut join.from_tag);
    let invite = Invite {
        offer: Some(sdp(OFFER)),
        headers: vec![
            (HeaderName::from("Join"), join.to_string()),
            (HeaderName::Require, "join".to_owned()),
        ],
        ..Invite::new(world.parties[ALONE].identity, uri("sip:bob@10.0.0.2"))
    };
    world.place(ALONE, invite);
    let invite = bob.takes(&mut world, "INVITE ");
    assert_eq!(header(&invite, "Join"), "of-alice;to-tag=bob;from-tag=alice");
    assert_eq!(header(&invite, "Require"), "join");
}

#[test]
fn a_join_that_must_be_understood_meets_420() {
    // RFC 3911 is not among what may be required of an endpoint: the layer above knows which calls it can mix.
    let mut script = Script::new();
    let more = "Contact: <sip:bob@10.0.0.2>\r\nRequire: join\r\nJoin: a;to-tag=b;from-tag=c";
    script.request("INVITE", 1, more, Some(("application/sdp", OFFER)));
    let refused = script.expect("SIP/2.0 420");
    assert_eq!(header(&refused, "Unsupported"), "join");
}
