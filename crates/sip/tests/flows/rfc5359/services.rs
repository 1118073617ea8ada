//! RFC 5359 §2: the services that user agents make among themselves. Not here, for they are a proxy's: find-me, call
//! screening, automatic redial, single-line extension, music on hold from a server.

use callwright_sip::Event;
use callwright_sip::command::{Answer, Hangup, Invite, Progress, Redirect, Refer};
use callwright_sip::event::{Description, ReferOutcome, Referred};

use crate::parties::{ALICE, ANSWER, BOB, CAROL, LATENCY, OFFER, World, sdp};

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
    // §2.5: Bob consults Carol, then joins Alice and Carol.
    let mut world = World::of(["alice", "bob", "carol"]);
    let (alice, bob) = world.established();
    let (consultation, carol) = world.connected(BOB, CAROL);
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
    assert!(referred.replaces.is_some());
    carry_out(&mut world, &referred);
    // Carol's new call took the place of the consultation.
    assert_eq!(world.ended(CAROL, carol), "replaced");
    assert_eq!(world.ended(BOB, consultation), "remote bye");
    world.hangup(BOB, bob);
    world.run(2 * LATENCY);
    assert_eq!(world.ended(ALICE, alice), "remote bye");
}

#[test]
fn forwarding_by_302_with_the_reason() {
    // §2.8 to §2.10, as far as they are the callee's.
    for reason in ["unconditional", "user-busy", "no-answer"] {
        let mut world = World::of(["alice", "bob", "carol"]);
        let invite = Invite {
            follow_redirects: true,
            ..world.invitation(ALICE, BOB)
        };
        let alice = world.place(ALICE, invite);
        world.run(LATENCY);
        let bob = world.incoming(BOB).call;
        let diversion = Some((world.uri_of(BOB), reason.to_owned()));
        let redirect = Redirect {
            diversion,
            ..Redirect::to(world.uri_of(CAROL))
        };
        world.act(BOB, |node, now| {
            node.redirect(now, bob, redirect, None).expect("redirects")
        });
        assert_eq!(world.ended(BOB, bob), "rejected 302");
        world.run(2 * LATENCY);
        let redirected = world.expect(ALICE, |event| match event {
            Event::Redirected { target, message, .. } => Some((target.clone(), message.clone())),
            _ => None,
        });
        assert_eq!(redirected.0, world.uri_of(CAROL));
        let diversion = redirected.1.header("Diversion").expect("Diversion").into_owned();
        assert_eq!(diversion, format!("<sip:bob@10.0.0.2>;reason={reason}"));
        let carol = world.incoming(CAROL).call;
        world.answer(CAROL, carol);
        world.run(2 * LATENCY);
        world.hangup(ALICE, alice);
        world.run(2 * LATENCY);
        assert_eq!(world.ended(CAROL, carol), "remote bye");
        world.assert_clean();
    }
}

#[test]
fn a_302_that_is_not_followed_ends_the_call_with_its_contacts() {
    let mut world = World::of(["alice", "bob"]);
    let alice = world.call(ALICE, BOB);
    world.run(LATENCY);
    let bob = world.incoming(BOB).call;
    let redirect = Redirect::to(world.uri_of(BOB));
    world.act(BOB, |node, now| {
        node.redirect(now, bob, redirect, None).expect("redirects")
    });
    world.run(2 * LATENCY);
    assert_eq!(world.ended(ALICE, alice), "response 302");
    world.assert_clean();
}

#[test]
fn a_redirection_to_itself_is_no_loop() {
    let mut world = World::of(["alice", "bob"]);
    let invite = Invite {
        follow_redirects: true,
        ..world.invitation(ALICE, BOB)
    };
    let alice = world.place(ALICE, invite);
    world.run(LATENCY);
    let bob = world.incoming(BOB).call;
    let redirect = Redirect::to(world.uri_of(BOB));
    world.act(BOB, |node, now| {
        node.redirect(now, bob, redirect, None).expect("redirects")
    });
    world.run(2 * LATENCY);
    assert_eq!(world.ended(ALICE, alice), "response 302");
    assert_eq!(
        world
            .flow()
            .iter()
            .filter(|line| **line == "alice INVITE bob")
            .count(),
        1
    );
    world.assert_clean();
}

#[test]
fn a_call_is_picked_up_while_it_rings_elsewhere() {
    // §2.15: Bob rings, and Carol takes the call of Alice by Replaces with early-only.
    let mut world = World::of(["alice", "bob", "carol"]);
    let alice = world.call(ALICE, BOB);
    world.run(LATENCY);
    let bob = world.incoming(BOB).call;
    world.act(BOB, |node, now| {
        node.progress(now, bob, Progress::new(180), None).expect("rings")
    });
    world.run(LATENCY);
    let ringing = world.received(ALICE, "SIP/2.0 180");
    let tag = |name: &str| {
        let value = ringing.header(name).expect("From and To").into_owned();
        value.split_once("tag=").expect("a tag").1.to_owned()
    };
    let replaces = callwright_sip::command::Replaces {
        call_id: ringing.call_id().expect("Call-ID").to_string(),
        to_tag: tag("From"),
        from_tag: tag("To"),
        early_only: true,
    };
    let invite = Invite {
        replaces: Some(replaces),
        ..world.invitation(CAROL, ALICE)
    };
    world.place(CAROL, invite);
    world.run(LATENCY);
    let picked = world.incoming(ALICE);
    assert_eq!(picked.replaces, Some(alice));
    world.act(ALICE, |node, now| {
        let answer = Answer {
            description: Some(sdp(ANSWER)),
            ..Answer::default()
        };
        node.answer(now, picked.call, answer, None).expect("answers");
    });
    world.run(4 * LATENCY);
    assert_eq!(world.ended(BOB, bob), "cancelled by the caller");
    assert_eq!(world.ended(ALICE, alice), "cancelled");
    world.act(ALICE, |node, now| {
        node.hangup(now, picked.call, Hangup::default(), None)
            .expect("hangs up")
    });
    world.assert_clean();
}
