//! §2.16: call pickup.

use callwright_sip::command::{Answer, Hangup, Invite, Progress};

use crate::parties::{ALICE, ANSWER, BOB, CAROL, LATENCY, World, sdp};

#[test]
fn a_call_is_picked_up_while_it_rings_elsewhere() {
    // §2.16: Bob rings, and Carol takes the call of Alice by Replaces with early-only.
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
