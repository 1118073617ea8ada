//! Random operations over a network that loses, delays and reorders: nothing panics, every call ends exactly once, and when
//! everybody hung up nothing is left.

use std::collections::BTreeMap;

use callwright_sip::command::{
    Answer, DialogRequest, Hangup, Invite, Progress, Redirect, Refer, Reject, Reliability, SessionTimer,
};
use callwright_sip::endpoint::CallId;
use callwright_sip::{Event, Misuse};
use callwright_sip_message::Method;
use callwright_wire::{Entropy, Seed};
use std::time::Duration;

use crate::parties::{ANSWER, OFFER, World, sdp};

/// What the walk knows of a party's calls: those whose end was not told.
type Living = [BTreeMap<CallId, &'static str>; 3];

fn pick(calls: &BTreeMap<CallId, &'static str>, dice: &mut Entropy) -> Option<CallId> {
    let place = dice.below(calls.len() as u64) as usize;
    calls.keys().nth(place).copied()
}

/// Takes what was told, and reacts to some of it.
fn react(world: &mut World, living: &mut Living, dice: &mut Entropy) {
    for (party, living) in living.iter_mut().enumerate() {
        while let Some(event) = world.parties[party].events.pop_front() {
            match event {
                Event::IncomingCall(incoming) => {
                    living.insert(incoming.call, "in");
                }
                Event::Ended { call, .. } => {
                    assert!(
                        living.remove(&call).is_some(),
                        "an end was told twice, or of nobody's call"
                    );
                }
                Event::Offer { call, .. } if dice.below(8) > 0 => {
                    ignore(world.act(party, |node, now| node.answer_offer(now, call, sdp(ANSWER), None)));
                }
                Event::Answered { call, .. }
                | Event::OfferAnswered { call, .. }
                | Event::Progress { call, .. } => {
                    // Whatever carried an offer is answered; elsewhere that is refused.
                    ignore(world.act(party, |node, now| node.answer_offer(now, call, sdp(ANSWER), None)));
                }
                Event::Referred(referred) => match dice.below(3) {
                    0 => ignore(world.act(party, |node, now| {
                        node.reject_refer(now, referred.refer, Reject::new(603), None)
                    })),
                    1 => ignore(world.act(party, |node, now| {
                        node.accept_refer(now, referred.refer, None)?;
                        node.notify_refer(now, referred.refer, 503, "Service Unavailable", None)
                    })),
                    _ => {}
                },
                _ => {}
            }
        }
    }
}

fn ignore(result: Result<(), Misuse>) {
    // What a state forbids is refused without a trace; the walk asks for everything at any time.
    let _refused = result;
}

fn operate(world: &mut World, living: &mut Living, dice: &mut Entropy) {
    let party = dice.below(3) as usize;
    if living[party].len() < 3 && dice.below(4) == 0 {
        let other = (party + 1 + dice.below(2) as usize) % 3;
        let invite = world.invitation(party, other);
        let invite = Invite {
            offer: invite.offer.clone().filter(|_| dice.below(3) > 0),
            follow_redirects: dice.below(2) == 0,
            reliability: [Reliability::Off, Reliability::Supported, Reliability::Required]
                [dice.below(3) as usize],
            session_timer: (dice.below(3) == 0).then(|| SessionTimer::new(Duration::from_secs(90))),
            expires: (dice.below(4) == 0).then(|| Duration::from_secs(5)),
            ..invite
        };
        let call = world.place(party, invite);
        living[party].insert(call, "out");
        return;
    }
    let Some(call) = pick(&living[party], dice) else {
        return;
    };
    let description = (dice.below(4) > 0).then(|| sdp(OFFER));
    let choice = dice.below(11);
    let target = world.uri_of(dice.below(3) as usize);
    let reliable = [None, Some(true), Some(false)][dice.below(3) as usize];
    ignore(world.act(party, |node, now| {
        match choice {
            0 => node.progress(
                now,
                call,
                Progress {
                    description,
                    reliable,
                    ..Progress::new(183)
                },
                None,
            ),
            1 => node.progress(
                now,
                call,
                Progress {
                    reliable,
                    ..Progress::new(180)
                },
                None,
            ),
            2 | 3 => node.answer(
                now,
                call,
                Answer {
                    description,
                    ..Answer::default()
                },
                None,
            ),
            4 => node.reject(now, call, Reject::new(486), None),
            5 => node.redirect(now, call, Redirect::to(target), None),
            6 => node.hangup(now, call, Hangup::default(), None),
            7 => node.offer(now, call, description, vec![], None),
            8 => node.update(now, call, description, vec![], None),
            9 => node.refer(now, call, Refer::to(target), None).map(drop),
            _ => node
                .request(now, call, DialogRequest::new(Method::Info), None)
                .map(drop),
        }
    }));
}

fn walk(seed: u64) {
    let mut dice = Seed::from_number(seed).derive("walk").stream();
    let mut world = World::of(["alice", "bob", "carol"]);
    let mut living: Living = Default::default();
    for _ in 0..120 {
        operate(&mut world, &mut living, &mut dice);
        match dice.below(6) {
            0 => world.lose(
                ["INVITE", "ACK", "200", "BYE", "PRACK", "UPDATE", "NOTIFY"][dice.below(7) as usize],
                1,
            ),
            1 => world.delay(
                ["INVITE", "ACK", "200", "BYE", "CANCEL", "183"][dice.below(6) as usize],
                dice.below(2_000),
            ),
            _ => {}
        }
        world.run(dice.below(400));
        react(&mut world, &mut living, &mut dice);
    }
    // The network heals, everybody hangs up; what waits for an ACK or a final response has its timers.
    world.heal();
    for _ in 0..12 {
        for (party, living) in living.iter().enumerate() {
            for call in living.keys().copied().collect::<Vec<_>>() {
                ignore(world.act(party, |node, now| node.hangup(now, call, Hangup::default(), None)));
            }
        }
        world.run(20_000);
        react(&mut world, &mut living, &mut dice);
    }
    assert!(living.iter().all(BTreeMap::is_empty), "seed {seed}: {living:?}");
    world.assert_clean();
}

#[test]
fn whatever_happens_every_call_ends_once_and_nothing_is_left() {
    for seed in 0..40 {
        let result = std::panic::catch_unwind(|| walk(seed));
        assert!(result.is_ok(), "seed {seed}");
    }
}
