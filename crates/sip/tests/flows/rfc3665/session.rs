//! §3.1, §3.6 and §3.7: sessions, redirected and changed.

use callwright_sip::Event;
use callwright_sip::command::{Invite, Progress};
use callwright_sip::event::Description;
use callwright_sip_message::HeaderName;

use crate::parties::{ALICE, ANSWER, BOB, LATENCY, OFFER, World, sdp, uri};
use crate::script::header;

#[test]
fn a_session_is_established_and_ended_by_the_callee() {
    // §3.1.
    let mut world = World::of(["alice", "bob"]);
    let alice = world.call(ALICE, BOB);
    world.run(LATENCY);
    let incoming = world.incoming(BOB);
    assert!(incoming.offer.is_some());
    world.act(BOB, |bob, now| {
        bob.progress(now, incoming.call, Progress::new(180), None)
            .expect("rings")
    });
    world.run(LATENCY);
    let status = world.expect(ALICE, |event| match event {
        Event::Progress {
            call,
            status,
            description: None,
            ..
        } if *call == alice => Some(*status),
        _ => None,
    });
    assert_eq!(status, 180);
    world.answer(BOB, incoming.call);
    world.run(2 * LATENCY);
    let answer = world.expect(ALICE, |event| match event {
        Event::Answered { description, .. } => description.clone(),
        _ => None,
    });
    assert_eq!(answer, Description::Answer(sdp(ANSWER)));
    world.expect(BOB, |event| {
        matches!(event, Event::Confirmed { .. }).then_some(())
    });
    world.hangup(BOB, incoming.call);
    world.run(2 * LATENCY);
    assert_eq!(world.ended(BOB, incoming.call), "local bye");
    assert_eq!(world.ended(ALICE, alice), "remote bye");
    assert_eq!(
        world.flow(),
        [
            "alice INVITE bob",
            "bob 180 alice",
            "bob 200 alice",
            "alice ACK bob",
            "bob BYE alice",
            "alice 200 bob"
        ]
    );
    world.assert_clean();
}

#[test]
fn a_redirected_call_is_answered_in_the_ack() {
    // §3.6: the redirect server names a proxy's domain, Bob offers, and Alice's answer travels in the ACK.
    let mut world = World::of(["alice", "bob"]);
    let redirector = world.stranger("redirector", "10.0.0.11:5060");
    let proxy = world.stranger("proxy", "10.0.0.13:5060");
    let invite = Invite {
        offer: None,
        follow_redirects: true,
        target: uri("sip:bob@10.0.0.11"),
        ..world.invitation(ALICE, BOB)
    };
    let alice = world.place(ALICE, invite);
    let first = redirector.takes(&mut world, "INVITE sip:bob@10.0.0.11 ");
    assert!(first.body().is_empty());
    redirector.answers(&mut world, &first, 302, "Contact: <sip:bob@10.0.0.13>", None);
    redirector.takes(&mut world, "ACK sip:bob@10.0.0.11 ");

    let second = proxy.takes(&mut world, "INVITE sip:bob@10.0.0.13 ");
    for name in [HeaderName::From, HeaderName::To, HeaderName::CallId] {
        assert_eq!(second.header(name.clone()), first.header(name));
    }
    assert!(second.to_tag().is_none() && second.body().is_empty());
    assert_eq!(
        second.cseq().expect("CSeq").number,
        first.cseq().expect("CSeq").number + 1
    );
    proxy.answers(&mut world, &second, 100, "", None);
    let (bob_uri, bob_at) = (world.uri_of(BOB), world.address_of(BOB));
    proxy.retargets(&mut world, &second, &bob_uri, bob_at);
    world.run(LATENCY);
    let incoming = world.incoming(BOB);
    assert_eq!(incoming.offer, None);
    world.act(BOB, |node, now| {
        node.progress(now, incoming.call, Progress::new(180), None)
            .expect("rings")
    });
    world.carry_back(&[proxy], "SIP/2.0 180");
    // The answer of `World` is here the offer.
    world.answer(BOB, incoming.call);
    world.carry_back(&[proxy], "SIP/2.0 200");
    let offered = world.expect(ALICE, |event| match event {
        Event::Answered { description, .. } => description.clone(),
        _ => None,
    });
    assert_eq!(offered, Description::Offer(sdp(ANSWER)));
    proxy.takes_nothing(&mut world);
    world.act(ALICE, |node, now| {
        node.answer_offer(now, alice, sdp(OFFER), None).expect("answers")
    });
    let ack = world.carry(&[proxy], "ACK sip:bob@10.0.0.2:5060 ", bob_at);
    assert_eq!(header(&ack, "Content-Type"), "application/sdp");
    assert_eq!(
        ack.cseq().expect("CSeq").number,
        second.cseq().expect("CSeq").number
    );
    let answer = world.expect(BOB, |event| match event {
        Event::Confirmed { description, .. } => description.clone(),
        _ => None,
    });
    assert_eq!(answer, Description::Answer(sdp(OFFER)));
    world.hangup(BOB, incoming.call);
    let alice_at = world.address_of(ALICE);
    world.carry(&[proxy], "BYE ", alice_at);
    world.carry_back(&[proxy], "SIP/2.0 200");
    assert_eq!(world.ended(ALICE, alice), "remote bye");
    assert_eq!(
        world.flow(),
        [
            "alice INVITE redirector",
            "redirector 302 alice",
            "alice ACK redirector",
            "alice INVITE proxy",
            "proxy 100 alice",
            "proxy INVITE bob",
            "bob 180 proxy",
            "proxy 180 alice",
            "bob 200 proxy",
            "proxy 200 alice",
            "alice ACK proxy",
            "proxy ACK bob",
            "bob BYE proxy",
            "proxy BYE alice",
            "alice 200 proxy",
            "proxy 200 bob",
        ]
    );
    world.assert_clean();
}

#[test]
fn a_peer_that_gets_another_address_is_followed_there() {
    // §3.7: the proxy does not stay on the way, and Bob's second INVITE comes from where he is then.
    const MOVED: &str = "v=0\r\no=- 2 2 IN IP4 10.0.0.7\r\ns=-\r\n";
    let mut world = World::of(["alice"]);
    let bob = world.stranger("bob", "10.0.0.2:5060");
    let invite = Invite {
        offer: Some(sdp(OFFER)),
        ..Invite::new(world.parties[ALICE].identity, bob.uri())
    };
    let alice = world.place(ALICE, invite);
    let invite = bob.takes(&mut world, "INVITE ");
    bob.answers(&mut world, &invite, 180, &bob.contact(), None);
    bob.answers(&mut world, &invite, 200, &bob.contact(), Some(ANSWER));
    bob.takes(&mut world, "ACK sip:bob@10.0.0.2 ");

    let moved = bob.moves(&mut world, "elsewhere", "10.0.0.7:5060");
    let contact = "Contact: <sip:bob@10.0.0.7>\r\n";
    let body = Some(("application/sdp", MOVED));
    moved.continues(&mut world, &invite, "INVITE", 14, contact, body);
    world.run(LATENCY);
    let offer = world.expect(ALICE, |event| match event {
        Event::Offer { offer, .. } => offer.clone(),
        _ => None,
    });
    assert_eq!(offer, sdp(MOVED));
    world.act(ALICE, |node, now| {
        node.answer_offer(now, alice, sdp(OFFER), None).expect("answers")
    });
    let ok = moved.takes(&mut world, "SIP/2.0 200");
    assert_eq!(ok.cseq().expect("CSeq").number, 14);
    assert_eq!(ok.body(), sdp(OFFER));
    assert!(ok.contact().is_some());
    moved.continues(&mut world, &invite, "ACK", 14, "", None);
    world.run(LATENCY);
    world.hangup(ALICE, alice);
    let bye = moved.takes(&mut world, "BYE sip:bob@10.0.0.7 ");
    assert_eq!(bye.call_id(), invite.call_id());
    moved.answers(&mut world, &bye, 200, "", None);
    world.run(LATENCY);
    assert_eq!(world.ended(ALICE, alice), "local bye");
    assert_eq!(
        world.flow(),
        [
            "alice INVITE bob",
            "bob 180 alice",
            "bob 200 alice",
            "alice ACK bob",
            "elsewhere INVITE alice",
            "alice 200 elsewhere",
            "elsewhere ACK alice",
            "alice BYE elsewhere",
            "elsewhere 200 alice",
        ]
    );
    world.assert_clean();
}

#[test]
fn an_endpoint_that_gets_another_address_tells_it_in_an_invite() {
    // §3.7 from the side that moves.
    let mut world = World::of(["alice"]);
    let bob = world.stranger("bob", "10.0.0.2:5060");
    let invite = Invite {
        offer: Some(sdp(OFFER)),
        ..Invite::new(world.parties[ALICE].identity, bob.uri())
    };
    let alice = world.place(ALICE, invite);
    let first = bob.takes(&mut world, "INVITE ");
    bob.answers(&mut world, &first, 200, &bob.contact(), Some(ANSWER));
    bob.takes(&mut world, "ACK ");
    let moved = vec![(HeaderName::Contact, "<sip:alice@10.0.0.9>".to_owned())];
    world.act(ALICE, |node, now| {
        node.offer(now, alice, Some(sdp(OFFER)), moved, None)
            .expect("offers")
    });
    let second = bob.takes(&mut world, "INVITE sip:bob@10.0.0.2 ");
    assert_eq!(header(&second, "Contact"), "<sip:alice@10.0.0.9>");
    assert_eq!(second.to_tag().as_deref(), Some("bob"));
    assert_eq!(second.call_id(), first.call_id());
    assert_eq!(
        second.cseq().expect("CSeq").number,
        first.cseq().expect("CSeq").number + 1
    );
}
