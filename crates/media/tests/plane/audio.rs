//! What one plays, the other hears: nothing more, and nothing older than the question.

use std::sync::Arc;
use std::time::Duration;

use callwright_media::level::level;
use callwright_media::plane::{CommandError, Source};
use callwright_media::{Command, Event};
use callwright_sdp::Direction;

use crate::pair::{Alice, Bob, LATENCY, Pair, millis, tone, towards};

#[test]
fn a_tone_of_one_side_is_heard_by_the_other_soon() {
    let mut pair = Pair::call();
    pair.run(millis(500));
    pair.command(Bob, Command::Listen { hz: 1_000.0 });
    let asked = pair.now;
    pair.command(Alice, tone(1_000.0));
    pair.run(millis(1_000));
    let heard = pair.heard_at(Bob, 1_000.0).expect("the tone");
    assert!(heard - asked <= millis(200), "{:?}", heard - asked);
    assert_eq!(pair.heard_at(Alice, 1_000.0), None);
}

#[test]
fn a_tone_that_only_the_asking_side_sends_is_not_heard() {
    let mut pair = Pair::call();
    pair.command(Alice, tone(1_000.0));
    pair.command(Alice, Command::Listen { hz: 1_000.0 });
    pair.run(millis(3_000));
    assert_eq!(pair.heard_at(Alice, 1_000.0), None);
}

#[test]
fn audio_that_stopped_before_the_question_is_not_heard() {
    let mut pair = Pair::call();
    pair.command(Alice, tone(1_000.0));
    pair.run(millis(2_000));
    pair.command(Alice, Command::Play(Source::Silence));
    // What is on its way arrives.
    pair.run(LATENCY);
    pair.command(Bob, Command::Listen { hz: 1_000.0 });
    pair.run(millis(3_000));
    assert_eq!(pair.heard_at(Bob, 1_000.0), None);
}

#[test]
fn packets_that_waited_behind_a_gap_before_the_question_are_not_heard() {
    let mut pair = Pair::call();
    // One packet is lost, and everything later waits behind the gap when the question comes.
    pair.network(|_, number| if number == 20 { Vec::new() } else { vec![LATENCY] });
    pair.command(Alice, tone(1_000.0));
    while pair.rtp_sent(Alice).count() < 23 {
        pair.run(millis(1));
    }
    pair.run(LATENCY);
    pair.command(Alice, Command::Mute(true));
    pair.command(Bob, Command::Listen { hz: 1_000.0 });
    pair.run(millis(1_000));
    assert_eq!(pair.heard_at(Bob, 1_000.0), None);
}

#[test]
fn each_question_is_answered_once_and_can_be_asked_again() {
    let mut pair = Pair::call();
    pair.command(Alice, tone(700.0));
    for answers in 1..=3 {
        pair.command(Bob, Command::Listen { hz: 700.0 });
        pair.run(millis(1_000));
        let heard = pair
            .events_of(Bob)
            .iter()
            .filter(|event| matches!(event, Event::ToneHeard { .. }))
            .count();
        assert_eq!(heard, answers);
    }
}

#[test]
fn two_tones_at_once_are_both_heard_and_a_third_is_not() {
    let mut pair = Pair::call();
    pair.command(
        Alice,
        Command::Play(Source::Tones {
            hz: vec![500.0, 800.0],
            level_dbm0: -12.0,
        }),
    );
    for hz in [500.0, 800.0, 650.0] {
        pair.command(Bob, Command::Listen { hz });
    }
    pair.run(millis(1_500));
    assert!(pair.heard_at(Bob, 500.0).is_some());
    assert!(pair.heard_at(Bob, 800.0).is_some());
    assert_eq!(pair.heard_at(Bob, 650.0), None);
}

#[test]
fn who_stops_listening_is_not_told() {
    let mut pair = Pair::call();
    pair.command(Bob, Command::Listen { hz: 1_000.0 });
    pair.run(millis(300));
    pair.command(Bob, Command::Unlisten { hz: 1_000.0 });
    pair.command(Alice, tone(1_000.0));
    pair.run(millis(1_000));
    assert_eq!(pair.heard_at(Bob, 1_000.0), None);
}

#[test]
fn a_muted_side_keeps_its_pace_and_sends_silence() {
    let mut pair = Pair::call();
    pair.command(Alice, tone(1_000.0));
    pair.run(millis(1_000));
    pair.command(Alice, Command::Mute(true));
    pair.run(LATENCY);
    pair.command(Bob, silence(500));
    pair.command(Bob, Command::Listen { hz: 1_000.0 });
    let before = pair.stats(Alice).sent.packets;
    pair.run(millis(1_000));
    assert_eq!(pair.stats(Alice).sent.packets - before, 50);
    assert!(pair.events_of(Bob).contains(&&Event::SilenceHeard));
    assert_eq!(pair.heard_at(Bob, 1_000.0), None);
    pair.command(Alice, Command::Mute(false));
    pair.run(millis(1_000));
    assert!(pair.heard_at(Bob, 1_000.0).is_some());
}

fn silence(least_ms: u64) -> Command {
    Command::ListenSilence {
        at_least: millis(least_ms),
        below_dbm0: -50.0,
    }
}

#[test]
fn a_side_that_plays_nothing_sends_packets_of_silence() {
    let mut pair = Pair::call();
    pair.command(Bob, silence(1_000));
    pair.run(millis(1_500));
    assert!(pair.events_of(Bob).contains(&&Event::SilenceHeard));
    assert!((74..=76).contains(&pair.stats(Alice).sent.packets));
}

#[test]
fn a_line_without_packets_is_not_silent() {
    let mut pair = Pair::call();
    pair.network(|_, number| if number < 100 { vec![LATENCY] } else { Vec::new() });
    pair.command(Alice, tone(400.0));
    pair.run(millis(2_100));
    pair.command(Bob, silence(200));
    pair.run(millis(5_000));
    assert!(!pair.events_of(Bob).contains(&&Event::SilenceHeard));
}

#[test]
fn lost_packets_are_not_silence() {
    let mut pair = Pair::call();
    // Nine in ten are lost: holes of 180 ms.
    pair.network(|_, number| {
        if number % 10 == 0 {
            vec![LATENCY]
        } else {
            Vec::new()
        }
    });
    pair.command(Alice, tone(400.0));
    pair.command(Bob, silence(100));
    pair.run(millis(5_000));
    assert!(!pair.events_of(Bob).contains(&&Event::SilenceHeard));
}

#[test]
fn a_tone_is_heard_through_loss_and_reordering() {
    let mut pair = Pair::call();
    pair.network(|_, number| match number % 10 {
        3 => Vec::new(),
        5 => vec![millis(40)],
        7 => vec![LATENCY, millis(12)],
        _ => vec![LATENCY],
    });
    pair.command(Alice, tone(1_000.0));
    pair.command(Bob, Command::Listen { hz: 1_000.0 });
    pair.run(millis(2_000));
    assert!(pair.heard_at(Bob, 1_000.0).is_some());
}

#[test]
fn audio_played_once_ends_with_an_event_and_audio_repeated_does_not() {
    let samples: Arc<[i16]> = (0..4_000)
        .map(|n| if n % 16 < 8 { 8_000 } else { -8_000 })
        .collect();
    for repeat in [false, true] {
        let mut pair = Pair::call();
        pair.command(
            Alice,
            Command::Play(Source::Samples {
                samples: Arc::clone(&samples),
                repeat,
            }),
        );
        pair.run(millis(2_000));
        assert_eq!(pair.events_of(Alice).contains(&&Event::PlayEnded), !repeat);
        let recent = pair.planes[1].recent_audio(pair.sessions[1], millis(500));
        assert_eq!(level(&recent) > -30.0, repeat, "{}", level(&recent));
    }
}

#[test]
fn what_is_played_before_the_call_is_heard_from_its_first_packet() {
    let mut pair = Pair::opened();
    pair.command(Alice, tone(1_000.0));
    pair.command(Alice, Command::Start(Box::new(towards(Bob))));
    pair.command(Bob, Command::Start(Box::new(towards(Alice))));
    pair.run(millis(100));
    let heard = pair.planes[1].recent_audio(pair.sessions[1], millis(20));
    assert!(level(&heard) > -15.0);
}

#[test]
fn the_last_three_seconds_heard_are_kept_and_no_more() {
    let mut pair = Pair::call();
    pair.command(Alice, tone(400.0));
    pair.run(Duration::from_secs(4));
    pair.command(Alice, Command::Play(Source::Silence));
    pair.run(Duration::from_secs(2));
    let recent = pair.planes[1].recent_audio(pair.sessions[1], Duration::from_secs(60));
    assert_eq!(recent.len(), 24_000);
    assert!(level(&recent[..7_000]) > -15.0);
    assert!(level(&recent[9_000..]) < -60.0);
}

#[test]
fn what_was_heard_last_outlives_the_session() {
    for seconds in [0, 1, 2, 3, 5] {
        let mut pair = Pair::call();
        pair.command(Alice, tone(400.0));
        pair.run(millis(seconds * 1_000));
        pair.command(Alice, tone(900.0));
        pair.run(millis(510));
        let (now, session) = (pair.now, pair.session(Bob));
        let spans = [millis(0), millis(20), millis(500), Duration::from_secs(60)];
        let before = spans.map(|span| pair.plane(Bob).recent_audio(session, span));
        let stats = pair.stats(Bob);
        let closed = pair
            .plane(Bob)
            .close_with_audio(now, session)
            .expect("an open session");
        assert_eq!(closed.stats.received, stats.received);
        assert_eq!(spans.map(|span| closed.heard.recent(span)), before);
        assert!(before[3].len() > 3_900 && before[1].len() == 160);
        assert!(!closed.heard.is_empty());
        assert!(pair.plane(Bob).close_with_audio(now, session).is_none());
    }
    let mut pair = Pair::opened();
    let (now, session) = (pair.now, pair.session(Bob));
    let closed = pair
        .plane(Bob)
        .close_with_audio(now, session)
        .expect("an open session");
    assert!(closed.heard.is_empty() && closed.heard.recent(millis(100)).is_empty());
}

#[test]
fn a_packet_that_waits_when_the_session_ends_is_among_what_was_heard_last() {
    let mut pair = Pair::call();
    pair.command(Alice, tone(400.0));
    // One is lost right before the end, so that the next one waits for it.
    pair.network(|sent, number| {
        let is_lost = sent.by == Alice && sent.is_rtp() && number == 25;
        if is_lost { Vec::new() } else { vec![LATENCY] }
    });
    while pair.rtp_sent(Alice).count() < 27 {
        pair.run(millis(1));
    }
    pair.run(LATENCY);
    let (now, session) = (pair.now, pair.session(Bob));
    let before = pair
        .plane(Bob)
        .recent_audio(session, Duration::from_secs(1))
        .len();
    let closed = pair
        .plane(Bob)
        .close_with_audio(now, session)
        .expect("an open session");
    assert_eq!(closed.heard.recent(Duration::from_secs(1)).len(), before + 160);
}

#[test]
fn the_strongest_frequency_heard_is_named_with_its_level() {
    let mut pair = Pair::call();
    pair.command(Alice, tone(1_234.0));
    pair.run(Duration::from_secs(1));
    let strongest = pair.planes[1]
        .strongest(pair.sessions[1], millis(500))
        .expect("something");
    assert!((strongest.frequency_hz - 1_234.0).abs() < 5.0, "{strongest:?}");
    assert!((strongest.level_dbm0 + 10.0).abs() < 1.0, "{strongest:?}");
    assert!(
        pair.planes[0]
            .level(pair.sessions[0], millis(500))
            .expect("packets")
            < -60.0
    );
}

#[test]
fn a_side_on_hold_hears_nothing_and_counts() {
    let mut pair = Pair::call();
    pair.command(Alice, tone(1_000.0));
    pair.run(millis(500));
    let mut hold = towards(Alice);
    hold.direction = Direction::SendOnly;
    pair.command(Bob, Command::Start(Box::new(hold)));
    pair.command(Bob, Command::Listen { hz: 1_000.0 });
    pair.run(millis(1_000));
    assert_eq!(pair.heard_at(Bob, 1_000.0), None);
    assert_eq!(pair.stats(Bob).refused.on_hold, 50);
    pair.command(Bob, Command::Start(Box::new(towards(Alice))));
    pair.run(millis(1_000));
    assert!(pair.heard_at(Bob, 1_000.0).is_some());
    assert_eq!(pair.stats(Bob).received.lost, 0);
}

#[test]
fn a_held_side_sends_nothing_and_goes_on_afterwards() {
    let mut pair = Pair::call();
    pair.run(millis(500));
    for direction in [Direction::RecvOnly, Direction::Inactive] {
        let mut held = towards(Bob);
        held.direction = direction;
        pair.command(Alice, Command::Start(Box::new(held)));
        let before = pair.stats(Alice).sent.packets;
        pair.run(millis(1_000));
        assert_eq!(pair.stats(Alice).sent.packets, before);
    }
    pair.command(Alice, Command::Start(Box::new(towards(Bob))));
    pair.run(millis(1_000));
    // The timestamps went on with the clock, the sequence numbers did not.
    let sent: Vec<_> = pair.rtp_sent(Alice).collect();
    for pair in sent.windows(2) {
        assert_eq!(pair[1].sequence(), pair[0].sequence().wrapping_add(1));
        let elapsed = (pair[1].time - pair[0].time).as_millis() as u32 * 8;
        assert_eq!(pair[1].timestamp().wrapping_sub(pair[0].timestamp()), elapsed);
    }
    assert_eq!(pair.stats(Bob).received.lost, 0);
}

#[test]
fn what_makes_no_sense_is_refused() {
    let mut pair = Pair::call();
    let session = pair.session(Alice);
    let now = pair.now;
    let plane = pair.plane(Alice);
    let nothing = Source::Samples {
        samples: Arc::new([]),
        repeat: true,
    };
    let played = plane.command(now, session, Command::Play(nothing));
    assert_eq!(played, Err(CommandError::NoSamples));
    let listened = plane.command(now, session, Command::Listen { hz: 9_000.0 });
    assert!(matches!(listened, Err(CommandError::Frequency(_))));
    for hz in 0..16 {
        let listened = plane.command(
            now,
            session,
            Command::Listen {
                hz: 400.0 + f64::from(hz),
            },
        );
        listened.expect("sixteen tones at once");
    }
    let listened = plane.command(now, session, Command::Listen { hz: 1_000.0 });
    assert_eq!(listened, Err(CommandError::TooManyTones { limit: 16 }));
    plane.close(now, session);
    let gone = plane.command(now, session, Command::Mute(true));
    assert_eq!(gone, Err(CommandError::NoSuchSession));
}
