//! Music while somebody waits, and what is said over it.

use std::sync::Arc;

use callwright_media::level::{FULL_SCALE_DBM0, level};
use callwright_media::plane::{Announcement, Below, Source};
use callwright_media::tone::{Tones, melody};
use callwright_media::{Command, Event};

use crate::pair::{Alice, Bob, Pair, Side, millis};

fn clip(hz: f64, span_ms: usize) -> Arc<[i16]> {
    let mut samples = vec![0; 8 * span_ms];
    Tones::single(hz, -10.0).expect("a tone").fill(&mut samples);
    samples.into()
}

fn music(pair: &mut Pair, samples: Arc<[i16]>) {
    pair.command(
        Alice,
        Command::Play(Source::Samples {
            samples,
            repeat: true,
        }),
    );
}

fn announce(pair: &mut Pair, clips: Vec<Arc<[i16]>>, below: Below) {
    pair.command(Alice, Command::Announce(Announcement { clips, below }));
}

/// The level of a frequency in the last 200 ms that Bob heard.
fn strength(pair: &Pair, hz: f64) -> f64 {
    let heard = pair.planes[1].recent_audio(pair.session(Bob), millis(200));
    let (mut sin, mut cos) = (0.0, 0.0);
    for (at, sample) in heard.iter().enumerate() {
        let angle = std::f64::consts::TAU * hz * at as f64 / 8_000.0;
        sin += f64::from(*sample) * angle.sin();
        cos += f64::from(*sample) * angle.cos();
    }
    let peak = 2.0 * f64::hypot(sin, cos) / heard.len() as f64;
    20.0 * (peak / 32_768.0).max(1e-9).log10() + FULL_SCALE_DBM0
}

fn announced(pair: &Pair, side: Side) -> usize {
    let events = pair.events_of(side);
    events
        .into_iter()
        .filter(|event| **event == Event::Announced)
        .count()
}

#[test]
fn the_music_waits_for_clips_one_after_the_other_and_goes_on() {
    let mut pair = Pair::call();
    music(&mut pair, clip(500.0, 1_000));
    pair.run(millis(500));
    assert!((strength(&pair, 500.0) + 10.0).abs() < 0.5);
    announce(
        &mut pair,
        vec![clip(1_000.0, 600), clip(1_500.0, 600)],
        Below::Waits,
    );
    pair.run(millis(500));
    assert!((strength(&pair, 1_000.0) + 10.0).abs() < 0.5);
    assert!(strength(&pair, 500.0) < -40.0, "{}", strength(&pair, 500.0));
    pair.run(millis(600));
    assert!((strength(&pair, 1_500.0) + 10.0).abs() < 0.5);
    assert_eq!(announced(&pair, Alice), 0);
    pair.run(millis(600));
    assert_eq!(announced(&pair, Alice), 1);
    assert!((strength(&pair, 500.0) + 10.0).abs() < 0.5);
    assert!(strength(&pair, 1_500.0) < -40.0);
}

#[test]
fn the_music_goes_on_quietly_where_it_is_told_to() {
    let mut pair = Pair::call();
    music(&mut pair, clip(500.0, 1_000));
    announce(&mut pair, vec![clip(1_000.0, 800)], Below::Quieter { db: 15.0 });
    pair.run(millis(600));
    assert!(
        (strength(&pair, 500.0) + 25.0).abs() < 1.0,
        "{}",
        strength(&pair, 500.0)
    );
    assert!((strength(&pair, 1_000.0) + 10.0).abs() < 0.5);
    pair.run(millis(800));
    assert!((strength(&pair, 500.0) + 10.0).abs() < 0.5);
}

#[test]
fn music_that_waits_goes_on_where_it_was() {
    let samples: Arc<[i16]> = (0..16_000i16).collect();
    let mut pair = Pair::call();
    music(&mut pair, samples);
    pair.run(millis(400));
    announce(&mut pair, vec![vec![0; 8_000].into()], Below::Waits);
    pair.run(millis(1_600));
    // 2,000 ms less the second of the clip; the music goes down for 100 ms of it.
    let heard = pair.planes[1].recent_audio(pair.session(Bob), millis(20));
    let at = f64::from(heard[heard.len() - 1]) / 8.0;
    assert!((1_000.0..=1_120.0).contains(&at), "{at}");
}

#[test]
fn a_new_announcement_takes_the_place_of_the_one_before_and_none_ends_it() {
    let mut pair = Pair::call();
    announce(&mut pair, vec![clip(1_000.0, 5_000)], Below::Waits);
    pair.run(millis(500));
    announce(&mut pair, vec![clip(1_500.0, 5_000)], Below::Waits);
    pair.run(millis(500));
    assert!(strength(&pair, 1_000.0) < -40.0);
    assert!((strength(&pair, 1_500.0) + 10.0).abs() < 0.5);
    announce(&mut pair, Vec::new(), Below::Waits);
    pair.run(millis(500));
    assert!(strength(&pair, 1_500.0) < -40.0);
    assert_eq!(announced(&pair, Alice), 0);
}

#[test]
fn an_announcement_that_was_slept_through_is_over() {
    let mut pair = Pair::call();
    announce(
        &mut pair,
        vec![clip(1_000.0, 300), Vec::new().into()],
        Below::Waits,
    );
    pair.run(millis(100));
    pair.sleep(millis(1_000));
    pair.run(millis(300));
    assert_eq!(announced(&pair, Alice), 1);
    assert!(strength(&pair, 1_000.0) < -40.0);
}

#[test]
fn the_built_in_melody_reaches_who_waits() {
    let mut pair = Pair::call();
    music(&mut pair, melody());
    for _ in 0..20 {
        pair.run(millis(2_000));
        let heard = pair.planes[1].recent_audio(pair.session(Bob), millis(2_000));
        assert!(level(&heard) > -30.0, "{}", level(&heard));
    }
}

#[test]
fn thousands_share_one_piece_of_music() {
    let mut pair = Pair::call();
    let before = Arc::strong_count(&melody());
    music(&mut pair, melody());
    assert_eq!(Arc::strong_count(&melody()), before + 1);
    assert!(Arc::ptr_eq(&melody(), &melody()));
}
