//! §2.1 to §2.3: hold.

use callwright_sip::Event;
use callwright_sip::event::Description;

use crate::parties::{ALICE, ANSWER, BOB, LATENCY, OFFER, World, sdp};

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
