//! Directions and hold: RFC 3264 §6.1 and §8.4.

mod ends;

use callwright_sdp::Direction::{self, Inactive, RecvOnly, SendOnly, SendRecv};
use callwright_sdp::negotiation::{Irregularity, Negotiated};
use ends::{alice, bob, description, description_version};

fn answered(offer: &str, wish: Direction) -> (Direction, Negotiated) {
    let mut bob = bob();
    bob.receive_offer(description(&format!("m=audio 6000 RTP/AVP 0\n{offer}\n")))
        .expect("taken");
    let (answer, negotiated) = bob.create_answer(wish).expect("an answer");
    (answer.media[0].direction, negotiated.expect("a stream"))
}

#[test]
fn the_answer_takes_what_the_offer_leaves() {
    // RFC 3264 §6.1, every pair: offered, wished, answered.
    let table = [
        (
            "a=sendrecv",
            [
                (SendRecv, SendRecv),
                (SendOnly, SendOnly),
                (RecvOnly, RecvOnly),
                (Inactive, Inactive),
            ],
        ),
        (
            "a=sendonly",
            [
                (SendRecv, RecvOnly),
                (SendOnly, Inactive),
                (RecvOnly, RecvOnly),
                (Inactive, Inactive),
            ],
        ),
        (
            "a=recvonly",
            [
                (SendRecv, SendOnly),
                (SendOnly, SendOnly),
                (RecvOnly, Inactive),
                (Inactive, Inactive),
            ],
        ),
        (
            "a=inactive",
            [
                (SendRecv, Inactive),
                (SendOnly, Inactive),
                (RecvOnly, Inactive),
                (Inactive, Inactive),
            ],
        ),
    ];
    for (offer, row) in table {
        for (wish, expected) in row {
            assert_eq!(answered(offer, wish).0, expected, "{offer}, wishing {wish}");
        }
    }
}

#[test]
fn an_end_on_hold_neither_sends_nor_is_silent_about_it() {
    let (_, held) = answered("a=sendonly", SendRecv);
    assert!(!held.sends() && held.receives() && held.held_by_peer());
    let (_, held) = answered("a=inactive", SendRecv);
    assert!(!held.sends() && !held.receives() && held.held_by_peer());
}

#[test]
fn the_address_of_nowhere_is_a_hold() {
    // RFC 3264 §8.4: neither RTP nor RTCP is sent to 0.0.0.0.
    let (direction, held) = answered("c=IN IP4 0.0.0.0", SendRecv);
    assert_eq!(direction, RecvOnly);
    assert_eq!((held.remote_rtp, held.remote_rtcp), (None, None));
    assert!(!held.sends() && held.receives() && held.held_by_peer());
    let (direction, held) = answered("c=IN IP4 0.0.0.0\na=inactive", SendRecv);
    assert_eq!((direction, held.remote_direction), (Inactive, Inactive));
}

#[test]
fn hold_and_resume() {
    let (mut alice, mut bob) = (alice(), bob());
    let mut exchange = |direction| {
        bob.receive_offer(alice.create_offer(direction).expect("an offer"))
            .expect("taken");
        let (answer, at_bob) = bob.create_answer(SendRecv).expect("an answer");
        let at_alice = alice.receive_answer(answer).expect("by rule").expect("a stream");
        let at_bob = at_bob.expect("a stream");
        (
            at_alice.sends(),
            at_alice.receives(),
            at_bob.sends(),
            at_bob.receives(),
            at_bob.held_by_peer(),
        )
    };
    assert_eq!(exchange(SendRecv), (true, true, true, true, false));
    assert_eq!(exchange(SendOnly), (true, false, false, true, true));
    assert_eq!(exchange(Inactive), (false, false, false, false, true));
    assert_eq!(exchange(SendRecv), (true, true, true, true, false));
}

#[test]
fn both_may_hold_and_each_resumes_for_itself() {
    let (mut alice, mut bob) = (alice(), bob());
    bob.receive_offer(alice.create_offer(SendOnly).expect("an offer"))
        .expect("taken");
    // Bob holds too: he wants to receive nothing.
    let (answer, _) = bob.create_answer(SendOnly).expect("an answer");
    assert_eq!(answer.media[0].direction, Inactive);
    alice.receive_answer(answer).expect("by rule");
    bob.receive_offer(alice.create_offer(SendRecv).expect("an offer"))
        .expect("taken");
    assert_eq!(
        bob.create_answer(SendOnly).expect("an answer").0.media[0].direction,
        SendOnly
    );
}

#[test]
fn an_answer_that_wants_too_much_is_noted_and_not_obeyed() {
    let mut alice = alice();
    alice.create_offer(SendOnly).expect("an offer");
    let negotiated = alice
        .receive_answer(description("m=audio 6000 RTP/AVP 0\na=sendrecv\n"))
        .expect("usable")
        .expect("a stream");
    assert_eq!(
        negotiated.irregularities,
        [Irregularity::AnswerDirection {
            offered: SendOnly,
            answered: SendRecv
        }]
    );
    assert!(negotiated.sends() && !negotiated.receives());
}

#[test]
fn an_answer_without_an_attribute_to_a_full_offer_is_by_rule() {
    let mut alice = alice();
    alice.create_offer(SendRecv).expect("an offer");
    let answer = description_version(1, "m=audio 6000 RTP/AVP 0\na=recvonly\n");
    let negotiated = alice.receive_answer(answer).expect("by rule").expect("a stream");
    assert!(negotiated.sends() && !negotiated.receives() && !negotiated.held_by_peer());
    assert_eq!(negotiated.irregularities, []);
}
