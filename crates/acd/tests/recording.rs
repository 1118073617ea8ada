//! Calls that are recorded: caller left, the other one right, whoever that is.

mod support;

use std::time::Duration;

use callwright_acd::{CallKey, Fact, Piece};
use callwright_media::detect::strongest;
use callwright_media::level::level;
use callwright_ua::Phase;
use callwright_wire::Time;
use support::{Lab, Phone};

fn lab() -> (Lab, Phone, Phone, Phone) {
    let mut lab = Lab::with(|config| config.record_direct = true);
    let phones = ["alice", "bob", "carol"].map(|name| lab.registered(name));
    (lab, phones[0], phones[1], phones[2])
}

/// Alice calls bob, and both are heard.
fn establish(lab: &mut Lab, alice: Phone, bob: Phone) {
    lab.establish(alice, bob);
    lab.play(alice, 440.0);
    lab.play(bob, 880.0);
}

/// Both tracks of a recording, as a file has them.
fn tracks(pieces: &[Piece]) -> [Vec<i16>; 2] {
    let mut tracks = [Vec::new(), Vec::new()];
    for piece in pieces {
        match piece {
            Piece::Samples(samples) => {
                for frame in samples.chunks_exact(2) {
                    tracks[0].push(frame[0]);
                    tracks[1].push(frame[1]);
                }
            }
            Piece::Silence { frames } => {
                for track in &mut tracks {
                    track.resize(track.len() + *frames as usize, 0);
                }
            }
            Piece::Missing { .. } => panic!("the laboratory takes everything in time"),
            Piece::End { frames } => assert_eq!(*frames, tracks[0].len() as u64),
        }
    }
    assert!(matches!(pieces.last(), Some(Piece::End { .. })));
    tracks
}

/// When a call was answered and when it ended.
fn talk(lab: &Lab, key: CallKey) -> (Time, Time) {
    let (mut from, mut to) = (None, None);
    for fact in &lab.facts {
        match fact {
            Fact::CallAnswered { call, at, .. } if *call == key => from = Some(*at),
            Fact::CallEnded { call, at, .. } if *call == key => to = Some(*at),
            _ => {}
        }
    }
    (from.expect("it was answered"), to.expect("it ended"))
}

#[track_caller]
fn assert_as_long_as_the_talk(lab: &Lab, key: CallKey, track: &[i16]) {
    let (from, to) = talk(lab, key);
    let talked = (to - from).as_millis() as u64;
    let recorded = track.len() as u64 / 8;
    assert!(talked.abs_diff(recorded) <= 100, "{talked} {recorded}");
}

#[track_caller]
fn assert_tone(samples: &[i16], hz: f64) {
    let heard = strongest(samples).expect("something is heard");
    assert!(
        (heard.frequency_hz - hz).abs() < 5.0,
        "{} instead of {hz}",
        heard.frequency_hz
    );
    assert!(level(samples) > -30.0, "{}", level(samples));
}

#[test]
fn caller_left_callee_right_as_long_as_they_talk() {
    let (mut lab, alice, bob, _) = lab();
    establish(&mut lab, alice, bob);
    lab.pass(Duration::from_secs(5));
    lab.hangup(bob);
    lab.until(|lab| lab.phase(alice) == Some(Phase::Ended));
    lab.pass(Duration::from_secs(1));
    let key = CallKey(1);
    let [left, right] = tracks(&lab.recordings[&key].1);
    assert_as_long_as_the_talk(&lab, key, &left);
    assert_tone(&left[4_000..36_000], 440.0);
    assert_tone(&right[4_000..36_000], 880.0);
    lab.assert_nothing_left();
}

#[test]
fn a_transfer_by_either_side_goes_on_in_the_same_recording() {
    for caller_transfers in [false, true] {
        let (mut lab, alice, bob, carol) = lab();
        establish(&mut lab, alice, bob);
        lab.pass(Duration::from_secs(3));
        let by = if caller_transfers { alice } else { bob };
        lab.fleet(by, |fleet, now, id| fleet.transfer(now, id, None, "carol", None))
            .expect("there is a call");
        lab.until(|lab| lab.phase(carol) == Some(Phase::Ringing));
        lab.accept(carol);
        lab.until(|lab| lab.phase(carol) == Some(Phase::Established));
        let moved = lab.now();
        lab.play(carol, 1_320.0);
        lab.pass(Duration::from_secs(3));
        lab.hangup(carol);
        lab.pass(Duration::from_secs(1));
        assert_eq!(lab.recordings.len(), 1);
        let key = CallKey(1);
        let (began, pieces) = &lab.recordings[&key];
        let [left, right] = tracks(pieces);
        assert_as_long_as_the_talk(&lab, key, &left);
        let after = (moved - *began).as_millis() as usize * 8 + 4_000;
        let (changes, stays, hz) = if caller_transfers {
            (&left, &right, [440.0, 880.0])
        } else {
            (&right, &left, [880.0, 440.0])
        };
        assert_tone(&changes[4_000..20_000], hz[0]);
        assert_tone(&changes[after..after + 16_000], 1_320.0);
        assert_tone(&stays[4_000..20_000], hz[1]);
        assert_tone(&stays[after..after + 16_000], hz[1]);
        lab.assert_nothing_left();
    }
}

#[test]
fn an_attended_transfer_goes_on_in_the_recording_of_the_first_call() {
    let (mut lab, alice, bob, carol) = lab();
    establish(&mut lab, alice, bob);
    lab.pass(Duration::from_secs(2));
    lab.fleet(bob, |fleet, now, id| {
        fleet.attended_transfer(now, id, None, "carol", None)
    })
    .expect("there is a call");
    lab.until(|lab| lab.phase(carol) == Some(Phase::Ringing));
    lab.accept(carol);
    lab.until(|lab| lab.phase(bob) == Some(Phase::Established));
    lab.play(carol, 1_320.0);
    lab.pass(Duration::from_secs(2));
    lab.fleet(bob, |fleet, now, id| fleet.complete_transfer(now, id, None))
        .expect("it was consulted");
    lab.until(|lab| lab.phase(alice) == Some(Phase::Established));
    let moved = lab.now();
    lab.pass(Duration::from_secs(3));
    lab.hangup(alice);
    lab.pass(Duration::from_secs(1));
    let longest = lab.recordings.iter().max_by_key(|(_, (_, pieces))| pieces.len());
    let (key, (began, pieces)) = longest.expect("both calls are recorded");
    let [left, right] = tracks(pieces);
    assert_eq!(*key, CallKey(1));
    let after = (moved - *began).as_millis() as usize * 8 + 4_000;
    assert_tone(&left[after..after + 16_000], 440.0);
    assert_tone(&right[after..after + 16_000], 1_320.0);
    // Alice was on hold while bob asked carol: what those two said is not in it.
    let held = &left[after - 4_000 - 12_000..after - 4_000];
    assert!(level(held) < -60.0, "{}", level(held));
    let before = &right[..after - 4_000];
    let other = |part: &[i16]| strongest(part).is_some_and(|heard| heard.frequency_hz > 1_000.0);
    assert!(!before.chunks(1_600).any(other));
    lab.assert_nothing_left();
}

#[test]
fn a_call_of_a_queue_is_recorded_from_the_agent_on() {
    let mut lab = Lab::with_queue(|_, queue| queue.record = true);
    let (alice, carol) = (lab.registered("alice"), lab.registered("carol"));
    let customer = lab.customer();
    // The customer waits for five seconds, and is not recorded then.
    lab.play(customer, 440.0);
    lab.pass(Duration::from_secs(5));
    assert!(lab.recordings.is_empty());
    lab.take(alice);
    lab.play(alice, 880.0);
    lab.pass(Duration::from_secs(3));
    lab.fleet(alice, |fleet, now, id| {
        fleet.transfer(now, id, None, "carol", None)
    })
    .expect("there is a call");
    lab.take(carol);
    lab.play(carol, 1_320.0);
    let moved = lab.now();
    lab.pass(Duration::from_secs(3));
    lab.hangup(customer);
    lab.pass(Duration::from_secs(1));
    let key = CallKey(1);
    let (began, pieces) = &lab.recordings[&key];
    let [left, right] = tracks(pieces);
    assert_as_long_as_the_talk(&lab, key, &left);
    let after = (moved - *began).as_millis() as usize * 8 + 4_000;
    assert_tone(&left[2_000..20_000], 440.0);
    assert_tone(&right[4_000..20_000], 880.0);
    assert_tone(&left[after..after + 16_000], 440.0);
    assert_tone(&right[after..after + 16_000], 1_320.0);
    lab.assert_nothing_left();
}

#[test]
fn a_call_of_a_queue_is_recorded_across_an_attended_transfer_and_the_consultation_is_not() {
    let mut lab = Lab::with_queue(|_, queue| queue.record = true);
    let (alice, carol) = (lab.registered("alice"), lab.registered("carol"));
    let customer = lab.customer();
    lab.take(alice);
    lab.play(customer, 440.0);
    lab.play(alice, 880.0);
    lab.pass(Duration::from_secs(2));
    lab.fleet(alice, |fleet, now, id| {
        fleet.attended_transfer(now, id, None, "carol", None)
    })
    .expect("there is a call");
    lab.take(carol);
    lab.play(carol, 1_320.0);
    lab.pass(Duration::from_secs(2));
    lab.fleet(alice, |fleet, now, id| fleet.complete_transfer(now, id, None))
        .expect("it was consulted");
    lab.until(|lab| lab.phase(customer) == Some(Phase::Established));
    let moved = lab.now();
    lab.pass(Duration::from_secs(3));
    lab.hangup(customer);
    lab.pass(Duration::from_secs(1));
    let recorded: Vec<_> = lab.recordings.keys().copied().collect();
    assert_eq!(recorded, [CallKey(1)]);
    let (began, pieces) = &lab.recordings[&CallKey(1)];
    let [left, right] = tracks(pieces);
    assert_as_long_as_the_talk(&lab, CallKey(1), &left);
    let after = (moved - *began).as_millis() as usize * 8 + 4_000;
    assert_tone(&right[4_000..12_000], 880.0);
    assert_tone(&left[after..after + 16_000], 440.0);
    assert_tone(&right[after..after + 16_000], 1_320.0);
    lab.assert_nothing_left();
}

#[test]
fn a_customer_who_is_sent_back_to_a_queue_is_silent_until_the_next_agent() {
    let mut lab = Lab::with_queue(|_, queue| {
        queue.record = true;
        queue.max_no_answer = 0;
    });
    let alice = lab.registered("alice");
    let customer = lab.customer();
    lab.take(alice);
    lab.play(customer, 440.0);
    lab.play(alice, 880.0);
    lab.pass(Duration::from_secs(3));
    lab.fleet(alice, |fleet, now, id| {
        fleet.transfer(now, id, None, "support", None)
    })
    .expect("there is a call");
    lab.pass(Duration::from_secs(4));
    let back = lab.now();
    lab.take(alice);
    let again = lab.now();
    lab.play(alice, 880.0);
    lab.pass(Duration::from_secs(3));
    lab.hangup(alice);
    lab.pass(Duration::from_secs(1));
    assert_eq!(lab.recordings.len(), 1);
    let (began, pieces) = &lab.recordings[&CallKey(1)];
    let [left, right] = tracks(pieces);
    let at = |time: Time| (time - *began).as_millis() as usize * 8;
    for (track, hz) in [(&left, 440.0), (&right, 880.0)] {
        assert_tone(&track[4_000..20_000], hz);
        assert!(level(&track[at(back) - 8_000..at(back)]) < -60.0);
        assert_tone(&track[at(again) + 4_000..at(again) + 20_000], hz);
    }
    lab.assert_nothing_left();
}

#[test]
fn nothing_is_recorded_unasked() {
    let mut lab = Lab::new();
    let (alice, bob) = (lab.registered("alice"), lab.registered("bob"));
    establish(&mut lab, alice, bob);
    lab.pass(Duration::from_secs(2));
    lab.hangup(alice);
    lab.pass(Duration::from_secs(1));
    assert!(lab.recordings.is_empty());
}

#[test]
fn recordings_end_when_the_machine_closes() {
    let (mut lab, alice, bob, _) = lab();
    establish(&mut lab, alice, bob);
    lab.pass(Duration::from_secs(2));
    lab.close();
    lab.pass(Duration::from_secs(40));
    let [left, _] = tracks(&lab.recordings[&CallKey(1)].1);
    assert_as_long_as_the_talk(&lab, CallKey(1), &left);
}
