//! The E-model: ITU-T G.107 with the codec figures of G.113.

use callwright_media::emodel::{Conditions, LossRuns, mos_of_rating};

const PERFECT: Conditions = Conditions {
    loss_percent: 0.0,
    burst_ratio: 1.0,
    one_way_delay_ms: 0.0,
    concealment: true,
};

fn near(value: f64, expected: f64, tolerance: f64) -> bool {
    (value - expected).abs() <= tolerance
}

#[test]
fn with_all_defaults_the_rating_is_93_2() {
    assert!(near(PERFECT.rating(), 93.2, 0.05), "{}", PERFECT.rating());
    assert!(near(PERFECT.mos(), 4.41, 0.005), "{}", PERFECT.mos());
}

#[test]
fn annex_b_table_b_1_ratings_and_scores() {
    for (rating, mos) in [
        (90.0, 4.34),
        (80.0, 4.03),
        (70.0, 3.60),
        (60.0, 3.10),
        (50.0, 2.58),
    ] {
        assert!(
            near(mos_of_rating(rating), mos, 0.007),
            "R {rating}: {}",
            mos_of_rating(rating)
        );
    }
    assert!(near(mos_of_rating(0.0), 1.0, 0.0) && near(mos_of_rating(-5.0), 1.0, 0.0));
    assert!(near(mos_of_rating(100.0), 4.5, 1e-9) && near(mos_of_rating(120.0), 4.5, 0.0));
}

#[test]
fn scores_never_fall_when_ratings_rise() {
    let scores: Vec<f64> = (-10..=1100)
        .map(|tenths| mos_of_rating(f64::from(tenths) / 10.0))
        .collect();
    assert!(scores.windows(2).all(|pair| pair[0] <= pair[1]));
}

#[test]
fn equation_7_29_loss_takes_what_the_codec_cannot_hide() {
    let taken = |loss_percent, concealment| {
        PERFECT.rating()
            - Conditions {
                loss_percent,
                concealment,
                ..PERFECT
            }
            .rating()
    };
    // Ie,eff = 95 · Ppl / (Ppl + Bpl), with Bpl 25.1 and 4.3.
    assert!(near(taken(1.0, true), 3.64, 0.01));
    assert!(near(taken(5.0, true), 15.78, 0.01));
    assert!(near(taken(1.0, false), 17.92, 0.01));
    assert!(near(taken(5.0, false), 51.08, 0.01));
}

#[test]
fn equation_7_29_bursts_make_loss_worse() {
    let rating = |burst_ratio| {
        Conditions {
            loss_percent: 3.0,
            burst_ratio,
            ..PERFECT
        }
        .rating()
    };
    // 95 · 3 / (3 / 2 + 25.1)
    assert!(near(PERFECT.rating() - rating(2.0), 10.71, 0.01));
    assert!(rating(1.0) > rating(2.0) && rating(2.0) > rating(4.0));
}

#[test]
fn delay_matters_above_150_ms() {
    let rating = |one_way_delay_ms| {
        Conditions {
            one_way_delay_ms,
            ..PERFECT
        }
        .rating()
    };
    assert!(rating(50.0) > 91.0, "{}", rating(50.0));
    assert!(rating(150.0) > 88.0, "{}", rating(150.0));
    assert!(rating(300.0) < 80.0, "{}", rating(300.0));
    assert!(rating(500.0) < 65.0, "{}", rating(500.0));
    let all: Vec<f64> = (0..100).map(|tens| rating(f64::from(tens) * 10.0)).collect();
    assert!(
        all.windows(2).all(|pair| pair[1] <= pair[0]),
        "more delay is never better"
    );
}

#[test]
fn the_worst_call_is_rated_and_not_negative() {
    let worst = Conditions {
        loss_percent: 250.0,
        burst_ratio: 0.1,
        one_way_delay_ms: 1e6,
        concealment: false,
    };
    assert!(near(worst.rating(), 0.0, 0.0) && near(worst.mos(), 1.0, 0.0));
}

fn runs(pattern: &str) -> LossRuns {
    let mut runs = LossRuns::default();
    pattern.bytes().for_each(|packet| runs.record(packet == b'x'));
    runs
}

#[test]
fn losses_are_counted_with_their_runs() {
    let even = runs(&"....x".repeat(20));
    assert!(near(even.loss_percent(), 20.0, 1e-9) && near(even.burst_ratio(), 1.0, 1e-9));
    let bursts = runs(&"................xxxx".repeat(20));
    // Runs of 4 where random loss of 20 % makes runs of 1.25.
    assert!(near(bursts.loss_percent(), 20.0, 1e-9) && near(bursts.burst_ratio(), 3.2, 1e-9));
    assert!(near(runs("").loss_percent(), 0.0, 0.0) && near(runs("....").burst_ratio(), 1.0, 0.0));
    assert!(near(runs("xxxx").loss_percent(), 100.0, 0.0) && near(runs("xxxx").burst_ratio(), 1.0, 0.0));
}
