//! §2.4 to §2.6: transfer.

use callwright_sip::Event;
use callwright_sip::command::{Invite, Progress, Refer};
use callwright_sip::event::{ReferOutcome, Referred};

use crate::parties::{ALICE, BOB, CAROL, LATENCY, World};

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
