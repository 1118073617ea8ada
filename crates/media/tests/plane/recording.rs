//! A recording: left sent, right heard.

use callwright_media::level::level;
use callwright_media::{Command, Event};

use crate::pair::{Alice, Bob, Pair, Side, millis, tone};

fn recorded(pair: &Pair, side: Side) -> (Vec<i16>, Vec<i16>) {
    let mut stereo = (Vec::new(), Vec::new());
    for event in pair.events_of(side) {
        if let Event::Recorded { samples } = event {
            for frame in samples.chunks_exact(2) {
                stereo.0.push(frame[0]);
                stereo.1.push(frame[1]);
            }
        }
    }
    stereo
}

#[test]
fn what_is_sent_is_left_and_what_is_heard_is_right() {
    let mut pair = Pair::call();
    pair.run(millis(200));
    pair.command(Bob, Command::Record(true));
    pair.run(millis(1_000));
    pair.command(Alice, tone(1_000.0));
    pair.run(millis(1_000));
    pair.command(Bob, Command::Record(false));
    let (left, right) = recorded(&pair, Bob);
    assert_eq!(left.len(), right.len());
    assert!((15_800..=16_800).contains(&left.len()), "{}", left.len());
    assert!(level(&left) < -60.0);
    assert!(level(&right[..7_000]) < -60.0);
    let tone = &right[9_000..15_500];
    assert!((level(tone) + 10.0).abs() < 0.5, "{}", level(tone));
    // A tone without holes: no run of zeros longer than a crossing.
    let longest = tone.split(|sample| *sample != 0).map(<[i16]>::len).max();
    assert!(longest < Some(4), "{longest:?}");
    assert_eq!(pair.events_of(Bob).last(), Some(&&Event::RecordingEnded));
}

#[test]
fn jitter_leaves_no_holes_in_a_recording() {
    let mut pair = Pair::call();
    pair.network(|_, number| vec![millis([5, 30, 12, 41, 8][number as usize % 5])]);
    pair.command(Alice, tone(1_000.0));
    pair.run(millis(300));
    pair.command(Bob, Command::Record(true));
    pair.run(millis(3_000));
    pair.command(Bob, Command::Record(false));
    let (_, right) = recorded(&pair, Bob);
    let sound = &right[2_000..20_000];
    let longest = sound.split(|sample| *sample != 0).map(<[i16]>::len).max();
    assert!(longest < Some(4), "{longest:?}");
}

#[test]
fn a_call_that_ends_hands_its_recording_over() {
    let mut pair = Pair::call();
    pair.command(Alice, Command::Record(true));
    pair.run(millis(1_010));
    pair.close(Alice);
    let (left, _) = recorded(&pair, Alice);
    assert!((7_900..=8_900).contains(&left.len()), "{}", left.len());
    assert!(pair.events_of(Alice).contains(&&Event::RecordingEnded));
}

#[test]
fn nothing_is_recorded_unasked() {
    let mut pair = Pair::call();
    pair.run(millis(1_000));
    assert_eq!(recorded(&pair, Bob).0.len(), 0);
}
