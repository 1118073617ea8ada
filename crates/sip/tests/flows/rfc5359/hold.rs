//! §2.1 to §2.3: hold.

use callwright_sip::Event;
use callwright_sip::command::{Answer, Hangup, Invite};
use callwright_sip::endpoint::CallId;
use callwright_sip::event::Description;

use super::dialog_of_caller;
use crate::parties::{ALICE, ANSWER, BOB, CAROL, LATENCY, OFFER, World, sdp};
use crate::script::header;

const HOLD: &str = "v=0\r\no=- 2 2 IN IP4 10.0.0.2\r\ns=-\r\na=sendonly\r\n";

#[test]
fn hold_and_resume() {
    // §2.1.
    let mut world = World::of(["alice", "bob"]);
    let (alice, bob) = world.established();
    for offer in [HOLD, OFFER] {
        world.act(BOB, |node, now| {
            node.offer(now, bob, Some(sdp(offer)), vec![], None)
                .expect("offers")
        });
        world.run(LATENCY);
        let offered = world.expect(ALICE, |event| match event {
            Event::Offer { offer, .. } => offer.clone(),
            _ => None,
        });
        assert_eq!(offered, sdp(offer));
        world.act(ALICE, |node, now| {
            node.answer_offer(now, alice, sdp(ANSWER), None).expect("answers")
        });
        world.run(2 * LATENCY);
        let answer = world.expect(BOB, |event| match event {
            Event::OfferAnswered { description, .. } => description.clone(),
            _ => None,
        });
        assert_eq!(answer, Description::Answer(sdp(ANSWER)));
    }
    world.hangup(ALICE, alice);
    world.run(2 * LATENCY);
    let change = ["bob INVITE alice", "alice 200 bob", "bob ACK alice"];
    let all = [&change[..], &change[..], &["alice BYE bob", "bob 200 alice"][..]].concat();
    assert_eq!(world.flow(), all);
    world.assert_clean();
}

#[test]
fn hold_and_resume_at_once_go_out_one_after_the_other() {
    let mut world = World::of(["alice", "bob"]);
    let (alice, bob) = world.established();
    world.act(BOB, |node, now| {
        node.offer(now, bob, Some(sdp(HOLD)), vec![], None)
            .expect("offers");
        node.offer(now, bob, Some(sdp(OFFER)), vec![], None)
            .expect("offers");
    });
    for offer in [HOLD, OFFER] {
        world.run(2 * LATENCY);
        let offered = world.expect(ALICE, |event| match event {
            Event::Offer { offer, .. } => offer.clone(),
            _ => None,
        });
        assert_eq!(offered, sdp(offer));
        world.act(ALICE, |node, now| {
            node.answer_offer(now, alice, sdp(ANSWER), None).expect("answers")
        });
        world.run(2 * LATENCY);
    }
    world.hangup(BOB, bob);
    world.assert_clean();
}

/// Bob changes his call with Alice, and she agrees.
fn change(world: &mut World, bob: CallId, alice: CallId, offer: &'static str) {
    world.act(BOB, |node, now| {
        node.offer(now, bob, Some(sdp(offer)), vec![], None)
            .expect("offers")
    });
    world.run(LATENCY);
    let offered = world.expect(ALICE, |event| match event {
        Event::Offer { offer, .. } => offer.clone(),
        _ => None,
    });
    assert_eq!(offered, sdp(offer));
    world.act(ALICE, |node, now| {
        node.answer_offer(now, alice, sdp(ANSWER), None).expect("answers")
    });
    world.run(2 * LATENCY);
}

#[test]
fn a_call_is_held_while_another_is_consulted() {
    // §2.2.
    let mut world = World::of(["alice", "bob", "carol"]);
    let (alice, bob) = world.established();
    change(&mut world, bob, alice, HOLD);
    let (consultation, carol) = world.connected(BOB, CAROL);
    let dialogs = [
        world.received(ALICE, "INVITE").call_id().expect("Call-ID"),
        world.received(CAROL, "INVITE").call_id().expect("Call-ID"),
    ];
    assert_ne!(dialogs[0], dialogs[1]);
    world.hangup(BOB, consultation);
    world.run(2 * LATENCY);
    assert_eq!(world.ended(CAROL, carol), "remote bye");
    change(&mut world, bob, alice, OFFER);
    world.hangup(BOB, bob);
    world.run(2 * LATENCY);
    assert_eq!(world.ended(ALICE, alice), "remote bye");
    let change = ["bob INVITE alice", "alice 200 bob", "bob ACK alice"];
    let consult = [
        "bob INVITE carol",
        "carol 200 bob",
        "bob ACK carol",
        "bob BYE carol",
        "carol 200 bob",
    ];
    let end = ["bob BYE alice", "alice 200 bob"];
    assert_eq!(
        world.flow(),
        [&change[..], &consult[..], &change[..], &end[..]].concat()
    );
    world.assert_clean();
}

const MUSIC: &str = "v=0\r\no=- 7 1 IN IP4 10.0.0.20\r\ns=-\r\na=sendonly\r\n";
const LISTENING: &str = "v=0\r\no=- 1 2 IN IP4 10.0.0.1\r\ns=-\r\na=recvonly\r\n";

#[test]
fn the_holder_brings_a_music_server_and_the_held_together() {
    // §2.3: the server offers, Alice answers, and Bob passes both on.
    let mut world = World::of(["alice", "bob"]);
    let server = world.stranger("music", "10.0.0.20:5060");
    let (alice, bob) = world.established();
    let invite = Invite::new(world.parties[BOB].identity, server.uri());
    let music = world.place(BOB, invite);
    let invite = server.takes(&mut world, "INVITE sip:music@10.0.0.20 ");
    assert!(invite.body().is_empty());
    server.answers(&mut world, &invite, 200, &server.contact(), Some(MUSIC));
    world.run(LATENCY);
    let offer = world.expect(BOB, |event| match event {
        Event::Answered {
            call,
            description: Some(Description::Offer(offer)),
            ..
        } if *call == music => Some(offer.clone()),
        _ => None,
    });
    world.act(BOB, |node, now| {
        node.offer(now, bob, Some(offer), vec![], None).expect("offers")
    });
    world.run(LATENCY);
    let offered = world.expect(ALICE, |event| match event {
        Event::Offer { offer, .. } => offer.clone(),
        _ => None,
    });
    assert_eq!(offered, sdp(MUSIC));
    world.act(ALICE, |node, now| {
        node.answer_offer(now, alice, sdp(LISTENING), None)
            .expect("answers")
    });
    world.run(LATENCY);
    let answer = world.expect(BOB, |event| match event {
        Event::OfferAnswered {
            call,
            description: Some(Description::Answer(answer)),
            ..
        } if *call == bob => Some(answer.clone()),
        _ => None,
    });
    world.act(BOB, |node, now| {
        node.answer_offer(now, music, answer, None).expect("answers")
    });
    let ack = server.takes(&mut world, "ACK sip:music@10.0.0.20 ");
    assert_eq!(ack.body(), sdp(LISTENING));

    world.hangup(BOB, music);
    let bye = server.takes(&mut world, "BYE ");
    server.answers(&mut world, &bye, 200, "", None);
    change(&mut world, bob, alice, OFFER);
    assert_eq!(
        world.flow(),
        [
            "bob INVITE music",
            "music 200 bob",
            "bob INVITE alice",
            "alice 200 bob",
            "bob ACK alice",
            "bob ACK music",
            "bob BYE music",
            "music 200 bob",
            "bob INVITE alice",
            "alice 200 bob",
            "bob ACK alice",
        ]
    );
    world.hangup(ALICE, alice);
    world.assert_clean();
}

#[test]
fn a_music_server_takes_the_place_of_the_holder_and_gives_it_back() {
    // §2.3, where the server is asked to call: Alice follows a Replaces there, and one back.
    let mut world = World::of(["alice", "bob"]);
    let server = world.stranger("music", "10.0.0.20:5060");
    let (alice, bob) = world.connected(ALICE, BOB);
    let replaces = dialog_of_caller(&world.received(ALICE, "SIP/2.0 200"), false);
    world.forget();
    let more = format!("{}Replaces: {replaces}\r\n", server.contact());
    let invite = server.asks(
        &mut world,
        "INVITE",
        ALICE,
        &more,
        Some(("application/sdp", MUSIC)),
    );
    world.run(LATENCY);
    let held = world.incoming(ALICE);
    assert_eq!(held.replaces, Some(alice));
    let answer = Answer {
        description: Some(sdp(LISTENING)),
        ..Answer::default()
    };
    world.act(ALICE, |node, now| {
        node.answer(now, held.call, answer, None).expect("answers")
    });
    let ok = server.takes(&mut world, "SIP/2.0 200");
    server.continues(&mut world, &ok, "ACK", 1, "", None);
    world.run(2 * LATENCY);
    assert_eq!(world.ended(ALICE, alice), "replaced");
    assert_eq!(world.ended(BOB, bob), "remote bye");

    // Bob takes Alice back out of the dialog that she has with the server.
    let mut dialog = dialog_of_caller(&ok, false);
    std::mem::swap(&mut dialog.to_tag, &mut dialog.from_tag);
    let invite_back = Invite {
        replaces: Some(dialog),
        ..world.invitation(BOB, ALICE)
    };
    let back = world.place(BOB, invite_back);
    world.run(LATENCY);
    let resumed = world.incoming(ALICE);
    assert_eq!(resumed.replaces, Some(held.call));
    world.answer(ALICE, resumed.call);
    let bye = server.takes(&mut world, "BYE sip:music@10.0.0.20 ");
    assert_eq!(header(&bye, "Call-ID"), header(&invite, "Call-ID"));
    server.answers(&mut world, &bye, 200, "", None);
    world.run(2 * LATENCY);
    assert_eq!(world.ended(ALICE, held.call), "replaced");
    assert_eq!(
        world.flow(),
        [
            "music INVITE alice",
            "alice 200 music",
            "alice BYE bob",
            "bob 200 alice",
            "music ACK alice",
            "bob INVITE alice",
            "alice 200 bob",
            "alice BYE music",
            "bob ACK alice",
            "music 200 alice",
        ]
    );
    world.act(BOB, |node, now| {
        node.hangup(now, back, Hangup::default(), None).expect("hangs up")
    });
    world.assert_clean();
}
