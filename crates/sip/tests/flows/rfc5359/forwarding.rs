//! §2.7 to §2.9 and §2.12: forwarding by a proxy or by the callee, and find-me.

use callwright_sip::Event;
use callwright_sip::command::{Invite, Progress, Redirect, Reject};
use callwright_sip::endpoint::CallId;
use callwright_sip_message::Message;

use crate::parties::{ALICE, BOB, CAROL, LATENCY, World, uri};
use crate::strangers::Stranger;

/// Alice calls Bob at his proxy, which says 100. The call, the proxy, and the INVITE as the proxy has it.
fn called<const N: usize>(phones: [&'static str; N]) -> (World, CallId, Stranger, Message) {
    let mut world = World::of(phones);
    let proxy = world.stranger("proxy", "10.0.0.11:5060");
    let invite = Invite {
        target: uri("sip:bob@10.0.0.11"),
        ..world.invitation(ALICE, BOB)
    };
    let alice = world.place(ALICE, invite);
    let invite = proxy.takes(&mut world, "INVITE sip:bob@10.0.0.11 ");
    proxy.answers(&mut world, &invite, 100, "", None);
    (world, alice, proxy, invite)
}

/// The proxy tries a phone; what it sent there.
fn tried(world: &mut World, proxy: Stranger, invite: &Message, phone: usize) -> Message {
    let (target, at) = (world.uri_of(phone), world.address_of(phone));
    let sent = proxy.retargets(world, invite, &target, at);
    world.run(LATENCY);
    sent
}

/// A phone refuses, which stays between it and the proxy.
fn refused(world: &mut World, proxy: Stranger, invite: &Message, phone: usize, status: u16) {
    let sent = tried(world, proxy, invite, phone);
    let call = world.incoming(phone).call;
    world.act(phone, |node, now| {
        node.reject(now, call, Reject::new(status), None)
            .expect("refuses")
    });
    let refusal = proxy.takes(world, &format!("SIP/2.0 {status}"));
    let at = world.address_of(phone);
    proxy.acknowledges(world, &sent, &refusal, at);
    assert_eq!(world.ended(phone, call), format!("rejected {status}"));
}

fn rung(world: &mut World, proxy: Stranger, phone: usize) -> CallId {
    let call = world.incoming(phone).call;
    world.act(phone, |node, now| {
        node.progress(now, call, Progress::new(180), None).expect("rings")
    });
    world.carry_back(&[proxy], "SIP/2.0 180");
    call
}

/// A phone rings and nobody takes it, so the proxy gives it up.
fn unanswered(world: &mut World, proxy: Stranger, invite: &Message, phone: usize) {
    let sent = tried(world, proxy, invite, phone);
    let call = rung(world, proxy, phone);
    world.run(20_000);
    let at = world.address_of(phone);
    proxy.cancels(world, &sent, at);
    proxy.takes(world, "SIP/2.0 200");
    let refusal = proxy.takes(world, "SIP/2.0 487");
    proxy.acknowledges(world, &sent, &refusal, at);
    assert_eq!(world.ended(phone, call), "cancelled by the caller");
}

/// What Alice was told of the progress: fork and status.
fn progress(world: &World) -> Vec<(u16, u16)> {
    let events = world.parties[ALICE].events.iter();
    events
        .filter_map(|event| match event {
            Event::Progress { fork, status, .. } => Some((*fork, *status)),
            _ => None,
        })
        .collect()
}

/// A phone rings, which is what Alice was `told`, and answers; then it ends the call.
fn answered(
    world: &mut World,
    proxy: Stranger,
    invite: &Message,
    alice: CallId,
    phone: usize,
    told: &[(u16, u16)],
) {
    tried(world, proxy, invite, phone);
    let call = rung(world, proxy, phone);
    assert_eq!(progress(world), told);
    world.answer(phone, call);
    world.carry_back(&[proxy], "SIP/2.0 200");
    let (alice_at, phone_at) = (world.address_of(ALICE), world.address_of(phone));
    world.carry(&[proxy], "ACK ", phone_at);
    world.expect(phone, |event| {
        matches!(event, Event::Confirmed { .. }).then_some(())
    });
    world.hangup(phone, call);
    world.carry(&[proxy], "BYE ", alice_at);
    world.carry_back(&[proxy], "SIP/2.0 200");
    assert_eq!(world.ended(phone, call), "local bye");
    // Nothing that another phone did was the end of Alice's call.
    assert_eq!(world.ended(ALICE, alice), "remote bye");
}

fn told_forwarding(world: &mut World, proxy: Stranger, invite: &Message) {
    proxy.answers(world, invite, 181, "", None);
}

/// What the phone that answers, the proxy and Alice say to each other at last.
fn last_steps(phone: &str) -> Vec<String> {
    [
        "proxy INVITE PHONE",
        "PHONE 180 proxy",
        "proxy 180 alice",
        "PHONE 200 proxy",
        "proxy 200 alice",
        "alice ACK proxy",
        "proxy ACK PHONE",
        "PHONE BYE proxy",
        "proxy BYE alice",
        "alice 200 proxy",
        "proxy 200 PHONE",
    ]
    .map(|step| step.replace("PHONE", phone))
    .to_vec()
}

fn steps(first: &[&str], phone: &str) -> Vec<String> {
    let first = first.iter().map(|step| (*step).to_owned());
    first.chain(last_steps(phone)).collect()
}

#[test]
fn a_call_is_forwarded_before_it_rings() {
    // §2.7.
    let (mut world, alice, proxy, invite) = called(["alice", "b1", "b2"]);
    told_forwarding(&mut world, proxy, &invite);
    answered(
        &mut world,
        proxy,
        &invite,
        alice,
        CAROL,
        &[(0, 100), (0, 181), (1, 180)],
    );
    let first = ["alice INVITE proxy", "proxy 100 alice", "proxy 181 alice"];
    assert_eq!(world.flow(), steps(&first, "b2"));
    // The callee sees for whom the call was, and where it came from.
    let invite = world.received(CAROL, "INVITE sip:b2@10.0.0.3 ");
    assert_eq!(invite.to().expect("To").uri, uri("sip:bob@10.0.0.11"));
    assert_eq!(invite.vias().count(), 2);
    world.assert_clean();
}

#[test]
fn a_call_to_a_busy_phone_is_forwarded() {
    // §2.8.
    let (mut world, alice, proxy, invite) = called(["alice", "b1", "b2"]);
    refused(&mut world, proxy, &invite, BOB, 486);
    told_forwarding(&mut world, proxy, &invite);
    answered(
        &mut world,
        proxy,
        &invite,
        alice,
        CAROL,
        &[(0, 100), (0, 181), (1, 180)],
    );
    let first = [
        "alice INVITE proxy",
        "proxy 100 alice",
        "proxy INVITE b1",
        "b1 486 proxy",
        "proxy ACK b1",
        "proxy 181 alice",
    ];
    assert_eq!(world.flow(), steps(&first, "b2"));
    world.assert_clean();
}

#[test]
fn a_call_that_nobody_answers_is_forwarded() {
    // §2.9: two early dialogs and that of the proxy, of which one is confirmed.
    let (mut world, alice, proxy, invite) = called(["alice", "b1", "b2"]);
    unanswered(&mut world, proxy, &invite, BOB);
    told_forwarding(&mut world, proxy, &invite);
    let told = [(0, 100), (0, 180), (1, 181), (2, 180)];
    answered(&mut world, proxy, &invite, alice, CAROL, &told);
    let first = [
        "alice INVITE proxy",
        "proxy 100 alice",
        "proxy INVITE b1",
        "b1 180 proxy",
        "proxy 180 alice",
        "proxy CANCEL b1",
        "b1 200 proxy",
        "b1 487 proxy",
        "proxy ACK b1",
        "proxy 181 alice",
    ];
    assert_eq!(world.flow(), steps(&first, "b2"));
    world.assert_clean();
}

#[test]
fn a_proxy_finds_the_phone_where_the_callee_is() {
    // §2.12.
    const B3: usize = 3;
    const B4: usize = 4;
    let (mut world, alice, proxy, invite) = called(["alice", "b1", "b2", "b3", "b4"]);
    unanswered(&mut world, proxy, &invite, BOB);
    refused(&mut world, proxy, &invite, CAROL, 480);
    refused(&mut world, proxy, &invite, B3, 486);
    let told = [(0, 100), (0, 180), (1, 180)];
    answered(&mut world, proxy, &invite, alice, B4, &told);
    let first = [
        "alice INVITE proxy",
        "proxy 100 alice",
        "proxy INVITE b1",
        "b1 180 proxy",
        "proxy 180 alice",
        "proxy CANCEL b1",
        "b1 200 proxy",
        "b1 487 proxy",
        "proxy ACK b1",
        "proxy INVITE b2",
        "b2 480 proxy",
        "proxy ACK b2",
        "proxy INVITE b3",
        "b3 486 proxy",
        "proxy ACK b3",
    ];
    assert_eq!(world.flow(), steps(&first, "b4"));
    world.assert_clean();
}

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
