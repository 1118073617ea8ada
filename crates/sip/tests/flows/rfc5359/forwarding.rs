//! §2.7 to §2.9: forwarding.

use callwright_sip::Event;
use callwright_sip::command::{Invite, Redirect};

use crate::parties::{ALICE, BOB, CAROL, LATENCY, World};

#[test]
fn forwarding_by_302_with_the_reason() {
    // §2.7 to §2.9, where the callee forwards and not its proxy.
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
