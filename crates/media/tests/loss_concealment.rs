//! What is heard where packets are missing.

use callwright_media::concealment::Concealer;
use callwright_media::level::level;
use callwright_media::tone::Tones;

fn tone(hz: f64, length: usize) -> Vec<i16> {
    let mut samples = vec![0; length];
    Tones::single(hz, -10.0).expect("in range").fill(&mut samples);
    samples
}

/// Plays `samples` in packets of 20 ms, of which those in `lost` are missing.
fn play(samples: &[i16], lost: std::ops::Range<usize>) -> Vec<i16> {
    let mut concealer = Concealer::default();
    let mut out = Vec::new();
    for (index, packet) in samples.chunks(160).enumerate() {
        let mut packet = packet.to_vec();
        if lost.contains(&index) {
            concealer.conceal(&mut packet)
        } else {
            concealer.received(&mut packet)
        }
        out.extend(packet);
    }
    out
}

fn steepest(samples: &[i16]) -> i32 {
    samples
        .windows(2)
        .map(|pair| (i32::from(pair[1]) - i32::from(pair[0])).abs())
        .max()
        .unwrap_or(0)
}

#[test]
fn a_lost_packet_of_a_steady_tone_is_not_heard() {
    for hz in [100.0, 160.0, 200.0, 400.0, 1000.0] {
        let sent = tone(hz, 3200);
        let played = play(&sent, 10..11);
        assert!(steepest(&played) <= steepest(&sent) * 3 / 2, "{hz} Hz clicks");
        let lost = level(&played[1600..1760]);
        assert!(
            (-12.0..=-9.5).contains(&lost),
            "{hz} Hz: {lost} dBm0 where the packet is missing"
        );
    }
}

#[test]
fn it_fades_and_is_silent_after_60_ms() {
    let played = play(&tone(200.0, 3200), 10..20);
    let of = |ms: usize| level(&played[1600 + ms * 8..1600 + (ms + 10) * 8]);
    assert!((of(0) + 10.0).abs() < 0.3, "{}", of(0));
    assert!((10..50).step_by(10).all(|ms| of(ms + 10) < of(ms) - 1.0));
    assert!(played[1600 + 480..].iter().all(|sample| *sample == 0));
}

#[test]
fn what_comes_back_is_blended_in() {
    let played = play(&tone(200.0, 3200), 10..15);
    let sent = tone(200.0, 3200);
    assert!(steepest(&played[2300..2600]) <= steepest(&sent) * 2);
    assert_eq!(played[2400 + 20..], sent[2400 + 20..]);
}

#[test]
fn without_a_past_there_is_silence() {
    let mut out = [5; 160];
    Concealer::default().conceal(&mut out);
    assert_eq!(out, [0; 160]);
}

#[test]
fn without_loss_nothing_changes() {
    let sent = tone(440.0, 1600);
    assert_eq!(play(&sent, 0..0), sent);
}

#[test]
fn packets_of_any_length_are_taken() {
    let mut concealer = Concealer::default();
    for length in [0, 1, 19, 160, 359, 360, 361, 2000] {
        concealer.received(&mut vec![100; length]);
        concealer.conceal(&mut vec![0; length]);
    }
}
