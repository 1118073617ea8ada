//! What a caller hears who waits: music, and over it what is to be told.

mod support;

use std::sync::Arc;
use std::time::Duration;

use callwright_acd::{AgentState, Sound};
use callwright_media::tone::Tones;
use support::{Lab, Phone};

fn sound(hz: f64, millis: usize) -> Sound {
    let mut samples = vec![0; 8 * millis];
    Tones::single(hz, -12.0).expect("a tone").fill(&mut samples);
    Sound(samples.into())
}

/// Which of these frequencies a phone hears within the next `span`.
fn hears<const N: usize>(lab: &mut Lab, phone: Phone, hz: [f64; N], span: Duration) -> [bool; N] {
    let listeners = hz.map(|hz| lab.listen(phone, hz));
    lab.pass(span);
    listeners.map(|listener| lab.has_tone(phone, listener))
}

const MUSIC: f64 = 500.0;
const ANNOUNCEMENT: f64 = 900.0;
const FIRST: f64 = 1_300.0;
const SECOND: f64 = 1_700.0;
const ALL: [f64; 4] = [MUSIC, ANNOUNCEMENT, FIRST, SECOND];

/// A queue with music and an announcement each 10 s, whose positions are recorded.
fn lab() -> Lab {
    Lab::with_queue(|config, queue| {
        config.positions = [(1, sound(FIRST, 1_000)), (2, sound(SECOND, 1_000))].into();
        queue.prompts.music = Some(sound(MUSIC, 2_000));
        queue.prompts.announce = Some(sound(ANNOUNCEMENT, 1_000));
        queue.prompts.announce_position = true;
        queue.prompts.announce_every = Some(Duration::from_secs(10));
    })
}

#[test]
fn a_caller_hears_its_position_the_announcement_and_music_and_that_again() {
    let mut lab = lab();
    let customer = lab.customer();
    let seconds = |span| Duration::from_millis(span);
    assert_eq!(
        hears(&mut lab, customer, ALL, seconds(900)),
        [false, false, true, false]
    );
    lab.pass(seconds(200));
    assert_eq!(
        hears(&mut lab, customer, ALL, seconds(800)),
        [false, true, false, false]
    );
    lab.pass(seconds(300));
    assert_eq!(
        hears(&mut lab, customer, ALL, seconds(7_500)),
        [true, false, false, false]
    );
    lab.pass(seconds(400));
    assert_eq!(
        hears(&mut lab, customer, ALL, seconds(1_800)),
        [false, true, true, false]
    );
    lab.pass(seconds(400));
    assert_eq!(
        hears(&mut lab, customer, ALL, seconds(7_000)),
        [true, false, false, false]
    );
}

#[test]
fn the_position_is_that_of_the_moment() {
    let mut lab = lab();
    let first = lab.customer();
    let second = lab.customer();
    let heard = hears(&mut lab, second, [FIRST, SECOND], Duration::from_secs(4));
    assert_eq!(heard, [false, true]);
    lab.hangup(first);
    let heard = hears(&mut lab, second, [FIRST, SECOND], Duration::from_secs(8));
    assert_eq!(heard, [true, false]);
}

#[test]
fn an_announcement_is_not_cut_off_by_the_next_one() {
    let mut lab = Lab::with_queue(|_, queue| {
        let parts = [sound(FIRST, 2_000), sound(SECOND, 500)];
        let samples: Arc<[i16]> = parts.iter().flat_map(|part| part.0.iter().copied()).collect();
        queue.prompts.announce = Some(Sound(samples));
        queue.prompts.announce_every = Some(Duration::from_secs(1));
    });
    let customer = lab.customer();
    for _ in 0..3 {
        let heard = hears(&mut lab, customer, [FIRST, SECOND], Duration::from_millis(2_500));
        assert_eq!(heard, [true, true]);
    }
}

#[test]
fn who_is_answered_hears_the_agent_and_nothing_else() {
    let mut lab = lab();
    let alice = lab.registered("alice");
    let customer = lab.customer();
    lab.take(alice);
    lab.play(alice, 2_100.0);
    lab.pass(Duration::from_millis(300));
    let heard = hears(
        &mut lab,
        customer,
        [MUSIC, ANNOUNCEMENT, FIRST, 2_100.0],
        Duration::from_secs(15),
    );
    assert_eq!(heard, [false, false, false, true]);
    lab.hangup(customer);
    lab.pass(Duration::from_secs(1));
    assert_eq!(lab.state("alice"), AgentState::Ready);
    lab.assert_nothing_left();
}

#[test]
fn without_files_there_are_a_melody_and_tones() {
    let mut lab = Lab::with_queue(|_, queue| queue.prompts.announce_position = true);
    let first = lab.customer();
    // One pip of 880 Hz; then the melody begins with an E4.
    assert_eq!(
        hears(&mut lab, first, [880.0], Duration::from_millis(700)),
        [true]
    );
    assert_eq!(
        hears(&mut lab, first, [329.6], Duration::from_millis(900)),
        [true]
    );
    for _ in 0..9 {
        lab.customer();
    }
    let tenth = lab.customer();
    assert_eq!(
        hears(&mut lab, tenth, [494.0], Duration::from_millis(700)),
        [true]
    );
}
